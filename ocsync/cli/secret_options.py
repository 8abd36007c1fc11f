"""Secrets on the command line, given as the name of a variable or a command, never as text."""

from __future__ import annotations

from ocsync.errors import UsageError


def secret_of(env: str, command: str, what: str, option: str = "--secret") -> str:
    """Return the secret *what* from variable *env* or *command*. Raises UsageError, ConfigError."""
    from ocsync.secrets import SecretSource, resolve

    if bool(env) == bool(command):
        raise UsageError(f"give {option}-env VAR or {option}-command CMD for {what}")
    return resolve(SecretSource(env, command), what)
