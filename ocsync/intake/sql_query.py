"""Rows of a query that DuckDB runs: of Parquet, CSV, JSON and its own databases."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ocsync.errors import ConfigError, FileMissing, InputError, OcsyncError, UsageError
from ocsync.intake.duckdb_cells import (
    Connection,
    columns_of,
    duckdb,
    open_connection,
    quoted,
    text_of,
    text_rows,
)
from ocsync.intake.record import Row, SqlQuery

_VIEW = "ocsync_rows"
_EXTENSION = re.compile(
    r"(?:in the|extension) (\w+)(?: extension| to be loaded)|(\w+)_(?:scan|attach|query) does not"
)
_SPREADSHEET = re.compile(
    r"Table with name (\S+\.(?:xlsx|xlsm|xls|ods)) does not exist", re.IGNORECASE
)
_CANDIDATES = "Candidate bindings"
_ASIDES = (_CANDIDATES, "Original Line", "Did you mean", "Candidate functions", "\t")
"""Beginnings of lines in DuckDB's messages that are not the reason."""
_REMEDIES = {
    "httpfs": "download the file first, and name the local copy in the query",
    "excel": "ocsync stage import FILE.xlsx, which reads spreadsheets without --sql",
}
_OTHER_REMEDY = "export the data to Parquet or CSV with its own program first"


def read_rows(query: SqlQuery, named: Collection[str] = ()) -> Iterator[Row]:
    """Yield the header and the rows of the result; the first row has number 1.

    *named* are the columns that a mapping names. Raises UsageError for a query that is wrong or not
    a SELECT, FileMissing for a file or database that cannot be read, InputError when the query
    fails after that, and ConfigError.
    """
    module = duckdb("--sql", "import a CSV file")
    with _said_plainly(module, query), open_connection(module, query.database) as connection:
        columns = columns_of(connection, _one_select(module, connection, query.text))
        names = [quoted(f"c{index}", '"') for index in range(len(columns))]
        connection.execute(f"CREATE TEMP VIEW {_VIEW} ({', '.join(names)}) AS {query.text}")
        texts = ", ".join(text_of(*pair) for pair in zip(columns, names, strict=True))
        result = connection.execute(f"SELECT {texts} FROM {_VIEW}")  # noqa: S608
        yield from text_rows(result, columns, first=1, named=named)


def _one_select(module: Any, connection: Connection, text: str) -> str:
    """Return *text*. Raises UsageError if it is not one SELECT."""
    statements = connection.extract_statements(text)
    if len(statements) != 1:
        subject = f"has {len(statements)} statements" if statements else "is empty"
        raise UsageError(f"the query {subject}; give one SELECT")
    [statement] = statements
    if statement.type == module.StatementType.SELECT:
        return text
    if statement.type == module.StatementType.MULTI:
        raise UsageError("a PIVOT must name its values", hint="PIVOT ... ON COLUMN IN (VALUE, ...)")
    name = statement.type.name
    raise UsageError(
        f"the query is {name}, not SELECT; an import only reads",
        hint="--sql 'SELECT ... FROM ...'",
    )


@contextmanager
def _said_plainly(module: Any, query: SqlQuery) -> Iterator[None]:
    try:
        yield
    except module.Error as error:
        raise _translated(module, error, query) from error


def _translated(module: Any, error: Exception, query: SqlQuery) -> OcsyncError:
    """Return what the error of DuckDB means to the operator."""
    text = str(error)
    if match := _SPREADSHEET.search(text):
        reason = f"DuckDB cannot read the spreadsheet {match[1]}"
        return UsageError(reason, hint=_REMEDIES["excel"])
    if match := _EXTENSION.search(text):
        name = match[1] or match[2]
        reason = f"the query needs DuckDB's extension {name}, and an import downloads none"
        return ConfigError(reason, hint=_REMEDIES.get(name, _OTHER_REMEDY))
    reason, candidates = _first_sentence(text)
    if isinstance(error, module.IOException):
        is_open = "lock" in reason
        return FileMissing(reason, hint="close the program that has it open" if is_open else "")
    if isinstance(error, module.CatalogException | module.BinderException | module.ParserException):
        if isinstance(error, module.CatalogException) and not query.database:
            candidates = "name a file in quotes, as in FROM 'stock.parquet', or give a DATABASE"
        return UsageError(f"the query is wrong: {reason}", hint=candidates)
    return InputError(f"the query failed: {reason}")


def _first_sentence(text: str) -> tuple[str, str]:
    """Return what DuckDB says is wrong, and the names that it offers, if it does."""
    start = text.split("\n\n", 1)[0].splitlines() or [text]
    said = [line.strip() for line in start if not line.startswith(_ASIDES)]
    offers = [line for line in start if line.startswith(_CANDIDATES)]
    reason = "; ".join(said[:2]).partition(" Error: ")
    plain = (reason[2] or reason[0]).partition(" See also http")[0].rstrip("!. ")
    return plain, offers[0].replace(_CANDIDATES, "its columns", 1) if offers else ""
