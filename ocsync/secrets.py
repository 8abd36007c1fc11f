"""Sources of secrets, and reading a secret from one. The secret itself is never kept.

{ env = "NAME" }    { command = "op read ..." }    { keyring = true } (profiles only)
"""

from __future__ import annotations

import os
import shlex
import subprocess

import msgspec

from ocsync.errors import ConfigError

COMMAND_SECONDS = 60.0


class SecretSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source of a secret; exactly one is set. Never the secret itself."""

    env: str = ""
    command: str = ""
    keyring: bool = False

    def describe(self) -> str:
        """Return the source in words."""
        if self.env:
            return f"environment variable {self.env}"
        return f"command `{self.command}`" if self.command else "the system's keyring"


def resolve(source: SecretSource, what: str = "the secret") -> str:
    """Return the secret *what* from its variable or command. Raises ConfigError; never shows it."""
    return _from_env(source.env, what) if source.env else _from_command(source.command, what)


def _from_env(name: str, what: str) -> str:
    secret = os.environ.get(name, "").strip()  # files and stores end it with a line break
    if not secret:
        state = "is empty" if name in os.environ else "is not set"
        text = f"environment variable {name} {state}; it should hold {what}"
        raise ConfigError(text, hint=f"export {name}=...")
    if not secret.isprintable():
        text = f"environment variable {name} holds line breaks, control characters or bytes"
        hint = f"set {name} to {what} alone, on one line"
        raise ConfigError(f"{text} that are not UTF-8; it should hold {what}", hint=hint)
    return secret


def _from_command(command: str, what: str) -> str:
    """Return the first line that *command* prints.

    It is split as a shell would, but no shell runs it.
    """
    hint = "run the command by hand to see what is wrong"
    try:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=True,
            text=True,
        )
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"cannot run the command for {what}: {error}", hint=hint) from error
    except subprocess.TimeoutExpired:
        text = f"the command for {what} did not end within {COMMAND_SECONDS:.0f} s"
        raise ConfigError(text, hint=hint) from None
    except subprocess.CalledProcessError as error:
        text = f"the command for {what} failed with exit code {error.returncode}"
        raise ConfigError(text, hint=hint) from None
    secret = done.stdout.partition("\n")[0].strip()
    if not secret:
        raise ConfigError(f"the command for {what} printed nothing", hint=hint)
    return secret
