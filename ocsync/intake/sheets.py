"""Spreadsheets -> rows: which sheet it is, and its cells as the text that a CSV would have.

python-calamine reads them. It gives an error cell, and a formula that was never calculated, as an
empty one, which would silently leave a field alone; `sheet_scan` finds those.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ocsync.errors import ConfigError, InputError, UsageError
from ocsync.intake.record import Origin, Row
from ocsync.intake.sheet_scan import Scan, is_archive, scan
from ocsync.intake.table import ERRORS, WHY_ERROR

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook, SheetMetadata

MAX_CELLS = 50_000_000
"""Cells of the rectangle that a sheet's values span; all of them are held in memory."""
_WHY_FORMULA = "is a formula never worked out: open the file and save it"
_WHY_MERGED = "is merged with others, which are empty then: unmerge them"
_SORTS = {"bool": "true or false", "int": "number", "float": "number", "date": "date",
          "datetime": "date", "time": "time", "timedelta": "time"}  # fmt: skip


def rows(
    label: str, data: bytes, wanted: str, note: Callable[[str], None]
) -> tuple[Origin, Iterator[Row]]:
    """Where the rows are from, and the rows of sheet *wanted* (a name, or a number from 1).

    Without one it is the only visible sheet that is not empty. Raises InputError for what is no
    spreadsheet, UsageError when the sheet has to be named, ConfigError without python-calamine.
    """
    calamine = _calamine()
    _scanned(label, data, "")  # before the reader, which takes all of an ods at once
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        name, seen = _chosen(label, data, book, wanted)
        if not is_archive(data):
            note(
                f"{label}: in this format a cell with an error cannot be told from an empty one, "
                "which leaves its field alone; save it as .xlsx to be sure"
            )
        sheet = book.get_sheet_by_name(name)
        top, left = sheet.start or (0, 0)
        table = sheet.to_python()
        merged = _merged(table, top, left, sheet.merged_cell_ranges or ())
    except calamine.PasswordError as error:
        raise InputError(f"{label} is protected by a password; save it without one") from error
    except calamine.CalamineError as error:
        hint = "--format csv, if it is one" if not is_archive(data) else ""
        raise InputError(f"{label} is not a spreadsheet: {error}", hint=hint) from error
    faults = dict.fromkeys(seen.errors, WHY_ERROR)
    faults |= dict.fromkeys(seen.formulas, _WHY_FORMULA)
    faults |= dict.fromkeys(merged, _WHY_MERGED)
    return Origin(label, name, left), _rows(table, top, left, faults)


def _calamine() -> Any:
    try:
        import python_calamine
    except ImportError as error:
        text = "spreadsheets need python-calamine, which is not installed"
        raise ConfigError(
            text, hint="pip install 'ocsync[xlsx]', or save the sheet as CSV"
        ) from error
    return python_calamine


def _chosen(label: str, data: bytes, book: CalamineWorkbook, wanted: str) -> tuple[str, Scan]:
    """The sheet's name, and what a look at its file found. Raises UsageError, InputError."""
    names = book.sheet_names
    listed = ", ".join(f"{n} {name}" for n, name in enumerate(names, 1))
    if wanted:
        found = [n for n in names if n == wanted] or [
            n for n in names if n.casefold() == wanted.casefold()
        ]
        if not found and wanted.isdigit() and 0 < int(wanted) <= len(names):
            found = [names[int(wanted) - 1]]
        if not found:
            raise UsageError(f'{label} has no sheet "{wanted}"', hint=f"its sheets: {listed}")
        return found[0], _scanned(label, data, found[0])
    shown = [m.name for m in book.sheets_metadata if _is_shown(m)] or names
    seen = {name: _scanned(label, data, name) for name in shown}
    full = [n for n in shown if seen[n].filled or (not is_archive(data) and _height(book, n))]
    if len(full) > 1:
        raise UsageError(
            f"{label} has {len(full)} sheets that are not empty",
            hint=f"--sheet NAME or NUMBER, one of: {listed}",
        )
    name = (full or shown)[0]
    return name, seen[name]


def _is_shown(sheet: SheetMetadata) -> bool:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    return sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet


def _merged(
    table: list[list[Any]], top: int, left: int, ranges: Iterable[Any]
) -> set[tuple[int, int]]:
    """The first cells of merged ones that hold a value."""
    firsts = {first for first, _ in ranges}
    return {
        (row, column)
        for row, column in firsts
        if 0 <= row - top < len(table)
        and 0 <= column - left < len(table[row - top])
        and table[row - top][column - left] != ""
    }


def _height(book: CalamineWorkbook, name: str) -> int:
    return book.get_sheet_by_name(name).height


def _scanned(label: str, data: bytes, name: str) -> Scan:
    seen = scan(data, name)
    if seen.rows * seen.columns > MAX_CELLS:
        which = f"sheet {name}" if name else "a sheet"
        raise InputError(
            f"{label}: the values of {which} span {seen.rows:,} rows and {seen.columns:,} columns; "
            "one of them may stand far off, where nobody sees it"
        )
    return seen


def _rows(
    table: list[list[Any]], top: int, left: int, faults: dict[tuple[int, int], str]
) -> Iterator[Row]:
    """The rows that are not blank. *faults* are by row and column of the sheet, from 0."""
    by_row: dict[int, dict[int, str]] = {}
    for (row, column), why in faults.items():
        if column >= left and row >= top:
            by_row.setdefault(row, {})[column - left] = why
    width = max([len(table[0]) if table else 0, *(c + 1 for r in by_row.values() for c in r)])
    for number in range(top, max([top + len(table), *(row + 1 for row in by_row)])):
        values = table[number - top] if number - top < len(table) else []
        cells = [_text(value) for value in values] + [""] * (width - len(values))
        wrong = by_row.get(number, {})
        wrong |= {place: WHY_ERROR for place, text in enumerate(cells) if text in ERRORS}
        if wrong or any(cell.strip() for cell in cells):
            sorts = {
                place: sort
                for place, v in enumerate(values)
                if (sort := _SORTS.get(type(v).__name__))
            }
            yield Row(number + 1, cells, sorts, wrong)


def _text(value: Any) -> str:
    """A cell as a CSV would have it: whole numbers without a point, none with an exponent."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return format(Decimal(f"{value:.15g}"), "f")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
