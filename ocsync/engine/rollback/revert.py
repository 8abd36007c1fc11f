"""The way back of one ref: what a run wrote, what was there before, what is there now. Pure.

Only what the run wrote is taken back. A field that is not as the run left it was changed by
somebody else since: a conflict, and then nothing of that ref is taken back unless it is forced.
Numbers that move by themselves (stock) go back by the difference, so that what was sold since stays
sold. What was created is for `ocsync delete`. Entries expect what is there now, so that `resume`
guards them once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ocsync.diff import Document
from ocsync.engine.rollback.wrote import Wrote, default_of, writable
from ocsync.field_paths import MISSING, equal, value_at
from ocsync.intake.field_values import validate
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import Kind, field_at, ids_of, kind_of
from ocsync.tombstones import below


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
    wrote: Wrote, document: Document | None, now: Document | None, *, forced: bool
) -> Reversal:
    """How *wrote* is taken back, with *now* there; *document* is the whole of what was before."""
    if now is None:
        return Reversal(wrote.ref, why="" if wrote.absent else "it is not there any more")
    if wrote.whole and not wrote.absent:
        wrote = _all_of(wrote, document or {})
    clash = {} if forced else _clashes(wrote, now)
    if clash:
        return Reversal(
            wrote.ref, conflicts=clash, why="its outcome is unknown" if wrote.unsure else ""
        )
    if wrote.absent:
        return _unmake(wrote)
    if kind_of(wrote.ref).assignment:
        return _reassign(wrote, now)
    return _restore(wrote, document or {}, now) if wrote.whole else _reset(wrote, now)


def _all_of(wrote: Wrote, document: Document) -> Wrote:
    """A put that replaced an entity also wrote every field that it left out."""
    was = writable(kind_of(wrote.ref), document)
    left = {path: default_of(wrote.ref, path) for path in was}
    before = {path: value_at(document, path) for path in {**was, **wrote.left}}
    return wrote._replace(
        before={path: value for path, value in before.items() if value is not MISSING},
        left={**left, **wrote.left},
    )


def _unmake(wrote: Wrote) -> Reversal:
    ids = ids_of(wrote.ref)
    made = [ref for ref in wrote.brought if not below(ref, {wrote.ref.casefold()})]
    beside = [
        "/".join([other.kind, *(ids[name] for name in other.ids)])
        for other in kind_of(wrote.ref).creates
        if not other.unless
    ]
    lost = [f"{ref} may have come with it, and stays" for ref in beside]
    return Reversal(wrote.ref, created=(wrote.ref, *made), lost=(*lost, *_lasting(wrote)))


def _reassign(wrote: Wrote, now: Document) -> Reversal:
    if all(equal(value_at(now, path), wrote.before.get(path)) for path in wrote.left):
        return Reversal(wrote.ref)
    fields = {path: value for path, value in wrote.before.items() if value is not None}
    expect = {path: _plain(value_at(now, path)) for path in wrote.left}
    again = Entry(op=Op.ASSIGN, ref=wrote.ref, fields=fields, expect=expect)
    return checked_reversal(wrote.ref, [again], [])


def _reset(wrote: Wrote, now: Document) -> Reversal:
    """Set the fields back that the run set; add what it took, take what it added."""
    sums = dict(_sums(wrote, now))
    fields = {
        path: _plain(wrote.before.get(path, MISSING))
        for path in wrote.left
        if path != "xp"
        and path not in sums
        and not equal(value_at(now, path), wrote.before.get(path))
    }
    lost = [_NULLED.format(path) for path in fields if path not in wrote.before]
    return _entries(wrote.ref, fields, sums, now, [*lost, *_lasting(wrote)])


_NULLED = "{} was not there; it becomes null, as PATCH cannot remove it"


def _restore(wrote: Wrote, document: Document, now: Document) -> Reversal:
    """The whole of it as it was, after a put: by a put where nobody else's is lost by that."""
    kind = kind_of(wrote.ref)
    was, found = writable(kind, document), writable(kind, now)
    paths = [p for p in {**was, **found} if not equal(was.get(p), found.get(p))]
    sums = {path: amount for path, amount in _sums(wrote, now) if path in paths}
    ours = [path for path in paths if path in wrote.left]
    added = [path for path in ours if path.startswith("xp.") and path not in was]
    if added and ours == paths and _is_plain(kind, document):
        fields = {p: value for p, value in was.items() if value is not None or p in paths}
        fields |= {"xp": {}} if document.get("xp") == {} else {}
        fields |= {path: found[path] + amount for path, amount in sums.items()}
        expect = {path: found.get(path) for path in paths}
        put = Entry(op=Op.PUT, ref=wrote.ref, fields=fields, expect=expect, replace=True)
        return checked_reversal(wrote.ref, [put], list(_lasting(wrote)))
    fields = {path: was.get(path) for path in ours if path not in sums and path != "xp"}
    lost = [_NULLED.format(path) for path in added]
    return _entries(wrote.ref, fields, sums, now, [*lost, *_lasting(wrote)])


def _is_plain(kind: Kind, document: Document) -> bool:
    """Whether a put of what we know of *document* is all of it, and freezes nothing inherited."""
    known = {path.partition(".")[0] for path in kind.fields} | {"ID"}
    return document.keys() <= known and not document.get("ParentID")


def _clashes(wrote: Wrote, now: Document) -> dict[str, dict[str, Any]]:
    """The fields that are neither as the run left them nor as they were; sold stock is no clash."""
    found = {}
    for path, left in wrote.left.items():
        value, old = value_at(now, path), wrote.before.get(path, MISSING)
        as_left = equal(value, left) or (left in _EMPTY and _plain(value) in _EMPTY)
        as_left = as_left or (wrote.absent and left is None)  # the server filled it in
        as_before = equal(value, old) and not wrote.absent
        sold = _moves(wrote.ref, path) and _numbers(value, left) and value < left
        if as_before or as_left or (not wrote.unsure and (sold or path in wrote.added)):
            continue
        found[path] = {"before": _plain(old), "left": left, "now": _plain(value)}
    return found


_EMPTY: tuple[Any, ...] = (None, False, 0, {})
"""What a field may be after a put that left it out."""


def _sums(wrote: Wrote, now: Document) -> Iterator[tuple[str, Any]]:
    """What to add to the fields that go back by the difference."""
    for path, left in wrote.left.items() if not wrote.unsure else ():
        found, old = value_at(now, path), wrote.before.get(path, MISSING)
        if path in wrote.added and _numbers(found):
            yield path, -wrote.added[path]
        elif _moves(wrote.ref, path) and _numbers(found, old, left) and not equal(found, old):
            yield path, old - left


def _lasting(wrote: Wrote) -> Iterator[str]:
    for path, value in wrote.left.items():
        field = field_at(kind_of(wrote.ref), path)
        if field and field.has_side_effect and value and value != wrote.before.get(path):
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
    """The way back, or what is wrong with it: a value that we could not stage by hand either."""
    faults = [
        " ".join(filter(None, [fault.field, fault.why])) for e in entries for fault in validate(e)
    ]
    if faults:
        return Reversal(ref, lost=tuple(faults), irreversible=True)
    return Reversal(ref, entries=tuple(entries), lost=tuple(lost))
