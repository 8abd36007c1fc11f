"""Mappings: other programs' tables become edits, each fault with its place in the file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.errors import InputError, UsageError
from ocsync.intake.mapping import FileMapping, parse_mapping
from tests.builders import Shop
from tests.conftest import Run
from tests.intake.test_intake import read, refused
from tests.intake.workbooks import FLAG, workbook

STOCK = """\
Vorrat im Juli;;;;
am 01.07.2027;;;;

Nummer;Ort;Menge;Gewicht;Notiz
stuhl-1;nord;1.040,00;7,25;
stuhl-2;nord;ausverkauft;;r\u00fcckl\u00e4ufig
Summe;;1.040,00;;
"""
MAPPING = """
kind = "inventory"
encoding = "cp1252"
header_row = 4
decimal = ","
thousands = "."
ignore = ["Notiz"]
skip = [{ column = "Nummer", starts = "summe" }]

[columns]
ProductID = "Nummer"
InventoryRecordID = { template = "{Nummer}-{Ort}" }
QuantityAvailable = { from = "Menge", map = { Ausverkauft = "0" } }
"xp.grams:" = { from = "Gewicht", factor = 1000, default = "0" }
"xp.note" = { const = "July" }
"""


def mapped(data: str | bytes, mapping: str, name: str = "stock.csv") -> list[tuple[str, Any]]:
    raw = data if isinstance(data, bytes) else data.encode("cp1252")
    found = read(raw, name, mapping=parse_mapping("m.toml", mapping))
    return [(one.ref.partition("/")[2], one.fields) for one in found]


def test_a_table_with_a_title_foreign_names_and_a_sum() -> None:
    assert mapped(STOCK, MAPPING) == [
        ("stuhl-1/stuhl-1-nord", {"QuantityAvailable": 1040, "xp.grams": 7250, "xp.note": "July"}),
        ("stuhl-2/stuhl-2-nord", {"QuantityAvailable": 0, "xp.grams": 0, "xp.note": "July"}),
    ]


def test_a_row_without_a_value_is_no_edit() -> None:
    unchanged = [0]

    def count() -> None:
        unchanged[0] += 1

    mapping = parse_mapping("m", 'columns = {CatalogID = "C", Name = "Titel"}\nempty = ["?"]')
    found = read(
        b"C,Titel\nA,a\nB,?\nD,\n", "c.csv", kind="catalog", mapping=mapping, unchanged=count
    )
    assert ([one.ref for one in found], unchanged) == (["catalog/A"], [2])
    mapping = parse_mapping("m", 'columns = {CatalogID = "C", ProductID = "P"}')
    [one] = read(b"C,P\nA,a\n", "c.csv", mapping=mapping)
    assert one.ref == "catalog-product/A/a"


def test_faults_stand_where_they_are_in_the_file() -> None:
    raw = STOCK.replace("ausverkauft", "viele").replace("stuhl-1;", "stuhl 1;").encode("cp1252")
    problems = refused(raw, "stock.csv", mapping=parse_mapping("m.toml", MAPPING)).problems
    assert [(p.line, p.column, p.field, p.value) for p in problems] == [
        (5, 1, "ProductID", "stuhl 1"), (5, 1, "InventoryRecordID", "stuhl 1-nord"),
        (6, 3, "QuantityAvailable", "viele"),
    ]  # fmt: skip
    assert problems[2].why == "is not a number with , before decimals and . between thousands"


def test_columns_that_the_file_lacks_are_all_told() -> None:
    raw = STOCK.replace("Menge;", "Mengen;").replace("Ort;", "Stelle;").encode("cp1252")
    error = refused(raw, "stock.csv", mapping=parse_mapping("m.toml", MAPPING))
    assert [(p.line, p.field) for p in error.problems] == [(4, "Ort"), (4, "Menge")]
    assert "is needed for QuantityAvailable, but the file does not have it; did you mean Mengen?" in error.problems[1].why  # fmt: skip
    assert "it has Nummer, Stelle, Mengen" in error.problems[0].why


def test_a_column_for_each_place_becomes_a_row_for_each() -> None:
    data = "SKU,Hamburg,Berlin\nlamp,3,\ndesk,0,7\n"
    mapping = """
    kind = "inventory"
    unpivot = { Hamburg = "hh", Berlin = "b" }
    columns = { ProductID = "SKU", InventoryRecordID = "*name", QuantityAvailable = "*value" }
    """
    assert mapped(data, mapping) == [
        ("lamp/hh", {"QuantityAvailable": 3}),
        ("desk/hh", {"QuantityAvailable": 0}), ("desk/b", {"QuantityAvailable": 7}),
    ]  # fmt: skip
    listed = mapping.replace('{ Hamburg = "hh", Berlin = "b" }', '["Berlin"]')
    assert mapped(data, listed + '\nignore = ["Hamburg"]') == [
        ("desk/Berlin", {"QuantityAvailable": 7})
    ]


def test_price_breaks_in_columns_become_a_list() -> None:
    data = "Item;Price;from 10;Sale\nlamp;12,50;9,99;31.12.2027\ndesk;100,00;;\n"
    mapping = """
    kind = "price-schedule"
    decimal = ","
    columns.PriceScheduleID = { template = "ps-{Item}" }
    columns.PriceBreaks = { breaks = { 1 = "Price", 10 = "from 10" } }
    columns.SaleEnd = { from = "Sale", date = "%d.%m.%Y" }
    """
    assert mapped(data, mapping) == [
        ("ps-lamp", {"PriceBreaks": [{"Quantity": 1, "Price": 12.5}, {"Quantity": 10, "Price": 9.99}], "SaleEnd": "2027-12-31"}),
        ("ps-desk", {"PriceBreaks": [{"Quantity": 1, "Price": 100.0}]}),
    ]  # fmt: skip
    raw = data.replace("31.12.2027", "2027/12/31").encode()
    [problem] = refused(raw, "p.csv", mapping=parse_mapping("m.toml", mapping)).problems
    assert (problem.column, problem.why) == (4, "is not a date such as 31.01.2027")


FEED = """
{"feed": {"rows": [
  {"item": {"sku": "lamp", "no": 7}, "stock": [{"at": "hh", "qty": 3}, {"at": "b", "qty": null}], "w": 7.5},
  {"item": {"sku": "desk"}, "stock": [{"qty": "1.040"}], "live": true}
]}}
"""
JSON_MAPPING = """
kind = "product"
items = "feed.rows"
decimal = ","
thousands = "."
columns.ProductID = "item.sku"
columns."Inventory.QuantityAvailable" = "stock.0.qty"
columns.ShipWeight = "w"
columns.Active = "live"
columns."xp.no" = "item.no"
"""


def test_nested_json_is_read_by_paths() -> None:
    assert mapped(FEED, JSON_MAPPING, "feed.json") == [
        ("lamp", {"Inventory.QuantityAvailable": 3, "ShipWeight": 7.5, "xp.no": "7"}),
        ("desk", {"Inventory.QuantityAvailable": 1040, "Active": True}),
    ]  # fmt: skip
    lines = '{"sku":"a","n":1}\n{"sku":"b","n":2}\n'
    mapping = 'kind = "product"\ncolumns = {ProductID = "sku", QuantityMultiplier = {from = "n", factor = 10}}'
    assert mapped(lines, mapping, "l.jsonl") == [
        ("a", {"QuantityMultiplier": 10}), ("b", {"QuantityMultiplier": 20}),
    ]  # fmt: skip
    for items, told in (("feed.cols", "at feed.cols"), ("feed.rows.0.stock.0.qty", "is not an object")):  # fmt: skip
        wrong = parse_mapping("m", JSON_MAPPING.replace("feed.rows", items))
        assert told in refused(FEED.encode(), "feed.json", mapping=wrong).problems[0].why
    with pytest.raises(InputError, match="nothing was staged"):
        mapped("[1]", mapping, "l.json")


def test_marks_at_the_ends_and_the_case_of_letters() -> None:
    mapping = """
    kind = "buyer-user"
    [columns]
    BuyerID = { const = "b" }
    UserID = { from = "login", strip = "'", case = "lower" }
    FirstName = { from = "name", strip = "* ", map = { nobody = "N." }, case = "upper" }
    """
    assert mapped("login,name\n\"'Ann \",* Zoë *\nBOB',nobody\n".encode(), mapping) == [
        ("b/ann", {"FirstName": "ZOË"}), ("b/bob", {"FirstName": "N."}),
    ]  # fmt: skip
    with pytest.raises(InputError, match="Invalid enum value 'title'"):
        parse_mapping("m", mapping.replace("upper", "title"))


def test_flags_constants_and_words_for_nothing() -> None:
    data = "user,Active,Phone\nann, J ,n/a\nbob,on,123\n"
    mapping = """
    kind = "buyer-user"
    yes = ["J"]
    empty = ["N/A"]
    columns.UserID = "user"
    columns.BuyerID = { const = "b1" }
    """
    assert mapped(data, mapping) == [
        ("b1/ann", {"Active": True}), ("b1/bob", {"Active": True, "Phone": "123"}),
    ]  # fmt: skip


def test_numbers_of_a_spreadsheet_have_a_point_whatever_its_texts_have() -> None:
    rows: list[list[Any]] = [["List"], ["SKU", "Width", "Live"], ["lamp", 7.5, FLAG], ["desk", "1.007,5", "no"]]  # fmt: skip
    mapping = 'kind = "product"\nheader_row = 2\ndecimal = ","\nthousands = "."\ncolumns = {ProductID = "SKU", ShipWidth = "Width", Active = "Live"}'  # fmt: skip
    assert mapped(workbook(rows), mapping, "list.xlsx") == [
        ("lamp", {"ShipWidth": 7.5, "Active": True}), ("desk", {"ShipWidth": 1007.5, "Active": False}),
    ]  # fmt: skip


def test_columns_that_nobody_names_keep_their_names_or_are_left_out() -> None:
    data = "SKU,Name,Colour\nlamp,Lamp,red\n"
    mapping = 'kind = "product"\ncolumns = {ProductID = "SKU"}\n'
    [problem] = refused(data.encode(), "p.csv", mapping=parse_mapping("m", mapping)).problems
    assert (problem.field, problem.column) == ("Colour", 3)
    assert mapped(data, mapping + 'ignore = ["*"]') == [("lamp", {"Name": "Lamp"})]


@settings(max_examples=60, deadline=None)
@given(st.decimals(-(10**9), 10**9, places=3), st.sampled_from([(",", "."), (".", ","), (",", " "), (".", "'")]))  # fmt: skip
def test_numbers_are_read_as_they_were_written(number: Decimal, marks: tuple[str, str]) -> None:
    decimal, thousands = marks
    text = f"{number:,.3f}".translate({ord(","): thousands, ord("."): decimal})
    mapping = FileMapping(kind="product", delimiter=";", decimal=decimal, thousands=thousands)
    [found] = read(f"ProductID;ShipWeight\nP;{text}\n".encode(), "p.csv", mapping=mapping)
    assert found.fields["ShipWeight"] == float(number)


@pytest.mark.parametrize("text", ["1.0.0", "1,00.0", "12.34,5", "x", "1 000", "--1", ",", "1.23"])
def test_numbers_that_are_written_in_another_way_are_refused(text: str) -> None:
    mapping = FileMapping(kind="product", delimiter=";", decimal=",", thousands=".")
    data = f"ProductID;ShipWeight\nP;{text}\n".encode()
    assert "before decimals" in refused(data, "p.csv", mapping=mapping).problems[0].why


def test_points_between_thousands_leave_the_comma_for_decimals() -> None:
    mapping = FileMapping(kind="inventory", thousands=".")
    data = b"ProductID;InventoryRecordID;QuantityAvailable\nP;R;1.040\nP;S;1.040,0\n"
    found = read(data, "s.csv", mapping=mapping)
    assert [one.fields["QuantityAvailable"] for one in found] == [1040, 1040]


@pytest.mark.parametrize(("text", "error", "told"), [
    ("kind =", InputError, "is not TOML"),
    ("colums = {}", InputError, "unknown field `colums`"),
    ('kind = "products"', UsageError, '"products" is not a kind'),
    ('encoding = "klingon"', UsageError, "is not a known encoding"),
    ('decimal = "x"', UsageError, 'decimal cannot be "x"'),
    ('decimal = ","\nthousands = ","', UsageError, "are both ,"),
    ('delimiter = "ab"', UsageError, 'delimiter cannot be "ab"'),
])  # fmt: skip
def test_mappings_that_are_wrong(text: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        parse_mapping("m.toml", text)
    assert told in caught.value.message  # type: ignore[attr-defined]


def test_options_do_what_a_file_does(ocsync: Run, shop: Shop) -> None:
    Path("stock.csv").write_bytes(STOCK.replace("ausverkauft", "5").replace("Summe;;1.040,00;;\n", "").encode("cp1252"))  # fmt: skip
    options = ("--column", "ProductID=Nummer", "--column", "InventoryRecordID=Ort", "--column",
               "QuantityAvailable=Menge", "--const", "xp.note=July", "--ignore", "*", "--header-row",
               "4", "--encoding", "cp1252", "--decimal", ",", "--thousands", ".")  # fmt: skip
    done = ocsync("stage", "import", "stock.csv", *options, "--json")
    assert (done.code, done.data["entries"]) == (0, 2), done
    [first, _] = ocsync("stage", "export", "--json").data["exported"]
    assert (first["ref"], first["fields"]) == ("inventory/stuhl-1/nord", {"QuantityAvailable": 1040, "xp.note": "July"})  # fmt: skip
    wrong = ocsync("stage", "import", "stock.csv", "--column", "ProductID")
    assert (wrong.code, '"ProductID" has no =' in wrong.err) == (64, True)


def test_a_mapping_is_found_by_name_in_the_workspace(ocsync: Run, shop: Shop) -> None:
    Path("stock.csv").write_bytes(STOCK.encode("cp1252"))
    folder = Path(".ocsync/mappings")
    told = ocsync("stage", "import", "stock.csv", "--map", "july")
    assert (told.code, "no mapping" in told.err) == (66, True)
    folder.mkdir()
    (folder / "july.toml").write_text(MAPPING)
    assert ocsync("stage", "import", "stock.csv", "--map", "july").code == 0
    told = ocsync("stage", "import", "stock.csv", "--map", "june")
    assert "the workspace has july" in told.err
    again = ocsync("stage", "import", "stock.csv", "--map", str(folder / "july.toml"), "--against", "stock.csv", "--json")  # fmt: skip
    assert again.data["unchanged"] == 2
    assert ocsync("doctor", "--offline").code in (0, 5), "the folder is no fault"


def test_bytes_in_another_encoding_are_told_with_the_option(ocsync: Run, shop: Shop) -> None:
    Path("stock.csv").write_bytes(STOCK.encode("cp1252"))
    told = ocsync("stage", "import", "stock.csv", "--kind", "inventory", "--header-row", "4")
    assert (told.code, "name its --encoding, such as cp1252" in told.err) == (65, True), told
    told = ocsync("stage", "import", "stock.csv", "--kind", "inventory", "--encoding", "ascii")
    assert (told.code, "is not ascii text; name another --encoding" in told.err) == (65, True), told
