"""Cells that have the value they expect are no edits, and rows without an edit stage nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocsync.models import Op
from tests.builders import Shop
from tests.conftest import Run
from tests.intake.test_intake import read, refused

HEAD = "ProductID,InventoryRecordID,QuantityAvailable,AddressID,expect.QuantityAvailable,expect.AddressID\n"


def edits(data: str, name: str = "edits.csv", **more: Any) -> list[tuple[Any, ...]]:
    found = read(data.encode(), name, **more)
    return [(e.ref.rpartition("/")[2], e.fields, e.expect) for e in found]


def test_a_cell_that_has_the_expected_value_is_dropped() -> None:
    rows = "P,same,5,wh,5,wh\nP,one,6,wh,5,wh\nP,empty,,,5,wh\nP,null,\\N,wh,5,wh\nP,new,6,wh,,\n"
    assert edits(HEAD + rows) == [
        ("one", {"QuantityAvailable": 6}, {"QuantityAvailable": 5}),
        ("null", {"QuantityAvailable": None}, {"QuantityAvailable": 5}),
        ("new", {"QuantityAvailable": 6, "AddressID": "wh"}, {}),
    ]


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        ("5", "5.0", False), ("2026-01-01", "2026-01-01T00:00:00+00:00", True),
        ("2026-01-01T01:00:00+01:00", "2026-01-01", True), ("2026-01-02", "2026-01-01", False),
    ],
)  # fmt: skip
def test_dates_are_compared_as_moments_and_text_as_text(
    value: str, expected: str, same: bool
) -> None:
    rows = f"PriceScheduleID,SaleStart,Name,expect.SaleStart,expect.Name\nPS,{value if '-' in value else ''},{value},{expected if '-' in expected else ''},{expected}\n"  # fmt: skip
    found = edits(rows)
    assert ("SaleStart" in dict(found[0][1]) if found else False) == (not same and "-" in value)
    assert bool(found), "text that is spelled in another way is another text"


def test_numbers_are_compared_as_numbers() -> None:
    assert edits("ProductID,ShipWeight,expect.ShipWeight\nP,1.50,1.5\nQ,2,2.0\n") == []


def test_an_assignment_keeps_its_other_fields_as_they_are_expected() -> None:
    """It is sent whole; a spreadsheet ends the lines of a text in its own way."""
    head = "SpecID,ProductID,DefaultValue,DefaultOptionID,expect.DefaultValue:,expect.DefaultOptionID\n"
    assert edits(head + 'S,P,"a\nb",new,"""a\\rb""",old\n', kind="spec-product-assignment") == [
        ("P", {"DefaultValue": "a\rb", "DefaultOptionID": "new"}, {"DefaultOptionID": "old"})
    ]


def test_an_expectation_of_another_field_stays() -> None:
    """Its column stands alone, so it is not the value of a cell that was left as it is."""
    rows = "ref,AddressID,expect.QuantityAvailable\ninventory/P/R,wh,5\ninventory/P/S,,5\n"
    problem = refused(rows.encode()).problems[0]
    assert (problem.line, problem.why) == (3, "sets no field")
    assert edits(rows.replace("inventory/P/S,,5\n", "")) == [
        ("R", {"AddressID": "wh"}, {"QuantityAvailable": 5})
    ]


def test_a_table_of_edits_keeps_what_it_expects_beside_other_fields() -> None:
    rows = "ref,op,QuantityAvailable,AddressID,expect.QuantityAvailable\ninventory/P/R,,,wh,5\n"
    assert edits(rows) == [("R", {"AddressID": "wh"}, {"QuantityAvailable": 5})]


def test_an_assignment_is_kept_whole_or_not_at_all() -> None:
    head = "CatalogID,BuyerID,ViewAllCategories,ViewAllProducts,expect.ViewAllCategories,expect.ViewAllProducts\n"
    rows = "C,same,true,false,true,false\nC,one,true,true,true,false\n"
    assert edits(head + rows) == [
        ("one", {"ViewAllCategories": True, "ViewAllProducts": True}, {"ViewAllProducts": False})
    ]


def test_rows_that_say_they_exist_are_no_edits() -> None:
    head = "CatalogID,ProductID,exists\n"
    assert edits(head + "C,P,true\nC,Q,\nC,R,no\n") == [("Q", {}, {}), ("R", {}, {})]
    line = '{{"ref":"catalog-product/C/{}"{}}}\n'
    assert edits(line.format("P", ',"exists":true') + line.format("Q", ""), "e.jsonl") == [
        ("Q", {}, {})
    ]


def test_a_put_and_an_adjustment_stay_as_they_are() -> None:
    rows = "ref,op,QuantityAvailable,AddressID,expect.QuantityAvailable\ninventory/P/R,put,5,wh,5\ninventory/P/S,adjust,5,,5\n"  # fmt: skip
    found = read(rows.encode())
    assert [(e.op, e.fields.get("QuantityAvailable"), e.expect) for e in found] == [
        (Op.PUT, 5, {"QuantityAvailable": 5}), (Op.ADJUST, 5, {"QuantityAvailable": 5}),
    ]  # fmt: skip


def test_columns_with_a_hash_are_passed_over() -> None:
    head = "ref,#note,# Name,QuantityAvailable,#note\n"
    assert edits(head + "inventory/P/R,x,\ud83d\ude00,5,y\n".encode("utf-16", "surrogatepass").decode("utf-16")) == [
        ("R", {"QuantityAvailable": 5}, {})
    ]  # fmt: skip


def test_rows_without_a_change_are_counted(ocsync: Run, shop: Shop) -> None:
    Path("s.csv").write_text(HEAD + "P,R,5,wh,5,wh\nP,S,6,wh,5,wh\n")
    for dry in (["--dry-run"], []):
        done = ocsync("stage", "import", "s.csv", *dry)
        assert done.code == 0
        assert "1 row without a change" in done.out + done.err, done
    assert ocsync("stage", "import", "s.csv", "--json").data["unchanged"] == 1
    Path("t.csv").write_text(HEAD + "P,R,5,wh,5,wh\n")
    done = ocsync("stage", "import", "t.csv")
    assert (done.code, done.out) == (
        0,
        "= 1 row of t.csv changed no value; nothing was staged\n",
    )
