"""Groups of buyers: their catalogs are their buyers', and their default catalog may be too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import Shop
from tests.conftest import Run

BOTH = ("ViewAllCategories=true", "ViewAllProducts=true")


def ok(run: Run, *words: str, code: int = 0, stdin: bytes = b"") -> Any:
    result = run(*words, stdin=stdin)
    assert result.code == code, (words, result)
    return result


@pytest.fixture
def groups(ocsync: Run, shop: Shop) -> Run:
    """A catalog, a group with it as the default and one without."""
    shop.seed(
        catalog=[{"ID": "C", "Name": "c"}],
        **{"buyer-group": [{"ID": "WITH", "Name": "w", "DefaultCatalogID": "C"},
                           {"ID": "WITHOUT", "Name": "wo"}]},
    )  # fmt: skip
    return ocsync


def has(shop: Shop, kind: str, *ids: str) -> bool:
    return shop.emulator.market.tables[kind].get(ids) is not None


SHOWN = pytest.mark.parametrize("shown", ["null", "shown"])


@pytest.mark.quick(2)
@SHOWN
@pytest.mark.parametrize(("group", "made"), [("WITH", False), ("WITHOUT", True)])
def test_a_buyer_in_a_group_makes_a_catalog_only_where_that_has_none(
    groups: Run, shop: Shop, group: str, made: bool, shown: str
) -> None:
    """No run expects a catalog that is not made, none is missed, and both are taken back."""
    shop.switch(inherited_catalog=shown)
    ok(groups, "stage", "put", "buyer/B", "Name=b", f"GroupID={group}")
    ok(groups, "resume", "--verify")
    assert has(shop, "catalog", "B") is made
    rolled = ok(groups, "rollback", "--json").data
    assert rolled["created"] == ["buyer/B", *["catalog/B"] * made]
    ok(groups, "delete", *rolled["created"], "--yes")
    assert not has(shop, "buyer", "B")
    assert not has(shop, "catalog", "B")


@SHOWN
def test_a_catalog_that_only_has_the_buyer_s_name_is_nobody_s_to_delete(
    groups: Run, shop: Shop, shown: str
) -> None:
    """It is the group's, and was there before."""
    shop.switch(inherited_catalog=shown)
    shop.seed(
        catalog=[{"ID": "B", "Name": "not the buyer's"}],
        **{"buyer-group": [{"ID": "G", "Name": "g", "DefaultCatalogID": "B"}]},
    )
    ok(groups, "stage", "put", "buyer/B", "Name=b", "GroupID=G")
    ok(groups, "resume", "--verify")
    rolled = ok(groups, "rollback", "--json").data
    assert rolled["created"] == ["buyer/B"]
    [lost] = [one["what"] for one in rolled["lost"]]
    assert lost == ["catalog/B may have been created with it, and remains"]


@SHOWN
def test_a_buyer_changes_its_group(groups: Run, shop: Shop, shown: str) -> None:
    shop.switch(inherited_catalog=shown)
    ok(groups, "stage", "put", "buyer/B", "Name=b", "GroupID=WITH")
    ok(groups, "resume", "--verify")
    ok(groups, "stage", "set", "buyer/B", "GroupID=WITHOUT", "DefaultCatalogID:=null")
    ok(groups, "resume", "--verify")
    ok(groups, "stage", "set", "buyer/B", "GroupID=WITH", "DefaultCatalogID:=null")
    ok(groups, "resume", "--verify")
    assert shop.get("/buyers/B")["GroupID"] == "WITH"
    ok(groups, "delete", "buyer-group/WITH", "--yes")
    assert shop.get("/buyers/B")["GroupID"] is None


def test_what_a_group_decides_is_decided_before_it_changes(groups: Run, shop: Shop) -> None:
    """A buyer that was staged before its group got a default catalog makes its own."""
    ok(groups, "stage", "put", "buyer/B", "Name=b", "GroupID=WITHOUT")
    ok(groups, "stage", "set", "buyer-group/WITHOUT", "DefaultCatalogID=C")
    ok(groups, "stage", "put", "buyer/D", "Name=d", "GroupID=WITHOUT")
    ok(groups, "resume", "--verify")
    assert (has(shop, "catalog", "B"), has(shop, "catalog", "D")) == (True, False)


def test_a_group_s_catalog_is_each_buyer_s(groups: Run, shop: Shop) -> None:
    """One run makes the group, its assignment, a buyer, and what needs the catalog."""
    shop.seed(product=[{"ID": "P", "Name": "p"}])
    ok(groups, "stage", "assign", "product-assignment/P/B")
    ok(groups, "stage", "assign", "catalog-product/C/P")
    ok(groups, "stage", "assign", "catalog-assignment/C//G", *BOTH)
    ok(groups, "stage", "put", "buyer/B", "Name=b", "GroupID=G", "DefaultCatalogID=C")
    ok(groups, "stage", "put", "buyer-group/G", "Name=g")
    ok(groups, "resume", "--verify")
    [row] = shop.get("/catalogs/assignments?buyerGroupID=G")["Items"]
    assert (row["BuyerID"], row["BuyerGroupID"], row["ViewAllProducts"]) == (None, "G", True)
    sent = len(shop.writes())
    ok(groups, "stage", "assign", "catalog-assignment/C//g", *BOTH)
    ok(groups, "resume", "--verify")
    assert len(shop.writes()) == sent, "it is there"

    run = groups("history", "--json").data["runs"][1]["id"]
    assert "catalog-assignment/C//G" in ok(groups, "rollback", run, "--json").data["created"]
    shown = ok(groups, "delete", "buyer-group/G", "--dry-run")
    assert "1 catalog assignment" in shown.out + shown.err
    ok(groups, "delete", "catalog-assignment/C//G", "--yes")
    assert shop.get("/catalogs/assignments?buyerGroupID=G")["Items"] == []


def test_both_ways_of_a_catalog_stand_in_one_file(groups: Run, shop: Shop) -> None:
    shop.seed(buyer=[{"ID": "B", "Name": "b", "DefaultCatalogID": "C"}])
    head = "CatalogID,BuyerID,BuyerGroupID,op,ViewAllCategories,ViewAllProducts"
    good = f"{head}\nC,B,,assign,true,false\nC,,WITH,assign,true,true\n"
    words = ("stage", "import", "-", "--kind", "catalog-assignment")
    ok(groups, *words, stdin=good.encode())
    ok(groups, "resume", "--verify")
    assert len(shop.get("/catalogs/assignments")["Items"]) == 2
    bad = f"{head}\nC,B,WITH,assign,true,true\nC,,,assign,true,true\n"
    result = ok(groups, *words, code=65, stdin=bad.encode())
    assert "BuyerID, BuyerGroupID" in result.err
    assert "cannot be combined; a catalog assignment has BuyerID or BuyerGroupID" in result.err
    assert "are missing; a catalog assignment has BuyerID or BuyerGroupID" in result.err


@pytest.mark.parametrize("ref", ["catalog-assignment/C", "catalog-assignment/C/B/G"])
def test_a_ref_that_is_neither(groups: Run, ref: str) -> None:
    result = groups("stage", "assign", ref, *BOTH)
    text = "catalog-assignment/CatalogID/BuyerID or catalog-assignment/CatalogID//BuyerGroupID"
    assert result.code in (64, 65)
    assert text in " ".join(result.err.split())
