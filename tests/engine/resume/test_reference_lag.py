"""Objects that the platform does not see at once: what refers to them is sent again, and it says so.

How long that takes is unknown (guide/ordercloud.md 12.6); most of these tests wait in haste.
"""

from __future__ import annotations

import json

import pytest

from tests.benchmarks.faults import haste
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume

PLACE = {"Street1": "s", "City": "c", "Country": "DE"}
NEW = [
    {"ref": "address/A", "op": "put", "fields": PLACE},
    {"ref": "catalog/C", "op": "put", "fields": {"Name": "c"}},
    {"ref": "buyer/B", "op": "put", "fields": {"Name": "b", "DefaultCatalogID": "C"}},
    {"ref": "category/C/K", "op": "put", "fields": {"Name": "k"}},
    {"ref": "product/P", "op": "put", "fields": {"Name": "p", "Inventory.Enabled": True}},
    {"ref": "inventory/P/R", "op": "put", "fields": {"AddressID": "A"}},
    {"ref": "catalog-assignment/C/B", "op": "assign",
     "fields": {"ViewAllCategories": True, "ViewAllProducts": True}},
    {"ref": "category-product/C/K/P", "op": "assign"},
    {"ref": "category-assignment/C/K/B", "op": "assign"},
    {"ref": "product-assignment/P/B", "op": "assign"},
    {"ref": "spec/S", "op": "put", "fields": {"Name": "s", "DefinesVariant": True}},
    {"ref": "spec-option/S/O", "op": "put", "fields": {"Value": "o"}},
    {"ref": "spec-product-assignment/S/P", "op": "assign"},
    {"ref": "variants/P", "op": "generate"},
]  # fmt: skip
"""Kinds that refer to others in their path, in a field, or only by a rule."""


def stage(run: Run) -> None:
    lines = "\n".join(map(json.dumps, NEW))
    assert run("stage", "import", "-", "--format", "jsonl", stdin=lines.encode()).code == 0


def test_new_parents_and_their_children_go_in_one_run(ocsync: Run, shop: Shop) -> None:
    stage(ocsync)
    shop.switch(reference_lag=0.4)
    with haste(10):
        result = ocsync("resume", "--verify")

    assert (result.code, shop.all_paused()) == (0, []), result
    assert "may not see new entities immediately" in " ".join(result.err.split())
    steps = ocsync("history", "--steps", "--json").data["steps"]
    late = {row["ref"] for row in steps if "refused at first" in row["message"]}
    assert {"inventory/P/R", "product-assignment/P/B"} <= late
    assert shop.get("/products/P/variants")["Items"][0]["ID"] == "P-O"
    assert "address/A" not in late


def test_without_a_lag_nothing_waits(ocsync: Run, shop: Shop) -> None:
    stage(ocsync)
    result = ocsync("resume", "--verify")
    assert (result.code, "soon after" in result.err) == (0, False), result
    assert len(shop.writes()) == len(NEW)


@pytest.mark.parametrize("parent", ["written", "there"])
def test_what_is_refused_for_good_is_tried_a_few_times_at_most(
    ocsync: Run, shop: Shop, parent: str
) -> None:
    """Only where the platform may not have seen what this run wrote."""
    ocsync("stage", "put", "product/P", "Name=p")
    if parent == "there":
        assert ocsync("resume").code == 0
    ocsync("stage", "put", "inventory/P/R", "AddressID=none")
    with haste(100):
        result = ocsync("resume")
    assert (result.code, "404 NotFound" in result.out) == (3, True), result
    tries = [one for one in shop.writes() if one["path"].endswith("/inventoryrecords/R")]
    assert len(tries) == (6 if parent == "written" else 1)


def test_a_crash_in_between_changes_nothing(ocsync: Run, shop: Shop) -> None:
    stage(ocsync)
    shop.switch(reference_lag=0.15)
    with haste(10):
        crash_resume(shop, CrashPoint("request", 9, "after"))
        result = ocsync("resume", "--verify")
    assert (result.code, shop.all_paused()) == (0, []), result
