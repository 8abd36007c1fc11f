"""The time axis of a run's pictures, made of the samples of its pace. Pure.

The axis has only the time that was worked on the run: where a later command continued it, the time
in between is cut out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from ocsync.models import PaceSample

_BREAK_SECONDS = 60.0
"""The time without a sample, and without an announced wait, that is cut out."""
_MOST_BUCKETS, _SHORTEST_BUCKET = 240, 0.05
_MOST_WAITS, _MOST_BREAKS = 200, 100
_PHASES = {"read": "read", "verify": "verify"}


class Band(NamedTuple):
    """A part of the axis, from *start* to *end* in seconds, with a name."""

    start: float
    end: float
    name: str


class Break(NamedTuple):
    """A place on the axis where *seconds* were cut out."""

    at: float
    seconds: float


class Timeline(NamedTuple):
    """Samples on an axis of *seconds*; *starts* has the place of each sample on it.

    *bands* are the phases and waves, *waits* the announced pauses in sending.
    """

    samples: list[PaceSample]
    starts: list[float]
    seconds: float
    bands: list[Band]
    waits: list[Band]
    breaks: list[Break]


def timeline(samples: Sequence[PaceSample]) -> Timeline:
    """Return the timeline of *samples*, without those before and after all requests."""
    busy = [i for i, s in enumerate(samples) if s.sent or s.ended or s.in_flight]
    kept = list(samples[busy[0] : busy[-1] + 1]) if busy else []
    starts: list[float] = []
    breaks: list[Break] = []
    place = previous_end = waits_until = 0.0
    for sample in kept:
        at = datetime.fromisoformat(sample.at).timestamp()
        idle = max(0.0, at - previous_end) if starts else 0.0
        if idle > _BREAK_SECONDS and at - waits_until > _BREAK_SECONDS:
            breaks.append(Break(place, idle))
            idle = 0.0
        starts.append(place + idle)
        place, previous_end = starts[-1] + sample.seconds, at + sample.seconds
        waits_until = max(waits_until, at + sample.wait)
    bands, waits = _bands(kept, starts), _waits(kept, starts, place)
    return Timeline(kept, starts, place, bands, waits, breaks[:_MOST_BREAKS])


def _bands(samples: Iterable[PaceSample], starts: Iterable[float]) -> list[Band]:
    bands: list[Band] = []
    for sample, start in zip(samples, starts, strict=True):
        name = _PHASES.get(sample.phase) or (f"wave {sample.wave}" if sample.wave else "send")
        if bands and bands[-1].name == name:
            bands[-1] = bands[-1]._replace(end=start + sample.seconds)
        else:
            bands.append(Band(start, start + sample.seconds, name))
    return bands


def _waits(samples: Iterable[PaceSample], starts: Iterable[float], length: float) -> list[Band]:
    """Return the announced waits; those of one reason that overlap, or nearly so, are one."""
    last: dict[str, Band] = {}
    waits: list[Band] = []
    for sample, start in zip(samples, starts, strict=True):
        if not sample.wait:
            continue
        wait = Band(start, min(start + sample.wait, length), sample.reason)
        earlier = last.get(wait.name)
        if earlier and wait.start <= earlier.end + length / _MOST_WAITS:
            waits.remove(earlier)
            wait = earlier._replace(end=max(earlier.end, wait.end))
        last[wait.name] = wait
        waits.append(wait)
    return waits[:_MOST_WAITS]


class Buckets(NamedTuple):
    """Equal parts of the axis, each of *seconds*, with their numbers.

    *sent*, *failed* and *throttled* are numbers a second; *in_flight* and *window* the largest.
    """

    seconds: float
    sent: list[float]
    failed: list[float]
    throttled: list[float]
    in_flight: list[float]
    window: list[float]


def buckets(line: Timeline, most: int = _MOST_BUCKETS) -> Buckets:
    """Return *line* in *most* buckets, or fewer longer ones; a sample is spread over its time."""
    number = max(1, min(most, round(line.seconds / _SHORTEST_BUCKET)))
    width = line.seconds / number if line.seconds else 1.0

    def spread(value: Callable[[PaceSample], float]) -> list[float]:
        sums = [0.0] * number
        for sample, start in zip(line.samples, line.starts, strict=True):
            rate = value(sample) / sample.seconds
            for index, overlap in _overlaps(start, start + sample.seconds, width, number):
                sums[index] += rate * overlap / width
        return sums

    def largest(value: Callable[[PaceSample], float]) -> list[float]:
        found = [0.0] * number
        for sample, start in zip(line.samples, line.starts, strict=True):
            for index, _ in _overlaps(start, start + sample.seconds, width, number):
                found[index] = max(found[index], value(sample))
        return found

    return Buckets(
        width,
        spread(lambda sample: sample.sent),
        spread(lambda sample: sample.failed),
        spread(lambda sample: sample.throttled),
        largest(lambda sample: sample.in_flight),
        _filled(largest(lambda sample: sample.window)),
    )


def _filled(values: list[float]) -> list[float]:
    """Return *values*, each 0 replaced by the value before it, or at the start by the first."""
    found = next((value for value in values if value), 0.0)
    return [found := value or found for value in values]


def _overlaps(start: float, end: float, width: float, number: int) -> Iterable[tuple[int, float]]:
    """Yield the buckets between *start* and *end*, with the seconds that they have of it."""
    for index in range(min(int(start / width), number - 1), number):
        overlap = min(end, (index + 1) * width) - max(start, index * width)
        if overlap <= 0:
            break
        yield index, overlap
