"""Preflight: a read of each entity before the first write, to prepare requests and find conflicts.

Nothing is written to the marketplace here. The documents read are kept in the run's folder, as the
values before; only the few fields of each step stay in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ocsync.client import read_current
from ocsync.diff import (
    Document,
    diff_as_written,
    emptied_by,
    is_as_created,
    is_unchanged,
    resolve_values,
    stock_stamp,
    unmet_expectations,
    values_before,
)
from ocsync.engine.run_log import recent_writes
from ocsync.engine.session import Session
from ocsync.engine.summed_stock import ends_tracking, sum_text
from ocsync.errors import OcsyncError
from ocsync.events import ReadDone, Reading
from ocsync.field_paths import is_inside_xp_key
from ocsync.late_order import watched_fields
from ocsync.models import CREATING_OPS, Fields, Intent, Op, Ref, Step
from ocsync.plan import created_refs, linked_refs
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY, kind_of, ref_key
from ocsync.store import Run

_GROUP_SIZE = 200


class StepConflict(NamedTuple):
    """A step whose expected values differ: *fields* maps path -> the values expected and found.

    *why* is the reason where no field differs (it exists already, it cannot be read).
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
    """The values that a step would send, and those *before*; see Intent for the other fields.

    *same* is true when the request would change nothing, *exists_already* when a put without
    replace would meet an entity, *unread* when nothing was read.
    """

    sent: Fields
    before: Fields
    emptied: Mapping[str, Any] = {}
    absent: bool = False
    updated: str | None = None
    same: bool = False
    exists_already: bool = False
    unread: bool = False

    def intent(self, step: Step, at: str) -> Intent:
        """Return the intent of *step*, to be recorded before the request."""
        return Intent(
            number=step.number,
            ref=step.ref,
            sent=self.sent,
            before=self.before,
            emptied=dict(self.emptied),
            absent=self.absent,
            updated=self.updated,
            unread=self.unread,
            at=at,
        )


def prepare_request(step: Step, current: Document | None) -> PreparedRequest:
    """Return the request of *step*, given the *current* document.

    A kind whose reads lag is never *same*: a stale read does not prove that a write is needless.
    Nor is an action, or one whose writes link something else that may be missing (see `_unlinked`).
    """
    sent = resolve_values(step.change, current)
    kind = kind_of(step.ref)
    needless = not (kind.eventually_consistent or kind.action or linked_refs(step.ref))
    same = needless and is_unchanged(step.change, sent, current)
    puts = step.change.op is Op.PUT and not step.change.replace
    if puts and is_as_created(step.change, sent, current):
        same = True  # a stale read does no harm: the server would refuse the put
    return PreparedRequest(
        sent,
        values_before(kind.counted_by if kind.action else sent, current),
        emptied=emptied_by(step.change, sent, current),
        absent=current is None,
        updated=stock_stamp(step.ref, current),
        same=same,
        exists_already=puts and current is not None and not same,
    )


def conflict_of(
    step: Step, prepared: PreparedRequest, current: Document | None
) -> StepConflict | None:
    """Return the conflict of *step* with the *current* document, or None."""
    change = step.change
    unmet = unmet_expectations(step.ref, change.expect, current, null_is_empty=change.null_is_empty)
    fields = {
        path: {"expected": change.expect[path], "found": found} for path, found in unmet.items()
    }
    for contradiction in change.contradicted:
        fields[contradiction.field] = {
            "expected": contradiction.expected,
            "found": contradiction.staged,
        }
    exists_text = "it exists already (stage put --replace to replace it)"
    reason = exists_text if prepared.exists_already else ""
    if change.expect and current is None:
        reason = "it does not exist"
    return StepConflict(step.number, step.ref, fields, reason) if fields or reason else None


async def _summed_conflict(
    session: Session, step: Step, current: Document | None
) -> StepConflict | None:
    """Return the conflict of a step that writes a quantity which is a sum then; None for none."""
    if SUMMED_QUANTITY not in {**step.change.fields, **step.change.adjust}:
        return None
    text = await sum_text(session, step.ref, None if ends_tracking(step.change) else current)
    return StepConflict(step.number, step.ref, {}, f"{text}: stage those instead") if text else None


async def _unlinked(session: Session, steps: Iterable[Step]) -> set[int]:
    """Return the numbers of the *steps* that link something which does not exist, or is not shown.

    Such a step is sent although its own ref is as staged.
    """
    linking: dict[Ref, list[int]] = defaultdict(list)
    for step in steps:
        for ref in linked_refs(step.ref):
            linking[ref].append(step.number)
    reads = read_current(session.api, linking)
    return {n async for ref, found in reads if not isinstance(found, dict) for n in linking[ref]}


class Preflight(NamedTuple):
    """The results of the reads: *prepared* requests by step number, and conflicts.

    *missing* are the edits of entities that do not exist and that this plan does not create.
    *watched* are the values by which steps of other refs are judged, by step number.
    """

    prepared: dict[int, PreparedRequest]
    conflicts: list[StepConflict]
    missing: list[StepConflict]
    watched: dict[int, Fields]


def _created_keys(steps: Iterable[Step]) -> set[str]:
    """Return the keys of the refs that *steps* create."""
    makers = [step.change for step in steps if step.change.op in CREATING_OPS]
    refs = (ref for change in makers for ref in (change.ref, *created_refs(change)))
    return set(map(ref_key, refs))


def _makers(steps: Iterable[Step]) -> dict[str, set[int]]:
    """Return, by its key, the steps that create a ref beside their own."""
    makers: dict[str, set[int]] = defaultdict(set)
    for step in steps:
        for ref in created_refs(step.change):
            makers[ref_key(ref)].add(step.number)
    return makers


def _accept_listed(
    session: Session, first_steps: Mapping[str, Step], written: Iterable[Intent]
) -> Callable[[Ref, Document], bool]:
    """Return a test of whether a step's values before may come from a list that lags behind writes.

    They may not where they decide anything (expected values, a put, stock, the order of steps, a
    conflict), nor where the document does not show the last of this workspace's own writes:
    *written*, and those of recent runs.
    """
    lagging = [s.ref for s in first_steps.values() if kind_of(s.ref).eventually_consistent]
    own = {ref_key(i.ref): i for i in (*recent_writes(session, lagging), *written)}

    def accept(ref: Ref, document: Document) -> bool:
        step = first_steps[ref_key(ref)]
        change, last = step.change, own.get(ref_key(ref))
        decisive = watched_fields(kind_of(ref)) | {SUMMED_QUANTITY}
        if change.op is not Op.SET or change.expect or decisive & {*change.fields, *change.adjust}:
            return False
        if last and diff_as_written(ref, last.sent, document, created=last.absent):
            return False
        prepared = prepare_request(step, document)
        return not (prepared.same or conflict_of(step, prepared, document))

    return accept


def builds_on_current(step: Step) -> bool:
    """Return whether *step* builds on the value there, so that it is read right before its write.

    An early read would be too old: others may have written into the same xp key since, and orders
    go on selling.
    """
    return bool(step.change.adjust) or any(map(is_inside_xp_key, step.change.fields))


def _can_go_unread(step: Step) -> bool:
    """Return whether no expected value and no order of steps depends on a read of *step*'s entity,
    and that read would take a request for each product.
    """
    change, kind = step.change, kind_of(step.ref)
    judged = change.expect or change.contradicted or watched_fields(kind)
    return kind.name in RECORD_KINDS and change.op is Op.SET and not judged


async def run_preflight(
    session: Session,
    steps: Sequence[Step],
    run: Run | None = None,
    plan: Sequence[Step] = (),
    written: Iterable[Intent] = (),
    *,
    needed_only: bool = False,
    undo: bool = True,
) -> Preflight:
    """Read the entities that *steps* of *plan* write and compare them; *run* keeps the documents.

    Of a ref with several steps only the first is compared with the current document. A ref that
    cannot be read is left unprepared: the replay reads it again before its step. So is one with
    expected values that a step before its own creates and, with *needed_only*, an inventory record
    that the replay reads anyway. Without *undo* the other records are not read at all. *written*
    are the requests of an earlier part of the run whose effect a list may not show yet.
    """
    first_steps: dict[str, Step] = {}
    for step in steps:
        first_steps.setdefault(ref_key(step.ref), step)
    preflight = Preflight({}, [], [], {})
    for key, step in list(first_steps.items()) if needed_only else ():
        late = builds_on_current(step)
        if _can_go_unread(step) and (late or not undo):
            del first_steps[key]
            if not late:
                sent = resolve_values(step.change, None)
                preflight.prepared[step.number] = PreparedRequest(sent, {}, unread=True)
    creates = _created_keys([*plan, *steps])
    makers = _makers([*plan, *steps])
    generators = {step.number for step in plan or steps if step.change.op is Op.GENERATE}
    group: list[tuple[Ref, Document | None]] = []
    linking: list[Step] = []
    read = 0
    accept = _accept_listed(session, first_steps, written)
    async for ref, current in read_current(
        session.api, [step.ref for step in first_steps.values()], accept=accept
    ):
        session.raise_if_stopped()
        read += 1
        if read % _GROUP_SIZE == 0:
            session.emit(Reading(read, len(first_steps)))
        if isinstance(current, OcsyncError):
            continue
        step = first_steps[ref_key(ref)]
        group.append((ref, current))
        if run and len(group) >= _GROUP_SIZE:
            run.record_before(group)
            group = []
        awaited = makers.get(ref_key(ref), set()).intersection(step.needs)
        if awaited and step.change.expect and current is None:
            continue
        prepared = prepare_request(step, current)
        if linked_refs(ref) and is_unchanged(step.change, prepared.sent, current):
            linking.append(step)
        preflight.prepared[step.number] = prepared
        if watched := watched_fields(kind_of(ref)):
            preflight.watched[step.number] = values_before(watched, current)
        conflict = conflict_of(step, prepared, current) or await _summed_conflict(
            session, step, current
        )
        if conflict:
            preflight.conflicts.append(conflict)
        elif (
            current is None
            and step.change.op is Op.SET
            and ref_key(ref) not in creates
            and generators.isdisjoint(step.needs)
        ):
            reason = "it does not exist, and set cannot create it (stage put)"
            preflight.missing.append(StepConflict(step.number, ref, {}, reason))
    if run and group:
        run.record_before(group)
    unlinked = await _unlinked(session, linking)
    for number in {step.number for step in linking} - unlinked:
        preflight.prepared[number] = preflight.prepared[number]._replace(same=True)
    same = sum(prepared.same for prepared in preflight.prepared.values())
    session.emit(ReadDone(read, same))
    preflight.conflicts.sort()
    preflight.missing.sort()
    return preflight
