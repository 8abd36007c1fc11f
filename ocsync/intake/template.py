"""An empty table for a kind: the header that `stage import` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ocsync.errors import UsageError
from ocsync.schema import Field, Kind, field_at


def header(kind: Kind, *, by_ref: bool = False, expect: Sequence[str] = ()) -> list[str]:
    """The columns for *kind*: its IDs (or `ref`), `op` where there is a choice, its fields.

    Required fields come first, those that only a put takes last. *expect* are fields to be expected
    as well. Raises UsageError for one that the kind has not.
    """
    for path in expect:
        field = field_at(kind, path)
        if field is None or field.write_only:
            known = ", ".join(kind.fields) or "none"
            raise UsageError(
                f"{path} is not a field of {kind.name}", hint=f"its fields are {known}"
            )
    fields = sorted(_writable(kind), key=lambda row: _rank(row[1]))
    ids = ["ref"] if by_ref else [*kind.ids]
    op = ["op"] if len(kind.ops) > 1 else []
    return [*ids, *op, *(path for path, _ in fields), *(f"expect.{path}" for path in expect)]


def required(kind: Kind) -> list[str]:
    """The fields that a put, or an assign, must have."""
    return [
        path
        for path, field in _writable(kind)
        if (field.required_on_assign if kind.assignment else field.required and kind.allows_put)
    ]


def _writable(kind: Kind) -> Iterator[tuple[str, Field]]:
    for path, field in kind.fields.items():
        if path != "xp" and not (field.read_only or field.write_only):
            yield path, field


def _rank(field: Field) -> int:
    """Required first, what only a put takes last; a sort keeps the table's order between."""
    if field.create_only:
        return 2
    return 0 if field.required or field.required_on_assign else 1
