"""Proof of delivery: what a run wrote, held against what arrived at the profile's listener.

Every entity that was changed is expected once at least (delivery may be doubled and unordered;
api-facts 3.3). What does not arrive, or only with older content, can be sent again with
OrderCloud's sync requests, where its kind has one.
"""

from __future__ import annotations

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
from ocsync.errors import ExitCode, Interrupted, Locked
from ocsync.events import DeliveryProgress, NoticeLevel, RequestEnded
from ocsync.models import Finding, Outcome, Ref, Sign, State
from ocsync.schema import TARGETS, Target, ids_of
from ocsync.store import Run

FIRST_POLL, POLL_SECONDS = 0.05, 1.0
_WORKERS = 8
"""Sync requests are for quick repair of single entities (api-facts 3.1): few at a time."""


class DeliveryProof(NamedTuple):
    """The result of waiting for a run's messages.

    *drain_seconds* are the times before anything was sent again, of which *redelivered* were.
    *refused* maps what could not be sent again to why. *listens* says whether a listener runs.
    """

    delivered: DeliveryResult
    expected: ExpectedDelivery
    drain_seconds: Mapping[str, float] = {}
    redelivered: int = 0
    refused: Mapping[Ref, str] = {}
    listens: bool = True

    @property
    def undelivered(self) -> list[MatchResult]:
        """The messages that did not arrive as they were written."""
        return self.delivered.having(Arrival.MISSING, Arrival.STALE)

    @property
    def was_held(self) -> bool:
        """True when a pause held any of it, so that times count from the pause's end."""
        return any(one.expected.since > one.expected.written_at for one in self.delivered.matched)

    @property
    def silent_targets(self) -> list[str]:
        """The targets of which nothing was ever heard, though something was to come."""
        return sorted(
            {one.expected.target for one in self.undelivered} - self.delivered.targets_seen
        )

    @property
    def exit_code(self) -> ExitCode:
        """DIFFERS unless everything arrived as it was written."""
        return ExitCode.DIFFERS if self.undelivered else ExitCode.DONE

    def facts(self) -> dict[str, float]:
        """Return the numbers for the run's record; times in seconds."""
        found = self.delivered
        counts = {arrival.name.lower(): len(found.having(arrival)) for arrival in Arrival}
        more = {"duplicates": found.duplicates, "strangers": found.unexpected, "early": found.early}
        return {**counts, **more, "redelivered": self.redelivered, **self.drain_seconds}

    def findings(self) -> list[Finding]:
        """Return the entities that did not arrive as written, sorted by ref."""
        return sorted(map(self._finding, self.undelivered), key=lambda finding: finding.ref)

    def _finding(self, one: MatchResult) -> Finding:
        ref = one.expected.ref
        missing = one.arrival is Arrival.MISSING
        text = "did not arrive" if missing else "arrived with older content"
        if ref not in (causes := one.expected.causes):
            more = f" and {len(causes) - 1:,} more" if len(causes) > 1 else ""
            text += f", for {causes[0]}{more}"
        why = self.refused.get(ref, "")
        return Finding(
            ref=ref,
            sign=Sign.MISSING if missing else Sign.DIFFERS,
            fields=dict(one.fields),
            message=f"{text}; {why}" if why else text,
            where="delivery",
        )


async def prove_delivery(
    session: Session, run: Run, *, patience: float, redeliver: bool
) -> DeliveryProof | None:
    """Wait for every message of *run* until none has come for *patience* seconds.

    None where nothing is to be had: nobody listens and nothing has arrived since, or nothing was
    changed. Raises Interrupted.
    """
    listens = _listens(session)
    if not (listens or redeliver or session.folder.delivery_log.path.exists()):
        return None  # nothing is to be held against the sync configs, so no role for them is needed
    found = await expected_delivery(session, run)
    if found is None or not (listens or _has_heard(session, found.start)):
        if redeliver and found:
            session.notify(
                NoticeLevel.WARNING, "nobody listens, so what is to be sent again is not known"
            )
            session.notify(
                NoticeLevel.DETAIL, f"ocsync resync --run {run.id} sends all of it again"
            )
        return None
    proof = DeliveryProof(DeliveryResult([]), found, listens=listens)
    if not found.expected:
        return proof if found.held or found.off or found.silent else None
    matcher, patience = Matcher(found.expected), patience if listens else 0.0
    heard = await _wait(session, matcher, 0, patience)
    proof = proof._replace(delivered=await _judged(session, matcher))
    proof = proof._replace(drain_seconds=proof.delivered.arrival_times())
    if redeliver and proof.undelivered and listens:
        sent, refused = await _send_again(session, proof.undelivered)
        if sent:
            await _wait(session, matcher, heard, patience)
        again = await _judged(session, matcher)
        proof = proof._replace(delivered=again, redelivered=sent, refused=refused)
    return proof


def _listens(session: Session) -> bool:
    try:
        with session.folder.listen_lock():
            return False
    except Locked:
        return True


def _has_heard(session: Session, start: datetime) -> bool:
    return any(datetime.fromisoformat(m.at) >= start for m in session.folder.delivery_log.read())


async def _wait(session: Session, matcher: Matcher, heard: int, patience: float) -> int:
    """Take messages after the first *heard*, until every one due has arrived or none has come for
    *patience* seconds; return the number of messages then. Raises Interrupted.
    """
    best, news = -1, 0.0
    longest = min(POLL_SECONDS, max(patience / 4, FIRST_POLL))
    try:
        async for waited in waits(session, first=FIRST_POLL, longest=longest):
            for message in session.folder.delivery_log.read_from(heard):
                matcher.add(message)
                heard += 1
            result = matcher.result()
            arrived, due = len(result.having(Arrival.ARRIVED)), result.due
            if arrived > best:
                best, news = arrived, waited
            stale, left = len(result.having(Arrival.STALE)), max(0.0, patience - (waited - news))
            session.emit(DeliveryProgress(arrived, due, result.duplicates, stale, left))
            if arrived >= due or not left:
                break
            session.raise_if_stopped()
    except Interrupted as stop:
        raise Interrupted("stopped waiting for the delivery; the run itself is complete",
                          hint="ocsync verify waits for it again") from stop  # fmt: skip
    return heard


async def _judged(session: Session, matcher: Matcher) -> DeliveryResult:
    """Return what arrived; stale content is held against what the marketplace has now, too."""
    stale = [one.expected.ref for one in matcher.result().having(Arrival.STALE)]
    current = {
        ref: doc async for ref, doc in read_current(session.api, stale) if isinstance(doc, dict)
    }
    return matcher.result(current)


async def _send_again(
    session: Session, lacking: Sequence[MatchResult]
) -> tuple[int, dict[Ref, str]]:
    """Sync requests for what did not arrive: how many were taken, and why others were not."""
    refused: dict[Ref, str] = {}
    entities: list[tuple[Target, Ref]] = []
    for one in lacking:
        ref = one.expected.ref
        if can_request_sync(ref):
            entities.append((TARGETS[one.expected.target], ref))
        else:
            product = ids_of(ref)["ProductID"]
            refused[ref] = f"no sync request: ocsync resync products {product}"
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
