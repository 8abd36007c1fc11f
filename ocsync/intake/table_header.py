"""Headers of tables: the kind that they tell, their columns, and the faults that they can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ocsync.characters import is_blank
from ocsync.errors import InputError, UsageError
from ocsync.intake.field_values import unknown_field
from ocsync.intake.record import InputFile, Row
from ocsync.schema import KINDS, KINDS_COMMAND, Kind, field_at
from ocsync.suggestions import closest, listed, suggestion

EXPECT = "expect."
"""Prefix of a field in the name of the column of its expected value."""
EXISTS = "exists"
"""The column that says of a row that it was there when the table was written."""
COMMENT = "#"
"""Beginning of the names of columns that are not read."""
WRONG_HEADER = "the header is wrong; nothing was staged"
"""The message of an error for columns that are not those of a table."""
RESERVED = ("ref", "op", "replace", EXISTS)
_OWN_ID = "ID"
"""The API's name for the last ID of every entity."""
_ID_NAMES = frozenset(name for kind in KINDS.values() for name in kind.ids)


class Column(NamedTuple):
    """A column that holds a field. *position* counts from 0; *path* is the field's."""

    position: int
    path: str
    is_json: bool
    is_expectation: bool

    @property
    def key(self) -> str:
        """The name that problems and reports use: `expect.` before an expected field's path."""
        return (EXPECT if self.is_expectation else "") + self.path


class Header(NamedTuple):
    """The header of a table. Indexes count from 0; -1 means that there is no such column.

    *paired* are the fields with a column for the value and one for the expected value, where rows
    may leave both alone.
    *column_numbers* count from 1, by the names that problems use.
    """

    names: list[str]
    ref_index: int
    id_indexes: dict[str, int]
    op_index: int
    replace_index: int
    exists_index: int
    paired: frozenset[str]
    columns: tuple[Column, ...]
    unnamed: tuple[int, ...]
    column_numbers: dict[str, int]

    @property
    def compares(self) -> bool:
        """A flag: its rows say what was there when the table was written."""
        return bool(self.paired) or self.exists_index >= 0


def kind_named(name: str) -> Kind:
    """Return the kind called *name*. Raises UsageError when there is none."""
    if name not in KINDS:
        hint = suggestion(name, KINDS, f"kinds: {listed(KINDS, KINDS_COMMAND)}")
        raise UsageError(f'"{name}" is not a kind', hint=hint)
    return KINDS[name]


def read_header(
    origin: InputFile, first: Row, kind_name: str, note: Callable[[str], None]
) -> tuple[Kind | None, Header]:
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
    if not name or name in kind.ids or name in RESERVED or name.startswith(COMMENT):
        return True
    path = name.removeprefix(EXPECT).removesuffix(":")
    return field_at(kind, path) is not None or path in kind.models


def _parse_header(origin: InputFile, row: Row, kind: Kind | None) -> Header:
    names = [_header_name(cell) for cell in row.cells]
    own_id = kind.ids[-1] if kind and not kind.assignment and "ref" not in names else ""
    if own_id and own_id not in names:
        names = [own_id if name == _OWN_ID else name for name in names]
    indexes = {name: index for index, name in enumerate(names)}
    ids = kind.ids if kind and "ref" not in indexes else ()
    columns = tuple(
        _parse_column(index, name)
        for index, name in enumerate(names)
        if name and name not in RESERVED and name not in ids and not name.startswith(COMMENT)
    )
    firsts = dict(zip(reversed(names), reversed(range(len(names))), strict=True))
    problems = [
        origin.problem(row.number, index, name, name, "appears twice")
        for index, name in enumerate(names)
        if name and firsts[name] < index and not name.startswith(COMMENT)
    ]
    for name in kind.needed_ids if kind and ids else (() if kind else ("ref",)):
        if name not in indexes:
            reason = _missing_ref(names) if name == "ref" else "is missing"
            problems.append(origin.problem(row.number, -1, name, "", reason))
    first_indexes: dict[str, int] = {}
    listed_fields = {""}
    for column in columns:
        index, name, reason = column.position, names[column.position], ""
        if first_indexes.setdefault(column.key, index) != index and firsts[name] == index:
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
    return Header(
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
    )


def _paired_paths(columns: Iterable[Column]) -> frozenset[str]:
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
    indexes: dict[str, int], ids: Iterable[str], columns: Iterable[Column]
) -> dict[str, int]:
    """Return the index of each column, in order, by the name that problems and reports use."""
    by_key = {name: indexes[name] for name in (*RESERVED, *ids) if name in indexes}
    by_key |= {column.key: column.position for column in columns}
    return dict(sorted(by_key.items(), key=lambda item: item[1]))


def _header_name(cell: str) -> str:
    """Return the name in a header's cell; case does not matter for the reserved ones."""
    name = stripped(cell)
    return name.casefold() if name.casefold() in RESERVED else name


def stripped(cell: str) -> str:
    """Return the text in *cell* without blanks around it; "" when nothing in it can be seen."""
    return "" if is_blank(cell) else cell.strip()


def _parse_column(index: int, name: str) -> Column:
    path = name.removeprefix(EXPECT)
    return Column(index, path.removesuffix(":"), path.endswith(":"), path != name)
