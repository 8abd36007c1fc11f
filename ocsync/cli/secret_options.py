"""Secrets on the command line, given as the name of a variable or a command, never as text."""

from __future__ import annotations

import os

from ocsync.errors import UsageError


def secret_of(env: str, command: str, what: str, option: str = "--secret") -> str:
    """Return the secret *what* from variable *env* or *command*. Raises UsageError, ConfigError."""
    from ocsync.secrets import SecretSource, resolve

    if bool(env) == bool(command):
        raise UsageError(f"give {option}-env VAR or {option}-command CMD for {what}")
    return resolve(SecretSource(read_variable(f"{option}-env", env), command), what)


def read_variable(option: str, name: str) -> str:
    """Return the *name* of an environment variable that *option* was given, or "".

    Raises UsageError, which does not show it, for what may be a value: `$NAME` in place of `NAME`.
    """
    name = name.strip()
    is_name = name.isidentifier() and name.isascii()
    is_value = name not in os.environ and name in os.environ.values() and not name.isupper()
    if name and (is_value or not is_name):
        raise UsageError(
            f"{option} takes the name of an environment variable, not its value",
            hint=f"{option} NAME, without $",
        )
    return name
