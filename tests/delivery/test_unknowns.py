"""Whichever way the platform's unknowns are: the proof tells the truth, and the repair repairs.

What a target is left with is read from the listener's log by the test itself: an entity's last
message. A verification must say that all is well exactly when that is so.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from ocsync.store import Workspace
from tests.builders import Shop
from tests.conftest import Run
from tests.delivery.conftest import stage

RECORDS = 8
REFUSALS = {"deliver": 0, "hold": 0, "refuse": 78}
UNKNOWNS: dict[str, tuple[Any, ...]] = {
    "while_paused": ("queue", "drop"),
    "sync_while_paused": ("deliver", "hold", "refuse"),
    "missing_config": ("404", "empty"),
    "duplicates": (0, 3),
    "delivery_delay": (0.0, 0.2),
    "reorder": (False, True),
    "no_op": ("deliver", "silent"),
}
SAMPLE: tuple[dict[str, Any], ...] = (
    {"while_paused": "drop", "sync_while_paused": "hold", "no_op": "silent"},
    {"duplicates": 3, "reorder": True, "delivery_delay": 0.2, "missing_config": "empty"},
    {"while_paused": "drop", "duplicates": 3, "sync_while_paused": "refuse", "delivery_delay": 0.2},
)


def left_with() -> dict[str, Any]:
    """What a target that keeps the last message of each record has."""
    folder = Workspace(Path(".ocsync").absolute()).open_profile("", warn=pytest.fail)
    records = [m.payload["InventoryRecords"][0] for m in folder.delivery_log.read()
               if "InventoryRecords" in m.payload]  # fmt: skip
    return {record["ID"]: record["QuantityAvailable"] for record in records}


def settled(shop: Shop) -> None:
    """Wait until everything that was published was carried."""
    deadline = time.monotonic() + 20
    while (found := shop.counts())["carried"].get("http", 0) < sent(shop, found):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def sent(shop: Shop, counts: dict[str, Any]) -> int:
    """How many deliveries there must be of all that was published."""
    assert not counts["carried"].get("undelivered"), counts
    published: int = counts["delivered"]
    return published + (published // 3 if shop.emulator.options.duplicates else 0)


def open_shop(shop: Shop, **options: Any) -> list[str]:
    """A marketplace whose catalogs are not synced, and whose records changed a moment ago."""
    refs = shop.stock(records=RECORDS)
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    shop.call("DELETE", "/integrations/entitysync/catalogs")
    shop.emulator.publisher.counts.clear()
    shop.emulator.sender.counts.clear()
    shop.emulator.sender._accepted = 0
    shop.switch(**{name: values[0] for name, values in UNKNOWNS.items()} | options)
    for ref in refs[: RECORDS // 2]:
        _, product, record = ref.split("/")
        path = f"/products/{product}/inventoryrecords/{record}"
        shop.call("PATCH", path, {"QuantityAvailable": 7}).raise_for_status()
    return refs


def resumed(run: Run) -> dict[str, Any]:
    """The record of the last resume."""
    runs = run("history", "--json").data["runs"]
    found: dict[str, Any] = next(info for info in runs if info["type"] == "resume")
    return found


def rehearse(run: Run, shop: Shop, number: int, **options: Any) -> None:
    """A whole cycle with these *options*, at *number* pieces; it must come out right."""
    refs = open_shop(shop, **options)
    behaves = {name: values[0] for name, values in UNKNOWNS.items()} | options
    drops = behaves["while_paused"] == "drop"
    assert run("pause", "inventory", "products").code == 0
    synced = run("resync", "inventory", *(ref.removeprefix("inventory/") for ref in refs[:2]))
    assert synced.code == REFUSALS[behaves["sync_while_paused"]], (options, synced)
    stage(run, refs, number)
    for ref, name in (("product/P0", "Product 0"), ("product/P1", f"P {number}"), ("catalog/C", f"C {number}")):  # fmt: skip
        assert run("stage", "set", ref, f"Name={name}").code == 0

    result = run("resume", "--verify", "--delivery-timeout", "0.8s")
    settled(shop)
    found = resumed(run)
    facts, due = found["delivery"], RECORDS + 1
    if drops:
        lacking = facts["missing"] + facts["stale"]  # what was under way before comes as stale
        assert (result.code, lacking, facts["arrived"]) == (5, due, 0), (options, result)
        named = run("history", found["id"], "--json").data["findings"]
        assert {one["ref"] for one in named} == {*refs, "product/P1"}, options
    else:
        assert facts["arrived"] >= due - facts["stale"], (options, result)
    again = run("verify", "--delivery-timeout", "0")
    good = not drops and left_with() == {ref.rpartition("/")[2]: number for ref in refs}
    assert again.code == (0 if good else 5), (options, left_with(), again)
    if not good:
        mended = run("verify", "--redeliver", "--delivery-timeout", "1.5s")
        assert mended.code == 0, (options, mended)
        settled(shop)
    assert left_with() == {ref.rpartition("/")[2]: number for ref in refs}, options
    assert run("verify", "--delivery-timeout", "0").code == 0
    facts = resumed(run)["delivery"]
    silent = behaves["no_op"] == "silent" or drops
    assert (facts["arrived"], facts["not_due"]) == (due + (not silent), int(silent)), options
    assert facts["duplicates"] > 0 or not behaves["duplicates"], options
    assert facts["duplicates"] == 0 or behaves["duplicates"] or not good, options


@pytest.mark.slow
def test_a_sample_of_what_the_platform_may_do(attached: Run, shop: Shop) -> None:
    for number, options in enumerate(SAMPLE, 20):
        rehearse(attached, shop, number, **options)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("while_paused", UNKNOWNS["while_paused"])
@pytest.mark.parametrize("sync", UNKNOWNS["sync_while_paused"])
@pytest.mark.parametrize("missing", UNKNOWNS["missing_config"])
def test_all_that_the_platform_may_do(
    attached: Run, shop: Shop, while_paused: str, sync: str, missing: str
) -> None:
    names = ("duplicates", "delivery_delay", "reorder", "no_op")
    every = list(itertools.product(*(UNKNOWNS[name] for name in names)))
    for number, values in enumerate(every, 20):
        rehearse(
            attached, shop, number, while_paused=while_paused, sync_while_paused=sync,
            missing_config=missing, **dict(zip(names, values, strict=True)),
        )  # fmt: skip
