"""Reading before writing: what each step would change, and which expectations do not hold.

Nothing is written to the marketplace here. The documents read go to the run folder, as the values
before; what is kept in memory is a step's few fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ocsync.client import read_current
from ocsync.diff import (
    Document,
    emptied_by,
    is_as_created,
    is_unchanged,
    resolve_values,
    stock_stamp,
    unmet_expectations,
    values_before,
)
from ocsync.engine.session import Session
from ocsync.errors import NotFound, OcsyncError
from ocsync.events import ReadDone, Reading
from ocsync.field_paths import value_at
from ocsync.models import CREATING_OPS, Fields, Intent, Op, Ref, Step
from ocsync.plan import created_refs
from ocsync.schema import KINDS, SUMMED_QUANTITY, ids_of, kind_of, ref_key
from ocsync.store import Run

_GROUP = 200


class StepConflict(NamedTuple):
    """A step whose expectations do not hold: *fields* maps path -> expected and found.

    *why* says it in words where no field does (it exists already, it cannot be read).
    """

    number: int
    ref: Ref
    fields: dict[str, dict[str, Any]]
    why: str = ""

    def text(self) -> str:
        """Return the conflict as one line for the operator."""
        parts = [
            f"{p} is {v['found']!r}, expected {v['expected']!r}" for p, v in self.fields.items()
        ]
        return ", ".join(filter(None, [self.why, *parts]))


class PreparedRequest(NamedTuple):
    """The values that a step would send, over those *before*; see Intent for the rest.

    *same* says that sending would change nothing, *exists_already* that a put without replace
    meets an entity.
    """

    sent: Fields
    before: Fields
    emptied: Mapping[str, Any] = {}
    absent: bool = False
    updated: str | None = None
    same: bool = False
    exists_already: bool = False

    def intent(self, step: Step, at: str) -> Intent:
        """Return the record that *step* is about to send this."""
        return Intent(
            number=step.number,
            ref=step.ref,
            sent=self.sent,
            before=self.before,
            emptied=dict(self.emptied),
            absent=self.absent,
            updated=self.updated,
            at=at,
        )


def prepare_request(step: Step, current: Document | None) -> PreparedRequest:
    """Hold *step* against *current*.

    A kind whose reads lag is never called the same: a stale read does not prove a write needless.
    """
    sent = resolve_values(step.change, current)
    same = is_unchanged(step.change, sent, current) and not kind_of(step.ref).eventually_consistent
    puts = step.change.op is Op.PUT and not step.change.replace
    if puts and is_as_created(step.change, sent, current):
        same = True  # it would be refused as existing, so that a stale read does no harm
    return PreparedRequest(
        sent,
        values_before(sent, current),
        emptied=emptied_by(step.change, sent, current),
        absent=current is None,
        updated=stock_stamp(step.ref, current),
        same=same,
        exists_already=puts and current is not None and not same,
    )


def conflict_of(
    step: Step, prepared: PreparedRequest, current: Document | None
) -> StepConflict | None:
    """Return the reason not to send *step* as things are, or None."""
    wrong = {
        path: {"expected": step.change.expect[path], "found": found}
        for path, found in unmet_expectations(step.ref, step.change.expect, current).items()
    }
    for broken in step.change.contradicted:
        wrong[broken.field] = {"expected": broken.expected, "found": broken.staged}
    exists = "it exists already (stage put --replace to replace it)"
    why = exists if prepared.exists_already else ""
    if step.change.expect and current is None:
        why = "it does not exist"
    return StepConflict(step.number, step.ref, wrong, why) if wrong or why else None


async def _sum_of_records(
    session: Session, step: Step, current: Document | None
) -> StepConflict | None:
    """Return a conflict where a quantity is a sum: a write of it would be accepted and never be
    seen.
    """
    path = SUMMED_QUANTITY
    records = KINDS.get(kind_of(step.ref).quantity_summed_by)
    if records is None or path not in {**step.change.fields, **step.change.adjust}:
        return None
    if value_at(current, "Inventory.VariantLevelTracking") is True:
        why = f"{path} is the sum over its variants: stage those instead"
        return StepConflict(step.number, step.ref, {}, why)
    try:
        place = records.collection.format_map(ids_of(step.ref))
        number = (await session.api.page(place, {"pageSize": "1"})).total_items
    except NotFound:
        return None
    why = f"{path} is the sum of its {number:,} inventory records: stage those instead"
    return StepConflict(step.number, step.ref, {}, why) if number else None


class Preflight(NamedTuple):
    """The results of the first reading, by step number.

    *missing* are the edits of what does not exist, and is not created by this plan either.
    """

    prepared: dict[int, PreparedRequest]
    conflicts: list[StepConflict]
    missing: list[StepConflict]


def _created_by(steps: Iterable[Step]) -> set[str]:
    """Return the keys of the refs that *steps* create."""
    makers = [step.change for step in steps if step.change.op in CREATING_OPS]
    refs = (ref for change in makers for ref in (change.ref, *created_refs(change)))
    return set(map(ref_key, refs))


async def run_preflight(
    session: Session,
    steps: Sequence[Step],
    run: Run | None = None,
    plan: Sequence[Step] = (),
) -> Preflight:
    """Read what *steps* of *plan* write, and hold each against it; *run* keeps the documents.

    Of a ref with several steps only the first is held against what is there now. A ref that cannot
    be read is left unprepared: its step reads again when its turn comes.
    """
    first: dict[str, Step] = {}
    for step in steps:
        first.setdefault(ref_key(step.ref), step)
    found = Preflight({}, [], [])
    creates = _created_by([*plan, *steps])
    group: list[tuple[Ref, Document | None]] = []
    done = same = 0
    async for ref, current in read_current(session.api, [step.ref for step in first.values()]):
        session.raise_if_stopped()
        done += 1
        if done % _GROUP == 0:
            session.emit(Reading(done, len(first)))
        if isinstance(current, OcsyncError):
            continue
        step = first[ref_key(ref)]
        prepared = prepare_request(step, current)
        same += prepared.same
        found.prepared[step.number] = prepared
        clash = conflict_of(step, prepared, current) or await _sum_of_records(
            session, step, current
        )
        if clash:
            found.conflicts.append(clash)
        elif current is None and step.change.op is Op.SET and ref_key(ref) not in creates:
            why = "it does not exist, and set cannot create it (stage put)"
            found.missing.append(StepConflict(step.number, ref, {}, why))
        group.append((ref, current))
        if run and len(group) >= _GROUP:
            run.record_before(group)
            group = []
    if run and group:
        run.record_before(group)
    session.emit(ReadDone(done, same))
    found.conflicts.sort()
    found.missing.sort()
    return found
