"""Verification after a put: what it drops, what the platform fills in, what a child inherits."""

from __future__ import annotations

import pytest

from tests.builders import Shop
from tests.conftest import Run

STORIES: dict[str, list[str]] = {
    "a flag that a later put drops": [
        "set product/P DefaultSupplierID=S1 Active=true", "set product/P DefaultSupplierID=S2",
        "put product/P Name=q --replace",
    ],
    "stock that a later put leaves to the platform": [
        "set product/P DefaultSupplierID=S1 Inventory.QuantityAvailable=7",
        "put product/P Name=q Inventory.Enabled=true --replace",
    ],
    "xp that a later put drops": [
        "set product/P DefaultSupplierID=S1 xp.a=1", "put product/P Name=q --replace",
    ],
    "a buyer's default catalog that is null at first": [
        "put buyer/B Name=b DefaultCatalogID:=null", "put buyer/B Name=c --replace",
    ],
    "a catalog that a null brings": ["put buyer/B Name=b DefaultCatalogID:=null"],
    "a quantity of null": ["set product/P Inventory.QuantityAvailable:=null"],
    "nulls of a child": ["set product/CHILD Description:=null DefaultPriceScheduleID:=null"],
    "a put over a child": ["put product/CHILD Name=c ParentID=PP --replace"],
    "a put that frees a child": ["put product/CHILD Name=c --replace"],
    "a reference in another case": ["set product/P DefaultPriceScheduleID=s"],
    "a flag of null": ["put catalog/C Name=c Active:=null"],
}  # fmt: skip


@pytest.mark.quick(4)
@pytest.mark.parametrize("story", STORIES)
def test_a_run_that_went_right_is_verified(ocsync: Run, shop: Shop, story: str) -> None:
    shop.seed(
        supplier=[{"ID": n, "Name": n} for n in ("S1", "S2")],
        product=[
            {"ID": "P", "Name": "p", "Inventory": {"Enabled": True, "QuantityAvailable": 5}},
            {"ID": "PP", "Name": "pp", "IsParent": True, "Description": "parent's",
             "DefaultPriceScheduleID": "S"},
            {"ID": "CHILD", "Name": "c", "ParentID": "PP", "Description": "own"},
        ],
        **{"price-schedule": [{"ID": "S", "Name": "s"}]},
    )  # fmt: skip
    shop.switch(null_flags="kept")
    for edit in STORIES[story]:
        assert ocsync("stage", *edit.split()).code == 0, edit

    result = ocsync("resume", "--verify", "--settle", "0s")
    assert result.code == 0, result.out + result.err


def test_what_a_put_dropped_and_is_there_again_differs(ocsync: Run, shop: Shop) -> None:
    for edit in ("put buyer/B Name=b xp.a=1", "put buyer/B Name=c --replace"):
        assert ocsync("stage", *edit.split()).code == 0
    assert ocsync("resume", "--verify").code == 0
    shop.call("PATCH", "/buyers/B", {"xp": {"a": "1"}})

    result = ocsync("verify", "--json")
    assert result.code == 5, result
    assert "xp.a" in result.out


def test_a_null_that_took_no_effect_differs(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c", "Description": "d"}])
    assert ocsync("stage", "set", "catalog/C", "Description:=null").code == 0
    assert ocsync("resume", "--verify").code == 0
    shop.call("PATCH", "/catalogs/C", {"Description": "d"})

    assert ocsync("verify").code == 5
