"""Deleting, at once: OrderCloud cannot pause deletes, so the targets see them immediately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocsync.client import read_current
from ocsync.engine.work import Work
from ocsync.errors import Conflict, Interrupted, NotFound, OcsyncError, SignInError, TryLater
from ocsync.events import Sent
from ocsync.models import Entry, Ref
from ocsync.plan import feeds
from ocsync.resources import KINDS, ids_of, kind_of, parents_of, references_of, removal_of, url_of


class Doomed(NamedTuple):
    """What deleting one ref takes along.

    *children* maps a kind to how many of it the server has below the ref (api-facts 5.2: assume
    they go with it). *staged* are the entries for it and below it, *naming* those that name it.
    """

    ref: Ref
    exists: bool
    children: dict[str, int]
    staged: tuple[Entry, ...]
    naming: tuple[Entry, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that hear of it at once."""
        return feeds([self.ref]).direct


async def survey_deletes(work: Work, refs: Sequence[Ref]) -> list[Doomed]:
    """What deleting *refs* would take along; nothing is changed.

    Raises Conflict when a run that is not finished still writes one of them.
    """
    _refuse_running(work, refs)
    entries = work.folder.journal.entries()
    found = {ref: current async for ref, current in read_current(work.api, refs)}
    doomed = []
    for ref in refs:
        current = found.get(ref)
        if isinstance(current, OcsyncError):
            raise current
        below = tuple(e for e in entries if belongs_to(e.ref, ref))
        naming = tuple(e for e in entries if e not in below and names(e, ref))
        children = await _children(work, ref, current or {}) if current is not None else {}
        doomed.append(Doomed(ref, current is not None, children, below, naming))
    return doomed


async def delete(work: Work, doomed: Iterable[Doomed]) -> list[tuple[Ref, OcsyncError]]:
    """Delete each, children first named last; drop what is staged for it. The refs that failed."""
    failed: list[tuple[Ref, OcsyncError]] = []
    rows = list(doomed)
    for done, row in enumerate(rows, 1):
        if work.stop.is_set():
            raise Interrupted(f"stopped; {done - 1:,} of {len(rows):,} are deleted")
        error = ""
        try:
            await work.api.delete(removal_of(row.ref))
        except NotFound:
            pass  # gone already: that is what was wanted
        except (TryLater, SignInError):
            raise
        except OcsyncError as refused:
            failed.append((row.ref, refused))
            error = refused.message
        if not error and row.staged:
            work.folder.journal.drop([entry.seq for entry in row.staged])
        work.emit(Sent(row.ref, done, len(rows), error))
    return failed


def belongs_to(ref: Ref, parent: Ref) -> bool:
    """Whether *ref* is *parent*, or cannot be without it."""
    if ref.casefold() == parent.casefold():
        return True
    return any(belongs_to(above, parent) for above in parents_of(ref))


def names(entry: Entry, ref: Ref) -> bool:
    """Whether *entry* refers to *ref* in one of its fields."""
    return any(r.casefold() == ref.casefold() for r in references_of(entry.ref, entry.fields))


def _refuse_running(work: Work, refs: Sequence[Ref]) -> None:
    run = work.folder.runs.open_run()
    if run is None:
        return
    with run:
        touched = {e.ref for e in run.entries() if any(belongs_to(e.ref, r) for r in refs)}
    if touched:
        raise Conflict(
            f"run {run.id} is not finished and still writes {min(touched)}",
            hint="ocsync resume, then delete",
        )


async def _children(work: Work, ref: Ref, current: dict[str, object]) -> dict[str, int]:
    """How many entities of each kind the server lists below *ref*, by the total of a list."""
    counts: dict[str, int] = {}
    base = url_of(ref)
    ids = ids_of(ref)
    if kind_of(ref).assignment:
        return counts
    for kind in KINDS.values():
        path = kind.collection
        if kind.assignment or kind.optional or not set(_names_in(path)) <= set(ids):
            continue
        path = path.format_map(ids)
        if path.startswith(base + "/"):
            page = await work.api.page(path, {**kind.list_query, "pageSize": "1"})
            if page.total:
                counts[kind.name] = page.total
    below = current.get("ChildCount")
    if isinstance(below, int) and below:
        counts[kind_of(ref).name] = below
    return counts


def _names_in(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
