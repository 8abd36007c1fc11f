"""Types that the readers share: input files, queries, rows of a table, and parsed lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from ocsync.errors import Problem
from ocsync.models import Entry, Ref
from ocsync.schema import read_ref

NUMBER, EXACT_NUMBER = "number", "exact number"
"""Types of cells that are numbers: of one that may have lost digits, and of one that has all."""


@lru_cache(2**16)
def known_ref(text: str) -> Ref:
    """Return *text*, which must be a ref, as `read_ref` does: a file often repeats one.

    Raises UsageError.
    """
    return read_ref(text)


class Oddity(Enum):
    """A property of a cell that is no fault, and that may not be meant."""

    NOT_TEXT = "a number or a date of a spreadsheet, in a text column"
    THOUSANDS = "a number with three digits after its point, where points may mark thousands"
    NO_VALUE = "a word such as NULL, which programs write for no value"
    EMPTIED = "an empty cell beside an expected value"


class ParsedLine(msgspec.Struct, frozen=True, gc=False):
    """One line or row of a file: its entry, or the problems found in it.

    *column_numbers* count from 1, by path (`expect.` before an expected field's). *odd_cells* are
    by what is odd and path: the text. *compares*: it says what was there when the file was written,
    so that it is no edit if it sets nothing to another value. *is_valid*: it has been validated,
    and none of its values is a word for no value.
    """

    number: int
    entry: Entry | None
    problems: list[Problem]
    column_numbers: Mapping[str, int] = {}
    odd_cells: Mapping[tuple[Oddity, str], str] = {}
    compares: bool = False
    is_valid: bool = False


class ParsedLines(NamedTuple):
    """Lines that follow each other in a file: their *number*, and *lines*, to be iterated once.

    *entries* are theirs where all of them are valid and there is nothing to say of any.
    """

    number: int
    lines: Iterable[ParsedLine]
    entries: list[Entry] | None = None


OddCells = Mapping[tuple[Oddity, str], str]
"""The odd cells of a line: what is odd and the path -> its text."""
LineObserver = Callable[[Sequence[ParsedLine]], None]
"""Function that receives all lines, those of one table or file together, when they are read."""


class InputFile(NamedTuple):
    """A file, or a sheet of one, whose data begins *column_offset* columns from the left.

    *decimal_comma*: its numbers may have a comma before the decimals, and points for thousands.
    *columns* are the places of the columns in the file, from 0, where a mapping has moved them; -1
    stands for one that the file does not have.
    """

    label: str
    sheet: str = ""
    column_offset: int = 0
    decimal_comma: bool = False
    columns: tuple[int, ...] = ()

    def problem(self, line: int, index: int, field: str, value: str, reason: str) -> Problem:
        """Return the problem at cell *index*, counted from 0; -1 for a whole line."""
        column = self.column_number(index) if index >= 0 else 0
        return Problem(self.label, line, column, field, value[:60], reason, self.sheet)

    def column_number(self, index: int) -> int:
        """Return the number in the file, from 1, of the column at *index*; 0 if it is not there."""
        place = self.columns[index] if self.columns else index
        return place + 1 + self.column_offset if place >= 0 else 0

    def source(self, line: int) -> str:
        """Return the text that an entry's `source` holds for this line."""
        return f"{self.source_prefix}{line}"

    @property
    def place(self) -> str:
        """The file and the sheet, as notes name them."""
        return f"{self.label} {self.sheet}".rstrip()

    @property
    def source_prefix(self) -> str:
        """The text before the line's number in an entry's `source`."""
        return f"{self.label}!{self.sheet}:" if self.sheet else f"{self.label}:"


class KeptLines(msgspec.Struct):
    """The lines of a CSV that are to be read, by their *numbers* from 1, which follow its header.

    *lines* is the number of all. *left_out* are those that the last reading has not read.
    """

    numbers: frozenset[int]
    lines: int
    left_out: int = 0


class DifferingLines(NamedTuple):
    """The lines of an earlier file and of a new one that may differ in what they stage."""

    earlier: KeptLines
    new: KeptLines


class SqlQuery(NamedTuple):
    """A query, and the DuckDB database that it reads; "" for none."""

    text: str
    database: str = ""


_NOTHING: Mapping[int, str] = MappingProxyType({})


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row of a table as text, with the line that it begins on.

    For a spreadsheet, by cell index: the type of the cells that are not text, and the reason why a
    cell cannot be used.
    """

    number: int
    cells: list[str]
    cell_types: Mapping[int, str] = _NOTHING
    cell_faults: Mapping[int, str] = _NOTHING
