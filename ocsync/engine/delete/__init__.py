"""The delete operation."""
