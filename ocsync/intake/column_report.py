"""What a file's columns hold, gathered as its lines pass."""

from __future__ import annotations

from typing import Any

import msgspec

from ocsync.intake.record import Line
from ocsync.models import Entry
from ocsync.schema import Kind, Type, field_at, ids_of, kind_of

EXAMPLES = 3
WHOLE = "(line)"
"""The column of what is wrong with a line as a whole."""
_LEADING = ("ref", "op", "replace")
_JSON_TYPES = {"str": "text", "int": "number", "float": "number", "bool": "true or false",
               "list": "list"}  # fmt: skip


class Column:
    """One column: a field's path (`expect.` before it), or an ID.

    *low* and *high* are the least and the greatest value; *problems* are places with a reason, the
    first few. *looked* counts the lines where it was looked at.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.types: set[str] = set()
        self.filled = self.null = self.wrong = 0
        self.looked = 0
        self.low: Any = None
        self.high: Any = None
        self.problems: list[str] = []
        self._seen: set[int] = set()

    @property
    def distinct(self) -> int:
        """How many values differ."""
        return len(self._seen)

    @property
    def type(self) -> str:
        """The type of its field; where kinds differ, each."""
        return ", ".join(sorted(self.types)) or "-"

    def take(self, value: Any, sort: str) -> None:
        """Count a value of a field whose type is *sort*."""
        self.looked += 1
        if value is None:
            self.null += 1
            return
        self.types.add(sort)
        self.filled += 1
        self._seen.add(hash(msgspec.json.encode(value)))
        if isinstance(value, str | int | float):
            self.low = value if self.low is None or _less(value, self.low) else self.low
            self.high = value if self.high is None or _less(self.high, value) else self.high


def _less(one: Any, other: Any) -> bool:
    """Numbers before text; a column inside xp may hold both."""
    if isinstance(one, str) is isinstance(other, str):
        return bool(one < other)
    return isinstance(other, str)


class ColumnReport:
    """Gathers; hand *see* to `read_file`."""

    def __init__(self) -> None:
        self.lines = self.wrong = self.read = 0
        self.columns: dict[str, Column] = {}
        self._places: dict[str, int] = {}

    def see(self, line: Line) -> None:
        """Take a line in."""
        self.lines += 1
        self.wrong += bool(line.problems)
        self._places = self._places or dict(line.columns)
        faulty = {p.field for p in line.problems}
        for problem in line.problems:
            column = self._column(problem.field or WHOLE)
            column.wrong += 1
            if len(column.problems) < EXAMPLES:
                value = f' "{problem.value}"' if problem.value else ""
                column.problems.append(f"{problem.place()}{value} {problem.why}")
        if line.entry is None:
            return
        self.read += 1
        for name in faulty:
            self._column(name or WHOLE).looked += 1
        kind = kind_of(line.entry.ref)
        for name, text in _lead(line, line.entry):
            self._column(name).take(text, "ID" if name not in _LEADING else name)
        for prefix, fields in (("", line.entry.fields), ("expect.", line.entry.expect)):
            for path, value in fields.items():
                if prefix + path not in faulty:
                    self._column(prefix + path).take(value, _type(kind, path, value))

    def listed(self) -> list[Column]:
        """The columns in the file's order, those that are empty among them."""
        for name in self._places:
            self._column(name)
        first = len(self._places)
        return sorted(self.columns.values(), key=lambda c: self._places.get(c.name, first))

    def empty(self, column: Column) -> int:
        """In how many lines *column* says nothing; lines without a usable ref are not counted."""
        return 0 if column.name == WHOLE else self.read - column.looked

    def _column(self, name: str) -> Column:
        return self.columns.setdefault(name, Column(name))


def _lead(line: Line, entry: Entry) -> list[tuple[str, str]]:
    """What leads the line: its IDs where they have columns of their own, else its ref."""
    ids = ids_of(entry.ref)
    own = [(name, ids[name]) for name in ids if name in line.columns]
    lead = own or [("ref", entry.ref)]
    return [*lead, ("op", entry.op.value)] if "op" in line.columns else lead


def _type(kind: Kind, path: str, value: Any) -> str:
    """The type of the field; inside xp, where there is none, the value's own."""
    field = field_at(kind, path)
    if field is None or field.type is not Type.XP:
        return field.type.value if field else "-"
    return _JSON_TYPES.get(type(value).__name__, "object")
