"""Closing a run: what comes back, what is lifted, what is proven; and cut off in between."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ocsync.engine.resume.options import ResumeOptions
from ocsync.errors import ExitCode
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import resume


@pytest.mark.parametrize("stage", ["plan", "record"])
def test_a_crash_right_after_the_seal(ocsync: Run, shop: Shop, stage: str) -> None:
    """The run has the entries; its plan is made again from them."""
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    crash_resume(shop, CrashPoint(stage))
    assert resume(shop).exit_code == ExitCode.DONE
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == 7
    assert not shop.paused()


@pytest.mark.parametrize("failed", [True, False])
def test_a_crash_while_closing(ocsync: Run, shop: Shop, failed: bool) -> None:
    """What failed comes back once, and a pause of ours is lifted by the next resume."""
    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "QuantityAvailable=7")
    if failed:
        ocsync("stage", "set", refs[1], "AddressID=none")
    crash_resume(shop, CrashPoint("return", 1, "after") if failed else CrashPoint("unpause"))
    report = resume(shop)

    assert ocsync("stage", "list", "--json").data["staged_entries"] == int(failed)
    assert report.exit_code == (ExitCode.PARTLY if failed else ExitCode.DONE)
    assert shop.paused() is failed


def test_a_verification_that_was_cut_off_is_made_up_for(ocsync: Run, shop: Shop) -> None:
    """The same command again, without help: it proves what the first one was to prove."""
    refs = shop.stock(records=3, products=1)
    for ref in refs:
        ocsync("stage", "set", ref, "NotificationPoint=7")
    crash_resume(shop, CrashPoint("verify"))
    shop.call("PATCH", "/products/P0/inventoryrecords/R1", {"NotificationPoint": 1})
    assert ocsync("resume").code == 0, "nobody asked"
    result = ocsync("resume", "--verify")
    assert (result.code, "NotificationPoint=1 instead of 7" in result.out) == (5, True), result
    assert "has not been verified; verifying it now" in result.err
    assert ocsync("history", "--json").data["runs"][0]["exit_code"] == 5
    assert ocsync("resume", "--verify").code == 0, "once"


def test_what_verification_found_in_a_crashed_run_is_not_lost_in_the_next(
    ocsync: Run, shop: Shop
) -> None:
    refs = shop.stock(records=2, products=1)
    ocsync("stage", "set", refs[0], "NotificationPoint=7")
    crash_resume(shop, CrashPoint("close"))
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"NotificationPoint": 1})
    ocsync("stage", "set", refs[1], "NotificationPoint=8")
    report = resume(shop, ResumeOptions(verify=True))
    assert (report.exit_code, report.staged, shop.paused()) == (ExitCode.DIFFERS, 0, False)
    assert shop.get("/products/P0/inventoryrecords/R1")["NotificationPoint"] == 8


@pytest.mark.parametrize("needed", [False, True])
def test_a_pause_that_a_run_made_for_itself_outlives_nothing(
    ocsync: Run, shop: Shop, needed: bool
) -> None:
    """Cut off right before lifting; the same command, named targets and all, lifts it."""
    from ocsync.schema import TARGETS

    paths = {n: TARGETS[n].path for n in ("inventory", "products", "catalogs")}
    shop.stock(records=1)
    ocsync("pause", "catalogs")
    ocsync("stage", "put", "product/N", "Name=n", "Inventory.Enabled=true")
    ocsync("stage", "put", "inventory/N/R", "AddressID=wh-0")
    options = ResumeOptions(targets=(TARGETS["inventory"],))
    crash_resume(shop, CrashPoint("unpause"), options)
    assert all(map(shop.paused, paths.values()))
    if needed:
        ocsync("stage", "set", "product/N", "Name=again")
    resume(shop, options)
    assert [name for name in paths if shop.paused(paths[name])] == [
        *(["products"] if needed else []), "catalogs"
    ]  # fmt: skip
    assert ocsync("resume").code == 0
    assert not any(map(shop.paused, paths.values()))


def test_looking_does_not_touch_what_is_remembered(ocsync: Run, shop: Shop) -> None:
    """Only who holds the run lock writes pauses: a status beside a pause must not forget one."""
    ocsync("pause", "inventory")
    file = Path(".ocsync/profiles/test/pause.toml")
    file.write_text(file.read_text().replace('"paused"', '"pausing"'))
    text = file.read_text()
    assert ocsync("status").code == 0
    assert ocsync("targets").code == 0
    assert file.read_text() == text


def test_failures_of_one_cause_are_one_line(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=6)
    for ref in refs[:4]:
        ocsync("stage", "set", ref, "AddressID=none")
    ocsync("stage", "set", refs[4], "QuantityAvailable=9")
    result = ocsync("resume")
    assert result.code == 3
    reason, names = result.out.split("! ")[1].splitlines()[0].split(": 4 steps, first ")
    assert (reason[:12], len(names.split(", "))) == ("404 NotFound", 3), result.out
    [group] = ocsync("resume", "--json").events[-1]["problem_groups"]
    assert (group["steps"], group["status"], group["code"]) == (4, 404, "NotFound")
    assert set(group["first_refs"]) < set(refs[:4])
    history = ocsync("history", "--failed", "--limit", "1", "--json").data["runs"][0]["id"]
    assert ": 4 steps, first inventory/" in ocsync("history", history).out


def test_no_step_is_sent_after_as_many_failures_as_allowed(ocsync: Run, shop: Shop) -> None:
    """All is staged again, the target stays paused, and the next resume tries all once more."""
    refs = shop.stock(records=9)
    for number, ref in enumerate(refs):
        ocsync("stage", "set", ref, "AddressID=none" if number < 3 else "AddressID=wh-1")
    result = ocsync("resume", "--max-failures", "2", "--concurrency", "1")
    assert result.code == 3
    assert "--max-failures 2 was reached; the remaining steps are not sent" in result.err
    assert re.search(r"not sent because --max-failures 2 was reached: \d steps", result.out)
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 9
    assert shop.paused()
    again = ocsync("resume", "--max-failures", "4")
    assert (again.code, "not sent" in again.out) == (3, False), again
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 3
