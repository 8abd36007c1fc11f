"""ocsync: pause, stage, plan, resume and verify OrderCloud sync as one operation."""

__version__ = "0.1.0"
