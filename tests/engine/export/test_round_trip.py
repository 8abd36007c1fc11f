"""The law of export: a file that nobody edits stages nothing, and an edited cell one edit.

It holds for every kind, through CSV, spreadsheets that another program has saved again, and JSON
lines.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ocsync.characters import is_blank
from ocsync.engine.export.export import ExportedKind, columns_of
from ocsync.engine.export.listing import Batch
from ocsync.engine.export.spool import Spool
from ocsync.engine.export.writing import Presentation, write_to
from ocsync.field_paths import nest
from ocsync.intake import read_file
from ocsync.intake.table_header import EXPECT
from ocsync.models import Entry, Op
from ocsync.schema import KINDS, FieldType, Kind, field_at, make_ref
from tests.intake.test_export import BY_TYPE, anything, texts

Rows = list[tuple[str, dict[str, Any]]]
nasty = st.sampled_from(
    ["a\r\nb", "\x01", "_x0041_", "\x1f", "x\ufffe", "\u2028", " a ", "1e5", "1.0", "TRUE", "=1", "-5",
     "- dry\n- warm", "'x", "00123456789012345678", "2026-01-02", "\\N", "#N/A", "NULL", "x" * 3000]
)  # fmt: skip
VALUES = {
    **BY_TYPE,
    FieldType.TEXT: texts | nasty,
    FieldType.OBJECT: anything | nasty,
    FieldType.DATE: st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1234567+00:00"]),
    FieldType.NUMBER: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**14), 10**14),
}  # fmt: skip

EXPORTED = [name for name, kind in KINDS.items() if not kind.action]


class State(NamedTuple):
    """A kind, and what a list shows of it."""

    kind: Kind
    rows: Rows


@st.composite
def states(draw: st.DrawFn, *names: str, most: int = 3) -> State:
    kind = KINDS[draw(st.sampled_from(names or EXPORTED))]
    rows = []
    for number in range(draw(st.integers(1, most))):
        named = [*kind.needed_ids, *draw(st.sampled_from(kind.parties))]
        ids = dict.fromkeys(named, f"{draw(st.sampled_from(['A', '007', '-1']))}-{number}")
        flat = {
            path: draw(VALUES[field.type])
            for path, field in kind.fields.items()
            if path != "xp" and not field.write_only and draw(st.booleans())
        }
        document = nest(flat)
        if "xp" in kind.fields:
            keys = st.text(
                st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=4
            )
            document["xp"] = draw(
                st.none() | st.dictionaries(keys, VALUES[FieldType.OBJECT], max_size=2)
            )
        rows.append((make_ref(kind, ids), {"ID": ids.get(kind.ids[-1]), **document}))
    return State(kind, rows)


def exported(state: State, form: str, **more: Any) -> bytes:
    """The file that an export of *state* writes."""
    file = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder) / "s", {}, continues=False) as spool:  # fmt: skip
        spool.add(state.kind.name, Batch(state.rows, "x", 1, 1))
        write_to(file, spool, [ExportedKind(state.kind, 1, 0)], Presentation(form, **more))
    return file.getvalue()


def imported(data: bytes, form: str, kind: Kind) -> tuple[list[Entry], int]:
    """What an import of *data* stages, and how many rows change nothing."""
    unchanged = [0]

    def count() -> None:
        unchanged[0] += 1

    found = list(read_file(f"x.{form}", io.BytesIO(data), kind=kind.name, unchanged=count))
    return found, unchanged[0]


def saved_again(data: bytes, edit: Callable[[list[list[Any]]], None] = lambda _: None) -> bytes:
    """A workbook as another program saves it: each cell by its value alone."""
    from python_calamine import CalamineWorkbook
    from xlsxwriter import Workbook

    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    [name] = book.sheet_names
    table = book.get_sheet_by_name(name).to_python()
    edit(table)
    out = io.BytesIO()
    with Workbook(out, {"strings_to_formulas": False, "strings_to_urls": False}) as copy:
        page = copy.add_worksheet(name)
        for number, row in enumerate(table):
            for column, value in enumerate(row):
                if value != "":
                    page.write(number, column, value)
    return out.getvalue()


def edited_csv(data: bytes, edit: Callable[[list[list[Any]]], None]) -> bytes:
    table = list(csv.reader(io.StringIO(data.decode(), newline="")))
    edit(table)
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table)
    return out.getvalue().encode()


@settings(max_examples=25, deadline=None)
@given(states(), st.booleans())
def test_what_nobody_edits_stages_nothing(state: State, read_only: bool) -> None:
    stages_nothing(state, read_only)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(states(), st.booleans())
def test_much_more_that_nobody_edits_stages_nothing(state: State, read_only: bool) -> None:
    stages_nothing(state, read_only)


def stages_nothing(state: State, read_only: bool) -> None:
    for form in ("csv", "xlsx", "jsonl"):
        data = exported(state, form, read_only=read_only and form != "jsonl")
        assert imported(data, form, state.kind) == ([], len(state.rows)), form
        if form == "xlsx":
            assert imported(saved_again(data), form, state.kind) == ([], len(state.rows))


def new_cell(kind: Kind, path: str, old: Any, *, is_json: bool) -> tuple[Any, str]:
    """A value that the field does not have, and the cell with it."""
    field = field_at(kind, path)
    assert field
    value: Any = {
        FieldType.INTEGER: 1 if old == 2 else 2,
        FieldType.NUMBER: 0.5 if old != 0.5 else 1.5,
        FieldType.BOOLEAN: not old,
        FieldType.LIST: [old],
        FieldType.DATE: "2027-01-31T00:00:00Z",
    }.get(field.type, f"{old}'s" if isinstance(old, str) and old.isalnum() else "edited")
    plain = value if isinstance(value, str) else json.dumps(value)
    return value, json.dumps(value) if is_json or field.type is FieldType.LIST else plain


def edit_of(state: State, header: Sequence[str], number: int, column: int) -> Entry:
    """The entry that an edit of one cell stages."""
    path = header[column].removesuffix(":")
    ref, document = state.rows[number]
    fields = dict.fromkeys(columns_of(state.kind))
    from ocsync.diff import writable_fields

    fields |= writable_fields(state.kind, document)
    old = fields.get(path)
    value, _ = new_cell(state.kind, path, old, is_json=header[column].endswith(":"))
    if state.kind.assignment:
        kept = {p: v for p, v in fields.items() if v is not None}
        return Entry(op=Op.ASSIGN, ref=ref, fields={**kept, path: value}, expect={path: old})
    return Entry(op=Op.SET, ref=ref, fields={path: value}, expect={path: old})


WITH_FIELDS = [kind.name for kind in KINDS.values() if kind.fields]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(states(*WITH_FIELDS), st.data())
def test_an_edited_cell_is_one_edit_with_the_old_value_expected(
    state: State, data: st.DataObject
) -> None:
    one_cell_is_one_edit(state, data)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(states(*WITH_FIELDS), st.data())
def test_many_more_edited_cells(state: State, data: st.DataObject) -> None:
    one_cell_is_one_edit(state, data)


def one_cell_is_one_edit(state: State, data: st.DataObject) -> None:
    """An assignment is sent whole, and an empty cell of it, blank text or null, as null."""
    original = exported(state, "csv")
    header = next(csv.reader(io.StringIO(original.decode(), newline="")))
    editable = [i for i, name in enumerate(header) if i >= len(state.kind.ids) and not name.startswith(EXPECT)]  # fmt: skip
    column = data.draw(st.sampled_from(editable))
    number = data.draw(st.integers(0, len(state.rows) - 1))
    expected = edit_of(state, header, number, column)
    path = next(iter(expected.expect))
    assume(not list(_faults(expected)))

    def edit(table: list[list[Any]]) -> None:
        names = [str(name).removesuffix(":") for name in table[0]]
        assert len(table) == len(state.rows) + 1
        where = names.index(path)
        is_json = str(table[0][where]).endswith(":")
        _, text = new_cell(state.kind, path, expected.expect[path], is_json=is_json)
        table[number + 1][where] = text

    for form, changed in (("csv", edited_csv(original, edit)), ("xlsx", saved_again(exported(state, "xlsx"), edit))):  # fmt: skip
        [entry], unchanged = imported(changed, form, state.kind)
        assert unchanged == len(state.rows) - 1
        assert (entry.op, entry.ref, _sent(entry), entry.expect) == (
            expected.op, expected.ref, _sent(expected), expected.expect
        ), form  # fmt: skip


def _sent(entry: Entry) -> dict[str, Any]:
    return {
        path: value
        for path, value in entry.fields.items()
        if entry.op is not Op.ASSIGN
        or not (value is None or (isinstance(value, str) and is_blank(value)))
    }


def _faults(entry: Entry) -> Any:
    from ocsync.intake.field_values import validate

    return validate(entry)


def test_a_workbook_keeps_text_as_text_also_where_it_is_typed_later() -> None:
    """IDs and text columns are formatted as text, with the header in view."""
    import re
    import zipfile

    rows: Rows = [("catalog/007", {"ID": "007", "Name": "0123", "Active": True})]
    data = exported(State(KINDS["catalog"], rows), "xlsx")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        styles = archive.read("xl/styles.xml").decode()
    formats = re.findall(r'<xf numFmtId="(\d+)"', styles.partition("<cellXfs")[2])
    columns = re.findall(r'<col min="(\d+)"[^>]*style="(\d+)"', sheet)
    as_text = {int(number) for number, style in columns if formats[int(style)] == "49"}
    names = ["CatalogID", "Name", "Description", "Active"]
    assert {1, 2, 3} <= as_text
    assert 4 not in as_text, f"{names[3]} is a flag"
    assert 'ySplit="1"' in sheet
    assert 'xSplit="1"' in sheet
