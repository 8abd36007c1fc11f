"""Entries -> JSON lines or CSV, such that importing them stages the same entries again.

JSON lines hold everything. CSV has a `ref` and an `op` column and a column a field; a field with a
value that its text would not bring back (text in an xp key that looks like a number, an empty text,
a list) gets a header that ends in `:`, and JSON in its cells. So does text that a spreadsheet would
take for a formula or an error: quoted as JSON, it is none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ocsync.errors import InputError, Problem
from ocsync.intake.csv_rows import MAX_CELL
from ocsync.intake.field_values import read_text
from ocsync.intake.table import ERRORS, NULL
from ocsync.models import Entry, Fields, Ref
from ocsync.schema import field_at, kind_of

FORMATS = ("csv", "jsonl")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_encode = msgspec.json.Encoder().encode


def json_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """A line an entry."""
    for entry in entries:
        record: dict[str, Any] = {"ref": entry.ref, "op": entry.op, "fields": entry.fields}
        if entry.expect:
            record["expect"] = entry.expect
        if entry.replace:
            record["replace"] = True
        yield _encode(record) + b"\n"


def csv_lines(entries: Sequence[Entry]) -> Iterator[bytes]:
    """A header, then a line an entry. Raises InputError, with every reason, for what CSV cannot
    hold.
    """
    columns = _columns(entries)
    replace = any(entry.replace for entry in entries)
    lead = ["ref", "op", *(["replace"] if replace else [])]
    names = [*lead, *(name + path + ":" * json for (name, path), json in columns.items())]
    yield _line(names, quoted=any(sign in name for name in names for sign in ";\t\r"))
    for entry in entries:
        cells = [entry.ref, entry.op.value, *(["true" if entry.replace else ""] if replace else [])]
        for (expects, path), json in columns.items():
            fields = entry.expect if expects else entry.fields
            cells.append(_cell(entry.ref, path, fields[path], json=json) if path in fields else "")
        yield _line(cells)


def _columns(entries: Iterable[Entry]) -> dict[tuple[str, str], bool]:
    """The columns in the order in which they come up: (`expect.` or nothing, path) -> is JSON."""
    columns: dict[tuple[str, str], bool] = {}
    problems: dict[tuple[str, str], Problem] = {}
    for entry in entries:
        for key, value in _values(entry):
            path = key[1]
            json = path.endswith(":") or _as_text(entry.ref, path, value) is None
            columns[key] = columns.get(key, False) or json
            if why := _why_not(entry.ref, path, value, json=json):
                problems.setdefault(key, Problem(entry.ref, 0, 0, "".join(key), "", why))
    if problems:
        raise InputError(
            "CSV cannot hold all that is staged; nothing was written",
            list(problems.values()),
            hint="ocsync stage export --format jsonl",
        )
    return columns


def _values(entry: Entry) -> Iterator[tuple[tuple[str, str], Any]]:
    sides: tuple[tuple[str, Fields], ...] = (("", entry.fields), ("expect.", entry.expect))
    for name, fields in sides:
        for path, value in fields.items():
            yield (name, path), value


def _as_text(ref: Ref, path: str, value: Any) -> str | None:
    """*value* as a plain cell, or None when only JSON brings it back."""
    if value is None:
        return NULL
    field = field_at(kind_of(ref), path)
    if isinstance(value, str):
        text = value
        odd = text in ("", NULL, *ERRORS) or text.startswith(_FORMULA)
        if odd or "\0" in text or "\r" in text:
            return None
    else:
        text = _encode(value).decode()
    try:
        back = read_text(field, text) if field else text
    except ValueError:
        return None
    return text if type(back) is type(value) and back == value else None


def _cell(ref: Ref, path: str, value: Any, *, json: bool) -> str:
    if value is None:
        return NULL
    return _encode(value).decode() if json else _as_text(ref, path, value) or ""


def _why_not(ref: Ref, path: str, value: Any, *, json: bool) -> str:
    """Why a column of CSV cannot hold *value*; empty when it can."""
    if path != path.strip() or "\0" in path:
        return "has a name that a header does not keep (spaces at its end, or a NUL)"
    if len(_cell(ref, path, value, json=json)) > MAX_CELL - 2:
        return f"is longer than the {MAX_CELL:,} characters of a cell"
    return ""


def _line(cells: list[str], *, quoted: bool = False) -> bytes:
    """A line; all of it *quoted* where a reader could take something in it for the delimiter."""
    line = io.StringIO()
    csv.writer(
        line, lineterminator="\n", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    ).writerow(cells)
    return line.getvalue().encode()
