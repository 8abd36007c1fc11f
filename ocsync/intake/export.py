"""Writers of entries as JSON lines or tables; importing the file stages the same entries again.

JSON lines hold everything. A table has a column for each field. Where plain text would not give
the same value again (an empty text, a list, a number inside xp), the column's header ends in `:`
and its cells hold JSON. In CSV the same is done for text that a spreadsheet would take for a
formula or an error.

Two layouts differ in their first columns: edits have `ref` and `op`; the present state of a kind
has its IDs.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from ocsync.characters import is_blank
from ocsync.errors import InputError, Problem
from ocsync.intake.csv_rows import MAX_CELL
from ocsync.intake.field_values import read_text
from ocsync.intake.table_cells import ERROR_TEXTS, NULL
from ocsync.intake.table_header import COMMENT, EXISTS, EXPECT
from ocsync.models import Entry, Fields
from ocsync.schema import FieldType, Kind, field_at, ids_of, kind_of

FORMATS = ("csv", "jsonl")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NO_PLAIN_TEXT = frozenset((NULL, *ERROR_TEXTS))
_LINE_ENDS = re.compile(r"\r\n?")
_encode = msgspec.json.Encoder().encode
_ColumnKey = tuple[str, str]
"""The prefix of a column's name ("", EXPECT or COMMENT), and the path of its field."""


class TableRow(NamedTuple):
    """A row to write: an entry, and *remarks*, values that an import passes over."""

    entry: Entry
    remarks: Fields = {}  # noqa: RUF012 - never changed


class Layout(NamedTuple):
    """The layout of a table: the *names* of its first columns, and their *cells* for an entry.

    *absent_expectation* is the cell of a field for which an entry expects nothing; where it is not
    empty, each field that is expected has a column for its value too. *is_plain* tells
    whether a cell may hold a text as it is; *max_cell* are the most characters of one. *ascii_json*
    writes JSON with escapes for all other characters. *form* and *hint* are for errors.
    """

    names: tuple[str, ...]
    cells: Callable[[Entry], list[str]]
    form: str
    hint: str
    absent_expectation: str
    is_plain: Callable[[str], bool]
    max_cell: int
    ascii_json: bool = False


def json_lines(entries: Iterable[Entry], *, exist: bool = False) -> Iterator[bytes]:
    """Yield one line for each entry; *exist* marks those of which no field can be expected."""
    for entry in entries:
        record: dict[str, Any] = {"ref": entry.ref, "op": entry.op, "fields": entry.fields}
        if entry.expect:
            record["expect"] = entry.expect
        elif exist:
            record[EXISTS] = True
        if entry.replace:
            record["replace"] = True
        yield _encode(record) + b"\n"


def csv_lines(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Yield a header, then one line for each of the staged *entries*.

    Raises InputError with the reason for every field that CSV cannot hold.
    """
    columns = Columns(_edits_layout(with_replace=any(entry.replace for entry in entries)))
    for entry in entries:
        columns.add(TableRow(entry))
    return csv_table(columns, map(TableRow, entries))


def csv_table(columns: Columns, rows: Iterable[TableRow]) -> Iterator[bytes]:
    """Yield a header and a line for each row. Raises InputError for what CSV cannot hold."""
    names = columns.names()
    misleading = any(character in name for name in names for character in ";\t|\r")
    yield _csv_line(names, quote_all=misleading)
    for cells in columns.cells(rows):
        yield _csv_line(cells)


def _edits_layout(*, with_replace: bool) -> Layout:
    def cells(entry: Entry) -> list[str]:
        replace = ["true" if entry.replace else ""] if with_replace else []
        return [entry.ref, entry.op.value, *replace]

    return Layout(
        ("ref", "op", *(["replace"] if with_replace else [])), cells,
        form="CSV cannot hold all staged edits", hint="ocsync stage export --format jsonl",
        absent_expectation="", is_plain=is_plain_in_csv, max_cell=MAX_CELL - 2,
    )  # fmt: skip


def state_layout(kind: Kind, *, expect: bool) -> Layout:
    """Return the layout, in CSV, of the present state of *kind*: its IDs, then its fields.

    A kind without fields has a column that says that the row exists.
    """
    exists = [EXISTS] if expect and not kind.fields else []

    def cells(entry: Entry) -> list[str]:
        ids = ids_of(entry.ref)
        return [*[ids.get(name, "") for name in kind.ids], *["true" for _ in exists]]

    return Layout(
        (*kind.ids, *exists), cells,
        form=f"CSV cannot hold all of {kind.name}",
        hint=f"to a .jsonl file: ocsync export {kind.name} {kind.name}.jsonl",
        absent_expectation=NULL, is_plain=is_plain_in_csv, max_cell=MAX_CELL - 2,
    )  # fmt: skip


def is_plain_in_csv(text: str) -> bool:
    """Return whether a cell of CSV may hold *text* as it is, also for a spreadsheet."""
    return not (text.startswith(_FORMULA_STARTS) or "\0" in text or "\r" in text)


def for_people(row: TableRow) -> TableRow:
    """Return a row of the present state as a table shows it to those who edit it.

    Null and blank text are empty cells, which leave a field alone: what is expected tells them
    apart. The lines of a text end as a spreadsheet ends them.
    """
    fields = {
        path: _LINE_ENDS.sub("\n", value) if isinstance(value, str) else value
        for path, value in row.entry.fields.items()
        if value is not None and not (isinstance(value, str) and is_blank(value))
    }
    return row._replace(entry=msgspec.structs.replace(row.entry, fields=fields))


class Columns:
    """The columns of a table: those of *paths*, then others as they appear in rows.

    With *expect* each of *paths* has a column of expected values too.
    """

    def __init__(self, layout: Layout, paths: Iterable[str] = (), *, expect: bool = False) -> None:
        prefixes = ("", EXPECT) if expect else ("",)
        self._layout = layout
        self._is_json: dict[_ColumnKey, bool] = {
            (prefix, path): False for prefix in prefixes for path in paths
        }
        self._types: dict[_ColumnKey, FieldType] = {}
        self._faults: dict[_ColumnKey, Problem] = {}

    def add(self, row: TableRow) -> None:
        """Take a row into account."""
        entry, kind = row.entry, kind_of(row.entry.ref)
        for prefix, fields in (("", entry.fields), (EXPECT, entry.expect), (COMMENT, row.remarks)):
            for path, value in fields.items():
                key = prefix, path
                is_json = self._is_json.get(key)
                if is_json is None:
                    is_json = self._is_json[key] = path.endswith(":")
                    self._check_name(key, entry)
                    if prefix == EXPECT and self._layout.absent_expectation:
                        self._is_json.setdefault(("", path), is_json)
                if not is_json and value is not None:
                    is_json = self._is_json[key] = not self._is_plain(kind, key, value)
                if value.__class__ in _SIZED:
                    self._check_size(key, entry, value, is_json=is_json)

    def names(self) -> list[str]:
        """Return the names of all columns. Raises InputError for those that cannot be written."""
        if self._faults:
            text = f"{self._layout.form}; nothing was written"
            raise InputError(text, list(self._faults.values()), hint=self._layout.hint)
        named = [prefix + path + ":" * is_json for (prefix, path), is_json in self._ordered()]
        return [*self._layout.names, *named]

    def types(self) -> list[FieldType | None]:
        """Return the type of each column's cells, None for JSON and IDs."""
        return [
            *[None for _ in self._layout.names],
            *[None if is_json else self._types.get(key) for key, is_json in self._ordered()],
        ]

    def cells(self, rows: Iterable[TableRow]) -> Iterator[list[str]]:
        """Yield the cells of each row, as text."""
        ordered, layout, to_json = self._ordered(), self._layout, self._json_text
        absent = {"": "", EXPECT: layout.absent_expectation, COMMENT: ""}
        for row in rows:
            fields = {"": row.entry.fields, EXPECT: row.entry.expect, COMMENT: row.remarks}
            cells = layout.cells(row.entry)
            for (prefix, path), is_json in ordered:
                values = fields[prefix]
                if path not in values:
                    cells.append(absent[prefix])
                    continue
                value = values[path]
                if value is None:
                    cells.append("" if prefix == COMMENT else NULL)
                elif is_json:
                    cells.append(to_json(value))
                else:
                    cells.append(value if value.__class__ is str else _encode(value).decode())
            yield cells

    def _ordered(self) -> list[tuple[_ColumnKey, bool]]:
        """Return the columns: those of values, of expected ones, and remarks."""
        return sorted(self._is_json.items(), key=lambda item: _PREFIXES.index(item[0][0]))

    def _is_plain(self, kind: Kind, key: _ColumnKey, value: Any) -> bool:
        """Return whether *value* as plain text would be read as the same value again."""
        field = field_at(kind, key[1])
        type_ = field.type if field else FieldType.TEXT
        self._types[key] = type_
        if isinstance(value, str):
            is_text = type_ in (FieldType.TEXT, FieldType.DATE, FieldType.OBJECT)
            seen = not (is_blank(value) or value in _NO_PLAIN_TEXT)
            return is_text and seen and self._layout.is_plain(value)
        text = _encode(value).decode()
        try:
            restored = read_text(field, text) if field else text
        except ValueError:
            return False
        return type(restored) is type(value) and bool(restored == value)

    def _check_name(self, key: _ColumnKey, entry: Entry) -> None:
        prefix, path = key
        fits = "\0" not in path and (not self._layout.ascii_json or self._layout.is_plain(path))
        if path != path.strip() or not fits:
            reason = "has a name that a header cannot hold (trailing spaces, or a NUL)"
            self._faults.setdefault(key, Problem(entry.ref, 0, 0, prefix + path, "", reason))

    def _check_size(self, key: _ColumnKey, entry: Entry, value: Any, *, is_json: bool) -> None:
        if isinstance(value, str) and len(value) * _MOST_ESCAPED <= self._layout.max_cell:
            return
        text = self._json_text(value) if is_json or not isinstance(value, str) else value
        if len(text) > self._layout.max_cell:
            reason = f"is longer than a cell can be ({self._layout.max_cell + 2:,} characters)"
            self._faults.setdefault(key, Problem(entry.ref, 0, 0, "".join(key), "", reason))

    def _json_text(self, value: Any) -> str:
        if self._layout.ascii_json:
            return json.dumps(value, separators=(",", ":"))
        return _encode(value).decode()


_PREFIXES = ("", EXPECT, COMMENT)
_SIZED = (str, dict, list)
_MOST_ESCAPED = 12
"""Most characters that JSON has for one of a text: two escapes of six."""


def _csv_line(cells: list[str], *, quote_all: bool = False) -> bytes:
    """Return a line of CSV. *quote_all* keeps characters in a header from being taken for the
    delimiter.
    """
    line = io.StringIO()
    csv.writer(
        line, lineterminator="\n", quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    ).writerow(cells)
    return line.getvalue().encode()
