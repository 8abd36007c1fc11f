"""Spreadsheets: which sheet, what its cells say, and what must not pass for an empty cell."""

from __future__ import annotations

import io
import sys
import zipfile
from typing import Any

import pytest

from ocsync.errors import ConfigError, InputError, UsageError
from tests.intake.test_intake import read, refused
from tests.intake.workbooks import DATE, ERROR, FLAG, FORMULA, WORKED_OUT, ods, workbook, zipped

Rows = list[list[object]]
HEAD: list[object] = ["ref", "QuantityAvailable"]
GOOD: Rows = [HEAD, ["inventory/P/R", 40]]


def places(data: bytes, name: str = "edits.xlsx", kind: str = "") -> list[tuple[str, str]]:
    """Where the faults are, and why."""
    return [(p.place(), p.why) for p in refused(data, name, kind=kind).problems]


def test_cells_are_typed_as_a_csv_would_have_them() -> None:
    """Numbers of a sheet are whole numbers again; IDs that are text keep their zeros."""
    head = ["ref", "QuantityAvailable", "OrderCanExceed", "NotificationPoint", "xp.n:", "xp.d"]
    [found] = read(
        workbook([head, ["inventory/0007/R", 40.0, FLAG, WORKED_OUT, 0.30000000000000004, DATE]]),
        "edits.xlsx",
    )
    assert found.ref == "inventory/0007/R"
    assert found.source == "edits.xlsx!s1:2"
    assert found.fields == {"QuantityAvailable": 40, "OrderCanExceed": True, "NotificationPoint": 41,
                            "xp.n": 0.3, "xp.d": "2026-01-02"}  # fmt: skip


def test_small_and_large_numbers_have_no_exponent() -> None:
    data = workbook([["ref", "ShipWeight", "Name"], ["product/P", 1e-7, 1e15]])
    assert read(data, "edits.xlsx")[0].fields == {"ShipWeight": 1e-7, "Name": "1000000000000000"}


def test_faults_are_told_by_the_name_of_the_cell() -> None:
    """Rows and columns count as the spreadsheet shows them, what is empty before them included."""
    rows: Rows = [[None] * 4, [None, *HEAD, "xp.a"], [None, "inventory/P/R", 1.5, "x"],
            [None, "inventory/P/R", ERROR, FORMULA], [None, "inventory/P 1/R", 1, ERROR]]  # fmt: skip
    assert places(workbook(rows)) == [
        ("edits.xlsx s1!C3", "is not a whole number"),
        ("edits.xlsx s1!C4", "is a spreadsheet error, not a value"),
        ("edits.xlsx s1!D4",
         "is a formula without a result: open the file and save it"),
        ("edits.xlsx s1!D5", "is a spreadsheet error, not a value"),
        ("edits.xlsx s1!B5", "an ID has letters, digits, - and _ only, 1 to 100 of them"),
    ]  # fmt: skip


def test_cells_in_which_nothing_can_be_seen_are_empty() -> None:
    rows: Rows = [["ref", "Name", "Description", None], ["product/P", " \u00a0", "x", None],
                  [None, None, None, "\u200b"], ["product/Q", "q", "\t", None]]  # fmt: skip
    [one, two] = read(workbook(rows), "edits.xlsx")
    assert (one.fields, two.fields) == ({"Description": "x"}, {"Name": "q"})
    rows[2] = [None, None, None, "stray"]
    assert places(workbook(rows)) == [
        ("edits.xlsx s1!D3", "is in a column without a name: name the column, or remove it")
    ]


def test_an_error_alone_in_its_row_or_past_the_values_is_seen() -> None:
    rows: Rows = [*GOOD, [None, None], [None, ERROR], ["inventory/P/R", 2], [None, ERROR]]
    assert [place for place, why in places(workbook(rows)) if "error" in why] == [
        "edits.xlsx s1!B4",
        "edits.xlsx s1!B6",
    ]


def test_merged_cells_are_refused_where_they_hold_something() -> None:
    merged = '<mergeCells><mergeCell ref="B2:B3"/><mergeCell ref="A8:B9"/></mergeCells>'
    data = workbook([*GOOD, ["inventory/P/S", None]], extra=merged)
    assert [place for place, _ in places(data)] == ["edits.xlsx s1!B2", "edits.xlsx s1!3"]


@pytest.mark.parametrize(("cell", "why"), [
    (DATE, "is a date, not text"), (FLAG, "is a true or false, not text"),
    (1234567890123456, "digits after the 15th are lost"),
], ids=["date", "flag", "digits"])  # fmt: skip
def test_an_id_that_the_spreadsheet_has_changed_is_refused(cell: object, why: str) -> None:
    head = ["ProductID", "InventoryRecordID", "QuantityAvailable"]
    [(place, told)] = places(workbook([head, [cell, "R", 1]]), kind="inventory")
    assert place == "edits.xlsx s1!A2"
    assert why in told


def test_text_that_stands_in_number_cells_is_noted() -> None:
    head: list[object] = [
        "ProductID",
        "InventoryRecordID",
        "AddressID",
        "xp.bin",
        "xp.n:",
        "QuantityAvailable",
    ]
    noted: list[str] = []
    rows: Rows = [head, [7, "R", 12, 3, 4, 5], [8, "R", "wh", 3, 4, 5]]
    found = read(workbook(rows), "edits.xlsx", kind="inventory", note=noted.append)
    assert found[0].ref == "inventory/7/R"
    assert found[0].fields["xp.bin"] == "3"
    assert noted == [
        "edits.xlsx s1: 2 of ProductID are not text (7): leading zeros and formats are lost",
        "edits.xlsx s1: 1 of AddressID is not text (12): leading zeros and formats are lost",
        "edits.xlsx s1: 2 of xp.bin are not text (3): read as text; for numbers, name the column xp.bin:",
    ]


def test_the_sheet_is_the_one_that_is_named_or_the_only_one_with_something() -> None:
    other: Rows = [HEAD, ["inventory/P/R", 50]]
    many = workbook(GOOD, [], other, [["secret"]], hidden=4)

    def quantity(data: bytes, sheet: str = "") -> Any:
        return read(data, "edits.xlsx", sheet=sheet)[0].fields["QuantityAvailable"]

    assert quantity(workbook([], GOOD, [["x"]], hidden=3)) == 40
    assert quantity(many, "s3") == quantity(many, "S3") == quantity(many, "3") == 50
    for sheet in ("", "5", "0", "x"):
        with pytest.raises(UsageError) as caught:
            quantity(many, sheet)
        assert "1 s1, 2 s2, 3 s3, 4 s4" in caught.value.hint
    assert "is empty" in refused(many, "edits.xlsx", sheet="2").message
    with pytest.raises(UsageError, match="with spreadsheets"):
        read(b"ref\n", sheet="1")


def test_sheets_that_are_all_named_as_kinds_are_read_one_after_the_other() -> None:
    catalogs: Rows = [["CatalogID", "Name"], ["C", "c"]]
    buyers: Rows = [["BuyerID", "Name", "xp.n"], ["B", "b", 7]]
    data = workbook(catalogs, [], buyers)
    for old, new in (("s1", "catalog"), ("s2", "empty"), ("s3", "buyer")):
        data = renamed(data, old, new)
    noted: list[str] = []
    found = read(data, "edits.xlsx", note=noted.append)
    assert [(one.ref, one.source) for one in found] == [
        ("catalog/C", "edits.xlsx!catalog:2"), ("buyer/B", "edits.xlsx!buyer:2"),
    ]  # fmt: skip
    assert (
        noted[-1]
        == "edits.xlsx buyer: 1 of xp.n is not text (7): read as text; for numbers, name the column xp.n:"
    )
    with pytest.raises(UsageError, match="2 sheets that are not empty"):
        read(data, "edits.xlsx", kind="catalog")
    with pytest.raises(UsageError, match="2 sheets that are not empty"):
        read(renamed(data, "buyer", "buyers"), "edits.xlsx")


def renamed(data: bytes, old: str, new: str) -> bytes:
    """A workbook with a sheet by another name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(f'name="{old}"', f'name="{new}"')
    return zipped(parts)


def test_a_hidden_sheet_with_the_name_of_a_kind_is_noted() -> None:
    data = workbook([["CatalogID", "Name"], ["C", "c"]], [["BuyerID"], ["B"]], hidden=2)
    data = renamed(renamed(data, "s1", "catalog"), "s2", "buyer")
    noted: list[str] = []
    assert [one.ref for one in read(data, "edits.xlsx", note=noted.append)] == ["catalog/C"]
    assert "edits.xlsx: sheet buyer is hidden and was not read (--sheet reads it)" in noted


def test_a_value_far_off_is_refused_and_not_tried() -> None:
    """The reader of the values would end the process."""
    far: list[object] = ['<c r="XFD2000000"><v>1</v></c>']
    with pytest.raises(InputError, match="16,384 columns"):
        read(workbook([*GOOD, *([[None]] * 4000), far]), "edits.xlsx")


def test_open_document_sheets() -> None:
    def row(*cells: str, repeat: int = 1) -> str:
        return f'<table:table-row table:number-rows-repeated="{repeat}">{"".join(cells)}</table:table-row>'

    def cell(text: str, sort: str = "string", more: str = "") -> str:
        return f'<table:table-cell office:value-type="{sort}" {more}><text:p>{text}</text:p></table:table-cell>'

    ref, forty = cell("inventory/P/R"), cell("40", "float", 'office:value="40"')
    error = cell("#DIV/0!", "string", 'calcext:value-type="error" office:string-value=""')
    gap, head, good = (
        row("<table:table-cell/>", repeat=3),
        row(cell("ref"), cell("QuantityAvailable")),
        row(ref, forty),
    )
    bad, shown = row(ref, error), row(ref, cell("#N/A"))
    assert read(ods(gap, head, good), "edits.ods")[0].fields == {"QuantityAvailable": 40}
    assert places(ods(gap, head, good, bad, shown), "edits.ods") == [
        ("edits.ods s1!B6", "is a spreadsheet error, not a value"),
        ("edits.ods s1!B7", "is a spreadsheet error, not a value"),
    ]
    far = row(ref, forty, repeat=30_000_000)
    with pytest.raises(InputError, match="30,000,0"):
        read(ods(head, far), "edits.ods")


@pytest.mark.parametrize("data", [b"no", b"", b"PK\x03\x04junk", zipped({"a": "b"}),
                                  workbook(GOOD)[:400]])  # fmt: skip
def test_what_is_no_spreadsheet(data: bytes) -> None:
    assert "is not a spreadsheet" in refused(data, "edits.xlsx").message


def test_a_spreadsheet_by_any_name() -> None:
    assert read(workbook(GOOD), "-")[0].fields == {"QuantityAvailable": 40}
    assert read(workbook(GOOD), "edits.csv")[0].fields == {"QuantityAvailable": 40}


def test_without_the_extra_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ConfigError) as caught:
        read(workbook(GOOD), "edits.xlsx")
    assert "pip install 'ocsync[xlsx]'" in caught.value.hint
