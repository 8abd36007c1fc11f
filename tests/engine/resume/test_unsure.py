"""What is not sure: lost answers, reads that lag or are refused, sales in between. Never guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.options import ResumeOptions
from ocsync.errors import ExitCode
from ocsync.models import Intent
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import resume

LOST = [
    ({"status": 500, "effect": True, "times": 1}, "done"),
    ({"status": 500, "effect": False, "times": 1}, "done"),
    ({"action": "cut", "times": 1}, "done"),
    ({"status": 504, "effect": True, "times": 99}, "done"),
    ({"status": 500, "effect": False, "times": 99}, "failed"),
]


@pytest.mark.parametrize("op", ["set", "adjust"])
@pytest.mark.parametrize(("fault", "end"), LOST)
def test_a_lost_answer_is_settled_by_reading(
    ocsync: Run, shop: Shop, op: str, fault: dict[str, Any], end: str
) -> None:
    """In effect exactly once, also for a sum; a step that always fails stops nothing else."""
    refs = shop.stock(records=3, quantity=10)
    for ref in refs:
        ocsync("stage", op, ref, "QuantityAvailable=7")
    shop.faults({**fault, "method": "PATCH", "path": "/inventoryrecords/R1"})
    report = resume(shop)
    shop.faults()

    expected = 17 if op == "adjust" else 7
    stock = [
        shop.get(f"/products/P{n}/inventoryrecords/R{n}")["QuantityAvailable"] for n in range(3)
    ]
    assert stock == [expected, expected if end == "done" else 10, expected]
    assert report.exit_code == (ExitCode.DONE if end == "done" else ExitCode.PARTLY)


def test_lagging_reads_never_suppress_a_write_and_the_answer_counts(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products are read from an index: a stale read proves nothing, and is no difference."""
    monkeypatch.setattr("ocsync.engine.verify.readback.POLL_SECONDS", 0.1)
    from ocsync.emulator import EmulatorOptions, serve_in_thread
    from tests.conftest import add_profile

    with serve_in_thread(EmulatorOptions(product_lag=0.3, lag_get=True)) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all", product=[{"ID": "P", "Name": "old"}])
        add_profile(ocsync, shop, "lag")
        ocsync("profile", "use", "lag")
        shop.call("PATCH", "/products/P", {"Name": "between"})
        ocsync("stage", "set", "product/P", "Name=old")

        report = resume(shop, ResumeOptions(verify=True, settle=5.0), longest=1.0)

        assert report.exit_code == ExitCode.DONE
        assert report.run.counts == {"done": 1}, "the stale read said that it was old already"
        ocsync("stage", "set", "product/P", "Name=new")
        stale = resume(shop, ResumeOptions(verify=True, settle=0.0))
        assert stale.exit_code == ExitCode.DONE, "the write's own answer counts"


def test_a_product_that_somebody_else_changed_since_the_run_differs(ocsync: Run) -> None:
    """The write's own answer excuses a read of the value before, and of no other value."""
    from ocsync.emulator import EmulatorOptions as Switches
    from ocsync.emulator import serve_in_thread
    from tests.conftest import add_profile

    with serve_in_thread(Switches(product_lag=0.0, lag_get=True)) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all", product=[{"ID": "P", "Name": "old"}])
        add_profile(ocsync, shop, "lag")
        ocsync("profile", "use", "lag")
        ocsync("stage", "set", "product/P", "Name=new")
        assert ocsync("resume", "--verify").code == 0
        shop.call("PATCH", "/products/P", {"Name": "theirs"})

        result = ocsync("verify", "--settle", "0s", "--json")

        assert result.code == 5
        [finding] = result.events[-1]["findings"]
        assert finding["sign"] == "*"
        assert finding["fields"] == {"Name": {"wanted": "new", "found": "theirs"}}


@pytest.mark.parametrize("crashed", [False, True])
def test_a_second_step_of_what_is_read_late_builds_on_the_first(ocsync: Run, crashed: bool) -> None:
    """An index that shows what was there before our first write must not undo it."""
    from ocsync.emulator import EmulatorOptions, serve_in_thread
    from tests.conftest import add_profile

    with serve_in_thread(EmulatorOptions(product_lag=3.0, lag_get=True)) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all", supplier=[{"ID": "S1", "Name": "s"}, {"ID": "S2", "Name": "s"}],
                  product=[{"ID": "P", "Name": "p", "xp": {"a": {"x": 0}}}])  # fmt: skip
        add_profile(ocsync, shop, "lag")
        ocsync("profile", "use", "lag")
        ocsync("stage", "set", "product/P", "DefaultSupplierID=S1", "xp.a.b:=1")
        ocsync("stage", "set", "product/P", "DefaultSupplierID=S2", "xp.a.c:=2")
        if crashed:
            crash_resume(shop, CrashPoint("request", 2, "after"))

        report = resume(shop, ResumeOptions(verify=True, settle=0.0))

        assert report.exit_code == ExitCode.DONE, report
        sent = [json.loads(r["body"]) for r in shop.writes()]
        assert sent[-1] == {"DefaultSupplierID": "S2", "xp": {"a": {"x": 0, "b": 1, "c": 2}}}


@pytest.mark.parametrize(("status", "code"), [(403, 4), (400, 6)])
def test_what_cannot_be_read_is_unknown_and_not_made_twice(
    ocsync: Run, shop: Shop, status: int, code: int
) -> None:
    """The answer was lost and reading is refused: no guess, and no second adjustment unasked."""
    [ref] = shop.stock(records=1, quantity=10)
    ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    place = "/inventoryrecords/R0"
    shop.faults({"status": 504, "effect": True, "method": "PATCH", "path": place},
                {"status": status, "method": "GET", "path": place, "after": 1})  # fmt: skip
    report = resume(shop, ResumeOptions())
    assert report.exit_code == code, report
    assert report.run.counts == {"unknown": 1}
    again = resume(shop, ResumeOptions())
    assert (again.exit_code, again.run.counts) == (ExitCode.CONFLICT, {"conflict": 1})
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == 15
    assert shop.paused(), "until somebody has decided"
    ocsync("stage", "drop", ref)
    assert ocsync("resume").code == 0
    assert not shop.paused()


def test_an_effect_that_comes_after_the_answer_was_given_up(ocsync: Run, shop: Shop) -> None:
    """A gateway gave up, and so did we; the platform did not."""
    [ref] = shop.stock(records=1, quantity=10)
    place = "/products/P0/inventoryrecords/R0"
    ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    ocsync("stage", "adjust", ref, "QuantityAvailable+=1", "NotificationPoint+=2")
    shop.faults({"status": 504, "method": "PATCH", "path": place, "times": 99})
    assert resume(shop, ResumeOptions()).run.counts == {"failed": 1}
    shop.faults()
    shop.call("PATCH", place, {"QuantityAvailable": 16, "NotificationPoint": 2})
    report = resume(shop, ResumeOptions())
    assert (report.exit_code, report.run.counts) == (ExitCode.CONFLICT, {"conflict": 1})
    assert ocsync("resume", "--on-conflict", "overwrite").code == 0, "asked for by name"
    assert shop.get(place)["QuantityAvailable"] == 22


def test_a_sale_after_the_reading_is_seen_by_an_expectation(ocsync: Run, shop: Shop) -> None:
    """An expected stock is looked at again right before its write."""
    refs = shop.stock(records=40, products=2, quantity=10)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=20", "--expect", "QuantityAvailable=10")
    place = "/products/P1/inventoryrecords/R39"
    real = Recorder.intend

    async def sell(self: Recorder, intent: Intent) -> None:
        if intent.number == 1:
            shop.call("PATCH", place, {"QuantityAvailable": 9})
        await real(self, intent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "intend", sell)
        report = resume(shop, ResumeOptions(workers=1))
    assert (report.exit_code, report.run.counts) == (ExitCode.CONFLICT, {"conflict": 1, "done": 39})
    assert report.problems[0].message == "QuantityAvailable is 9, expected 10"
    assert shop.get(place)["QuantityAvailable"] == 9


def test_what_cannot_be_listed_is_still_held_against_what_is_expected(
    ocsync: Run, shop: Shop
) -> None:
    """A list that is refused leaves each to be read by itself, with its expectation."""
    refs = shop.stock(records=4, products=1, quantity=10)
    for ref in refs:
        ocsync("stage", "set", ref, "NotificationPoint=1", "--expect", "NotificationPoint=7")
    ocsync("stage", "put", "inventory/P0/R9", "AddressID=wh-0")
    shop.seed(inventory=[{"ProductID": "P0", "ID": "R9", "AddressID": "wh-1"}])
    shop.faults({"status": 400, "method": "GET", "path": "/products/P0/inventoryrecords"})
    report = resume(shop, ResumeOptions())
    assert (report.exit_code, report.run.counts) == (ExitCode.CONFLICT, {"conflict": 5})
    assert shop.writes() == []


def test_a_second_step_may_reach_into_what_the_first_left_empty(ocsync: Run, shop: Shop) -> None:
    shop.seed(supplier=[{"ID": "S1", "Name": "s"}, {"ID": "S2", "Name": "s"}])
    ocsync("stage", "put", "product/P", "Name=p", "DefaultSupplierID=S1", "xp:={}")
    ocsync("stage", "set", "product/P", "DefaultSupplierID=S2", "xp.b:=1")
    report = resume(shop, ResumeOptions(verify=True, settle=0.0))
    assert (report.exit_code, report.run.steps) == (ExitCode.DONE, 2), report
