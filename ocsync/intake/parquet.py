"""Writer of Parquet, by DuckDB: the columns that CSV would have, numbers and flags as such."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from ocsync.errors import ConfigError
from ocsync.intake.export import Columns, TableRow, csv_table
from ocsync.intake.table import EXPECT, NULL
from ocsync.schema import FieldType

_SQL_TYPES = {
    FieldType.INTEGER: "INTEGER",
    FieldType.NUMBER: "DOUBLE",
    FieldType.BOOLEAN: "BOOLEAN",
}


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


def _selected(name: str, type_: FieldType | None) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if type_ not in _SQL_TYPES or name.startswith(EXPECT):
        return quoted
    return f"CAST(NULLIF({quoted}, '{NULL}') AS {_SQL_TYPES[type_]}) AS {quoted}"


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
