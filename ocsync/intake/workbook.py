"""Writer of spreadsheets: a sheet for each kind, in which text stays text.

Cells of text are text to the spreadsheet too, so that it keeps zeros at the start of an ID and
makes no date of it. Flags and numbers are its own, as far as it keeps all their digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, BinaryIO, NamedTuple

from ocsync.errors import ConfigError, InputError
from ocsync.intake.export import Layout
from ocsync.intake.table_header import COMMENT, EXPECT
from ocsync.schema import FieldType

MAX_ROWS = 1_048_576
"""Most rows of a sheet, its header included."""
MAX_CELL = 32_767
"""Most characters of a cell."""
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
"""Characters that XML, or a spreadsheet, does not keep as they are, and its own escapes of such."""
_TEXT_FORMAT = 49
"""The number of the built-in format of text, `@`."""
_DIGITS = 15
_WIDEST, _NARROWEST = 40, 9
_NUMBERS = (FieldType.INTEGER, FieldType.NUMBER)


class Sheet(NamedTuple):
    """A sheet: the names of its columns, the types of their cells, and its rows as text.

    The first *fixed* columns identify a row.
    """

    name: str
    columns: Sequence[str]
    types: Sequence[FieldType | None]
    rows: Iterable[Sequence[str]]
    fixed: int


def in_a_spreadsheet(layout: Layout, kind: str) -> Layout:
    """Return *layout*, which is CSV's, for a sheet."""
    return layout._replace(
        form=f"a spreadsheet cannot hold all of {kind}",
        is_plain=_is_plain,
        max_cell=MAX_CELL - 2,
        ascii_json=True,
    )


def _is_plain(text: str) -> bool:
    return not _UNSAFE.search(text)


def write_workbook(file: BinaryIO, sheets: Iterable[Sheet]) -> None:
    """Write a workbook of *sheets*. Memory does not grow with the rows.

    Raises ConfigError without XlsxWriter, InputError for more rows than a sheet has.
    """
    try:
        from xlsxwriter import Workbook
    except ImportError as error:
        text = "writing spreadsheets needs XlsxWriter, which is not installed"
        hint = "pip install 'ocsync[xlsx]', or export to a .csv file"
        raise ConfigError(text, hint=hint) from error
    book = Workbook(file, {"constant_memory": True, "strings_to_urls": False})
    styles = {
        "head": book.add_format({"bold": True, "bottom": 1}),
        "aside_head": book.add_format({"italic": True, "bottom": 1, "font_color": "#808080"}),
        "id": book.add_format({"num_format": _TEXT_FORMAT, "bg_color": "#F2F2F2"}),
        "text": book.add_format({"num_format": _TEXT_FORMAT}),
        "value": book.add_format({}),
        "aside": book.add_format({"num_format": _TEXT_FORMAT, "font_color": "#808080"}),
    }
    for sheet in sheets:
        _write_sheet(book.add_worksheet(sheet.name), sheet, styles)
    book.close()


def _write_sheet(page: Any, sheet: Sheet, styles: dict[str, Any]) -> None:
    page.freeze_panes(1, sheet.fixed)
    page.set_default_row(15)
    kinds = [_style_of(index, name, sheet) for index, name in enumerate(sheet.columns)]
    for index, (name, style) in enumerate(zip(sheet.columns, kinds, strict=True)):
        width = min(max(len(name) + 2, _NARROWEST), _WIDEST)
        page.set_column(index, index, width, styles[style])
        page.write_string(0, index, name, styles["aside_head" if style == "aside" else "head"])
    formats = [styles[style] for style in kinds]
    cell_types = list(zip(sheet.types, formats, strict=True))
    number = 0
    for number, row in enumerate(sheet.rows, 1):
        if number >= MAX_ROWS:
            text = f"a sheet can have {MAX_ROWS:,} rows; {sheet.name} has more"
            raise InputError(text, hint="export to a .csv or .jsonl file")
        for column, text in enumerate(row):
            if text:
                type_, format_ = cell_types[column]
                if type_ is FieldType.BOOLEAN and text in _FLAGS:
                    page.write_boolean(number, column, _FLAGS[text], format_)
                elif type_ in _NUMBERS and _keeps(text):
                    page.write_number(number, column, float(text), format_)
                else:
                    page.write_string(number, column, text, format_)
    if number and sheet.columns:
        page.autofilter(0, 0, number, len(sheet.columns) - 1)


_FLAGS = {"true": True, "false": False}


def _style_of(index: int, name: str, sheet: Sheet) -> str:
    if index < sheet.fixed:
        return "id"
    if name.startswith((EXPECT, COMMENT)):
        return "aside"
    type_ = sheet.types[index]
    return "value" if type_ is FieldType.BOOLEAN or type_ in _NUMBERS else "text"


def _keeps(text: str) -> bool:
    """Return whether a spreadsheet keeps the number *text*, and shows it as it is written here."""
    try:
        return format(Decimal(f"{float(text):.{_DIGITS}g}"), "f") == text
    except (ValueError, ArithmeticError):
        return False
