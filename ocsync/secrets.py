"""Sources of secrets, and reading a secret from one. The secret itself is never kept.

{ env = "NAME" }    { command = "op read ..." }    { keyring = true } (profiles only)
"""

from __future__ import annotations

import os
import shlex
import subprocess
from threading import Thread
from typing import IO

import msgspec

from ocsync.errors import ConfigError, Interrupted
from ocsync.suggestions import set_variable

COMMAND_SECONDS = 60.0
OUTPUT_SECONDS = 0.5
"""Seconds to wait for the rest of the output once the command has ended."""


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
        raise ConfigError(text, hint=set_variable(name))
    if not secret.isprintable():
        text = f"environment variable {name} holds line breaks, control characters or bytes"
        hint = f"set {name} to {what} alone, on one line"
        raise ConfigError(f"{text} that are not UTF-8; it should hold {what}", hint=hint)
    return secret


def command_line(command: str, system: str = os.name) -> list[str] | str:
    """Return *command* as the *system* starts it. Raises ValueError for an open quotation mark.

    Windows splits it by itself, and its paths have the sign that elsewhere escapes the next one.
    """
    return command if system == "nt" else shlex.split(command)


def program_of(command: str, system: str = os.name) -> str:
    """Return the program that *command* runs. Raises ValueError, IndexError."""
    return shlex.split(command, posix=system != "nt")[0].strip('"')


def _from_command(command: str, what: str) -> str:
    """Return the first line that *command* prints.

    It is split as a shell would, but no shell runs it.
    """
    hint = "run the command by hand to see what is wrong"
    try:
        code, output = _run(command_line(command))
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"cannot run the command for {what}: {error}", hint=hint) from error
    except subprocess.TimeoutExpired:
        text = f"the command for {what} did not end within {COMMAND_SECONDS:.0f} s"
        raise ConfigError(text, hint=hint) from None
    except _Stopped:
        raise Interrupted(f"stopped while the command for {what} ran") from None
    if code:
        raise ConfigError(f"the command for {what} failed with exit code {code}", hint=hint)
    try:
        secret = output.decode().partition("\n")[0].strip()
    except UnicodeDecodeError:
        text = f"the command for {what} printed bytes that are not UTF-8"
        raise ConfigError(text, hint=hint) from None
    if not secret:
        raise ConfigError(f"the command for {what} printed nothing", hint=hint)
    return secret


class _Stopped(Exception):
    """The command was ended by `stop_commands`."""


_running: dict[int, subprocess.Popen[bytes]] = {}
_stopped: set[int] = set()


def stop_commands() -> None:
    """End the commands that run now; whoever waits for one gets Interrupted."""
    for pid, process in [*_running.items()]:
        _stopped.add(pid)
        process.kill()


def is_command_running() -> bool:
    """Return whether a command runs now, which may ask for something on the terminal."""
    return bool(_running)


def _run(words: list[str] | str) -> tuple[int, bytes]:
    """Return the exit code of a command line and what it printed until then.

    What it left running in the background may keep its output open, and is not waited for.
    """
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    _running[process.pid] = process
    chunks: list[bytes] = []
    reader = Thread(target=_read, args=(process.stdout, chunks), daemon=True)
    try:
        reader.start()
        code = process.wait(COMMAND_SECONDS)
        reader.join(OUTPUT_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        del _running[process.pid]
    if process.pid in _stopped:
        _stopped.discard(process.pid)
        raise _Stopped
    return code, b"".join(chunks)


def _read(output: IO[bytes], chunks: list[bytes]) -> None:
    with output:
        while chunk := os.read(output.fileno(), 65536):
            chunks.append(chunk)
