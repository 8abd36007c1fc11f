"""The stages of the work; each takes what it needs as a `Work`, and never prints."""
