"""The pause operation."""
