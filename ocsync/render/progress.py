"""Listeners for the engines' events: a bar on a terminal, lines in a pipe, NDJSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ocsync.events import (
    DeliveryProgress,
    Emit,
    Event,
    InFlight,
    Notice,
    NoticeLevel,
    PauseChanged,
    Planned,
    ReadDone,
    Reading,
    RequestEnded,
    StepEnded,
    Verifying,
    Waiting,
    WaveStarted,
    as_data,
)
from ocsync.models import State
from ocsync.render.console import FORMAT, Console
from ocsync.render.text import count, duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_SECONDS = 5.0
"""How often a pipe gets a line of progress."""
NOTICE_SIGNS = {
    NoticeLevel.WARNING: "!",
    NoticeLevel.PAUSED: "‖",
    NoticeLevel.RUNNING: "▶",
    NoticeLevel.DONE: "✓",
    NoticeLevel.ADDED: "+",
    NoticeLevel.DETAIL: " ",
}


@contextmanager
def listening(console: Console, *, stream: bool) -> Iterator[Emit]:
    """The listener that fits *console*; what it draws is gone at the end.

    With --json events go to stdout only where the command's answer is a *stream* of them.
    """
    if console.json and stream:
        console.event({"type": "version", "format": FORMAT})
        yield lambda event: console.event(_event_document(event))
    elif console.live():
        with _bars() as progress:
            yield _Teller(console, _Bar(progress))
    else:
        yield _Teller(console, _Lines(console))


def _event_document(event: Event) -> dict[str, Any]:
    """Return *event* as JSON data, in which a notice has the interface's sign for its level."""
    if isinstance(event, Notice):
        return {"type": "said", "sign": NOTICE_SIGNS[event.level], "text": event.text}
    return as_data(event)


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=26),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[pace]}"),
        console=Terminal(stderr=True, highlight=False, markup=False, emoji=False),
        transient=True,
        refresh_per_second=5,
    ) as progress:
        yield progress


class _Meter:
    """One counted stretch of work: how far, how quick, how long yet."""

    def __init__(self, name: str, total: int, before: int = 0) -> None:
        self.name = name
        self.total = total
        self.done = before
        self.flight = 0
        self.note = ""
        self.patience: float | None = None
        self._before = before  # what an earlier sitting did says nothing of today's pace
        self._start = time.monotonic()

    def pace(self) -> str:
        """`24/s  3 failed  12 in flight  0:12 left`, as far as it can be told.

        Where one waits for others there is no pace, but a time after which one gives up.
        """
        if self.patience is not None:
            return _joined(self.note, f"{_clock(self.patience)} to wait")
        seconds, done = time.monotonic() - self._start, self.done - self._before
        if seconds < 0.5 or not done:
            return self.note
        rate = done / seconds
        flight = f"{self.flight} in flight" if self.flight else ""
        left = _clock((self.total - self.done) / rate)
        return _joined(f"{rate:,.0f}/s", self.note, flight, f"{left} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours = f"{minutes // 60}:{minutes % 60:02}" if minutes >= 60 else f"{minutes}"
    return f"{hours}:{rest:02}"


def _joined(*parts: str) -> str:
    return "  ".join(filter(None, parts))


class _Bar:
    """A meter drawn by rich."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._meter: _Meter | None = None

    def show(self, meter: _Meter | None) -> None:
        if self._task is not None and meter is not self._meter:
            self._progress.remove_task(self._task)
            self._task = None
        self._meter = meter
        if meter is None:
            return
        if self._task is None:
            self._task = self._progress.add_task(meter.name, total=meter.total, pace="")
        self._progress.update(self._task, completed=meter.done, pace=meter.pace())


class _Lines:
    """A meter told in plain lines, now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = time.monotonic()

    def show(self, meter: _Meter | None) -> None:
        now = time.monotonic()
        waits = meter and meter.patience is not None
        if meter and (meter.done or waits) and now - self._told >= LINE_SECONDS:
            self._told = now
            text = f"  {meter.name}  {meter.done:,}/{meter.total:,}  {meter.pace()}"
            self._console.talk(text.rstrip())


class _Teller:
    """Tells people what happens: lines for what matters, a meter for what is many."""

    def __init__(self, console: Console, view: _Bar | _Lines) -> None:
        self._console = console
        self._view = view
        self._meter: _Meter | None = None
        self._shown = 0.0
        self._running = False
        self._waits: dict[str, tuple[float, float]] = {}
        self._tell: dict[type[Event], Callable[..., object]] = {
            Notice: self._said,
            Planned: self._planned,
            Reading: lambda e: self._count("reading", e.done, e.total),
            ReadDone: self._read,
            WaveStarted: self._wave,
            StepEnded: self._ended,
            Waiting: self._waiting,
            InFlight: self._flight,
            PauseChanged: self._pause,
            Verifying: lambda e: self._count("verifying", e.done, e.total),
            DeliveryProgress: self._arriving,
            RequestEnded: self._sent,
        }

    def __call__(self, event: Event) -> None:
        tell = self._tell.get(type(event))
        if tell:
            tell(event)

    def _start(self, name: str, total: int, before: int = 0) -> _Meter:
        self._meter = _Meter(name, total, before)
        self._view.show(self._meter)
        return self._meter

    def _count(self, name: str, done: int, total: int, before: int = 0) -> _Meter:
        meter = self._meter
        if meter is None or (meter.name, meter.total) != (name, total):
            meter = self._start(name, total, before)
        meter.done = done
        self._refresh(force=done == total)
        return meter

    def _refresh(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._shown > 0.2:
            self._shown = now
            self._view.show(self._meter)

    def _said(self, event: Notice) -> None:
        self._console.talk(f"  {event.text}", NOTICE_SIGNS[event.level])

    def _planned(self, event: Planned) -> None:
        self._running = True
        self._console.talk(f"run {event.run} · {count(event.steps, 'step')}")

    def _read(self, event: ReadDone) -> None:
        self._view.show(None)
        self._meter = None
        if event.total:
            same = f", {event.same:,} already as staged" if event.same else ""
            self._console.talk(f"  read       {count(event.total, 'ref')}{same}")

    def _wave(self, event: WaveStarted) -> None:
        name = f"wave {event.number}/{event.of}   {', '.join(event.kinds)}"
        self._start(name, sum(event.kinds.values()))

    def _ended(self, event: StepEnded) -> None:
        outcome = event.outcome
        if self._meter:
            self._meter.done += 1
            self._refresh(force=self._meter.done == self._meter.total)
        if self._console.verbose or outcome.state in (State.FAILED, State.UNKNOWN):
            self._console.detail(f"  {outcome.state.value:<9} {outcome.ref}  {outcome.message}")

    def _waiting(self, event: Waiting) -> None:
        """One line for the waits of many for one reason, and another when they get much longer."""
        now = time.monotonic()
        until, longest = self._waits.get(event.why, (0.0, 0.0))
        if event.seconds >= 1 and (now >= until or event.seconds >= 2 * longest):
            self._waits[event.why] = now + LINE_SECONDS, event.seconds
            self._console.talk(f"  {event.why}, waiting {duration(event.seconds)}", "!")

    def _flight(self, event: InFlight) -> None:
        if self._meter:
            self._meter.flight = event.now

    def _pause(self, event: PauseChanged) -> None:
        if event.paused and self._running:
            self._console.talk(f"  {event.target}  paused", "‖")

    def _sent(self, event: RequestEnded) -> None:
        if event.error and (self._console.verbose or not event.failed):
            self._console.fault(f"  {event.what}  {event.error}", "!")
        meter = self._count("sent", event.done, event.total, event.done - 1)
        meter.note = f"{event.failed:,} failed" if event.failed else ""

    def _arriving(self, event: DeliveryProgress) -> None:
        doubled = f"{event.duplicates:,} twice" if event.duplicates else ""
        stale = f"{event.stale:,} stale" if event.stale else ""
        meter = self._count("arrived", event.done, event.total)
        meter.note, meter.patience = _joined(doubled, stale), event.left
