"""What a verification says of the delivery: since when, of which runs, and what is left out."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.builders import Shop
from tests.conftest import Run
from tests.delivery.conftest import PATH, REAL, stage
from tests.delivery.listeners import wait_for
from tests.processes import Started

SOON = ("--delivery-timeout", "0.8s")


def last_run(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run("history", "--json").data["runs"][0]
    return found


def test_what_the_same_pause_held_counts_from_its_end(attached: Run, shop: Shop) -> None:
    """A run that is partly done leaves its targets paused; the next one answers for both."""
    refs = shop.stock(records=6)
    stage(attached, refs[:5])
    attached("stage", "set", refs[5], "AddressID=none")
    partly = attached("resume", "--verify")
    assert (partly.code, "stays paused" in partly.out) == (3, True), partly
    assert "inventory is paused: its changes are not delivered yet" in partly.out
    assert "did not arrive" not in partly.out
    first = last_run(attached)
    assert (first["counts"]["done"], first["delivery"]["missing"]) == (5, 0)

    time.sleep(0.6)
    attached("stage", "set", refs[5], "AddressID=wh-1")
    result = attached("resume", "--verify")
    assert result.code == 0, result
    assert "the listener received 6 of 6" in result.out
    assert f"includes the changes of run {first['id']} in the same pause" in result.out
    assert "after the unpause: " in result.out
    second = last_run(attached)["delivery"]
    assert 0 <= second["first"] <= second["p50"] <= second["p95"] <= second["last"] < 0.6
    arrivals = last_run(attached)["arrivals"]
    assert arrivals == sorted(arrivals)
    assert [number for _, number in arrivals] == [1, 2, 3, 4, 5, 6]
    assert arrivals[-1][0] == round(second["last"], 3)

    alone = attached("verify", first["id"], "--json").events[-1]["delivery"]
    assert (alone["arrived"], alone["last"] < 0.6, alone["runs"]) == (5, True, [])
    later = attached("verify", "--json").events[-1]["delivery"]
    assert (later["arrived"], later["runs"]) == (6, [first["id"]])


def test_without_a_pause_times_count_from_each_write(attached: Run, shop: Shop) -> None:
    stage(attached, shop.stock(records=3))
    result = attached("resume", "--verify", "--no-pause")
    assert result.code == 0, result
    assert "after the write: " in result.out
    assert last_run(attached)["delivery"]["early"] == 0


def test_what_is_missing_is_named_in_every_place(attached: Run, shop: Shop) -> None:
    refs = shop.stock(records=2)
    shop.switch(while_paused="drop")
    stage(attached, refs)
    result = attached("resume", "--verify", *SOON, "--json")
    assert result.code == 5
    found = result.events[-1]["delivery"]["findings"]
    assert [(one["ref"], one["result"], one["where"]) for one in found] == [
        (ref, "missing", "delivery") for ref in refs
    ]
    run = last_run(attached)
    shown = attached("history", run["id"])
    for ref in refs:
        assert f"{ref}   did not arrive" in shown.out
    assert "the listener received 0 of 2" in shown.out
    assert [f["where"] for f in attached("history", run["id"], "--json").data["findings"]] == [
        "delivery",
        "delivery",
    ]
    assert (run["exit_code"], attached("verify", *SOON).code) == (5, 5)
    mended = attached("verify", run["id"], "--redeliver", *SOON, "--json")
    assert (mended.code, mended.events[-1]["delivery"]["redelivered"]) == (0, 2)
    assert attached("history", run["id"], "--json").data["findings"] == []
    assert last_run(attached)["exit_code"] == 0, "what was mended is not held against the run"


def test_a_write_that_changed_nothing_need_not_arrive(attached: Run, shop: Shop) -> None:
    """A read of a product never suppresses a write, and a platform may be silent about it."""
    shop.stock(products=2)
    shop.switch(no_op="silent")
    attached("stage", "set", "product/P0", "Name=Product 0")
    attached("stage", "set", "product/P1", "Name=new")
    result = attached("resume", "--verify", "--delivery-timeout", "20s")
    assert result.code == 0, result
    assert "the listener received 1 of 1" in result.out
    assert "1 more write changed nothing, so no message is expected" in result.out


def test_what_has_no_sync_request_or_no_message_is_told(attached: Run, shop: Shop) -> None:
    shop.stock(records=0, products=1)
    shop.seed(**{
        "product": [{"ID": "P9", "Name": "V", "Inventory": {"Enabled": True, "VariantLevelTracking": True}}],
        "variant": [{"ProductID": "P9", "ID": "V", "Name": "V"}],
        "variant-inventory": [{"ProductID": "P9", "VariantID": "V", "ID": "R", "AddressID": "wh-0", "QuantityAvailable": 5}],
        "price-schedule": [{"ID": "S", "Name": "S"}],
    })  # fmt: skip
    shop.switch(while_paused="drop")
    attached("stage", "set", "variant-inventory/P9/V/R", "QuantityAvailable=9")
    attached("stage", "set", "price-schedule/S", "Name=new")
    result = attached("resume", "--verify", "--redeliver", *SOON)
    assert result.code == 5, result
    assert "did not arrive; it has no sync request; use: ocsync resync products P9" in result.out
    assert "1 price-schedule written: OrderCloud sends no message for this kind" in result.out
    assert not [r for r in shop.requests() if r["path"].endswith("/sync")]


def test_a_target_without_the_listener_is_named(attached: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    shop.call("PUT", PATH.replace("emulator-log", "other"),
              {"Name": "o", "Enabled": True, "DeliveryTargets": REAL})  # fmt: skip
    assert attached("delivery", "bind", "catalogs", "other").code == 0
    stage(attached, [ref])
    attached("stage", "set", "catalog/C", "Name=new")
    result = attached("resume", "--verify", *SOON)
    assert result.code == 5
    assert "the listener never received a message for catalogs: is it attached there" in result.out
    assert "nothing of inventory" not in result.out


def has_ended(pid: str) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout
    return not state.strip() or state.startswith("Z")


def test_a_listener_that_is_gone_is_not_waited_for(ocsync: Run, shop: Shop, heard: str) -> None:
    ocsync("delivery", "attach", "inventory", "--endpoint", heard, "--secret-env", "LISTENER")
    shop.switch(while_paused="drop")
    refs = shop.stock(records=2)
    stage(ocsync, refs[:1])
    assert ocsync("resume", "--verify", *SOON).code == 5
    shop.switch(while_paused="queue")
    stage(ocsync, refs[1:])
    assert ocsync("resume", "--verify").code == 0
    note = json.loads(next(Path(".ocsync/profiles/test").glob("listen*.holder")).read_text())
    subprocess.run(["kill", "-INT", note["pid"]], check=True)
    deadline = time.monotonic() + 10
    while not has_ended(note["pid"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    began = time.monotonic()
    names = [run["id"] for run in ocsync("history", "--json").data["runs"]]
    result = ocsync("verify", min(names), "--delivery-timeout", "20s")
    assert (result.code, "the listener is not running" in result.out) == (5, True), result
    assert time.monotonic() - began < 10
    Path(".ocsync/profiles/test/delivery.jsonl").unlink()
    nobody = ocsync("verify", "--redeliver")
    assert nobody.code == 0
    assert "no listener runs" in nobody.err
    assert f"ocsync resync --run {max(names)}" in nobody.err


def test_waiting_can_be_left(attached: Run, shop: Shop) -> None:
    """Ctrl-C while it waits: the run is complete, and nothing is paused."""
    shop.switch(while_paused="drop")
    stage(attached, shop.stock(records=1))
    with Started("resume", "--verify", "--json") as process:
        wait_for(lambda: "delivery_progress" in process.said()[0])
        process.signal(signal.SIGINT)
        ended = process.wait(20)
    assert (ended.code, "the run itself is complete" in ended.err) == (130, True), ended
    assert not shop.paused()
    assert (last_run(attached)["state"], attached("resume").code) == ("closed", 0)


def test_a_later_pause_does_not_hide_what_came_before(attached: Run, shop: Shop) -> None:
    """What is paused now says nothing of a run whose pause is over, or that had none."""
    refs = shop.stock(records=2)
    for ref, more in zip(refs, ((), ("--no-pause",)), strict=True):
        stage(attached, [ref])
        assert attached("resume", "--verify", *more).code == 0
    names = [run["id"] for run in attached("history", "--json").data["runs"]]
    attached("pause", "inventory")
    for name in names:
        result = attached("verify", name, *SOON)
        assert (result.code, "received 1 of 1" in result.out) == (0, True), result
        assert "is paused" not in result.out


def test_what_is_switched_off_is_told(attached: Run, shop: Shop) -> None:
    shop.call("PATCH", "/integrations/entitysync/products/inventoryrecords",
              {"SyncEntityChanged": False}).raise_for_status()  # fmt: skip
    stage(attached, shop.stock(records=1))
    result = attached("resume", "--verify", *SOON)
    assert (result.code, "inventory sends no changes" in result.out) == (0, True), result


def test_what_an_assignment_made_due_is_named_by_both(attached: Run, shop: Shop) -> None:
    shop.stock(products=1, records=0)
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    shop.switch(while_paused="drop")
    attached("stage", "assign", "catalog-product/C/P0")
    result = attached("resume", "--verify", *SOON)
    assert "product/P0   did not arrive, for catalog-product/C/P0" in result.out
    assert attached("verify", "--redeliver", *SOON).code == 0


def test_sending_again_on_production_is_confirmed(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, shop.stock(records=1))
    assert ocsync("resume").code == 0
    profile = Path(".ocsync/profiles/test/profile.toml")
    profile.write_text("production = true\n" + profile.read_text())
    assert ocsync("verify").code == 0, "looking asks nobody"
    asked = ocsync("verify", "--redeliver")
    assert (asked.code, "--confirm emulator" in asked.err) == (64, True), asked
    assert ocsync("verify", "--redeliver", "--confirm", "emulator").code == 0


def test_damage_in_what_is_remembered_of_pauses(ocsync: Run) -> None:
    for _ in range(2):
        assert ocsync("pause", "inventory").code == 0
        assert ocsync("unpause", "inventory").code == 0
    log = Path(".ocsync/profiles/test/pauses.jsonl")
    log.write_text(log.read_text().replace("inventory", "inventorX", 1))
    told = ocsync("doctor", "--offline")
    assert told.code == 78, told
    assert "pauses.jsonl: line 1 of 2" in told.out
    assert "delivery times would count from the writes" in told.out
