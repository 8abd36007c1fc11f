"""The blast radius: what is refused until an option says that it is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders import Shop
from tests.conftest import SECRET, Run
from tests.crash_points import CrashPoint, crash_resume
from tests.intercepting import intercepting

USER = {
    "FirstName": "f",
    "LastName": "l",
    "Email": "e@x.example",
    "Active": True,
    "Username": "robot",
}


def untouched(run: Run, shop: Shop, entries: int) -> None:
    """Nothing was sent, nothing sealed, nothing paused."""
    assert shop.writes() == []
    assert not shop.paused()
    assert run("stage", "list", "--json").data["staged_entries"] == entries
    assert run("history", "--json").data["runs"] == []


def test_a_plan_larger_than_allowed(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref in shop.stock(records=3):
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    result = ocsync("resume", "--max-changes", "2")
    assert (result.code, "3 requests" in result.err) == (64, True), result.err
    monkeypatch.setenv("OCSYNC_MAX_CHANGES", "2")
    assert ocsync("resume").code == 64
    untouched(ocsync, shop, 3)
    assert ocsync("resume", "--max-changes", "3").code == 0


@pytest.mark.quick(2)
@pytest.mark.parametrize(("zeros", "others", "refused"), [
    (2, 1, True), (3, 0, True), (1, 1, False), (2, 2, False), (1, 0, False), (0, 3, False),
])  # fmt: skip
def test_more_than_half_of_the_quantities_zero(
    ocsync: Run, shop: Shop, zeros: int, others: int, refused: bool
) -> None:
    refs = shop.stock(records=zeros + others)
    for number, ref in enumerate(refs):
        ocsync("stage", "set", ref, f"QuantityAvailable={0 if number < zeros else 7}")
    codes = [risk["code"] for risk in ocsync("plan", "--json").data["risks"]]
    assert ("zero-stock" in codes) is refused
    result = ocsync("resume", "--yes")
    assert result.code == (64 if refused else 0), result
    if refused:
        assert "--allow-risky zero-stock" in result.err
        untouched(ocsync, shop, zeros + others)
        assert ocsync("resume", "--allow-risky", "own-user").code == 64
        assert ocsync("resume", "--allow-risky", "zero-stock").code == 0


EMPTY: list[tuple[tuple[str, ...], bool]] = [
    (("set", "QuantityAvailable:=null"), True), (("set", "QuantityAvailable=-3"), True), (("set", "QuantityAvailable=1"), False),
    (("put", "AddressID=wh-0", "--replace"), True), (("put", "AddressID=wh-0", "QuantityAvailable=1", "--replace"), False),
    (("set", "NotificationPoint=0"), False), (("adjust", "QuantityAvailable-=5"), False),
]  # fmt: skip


@pytest.mark.quick(2)
@pytest.mark.parametrize(("words", "refused"), EMPTY, ids=[" ".join(w) for w, _ in EMPTY])
def test_what_comes_to_no_stock_is_counted_as_none(
    ocsync: Run, shop: Shop, words: tuple[str, ...], refused: bool
) -> None:
    op, *rest = words
    for ref in shop.stock(records=2):
        assert ocsync("stage", op, ref, *rest).code == 0
    assert ocsync("resume", "--yes").code == (64 if refused else 0)


def test_a_sign_in_without_a_marketplace_is_none(ocsync: Run, shop: Shop) -> None:
    shop.emulator.market.id = ""
    result = ocsync("status")
    assert (result.code, "which marketplace" in result.err) == (4, True), result
    assert not list(Path(".ocsync").rglob("marketplace.toml"))


def test_the_user_who_signs_in_stays_active(ocsync: Run, shop: Shop) -> None:
    shop.seed(
        clients=[{"ID": "emulator", "Secret": "emulator", "Roles": ["FullAccess"], "User": "robot"}],
        **{"admin-user": [{"ID": "R", **USER}, {"ID": "other", **USER, "Username": "o"}]},
    )  # fmt: skip
    ocsync("stage", "set", "admin-user/other", "Active=false")
    assert ocsync("resume").code == 0
    ocsync("stage", "set", "admin-user/r", "Active=false")
    result = ocsync("resume")
    assert (result.code, "--allow-risky own-user" in result.err) == (64, True)
    assert shop.get("/adminusers/R")["Active"] is True
    assert ocsync("resume", "--allow-risky", "own-user").code == 0
    assert ocsync("resume", "--allow-risky", "everything").code == 64


def test_deletes_have_a_number(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=4, products=2)
    result = ocsync("delete", "product/P0", "product/P1", "--yes", "--max-delete", "5")
    assert (result.code, "would delete 6" in result.err) == (64, True), result.err
    assert shop.call("GET", "/products/P0").status_code == 200
    assert ocsync("delete", "product/P0", "--yes", "--max-delete", "3").code == 0


WRITING: list[tuple[str, ...]] = [
    ("resume",), ("pause", "inventory"), ("delete", "inventory/P0/R0", "--yes"), ("resync", "inventory", "P0/R0", "--yes"), ("unpause", "catalogs", "--force"), ("delivery", "bind", "catalogs", "emulator-log"),
    ("window", "catalogs", "--", "true"),
]  # fmt: skip


@pytest.mark.quick(2)
@pytest.mark.parametrize("words", WRITING, ids=[w[0] for w in WRITING])
def test_production_is_confirmed_by_its_id(run: Run, shop: Shop, words: tuple[str, ...]) -> None:
    run("init")
    run(
        "profile",
        "add",
        "live",
        "--api-url",
        shop.url,
        "--client-id",
        "emulator",
        "--secret-env",
        SECRET,
        "--production",
    )
    [ref] = shop.stock(records=1)
    run("stage", "set", ref, "QuantityAvailable=9")
    asked = run(*words)
    place = 2 if words[0] == "delivery" else 1
    wrong = run(*words[:place], "--confirm", "acme", *words[place:])
    for result in (asked, wrong):
        assert result.code == 64, result
    assert "--confirm emulator" in asked.err
    assert shop.messages() == []
    untouched(run, shop, 1)
    result = run(*words[:place], "--confirm", "EMULATOR", *words[place:])
    assert result.code == 0, result
    assert run("status").code == run("plan", "--diff").code == 0, "looking asks nobody"


def test_production_hosts_are_guarded_by_themselves(run: Run) -> None:
    from ocsync.store import Workspace

    run("init")
    words = ("--client-id", "x", "--secret-env", SECRET)
    for environment, guarded in (("uswest-production", True), ("useast-sandbox", False)):
        assert run("profile", "add", environment, "--environment", environment, *words).code == 0
        folder = Workspace.find(None, environ={}, cwd=Path.cwd())
        assert folder.open_profile(environment, warn=print, command="").profile.guarded is guarded


def test_http_is_for_loopback_or_a_host_that_is_named(run: Run) -> None:
    run("init")
    words = (
        "profile",
        "add",
        "x",
        "--api-url",
        "http://proxy.internal:8080",
        "--client-id",
        "x",
        "--secret-env",
        SECRET,
    )
    refused = run(*words)
    assert (refused.code, "--allow-http proxy.internal" in refused.err) == (64, True)
    assert run(*words, "--allow-http", "other.internal").code == 64
    assert run(*words, "--allow-http", "proxy.internal").code == 0


POINTED = Path(".ocsync/profiles/test/profile.toml")


def repoint(old: str, new: str) -> None:
    """Change a URL in the profile by hand."""
    POINTED.write_text(POINTED.read_text().replace(old, new))


@pytest.mark.quick(2)
@pytest.mark.parametrize("work", ["staged", "paused", "open run", "attached", "nothing", "old pin"])
def test_a_profile_that_points_elsewhere(ocsync: Run, shop: Shop, work: str) -> None:
    """Another environment may have a marketplace with the same ID: its copy of production."""
    [ref] = shop.stock(records=1)
    pin = Path(".ocsync/profiles/test/marketplace.toml")
    ocsync("profile", "check")
    if work in ("staged", "old pin"):
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    elif work == "paused":
        ocsync("pause", "inventory")
    elif work == "open run":
        ocsync("stage", "set", ref, "QuantityAvailable=9")
        crash_resume(shop, CrashPoint("request", moment="after"))
    elif work == "attached":
        (POINTED.parent / "attached.toml").write_text(
            '["stock/HttpTargets"]\nphase = "attached"\nsince = "2026-01-01T00:00:00+00:00"\n'
            "shown = {}\n"
        )
    if work == "old pin":
        pin.write_text("".join(x for x in pin.read_text().splitlines(True) if "api_url" not in x))
    before = POINTED.read_text()
    with intercepting(shop.url, lambda request: request.forward()) as elsewhere:
        repoint(shop.url, elsewhere)
        sent = len(shop.requests())
        result = ocsync("resume")
        if work in ("nothing", "old pin"):
            assert result.code == 0, result
            assert elsewhere in pin.read_text()
            return
        assert (result.code, shop.url in result.err, elsewhere in result.err) == (6, True, True)
        assert "back to" in result.err
        assert len(shop.requests()) == sent, "nor was the secret sent there"
        assert ocsync("status").code == ocsync("profile", "check").code == 6
        assert shop.url in ocsync("doctor", "--offline").out
        POINTED.write_text(before)
    assert ocsync("status").code == 0


@pytest.mark.parametrize("ending", ["/v1/products", "?x=1", "#x"])
def test_a_url_ends_at_its_host(ocsync: Run, shop: Shop, ending: str) -> None:
    words = ("--client-id", "x", "--secret-env", SECRET)
    for option in ("--api-url", "--auth-url"):
        urls = ("--api-url", shop.url, option, shop.url + ending)
        refused = ocsync("profile", "add", "x", *urls, *words)
        assert (refused.code, option in refused.err, f"use {shop.url}" in refused.err) == (
            64, True, True,
        )  # fmt: skip
    repoint(f'auth_url = "{shop.url}"', f'auth_url = "{shop.url}{ending}"')
    for command in (("status",), ("doctor", "--offline")):
        broken = ocsync(*command)
        assert broken.code == 78, broken
        assert "change auth_url in" in broken.out + broken.err
        assert f"use {shop.url}" in broken.out + broken.err


SUMS: list[tuple[str, dict[str, Any], str]] = [
    ("product/P0", {}, "sum of its 2 inventory records"),
    ("product/V", {}, "sum over its variants"),
    ("variant/V/V", {}, "sum of its 1 inventory record"),
]


@pytest.mark.parametrize(("ref", "seed", "why"), SUMS, ids=[s[0] for s in SUMS])
def test_a_quantity_that_is_a_sum_is_refused(
    ocsync: Run, shop: Shop, ref: str, seed: dict[str, Any], why: str
) -> None:
    """A write of it would be accepted and never be seen."""
    shop.stock(records=2, products=1)
    shop.seed(
        product=[{"ID": "V", "Name": "v", "Inventory": {"Enabled": True, "VariantLevelTracking": True}}],
        variant=[{"ProductID": "V", "ID": "V", "Name": "v"}],
        **{"variant-inventory": [{"ProductID": "V", "VariantID": "V", "ID": "R", "AddressID": "wh-0"}]},
    )  # fmt: skip
    assert ocsync("stage", "set", ref, "Inventory.QuantityAvailable=5").code == 0
    result = ocsync("resume")
    assert (result.code, why in result.out + result.err) == (6, True), result
    assert shop.writes() == []
    shop.seed(product=[{"ID": "free", "Name": "f", "Inventory": {"Enabled": True}}])
    ocsync("stage", "clear", "--yes")
    ocsync("stage", "adjust", "product/free", "Inventory.QuantityAvailable+=5")
    assert ocsync("resume").code == 0


def test_what_somebody_did_meanwhile_is_told(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=30)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    ocsync("pause", "inventory")
    path = "/integrations/entitysync/products/inventoryrecords"
    shop.call("PATCH", path, {"SyncEntityDeleted": False})
    shop.faults({"method": "PATCH", "path": "inventoryrecords/R20", "action": "unpause"})
    result = ocsync("resume")
    assert result.code == 7, result
    assert "someone else unpaused it in the meantime" in result.err
    assert not shop.paused()
    told_targets = {t["name"]: t for t in ocsync("status", "--json").data["targets"]}
    assert told_targets["inventory"]["state"] == "running"
    ocsync("pause", "inventory")
    shop.call("PATCH", path, {"SyncEntityDeleted": True})
    ocsync("stage", "set", refs[0], "QuantityAvailable=8")
    told = ocsync("resume").err
    assert (
        "its sync config was changed while it was paused: SyncEntityDeleted was false, is true"
        in told
    )
