"""Report of the values in a file's columns, collected while its lines are read."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import lru_cache, partial
from types import NoneType
from typing import Any

import msgspec

from ocsync.errors import Problem
from ocsync.intake.record import ParsedLine
from ocsync.intake.table_header import EXPECT
from ocsync.models import Entry
from ocsync.schema import KINDS, FieldType, field_at

MAX_EXAMPLES = 3
WHOLE_LINE = "(line)"
"""Name of the column that counts problems of whole lines."""
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

    def add_values(self, values: Sequence[Any], name_type: Callable[[str], str]) -> None:
        """Count *values*; *name_type* returns the type of the field for that of a value."""
        self.present += len(values)
        types = dict.fromkeys(map(type, values))
        for value_type in types:
            same = values if len(types) == 1 else [v for v in values if type(v) is value_type]
            if value_type is NoneType:
                self.null += len(same)
                continue
            self.types.add(name_type(value_type.__name__))
            self.filled += len(same)
            self._compare(same)

    def _compare(self, values: Sequence[Any]) -> None:
        """Compare *values*, which have one type, with the others."""
        first = values[0]
        if isinstance(first, str):
            by_hash = {hash(value): value for value in values}
        else:  # "1" differs from 1
            distinct = values if isinstance(first, dict | list) else dict.fromkeys(values)
            by_hash = {~hash(msgspec.json.encode(value)): value for value in distinct}
        new = by_hash.keys() - self._value_hashes
        self._value_hashes |= new
        if new and isinstance(first, str | int | float):
            others = [by_hash[value_hash] for value_hash in new]
            least, greatest = min(others), max(others)
            if self.least is None or _less(least, self.least):
                self.least = least
            if self.greatest is None or _less(self.greatest, greatest):
                self.greatest = greatest


def _less(left: Any, right: Any) -> bool:
    """Return whether *left* sorts first: numbers before text, as an xp column may hold both."""
    if isinstance(left, str) is isinstance(right, str):
        return bool(left < right)
    return isinstance(right, str)


class ColumnReport:
    """The columns of one file. Pass *add_lines* to `read_file` as its observer."""

    def __init__(self) -> None:
        self.lines = self.wrong = self.parsed = 0
        self.columns: dict[str, Column] = {}
        self._column_numbers: dict[str, int] = {}

    def add_lines(self, lines: Sequence[ParsedLine]) -> None:
        """Count the values and problems of *lines*, which follow each other in a table or file."""
        if not lines:
            return
        numbers = lines[0].column_numbers
        self.lines += len(lines)
        self._column_numbers = self._column_numbers or dict(numbers)
        by_kind: dict[str, _KindValues] = {}
        for line in lines:
            faulty = self._add_problems(line.problems) if line.problems else ()
            entry = line.entry
            if entry is None:
                continue
            self.parsed += 1
            for name in faulty:
                self._column(name or WHOLE_LINE).present += 1
            kind_name = entry.ref[: entry.ref.find("/")]
            values = by_kind.get(kind_name)
            if values is None:
                values = by_kind[kind_name] = _KindValues(self._column, kind_name, numbers)
            values.add(entry, faulty)
        for values in by_kind.values():
            values.count()

    def _add_problems(self, problems: Iterable[Problem]) -> set[str]:
        """Count the *problems* of one line; return the names of their fields."""
        self.wrong += 1
        for problem in problems:
            column = self._column(problem.field or WHOLE_LINE)
            column.wrong += 1
            if len(column.examples) < MAX_EXAMPLES:
                value = f' "{problem.value}"' if problem.value else ""
                column.examples.append(f"{problem.place()}{value} {problem.why}")
        return {problem.field for problem in problems}

    def ordered_columns(self) -> list[Column]:
        """Return the columns in the file's order, empty ones included, and then the others."""
        numbers = self._column_numbers
        own = [self._column(name) for name in sorted(numbers, key=numbers.__getitem__)]
        return [*own, *(c for name, c in self.columns.items() if name not in numbers)]

    def count_empty(self, column: Column) -> int:
        """Return the number of lines with a usable ref in which *column* is empty."""
        return 0 if column.name == WHOLE_LINE else self.parsed - column.present

    def _column(self, name: str) -> Column:
        column = self.columns.get(name)
        if column is None:
            column = self.columns[name] = Column(name)
        return column


class _KindValues:
    """The values in lines of one kind, by column: first those that make the ref, then fields.

    *column* returns the column of a name, which is made when its first value comes. *numbers* are
    those of the columns that the file has.
    """

    def __init__(
        self, column: Callable[[str], Column], kind_name: str, numbers: Container[str]
    ) -> None:
        self._column = column
        self._kind = KINDS[kind_name]
        self._places = [
            (place, name) for place, name in enumerate(self._kind.ids, 1) if name in numbers
        ]
        self._has_op = "op" in numbers
        for name in [name for _, name in self._places] or ["ref"]:
            column(name)
        if self._has_op:
            column("op")
        self._entries: list[Entry] = []
        self._fields = _ValuesByPath(column, "")
        self._expected = _ValuesByPath(column, EXPECT)

    def add(self, entry: Entry, faulty: Container[str]) -> None:
        """Take the values of *entry*, but those of the columns *faulty*."""
        self._entries.append(entry)
        for path, value in entry.fields.items():
            if path not in faulty:
                self._fields[path].append(value)
        for path, value in entry.expect.items():
            if EXPECT + path not in faulty:
                self._expected[path].append(value)

    def count(self) -> None:
        """Count the values that were taken."""
        refs = [entry.ref for entry in self._entries]
        ids = [ref.split("/") for ref in refs] if self._places else []
        for place, name in self._places:
            own = [parts[place] for parts in ids if len(parts) > place and parts[place]]
            self._column(name).add_values(own, lambda _: "ID")
        if not self._places:
            self._column("ref").add_values(refs, lambda _: "ref")
        if self._has_op:
            ops = [entry.op.value for entry in self._entries]
            self._column("op").add_values(ops, lambda _: "op")
        for fields in (self._fields, self._expected):
            for path, values in fields.items():
                name_type = partial(_type_name, self._kind.name, path)
                self._column(fields.prefix + path).add_values(values, name_type)


class _ValuesByPath(dict[str, list[Any]]):
    """Values by path; the column of a path is made when its first value comes."""

    def __init__(self, column: Callable[[str], Column], prefix: str) -> None:
        super().__init__()
        self._column = column
        self.prefix = prefix

    def __missing__(self, path: str) -> list[Any]:
        self._column(self.prefix + path)
        values = self[path] = []
        return values


@lru_cache(1024)
def _type_name(kind_name: str, path: str, value_type: str) -> str:
    """Return the type of the field at *path*; inside xp, the type of the value itself."""
    field = field_at(KINDS[kind_name], path)
    if field is None or field.type is not FieldType.OBJECT:
        return field.type.value if field else "-"
    return _JSON_TYPES.get(value_type, "object")
