"""The command that a window runs, and the signals passed on to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ocsync.engine.signals import Signals, stopped_by
from ocsync.errors import CommandMissing, NotExecutable, OcsyncError

PASSED_ON = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
)
"""The signals that a window passes on, as far as the platform has them."""
_FROM_KEYS = ("SIGINT", "SIGQUIT")


class ChildCommand(NamedTuple):
    """A program and its arguments, no shell between; *stdout* is a descriptor, or None for ours."""

    words: tuple[str, ...]
    environ: Mapping[str, str]
    stdout: int | None = None

    @property
    def name(self) -> str:
        """The command's name; arguments may be secret and are never shown."""
        return Path(self.words[0]).name

    def told(self, **more: str) -> ChildCommand:
        """Return the same command with *more* in its environment."""
        return self._replace(environ={**self.environ, **more})

    def check(self) -> None:
        """Raise CommandMissing, NotExecutable for one that cannot be run, as far as can be told."""
        word = self.words[0]
        if self._find() is None:
            raise _cannot_run(word, there=Path(word).exists() and Path(word).name != word)

    def words_to_start(self, system: str = os.name) -> tuple[str, ...]:
        """Return the words to start it with: Windows by itself finds only .exe files."""
        found = self._find() if system == "nt" else None
        return (found or self.words[0], *self.words[1:])

    def _find(self) -> str | None:
        return shutil.which(self.words[0], path=self.environ.get("PATH", os.defpath))


def _cannot_run(word: str, why: str = "", *, there: bool) -> OcsyncError:
    if there:
        hint = f"chmod +x {word}, or run it with its interpreter: -- bash {word}"
        return NotExecutable(f"{word} cannot be run: {why or 'it is not executable'}", hint=hint)
    text = f"{word} or its interpreter does not exist" if why else f"command {word} not found"
    return CommandMissing(text, hint="ocsync window TARGET... -- COMMAND, a path or a name on PATH")


async def run(command: ChildCommand, signals: Signals) -> int:
    """Run *command* and wait for it; its exit code, 128 + n when signal n ended it.

    Raises CommandMissing, NotExecutable; Interrupted when a signal came before it began.
    """
    if signals.seen:
        raise stopped_by(signals.seen[0])
    early: list[int] = []
    with signals.going_to(early.append):
        try:
            process = await asyncio.create_subprocess_exec(
                *command.words_to_start(), env=dict(command.environ), stdout=command.stdout
            )
        except OSError as error:
            there = not isinstance(error, FileNotFoundError)
            raise _cannot_run(command.words[0], error.strerror or "", there=there) from error

        def pass_on(number: int) -> None:
            if not _from_keys(number):
                with suppress(ProcessLookupError):
                    process.send_signal(number)

        for number in early:
            pass_on(number)
        with signals.going_to(pass_on):
            code = await process.wait()
    return 128 - code if code < 0 else code


def _from_keys(number: int) -> bool:
    """Return whether a key was pressed on the terminal: then the command has had this signal
    already. On Windows nothing else sends SIGINT.
    """
    if signal.Signals(number).name not in _FROM_KEYS:
        return False
    if not hasattr(os, "ctermid"):
        return True
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
