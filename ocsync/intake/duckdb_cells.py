"""Cells of DuckDB's results, as the text that a CSV would have.

DuckDB makes the text of every cell. A cell that has none, such as NaN or binary data, is a fault of
its row. Connections read files and databases, and neither install nor load an extension.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ocsync.errors import ConfigError
from ocsync.intake.record import EXACT_NUMBER, NUMBER, Row
from ocsync.intake.table_header import EXPECT

_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a table is never a variable of this program
}
_EXACT = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "BIGNUM",
          "DECIMAL", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")  # fmt: skip
_FLOATING = ("DOUBLE", "FLOAT")
_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")
_INFINITE = frozenset(("infinity", "-infinity"))
_NOT_FINITE = frozenset(("nan", "inf", "-inf"))
_AT_A_TIME = 2000
"""Rows that are fetched at a time."""
_ReadOddCell = Callable[[str], str]


class Column(NamedTuple):
    """A column of a result: its name, DuckDB's type, and the type of its cells in a `Row`."""

    name: str
    type: str

    @property
    def base(self) -> str:
        """The type without its parameters: DECIMAL of DECIMAL(10,2), LIST of any array."""
        return "LIST" if self.type.endswith("]") else self.type.partition("(")[0]

    @property
    def cell_type(self) -> str:
        """The type of a cell that is not text; "" for text."""
        if self.base in _EXACT:
            return EXACT_NUMBER
        if self.base in _FLOATING:
            return NUMBER
        return "true or false" if self.base == "BOOLEAN" else ""

    @property
    def header(self) -> str:
        """The name in a table's header: nested values are JSON, and so are numbers inside xp."""
        is_nested = self.base in (*_NESTED, "LIST", "JSON")
        in_xp = self.name.removeprefix(EXPECT).startswith("xp.")
        is_json = is_nested or (bool(self.cell_type) and in_xp)
        return f"{self.name}:" if is_json and not self.name.endswith(":") else self.name


def duckdb(purpose: str, otherwise: str) -> Any:
    """Return the module. Raises ConfigError where it is not installed: *purpose* needs it."""
    try:
        import duckdb as module
    except ImportError as error:
        text = f"{purpose} needs DuckDB, which is not installed"
        raise ConfigError(text, hint=f"pip install 'ocsync[sql]', or {otherwise}") from error
    return module


class Connection:
    """A connection whose queries run on a thread, so that Ctrl-C ends them at once."""

    def __init__(self, connection: Any, worker: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._worker = worker

    def execute(self, query: str) -> Connection:
        """Run *query*; the result is then fetched from this connection."""
        self._run(self._connection.execute, query)
        return self

    def fetchmany(self, number: int) -> list[tuple[Any, ...]]:
        """Return the next rows of the result, up to *number*."""
        rows: list[tuple[Any, ...]] = self._run(self._connection.fetchmany, number)
        return rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows of the result."""
        rows: list[tuple[Any, ...]] = self._run(self._connection.fetchall)
        return rows

    def extract_statements(self, text: str) -> list[Any]:
        """Return the statements in *text*, which are not run."""
        statements: list[Any] = self._run(self._connection.extract_statements, text)
        return statements

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        future = self._worker.submit(function, *arguments)
        try:
            return future.result()
        except KeyboardInterrupt:
            self._connection.interrupt()
            raise


@contextmanager
def open_connection(module: Any, database: str = "") -> Iterator[Connection]:
    """Open a connection: to *database*, which it cannot change, or to none.

    What does not fit in memory goes to a temporary folder. Raises what DuckDB raises.
    """
    with TemporaryDirectory(prefix="ocsync-") as folder:
        settings = {**_SETTINGS, "temp_directory": folder}
        connection = module.connect(
            database or ":memory:", read_only=bool(database), config=settings
        )
        try:
            with ThreadPoolExecutor(1) as worker:
                yield Connection(connection, worker)
        finally:
            connection.close()


def quoted(text: str, mark: str = "'") -> str:
    """Return *text* as a literal of SQL; with `"` for *mark*, as a name."""
    return mark + text.replace(mark, mark * 2) + mark


def columns_of(connection: Connection, query: str) -> list[Column]:
    """Return the columns of *query*, which is not run."""
    described = connection.execute(f"DESCRIBE {query}").fetchall()
    return [Column(name, type_) for name, type_, *_ in described]


def text_of(column: Column, name: str) -> str:
    """Return the expression of SQL that makes the text of a cell in *column*, called *name*.

    An empty text stands for NULL.
    """
    text = f"{name}::VARCHAR"
    base = column.base
    if base in _FLOATING:  # 5.0 is 5, as spreadsheets have it
        text = (
            f"CASE WHEN {name} = trunc({name}) AND abs({name}) < 1e15 "
            f"THEN {name}::BIGINT::VARCHAR ELSE {text} END"
        )
    elif base == "DECIMAL" and not column.type.endswith(",0)"):
        text = f"rtrim(rtrim({text}, '0'), '.')"
    elif base == "TIMESTAMP WITH TIME ZONE":
        utc = f"replace(timezone('UTC', {name})::VARCHAR, ' ', 'T')"
        text = f"CASE WHEN isfinite({name}) THEN {utc} || 'Z' ELSE {utc} END"
    elif base.startswith("TIMESTAMP"):
        text = f"replace({text}, ' ', 'T')"
    elif base in (*_NESTED, "LIST"):
        text = f"to_json({name})::VARCHAR"
    elif base == "BLOB":
        text = f"CASE WHEN octet_length({name}) > 0 THEN {text} END"
    return f"coalesce({text}, '')"


def text_rows(
    result: Connection, columns: Sequence[Column], *, first: int, named: Collection[str] = ()
) -> Iterator[Row]:
    """Yield the header of *columns*, and the rows of *result*, whose cells are text already.

    *first* is the number of the first row. Columns that a mapping has *named* keep their names.
    """
    yield Row(first - 1, [c.name if c.name in named else c.header for c in columns])
    types = {index: c.cell_type for index, c in enumerate(columns) if c.cell_type}
    odd = [(i, reader) for i, c in enumerate(columns) if (reader := _ODD_CELLS.get(c.base))]
    number = first - 1
    while rows := result.fetchmany(_AT_A_TIME):
        for row in rows:
            number += 1
            yield odd_row(number, list(row), types, odd) if odd else Row(number, [*row], types)


def odd_row(
    number: int,
    cells: list[str],
    types: dict[int, str],
    odd: Sequence[tuple[int, _ReadOddCell]],
) -> Row:
    """Return a row with columns whose cells may be none of a table: their indexes and readers."""
    faults = {}
    for index, read in odd:
        try:
            cells[index] = read(cells[index])
        except ValueError as error:
            faults[index] = str(error)
    return Row(number, cells, types, faults)


def _finite(text: str) -> str:
    """Return a number without an exponent. Raises ValueError for NaN and infinity."""
    if text in _NOT_FINITE:
        raise ValueError("is not a number that can be stored")
    return format(Decimal(text), "f") if "e" in text else text


def _dated(text: str) -> str:
    if text in _INFINITE:
        raise ValueError("is not a date")
    return text


def _binary(text: str) -> str:
    if text:
        raise ValueError("is binary data (BLOB), not text")
    return text


_ODD_CELLS: dict[str, _ReadOddCell] = {
    **dict.fromkeys(_FLOATING, _finite),
    **dict.fromkeys(
        ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS",
         "TIMESTAMP WITH TIME ZONE"), _dated),
    "BLOB": _binary,
}  # fmt: skip
