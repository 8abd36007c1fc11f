"""Numbers, times, values and columns as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any, Self

from ocsync.characters import escape_invisible
from ocsync.plurals import count as count
from ocsync.plurals import first_few as first_few
from ocsync.plurals import plural_of as plural_of
from ocsync.store.timestamps import local_time as local_time

Line = tuple[str, str]
"""A sign (or none) and a text."""
LINE_LIMIT = 10
"""The number of lines that a list of problems or refs shows at most."""


def log_id_text(log_id: str) -> str:
    """Return the platform's log ID of an answer as the end of a line; empty without one."""
    return f"   (log ID {log_id})" if log_id else ""


def duration(seconds: float) -> str:
    """Return *seconds* in the two largest units, as in `14 min 20 s`; tenths below ten seconds.

    Less than a tenth is shown in hundredths, and less than none, after a clock was set back, as
    none.
    """
    seconds = max(seconds, 0.0)
    if 0 < seconds < 0.095:
        return f"{max(seconds, 0.01):.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for unit, size, smaller, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def value_text(value: Any) -> str:
    """Return a JSON value as it is typed on the command line: text bare, all else as JSON.

    Text that would be taken for nothing, such as null, is quoted.
    """
    is_clear = isinstance(value, str) and value == value.strip() and value not in ("", "null")
    return value if is_clear and "\n" not in value else json_text(value)


def json_text(value: Any) -> str:
    """Return a value as JSON, in which text differs from every other type."""
    return json.dumps(value, ensure_ascii=False)


def field_value_text(path: str, value: Any, limit: int = 0) -> str:
    """Return the value of a field; in xp as JSON, as only that tells text from other types.

    With *limit* it takes that many characters at most.
    """
    text = json_text(value) if path.startswith("xp.") else value_text(value)
    return truncate(text, limit) if limit else text


def assignment_text(path: str, value: Any, sign: str = "=") -> str:
    """Return a field with its value as it is staged, as in `QuantityAvailable=42`.

    In xp a value that is no text has `:=`, as it has on the command line.
    """
    if sign == "=" and path.startswith("xp.") and not isinstance(value, str):
        return f"{path}:={json_text(value)}"
    return f"{path}{sign}{value_text(value)}"


def display_width(text: str) -> int:
    """Return the number of terminal columns that *text* takes; wide characters take two."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(1 + (east_asian_width(c) in "WF") for c in text)


class Row(str):
    """A line of a table; *starts* are the places where its columns begin.

    The console prints a *heading* dim, and continues a line that is too long below the last column.
    """

    __slots__ = ("heading", "starts")
    heading: bool
    starts: Sequence[int]

    def __new__(cls, text: str, starts: Sequence[int], *, heading: bool = False) -> Self:
        """Return *text* as a line of a table."""
        row = super().__new__(cls, text)
        row.starts = starts
        row.heading = heading
        return row


def columns(
    rows: Iterable[Sequence[object]],
    align: str,
    gap: int = 2,
    *,
    indent: int = 0,
    heading: bool = False,
) -> list[Row]:
    """Return *rows* as aligned lines; *align* has `<` or `>` for each column.

    Integers get thousands separators. With *heading* the first row names the columns.
    """
    texts = [
        [f"{c:,}" if type(c) is int else escape_invisible(str(c)) for c in row] for row in rows
    ]
    if not texts:
        return []
    widths = [max(map(display_width, column)) for column in zip(*texts, strict=True)]

    def cell(text: str, size: int, alignment: str) -> str:
        pad = " " * (size - display_width(text))
        return pad + text if alignment == ">" else text + pad

    spacer = " " * gap
    starts = tuple(accumulate((width + gap for width in widths[:-1]), initial=indent))
    lines = (
        spacer.join(cell(t, w, a) for t, w, a in zip(row, widths, align, strict=True)).rstrip()
        for row in texts
    )
    return [
        Row(" " * indent + line, starts, heading=heading and not number)
        for number, line in enumerate(lines)
    ]


def truncate(text: str, limit: int = 60) -> str:
    """Return *text*, or its beginning and `...` if it is longer than *limit* characters."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def limited(lines: Iterable[Line], total: int, remark: str = "") -> Iterator[Line]:
    """Yield the first of *total* lines and, if that is not all, the number of the others.

    *remark* follows the number, as in `... and 7 more (--verbose)`.
    """
    yield from islice(lines, LINE_LIMIT)
    if total > LINE_LIMIT:
        yield "", f"  ... and {total - LINE_LIMIT:,} more{remark}"
