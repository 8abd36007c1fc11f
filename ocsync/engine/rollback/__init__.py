"""The rollback operation."""
