"""The verify operation."""
