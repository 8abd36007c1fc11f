r"""CSV: a header, then a row an edit.

The header has either `ref`, or (with a kind) the kind's ID columns under OrderCloud's names; `op`
and `replace` are optional; `expect.FIELD` holds an expectation; the rest are fields. A header that
ends in `:` holds JSON in its cells. An empty cell leaves the field alone, `\N` is null.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from ocsync.document import split
from ocsync.errors import InputError, Problem, UsageError
from ocsync.intake.fields import opened, read_json, read_text
from ocsync.intake.line import Line
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.resources import KINDS, Kind, field_at, kind_of, make_ref, read_ref

NULL = r"\N"
_CLOSED = ("ref", "op")
Rows = Iterator[tuple[int, list[str]]]


class _Column(NamedTuple):
    """A field's column, its place counted from 0."""

    place: int
    path: str
    json: bool
    expect: bool


class _Layout(NamedTuple):
    """Where things stand in a row."""

    ref: int
    ids: tuple[tuple[str, int], ...]
    op: int
    columns: tuple[_Column, ...]
    width: int
    places: dict[str, int]


def rows(label: str, text: Iterator[str], head: bytes) -> Rows:
    """The rows with the physical line that each begins on; blank ones are left out."""
    reader = csv.reader(text, delimiter=_delimiter(head), strict=True)
    start = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        why = "has a quote that is never closed" if "end of data" in str(error) else str(error)
        raise InputError("nothing was staged", [Problem(label, start, 0, "", "", why)]) from error


def _delimiter(head: bytes) -> str:
    """Comma, semicolon or tab: the one that the first line has most of."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    first = io.StringIO(head.decode(encoding, "ignore")).readline()
    return max(",;\t", key=first.count)


def lines(label: str, found: Rows, kind_name: str) -> Iterator[Line]:
    """A line a row. Raises InputError when the header itself is wrong."""
    kind = _kind(kind_name)
    number, header = next(found, (0, []))
    if not header:
        raise InputError(f"{label}: the file is empty; a header row is expected")
    layout = _layout(label, number, header, kind)
    for number, row in found:
        yield _line(label, number, row, layout, kind)


def _kind(name: str) -> Kind | None:
    if name and name not in KINDS:
        raise UsageError(f'"{name}" is not a kind', hint="kinds: " + ", ".join(KINDS))
    return KINDS[name] if name else None


def _layout(label: str, number: int, header: list[str], kind: Kind | None) -> _Layout:
    names = [name.strip() for name in header]
    problems = [
        Problem(label, number, place + 1, name, name, "stands twice" if name else "has no name")
        for place, name in enumerate(names)
        if not name or name in names[:place]
    ]
    at = {name: place for place, name in enumerate(names)}
    ids = kind.ids if kind and "ref" not in at else ()
    needed = ids[: len(ids) - kind.optional] if kind and ids else (() if kind else ("ref",))
    for name in needed:
        if name not in at:
            why = "is missing; or name the kind with --kind" if name == "ref" else "is missing"
            problems.append(Problem(label, number, 0, name, "", why))
    columns = tuple(
        _column(place, name)
        for name, place in at.items()
        if name not in _CLOSED and name not in ids
    )
    if kind:
        problems += [
            Problem(
                label, number, c.place + 1, names[c.place], c.path, f"is not a field of {kind.name}"
            )
            for c in columns
            if field_at(kind, c.path) is None and c.path not in kind.models
        ]
    if problems:
        raise InputError("the header is wrong; nothing was staged", problems)
    places = {("expect." if c.expect else "") + c.path: c.place + 1 for c in columns}
    return _Layout(
        at.get("ref", -1),
        tuple((name, at[name]) for name in ids if name in at),
        at.get("op", -1),
        columns,
        len(header),
        places | {"op": at.get("op", -1) + 1},
    )


def _column(place: int, name: str) -> _Column:
    path = name.removeprefix("expect.")
    return _Column(place, path.removesuffix(":"), path.endswith(":"), path != name)


def _line(label: str, number: int, row: list[str], layout: _Layout, kind: Kind | None) -> Line:
    problems: list[Problem] = []

    def wrong(place: int, field: str, value: str, why: str) -> None:
        problems.append(Problem(label, number, place + 1, field, value[:60], why))

    if len(row) != layout.width:
        wrong(-1, "", "", f"has {len(row)} cells, the header has {layout.width}")
        return Line(number, None, problems, {})
    op = row[layout.op].strip().casefold() if layout.op >= 0 else ""
    if op and op not in list(Op):
        wrong(layout.op, "op", op, "is none of set, put, adjust, assign")
    ref = _ref(row, layout, kind, wrong)
    if problems or not ref:
        return Line(number, None, problems, {})
    fields: Fields = {}
    expect: Fields = {}
    row_kind = kind_of(ref)
    for column in layout.columns:
        text = row[column.place]
        if text == "":
            continue
        try:
            value = None if text == NULL else _value(row_kind, column, text)
        except ValueError as error:
            wrong(column.place, column.path, text, str(error))
            continue
        (expect if column.expect else fields).update(opened(row_kind, {column.path: value}))
    default = Op.ASSIGN if row_kind.assignment else Op.SET
    entry = Entry(
        op=Op(op) if op else default,
        ref=ref,
        fields=fields,
        expect=expect,
        source=f"{label}:{number}",
    )
    return Line(number, entry, problems, layout.places)


def _ref(row: list[str], layout: _Layout, kind: Kind | None, wrong: Any) -> Ref:
    place = layout.ref
    if kind is None or place >= 0:
        text = row[place].strip()
    else:
        place = layout.ids[0][1]
        given = {name: row[at].strip() for name, at in layout.ids}
        empty = [name for name in kind.ids[: len(kind.ids) - kind.optional] if not given.get(name)]
        if empty:
            wrong(dict(layout.ids)[empty[0]], empty[0], "", "is empty")
            return ""
        text = make_ref(kind, given)
    try:
        return read_ref(text)
    except UsageError as error:
        wrong(place, "ref", text, error.message)
        return ""


def _value(kind: Kind, column: _Column, text: str) -> Any:
    if column.json:
        return read_json(text)
    field = field_at(kind, column.path)
    return text if field is None or not all(split(column.path)) else read_text(field, text)
