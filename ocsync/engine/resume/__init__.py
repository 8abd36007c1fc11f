"""The resume operation."""
