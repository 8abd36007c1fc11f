"""The layout of lines on a terminal: words wrap, and what follows hangs below its beginning.

A line of a table continues below its last column. Other lines continue below the text that follows
their last wide gap, if that begins in the first three fifths, else below their own text. A word
that is longer than a line, such as an ID or a path, is neither cut nor split.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from ocsync.render.text import display_width

_LEAST_ROOM = 20
"""The columns that the last column of a table needs to hold wrapped text."""
_GAP = re.compile(r"(?<=\S)  +(?=\S)")
_WORD = re.compile(r"\S+\s*")
_NEXT = "next: "
_COMMAND = re.compile(r"(?:ocsync |export |pip |cd |\$env:)")
_LISTED = re.compile(r".+?[,;](?:\s+|$)|.+$")
"""The commands of a list, each with the comma or semicolon that ends it."""


def wrap_text(text: str, columns: int, lead: int = 0, starts: Sequence[int] = ()) -> str:
    """Return *text* as lines of at most *columns*, the first of which is *lead* columns shorter.

    *starts* are those of a row of a table (see `Row`). Commands to type next, and JSON, are copied,
    so each of them stays on one line.
    """
    first, *more = text.split("\n")
    lines = _wrap(first, columns, lead, starts)
    return "\n".join([*lines, *(part for line in more for part in _wrap(line, columns, 0, ()))])


def _wrap(line: str, columns: int, lead: int, starts: Sequence[int]) -> list[str]:
    if lead + display_width(line) <= columns or line.lstrip().startswith(("{", "[")):
        return [line]
    indent = len(line) - len(line.lstrip())
    text = line[indent:]
    if text.startswith(_NEXT):
        hang, pieces = indent + len(_NEXT), _commands(text)
    elif starts and starts[-1] + lead <= columns - _LEAST_ROOM:
        hang = starts[-1] + lead
        before, last = _split_at(line, [starts[-1]])
        pieces = [before[indent:], *_WORD.findall(last)]
    elif starts:
        return _fold(line, columns, lead, starts)
    else:
        hang, pieces = _hang(line, columns, indent, lead), _WORD.findall(text)
    return _fill(pieces, columns, indent, lead, hang)


def _hang(line: str, columns: int, indent: int, lead: int) -> int:
    """Return the column below which a *line* that is no row of a table continues."""
    starts = (lead + display_width(line[: gap.end()]) for gap in _GAP.finditer(line))
    return max((s for s in starts if s <= 3 * columns // 5), default=indent + (lead or 2))


def _fold(line: str, columns: int, lead: int, starts: Sequence[int]) -> list[str]:
    """Return a row as lines of whole columns, the same ones for each row of a table."""
    folds, left = [], starts[0] - lead
    hang = starts[0] + lead + 4
    for start, end in pairwise(starts[1:]):
        if end - left > columns:
            folds.append(start)
            left = start - hang
    if display_width(line) - left > columns and starts[-1] not in folds:
        folds.append(starts[-1])
    first, *more = _split_at(line, folds)
    return [first.rstrip(), *(" " * hang + part.rstrip() for part in more if part.strip())]


def _split_at(line: str, places: Sequence[int]) -> list[str]:
    """Return the parts of *line* that begin at its start and at *places*, in columns."""
    parts, used = [""], 0
    waiting = deque(places)
    for char in line:
        if waiting and used >= waiting[0]:
            waiting.popleft()
            parts.append("")
        parts[-1] += char
        used += display_width(char)
    return [*parts, *("" for _ in waiting)]


def _commands(text: str) -> list[str]:
    """Return the pieces of the *text* `next: ...` that stay on one line."""
    pieces: list[str] = []
    for part in _LISTED.findall(text):
        is_command = _COMMAND.match(part.removeprefix(_NEXT))
        pieces += [part] if is_command else _WORD.findall(part)
    return pieces


def _fill(pieces: list[str], columns: int, indent: int, lead: int, hang: int) -> list[str]:
    """Return *pieces* as lines, those after the first below *hang*, or further left if they are
    long.
    """
    least = indent + lead + 2
    widths = [width for piece in pieces[1:] if (width := display_width(piece.rstrip()))]
    longest = max((width for width in widths if width <= columns - least), default=0)
    hang = min(hang, max(columns - longest, least))
    lines, line, used = [], " " * indent, indent + lead
    for piece in pieces:
        if used + display_width(piece.rstrip()) > columns and line.strip():
            lines.append(line.rstrip())
            line, used = " " * hang, hang
        line += piece
        used += display_width(piece)
    return [*lines, line.rstrip()]
