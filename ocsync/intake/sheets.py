"""Rows of spreadsheets: choosing the sheet, and reading its cells as the text a CSV would have.

python-calamine gives an error cell, and a formula that was never calculated, as an empty cell; that
would silently leave a field alone. `sheet_scan` finds those cells.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ocsync.characters import is_blank
from ocsync.errors import ConfigError, InputError, UsageError, column_letters
from ocsync.intake.record import InputFile, Row
from ocsync.intake.sheet_scan import SheetScan, is_archive, scan_sheet
from ocsync.intake.table_cells import ERROR_FAULT, ERROR_TEXTS
from ocsync.plurals import count
from ocsync.schema import KINDS

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook, SheetMetadata

_EXAMPLES = 5
"""Most rows or columns that a note names."""
MAX_CELLS = 50_000_000
"""Most cells of the rectangle that a sheet's values span; all of them are held in memory."""
_FORMULA_FAULT = "is a formula without a result: open the file and save it"
_MERGED_FAULT = "is merged with other cells, which are then empty: unmerge them"
_CELL_TYPES = {"bool": "true or false", "int": "number", "float": "number", "date": "date",
          "datetime": "date", "time": "time", "timedelta": "time"}  # fmt: skip


def read_sheets(
    label: str, data: bytes, sheet_name: str, kind: str, note: Callable[[str], None]
) -> Iterator[tuple[InputFile, Iterator[Row]]]:
    """Yield the sheet as an input file, and its rows.

    *sheet_name* is a name or a number from 1; "" chooses the only visible sheet that is not empty,
    or all of them where no *kind* is named and each has the name of one. Raises InputError when
    *data* is no spreadsheet, UsageError when the sheet must be named, and ConfigError without
    python-calamine.
    """
    calamine = _calamine()
    _scan_within_limits(label, data, "")  # before the reader, which loads all of an ods at once
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        chosen = _choose_sheets(label, data, book, sheet_name, kind)
        for sheet in book.sheets_metadata if not sheet_name else ():
            if sheet.name in KINDS and sheet.name not in dict(chosen) and not _is_visible(sheet):
                note(f"{label}: sheet {sheet.name} is hidden and was not read (--sheet reads it)")
        for name, scan in chosen:
            yield _read_sheet(label, data, book, name, scan, note)
    except calamine.PasswordError as error:
        raise InputError(f"{label} is protected by a password; save it without one") from error
    except calamine.CalamineError as error:
        hint = "give --format csv, if it is CSV" if not is_archive(data) else ""
        raise InputError(f"{label} is not a spreadsheet: {error}", hint=hint) from error


def _read_sheet(
    label: str,
    data: bytes,
    book: CalamineWorkbook,
    name: str,
    scan: SheetScan,
    note: Callable[[str], None],
) -> tuple[InputFile, Iterator[Row]]:
    if not is_archive(data):
        note(
            f"{label}: this format does not show cells with errors (they count as empty) nor "
            "hidden rows and columns; to be sure, save it as .xlsx"
        )
    for text in _hidden_notes(scan):
        note(f"{label} {name}: {text}")
    sheet = book.get_sheet_by_name(name)
    top, left = sheet.start or (0, 0)
    table = sheet.to_python()
    merged = _merged_cells(table, top, left, sheet.merged_cell_ranges or ())
    for place in _blanks_beside(table, top, left):
        note(f"{label} {name}!{place} beside the table holds only blanks: ignored")
    faults = dict.fromkeys(scan.errors, ERROR_FAULT)
    faults |= dict.fromkeys(scan.formulas, _FORMULA_FAULT)
    faults |= dict.fromkeys(merged, _MERGED_FAULT)
    return InputFile(label, name, left, decimal_comma=True), _table_rows(table, top, left, faults)


def _calamine() -> Any:
    try:
        import python_calamine
    except ImportError as error:
        text = "spreadsheets need python-calamine, which is not installed"
        raise ConfigError(
            text, hint="pip install 'ocsync[xlsx]', or save the sheet as CSV"
        ) from error
    return python_calamine


def _choose_sheets(
    label: str, data: bytes, book: CalamineWorkbook, sheet_name: str, kind: str
) -> list[tuple[str, SheetScan]]:
    """Return the names of the sheets to read, and their scans. Raises UsageError, InputError."""
    names = book.sheet_names
    listed = ", ".join(f"{n} {name}" for n, name in enumerate(names, 1))
    if sheet_name:
        matches = [n for n in names if n == sheet_name] or [
            n for n in names if n.casefold() == sheet_name.casefold()
        ]
        if not matches and sheet_name.isdigit() and 0 < int(sheet_name) <= len(names):
            matches = [names[int(sheet_name) - 1]]
        if not matches:
            raise UsageError(f'{label} has no sheet "{sheet_name}"', hint=f"its sheets: {listed}")
        return [(matches[0], _scan_within_limits(label, data, matches[0]))]
    visible = [m.name for m in book.sheets_metadata if _is_visible(m)] or names
    scans = {name: _scan_within_limits(label, data, name) for name in visible}
    filled = [n for n in visible if scans[n].filled or (not is_archive(data) and _height(book, n))]
    if len(filled) > 1 and not kind and all(name in KINDS for name in filled):
        return [(name, scans[name]) for name in filled]
    if len(filled) > 1:
        raise UsageError(
            f"{label} has {len(filled)} sheets that are not empty",
            hint=f"give --sheet NAME or NUMBER: {listed}",
        )
    name = (filled or visible)[0]
    return [(name, scans[name])]


def _is_visible(sheet: SheetMetadata) -> bool:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    return sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet


def _merged_cells(
    table: list[list[Any]], top: int, left: int, ranges: Iterable[Any]
) -> set[tuple[int, int]]:
    """Return the top left cells of merged ranges that hold a value."""
    top_left = {first for first, _ in ranges}
    return {
        (row, column)
        for row, column in top_left
        if 0 <= row - top < len(table)
        and 0 <= column - left < len(table[row - top])
        and not is_blank(_cell_text(table[row - top][column - left]))
    }


def _hidden_notes(scan: SheetScan) -> Iterator[str]:
    """Yield what is to be said of rows and columns that are read although nobody sees them."""
    rows = [f"{row + 1}" for row in scan.hidden_rows]
    columns = [column_letters(column + 1) for column in scan.hidden_columns]
    for noun, names in (("row", rows), ("column", columns)):
        if names:
            listed = ", ".join(names[:_EXAMPLES]) + ", ..." * (len(names) > _EXAMPLES)
            yield f"also read {count(len(names), f'hidden {noun}')} ({listed})"


def _blanks_beside(table: list[list[Any]], top: int, left: int) -> Iterator[str]:
    """Yield the cell that makes the sheet wider than its header, if it holds only blanks."""
    header = next((row for row in table if not all(is_blank(_cell_text(v)) for v in row)), [])
    width = len(header)
    while width and is_blank(_cell_text(header[width - 1])):
        width -= 1
    for number, row in enumerate(table) if width < len(header) else ():
        for column in range(width, len(row)):
            text = _cell_text(row[column])
            if text and is_blank(text):
                yield f"{column_letters(left + column + 1)}{top + number + 1}"
                return


def _height(book: CalamineWorkbook, name: str) -> int:
    return book.get_sheet_by_name(name).height


def _scan_within_limits(label: str, data: bytes, name: str) -> SheetScan:
    result = scan_sheet(data, name)
    if result.rows * result.columns > MAX_CELLS:
        subject = f"sheet {name}" if name else "a sheet"
        raise InputError(
            f"{label}: the values of {subject} span {result.rows:,} rows and "
            f"{result.columns:,} columns; remove stray values far from the table"
        )
    return result


def _table_rows(
    table: list[list[Any]], top: int, left: int, faults: dict[tuple[int, int], str]
) -> Iterator[Row]:
    """Yield the rows that are not blank. *faults* are by row and column of the sheet, from 0."""
    by_row: dict[int, dict[int, str]] = {}
    for (row, column), reason in faults.items():
        if column >= left and row >= top:
            by_row.setdefault(row, {})[column - left] = reason
    width = max([len(table[0]) if table else 0, *(c + 1 for r in by_row.values() for c in r)])
    for number in range(top, max([top + len(table), *(row + 1 for row in by_row)])):
        values = table[number - top] if number - top < len(table) else []
        cells = [_cell_text(value) for value in values] + [""] * (width - len(values))
        cell_faults = by_row.get(number, {})
        cell_faults |= {
            index: ERROR_FAULT for index, text in enumerate(cells) if text in ERROR_TEXTS
        }
        if cell_faults or not all(map(is_blank, cells)):
            cell_types = {
                index: cell_type
                for index, value in enumerate(values)
                if (cell_type := _CELL_TYPES.get(type(value).__name__))
            }
            yield Row(number + 1, cells, cell_types, cell_faults)


def _cell_text(value: Any) -> str:
    """Return a cell as a CSV would have it: integers without a point, no exponents."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return format(Decimal(f"{value:.15g}"), "f")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
