"""Closing a run: what comes back, what is lifted, what is proven; and cut off in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocsync.engine.resume.options import ResumeOptions
from ocsync.errors import ExitCode
from ocsync.store import Run as RunFolder
from tests.builders import Shop
from tests.conftest import Run
from tests.engine.sitting import Killed, carry_out, cut_off


@pytest.mark.parametrize("point", ["write_plan", "write_info"])
def test_a_crash_right_after_the_seal(ocsync: Run, shop: Shop, point: str) -> None:
    """The run has the entries; its plan is made again from them."""
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")

    def die(self: RunFolder, *args: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, point, die)
        with pytest.raises(Killed):
            carry_out(shop)
    assert carry_out(shop).exit_code == ExitCode.DONE
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == 7
    assert not shop.paused()


@pytest.mark.parametrize("point", ["give_back", "_lift"])
def test_a_crash_while_closing(ocsync: Run, shop: Shop, point: str) -> None:
    """What failed comes back once, and a pause of ours is lifted by the next resume."""
    from ocsync.engine.resume import close as module
    from ocsync.store import Journal

    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "QuantityAvailable=7")
    if point == "give_back":
        ocsync("stage", "set", refs[1], "AddressID=none")

    def die(*args: Any, **more: Any) -> Any:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        if point == "give_back":
            real = Journal.return_entries

            def then_die(self: Journal, *args: Any) -> None:
                real(self, *args)
                raise Killed

            patch.setattr(Journal, "return_entries", then_die)
        else:
            patch.setattr(module, "unpause_target", die)
        with pytest.raises(Killed):
            carry_out(shop)
    report = carry_out(shop)

    staged = ocsync("stage", "list", "--json").data["staged_entries"]
    assert staged == (1 if point == "give_back" else 0)
    assert report.exit_code == (ExitCode.PARTLY if point == "give_back" else ExitCode.DONE)
    assert shop.paused() is (point == "give_back")


def test_a_verification_that_was_cut_off_is_made_up_for(ocsync: Run, shop: Shop) -> None:
    """The same command again, without help: it proves what the first one was to prove."""
    from ocsync.engine.verify import verification as module

    refs = shop.stock(records=3, products=1)
    for ref in refs:
        ocsync("stage", "set", ref, "NotificationPoint=7")
    cut_off(module, "read_back", ResumeOptions(verify=True), shop)
    shop.call("PATCH", "/products/P0/inventoryrecords/R1", {"NotificationPoint": 1})
    assert ocsync("resume").code == 0, "nobody asked"
    result = ocsync("resume", "--verify")
    assert (result.code, "NotificationPoint=1 instead of 7" in result.out) == (5, True), result
    assert "was not verified; doing it now" in result.err
    assert ocsync("history", "--json").data["runs"][0]["exit_code"] == 5
    assert ocsync("resume", "--verify").code == 0, "once"


def test_what_verification_found_in_a_crashed_run_is_not_lost_in_the_next(
    ocsync: Run, shop: Shop
) -> None:
    from ocsync.engine.resume import conductor as module

    refs = shop.stock(records=2, products=1)
    ocsync("stage", "set", refs[0], "NotificationPoint=7")
    cut_off(module, "close_run", ResumeOptions(verify=True), shop)
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"NotificationPoint": 1})
    ocsync("stage", "set", refs[1], "NotificationPoint=8")
    report = carry_out(shop, ResumeOptions(verify=True))
    assert (report.exit_code, report.staged, shop.paused()) == (ExitCode.DIFFERS, 0, False)
    assert shop.get("/products/P0/inventoryrecords/R1")["NotificationPoint"] == 8


@pytest.mark.parametrize("needed", [False, True])
def test_a_pause_that_a_run_made_for_itself_outlives_nothing(
    ocsync: Run, shop: Shop, needed: bool
) -> None:
    """Cut off right before lifting; the same command, named targets and all, lifts it."""
    from ocsync.engine.resume import close as module
    from ocsync.schema import TARGETS

    paths = {n: TARGETS[n].path for n in ("inventory", "products", "catalogs")}
    shop.stock(records=1)
    ocsync("pause", "catalogs")
    ocsync("stage", "put", "product/N", "Name=n", "Inventory.Enabled=true")
    ocsync("stage", "put", "inventory/N/R", "AddressID=wh-0")
    options = ResumeOptions(targets=(TARGETS["inventory"],))
    cut_off(module, "unpause_target", options, shop)
    assert all(map(shop.paused, paths.values()))
    if needed:
        ocsync("stage", "set", "product/N", "Name=again")
    carry_out(shop, options)
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
