"""Proof of delivery: what a run wrote, held against what arrived at the profile's listener.

Every entity that a run changed is expected once at least (delivery may be doubled and unordered;
api-facts 3.3). What does not arrive in time, or only with older content, can be sent again with
OrderCloud's sync requests, where its kind has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ocsync.client import read_targets
from ocsync.compare import differing
from ocsync.delivery.matching import Arrival, Delivered, Expected, Matched, match
from ocsync.delivery.messages import Key, expected_of
from ocsync.document import MISSING, value_at
from ocsync.engine.resync import Resynced, resync
from ocsync.engine.work import Work
from ocsync.errors import ExitCode, Locked
from ocsync.events import Arriving
from ocsync.models import Delivery, Fields, Outcome, Ref, State
from ocsync.resources import TARGETS, Target, field_at, ids_of, kind_of
from ocsync.store import Run

POLL_SECONDS = 0.5
_OWN_ID = {target.entity: target.sync_ids[-1] for target in TARGETS.values()}
"""The name of the own ID of each kind that a target publishes."""


class Proof(NamedTuple):
    """What came of waiting: *delivered*, what was *redelivered*, and what cannot be sent again."""

    delivered: Delivered
    redelivered: int = 0
    refused: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """DIFFERS unless everything arrived as it was written."""
        lacking = self.delivered.of(Arrival.MISSING) or self.delivered.of(Arrival.STALE)
        return ExitCode.DIFFERS if lacking else ExitCode.DONE

    def facts(self) -> dict[str, Any]:
        """The numbers, for the run's record."""
        found = self.delivered
        counts = {arrival.value: len(found.of(arrival)) for arrival in Arrival}
        more = {"duplicates": found.duplicates, "strangers": found.strangers}
        return {**counts, **more, "redelivered": self.redelivered, **found.drain()}


async def prove(work: Work, run: Run, *, patience: float, redeliver: bool) -> Proof | None:
    """Wait up to *patience* seconds for every message of *run*; None where nothing is to be had.

    That is when nobody listens and nothing has arrived since, or when nothing was changed.
    """
    written = _written(run)
    since = datetime.fromisoformat(run.info.started)
    expected = await _expected(work, written) if _is_heard(work, since) else []
    if not expected:
        return None
    found = await _wait(work, expected, written, since, patience)
    lacking = [*found.of(Arrival.MISSING), *found.of(Arrival.STALE)]
    if not (redeliver and lacking):
        return Proof(found)
    sent, refused = await _send_again(work, lacking)
    found = await _wait(work, expected, written, since, patience)
    return Proof(found, sent, refused)


def _written(run: Run) -> dict[Ref, Fields]:
    """What the run's requests left in each ref; what was the same already sends no message."""
    written: dict[Ref, Fields] = {}
    for record in run.outcomes():
        if isinstance(record, Outcome) and record.state is State.DONE:
            written[record.ref] = {**written.get(record.ref, {}), **record.sent}
    return written


async def _expected(work: Work, written: Mapping[Ref, Fields]) -> list[Expected]:
    """The messages to come, of targets that send any."""
    refs: dict[tuple[str, Key], list[Ref]] = defaultdict(list)
    for ref in written:
        for target, key in expected_of(ref):
            refs[target.name, key].append(ref)
    states = await read_targets(work.api, [TARGETS[name] for name in {name for name, _ in refs}])
    sends = {name for name, state in states.items() if state.exists and state.changed}
    return [Expected(name, key, tuple(r)) for (name, key), r in refs.items() if name in sends]


def _is_heard(work: Work, since: datetime) -> bool:
    """Whether somebody listens for this profile, or has since the run began."""
    try:
        with work.folder.listen_lock():
            pass
    except Locked:
        return True
    came = work.folder.deliveries.read()
    return any(datetime.fromisoformat(message.at) >= since for message in came)


async def _wait(
    work: Work, expected: list[Expected], written: Mapping[Ref, Fields], since: datetime,
    patience: float,
) -> Delivered:  # fmt: skip
    waited, messages = 0.0, list[Delivery]()
    while True:
        messages += work.folder.deliveries.read_from(len(messages))
        found = match(expected, messages, since, lambda e, doc: _is_fresh(e, doc, written))
        arrived = len(found.of(Arrival.ARRIVED))
        work.emit(Arriving(arrived, len(expected), found.duplicates))
        if arrived == len(expected) or waited >= patience or work.stop.is_set():
            return found
        await work.sleep(POLL_SECONDS)
        waited += POLL_SECONDS


def _is_fresh(
    expected: Expected, document: Mapping[str, Any], written: Mapping[Ref, Fields]
) -> bool:
    """Whether *document* shows what was written, as far as a message carries it."""
    entity = TARGETS[expected.target].entity
    for ref in expected.refs:
        kind = kind_of(ref)
        if kind.assignment or kind.ids[-1] != _OWN_ID[entity]:
            continue  # the message is about what it belongs to, and does not carry its fields
        fields = {p: v for p, v in written[ref].items() if value_at(document, p) is not MISSING}
        for path, pair in differing(ref, fields, dict(document)).items():
            field, now, mine = field_at(kind, path), pair["found"], pair["wanted"]
            numbers = isinstance(now, int | float) and isinstance(mine, int | float)
            if not (field and field.moves and numbers and now < mine):  # else it was sold since
                return False
    return True


async def _send_again(work: Work, lacking: list[Matched]) -> tuple[int, tuple[str, ...]]:
    """Sync requests for what did not arrive: how many were taken, and what has none."""
    by_target: dict[str, list[dict[str, str]]] = defaultdict(list)
    refused: list[str] = []
    for one in lacking:
        ref = one.expected.refs[0]
        if kind_of(ref).name == "variant-inventory":
            refused.append(f"{ref} has no sync request: stage the record once more")
        else:
            by_target[one.expected.target].append(_ids(TARGETS[one.expected.target], ref))
    sent = 0
    for name, ids in by_target.items():
        result: Resynced = await resync(work, TARGETS[name], ids, workers=8)
        sent += result.done
        refused += [f"{name} {what}: {error.message}" for what, error in result.failed]
    return sent, tuple(refused)


def _ids(target: Target, ref: Ref) -> dict[str, str]:
    known = ids_of(ref)
    return {name: known[name] for name in target.sync_ids}
