"""The difference of a ref between two marketplaces, and the entries that would remove it. Pure.

Left out are fields that cannot be edited, those that belong to one marketplace alone, and stock
that may be the sum of inventory records. So are values that both sides inherit: they differ where
their parents do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from ocsync.diff import Document, own_values
from ocsync.engine.compare.joining import Pair
from ocsync.engine.creation import creation_fault, creation_of
from ocsync.engine.export.export import columns_of, present_values
from ocsync.field_paths import (
    MISSING,
    is_below,
    join_path,
    json_equal,
    split_path,
    value_at,
    with_value,
)
from ocsync.intake.unchanged import changed_part
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import SUMMED_QUANTITY, Field, FieldType, Kind, kind_of, lineage, ref_key


class Presence(StrEnum):
    """The side, or sides, on which a ref that differs exists."""

    BOTH = "both"
    SOURCE = "source"
    TARGET = "target"


class Difference(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A ref that differs between a source and a target.

    *fields* maps path -> `source` and `target`, the values there. *entries* give the target the
    source's values. *reason* says why there are none for a ref that only the source has. *beside*
    are refs that OrderCloud creates with it.
    """

    ref: Ref
    presence: Presence
    fields: dict[str, dict[str, Any]] = {}
    entries: list[Entry] = []
    reason: str = ""
    beside: list[Ref] = []


class Side(NamedTuple):
    """Context of a document: the *parent* that it inherits from, if any, and the ID of its
    marketplace, *owner*.
    """

    parent: Document | None = None
    owner: str = ""


def left_out_fields(kind: Kind) -> list[str]:
    """Return the fields of *kind* that are not compared."""
    compared = set(_columns(kind))
    return [path for path in kind.fields if path not in compared and path != "xp"]


def difference_of(
    pair: Pair,
    source: Side,
    target: Side,
    *,
    ignored: Sequence[str] = (),
    not_creatable: Collection[str] = (),
) -> Difference | None:
    """Return the difference of *pair*, the source's document and the target's; None for none.

    *ignored* are fields, or paths in xp, whose values may differ. *not_creatable* are the keys of
    refs that only the source has and no entry creates.
    """
    if pair.first is None:
        return Difference(ref=pair.ref, presence=Presence.TARGET)
    if pair.second is None:
        return _missing(pair.ref, pair.first, source, ignored, not_creatable)
    return _changed(pair.ref, pair.first, pair.second, source, target, ignored)


def _changed(
    ref: Ref,
    document: Document,
    other: Document,
    source: Side,
    target: Side,
    ignored: Sequence[str],
) -> Difference | None:
    kind = kind_of(ref)
    wanted, found = _values(kind, document, ignored), _values(kind, other, ignored)
    inherited = _inherited(kind, document, source.parent) & _inherited(kind, other, target.parent)
    for path in inherited:
        wanted.pop(path, None)
        found.pop(path, None)
    for path in ignored:
        _keep(path, wanted, found)
    for path in wanted.keys() & found.keys():
        if _are_unset_flags(kind.fields.get(path), wanted[path], found[path]):
            wanted[path] = found[path]
    every = dict.fromkeys((*wanted, *found))  # what only the target's xp has becomes null
    op = Op.ASSIGN if kind.assignment else Op.SET
    entry = Entry(op=op, ref=ref, fields={**every, **wanted}, expect={**every, **found})
    entry_part = changed_part(entry, is_known=True)
    if entry_part is None:
        return None
    fields = {
        path: {"source": entry.fields[path], "target": value}
        for path, value in entry_part.expect.items()
    }
    return Difference(ref=ref, presence=Presence.BOTH, fields=fields, entries=[entry_part])


def _missing(
    ref: Ref,
    document: Document,
    source: Side,
    ignored: Sequence[str],
    not_creatable: Collection[str],
) -> Difference:
    kind = kind_of(ref)
    reason = creation_fault(kind)
    if not reason and (
        needed := next((r for r in lineage(ref) if ref_key(r) in not_creatable), "")
    ):
        reason = f"it needs {needed}, which cannot be created"
    if reason:
        return Difference(ref=ref, presence=Presence.SOURCE, reason=reason)
    own = own_values(kind, document, source.parent, {})
    if str(own.get("OwnerID")).casefold() == source.owner.casefold():
        own = {name: value for name, value in own.items() if name != "OwnerID"}
    for path in ignored:
        field = kind.fields.get(path)
        if not (field and (field.required or field.required_on_assign)):
            own = _without(own, split_path(path))
    entries, beside = creation_of(ref, own, summed=bool(kind.quantity_summed_by), replace=False)
    return Difference(ref=ref, presence=Presence.SOURCE, entries=entries, beside=beside)


def _columns(kind: Kind) -> Iterator[str]:
    """Yield the fields of *kind* that are compared, without keys of xp."""
    summed = SUMMED_QUANTITY if kind.quantity_summed_by else ""
    return (path for path in columns_of(kind) if path != summed)


def _values(kind: Kind, document: Document, ignored: Sequence[str]) -> Fields:
    summed = SUMMED_QUANTITY if kind.quantity_summed_by else ""
    return {
        path: value
        for path, value in present_values(kind, document).items()
        if path != summed and not any(path == one or is_below(path, one) for one in ignored)
    }


def _inherited(kind: Kind, document: Document, parent: Document | None) -> set[str]:
    """Return the paths of *document* whose values it inherits from *parent*."""
    if parent is None:
        return set()
    own = own_values(kind, document, parent, {})
    shown = present_values(kind, document)
    return {path for path, value in shown.items() if not json_equal(value_at(own, path), value)}


def _are_unset_flags(field: Field | None, *values: Any) -> bool:
    """Return whether *values* of a flag are null or false, which mean the same."""
    is_flag = field is not None and field.type is FieldType.BOOLEAN and field.default is None
    return is_flag and not any(values)


def _keep(path: str, wanted: Fields, found: Fields) -> None:
    """Give what is at *path* inside one of the values *wanted* the value that it has in *found*."""
    for name, value in list(wanted.items()):
        if is_below(path, name) and isinstance(value, dict):
            inner = split_path(path)[len(split_path(name)) :]
            kept = value_at(found.get(name), join_path(inner))
            is_there = kept is not MISSING
            wanted[name] = with_value(value, inner, kept) if is_there else _without(value, inner)


def _without(document: Document, parts: Sequence[str]) -> Document:
    """Return *document* without the member at *parts*."""
    first, *rest = parts
    if first not in document:
        return document
    inner = document[first]
    if rest and not isinstance(inner, dict):
        return document
    others = {name: value for name, value in document.items() if name != first}
    return {**others, first: _without(inner, rest)} if rest else others
