"""The pace of a run: recorded while the run is carried out, or derived from its log.

The pace of the last run shows how many requests the next one may begin with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from ocsync.engine.run_log import attempts
from ocsync.engine.session import Session
from ocsync.events import (
    DeliveryProgress,
    Event,
    InFlight,
    Reading,
    RequestEnded,
    StepEnded,
    Verifying,
    Waiting,
    WaveStarted,
)
from ocsync.models import Intent, Outcome, PaceSample, State
from ocsync.store import Run, RunInfo
from ocsync.store.pace_log import PaceLog
from ocsync.store.timestamps import seconds_between

_FIRST_SECONDS, _LAST_SECONDS, _GROWTH = 0.05, 1.0, 40
"""The seconds that the first samples cover and those that the later ones do: a 40th of the time so
far in between, so that a run of a second has a picture and one of a day a small file.
"""
_SHORTEST_SECONDS = 0.001
_BREAK_SECONDS = 60.0
"""The time without any record after which a log was continued by a later command."""
_DERIVED_SAMPLES = 200
_PROVEN_SECONDS = 14 * 86_400.0
"""The time after a run for which its pace tells something about the next one."""
_FAILURES = (State.FAILED, State.CONFLICT, State.UNKNOWN)


def begin_as_proven(session: Session) -> None:
    """Let *session* begin with half as many requests in flight as its last run had.

    That run must be recent, and no request of it refused for the rate: limits are not documented,
    and may change.
    """
    last = session.folder.runs.newest_resume(lambda info: bool(info.ended))
    if last and seconds_between(last.read_info().ended, session.now()) < _PROVEN_SECONDS:
        samples = last.pace()
        if samples and not any(sample.throttled for sample in samples):
            most = max(sample.in_flight for sample in samples)
            session.api.widen(min(most, samples[-1].window) / 2)


class Pace(NamedTuple):
    """The pace of a run; without *measured* it was derived from the stamps of the run's log."""

    samples: list[PaceSample]
    measured: bool


def with_killed(run: Run) -> RunInfo:
    """Return the record of *run*; while it is open, with the requests of commands that were killed.

    Their samples are all that is known of them. Where no command has ended the number may be less.
    """
    info = run.read_info()
    if info.state != "open" or (info.requests and not info.counted_until):
        return info
    samples = [sample for sample in run.pace() if sample.at > info.counted_until]
    return msgspec.structs.replace(
        info,
        requests=info.requests + sum(sample.sent for sample in samples),
        seconds=info.seconds + sum(sample.seconds for sample in samples),
        requests_at_least=info.requests_at_least or bool(samples) or not info.counted_until,
        counted_until=samples[-1].at if samples else info.counted_until,
    )


def count_killed(run: Run) -> None:
    """Add the requests of commands that were killed to the record of *run*, before it continues."""
    counted = with_killed(run)
    if counted.requests_at_least and (counted.counted_until or run.has_outcomes):
        run.write_info(counted)


@contextmanager
def recorded_pace(session: Session, run: Run, *, phase: str = "read") -> Iterator[None]:
    """Record the pace of *run* by the events of *session*, until the block ends.

    It begins with *phase*; a run that begins with `send` has one wave.
    """
    count_killed(run)
    recorder = PaceRecorder(session, run.open_pace_log(), phase)
    with session.emit.joined_by(recorder):
        try:
            yield
        finally:
            recorder.close()


class PaceRecorder:
    """A listener that counts events and writes a sample after a time, and at the end of a phase.

    It has no timer: a sample ends with the next event, and covers a second at most.
    """

    def __init__(self, session: Session, log: PaceLog, phase: str) -> None:
        self._session = session
        self._log = log
        self._began = time.monotonic()
        self._phase, self._wave = phase, int(phase == "send")
        self._session.api.take_peak()
        self._sent, self._throttled = self._counters()
        self._start(self._began)
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            Reading: lambda _: self._enter("read"),
            WaveStarted: lambda event: self._enter("send", event.number),
            StepEnded: lambda event: self._count(failed=event.outcome.state in _FAILURES),
            RequestEnded: self._on_request_ended,
            InFlight: lambda _: None,  # it comes while requests are sent of which none has ended
            Waiting: self._on_waiting,
            Verifying: lambda _: self._enter("verify"),
            DeliveryProgress: lambda _: self._enter("verify"),
        }

    def __call__(self, event: Event) -> None:
        """Count *event*, in a new sample if the present one is complete."""
        handler = self._handlers.get(type(event))
        if handler:
            now = time.monotonic()
            if now >= self._due:
                self._write(now)
            handler(event)

    def close(self) -> None:
        """Write the last sample, and close the log."""
        self._write(max(time.monotonic(), self._since + _SHORTEST_SECONDS))
        self._log.close()

    def _counters(self) -> tuple[int, int]:
        return self._session.api.requests_sent, self._session.api.requests_throttled

    def _start(self, now: float) -> None:
        span = min(max((now - self._began) / _GROWTH, _FIRST_SECONDS), _LAST_SECONDS)
        self._since, self._due = now, now + span
        self._at = self._session.precise_timestamp()
        self._ended = self._failed = 0
        self._wait, self._reason = 0.0, ""

    def _write(self, now: float) -> None:
        """Write the sample that ends *now*, and start the next one."""
        seconds = round(min(now - self._since, _LAST_SECONDS), 3)
        if seconds < _SHORTEST_SECONDS:
            return
        sent, throttled = self._counters()
        sample = PaceSample(
            at=self._at,
            seconds=seconds,
            phase=self._phase,
            wave=self._wave,
            sent=sent - self._sent,
            ended=self._ended,
            failed=self._failed,
            throttled=throttled - self._throttled,
            in_flight=self._session.api.take_peak(),
            window=self._session.api.window,
            wait=round(self._wait, 3),
            reason=self._reason,
        )
        self._log.append(sample)
        self._sent, self._throttled = sent, throttled
        self._start(now)

    def _enter(self, phase: str, wave: int = 0) -> None:
        if (phase, wave) != (self._phase, self._wave):
            self._write(time.monotonic())
            self._phase, self._wave = phase, wave

    def _count(self, *, failed: bool) -> None:
        self._ended += 1
        self._failed += failed

    def _on_request_ended(self, event: RequestEnded) -> None:
        if self._phase != "verify":
            self._enter("send", 1)
        self._count(failed=bool(event.error))

    def _on_waiting(self, event: Waiting) -> None:
        if event.seconds > self._wait:
            self._wait, self._reason = event.seconds, event.why


def pace_of(run: Run) -> Pace:
    """Return the pace of *run*, derived from its log if it was not recorded. Raises Damaged."""
    samples = run.pace()
    if any(sample.sent or sample.ended for sample in samples):
        return Pace(samples, measured=True)
    waves = {step.number: step.wave for step in run.steps()}
    return Pace(derive_samples(run.outcomes(), waves), measured=False)


class _Request(NamedTuple):
    start: float
    end: float
    wave: int
    sent: bool
    ended: bool
    failed: bool


def derive_samples(
    records: Iterable[Intent | Outcome], wave_of: dict[int, int]
) -> list[PaceSample]:
    """Return samples derived from the stamps of intents and outcomes; *wave_of* step number.

    They know nothing of reads and of refused attempts.
    """
    requests: list[_Request] = []
    for number, _, intent, outcome in attempts(records):
        start, end = intent.at if intent else "", outcome.at if outcome else ""
        if not (start or end):
            continue
        requests.append(
            _Request(
                _seconds(start or end),
                max(_seconds(start or end), _seconds(end or start)),
                wave_of.get(number, 0),
                bool(intent) or (outcome is not None and outcome.status > 0),
                outcome is not None,
                outcome is not None and outcome.state in _FAILURES,
            )
        )
    requests.sort()
    return [sample for part in _parts(requests) for sample in _samples(part)]


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _parts(requests: list[_Request]) -> Iterator[list[_Request]]:
    """Yield the requests of each command that worked on the run."""
    part: list[_Request] = []
    end = 0.0
    for request in requests:
        if part and request.start - end > _BREAK_SECONDS:
            yield part
            part = []
        part.append(request)
        end = max(end, request.end)
    if part:
        yield part


def _samples(requests: list[_Request]) -> Iterator[PaceSample]:
    """Yield samples of equal length for *requests*, which are sorted by their start."""
    first, last = requests[0].start, max(request.end for request in requests)
    is_precise = any(request.end % 1 for request in requests)
    shortest = _FIRST_SECONDS if is_precise else _LAST_SECONDS
    span = max((last - first) / _DERIVED_SAMPLES, shortest)
    number = int((last - first) / span) + 1
    started, ended, failed, closed = ([0] * (number + 1) for _ in range(4))
    waves = [0] * number
    for request in requests:
        start, end = int((request.start - first) / span), int((request.end - first) / span)
        started[start] += request.sent
        waves[start] = max(waves[start], request.wave)
        ended[end] += request.ended
        failed[end] += request.failed
        closed[end + 1] += request.sent
    in_flight = wave = 0
    for index in range(number):
        in_flight += started[index] - closed[index]
        wave = max(wave, waves[index])
        yield PaceSample(
            at=datetime.fromtimestamp(first + index * span, UTC).isoformat(timespec="milliseconds"),
            seconds=span,
            phase="send",
            wave=wave,
            sent=started[index],
            ended=ended[index],
            failed=failed[index],
            in_flight=in_flight,
        )
