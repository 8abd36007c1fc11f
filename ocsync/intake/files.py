"""Files -> entries: CSV, JSON lines, and spreadsheets, as a stream with every fault collected.

What is wrong is told at the end of the stream, so a reader must take nothing until then; a segment
of the journal does just that.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import PurePath
from typing import Any, BinaryIO

from ocsync.errors import ConfigError, InputError, Problem
from ocsync.intake import csv_rows, jsonl
from ocsync.intake.fields import faults_of
from ocsync.intake.line import Line
from ocsync.models import Entry

KEPT = 1000
"""Problems that are told one by one; beyond them only their number."""
MAX_LINE = 1_000_000
"""Characters of one line."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FORMATS = ("csv", "jsonl", "xlsx")


def read_file(name: str, stream: BinaryIO, *, kind: str = "", form: str = "") -> Iterator[Entry]:
    """The entries in *stream*. *kind* is for CSV without a `ref` column; *form* forces a format.

    Raises InputError, with every problem, when the stream has been read to its end.
    """
    buffered = io.BufferedReader(stream) if not isinstance(stream, io.BufferedReader) else stream  # type: ignore[type-var]
    head = buffered.peek(4096)[:4096]
    form = form or _form_of(name, head)
    label = PurePath(name).name if name != "-" else "-"
    if form == "xlsx":
        lines = csv_rows.lines(label, _cells(buffered), kind)
        yield from _collected(label, lines)
        return
    with closing(_text(label, buffered, head)) as text:
        if form == "jsonl":
            lines = jsonl.lines(label, text)
        else:
            lines = csv_rows.lines(label, csv_rows.rows(label, text, head), kind)
        yield from _collected(label, lines)


def _collected(label: str, lines: Iterator[Line]) -> Iterator[Entry]:
    kept: list[Problem] = []
    wrong = total = 0
    for line in lines:
        total += 1
        found = list(line.problems)
        if line.entry is not None and not found:
            found = [
                Problem(label, line.number, line.columns.get(f.field, 0), *f)
                for f in faults_of(line.entry)
            ]
        if found:
            wrong += 1
            kept += found[: KEPT - len(kept)]
        elif line.entry is not None and not wrong:
            yield line.entry
    if wrong:
        are = "is" if wrong == 1 else "are"
        raise InputError(f"{wrong:,} of {total:,} lines {are} wrong; nothing was staged", kept)


def _form_of(name: str, head: bytes) -> str:
    suffix = PurePath(name).suffix.casefold()
    if suffix in (".jsonl", ".ndjson", ".json"):
        return "jsonl"
    if suffix in (".xlsx", ".xls", ".ods"):
        return "xlsx"
    if suffix in (".csv", ".tsv", ".txt"):
        return "csv"
    return "jsonl" if head.lstrip(codecs.BOM_UTF8 + b" \r\n\t").startswith(b"{") else "csv"


def _text(label: str, stream: BinaryIO, head: bytes) -> Generator[str, None, None]:
    """The lines, decoded, each no longer than MAX_LINE. Raises InputError for what is no text."""
    encoding = next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8")
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")
    number = 0
    try:
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise _unreadable(label, number, f"is longer than {MAX_LINE:,} characters")
            if "\0" in line:
                raise _unreadable(label, number, "holds a NUL: this is not a text file")
            yield line
    except UnicodeError:
        raise _unreadable(
            label, number + 1, f"is not {encoding} text; save the file as UTF-8"
        ) from None
    finally:
        with suppress(ValueError):  # it is closed already
            text.detach()  # whoever opened the stream closes it


def _unreadable(label: str, number: int, why: str) -> InputError:
    return InputError("nothing was staged", [Problem(label, number, 0, "", "", why)])


def _cells(stream: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """The rows of a workbook's first sheet, as text."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        text = "spreadsheets need python-calamine, which is not installed"
        raise ConfigError(
            text, hint="pip install 'ocsync[xlsx]', or save the sheet as CSV"
        ) from error
    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(stream.read())).get_sheet_by_index(0)
    except CalamineError as error:
        raise InputError(f"not a spreadsheet: {error}") from error
    for number, row in enumerate(sheet.to_python(), 1):
        yield number, [_cell(value) for value in row]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
