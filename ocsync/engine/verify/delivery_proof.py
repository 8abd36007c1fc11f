"""Proof of delivery: the writes of a run, compared with the messages at the profile's listener.

Every changed entity is expected at least once (messages may be doubled and out of order;
guide/ordercloud.md 3.3). A message that does not arrive, or only with older content, can be sent
again by one of OrderCloud's sync requests, where its kind has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from ocsync.client import read_current
from ocsync.delivery.matching import Arrival, DeliveryResult, Matcher, MatchResult
from ocsync.delivery.messages import can_request_sync
from ocsync.engine.polling import waits
from ocsync.engine.resync.resync import ADVICE, advise_full_sync, send_requests, sync_steps
from ocsync.engine.session import Session
from ocsync.engine.verify.expected_messages import ExpectedDelivery, expected_delivery
from ocsync.errors import ExitCode, Interrupted
from ocsync.events import DeliveryProgress, NoticeLevel, RequestEnded
from ocsync.models import Finding, Outcome, Ref, Sign, State
from ocsync.schema import TARGETS, Target, ids_of
from ocsync.store import Run

FIRST_POLL, POLL_SECONDS = 0.05, 1.0
_ARRIVAL_POINTS = 100
"""The most points of the arrivals that a run's record keeps, but for the first and the last."""
_WORKERS = 8
"""Parallel sync requests; few, as they are for quick repair of single entities
(guide/ordercloud.md 3.1).
"""


class DeliveryProof(NamedTuple):
    """The result of waiting for a run's messages.

    *drain_seconds* and *arrivals* (see `RunInfo`) are delivery times before anything was sent
    again, *redelivered* is the number of messages sent again, and *refused* maps the refs that
    could not be to the reason. *listens* is whether a listener runs.
    """

    delivered: DeliveryResult
    expected: ExpectedDelivery
    drain_seconds: Mapping[str, float] = {}
    arrivals: tuple[tuple[float, int], ...] = ()
    redelivered: int = 0
    refused: Mapping[Ref, str] = {}
    listens: bool = True

    @property
    def undelivered(self) -> list[MatchResult]:
        """The messages that did not arrive, or arrived with older content."""
        return self.delivered.having(Arrival.MISSING, Arrival.STALE)

    @property
    def was_held(self) -> bool:
        """True when a pause held any message, so that times count from the pause's end."""
        return any(one.expected.since > one.expected.written_at for one in self.delivered.matched)

    @property
    def silent_targets(self) -> list[str]:
        """The targets whose messages were expected and of which none arrived."""
        return sorted(
            {one.expected.target for one in self.undelivered} - self.delivered.targets_seen
        )

    @property
    def exit_code(self) -> ExitCode:
        """DIFFERS unless everything arrived as it was written."""
        return ExitCode.DIFFERS if self.undelivered else ExitCode.DONE

    def facts(self) -> dict[str, float]:
        """Return the numbers for the run's record; times in seconds."""
        result = self.delivered
        counts = {arrival.name.lower(): len(result.having(arrival)) for arrival in Arrival}
        others = {
            "duplicates": result.duplicates,
            "strangers": result.unexpected,
            "early": result.early,
        }
        return {**counts, **others, "redelivered": self.redelivered, **self.drain_seconds}

    def findings(self) -> list[Finding]:
        """Return the entities that did not arrive as written, sorted by ref."""
        return sorted(map(self._finding, self.undelivered), key=lambda finding: finding.ref)

    def _finding(self, match: MatchResult) -> Finding:
        ref = match.expected.ref
        is_missing = match.arrival is Arrival.MISSING
        text = "did not arrive" if is_missing else "arrived with older content"
        if ref not in (causes := match.expected.causes):
            more = f" and {len(causes) - 1:,} more" if len(causes) > 1 else ""
            text += f", for {causes[0]}{more}"
        reason = self.refused.get(ref, "")
        return Finding(
            ref=ref,
            sign=Sign.MISSING if is_missing else Sign.DIFFERS,
            fields=dict(match.fields),
            message=f"{text}; {reason}" if reason else text,
            where="delivery",
        )


async def prove_delivery(
    session: Session, run: Run, *, patience: float, redeliver: bool
) -> DeliveryProof | None:
    """Wait for every message of *run* until none has arrived for *patience* seconds.

    Return None where there is nothing to prove: no listener runs and no message has arrived since,
    or the run changed nothing. Raises Interrupted.
    """
    listens = session.folder.listener_runs()
    if not (listens or redeliver or session.folder.delivery_log.path.exists()):
        return None  # without reading sync configs, so that no role for them is needed
    expected = await expected_delivery(session, run)
    if expected is None or not (listens or _has_messages_since(session, expected.start)):
        if redeliver and expected:
            session.notify(
                NoticeLevel.WARNING,
                "no listener runs, so it is unknown what to resend",
            )
            session.notify(NoticeLevel.DETAIL, f"ocsync resync --run {run.id} resends all of them")
        return None
    proof = DeliveryProof(DeliveryResult([]), expected, listens=listens)
    if not expected.expected:
        return proof if expected.held or expected.off or expected.silent else None
    matcher, patience = Matcher(expected.expected), patience if listens else 0.0
    read = await _wait(session, matcher, 0, patience)
    proof = proof._replace(delivered=await _match_current(session, matcher))
    proof = proof._replace(
        drain_seconds=proof.delivered.arrival_times(),
        arrivals=_cumulated(proof.delivered.first_times()),
    )
    if redeliver and proof.undelivered and listens:
        sent, refused = await _send_again(session, proof.undelivered)
        if sent:
            await _wait(session, matcher, read, patience)
        delivered = await _match_current(session, matcher)
        proof = proof._replace(delivered=delivered, redelivered=sent, refused=refused)
    return proof


def _cumulated(times: Sequence[float]) -> tuple[tuple[float, int], ...]:
    """Return pairs of a time and the number of *times*, which are sorted, up to it."""
    step = max(1, math.ceil(len(times) / _ARRIVAL_POINTS))
    numbers = sorted({*range(1, len(times) + 1, step), len(times)} - {0})
    return tuple((round(times[number - 1], 3), number) for number in numbers)


def _has_messages_since(session: Session, start: datetime) -> bool:
    return any(datetime.fromisoformat(m.at) >= start for m in session.folder.delivery_log.read())


async def _wait(session: Session, matcher: Matcher, read: int, patience: float) -> int:
    """Read messages after the first *read*, until every due one has arrived or none has arrived for
    *patience* seconds; return the number read. Raises Interrupted.
    """
    most_arrived, last_arrival = -1, 0.0
    longest = min(POLL_SECONDS, max(patience / 4, FIRST_POLL))
    try:
        async for waited in waits(session, first=FIRST_POLL, longest=longest):
            for message in session.folder.delivery_log.read_from(read):
                matcher.add(message)
                read += 1
            result = matcher.result()
            arrived, due = len(result.having(Arrival.ARRIVED)), result.due
            if arrived > most_arrived:
                most_arrived, last_arrival = arrived, waited
            stale, left = (
                len(result.having(Arrival.STALE)),
                max(0.0, patience - (waited - last_arrival)),
            )
            session.emit(DeliveryProgress(arrived, due, result.duplicates, stale, left))
            if arrived >= due or not left:
                break
            session.raise_if_stopped()
    except Interrupted as stop:
        raise Interrupted("interrupted while waiting for the delivery; the run itself is complete",
                          hint="ocsync verify waits again") from stop  # fmt: skip
    return read


async def _match_current(session: Session, matcher: Matcher) -> DeliveryResult:
    """Return the matches; stale content is compared with the marketplace's current content too."""
    stale = [one.expected.ref for one in matcher.result().having(Arrival.STALE)]
    current = {
        ref: doc async for ref, doc in read_current(session.api, stale) if isinstance(doc, dict)
    }
    return matcher.result(current)


async def _send_again(
    session: Session, undelivered: Sequence[MatchResult]
) -> tuple[int, dict[Ref, str]]:
    """Send sync requests for *undelivered* messages.

    Return the number of requests that the platform accepted, and the reasons why others failed.
    """
    refused: dict[Ref, str] = {}
    entities: list[tuple[Target, Ref]] = []
    for match in undelivered:
        ref = match.expected.ref
        if can_request_sync(ref):
            entities.append((TARGETS[match.expected.target], ref))
        else:
            product = ids_of(ref)["ProductID"]
            refused[ref] = f"it has no sync request; use: ocsync resync products {product}"
    if len(entities) > ADVICE:
        advise_full_sync(session, len(entities))
    sent = 0

    async def record(outcome: Outcome) -> None:
        nonlocal sent
        if outcome.state is State.DONE:
            sent += 1
        else:
            refused[outcome.ref] = outcome.message
        done = sent + len(refused)
        session.emit(RequestEnded(outcome.ref, done, len(entities), failed=len(refused)))

    for error in await send_requests(session, sync_steps(entities), record, workers=_WORKERS):
        session.notify(NoticeLevel.WARNING, error.message)
        session.notify(NoticeLevel.DETAIL, error.hint)
    return sent, refused
