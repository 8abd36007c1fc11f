"""The rule of pausing: exactly what is ours is lifted, and nothing is paused at the end."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import Run, add_profile

CONFIG = "/integrations/entitysync/products/inventoryrecords"
PAUSES = Path(".ocsync/profiles/test/pause.toml")


def somebody(shop: Shop, *, paused: bool) -> None:
    shop.call("PATCH", CONFIG, {"Paused": paused})


def test_a_pause_is_remembered_with_why_and_until(ocsync: Run, shop: Shop) -> None:
    result = ocsync("pause", "inventory", "--reason", "stocktake", "--for", "2h")
    remembered = tomllib.loads(PAUSES.read_text())["inventory"]

    assert result.code == 0
    assert "‖ inventory  paused until" in result.out
    assert re.search(r"(?m)^  A pause does not hold deletes, .* search index\.$", result.err)
    assert remembered["reason"] == "stocktake"
    assert remembered["phase"] == "paused"
    assert remembered["found"]["Paused"] is False
    again = ocsync("pause", "inventory")
    assert (again.code, "already paused by you for" in again.out) == (0, True), again


def test_only_the_switch_is_sent(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory")
    sent = [r for r in shop.requests() if "integrations" in r["path"] and r["method"] != "GET"]
    assert [(r["method"], r["body"]) for r in sent] == [("PATCH", '{"Paused":true}')]


def test_somebody_elses_pause_is_left_alone(ocsync: Run, shop: Shop) -> None:
    somebody(shop, paused=True)
    refused = ocsync("pause", "inventory", "catalogs")
    assert refused.code == 7
    assert "paused by someone else" in refused.err
    assert "so that resume unpauses it: ocsync pause inventory --adopt" in refused.err
    assert not shop.paused("/integrations/entitysync/catalogs"), "nothing of it was done"

    assert ocsync("unpause", "inventory").code == 7
    assert ocsync("resume").code == 0
    assert shop.paused()
    assert ocsync("unpause", "inventory", "--force").code == 0
    assert not shop.paused()


@pytest.mark.parametrize("lease", ["0", "-1h", "soon"])
def test_a_lease_is_a_time(ocsync: Run, shop: Shop, lease: str) -> None:
    assert ocsync("pause", "inventory", "--for", lease).code == 64
    assert not shop.paused()


def test_an_adopted_pause_is_ours_to_lift(ocsync: Run, shop: Shop) -> None:
    somebody(shop, paused=True)
    adopted = ocsync("pause", "inventory", "--adopt")
    assert (adopted.code, "taken over on test" in adopted.out) == (0, True), adopted
    assert ocsync("resume").code == 0
    assert not shop.paused()


def test_a_replay_under_somebody_elses_pause_does_not_lift_it(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    somebody(shop, paused=True)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    result = ocsync("resume", "--verify")

    assert result.code == 3, "nothing of it is delivered yet"
    assert "is paused by someone else and stays paused" in result.err
    assert "‖ sent 1 edit in 1 request, but inventory stays paused" in result.out
    assert shop.paused()
    assert ocsync("resume").code == 0, "that is nothing to be done here"


def test_a_pause_that_was_lifted_is_made_again_only_when_asked(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("pause", "inventory")
    somebody(shop, paused=False)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    refused = ocsync("resume")
    assert refused.code == 7
    assert "someone else unpaused inventory" in refused.err
    assert not shop.writes()
    assert len(ocsync("stage", "list", "--json").data["staged"]) == 1

    assert ocsync("resume", "--repause").code == 0
    assert not shop.paused()
    bodies = [r["body"] for r in shop.requests() if "integ" in r["path"] and r["method"] == "PATCH"]
    assert bodies[-2:] == ['{"Paused":true}', '{"Paused":false}']


@pytest.mark.parametrize(("phase", "paused", "lifted"), [
    ("pausing", True, True), ("pausing", False, False),
    ("lifting", False, False),
])  # fmt: skip
def test_an_intent_left_by_a_crash_is_settled_by_the_server(
    ocsync: Run, shop: Shop, phase: str, paused: bool, lifted: bool
) -> None:
    """What the crash left is ours if it arrived, and forgotten if it did not."""
    ocsync("pause", "inventory")
    PAUSES.write_text(PAUSES.read_text().replace('"paused"', f'"{phase}"'))
    somebody(shop, paused=paused)
    before = len(shop.requests())

    assert ocsync("resume").code == 0

    sent = [r for r in shop.requests()[before:] if r["method"] == "PATCH"]
    assert bool(sent) is lifted
    assert not shop.paused()
    assert tomllib.loads(PAUSES.read_text()) == {}


def test_a_target_without_config_cannot_be_paused_by_name(ocsync: Run, shop: Shop) -> None:
    shop.call("DELETE", "/integrations/entitysync/catalogs")
    refused = ocsync("pause", "catalogs", "inventory")
    assert refused.code == 78
    assert not shop.paused()
    allowed = ocsync("pause", "catalog-wide")
    assert allowed.code == 0
    assert re.search(r"catalogs +skipped", allowed.err)
    assert shop.paused("/integrations/productsync")


def test_a_lease_that_ran_out_is_shown_and_lifted(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "--for", "2h")
    assert ocsync("expire").code == 0
    assert shop.paused(), "not yet"
    PAUSES.write_text(PAUSES.read_text().replace('until = "202', 'until = "200'))

    assert "overdue" in ocsync("status").out
    assert ocsync("status", "--exit-code").code == 2
    assert ocsync("expire").code == 0
    assert not shop.paused()


def test_status_tells_ours_theirs_and_drift(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "buyers", "--reason", "stocktake")
    shop.call("PATCH", "/integrations/productsync", {"Paused": True})
    shop.call("PATCH", "/integrations/entitysync/buyers", {"Paused": False})
    shop.call("DELETE", "/integrations/entitysync/suppliers")
    shown = ocsync("status")
    data = ocsync("status", "--json").data

    assert shown.code == 0
    assert re.search(r"‖ inventory +paused by", shown.out)
    assert re.search(r"‖ products +paused by someone else", shown.out)
    assert re.search(r"! buyers +unpaused by someone else", shown.out)
    assert "suppliers has no sync config" in shown.out
    assert data["drifted"] == ["buyers"]
    standings = {row["name"]: row["state"] for row in data["targets"]}
    assert standings["inventory"] == "paused_by_workspace"
    assert standings["products"] == "paused_by_other"


def test_a_config_that_went_away_under_our_pause_is_told(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "products")
    shop.call("DELETE", CONFIG)
    result = ocsync("status", "--exit-code")
    assert result.code == 2
    assert "! inventory  paused, but its sync config no longer exists" in result.out
    assert "‖ products   paused by " in result.out, "what is told stands in columns"


def test_status_offline_asks_nobody(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory")
    before = len(shop.requests())
    shown = ocsync("status", "--offline", "--exit-code")
    assert "inventory" in shown.out
    assert shown.code == 2
    assert len(shop.requests()) == before


def test_targets_lists_every_config(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory")
    result = ocsync("targets")
    assert result.code == 0
    assert len(result.out.splitlines()) == 11
    assert "paused" in next(
        line for line in result.out.splitlines() if line.startswith("inventory")
    )


def test_another_marketplace_is_refused(ocsync: Run, shop: Shop) -> None:
    """Journal and pauses belong to one marketplace, pinned at the first sign-in."""
    assert ocsync("profile", "check").code == 0
    shop.seed(marketplace="other")
    result = ocsync("pause", "inventory")
    assert result.code == 6
    assert "is for marketplace emulator" in result.err


def test_two_profiles_do_not_know_each_others_pauses(ocsync: Run, shop: Shop) -> None:
    add_profile(ocsync, shop, "second")
    ocsync("pause", "inventory")
    assert ocsync("unpause", "inventory", "--profile", "second").code == 7
    assert ocsync("unpause", "inventory").code == 0
