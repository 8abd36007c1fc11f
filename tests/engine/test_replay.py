"""Replay at its promises: lost answers, crashes between intent and outcome, permanent failures."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ocsync.client import Api, Connection, Limits, open_client
from ocsync.engine.options import Options
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume import resume
from ocsync.engine.work import Work
from ocsync.errors import ExitCode, OcsyncError
from ocsync.models import Intent
from ocsync.store import ProfileFolder, Workspace
from ocsync.store import Run as RunFolder
from tests.builders import Shop
from tests.conftest import Run


class Killed(BaseException):
    """The process is gone."""


def crash(run: Run, shop: Shop, *, sent: bool, after: int = 1) -> None:
    """Resume here, and die at the intent number *after*, right before or after its request."""
    real_intend, real_write = Recorder.intend, Api.write
    left = after

    async def intend(self: Recorder, intent: Intent) -> None:
        await real_intend(self, intent)
        if not sent:
            raise Killed

    async def write(self: Api, method: str, path: str, *args: Any, **more: Any) -> Any:
        nonlocal left
        reply = await real_write(self, method, path, *args, **more)
        left -= "integrations" not in path
        if not left:
            raise Killed
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "intend", intend)
        patch.setattr(Api, "write", write)
        with pytest.raises(BaseException):  # noqa: B017,PT011 - the group that carries Killed
            carry_out(shop)


def folder() -> ProfileFolder:
    """The profile's folder of the workspace here."""
    return Workspace(Path(".ocsync").absolute()).open("", warn=pytest.fail)


def carry_out(
    shop: Shop, options: Options | None = None, longest: float = 0.005, **limits: Any
) -> Any:
    """A resume in this process, with waits of no time."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(min(seconds, longest))

    where = folder()

    async def go() -> Any:
        connection = Connection(shop.url, shop.url, "emulator", lambda: "emulator")
        async with open_client(connection, limits=Limits(**limits), sleep=nap) as api:
            work = Work(api, where, lambda event: None, lambda question: False, sleep=nap)
            return await resume(work, options or Options(verify=True))

    return asyncio.run(go())


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
    report = carry_out(shop)
    shop.faults()

    expected = 17 if op == "adjust" else 7
    stock = [
        shop.get(f"/products/P{n}/inventoryrecords/R{n}")["QuantityAvailable"] for n in range(3)
    ]
    assert stock == [expected, expected if end == "done" else 10, expected]
    assert report.exit_code == (ExitCode.DONE if end == "done" else ExitCode.PARTLY)


def test_a_dead_server_stops_the_run_and_it_can_go_on(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=20)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    shop.faults({"status": 503, "times": 10**6, "after": 25})
    with pytest.raises(OcsyncError) as caught:
        carry_out(shop, max_wait=1.0)
    shop.faults()

    assert caught.value.exit_code == ExitCode.TRY_LATER
    assert shop.paused()
    assert carry_out(shop).exit_code == ExitCode.DONE
    assert not shop.paused()


def test_a_token_revoked_in_mid_run_is_renewed(ocsync: Run, shop: Shop) -> None:
    for ref in shop.stock(records=30):
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    shop.faults({"status": 401, "times": 3, "after": 20})
    assert carry_out(shop).exit_code == ExitCode.DONE


def test_a_missing_role_is_said_with_its_own_code(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    shop.faults({"status": 403, "times": 1, "method": "PATCH", "path": "inventoryrecords/R0"})
    assert carry_out(shop).exit_code == ExitCode.SIGN_IN


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
    from ocsync.engine import closing as module
    from ocsync.store import Journal

    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "QuantityAvailable=7")
    if point == "give_back":
        ocsync("stage", "set", refs[1], "AddressID=none")

    def die(*args: Any, **more: Any) -> Any:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        if point == "give_back":
            real = Journal.give_back

            def then_die(self: Journal, *args: Any) -> None:
                real(self, *args)
                raise Killed

            patch.setattr(Journal, "give_back", then_die)
        else:
            patch.setattr(module, "lift", die)
        with pytest.raises(Killed):
            carry_out(shop)
    report = carry_out(shop)

    staged = ocsync("stage", "list", "--json").data["staged_entries"]
    assert staged == (1 if point == "give_back" else 0)
    assert report.exit_code == (ExitCode.PARTLY if point == "give_back" else ExitCode.DONE)
    assert shop.paused() is (point == "give_back")


def test_lagging_reads_never_suppress_a_write_and_the_answer_counts(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products are read from an index: a stale read proves nothing, and is no difference."""
    monkeypatch.setattr("ocsync.engine.verify.POLL_SECONDS", 0.1)
    from ocsync.emulator import Options as Switches
    from ocsync.emulator import running
    from tests.conftest import add_profile

    with running(Switches(product_lag=0.3, lag_get=True)) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all", product=[{"ID": "P", "Name": "old"}])
        add_profile(ocsync, shop, "lag")
        ocsync("profile", "use", "lag")
        shop.call("PATCH", "/products/P", {"Name": "between"})
        ocsync("stage", "set", "product/P", "Name=old")

        report = carry_out(shop, Options(verify=True, settle=5.0), longest=1.0)

        assert report.exit_code == ExitCode.DONE
        assert report.run.counts == {"done": 1}, "the stale read said that it was old already"
        ocsync("stage", "set", "product/P", "Name=new")
        stale = carry_out(shop, Options(verify=True, settle=0.0))
        assert stale.exit_code == ExitCode.DONE, "the write's own answer counts"


def test_a_plan_tells_of_a_run_that_was_not_finished(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash(ocsync, shop, sent=False)
    empty = ocsync("plan")
    assert "is not finished; resume goes on with it first" in empty.out
    assert "next: ocsync resume" in empty.err
    ocsync("stage", "set", "catalog/C", "Name=x")
    run_id = ocsync("plan", "--json").data["open_run"]
    assert f"run {run_id} is not finished" in ocsync("plan").out
    assert ocsync("resume").code == 3, "there is no catalog C"
    assert ocsync("plan", "--json").data["open_run"] == ""


@pytest.mark.parametrize("mode", ["queue", "drop"])
def test_whatever_the_platform_does_with_paused_changes(run: Run, mode: Any) -> None:
    from ocsync.emulator import Options as Switches
    from ocsync.emulator import running
    from tests.conftest import add_profile

    with running(Switches(while_paused=mode, pause_delay=0.05)) as emulator:
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
            carry_out(shop)
    intended = {r.ref for group in calls[:2] for r in group}
    assert {"/".join(["inventory", *r["path"].split("/")[3::2]]) for r in shop.writes()} <= intended
    assert carry_out(shop).exit_code == ExitCode.DONE


def test_looking_does_not_touch_what_is_remembered(ocsync: Run, shop: Shop) -> None:
    """Only who holds the run lock writes pauses: a status beside a pause must not forget one."""
    ocsync("pause", "inventory")
    file = Path(".ocsync/profiles/test/pause.toml")
    file.write_text(file.read_text().replace('"paused"', '"pausing"'))
    text = file.read_text()
    assert ocsync("status").code == 0
    assert ocsync("targets").code == 0
    assert file.read_text() == text


@pytest.mark.parametrize("crashed", [False, True])
def test_a_second_step_of_what_is_read_late_builds_on_the_first(ocsync: Run, crashed: bool) -> None:
    """An index that shows what was there before our first write must not undo it."""
    from ocsync.emulator import Options as Switches
    from ocsync.emulator import running
    from tests.conftest import add_profile

    with running(Switches(product_lag=3.0, lag_get=True)) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all", supplier=[{"ID": "S1", "Name": "s"}, {"ID": "S2", "Name": "s"}],
                  product=[{"ID": "P", "Name": "p", "xp": {"a": {"x": 0}}}])  # fmt: skip
        add_profile(ocsync, shop, "lag")
        ocsync("profile", "use", "lag")
        ocsync("stage", "set", "product/P", "DefaultSupplierID=S1", "xp.a.b:=1")
        ocsync("stage", "set", "product/P", "DefaultSupplierID=S2", "xp.a.c:=2")
        if crashed:
            crash(ocsync, shop, sent=True, after=2)

        report = carry_out(shop, Options(verify=True, settle=0.0))

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
                {"status": status, "method": "GET", "path": place, "after": 2})  # fmt: skip
    report = carry_out(shop, Options())
    assert report.exit_code == code, report
    assert report.run.counts == {"unknown": 1}
    again = carry_out(shop, Options())
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
    assert carry_out(shop, Options()).run.counts == {"failed": 1}
    shop.faults()
    shop.call("PATCH", place, {"QuantityAvailable": 16, "NotificationPoint": 2})
    report = carry_out(shop, Options())
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
        report = carry_out(shop, Options(workers=1))
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
    report = carry_out(shop, Options())
    assert (report.exit_code, report.run.counts) == (ExitCode.CONFLICT, {"conflict": 5})
    assert shop.writes() == []


def test_a_second_step_may_reach_into_what_the_first_left_empty(ocsync: Run, shop: Shop) -> None:
    shop.seed(supplier=[{"ID": "S1", "Name": "s"}, {"ID": "S2", "Name": "s"}])
    ocsync("stage", "put", "product/P", "Name=p", "DefaultSupplierID=S1", "xp:={}")
    ocsync("stage", "set", "product/P", "DefaultSupplierID=S2", "xp.b:=1")
    report = carry_out(shop, Options(verify=True, settle=0.0))
    assert (report.exit_code, report.run.steps) == (ExitCode.DONE, 2), report
