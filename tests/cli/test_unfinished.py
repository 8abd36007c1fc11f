"""A run that is not finished is never hidden: whoever looks is told first, with numbers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.builders import Shop, csv_of
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.processes import Started

RUNS = Path(".ocsync/profiles/test/runs")


@pytest.fixture
def cut_off(ocsync: Run, shop: Shop) -> Run:
    """A workspace whose run of 12 steps died right after its fifth request."""
    refs = shop.stock(records=12)
    rows = csv_of([("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)])
    assert ocsync("stage", "import", "-", stdin=rows).code == 0
    crash_resume(shop, CrashPoint("request", 5, moment="after"))
    return ocsync


@pytest.mark.quick(3)
@pytest.mark.parametrize(("words", "code"), [
    ("verify", 3), ("resume --dry-run", 3), ("status", 0), ("status --exit-code", 2), ("plan", 0),
    ("status --offline --exit-code", 2), ("plan --exit-code", 2), ("status --max-age 4h --exit-code", 2),
    ("unpause inventory", 64), ("doctor", 1),
])  # fmt: skip
def test_everybody_says_it(cut_off: Run, shop: Shop, words: str, code: int) -> None:
    ended = sum('"outcome"' in line for p in RUNS.rglob("outcomes.jsonl") for line in p.read_text().splitlines())  # fmt: skip
    assert 0 <= ended < 12
    result = cut_off(*words.split())
    assert result.code == code, result
    said = f"is not finished: {ended} of 12 steps"
    assert said in result.out + result.err
    if words.startswith(("verify", "resume", "plan")):
        assert said in result.out.splitlines()[0]
    elif words.startswith("status"):
        assert said in result.out.splitlines()[1]
    assert "everything is as" not in result.out
    assert shop.paused()


def test_a_dry_run_shows_what_is_left_of_it(cut_off: Run) -> None:
    left = cut_off("resume", "--dry-run", "--json").events[-1]
    [run] = left["unfinished"]
    assert len(left["changes"]) == 12 - run["ended"] > 0


def test_unpausing_in_spite_of_it(cut_off: Run, shop: Shop) -> None:
    assert cut_off("unpause", "catalogs").code == 0, "that one is not in it"
    assert cut_off("unpause", "inventory", "--yes").code == 0
    assert not shop.paused()
    assert cut_off("status", "--exit-code").code == 2, "paused or not"


def test_a_run_whose_seal_was_cut_off(ocsync: Run, shop: Shop) -> None:
    """Its edits have left the journal, and its folder has no name yet."""
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request"))
    [run] = [path for path in RUNS.iterdir() if path.is_dir()]
    for name in ("plan.jsonl", "outcomes.jsonl", "before.jsonl"):
        (run / name).unlink(missing_ok=True)
    os.rename(run, f"{run}.new")  # noqa: PTH104
    for words in (("status",), ("status", "--offline"), ("plan",), ("resume", "--dry-run")):
        result = ocsync(*words)
        assert f"run {run.name} is not finished" in result.out, result
    assert ocsync("resume").code == 0
    assert len(shop.writes()) == 1


def test_a_continued_run_is_summed_up_before_the_next(cut_off: Run, shop: Shop) -> None:
    cut_off("stage", "set", "inventory/P0/R0", "NotificationPoint=1")
    result = cut_off("resume", "--json")
    assert result.code == 0, result
    last = result.events[-1]
    assert last["run"]["steps"] == 1
    assert (last["continued"]["run"]["steps"], last["continued"]["problems"]) == (12, [])
    assert sum(last["continued"]["run"]["counts"].values()) == 12


def test_both_runs_are_shown(cut_off: Run, shop: Shop) -> None:
    cut_off("stage", "set", "inventory/P0/R0", "NotificationPoint=1")
    shown = cut_off("resume")
    first, second = shown.out.split("run ")[1:]
    assert "(continued):" in first
    assert "complete: 12 edits" in first
    assert "complete: 1 edit " in second
    assert "12 of 12 steps done" in shown.err


def test_a_run_that_is_under_way_is_no_fault(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=40)
    rows = csv_of([("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)])
    ocsync("stage", "import", "-", stdin=rows)
    shop.switch(latency=0.1)
    with Started("resume", "--concurrency", "2") as process:
        while shop.emulator.counts["writes"] < 2:
            assert process.lives
        seen = ocsync("status", "--offline", "--max-age", "4h", "--exit-code")
        shop.switch(latency=0)
        process.wait(30)
    assert (seen.code, "is running" in seen.out) == (0, True), seen
