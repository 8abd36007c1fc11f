"""Rollback: what is staged, what is not, and that there and back again is where one was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ocsync.models import Entry, Op
from ocsync.schema import url_of
from tests.builders import Result, Shop
from tests.conftest import Run, add_profile
from tests.crash_points import CrashPoint, crash_resume
from tests.test_law import SEED, entries, marketplace

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example takes half a second; a failing one is short enough to read."""
STOCK = "/products/P0/inventoryrecords/R0"

RISKY = ("--allow-risky", "zero-stock", "--allow-risky", "xp-type")


def newest(run: Run, sort: str = "resume") -> str:
    runs = run("history", "--json").data["runs"]
    return str(next(info["id"] for info in runs if info["type"] == sort))


def staged(run: Run) -> dict[str, list[int]]:
    return {row["ref"]: row["entries"] for row in run("stage", "list", "--json").data["staged"]}


@pytest.fixture
def resumed(ocsync: Run, shop: Shop) -> Run:
    """A run that set, adjusted, put, made and assigned."""
    shop.stock(records=3, products=1, quantity=10)
    shop.seed(catalog=[{"ID": "C", "Name": "C", "xp": {"a": 1}}], buyer=[{"ID": "B", "Name": "B", "DefaultCatalogID": "C"}],
              **{"catalog-assignment": [{"CatalogID": "C", "BuyerID": "B", "ViewAllCategories": True, "ViewAllProducts": True}]})  # fmt: skip
    for words in (
        "set inventory/P0/R0 QuantityAvailable=40", "adjust inventory/P0/R1 QuantityAvailable+=5", "set inventory/P0/R2 OrderCanExceed=true",
        "put catalog/C Name=new xp.b=2 --replace", "put catalog/MADE Name=made", "assign catalog-product/MADE/P0",
        "assign catalog-assignment/C/B ViewAllCategories=false ViewAllProducts=true",
    ):  # fmt: skip
        assert ocsync("stage", *words.split()).code == 0
    assert ocsync("resume").code == 0
    return ocsync


def test_the_way_back_is_staged_and_nothing_sent(resumed: Run, shop: Shop) -> None:
    writes = len(shop.writes())
    dry = resumed("rollback", "--dry-run", "--json").data
    assert staged(resumed) == {}
    result = resumed("rollback", "--json")
    assert result.code == 0
    assert {e["ref"]: e["op"] for e in result.data["staged"]} == {
        "inventory/P0/R0": "adjust", "inventory/P0/R1": "adjust", "inventory/P0/R2": "set", "catalog/C": "put",
        "catalog-assignment/C/B": "assign",
    }  # fmt: skip
    assert [e["fields"] for e in dry["staged"]] == [e["fields"] for e in result.data["staged"]]
    assert sorted(result.data["created"]) == ["catalog-product/MADE/P0", "catalog/MADE"]
    assert len(shop.writes()) == writes
    plan = resumed("plan", "--diff", "--json").data
    assert plan["steps"] == 5
    assert resumed("resume", "--verify").code == 0
    assert resumed("delete", "--file", result.data["file"], "--yes").code == 0
    assert shop.get("/catalogs/C")["xp"] == {"a": 1}
    assert shop.get(STOCK)["QuantityAvailable"] == 10
    assert shop.call("GET", "/catalogs/MADE").status_code == 404


def test_it_is_taken_back_once(resumed: Run, shop: Shop) -> None:
    """A sum would go back twice; what was taken back and that taken back may go back again."""
    first = newest(resumed)
    for _ in range(2):
        assert resumed("rollback", first).code == 0
        assert len(staged(resumed)) == 5, "the second time it is staged already"
    assert resumed("resume").code == 0
    back = newest(resumed)
    again = resumed("rollback", first, "--json").data
    assert (again["staged"], len(again["undone"])) == ([], 5)
    assert resumed("rollback").code == 0, "the last that changed something is the way back"
    assert resumed("resume").code == 0
    assert shop.get(STOCK)["QuantityAvailable"] == 40
    info = resumed("history", newest(resumed), "--json").data["run"]
    assert info["undoes"] == [back]
    assert len(resumed("rollback", first, "--json").data["staged"]) == 5


def test_sold_since_is_kept_and_changed_since_is_left_out(resumed: Run, shop: Shop) -> None:
    shop.call("PATCH", STOCK, {"QuantityAvailable": 36})
    shop.call(
        "PATCH",
        "/products/P0/inventoryrecords/R2",
        {"OrderCanExceed": False, "NotificationPoint": 3},
    )
    shop.call("PATCH", "/catalogs/C", {"Name": "theirs"})
    shop.call("DELETE", "/catalogs/MADE")
    result = resumed("rollback")
    assert result.code == 6
    assert "catalog/C  Name was C, the run set new, now it is theirs" in result.out
    assert "1 ref changed since (--overwrite REF)" in result.out
    assert set(staged(resumed)) == {"inventory/P0/R0", "inventory/P0/R1", "catalog-assignment/C/B"}
    assert "MADE" not in result.out, "what is gone needs no delete"
    by_name = resumed("rollback", "--overwrite", "catalog/C", "--overwrite", "inventory/P0/R2")
    assert by_name.code == 0, by_name
    assert resumed("resume").code == 0
    assert shop.get(STOCK)["QuantityAvailable"] == 6
    assert shop.get("/catalogs/C")["Name"] == "C"


def test_what_changes_before_the_resume_is_guarded(resumed: Run, shop: Shop) -> None:
    resumed("rollback")
    shop.call("PATCH", "/catalogs/C", {"Name": "theirs"})
    writes = len(shop.writes())
    assert resumed("resume").code == 6
    assert len(shop.writes()) == writes


def test_refs_that_are_staged_are_not_mixed(resumed: Run) -> None:
    resumed("stage", "set", "inventory/P0/R2", "NotificationPoint=1")
    result = resumed("rollback")
    assert result.code == 6
    assert "other staged edits, such as inventory/P0/R2" in result.err
    assert list(staged(resumed)) == ["inventory/P0/R2"], "nothing is half staged"


def test_runs_that_cannot_be_taken_back(ocsync: Run, shop: Shop) -> None:
    assert ocsync("rollback").code == 66
    assert ocsync("rollback", "0101").code == 66
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=5")
    assert ocsync("resume").code == 0, "it has that already"
    assert ocsync("rollback").code == 66
    assert ocsync("rollback", newest(ocsync)).code == 0, "there is nothing to do"
    assert ocsync("rollback", "--overwrite", "nope/1").code == 64


def test_a_run_that_is_not_finished_comes_first(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request", 1, "after"))
    result = ocsync("rollback", newest(ocsync))
    assert (result.code, "ocsync resume" in result.err) == (6, True)


def test_products_whose_reads_lag_are_waited_for(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": "P", "Name": "old"}])
    shop.switch(product_lag=0.8, lag_get=True)
    ocsync("stage", "set", "product/P", "Name=new")
    assert ocsync("resume").code == 0
    early = ocsync("rollback", "--settle", "0", "--json").data
    assert early["staged"] == []
    result = ocsync("rollback", "--json")
    assert [e["fields"] for e in result.data["staged"]] == [{"Name": "old"}]


FAMILY: dict[str, Any] = {
    "catalog": [{"ID": "C", "Name": "C", "xp": {"a": 1}}],
    "buyer": [{"ID": "B", "Name": "B", "DefaultCatalogID": "C", "Active": True}],
    "category": [
        {"CatalogID": "C", "ID": "K1", "Name": "1"}, {"CatalogID": "C", "ID": "K2", "Name": "2", "ParentID": "K1", "ListOrder": 3},
    ],
    "usergroup": [{"BuyerID": "B", "ID": "G", "Name": "G"}],
    "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B", "ViewAllProducts": True, "ViewAllCategories": False}],
    "catalog-product": [{"CatalogID": "C", "ProductID": "P0"}],
    "category-product": [{"CatalogID": "C", "CategoryID": "K2", "ProductID": "P0", "ListOrder": 2}],
    "product-assignment": [{"ProductID": "P0", "BuyerID": "B"}, {"ProductID": "P0", "BuyerID": "B", "UserGroupID": "G"}],
}  # fmt: skip


def test_deletes_go_back_with_what_went_along(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=2, products=1)
    shop.call("PUT", "/products/P0", {"Name": "n", "Inventory": {"Enabled": True}})
    shop.seed(**FAMILY)
    before = marketplace(shop.emulator)
    assert ocsync("delete", "category/C/K1", "product/P0", "usergroup/B/G", "--yes").code == 0
    run = newest(ocsync, "delete")
    result = ocsync("rollback", run)
    assert result.code == 0, result
    assert ocsync("resume", "--verify").code == 0
    assert marketplace(shop.emulator) == before
    assert ocsync("stage", "set", "product/P0", "Name=x").code == 0, "it exists again"
    assert ocsync("rollback", run, "--json").data["staged"] == []
    shop.call("PATCH", "/products/P0", {"Name": "theirs"})
    again = ocsync("rollback", run)
    assert (again.code, "product/P0  was recreated since, with other values" in again.out) == (
        6,
        True,
    )


def test_what_cannot_come_back_is_told(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=120, products=1)
    user = {
        "FirstName": "f",
        "LastName": "l",
        "Email": "e@x.example",
        "Active": True,
        "Username": "u",
    }
    shop.seed(**FAMILY, **{"buyer-user": [{"BuyerID": "B", "ID": "U", **user}],
                           "usergroup-assignment": [{"BuyerID": "B", "UserGroupID": "G", "UserID": "U"}]})  # fmt: skip
    assert ocsync("delete", "buyer/B", "product/P0", "--yes").code == 0
    result = ocsync("rollback", newest(ocsync, "delete"))
    assert result.code == 3
    for text in (
        "buyer-user/B/U  cannot be recreated: its password is write-only",
        "usergroup-assignment/B/G/U  cannot be recreated without buyer-user/B/U",
        "product/P0  20 of its 120 dependents (inventory) not recorded",
        "2 refs cannot be restored",
    ):
        assert text in result.out, result.out
    assert ocsync("resume").code == 0
    assert shop.get("/products/P0/inventoryrecords")["Meta"]["TotalCount"] == 100


@pytest.mark.parametrize("deleted", [["buyer/B"], ["buyer/B", "catalog/B"]], ids=["kept", "gone"])
def test_a_buyer_comes_back_beside_its_own_catalog(
    ocsync: Run, shop: Shop, deleted: list[str]
) -> None:
    """A put of a buyer that names no catalog is refused where one with its ID exists."""
    shop.seed(
        buyer=[{"ID": "B", "Name": "b", "Active": True}],
        catalog=[{"ID": "B", "Name": "own", "Description": "d", "Active": True}],
    )
    before = marketplace(shop.emulator)
    ok(ocsync("delete", *deleted, "--yes"))

    result = ok(ocsync("rollback", newest(ocsync, "delete"), "--json"))

    assert [(lost["ref"], lost["irreversible"]) for lost in result.data["lost"]] == [
        ("buyer/B", False)
    ], "assignments of records to it are in no list"
    ok(ocsync("resume", "--verify"))
    assert marketplace(shop.emulator) == before


def test_dependents_that_the_delete_could_not_count_are_named(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=1, products=1)
    refused = {"method": "GET", "path": "/products/P0/suppliers", "status": 403, "times": 1}
    shop.faults(refused)
    shown = ok(ocsync("delete", "product/P0", "--yes"))
    assert "! not counted: product-supplier (" in shown.err
    shown = ok(ocsync("rollback", newest(ocsync, "delete")))
    assert "! product/P0  dependents not recorded, if it had any: product-supplier" in shown.out
    ok(ocsync("resume"))
    shown = ok(ocsync("delete", "product/P0", "--yes", "--no-count"))
    assert "not counted: " not in shown.err
    shown = ok(ocsync("rollback", newest(ocsync, "delete")))
    assert "spec-product-assignment, variant, inventory and " in shown.out


def test_bundles_in_categories_come_back(ocsync: Run, shop: Shop) -> None:
    """No list has them by bundle alone, so the catalogs are listed first."""
    shop.stock(records=0, products=1)
    shop.seed(
        catalog=[{"ID": "C", "Name": "c"}],
        category=[{"CatalogID": "C", "ID": "K", "Name": "k"}],
        bundle=[{"ID": "B", "Name": "b"}],
        **{"category-bundle": [{"CatalogID": "C", "CategoryID": "K", "BundleID": "B"}]},
    )
    before = marketplace(shop.emulator)
    shown = ok(ocsync("delete", "bundle/B", "product/P0", "--yes"))
    assert "1 category bundle" in shown.err
    assert "variant-inventory" not in shown.err
    ok(ocsync("rollback", newest(ocsync, "delete")))
    ok(ocsync("resume", "--verify"))
    assert marketplace(shop.emulator) == before


def there_and_back(run: Run, shop: Shop, sequence: list[Entry]) -> None:
    """Resume, rollback, resume, delete: as before. And that taken back: as after."""
    shutil.rmtree(".ocsync", ignore_errors=True)
    shop.emulator.reset()
    shop.seed(**SEED)
    run("init")
    add_profile(run, shop)
    before = comparable(shop)
    lines = [
        json.dumps({"ref": e.ref, "op": e.op, "fields": e.fields, "replace": e.replace}) for e in sequence
    ]  # fmt: skip
    given_ = run("stage", "import", "-", stdin="\n".join(lines).encode())
    if given_.code == 65:
        return
    assert run("resume", "--yes", "--no-pause", *RISKY).code in (0, 3)
    run("stage", "clear", "--yes")
    after = comparable(shop)
    first = run("rollback", "--json")
    if first.code == 66:
        assert after == before
        return
    assert first.code == 0, first
    done = [ok(run("resume", "--no-pause", *RISKY))] if first.data["staged"] else []
    if first.data["created"]:
        ok(run("delete", "--file", first.data["file"], "--yes"))
    assert comparable(shop) == before

    if done and any(info["undoes"] for info in run("history", "--json").data["runs"]):
        back = next(i for i in run("history", "--json").data["runs"] if i["undoes"])
        ok(run("rollback", back["id"]))
    brought = set()
    if first.data["created"]:
        again = ok(run("rollback", newest(run, "delete"), "--json")).data
        said = [what.partition("recreating it also creates ") for one in again["lost"]
                for what in one["what"]]  # fmt: skip
        brought = {ref.casefold() for _, found, ref in said if found}
    ok(run("resume", "--no-pause", *RISKY))
    again_there = {
        n: d for n, d in comparable(shop).items() if n.rstrip("/") not in brought or n in after
    }
    assert again_there == after


def ok(result: Result) -> Result:
    assert result.code == 0, result
    return result


def comparable(shop: Shop) -> dict[str, Any]:
    """The marketplace but for what cannot go back: keys of xp are null, and links stay.

    A seed has null where a write has false.
    """
    found = {}
    for name, document in marketplace(shop.emulator).items():
        if not name.startswith(("product-supplier/", "catalog-product/")):
            models = {m: without_null(document.get(m)) for m in ("xp", "inventory")}
            found[name] = {**document, **models}
    return found


def without_null(document: dict[str, Any] | None) -> dict[str, Any]:
    return {n: v for n, v in (document or {}).items() if v is not None and v is not False}


@pytest.mark.slow
@settings(deadline=None, max_examples=3, phases=NO_SHRINK, suppress_health_check=list(HealthCheck))
@given(st.lists(entries(), min_size=1, max_size=8))
def test_there_and_back_again(run: Run, shop: Shop, sequence: list[Entry]) -> None:
    there_and_back(run, shop, sequence)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(
    deadline=None,
    max_examples=120,
    phases=NO_SHRINK,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(entries(), min_size=1, max_size=12))
@example([
    Entry(op=Op.PUT, ref="buyer/B9", fields={"Name": "b", "DefaultCatalogID": None}, replace=True),
    Entry(op=Op.SET, ref="buyer/B9", fields={"DefaultCatalogID": None, "Active": True}),
])  # fmt: skip
@example([
    Entry(op=Op.PUT, ref="buyer/B9", fields={"Name": "b", "DefaultCatalogID": "C1"}, replace=True),
    Entry(op=Op.PUT, ref="buyer/B9", fields={"Name": "b"}, replace=True),
])  # fmt: skip
def test_there_and_back_in_many_more_cases(run: Run, shop: Shop, sequence: list[Entry]) -> None:
    there_and_back(run, shop, sequence)


def test_what_came_with_a_buyer_that_is_gone_is_still_listed(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "put", "buyer/B", "Name=b")
    run_id = ocsync("resume", "--json").events[-1]["run"]["id"]
    for ref, made in (
        ("", ["buyer/B", "catalog/B"]),
        ("buyer/B", ["catalog/B"]),
        ("catalog/B", []),
    ):
        if ref:
            shop.call("DELETE", url_of(ref))
        assert ocsync("rollback", run_id, "--json").data["created"] == made


def test_the_list_for_the_delete_is_a_file(resumed: Run) -> None:
    shown = resumed("rollback")
    name = newest(resumed)
    file = Path(f".ocsync/profiles/test/runs/{name}/made.txt")
    assert file.read_text().split() == ["catalog/MADE", "catalog-product/MADE/P0"]
    assert "ocsync delete catalog/MADE catalog-product/MADE/P0" in shown.err
    assert all(len(line) <= 80 for line in shown.out.splitlines()), shown.out


def test_a_quantity_that_cannot_come_back_is_told(ocsync: Run, shop: Shop) -> None:
    """A quantity cannot go back beside a record that is staged: it would be their sum."""
    shop.stock(records=0, products=1)
    ocsync("stage", "set", "product/P0", "Inventory.QuantityAvailable=6")
    assert ocsync("resume").code == 0
    ocsync("stage", "put", "inventory/P0/R", "AddressID=wh-0")

    result = ocsync("rollback")

    assert result.code == 3
    assert "Inventory.QuantityAvailable is the sum of staged inventory records" in result.out
    assert staged(ocsync).keys() == {"inventory/P0/R"}


def test_first_price_breaks_stay_and_are_told(ocsync: Run, shop: Shop) -> None:
    shop.seed(**{"price-schedule": [{"ID": "S", "Name": "s"}]})
    breaks = '[{"Quantity": 1, "Price": 2}]'
    ok(ocsync("stage", "set", "price-schedule/S", "Name=t", f"PriceBreaks:={breaks}"))
    ok(ocsync("resume"))

    result = ocsync("rollback")

    assert result.code == 3
    assert "price-schedule/S  PriceBreaks keeps its value" in result.out
    assert "1 ref can be restored only in part" in result.out
    ok(ocsync("resume", "--verify"))
    found = shop.get("/priceschedules/S")
    assert (found["Name"], len(found["PriceBreaks"])) == ("s", 1)
