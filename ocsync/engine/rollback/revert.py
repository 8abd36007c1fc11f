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

from ocsync.diff import Document, default_of, fields_to_put, writable_fields
from ocsync.engine.rollback.versions import Parents, Versions
from ocsync.engine.run_log import RefWrite
from ocsync.field_paths import MISSING, json_equal, value_at
from ocsync.intake.field_values import validate
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import (
    SUMMED_QUANTITY,
    VARIANT_TRACKING,
    Kind,
    field_at,
    ids_of,
    kind_of,
    ref_key,
)
from ocsync.tombstones import depends_on_any

NO_PARENTS = Parents()


class Reversal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reversal of one ref: *entries* to stage, or the reason why there are none.

    *conflicts* maps path -> the values before, left and now; *reason* says why where no field
    conflicts. *created* are refs that the run created, for `ocsync delete`. *lost* are texts on
    values that cannot be restored; with *incomplete* one of these keeps the value that the run
    wrote, with *irreversible* the whole ref cannot be restored. A reversal with none of these needs
    no action.
    """

    ref: Ref
    entries: tuple[Entry, ...] = ()
    conflicts: dict[str, dict[str, Any]] = {}
    reason: str = ""
    created: tuple[Ref, ...] = ()
    lost: tuple[str, ...] = ()
    incomplete: bool = False
    irreversible: bool = False


def reversal_of(
    write: RefWrite,
    document: Document | None,
    now: Document | None,
    *,
    forced: bool,
    sum_text: str = "",
    sum_is_new: bool = False,
    parents: Parents = NO_PARENTS,
) -> Reversal:
    """Return the reversal of *write*; *document* is the entity before it, *now* the current one.

    *sum_text* says that the stock is a sum by now, empty where it is none; *sum_is_new* that it was
    none before the run. *parents* are those of an entity that inherits.
    """
    if kind_of(write.ref).action:
        return Reversal(write.ref, lost=("generated variants remain",), irreversible=True)
    if now is None:
        if write.absent:
            return Reversal(write.ref, created=_created_beside(write))
        return Reversal(write.ref, reason="it no longer exists")
    if write.unread:
        text = "its earlier values were not read (resume --no-undo)"
        return Reversal(write.ref, lost=(text,), irreversible=True)
    versions = Versions.of(kind_of(write.ref), write.fields, document, now, parents)
    if not write.absent and (sum_text or _tracks_variants(versions.before)):
        return _reversal_beside_sum(
            write, versions, forced=forced, sum_text=sum_text, sum_is_new=sum_is_new
        )
    return _reversal_of_all(write, versions, forced=forced)


def _tracks_variants(document: Document) -> bool:
    return value_at(document, VARIANT_TRACKING) is True


def _reversal_beside_sum(
    write: RefWrite, versions: Versions, *, forced: bool, sum_text: str, sum_is_new: bool
) -> Reversal:
    """Return the reversal of *write* where stock was a sum before it, or is one by now.

    A sum before comes back with the settings. One that the write made ends with them, so a further
    entry restores the stock. Another sum stays as it is.
    """
    rest = write._replace(fields=_without_stock(write.fields), before=_without_stock(write.before))
    without_stock = Versions(*map(_without_nested_stock, versions))
    reversal = _reversal_of_all(rest, without_stock, forced=forced)
    before, now = versions.before, versions.now
    if _tracks_variants(before):
        return reversal
    if _tracks_variants(now) and any(VARIANT_TRACKING in e.fields for e in reversal.entries):
        fields = {SUMMED_QUANTITY: _none_if_missing(value_at(before, SUMMED_QUANTITY))}
        entry = Entry(op=Op.SET, ref=write.ref, fields=fields)
        return msgspec.structs.replace(reversal, entries=(*reversal.entries, entry))
    stock = value_at(versions.own_before, SUMMED_QUANTITY)
    if sum_is_new and _are_numbers(stock) and stock:
        return _with_losses(reversal, [f"{sum_text}, so it is not restored; it was {stock:,}"])
    return _with_sum(reversal, sum_text) if SUMMED_QUANTITY in write.fields else reversal


def _reversal_of_all(write: RefWrite, versions: Versions, *, forced: bool) -> Reversal:
    """Return the reversal of every field of *write*; see `reversal_of`."""
    kind, is_put = kind_of(write.ref), write.replaced and not write.absent
    if is_put:
        write = _with_defaults(write, versions.target(kind))
    write = write._replace(before=_own_before(write.before, versions))
    conflicts = {} if forced else _changed_since(write, versions)
    if conflicts:
        return Reversal(
            write.ref,
            conflicts=conflicts,
            reason="its outcome is unknown" if write.uncertain else "",
        )
    if write.absent:
        return _revert_creation(write)
    if kind.assignment:
        return _reassign(write, versions.now)
    back = _restore(write, versions) if is_put else _reset(write, versions)
    return _without_clearing(_with_frozen(back, write, versions), versions.now)


def _own_before(before: Fields, versions: Versions) -> Fields:
    """Return the values *before* with null for fields that were inherited, but for nested ones."""
    return {
        path: None if "." not in path and versions.was_inherited(path) else value
        for path, value in before.items()
    }


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
    lost = [f"{ref} may have been created with it, and remains" for ref in beside]
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


def _reset(write: RefWrite, versions: Versions) -> Reversal:
    """Return a reversal that restores the set fields, and undoes adjustments by their opposite."""
    amounts = dict(_amounts(write, versions.own_now))
    fields = {
        path: _value_or_unset(write.ref, path, write.before.get(path))
        for path in write.fields
        if path != "xp"
        and path not in amounts
        and not versions.is_restored(path, write.before.get(path))
    }
    lost = [_becomes(path, fields[path]) for path in fields if path not in write.before]
    return _reversal_of_fields(write, fields, amounts, versions, lost)


def _value_or_unset(ref: Ref, path: str, value: Any) -> Any:
    """Return *value*, or false for a flag without one, which is never null."""
    field = kind_of(ref).fields.get(path)
    return False if value is None and field and not field.nullable else value


def _becomes(path: str, value: Any) -> str:
    text = "null" if value is None else "false"
    return f"{path} did not exist; it becomes {text}, because PATCH cannot remove it"


_BECOMES_OWN = "{} was inherited; it becomes its own value, because PATCH cannot remove it"


def _restore(write: RefWrite, versions: Versions) -> Reversal:
    """Return a reversal of a put: another put where it loses no values of others, else a set."""
    kind, document = kind_of(write.ref), versions.before
    old_fields = writable_fields(kind, versions.target(kind))
    now_fields = writable_fields(kind, versions.own_now)
    paths = [
        p for p in {**old_fields, **now_fields} if not versions.is_restored(p, old_fields.get(p))
    ]
    amounts = {path: sum_ for path, sum_ in _amounts(write, versions.own_now) if path in paths}
    written = [path for path in paths if path in write.fields]
    added = [path for path in written if path.startswith("xp.") and path not in old_fields]
    if added and written == paths and _is_fully_known(kind, document):
        fields = fields_to_put(write.ref, old_fields, paths)
        fields |= {"xp": {}} if document.get("xp") == {} else {}
        fields |= {path: now_fields[path] + amount for path, amount in amounts.items()}
        expect = versions.expectations(dict.fromkeys(paths))
        put = Entry(op=Op.PUT, ref=write.ref, fields=fields, expect=expect, replace=True)
        return checked_reversal(write.ref, [put], list(_side_effects(write)))
    fields = {
        path: _value_or_unset(write.ref, path, old_fields.get(path))
        for path in written
        if path not in amounts and path != "xp"
    }
    lost = [_becomes(path, None) for path in added]
    return _reversal_of_fields(write, fields, amounts, versions, lost)


def _without_clearing(reversal: Reversal, now: Document) -> Reversal:
    """Return *reversal* without emptying a field which the platform does not let be emptied."""
    stays = {
        path: value
        for path, field in kind_of(reversal.ref).fields.items()
        if not field.clearable and (value := value_at(now, path))
    }
    kept: set[str] = set()
    entries = []
    for entry in reversal.entries:
        puts = entry.op is Op.PUT
        emptied = {p for p in stays if (puts or p in entry.fields) and not entry.fields.get(p)}
        fields = {p: value for p, value in entry.fields.items() if p not in emptied}
        fields |= {p: stays[p] for p in emptied} if puts else {}
        expect = {p: value for p, value in entry.expect.items() if p not in emptied}
        kept |= emptied
        if fields:
            entries.append(msgspec.structs.replace(entry, fields=fields, expect=expect))
    lost = [f"{path} keeps its value, because it cannot be emptied again" for path in sorted(kept)]
    return _with_losses(msgspec.structs.replace(reversal, entries=tuple(entries)), lost)


def _with_losses(reversal: Reversal, lost: Sequence[str]) -> Reversal:
    """Return *reversal* with values *lost*, which stay; with no entry the whole ref is lost."""
    if not lost:
        return reversal
    nothing_else = not (reversal.entries or reversal.conflicts or reversal.reason)
    return msgspec.structs.replace(
        reversal,
        lost=(*reversal.lost, *lost),
        incomplete=reversal.incomplete or bool(reversal.entries),
        irreversible=reversal.irreversible or nothing_else,
    )


def _with_frozen(reversal: Reversal, write: RefWrite, versions: Versions) -> Reversal:
    """Return *reversal* with the loss of nested models that were inherited and no longer are."""
    kind = kind_of(write.ref)
    puts = any(entry.op is Op.PUT for entry in reversal.entries)
    frozen = [] if puts else versions.frozen_models(kind, write.fields)
    lost = [
        f"{name} was inherited; it keeps its own value, because PATCH cannot remove it"
        for name in frozen
    ]
    return _with_losses(reversal, lost)


def _is_fully_known(kind: Kind, document: Document) -> bool:
    """Return whether *document* has only known fields, and inherits none that a put would fix."""
    known_fields = {path.partition(".")[0] for path in kind.fields} | {"ID"}
    return document.keys() <= known_fields and not document.get("ParentID")


def _changed_since(write: RefWrite, versions: Versions) -> dict[str, dict[str, Any]]:
    """Return the conflicts: fields with neither the written value nor the value before.

    Stock sold since is no conflict, nor is what the entity inherits where it has no value.
    """
    conflicts = {}
    for path, written in write.fields.items():
        value, old_value = value_at(versions.now, path), write.before.get(path, MISSING)
        own = value_at(versions.own_now, path)
        as_written = json_equal(value, written) or (
            written in _EMPTY and _none_if_missing(own) in _EMPTY
        )
        as_written = as_written or (
            write.absent and written is None
        )  # the server filled in a default
        as_before = not write.absent and versions.is_restored(path, old_value)
        if write.uncertain:  # of several requests the last may not have taken effect
            as_before |= any(json_equal(value, one) for one in write.earlier.get(path, ()))
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
    """Yield the amounts to add to the fields that are restored by the difference.

    A sum that began with null is restored to null, unless others have changed it since.
    """
    for path, written in write.fields.items() if not write.uncertain else ():
        value, old_value = value_at(now, path), write.before.get(path, MISSING)
        if path in write.added and _are_numbers(value):
            if _are_numbers(old_value) or not json_equal(value, written):
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
            yield f"the effects of {path}={value} remain"


def _is_volatile(ref: Ref, path: str) -> bool:
    field = field_at(kind_of(ref), path)
    return bool(field and field.volatile)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _none_if_missing(value: Any) -> Any:
    return None if value is MISSING else value


def _reversal_of_fields(
    write: RefWrite, fields: Fields, amounts: Fields, versions: Versions, lost: list[str]
) -> Reversal:
    entries = []
    if fields:
        expect = versions.expectations(fields)
        entries.append(Entry(op=Op.SET, ref=write.ref, fields=fields, expect=expect))
    if amounts := {path: amount for path, amount in amounts.items() if amount}:
        entries.append(Entry(op=Op.ADJUST, ref=write.ref, fields=amounts))
    own = [p for p in fields if p.startswith("xp.") and versions.was_inherited(p)]
    lost = [*lost, *(_BECOMES_OWN.format(path) for path in own), *_side_effects(write)]
    return checked_reversal(write.ref, entries, lost if entries else [])


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
    return _with_sum(msgspec.structs.replace(reversal, entries=kept), sum_text)


def _with_sum(reversal: Reversal, sum_text: str) -> Reversal:
    """Return *reversal* with the loss of stock that is a sum."""
    return _with_losses(reversal, [f"{sum_text}, so it is not restored"])


def _without_stock(fields: Mapping[str, Any]) -> Fields:
    return {path: value for path, value in fields.items() if path != SUMMED_QUANTITY}


def _without_nested_stock(document: Document) -> Document:
    """Return *document* without the quantity."""
    model, _, name = SUMMED_QUANTITY.partition(".")
    inner = document.get(model)
    if not isinstance(inner, dict):
        return document
    return {**document, model: {key: value for key, value in inner.items() if key != name}}


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
