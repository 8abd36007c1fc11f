"""Staging: entries held against what is staged already and what was deleted from here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ocsync.intake import check_against_staged
from ocsync.models import Entry
from ocsync.schema import lineage
from ocsync.store import ProfileDir
from ocsync.tombstones import refuse_deleted


def check_entries(
    folder: ProfileDir, entries: Iterable[Entry], staged: Sequence[Entry], *, recreated: bool
) -> Iterator[Entry]:
    """Yield *entries* as they are; what was deleted by this workspace counts as existing when it is
    *recreated*.

    Raises InputError at the end when some cannot be staged beside what is *staged*, or edit what is
    gone and nothing staged or under way makes again.
    """
    gone = {} if recreated else folder.tombstones.read()
    run = folder.runs.open_run() if gone else None
    sealed = list(run.entries()) if run else []
    return refuse_deleted(check_against_staged(entries, staged), [*sealed, *staged], gone)


def clear_tombstones(folder: ProfileDir, entries: Iterable[Entry], *, recreated: bool) -> None:
    """Remove the tombstones of *entries*' refs, and of everything above them, when *recreated*."""
    if recreated:
        folder.tombstones.remove(ref for entry in entries for ref in lineage(entry.ref))
