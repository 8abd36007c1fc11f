"""Values and events -> people or programs. Light: rich is imported only where a bar is drawn."""
