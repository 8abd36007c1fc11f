"""The stages of the work; each takes what it needs as a `Session`, and never prints."""
