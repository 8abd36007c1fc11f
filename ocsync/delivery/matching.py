"""What arrived of what was to arrive: once, again, stale, or not at all. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ocsync.delivery.messages import Key, same_entity, told_by
from ocsync.models import Delivery, Ref


class Arrival(StrEnum):
    """What became of an expected message."""

    ARRIVED = "arrived"
    STALE = "stale"
    MISSING = "missing"


class Expected(NamedTuple):
    """A message that is to come: the entity, the refs written that it is about."""

    target: str
    key: Key
    refs: tuple[Ref, ...]


class Matched(NamedTuple):
    """An expected message, what became of it, how often it came, and after how many seconds."""

    expected: Expected
    arrival: Arrival
    times: int
    seconds: float


class Delivered(NamedTuple):
    """All of it. *duplicates* and *strangers* count messages nobody needed or expected."""

    matched: list[Matched]
    duplicates: int
    strangers: int

    def of(self, arrival: Arrival) -> list[Matched]:
        """Those that ended as *arrival*."""
        return [one for one in self.matched if one.arrival is arrival]

    def drain(self) -> dict[str, float]:
        """Seconds until half, 95 of 100, and the last of what came had come; empty for none."""
        times = sorted(one.seconds for one in self.matched if one.times)
        if not times:
            return {}
        at = {"p50": 0.5, "p95": 0.95, "last": 1.0}
        return {
            name: times[max(0, math.ceil(share * len(times)) - 1)] for name, share in at.items()
        }


def match(
    expected: Iterable[Expected],
    messages: Iterable[Delivery],
    since: datetime,
    fresh: Callable[[Expected, Mapping[str, Any]], bool],
) -> Delivered:
    """Hold the *messages* that came since *since* against what is *expected*.

    *fresh* tells whether a message's document shows what was written. The first fresh message of an
    entity is its arrival; one that was never fresh is stale.
    """
    wanted = list(expected)
    by_own: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for number, one in enumerate(wanted):
        by_own[one.target, one.key[-1]].append(number)
    came: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    strangers = 0
    for message in messages:
        seconds = (datetime.fromisoformat(message.at) - since).total_seconds()
        told = told_by(message)
        if seconds < 0 or told is None:
            continue
        numbers = [n for n in by_own.get((told.target, told.key[-1]), ())
                   if same_entity(wanted[n].key, told.key)]  # fmt: skip
        strangers += not numbers
        for number in numbers:
            came[number].append((seconds, fresh(wanted[number], told.document)))
    matched = [_judge(one, came.get(number, [])) for number, one in enumerate(wanted)]
    duplicates = sum(max(0, one.times - 1) for one in matched)
    return Delivered(matched, duplicates, strangers)


def _judge(expected: Expected, came: list[tuple[float, bool]]) -> Matched:
    good = [seconds for seconds, fresh in came if fresh]
    if good:
        return Matched(expected, Arrival.ARRIVED, len(came), min(good))
    if came:
        return Matched(expected, Arrival.STALE, len(came), max(seconds for seconds, _ in came))
    return Matched(expected, Arrival.MISSING, 0, 0.0)
