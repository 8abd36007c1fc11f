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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

import msgspec

from ocsync.characters import is_blank
from ocsync.errors import InputError, Problem, UsageError
from ocsync.field_paths import MISSING
from ocsync.groups import in_groups
from ocsync.intake.field_values import DECIMALS, PLAIN_TEXTS, expand_models, read_text
from ocsync.intake.record import (
    EXACT_NUMBER,
    NUMBER,
    InputFile,
    Oddity,
    ParsedLine,
    ParsedLines,
    Row,
    known_ref,
)
from ocsync.intake.table_cells import CellReader, ColumnReaders, OddCell, column_readers
from ocsync.intake.table_header import WRONG_HEADER, Header, read_header, stripped
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.plurals import count
from ocsync.schema import (
    ID_PATTERN,
    ID_RULE,
    KINDS,
    Field,
    FieldType,
    Kind,
    field_at,
    has_all_ids,
    make_ref,
)
from ocsync.suggestions import with_suggestion

_NUMBER_DIGITS = 15
"""Significant digits that a spreadsheet keeps of a number; it replaces later ones by zeros."""
_CELL_BYTES = 16
"""Bytes that a cell takes in its row and in its column, without its text."""
_NO_TEXT = re.compile("(?!)")
"""Pattern that no text has."""


def read_lines(
    origin: InputFile, rows: Iterator[Row], kind_name: str, note: Callable[[str], None]
) -> Iterator[ParsedLines]:
    """Yield a parsed line for each row, many at a time.

    Without *kind_name* and without a `ref` column the kind is the one that the ID columns name, and
    *note* receives it. Raises InputError when the header is wrong, also at the first value in a
    column without a name.
    """
    first = next(rows, None)
    if first is None:
        subject = f"sheet {origin.sheet}" if origin.sheet else "the file"
        raise InputError(f"{origin.label}: {subject} is empty; it needs a header row")
    kind, header = read_header(origin, first, kind_name, note)
    table = _Table(origin, header, kind)
    groups = in_groups(rows, _bytes_of)
    for group in groups:
        named = table.named_part(group)
        if named:
            yield table.parse(named)
        if len(named) < len(group):
            raise _with_later_error(table.unnamed_error(group[len(named)]), groups)


def _with_later_error(error: InputError, groups: Iterable[Sequence[Row]]) -> InputError:
    """Return *error*, and what keeps later rows from being read: both in one round."""
    try:
        for _ in groups:
            pass
    except InputError as other:
        problems = [*error.problems, *other.problems]
        return InputError(error.message, problems, hint=error.hint or other.hint)
    return error


def _bytes_of(row: Row) -> int:
    """Return about how many bytes *row* takes while its group is read by columns."""
    return _CELL_BYTES * len(row.cells) + len("".join(row.cells))


class PlainTable(NamedTuple):
    """The texts that the cells of a table can have so that a row is surely read without a fault.

    *patterns* are by position; None stands for any text that does not begin with `#`, as the errors
    of a spreadsheet do. A cell may also be empty, but in the columns *ids*, which make the ref.
    """

    patterns: tuple[str | None, ...]
    ids: tuple[int, ...]


def plain_table(origin: InputFile, first: Row, kind_name: str) -> PlainTable | None:
    """Return the plain texts of a table with the header *first*, or None.

    There are none where rows say more than their ref and values, or where a value is not read from
    its cell alone. Raises InputError where the header is wrong.
    """
    kind, header = read_header(origin, first, kind_name, lambda _: None)
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


class _Notes:
    """Remarks on the cells of *rows*, by the index of the row, which counts from 0.

    *unchecked* are the indexes of rows with a value that is not surely right.
    """

    def __init__(self, origin: InputFile, rows: Sequence[Row]) -> None:
        self._origin, self._rows = origin, rows
        self.problems: dict[int, list[Problem]] = defaultdict(list)
        self.odd_cells: dict[int, dict[tuple[Oddity, str], str]] = defaultdict(dict)
        self.unchecked: set[int] = set()

    def add_problem(self, index: int, column: int, field: str, value: str, reason: str) -> None:
        """Add a problem with the cell in *column* of the row at *index*; -1 for the whole row."""
        line = self._rows[index].number
        self.problems[index].append(self._origin.problem(line, column, field, value, reason))


class _Rows(NamedTuple):
    """Rows of a group, their *indexes* in the group, and their cells by column.

    *typed* and *faulty* are the positions, among these rows, of those whose cells have types or
    faults.
    """

    rows: Sequence[Row]
    indexes: Sequence[int]
    columns: Sequence[Sequence[str]]
    typed: Sequence[int]
    faulty: Sequence[int]

    @classmethod
    def of(cls, rows: Sequence[Row], indexes: Sequence[int]) -> _Rows:
        """Return *rows* with these *indexes*."""
        columns = list(zip(*[row.cells for row in rows], strict=False))  # cells beyond are blank
        marked = [n for n, row in enumerate(rows) if row.cell_types or row.cell_faults]
        typed = [n for n in marked if rows[n].cell_types]
        faulty = [n for n in marked if rows[n].cell_faults]
        return cls(rows, indexes, columns, typed, faulty)

    def part(self, indexes: Sequence[int]) -> _Rows:
        """Return the rows at *indexes* of these, which are a whole group."""
        if len(indexes) == len(self.rows):
            return self
        return _Rows.of([self.rows[index] for index in indexes], indexes)


class _Table:
    """A table with *header*, whose rows are of *kind* unless a column has their refs."""

    def __init__(self, origin: InputFile, header: Header, kind: Kind | None) -> None:
        self._origin, self._header = origin, header
        self._kind = kind = kind if header.ref_index < 0 else None
        self._id_indexes = header.id_indexes if kind else {"ref": header.ref_index}
        self._readers: dict[tuple[str, Op], ColumnReaders] = {}

    def named_part(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return *rows* up to the first one with a value in a column without a name."""
        if self._header.unnamed:
            for index, row in enumerate(rows):
                if self._is_whole(row) and self._unnamed_values(row):
                    return rows[:index]
        return rows

    def unnamed_error(self, row: Row) -> InputError:
        """Return the error for the values of *row* in columns without a name."""
        reason = "is in a column without a name: name the column, or remove it"
        values = self._unnamed_values(row).items()
        problems = [self._origin.problem(row.number, i, "", text, reason) for i, text in values]
        return InputError(WRONG_HEADER, problems)

    def _unnamed_values(self, row: Row) -> dict[int, str]:
        return {i: row.cells[i] for i in self._header.unnamed if not is_blank(row.cells[i])}

    def parse(self, rows: Sequence[Row]) -> ParsedLines:
        """Return the parsed lines of *rows*."""
        width = len(self._header.names)
        is_even = {len(row.cells) for row in rows} == {width}
        whole = rows if is_even else [row for row in rows if self._is_whole(row)]
        parsed = self._parse_whole(_Rows.of(whole, range(len(whole)))) if whole else None
        if parsed and len(whole) == len(rows):
            return parsed
        rest = iter(parsed.lines if parsed else ())
        lines = [next(rest) if self._is_whole(row) else self._refused(row) for row in rows]
        return ParsedLines(len(rows), lines)

    def _is_whole(self, row: Row) -> bool:
        """Return whether *row* has a cell for each column, and no text beyond."""
        number, width = len(row.cells), len(self._header.names)
        return number == width or (number > width and all(map(is_blank, row.cells[width:])))

    def _refused(self, row: Row) -> ParsedLine:
        """Return the line of *row*, which is not whole."""
        cells = count(len(row.cells), "cell")
        reason = f"has {cells}, but the header has {len(self._header.names)}"
        problem = self._origin.problem(row.number, -1, "", "", reason)
        return ParsedLine(row.number, None, [problem], self._header.column_numbers)

    def _parse_whole(self, group: _Rows) -> ParsedLines:
        """Return the parsed lines of rows that are whole: column by column."""
        header, rows, notes = self._header, group.rows, _Notes(self._origin, group.rows)
        for index in group.faulty:
            cells = rows[index].cells
            for column, reason in rows[index].cell_faults.items():
                notes.add_problem(index, column, header.names[column], cells[column], reason)
        ops = self._ops(rows, notes)
        replaces = self._flags(rows, header.replace_index, notes)
        exists = self._flags(rows, header.exists_index, notes)
        refs = self._refs(group, notes)
        compares = [True] * len(rows) if header.paired else exists
        entries: list[Entry | None] = [None] * len(rows)
        checked = set[int]()
        for kind, op, indexes in self._parts(refs, ops):
            part, readers = group.part(indexes), self._readers_of(kind, op)
            fields, expected = self._fields(part, kind, readers, notes)
            prefix = self._origin.source_prefix
            for index, row, values, expect in zip(
                part.indexes, part.rows, fields, expected, strict=True
            ):
                entries[index] = Entry(
                    op=op,
                    ref=refs[index],
                    fields=values,
                    expect=expect,
                    replace=replaces[index],
                    source=f"{prefix}{row.number}",
                )
            if readers.are_checked:
                if all(fields) and not any(expected):
                    checked.update(part.indexes)
                else:
                    pairs = zip(part.indexes, fields, expected, strict=True)
                    checked.update(
                        index for index, values, expect in pairs if values and not expect
                    )
        checked -= notes.unchecked
        lines = (
            ParsedLine(
                row.number,
                entry,
                notes.problems.get(index) or [],
                header.column_numbers,
                notes.odd_cells.get(index, {}) if entry else {},
                compares[index],
                index in checked,
            )
            for index, (row, entry) in enumerate(zip(rows, entries, strict=True))
        )
        is_plain = not (notes.problems or notes.odd_cells) and len(checked) == len(rows)
        plain = [entry for entry in entries if entry] if is_plain and not any(compares) else None
        return ParsedLines(len(rows), lines, plain)

    def _ops(self, rows: Sequence[Row], notes: _Notes) -> list[str | None]:
        """Return the op that each row names, "" for the kind's default; None for a wrong one."""
        column = self._header.op_index
        if column < 0:
            return [""] * len(rows)
        ops = list[str | None]()
        for index, row in enumerate(rows):
            op = stripped(row.cells[column]).casefold()
            is_wrong = op and op not in list(Op)
            if is_wrong:
                reason = "is not one of set, put, adjust, assign"
                notes.add_problem(index, column, "op", op, reason)
            ops.append(None if is_wrong else op)
        return ops

    def _flags(self, rows: Sequence[Row], column: int, notes: _Notes) -> list[bool]:
        """Return whether the cell in *column* of each row says yes; no without such a column."""
        if column < 0:
            return [False] * len(rows)
        flags = list[bool]()
        for index, row in enumerate(rows):
            text = stripped(row.cells[column])
            try:
                flags.append(bool(text) and bool(read_text(Field(FieldType.BOOLEAN), text)))
            except ValueError as error:
                notes.add_problem(index, column, self._header.names[column], text, str(error))
                flags.append(False)
        return flags

    def _refs(self, group: _Rows, notes: _Notes) -> list[Ref]:
        """Return the ref of each row, or "" after adding the problem that it has none."""
        kind, rows = self._kind, group.rows
        if kind is None or len(self._id_indexes) < len(kind.ids):
            return [self._ref(index, row, notes) for index, row in enumerate(rows)]
        columns = [self._id_indexes[name] for name in kind.ids]
        marked = {n for n in group.typed if not rows[n].cell_types.keys().isdisjoint(columns)}
        marked |= {n for n in group.faulty if not rows[n].cell_faults.keys().isdisjoint(columns)}
        is_plain = _plain_ref(kind.name).fullmatch  # with all IDs, and nothing around them
        ids = [group.columns[column] for column in columns]
        refs = map("/".join, zip(repeat(kind.name), *ids, strict=False))
        return [
            ref if is_plain(ref) and index not in marked else self._ref(index, rows[index], notes)
            for index, ref in enumerate(refs)
        ]

    def _ref(self, index: int, row: Row, notes: _Notes) -> Ref:
        """Return the ref of a row, or "" after adding the problem that it has none."""
        if (row.cell_types or row.cell_faults) and not self._can_hold_ids(index, row, notes):
            return ""
        if self._kind:
            return self._ref_from_ids(index, row, self._kind, notes)
        text = stripped(row.cells[self._header.ref_index])
        try:
            if text:
                return known_ref(text)
            reason = "is empty"
        except UsageError as error:
            reason = with_suggestion(error.message, error.hint)
        notes.add_problem(index, self._header.ref_index, "ref", text, reason)
        return ""

    def _ref_from_ids(self, index: int, row: Row, kind: Kind, notes: _Notes) -> Ref:
        given = {name: stripped(row.cells[column]) for name, column in self._id_indexes.items()}
        needed = kind.needed_ids
        is_valid = True
        for name, text in given.items():
            if not ID_PATTERN.fullmatch(text) and (text or name in needed):
                reason = ID_RULE if text else "is empty"
                notes.add_problem(index, self._id_indexes[name], name, text, reason)
                is_valid = False
        ref = make_ref(kind, given) if is_valid else ""
        if ref and not has_all_ids(ref):
            names = [name for name in given if name not in needed and given[name]]
            field = ", ".join(names or kind.ids[len(needed) :])
            notes.add_problem(index, -1, field, "", _party_fault(kind, names))
            return ""
        return ref

    def _can_hold_ids(self, index: int, row: Row, notes: _Notes) -> bool:
        """Return whether the cells of a spreadsheet's row can hold its IDs.

        They can where they are text, or numbers that lost no digits.
        """
        can_hold = True
        for name, column in self._id_indexes.items():
            cell_type, text = row.cell_types.get(column, ""), row.cells[column]
            if column in row.cell_faults:
                can_hold = False
                continue
            if not cell_type or not text:
                continue
            if cell_type == NUMBER and len(text.lstrip("-")) > _NUMBER_DIGITS:
                lost = f"digits after the {_NUMBER_DIGITS}th are lost"
                reason = f"is a number whose {lost}: format it as text"
            elif cell_type in (NUMBER, EXACT_NUMBER):
                notes.odd_cells[index][Oddity.NOT_TEXT, name] = text
                continue
            else:
                reason = f"is a {cell_type}, not text: format the column as text"
            notes.add_problem(index, column, name, text, reason)
            can_hold = False
        return can_hold

    def _parts(
        self, refs: Sequence[Ref], ops: Sequence[str | None]
    ) -> Iterator[tuple[Kind, Op, Sequence[int]]]:
        """Yield the indexes of the rows that have a ref and an op, by kind and op."""
        if self._kind and self._header.op_index < 0 and all(refs):  # as in nearly every group
            yield self._kind, self._kind.ops[0], range(len(refs))
            return
        indexes: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, (ref, op) in enumerate(zip(refs, ops, strict=True)):
            if ref and op is not None:
                indexes[ref[: ref.find("/")], op].append(index)
        for (name, op), part in indexes.items():
            kind = KINDS[name]
            yield kind, Op(op or kind.ops[0]), part

    def _readers_of(self, kind: Kind, op: Op) -> ColumnReaders:
        readers = self._readers.get((kind.name, op))
        if readers is None:
            decimal_comma = self._origin.decimal_comma
            readers = column_readers(kind, op, self._header.columns, decimal_comma=decimal_comma)
            self._readers[kind.name, op] = readers
        return readers

    def _fields(
        self, part: _Rows, kind: Kind, readers: ColumnReaders, notes: _Notes
    ) -> tuple[list[Fields], list[Fields]]:
        """Return the fields and the expected fields of each row of *part*."""
        fields: list[Fields] = [{} for _ in part.rows]
        expected: list[Fields] = [{} for _ in part.rows]
        for reader in readers.readers:
            texts = part.columns[reader.column.position]
            values = _values(part, reader, texts, notes)
            targets = expected if reader.column.is_expectation else fields
            if readers.hold_objects:
                _set_members(part, kind, reader, values, targets, notes)
                continue
            path = reader.column.path
            for target, value in zip(targets, values, strict=True):
                if value is not MISSING:
                    target[path] = value
        if paired := self._header.paired:
            for position, (own, expect) in enumerate(zip(fields, expected, strict=True)):
                if expect:
                    _note_emptied(part.indexes[position], own, expect, paired, notes)
                    expected[position] = {
                        path: value
                        for path, value in expect.items()
                        if path in own or path not in paired
                    }
        return fields, expected


def _values(part: _Rows, reader: CellReader, texts: Sequence[str], notes: _Notes) -> list[Any]:
    """Return the values of a column, MISSING where there is none. What is odd is noted."""
    rows, column, values = part.rows, reader.column.position, reader.read(texts)
    for position in part.faulty:
        if column in rows[position].cell_faults:
            values[position] = MISSING
    if reader.has_odd:
        for position, value in enumerate(values):
            if type(value) is OddCell:
                index, text = part.indexes[position], texts[position]
                if value.fault:
                    notes.add_problem(index, column, reader.key, text, value.fault)
                elif value.has_thousands and column not in rows[position].cell_types:
                    notes.odd_cells[index][Oddity.THOUSANDS, reader.key] = text.strip()
                notes.unchecked.add(index)
                values[position] = value.value
    if reader.takes_text:
        for position in part.typed:
            if column in rows[position].cell_types and values[position] is not MISSING:
                index = part.indexes[position]
                notes.odd_cells[index][Oddity.NOT_TEXT, reader.key] = texts[position]
    return values


def _set_members(
    part: _Rows,
    kind: Kind,
    reader: CellReader,
    values: Sequence[Any],
    targets: Sequence[Fields],
    notes: _Notes,
) -> None:
    """Set the *values* of a column in *targets*, where it may hold objects or members of one."""
    column, path = reader.column.position, reader.column.path
    for position, (value, target) in enumerate(zip(values, targets, strict=True)):
        if value is MISSING:
            continue
        for name, member in expand_models(kind, {path: value}).items():
            if name in target:
                index, text = part.indexes[position], part.columns[column][position]
                notes.add_problem(index, column, name, text, "is given twice")
            target[name] = member


def _note_emptied(
    index: int, fields: Fields, expect: Fields, paired: frozenset[str], notes: _Notes
) -> None:
    """Note the fields that a row could set and does not, although a value is expected there."""
    for path, value in expect.items():
        is_text = isinstance(value, str)
        is_nothing = value is None or (is_text and is_blank(value))
        if path in paired and path not in fields and not is_nothing:
            text = value if is_text else msgspec.json.encode(value).decode()
            notes.odd_cells[index][Oddity.EMPTIED, path] = text


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
        return _NO_TEXT
    return re.compile("/".join([kind_name, *[ID_PATTERN.pattern] * len(kind.ids)]))
