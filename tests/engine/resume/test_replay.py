"""Replay at its promises: trouble of the whole way, full disks, what the platform leaves open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocsync.errors import ExitCode, OcsyncError
from ocsync.store import Run as RunFolder
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import resume


def test_a_dead_server_stops_the_run_and_it_can_go_on(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=20)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    shop.faults({"status": 503, "times": 10**6, "after": 25})
    with pytest.raises(OcsyncError) as caught:
        resume(shop, max_wait=1.0)
    shop.faults()

    assert caught.value.exit_code == ExitCode.TRY_LATER
    assert shop.paused()
    assert resume(shop).exit_code == ExitCode.DONE
    assert not shop.paused()


def test_a_token_revoked_in_mid_run_is_renewed(ocsync: Run, shop: Shop) -> None:
    for ref in shop.stock(records=30):
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    shop.faults({"status": 401, "times": 3, "after": 20})
    assert resume(shop).exit_code == ExitCode.DONE


def test_a_missing_role_is_said_with_its_own_code(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    shop.faults({"status": 403, "times": 1, "method": "PATCH", "path": "inventoryrecords/R0"})
    assert resume(shop).exit_code == ExitCode.SIGN_IN


def test_a_plan_tells_of_a_run_that_was_not_finished(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request"))
    empty = ocsync("plan")
    assert "is not finished: 0 of 1 step done; resume continues it first" in empty.out
    assert "next: ocsync resume" in empty.err
    ocsync("stage", "set", "catalog/C", "Name=x")
    run_id = ocsync("plan", "--json").data["open_run"]
    assert f"run {run_id} is not finished" in ocsync("plan").out
    assert ocsync("resume").code == 6, "there is no catalog C"
    assert ocsync("plan", "--json").data["open_run"] == ""


@pytest.mark.parametrize("mode", ["queue", "drop"])
def test_whatever_the_platform_does_with_paused_changes(run: Run, mode: Any) -> None:
    from ocsync.emulator import EmulatorOptions, serve_in_thread
    from tests.conftest import add_profile

    with serve_in_thread(EmulatorOptions(while_paused=mode, pause_delay=0.05)) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all")
        add_profile(run, shop)
        Path(".ocsync").exists()
        for ref in shop.stock(records=3):
            assert run("stage", "set", ref, "QuantityAvailable=7").code == 0
        assert run("resume", "--verify").code == 0
        assert len(shop.messages()) == (3 if mode == "queue" else 0)


def test_a_full_disk_stops_the_run_before_anything_unrecorded(ocsync: Run, shop: Shop) -> None:
    """What could not be written down is not sent, and the run goes on once there is room."""
    for ref in shop.stock(records=20):
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    real, calls = RunFolder.record, []

    def full(self: RunFolder, records: Any) -> None:
        calls.append(records)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        real(self, records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "record", full)
        with pytest.raises(OcsyncError, match="No space left"):
            resume(shop)
    intended = {r.ref for group in calls[:2] for r in group}
    assert {"/".join(["inventory", *r["path"].split("/")[3::2]]) for r in shop.writes()} <= intended
    assert resume(shop).exit_code == ExitCode.DONE
