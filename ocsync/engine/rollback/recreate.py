"""Undoing a run of deletes: entries that create the deleted entities and their dependents again.

Only entities with a document from before the delete can be created again. Users cannot, as their
password is write-only, nor variants, which OrderCloud generates from specs, nor their dependents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import msgspec

from ocsync.diff import Document, diff, writable_fields
from ocsync.engine.creation import creation_fault, creation_of, linked_fields
from ocsync.engine.delete.execute import cascaded_refs
from ocsync.engine.rollback.revert import Reversal, checked_reversal
from ocsync.engine.session import Session
from ocsync.engine.stale_reads import read_settled
from ocsync.errors import OcsyncError
from ocsync.field_paths import value_at
from ocsync.models import Outcome, Ref, State
from ocsync.plurals import count
from ocsync.schema import (
    RECORD_KINDS,
    kind_of,
    parents_of,
    ref_key,
)
from ocsync.store import Run
from ocsync.tombstones import depends_on_any


async def recreate_deleted(
    session: Session, run: Run, done: Collection[str], *, forced: Collection[str], settle: float
) -> list[Reversal]:
    """Return a reversal for each entity that *run* deleted, directly or as a dependent."""
    outcomes = (o for o in run.outcomes() if isinstance(o, Outcome))
    outcomes_by_key = {ref_key(o.ref): o for o in outcomes if o.state is State.DONE}
    deleted_keys = {*outcomes_by_key, *map(ref_key, cascaded_refs(run, set(outcomes_by_key)))}
    documents_by_key: dict[str, tuple[Ref, Document]] = {}
    for ref, doc in run.before():
        if doc is not None and depends_on_any(ref, deleted_keys):
            documents_by_key.setdefault(ref_key(ref), (ref, doc))
    documents = dict(documents_by_key.values())
    tombstone_keys = {
        name
        for name, tombstone in session.folder.tombstones.read().items()
        if tombstone.run == run.id
    }
    lagging = {
        ref: partial(_is_unchanged, ref, document)
        for ref, document in documents.items()
        if kind_of(ref).eventually_consistent and ref_key(ref) in tombstone_keys
    }
    refs = [ref for ref in documents if ref_key(ref) not in done]
    linked = [other for ref in refs for other in linked_fields(ref, documents[ref]).values()]
    others = [ref for ref in linked if ref_key(ref) not in documents_by_key]
    current = await read_settled(session, [*refs, *others], lagging, settle)
    exist = {*documents_by_key, *(ref_key(r) for r in others if isinstance(current[r], dict))}
    summed = _summed_refs(documents)
    reversals: dict[Ref, Reversal] = {}
    for ref in refs:
        document, now = documents[ref], current[ref]
        if isinstance(now, OcsyncError):
            reversals[ref] = Reversal(ref, reason=f"cannot be read: {now.message}")
        elif _is_unchanged(ref, document, now):
            reversals[ref] = Reversal(ref)
        elif now is not None and ref_key(ref) not in forced:
            reversals[ref] = Reversal(ref, reason="was recreated since, with other values")
        else:
            replace = now is not None
            reversals[ref] = recreate_entity(
                ref, document, summed=ref_key(ref) in summed, replace=replace, exist=exist
            )
    reversals = _with_parents(reversals, deleted_keys, done)
    return [
        _with_lost_dependents(reversal, outcomes_by_key.get(ref_key(reversal.ref)))
        for reversal in reversals.values()
    ]


def _is_unchanged(ref: Ref, document: Document, now: Document | None) -> bool:
    """Return whether *now* has the values of the deleted *document*, except in volatile fields."""
    kind = kind_of(ref)
    fields = writable_fields(kind, document)
    stable_fields = {
        p: v for p, v in fields.items() if p not in kind.fields or not kind.fields[p].volatile
    }
    return now is not None and not diff(ref, stable_fields, now)


def _summed_refs(documents: Mapping[Ref, Document]) -> set[str]:
    """Return the keys of the refs whose stock was the sum of records or of variants."""
    records = [ref for ref in documents if kind_of(ref).name in RECORD_KINDS]
    parents = {ref_key(parent) for ref in records for parent in parents_of(ref)}
    tracked = {ref_key(r) for r, d in documents.items()
               if value_at(d, "Inventory.VariantLevelTracking") is True}  # fmt: skip
    return parents | tracked


def _with_parents(
    reversals: Mapping[Ref, Reversal], deleted_keys: Collection[str], done: Collection[str]
) -> dict[Ref, Reversal]:
    """Return *reversals* with those made irreversible whose parent is not created again."""
    recreated = {ref_key(ref) for ref, reversal in reversals.items() if not reversal.irreversible}
    recreated |= set(done)
    result = dict(reversals)
    while True:
        orphans = {
            ref: parent
            for ref, reversal in result.items()
            if reversal.entries
            for parent in parents_of(ref)
            if depends_on_any(parent, deleted_keys) and ref_key(parent) not in recreated
        }
        if not orphans:
            return result
        for ref, parent in orphans.items():
            reason = f"cannot be recreated without {parent}"
            result[ref] = Reversal(ref, lost=(reason,), irreversible=True)
        recreated -= {ref_key(ref) for ref in orphans}


def _with_lost_dependents(reversal: Reversal, outcome: Outcome | None) -> Reversal:
    """Return *reversal* with the number of deleted dependents whose documents were not kept, and
    with the kinds that were not counted.
    """
    cascaded = outcome.cascaded if outcome else {}
    lost = [
        f"{number - kept:,} of its {count(number, 'dependent')} ({name}) not recorded"
        for name, (number, kept) in cascaded.items()
        if kept < number
    ]
    if uncounted := [name for name, (number, _) in cascaded.items() if not number]:
        more = f" and {len(uncounted) - 3} more kinds" if len(uncounted) > 4 else ""
        named = ", ".join(uncounted[:3] if more else uncounted)
        lost.append(f"dependents not recorded, if it had any: {named}{more}")
    return msgspec.structs.replace(reversal, lost=(*reversal.lost, *lost)) if lost else reversal


def recreate_entity(
    ref: Ref, document: Document, *, summed: bool, replace: bool, exist: Collection[str] = ()
) -> Reversal:
    """Return the reversal that creates a deleted *ref* again, or that with *replace* puts it over
    the entity that exists.

    *summed*, *replace* and *exist* are those of `creation_of`.
    """
    if reason := creation_fault(kind_of(ref)):
        return Reversal(ref, lost=(f"cannot be recreated: {reason}",), irreversible=True)
    entries, beside = creation_of(ref, document, summed=summed, replace=replace, exist=exist)
    return checked_reversal(
        ref, entries, [f"recreating it also creates {other}" for other in beside]
    )
