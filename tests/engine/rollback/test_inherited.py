"""Rollbacks of child products, whose reads show values of the parent."""

from __future__ import annotations

from typing import Any

from tests.builders import Result, Shop
from tests.conftest import Run

PARENT = {"ID": "Q", "Name": "q", "IsParent": True, "Description": "d", "ShipWeight": 2,
          "Inventory": {"Enabled": True, "NotificationPoint": 3}, "xp": {"a": 1, "b": 2}}  # fmt: skip
CHILD = {"ID": "P", "Name": "p", "ParentID": "Q", "QuantityMultiplier": 1}


def ok(result: Result, code: int = 0) -> Result:
    assert result.code == code, result
    return result


def run(ocsync: Run, *words: str, code: int = 0) -> dict[str, Any]:
    """Stage an edit of product P and resume it; return what the rollback of that says."""
    ok(ocsync("stage", words[0], "product/P", *words[1:]))
    ok(ocsync("resume", "--verify"))
    return dict(ok(ocsync("rollback", "--settle", "0s", "--json"), code).data)


def own(shop: Shop) -> dict[str, Any]:
    """The product's own values, without those of its parent."""
    row = shop.emulator.market.tables["product"].get(["P"])
    assert row
    return row.document


def test_a_product_that_became_a_child_gets_its_own_values_back(ocsync: Run, shop: Shop) -> None:
    """Even those that are the same as the parent's, which then would be lost with it."""
    before = {"ID": "P", "Name": "p", "Description": "d", "ShipWeight": 7, "xp": {"a": 1},
              "Inventory": {"Enabled": True, "NotificationPoint": 3, "QuantityAvailable": 4}}  # fmt: skip
    shop.seed(product=[PARENT, before])
    run(ocsync, "put", "Name=p", "ParentID=Q", "--replace")
    assert shop.get("/products/P")["ShipWeight"] == 2

    ok(ocsync("resume", "--verify"))

    found = own(shop)
    assert {name: found[name] for name in ("Description", "ShipWeight", "xp", "ParentID")} == {
        "Description": "d", "ShipWeight": 7, "xp": {"a": 1}, "ParentID": None}  # fmt: skip
    assert found["Inventory"].items() >= before["Inventory"].items()  # type: ignore[attr-defined]


def test_an_inherited_value_is_inherited_again(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[PARENT, {**CHILD, "ShipHeight": 5}])
    said = run(ocsync, "set", "Description=own", "ShipHeight=6", "ShipWeight=2")
    assert said["lost"] == []

    ok(ocsync("resume", "--verify"))

    found = own(shop)
    assert (found["Description"], found["ShipWeight"], found["ShipHeight"]) == (None, None, 5)
    assert shop.get("/products/P")["Description"] == "d"


def test_a_sum_over_an_inherited_value_is_inherited_again(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[PARENT, CHILD])
    run(ocsync, "adjust", "ShipWeight+=3")
    assert own(shop)["ShipWeight"] == 5

    ok(ocsync("resume", "--verify"))

    assert own(shop)["ShipWeight"] is None


def test_a_child_that_left_its_parent_comes_back_without_values_of_its_own(
    ocsync: Run, shop: Shop
) -> None:
    shop.seed(product=[PARENT, CHILD])
    said = run(ocsync, "put", "Name=p", "--replace")
    assert said["lost"] == []

    ok(ocsync("resume", "--verify"))

    found = own(shop)
    assert (found["ParentID"], found["Description"], found["Inventory"]) == ("Q", None, None)
    assert not found["xp"]


def test_a_parent_that_was_edited_too_counts_as_it_was(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[PARENT, CHILD])
    ok(ocsync("stage", "set", "product/Q", "Description=e"))
    run(ocsync, "set", "Description=own")

    ok(ocsync("resume", "--verify"))

    assert own(shop)["Description"] is None
    assert shop.get("/products/P")["Description"] == "d"


def test_what_patch_cannot_make_inherited_again_is_told(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[PARENT, CHILD])
    said = run(ocsync, "set", "xp.a:=9")
    assert [one["what"] for one in said["lost"]] == [
        ["xp.a was inherited; it becomes its own value, because PATCH cannot remove it"]
    ]
    ok(ocsync("resume", "--verify"))
    assert own(shop)["xp"] == {"a": 1}

    said = run(ocsync, "set", "Inventory.NotificationPoint=9", code=3)
    assert [one["what"] for one in said["lost"]] == [
        ["Inventory was inherited; it keeps its own value, because PATCH cannot remove it"]
    ]
    ok(ocsync("resume", "--verify"))
    assert shop.get("/products/P")["Inventory"]["NotificationPoint"] == 3


def test_a_value_that_others_gave_the_child_is_a_conflict(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[PARENT, CHILD])
    ok(ocsync("stage", "put", "product/P", "Name=n", "ParentID=Q", "--replace"))
    ok(ocsync("resume", "--verify"))
    shop.call("PATCH", "/products/P", {"Description": "theirs"})

    [conflict] = ok(ocsync("rollback", "--settle", "0s", "--json"), 6).data["conflicts"]

    assert conflict["fields"] == {"Description": {"before": None, "left": None, "now": "theirs"}}
