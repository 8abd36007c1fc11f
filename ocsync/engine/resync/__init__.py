"""The resync operation."""
