"""What cron runs: `expire`, silent until there is something, and `status` as a watcher."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ocsync.client import Limits
from ocsync.store import lock
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume

CONFIG = "/integrations/entitysync/products/inventoryrecords"
PAUSES = Path(".ocsync/profiles/test/pause.toml")


def run_out(target: str = "inventory") -> None:
    """The lease of *target* is over."""
    head, mark, rest = PAUSES.read_text().partition(f"[{target}]\n")
    PAUSES.write_text(head + mark + rest.replace('until = "202', 'until = "200', 1))


def test_there_is_nothing_to_say(ocsync: Run, shop: Shop) -> None:
    """Nothing to do: no output, no request, exit 0, whatever else is going on."""
    ocsync("pause", "inventory", "--for", "2h")
    before = len(shop.requests())
    with lock.hold(PAUSES.with_name("run.lock"), what="ocsync resume"):
        result = ocsync("expire")
    assert result == (0, "", "")
    assert len(shop.requests()) == before
    assert ocsync("expire", "--json").data["unpaused"] == []


def test_a_line_for_each_and_no_other_is_lifted(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "catalogs", "--for", "2h")
    ocsync("pause", "buyers")
    run_out("inventory")
    dry = ocsync("expire", "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert re.fullmatch(r"‖ inventory  would run again: its --for time has passed; .*\n", dry.out)
    assert shop.paused()
    result = ocsync("expire")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"▶ inventory  running again: its --for time has passed; .*\n", result.out)
    assert not shop.paused()
    assert shop.paused("/integrations/entitysync/catalogs")
    assert shop.paused("/integrations/entitysync/buyers")


def test_what_can_be_lifted_is(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "catalogs", "--for", "2h")
    run_out("inventory")
    run_out("catalogs")
    shop.faults({"method": "PATCH", "path": "catalogs", "status": 403, "times": 9})
    result = ocsync("expire")
    assert result.code == 4
    assert "▶ inventory  running again" in result.out
    assert "✗ catalogs is still paused:" in result.err
    shop.faults()
    assert ocsync("expire").code == 0
    assert not shop.paused("/integrations/entitysync/catalogs")


def test_nothing_is_lifted_during_a_run(ocsync: Run, shop: Shop) -> None:
    """Not while one holds the lock, nor while one waits to be finished."""
    shop.stock(records=1)
    ocsync("pause", "inventory", "--for", "2h")
    run_out()
    with lock.hold(PAUSES.with_name("run.lock"), what="ocsync resume"):
        busy = ocsync("expire")
    assert (busy.code, busy.out) == (7, "")
    assert "locked by `ocsync resume`" in busy.err
    ocsync("stage", "set", "inventory/P0/R0", "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request"))
    waiting = ocsync("expire")
    assert waiting.code == 3
    assert "inventory overdue, but run" in waiting.err
    assert shop.paused()


def test_no_way_to_the_server(ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ocsync("pause", "inventory", "--for", "2h")
    run_out()
    shop.faults({"action": "reset", "times": 1000})
    monkeypatch.setattr(Limits.__new__, "__defaults__", (16, 0.0, 0.2, 45.0, 10.0))
    result = ocsync("expire")
    assert (result.code, result.out) == (75, "")


@pytest.mark.parametrize("offline", [False, True])
def test_a_watcher_hears_of_forgotten_pauses_alone(ocsync: Run, shop: Shop, offline: bool) -> None:
    """With --max-age a younger pause of ours is in order; drift and other people's never are."""
    words = ["status", "--max-age", "4h", "--exit-code", *["--offline"] * offline]
    assert ocsync(*words).code == 0
    ocsync("pause", "inventory")
    assert ocsync(*words).code == 0
    assert ocsync("status", "--exit-code", *["--offline"] * offline).code == 2

    PAUSES.write_text(re.sub('since = "20..', 'since = "1999', PAUSES.read_text()))
    old = ocsync(*words)
    assert old.code == 2
    assert "inventory  overdue: it is older than --max-age" in old.out
    data = ocsync(*words, "--json").data
    assert (data["overdue"], data["due"]) == (["inventory"], {"inventory": "age"})
    ocsync("unpause", "inventory")

    shop.call("PATCH", CONFIG, {"Paused": True})
    assert ocsync(*words).code == (0 if offline else 2), "nobody knows how old it is"


def test_a_watcher_hears_of_drift(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory")
    shop.call("PATCH", CONFIG, {"Paused": False})
    assert ocsync("status", "--max-age", "4h", "--exit-code").code == 2


def test_the_ci_job_of_a_pause_is_told(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example/shop/-/jobs/7")
    ocsync("pause", "inventory")
    monkeypatch.delenv("CI_JOB_URL")
    assert "https://gitlab.example/shop/-/jobs/7" in ocsync("status").out
    ours = {row["name"]: row["pause"] for row in ocsync("status", "--json").data["targets"]}
    assert ours["inventory"]["job"] == "https://gitlab.example/shop/-/jobs/7"
