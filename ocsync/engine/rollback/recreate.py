"""A run of deletes taken back: what it deleted, and what went along, is staged to be made again.

As far as the documents before it tell, and as far as it can be made: users cannot, as their
password is write-only, nor variants, which come from specs; nor what hangs on these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import msgspec

from ocsync.diff import Document, diff, writable_fields
from ocsync.engine.delete.execute import cascaded_refs
from ocsync.engine.rollback.revert import Reversal, checked_reversal
from ocsync.engine.session import Session
from ocsync.engine.stale_reads import read_settled
from ocsync.errors import OcsyncError
from ocsync.field_paths import value_at
from ocsync.models import Change, Entry, Op, Outcome, Ref, State
from ocsync.plan import created_refs
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY, kind_of, parents_of, ref_key
from ocsync.store import Run
from ocsync.tombstones import depends_on_any


async def recreate_deleted(
    session: Session, run: Run, done: Collection[str], *, forced: Collection[str], settle: float
) -> list[Reversal]:
    """Return how to recreate what a run deleted, where everything above it exists."""
    outcomes = (o for o in run.outcomes() if isinstance(o, Outcome))
    ended = {ref_key(o.ref): o for o in outcomes if o.state is State.DONE}
    gone = {*ended, *map(ref_key, cascaded_refs(run, set(ended)))}
    kept: dict[str, tuple[Ref, Document]] = {}
    for ref, doc in run.before():
        if doc is not None and depends_on_any(ref, gone):
            kept.setdefault(ref_key(ref), (ref, doc))
    documents = dict(kept.values())
    known = {name for name, one in session.folder.tombstones.read().items() if one.run == run.id}
    late = {
        ref: partial(_is_as, ref, document)
        for ref, document in documents.items()
        if kind_of(ref).eventually_consistent and ref_key(ref) in known
    }
    wanted = [ref for ref in documents if ref_key(ref) not in done]
    found = await read_settled(session, wanted, late, settle)
    summed = _sums_of_records(documents)
    backs: dict[Ref, Reversal] = {}
    for ref, now in found.items():
        document = documents[ref]
        if isinstance(now, OcsyncError):
            backs[ref] = Reversal(ref, why=f"cannot be read: {now.message}")
        elif _is_as(ref, document, now):
            backs[ref] = Reversal(ref)
        elif now is not None and ref_key(ref) not in forced:
            backs[ref] = Reversal(ref, why="it is there again, and not as it was")
        else:
            replace = now is not None
            backs[ref] = recreate_entity(
                ref, document, summed=ref_key(ref) in summed, replace=replace
            )
    backs = _with_parents(backs, gone, done)
    return [_with_lost(back, ended.get(ref_key(back.ref))) for back in backs.values()]


def _is_as(ref: Ref, document: Document, now: Document | None) -> bool:
    """Return whether *now* is what was deleted, except for volatile fields."""
    kind = kind_of(ref)
    fields = writable_fields(kind, document)
    still = {p: v for p, v in fields.items() if p not in kind.fields or not kind.fields[p].volatile}
    return now is not None and not diff(ref, still, now)


def _sums_of_records(documents: Mapping[Ref, Document]) -> set[str]:
    """Return the keys of the refs whose stock was a sum: of records, or of variants."""
    records = [ref for ref in documents if kind_of(ref).name in RECORD_KINDS]
    parents = {ref_key(parent) for ref in records for parent in parents_of(ref)}
    tracked = {ref_key(r) for r, d in documents.items()
               if value_at(d, "Inventory.VariantLevelTracking") is True}  # fmt: skip
    return parents | tracked


def _with_parents(
    backs: Mapping[Ref, Reversal], gone: Collection[str], done: Collection[str]
) -> dict[Ref, Reversal]:
    """Return *backs* without those that depend on something which is not recreated."""
    coming = {ref_key(ref) for ref, back in backs.items() if not back.irreversible}
    coming |= set(done)
    result = dict(backs)
    while True:
        lone = {
            ref: parent
            for ref, back in result.items()
            if back.entries
            for parent in parents_of(ref)
            if depends_on_any(parent, gone) and ref_key(parent) not in coming
        }
        if not lone:
            return result
        for ref, parent in lone.items():
            why = f"cannot be made again without {parent}"
            result[ref] = Reversal(ref, lost=(why,), irreversible=True)
        coming -= {ref_key(ref) for ref in lone}


def _with_lost(back: Reversal, outcome: Outcome | None) -> Reversal:
    """Return *back* with the dependents that were deleted and are not known any more."""
    lost = [
        f"{number - kept:,} of {number:,} below it ({name}) were not kept"
        for name, (number, kept) in (outcome.cascaded if outcome else {}).items()
        if kept < number
    ]
    return msgspec.structs.replace(back, lost=(*back.lost, *lost)) if lost else back


def recreate_entity(ref: Ref, document: Document, *, summed: bool, replace: bool) -> Reversal:
    """Return how a deleted *ref* is created again, or with *replace* put over another.

    *summed* says that its stock was the sum of records below it.
    """
    kind = kind_of(ref)
    if not (kind.assignment or kind.allows_put):
        secret = any(field.write_only for field in kind.fields.values())
        why = "its password is write-only" if secret else "it comes from specs (generate)"
        return Reversal(ref, lost=(f"cannot be made again from here: {why}",), irreversible=True)
    fields = {
        p: v for p, v in writable_fields(kind, document, creating=True).items() if v is not None
    }
    if summed:
        fields.pop(SUMMED_QUANTITY, None)
    op = Op.ASSIGN if kind.assignment else Op.PUT
    again = [Entry(op=op, ref=ref, fields=fields, replace=replace)]
    unset = {made.unless_field: None for made in kind.creates if made.unless_field and not replace
             and made.unless_field not in fields}  # fmt: skip
    if unset:  # making it fills this in, with something new
        again.append(Entry(op=Op.SET, ref=ref, fields=unset))
    brought = created_refs(Change(op=Op.PUT, ref=ref, fields=fields)) if unset else []
    return checked_reversal(ref, again, [f"making it again brings {one} along" for one in brought])
