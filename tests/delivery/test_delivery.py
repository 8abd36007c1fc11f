"""Proof of delivery: a listener beside the real target, what it heard, and what is sent again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ocsync.delivery.messages import sign
from tests.builders import HTTP, Shop
from tests.conftest import Run
from tests.delivery.conftest import PATH, REAL, stage
from tests.delivery.listeners import SECRET


def delivery(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = shop.emulator.market.delivery_configs["emulator-log"]["DeliveryTargets"]
    return found


def test_a_listener_comes_and_goes_and_the_real_target_stays(
    ocsync: Run, shop: Shop, heard: str
) -> None:
    words = ("inventory", "products", "--endpoint", heard)
    for _ in range(2):
        assert ocsync("delivery", "attach", *words, "--secret-env", "LISTENER").code == 0
    assert delivery(shop) == {**REAL, "Http": {"Endpoint": heard, "Secret": SECRET}}
    shown = ocsync("delivery", "show", "emulator-log")
    assert ("real" in shown.out, SECRET in shown.out) == (True, False)
    [listed] = ocsync("delivery", "list", "--json").data["deliveries"]
    assert listed["targets"][:2] == ["products", "catalogs"]
    assert ocsync("delivery", "detach", *words).code == 0
    assert {name for name, target in delivery(shop).items() if target} == {"Kafka"}
    assert "ocsync-probe" not in shop.emulator.market.delivery_configs
    assert ocsync("delivery", "detach", *words).code == 0, "again, after a crash, does no harm"


def test_it_is_not_attached_where_the_real_target_would_be_lost(
    ocsync: Run, shop: Shop, heard: str
) -> None:
    shop.switch(nested_targets="replace")
    words = ("inventory", "--endpoint", heard, "--secret-env", "LISTENER")
    result = ocsync("delivery", "attach", *words)
    assert (result.code, "removes every delivery target" in result.err) == (64, True), result
    assert delivery(shop) == REAL
    assert list(shop.emulator.market.delivery_configs) == ["emulator-log"]
    shop.switch(nested_targets="merge")
    shop.call(
        "PATCH",
        PATH,
        {"DeliveryTargets": {"Http": {"Endpoint": "http://consumer.example", "Secret": "x"}}},
    )
    taken = ocsync("delivery", "attach", *words)
    assert (taken.code, "already has an HTTP target" in taken.err) == (64, True)


def test_resume_waits_until_everything_was_heard(attached: Run, shop: Shop) -> None:
    refs = shop.stock(records=30)
    shop.switch(delivery_delay=0.3, duplicates=3, reorder=True)
    stage(attached, refs)
    attached("pause", "inventory")
    result = attached("resume", "--verify")
    assert result.code == 0, result
    assert "the listener received 30 of 30" in result.out
    assert "duplicates" in result.out
    run = json.loads(attached("history", "--json").out)["runs"][0]
    assert (run["delivery"]["arrived"], run["delivery"]["missing"]) == (30, 0)
    assert run["delivery"]["last"] >= 0.3


def test_what_was_dropped_is_found_and_sent_again(attached: Run, shop: Shop) -> None:
    """With `drop` nothing arrives of what was changed while paused; one command mends it."""
    refs = shop.stock(records=12)
    shop.switch(while_paused="drop")
    stage(attached, refs)
    attached("pause", "inventory")
    result = attached("resume", "--verify", "--delivery-timeout", "0.3s")
    assert result.code == 5, result
    assert "the listener received 0 of 12" in result.out
    assert "did not arrive" in result.out
    assert "--redeliver" in result.err
    mended = attached("verify", "--redeliver", "--delivery-timeout", "2s")
    assert (mended.code, "12 of 12" in mended.out, "12 resent" in mended.out) == (
        0,
        True,
        True,
    ), mended
    assert len([r for r in shop.requests() if r["path"].endswith("/sync")]) == 12


def test_redeliver_in_one_go(attached: Run, shop: Shop) -> None:
    refs = shop.stock(records=5)
    shop.switch(while_paused="drop")
    stage(attached, refs)
    result = attached("resume", "--redeliver", "--delivery-timeout", "2s")
    assert result.code == 0, result
    assert "5 resent" in result.out


def test_older_content_is_not_taken_for_ours(attached: Run, shop: Shop) -> None:
    """A message that shows another value than what was written is stale; less stock was sold."""
    refs = shop.stock(records=2)
    stage(attached, refs)
    log = Path(".ocsync/profiles/test/delivery.jsonl")
    assert attached("resume", "--verify").code == 0
    text = log.read_text()
    assert '"QuantityAvailable":9' in text
    from ocsync.models import Delivery
    from ocsync.store import Workspace

    deliveries = (
        Workspace(Path(".ocsync").absolute()).open_profile("", warn=pytest.fail).delivery_log
    )
    kept = list(deliveries.read())
    log.unlink()
    for message in kept:
        record = message.payload["InventoryRecords"][0]
        number = 50 if record["ID"] == "R0" else 7
        payload = {**message.payload, "InventoryRecords": [{**record, "QuantityAvailable": number}]}
        deliveries.append([Delivery(at=message.at, namespace=message.namespace, payload=payload)])
    result = attached("verify", "--delivery-timeout", "0")
    assert result.code == 5
    assert (
        "inventory/P0/R0   arrived with older content: QuantityAvailable=50 instead" in result.out
    )
    assert "R1" not in result.out


def test_without_a_listener_nothing_is_waited_for(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, shop.stock(records=2))
    result = ocsync("resume", "--verify")
    assert (result.code, "heard" in result.out) == (0, False)


def test_what_the_listener_refuses(ocsync: Run, heard: str) -> None:
    body = json.dumps({"Headers": {"type": "x"}, "Payload": {}}).encode()
    statuses = [
        HTTP.post(heard, content=content, headers=headers).status_code
        for content, headers in (
            (body, {}), (body, {"X-oc-hash": sign("wrong", body)}), (body + b" ", {"X-oc-hash": sign(SECRET, body)}),
            (b"{}", {"X-oc-hash": sign(SECRET, b"{}")}), (body, {"X-oc-hash": sign(SECRET, body)}),
        )
    ]  # fmt: skip
    assert statuses == [401, 401, 401, 400, 200]
    assert len(Path(".ocsync/profiles/test/delivery.jsonl").read_text().splitlines()) == 1
    again = ocsync("listen", "http", "--port", "0", "--secret-env", "LISTENER")
    assert (again.code, "pid" in again.err) == (7, True)


@pytest.mark.parametrize(("words", "code"), [
    (("--bind", "0.0.0.0", "--unsigned"), 78), ((), 64), (("--secret-env", "NOT_SET"), 78), (("--unsigned", "--secret-env", "X"), 64),
])  # fmt: skip
def test_a_listener_that_would_be_a_risk(ocsync: Run, words: tuple[str, ...], code: int) -> None:
    assert ocsync("listen", "http", "--port", "0", *words).code == code


def test_a_target_is_bound_to_a_configuration(ocsync: Run, shop: Shop) -> None:
    shop.call(
        "PUT",
        "/integrations/deliveryconfig/other",
        {"Name": "o", "Enabled": True, "DeliveryTargets": REAL},
    )
    shop.call("DELETE", "/integrations/entitysync/buyers")
    for target in ("inventory", "buyers"):
        assert ocsync("delivery", "bind", target, "other").code == 0
    assert shop.get("/integrations/entitysync/buyers")["DeliveryConfigID"] == "other"
    assert ocsync("delivery", "bind", "inventory", "none").code == 1


def test_an_unknown_configuration_leads_to_the_list(ocsync: Run, shop: Shop) -> None:
    for words in (("show", "nope"), ("bind", "products", "nope")):
        failed = ocsync("delivery", *words)
        assert (failed.code, "next: ocsync delivery list" in failed.err) == (1, True), failed
