"""Checks for leftovers of commands: locks, unfinished runs, seals, pauses, staged entries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ocsync.consolidate import consolidate
from ocsync.engine.doctor.check import (
    CheckResult,
    Repair,
    Setup,
    of_error,
    passed,
    problem,
    warning,
)
from ocsync.engine.run_log import load_progress
from ocsync.errors import Damaged, OcsyncError, PlanCycle
from ocsync.plan import build
from ocsync.risks import LIMITS, find_risks
from ocsync.store import ProfileDir, Run, integrity
from ocsync.store.lock import read_holder
from ocsync.store.profiles import environment_of
from ocsync.store.summary import summarize_journal

FORGOTTEN = timedelta(days=1)
"""The age beyond which a pause without an end has probably been forgotten."""
_SKEW = timedelta(seconds=60)
"""A start in the future by less is the clock of another machine with the same workspace."""
_BLOCKED_BY = {
    "run.lock": "whatever writes to the marketplace",
    "journal.lock": "staging",
    "listen-http.lock": "another HTTP listener",
    "listen-kafka.lock": "another Kafka listener",
}
_SOON = timedelta(hours=24)
_CONTINUE = {"resume": "ocsync resume", "delete": "the same ocsync delete again",
          "resync": "ocsync resync"}  # fmt: skip


def locks(setup: Setup) -> Iterator[CheckResult]:
    """Check for locks that are held."""
    any_held = False
    for name, blocked in _BLOCKED_BY.items():
        holder = read_holder(setup.folder.path / name)
        if holder is None or holder.pid == os.getpid():
            continue
        any_held = True
        if holder.alive is False:
            yield warning(
                f"{holder.describe()} held {name} and died", "a dead holder blocks nobody", ""
            )
        else:
            caveat = "" if holder.alive else " (on another machine: it may have ended)"
            consequence = f"{blocked} waits for it{caveat}"
            yield warning(
                f"{holder.describe()} holds {name}", consequence, "ocsync ... --lock-timeout 5m"
            )
    if not any_held:
        yield passed("nobody holds one")


def runs(setup: Setup) -> Iterator[CheckResult]:
    """Check for runs that are not finished."""
    number, all_finished = 0, True
    for folder in integrity.run_folders(setup.folder.path):
        number += 1
        run = Run(folder, setup.torn.append)
        try:
            info = run.read_info()
        except OcsyncError:
            continue  # reported with the damaged files
        if info.state != "open":
            continue
        all_finished = False
        text = f"run {run.id} ({info.kind}) is not finished{_progress(run)}"
        if setup.busy:
            yield warning(text, "a command is at work", "")
        else:
            consequence = "what it began waits, and so do its pauses; nothing is lost"
            yield problem(
                text, consequence, f"{_CONTINUE.get(info.kind, 'ocsync resume')} goes on with it"
            )
    if all_finished:
        every = "1 run, finished" if number == 1 else f"{number:,} runs, all finished"
        yield passed(every if number else "there was none yet")


def _progress(run: Run) -> str:
    try:
        ended = len(load_progress(run).ended)
        return f": {ended:,} of {run.read_info().steps:,} steps ended"
    except OcsyncError:
        return ""


def seals(setup: Setup) -> Iterator[CheckResult]:
    """Check for runs whose seal a crash interrupted."""
    interrupted = integrity.find_interrupted_seals(setup.folder.path)
    if not interrupted or setup.busy:
        yield passed("none is half made" if not interrupted else "one is being made")
        return

    def do() -> str:
        setup.folder.runs.recover(setup.folder.journal)
        return "finished, or undone; every entry is staged or in a run"

    yield warning(
        f"{', '.join(path.name for path in interrupted)}: a run that was half made",
        "a crash came between; the next resume finishes or undoes it",
        "ocsync doctor --fix, or ocsync resume",
        repair=Repair(do),
    )


def pauses(setup: Setup) -> Iterator[CheckResult]:
    """Check for pauses that are overdue, forgotten, or not resolved."""
    try:
        pauses = setup.folder.read_raw_pauses()
    except Damaged as error:
        path = setup.short(setup.folder.path / "pause.toml")
        yield of_error(
            error, "which pauses are ours is not known, so none of them can be lifted"
        )._replace(
            fix=f"mend {path}; or move it away, then: ocsync targets, ocsync pause TARGET --adopt"
        )
        return
    for name, facts in pauses.items():
        yield from _pause(setup, name, facts)
    if not pauses:
        yield passed("nothing is paused by this workspace")


def _pause(setup: Setup, name: str, facts: dict[str, Any]) -> Iterator[CheckResult]:
    age = setup.now - datetime.fromisoformat(facts["since"])
    until = facts.get("until", "")
    if facts.get("lost"):
        yield problem(
            f"somebody else lifted our pause of {name}",
            "changes are delivered one by one again, unless someone paused it since",
            f"ocsync pause {name}, or ocsync unpause {name} to forget it",
        )
    elif age < -_SKEW:
        yield problem(
            f"the pause of {name} begins in the future ({_days(-age)} from now)",
            "this machine's clock was set back since, or was ahead then: leases go by it",
            f"set the clock; if it is right: ocsync unpause {name}, or pause it again",
        )
    elif facts.get("phase") != "paused" and not setup.busy:
        yield problem(
            f"{name}: {facts.get('phase')} was begun and not confirmed",
            "a command died there; what the server did is not known yet",
            f"ocsync unpause {name}"
            if facts.get("phase") == "lifting"
            else f"ocsync pause {name}, or ocsync unpause {name}: either settles it",
        )
    elif until and datetime.fromisoformat(until) <= setup.now:
        overdue_by = _days(setup.now - datetime.fromisoformat(until))
        yield problem(
            f"{name} is paused, {overdue_by} longer than it should be",
            "its targets hear of no change until it is lifted",
            "ocsync resume, or ocsync expire",
        )
    elif (window := facts.get("window")) and not setup.folder.window_locks.is_open(str(window)):
        yield problem(
            f"{name} is still paused by a window that died",
            "its targets hear of no change until it is lifted",
            "ocsync expire, or ocsync resume",
        )
    elif not until and age > FORGOTTEN:
        yield warning(
            f"{name} has been paused for {_days(age)}, without an end",
            "its targets hear of no change until it is lifted",
            f"ocsync resume, or ocsync unpause {name}",
        )
    else:
        end = f" until {datetime.fromisoformat(until).astimezone():%Y-%m-%d %H:%M}" if until else ""
        yield passed(f"{name} is paused{end}")


def _days(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h" if hours else f"{max(int(age.total_seconds() // 60), 1)} min"


def restore(setup: Setup) -> Iterator[CheckResult]:
    """Check that no pause and no staged entry spans a restore of staging.

    Staging is restored every Sunday 03:00 UTC (guide/ordercloud.md 1.1).
    """
    if not environment_of(setup.profile.api_url).endswith("-staging"):
        yield passed("not a staging environment")
        return
    next_time = next_restore(setup.now)
    last_time = next_time - timedelta(days=7)
    pending = dict(_pending(setup.folder))
    stale = [item for item, since in pending.items() if since and since < last_time]
    consequence = (
        "what OrderCloud restores over it (data, perhaps configs) is not what you staged against"
    )
    if stale:
        yield problem(
            f"{', '.join(stale)} from before staging was restored ({last_time:%a %d %b %H:%M} UTC)",
            consequence,
            "ocsync status, ocsync plan --diff; then ocsync resume, or stage clear and unpause",
        )
    elif pending and next_time - setup.now < _SOON:
        yield warning(
            f"staging is restored in {_days(next_time - setup.now)}; pending: {', '.join(pending)}",
            consequence,
            "ocsync resume before that, or ocsync unpause and begin again afterwards",
        )
    else:
        yield passed(f"next restore {next_time:%a %d %b %H:%M} UTC")


def next_restore(now: datetime) -> datetime:
    """Return the first Sunday 03:00 UTC after *now*, which is UTC."""
    day = now.replace(hour=3, minute=0, second=0, microsecond=0)
    day += timedelta(days=(6 - now.weekday()) % 7)
    return day if day > now else day + timedelta(days=7)


def _pending(folder: ProfileDir) -> Iterator[tuple[str, datetime | None]]:
    for name, facts in folder.claims().items():
        yield f"the pause of {name}", datetime.fromisoformat(facts["since"])
    staged = summarize_journal(folder.path / "journal", lambda _: None)
    if staged.entries:
        since = datetime.fromisoformat(staged.since) if staged.since else None
        yield f"{staged.entries:,} staged entries", since


def limits(setup: Setup) -> Iterator[CheckResult]:
    """Check the staged edits against limits of the platform that staging lets pass."""
    try:
        steps = build(consolidate(setup.entries)).steps
    except PlanCycle as error:
        yield of_error(error, "no plan can be made of the staged edits")
        return
    found = [risk for risk in find_risks(steps) if risk.code in LIMITS]
    for risk in found:
        yield warning(f"staged: {risk.text}", risk.advice, f"ocsync stage show {risk.refs[0]}")
    if not found:
        yield passed("nothing staged is near a documented limit")


def others(setup: Setup) -> Iterator[CheckResult]:
    """Check that the other profiles can be read and have no overdue pauses or unfinished runs."""
    names = [n for n in setup.workspace.profile_names() if n != setup.folder.path.name]
    all_passed = True
    for name in names:
        other = Setup(setup.workspace, name, setup.environ, setup.cwd, setup.now)
        for check in (_readable, pauses, runs):
            for result in _problems_of_other(other, check):
                all_passed = False
                fix = f"{result.fix} (with --profile {name})" if result.fix else ""
                yield result._replace(what=f"profile {name}: {result.what}", fix=fix)
    if all_passed:
        yield passed(f"{len(names):,} others, nothing left in them" if names else "there are none")


def _problems_of_other(other: Setup, check: Any) -> Iterator[CheckResult]:
    try:
        yield from (result for result in check(other) if result.level != "fine")
    except OcsyncError as error:
        yield of_error(error)


def _readable(other: Setup) -> Iterator[CheckResult]:
    other.profile  # noqa: B018 - reading it is the check
    yield passed("")
