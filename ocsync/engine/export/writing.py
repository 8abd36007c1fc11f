"""Writing of an export: the rows of its spool, as a table, a workbook, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from ocsync.engine.export.export import ExportedKind, columns_of, entries_of, read_only_values
from ocsync.engine.export.spool import Spool
from ocsync.intake.export import (
    Columns,
    Layout,
    TableRow,
    csv_table,
    for_people,
    json_lines,
    state_layout,
)
from ocsync.schema import Kind

FORMATS = ("csv", "xlsx", "jsonl", "parquet")


class Presentation(NamedTuple):
    """The look of an export: *form* is one of FORMATS, *fields* are the only ones where given.

    *expect* adds the expected value of each field, *read_only* what cannot be edited.
    """

    form: str
    fields: Sequence[str] = ()
    expect: bool = True
    read_only: bool = False


def write_to(
    file: BinaryIO, spool: Spool, exported: Sequence[ExportedKind], shown: Presentation
) -> None:
    """Write all rows. Raises InputError for what the format cannot hold, ConfigError without it."""
    kinds = [one.kind for one in exported]
    if shown.form == "jsonl":
        for kind in kinds:
            entries = entries_of(spool.rows(kind.name), shown.fields, expect=shown.expect)
            file.writelines(json_lines(entries, exist=shown.expect))
        return
    if shown.form == "xlsx":
        from ocsync.intake.workbook import Sheet, in_a_spreadsheet, write_workbook

        sheets = []
        for kind in kinds:
            layout = in_a_spreadsheet(state_layout(kind, expect=shown.expect), kind.name)
            columns = _columns(spool, kind, layout, shown)
            cells = columns.cells(_rows(spool, kind, shown))
            fixed = len(kind.ids)
            sheets.append(Sheet(kind.name, columns.names(), columns.types(), cells, fixed))
        write_workbook(file, sheets)
        return
    [kind] = kinds
    columns = _columns(spool, kind, state_layout(kind, expect=shown.expect), shown)
    rows = _rows(spool, kind, shown)
    if shown.form == "parquet":
        from ocsync.intake.parquet import write_parquet

        write_parquet(file, columns, rows)
        return
    file.writelines(csv_table(columns, rows))


def _columns(spool: Spool, kind: Kind, layout: Layout, shown: Presentation) -> Columns:
    known = columns_of(kind)
    paths = [path for path in shown.fields if path in known or path.startswith("xp.")]
    columns = Columns(layout, paths if shown.fields else known, expect=shown.expect)
    for row in _rows(spool, kind, shown):
        columns.add(row)
    return columns


def _rows(spool: Spool, kind: Kind, shown: Presentation) -> Iterator[TableRow]:
    rows = spool.rows(kind.name)
    if not shown.read_only:
        for entry in entries_of(rows, shown.fields, expect=shown.expect):
            yield for_people(TableRow(entry))
        return
    for row in rows:
        for entry in entries_of(iter([row]), shown.fields, expect=shown.expect):
            yield for_people(TableRow(entry, read_only_values(kind, row[1])))
