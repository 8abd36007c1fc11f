"""A look at a sheet's XML, for what the reader of its values does not tell.

Cells that hold an error, formulas without a calculated value, and how far the values reach (the
reader holds the whole rectangle, and ends the process when it is too large).
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from typing import IO, NamedTuple, TypeVar
from xml.parsers import expat

from ocsync.errors import InputError

MAX_UNPACKED = 4 * 1024**3
"""Bytes that the parts of a file may come to."""
_WORKBOOK, _RELATIONS, _ODS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "content.xml"


class Scan(NamedTuple):
    """What was seen of a sheet. Places are (row, column), from 0; *filled* cells have a value."""

    errors: list[tuple[int, int]]
    formulas: list[tuple[int, int]]
    rows: int = 0
    columns: int = 0
    filled: int = 0


def is_archive(data: bytes) -> bool:
    """Whether *data* is in one of the zipped formats, xlsx or ods; the binary xlsb is not meant."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return bool({_WORKBOOK, _ODS} & set(archive.namelist()))
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def scan(data: bytes, sheet: str) -> Scan:
    """What is in *sheet* of a zipped spreadsheet; nothing for other formats. Raises InputError.

    Without a *sheet* it is all of them, where they are in one part (ods).
    """
    if not is_archive(data):
        return Scan([], [])
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED:
                raise InputError("the spreadsheet unpacks to more than 4 GB")
            if _ODS in archive.namelist():
                with archive.open(_ODS) as file:
                    return _parsed(file, _Ods(sheet)).scan()
            if not sheet:
                return Scan([], [])
            part = _part_of(archive, sheet)
            with archive.open(part) as file:
                return _parsed(file, _Xlsx()).scan()
    except (KeyError, zipfile.BadZipFile, expat.ExpatError, ValueError, OSError) as error:
        raise InputError(f"sheet {sheet} cannot be read: {error}") from error


class _Handler:
    """What gets the elements of a document; by itself it looks at none."""

    def start(self, name: str, found: dict[str, str]) -> None:
        pass

    def end(self, name: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass


H = TypeVar("H", bound=_Handler)


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """The name of the part that holds *sheet*. Raises KeyError."""
    with archive.open(_WORKBOOK) as file:
        key = _parsed(file, _Pairs("sheet", "name", "id")).found[sheet]
    with archive.open(_RELATIONS) as file:
        target = _parsed(file, _Pairs("Relationship", "Id", "Target")).found[key]
    return posixpath.normpath(posixpath.join("xl", target)).lstrip("/")


def _parsed(file: IO[bytes], handler: H) -> H:
    """*handler*, after it got every element by its name, and attributes under qualified names."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, found: handler.start(name.rpartition(" ")[2], found)
    parser.EndElementHandler = lambda name: handler.end(name.rpartition(" ")[2])
    parser.CharacterDataHandler = handler.text
    parser.ParseFile(file)
    return handler


def _unqualified(found: dict[str, str]) -> dict[str, str]:
    return {name.rpartition(" ")[2]: value for name, value in found.items()}


class _Pairs(_Handler):
    """Collects two attributes of each *element*: the first -> the second."""

    def __init__(self, element: str, key: str, value: str) -> None:
        self._names = (element, key, value)
        self.found: dict[str, str] = {}

    def start(self, name: str, found: dict[str, str]) -> None:
        element, key, value = self._names
        if name == element:
            own = _unqualified(found)
            self.found[own.get(key, "")] = own.get(value, "")


class _Cells(_Handler):
    """Counts rows and cells, and keeps the places of those that are odd."""

    def __init__(self) -> None:
        self.row = self.column = -1
        self._errors: list[tuple[int, int]] = []
        self._formulas: list[tuple[int, int]] = []
        self._rows = self._columns = self._filled = 0

    def cell(self, *, error: bool, formula: bool, value: bool) -> None:
        """The cell at the place reached has these."""
        if error:
            self._errors.append((self.row, self.column))
        elif formula and not value:
            self._formulas.append((self.row, self.column))
        if error or formula or value:
            self._filled += 1
            self._rows = max(self._rows, self.row + 1)
            self._columns = max(self._columns, self.column + 1)

    def scan(self) -> Scan:
        return Scan(self._errors, self._formulas, self._rows, self._columns, self._filled)


class _Xlsx(_Cells):
    """`<row r="4"><c r="C4" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>`; both `r` may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self._sort = ""
        self._formula = self._value = self._inside = False

    def start(self, name: str, found: dict[str, str]) -> None:
        if name == "row":
            self.row = int(found.get("r", self.row + 2)) - 1
            self.column = -1
        elif name == "c":
            self.column = _column_of(found["r"]) if "r" in found else self.column + 1
            self._sort = found.get("t", "n")
            self._formula = self._value = False
        elif name in ("v", "t"):
            self._inside = True
        elif name == "f":
            self._formula = True

    def end(self, name: str) -> None:
        if name == "c":
            value = self._value or (self._formula and self._sort == "str")
            self.cell(error=self._sort == "e", formula=self._formula, value=value)
        elif name in ("v", "t"):
            self._inside = False

    def text(self, text: str) -> None:
        self._value = self._value or (self._inside and bool(text))


def _column_of(place: str) -> int:
    """The column of a place such as AB12, from 0."""
    number = 0
    for letter in place.rstrip("0123456789").upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


class _Ods(_Cells):
    """`<table-row number-rows-repeated="3"><table-cell formula=... value-type="float"/>`.

    A cell's value is said by its type; an error has a type of its own, in another namespace. What
    is repeated and empty only moves the place on.
    """

    def __init__(self, sheet: str) -> None:
        super().__init__()
        self._sheet = sheet
        self._inside = self._some = False
        self._repeat = 1

    def start(self, name: str, found: dict[str, str]) -> None:
        if name == "table":
            self._inside = not self._sheet or _unqualified(found).get("name") == self._sheet
            self.row = -1
        elif not self._inside or name not in ("table-row", "table-cell", "covered-table-cell"):
            return
        elif name == "table-row":
            self.row, self.column, self._some = self.row + 1, -1, False
            self._repeat = int(_unqualified(found).get("number-rows-repeated", 1))
        else:
            own = _unqualified(found)
            sorts = [v for n, v in found.items() if n.endswith(" value-type")]
            self.column += 1
            self.cell(error="error" in sorts, formula="formula" in own, value=bool(sorts))
            self.column += int(own.get("number-columns-repeated", 1)) - 1
            if sorts:
                self._some = True
                self._columns = max(self._columns, self.column + 1)

    def end(self, name: str) -> None:
        if name == "table":
            self._inside = False
        elif name == "table-row" and self._inside:
            self.row += self._repeat - 1
            if self._some:
                self._rows = max(self._rows, self.row + 1)
