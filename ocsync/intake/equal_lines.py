"""Lines that two CSV files have alike, found by DuckDB, so that the others alone need be read.

A line is left out of both files only if each has it once, no other line of either can be about the
same ref, and it is surely read without a fault or a note: a comparison of the rest then has the
same result, but for the number of equal rows. Where this cannot be told of whole files, none of
their lines is left out.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from ocsync.errors import ConfigError, InputError
from ocsync.intake.csv_rows import Layout, header_rows, read_layout, with_decimal_sign
from ocsync.intake.duckdb_cells import Connection, duckdb, open_connection, quoted
from ocsync.intake.record import DifferingLines, InputFile, KeptLines
from ocsync.intake.table import PlainTable, plain_table

LEAST_SIZE = 5_000_000
"""Bytes of the smaller file from which on this is faster than reading both."""
_MEMORY = "800MB"
"""Most memory of DuckDB; what does not fit goes to a temporary folder."""
_LONGEST_LINE = 2_000_000
_NO_DELIMITER = "\x01"
"""A character that separates no cells: DuckDB reads lines whole, and refuses those with it."""
_SHIFT = 31
"""Bits of a line's number: those of the new file come after those of the earlier one."""
_MASK = 2**_SHIFT - 1


class _Table(NamedTuple):
    """A CSV file whose lines can be compared: where its rows begin, and which cells are plain."""

    path: Path
    layout: Layout
    names: list[str]
    cells: PlainTable

    @property
    def lines(self) -> str:
        """The FROM clause of SQL that reads its lines after the header, blank ones as NULL."""
        layout = self.layout
        end = "\\r\\n" if layout.header[-1].endswith("\r\n") else "\\n"
        skipped = layout.passed + len(layout.header)
        return (
            f"read_csv({quoted(str(self.path))}, auto_detect = false, header = false, "
            f"columns = {{'line': 'VARCHAR'}}, delim = {quoted(_NO_DELIMITER)}, quote = '', "
            f"escape = '', new_line = '{end}', skip = {skipped}, max_line_size = {_LONGEST_LINE})"
        )


def differing_lines(earlier: str, new: str, kind: str, *, least_size: int) -> DifferingLines | None:
    """Return the lines that may differ in what they stage; None where all have to be read.

    *kind* is the name of the kind that is given for both files, or "". Files of less than
    *least_size* bytes are not compared.
    """
    try:
        if min(Path(earlier).stat().st_size, Path(new).stat().st_size) < least_size:
            return None
        before, after = _table(Path(earlier), kind), _table(Path(new), kind)
        module = duckdb("a fast comparison", "compare without it")
    except (OSError, UnicodeError, InputError, ConfigError):
        return None  # reading the file tells what is wrong with it
    if before is None or after is None or not _are_alike(before, after):
        return None
    try:
        with open_connection(module) as connection:
            connection.execute(f"SET memory_limit = '{_MEMORY}'")
            return _compare(connection, before, after)
    except module.Error:
        return None  # a line that is none of a CSV's, or no room for temporary files


def _table(path: Path, kind: str) -> _Table | None:
    with path.open("rb") as opened:
        if opened.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return None
    origin = InputFile(path.name)
    with path.open(encoding="utf-8-sig", newline="") as text:
        layout = read_layout(text)
    rows = [*header_rows(origin, layout)]
    ends = layout.header[-1].endswith("\n") if layout.header else False
    cells = plain_table(with_decimal_sign(origin, layout), rows[0], kind) if rows else None
    if cells is None or len(rows) != 1 or not ends:
        return None
    return _Table(path, layout, rows[0].cells, cells)


def _are_alike(one: _Table, other: _Table) -> bool:
    delimiters = one.layout.delimiter, other.layout.delimiter
    return delimiters[0] == delimiters[1] and one.names == other.names


def _compare(connection: Connection, before: _Table, after: _Table) -> DifferingLines:
    """Return the lines whose ref is on other than one equal and plain line of each file."""
    delimiter = after.layout.delimiter
    ids, is_plain = _ids(delimiter, after.cells.ids), _is_plain(delimiter, after.cells)
    connection.execute(f"""
        CREATE TEMP VIEW numbered AS
        SELECT row_number() OVER () AS number, false AS is_new, line FROM {before.lines}
        UNION ALL SELECT row_number() OVER (), true, line FROM {after.lines}
    """)  # noqa: S608
    connection.execute(f"""
        CREATE TEMP VIEW hashed AS SELECT
            hash(CASE WHEN regexp_full_match(ids, '[a-z0-9_/-]*') THEN ids
                 ELSE regexp_replace(ids, '[^a-z0-9_/-]', '', 'g') END) AS key,
            CASE WHEN is_new AND NOT {is_plain} THEN xor(hash(line), 1::UBIGINT)
                 ELSE hash(line) END AS content,
            CASE WHEN is_new THEN number << {_SHIFT} ELSE number END AS code
        FROM (SELECT number, is_new, line, {ids} AS ids
              FROM (SELECT number, is_new, coalesce(line, '') AS line FROM numbered))
    """)  # noqa: S608
    connection.execute(f"""
        CREATE TEMP TABLE differing AS
        SELECT key, code, number = 1 OR (number = 2 AND {_IS_PAIR}) AS is_known
        FROM (SELECT key, count(*) AS number, bit_xor(content) AS content, bit_xor(code) AS code
              FROM hashed GROUP BY key)
        WHERE NOT (number = 2 AND content = 0 AND {_IS_PAIR})
    """)  # noqa: S608
    codes = connection.execute("SELECT code FROM differing WHERE is_known").fetchall()
    repeated = "SELECT key FROM differing WHERE NOT is_known"
    if connection.execute(f"{repeated} LIMIT 1").fetchall():
        every = f"SELECT code FROM hashed WHERE key IN ({repeated})"  # noqa: S608
        codes += connection.execute(every).fetchall()
    counts = [
        connection.execute(f"SELECT count(*) FROM {table.lines}").fetchall()[0][0]  # noqa: S608
        for table in (before, after)
    ]
    return DifferingLines(
        KeptLines(frozenset(code & _MASK for (code,) in codes), counts[0]),
        KeptLines(frozenset(code >> _SHIFT for (code,) in codes), counts[1]),
    )


_IS_PAIR = f"(code & {_MASK}) > 0 AND (code >> {_SHIFT}) > 0"
"""The condition of SQL that two lines are not of one file."""


def _ids(delimiter: str, ids: tuple[int, ...]) -> str:
    """Return the expression of SQL for the text of a line's IDs, in lower case.

    It raises an error for a line that is not a whole row.
    """
    cell, between = _any_cell(delimiter), re.escape(delimiter)
    whole = quoted(f"(?:{cell})(?:{between}(?:{cell}))*")
    separator = quoted(delimiter)
    plain = ", ".join(f"split_part(line, {separator}, {i + 1})" for i in ids)
    found = ", ".join(
        f"regexp_extract(line, {quoted(f'^(?:(?:{cell}){between}){{{i}}}({cell})')}, 1)"
        for i in ids
    )
    return f"""
        lower(CASE WHEN NOT contains(line, '"') THEN concat_ws('/', {plain})
                   WHEN regexp_full_match(line, {whole}) THEN concat_ws('/', {found})
                   ELSE error('a row of several lines') END)
    """


def _is_plain(delimiter: str, cells: PlainTable) -> str:
    """Return the condition of SQL that a line is surely read without a fault or a note."""
    patterns = []
    for position, pattern in enumerate(cells.patterns):
        if pattern:
            text = f'(?:{pattern})|"(?:{pattern})"'
            patterns.append(f"(?:{text})" if position in cells.ids else f'(?:{text}|"")?')
        else:
            patterns.append(
                f'(?:[^{delimiter}"#][^{delimiter}"]*|"(?:(?:[^"#]|"")(?:[^"]|"")*)?")?'
            )
    return f"regexp_full_match(line, {quoted(re.escape(delimiter).join(patterns))})"


def _any_cell(delimiter: str) -> str:
    """Return the pattern of a cell, as it is written in a CSV."""
    return f'"(?:[^"]|"")*"|[^{delimiter}"][^{delimiter}]*|'
