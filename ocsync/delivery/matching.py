"""Matching of received messages to expected ones: as written, stale, or missing. Pure.

Messages hold neither version nor time (guide/ordercloud.md 4.4): only the content shows which write
a message reflects. It is compared with the written values and with those before the write; the last
message of an entity counts, as targets keep the last one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ocsync.delivery.messages import EntityKey, MessageSubject, same_entity, subjects_of
from ocsync.diff import diff, is_sale
from ocsync.field_paths import MISSING, value_at
from ocsync.models import Delivery, Fields, Ref


class ContentMatch(StrEnum):
    """The state that a message shows: as written, as before, another one, or none of the fields."""

    WRITTEN = "written"
    BEFORE = "before"
    OTHER = "other"
    NOTHING = "nothing"


class Arrival(StrEnum):
    """The fate of an expected message; *not due* may be absent, as its write changed nothing."""

    ARRIVED = "arrived"
    STALE = "stale"
    MISSING = "missing"
    NOT_DUE = "not due"


class ExpectedMessage(NamedTuple):
    """A message that should arrive for *ref*, because *causes* were written at *written_at*.

    *fields* are the values written in *ref* itself, *before* those before the write. *since* is
    when the target was unpaused; if this workspace had not paused it, it is *written_at*. *due* is
    false when the write may have changed nothing, for which the platform may send nothing. *unread*
    says that the values before are not known.
    """

    target: str
    ref: Ref
    key: EntityKey
    causes: tuple[Ref, ...]
    fields: Fields
    before: Fields
    written_at: datetime
    since: datetime
    due: bool = True
    unread: bool = False


class MatchResult(NamedTuple):
    """An expected message and its arrival.

    *times* counts the copies as written (any copies if none was as written) after *since*, *early*
    those before. *first* is the seconds from *since* to the first that counts, *last* to the last
    copy of any kind. *fields* holds the differences of a stale message: path -> wanted and found.
    """

    expected: ExpectedMessage
    arrival: Arrival
    times: int = 0
    early: int = 0
    first: float | None = None
    last: float | None = None
    fields: Mapping[str, dict[str, Any]] = {}


class DeliveryResult(NamedTuple):
    """The results for all expected messages.

    *unexpected* counts messages about entities that the run did not write. *targets_seen* are the
    targets with at least one message.
    """

    matched: list[MatchResult]
    unexpected: int = 0
    targets_seen: frozenset[str] = frozenset()

    def having(self, *arrivals: Arrival) -> list[MatchResult]:
        """Return the results with one of *arrivals*."""
        return [one for one in self.matched if one.arrival in arrivals]

    @property
    def due(self) -> int:
        """The number of messages that should arrive."""
        return len(self.matched) - len(self.having(Arrival.NOT_DUE))

    @property
    def duplicates(self) -> int:
        """The number of redundant copies of messages."""
        return sum(max(0, one.times - 1) for one in self.matched)

    @property
    def early(self) -> int:
        """The number of entities that reached the target while the pause should have held them."""
        return sum(1 for one in self.matched if one.early)

    def first_times(self) -> list[float]:
        """Return the seconds until each message that arrived was first there, sorted."""
        return sorted(one.first for one in self.having(Arrival.ARRIVED) if one.first is not None)

    def arrival_times(self) -> dict[str, float]:
        """Return seconds until the first, half, 95 of 100 and the last arrived; empty for none."""
        times = self.first_times()
        at = {"first": 0.0, "p50": 0.5, "p95": 0.95, "last": 1.0} if times else {}
        return {
            name: times[max(0, math.ceil(share * len(times)) - 1)] for name, share in at.items()
        }


class _Received:
    """The messages received for one expected message."""

    def __init__(self) -> None:
        self.early = 0
        self.times: list[tuple[float, ContentMatch]] = []
        self.last: Mapping[str, Any] = {}


class Matcher:
    """A matcher of messages, in order of arrival, with *expected* ones."""

    def __init__(self, expected: list[ExpectedMessage]) -> None:
        self._expected = expected
        self._received = [_Received() for _ in expected]
        self._by_own_id: dict[tuple[str, str | None], list[int]] = defaultdict(list)
        for number, one in enumerate(expected):
            self._by_own_id[one.target, one.key[-1]].append(number)
        self._start = min((one.since for one in expected), default=None)
        self._unexpected = 0
        self._targets_seen: set[str] = set()

    def add(self, message: Delivery) -> None:
        """Match another message."""
        at = datetime.fromisoformat(message.at)
        for subject in subjects_of(message):
            self._targets_seen.add(subject.target)
            numbers = self._candidates(subject)
            if not numbers:
                self._unexpected += self._start is not None and at >= self._start
                continue
            number = self._best_candidate(numbers, subject.document)
            if at >= self._expected[number].written_at:
                self._record(number, at, subject.document)

    def _candidates(self, subject: MessageSubject) -> list[int]:
        numbers = self._by_own_id.get((subject.target, subject.key[-1]), ())
        return [n for n in numbers if same_entity(self._expected[n].key, subject.key)]

    def _best_candidate(self, numbers: list[int], document: Mapping[str, Any]) -> int:
        """Return the likeliest of *numbers*, as messages may leave parents' IDs out."""
        if len(numbers) == 1:
            return numbers[0]
        shown = [
            n for n in numbers if content_match(self._expected[n], document) is ContentMatch.WRITTEN
        ]
        return min(shown or numbers, key=lambda n: len(self._received[n].times))

    def _record(self, number: int, at: datetime, document: Mapping[str, Any]) -> None:
        expected, received = self._expected[number], self._received[number]
        match = content_match(expected, document)
        seconds = (at - expected.since).total_seconds()
        if seconds < 0:
            received.early += match is ContentMatch.WRITTEN
            return
        received.times.append((seconds, match))
        if match is not ContentMatch.NOTHING:
            received.last = document

    def result(self, current: Mapping[Ref, Mapping[str, Any]] | None = None) -> DeliveryResult:
        """Return the result of each; *current* has the marketplace's current documents.

        A message that shows the same as the marketplace is not stale, whoever wrote it since.
        """
        found = [
            _match_result(expected, received, (current or {}).get(expected.ref))
            for expected, received in zip(self._expected, self._received, strict=True)
        ]
        return DeliveryResult(found, self._unexpected, frozenset(self._targets_seen))


def _match_result(
    expected: ExpectedMessage, received: _Received, current: Mapping[str, Any] | None
) -> MatchResult:
    valid = [
        s for s, match in received.times if match in (ContentMatch.WRITTEN, ContentMatch.NOTHING)
    ]
    shown = [match for _, match in received.times if match is not ContentMatch.NOTHING]
    last = received.times[-1][0] if received.times else None
    first = min(valid, default=last)
    if not received.times:
        absent = Arrival.MISSING if expected.due else Arrival.NOT_DUE
        return MatchResult(
            expected, Arrival.ARRIVED if received.early else absent, early=received.early
        )
    fields: dict[str, dict[str, Any]] = {}
    if (shown and shown[-1] is ContentMatch.BEFORE) or not valid:
        fields = _differences(expected, received.last)
        if current is not None and not diff(
            expected.ref, {p: pair["found"] for p, pair in fields.items()}, dict(current)
        ):
            fields = {}
    arrival = Arrival.STALE if fields else Arrival.ARRIVED
    times = len(valid or received.times)
    return MatchResult(expected, arrival, times, received.early, first, last, fields)


def content_match(expected: ExpectedMessage, document: Mapping[str, Any]) -> ContentMatch:
    """Return which state *document* shows, as far as it carries the written fields.

    Less stock than was written counts as sold since, unless it is exactly the stock before.
    """
    carried = _carried_fields(expected, document)
    if not carried:
        return ContentMatch.NOTHING
    wrong = _differences(expected, document)
    if not wrong:
        return ContentMatch.WRITTEN
    older = {path: expected.before[path] for path in wrong if path in expected.before}
    same_as_before = len(older) > len(diff(expected.ref, older, {**document}))
    return ContentMatch.BEFORE if same_as_before else ContentMatch.OTHER


def _carried_fields(expected: ExpectedMessage, document: Mapping[str, Any]) -> Fields:
    return {p: v for p, v in expected.fields.items() if value_at(document, p) is not MISSING}


def _differences(
    expected: ExpectedMessage, document: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the paths that *document* carries with another value than written."""
    found = diff(expected.ref, _carried_fields(expected, document), {**document})
    return {path: pair for path, pair in found.items() if not _sold(expected, path, pair)}


def _sold(expected: ExpectedMessage, path: str, pair: Mapping[str, Any]) -> bool:
    """Return whether a lower quantity is stock sold since; not if it may be the one before."""
    return (
        not expected.unread
        and is_sale(expected.ref, path, pair)
        and pair["found"] != expected.before.get(path)
    )
