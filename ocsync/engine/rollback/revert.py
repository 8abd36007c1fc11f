"""The way back of one ref: what a run write, what was there before, what is there now. Pure.

Only what the run write is taken back. A field that is not as the run left it was changed by
somebody else since: a conflict, and then nothing of that ref is taken back unless it is forced.
Numbers that move by themselves (stock) go back by the difference, so that what was sold since stays
sold. What was created is for `ocsync delete`. Entries expect what is there now, so that `resume`
guards them once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ocsync.diff import Document, writable_fields
from ocsync.engine.run_log import RefWrite, default_of
from ocsync.field_paths import MISSING, json_equal, value_at
from ocsync.intake.field_values import validate
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import Kind, field_at, ids_of, kind_of, ref_key
from ocsync.tombstones import depends_on_any


class Reversal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The way back of *ref*: *entries* to stage, or why there is none.

    *conflicts* maps path -> before, left and now; *why* says it where no field does. *created* are
    refs that came into being, for `ocsync delete`. *lost* says what cannot be as it was; with
    *irreversible* the ref as a whole cannot. With none of all these there is nothing to do.
    """

    ref: Ref
    entries: tuple[Entry, ...] = ()
    conflicts: dict[str, dict[str, Any]] = {}
    why: str = ""
    created: tuple[Ref, ...] = ()
    lost: tuple[str, ...] = ()
    irreversible: bool = False


def reversal_of(
    write: RefWrite, document: Document | None, now: Document | None, *, forced: bool
) -> Reversal:
    """Return how *write* is undone, with *now* there; *document* is the whole entity before it."""
    if now is None:
        return Reversal(write.ref, why="" if write.absent else "it is not there any more")
    if write.replaced and not write.absent:
        write = _all_of(write, document or {})
    clash = {} if forced else _clashes(write, now)
    if clash:
        return Reversal(
            write.ref, conflicts=clash, why="its outcome is unknown" if write.uncertain else ""
        )
    if write.absent:
        return _unmake(write)
    if kind_of(write.ref).assignment:
        return _reassign(write, now)
    return _restore(write, document or {}, now) if write.replaced else _reset(write, now)


def _all_of(write: RefWrite, document: Document) -> RefWrite:
    """Return *write* with every field that a put left out, as it wrote these too."""
    was = writable_fields(kind_of(write.ref), document)
    left = {path: default_of(write.ref, path) for path in was}
    before = {path: value_at(document, path) for path in {**was, **write.fields}}
    return write._replace(
        before={path: value for path, value in before.items() if value is not MISSING},
        fields={**left, **write.fields},
    )


def _unmake(write: RefWrite) -> Reversal:
    ids = ids_of(write.ref)
    made = [ref for ref in write.created if not depends_on_any(ref, {ref_key(write.ref)})]
    beside = [
        "/".join([other.kind, *(ids[name] for name in other.ids)])
        for other in kind_of(write.ref).creates
        if not other.unless_field
    ]
    lost = [f"{ref} may have come with it, and stays" for ref in beside]
    return Reversal(write.ref, created=(write.ref, *made), lost=(*lost, *_lasting(write)))


def _reassign(write: RefWrite, now: Document) -> Reversal:
    if all(json_equal(value_at(now, path), write.before.get(path)) for path in write.fields):
        return Reversal(write.ref)
    fields = {path: value for path, value in write.before.items() if value is not None}
    expect = {path: _plain(value_at(now, path)) for path in write.fields}
    again = Entry(op=Op.ASSIGN, ref=write.ref, fields=fields, expect=expect)
    return checked_reversal(write.ref, [again], [])


def _reset(write: RefWrite, now: Document) -> Reversal:
    """Set the fields back that the run set; add what it took, take what it added."""
    sums = dict(_sums(write, now))
    fields = {
        path: _plain(write.before.get(path, MISSING))
        for path in write.fields
        if path != "xp"
        and path not in sums
        and not json_equal(value_at(now, path), write.before.get(path))
    }
    lost = [_NULLED.format(path) for path in fields if path not in write.before]
    return _entries(write.ref, fields, sums, now, [*lost, *_lasting(write)])


_NULLED = "{} was not there; it becomes null, as PATCH cannot remove it"


def _restore(write: RefWrite, document: Document, now: Document) -> Reversal:
    """Restore the whole entity after a put: by a put where that loses nobody else's values."""
    kind = kind_of(write.ref)
    was, found = writable_fields(kind, document), writable_fields(kind, now)
    paths = [p for p in {**was, **found} if not json_equal(was.get(p), found.get(p))]
    sums = {path: amount for path, amount in _sums(write, now) if path in paths}
    ours = [path for path in paths if path in write.fields]
    added = [path for path in ours if path.startswith("xp.") and path not in was]
    if added and ours == paths and _is_plain(kind, document):
        fields = {p: value for p, value in was.items() if value is not None or p in paths}
        fields |= {"xp": {}} if document.get("xp") == {} else {}
        fields |= {path: found[path] + amount for path, amount in sums.items()}
        expect = {path: found.get(path) for path in paths}
        put = Entry(op=Op.PUT, ref=write.ref, fields=fields, expect=expect, replace=True)
        return checked_reversal(write.ref, [put], list(_lasting(write)))
    fields = {path: was.get(path) for path in ours if path not in sums and path != "xp"}
    lost = [_NULLED.format(path) for path in added]
    return _entries(write.ref, fields, sums, now, [*lost, *_lasting(write)])


def _is_plain(kind: Kind, document: Document) -> bool:
    """Return whether a put of the known fields of *document* is all of it, and freezes nothing
    inherited.
    """
    known = {path.partition(".")[0] for path in kind.fields} | {"ID"}
    return document.keys() <= known and not document.get("ParentID")


def _clashes(write: RefWrite, now: Document) -> dict[str, dict[str, Any]]:
    """Return the fields that are neither as the run left them nor as they were; sold stock is no
    conflict.
    """
    found = {}
    for path, left in write.fields.items():
        value, old = value_at(now, path), write.before.get(path, MISSING)
        as_left = json_equal(value, left) or (left in _EMPTY and _plain(value) in _EMPTY)
        as_left = as_left or (write.absent and left is None)  # the server filled it in
        as_before = json_equal(value, old) and not write.absent
        sold = _moves(write.ref, path) and _numbers(value, left) and value < left
        if as_before or as_left or (not write.uncertain and (sold or path in write.added)):
            continue
        found[path] = {"before": _plain(old), "left": left, "now": _plain(value)}
    return found


_EMPTY: tuple[Any, ...] = (None, False, 0, {})
"""The values that a field may have after a put that left it out."""


def _sums(write: RefWrite, now: Document) -> Iterator[tuple[str, Any]]:
    """Yield the amounts to add to the fields that are restored by the difference."""
    for path, left in write.fields.items() if not write.uncertain else ():
        found, old = value_at(now, path), write.before.get(path, MISSING)
        if path in write.added and _numbers(found):
            yield path, -write.added[path]
        elif _moves(write.ref, path) and _numbers(found, old, left) and not json_equal(found, old):
            yield path, old - left


def _lasting(write: RefWrite) -> Iterator[str]:
    for path, value in write.fields.items():
        field = field_at(kind_of(write.ref), path)
        if field and field.has_side_effect and value and value != write.before.get(path):
            yield f"what {path}={value} brought along stays"


def _moves(ref: Ref, path: str) -> bool:
    field = field_at(kind_of(ref), path)
    return bool(field and field.volatile)


def _numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _plain(value: Any) -> Any:
    return None if value is MISSING else value


def _entries(ref: Ref, fields: Fields, sums: Fields, now: Document, lost: list[str]) -> Reversal:
    entries = []
    if fields:
        expect = {path: _plain(value_at(now, path)) for path in fields}
        entries.append(Entry(op=Op.SET, ref=ref, fields=fields, expect=expect))
    if sums := {path: amount for path, amount in sums.items() if amount}:
        entries.append(Entry(op=Op.ADJUST, ref=ref, fields=sums))
    return checked_reversal(ref, entries, lost if entries else [])


def checked_reversal(ref: Ref, entries: list[Entry], lost: Sequence[str]) -> Reversal:
    """Return the reversal, or what is wrong with it: values that could not be staged by hand
    either.
    """
    faults = [
        " ".join(filter(None, [fault.field, fault.reason]))
        for e in entries
        for fault in validate(e)
    ]
    if faults:
        return Reversal(ref, lost=tuple(faults), irreversible=True)
    return Reversal(ref, entries=tuple(entries), lost=tuple(lost))
