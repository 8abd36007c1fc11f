"""Export: the marketplace's present state, read by lists and written to a file."""
