"""Listeners for events: a progress bar on a terminal, lines in a pipe, NDJSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
)
from ocsync.models import State
from ocsync.render.console import FORMAT, Console
from ocsync.render.json_data import json_data
from ocsync.render.text import count, duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_INTERVAL = 5.0
"""The seconds between two lines of progress in a pipe."""
NOTICE_SIGNS = {
    NoticeLevel.WARNING: "!",
    NoticeLevel.PAUSED: "‖",
    NoticeLevel.RUNNING: "▶",
    NoticeLevel.DONE: "✓",
    NoticeLevel.ADDED: "+",
    NoticeLevel.DETAIL: " ",
}


@contextmanager
def event_listener(console: Console, *, stream: bool) -> Iterator[Emit]:
    """Yield the listener that suits *console*; a progress bar is removed at the end.

    With --json, events go to stdout only if the command's answer is a *stream* of them.
    """
    if console.json and stream:
        console.event({"type": "version", "format": FORMAT})
        yield lambda event: console.event(json_data(event))
    elif console.can_animate():
        with _progress_bar() as progress:
            yield _EventPrinter(console, _BarView(progress))
    else:
        yield _EventPrinter(console, _LineView(console))


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, Progress, TextColumn

    progress = Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=26),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[pace]}"),
        console=Terminal(stderr=True, highlight=False, markup=False, emoji=False),
        transient=True,
        refresh_per_second=5,
    )
    try:
        yield progress
    finally:
        progress.stop()


class _Counter:
    """A counter for the progress of one piece of work: done, total, pace, time left."""

    def __init__(self, name: str, total: int, before: int = 0) -> None:
        self.name = name
        self.total = total
        self.done = before
        self.in_flight = 0
        self.note = ""
        self.seconds_left: float | None = None
        self._done_before = before  # steps of an earlier attempt say nothing about the pace
        self._start = time.monotonic()

    def pace_text(self) -> str:
        """Return the pace as in `24/s  3 failed  12 in flight  0:12 left`, as far as it is known.

        A counter that waits for messages has no pace, but a time after which the wait ends.
        """
        if self.seconds_left is not None:
            return _join(self.note, f"waiting up to {_clock_text(self.seconds_left)}")
        seconds, done = time.monotonic() - self._start, self.done - self._done_before
        if seconds < 0.5 or not done:
            return self.note
        rate = done / seconds
        flight = f"{self.in_flight} in flight" if self.in_flight else ""
        left = _clock_text((self.total - self.done) / rate)
        return _join(f"{rate:,.0f}/s", self.note, flight, f"{left} left")


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours = f"{minutes // 60}:{minutes % 60:02}" if minutes >= 60 else f"{minutes}"
    return f"{hours}:{rest:02}"


def _join(*parts: str) -> str:
    return "  ".join(filter(None, parts))


class _BarView:
    """A view that draws the counter as a bar, with rich."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._counter: _Counter | None = None

    def show(self, counter: _Counter | None) -> None:
        if self._task is not None and counter is not self._counter:
            self._progress.remove_task(self._task)
            self._task = None
        self._counter = counter
        if counter is None:
            self._progress.stop()  # it would clear the line of a question again and again
            return
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(counter.name, total=counter.total, pace="")
        self._progress.update(self._task, completed=counter.done, pace=counter.pace_text())


class _LineView:
    """A view that writes the counter as a line every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = time.monotonic()

    def show(self, counter: _Counter | None) -> None:
        now = time.monotonic()
        waits = counter and counter.seconds_left is not None
        if counter and (counter.done or waits) and now - self._last >= LINE_INTERVAL:
            self._last = now
            text = f"  {counter.name}  {counter.done:,}/{counter.total:,}  {counter.pace_text()}"
            self._console.info(text.rstrip())


class _EventPrinter:
    """A listener that prints single events as lines and counts repeated ones in a view."""

    def __init__(self, console: Console, view: _BarView | _LineView) -> None:
        self._console = console
        self._view = view
        self._counter: _Counter | None = None
        self._refreshed = 0.0
        self._run_started = False
        self._waits: dict[str, tuple[float, float]] = {}
        self._handlers: dict[type[Event], Callable[..., object]] = {
            Notice: self._on_notice,
            Planned: self._on_planned,
            Reading: lambda e: self._count("reading", e.done, e.total),
            ReadDone: self._on_read_done,
            WaveStarted: self._on_wave_started,
            StepEnded: self._on_step_ended,
            Waiting: self._on_waiting,
            InFlight: self._on_in_flight,
            PauseChanged: self._on_pause_changed,
            Verifying: lambda e: self._count("verifying", e.done, e.total),
            DeliveryProgress: self._on_delivery_progress,
            RequestEnded: self._on_request_ended,
        }

    def __call__(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler:
            handler(event)

    def _start_counter(self, name: str, total: int, before: int = 0) -> _Counter:
        self._counter = _Counter(name, total, before)
        self._view.show(self._counter)
        return self._counter

    def _count(self, name: str, done: int, total: int, before: int = 0) -> _Counter:
        counter = self._counter
        if counter is None or (counter.name, counter.total) != (name, total):
            counter = self._start_counter(name, total, before)
        counter.done = done
        self._refresh(force=done == total)
        return counter

    def _refresh(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._refreshed > 0.2:
            self._refreshed = now
            self._view.show(self._counter)

    def _on_notice(self, event: Notice) -> None:
        self._console.info(f"  {event.text}", NOTICE_SIGNS[event.level])

    def _on_planned(self, event: Planned) -> None:
        self._run_started = True
        plan = f" · plan {event.plan}" if event.plan else ""
        self._console.info(f"run {event.run} · {count(event.steps, 'step')}{plan}")

    def _on_read_done(self, event: ReadDone) -> None:
        self._view.show(None)
        self._counter = None
        if event.total:
            need = "needs" if event.same == 1 else "need"
            same = f", {event.same:,} {need} no change" if event.same else ""
            self._console.info(f"  read       {count(event.total, 'ref')}{same}")

    def _on_wave_started(self, event: WaveStarted) -> None:
        name = f"wave {event.number}/{event.of}   {', '.join(event.kinds)}"
        self._start_counter(name, sum(event.kinds.values()))

    def _on_step_ended(self, event: StepEnded) -> None:
        outcome = event.outcome
        if self._counter:
            self._counter.done += 1
            self._refresh(force=self._counter.done == self._counter.total)
        if self._console.verbose or outcome.state in (State.FAILED, State.UNKNOWN):
            self._console.detail(f"  {outcome.state.value:<9} {outcome.ref}  {outcome.message}")

    def _on_waiting(self, event: Waiting) -> None:
        """Write one line for all waits with one reason, and another if they get much longer."""
        now = time.monotonic()
        until, longest = self._waits.get(event.why, (0.0, 0.0))
        if event.seconds >= 1 and (now >= until or event.seconds >= 2 * longest):
            self._waits[event.why] = now + LINE_INTERVAL, event.seconds
            self._console.info(f"  {event.why}, waiting {duration(event.seconds)}", "!")

    def _on_in_flight(self, event: InFlight) -> None:
        if self._counter:
            self._counter.in_flight = event.now

    def _on_pause_changed(self, event: PauseChanged) -> None:
        if event.paused and self._run_started:
            self._console.info(f"  {event.target}  paused", "‖")

    def _on_request_ended(self, event: RequestEnded) -> None:
        if event.error and (self._console.verbose or not event.failed):
            self._console.alert(f"  {event.what}  {event.error}", "!")
        counter = self._count("sent", event.done, event.total, event.done - 1)
        counter.note = f"{event.failed:,} failed" if event.failed else ""

    def _on_delivery_progress(self, event: DeliveryProgress) -> None:
        duplicates = count(event.duplicates, "duplicate") if event.duplicates else ""
        stale = f"{event.stale:,} outdated" if event.stale else ""
        counter = self._count("arrived", event.done, event.total)
        counter.note, counter.seconds_left = _join(duplicates, stale), event.left
