"""What is not sure: lost answers, reads that lag or are refused, sales in between. Never guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.options import ResumeOptions
from ocsync.errors import ExitCode
from ocsync.models import Intent, State
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


@pytest.mark.quick(3)
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
        assert finding["result"] == "differs"
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


@pytest.mark.quick(1)
@pytest.mark.parametrize(("effect", "lag"), [(True, 0.0), (True, 0.2), (False, 0.2)])
def test_an_undo_without_an_answer_is_told_from_a_read_of_long_ago(
    ocsync: Run, shop: Shop, effect: bool, lag: float
) -> None:
    """The value that an undo brings back is one that a read which lags shows, too."""
    shop.switch(product_lag=lag, lag_get=True)
    shop.seed(product=[{"ID": "P", "Name": "p", "QuantityMultiplier": 1}])
    ocsync("stage", "adjust", "product/P", "QuantityMultiplier+=2")
    options = ResumeOptions(settle=0.6)
    assert resume(shop, options, longest=0.2).exit_code == ExitCode.DONE
    assert ocsync("rollback").code == 0
    shop.faults({"method": "PATCH", "path": "/products/P", "status": 504, "effect": effect})

    report = resume(shop, options, longest=0.2)
    assert report.run.counts == ({"done": 1} if effect else {"unknown": 1})
    assert shop.state()["product"][0]["QuantityMultiplier"] == (1 if effect else 3)


def test_an_undo_without_an_answer_or_time_to_read_is_unknown(ocsync: Run, shop: Shop) -> None:
    shop.switch(product_lag=0.0, lag_get=True)
    shop.seed(product=[{"ID": "P", "Name": "p", "QuantityMultiplier": 1}])
    ocsync("stage", "adjust", "product/P", "QuantityMultiplier+=2")
    assert resume(shop).exit_code == ExitCode.DONE
    assert ocsync("rollback").code == 0
    shop.faults({"method": "PATCH", "path": "/products/P", "status": 504, "effect": True})

    [problem] = resume(shop, ResumeOptions(settle=0.0)).problems
    assert problem.state is State.UNKNOWN
    assert "perhaps those from before an earlier run" in problem.message


def test_a_sum_after_a_put_begins_with_what_the_put_left_out(ocsync: Run, shop: Shop) -> None:
    """The read that lags still shows the length that the put has taken away."""
    shop.switch(product_lag=3.0, lag_get=True)
    shop.seed(product=[{"ID": "P", "Name": "p", "ShipLength": 2.75, "QuantityMultiplier": 4}])
    ocsync("stage", "put", "product/P", "Name=q", "--replace")
    ocsync("stage", "adjust", "product/P", "ShipLength+=0.5", "QuantityMultiplier+=2")

    report = resume(shop, ResumeOptions(verify=True, settle=0.0))

    assert report.exit_code == ExitCode.DONE, report
    last = json.loads(shop.writes()[-1]["body"])
    assert last == {"ShipLength": 0.5, "QuantityMultiplier": 3}


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

    async def sell(self: Recorder, intent: Intent, *, at_once: bool = False) -> None:
        if intent.number == 1:
            shop.call("PATCH", place, {"QuantityAvailable": 9})
        await real(self, intent, at_once=at_once)

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


def test_a_flag_that_a_put_turns_on_again_shows_whether_it_took_effect(
    ocsync: Run, shop: Shop
) -> None:
    """All else is as it was: what is off shows that the put without an answer did nothing."""
    [ref] = shop.stock(records=1, quantity=4)
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"AllowAllBuyers": False})
    fields = ("AddressID=wh-0", "QuantityAvailable=4")
    ocsync("stage", "put", ref, *fields, "--replace")
    shop.faults({"method": "PUT", "path": "/inventoryrecords", "status": 500})

    assert resume(shop).exit_code == ExitCode.DONE
    assert shop.get("/products/P0/inventoryrecords/R0")["AllowAllBuyers"] is True


PUT_B = {"method": "PUT", "path": "/buyers/B"}


@pytest.mark.parametrize("effect", [False, True])
def test_a_put_that_shows_nothing_is_made_again(ocsync: Run, shop: Shop, effect: bool) -> None:
    """All that it changes is an empty text into null: a read before looks like one after it."""
    shop.seed(buyer=[{"ID": "B", "Name": "b", "GroupID": ""}], catalog=[{"ID": "B", "Name": "b"}])
    ocsync("stage", "put", "buyer/B", "Name=b", "--replace")
    shop.faults({**PUT_B, "status": 504, "effect": effect})

    report = resume(shop)

    assert report.exit_code == ExitCode.DONE
    assert shop.get("/buyers/B")["GroupID"] is None


@pytest.mark.quick(3)
@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("rules", [
    [{**PUT_B, "status": 504, "effect": True}],
    [{**PUT_B, "action": "reset", "effect": True}],
    [{**PUT_B, "status": 500}],
    [{**PUT_B, "status": 504, "effect": True}, {"method": "GET", "path": "/buyers/B", "status": 400,
                                                "after": 1}],
], ids=["504", "reset", "no effect", "not read"])  # fmt: skip
def test_a_created_buyer_keeps_its_own_catalog_when_the_answer_is_lost(
    ocsync: Run, shop: Shop, rules: list[dict[str, Any]], replace: bool
) -> None:
    """A second put without a default catalog would take away the one that the first one gave it."""
    ocsync("stage", "put", "buyer/B", "Name=b", *["--replace"] * replace)
    shop.faults(*rules)
    first = resume(shop)
    assert first.run.counts == ({"unknown": 1} if len(rules) > 1 else {"done": 1})
    assert resume(shop).exit_code == ExitCode.DONE
    assert shop.get("/buyers/B")["DefaultCatalogID"] == "B"


def test_a_buyer_that_someone_else_changed_since_it_was_created_is_not_replaced(
    ocsync: Run, shop: Shop
) -> None:
    ocsync("stage", "put", "buyer/B", "Name=b", "--replace")
    shop.faults({**PUT_B, "status": 504, "effect": True},
                {"method": "GET", "path": "/buyers/B", "status": 400, "after": 1})  # fmt: skip
    assert resume(shop).run.counts == {"unknown": 1}
    shop.call("PATCH", "/buyers/B", {"Name": "theirs"})

    assert resume(shop).exit_code == ExitCode.CONFLICT
    assert shop.get("/buyers/B")["Name"] == "theirs"
    assert shop.get("/buyers/B")["DefaultCatalogID"] == "B"
