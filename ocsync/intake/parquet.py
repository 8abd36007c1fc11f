"""Reader and writer of Parquet, by DuckDB: the columns that CSV would have, with types."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from ocsync.errors import InputError
from ocsync.intake.duckdb_cells import (
    columns_of,
    duckdb,
    open_connection,
    quoted,
    text_of,
    text_rows,
)
from ocsync.intake.export import Columns, TableRow, csv_table
from ocsync.intake.record import Row
from ocsync.intake.table_cells import NULL
from ocsync.intake.table_header import EXPECT
from ocsync.schema import FieldType

_SQL_TYPES = {
    FieldType.INTEGER: "INTEGER",
    FieldType.NUMBER: "DOUBLE",
    FieldType.BOOLEAN: "BOOLEAN",
}


def write_parquet(file: BinaryIO, columns: Columns, rows: Iterable[TableRow]) -> None:
    """Write the table. Raises InputError for what a cell cannot hold, ConfigError."""
    module = duckdb("Parquet", "export to a .csv file")
    with TemporaryDirectory() as folder:
        table, target = Path(folder) / "table.csv", Path(folder) / "table.parquet"
        with table.open("wb") as opened:
            opened.writelines(csv_table(columns, rows))
        source, destination = quoted(str(table)), quoted(str(target))
        types = zip(columns.names(), columns.types(), strict=True)
        selected = ", ".join(_selected(name, type_) for name, type_ in types)
        with open_connection(module) as connection:
            connection.execute("SET preserve_insertion_order = true")
            connection.execute(
                f"COPY (SELECT {selected} FROM read_csv({source}, all_varchar = true, "  # noqa: S608
                f"header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
                f"max_line_size = 100000000, parallel = false)) TO {destination} (FORMAT parquet)"
            )
        with target.open("rb") as written:
            shutil.copyfileobj(written, file)


def read_rows(label: str, stream: BinaryIO, named: Collection[str] = ()) -> Iterator[Row]:
    """Yield the header and the rows of a Parquet file as text; the header has number 1.

    *named* are the columns that a mapping names. Raises InputError, ConfigError.
    """
    module = duckdb("Parquet", "export to a .csv file")
    with TemporaryDirectory() as folder, open_connection(module) as connection:
        copy = Path(folder) / "rows.parquet"
        with copy.open("wb") as opened:
            shutil.copyfileobj(stream, opened)
        table = f"read_parquet({quoted(str(copy))})"
        try:
            columns = columns_of(connection, f"FROM {table}")
            names = ", ".join(text_of(c, quoted(c.name, '"')) for c in columns)
            result = connection.execute(f"SELECT {names} FROM {table}")  # noqa: S608
            yield from text_rows(result, columns, first=2, named=named)
        except module.Error as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{label} cannot be read as Parquet: {reason}") from error


def _selected(name: str, type_: FieldType | None) -> str:
    column = quoted(name, '"')
    if type_ not in _SQL_TYPES or name.startswith(EXPECT):
        return column
    return f"CAST(NULLIF({column}, '{NULL}') AS {_SQL_TYPES[type_]}) AS {column}"
