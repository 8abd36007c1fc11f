"""Assignments of several sellers: a supplier has its own price for a product and buyer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import Run

OWN, OTHER = "product-assignment/P/B", "product-assignment/P/B//S"
FOR_GROUP = "product-assignment/P/B/G/S"


@pytest.fixture
def sellers(ocsync: Run, shop: Shop) -> Run:
    """A product in a buyer's catalog, a supplier, and a price schedule of each seller."""
    shop.seed(
        supplier=[{"ID": "S", "Name": "s"}],
        catalog=[{"ID": "C", "Name": "c"}],
        buyer=[{"ID": "B", "Name": "b", "DefaultCatalogID": "C"}],
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "g"}],
        product=[{"ID": "P", "Name": "p"}],
        **{"price-schedule": [{"ID": "OWN", "Name": "o"}, {"ID": "THEIRS", "Name": "t", "OwnerID": "S"}],
           "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B", "ViewAllProducts": True,
                                   "ViewAllCategories": True}],
           "catalog-product": [{"CatalogID": "C", "ProductID": "P"}]},
    )  # fmt: skip
    return ocsync


def rows(shop: Shop) -> dict[tuple[str, str], str]:
    """The price schedule of each assignment, by group and seller."""
    table = shop.emulator.market.tables["product-assignment"].rows
    return {r.ids[2:]: r.document["PriceScheduleID"] for r in table.values()}  # type: ignore[misc]


def assign(run: Run, ref: str, price: str) -> None:
    result = run("stage", "assign", ref, f"PriceScheduleID={price}")
    assert result.code == 0, result


PAIR = [(OTHER, "THEIRS"), (OWN, "OWN")]


@pytest.mark.quick(2)
@pytest.mark.parametrize("shown", ["null", "id"])
@pytest.mark.parametrize("order", [PAIR, PAIR[::-1]], ids=["theirs first", "own first"])
def test_the_rows_of_two_sellers_are_two(
    sellers: Run, shop: Shop, order: list[tuple[str, str]], shown: str
) -> None:
    """One is not the other's: not when it is read before, nor when it is verified."""
    shop.switch(own_seller=shown)
    for ref, price in order:
        assign(sellers, ref, price)
        result = sellers("resume", "--verify", "--json")
        assert (result.code, result.events[-1]["run"]["counts"]) == (0, {"done": 1}), result
    assert rows(shop) == {("", ""): "OWN", ("", "S"): "THEIRS"}


@pytest.mark.parametrize("shown", ["null", "id"])
def test_an_export_names_the_marketplace_nowhere(sellers: Run, shop: Shop, shown: str) -> None:
    """Its own rows have refs without a seller, which another marketplace can take."""
    for ref, price in ((OTHER, "THEIRS"), (OWN, "OWN")):
        assign(sellers, ref, price)
    assert sellers("resume").code == 0
    shop.switch(own_seller=shown)
    assert sellers("export", "product-assignment", "rows.jsonl").code == 0
    lines = Path("rows.jsonl").read_text().splitlines()
    assert {json.loads(line)["ref"] for line in lines} == {OWN, OTHER}
    assert sellers("stage", "import", "rows.jsonl", "--json").data["unchanged"] == 2


def test_what_is_there_already_is_not_sent_again(sellers: Run, shop: Shop) -> None:
    for ref, price in ((OWN, "OWN"), (OTHER, "THEIRS"), (FOR_GROUP, "THEIRS")):
        assign(sellers, ref, price)
    assert sellers("resume", "--verify").code == 0
    sent = len(shop.writes())
    for ref, price in ((OWN, "OWN"), (OTHER, "THEIRS"), (FOR_GROUP, "THEIRS")):
        assign(sellers, ref, price)
    assert sellers("resume", "--verify").code == 0
    assert len(shop.writes()) == sent
    bodies = [one["body"] for one in shop.writes()]
    assert sum('"SellerID":"S"' in body for body in bodies) == 2


@pytest.mark.parametrize("shown", ["null", "id"])
def test_a_seller_s_row_is_deleted_and_taken_back(sellers: Run, shop: Shop, shown: str) -> None:
    shop.switch(own_seller=shown)
    for ref, price in ((OWN, "OWN"), (OTHER, "THEIRS")):
        assign(sellers, ref, price)
    assert sellers("resume").code == 0
    assert sellers("delete", OTHER, "--yes").code == 0
    assert rows(shop) == {("", ""): "OWN"}
    assert sellers("rollback", sellers("history", "--json").data["runs"][0]["id"]).code == 0
    assert sellers("resume", "--verify").code == 0
    assert rows(shop) == {("", ""): "OWN", ("", "S"): "THEIRS"}
    assert sellers("delete", OWN, "--yes").code == 0
    assert rows(shop) == {("", "S"): "THEIRS"}


def test_an_import_names_the_seller(sellers: Run, shop: Shop) -> None:
    head = "ProductID,BuyerID,UserGroupID,SellerID,op,PriceScheduleID"
    lines = [head, "P,B,,S,assign,THEIRS", "P,B,G,S,assign,THEIRS", "P,B,,,assign,OWN"]
    text = "\n".join(lines).encode()
    result = sellers("stage", "import", "-", "--kind", "product-assignment", stdin=text)
    assert result.code == 0, result
    assert [one["ref"] for one in sellers("stage", "list", "--json").data["staged"]] == [
        OTHER, FOR_GROUP, OWN]  # fmt: skip
    assert sellers("resume", "--verify").code == 0
    assert rows(shop) == {("", ""): "OWN", ("", "S"): "THEIRS", ("G", "S"): "THEIRS"}


def test_what_is_refused(sellers: Run, shop: Shop) -> None:
    result = sellers("stage", "assign", OTHER)
    assert (result.code, "PriceScheduleID" in result.err) == (65, True), result
    result = sellers("stage", "assign", "product-assignment/P/B/G/S/X")
    assert result.code in (64, 65)
    assign(sellers, OTHER, "OWN")
    result = sellers("resume")
    assert (result.code, "404 NotFound" in result.out) == (3, True), "the price of another seller"


def test_the_marketplace_is_no_other_seller(sellers: Run, shop: Shop) -> None:
    own = "product-assignment/P/B//Emulator"
    assign(sellers, own, "OWN")
    result = sellers("resume")
    assert (result.code, "as in product-assignment/P/B" in result.err) == (65, True), result
    assert shop.writes() == []
    sellers("stage", "clear", "--yes")
    result = sellers("stage", "assign", own, "PriceScheduleID=OWN")
    assert (result.code, "leave it out" in result.err) == (65, True), result


def test_a_supplier_with_assignments(sellers: Run, shop: Shop) -> None:
    """No list is limited to one seller's, so what goes with a supplier is not counted."""
    assign(sellers, OTHER, "THEIRS")
    assert sellers("resume").code == 0
    shown = sellers("delete", "supplier/S", "--dry-run", "--json")
    [unread] = re.findall(r'"unread": (\[.*?\])', shown.out)
    assert "product-assignment" in json.loads(unread), shown
    assert sellers("delete", "supplier/S", "--yes").code == 0
    assert rows(shop) == {}
