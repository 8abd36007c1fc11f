"""Numbers, times and columns as people write them. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

Line = tuple[str, str]
"""A sign (or none) and a text."""


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 step`, `1,004 steps`."""
    return f"{number:,} {noun if number == 1 else plural or plural_of(noun)}"


def plural_of(noun: str) -> str:
    """`entry` -> `entries`."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "ch", "x")) else "s")


def duration(seconds: float) -> str:
    """`52 s`, `14 min 20 s`, `2 h 5 min`, `3 d 4 h`; under ten seconds with a tenth."""
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


def clock(stamp: str, now: datetime, *, seconds: bool = False) -> str:
    """A UTC stamp in the operator's time: `15:05`, with the date unless it is today."""
    moment, here = datetime.fromisoformat(stamp).astimezone(), now.astimezone()
    date = "" if moment.date() == here.date() else "%Y-%m-%d "
    return moment.strftime(date + ("%H:%M:%S" if seconds else "%H:%M"))


def value(thing: Any) -> str:
    """A JSON value as it is typed on the command line: text bare, all else as JSON."""
    if isinstance(thing, str) and thing and thing == thing.strip() and "\n" not in thing:
        return thing
    return json.dumps(thing, ensure_ascii=False)


def assignment(path: str, thing: Any, sign: str = "=") -> str:
    """`QuantityAvailable=42`."""
    return f"{path}{sign}{value(thing)}"


def width(text: str) -> int:
    """The terminal columns that *text* takes; wide characters take two."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def columns(rows: Iterable[Sequence[object]], align: str, gap: int = 2) -> list[str]:
    """*rows* as aligned lines; *align* has `<` or `>` for each column. Integers are grouped."""
    texts = [[f"{c:,}" if type(c) is int else str(c) for c in row] for row in rows]
    if not texts:
        return []
    widths = [max(map(width, column)) for column in zip(*texts, strict=True)]

    def cell(text: str, size: int, way: str) -> str:
        pad = " " * (size - width(text))
        return pad + text if way == ">" else text + pad

    spacer = " " * gap
    return [
        spacer.join(cell(t, w, a) for t, w, a in zip(row, widths, align, strict=True)).rstrip()
        for row in texts
    ]


def shortened(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 7 more`."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


def clipped(text: str, most: int = 60) -> str:
    """*text*, or its beginning when it is longer than *most* characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
