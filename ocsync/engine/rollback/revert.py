"""The reversal of a run's write to one ref, from the values before, written and current. Pure.

Only fields that the run wrote are undone. A field that no longer has the written value was changed
by somebody else since: a conflict, and then nothing of that ref is undone unless it is forced.
Volatile numbers (stock) are restored by the difference, so that stock sold since stays sold.
Created entities are listed for `ocsync delete`. Entries expect the current values, so that `resume`
checks them once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ocsync.diff import Document, writable_fields
from ocsync.engine.run_log import RefWrite, default_of
from ocsync.field_paths import MISSING, json_equal, value_at
from ocsync.intake.field_values import validate
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import SUMMED_QUANTITY, Kind, field_at, ids_of, kind_of, ref_key
from ocsync.tombstones import depends_on_any


class Reversal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reversal of one ref: *entries* to stage, or the reason why there are none.

    *conflicts* maps path -> the values before, left and now; *reason* says why where no field
    conflicts. *created* are refs that the run created, for `ocsync delete`. *lost* are texts on
    values that cannot be restored; with *irreversible* the whole ref cannot. A reversal with none
    of these needs no action.
    """

    ref: Ref
    entries: tuple[Entry, ...] = ()
    conflicts: dict[str, dict[str, Any]] = {}
    reason: str = ""
    created: tuple[Ref, ...] = ()
    lost: tuple[str, ...] = ()
    irreversible: bool = False


def reversal_of(
    write: RefWrite,
    document: Document | None,
    now: Document | None,
    *,
    forced: bool,
    sum_text: str = "",
) -> Reversal:
    """Return the reversal of *write*; *document* is the entity before it, *now* the current one.

    Stock that is a sum, as *sum_text* then says, stays as it is.
    """
    if now is None:
        if write.absent:
            return Reversal(write.ref, created=_created_beside(write))
        return Reversal(write.ref, reason="it is not there any more")
    if write.unread:
        text = "its values before were not read (resume --no-undo)"
        return Reversal(write.ref, lost=(text,), irreversible=True)
    if sum_text and not write.absent:
        rest = write._replace(
            fields=_without_stock(write.fields), before=_without_stock(write.before)
        )
        old, new = _without_nested_stock(document), _without_nested_stock(now)
        reversal = reversal_of(rest, old, new, forced=forced)
        return _with_loss(reversal, sum_text) if SUMMED_QUANTITY in write.fields else reversal
    if write.replaced and not write.absent:
        write = _with_defaults(write, document or {})
    conflicts = {} if forced else _changed_since(write, now)
    if conflicts:
        return Reversal(
            write.ref,
            conflicts=conflicts,
            reason="its outcome is unknown" if write.uncertain else "",
        )
    if write.absent:
        return _revert_creation(write)
    if kind_of(write.ref).assignment:
        return _reassign(write, now)
    return _restore(write, document or {}, now) if write.replaced else _reset(write, now)


def _with_defaults(write: RefWrite, document: Document) -> RefWrite:
    """Return *write* with the default of every field that a put left out, as it reset these too."""
    old_fields = writable_fields(kind_of(write.ref), document)
    defaults = {path: default_of(write.ref, path) for path in old_fields}
    before = {path: value_at(document, path) for path in {**old_fields, **write.fields}}
    return write._replace(
        before={path: value for path, value in before.items() if value is not MISSING},
        fields={**defaults, **write.fields},
    )


def _revert_creation(write: RefWrite) -> Reversal:
    ids = ids_of(write.ref)
    beside = [
        "/".join([creation.kind, *(ids[name] for name in creation.ids)])
        for creation in kind_of(write.ref).creates
        if not creation.unless_field
    ]
    lost = [f"{ref} may have come with it, and stays" for ref in beside]
    created = (write.ref, *_created_beside(write))
    return Reversal(write.ref, created=created, lost=(*lost, *_side_effects(write)))


def _created_beside(write: RefWrite) -> tuple[Ref, ...]:
    """Return what came into being with the ref of *write* and stays when that is deleted."""
    own = {ref_key(write.ref)}
    return tuple(ref for ref in write.created if not depends_on_any(ref, own))


def _reassign(write: RefWrite, now: Document) -> Reversal:
    if all(json_equal(value_at(now, path), write.before.get(path)) for path in write.fields):
        return Reversal(write.ref)
    fields = {path: value for path, value in write.before.items() if value is not None}
    expect = {path: _none_if_missing(value_at(now, path)) for path in write.fields}
    entry = Entry(op=Op.ASSIGN, ref=write.ref, fields=fields, expect=expect)
    return checked_reversal(write.ref, [entry], [])


def _reset(write: RefWrite, now: Document) -> Reversal:
    """Return a reversal that restores the set fields, and undoes adjustments by their opposite."""
    amounts = dict(_amounts(write, now))
    fields = {
        path: _none_if_missing(write.before.get(path, MISSING))
        for path in write.fields
        if path != "xp"
        and path not in amounts
        and not json_equal(value_at(now, path), write.before.get(path))
    }
    lost = [_BECOMES_NULL.format(path) for path in fields if path not in write.before]
    return _reversal_of_fields(write.ref, fields, amounts, now, [*lost, *_side_effects(write)])


_BECOMES_NULL = "{} was not there; it becomes null, as PATCH cannot remove it"


def _restore(write: RefWrite, document: Document, now: Document) -> Reversal:
    """Return a reversal of a put: another put where it loses no values of others, else a set."""
    kind = kind_of(write.ref)
    old_fields, now_fields = writable_fields(kind, document), writable_fields(kind, now)
    paths = [
        p
        for p in {**old_fields, **now_fields}
        if not json_equal(old_fields.get(p), now_fields.get(p))
    ]
    amounts = {path: amount for path, amount in _amounts(write, now) if path in paths}
    written = [path for path in paths if path in write.fields]
    added = [path for path in written if path.startswith("xp.") and path not in old_fields]
    if added and written == paths and _is_fully_known(kind, document):
        fields = {p: value for p, value in old_fields.items() if value is not None or p in paths}
        fields |= {"xp": {}} if document.get("xp") == {} else {}
        fields |= {path: now_fields[path] + amount for path, amount in amounts.items()}
        expect = {path: now_fields.get(path) for path in paths}
        put = Entry(op=Op.PUT, ref=write.ref, fields=fields, expect=expect, replace=True)
        return checked_reversal(write.ref, [put], list(_side_effects(write)))
    fields = {
        path: old_fields.get(path) for path in written if path not in amounts and path != "xp"
    }
    lost = [_BECOMES_NULL.format(path) for path in added]
    return _reversal_of_fields(write.ref, fields, amounts, now, [*lost, *_side_effects(write)])


def _is_fully_known(kind: Kind, document: Document) -> bool:
    """Return whether *document* has only known fields, and inherits none that a put would fix."""
    known_fields = {path.partition(".")[0] for path in kind.fields} | {"ID"}
    return document.keys() <= known_fields and not document.get("ParentID")


def _changed_since(write: RefWrite, now: Document) -> dict[str, dict[str, Any]]:
    """Return the conflicts: fields with neither the written value nor the value before.

    Stock sold since is no conflict.
    """
    conflicts = {}
    for path, written in write.fields.items():
        value, old_value = value_at(now, path), write.before.get(path, MISSING)
        as_written = json_equal(value, written) or (
            written in _EMPTY and _none_if_missing(value) in _EMPTY
        )
        as_written = as_written or (
            write.absent and written is None
        )  # the server filled in a default
        as_before = json_equal(value, old_value) and not write.absent
        sold = _is_volatile(write.ref, path) and _are_numbers(value, written) and value < written
        if as_before or as_written or (not write.uncertain and (sold or path in write.added)):
            continue
        conflicts[path] = {
            "before": _none_if_missing(old_value),
            "left": written,
            "now": _none_if_missing(value),
        }
    return conflicts


_EMPTY: tuple[Any, ...] = (None, False, 0, {})
"""The values that a field may have after a put that left it out."""


def _amounts(write: RefWrite, now: Document) -> Iterator[tuple[str, Any]]:
    """Yield the amounts to add to the fields that are restored by the difference."""
    for path, written in write.fields.items() if not write.uncertain else ():
        value, old_value = value_at(now, path), write.before.get(path, MISSING)
        if path in write.added and _are_numbers(value):
            yield path, -write.added[path]
        elif (
            _is_volatile(write.ref, path)
            and _are_numbers(value, old_value, written)
            and not json_equal(value, old_value)
        ):
            yield path, old_value - written


def _side_effects(write: RefWrite) -> Iterator[str]:
    for path, value in write.fields.items():
        field = field_at(kind_of(write.ref), path)
        if field and field.has_side_effect and value and value != write.before.get(path):
            yield f"what {path}={value} brought along stays"


def _is_volatile(ref: Ref, path: str) -> bool:
    field = field_at(kind_of(ref), path)
    return bool(field and field.volatile)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _none_if_missing(value: Any) -> Any:
    return None if value is MISSING else value


def _reversal_of_fields(
    ref: Ref, fields: Fields, amounts: Fields, now: Document, lost: list[str]
) -> Reversal:
    entries = []
    if fields:
        expect = {path: _none_if_missing(value_at(now, path)) for path in fields}
        entries.append(Entry(op=Op.SET, ref=ref, fields=fields, expect=expect))
    if amounts := {path: amount for path, amount in amounts.items() if amount}:
        entries.append(Entry(op=Op.ADJUST, ref=ref, fields=amounts))
    return checked_reversal(ref, entries, lost if entries else [])


def without_sum(reversal: Reversal, sum_text: str) -> Reversal:
    """Return *reversal* without stock that is a sum, as *sum_text* says; with none, as it is."""
    if not sum_text:
        return reversal
    entries = (
        msgspec.structs.replace(
            entry, fields=_without_stock(entry.fields), expect=_without_stock(entry.expect)
        )
        for entry in reversal.entries
    )
    kept = tuple(entry for entry in entries if entry.fields)
    return _with_loss(msgspec.structs.replace(reversal, entries=kept), sum_text)


def _with_loss(reversal: Reversal, sum_text: str) -> Reversal:
    """Return *reversal* with the loss of stock that is a sum; all is lost when that was all."""
    lost = (*reversal.lost, f"{sum_text}, so it stays as it is")
    nothing_else = not (reversal.entries or reversal.conflicts or reversal.reason)
    return msgspec.structs.replace(
        reversal, lost=lost, irreversible=reversal.irreversible or nothing_else
    )


def _without_stock(fields: Mapping[str, Any]) -> Fields:
    return {path: value for path, value in fields.items() if path != SUMMED_QUANTITY}


def _without_nested_stock(document: Document | None) -> Document:
    """Return *document* without the quantity."""
    model, _, name = SUMMED_QUANTITY.partition(".")
    whole = document or {}
    inner = whole.get(model)
    if not isinstance(inner, dict):
        return whole
    return {**whole, model: {key: value for key, value in inner.items() if key != name}}


def checked_reversal(ref: Ref, entries: list[Entry], lost: Sequence[str]) -> Reversal:
    """Return a reversal with *entries*, or an irreversible one with the faults for which they could
    not be staged.
    """
    faults = [
        " ".join(filter(None, [fault.field, fault.reason]))
        for e in entries
        for fault in validate(e)
    ]
    if faults:
        return Reversal(ref, lost=tuple(faults), irreversible=True)
    return Reversal(ref, entries=tuple(entries), lost=tuple(lost))
