"""Listeners for events: progress on a terminal, lines in a pipe, NDJSON for programs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

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
from ocsync.render.life_signs import Progress
from ocsync.render.text import count, duration, first_few, local_time
from ocsync.store.timestamps import utc_now

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
def event_listener(
    console: Console, *, stream: bool, doing: Callable[[], str] = str
) -> Iterator[Emit]:
    """Yield the listener that suits *console*, and show its progress until the end.

    With --json, events go to stdout only if the command's answer is a *stream* of them. *doing*
    returns what is being waited for, or empty text.
    """
    if console.json and stream:
        console.event({"type": "version", "format": FORMAT})
        yield lambda event: console.event(json_data(event))
        return
    printer = _EventPrinter(console, doing)
    with console.showing(printer):
        yield printer
    printer.end()


class _Counter:
    """A counter for the progress of one piece of work: done, total, pace, time left."""

    def __init__(self, name: str, total: int, before: int = 0) -> None:
        self.name = name
        self.total = total
        self.done = before
        self.failed = 0
        self.in_flight = 0
        self.note = ""
        self.seconds_left: float | None = None
        self._done_before = before  # steps of an earlier attempt say nothing about the pace
        self._start = time.monotonic()

    def step_ended(self) -> None:
        """Count a step, of which an earlier wave may have some that end late."""
        self.done = min(self.done + 1, self.total)

    def pace_text(self, waiting: float = 0.0) -> str:
        """Return the pace as in `24/s  3 failed  12 in flight  0:12 left`, as far as it is known.

        *waiting* is the seconds for which no request may be sent. A counter that waits for messages
        has no pace, but a time after which the wait ends.
        """
        if self.seconds_left is not None:
            return _join(self.note, f"waiting up to {_clock_text(self.seconds_left)}")
        seconds, done = time.monotonic() - self._start, self.done - self._done_before
        if seconds < 0.5 or not done:
            return self.note
        rate = done / seconds
        flight = f"{self.in_flight} in flight" if self.in_flight else ""
        left = _clock_text(waiting + (self.total - self.done) / rate)
        pace = f"{rate:,.0f}/s" if rate >= 1 else f"{60 * rate:,.0f}/min"
        return _join(pace, self.note, flight, f"{left} left")

    def text(self, waiting: float = 0.0) -> str:
        """Return the number done, of how many, and the pace."""
        return f"{self.done:,}/{self.total:,}  {self.pace_text(waiting)}".rstrip()


class _Wait:
    """The waits for one reason: until when the latest one lasts, and how long all of them took.

    Times are those of the monotonic clock.
    """

    def __init__(self) -> None:
        self.until = 0.0
        self.clock = ""
        self.total = 0.0
        self.told_until = 0.0
        self.told_seconds = 0.0

    def extend(self, seconds: float) -> None:
        """Let the wait last for *seconds* from now, if it would end earlier."""
        now = time.monotonic()
        if now + seconds > self.until:
            self.total += now + seconds - max(now, self.until)
            self.until = now + seconds
            end = utc_now() + timedelta(seconds=seconds)
            self.clock = local_time(end.isoformat(), utc_now(), seconds=True)

    def left(self) -> float:
        """Return the seconds until the end."""
        return max(self.until - time.monotonic(), 0.0)


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours = f"{minutes // 60}:{minutes % 60:02}" if minutes >= 60 else f"{minutes}"
    return f"{hours}:{rest:02}"


def _join(*parts: str) -> str:
    return "  ".join(filter(None, parts))


class _EventPrinter:
    """A listener that prints single events as lines and counts repeated ones.

    It is the view of the signs of life, which show the count on a terminal; in a pipe the count is
    a line every few seconds.
    """

    def __init__(self, console: Console, doing: Callable[[], str]) -> None:
        self._console = console
        self._animated = console.can_animate()
        self._counter: _Counter | None = None
        self._written = time.monotonic()
        self._run_started = False
        self._waits: dict[str, _Wait] = {}
        self.doing = doing
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

    def progress(self) -> Progress | None:
        """Return what the signs of life show: the count, and what delays it."""
        waits = [(wait.left(), reason) for reason, wait in self._waits.items()]
        waiting, reason = max(waits, default=(0.0, ""))
        remark = ""
        if waiting:
            clock = self._waits[reason].clock
            remark = f"{reason}, waiting {duration(math.ceil(waiting))} (until {clock})"
        counter = self._counter
        if counter is None or counter.done >= counter.total:
            return Progress("", "", 0.0, remark) if remark else None
        part = counter.done / counter.total
        return Progress(counter.name, counter.text(waiting), part, remark)

    def end(self) -> None:
        """Write how long requests waited in all, where that is not on the screen any more."""
        for reason, wait in self._waits.items():
            total = wait.total - wait.left()
            if self._animated and total >= 1:
                self._console.info(f"  {reason}: waited {duration(total)} in all", "!")

    def __call__(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler:
            handler(event)

    def _start_counter(self, name: str, total: int, before: int = 0) -> _Counter:
        self._counter = _Counter(name, total, before)
        return self._counter

    def _count(self, name: str, done: int, total: int, before: int = 0) -> _Counter:
        counter = self._counter
        if counter is None or (counter.name, counter.total) != (name, total):
            counter = self._start_counter(name, total, before)
        counter.done = done
        self._write_line(counter)
        return counter

    def _write_line(self, counter: _Counter) -> None:
        """Write the count as a line, where nothing else shows it and the last one is old enough."""
        now = time.monotonic()
        shown = counter.done or counter.seconds_left is not None
        if shown and not self._animated and now - self._written >= LINE_INTERVAL:
            self._written = now
            self._console.info(f"  {counter.name}  {counter.text()}")

    def _on_notice(self, event: Notice) -> None:
        self._console.info(f"  {event.text}", NOTICE_SIGNS[event.level])

    def _on_planned(self, event: Planned) -> None:
        self._run_started = True
        plan = f" · plan {event.plan}" if event.plan else ""
        self._console.info(f"run {event.run} · {count(event.steps, 'step')}{plan}")

    def _on_read_done(self, event: ReadDone) -> None:
        self._counter = None
        if event.total:
            need = "needs" if event.same == 1 else "need"
            same = f", {event.same:,} {need} no change" if event.same else ""
            self._console.info(f"  read       {count(event.total, 'ref')}{same}")

    def _on_wave_started(self, event: WaveStarted) -> None:
        name = f"wave {event.number}/{event.of}   {first_few(list(event.kinds))}"
        self._start_counter(name, sum(event.kinds.values()))

    def _on_step_ended(self, event: StepEnded) -> None:
        outcome = event.outcome
        if self._counter:
            self._counter.step_ended()
            self._counter.failed += outcome.state in (State.FAILED, State.UNKNOWN)
            if self._counter.failed:
                self._counter.note = f"{self._counter.failed:,} failed"
            self._write_line(self._counter)
        if self._console.verbose or outcome.state in (State.FAILED, State.UNKNOWN):
            self._console.detail(f"  {outcome.state.value:<9} {outcome.ref}  {outcome.message}")

    def _on_waiting(self, event: Waiting) -> None:
        """Show all waits for one reason as one; in a pipe as a line, and again for longer ones."""
        if event.seconds < 1:
            return
        wait = self._waits.setdefault(event.why, _Wait())
        wait.extend(event.seconds)
        now = time.monotonic()
        if self._animated or not (now >= wait.told_until or event.seconds >= 2 * wait.told_seconds):
            return
        wait.told_until, wait.told_seconds = now + LINE_INTERVAL, event.seconds
        text = f"{event.why}, waiting {duration(event.seconds)} (until {wait.clock})"
        self._console.info(f"  {text}", "!")

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
