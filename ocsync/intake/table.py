r"""Entries from the rows of a table: a header, then one row for each edit.

CSV and spreadsheets are read alike.

The header has either `ref`, or (with a kind) the kind's ID columns under OrderCloud's names; `op`
and `replace` are optional; `expect.FIELD` holds an expected value; a column whose name begins with
`#` is passed over; every other one is a field. A column whose header ends in `:` holds JSON. An
empty cell leaves the field alone, and so does a cell in which nothing can be seen; `\N` is null.
Columns without a name must be empty.

Where a field has a column for its value and one for the expected value, and there is no `op`, a row
expects the value only if it sets the field. `exists` says of a row that it was there when the table
was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from ocsync.characters import is_blank
from ocsync.errors import InputError, Problem, UsageError
from ocsync.field_paths import MISSING, split_path
from ocsync.intake.field_values import (
    DECIMALS,
    PLAIN_TEXTS,
    Check,
    expand_models,
    is_word_for_no_value,
    plain_checks,
    read_json,
    read_text,
    reader_of,
    unknown_field,
)
from ocsync.intake.record import (
    EXACT_NUMBER,
    NUMBER,
    InputFile,
    Oddity,
    ParsedLine,
    Row,
    known_ref,
)
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.plurals import count
from ocsync.schema import (
    ID_PATTERN,
    ID_RULE,
    KINDS,
    KINDS_COMMAND,
    Field,
    FieldType,
    Kind,
    field_at,
    has_all_ids,
    kind_of,
    make_ref,
)
from ocsync.suggestions import closest, listed, suggestion, with_suggestion

NULL = r"\N"
ERROR_TEXTS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!")
"""Texts that a spreadsheet shows in place of a value."""
_ERROR_TEXTS = frozenset(ERROR_TEXTS)
ERROR_FAULT = "is a spreadsheet error, not a value"
EXPECT = "expect."
"""Prefix of a field in the name of the column of its expected value."""
EXISTS = "exists"
"""The column that says of a row that it was there when the table was written."""
COMMENT = "#"
"""Beginning of the names of columns that are not read."""
WRONG_HEADER = "the header is wrong; nothing was staged"
"""The message of an error for columns that are not those of a table."""
_RESERVED = ("ref", "op", "replace", EXISTS)
_NUMBER_DIGITS = 15
"""Significant digits that a spreadsheet keeps of a number; it replaces later ones by zeros."""
_COMMA_NUMBER = re.compile(r"[+-]?[\d.]*\d,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_OWN_ID = "ID"
"""The API's name for the last ID of every entity."""
_ID_NAMES = frozenset(name for kind in KINDS.values() for name in kind.ids)
AddProblem = Callable[[int, str, str, str], None]
"""Function that records a problem: cell index (-1 for the row), field, value, reason."""
_NewOddCells = dict[tuple[Oddity, str], str]


class _Column(NamedTuple):
    """A column that holds a field. *index* counts from 0; *path* is the field's."""

    position: int
    path: str
    is_json: bool
    is_expectation: bool

    @property
    def key(self) -> str:
        """The name that problems and reports use: `expect.` before an expected field's path."""
        return (EXPECT if self.is_expectation else "") + self.path


class _Cell(NamedTuple):
    """A column, resolved for the rows of one kind: *read* reads a cell that is not null.

    *takes_text* says that the field holds text, so that a number in a spreadsheet is odd.
    *read_plain* reads a cell as *read* does, or raises ValueError for another reason.
    """

    position: int
    path: str
    key: str
    is_expectation: bool
    read: Callable[[str], Any]
    read_plain: Callable[[str], Any]
    takes_text: bool


class _Header(NamedTuple):
    """The header of a table. Indexes count from 0; -1 means that there is no such column.

    *paired* are the fields with a column for the value and one for the expected value, where rows
    may leave both alone.
    *column_numbers* count from 1, by the names that problems use. *cells* are the resolved columns,
    by kind, as far as rows of it have been read.
    """

    names: list[str]
    ref_index: int
    id_indexes: dict[str, int]
    op_index: int
    replace_index: int
    exists_index: int
    paired: frozenset[str]
    columns: tuple[_Column, ...]
    unnamed: tuple[int, ...]
    column_numbers: dict[str, int]
    cells: dict[str, tuple[_Cell, ...]]

    @property
    def compares(self) -> bool:
        """A flag: its rows say what was there when the table was written."""
        return bool(self.paired) or self.exists_index >= 0

    def cells_of(self, kind: Kind) -> tuple[_Cell, ...]:
        """Return the columns, resolved for rows of *kind*."""
        found = self.cells.get(kind.name)
        if found is None:
            found = self.cells[kind.name] = tuple(_resolve(kind, c) for c in self.columns)
        return found


def kind_named(name: str) -> Kind:
    """Return the kind called *name*. Raises UsageError when there is none."""
    if name not in KINDS:
        hint = suggestion(name, KINDS, f"kinds: {listed(KINDS, KINDS_COMMAND)}")
        raise UsageError(f'"{name}" is not a kind', hint=hint)
    return KINDS[name]


def read_lines(
    origin: InputFile, rows: Iterator[Row], kind_name: str, note: Callable[[str], None]
) -> Iterator[ParsedLine]:
    """Yield a parsed line for each row.

    Without *kind_name* and without a `ref` column the kind is the one that the ID columns name, and
    *note* receives it. Raises InputError when the header is wrong, also at the first value in a
    column without a name.
    """
    first = next(rows, None)
    if first is None:
        subject = f"sheet {origin.sheet}" if origin.sheet else "the file"
        raise InputError(f"{origin.label}: {subject} is empty; it needs a header row")
    kind, header = _read_header(origin, first, kind_name, note)
    read_plain = _plain_reader(origin, header, kind)
    for row in rows:
        yield read_plain(row) or _parse_row(origin, row, header, kind)


def _read_header(
    origin: InputFile, first: Row, kind_name: str, note: Callable[[str], None]
) -> tuple[Kind | None, _Header]:
    """Return the kind of the rows, if one is named or all columns tell it, and the header."""
    kind = kind_named(kind_name) if kind_name else None
    names = [_header_name(cell) for cell in first.cells]
    if not kind and "ref" not in names and (fitting := kinds_of_columns(names)):
        kind = fitting[0] if len(fitting) == 1 else None
        if kind:
            ids = [name for name in kind.ids if name in names]
            columns = f"columns {' and '.join(ids)}" if len(ids) > 1 else f"column {ids[0]}"
            note(f"{origin.place}: read as kind {kind.name}, because of its {columns}")
    return kind, _parse_header(origin, first, kind)


class PlainTable(NamedTuple):
    """The texts that the cells of a table can have so that a row is surely read without a fault.

    *patterns* are by position; None stands for any text that does not begin with `#`, as the errors
    of a spreadsheet do. A cell may also be empty, but in the columns *ids*, which make the ref.
    """

    patterns: tuple[str | None, ...]
    ids: tuple[int, ...]


def plain_table(origin: InputFile, first: Row, kind_name: str) -> PlainTable | None:
    """Return the plain texts of a table with the header *first*; None where rows say more than
    their ref and values, or where a value is not read from its cell alone.

    Raises InputError where the header is wrong.
    """
    kind, header = _read_header(origin, first, kind_name, lambda _: None)
    own = kind if kind and header.ref_index < 0 else None
    kinds = [
        k
        for k in ([own] if own else KINDS.values())
        if k.ops[0] in (Op.SET, Op.ASSIGN) and all(field_at(k, c.path) for c in header.columns)
    ]
    flags = (header.op_index, header.replace_index, header.exists_index)
    says_more = header.unnamed or max(flags) >= 0
    if not kinds or says_more or any(c.is_json or c.is_expectation for c in header.columns):
        return None
    patterns: list[str | None] = [None] * len(header.names)
    if own:
        party = tuple(name for name in own.ids[len(own.needed_ids) :] if name in header.id_indexes)
        if party not in own.parties:
            return None
        ids = tuple(header.id_indexes.values())
        for position in ids:
            patterns[position] = ID_PATTERN.pattern
    else:
        ids = (header.ref_index,)
        whole = [k for k in kinds if k.ids[len(k.needed_ids) :] in k.parties]
        patterns[header.ref_index] = "|".join(_plain_ref(k.name).pattern for k in whole)
    for column in header.columns:
        types = {field.type for k in kinds if (field := field_at(k, column.path))}
        found = {PLAIN_TEXTS.get(type_) for type_ in types}
        pattern = found.pop()
        if found or pattern is None:
            return None
        if origin.decimal_comma:
            pattern = pattern.replace(DECIMALS, "")  # a point may be one between thousands
        patterns[column.position] = pattern and rf"{pattern}|\\N"
    return PlainTable(tuple(patterns), ids)


_KNOWN_CELLS, _KNOWN_LENGTH = 10_000, 40
"""Most cells of a column whose values are kept, and most characters of each."""


class _PlainCells(dict[str, Any]):
    """The values of plain cells of a column, by their text: a file often repeats one.

    Looking up another cell reads and checks it; an empty one has MISSING. Raises ValueError for a
    cell that is not plain.
    """

    def __init__(self, cell: _Cell, check: Check | None, *, decimal_comma: bool) -> None:
        super().__init__({"": MISSING})
        self._read, self._check = cell.read_plain, check
        self._decimal_comma = decimal_comma

    def __missing__(self, text: str) -> Any:
        value = None if text == NULL else self._read(text)
        if (
            not "!" <= text[0] <= "~"
            or type(value) is dict
            or is_word_for_no_value(value)
            or (self._decimal_comma and _has_thousands(text, value))
            or (self._check and not self._check(value))
        ):
            raise ValueError
        if len(self) < _KNOWN_CELLS and len(text) <= _KNOWN_LENGTH and type(value) is not list:
            self[text] = value
        return value


class _PlainColumns(NamedTuple):
    """The columns for plain rows of one kind: place, path and cells of each.

    *are_checked* says that their cells are all that there is to validate in a row without expected
    values.
    """

    fields: list[tuple[int, str, _PlainCells]]
    expected: list[tuple[int, str, _PlainCells]]
    are_checked: bool


def _plain_columns(origin: InputFile, header: _Header, kind: Kind, op: Op) -> _PlainColumns:
    cells = header.cells_of(kind)
    paths = [cell.path for cell in cells if not cell.is_expectation]
    checks = dict(zip(paths, plain_checks(kind.name, op, *paths), strict=False))
    columns = _PlainColumns([], [], bool(checks))
    for cell in cells:
        check = None if cell.is_expectation else checks.get(cell.path)
        read = _PlainCells(cell, check, decimal_comma=origin.decimal_comma)
        group = columns.expected if cell.is_expectation else columns.fields
        group.append((cell.position, cell.path, read))
    return columns


def _plain_reader(
    origin: InputFile, header: _Header, kind: Kind | None
) -> Callable[[Row], ParsedLine | None]:
    """Return a function that reads a plain row as `_parse_row` does, and gives None for any other.

    A plain row has a value in ASCII or none in each cell, a ref without blanks, and no fault; none
    of its values may mean that there is none.
    """
    is_plain = not (header.unnamed or header.op_index >= 0 or header.replace_index >= 0)
    is_plain = is_plain and header.exists_index < 0
    paired = header.paired
    width, ref_index, prefix = len(header.names), header.ref_index, origin.source_prefix
    compares = header.compares
    ids, numbers = header.id_indexes, header.column_numbers
    positions = [ids[name] for name in kind.ids] if kind and len(ids) == len(kind.ids) else []
    is_whole = _plain_ref(kind.name).fullmatch if kind and positions else None
    own_name = kind.name if kind else ""
    own_ids, own_ref = itemgetter(*(positions or [0])), "/".join([own_name, *["%s"] * len(ids)])
    set_by_kind = {k.name: k.ops[0] for k in KINDS.values()}
    columns_by_kind: dict[str, _PlainColumns] = {}
    usual_types: Mapping[int, str] | None = None

    def read(row: Row) -> ParsedLine | None:
        nonlocal usual_types
        cells = row.cells
        if not is_plain or len(cells) != width or row.cell_faults:
            return None
        if row.cell_types and row.cell_types is not usual_types:
            if not _are_usual(row.cell_types, header):
                return None
            usual_types = row.cell_types  # a database has one for all rows
        try:
            if ref_index >= 0:
                ref = known_ref(cells[ref_index])
                kind_name = ref[: ref.find("/")]
            elif is_whole:
                kind_name = own_name
                ref = own_ref % own_ids(cells)
                if not is_whole(ref):
                    return None
            else:
                return None
            op, columns = set_by_kind[kind_name], columns_by_kind.get(kind_name)
            if columns is None:
                columns = _plain_columns(origin, header, KINDS[kind_name], op)
                columns_by_kind[kind_name] = columns
            fields: Fields = {}
            expect: Fields = {}
            for position, path, values in columns.fields:
                value = values[cells[position]]
                if value is not MISSING:
                    fields[path] = value
            for position, path, values in columns.expected:
                value = values[cells[position]]
                if value is not MISSING:
                    expect[path] = value
        except (ValueError, UsageError):
            return None
        if paired and expect:
            if _emptied(expect, fields, paired):
                return None
            expect = _without_unset(expect, fields, paired)
        entry = Entry(op=op, ref=ref, fields=fields, expect=expect, source=f"{prefix}{row.number}")
        is_valid = columns.are_checked and bool(fields) and not expect
        return ParsedLine(row.number, entry, [], numbers, {}, compares, is_valid)

    return read


def _are_usual(cell_types: Mapping[int, str], header: _Header) -> bool:
    """Return whether cells of these types are what the columns of *header* hold, in any kind."""
    leading = {header.ref_index, *header.id_indexes.values()}
    return leading.isdisjoint(cell_types) and not any(
        cell.takes_text and cell.position in cell_types
        for kind in KINDS.values()
        for cell in header.cells_of(kind)
    )


def kinds_of_columns(names: Iterable[str]) -> list[Kind]:
    """Return the kinds whose rows columns of these *names* can identify; `ID` names none.

    All columns that are named as some kind's ID are an ID, or a field, of each of them. Of several
    those remain that have a field for each other column; of these, those whose IDs are all there;
    and of these, entities.
    """
    given = set(names)
    id_names = given & _ID_NAMES
    fitting = [
        kind
        for kind in KINDS.values()
        if any(given.issuperset({*kind.needed_ids, *party}) for party in kind.parties)
        and all(name in kind.ids or name in kind.fields for name in id_names)
    ]
    known = [kind for kind in fitting if all(_is_known(kind, name) for name in given)] or fitting
    whole = [kind for kind in known if given.issuperset(kind.ids)] or known
    return [kind for kind in whole if not kind.action] or whole


def _is_known(kind: Kind, name: str) -> bool:
    """Return whether a column *name* is read, or passed over, in a table of *kind*."""
    if not name or name in kind.ids or name in _RESERVED or name.startswith(COMMENT):
        return True
    path = name.removeprefix(EXPECT).removesuffix(":")
    return field_at(kind, path) is not None or path in kind.models


def _parse_header(origin: InputFile, row: Row, kind: Kind | None) -> _Header:
    names = [_header_name(cell) for cell in row.cells]
    own_id = kind.ids[-1] if kind and not kind.assignment and "ref" not in names else ""
    if own_id and own_id not in names:
        names = [own_id if name == _OWN_ID else name for name in names]
    indexes = {name: index for index, name in enumerate(names)}
    ids = kind.ids if kind and "ref" not in indexes else ()
    columns = tuple(
        _parse_column(index, name)
        for index, name in enumerate(names)
        if name and name not in _RESERVED and name not in ids and not name.startswith(COMMENT)
    )
    problems = [
        origin.problem(row.number, index, name, name, "appears twice")
        for index, name in enumerate(names)
        if name and name in names[:index] and not name.startswith(COMMENT)
    ]
    for name in kind.needed_ids if kind and ids else (() if kind else ("ref",)):
        if name not in indexes:
            reason = _missing_ref(names) if name == "ref" else "is missing"
            problems.append(origin.problem(row.number, -1, name, "", reason))
    first_indexes: dict[str, int] = {}
    listed_fields = {""}
    for column in columns:
        index, name, reason = column.position, names[column.position], ""
        if first_indexes.setdefault(column.key, index) != index and name not in names[:index]:
            reason = f"appears twice, as {names[first_indexes[column.key]]} and as {name}"
        elif own_id and column.key == _OWN_ID:
            reason = f"is {own_id}, which has its own column"
        elif kind and field_at(kind, column.path) is None and column.path not in kind.models:
            own = [_OWN_ID] if own_id and own_id not in indexes else []
            reason = unknown_field(kind, column.path, ["ref", *own, *ids, "op"])
            start, _, fields = reason.partition("; its fields: ")
            reason = start if fields in listed_fields else reason
            listed_fields.add(fields)
        if reason:
            problems.append(origin.problem(row.number, index, name, column.path, reason))
    if problems:
        raise InputError(WRONG_HEADER, problems)
    return _Header(
        names,
        indexes.get("ref", -1),
        {name: indexes[name] for name in ids if name in indexes},
        indexes.get("op", -1),
        indexes.get("replace", -1),
        indexes.get(EXISTS, -1),
        _paired_paths(columns) if "op" not in indexes else frozenset(),
        columns,
        tuple(index for index, name in enumerate(names) if not name),
        {
            name: origin.column_number(index)
            for name, index in _indexes_by_key(indexes, ids, columns).items()
        },
        {},
    )


def _paired_paths(columns: Iterable[_Column]) -> frozenset[str]:
    """Return the fields with a column for the value and one for the expected value."""
    values: set[str] = set()
    expected: set[str] = set()
    for column in columns:
        (expected if column.is_expectation else values).add(column.path)
    return frozenset(values & expected)


def _missing_ref(names: Sequence[str]) -> str:
    """Return the reason why rows with columns of these *names* cannot be told apart."""
    fitting = kinds_of_columns(names)
    if fitting:
        kinds = " or ".join(kind.name for kind in fitting)
        return f"is missing, and the ID columns match several kinds: add --kind {kinds}"
    if _OWN_ID in names:
        return "is missing, and an ID column alone matches no kind: add --kind"
    similar = [s for name in names for s in closest(name, ("ref", *sorted(_ID_NAMES)))[:1]]
    if similar and not {*similar} & {*names}:
        return f"is missing; did you mean {similar[0]}? Otherwise add --kind"
    return "is missing; add it, or give --kind"


def _indexes_by_key(
    indexes: dict[str, int], ids: Iterable[str], columns: Iterable[_Column]
) -> dict[str, int]:
    """Return the index of each column, in order, by the name that problems and reports use."""
    by_key = {name: indexes[name] for name in (*_RESERVED, *ids) if name in indexes}
    by_key |= {column.key: column.position for column in columns}
    return dict(sorted(by_key.items(), key=lambda item: item[1]))


def _header_name(cell: str) -> str:
    """Return the name in a header's cell; case does not matter for the reserved ones."""
    name = _stripped(cell)
    return name.casefold() if name.casefold() in _RESERVED else name


def _stripped(cell: str) -> str:
    """Return the text in *cell* without blanks around it; "" when nothing in it can be seen."""
    return "" if is_blank(cell) else cell.strip()


def _parse_column(index: int, name: str) -> _Column:
    path = name.removeprefix(EXPECT)
    return _Column(index, path.removesuffix(":"), path.endswith(":"), path != name)


def _parse_row(origin: InputFile, row: Row, header: _Header, kind: Kind | None) -> ParsedLine:
    number, cells = row.number, row.cells
    problems: list[Problem] = []

    def add_problem(index: int, field: str, value: str, reason: str) -> None:
        problems.append(origin.problem(number, index, field, value, reason))

    width = len(header.names)
    if len(cells) != width and (len(cells) < width or not all(map(is_blank, cells[width:]))):
        add_problem(-1, "", "", f"has {count(len(cells), 'cell')}, but the header has {width}")
        return ParsedLine(number, None, problems, header.column_numbers)
    if unnamed := [i for i in header.unnamed if not is_blank(cells[i])]:
        reason = "is in a column without a name: name the column, or remove it"
        problems = [origin.problem(number, i, "", cells[i], reason) for i in unnamed]
        raise InputError(WRONG_HEADER, problems)
    for index, reason in row.cell_faults.items():
        add_problem(index, header.names[index], cells[index], reason)
    odd: _NewOddCells = {}
    op = _parse_op(row, header, add_problem) if header.op_index >= 0 else ""
    replace = _parse_flag(row, header, header.replace_index, add_problem)
    exists = _parse_flag(row, header, header.exists_index, add_problem)
    ref = _parse_ref(row, header, kind, odd, add_problem)
    if not ref or op is None:
        return ParsedLine(number, None, problems, header.column_numbers)
    row_kind = kind if kind and header.ref_index < 0 else kind_of(ref)
    fields, expect = _parse_fields(
        row, header, row_kind, odd, add_problem, decimal_comma=origin.decimal_comma
    )
    if header.paired and expect:
        for path in _emptied(expect, fields, header.paired):
            value = expect[path]
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            odd[Oddity.EMPTIED, path] = text
        expect = _without_unset(expect, fields, header.paired)
    entry = Entry(
        op=Op(op) if op else row_kind.ops[0],
        ref=ref,
        fields=fields,
        expect=expect,
        replace=replace,
        source=origin.source(number),
    )
    compares = bool(header.paired) or exists
    return ParsedLine(number, entry, problems, header.column_numbers, odd, compares)


def _parse_op(row: Row, header: _Header, add_problem: AddProblem) -> str | None:
    """Return the op that the row names, "" for the kind's default; None for a wrong one."""
    op = _stripped(row.cells[header.op_index]).casefold()
    if op and op not in list(Op):
        add_problem(header.op_index, "op", op, "is not one of set, put, adjust, assign")
        return None
    return op


def _parse_flag(row: Row, header: _Header, index: int, add_problem: AddProblem) -> bool:
    """Return whether the cell at *index* says yes; no without such a column."""
    text = _stripped(row.cells[index]) if index >= 0 else ""
    try:
        return bool(text) and bool(read_text(Field(FieldType.BOOLEAN), text))
    except ValueError as error:
        add_problem(index, header.names[index], text, str(error))
        return False


def _emptied(expect: Fields, fields: Fields, paired: frozenset[str]) -> list[str]:
    """Return the fields that a row could set and does not, although a value is expected there."""
    return [
        path
        for path, value in expect.items()
        if path not in fields
        and path in paired
        and value is not None
        and not (isinstance(value, str) and is_blank(value))
    ]


def _without_unset(expect: Fields, fields: Fields, paired: frozenset[str]) -> Fields:
    """Return what a row expects, without the values of fields that it could set and does not."""
    return {path: value for path, value in expect.items() if path in fields or path not in paired}


def _parse_ref(
    row: Row, header: _Header, kind: Kind | None, odd: _NewOddCells, add_problem: AddProblem
) -> Ref:
    """Return the row's ref, or "" after adding the problem that it has none."""
    id_indexes = header.id_indexes if kind and header.ref_index < 0 else {"ref": header.ref_index}
    if row.cell_types or row.cell_faults:
        usable = [
            _can_hold_id(row, name, index, odd, add_problem) for name, index in id_indexes.items()
        ]
        if not all(usable):
            return ""
    if kind and header.ref_index < 0:
        return _ref_from_ids(row, header, kind, add_problem)
    text = _stripped(row.cells[header.ref_index])
    if not text:
        add_problem(header.ref_index, "ref", "", "is empty")
        return ""
    try:
        return known_ref(text)
    except UsageError as error:
        add_problem(header.ref_index, "ref", text, with_suggestion(error.message, error.hint))
        return ""


def _ref_from_ids(row: Row, header: _Header, kind: Kind, add_problem: AddProblem) -> Ref:
    cells, indexes = row.cells, header.id_indexes
    if len(indexes) == len(kind.ids):
        ref = "/".join([kind.name, *[cells[indexes[name]] for name in kind.ids]])
        if _plain_ref(kind.name).fullmatch(ref):  # with all IDs, and nothing around them
            return ref
    given = {name: _stripped(row.cells[index]) for name, index in header.id_indexes.items()}
    needed = kind.needed_ids
    valid = True
    for name, text in given.items():
        if not ID_PATTERN.fullmatch(text) and (text or name in needed):
            add_problem(header.id_indexes[name], name, text, ID_RULE if text else "is empty")
            valid = False
    ref = make_ref(kind, given) if valid else ""
    if ref and not has_all_ids(ref):
        names = [name for name in given if name not in needed and given[name]]
        add_problem(-1, ", ".join(names or kind.ids[len(needed) :]), "", _party_fault(kind, names))
        return ""
    return ref


def _party_fault(kind: Kind, names: Sequence[str]) -> str:
    """Return the reason why a row of *kind* cannot have just the optional IDs *names*."""
    sets = [" and ".join(party) or "none of these" for party in kind.parties]
    have = "cannot be combined" if len(names) > 1 else "is not enough" if names else "are missing"
    return f"{have}; {kind.noun_with_article} has {' or '.join(sets)}"


@lru_cache
def _plain_ref(kind_name: str) -> re.Pattern[str]:
    """Return the pattern of a ref with all the IDs of its kind; of none if it never has all."""
    kind = KINDS[kind_name]
    if kind.ids[len(kind.needed_ids) :] not in kind.parties:
        return re.compile("(?!)")
    return re.compile("/".join([kind_name, *[ID_PATTERN.pattern] * len(kind.ids)]))


def _can_hold_id(
    row: Row, name: str, index: int, odd: _NewOddCells, add_problem: AddProblem
) -> bool:
    """Return whether a spreadsheet's cell can hold an ID: text, or a number that lost no digits."""
    cell_type, text = row.cell_types.get(index, ""), row.cells[index]
    if index in row.cell_faults:
        return False
    if cell_type and not text:
        return True
    if cell_type == NUMBER and len(text.lstrip("-")) > _NUMBER_DIGITS:
        reason = (
            f"is a number whose digits after the {_NUMBER_DIGITS}th are lost: format it as text"
        )
    elif cell_type in (NUMBER, EXACT_NUMBER):
        odd[Oddity.NOT_TEXT, name] = text
        return True
    elif cell_type:
        reason = f"is a {cell_type}, not text: format the column as text"
    else:
        return True
    add_problem(index, name, text, reason)
    return False


def _parse_fields(
    row: Row,
    header: _Header,
    kind: Kind,
    odd: _NewOddCells,
    add_problem: AddProblem,
    *,
    decimal_comma: bool,
) -> tuple[Fields, Fields]:
    """Return the row's fields and its expected fields."""
    fields: Fields = {}
    expect: Fields = {}
    cells, faults, cell_types = row.cells, row.cell_faults, row.cell_types
    for position, path, key, is_expectation, read, _, takes_text in header.cells_of(kind):
        text = cells[position]
        if is_blank(text) or position in faults:
            continue
        try:
            value = None if text == NULL else read(text)
        except ValueError as error:
            hint = (
                "; for decimal commas: --decimal ," if _COMMA_NUMBER.fullmatch(text.strip()) else ""
            )
            add_problem(position, key, text, f"{error}{hint}")
            continue
        values = expect if is_expectation else fields
        members = expand_models(kind, {path: value}) if type(value) is dict else {path: value}
        for name, member in members.items():
            if name in values:
                add_problem(position, name, text, "is given twice")
            values[name] = member
        if takes_text and position in cell_types:
            odd[Oddity.NOT_TEXT, key] = text
        if decimal_comma and position not in cell_types and _has_thousands(text, value):
            odd[Oddity.THOUSANDS, key] = text.strip()
    return fields, expect


def _has_thousands(text: str, value: Any) -> bool:
    """Return whether the point in a number's *text* may have been meant to mark thousands."""
    return type(value) in (int, float) and bool(_THOUSANDS.fullmatch(text.strip()))


def _resolve(kind: Kind, column: _Column) -> _Cell:
    """Return *column* with what rows of *kind* need to know of its field."""
    field = field_at(kind, column.path)
    known = field if field and all(split_path(column.path)) else None
    text_types = (FieldType.TEXT, FieldType.OBJECT)
    takes_text = not column.is_json and field is not None and field.type in text_types

    as_type = reader_of(known) if known else str

    def read(text: str) -> Any:
        if text in _ERROR_TEXTS:
            raise ValueError(f"{ERROR_FAULT} (quote it in a column {column.key}: if it is)")
        return as_type(text)

    reader = read_json if column.is_json else read
    takes_errors = column.is_json or as_type is str  # they are text, but neither number nor flag
    return _Cell(
        column.position, column.path, column.key, column.is_expectation, reader,
        reader if takes_errors else as_type, takes_text,
    )  # fmt: skip
