r"""A table -> entries: a header, then a row an edit. CSV and spreadsheets alike.

The header has either `ref`, or (with a kind) the kind's ID columns under OrderCloud's names; `op`
and `replace` are optional; `expect.FIELD` holds an expectation; the rest are fields. A header that
ends in `:` holds JSON in its cells. An empty cell leaves the field alone, `\N` is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ocsync.errors import InputError, UsageError
from ocsync.field_paths import split
from ocsync.intake.field_values import opened, read_json, read_text
from ocsync.intake.record import Line, Origin, Row
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import (
    ID_PATTERN,
    KINDS,
    WHY_ID,
    Field,
    Kind,
    Type,
    field_at,
    kind_of,
    make_ref,
    read_ref,
)

NULL = r"\N"
ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!")
"""What a spreadsheet shows in the place of a value."""
WHY_ERROR = "is a spreadsheet's error, not a value"
_CLOSED = ("ref", "op", "replace")
_DIGITS = 15
"""What a spreadsheet keeps of a number; later digits are zeros."""
Wrong = Callable[[int, str, str, str], None]


class _Column(NamedTuple):
    """A field's column, its place counted from 0; *key* is its path as problems name it."""

    place: int
    path: str
    json: bool
    expect: bool

    @property
    def key(self) -> str:
        return ("expect." if self.expect else "") + self.path


class _Layout(NamedTuple):
    """Where things stand in a row, counted from 0; -1 for what has no column.

    *places* are the columns as they are told, counted from 1.
    """

    names: list[str]
    ref: int
    ids: dict[str, int]
    op: int
    replace: int
    columns: tuple[_Column, ...]
    places: dict[str, int]


def kind_named(name: str) -> Kind:
    """The kind called *name*. Raises UsageError."""
    if name not in KINDS:
        raise UsageError(f'"{name}" is not a kind', hint="kinds: " + ", ".join(KINDS))
    return KINDS[name]


def lines(origin: Origin, found: Iterator[Row], kind_name: str) -> Iterator[Line]:
    """A line a row. Raises InputError when the header itself is wrong."""
    kind = kind_named(kind_name) if kind_name else None
    header = next(found, None)
    if header is None:
        what = f"sheet {origin.sheet}" if origin.sheet else "the file"
        raise InputError(f"{origin.label}: {what} is empty; a header row is expected")
    layout = _layout(origin, header, kind)
    for row in found:
        yield _line(origin, row, layout, kind)


def _layout(origin: Origin, header: Row, kind: Kind | None) -> _Layout:
    names = [_name(cell) for cell in header.cells]
    at = {name: place for place, name in enumerate(names)}
    ids = kind.ids if kind and "ref" not in at else ()
    columns = tuple(
        _column(place, name)
        for place, name in enumerate(names)
        if name and name not in _CLOSED and name not in ids
    )
    problems = [
        origin.problem(header.number, place, name, name, "stands twice" if name else "has no name")
        for place, name in enumerate(names)
        if not name or name in names[:place]
    ]
    for name in ids[: len(ids) - kind.optional] if kind and ids else (() if kind else ("ref",)):
        if name not in at:
            why = "is missing; or name the kind with --kind" if name == "ref" else "is missing"
            problems.append(origin.problem(header.number, -1, name, "", why))
    first: dict[str, int] = {}
    for c in columns:
        name, why = names[c.place], ""
        if first.setdefault(c.key, c.place) != c.place and name not in names[: c.place]:
            why = f"stands twice, as {names[first[c.key]]} and as {name}"
        elif kind and field_at(kind, c.path) is None and c.path not in kind.models:
            why = f"is not a field of {kind.name}"
        if why:
            problems.append(origin.problem(header.number, c.place, name, c.path, why))
    if problems:
        raise InputError("the header is wrong; nothing was staged", problems)
    return _Layout(
        names,
        at.get("ref", -1),
        {name: at[name] for name in ids if name in at},
        at.get("op", -1),
        at.get("replace", -1),
        columns,
        {name: place + 1 + origin.skipped for name, place in _told(at, ids, columns).items()},
    )


def _told(at: dict[str, int], ids: Iterable[str], columns: Iterable[_Column]) -> dict[str, int]:
    """The places by the names that problems and reports use."""
    lead = {name: at[name] for name in (*_CLOSED, *ids) if name in at}
    return dict(sorted({**lead, **{c.key: c.place for c in columns}}.items(), key=lambda n: n[1]))


def _name(cell: str) -> str:
    """A header's name; those that are no field's are written in any case."""
    name = cell.strip()
    return name.casefold() if name.casefold() in _CLOSED else name


def _column(place: int, name: str) -> _Column:
    path = name.removeprefix("expect.")
    return _Column(place, path.removesuffix(":"), path.endswith(":"), path != name)


def _line(origin: Origin, row: Row, layout: _Layout, kind: Kind | None) -> Line:
    line = Line(row.number, None, [], layout.places)

    def wrong(place: int, field: str, value: str, why: str) -> None:
        line.problems.append(origin.problem(row.number, place, field, value, why))

    if len(row.cells) != len(layout.names):
        wrong(-1, "", "", f"has {len(row.cells)} cells, the header has {len(layout.names)}")
        return line
    for place, why in row.wrong.items():
        wrong(place, layout.names[place], row.cells[place], why)
    loose: dict[str, str] = {}
    op = _op(row, layout, wrong)
    replace = _replace(row, layout, wrong)
    ref = _ref(row, layout, kind, loose, wrong)
    if not ref or op is None:
        return line
    row_kind = kind_of(ref)
    fields, expect = _fields(row, layout, row_kind, loose, wrong)
    entry = Entry(
        op=Op(op) if op else Op.ASSIGN if row_kind.assignment else Op.SET,
        ref=ref,
        fields=fields,
        expect=expect,
        replace=replace,
        source=origin.source(row.number),
    )
    return line._replace(entry=entry, loose=loose)


def _op(row: Row, layout: _Layout, wrong: Wrong) -> str | None:
    """The op that the row names, empty for the kind's own; None for a wrong one."""
    op = row.cells[layout.op].strip().casefold() if layout.op >= 0 else ""
    if op and op not in list(Op):
        wrong(layout.op, "op", op, "is none of set, put, adjust, assign")
        return None
    return op


def _replace(row: Row, layout: _Layout, wrong: Wrong) -> bool:
    text = row.cells[layout.replace] if layout.replace >= 0 else ""
    try:
        return bool(text) and bool(read_text(Field(Type.FLAG), text))
    except ValueError as error:
        wrong(layout.replace, "replace", text, str(error))
        return False


def _ref(row: Row, layout: _Layout, kind: Kind | None, loose: dict[str, str], wrong: Wrong) -> Ref:
    """The row's ref; empty, after saying why, when it has none."""
    places = layout.ids if kind and layout.ref < 0 else {"ref": layout.ref}
    if row.sorts or row.wrong:
        usable = [_usable_id(row, name, place, loose, wrong) for name, place in places.items()]
        if not all(usable):
            return ""
    if kind and layout.ref < 0:
        return _ref_of_ids(row, layout, kind, wrong)
    text = row.cells[layout.ref].strip()
    try:
        return read_ref(text)
    except UsageError as error:
        wrong(layout.ref, "ref", text, error.message)
        return ""


def _ref_of_ids(row: Row, layout: _Layout, kind: Kind, wrong: Wrong) -> Ref:
    given = {name: row.cells[place].strip() for name, place in layout.ids.items()}
    needed = kind.ids[: len(kind.ids) - kind.optional]
    good = True
    for name, text in given.items():
        if not ID_PATTERN.fullmatch(text) and (text or name in needed):
            wrong(layout.ids[name], name, text, WHY_ID if text else "is empty")
            good = False
    return make_ref(kind, given) if good else ""


def _usable_id(row: Row, name: str, place: int, loose: dict[str, str], wrong: Wrong) -> bool:
    """Whether a spreadsheet's cell can hold an ID: text, or a number that lost no digits."""
    sort, text = row.sorts.get(place, ""), row.cells[place]
    if place in row.wrong:
        return False
    if sort == "number" and len(text.lstrip("-")) > _DIGITS:
        why = f"is a number that has lost its digits after the {_DIGITS}th: format as text"
    elif sort == "number":
        loose[name] = text
        return True
    elif sort:
        why = f"is a {sort}, not text: format the column as text"
    else:
        return True
    wrong(place, name, text, why)
    return False


def _fields(
    row: Row, layout: _Layout, kind: Kind, loose: dict[str, str], wrong: Wrong
) -> tuple[Fields, Fields]:
    """The row's fields, and what it expects."""
    fields: Fields = {}
    expect: Fields = {}
    for column in layout.columns:
        text = row.cells[column.place]
        if text == "" or column.place in row.wrong:
            continue
        try:
            value = None if text == NULL else _value(kind, column, text)
        except ValueError as error:
            wrong(column.place, column.key, text, str(error))
            continue
        into = expect if column.expect else fields
        for path, one in opened(kind, {column.path: value}).items():
            if path in into:
                wrong(column.place, path, text, "is given twice")
            into[path] = one
        if column.place in row.sorts and _is_text(kind, column):
            loose[column.key] = text
    return fields, expect


def _is_text(kind: Kind, column: _Column) -> bool:
    field = field_at(kind, column.path)
    return not column.json and field is not None and field.type in (Type.TEXT, Type.XP)


def _value(kind: Kind, column: _Column, text: str) -> Any:
    if column.json:
        return read_json(text)
    if text in ERRORS:
        raise ValueError(f"{WHY_ERROR} (quote it in a column {column.key}: if it is)")
    field = field_at(kind, column.path)
    return text if field is None or not all(split(column.path)) else read_text(field, text)
