"""Report of the values in a file's columns, collected while its lines are read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from ocsync.intake.record import ParsedLine
from ocsync.models import Entry
from ocsync.schema import KINDS, FieldType, field_at, ids_of

MAX_EXAMPLES = 3
WHOLE_LINE = "(line)"
"""Name of the column that counts problems of whole lines."""
_RESERVED = ("ref", "op", "replace")
_JSON_TYPES = {"str": "text", "int": "number", "float": "number", "bool": "true or false",
               "list": "list"}  # fmt: skip


class Column:
    """The counts of one column: a field, an expected field (`expect.PATH`) or an ID.

    *present* counts the lines with a value, a null or a problem. *examples* holds the first
    MAX_EXAMPLES problems as text.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.types: set[str] = set()
        self.filled = self.null = self.wrong = 0
        self.present = 0
        self.least: Any = None
        self.greatest: Any = None
        self.examples: list[str] = []
        self._value_hashes: set[int] = set()

    @property
    def distinct(self) -> int:
        """The number of different values."""
        return len(self._value_hashes)

    @property
    def type(self) -> str:
        """The type of its field; all of them, where lines of different kinds disagree."""
        return ", ".join(sorted(self.types)) or "-"

    def add_value(self, value: Any, type_name: str) -> None:
        """Count a value of a field whose type is *type_name*."""
        self.present += 1
        if value is None:
            self.null += 1
            return
        self.types.add(type_name)
        self.filled += 1
        is_text = type(value) is str  # other values differ from text, as "1" does from 1
        value_hash = hash(value) if is_text else ~hash(msgspec.json.encode(value))
        if value_hash in self._value_hashes:
            return
        self._value_hashes.add(value_hash)
        if isinstance(value, str | int | float):
            self.least = value if self.least is None or _less(value, self.least) else self.least
            self.greatest = (
                value if self.greatest is None or _less(self.greatest, value) else self.greatest
            )


def _less(left: Any, right: Any) -> bool:
    """Return whether *left* sorts first: numbers before text, as an xp column may hold both."""
    if isinstance(left, str) is isinstance(right, str):
        return bool(left < right)
    return isinstance(right, str)


class ColumnReport:
    """The columns of one file. Pass *add_line* to `read_file` as its observer."""

    def __init__(self) -> None:
        self.lines = self.wrong = self.parsed = 0
        self.columns: dict[str, Column] = {}
        self._column_numbers: dict[str, int] = {}

    def add_line(self, line: ParsedLine) -> None:
        """Count the values and problems of *line*."""
        self.lines += 1
        self.wrong += bool(line.problems)
        self._column_numbers = self._column_numbers or dict(line.column_numbers)
        faulty = {p.field for p in line.problems} if line.problems else ()
        for problem in line.problems:
            column = self._column(problem.field or WHOLE_LINE)
            column.wrong += 1
            if len(column.examples) < MAX_EXAMPLES:
                value = f' "{problem.value}"' if problem.value else ""
                column.examples.append(f"{problem.place()}{value} {problem.why}")
        if line.entry is None:
            return
        self.parsed += 1
        for name in faulty:
            self._column(name or WHOLE_LINE).present += 1
        entry = line.entry
        kind_name = entry.ref[: entry.ref.find("/")]
        for name, text in _leading_cells(line, entry):
            self._column(name).add_value(text, "ID" if name not in _RESERVED else name)
        for prefix, fields in (("", entry.fields), ("expect.", entry.expect)):
            for path, value in fields.items():
                if prefix + path not in faulty:
                    type_name = _type_name(kind_name, path, type(value).__name__)
                    self._column(prefix + path).add_value(value, type_name)

    def ordered_columns(self) -> list[Column]:
        """Return the columns in the file's order, empty ones included."""
        for name in self._column_numbers:
            self._column(name)
        first = len(self._column_numbers)
        return sorted(self.columns.values(), key=lambda c: self._column_numbers.get(c.name, first))

    def count_empty(self, column: Column) -> int:
        """Return the number of lines with a usable ref in which *column* is empty."""
        return 0 if column.name == WHOLE_LINE else self.parsed - column.present

    def _column(self, name: str) -> Column:
        column = self.columns.get(name)
        if column is None:
            column = self.columns[name] = Column(name)
        return column


def _leading_cells(line: ParsedLine, entry: Entry) -> list[tuple[str, str]]:
    """Return the names and values of the line's ID columns, or of `ref`, and of `op`."""
    ids = ids_of(entry.ref)
    id_cells = [(name, ids[name]) for name in ids if name in line.column_numbers]
    leading = id_cells or [("ref", entry.ref)]
    return [*leading, ("op", entry.op.value)] if "op" in line.column_numbers else leading


@lru_cache(1024)
def _type_name(kind_name: str, path: str, value_type: str) -> str:
    """Return the type of the field at *path*; inside xp, the type of the value itself."""
    field = field_at(KINDS[kind_name], path)
    if field is None or field.type is not FieldType.OBJECT:
        return field.type.value if field else "-"
    return _JSON_TYPES.get(value_type, "object")
