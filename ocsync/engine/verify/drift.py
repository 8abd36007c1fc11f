"""Drift: the values that the last writes of several runs left, compared with those there now.

Of each field the last write counts, whichever run sent it; so the writes of a rollback replace
those that it undoes. A delete replaces all earlier writes of a ref and of what depends on it.
Nothing is claimed of a field whose last write has an unknown outcome. Read-only, in the workspace
too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from ocsync.engine.delete.execute import cascaded_refs
from ocsync.engine.run_log import RECENT_SECONDS, RefWrite, combine, load_progress, read_writes
from ocsync.engine.session import Session
from ocsync.engine.verify.readback import Verification, read_back
from ocsync.field_paths import is_below
from ocsync.models import Fields, Ref, State
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY, kind_of, parents_of, ref_key
from ocsync.store import Run, RunInfo, Runs
from ocsync.tombstones import depends_on_any


class FieldWrite(NamedTuple):
    """The last write of a field: its run, and the value that it found there."""

    run: str
    before: Any


class RefHistory:
    """The writes of one ref by several runs, as one.

    *write* is None where nothing can be claimed, *run* the last one that wrote it. *fields* maps a
    path to its last write, *unknown* one of unknown outcome to the run; "" stands for all fields.
    """

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        self.run = ""
        self.write: RefWrite | None = None
        self.fields: dict[str, FieldWrite] = {}
        self.unknown: dict[str, str] = {}

    def add(self, run: str, write: RefWrite) -> None:
        """Add a later write."""
        earlier = None if write.deleted else self.write
        if write.deleted or write.replaced or kind_of(self.ref).assignment:
            self.fields.clear()
            self.unknown.clear()
        is_first = earlier is None or earlier.deleted
        self.write = write if is_first or earlier is None else combine(earlier, write)
        self.run = run
        for path in (*write.fields, *write.emptied):
            before = write.before.get(path, write.emptied.get(path))
            self.fields[path] = FieldWrite(run, before)
            self.unknown.pop(path, None)

    def disclaim(self, run: str, fields: Iterable[str]) -> None:
        """Claim nothing of *fields*, which *run* wrote with unknown outcome; "" are all fields."""
        for path in fields:
            self.unknown[path] = run
            self.fields.pop(path, None)
        if "" in self.unknown or self.write is None or self.write.deleted:
            self.write = None
        else:
            known = {p: v for p, v in self.write.fields.items() if p not in self.unknown}
            emptied = {p: v for p, v in self.write.emptied.items() if p not in self.unknown}
            rest = self.write._replace(fields=known, emptied=emptied)
            self.write = rest if known or emptied else None

    def field_at(self, path: str) -> FieldWrite:
        """Return the last write of the field at *path*, or of one that contains it."""
        outer = (one for one in self.fields if one == path or is_below(path, one))
        return self.fields.get(next(outer, ""), FieldWrite(self.run, None))

    def forget(self, path: str) -> None:
        """Claim nothing of a field that has another meaning by now."""
        if self.write:
            fields = {p: value for p, value in self.write.fields.items() if p != path}
            self.write = self.write._replace(fields=fields)


class Drift(NamedTuple):
    """The result: what was verified of the *histories* of refs that *runs* wrote.

    *unfinished* are those of the runs that may still write.
    """

    runs: list[RunInfo]
    histories: dict[Ref, RefHistory]
    verification: Verification

    @property
    def unfinished(self) -> list[str]:
        """The runs that are not finished."""
        return [info.id for info in self.runs if info.state == "open"]

    @property
    def unknown(self) -> list[RefHistory]:
        """The refs of which a last write has an unknown outcome."""
        return [one for one in self.histories.values() if one.unknown]


async def find_drift(session: Session, since: str, *, settle: float) -> Drift:
    """Compare what the runs begun *since* left with what is there; the session is signed in.

    Reads that lag behind a recent write have *settle* seconds to show it.
    """
    runs = session.folder.runs
    infos = [info for info in runs.read_all() if info.started >= since and info.kind != "resync"]
    histories = read_histories(runs, infos)
    writes = {ref: one.write for ref, one in histories.items() if one.write}
    result = Verification({}, [], [])

    def lags(write: RefWrite) -> bool:
        age = session.now() - write.sent_at if write.sent_at else None
        return age is not None and age < timedelta(seconds=RECENT_SECONDS)

    await read_back(session, [writes], result, total=len(writes), settle=settle, lags=lags)
    result.findings.sort(key=lambda finding: (finding.sign.severity, finding.ref))
    return Drift(infos, histories, result)


def read_histories(runs: Runs, infos: Iterable[RunInfo]) -> dict[Ref, RefHistory]:
    """Return the history of each ref that the runs *infos*, newest first, wrote. Raises Damaged."""
    histories: dict[str, RefHistory] = {}
    for info in reversed(list(infos)):
        with runs.get(info.id) as run:
            _add_run(histories, run)
    return {one.ref: one for one in histories.values()}


def _add_run(histories: dict[str, RefHistory], run: Run) -> None:
    writes = read_writes(run)
    for ref, write in writes.items():
        _history(histories, ref).add(run.id, write)
    records = (ref for ref in writes if kind_of(ref).name in RECORD_KINDS)
    for parent in (parent for ref in records for parent in parents_of(ref)):
        if ref_key(parent) in histories:
            histories[ref_key(parent)].forget(SUMMED_QUANTITY)  # it is their sum by now
    if deleted := {ref for ref, write in writes.items() if write.deleted}:
        _drop_dependents(histories, deleted, {*deleted, *cascaded_refs(run, deleted)})
    for ref, write in read_writes(run, (State.UNKNOWN,)).items():
        _disclaim(histories, run.id, ref, {} if write.replaced else write.fields)
    for intent in load_progress(run).dangling.values():
        _disclaim(histories, run.id, intent.ref, {} if intent.emptied else intent.sent)


def _drop_dependents(
    histories: dict[str, RefHistory], deleted: set[Ref], with_children: set[Ref]
) -> None:
    """Remove what was deleted together with *deleted*: nobody looks at it any more."""
    own = {ref_key(ref) for ref in deleted}
    keys = {ref_key(ref) for ref in with_children}
    for key, one in list(histories.items()):
        if key not in own and depends_on_any(one.ref, keys):
            del histories[key]


def _disclaim(histories: dict[str, RefHistory], run: str, ref: Ref, fields: Fields) -> None:
    _history(histories, ref).disclaim(run, fields or [""])


def _history(histories: dict[str, RefHistory], ref: Ref) -> RefHistory:
    return histories.setdefault(ref_key(ref), RefHistory(ref))
