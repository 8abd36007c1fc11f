"""Headers of empty tables that `stage import` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ocsync.errors import UsageError
from ocsync.schema import Field, Kind, field_at, stageable_fields
from ocsync.suggestions import listed, suggestion


def header_for(kind: Kind, *, by_ref: bool = False, expect: Sequence[str] = ()) -> list[str]:
    """Return the columns for *kind*: its IDs (or `ref`), `op` where it has several, its fields.

    Required fields come first, those that only a put takes last. *expect* names fields that get an
    `expect.` column too. Raises UsageError for one that the kind does not have.
    """
    for path in expect:
        field = field_at(kind, path)
        if field is None or field.write_only:
            names = stageable_fields(kind)
            hint = suggestion(path, names, f"its fields: {listed(names)}")
            raise UsageError(f"{path} is not a field of {kind.name}", hint=hint)
    fields = sorted(_writable_fields(kind), key=lambda row: _column_order(row[1]))
    ids = ["ref"] if by_ref else [*kind.ids]
    op = ["op"] if len(kind.ops) > 1 else []
    return [*ids, *op, *(path for path, _ in fields), *(f"expect.{path}" for path in expect)]


def required_fields(kind: Kind) -> list[str]:
    """Return the fields that a put, or an assign, must have."""
    return [
        path
        for path, field in _writable_fields(kind)
        if (field.required_on_assign if kind.assignment else field.required and kind.allows_put)
    ]


def _writable_fields(kind: Kind) -> Iterator[tuple[str, Field]]:
    for path, field in kind.fields.items():
        if path != "xp" and not (field.read_only or field.write_only):
            yield path, field


def _column_order(field: Field) -> int:
    """Return the sort key of a field: required first, those that only a put takes last."""
    if field.create_only:
        return 2
    return 0 if field.required or field.required_on_assign else 1
