"""Which configuration a target delivers by: bound, bound again, and removed."""

from __future__ import annotations

import pytest

from tests.builders import Shop
from tests.conftest import Run

INVENTORY = "/integrations/entitysync/products/inventoryrecords"
BUYERS = "/integrations/entitysync/buyers"
REAL = {"Http": {"Endpoint": "https://a.example", "Secret": "s"}}


@pytest.fixture
def other(ocsync: Run, shop: Shop) -> Run:
    """A marketplace with a second delivery configuration."""
    config = {"Name": "o", "Enabled": True, "DeliveryTargets": REAL}
    shop.call("PUT", "/integrations/deliveryconfig/other", config)
    return ocsync


def test_several_targets_are_bound_and_keep_their_flags(other: Run, shop: Shop) -> None:
    shop.call("DELETE", BUYERS)
    shop.call("PATCH", INVENTORY, {"SyncEntityDeleted": False, "Paused": True})
    result = other("delivery", "bind", "inventory", "buyers", "other")
    assert result.code == 0, result
    assert "inventory  delivers by other (before: emulator-log)" in result.out
    assert shop.get(INVENTORY) == {
        "DeliveryConfigID": "other", "SyncEntityChanged": True, "SyncEntityDeleted": False, "Paused": True,
    }  # fmt: skip
    made = shop.get(BUYERS)
    assert (made["DeliveryConfigID"], made["SyncEntityChanged"]) == ("other", True)
    writes = len(shop.requests())
    again = other("delivery", "bind", "buyer", "inventory", "OTHER")
    assert again.out.count("already delivers by OTHER") == 2
    verbs = {r["method"] for r in shop.requests()[writes:] if r["path"].startswith("/v1/integ")}
    assert verbs == {"GET"}, "nothing is sent that changes nothing"
    shop.call("PATCH", "/integrations/deliveryconfig/other", {"Enabled": False})
    assert "other is disabled" in other("delivery", "bind", "catalog-wide", "other").err
    assert shop.get("/integrations/productsync")["DeliveryConfigID"] == "other"
    assert other("delivery", "bind", "inventory", "none").code == 1
    assert other("delivery", "bind", "nothing", "other").code == 64


def test_unbinding_says_what_it_means_and_asks(other: Run, shop: Shop) -> None:
    asked = other("delivery", "unbind", "inventory", "buyers")
    assert (asked.code, "confirmation needed" in asked.err) == (64, True)
    for told in (
        '"SyncEntityChanged": true',
        "To hold them instead: ocsync pause",
        "not even later",
    ):
        assert told in asked.err
    assert shop.call("GET", INVENTORY).status_code == 200
    done = other("delivery", "unbind", "inventory", "buyers", "--yes", "--json")
    assert done.code == 0
    [inventory, _] = done.data["removed"]
    assert inventory["found"]["DeliveryConfigID"] == "emulator-log"
    assert shop.refusal("GET", INVENTORY) == (404, "NotFound")
    again = other("delivery", "unbind", "inventory", "--yes")
    assert (again.code, "none of these targets has a sync config" in again.out) == (0, True)
    assert other("delivery", "bind", "inventory", "other").code == 0


def test_what_is_paused_is_not_unbound(other: Run, shop: Shop) -> None:
    """What is held for it would be lost, whoever paused it."""
    other("pause", "inventory")
    ours = other("delivery", "unbind", "inventory", "buyers", "--yes")
    assert (ours.code, "ocsync unpause inventory" in ours.err) == (6, True)
    other("unpause", "inventory")
    shop.call("PATCH", INVENTORY, {"Paused": True})
    theirs = other("delivery", "unbind", "buyers", "inventory", "--yes")
    assert (theirs.code, "paused by someone else" in theirs.err) == (7, True)
    assert shop.call("GET", BUYERS).status_code == 200, "then nothing is removed"


def test_production_is_confirmed_first(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENER", "sesame")
    run("init")
    profile = ("profile", "add", "live", "--api-url", shop.url, "--client-id", "emulator")
    run(*profile, "--secret-env", "TEST_SECRET", "--production")
    http = ("--endpoint", "http://127.0.0.1:1/", "--secret-env", "LISTENER")
    file = b'{"ID": "emulator-log", "Name": "x"}'
    writes: list[tuple[tuple[str, ...], bytes]] = [
        (("bind", "inventory", "emulator-log"), b""), (("unbind", "inventory", "--yes"), b""),
        (("attach", "inventory", *http), b""), (("apply", "-", "--yes"), file),
    ]  # fmt: skip
    for words, stdin in writes:
        result = run("delivery", *words, stdin=stdin)
        assert (result.code, "--confirm emulator" in result.err) == (64, True), result
        assert run("delivery", *words, "--confirm", "other", stdin=stdin).code == 64
    assert shop.call("GET", INVENTORY).status_code == 200
    assert run("delivery", "apply", "-", "--dry-run", stdin=file).code == 0
    assert run("delivery", "apply", "-", "--yes", "--confirm", "emulator", stdin=file).code == 0
    assert run("delivery", "unbind", "inventory", "--yes", "--confirm", "EMULATOR").code == 0


def test_the_list_shows_what_delivers_what(other: Run, shop: Shop) -> None:
    other("delivery", "bind", "inventory", "other")
    shown = other("delivery", "list").out.splitlines()
    assert [line for line in shown if "other" in line and "inventory" in line]
    facts = {
        one["ID"]: one["targets"] for one in other("delivery", "list", "--json").data["deliveries"]
    }
    assert facts["other"] == ["inventory"]
    shop.emulator.market.delivery_configs.clear()
    none = other("delivery", "list")
    assert (none.code, "ocsync delivery apply FILE" in none.err) == (0, True)
    assert other("delivery", "show", "other").code == 1
