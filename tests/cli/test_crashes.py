"""kill -9, and then the same command again."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from ocsync.models import Intent, Outcome
from ocsync.store import Runs
from tests.builders import Shop, csv_of
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.processes import Started


def wait_for_writes(shop: Shop, number: int) -> None:
    deadline = time.monotonic() + 20
    while shop.emulator.counts["writes"] < number:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.quick(1)
@pytest.mark.parametrize("after", [40, 1, 150])
def test_killed_in_the_middle_and_resumed(ocsync: Run, shop: Shop, after: int) -> None:
    """The second resume ends in the same state; nothing is sent twice but what was in flight."""
    refs = shop.stock(records=200, products=10)
    ocsync("pause", "inventory")
    rows = [("ref", "QuantityAvailable"), *((ref, n) for n, ref in enumerate(refs, 100))]
    assert ocsync("stage", "import", "-", stdin=csv_of(rows)).code == 0
    shop.switch(latency=0.02)
    with Started("resume", "--verify") as process:
        wait_for_writes(shop, after)
        process.kill()
        process.wait()
    shop.switch(latency=0)
    assert shop.paused(), "a crash leaves the target paused"
    ocsync("stage", "set", refs[0], "NotificationPoint=1")
    intended = in_flight(Path(".ocsync/profiles/test/runs"))

    result = ocsync("resume", "--verify")

    assert result.code == 0, result
    assert "continuing unfinished run" in result.err
    sent = Counter(r["path"] for r in shop.writes() if "NotificationPoint" not in r["body"])
    again = {path for path, number in sent.items() if number > 1}
    assert len(sent) == 200
    assert {f"/v1/products/{p}/inventoryrecords/{r}" for p, r in intended} >= again
    assert len(again) <= 32
    assert not shop.paused()
    for n, ref in enumerate(refs, 100):
        row = shop.emulator.market.tables["inventory"].get(ref.split("/")[1:])
        assert row
        assert row.document["QuantityAvailable"] == n
    assert len(shop.messages()) == 200, "what was staged since came in the same pause"
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 0


def in_flight(folder: Path) -> set[tuple[str, str]]:
    run = Runs(folder, lambda text: None).find_unfinished()
    assert run
    open_: dict[int, str] = {}
    for record in run.outcomes():
        if isinstance(record, Intent):
            open_[record.number] = record.ref
        elif isinstance(record, Outcome):
            open_.pop(record.number, None)
    return {(ref.split("/")[1], ref.split("/")[2]) for ref in open_.values()}


def leave_intent(shop: Shop, ref: str, *, sent: bool, sold: int = 0) -> None:
    """A run that was killed right after (or right before) its one request went out."""
    crash_resume(shop, CrashPoint("request", 1, "after" if sent else "before"))
    if sold:
        _, product, record = ref.split("/")
        path = f"/products/{product}/inventoryrecords/{record}"
        now = shop.get(path)["QuantityAvailable"]
        shop.call("PATCH", path, {"QuantityAvailable": now - sold})


@pytest.mark.quick(2)
@pytest.mark.parametrize(("sent", "sold", "code", "stock"), [
    (False, 0, 0, 15), (True, 0, 0, 15), (True, 3, 0, 12), (True, 6, 6, 9), (False, 3, 6, 7),
])  # fmt: skip
def test_an_adjustment_cut_off_is_settled_by_reading(
    ocsync: Run, shop: Shop, sent: bool, sold: int, code: int, stock: int
) -> None:
    """Done (and sold since), sent again, or unknown with its three values; never applied twice."""
    [ref] = shop.stock(records=1, quantity=10)
    ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    leave_intent(shop, ref, sent=sent, sold=sold)

    result = ocsync("resume")

    assert result.code == code, result
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == stock
    if code == 6:
        assert f"unknown: QuantityAvailable: before 10, sent 15, found {stock}" in result.out
        assert ocsync("stage", "list", "--json").data["staged_refs"] == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_in_good_order(ocsync: Run, shop: Shop, number: int, code: int) -> None:
    """What is under way ends, nothing new begins. Twice at once is once: to the whole group, and
    passed on by a window.
    """
    refs = shop.stock(records=300, products=10)
    rows = [("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)]
    ocsync("stage", "import", "-", stdin=csv_of(rows))
    shop.switch(latency=0.03)
    with Started("resume") as process:
        wait_for_writes(shop, 20)
        process.signal(number)
        time.sleep(0.02)
        process.signal(number)
        stopped = process.wait(20)
    shop.switch(latency=0)
    before = len(shop.writes())
    result = ocsync("resume")

    assert stopped.code == code, stopped
    assert "stopping" in stopped.err
    assert before < 300
    assert result.code == 0
    assert len(shop.writes()) == 300, "nothing was sent twice"


def test_one_resume_at_a_time(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=100, products=10)
    rows = [("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)]
    ocsync("stage", "import", "-", stdin=csv_of(rows))
    shop.switch(latency=0.05)
    with Started("resume") as process:
        wait_for_writes(shop, 5)
        second = ocsync("resume")
        staged = ocsync("stage", "set", refs[0], "QuantityAvailable=3")
        shop.switch(latency=0)
        first = process.wait(30)

    assert second.code == 7
    assert "ocsync resume" in second.err
    assert str(process.pid) in second.err
    assert staged.code == 0, "staging goes on"
    assert first.code == 0, first
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 1
