"""A listener beside the real target: it comes and goes, and what was there stays as it was."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash

SECRET = "sesame-open-up"
LISTENER = "http://127.0.0.1:8766/"
REAL = {
    "Kafka": {
        "BootstrapServers": "k.example:1",
        "SaslUsername": "u",
        "SaslPassword": "real",
        "Topic": "t",
    }
}
PATH = "/integrations/deliveryconfig/emulator-log"
KEPT = Path(".ocsync/profiles/test/attached.toml")
ATTACH = ("delivery", "attach", "inventory", "--endpoint", LISTENER, "--secret-env", "LISTENER")


@pytest.fixture
def real(ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A marketplace that delivers to somebody's Kafka topic."""
    monkeypatch.setenv("LISTENER", SECRET)
    shop.call("PUT", PATH, {"Name": "real", "Enabled": True, "DeliveryTargets": REAL})
    return ocsync


def stored(shop: Shop) -> dict[str, Any]:
    """The configuration with its secrets, as nobody but the platform has it."""
    document = copy.deepcopy(shop.emulator.market.delivery_configs["emulator-log"])
    targets = document["DeliveryTargets"]
    return {**document, "DeliveryTargets": {n: t for n, t in targets.items() if t}}


def kept() -> dict[str, Any]:
    return tomllib.loads(KEPT.read_text()) if KEPT.exists() else {}


@pytest.mark.parametrize("way", ["merge", "targets"])
def test_it_comes_by_one_patch_and_leaves_nothing_behind(real: Run, shop: Shop, way: str) -> None:
    shop.switch(nested_targets=way)
    found = stored(shop)
    result = real(*ATTACH)
    assert (result.code, "ocsync delivery detach" in result.err) == (0, True), result
    assert stored(shop)["DeliveryTargets"] == {
        **REAL, "Http": {"Endpoint": LISTENER, "Secret": SECRET},
    }  # fmt: skip
    patches = [r["method"] for r in shop.requests() if r["path"].endswith("/emulator-log")
               if r["method"] != "GET"]  # fmt: skip
    assert patches == ["PUT", "PATCH"], "the first is the test's own"
    [(key, facts)] = kept().items()
    assert (key, facts["phase"], facts["targets"]) == (
        "emulator-log/Http",
        "attached",
        ["inventory"],
    )
    assert SECRET not in KEPT.read_text()
    assert KEPT.stat().st_mode & 0o077 == 0
    detached = real("delivery", "detach", "--json")
    assert detached.data["detached"][0] == {
        "config": "emulator-log", "type": "Http", "Endpoint": LISTENER, "targets": ["inventory"],
        "was": "ours", "changed": [],
    }  # fmt: skip
    assert (stored(shop), kept()) == (found, {})
    assert list(shop.emulator.market.delivery_configs) == ["emulator-log"], "the probe is gone too"
    again = real("delivery", "detach")
    assert (again.code, "has attached no listener" in again.err) == (0, True)


def test_a_kafka_listener_goes_beside_an_http_target(real: Run, shop: Shop) -> None:
    http = {"Http": {"Endpoint": "https://consumer.example", "Secret": "real"}}
    shop.call("PUT", PATH, {"Name": "real", "Enabled": False, "DeliveryTargets": http})
    found = stored(shop)
    taken = real(*ATTACH)
    assert (taken.code, "--servers, --topic" in taken.err) == (64, True)
    words = ("delivery", "attach", "inventory", "--servers", "127.0.0.1:9092", "--topic", "oc")
    assert real(*words).code == 64, "OrderCloud has to sign in there"
    result = real(*words, "--username", "me", "--password-env", "LISTENER")
    assert result.code == 0, result
    assert "also delivers to topic oc at 127.0.0.1:9092 (inventory)" in result.out
    assert "emulator-log is disabled" in result.err
    assert stored(shop)["DeliveryTargets"]["Kafka"] == {
        "BootstrapServers": "127.0.0.1:9092", "SaslUsername": "me", "SaslPassword": SECRET, "Topic": "oc",
    }  # fmt: skip
    assert real("delivery", "detach", "inventory").code == 0
    assert stored(shop) == found


CRASHES = [
    ("attach", CrashPoint("config", 6), False), ("attach", CrashPoint("config", 6, "after"), True), ("attach", CrashPoint("rename", 3), True),
    ("detach", CrashPoint("config", 1), True), ("detach", CrashPoint("config", 1, "after"), False), ("detach", CrashPoint("rename", 2), False),
]  # fmt: skip


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("verb", "point", "there"), CRASHES, ids=["-".join(map(str, (c[0], *c[1]))) for c in CRASHES]
)  # fmt: skip
def test_it_is_taken_away_after_a_crash(
    real: Run, shop: Shop, verb: str, point: CrashPoint, there: bool
) -> None:
    """Wherever the machine went down: it is told, and one command leaves all as it was found."""
    found = stored(shop)
    if verb == "detach":
        assert real(*ATTACH).code == 0
    words = ATTACH if verb == "attach" else ("delivery", "detach")
    crashed = crash(*words, at=point)
    assert crashed.code == -9, crashed
    assert ("Http" in stored(shop)["DeliveryTargets"]) is there
    assert "also delivers to this workspace's listener" in real("status", "--offline").out
    result = real("delivery", "detach")
    assert result.code == 0, result
    assert ("no longer delivers" in result.out) is there
    assert (stored(shop), kept()) == (found, {})


def test_it_moves_when_the_tunnel_has_another_address(real: Run, shop: Shop) -> None:
    found = stored(shop)
    real(*ATTACH)
    other = "http://127.0.0.1:9999/"
    moved = real("delivery", "attach", "products", "--endpoint", other, "--secret-env", "LISTENER")
    assert moved.code == 0, moved
    assert stored(shop)["DeliveryTargets"]["Http"]["Endpoint"] == other
    assert kept()["emulator-log/Http"]["targets"] == ["inventory", "products"]
    before = KEPT.read_text().replace('"attached"', '"attaching"')
    KEPT.write_text(
        before.replace(other, LISTENER) + f'["emulator-log/Http".was]\nEndpoint = "{other}"\n'
    )
    assert real("delivery", "detach", "--endpoint", "http://elsewhere/").code == 0
    assert "Http" in stored(shop)["DeliveryTargets"], "that one is not ours"
    assert "no longer delivers" in real("delivery", "detach").out, (
        "the change under way had not arrived"
    )
    assert stored(shop) == found


def test_what_others_changed_meanwhile_stays(real: Run, shop: Shop) -> None:
    real(*ATTACH)
    shop.call("PATCH", PATH, {"Name": "renamed", "DeliveryTargets": {"Kafka": {"Topic": "t2"}}})
    told = real("delivery", "detach")
    assert (told.code, "left unchanged: Kafka, Name" in told.err) == (0, True), told
    real(*ATTACH)
    theirs = {"Endpoint": "https://consumer.example", "Secret": "theirs"}
    shop.call("PATCH", PATH, {"DeliveryTargets": {"Http": theirs}})
    left = real("delivery", "detach")
    assert (left.code, "no longer this listener; left unchanged" in left.out) == (0, True), left
    assert stored(shop)["DeliveryTargets"]["Http"] == theirs
    assert kept() == {}
    shop.call("PATCH", PATH, {"DeliveryTargets": {"Http": None}})
    real(*ATTACH)
    shop.call("PATCH", PATH, {"DeliveryTargets": {"Http": theirs}})
    again = real(*ATTACH)
    assert (again.code, "no longer this workspace's listener" in again.err) == (64, True)
    assert kept() == {}, "what is not ours is not remembered"


def test_a_configuration_that_is_gone_is_forgotten(real: Run, shop: Shop) -> None:
    real(*ATTACH)
    del shop.emulator.market.delivery_configs["emulator-log"]
    result = real("delivery", "detach")
    assert (result.code, "had already stopped" in result.out, kept()) == (0, True, {}), result


def test_one_that_another_workspace_left_is_taken_away_by_name(
    real: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stored(shop)
    real(*ATTACH)
    KEPT.unlink()
    assert "has attached no listener" in real("delivery", "detach").err
    by_name = ("delivery", "detach", "inventory", "--endpoint", LISTENER)
    asked = real(*by_name)
    assert (asked.code, "not attached by this workspace?" in asked.err) == (64, True)
    assert real(*by_name[:-1], "http://other/", "--yes").code == 0
    assert "Http" in stored(shop)["DeliveryTargets"]
    shop.switch(nested_targets="replace")
    assert real(*by_name, "--yes").code == 64
    shop.switch(nested_targets="merge")
    assert real(*by_name, "--yes").code == 0
    assert stored(shop) == found


def test_a_platform_that_would_lose_something_is_left_alone(real: Run, shop: Shop) -> None:
    shop.switch(nested_targets="replace")
    found = stored(shop)
    result = real(*ATTACH)
    said = "removes every delivery target that a PATCH does not name"
    assert (result.code, said in result.err) == (64, True), result
    assert (stored(shop), kept()) == (found, {})
    assert list(shop.emulator.market.delivery_configs) == ["emulator-log"]


def test_it_is_told_as_long_as_it_is_there(real: Run, shop: Shop) -> None:
    real(*ATTACH)
    for words in (("status",), ("status", "--offline"), ("delivery", "list")):
        shown = real(*words)
        assert "this workspace's listener" in shown.out
        assert LISTENER in shown.out
    assert real("status", "--json").data["attached"]["emulator-log/Http"]["targets"] == [
        "inventory"
    ]
    assert real("delivery", "list", "--json").data["attached"].keys() == {"emulator-log/Http"}
    [ref] = shop.stock(records=1)
    real("stage", "set", ref, "QuantityAvailable=9")
    assert "ocsync delivery detach" in real("resume").err
    removed = real("profile", "remove", "test", "--yes")
    assert (removed.code, "ocsync delivery detach" in removed.err) == (6, True)
    KEPT.write_text(KEPT.read_text().replace("since", "sunce"))
    for words in (("status",), ("delivery", "detach")):
        damaged = real(*words)
        assert (damaged.code, "attached.toml" in damaged.err) == (78, True)


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("--endpoint", LISTENER), 64, "--secret-env VAR or --secret-command"),
    (("--endpoint", LISTENER, "--secret-env", "NOT_SET"), 78, "NOT_SET is not set"),
    (("--endpoint", LISTENER, "--secret-env", "LONG"), 64, "Http.Secret is more than 50"),
    (("--endpoint", "x", "--secret-env", "LISTENER"), 64, "is not a URL"),
    (("--endpoint", LISTENER, "--servers", "k:1", "--secret-env", "LISTENER"), 64, "give --endpoint URL, or"),
    ((), 64, "give --endpoint URL, or"),
    (("--servers", "k.example:1", "--username", "u", "--password-env", "LISTENER"), 64, "--topic TOPIC"),
]  # fmt: skip


def test_what_is_not_attached(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONG", "s3cret" * 10)
    for words, code, said in WRONG:
        result = real("delivery", "attach", "inventory", *words)
        assert (result.code, said in result.err) == (code, True), (words, result)
        assert "s3cret" not in result.err
    assert not KEPT.exists()


def test_ordercloud_does_not_reach_this_machine(real: Run, run: Run) -> None:
    words = ("profile", "add", "far", "--environment", "useast-sandbox", "--client-id", "c")
    assert run(*words, "--secret-env", "LISTENER").code == 0
    result = run(*ATTACH, "--profile", "far")
    assert (result.code, "OrderCloud cannot reach 127.0.0.1" in result.err) == (64, True)


def test_a_target_without_a_sync_config_delivers_nothing(real: Run, shop: Shop) -> None:
    shop.call("DELETE", "/integrations/entitysync/products/inventoryrecords")
    result = real(*ATTACH)
    assert (result.code, "no sync config" in result.err) == (78, True)


def test_a_role_that_is_missing_is_told(real: Run, shop: Shop) -> None:
    shop.seed(
        clients=[{"ID": "emulator", "Secret": "emulator", "Roles": ["EntitySyncConfigAdmin"]}]
    )
    result = real(*ATTACH)
    assert result.code == 4, result
    assert kept() == {}
