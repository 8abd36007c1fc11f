"""Reader and writer of Parquet, by DuckDB: the columns that CSV would have, with types."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any, BinaryIO

from ocsync.errors import ConfigError, InputError
from ocsync.intake.export import Columns, TableRow, csv_table
from ocsync.intake.record import Row
from ocsync.intake.table import EXPECT, NULL
from ocsync.schema import FieldType

_SQL_TYPES = {
    FieldType.INTEGER: "INTEGER",
    FieldType.NUMBER: "DOUBLE",
    FieldType.BOOLEAN: "BOOLEAN",
}


_CELL_TYPES = {int: "number", float: "number", Decimal: "number", bool: "true or false"}
_AT_A_TIME = 2000
"""Rows that are fetched at a time."""


def duckdb() -> Any:
    """Return the module. Raises ConfigError where it is not installed."""
    try:
        import duckdb as module
    except ImportError as error:
        text = "Parquet needs DuckDB, which is not installed"
        raise ConfigError(
            text, hint="pip install 'ocsync[sql]', or export to a .csv file"
        ) from error
    return module


def write_parquet(file: BinaryIO, columns: Columns, rows: Iterable[TableRow]) -> None:
    """Write the table. Raises InputError for what a cell cannot hold, ConfigError."""
    module = duckdb()
    with TemporaryDirectory() as folder:
        table, target = Path(folder) / "table.csv", Path(folder) / "table.parquet"
        with table.open("wb") as opened:
            opened.writelines(csv_table(columns, rows))
        types = zip(columns.names(), columns.types(), strict=True)
        selected = ", ".join(_selected(name, type_) for name, type_ in types)
        connection = module.connect()
        try:
            connection.execute("SET autoinstall_known_extensions = false")
            connection.execute("SET preserve_insertion_order = true")
            connection.execute(
                f"COPY (SELECT {selected} FROM read_csv({_text(table)}, all_varchar = true, "  # noqa: S608
                f"header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
                f"max_line_size = 100000000, parallel = false)) TO {_text(target)} (FORMAT parquet)"
            )
        finally:
            connection.close()
        with target.open("rb") as written:
            shutil.copyfileobj(written, file)


def read_rows(label: str, stream: BinaryIO) -> Iterator[Row]:
    """Yield the header and the rows of a Parquet file as text. Raises InputError, ConfigError."""
    module = duckdb()
    with NamedTemporaryFile(suffix=".parquet") as copy:
        shutil.copyfileobj(stream, copy)
        copy.flush()
        connection = module.connect()
        try:
            connection.execute("SET autoinstall_known_extensions = false")
            result = connection.execute(f"SELECT * FROM read_parquet({_text(Path(copy.name))})")  # noqa: S608
            yield Row(1, [column[0] for column in result.description])
            number = 1
            while rows := result.fetchmany(_AT_A_TIME):
                for row in rows:
                    number += 1
                    cells = [_cell_text(value) for value in row]
                    types = {
                        index: _CELL_TYPES[type(value)]
                        for index, value in enumerate(row)
                        if type(value) in _CELL_TYPES
                    }
                    yield Row(number, cells, types)
        except module.Error as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{label} cannot be read as Parquet: {reason}") from error
        finally:
            connection.close()


def _cell_text(value: Any) -> str:
    """Return a value as a cell of CSV would have it."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, default=str, ensure_ascii=False)


def _selected(name: str, type_: FieldType | None) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if type_ not in _SQL_TYPES or name.startswith(EXPECT):
        return quoted
    return f"CAST(NULLIF({quoted}, '{NULL}') AS {_SQL_TYPES[type_]}) AS {quoted}"


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
