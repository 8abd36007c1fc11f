"""Effect of a delete on staged edits: those staged before it, and those staged after. Pure.

A staged put (or an assignment's assign) creates its ref again, if everything above it exists or is
created again too. So of the entries below a deleted ref those from the first such one on are kept,
and the others are dropped; an edit of a deleted ref is refused unless an entry before it creates
the ref again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from ocsync.errors import InputError, Problem
from ocsync.models import CREATING_OPS, Entry, Ref, Tombstone
from ocsync.schema import kind_of, lineage, parents_of, ref_key, references_of


class AffectedEntries(NamedTuple):
    """Staged entries below deleted refs: those to drop, and those to keep."""

    dropped: list[Entry]
    kept: list[Entry]


def split_by_deletion(entries: Iterable[Entry], gone: Collection[Ref]) -> AffectedEntries:
    """Split *entries*, in journal order, by what the delete of the refs *gone* does to them.

    Entries that have nothing to do with these refs are in neither list.
    """
    deleted = {ref_key(ref) for ref in gone}
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[ref_key(entry.ref)].append(entry)
    below = [ref for ref in groups if depends_on_any(ref, deleted)]
    makers = {ref for ref in below if any(e.op in CREATING_OPS for e in groups[ref])}

    def returns(ref: Ref) -> bool:
        above = (parent for parent in parents_of(ref) if depends_on_any(parent, deleted))
        return ref_key(ref) in makers and all(map(returns, above))

    affected = AffectedEntries([], [])
    for ref in below:
        is_created, kept = returns(ref), False
        for entry in groups[ref]:
            kept = kept or (is_created and entry.op in CREATING_OPS)
            (affected.kept if kept else affected.dropped).append(entry)
    return affected


def depends_on_any(ref: Ref, names: Collection[str]) -> bool:
    """Return whether *ref* is, or cannot exist without, one of *names* (in lower case)."""
    return any(ref_key(one) in names for one in lineage(ref))


def mentions_any(entry: Entry, names: Collection[str]) -> bool:
    """Return whether *entry* names one of *names* (in lower case), in its IDs or in a field."""
    return any(ref_key(ref) in names for ref in references_of(entry.ref, entry.fields))


def refuse_deleted(
    entries: Iterable[Entry], staged: Iterable[Entry], gone: Mapping[str, Tombstone]
) -> Iterator[Entry]:
    """Yield *entries* unchanged, after checking each against *gone* (by ref, in lower case).

    *staged* is iterated when one of them needs a deleted ref. Raises InputError at the end when one
    edits or names a deleted ref, and no entry staged before it creates that again.
    """
    makers: set[str] = set()
    problems: list[Problem] = []
    hint = ""
    for entry in entries:
        if entry.op in CREATING_OPS:
            makers.add(ref_key(entry.ref))
        needed = [n for n in _required_refs(entry) if n in gone and n not in makers]
        if needed:
            makers |= {ref_key(entry.ref) for entry in staged if entry.op in CREATING_OPS}
            staged = ()
        tombstone = next((gone[n] for n in needed if n not in makers), None)
        if tombstone:
            problems.append(_problem(entry, tombstone))
            hint = hint or _hint_for(tombstone.ref)
        yield entry
    if problems:
        raise InputError("nothing was staged", problems[:1000], hint=hint)


def _required_refs(entry: Entry) -> Iterator[str]:
    """Yield every ref that must exist for *entry*, in lower case, its own first."""
    yield ref_key(entry.ref)
    for ref in references_of(entry.ref, entry.fields):
        yield from map(ref_key, lineage(ref))


def _problem(entry: Entry, tombstone: Tombstone) -> Problem:
    what = (
        "was"
        if ref_key(tombstone.ref) == ref_key(entry.ref)
        else f"needs {tombstone.ref}, which was"
    )
    ended = "deleted by" if tombstone.confirmed else "about to be deleted by the unfinished"
    reason = f"{what} {ended} run {tombstone.run}"
    return Problem.of_entry(entry.source, "ref", entry.ref, reason)


def _hint_for(ref: Ref) -> str:
    kind = kind_of(ref)
    verb = "assign" if kind.assignment else "put"
    anew = (
        f"to create it again: ocsync stage {verb} {ref} ...; "
        if kind.assignment or kind.allows_put
        else ""
    )
    return f"{anew}if it was recreated elsewhere: --recreated"
