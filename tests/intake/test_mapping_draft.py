"""First mappings: what a file's names and values tell, and what is left to a person."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ocsync.errors import InputError
from ocsync.intake.mapping import parse_mapping
from ocsync.intake.mapping_draft import Draft, draft_mapping
from tests.builders import Shop
from tests.conftest import Run
from tests.intake.test_intake import read
from tests.intake.test_mapping import STOCK
from tests.intake.workbooks import workbook


def draft(data: str | bytes, name: str = "list.csv", kind: str = "", sheet: str = "") -> Draft:
    raw = data if isinstance(data, bytes) else data.encode("cp1252")
    return draft_mapping(name, raw, kind, sheet)


def test_a_list_with_a_title_in_another_encoding() -> None:
    found = draft(STOCK.replace("Nummer;Ort;Menge", "Artikel-Nr.;Lagerort;Bestand"))
    assert found.kind == "inventory"
    assert found.text.splitlines() == [
        'kind = "inventory"',
        'encoding = "cp1252"',
        "header_row = 4",
        'decimal = ","',
        'thousands = "."',
        'ignore = ["Gewicht", "Notiz"]',
        'skip = [{ column = "Artikel-Nr.", starts = "Summe" }]  # not sure:',
        "",
        "[columns]",
        'ProductID = "Artikel-Nr."  # stuhl-1, stuhl-2, Summe',
        'InventoryRecordID = "Lagerort"  # nord',
        'QuantityAvailable = { from = "Bestand", map = { "ausverkauft" = "" } }  # not sure: 1.040,00, ausverkauft',
    ]  # fmt: skip
    raw = STOCK.replace("Nummer;Ort;Menge", "Artikel-Nr.;Lagerort;Bestand").encode("cp1252")
    done = read(raw, "list.csv", mapping=parse_mapping("m", found.text.replace('"ausverkauft" = ""', '"ausverkauft" = "0"')))  # fmt: skip
    assert [(one.ref, one.fields) for one in done] == [
        ("inventory/stuhl-1/nord", {"QuantityAvailable": 1040}),
        ("inventory/stuhl-2/nord", {"QuantityAvailable": 0}),
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be"])
def test_the_encoding_that_was_assumed_is_noted(ocsync: Run, shop: Shop, encoding: str) -> None:
    data = "Artikel;Lager;Qty on hand\nstühl;nord;1\n".encode(encoding)
    Path("list.csv").write_bytes(data)
    done = ocsync("stage", "map", "inventory", "list.csv", "m.toml")
    assert f"! read as {encoding}, as it is not UTF-8; if names" in " ".join(done.err.split())
    assert f'encoding = "{encoding}"' in Path("m.toml").read_text()
    assert list(read(data.replace("ü".encode(encoding), "u".encode(encoding)), "list.csv",
                     mapping=parse_mapping("m", Path("m.toml").read_text())))  # fmt: skip
    for own in ("utf-16", "utf-8-sig", "utf-8"):
        Path("own.csv").write_bytes("Artikel;Lager;Qty on hand\nstühl;nord;1\n".encode(own))
        told = ocsync("stage", "map", "inventory", "own.csv", "own.toml", "--force")
        assert (told.code, "read as" in told.err) == (0, False)


def test_what_is_not_sure_and_what_is_missing() -> None:
    found = draft("Farbe;Kunde\n5;x\n", kind="inventory")
    assert found.missing == ("ProductID", "InventoryRecordID")
    assert '# ProductID = ""  # needed, and no column seems to hold it' in found.text
    assert parse_mapping("m", found.text).kind == "inventory"
    assert draft("SKU;Lagernder Bestand\nA;5\n", kind="product").doubtful == [
        "Inventory.QuantityAvailable"
    ]


@pytest.mark.parametrize(("data", "line"), [
    ("SKU;Gewicht\nA;1,5\n", 'decimal = ","'),
    ("SKU;Gewicht\nA;1.234\n", 'decimal = ","  # not sure:'),
    ("SKU,weight\nA,1.5\n", "[columns]"),
    ('SKU,weight\nA,"1,234.5"\n', 'thousands = ","'),
    ('SKU,weight\nA,"1,234"\n', 'thousands = ","  # not sure:'),
    ('SKU,weight\nA,"1,234"\nB,"0,5"\n', 'decimal = ","'),
    ("SKU;QuantityMultiplier\nA;1.234\n", 'thousands = "."'),
    ('SKU,QuantityMultiplier\nA,"1,234"\n', 'thousands = ","'),
    ("SKU;Gewicht;QuantityMultiplier\nA;1.234;1.234\n", 'decimal = ","'),
    ('SKU,weight\nA,1.5\nB,"0,5"\n', 'decimal = ","  # not sure:'),
    ("SKU|Title\nA|b\nC|d\n", 'delimiter = "|"'),
], ids=["comma", "either", "point", "thousands", "either comma", "comma beside", "whole", "whole comma",
         "whole beside", "both", "bar"])  # fmt: skip
def test_marks_are_told_by_values(data: str, line: str) -> None:
    assert line in draft(data, kind="product").text.splitlines()


@pytest.mark.parametrize(("dates", "line"), [
    ("31.01.2027", 'date = "%d.%m.%Y"'), ("31/01/2027", 'date = "%d/%m/%Y"'), ("01/31/2027", 'date = "%m/%d/%Y"'),
    ("01/02/2027", 'date = "%m/%d/%Y"  # not sure:'), ("20270131", 'date = "%Y%m%d"'), ("2027-01-31", "[columns]"),
])  # fmt: skip
def test_formats_of_dates_are_told_by_values(dates: str, line: str) -> None:
    text = draft(f"Price list;Valid from;Name\nPL;{dates};x\n", kind="price-schedule").text
    assert line in text.splitlines()
    mapping = parse_mapping("m", text)
    [one] = read(f"Price list;Valid from;Name\nPL;{dates};x\n".encode(), "p.csv", mapping=mapping)
    assert one.fields["SaleStart"] in ("2027-01-31", "2027-01-02")


def test_what_a_person_has_to_check_is_said(ocsync: Run) -> None:
    Path("w.csv").write_text("SKU;Gewicht;Valid\nlamp;1.234;x\nSumme;;\n")
    shown = ocsync("stage", "map", "product", "w.csv", "w.toml")
    assert "! not sure: decimal, thousands, skip" in shown.err, shown
    Path("q.csv").write_text("SKU;Warehouse;Shelf\nlamp;hh;(5)\n")
    shown = ocsync("stage", "map", "inventory", "q.csv", "q.toml")
    assert "! no column seems to hold a value to set" in shown.err
    refused = ocsync("stage", "import", "q.csv", "--map", "q.toml")
    assert refused.code == 65
    assert "no column holds a field of inventory, so nothing would be set" in refused.err


def test_the_header_below_a_title_of_several_cells() -> None:
    rows: list[list[object]] = [
        ["Bestand vom", "2026-11-26"], [], ["Artikel", "Lager", "Menge", "Datum"],
        ["lamp", "hh", "40", ""], ["chair", "hh", "2", ""],
    ]  # fmt: skip
    found = draft(workbook(rows), "list.xlsx", kind="inventory")
    assert "header_row = 3" in found.text
    assert found.missing == ()


def test_columns_that_the_other_program_fixes_are_left_out() -> None:
    data = "Code,Place,Stock (not editable),Qty (current),Qty (new)\n'A1,north,1,2,3\n'B2,north,4,5,6\n"
    mapping = draft(data.replace("Code,Place", "SKU,Location"), kind="inventory").text
    assert 'ProductID = { from = "SKU", strip = "\'" }' in mapping
    assert 'QuantityAvailable = "Qty (new)"  # not sure: 3, 6' in mapping


def test_a_column_of_different_ids_may_be_the_kind_s_own() -> None:
    text = draft("Nummer 1;Curr\nA;EUR\nB;EUR\n", kind="price-schedule").text
    assert 'PriceScheduleID = "Nummer 1"  # not sure: A, B' in text
    same = draft("Nummer 1;Curr\nA;EUR\nA;EUR\n", kind="price-schedule")
    assert same.missing == ("PriceScheduleID",)


def test_columns_of_prices_are_offered_as_breaks() -> None:
    text = draft("PriceScheduleID,Price,Price from 10\nPS,5,4\n", kind="price-schedule").text
    assert '# PriceBreaks = { breaks = { 1 = "Price", 10 = "Price from 10" } }' in text


def test_sheets_and_files_that_are_no_tables() -> None:
    rows: list[list[object]] = [["Liste"], ["SKU", "Titel", "Aktiv"], ["a", "b", "J"]]
    found = draft(workbook(rows), "list.xlsx", kind="product")
    assert "header_row = 2" in found.text
    assert {c.field for c in found.columns} == {"ProductID", "Name", "Active"}
    for data, name, told in (
        (b'{"Items": []}', "x.json", "is JSON"), (b"only\none\n", "x.csv", "not a table"),
        (b"a,b\n1,2\n", "x.csv", "no kind matches"), (b"", "x.csv", "not a table"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=told):
            draft(data, name)


def test_a_stray_zero_byte_does_not_hide_the_columns(ocsync: Run) -> None:
    Path("list.csv").write_bytes(b"ref,Qty\n" + b"inventory/P/R,5\n" * 9 + b"inventory/P/S,\0\n")
    shown = ocsync("stage", "import", "list.csv", "--kind", "inventory", "--dry-run")
    assert "contains a NUL" in shown.err
    assert [line.split()[:2] for line in shown.out.splitlines()[2:]] == [
        ["ref", "-"],
        ["Qty", "QuantityAvailable"],
    ]


def test_a_foreign_header_leads_to_a_mapping(ocsync: Run, shop: Shop) -> None:
    Path("list.csv").write_text(
        STOCK.replace("Nummer;Ort;Menge", "Artikel;Lager;Qty on hand"), "cp1252"
    )
    wrong = ocsync("stage", "import", "list.csv", "--kind", "inventory")
    assert (wrong.code, "next: ocsync stage map inventory list.csv MAPPING.toml" in wrong.err) == (
        65,
        True,
    )
    assert "is not utf-8 text" in wrong.err, "the header and the encoding are both reported"
    shown = ocsync("stage", "import", "list.csv", "--kind", "inventory", "--dry-run")
    assert shown.code == 65
    assert [line.split("  ")[:2] for line in shown.out.splitlines()[:1]] == [
        ["list.csv: columns of the file, and the fields of inventory that they may hold"]
    ]
    rows = {line.split()[0]: line.split()[-3:] for line in shown.out.splitlines()[2:]}
    assert rows["Artikel"][:2] == ["stuhl-1,", "stuhl-2,"]
    assert "QuantityAvailable?" in shown.out
    assert ocsync("stage", "import", "list.csv", "--dry-run", "--json").code == 65


def test_a_mapping_is_written_to_a_file_or_the_workspace(ocsync: Run, shop: Shop) -> None:
    Path("list.csv").write_text("SKU;Warehouse;Qty\nlamp;hh;7\n")
    shown = ocsync("stage", "map", "-", "list.csv")
    assert (shown.code, shown.out.splitlines()[0]) == (0, 'kind = "inventory"')
    done = ocsync("stage", "map", "inventory", "list.csv", "list.toml")
    assert done.out == "+ 3 of 3 columns mapped to inventory in list.toml\n"
    assert "next: ocsync stage import list.csv --map list.toml --dry-run" in done.err
    assert ocsync("stage", "map", "inventory", "list.csv", "list.toml").code == 64
    named = ocsync("stage", "map", "inventory", "list.csv", "daily", "--json")
    assert named.data["columns"][0] == {"header": "SKU", "field": "ProductID", "sure": True, "examples": ["lamp"]}  # fmt: skip
    assert Path(".ocsync/mappings/daily.toml").read_text() == named.data["mapping"]
    assert ocsync("stage", "import", "list.csv", "--map", "daily", "--json").data["entries"] == 1
    assert ocsync("stage", "map", "inventory", "nowhere.csv").code == 66
    assert ocsync("stage", "map", "inventry", "list.csv").code == 64


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are those of POSIX")
@pytest.mark.parametrize("exists", [True, False])
def test_a_mapping_in_the_workspace_is_no_link(ocsync: Run, *, exists: bool) -> None:
    """A workspace may come with a folder of somebody else's."""
    Path("list.csv").write_text("SKU;Warehouse;Qty\nlamp;hh;7\n")
    victim = Path("victim")
    if exists:
        victim.write_text("kind = 'inventory'")
    folder = Path(".ocsync/mappings")
    folder.mkdir()
    (folder / "stock.toml").symlink_to(victim.absolute())
    for words in (("map", "inventory", "list.csv", "stock", "--force"),
                  ("import", "list.csv", "--map", "stock")):  # fmt: skip
        result = ocsync("stage", *words)
        assert (result.code, "is a symbolic link" in result.err) == (78, True), result
    assert victim.exists() is exists
    Path("own.toml").symlink_to(victim)
    ocsync("stage", "map", "inventory", "list.csv", "own.toml", "--force")
    assert "InventoryRecordID" in victim.read_text(), "a user's own link is followed"
