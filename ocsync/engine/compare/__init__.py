"""Comparison of two marketplaces."""
