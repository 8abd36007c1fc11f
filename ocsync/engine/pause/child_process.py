"""Somebody else's command, and the signals that are passed on to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ocsync.errors import CommandMissing, Interrupted, NotExecutable, OcsyncError, Terminated

T = TypeVar("T")
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_FROM_KEYS = ("SIGINT", "SIGQUIT")


class ChildCommand(NamedTuple):
    """A program and its arguments, no shell between; *stdout* is a descriptor, or None for ours."""

    words: tuple[str, ...]
    environ: Mapping[str, str]
    stdout: int | None = None

    @property
    def name(self) -> str:
        """What it is called; arguments may be secret and are never shown."""
        return Path(self.words[0]).name

    def told(self, **more: str) -> ChildCommand:
        """The same, with *more* in its environment."""
        return self._replace(environ={**self.environ, **more})

    def check(self) -> None:
        """Raise CommandMissing, NotExecutable for one that cannot be run, as far as can be told."""
        word = self.words[0]
        if shutil.which(word, path=self.environ.get("PATH", os.defpath)) is None:
            raise _cannot_run(word, there=Path(word).exists() and Path(word).name != word)


def _cannot_run(word: str, why: str = "", *, there: bool) -> OcsyncError:
    if there:
        hint = f"chmod +x {word}, or run it by its interpreter: -- bash {word}"
        return NotExecutable(f"{word} cannot be run: {why or 'it is not executable'}", hint=hint)
    text = f"{word} or its interpreter does not exist" if why else f"there is no command {word}"
    return CommandMissing(text, hint="ocsync window TARGET... -- COMMAND, a path or a name on PATH")


class Signals:
    """From `start` to `stop` a signal ends nothing by itself: it goes to whoever is in charge.

    Those that this process was started to ignore (nohup) stay ignored, by the command too.
    """

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._react: Callable[[int], None] | None = None
        self._caught: list[int] = []

    def start(self) -> None:
        """Catch them."""
        if os.name != "posix":
            return
        loop = asyncio.get_running_loop()
        for number in (getattr(signal, name) for name in _NAMES):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._come, number)
                self._caught.append(number)

    def stop(self) -> None:
        """Give them back."""
        loop = asyncio.get_running_loop()
        for number in self._caught:
            loop.remove_signal_handler(number)
        self._caught.clear()

    @contextmanager
    def going_to(self, react: Callable[[int], None]) -> Iterator[None]:
        """Whoever is in charge within the block."""
        before, self._react = self._react, react
        try:
            yield
        finally:
            self._react = before

    async def cancelling(
        self, work: Coroutine[Any, Any, T], *, first: Callable[[], None] | None = None
    ) -> T:
        """Do *work*, which a signal breaks off: Interrupted. With *first* that is called for the
        first signal, and the next one breaks off.
        """
        task = asyncio.ensure_future(work)
        patience, broken = [first] if first else [], False

        def react(number: int) -> None:
            nonlocal broken
            del number
            if patience:
                patience.pop()()
            else:
                broken = task.cancel()

        with self.going_to(react):
            try:
                return await task
            except asyncio.CancelledError:
                if not broken:
                    raise
                raise _stopped(self.seen[-1]) from None

    def _come(self, number: int) -> None:
        self.seen.append(number)
        if self._react:
            self._react(number)


def _stopped(number: int) -> Interrupted:
    kind = Interrupted if number == signal.SIGINT else Terminated
    return kind(f"stopped by {signal.Signals(number).name}")


async def run(command: ChildCommand, signals: Signals) -> int:
    """Run *command* and wait for it; its exit code, 128 + n when signal n ended it.

    Raises CommandMissing, NotExecutable; Interrupted when a signal came before it began.
    """
    if signals.seen:
        raise _stopped(signals.seen[0])
    early: list[int] = []
    with signals.going_to(early.append):
        try:
            process = await asyncio.create_subprocess_exec(
                *command.words, env=dict(command.environ), stdout=command.stdout
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
    """Whether a key was pressed on our terminal: then the command has had this signal already."""
    if signal.Signals(number).name not in _FROM_KEYS:
        return False
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
