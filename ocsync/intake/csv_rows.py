"""Rows of CSV text: the header tells the delimiter, and quoted cells may span lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain

from ocsync.errors import InputError
from ocsync.intake.record import InputFile, Row

MAX_CELL = 1_000_000
"""Most characters of one cell."""
_SEPARATOR_LINE = re.compile(r"sep=([,;\t])\r?\n?", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"?')
_FAULTS = {
    "end of data": "has a quote that is never closed",
    "field larger": f"has a cell of more than {MAX_CELL:,} characters; is a quote never closed?",
    "expected after": "has text after a closing quote; a quote inside quotes is written twice",
}


def read_rows(origin: InputFile, text: Iterator[str], head: bytes) -> Iterator[Row]:
    """Yield the rows that are not blank. Raises InputError for text that is not CSV.

    A first line `sep=;`, which spreadsheets write, names the delimiter.
    """
    csv.field_size_limit(MAX_CELL)
    first = next(text, "")
    separator = _SEPARATOR_LINE.fullmatch(first)
    delimiter = separator[1] if separator else _detect_delimiter(head)
    reader = csv.reader(
        text if separator else chain([first], text), delimiter=delimiter, strict=True
    )
    skipped = 1 if separator else 0
    start = 1 + skipped
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield Row(start, row)
            start = reader.line_num + skipped + 1
    except csv.Error as error:
        reason = next((fault for part, fault in _FAULTS.items() if part in str(error)), str(error))
        problem = origin.problem(start, -1, "", "", reason)
        raise InputError("nothing was staged", [problem]) from error


def _detect_delimiter(head: bytes) -> str:
    """Return the one of comma, semicolon and tab that the first line has most, outside quotes."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    first = io.StringIO(head.decode(encoding, "ignore")).readline()
    return max(",;\t", key=_QUOTED.sub("", first).count)
