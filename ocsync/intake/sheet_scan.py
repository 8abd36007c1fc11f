"""Scan of a sheet's XML for facts that the reader of its values does not give.

These are cells that hold an error, formulas without a calculated value, hidden rows and columns,
and the extent of the values: the reader holds the whole rectangle, and ends the process when it is
too large.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from pathlib import Path
from typing import IO, NamedTuple, TypeVar
from xml.parsers import expat

from ocsync.errors import InputError

MAX_UNPACKED = 4 * 1024**3
"""Most bytes of all parts of a file, unpacked."""
_WORKBOOK, _RELATIONSHIPS, _ODS_CONTENT = (
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "content.xml",
)


_ODS_ELEMENTS = ("table-column", "table-row", "table-cell", "covered-table-cell")
_ODS_HIDDEN = ("collapse", "filter")


class SheetScan(NamedTuple):
    """The result of a scan. Cells are (row, column) from 0; *filled* counts those with a value.

    *hidden_rows* and *hidden_columns* are the hidden ones with a value, from 0.
    """

    errors: list[tuple[int, int]]
    formulas: list[tuple[int, int]]
    rows: int = 0
    columns: int = 0
    filled: int = 0
    hidden_rows: tuple[int, ...] = ()
    hidden_columns: tuple[int, ...] = ()


def is_archive(data: bytes) -> bool:
    """Return whether *data* is a zipped spreadsheet that can be scanned: xlsx or ods, not xlsb."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return bool({_WORKBOOK, _ODS_CONTENT} & set(archive.namelist()))
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def scan_sheet(data: bytes, sheet: str) -> SheetScan:
    """Return the scan of *sheet* in a zipped spreadsheet; an empty one for other formats.

    Without *sheet* all sheets are scanned where one part holds them (ods). Raises InputError.
    """
    if not is_archive(data):
        return SheetScan([], [])
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED:
                raise InputError("the spreadsheet unpacks to more than 4 GB")
            if _ODS_CONTENT in archive.namelist():
                with archive.open(_ODS_CONTENT) as file:
                    return _parse(file, _OdsScanner(sheet)).result()
            if not sheet:
                return SheetScan([], [])
            part = _sheet_part(archive, sheet)
            with archive.open(part) as file:
                return _parse(file, _XlsxScanner()).result()
    except (KeyError, zipfile.BadZipFile, expat.ExpatError, ValueError, OSError) as error:
        raise InputError(f"sheet {sheet} cannot be read: {error}") from error


def sheet_names(path: Path, max_bytes: int) -> list[str]:
    """Return the names of the sheets in *path*; none for what is no xlsx or ods.

    A part that unpacks to more than *max_bytes* is not read.
    """
    try:
        if not path.is_file():
            return []
        with zipfile.ZipFile(path) as archive:
            part = _WORKBOOK if _WORKBOOK in archive.namelist() else _ODS_CONTENT
            if archive.getinfo(part).file_size > max_bytes:
                return []
            element = "sheet" if part == _WORKBOOK else "table"
            with archive.open(part) as file:
                return list(_parse(file, _AttributePairs(element, "name", "name")).pairs)
    except (KeyError, zipfile.BadZipFile, expat.ExpatError, ValueError, OSError):
        return []


class _ElementHandler:
    """Handler of a document's elements; this one ignores them all."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        pass

    def end(self, name: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass


H = TypeVar("H", bound=_ElementHandler)


def _sheet_part(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return the name of the part that holds *sheet*. Raises KeyError."""
    with archive.open(_WORKBOOK) as file:
        relation_id = _parse(file, _AttributePairs("sheet", "name", "id")).pairs[sheet]
    with archive.open(_RELATIONSHIPS) as file:
        target = _parse(file, _AttributePairs("Relationship", "Id", "Target")).pairs[relation_id]
    return posixpath.normpath(posixpath.join("xl", target)).lstrip("/")


def _parse(file: IO[bytes], handler: H) -> H:
    """Return *handler* after passing it every element; attributes have qualified names."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, attributes: handler.start(
        name.rpartition(" ")[2], attributes
    )
    parser.EndElementHandler = lambda name: handler.end(name.rpartition(" ")[2])
    parser.CharacterDataHandler = handler.text
    parser.ParseFile(file)
    return handler


def _unqualified(attributes: dict[str, str]) -> dict[str, str]:
    return {name.rpartition(" ")[2]: value for name, value in attributes.items()}


class _AttributePairs(_ElementHandler):
    """Handler that collects two attributes of each *element*: key -> value."""

    def __init__(self, element: str, key: str, value: str) -> None:
        self._names = (element, key, value)
        self.pairs: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element, key, value = self._names
        if name == element:
            unqualified = _unqualified(attributes)
            self.pairs[unqualified.get(key, "")] = unqualified.get(value, "")


class _CellScanner(_ElementHandler):
    """Handler that counts rows and cells, and keeps the positions of errors and bare formulas."""

    def __init__(self) -> None:
        self.row = self.column = -1
        self._errors: list[tuple[int, int]] = []
        self._formulas: list[tuple[int, int]] = []
        self._rows = self._columns = self._filled = 0
        self._row_is_hidden = False
        self._hidden_columns: list[range] = []
        self._hidden_rows_filled: dict[int, None] = {}
        self._hidden_columns_filled: set[int] = set()

    def add_cell(self, *, error: bool, formula: bool, value: bool) -> None:
        """Count the cell at the current row and column."""
        if error:
            self._errors.append((self.row, self.column))
        elif formula and not value:
            self._formulas.append((self.row, self.column))
        if error or formula or value:
            self._filled += 1
            self._rows = max(self._rows, self.row + 1)
            self._columns = max(self._columns, self.column + 1)
            if self._row_is_hidden:
                self._hidden_rows_filled[self.row] = None
            if self._hidden_columns and any(self.column in r for r in self._hidden_columns):
                self._hidden_columns_filled.add(self.column)

    def result(self) -> SheetScan:
        return SheetScan(
            self._errors, self._formulas, self._rows, self._columns, self._filled,
            tuple(self._hidden_rows_filled), tuple(sorted(self._hidden_columns_filled)),
        )  # fmt: skip


class _XlsxScanner(_CellScanner):
    """Scanner of xlsx: `<row r="4"><c r="C4" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>`.

    Both `r` may be left out. `<col min="2" max="3" hidden="1"/>` comes before the rows.
    """

    def __init__(self) -> None:
        super().__init__()
        self._cell_type = ""
        self._has_formula = self._has_value = self._in_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self.row = int(attributes.get("r", self.row + 2)) - 1
            self.column = -1
            self._row_is_hidden = _is_hidden(attributes, "ht")
        elif name == "col" and _is_hidden(attributes, "width"):
            columns = range(int(attributes["min"]) - 1, int(attributes["max"]))
            self._hidden_columns.append(columns)
        elif name == "c":
            self.column = _column_index(attributes["r"]) if "r" in attributes else self.column + 1
            self._cell_type = attributes.get("t", "n")
            self._has_formula = self._has_value = False
        elif name in ("v", "t"):
            self._in_value = True
        elif name == "f":
            self._has_formula = True

    def end(self, name: str) -> None:
        if name == "c":
            value = self._has_value or (self._has_formula and self._cell_type == "str")
            self.add_cell(error=self._cell_type == "e", formula=self._has_formula, value=value)
        elif name in ("v", "t"):
            self._in_value = False

    def text(self, text: str) -> None:
        self._has_value = self._has_value or (self._in_value and bool(text))


def _is_hidden(attributes: dict[str, str], size: str) -> bool:
    """Return whether a row or column is hidden, or of no *size*."""
    return attributes.get("hidden") in ("1", "true") or attributes.get(size) in ("0", "0.0")


def _column_index(address: str) -> int:
    """Return the column of an address such as AB12, from 0."""
    number = 0
    for letter in address.rstrip("0123456789").upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


class _OdsScanner(_CellScanner):
    """Scanner of ods: `<table-row number-rows-repeated="3"><table-cell value-type="float"/>`.

    A cell with a `value-type` has a value; an error has a type of its own, in another namespace.
    Repeated empty cells and rows only advance the position. What `visibility` calls collapsed or
    filtered is hidden.
    """

    def __init__(self, sheet: str) -> None:
        super().__init__()
        self._sheet = sheet
        self._in_sheet = self._row_has_values = False
        self._repeat = 1
        self._columns_declared = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table":
            self._in_sheet = not self._sheet or _unqualified(attributes).get("name") == self._sheet
            self.row = -1
            self._columns_declared, self._hidden_columns = 0, []
        elif not self._in_sheet or name not in _ODS_ELEMENTS:
            return
        elif name == "table-column":
            unqualified = _unqualified(attributes)
            start = self._columns_declared
            self._columns_declared += int(unqualified.get("number-columns-repeated", 1))
            if unqualified.get("visibility") in _ODS_HIDDEN:
                self._hidden_columns.append(range(start, self._columns_declared))
        elif name == "table-row":
            self._row_is_hidden = _unqualified(attributes).get("visibility") in _ODS_HIDDEN
            self.row, self.column, self._row_has_values = self.row + 1, -1, False
            self._repeat = int(_unqualified(attributes).get("number-rows-repeated", 1))
        else:
            unqualified = _unqualified(attributes)
            value_types = [v for n, v in attributes.items() if n.endswith(" value-type")]
            self.column += 1
            self.add_cell(
                error="error" in value_types,
                formula="formula" in unqualified,
                value=bool(value_types),
            )
            self.column += int(unqualified.get("number-columns-repeated", 1)) - 1
            if value_types:
                self._row_has_values = True
                self._columns = max(self._columns, self.column + 1)

    def end(self, name: str) -> None:
        if name == "table":
            self._in_sheet = False
        elif name == "table-row" and self._in_sheet:
            self.row += self._repeat - 1
            if self._row_has_values:
                self._rows = max(self._rows, self.row + 1)
