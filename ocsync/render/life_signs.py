"""Signs of life: what a command does now, while it writes nothing.

On a terminal they are the lines below the last one written. A thread draws them again and again, so
they move also while the command computes: progress at once, and otherwise a spinner after a moment
of silence. Elsewhere, as in a CI, a line follows ten seconds of silence, and then ever longer ones.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, RLock, Thread
from typing import NamedTuple, Protocol, TextIO

from ocsync.render.console import fit_encoding, styled, terminal_columns
from ocsync.render.streams import write_text
from ocsync.render.text import display_width, duration

_TICK = 0.1
"""The seconds between two drawings on a terminal."""
_SILENCE = 0.7
"""The seconds of silence after which a spinner appears on a terminal."""
FIRST_LINE, LONGEST = 10.0, 60.0
"""The seconds of silence before the first line elsewhere, and at most between two of them."""
_FRAMES, _ASCII_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_CYAN, _DIM = "36", "2"
_BAR, _LEAST_BAR = 30, 8
"""The columns of a bar at most, and those below which it is left out."""


class Progress(NamedTuple):
    """The progress of a piece of work: *text* before the bar and *rest* after it, both for people.

    *part* is between 0 and 1; *remark* is a line of its own below, with a warning's sign.
    """

    text: str
    rest: str
    part: float
    remark: str = ""


class View(Protocol):
    """The source of what is shown."""

    def progress(self) -> Progress | None:
        """Return the progress of the work under way, or None."""

    def doing(self) -> str:
        """Return what is being waited for, or empty text."""


class LifeSigns:
    """The signs of life of one command, whose name is shown where no view says more.

    *say* writes a line where *animated* is false. Whoever writes to the terminal does so in a block
    of `aside`.
    """

    def __init__(
        self, stream: TextIO, say: Callable[[str], None], name: str, *, animated: bool, colour: bool
    ) -> None:
        self._stream = stream
        self._say = say
        self._name = name
        self._animated = animated
        self._colour = colour
        self._lock = RLock()
        self._end = Event()
        self._thread: Thread | None = None
        self._view: View | None = None
        self._drawn: list[str] = []
        self._hushed = 0
        self._frame = 0
        self._restart()

    def start(self) -> None:
        """Begin to show signs."""
        self._thread = Thread(target=self._run, name="life signs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Remove the signs, and show none any more."""
        self._end.set()
        if self._thread:
            self._thread.join()
        with self._lock:
            self._draw([])

    @contextmanager
    def shown_by(self, view: View) -> Iterator[None]:
        """Show what *view* has during the block."""
        before, self._view = self._view, view
        try:
            yield
        finally:
            with self._lock:
                self._view = before
                self._draw([])

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Remove the signs while the block writes to the terminal."""
        with self._lock:
            self._draw([])
            yield
            self._restart()

    @contextmanager
    def hushed(self) -> Iterator[None]:
        """Show nothing during the block, which uses the terminal itself."""
        with self._lock:
            self._hushed += 1
            self._draw([])
        try:
            yield
        finally:
            with self._lock:
                self._hushed -= 1
                self._restart()

    def _restart(self) -> None:
        """Begin to count the seconds of silence."""
        self._since, self._patience = time.monotonic(), FIRST_LINE

    def _run(self) -> None:
        while not self._end.wait(_TICK if self._animated else FIRST_LINE / 10):
            with self._lock:
                if self._hushed or _is_asking():
                    self._draw([])
                elif self._animated:
                    self._draw(self._lines(terminal_columns(self._stream)))
                else:
                    self._say_if_silent()

    def _say_if_silent(self) -> None:
        since, patience = self._since, self._patience
        silence = time.monotonic() - since
        if silence < patience:
            return
        progress = self._view.progress() if self._view else None
        shown = f"{progress.text}  {progress.rest}".rstrip() if progress else ""
        self._say(f"  {shown or f'{self._doing()}, {duration(silence)} so far'}")
        self._since, self._patience = since, patience + min(patience, LONGEST)

    def _doing(self) -> str:
        return (self._view and self._view.doing()) or self._name

    def _lines(self, columns: int) -> list[str]:
        progress = self._view.progress() if self._view else None
        remark = progress.remark if progress else ""
        silence = time.monotonic() - self._since
        if progress and progress.text:
            line = _bar_line(progress, self._stream, columns - 1, colour=self._colour)
        elif silence < _SILENCE and not remark:
            return []
        else:
            frames = fit_encoding(_FRAMES, self._stream)
            frames = frames if frames == _FRAMES else _ASCII_FRAMES
            self._frame += 1
            frame = frames[self._frame % len(frames)]
            line = _cut(f"  {frame} {self._doing()}, {silence:.0f} s", columns - 1)
        return [line, _cut(f"  ! {remark}", columns - 1)] if remark else [line]

    def _draw(self, lines: list[str]) -> None:
        if lines == self._drawn:
            return
        up = f"\x1b[{len(self._drawn) - 1}A" if len(self._drawn) > 1 else ""
        clear = f"\r{up}\x1b[J" if self._drawn else ""
        self._drawn = lines
        write_text(self._stream, clear + "\n".join(lines), flush=True)


def _bar_line(progress: Progress, stream: TextIO, columns: int, *, colour: bool) -> str:
    """Return *progress* with a bar as wide as there is room for, or without one."""
    text, rest = fit_encoding(progress.text, stream), fit_encoding(progress.rest, stream)
    room = columns - display_width(text) - display_width(rest) - 6
    if room < _LEAST_BAR:  # the numbers matter more than the whole name
        return f"  {_cut(text, max(columns - display_width(rest) - 4, 10))}  {rest}".rstrip()
    size = min(room, _BAR)
    done = max(0, min(size, int(size * progress.part)))
    full, empty = fit_encoding("━" * done, stream), fit_encoding("─" * (size - done), stream)
    if colour:
        full, empty = styled(full, _CYAN), styled(empty, _DIM)
    return f"  {text}  {full}{empty}  {rest}".rstrip()


def _is_asking() -> bool:
    """Return whether a command for a secret runs, which may ask for something on the terminal.

    A command that needs no secret does not load the module of secrets for this.
    """
    secrets = sys.modules.get("ocsync.secrets")
    return bool(secrets and secrets.is_command_running())


def _cut(text: str, columns: int) -> str:
    """Return *text*, or its beginning and three dots if it takes more than *columns*."""
    if display_width(text) <= columns:
        return text
    while display_width(text) > columns - 3:
        text = text[:-1]
    return f"{text.rstrip()}..."
