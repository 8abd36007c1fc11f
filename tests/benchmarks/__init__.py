"""Benchmarks: commands, not tests. Each prints figures; none judges them."""
