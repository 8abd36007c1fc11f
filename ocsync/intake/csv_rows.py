"""Rows of CSV text: the header tells the delimiter, and quoted cells may span lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from ocsync.characters import is_blank
from ocsync.errors import InputError
from ocsync.intake.record import InputFile, KeptLines, Row

MAX_CELL = 1_000_000
"""Most characters of one cell."""
_MAX_HEADER_LINES = 100
"""Most lines that are read for the header, blank ones before it included."""
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n?", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"?')
_FAULTS = {
    "end of data": "has a quote that is never closed",
    "field larger": f"has a cell of more than {MAX_CELL:,} characters; is a quote never closed?",
    "expected after": "has text after a closing quote; write a quote inside quotes twice",
}


class Layout(NamedTuple):
    """The layout of CSV text: *passed* lines, then the header's, with blank ones before it."""

    delimiter: str
    passed: int
    header: list[str]


def read_layout(text: Iterator[str], *, delimiter: str = "", header_row: int = 0) -> Layout:
    """Read *text* up to the end of its header, and return its layout.

    A first line `sep=;`, which spreadsheets write, names the delimiter. Lines before *header_row*,
    counted from 1, are passed over.
    """
    passed = sum(1 for _ in islice(text, max(header_row - 1, 0)))
    first = next(text, "")
    separator = _SEPARATOR_LINE.fullmatch(first)
    header = [] if separator else _header_lines(chain([first], text))
    found = separator[1] if separator else _detect_delimiter("".join(header))
    return Layout(delimiter or found, passed + bool(separator), header)


def read_rows(
    origin: InputFile,
    text: Iterator[str],
    *,
    delimiter: str = "",
    header_row: int = 0,
    kept: KeptLines | None = None,
) -> tuple[InputFile, Iterator[Row]]:
    """Return *origin* with what its header tells, and the rows that are not blank.

    Where a comma stands before decimals, cells are separated by something else. Both this and the
    rows raise InputError for text that is not CSV. Of the lines after the header, each of which
    must then be a whole row, only those *kept* are read.
    """
    layout = read_layout(text, delimiter=delimiter, header_row=header_row)
    origin = with_decimal_sign(origin, layout)
    if kept is None:
        lines = chain(layout.header, text)
        return origin, _rows(origin, lines, layout.delimiter, skipped=layout.passed)
    return origin, chain(header_rows(origin, layout), _kept_rows(origin, text, layout, kept))


def with_decimal_sign(origin: InputFile, layout: Layout) -> InputFile:
    """Return *origin* with the sign before decimals that its delimiter tells."""
    return origin._replace(decimal_comma=layout.delimiter != ",")


def header_rows(origin: InputFile, layout: Layout) -> Iterator[Row]:
    """Yield the rows of the header's lines: one, if there is a header. Raises InputError."""
    return _rows(origin, iter(layout.header), layout.delimiter, skipped=layout.passed)


def _kept_rows(
    origin: InputFile, text: Iterator[str], layout: Layout, kept: KeptLines
) -> Iterator[Row]:
    """Yield the rows of *kept* lines, and count those left out. Raises InputError."""
    number, read, first = 0, 0, layout.passed + len(layout.header)
    numbers = kept.numbers
    for number, line in enumerate(text, 1):
        if number in numbers:
            read += 1
            skipped = first + number - 1
            yield from _rows(origin, iter((line,)), layout.delimiter, skipped=skipped)
    if number != kept.lines:
        raise InputError(f"{origin.label} changed while it was read; run the import again")
    kept.left_out = number - read


def _rows(
    origin: InputFile, lines: Iterator[str], delimiter: str, *, skipped: int
) -> Iterator[Row]:
    """Yield the rows of *lines*, which *skipped* others precede."""
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 1 + skipped
    try:
        for row in reader:
            # nearly every row begins with a character that can be seen
            if (row and "!" <= row[0] < "\x7f") or not all(map(is_blank, row)):
                yield Row(start, row)
            start = reader.line_num + skipped + 1
    except csv.Error as error:
        reason = next((fault for part, fault in _FAULTS.items() if part in str(error)), str(error))
        problem = origin.problem(start, -1, "", "", reason)
        raise InputError("nothing was staged", [problem]) from error


def _header_lines(text: Iterator[str]) -> list[str]:
    """Return the header's lines, and blank ones before it; a quoted name may span lines."""
    lines, header = list[str](), ""
    for line in islice(text, _MAX_HEADER_LINES):
        lines.append(line)
        header += line
        if not is_blank(header) and header.count('"') % 2 == 0:
            break
    return lines


def _detect_delimiter(header: str) -> str:
    """Return the one of comma, semicolon, tab and bar that *header* has most, outside quotes."""
    return max(",;\t|", key=_QUOTED.sub("", header).count)
