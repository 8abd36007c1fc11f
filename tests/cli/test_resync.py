"""Resync by hand: what is sent, what is asked, what is left after anything."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ocsync.plurals import count
from tests.builders import HTTP, Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash
from tests.processes import Started

TABLES: dict[str, Any] = {
    "catalog": [{"ID": c, "Name": c} for c in "CD"],
    "buyer": [{"ID": b, "Name": b, "DefaultCatalogID": "C"} for b in "AB"],
    "category": [{"CatalogID": "C", "ID": k, "Name": k} for k in ("K", "L")],
    "price-schedule": [{"ID": "S", "Name": "S"}],
    "catalog-product": [{"CatalogID": "C", "ProductID": f"P{n}"} for n in range(3)],
    "category-product": [{"CatalogID": "C", "CategoryID": "K", "ProductID": "P1"}],
    "catalog-assignment": [
        {"CatalogID": "C", "BuyerID": "A", "ViewAllCategories": True, "ViewAllProducts": True}
    ],
    "product-assignment": [{"ProductID": "P2", "BuyerID": "A", "PriceScheduleID": "S"}],
}


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """Five products with a record each, three of them in catalog C; buyers, a price schedule."""
    shop.stock(records=5, products=5)
    shop.seed(**TABLES)
    return shop


def asked_for(shop: Shop) -> list[str]:
    """The sync requests that were sent: the last part of their path's target, and their IDs."""
    return [
        "/".join([r["path"].split("/")[-2], *json.loads(r["body"]).values()])
        for r in shop.requests()
        if r["path"].endswith("/sync")
    ]


@pytest.mark.quick(4)
@pytest.mark.parametrize(("words", "stdin", "sent"), [
    (("inventory", "P0/R0", "inventory/P1/R1"), b"", ["inventoryrecords/P0/R0", "inventoryrecords/P1/R1"]),
    (("inventory", "-"), b"P0/R0\n# no\n\nP0/R0\ninventory/P1/R1\n", ["inventoryrecords/P0/R0", "inventoryrecords/P1/R1"]),
    (("-",), b"product/P0\nbuyer/A\n", ["productsync/P0", "buyers/A"]),
    (("product/P0", "category/C/K", "category-product/C/K/P1"), b"", ["productsync/P0", "categories/C/K", "productsync/P1"]),
    (("products", "variant/P0/V"), b"", ["productsync/P0"]), (("suppliers", "catalog/C", "X"), b"", None),
    (("variant-inventory/P0/V/R", "price-schedule/S"), b"", ["productsync/P0", "productsync/P2"]),
    (("products", "--catalog", "C"), b"", ["productsync/P0", "productsync/P1", "productsync/P2"]),
    (("inventory", "--catalog", "C"), b"", ["inventoryrecords/P0/R0", "inventoryrecords/P1/R1", "inventoryrecords/P2/R2"]),
    (("--catalog", "C"), b"", ["catalogs/C", "categories/C/K", "categories/C/L", "productsync/P0", "productsync/P1", "productsync/P2"]),
    (("catalog-wide", "--catalog", "D"), b"", ["catalogs/D"]),
])  # fmt: skip
def test_what_is_named_is_sent(
    ocsync: Run, stocked: Shop, words: tuple[str, ...], stdin: bytes, sent: list[str] | None
) -> None:
    result = ocsync("resync", *words, stdin=stdin)
    assert result.code == (65 if sent is None else 0), result
    assert sorted(asked_for(stocked)) == sorted(sent or [])
    assert len(stocked.messages()) == len(sent or [])


@pytest.mark.parametrize(("words", "code", "said"), [
    ((), 64, "no unfinished resync"), (("inventory",), 64, "give a target and IDs"), (("orders", "X"), 64, "no sync request"),
    (("P0",), 64, "not a sync target"), (("inventory", "P0"), 65, "is not ProductID/InventoryRecordID"), (("P0/R0",), 65, "not a kind"),
    (("inventory", "variant-inventory/P/V/R"), 65, "is sent by target products"), (("address/wh-0",), 65, "no message of its own"),
    (("catalog-wide", "X"), 64, "is a group"), (("products", "X", "--catalog", "C"), 64, "give only one of"), (("products", "-"), 64, "no ID"),
    (("--since", "2h"), 64, "give a target"), (("categories", "--since", "2h"), 64, "has none"), (("inventory", "--since", "2h"), 64, "of one product at a time"),
    (("products", "--since", "soon"), 64, "is not a time such as"), (("buyers", "--catalog", "C"), 64, "a catalog contains none of them"),
    (("products", "--since", "2h", "--catalog", "C"), 64, "work only for inventory"), (("--catalog", "NONE"), 1, "404 NotFound"), (("--catalog", "a/b"), 64, "a catalog is written"),
    (("--run", "0101"), 66, "no run 0101"), (("--dry-run",), 64, "for the dry run"),
])  # fmt: skip
def test_what_cannot_be_meant(
    ocsync: Run, stocked: Shop, words: tuple[str, ...], code: int, said: str
) -> None:
    result = ocsync("resync", *words)
    assert (result.code, said in result.err) == (code, True), result
    assert asked_for(stocked) == []


def test_a_dry_run_sends_nothing(ocsync: Run, stocked: Shop) -> None:
    result = ocsync("resync", "--catalog", "C", "--dry-run", "--json")
    assert result.code == 0
    assert result.events[-1]["targets"] == {"catalogs": 1, "categories": 2, "products": 3}
    assert {"target": "products", "ref": "product/P1"} in result.events[-1]["syncs"]
    assert "nothing was sent" in ocsync("resync", "inventory", "P0/R0", "-n").err
    assert asked_for(stocked) == []
    assert ocsync("history", "--json").data["runs"] == []


@pytest.mark.quick(2)
@pytest.mark.parametrize(("staged", "sent"), [
    (("set", "catalog/C", "Name=x"), {"catalogs/C", "productsync/P0", "productsync/P1", "productsync/P2"}),
    (("assign", "catalog-assignment/C/B", "ViewAllCategories=true", "ViewAllProducts=true"), {"catalogs/C", "productsync/P0", "productsync/P1", "productsync/P2"}),
    (("set", "category/C/K", "Name=x"), {"categories/C/K", "productsync/P1"}),
    (("assign", "category-assignment/C/K/A", "Visible=true"), {"categories/C/K", "productsync/P1"}),
    (("set", "buyer/A", "Name=x"), {"buyers/A", "productsync/P0", "productsync/P1", "productsync/P2"}),
    (("set", "price-schedule/S", "Name=x"), {"productsync/P2"}), (("set", "inventory/P0/R0", "QuantityAvailable=9"), {"inventoryrecords/P0/R0"}),
])  # fmt: skip
def test_a_run_s_changes_and_the_products_that_they_touch(
    ocsync: Run, stocked: Shop, staged: tuple[str, ...], sent: set[str]
) -> None:
    assert ocsync("stage", *staged).code == 0
    assert ocsync("resume").code == 0
    name = ocsync("history", "--json").data["runs"][0]["id"]
    result = ocsync("resync", "--run", name)
    assert result.code == 0, result
    assert sorted(asked_for(stocked)) == sorted(sent)
    products = sum(one.startswith("productsync") for one in sent)
    assert (f"{count(products, 'product')}, affected by {staged[1]}" in result.err) is bool(
        products
    )
    if len(sent) > products:
        target = {"cat": "categories" if "category" in staged[1] else "catalogs", "buy": "buyers", "inv": "inventory"}  # fmt: skip
        ocsync("resync", target[staged[1][:3]], "--run", name)
        assert len(asked_for(stocked)) == len(sent) + 1, "one target alone, and no products"


def test_what_is_dated_since(ocsync: Run, stocked: Shop) -> None:
    stocked.seed(supplier=[{"ID": s, "Name": s} for s in "ST"])
    user = {"FirstName": "f", "LastName": "l", "Email": "e@x.example", "Active": True}
    for path in ("/buyers/A/users/U", "/buyers/B/users/V", "/suppliers/T/users/W", "/adminusers/X"):
        assert (
            stocked.call("PUT", path, {**user, "Username": path.replace("/", "")}).status_code < 300
        )
    for n in (0, 2, 4):
        stocked.call("PATCH", f"/products/P{n}/inventoryrecords/R{n}", {"QuantityAvailable": 1})
    for words, sent in (
        (("buyer-users", "--since", "1h"), {"users/A/U", "users/B/V"}),
        (("supplier-users", "--since", "1h"), {"users/T/W"}),
        (("inventory", "--catalog", "C", "--since", "2021-01-01"), {"inventoryrecords/P0/R0", "inventoryrecords/P2/R2"}),
        (("admin-users", "--since", "1d"), {"adminusers/X"}), (("buyers", "--since", "2020-01-01T10:00"), {"buyers/A", "buyers/B"}),
    ):  # fmt: skip
        before = len(asked_for(stocked))
        result = ocsync("resync", *words)
        assert result.code == 0, result
        assert set(asked_for(stocked)[before:]) == sent
        assert ("uses DateCreated" in result.err) is (words[0] != "inventory")
    assert "nothing matches" in ocsync("resync", "buyers", "--since", "2099-01-01").err


def test_one_that_is_refused_does_not_stop_the_others(ocsync: Run, stocked: Shop) -> None:
    result = ocsync("resync", "products", "P0", "NONE", "P1", "--json")
    assert result.code == 3
    summary = result.events[-1]
    assert (summary["done"], [one["ref"] for one in summary["failed"]]) == (2, ["product/NONE"])
    shown = ocsync("history", summary["run"]["id"])
    assert "product/NONE   404 NotFound" in shown.out
    assert "  resync products product/P0 product/NONE product/P1\n" in shown.out
    assert re.search(r"resync .* partly done", ocsync("history").out)


def test_many_are_warned_of_and_very_many_asked_about(ocsync: Run, shop: Shop) -> None:
    for number, asked in ((100, False), (101, False), (1001, True)):
        ids = "".join(f"P{n}\n" for n in range(number)).encode()
        result = ocsync("resync", "suppliers", "-", stdin=ids)
        assert ("Portal" in result.err) is (number > 100)
        assert result.code == (64 if asked else 3), result.err
        assert ("confirmation needed" in result.err) is asked
    assert len(asked_for(shop)) == 201


def delivery(shop: Shop, **fields: Any) -> None:
    shop.call("PATCH", "/integrations/deliveryconfig/emulator-log", fields).raise_for_status()


def test_a_target_that_takes_none_is_told_with_the_way_out(ocsync: Run, stocked: Shop) -> None:
    stocked.call("DELETE", "/integrations/entitysync/buyers")
    missing = ocsync("resync", "buyers", "A")
    assert (missing.code, "no sync config" in missing.err) == (78, True)
    left_out = ocsync("resync", "buyer/A", "product/P0")
    assert (left_out.code, "buyers: skipped, no sync config" in left_out.err) == (0, True)

    delivery(stocked, Enabled=False)
    before = len(asked_for(stocked))
    disabled = ocsync("resync", "--catalog", "C", "--concurrency", "1")
    assert disabled.code == 78, disabled
    assert "its delivery configuration emulator-log is disabled" in disabled.out
    assert len(asked_for(stocked)) - before == 3, "once a target is enough"
    delivery(stocked, Enabled=True)

    for code, exit_code, said in (
        ("ProductSyncConfig.AdminLockout", 78, "only Sitecore support can unlock it"), ("Auth.InsufficientRoles", 4, "ocsync profile check"),
    ):  # fmt: skip
        stocked.faults({"path": "/sync", "status": 400, "code": code, "times": 1})
        locked = ocsync("resync", "products", "P0", "P1", "--concurrency", "1")
        assert (locked.code, said in locked.out, code in locked.out) == (exit_code, True, True)
    assert ocsync("history", "--json").data["runs"][0]["state"] == "closed"


@pytest.mark.parametrize(
    ("while_paused", "code", "at_once", "after"),
    [("deliver", 0, 1, 1), ("hold", 0, 0, 1), ("refuse", 78, 0, 0)],
)
def test_while_paused_it_is_told_that_nobody_knows(
    ocsync: Run, stocked: Shop, while_paused: str, code: int, at_once: int, after: int
) -> None:
    stocked.switch(sync_while_paused=while_paused)
    ocsync("pause", "inventory")
    result = ocsync("resync", "inventory", "P0/R0")
    assert result.code == code, result
    assert (
        "inventory: paused; OrderCloud does not document whether it accepts sync requests"
        in result.err
    )
    assert ("ocsync unpause inventory" in result.out) is bool(code)
    assert len(stocked.messages()) == at_once
    ocsync("unpause", "inventory")
    assert len(stocked.messages()) == after


def test_a_full_sync_that_runs_is_waited_for_and_gone_on_after(ocsync: Run, stocked: Shop) -> None:
    words = ("resync", "products", "P0", "P1", "P2", "--concurrency", "1")
    stocked.faults({"path": "/sync", "status": 400, "code": "FullSyncStatus.FullSyncAlreadyRunning", "after": 1})  # fmt: skip
    stopped = ocsync(*words)
    assert (stopped.code, "a full sync is running" in stopped.err) == (75, True)
    other = ocsync("resync", "products", "P4")
    assert (other.code, "2 requests left" in other.err, "--drop abandons it" in other.err) == (
        64,
        True,
        True,
    )
    again = ocsync(*words)
    assert (again.code, "is not finished: 2 requests left; continuing it" in again.err) == (
        0,
        True,
    ), again
    assert Counter(asked_for(stocked)) == {"productsync/P0": 1, "productsync/P1": 2, "productsync/P2": 1}  # fmt: skip
    [run] = ocsync("history", "--json").data["runs"]
    assert (run["counts"], run["exit_code"], run["state"]) == ({"done": 3}, 0, "closed")


def test_one_is_given_up_when_that_is_wanted(ocsync: Run, stocked: Shop) -> None:
    assert "no unfinished resync" in ocsync("resync", "--drop").err
    stocked.faults({"path": "/sync", "status": 400, "code": "FullSyncStatus.FullSyncAlreadyRunning", "after": 1})  # fmt: skip
    assert ocsync("resync", "products", "P0", "P1", "--concurrency", "1").code == 75
    dropped = ocsync("resync", "--drop")
    assert (dropped.code, "1 request was not sent" in dropped.out) == (0, True), dropped
    assert "partly done" in ocsync("history").out
    assert ocsync("resync", "products", "P4").code == 0
    assert asked_for(stocked)[-1] == "productsync/P4"


def wait_for_syncs(shop: Shop, number: int) -> None:
    deadline = time.monotonic() + 20
    while len(asked_for(shop)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=["kill-9", "ctrl-c"])
def test_stopped_in_the_middle_it_goes_on(ocsync: Run, shop: Shop, stop: signal.Signals) -> None:
    """None is sent twice but those that were under way, of which a Ctrl-C leaves none."""
    shop.stock(records=1, products=120)
    shop.switch(latency=0.03)
    Path("ids").write_text("".join(f"P{n}\n" for n in range(120)))
    words = ["resync", "products", *Path("ids").read_text().split(), "--concurrency", "4"]
    with Started(*words) as process:
        wait_for_syncs(shop, 40)
        process.signal(stop)
        ended = process.wait()
    assert ended.code == (-9 if stop == signal.SIGKILL else 130), ended
    assert len(asked_for(shop)) < 120
    shop.switch(latency=0)
    again = ocsync("resync")
    assert (again.code, "continuing it" in again.err) == (0, True), again
    sent = Counter(asked_for(shop))
    twice = {name for name, number in sent.items() if number > 1}
    assert len(sent) == 120
    assert len(twice) <= (4 if stop == signal.SIGKILL else 0)
    [run] = ocsync("history", "--json").data["runs"]
    assert (run["counts"]["done"], run["state"], run["type"]) == (120, "closed", "resync")


@pytest.mark.quick(2)
@pytest.mark.parametrize("point", [
    CrashPoint("rename", 5), CrashPoint("rename", 5, "after"), CrashPoint("write", 3, "half"),
    CrashPoint("config", 1, "after"), CrashPoint("config", 3), CrashPoint("rename", 3),
], ids=lambda point: "-".join(map(str, point)))  # fmt: skip
def test_down_at_some_point_it_comes_right(ocsync: Run, stocked: Shop, point: CrashPoint) -> None:
    words = ("resync", "products", "P0", "P1", "P2", "P3", "--concurrency", "1")
    crashed = crash(*words, at=point)
    assert crashed.code == -signal.SIGKILL, crashed
    assert ocsync(*words).code == 0
    sent = Counter(asked_for(stocked))
    assert set(sent) == {f"productsync/P{n}" for n in range(4)}
    assert sum(sent.values()) <= 5, "the one that was under way may be sent twice"
    assert [run["state"] for run in ocsync("history", "--json").data["runs"]] == ["closed"]
    assert ocsync("resume").code == 0


def test_a_lost_answer_is_one_entity_s_until_there_are_many(ocsync: Run, stocked: Shop) -> None:
    from ocsync.client import retry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "_MAX_UNKNOWN", 1)
        stocked.faults({"path": "/sync", "status": 500, "times": 1})
        one = ocsync("resync", "products", "P0", "P1", "P2", "--concurrency", "1")
        assert (one.code, "product/P0   the server responded with 500" in one.out) == (3, True), one
        stocked.faults({"path": "/sync", "status": 500, "times": 100})
        all_of_them = ocsync("resync", "products", *(f"X{n}" for n in range(30)))
    assert all_of_them.code == 75
    assert "--drop" not in all_of_them.err


def test_a_resync_is_never_taken_for_a_resume(ocsync: Run, stocked: Shop) -> None:
    ocsync("stage", "set", "inventory/P0/R0", "QuantityAvailable=9")
    assert ocsync("resume").code == 0
    resumed = ocsync("history", "--json").data["runs"][0]["id"]
    for n in range(2):
        stocked.faults({"path": "/sync", "status": 400, "code": "FullSyncStatus.FullSyncAlreadyRunning", "times": n})  # fmt: skip
        words = ["products", *(f"P{n}" for n in range(5))]
        assert ocsync("resync", *words).code == 75 * n
        assert ocsync("status", "--offline", "--json").data["last_run"]["id"] == resumed
        assert ocsync("verify", "--json").events[-1]["run"] == resumed
        assert ocsync("resume").code == 0
        names = [run["id"] for run in ocsync("history", "--json").data["runs"]]
        assert len(names) == 2 + n
        refused = ocsync("verify", max(names))
        assert (refused.code, "is a resync and wrote nothing" in refused.err) == (64, True)
    ocsync("stage", "set", "inventory/P0/R0", "QuantityAvailable=8")
    assert "no estimate yet (no earlier run of 10 steps or more)" in ocsync("plan").out


def test_what_a_listing_answers_is_not_believed_blindly(ocsync: Run, stocked: Shop) -> None:
    """A catalog's products by the hundred, page by page; a list that is gone is no error."""
    rows = [{"CatalogID": "D", "ProductID": f"Q{n}"} for n in range(230)]
    stocked.seed(product=[{"ID": f"Q{n}", "Name": "q"} for n in range(230)], **{"catalog-product": rows})  # fmt: skip
    result = ocsync("resync", "products", "--catalog", "D", "--json")
    assert result.events[-1]["done"] == 230
    assert HTTP.get(stocked.url + "/_emulator/counts").json()["messages"]["products"] == 230
