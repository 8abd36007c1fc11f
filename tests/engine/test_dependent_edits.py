"""Edits that the platform judges by another entity: sent in the order in which it takes them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks.faults import haste
from tests.builders import Shop
from tests.conftest import Run

PLACE = {"Street1": "s", "City": "c", "Country": "DE"}


def stage(ocsync: Run, *edits: str) -> None:
    for edit in edits:
        result = ocsync("stage", *edit.split())
        assert result.code == 0, result


def users(shop: Shop, number: int) -> None:
    names: dict[str, Any] = {"FirstName": "f", "LastName": "l", "Email": "e@e.e", "Active": True}
    shop.seed(**{"admin-user": [
        {"ID": f"U{n}", "Username": f"u{n}", **names} for n in range(1, number + 1)
    ]})  # fmt: skip


def user_names(shop: Shop, number: int) -> list[str]:
    return [shop.get(f"/adminusers/U{n}")["Username"] for n in range(1, number + 1)]


def test_two_users_swap_their_names(ocsync: Run, shop: Shop) -> None:
    users(shop, 2)
    stage(
        ocsync,
        "set admin-user/U1 Username=for-now", "set admin-user/U2 Username=u1",
        "set admin-user/U1 Username=u2",
    )  # fmt: skip
    assert ocsync("resume", "--verify").code == 0
    assert user_names(shop, 2) == ["u2", "u1"]


def test_a_name_is_taken_after_it_was_given_up(ocsync: Run, shop: Shop) -> None:
    """Who has which name is known only once the users have been read."""
    users(shop, 4)
    stage(
        ocsync,
        "set admin-user/U4 Username=new", "set admin-user/U3 Username=U4",
        "set admin-user/U2 Username=u3", "set admin-user/U1 Username=u2",
    )  # fmt: skip
    assert ocsync("resume", "--verify").code == 0
    assert user_names(shop, 4) == ["u2", "u3", "U4", "new"]


def test_a_later_put_drops_what_a_record_needed(ocsync: Run, shop: Shop) -> None:
    shop.seed(address=[{"ID": "A", **PLACE}])
    stage(
        ocsync,
        "put product/P Name=p Inventory.Enabled=true", "put inventory/P/R AddressID=A",
        "put product/P Name=q --replace",
    )  # fmt: skip
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/products/P")["Inventory"] is None
    assert shop.get("/products/P/inventoryrecords/R")["AddressID"] == "A"


def test_what_was_needed_blocks_what_takes_it_away(ocsync: Run, shop: Shop) -> None:
    """Sent all the same, the put would make the record impossible for good."""
    shop.seed(address=[{"ID": "A", **PLACE}])
    stage(
        ocsync,
        "put product/P Name=p Inventory.Enabled=true", "put inventory/P/R AddressID=A",
        "put product/P Name=q --replace",
    )  # fmt: skip
    shop.faults({"method": "PUT", "path": "inventoryrecords", "status": 500, "times": 9})
    with haste(30.0):
        assert ocsync("resume", "--no-pause").code == 3
    assert shop.get("/products/P")["Name"] == "p"
    shop.faults()
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/products/P")["Name"] == "q"
    assert shop.get("/products/P/inventoryrecords/R")["AddressID"] == "A"


@pytest.mark.parametrize("later", ["set buyer/B Name=b", "put buyer/B Name=b --replace"])
def test_a_buyers_own_catalog_is_named_after_it_as_it_was_first(
    ocsync: Run, shop: Shop, later: str
) -> None:
    stage(ocsync, "put buyer/B Name=a", later)
    assert ocsync("resume", "--verify").code == 0
    assert (shop.get("/buyers/B")["Name"], shop.get("/catalogs/B")["Name"]) == ("b", "a")


@pytest.mark.quick(2)
@pytest.mark.parametrize(("name", "code"), [("b", 0), ("other", 6)])
@pytest.mark.parametrize("edit", ["set catalog/B", "put catalog/B Name=c --replace"])
def test_what_a_step_creates_is_expected_when_it_is_there(
    ocsync: Run, shop: Shop, edit: str, name: str, code: int
) -> None:
    """A buyer's own catalog: nobody can read it before the buyer is created."""
    stage(ocsync, "put buyer/B Name=b", f"{edit} Description=d --expect Name={name}")
    assert "does not exist" not in ocsync("plan", "--diff").out
    assert ocsync("resume", "--verify").code == code
    assert shop.get("/buyers/B")["DefaultCatalogID"] == "B"
    assert shop.get("/catalogs/B")["Description"] == ("Default catalog for b" if code else "d")


def test_what_nobody_creates_meets_no_expected_value(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c"}])
    stage(
        ocsync,
        "put buyer/B Name=b DefaultCatalogID=C", "set catalog/B Description=d --expect Name=b",
    )  # fmt: skip
    assert ocsync("resume").code == 6
    assert not shop.writes()


def test_a_buyer_staged_twice_keeps_its_own_catalog(ocsync: Run, shop: Shop) -> None:
    """As when a file is imported a second time before the first is sent."""
    stage(ocsync, "put buyer/B Name=b", "put buyer/B Name=b")
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/buyers/B")["DefaultCatalogID"] == "B"


def test_a_currency_changes_while_no_product_has_the_price(ocsync: Run, shop: Shop) -> None:
    shop.seed(
        product=[{"ID": "P", "Name": "p", "DefaultPriceScheduleID": "S"}],
        **{"price-schedule": [{"ID": "S", "Name": "s", "Currency": "EUR"}]},
    )
    stage(
        ocsync,
        r"set product/P DefaultPriceScheduleID:=null", "set price-schedule/S Currency=USD",
        "set product/P DefaultPriceScheduleID=S",
    )  # fmt: skip
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/priceschedules/S")["Currency"] == "USD"
    assert shop.get("/products/P")["DefaultPriceScheduleID"] == "S"


def test_a_category_moves_below_one_that_was_below_it(ocsync: Run, shop: Shop) -> None:
    shop.seed(
        catalog=[{"ID": "C", "Name": "c"}],
        category=[
            {"CatalogID": "C", "ID": "K1", "Name": "1"},
            {"CatalogID": "C", "ID": "K2", "Name": "2", "ParentID": "K1"},
            {"CatalogID": "C", "ID": "K3", "Name": "3", "ParentID": "K2"},
        ],
    )
    stage(ocsync, "set category/C/K2 ParentID:=null", "set category/C/K1 ParentID=K3")
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/catalogs/C/categories/K1")["ParentID"] == "K3"
