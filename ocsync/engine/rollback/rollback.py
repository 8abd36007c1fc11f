"""Rollback: edits that undo a run, staged for `plan` and `resume`. Nothing is sent.

    the run's writes -> the current documents -> a reversal of each ref (see `revert`) -> journal

A run of deletes can be undone too: the deleted entities are staged to be created again, as far as
their documents were kept (see `recreate`). Entities that a run created are listed for `ocsync
delete`, as a delete is never implied. A ref that was undone once is not undone again, unless that
undo was itself undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from ocsync.client import read_current
from ocsync.diff import Document, diff
from ocsync.engine.rollback.recreate import recreate_deleted
from ocsync.engine.rollback.revert import NO_PARENTS, Reversal, reversal_of, without_sum
from ocsync.engine.rollback.versions import Parents
from ocsync.engine.run_log import RefWrite, attempts, is_recent, read_writes
from ocsync.engine.session import Session
from ocsync.engine.staging import check_entries, clear_tombstones
from ocsync.engine.stale_reads import read_settled
from ocsync.engine.summed_stock import count_records, sum_text
from ocsync.errors import Conflict, ExitCode, FileMissing, OcsyncError, UsageError
from ocsync.field_paths import json_equal, value_at
from ocsync.models import CREATING_OPS, REVERT_SOURCE, Entry, Ref, State
from ocsync.plurals import count
from ocsync.schema import (
    RECORD_KINDS,
    SUMMED_QUANTITY,
    distinct_refs,
    ids_of,
    kind_of,
    parents_of,
    ref_key,
)
from ocsync.store import Run, Runs


class Rollback(NamedTuple):
    """The rollback of *run*: its *reversals* in the order of the plan, and refs that need none.

    *already* are refs that an earlier rollback of this run staged; *undone* were undone by later
    runs.
    """

    run: str
    kind: str
    reversals: list[Reversal]
    already: list[Ref]
    undone: list[Ref]

    @property
    def entries(self) -> list[Entry]:
        """The entries to be staged."""
        return [entry for reversal in self.reversals for entry in reversal.entries]

    @property
    def created(self) -> list[Ref]:
        """The refs that the run created, for `ocsync delete`."""
        return [ref for reversal in self.reversals for ref in reversal.created]

    @property
    def conflicts(self) -> list[Reversal]:
        """The reversals of refs that others changed since."""
        return [reversal for reversal in self.reversals if reversal.conflicts or reversal.reason]

    @property
    def irreversible(self) -> list[Reversal]:
        """The reversals of refs that cannot be undone at all."""
        return [reversal for reversal in self.reversals if reversal.irreversible]

    @property
    def incomplete(self) -> list[Reversal]:
        """The reversals that leave a value as the run wrote it."""
        return [reversal for reversal in self.reversals if reversal.incomplete]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: CONFLICT when others changed a ref, PARTLY when not all is undone."""
        if self.conflicts:
            return ExitCode.CONFLICT
        return ExitCode.PARTLY if self.irreversible or self.incomplete else ExitCode.DONE


def choose_run(runs: Runs, name: str) -> Run:
    """Return the run to undo: the one named, or the last resume that changed something.

    Raises FileMissing when there is none, UsageError for one that cannot be undone, Conflict when
    a run is not finished.
    """
    unfinished = runs.find_unfinished() or runs.find_unfinished("delete")
    if unfinished:
        command = f"ocsync {unfinished.read_info().kind}"
        raise Conflict(f"run {unfinished.id} is not finished", hint=f"{command}, then roll back")
    if name:
        run = runs.get(name)
        if run.read_info().kind == "resync":
            raise UsageError(f"run {run.id} only sent sync requests; there is nothing to undo")
        return run
    newest = runs.newest_resume(lambda info: bool(info.counts.get(State.DONE)))
    if newest is None:
        raise FileMissing("no run has changed anything yet", hint="ocsync history")
    return newest


async def roll_back(
    session: Session, run: Run, *, overwrite: Collection[Ref], settle: float
) -> Rollback:
    """Return the rollback of *run* from the current documents.

    *overwrite* names refs to undo despite changes by others. Reads that lag behind a recent run
    have *settle* seconds to show its values. Raises Conflict when other edits are staged for one of
    its refs.
    """
    forced = {ref_key(ref) for ref in overwrite}
    tag = REVERT_SOURCE + run.id
    staged = session.folder.journal.entries()
    already_staged = {ref_key(e.ref): e.ref for e in staged if e.source == tag}
    undone = _undone_refs(session.folder.runs, run)
    if not is_recent(session, run.read_info()):
        settle = 0.0
    others = [entry for entry in staged if entry.source != tag]
    if run.read_info().kind == "delete":
        reversals = await recreate_deleted(
            session, run, {*already_staged, *undone}, forced=forced, settle=settle
        )
        reversals = await _without_sums(session, reversals, _summed_by(others))
    else:
        reversals = await _reversals_of_resume(
            session,
            run,
            {*already_staged, *undone},
            forced=forced,
            settle=settle,
            summed=_summed_by(others),
        )
    _refuse_staged(reversals, others)
    undone_later = [ref for key, ref in undone.items() if key not in already_staged]
    return Rollback(
        run.id,
        run.read_info().kind,
        reversals,
        sorted(already_staged.values()),
        sorted(undone_later),
    )


def stage_rollback(session: Session, rollback: Rollback) -> list[Entry]:
    """Stage the entries of *rollback*, all or none, and return them."""
    at, tag = session.timestamp(), REVERT_SOURCE + rollback.run
    entries = [
        msgspec.structs.replace(entry, at=at, by=session.by, source=tag)
        for entry in rollback.entries
    ]
    if entries:
        checked = check_entries(session.folder, entries, recreated=True)
        session.folder.journal.add_segment(checked)
        edits = [entry for entry in entries if entry.op not in CREATING_OPS]
        clear_tombstones(session.folder, edits, recreated=True)
    return entries


async def _reversals_of_resume(
    session: Session,
    run: Run,
    done: Collection[str],
    *,
    forced: Collection[str],
    settle: float,
    summed: Collection[str],
) -> list[Reversal]:
    all_writes = read_writes(run, (State.DONE, State.UNKNOWN))
    writes = {ref: write for ref, write in all_writes.items() if ref_key(ref) not in done}
    documents: dict[Ref, Document | None] = {}
    for ref, document in run.before():
        kind = kind_of(ref)
        if kind.inherits_from or (
            ref in writes and (writes[ref].replaced or kind.quantity_summed_by)
        ):
            documents.setdefault(ref, document)
    lagging = {
        ref: partial(_shows_before, write)
        for ref, write in writes.items()
        if kind_of(ref).eventually_consistent
    }
    current = await read_settled(session, writes, lagging, settle)
    parents = await _read_parents(session, documents, current)
    created_records = Counter(
        ref_key(parent)
        for ref, write in all_writes.items()
        if write.absent and kind_of(ref).name in RECORD_KINDS
        for parent in parents_of(ref)
    )
    reversals = []
    for ref, write in writes.items():
        now = current[ref]
        if isinstance(now, OcsyncError):
            reversals.append(Reversal(ref, reason=f"cannot be read: {now.message}"))
            continue
        back = partial(
            reversal_of,
            write,
            documents.get(ref),
            now,
            forced=ref_key(ref) in forced,
            parents=parents.get(ref, NO_PARENTS),
        )
        reversal = back()
        if SUMMED_QUANTITY in write.fields or _writes_sum(reversal):
            text = await _sum_text(session, ref, now, summed)
            records = created_records[ref_key(ref)] if text else 0
            is_new = bool(records) and records == await count_records(session, ref)
            reversal = back(sum_text=text, sum_is_new=is_new)
        reversals.append(reversal)
    certain = await _without_uncertain(session, reversals, writes, current)
    return await _without_gone(session, certain)


async def _without_uncertain(
    session: Session,
    reversals: Sequence[Reversal],
    writes: Mapping[Ref, RefWrite],
    current: Mapping[Ref, Document | OcsyncError | None],
) -> list[Reversal]:
    """Return *reversals* without what was created beside a ref, unless it shows that.

    Another entity may have decided that nothing was created, and what is there then is somebody
    else's: a buyer whose group has a default catalog makes none.
    """
    deciders = {
        reversal.ref: writes[reversal.ref].decided_by
        for reversal in reversals
        if reversal.created and writes[reversal.ref].decided_by
    }
    found = {ref: doc async for ref, doc in read_current(session.api, set(deciders.values()))}
    certain = []
    for reversal in reversals:
        decider = deciders.get(reversal.ref)
        if decider and not _shows_own(reversal.ref, current[reversal.ref], found.get(decider)):
            beside = [ref for ref in reversal.created if ref != reversal.ref]
            texts = tuple(f"{ref} may have been created with it, and remains" for ref in beside)
            own = tuple(ref for ref in reversal.created if ref == reversal.ref)
            lost = (*reversal.lost, *texts)
            reversal = msgspec.structs.replace(reversal, created=own, lost=lost)
        certain.append(reversal)
    return certain


def _shows_own(ref: Ref, document: Any, decider: Any) -> bool:
    """Return whether *document* of *ref* names what was created beside it, by itself.

    *decider* is the document of the entity that it may inherit another value from.
    """
    own = ids_of(ref).values()
    return all(
        str(value_at(document, made.unless_field)).casefold() in {one.casefold() for one in own}
        and isinstance(decider, dict)
        and not decider.get(made.unless_field)
        for made in kind_of(ref).creates
    )


async def _without_gone(session: Session, reversals: Sequence[Reversal]) -> list[Reversal]:
    """Return *reversals* without what may have been created beside a ref and does not exist."""
    beside = [ref for r in reversals for ref in r.created if ref != r.ref]
    gone = {ref async for ref, found in read_current(session.api, beside) if found is None}
    return [
        msgspec.structs.replace(r, created=tuple(ref for ref in r.created if ref not in gone))
        for r in reversals
    ]


async def _read_parents(
    session: Session,
    documents: Mapping[Ref, Document | None],
    current: Mapping[Ref, Document | OcsyncError | None],
) -> dict[Ref, Parents]:
    """Return the parents of the entities that inherit, by the *documents* before and *current*.

    A parent that the run did not write is read now, for both.
    """
    families = {ref: (_parent_of(ref, documents.get(ref)), _parent_of(ref, current[ref]))
                for ref in current if kind_of(ref).inherits_from}  # fmt: skip
    before = {ref_key(ref): document for ref, document in documents.items()}
    now = {ref_key(ref): document for ref, document in current.items()}
    parents = distinct_refs(parent for pair in families.values() for parent in pair if parent)
    unread = [parent for parent in parents if ref_key(parent) not in now]
    now |= {ref_key(ref): document async for ref, document in read_current(session.api, unread)}

    def shown(parent: Ref, versions: Mapping[str, Any]) -> Document | None:
        key = ref_key(parent)
        document = versions[key] if key in versions else now.get(key)
        return document if isinstance(document, dict) else None

    return {
        ref: Parents(shown(old, before), shown(new, now)) for ref, (old, new) in families.items()
    }


def _parent_of(ref: Ref, document: Document | OcsyncError | None) -> Ref:
    """Return the entity whose values *document* of *ref* inherits; empty for none."""
    kind = kind_of(ref)
    parent = document.get(kind.inherits_from) if isinstance(document, dict) else None
    return f"{kind.name}/{parent}" if parent else ""


async def _sum_text(
    session: Session, ref: Ref, document: Document | None, summed: Collection[str]
) -> str:
    """Return the words that call the stock of *ref* a sum; that of *summed* refs becomes one."""
    staged = f"{SUMMED_QUANTITY} is the sum of staged inventory records"
    return staged if ref_key(ref) in summed else await sum_text(session, ref, document)


def _shows_before(write: RefWrite, now: Document | None) -> bool:
    """Return whether *now* may be a stale read that shows the values before the run."""
    if now is None:
        return write.absent
    paths = diff(write.ref, write.fields, now)
    return bool(paths) and all(json_equal(value_at(now, p), write.before.get(p)) for p in paths)


async def _without_sums(
    session: Session, reversals: Sequence[Reversal], summed: Collection[str]
) -> list[Reversal]:
    """Return *reversals* of deletes without stock that is a sum; see `_sum_text`."""
    texts: dict[Ref, str] = {}
    with_stock = [reversal.ref for reversal in reversals if _writes_sum(reversal)]
    async for ref, found in read_current(session.api, with_stock):
        document = found if isinstance(found, dict) else None
        texts[ref] = await _sum_text(session, ref, document, summed)
    return [without_sum(reversal, texts.get(reversal.ref, "")) for reversal in reversals]


def _summed_by(entries: Iterable[Entry]) -> set[str]:
    """Return the keys of the refs whose stock is the sum of the records that *entries* write."""
    refs = (entry.ref for entry in entries if entry.ref.partition("/")[0] in RECORD_KINDS)
    return {ref_key(parent) for ref in refs for parent in parents_of(ref)}


def _writes_sum(reversal: Reversal) -> bool:
    """Return whether *reversal* would write stock that may be a sum, or finds it changed."""
    names = [SUMMED_QUANTITY in entry.fields for entry in reversal.entries]
    return SUMMED_QUANTITY in reversal.conflicts or any(names)


def _refuse_staged(reversals: Iterable[Reversal], others: Iterable[Entry]) -> None:
    """Refuse a rollback when some of its refs have other staged edits.

    So have records whose product's quantity is staged, which is their sum.
    """
    staged = {ref_key(entry.ref) for entry in others}
    sums = {ref_key(entry.ref) for entry in others if SUMMED_QUANTITY in entry.fields}
    staged_refs = [
        reversal.ref
        for reversal in reversals
        if reversal.entries and ref_key(reversal.ref) in staged
    ]
    staged_refs += [
        parent
        for reversal in reversals
        if reversal.entries and kind_of(reversal.ref).name in RECORD_KINDS
        for parent in parents_of(reversal.ref)
        if ref_key(parent) in sums
    ]
    if staged_refs:
        first = staged_refs[0]
        refs = count(len(staged_refs), "ref of the run has", "refs of the run have")
        raise Conflict(
            f"{refs} other staged edits, such as {first}; nothing was staged",
            hint=f"ocsync stage show {first}; drop or resume the edits, then roll back",
        )


def _undone_refs(runs: Runs, run: Run) -> dict[str, Ref]:
    """Return the refs of *run*, by key, that later runs undid and that no run has redone."""
    if run.read_info().kind == "delete":
        return {}
    in_effect = {run.id: True}
    undone: dict[str, Ref] = {}
    for info in reversed(runs.read_all()):
        for name in info.reverts:
            if name not in in_effect:
                continue
            in_effect[info.id] = not in_effect[name]
            with runs.get(info.id) as later:
                refs = _reverted_refs(later, name)
            if in_effect[name]:
                undone |= refs
            else:
                undone = {key: ref for key, ref in undone.items() if key not in refs}
    return undone


def _reverted_refs(run: Run, name: str) -> dict[str, Ref]:
    tagged = {ref_key(entry.ref) for entry in run.entries() if entry.source == REVERT_SOURCE + name}
    log = attempts(run.outcomes())
    ended = (ref for _, ref, _, end in log if end and end.state.succeeded)
    return {ref_key(ref): ref for ref in ended if ref_key(ref) in tagged}
