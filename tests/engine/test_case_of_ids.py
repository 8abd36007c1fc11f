"""IDs that differ only in case are one entity, wherever refs meet."""

from __future__ import annotations

import json
from typing import Any

from tests.builders import Shop
from tests.conftest import Run

R = "inventory/P1/R1"
PLACE = {"Street1": "s", "City": "c", "Country": "DE"}


def stage(ocsync: Run, *words: str) -> None:
    result = ocsync("stage", *words)
    assert result.code == 0, result


def stock(shop: Shop, quantity: int = 40) -> None:
    shop.seed(
        address=[{"ID": "A", **PLACE}],
        product=[{"ID": "P1", "Name": "p", "Inventory": {"Enabled": True}}],
        inventory=[
            {"ProductID": "P1", "ID": "R1", "AddressID": "A", "QuantityAvailable": quantity}
        ],
    )


def quantity(shop: Shop) -> Any:
    return shop.get("/products/P1/inventoryrecords/R1")["QuantityAvailable"]


def test_two_spellings_are_one_change(ocsync: Run, shop: Shop) -> None:
    stock(shop)
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    stage(ocsync, "adjust", "inventory/p1/r1", "QuantityAvailable+=7")

    listed = ocsync("stage", "list", "--json").data
    assert [row["ref"] for row in listed["staged"]] == [R]
    assert listed["staged_refs"] == 1
    assert ocsync("status", "--offline", "--json").data["staged"]["refs"] == 1
    shown = ocsync("stage", "show", "inventory/p1/R1", "--json").data
    assert len(shown["entries"]) == 2
    explained = ocsync("plan", "--explain", "inventory/P1/r1", "--json").data
    assert [step["change"]["adjust"] for step in explained["steps"]] == [{"QuantityAvailable": 12}]
    assert ocsync("resume", "--verify").code == 0
    assert quantity(shop) == 52


def test_an_entry_that_comes_back_meets_the_other_spelling(ocsync: Run, shop: Shop) -> None:
    stock(shop)
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    shop.faults({"method": "PATCH", "path": "R1", "status": 409, "code": "X", "times": 1})
    assert ocsync("resume").code == 3
    stage(ocsync, "adjust", "inventory/p1/r1", "QuantityAvailable+=7")

    assert ocsync("resume", "--verify").code == 0
    assert quantity(shop) == 52


def test_references_in_another_case_order_the_steps(ocsync: Run, shop: Shop) -> None:
    shop.seed(address=[{"ID": "wh-1", **PLACE}])
    stage(ocsync, "put", "inventory/np/R", "AddressID=WH-1", "QuantityAvailable=3")
    stage(ocsync, "assign", "category-product/New/a/np")
    stage(ocsync, "put", "category/new/A", "Name=A")
    stage(ocsync, "put", "product/NP", "Name=p", "Inventory.Enabled=true",
          "DefaultPriceScheduleID=ps")  # fmt: skip
    stage(ocsync, "put", "price-schedule/PS", "Name=s")
    stage(ocsync, "put", "catalog/NEW", "Name=N")
    stage(ocsync, "assign", "catalog-assignment/new/b",
          "ViewAllCategories=true", "ViewAllProducts=true")  # fmt: skip
    stage(ocsync, "assign", "product-assignment/np/B")
    stage(ocsync, "put", "buyer/B", "Name=b", "DefaultCatalogID=new")

    assert ocsync("resume", "--verify").code == 0, ocsync("history", "--json").out


def test_a_target_takes_what_it_waits_for_in_any_case(ocsync: Run, shop: Shop) -> None:
    shop.seed(address=[{"ID": "A", **PLACE}])
    stage(ocsync, "put", "product/NP", "Name=p", "Inventory.Enabled=true")
    stage(ocsync, "put", "inventory/np/R", "AddressID=a", "QuantityAvailable=3")
    stage(ocsync, "set", "inventory/NP/r", "QuantityAvailable=4")
    stage(ocsync, "put", "catalog/C", "Name=c")

    assert ocsync("resume", "inventory").code == 0
    assert shop.get("/products/NP/inventoryrecords/R")["QuantityAvailable"] == 4
    left = ocsync("stage", "list", "--json").data["staged"]
    assert [row["ref"] for row in left] == ["catalog/C"]


def test_drop_and_export_take_any_case(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, "set", "product/P1", "Name=a")
    stage(ocsync, "set", "product/p1", "Name=b")
    exported = ocsync("stage", "export", "-", "product/P1").out
    assert len(exported.splitlines()) == 2

    assert ocsync("stage", "drop", "product/P1", "--json").data["dropped"] == 2


def test_stock_that_is_a_sum_is_found_in_any_case(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, "set", R, "QuantityAvailable=1")
    refused = ocsync("stage", "set", "product/p1", "Inventory.QuantityAvailable=1")
    assert refused.code == 65
    assert "sum" in refused.err


def test_what_was_deleted_is_gone_in_any_case(ocsync: Run, shop: Shop) -> None:
    stock(shop)
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    stage(ocsync, "adjust", "inventory/p1/r1", "QuantityAvailable+=5")
    assert ocsync("delete", "product/p1", "--yes").code == 0

    assert ocsync("stage", "list", "--json").data["staged"] == []
    assert ocsync("stage", "set", "inventory/P1/r1", "QuantityAvailable=1").code == 65
    assert ocsync("rollback", ocsync("history", "--json").data["runs"][0]["id"]).code == 0
    assert ocsync("resume", "--verify").code == 0
    assert quantity(shop) == 40


def test_a_rollback_finds_what_it_staged_in_any_case(ocsync: Run, shop: Shop) -> None:
    stock(shop)
    stage(ocsync, "set", "inventory/p1/r1", "QuantityAvailable=50")
    assert ocsync("resume", "--allow-risky", "zero-stock").code == 0
    stage(ocsync, "set", R, "OrderCanExceed=true")
    assert ocsync("rollback").code == 6  # staged for the same record
    ocsync("stage", "clear", "--yes")
    assert ocsync("rollback").code == 0
    again = json.loads(ocsync("rollback", "--json").out)
    assert again["already"] == 1 or again["already"] == ["inventory/p1/r1"]
    assert ocsync("resume", "--verify").code == 0
    assert quantity(shop) == 40
