r"""Values of a table's cells, column by column: what their texts are read as, and what is odd."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ocsync.characters import is_blank
from ocsync.field_paths import MISSING, split_path
from ocsync.intake.field_values import (
    Check,
    is_word_for_no_value,
    plain_checks,
    read_json,
    reader_of,
)
from ocsync.intake.table_header import Column
from ocsync.models import Op
from ocsync.schema import FieldType, Kind, field_at

NULL = r"\N"
"""The text of a cell that is null."""
ERROR_TEXTS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!")
"""Texts that a spreadsheet shows in place of a value."""
_ERROR_TEXTS = frozenset(ERROR_TEXTS)
ERROR_FAULT = "is a spreadsheet error, not a value"
_COMMA_NUMBER = re.compile(r"[+-]?[\d.]*\d,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_TEXT_TYPES = (FieldType.TEXT, FieldType.OBJECT)
_KNOWN_CELLS, _KNOWN_LENGTH = 10_000, 40
"""Most cells of a column whose values are kept, and most characters of each."""


class OddCell(NamedTuple):
    """A cell with a *fault*, or with a *value* that its row is to be validated with.

    *has_thousands* says that the point in a number may have been meant to mark thousands.
    """

    value: Any = MISSING
    fault: str = ""
    has_thousands: bool = False


class CellReader(dict[str, Any]):
    """Values of the cells of a column in rows of one kind, by text: a file often repeats one.

    A lookup reads a text that is not among them. A blank text gives MISSING; one that is not surely
    right gives an OddCell, and *has_odd* says that there was one. *takes_text* says that the field
    holds text, so that a number in a spreadsheet is odd; *holds_objects* that a value may be an
    object whose members are fields of their own.
    """

    def __init__(
        self, kind: Kind, column: Column, check: Check | None, *, decimal_comma: bool
    ) -> None:
        super().__init__()
        self.column = column
        self.key = column.key
        field = field_at(kind, column.path)
        known = field if field and all(split_path(column.path)) else None
        self.takes_text = not column.is_json and field is not None and field.type in _TEXT_TYPES
        self.holds_objects = column.is_json and column.path in kind.models
        self.has_odd = False
        self._read = read_json if column.is_json else reader_of(known) if known else str
        self._check = check
        self._decimal_comma = decimal_comma

    def read(self, texts: Iterable[str]) -> list[Any]:
        """Return the value of each of *texts*."""
        return list(map(self.__getitem__, texts))

    def __missing__(self, text: str) -> Any:
        value = MISSING if is_blank(text) else self._value(text)
        if type(value) is OddCell:
            self.has_odd = True
        if len(self) < _KNOWN_CELLS and len(text) <= _KNOWN_LENGTH and not _is_nested(value):
            self[text] = value
        return value

    def _value(self, text: str) -> Any:
        if text in _ERROR_TEXTS and not self.column.is_json:
            return OddCell(fault=f"{ERROR_FAULT} (quote it in a column {self.key}: if it is)")
        try:
            value = None if text == NULL else self._read(text)
        except ValueError as error:
            is_comma = _COMMA_NUMBER.fullmatch(text.strip())
            return OddCell(fault=f"{error}{'; for decimal commas: --decimal ,' * bool(is_comma)}")
        has_thousands = self._decimal_comma and _has_thousands(text, value)
        is_right = self._check is None or self._check(value)
        if has_thousands or not is_right or is_word_for_no_value(value):
            return OddCell(value, has_thousands=has_thousands)
        return value


def _is_nested(value: Any) -> bool:
    """Return whether *value* belongs to one row alone: whoever has an object could change it."""
    return isinstance(value.value if type(value) is OddCell else value, dict | list)


def _has_thousands(text: str, value: Any) -> bool:
    """Return whether the point in a number's *text* may have been meant to mark thousands."""
    return type(value) in (int, float) and bool(_THOUSANDS.fullmatch(text.strip()))


class ColumnReaders(NamedTuple):
    """Readers of the cells of a table's columns, in rows of one kind and operation.

    *are_checked* says that a row that sets a field and expects no value is valid if its cells are.
    *hold_objects* says that a value may be an object whose members are fields of their own.
    """

    readers: list[CellReader]
    are_checked: bool
    hold_objects: bool


def column_readers(
    kind: Kind, op: Op, columns: Iterable[Column], *, decimal_comma: bool
) -> ColumnReaders:
    """Return the readers of *columns* for rows of *kind* with *op*."""
    paths = [column.path for column in columns if not column.is_expectation]
    # a row may leave some of these fields out: that is no fault but in a put
    checks = dict(zip(paths, plain_checks(kind.name, op, *paths), strict=False))
    readers = [
        CellReader(
            kind,
            column,
            None if column.is_expectation else checks.get(column.path),
            decimal_comma=decimal_comma,
        )
        for column in columns
    ]
    are_checked = bool(checks) and op is not Op.PUT
    return ColumnReaders(readers, are_checked, any(reader.holds_objects for reader in readers))
