"""Resumes whose plan and requests stay in files, as those of a million refs do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocsync.engine import step_parts
from ocsync.engine.resume import drafting
from ocsync.engine.resume.options import ResumeOptions
from ocsync.errors import ExitCode
from ocsync.store import runs
from ocsync.store.step_log import StepLog
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume, keep_state, restore_state
from tests.in_process import profile_dir, resume


@pytest.fixture
def staged(ocsync: Run, shop: Shop) -> list[str]:
    """Refs of several products with edits: plain ones, ones of several steps, one that is same."""
    refs: list[str] = shop.stock(records=24, products=5)
    ocsync("stage", "put", "inventory/P0/NEW", "AddressID=wh-0", "xp.a=1")
    for number, ref in enumerate(refs):
        ocsync("stage", "set", ref, f"QuantityAvailable={number}", f"xp.bin=B{number}")
    ocsync("stage", "adjust", "inventory/P0/NEW", "QuantityAvailable+=2")
    ocsync("stage", "adjust", refs[3], "QuantityAvailable+=5")
    return refs


def keep_in_files(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drafting, "SPILL_REFS", 3)
    patch.setattr(runs, "LONG_PLAN", 3)
    patch.setattr(step_parts, "PART_SIZE", 4)


def values(shop: Shop) -> Any:
    """What the marketplace has, and the requests that wrote it, in any order."""
    rows = shop.emulator_state()["inventory"]
    return sorted((str(r["ID"]), r["QuantityAvailable"], str(r["xp"])) for r in rows)


def plan_of_last_run() -> bytes:
    *_, last = sorted(Path(".ocsync/profiles/test/runs").iterdir())
    return (last / "plan.jsonl").read_bytes()


def test_a_resume_in_files_does_what_one_in_memory_does(
    staged: list[str], shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_state(tmp_path / "kept")
    start = shop.emulator_state()
    assert resume(shop).exit_code == ExitCode.DONE
    expected, plan = values(shop), plan_of_last_run()
    for point in (None, CrashPoint("plan"), CrashPoint("request", 9, "after")):
        restore_state(tmp_path / "kept")
        shop.emulator.reset()
        shop.seed(**start)
        keep_in_files(monkeypatch)
        if point:
            crash_resume(shop, point)
        report = resume(shop)
        assert report.exit_code == ExitCode.DONE
        assert not report.problems
        assert values(shop) == expected
        assert plan_of_last_run() == plan
        assert not shop.paused()
        assert isinstance(profile_dir().runs.get().read_plan(), StepLog)


def test_a_conflict_in_a_large_plan_is_found_before_the_first_write(
    staged: list[str], ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = staged[-1]
    ocsync("stage", "set", last, "NotificationPoint=4", "--expect", "NotificationPoint=77")
    keep_in_files(monkeypatch)
    report = resume(shop, ResumeOptions())
    assert [conflict.ref for conflict in report.conflicts] == [last]
    assert shop.writes() == []
