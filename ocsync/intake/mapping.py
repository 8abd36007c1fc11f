"""Mappings: how the columns of another program's file become those of a table to stage.

    kind = "inventory"
    encoding = "cp1252"
    header_row = 4
    decimal = ","
    thousands = "."
    ignore = ["*"]
    skip = [{ column = "Artikel", starts = "Summe" }]

    [columns]
    ProductID = "Artikel"
    InventoryRecordID = { template = "{Artikel}-{Lager}" }
    QuantityAvailable = { from = "Bestand", map = { "auf Anfrage" = "0" }, default = "0" }

Columns that it does not name keep their names. There is no language for expressions.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec

from ocsync.characters import is_blank
from ocsync.errors import InputError, UsageError
from ocsync.intake.json_documents import JsonItem, ListPage
from ocsync.intake.record import EXACT_NUMBER, NUMBER, InputFile, Row
from ocsync.intake.table_header import COMMENT, EXPECT, WRONG_HEADER, kind_named, kinds_of_columns
from ocsync.schema import FieldType, Kind, field_at
from ocsync.suggestions import suggestion

NAME, VALUE = "*name", "*value"
"""The columns that stand for the header, and for the cell, of an unpivoted column."""
_JSON_NUMBER = "number of JSON"
"""The type of a cell that is a number, not because a spreadsheet has made one of it."""
ALL = "*"
"""The name that ignores every column which is neither named nor a field."""
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
YES = ("true", "yes", "y", "on", "1", "x", "ja", "j", "oui", "si", "s")
NO = ("false", "no", "n", "off", "0", "nein", "non")
_NUMBER_TYPES = (FieldType.INTEGER, FieldType.NUMBER)


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    """The rule for one column of the table.

    Its text is that of the column *source*, a constant, or a *template* with names of columns in
    braces. *breaks* are the columns with the price from a quantity on: quantity -> column. *strip*
    are characters to take off both ends, *map* replaces whole texts, *case* makes all letters small
    or large, *default* stands in empty cells. The others override the mapping's own.
    """

    source: str = msgspec.field(name="from", default="")
    const: str | None = None
    template: str = ""
    breaks: dict[str, str] = {}
    strip: str = ""
    map: dict[str, str] = {}
    case: Literal["", "lower", "upper"] = ""
    default: str = ""
    factor: Decimal | None = None
    offset: Decimal | None = None
    decimal: str = ""
    thousands: str = ""
    date: str = ""


class Skip(msgspec.Struct, forbid_unknown_fields=True):
    """A test of a column that leaves rows out: of its whole text, of its beginning, or blank."""

    column: str
    equals: str | None = None
    starts: str | None = None
    blank: bool = False


class FileMapping(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping, as its file has it.

    *header_row* counts lines, or a sheet's rows, from 1. *items* is the path, in JSON, of an array.
    *yes* and *no* are more words for flags, *empty* are words for no value. *unpivot* makes a row
    of each of these columns: header -> name.
    """

    kind: str = ""
    sheet: str = ""
    items: str = ""
    encoding: str = ""
    delimiter: str = ""
    header_row: int = 0
    decimal: str = ""
    thousands: str = ""
    date: str = ""
    yes: list[str] = []
    no: list[str] = []
    empty: list[str] = []
    ignore: list[str] = []
    skip: list[Skip] = []
    unpivot: dict[str, str] | list[str] = {}
    columns: dict[str, str | Rule] = {}

    def rule(self, name: str) -> Rule:
        """Return the rule for the column *name* of the table."""
        rule = self.columns[name]
        return Rule(source=rule) if isinstance(rule, str) else rule


def parse_mapping(label: str, text: str) -> FileMapping:
    """Return the mapping in a file. Raises InputError with the reason."""
    try:
        mapping = msgspec.convert(tomllib.loads(text), FileMapping, strict=False)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{label} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise InputError(f"{label} is not a mapping: {error}", hint="ocsync help files") from error
    check_mapping(label, mapping)
    return mapping


def check_mapping(label: str, mapping: FileMapping) -> None:
    """Raise UsageError for settings that can never be right."""
    if mapping.kind:
        kind_named(mapping.kind)
    if mapping.encoding:
        try:
            codecs.lookup(mapping.encoding)
        except LookupError:
            raise UsageError(f'{label}: "{mapping.encoding}" is not a known encoding') from None
    for name, value, allowed in (
        ("delimiter", mapping.delimiter, ",;\t|"),
        ("decimal", mapping.decimal, ".,"),
        ("thousands", mapping.thousands, ".,' \u00a0\u202f"),
    ):
        if value and (len(value) != 1 or value not in allowed):
            choices = " ".join(repr(c)[1:-1] for c in allowed)
            raise UsageError(f'{label}: {name} cannot be "{value}"', hint=f"one of {choices}")
    if mapping.decimal and mapping.decimal == mapping.thousands:
        raise UsageError(f"{label}: decimal and thousands are both {mapping.decimal}")


_Read = Callable[[Sequence[str]], str]


def kind_of_mapping(mapping: FileMapping) -> str:
    """Return the kind that the IDs among the mapping's columns tell, or ""."""
    fitting = kinds_of_columns(mapping.columns) if mapping.columns else []
    return fitting[0].name if len(fitting) == 1 else ""


def constants_of(mapping: FileMapping) -> dict[str, str] | None:
    """Return the constants of a mapping that has nothing else; None for any other mapping."""
    rules = {name: mapping.rule(name) for name in mapping.columns}
    constants = {name: rule.const for name, rule in rules.items() if rule.const is not None}
    alone = msgspec.structs.replace(mapping, columns={}, kind="") == FileMapping()
    return constants if alone and len(constants) == len(rules) else None


def json_rows(
    origin: InputFile, items: Iterator[JsonItem | ListPage], mapping: FileMapping
) -> Iterator[Row]:
    """Yield a header with the paths that *mapping* names, and a row for each object.

    A path leads into objects by names and into arrays by numbers from 0, as in `prices.0.net`.
    Raises InputError for what is not an object.
    """
    paths = named_columns(mapping)
    yield Row(mapping.header_row, paths)
    for item in items:
        if isinstance(item, ListPage):
            continue
        found = _value_at(item.value, mapping.items) if mapping.items else item.value
        for member in found if isinstance(found, list) else [found]:
            if item.fault or not isinstance(member, dict):
                place = f"at {mapping.items} " if mapping.items else ""
                reason = item.fault or f"is not an object {place}with the paths of the mapping"
                problem = origin.problem(item.number, -1, "", item.text.strip(), reason)
                raise InputError("nothing was staged", [problem])
            values = [_value_at(member, path) for path in paths]
            types = {i: _JSON_NUMBER for i, v in enumerate(values) if type(v) in (int, float)}
            yield Row(item.number, [_json_cell(value) for value in values], types)


def named_columns(mapping: FileMapping) -> list[str]:
    """Return the columns of the file that *mapping* names, without those that it leaves out."""
    names: dict[str, None] = dict.fromkeys(_unpivoted(mapping))
    for name in mapping.columns:
        names |= dict.fromkeys(_sources_of(mapping.rule(name)))
    names |= dict.fromkeys(skip.column for skip in mapping.skip)
    return [name for name in names if name not in (NAME, VALUE)]


def _value_at(value: Any, path: str) -> Any:
    """Return the value at a dotted path; None where there is none."""
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _json_cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, float):
        return _plain_number(Decimal(repr(value)))
    return msgspec.json.encode(value).decode()


class _Target(NamedTuple):
    """A column of the table: its name, the source columns it needs, and how its text is made.

    *read_typed* is for a cell that is a number to the spreadsheet: its text has a point.
    """

    name: str
    sources: tuple[int, ...]
    read: _Read
    read_typed: _Read


def map_rows(
    origin: InputFile, rows: Iterator[Row], mapping: FileMapping, kind: Kind | None
) -> tuple[InputFile, Iterator[Row]]:
    """Return *origin* with the places of its columns, and the rows of the table; its header first.

    Raises InputError where the file has no header, or not the columns that the mapping names.
    """
    first = next(rows, None)
    while first is not None and first.number < mapping.header_row:
        first = next(rows, None)
    if first is None:
        text = f"{origin.place} has no row {mapping.header_row}" if mapping.header_row else ""
        raise InputError(text or f"{origin.place} is empty; it needs a header row")
    names = [cell.strip() for cell in first.cells]
    targets = _targets(origin, first.number, names, mapping, kind)
    places = tuple(target.sources[0] if target.sources else -1 for target in targets)
    header = Row(first.number, [target.name for target in targets])
    mapped = origin._replace(columns=places, decimal_comma=False)
    return mapped, _mapped_rows(rows, names, header, targets, mapping)


def _mapped_rows(
    rows: Iterator[Row],
    names: Sequence[str],
    header: Row,
    targets: Sequence[_Target],
    mapping: FileMapping,
) -> Iterator[Row]:
    yield header
    index = {name: position for position, name in enumerate(names)}
    skips = [(index[skip.column], skip) for skip in mapping.skip]
    labels = _unpivoted(mapping)
    for row in rows:
        cells = [*row.cells, *[""] * (len(names) - len(row.cells))]
        if any(_skips(skip, cells[position]) for position, skip in skips):
            continue
        if not labels:
            yield _mapped(row, cells, targets)
        for source, label in labels.items():
            value = cells[index[source]]
            if not is_blank(value):
                yield _mapped(row, [*cells[: len(names)], label, value], targets)


def _mapped(row: Row, cells: Sequence[str], targets: Sequence[_Target]) -> Row:
    texts, types, faults = [], {}, {}
    for position, target in enumerate(targets):
        kinds = {row.cell_types.get(source) for source in target.sources}
        is_number = bool(kinds & {NUMBER, EXACT_NUMBER, _JSON_NUMBER})
        try:
            texts.append((target.read_typed if is_number else target.read)(cells))
        except ValueError as error:
            texts.append(" ".join(cells[source] for source in target.sources))
            faults[position] = str(error)
        for source in target.sources:
            if source in row.cell_faults:
                faults[position] = row.cell_faults[source]
            is_typed = row.cell_types.get(source, _JSON_NUMBER) != _JSON_NUMBER
            if is_typed and len(target.sources) == 1:
                types[position] = row.cell_types[source]
    return Row(row.number, texts, types, faults)


def _targets(
    origin: InputFile, number: int, names: list[str], mapping: FileMapping, kind: Kind | None
) -> list[_Target]:
    """Return the columns of the table. Raises InputError for columns that the file lacks."""
    labels = _unpivoted(mapping)
    known = [*names, *([NAME, VALUE] if labels else [])]
    index: dict[str, int] = {}
    for position, name in enumerate(known):
        index.setdefault(name, position)
    problems = []

    def place(name: str, user: str) -> int:
        if name not in index:
            reason = f"is needed for {user}, but the file does not have it"
            hint = suggestion(name, [n for n in names if n], "")
            more = f"; {hint}" if hint else f"; it has {', '.join(n for n in names if n)}"
            problems.append(origin.problem(number, -1, name, "", reason + more))
        return index.get(name, 0)

    plain = msgspec.structs.replace(mapping, decimal="", thousands="")
    targets, used = [], set[str]()
    for name in mapping.columns:
        rule = mapping.rule(name)
        wanted = _sources_of(rule)
        used.update(wanted)
        sources = tuple(place(source, name) for source in wanted)
        pointed = msgspec.structs.replace(rule, decimal=".", thousands="")
        read = _reader(name, rule, mapping, kind, index)
        targets.append(_Target(name, sources, read, _reader(name, pointed, plain, kind, index)))
    for name in (*labels, *(skip.column for skip in mapping.skip)):
        place(name, "unpivot" if name in labels else "skip")
    if problems:
        raise InputError(WRONG_HEADER, problems)
    dropped = {"", *mapping.ignore, *labels, *used, *mapping.columns}
    for position, name in enumerate(names):
        if name not in dropped and not _left_out(name, mapping, kind):
            reads = (_plain_reader(name, position, one, kind) for one in (mapping, plain))
            targets.append(_Target(name, (position,), *reads))
    if kind and not kind.assignment and all(_sets_nothing(t.name, kind) for t in targets):
        reason = f"no column holds a field of {kind.name}, so nothing would be set"
        raise InputError(WRONG_HEADER, [origin.problem(number, -1, "", "", reason)])
    return targets


def _sets_nothing(name: str, kind: Kind) -> bool:
    """Return whether no edit of *kind* takes a value from the column *name*."""
    own = (*kind.ids, "ref", "op", "replace", "exists", "ID")
    return name in own or name.startswith((EXPECT, COMMENT))


def _sources_of(rule: Rule) -> list[str]:
    if rule.const is not None:
        return []
    if rule.template:
        return _PLACEHOLDER.findall(rule.template)
    return [*rule.breaks.values()] if rule.breaks else [rule.source]


def _left_out(name: str, mapping: FileMapping, kind: Kind | None) -> bool:
    """Return whether `ignore = ["*"]` leaves the column *name* out: it is no ID and no field."""
    if ALL not in mapping.ignore or kind is None:
        return False
    path = name.removeprefix(EXPECT).removesuffix(":")
    own = name in kind.ids or name in ("ref", "op", "replace", "ID")
    return not own and field_at(kind, path) is None


def _unpivoted(mapping: FileMapping) -> Mapping[str, str]:
    columns = mapping.unpivot
    return {name: name for name in columns} if isinstance(columns, list) else columns


def _skips(skip: Skip, text: str) -> bool:
    text = text.strip()
    if skip.equals is not None:
        return text.casefold() == skip.equals.strip().casefold()
    if skip.starts is not None:
        return text.casefold().startswith(skip.starts.casefold())
    return skip.blank and is_blank(text)


def _reader(
    name: str, rule: Rule, mapping: FileMapping, kind: Kind | None, index: Mapping[str, int]
) -> _Read:
    """Return the function that makes the text of the column *name* from a row's cells."""
    if rule.const is not None:
        constant = rule.const
        return lambda _: constant
    convert = _converter(name, rule, mapping, kind)
    if rule.breaks:
        price = _converter(name, rule, mapping, None, FieldType.NUMBER)
        places = {quantity: index.get(source, 0) for quantity, source in rule.breaks.items()}
        return lambda cells: _price_breaks(
            {quantity: price(cells[place]) for quantity, place in places.items()}
        )
    if rule.template:
        return lambda cells: convert(_filled(rule.template, cells, index))
    position = index.get(rule.source, 0)
    return lambda cells: convert(cells[position])


def _plain_reader(name: str, position: int, mapping: FileMapping, kind: Kind | None) -> _Read:
    convert = _converter(name, Rule(), mapping, kind)
    return lambda cells: convert(cells[position])


def _filled(template: str, cells: Sequence[str], index: Mapping[str, int]) -> str:
    """Return *template* with cells in its place holders; "" if one of them is blank."""
    parts = {name: cells[index[name]].strip() for name in _PLACEHOLDER.findall(template)}
    if not all(parts.values()):
        return ""
    return _PLACEHOLDER.sub(lambda match: parts[match[1]], template)


def _price_breaks(prices: Mapping[str, str]) -> str:
    breaks = [
        {"Quantity": int(quantity), "Price": float(price)}
        for quantity, price in prices.items()
        if price
    ]
    return msgspec.json.encode(breaks).decode() if breaks else ""


def _converter(
    name: str,
    rule: Rule,
    mapping: FileMapping,
    kind: Kind | None,
    type_: FieldType | None = None,
) -> Callable[[str], str]:
    """Return the function that makes of a cell the text that the field's type is read from.

    It raises ValueError with the reason.
    """
    field = field_at(kind, name.removeprefix(EXPECT).removesuffix(":")) if kind else None
    type_ = type_ or (field.type if field else FieldType.TEXT)
    words = {text.strip().casefold(): value for text, value in rule.map.items()}
    empty = {word.strip().casefold() for word in mapping.empty}
    decimal, thousands = rule.decimal or mapping.decimal, rule.thousands or mapping.thousands
    as_number = _number_reader(decimal or ("," if thousands == "." else "."), thousands)
    calculates = rule.factor is not None or rule.offset is not None
    is_number = type_ in _NUMBER_TYPES and bool(decimal or thousands)
    reads_numbers = is_number or calculates
    date = rule.date or mapping.date
    flags = {word.casefold(): "true" for word in (*YES, *mapping.yes)}
    flags |= {word.casefold(): "false" for word in (*NO, *mapping.no)}
    recase = {"lower": str.lower, "upper": str.upper}.get(rule.case, str)

    def convert(cell: str) -> str:
        text = cell.strip().strip(rule.strip or None).strip()
        text = words.get(text.casefold(), text)
        if is_blank(text) or text.casefold() in empty:
            return rule.default
        text = recase(text)
        if reads_numbers:
            number = as_number(text)
            if calculates:
                number = number * (1 if rule.factor is None else rule.factor) + (rule.offset or 0)
            return _plain_number(number)
        if type_ is FieldType.BOOLEAN:
            return flags.get(text.casefold(), text)
        if type_ is FieldType.DATE and date:
            return _iso_date(text, date)
        return text

    return convert


def _number_reader(decimal: str, thousands: str) -> Callable[[str], Decimal]:
    group = f"(?:{re.escape(thousands)}\\d{{3}})*" if thousands else ""
    whole = f"(?:\\d{{1,3}}{group}|\\d+)" if thousands else r"\d+"
    pattern = re.compile(f"[+-]?(?:{whole}(?:{re.escape(decimal)}\\d*)?|{re.escape(decimal)}\\d+)")

    def read(text: str) -> Decimal:
        if not pattern.fullmatch(text):
            marks = f" and {thousands} between thousands" if thousands else ""
            raise ValueError(f"is not a number with {decimal} before decimals{marks}")
        plain = text.replace(thousands, "") if thousands else text
        try:
            return Decimal(plain.replace(decimal, "."))
        except InvalidOperation:
            raise ValueError("is not a number") from None

    return read


def _plain_number(number: Decimal) -> str:
    text = format(number.normalize(), "f")
    return "0" if text in ("-0", "") else text


def _iso_date(text: str, form: str) -> str:
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - a date of the file, in UTC as all
    except ValueError:
        raise ValueError(f"is not a date such as {datetime(2027, 1, 31).strftime(form)}") from None  # noqa: DTZ001
    return moment.date().isoformat() if not re.search(r"%[HIMpSXc]", form) else moment.isoformat()


def merged(base: FileMapping, **given: Any) -> FileMapping:
    """Return *base* with what options give: settings override, lists and columns are added."""
    columns = {**base.columns, **given.pop("columns", {})}
    ignore = [*base.ignore, *given.pop("ignore", [])]
    kept = {name: value for name, value in given.items() if value}
    return msgspec.structs.replace(base, columns=columns, ignore=ignore, **kept)
