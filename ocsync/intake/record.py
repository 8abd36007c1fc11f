"""What a reader makes of one record, and where records come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ocsync.errors import Problem
from ocsync.models import Entry


class Line(NamedTuple):
    """One record of a file: its entry, or what is wrong with it.

    *columns* place the cells that have a header, by path (`expect.` before an expectation's).
    *loose* are columns for text whose cell holds something else in a spreadsheet: path -> cell.
    """

    number: int
    entry: Entry | None
    problems: list[Problem]
    columns: Mapping[str, int] = {}
    loose: Mapping[str, str] = {}


See = Callable[[Line], None]
"""Somebody who looks at every line as it passes."""


class Origin(NamedTuple):
    """A file, or a sheet of one, whose data begins *skipped* columns from the left."""

    label: str
    sheet: str = ""
    skipped: int = 0

    def problem(self, line: int, place: int, field: str, value: str, why: str) -> Problem:
        """What is wrong at *place*, counted from 0; -1 for a whole line."""
        column = place + 1 + self.skipped if place >= 0 else 0
        return Problem(self.label, line, column, field, value[:60], why, self.sheet)

    def source(self, line: int) -> str:
        """Where an entry is from, as the journal tells it."""
        return f"{self.label}!{self.sheet}:{line}" if self.sheet else f"{self.label}:{line}"


class Row(NamedTuple):
    """A row of a table as text, with the line that it begins on.

    A spreadsheet also says what sort of cell is no text, and which cells cannot be used, by place.
    """

    number: int
    cells: list[str]
    sorts: Mapping[int, str] = {}
    wrong: Mapping[int, str] = {}
