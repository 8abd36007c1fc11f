"""Rollback: the way back of a run, staged. Nothing is sent; `plan` and `resume` come after it.

    what the run wrote (see `undo`) -> what is there now -> the way back of each ref -> the journal

A run of deletes goes back too: what it deleted is staged to be made again, as far as the documents
before it tell. What a run created is listed for `ocsync delete`, as deletes are never silent. What
was taken back once is not taken back again, unless that was itself taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import NamedTuple

import msgspec

from ocsync.diff import Document, diff
from ocsync.engine.rollback.recreate import recreate_deleted
from ocsync.engine.rollback.revert import Reversal, reversal_of
from ocsync.engine.run_log import RefWrite, attempts, is_recent, read_writes
from ocsync.engine.session import Session
from ocsync.engine.staging import check_entries, clear_tombstones
from ocsync.engine.stale_reads import read_settled
from ocsync.errors import Conflict, ExitCode, FileMissing, OcsyncError, UsageError
from ocsync.field_paths import json_equal, value_at
from ocsync.models import CREATING_OPS, Entry, Ref, State
from ocsync.schema import kind_of, ref_key
from ocsync.store import Run, Runs

_TAG = "rollback "


class Rollback(NamedTuple):
    """The way back of *run*: *reversals* in the order of the plan, and refs that need none.

    *already* are staged by a rollback of this run before; *undone* were taken back by later runs.
    """

    run: str
    kind: str
    reversals: list[Reversal]
    already: list[Ref]
    undone: list[Ref]

    @property
    def entries(self) -> list[Entry]:
        """The entries to be staged."""
        return [entry for back in self.reversals for entry in back.entries]

    @property
    def created(self) -> list[Ref]:
        """The refs that the run created, for `ocsync delete`."""
        return [ref for back in self.reversals for ref in back.created]

    @property
    def conflicts(self) -> list[Reversal]:
        """The reversals of refs that others changed since."""
        return [back for back in self.reversals if back.conflicts or back.why]

    @property
    def irreversible(self) -> list[Reversal]:
        """The reversals of refs that cannot be undone at all."""
        return [back for back in self.reversals if back.irreversible]

    @property
    def exit_code(self) -> ExitCode:
        """CONFLICT when something is left out for others' changes, PARTLY when it cannot be."""
        if self.conflicts:
            return ExitCode.CONFLICT
        return ExitCode.PARTLY if self.irreversible else ExitCode.DONE


def choose_run(runs: Runs, name: str) -> Run:
    """Return the run to undo: the one named, or the last resume that changed something.

    Raises FileMissing when there is none, UsageError for one that cannot be taken back, Conflict
    when a run is not finished.
    """
    unfinished = runs.find_unfinished() or runs.find_unfinished("delete")
    if unfinished:
        command = f"ocsync {unfinished.read_info().kind}"
        raise Conflict(f"run {unfinished.id} is not finished", hint=f"{command}, then roll back")
    if name:
        run = runs.get(name)
        if run.read_info().kind == "resync":
            raise UsageError(f"run {run.id} only sent sync requests: there is nothing to take back")
        return run
    changed = (i for i in runs.read_all() if i.kind == "resume" and i.counts.get(State.DONE))
    newest = next(changed, None)
    if newest is None:
        raise FileMissing("no run has changed anything yet", hint="ocsync history")
    return runs.get(newest.id)


def reverted_runs(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the runs that *entries* undo."""
    found = {e.source.removeprefix(_TAG) for e in entries if e.source.startswith(_TAG)}
    return tuple(sorted(found))


async def roll_back(
    session: Session, run: Run, *, overwrite: Collection[Ref], settle: float
) -> Rollback:
    """Return how to undo *run* as things are now; *overwrite* names refs to undo all the same.

    Reads that lag behind a fresh run are given *settle* seconds to show what it left. Raises
    Conflict when something else is staged for one of its refs.
    """
    forced = {ref_key(ref) for ref in overwrite}
    tag = _TAG + run.id
    staged = session.folder.journal.entries()
    ours = {ref_key(e.ref): e.ref for e in staged if e.source == tag}
    undone = _undone(session.folder.runs, run)
    if not is_recent(session, run.read_info()):
        settle = 0.0
    if run.read_info().kind == "delete":
        backs = await recreate_deleted(session, run, {*ours, *undone}, forced=forced, settle=settle)
    else:
        backs = await _resumed(session, run, {*ours, *undone}, forced=forced, settle=settle)
    _refuse_staged(backs, [entry for entry in staged if entry.source != tag])
    later = [ref for key, ref in undone.items() if key not in ours]
    return Rollback(run.id, run.read_info().kind, backs, sorted(ours.values()), sorted(later))


def stage_rollback(session: Session, found: Rollback) -> list[Entry]:
    """Stage the way back, all of it or nothing; the entries."""
    at, tag = session.timestamp(), _TAG + found.run
    entries = [
        msgspec.structs.replace(entry, at=at, by=session.by, source=tag) for entry in found.entries
    ]
    if entries:
        staged = session.folder.journal.entries()
        good = check_entries(session.folder, entries, staged, recreated=True)
        session.folder.journal.add_segment(good)
        there = [entry for entry in entries if entry.op not in CREATING_OPS]
        clear_tombstones(session.folder, there, recreated=True)
    return entries


async def _resumed(
    session: Session, run: Run, done: Collection[str], *, forced: Collection[str], settle: float
) -> list[Reversal]:
    every = read_writes(run, (State.DONE, State.UNKNOWN))
    writes = {ref: write for ref, write in every.items() if ref_key(ref) not in done}
    whole = {ref for ref, write in writes.items() if write.replaced}
    documents: dict[Ref, Document | None] = {}
    for ref, document in run.before():
        if ref in whole:
            documents.setdefault(ref, document)
    late = {
        ref: partial(_shows_before, write)
        for ref, write in writes.items()
        if kind_of(ref).eventually_consistent
    }
    found = await read_settled(session, writes, late, settle)
    backs = []
    for ref, write in writes.items():
        now = found[ref]
        if isinstance(now, OcsyncError):
            backs.append(Reversal(ref, why=f"cannot be read: {now.message}"))
        else:
            force = ref_key(ref) in forced
            backs.append(reversal_of(write, documents.get(ref), now, forced=force))
    return backs


def _shows_before(write: RefWrite, now: Document | None) -> bool:
    """Return whether *now* may be what was there before the run."""
    if now is None:
        return write.absent
    paths = diff(write.ref, write.fields, now)
    return bool(paths) and all(json_equal(value_at(now, p), write.before.get(p)) for p in paths)


def _refuse_staged(backs: Iterable[Reversal], others: Iterable[Entry]) -> None:
    """Refuse a rollback of refs that have staged edits: it is staged whole or not at all."""
    staged = {ref_key(entry.ref) for entry in others}
    both = [back.ref for back in backs if back.entries and ref_key(back.ref) in staged]
    if both:
        raise Conflict(
            f"{len(both):,} of its refs are staged already, such as {both[0]}; nothing was staged",
            hint=f"ocsync stage show {both[0]}; drop it or resume, then roll back",
        )


def _undone(runs: Runs, run: Run) -> dict[str, Ref]:
    """Return the refs of *run* that later runs undid, and whose undoing was not undone itself.

    They are by key.
    """
    if run.read_info().kind == "delete":
        return {}
    forward = {run.id: True}
    found: dict[str, Ref] = {}
    for info in reversed(runs.read_all()):
        for name in info.reverts:
            if name not in forward:
                continue
            forward[info.id] = not forward[name]
            with runs.get(info.id) as later:
                refs = _taken_back(later, name)
            if forward[name]:
                found |= refs
            else:
                found = {key: ref for key, ref in found.items() if key not in refs}
    return found


def _taken_back(run: Run, name: str) -> dict[str, Ref]:
    tagged = {ref_key(entry.ref) for entry in run.entries() if entry.source == _TAG + name}
    log = attempts(run.outcomes())
    ended = (ref for _, ref, _, end in log if end and end.state.succeeded)
    return {ref_key(ref): ref for ref in ended if ref_key(ref) in tagged}
