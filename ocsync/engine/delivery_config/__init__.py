"""The delivery config operation."""
