"""Preflight: a read of each entity before the first write, to prepare requests and find conflicts.

Nothing is written to the marketplace here. The documents read are kept in the run's folder, as the
values before; only the few fields of each step stay in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
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
from ocsync.engine.read_ahead import ReadAhead, read_documents
from ocsync.engine.resume.prepared import PreparedRequest, PreparedRequests
from ocsync.engine.run_log import recent_writes
from ocsync.engine.session import Session
from ocsync.engine.step_parts import step_parts
from ocsync.engine.summed_stock import ends_tracking, sum_text
from ocsync.errors import OcsyncError
from ocsync.events import ReadDone, Reading
from ocsync.field_paths import is_inside_xp_key
from ocsync.json_text import json_value
from ocsync.late_order import watched_fields
from ocsync.models import CREATING_OPS, Fields, Intent, Op, Ref, Step
from ocsync.plan import created_refs, linked_refs
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY, kind_of, ref_key, references_of
from ocsync.store import Run
from ocsync.store.step_log import StepLog

_SHOWN_READS = 200
"""Entities that are read between two events."""
_KEPT_DOCUMENTS = 1_000
"""Documents that are written to the run's folder together."""
_MOST_REFERENCES = 1000
"""Most entities that are read because others refer to them."""
_MOST_STEPS_AHEAD = 10_000
"""The most steps whose entities are read beside the sign-in: sealing more keeps the answers waiting
for so long that the pacer would take the server for slow.
"""


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
            f"{p} is {json_value(v['found'])}, expected {json_value(v['expected'])}"
            for p, v in self.fields.items()
        ]
        return ", ".join(filter(None, [self.why, *parts]))


def prepare_request(
    step: Step, current: Document | None, later: Fields | None = None
) -> PreparedRequest:
    """Return the request of *step*, given the *current* document.

    A put has been sent, too, where the entity is as *later* steps of its ref leave it.

    A kind whose reads lag is never *same*: a stale read does not prove that a write is needless.
    Nor is an action, or one whose writes link something else that may be missing (see `_unlinked`).
    """
    sent = resolve_values(step.change, current)
    kind = kind_of(step.ref)
    needless = not (kind.eventually_consistent or kind.action or linked_refs(step.ref))
    same = needless and is_unchanged(step.change, sent, current)
    puts = step.change.op is Op.PUT and not step.change.replace
    if puts and (
        is_as_created(step.change, sent, current)
        or (later and is_as_created(step.change, {**sent, **later}, current))
    ):
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
    if not (change.expect or change.contradicted or prepared.exists_already):
        return None
    unmet = unmet_expectations(step.ref, change.expect, current, null_is_empty=change.null_is_empty)
    fields = {
        path: {"expected": change.expect[path], "found": found} for path, found in unmet.items()
    }
    for contradiction in change.contradicted:
        fields[contradiction.field] = {
            "expected": contradiction.expected,
            "found": contradiction.staged,
        }
    exists_text = "it exists already (to replace it: stage put --replace)"
    reason = exists_text if prepared.exists_already else ""
    if change.expect and current is None:
        reason = "it does not exist"
    return StepConflict(step.number, step.ref, fields, reason) if fields or reason else None


async def _summed_conflict(
    session: Session, step: Step, current: Document | None
) -> StepConflict | None:
    """Return the conflict of a step that writes a quantity which is a sum then; None for none."""
    text = await sum_text(session, step.ref, None if ends_tracking(step.change) else current)
    return StepConflict(step.number, step.ref, {}, f"{text}; stage those instead") if text else None


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
    *watched* are the values by which steps of other refs are judged, by step number. *refused* are
    the reasons why entities cannot be read, by step number.
    """

    prepared: PreparedRequests
    conflicts: list[StepConflict]
    missing: list[StepConflict]
    watched: dict[int, Fields]
    refused: dict[int, str]


class _Creations(NamedTuple):
    """The refs that a plan creates, by key: all of them, and the steps that create another one.

    *generators* are the numbers of the steps that generate others.
    """

    keys: set[str]
    makers: dict[str, set[int]]
    generators: set[int]


def _creations(steps: Iterable[Step]) -> _Creations:
    """Return what *steps* create."""
    found = _Creations(set(), defaultdict(set), set())
    for step in steps:
        if step.change.op in CREATING_OPS:
            found.keys.add(ref_key(step.ref))
            if step.change.op is Op.GENERATE:
                found.generators.add(step.number)
            for key in map(ref_key, created_refs(step.change)):
                found.keys.add(key)
                found.makers[key].add(step.number)
    return found


def _own_writes(
    session: Session, steps: Iterable[Step], written: Iterable[Intent]
) -> dict[str, Intent]:
    """Return the last of this workspace's own writes that a lagging list may not show yet, by key:
    *written*, and those of recent runs.
    """
    lagging = [step.ref for step in steps if kind_of(step.ref).eventually_consistent]
    return {ref_key(i.ref): i for i in (*recent_writes(session, lagging), *written)}


def _accept_listed(
    first_steps: Mapping[str, Step], own: Mapping[str, Intent]
) -> Callable[[Ref, Document], bool]:
    """Return a test of whether a step's values before may come from a list that lags behind writes.

    They may not where they decide anything (expected values, a put, stock, the order of steps, a
    conflict), nor where the document does not show the last of this workspace's *own* writes.
    """

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


class _StepsToRead(NamedTuple):
    """The *first* step of each ref to be read, by its key, and the fields that *later* ones set.

    *unread* are the requests of those that go unread, by step number; see `run_preflight`.
    """

    first: dict[str, Step]
    later: dict[str, Fields]
    unread: dict[int, PreparedRequest]


def _steps_to_read(steps: Iterable[Step], *, needed_only: bool, undo: bool) -> _StepsToRead:
    """Return the steps whose refs are to be read."""
    first_steps: dict[str, Step] = {}
    later: dict[str, Fields] = defaultdict(dict)
    unread: dict[int, PreparedRequest] = {}
    for step in steps:
        key = ref_key(step.ref)
        if first_steps.setdefault(key, step) is not step:
            later[key] |= step.change.fields
    for key, step in list(first_steps.items()) if needed_only else ():
        late = builds_on_current(step)
        if _can_go_unread(step) and (late or not undo):
            del first_steps[key]
            if not late:
                sent = resolve_values(step.change, None)
                unread[step.number] = PreparedRequest(sent, {}, unread=True)
    return _StepsToRead(first_steps, later, unread)


def read_ahead(session: Session, steps: Sequence[Step], *, undo: bool) -> ReadAhead:
    """Return a reading of what the preflight of a new run of *steps* will read, if it can begin."""
    few = () if isinstance(steps, StepLog) or len(steps) > _MOST_STEPS_AHEAD else steps
    first_steps = _steps_to_read(few, needed_only=True, undo=undo).first
    accept = _accept_listed(first_steps, _own_writes(session, first_steps.values(), ()))
    return ReadAhead(session, [step.ref for step in first_steps.values()], accept=accept)


async def run_preflight(
    session: Session,
    steps: Sequence[Step],
    run: Run | None = None,
    plan: Sequence[Step] = (),
    written: Iterable[Intent] = (),
    *,
    needed_only: bool = False,
    undo: bool = True,
    ahead: ReadAhead | None = None,
) -> Preflight:
    """Read the entities that *steps* of *plan* write and compare them; *run* keeps the documents.

    Of a ref with several steps only the first is compared with the current document. A ref that
    cannot be read is left unprepared: the replay reads it again before its step. So is one with
    expected values that a step before its own creates and, with *needed_only*, an inventory record
    that the replay reads anyway. Without *undo* the other records are not read at all. *written*
    are the requests of an earlier part of the run whose effect a list may not show yet. What was
    read *ahead* is not read again.
    """
    is_large = isinstance(steps, StepLog)
    folder = session.folder.path if is_large else None
    preflight = Preflight(PreparedRequests(folder), [], [], {}, {})
    creations = _creations(plan or steps)
    own = _own_writes(session, steps, written)
    read = total = 0
    parts: Iterable[Sequence[Step]] = [steps]
    if is_large:
        parts = ([steps[place] for place in places] for places in step_parts(steps))
    for part in parts:
        first_steps, later, unread = _steps_to_read(part, needed_only=needed_only, undo=undo)
        for number, prepared in unread.items():
            preflight.prepared.add(number, prepared)
        total = len(steps) if is_large else len(first_steps)
        reading = _Reading(session, run, creations, preflight)
        accept = _accept_listed(first_steps, own)
        refs = [step.ref for step in first_steps.values()]
        async for ref, current in read_documents(session, refs, accept=accept, ahead=ahead):
            session.raise_if_stopped()
            read += 1
            if read % _SHOWN_READS == 0:
                session.emit(Reading(read, total))
            step = first_steps[ref_key(ref)]
            if isinstance(current, OcsyncError):
                preflight.refused[step.number] = current.message
            else:
                await reading.take(step, current, later.get(ref_key(ref)))
        await reading.end()
    session.emit(ReadDone(read, preflight.prepared.same))
    preflight.conflicts.sort()
    preflight.missing.sort()
    return preflight


async def add_missing_references(
    session: Session, steps: Sequence[Step], preflight: Preflight
) -> None:
    """Add to what is *missing* the entities that steps of *preflight* would refer to by creating
    theirs, and that neither exist nor are created by the plan.

    No more than a thousand are read, and none for a plan that is kept on disk.
    """
    if isinstance(steps, StepLog):
        return
    creations = _creations(steps)
    noted = {conflict.number for conflict in (*preflight.conflicts, *preflight.missing)}
    referring: dict[str, list[Step]] = defaultdict(list)
    needed: dict[str, Ref] = {}
    for step in steps:
        prepared = preflight.prepared.get(step.number)
        if not (prepared and prepared.absent) or step.number in noted:
            continue
        for ref in references_of(step.ref, step.change.fields):
            key = ref_key(ref)
            is_generated = creations.generators and kind_of(ref).name == "variant"
            if key not in creations.keys and not is_generated:
                needed.setdefault(key, ref)
                referring[key].append(step)
    refs = list(islice(needed.values(), _MOST_REFERENCES))
    recent = {ref_key(intent.ref) for intent in recent_writes(session, refs)}
    async for ref, current in read_current(session.api, refs):
        for step in referring[ref_key(ref)] if current is None else ():
            if ref_key(ref) not in recent and step.number not in noted:
                noted.add(step.number)
                reason = f"it refers to {ref}, which does not exist"
                preflight.missing.append(StepConflict(step.number, step.ref, {}, reason))
    preflight.missing.sort()


class _Reading:
    """Current documents as they are read: each is kept for *run*, and compared with its step."""

    def __init__(
        self,
        session: Session,
        run: Run | None,
        creations: _Creations,
        preflight: Preflight,
    ) -> None:
        self._session = session
        self._run = run
        self._creations = creations
        self._preflight = preflight
        self._group: list[tuple[Ref, Document | None]] = []
        self._linking: list[Step] = []

    async def take(self, step: Step, current: Document | None, later: Fields | None) -> None:
        """Take the *current* document of the ref of *step*, which *later* steps set fields of."""
        ref, preflight = step.ref, self._preflight
        self._group.append((ref, current))
        if len(self._group) >= _KEPT_DOCUMENTS:
            self._keep_group()
        awaited = self._creations.makers.get(ref_key(ref), set()).intersection(step.needs)
        if awaited and step.change.expect and current is None:
            return
        prepared = prepare_request(step, current, later)
        if linked_refs(ref) and is_unchanged(step.change, prepared.sent, current):
            self._linking.append(step)
        preflight.prepared.add(step.number, prepared)
        if watched := watched_fields(kind_of(ref)):
            preflight.watched[step.number] = values_before(watched, current)
        conflict = conflict_of(step, prepared, current)
        if not conflict and (SUMMED_QUANTITY in {*step.change.fields, *step.change.adjust}):
            conflict = await _summed_conflict(self._session, step, current)
        if conflict:
            preflight.conflicts.append(conflict)
        elif (
            current is None
            and step.change.op is Op.SET
            and ref_key(ref) not in self._creations.keys
            and self._creations.generators.isdisjoint(step.needs)
        ):
            reason = "it does not exist, and set cannot create it (use stage put)"
            preflight.missing.append(StepConflict(step.number, ref, {}, reason))

    async def end(self) -> None:
        """Take the end of the documents."""
        self._keep_group()
        unlinked = await _unlinked(self._session, self._linking)
        for number in {step.number for step in self._linking} - unlinked:
            self._preflight.prepared.mark_same(number)

    def _keep_group(self) -> None:
        if self._run and self._group:
            self._run.record_before(self._group)
        self._group = []
