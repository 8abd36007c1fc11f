"""Rollbacks where stock is a sum by now: whatever they stage can be sent."""

from __future__ import annotations

import pytest

from tests.builders import Shop
from tests.conftest import Run

PLACE = {"Street1": "s", "City": "c", "Country": "DE"}


def ok(ocsync: Run, *words: str, code: int = 0) -> str:
    result = ocsync(*words)
    assert result.code == code, result
    return result.out + result.err


def products(shop: Shop, **more: object) -> None:
    shop.seed(
        address=[{"ID": "A", **PLACE}],
        product=[{"ID": "P", "Name": "p", "Inventory": {"Enabled": True, "QuantityAvailable": 5}}],
        **more,
    )


def test_records_made_since_are_not_overwritten(ocsync: Run, shop: Shop) -> None:
    products(shop)
    ok(ocsync, "stage", "set", "product/P", "Name=q", "Inventory.QuantityAvailable=9")
    ok(ocsync, "resume")
    shop.call("PUT", "/products/P/inventoryrecords/R", {"AddressID": "A", "QuantityAvailable": 3})

    said = ok(ocsync, "rollback", "--settle", "0s", code=3)
    assert "sum of its 1 inventory record" in said
    ok(ocsync, "resume", "--verify")
    found = shop.get("/products/P")
    assert (found["Name"], found["Inventory"]["QuantityAvailable"]) == ("p", 3)


def test_a_put_over_a_product_with_records_is_undone(ocsync: Run, shop: Shop) -> None:
    products(shop, inventory=[
        {"ProductID": "P", "ID": "R", "AddressID": "A", "QuantityAvailable": 7}
    ])  # fmt: skip
    ok(ocsync, "stage", "put", "product/P", "Name=q", "Inventory.Enabled=true", "--replace")
    ok(ocsync, "stage", "adjust", "inventory/P/R", "QuantityAvailable+=2")
    ok(ocsync, "resume", "--verify")

    result = ocsync("rollback", "--settle", "0s")
    assert result.code in (0, 3), result
    ok(ocsync, "resume", "--verify")
    found = shop.get("/products/P")
    assert (found["Name"], found["Inventory"]["QuantityAvailable"]) == ("p", 7)


def test_stock_that_the_run_took_beside_its_own_record_is_told(ocsync: Run, shop: Shop) -> None:
    """It can be written again once the record is deleted, and not before."""
    products(shop)
    ok(ocsync, "stage", "put", "inventory/P/R", "AddressID=A")
    ok(ocsync, "stage", "put", "product/P", "Name=q", "--replace")
    ok(ocsync, "resume", "--verify")

    said = ok(ocsync, "rollback", "--settle", "0s", code=3)
    assert "Inventory.QuantityAvailable is the sum of its 1 inventory record" in said
    assert "it was 5" in said
    ok(ocsync, "resume", "--verify")
    assert shop.get("/products/P")["Name"] == "p"


SETTINGS = {"Enabled": True, "VariantLevelTracking": True}


def test_tracking_that_a_put_ended_comes_back_without_its_sum(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": "P", "Name": "p", "Inventory": SETTINGS}])
    ok(ocsync, "stage", "put", "product/P", "Name=q", "--replace")
    ok(ocsync, "stage", "set", "product/P", "Inventory.QuantityAvailable=3")
    ok(ocsync, "resume", "--verify")

    [entry] = ocsync("rollback", "--settle", "0s", "--json").data["staged"]
    assert entry["fields"]["Inventory.VariantLevelTracking"] is True
    assert "Inventory.QuantityAvailable" not in entry["fields"]
    ok(ocsync, "resume", "--verify")
    found = shop.get("/products/P")
    assert (found["Name"], found["Inventory"]["VariantLevelTracking"]) == ("p", True)


@pytest.mark.parametrize("way", ["set", "put"])
def test_stock_comes_back_after_tracking_that_a_run_began(
    ocsync: Run, shop: Shop, way: str
) -> None:
    products(shop)
    if way == "set":
        ok(ocsync, "stage", "set", "product/P", "Inventory.QuantityAvailable=9")
        ok(ocsync, "stage", "set", "product/P", "Inventory.VariantLevelTracking=true")
    else:
        ok(ocsync, "stage", "put", "product/P", "Name=q", "xp.a=1", "--replace",
           "Inventory.Enabled=true", "Inventory.VariantLevelTracking=true")  # fmt: skip
    ok(ocsync, "resume", "--verify")

    assert "is the sum" not in ok(ocsync, "rollback", "--settle", "0s")
    ok(ocsync, "resume", "--verify")
    found = shop.get("/products/P")
    assert (found["Name"], found["Inventory"]["QuantityAvailable"]) == ("p", 5)
    assert not found["Inventory"]["VariantLevelTracking"]


def test_a_put_that_takes_a_sum_back_leaves_it_out(ocsync: Run, shop: Shop) -> None:
    """A put names every value that was there, and so the sum too, though it is the same now."""
    products(shop, inventory=[
        {"ProductID": "P", "ID": "R", "AddressID": "A", "QuantityAvailable": 0}
    ])  # fmt: skip
    ok(ocsync, "stage", "put", "product/P", "Name=p", "Inventory.Enabled=true", "xp.a=1",
       "--replace")  # fmt: skip
    ok(ocsync, "resume", "--verify")

    [entry] = ocsync("rollback", "--settle", "0s", "--json").data["staged"]
    assert entry["op"] == "put"
    assert "Inventory.QuantityAvailable" not in entry["fields"]
    ok(ocsync, "resume", "--verify")
    assert shop.get("/products/P")["xp"] is None


def test_only_a_quantity_that_is_a_sum_cannot_be_undone(ocsync: Run, shop: Shop) -> None:
    products(shop)
    ok(ocsync, "stage", "set", "product/P", "Inventory.QuantityAvailable=9")
    ok(ocsync, "resume")
    shop.call("PUT", "/products/P/inventoryrecords/R", {"AddressID": "A", "QuantityAvailable": 3})

    assert "sum of" in ok(ocsync, "rollback", "--settle", "0s", code=3)
    assert ocsync("stage", "list", "--json").data["staged"] == []


def test_records_that_are_staged_count(ocsync: Run, shop: Shop) -> None:
    products(shop)
    ok(ocsync, "stage", "set", "product/P", "Name=q", "Inventory.QuantityAvailable=9")
    ok(ocsync, "resume")
    ok(ocsync, "stage", "put", "inventory/p/R", "AddressID=A", "QuantityAvailable=3")

    assert "staged inventory records" in ok(ocsync, "rollback", "--settle", "0s", code=3)
    ok(ocsync, "resume", "--verify")
    assert shop.get("/products/P")["Name"] == "p"


def test_records_wait_for_a_staged_quantity_of_their_product(ocsync: Run, shop: Shop) -> None:
    products(shop, inventory=[
        {"ProductID": "P", "ID": "R", "AddressID": "A", "QuantityAvailable": 7}
    ])  # fmt: skip
    ok(ocsync, "stage", "set", "inventory/P/R", "QuantityAvailable=9")
    ok(ocsync, "resume")
    ok(ocsync, "stage", "set", "product/p", "Inventory.QuantityAvailable=1")

    said = ok(ocsync, "rollback", "--settle", "0s", code=6)
    assert "product/P" in said
