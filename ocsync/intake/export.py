"""Writers of entries as JSON lines or CSV; importing the file stages the same entries again.

JSON lines hold everything. CSV has a `ref` and an `op` column and one column for each field. Where
plain text would not give the same value again (an empty text, a list, a number inside xp), the
column's header ends in `:` and its cells hold JSON. The same is done for text that a spreadsheet
would take for a formula or an error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ocsync.characters import is_blank
from ocsync.errors import InputError, Problem
from ocsync.intake.csv_rows import MAX_CELL
from ocsync.intake.field_values import read_text
from ocsync.intake.table import ERROR_TEXTS, NULL
from ocsync.models import Entry, Fields, Ref
from ocsync.schema import field_at, kind_of

FORMATS = ("csv", "jsonl")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_encode = msgspec.json.Encoder().encode


def json_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield one line for each entry."""
    for entry in entries:
        record: dict[str, Any] = {"ref": entry.ref, "op": entry.op, "fields": entry.fields}
        if entry.expect:
            record["expect"] = entry.expect
        if entry.replace:
            record["replace"] = True
        yield _encode(record) + b"\n"


def csv_lines(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Yield a header, then one line for each entry.

    Raises InputError with the reason for every field that CSV cannot hold.
    """
    columns = _columns(entries)
    replace = any(entry.replace for entry in entries)
    reserved = ["ref", "op", *(["replace"] if replace else [])]
    headers = [*reserved, *(prefix + path + ":" * json for (prefix, path), json in columns.items())]
    misleading = any(character in name for name in headers for character in ";\t\r")
    yield _csv_line(headers, quote_all=misleading)
    for entry in entries:
        cells = [entry.ref, entry.op.value, *(["true" if entry.replace else ""] if replace else [])]
        for (prefix, path), json in columns.items():
            fields = entry.expect if prefix else entry.fields
            cells.append(_cell(entry.ref, path, fields[path], json=json) if path in fields else "")
        yield _csv_line(cells)


def _columns(entries: Iterable[Entry]) -> dict[tuple[str, str], bool]:
    """Return the columns in order of appearance: ("expect." or "", path) -> whether it is JSON."""
    columns: dict[tuple[str, str], bool] = {}
    problems: dict[tuple[str, str], Problem] = {}
    for entry in entries:
        for key, value in _prefixed_values(entry):
            path = key[1]
            is_json = path.endswith(":") or _plain_text(entry.ref, path, value) is None
            columns[key] = columns.get(key, False) or is_json
            if reason := _csv_fault(entry.ref, path, value, json=is_json):
                problems.setdefault(key, Problem(entry.ref, 0, 0, "".join(key), "", reason))
    if problems:
        raise InputError(
            "CSV cannot hold all that is staged; nothing was written",
            list(problems.values()),
            hint="ocsync stage export --format jsonl",
        )
    return columns


def _prefixed_values(entry: Entry) -> Iterator[tuple[tuple[str, str], Any]]:
    sides: tuple[tuple[str, Fields], ...] = (("", entry.fields), ("expect.", entry.expect))
    for prefix, fields in sides:
        for path, value in fields.items():
            yield (prefix, path), value


def _plain_text(ref: Ref, path: str, value: Any) -> str | None:
    """Return *value* as a plain cell, or None when only JSON would give the same value again."""
    if value is None:
        return NULL
    field = field_at(kind_of(ref), path)
    if isinstance(value, str):
        text = value
        needs_json = is_blank(text) or text in (NULL, *ERROR_TEXTS)
        needs_json = needs_json or text.startswith(_FORMULA_STARTS)
        if needs_json or "\0" in text or "\r" in text:
            return None
    else:
        text = _encode(value).decode()
    try:
        restored = read_text(field, text) if field else text
    except ValueError:
        return None
    return text if type(restored) is type(value) and restored == value else None


def _cell(ref: Ref, path: str, value: Any, *, json: bool) -> str:
    if value is None:
        return NULL
    return _encode(value).decode() if json else _plain_text(ref, path, value) or ""


def _csv_fault(ref: Ref, path: str, value: Any, *, json: bool) -> str:
    """Return the reason why a CSV column cannot hold *value*, or "" when it can."""
    if path != path.strip() or "\0" in path:
        return "has a name that a header does not keep (spaces at its end, or a NUL)"
    if len(_cell(ref, path, value, json=json)) > MAX_CELL - 2:
        return f"is longer than the {MAX_CELL:,} characters of a cell"
    return ""


def _csv_line(cells: list[str], *, quote_all: bool = False) -> bytes:
    """Return a line of CSV. *quote_all* keeps characters in a header from being taken for the
    delimiter.
    """
    line = io.StringIO()
    csv.writer(
        line, lineterminator="\n", quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    ).writerow(cells)
    return line.getvalue().encode()
