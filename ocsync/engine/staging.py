"""Staging: entries held against what is staged already and what was deleted from here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ocsync.intake import check_against_staged
from ocsync.models import Entry
from ocsync.schema import lineage
from ocsync.store import ProfileDir
from ocsync.tombstones import refuse_gone


def checked(
    folder: ProfileDir, entries: Iterable[Entry], staged: Sequence[Entry], *, recreated: bool
) -> Iterator[Entry]:
    """*entries* as they are; what was deleted from here counts as there when it is *recreated*.

    Raises InputError at the end when some cannot be staged beside what is *staged*, or edit what is
    gone and nothing staged or under way makes again.
    """
    gone = {} if recreated else folder.tombstones.read()
    run = folder.runs.open_run() if gone else None
    sealed = list(run.entries()) if run else []
    return refuse_gone(check_against_staged(entries, staged), [*sealed, *staged], gone)


def lift(folder: ProfileDir, entries: Iterable[Entry], *, recreated: bool) -> None:
    """When *recreated*, what *entries* are for is not gone any more, nor is anything above it."""
    if recreated:
        folder.tombstones.lift(ref for entry in entries for ref in lineage(entry.ref))
