"""First mappings: a guess at what the columns of another program's file are, by names and values.

Sure is a name that is a field's own, or a word that means just it. Everything else is marked, and a
person decides.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ocsync.characters import is_blank
from ocsync.errors import InputError
from ocsync.intake.mapping import NO, YES
from ocsync.intake.reader import detect_format
from ocsync.schema import ID_PATTERN, KINDS, Field, FieldType, Kind, stageable_fields
from ocsync.suggestions import closest

SAMPLE_BYTES, _SAMPLE_ROWS, _EXAMPLES = 2_000_000, 400, 3
_DELIMITERS = (";", "\t", ",", "|")
_SUM_WORDS = ("summe", "gesamt", "total", "sum", "zwischensumme", "subtotal", "grand total")
_MARKS = (",", "."), (".", ",")
"""The mark before decimals and the one between thousands, in most of Europe and elsewhere."""
_DATES = (
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d"),
)
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/\d{4}")
_ALIASES: Mapping[str, str] = {
    "ProductID": (
        "sku artikelnummer artikelnr artnr artikel item itemno itemnumber itemid variantsku "
        "productcode produktnummer material materialnummer barcode ean gtin reference "
        "referencia codigo"
    ),
    "VariantID": "variante variant variantcode",
    "InventoryRecordID": "lager lagerort warehouse location standort depot store filiale entrepot",
    "QuantityAvailable": (
        "bestand lagerbestand menge stock qty quantity onhand available verfuegbar "
        "verfügbar stückzahl anzahl"
    ),
    "Inventory.QuantityAvailable": "bestand stock qty quantity onhand",
    "NotificationPoint": "meldebestand mindestbestand reorderpoint minstock",
    "Name": (
        "bezeichnung titel title artikelbezeichnung productname produktname kurztext nombre nom"
    ),
    "Description": "beschreibung langtext body bodyhtml longtext",
    "Active": "aktiv published enabled isactive live",
    "ShipWeight": "gewicht weight poids peso",
    "ShipHeight": "hoehe höhe height",
    "ShipWidth": "breite width",
    "ShipLength": "laenge länge length tiefe depth",
    "DefaultSupplierID": "lieferant supplier vendor lieferantennummer",
    "SaleStart": "gueltigab gültigab validfrom von startdate",
    "SaleEnd": "gueltigbis gültigbis validto bis enddate",
    "Currency": "waehrung währung currencycode",
    "PriceScheduleID": "preisliste pricelist preisgruppe pricegroup",
    "UserID": "personalnummer mitarbeiternummer employeeid employee personnelnumber userid",
    "Username": "login benutzername loginname account",
    "FirstName": "vorname givenname forename prenom",
    "LastName": "nachname surname familyname name",
    "Email": "mail emailadresse emailaddress correo",
    "Phone": "telefon tel phonenumber mobil mobile",
    "BuyerID": "kunde kundennummer customer customerid company firma account",
    "SupplierID": "lieferant lieferantennummer supplier vendor vendorid",
    "UserGroupID": "gruppe group rolle",
    "CatalogID": "katalog catalog shop",
    "CategoryID": "kategorie category warengruppe categoryid",
    "ParentID": "parent oberkategorie parentcategory",
    "ListOrder": "reihenfolge sortierung position sortorder",
    "AddressID": "adresse adressnummer addresscode",
    "Street1": "strasse straße street address1",
    "City": "ort stadt town",
    "Zip": "plz postleitzahl postalcode zipcode",
    "Country": "land countrycode",
    "State": "bundesland region province",
}
"""Words, in lower case and without signs, by which other programs call a field or an ID."""
_FIELD_WORDS = frozenset(
    "".join(filter(str.isalnum, word)).casefold()
    for kind in KINDS.values()
    for target in (*kind.ids, *kind.fields)
    for word in (target, *_ALIASES.get(target, "").split())
)
"""The names of fields and IDs, and words for them, as `_key` writes them."""
_LEAST_ZEROS = 50
"""Bytes of UTF-16 of which one at least is zero: blanks, digits and marks are in every text."""
_NUMBER_TYPES = (FieldType.INTEGER, FieldType.NUMBER)
_NOT_SURE = "  # not sure:"
_DOUBTFUL_LINE = re.compile(rf"^(?:# )?(\S+) = .*{_NOT_SURE}", re.MULTILINE)
_LEAST_LETTERS, _LONGEST_EXAMPLE, _MOST_WORDS, _MONTHS = 4, 24, 6, 12
_FIXED = re.compile(r"not editable|read.?only|schreibgesch|\(current\)", re.IGNORECASE)
"""A mark in headers of columns that the other program ignores when it reads its file back."""
_TEXT_MARK = "'"
"""Programs put it before text that a spreadsheet would take for a number or a formula."""
_PRICE_WORDS = ("preis", "price", "vk", "netto", "ab", "from", "prix", "precio")


class DraftColumn(NamedTuple):
    """A column of the file: its name, the field it seems to hold ("" for none), and examples.

    *is_sure* says that its name leaves no doubt.
    """

    header: str
    field: str
    examples: tuple[str, ...]
    is_sure: bool


class Draft(NamedTuple):
    """A first mapping: its *text*, what it says of each column, and IDs that no column has.

    *encoding* is the one that was assumed, as the file shows none; empty where it shows one.
    """

    kind: str
    text: str
    columns: tuple[DraftColumn, ...]
    missing: tuple[str, ...]
    encoding: str

    @property
    def doubtful(self) -> list[str]:
        """The fields and settings of the text that a person has to check."""
        return [name.strip('"') for name in _DOUBTFUL_LINE.findall(self.text)]

    @property
    def sets_nothing(self) -> bool:
        """A flag: the kind has fields to set, and no column seems to hold one."""
        kind = KINDS[self.kind]
        has_fields = bool(stageable_fields(kind)) and not kind.assignment
        return has_fields and not any(c.field and c.field not in kind.ids for c in self.columns)


class _Sample(NamedTuple):
    """The first rows of a file, each with its number; and how they were read."""

    rows: list[tuple[int, list[str]]]
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""


def draft_mapping(name: str, data: bytes, kind_name: str, sheet: str) -> Draft:
    """Return a first mapping for the file *name* that begins with *data*.

    Without *kind_name* the kind is the one most columns fit. Raises InputError for a file that is
    no table, or that tells no kind.
    """
    sample = _sample(name, data, sheet)
    position = _header_position(sample.rows)
    number, names = sample.rows[position]
    rows = [cells for _, cells in sample.rows[position + 1 :]]
    headers = [header.strip() for header in names]
    values = {
        header: [cells[i].strip() for cells in rows if i < len(cells) and not is_blank(cells[i])]
        for i, header in enumerate(headers)
        if header
    }
    kind = KINDS[kind_name] if kind_name else _kind_of(list(values))
    columns = _columns(kind, values)
    missing = tuple(n for n in kind.needed_ids if n not in {c.field for c in columns})
    header_row = number if position or number > 1 else 0
    skipped = _sum_rows(headers, rows)
    lines = _lines(kind, sample, header_row, columns, missing, values, skipped)
    text = "\n".join(lines)
    return Draft(kind.name, text + "\n", columns, missing, sample.encoding)


def _sample(name: str, data: bytes, sheet: str) -> _Sample:
    form = detect_format(name, data[:64])
    if form == "jsonl":
        raise InputError(
            f"{name} is JSON: the API's own needs no mapping; write one for other JSON by hand",
            hint=f"ocsync stage import {name} --kind KIND, or: ocsync help files",
        )
    if form == "parquet":
        raise InputError(f"{name} is Parquet: write its columns by hand", hint="ocsync help files")
    if form == "xlsx":
        from ocsync.intake import sheets

        origin, rows = next(sheets.read_sheets(name, data, sheet, "product", lambda _: None))
        taken = [(row.number, row.cells) for row, _ in zip(rows, range(_SAMPLE_ROWS), strict=False)]
        return _checked(name, _Sample(taken, sheet=origin.sheet if sheet else ""))
    text, encoding = _decode(data[:SAMPLE_BYTES])
    lines = text.splitlines()[:_SAMPLE_ROWS]
    delimiter = max(_DELIMITERS, key=lambda mark: _regularity(lines, mark))
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    taken = [(reader.line_num, row) for row in reader if not all(map(is_blank, row))]
    detected = "" if delimiter in ",;\t" else delimiter
    return _checked(name, _Sample(taken, encoding, detected))


def _checked(name: str, sample: _Sample) -> _Sample:
    if len(sample.rows) < 1 or max(len(row) for _, row in sample.rows) < 2:
        raise InputError(f"{name} is not a table with several columns")
    return sample


def _decode(data: bytes) -> tuple[str, str]:
    """Return the text, and its encoding where that has to be named.

    Text without a byte order mark is UTF-16 where many bytes are zero: every other one for Latin
    letters.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace"), ""
    if data.count(0) > len(data) / _LEAST_ZEROS:
        is_little = data[1::2].count(0) > data[::2].count(0)
        name = "utf-16-le" if is_little else "utf-16-be"
        return data.decode(name, "replace"), name
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "cp1252"


def _regularity(lines: Sequence[str], mark: str) -> tuple[int, int]:
    """Return how many lines have the most frequent number of *mark*, and that number."""
    counts = Counter(line.count(mark) for line in lines if mark in line)
    number, size = counts.most_common(1)[0] if counts else (0, 0)
    return size, number


def _header_position(rows: Sequence[tuple[int, list[str]]]) -> int:
    """Return the place of the header: of the rows that are as wide as most and have a name in most
    cells, the first of those with the most words that name a field.
    """
    width = Counter(_width(row) for _, row in rows).most_common(1)[0][0]
    places: dict[int, int] = {}
    for position, (_, row) in enumerate(rows):
        names = [cell for cell in row if not is_blank(cell)]
        is_text = all(not _is_number(cell) for cell in names)
        if len(names) >= max(2, min(width, len(row)) - 1) and is_text:
            places[position] = sum(_key(name) in _FIELD_WORDS for name in names)
    return max(places, key=lambda position: places[position], default=0)


def _width(row: Sequence[str]) -> int:
    return max((i + 1 for i, cell in enumerate(row) if not is_blank(cell)), default=0)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?[\d.,' ]*\d[\d.,' ]*", text.strip()))


def _key(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def _kind_of(headers: Sequence[str]) -> Kind:
    """Return the kind that most of the headers fit. Raises InputError where none has its IDs."""
    scores: list[tuple[int, int, Kind]] = []
    for kind in KINDS.values():
        columns = _columns(kind, {header: [] for header in headers})
        fields = [column.field for column in columns if column.field]
        if all(name in fields for name in kind.needed_ids):
            sure = sum(column.is_sure for column in columns if column.field)
            scores.append((len(fields) + len(kind.needed_ids), sure, kind))
    if not scores:
        raise InputError("no kind matches the columns", hint="ocsync stage map KIND FILE")
    return max(scores, key=lambda score: score[:2])[2]


def _columns(kind: Kind, values: Mapping[str, Sequence[str]]) -> tuple[DraftColumn, ...]:
    """Return what each column seems to hold: by its own name, a known word, or likeness."""
    targets = [*kind.ids, *(p for p in stageable_fields(kind) if p not in ("xp", "PriceBreaks"))]
    aliases = {_key(w): t for t in reversed(targets) for w in _ALIASES.get(t, "").split()}
    own = {_key(target): target for target in targets}
    if not kind.assignment:
        own.setdefault("id", kind.ids[-1])
    known = {**aliases, **own}

    def resembling(header: str) -> str | None:
        key = _key(header)
        within = sorted((w for w in known if len(w) > _LEAST_LETTERS and w in key), key=len)
        close = closest(key, known) if len(key) >= _LEAST_LETTERS else []
        fitting = (known[word] for word in [*within[:-2:-1], *close])
        return next((t for t in fitting if _may_hold(kind, t, values[header])), None)

    found: dict[str, tuple[str, bool]] = {}
    guesses: tuple[tuple[bool, Callable[[str], str | None]], ...] = (
        (True, lambda header: own.get(_key(header))),
        (True, lambda header: aliases.get(_key(header))),
        (False, resembling),
    )
    for is_sure, guess in guesses:
        for header in values:
            target = None if header in found or _FIXED.search(header) else guess(header)
            if target and target not in (field for field, _ in found.values()):
                found[header] = target, is_sure
    own_id = kind.ids[-1]
    if not kind.assignment and own_id not in (field for field, _ in found.values()):
        free = (header for header in values if header not in found and not _FIXED.search(header))
        if key := next((header for header in free if _are_ids(values[header])), ""):
            found[key] = own_id, False
    columns = []
    for header, texts in values.items():
        field, is_sure = found.get(header, ("", True))
        columns.append(DraftColumn(header, field, tuple(dict.fromkeys(texts))[:_EXAMPLES], is_sure))
    return tuple(columns)


def _may_hold(kind: Kind, target: str, texts: Sequence[str]) -> bool:
    """Return whether most of *texts* could be values of *target*: numbers, or IDs."""
    if target in kind.ids:
        good = sum(bool(ID_PATTERN.fullmatch(text.strip(_TEXT_MARK))) for text in texts)
    elif _type_of(kind, target) in _NUMBER_TYPES:
        good = sum(_is_number(text) for text in texts)
    else:
        return True
    return 2 * good >= len(texts)


def _are_ids(texts: Sequence[str]) -> bool:
    """Return whether *texts* may be IDs of different entities."""
    return 1 < len(texts) == len({*texts}) and all(map(ID_PATTERN.fullmatch, texts))


def _lines(
    kind: Kind,
    sample: _Sample,
    header_row: int,
    columns: Sequence[DraftColumn],
    missing: Sequence[str],
    values: Mapping[str, Sequence[str]],
    skipped: str,
) -> Iterator[str]:
    """Yield the lines of the mapping's file."""
    yield f"kind = {_quoted(kind.name)}"
    settings = {"sheet": sample.sheet, "encoding": sample.encoding, "delimiter": sample.delimiter}
    for name, value in settings.items():
        if value:
            yield f"{name} = {_quoted(value)}"
    if header_row > 1:
        yield f"header_row = {header_row}"
    fields = {column.field: column for column in columns if column.field}
    numeric = {f: c for f, c in fields.items() if _type_of(kind, f) in _NUMBER_TYPES}
    decimal, thousands, is_sure = _marks([
        (text, _type_of(kind, field) is FieldType.INTEGER)
        for field, column in numeric.items()
        for text in values[column.header]
    ])  # fmt: skip
    if decimal:
        yield f"decimal = {_quoted(decimal)}" + _NOT_SURE * (not is_sure)
    if thousands:
        yield f"thousands = {_quoted(thousands)}" + _NOT_SURE * (not is_sure)
    dates = {f: c for f, c in fields.items() if _type_of(kind, f) is FieldType.DATE}
    form, sure_of_form = _date_form([t for c in dates.values() for t in values[c.header]])
    if form:
        yield f"date = {_quoted(form)}" + _NOT_SURE * (not sure_of_form)
    if left_out := [column.header for column in columns if not column.field]:
        yield f"ignore = [{', '.join(map(_quoted, left_out))}]"
    if skipped:
        yield f"skip = [{skipped}]{_NOT_SURE}"
    yield ""
    yield "[columns]"
    for name in missing:
        yield f'# {name} = ""  # needed, and no column seems to hold it'
    for field, column in fields.items():
        words = _words_in(kind, field, values[column.header], decimal or ".", thousands)
        rule = _quoted(column.header)
        extras = []
        if any(text.startswith(_TEXT_MARK) for text in values[column.header]):
            extras.append(f"strip = {_quoted(_TEXT_MARK)}")
        if words:
            pairs = ", ".join(f'{_quoted(word)} = ""' for word in words)
            extras.append(f"map = {{ {pairs} }}")
        if extras:
            rule = f"{{ {', '.join([f'from = {rule}', *extras])} }}"
        doubt = _NOT_SURE if not column.is_sure or words else "  #"
        examples = ", ".join(text[:_LONGEST_EXAMPLE] for text in column.examples)
        yield f"{_toml_key(field)} = {rule}{doubt} {_one_line(examples)}".rstrip(" #")
    if kind.name == "price-schedule":
        unused = [column.header for column in columns if not column.field]
        prices = [h for h in unused if any(word in _key(h) for word in _PRICE_WORDS)]
        breaks = ", ".join(
            f"{_last_number(header) or place} = {_quoted(header)}"
            for place, header in enumerate(prices, 1)
        )
        if prices:
            yield f"# PriceBreaks = {{ breaks = {{ {breaks} }} }}  # not sure: the quantities"


def _last_number(text: str) -> int:
    """Return the last number in *text*; 0 where it has none."""
    return int(([*re.findall(r"\d+", text)] or ["0"])[-1])


def _type_of(kind: Kind, name: str) -> FieldType | None:
    field: Field | None = kind.fields.get(name)
    return field.type if field else None


def _marks(numbers: Sequence[tuple[str, bool]]) -> tuple[str, str, bool]:
    """Return the marks before decimals and between thousands, and whether that is sure.

    Each of *numbers* is a text, and whether it must be a whole number: 1.234 is one thousand in a
    column of whole numbers; elsewhere it may be either. "" stands for a point and for no mark.
    """
    counts: dict[tuple[str, str], int] = {}
    either = False
    for marks in _MARKS:
        decimal, thousands = map(re.escape, marks)
        one_group = re.compile(rf"-?[1-9]\d{{0,2}}{thousands}\d{{3}}")
        several = re.compile(rf"-?\d{{1,3}}({thousands}\d{{3}})+({decimal}\d+)?")
        number = re.compile(rf"-?(\d{{1,3}}({thousands}\d{{3}})+|\d+){decimal}\d+")
        other_group = re.compile(rf"-?[1-9]\d{{0,2}}{decimal}\d{{3}}")
        counts[marks] = 0
        for text, is_whole in numbers:
            doubtful = bool(one_group.fullmatch(text) or other_group.fullmatch(text))
            either = either or (doubtful and not is_whole)
            if doubtful:
                counts[marks] += is_whole and bool(one_group.fullmatch(text))
            else:
                counts[marks] += bool(several.fullmatch(text) or number.fullmatch(text))
    first, second = _MARKS
    is_sure = not all(counts.values()) and (any(counts.values()) or not either)
    if any(counts.values()):
        chosen = max(_MARKS, key=lambda marks: counts[marks])
    else:
        texts = " ".join(text for text, _ in numbers)
        chosen = first if second[0] in texts and either else second
    grouped = any(
        re.fullmatch(rf"-?\d{{1,3}}({re.escape(chosen[1])}\d{{3}})+(\D\d+)?", t) for t, _ in numbers
    )
    has_decimal = chosen == first and (any(counts.values()) or grouped)
    return chosen[0] if has_decimal else "", chosen[1] if grouped else "", is_sure


def _date_form(texts: Sequence[str]) -> tuple[str, bool]:
    """Return the format of dates that are not ISO 8601, and whether it is sure."""
    for pattern, form in _DATES:
        if any(pattern.fullmatch(text) for text in texts):
            return form, True
    slashed = [match for text in texts if (match := _SLASHED.fullmatch(text))]
    if not slashed:
        return "", True
    if any(int(match[1]) > _MONTHS for match in slashed):
        return "%d/%m/%Y", True
    return "%m/%d/%Y", any(int(match[2]) > _MONTHS for match in slashed)


def _words_in(
    kind: Kind, field: str, texts: Sequence[str], decimal: str, thousands: str
) -> list[str]:
    """Return the texts in a column of numbers or flags that are none, the first few."""
    type_ = _type_of(kind, field)
    if type_ in _NUMBER_TYPES:
        marks = re.escape(decimal + thousands)
        number = re.compile(rf"[+-]?[\d{marks}]*\d[\d{marks}]*")
        odd = [text for text in texts if not number.fullmatch(text)]
    elif type_ is FieldType.BOOLEAN:
        odd = [text for text in texts if text.casefold() not in (*YES, *NO)]
    else:
        return []
    return list(dict.fromkeys(odd))[:_MOST_WORDS]


def _sum_rows(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the test that leaves out rows with a sum, as TOML; "" where there is none."""
    for row in reversed(rows):
        for header, cell in zip(headers, row, strict=False):
            if header and cell.strip().casefold().startswith(_SUM_WORDS):
                return f"{{ column = {_quoted(header)}, starts = {_quoted(cell.strip())} }}"
    return ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
