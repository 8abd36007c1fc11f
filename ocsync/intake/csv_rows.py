"""CSV text -> rows: the delimiter is found in the header, quotes may span lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain

from ocsync.errors import InputError
from ocsync.intake.record import Origin, Row

MAX_CELL = 1_000_000
"""Characters of one cell."""
_TOLD = re.compile(r"sep=([,;\t])\r?\n?", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"?')
_FAULTS = {
    "end of data": "has a quote that is never closed",
    "field larger": f"has a cell of more than {MAX_CELL:,} characters; is a quote never closed?",
    "expected after": "has text after a closing quote; a quote inside quotes is written twice",
}


def rows(origin: Origin, text: Iterator[str], head: bytes) -> Iterator[Row]:
    """The rows; blank ones are left out. Raises InputError for what is no CSV.

    A first line `sep=;`, as spreadsheets write it, names the delimiter.
    """
    csv.field_size_limit(MAX_CELL)
    first = next(text, "")
    told = _TOLD.fullmatch(first)
    delimiter = told[1] if told else _delimiter(head)
    reader = csv.reader(text if told else chain([first], text), delimiter=delimiter, strict=True)
    skipped = 1 if told else 0
    start = 1 + skipped
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield Row(start, row)
            start = reader.line_num + skipped + 1
    except csv.Error as error:
        why = next((text for part, text in _FAULTS.items() if part in str(error)), str(error))
        problem = origin.problem(start, -1, "", "", why)
        raise InputError("nothing was staged", [problem]) from error


def _delimiter(head: bytes) -> str:
    """Comma, semicolon or tab: the one that the first line has most of outside quotes."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    first = io.StringIO(head.decode(encoding, "ignore")).readline()
    return max(",;\t", key=_QUOTED.sub("", first).count)
