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
from ocsync.plurals import count
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
    "run.lock": "every command that writes to the marketplace",
    "journal.lock": "staging",
    "listen-http.lock": "a second HTTP listener",
    "listen-kafka.lock": "a second Kafka listener",
}
_SOON = timedelta(hours=24)
_CONTINUE = {"resume": "ocsync resume", "delete": "the same ocsync delete command",
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
                f"{name} was left by {holder.describe()}, which has died", "the lock is ignored", ""
            )
        else:
            caveat = "" if holder.alive else " (on another machine: it may have ended)"
            consequence = f"{blocked} must wait for it{caveat}"
            yield warning(
                f"{holder.describe()} holds {name}", consequence, "ocsync ... --lock-timeout 5m"
            )
    if not any_held:
        yield passed("none held")


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
            yield warning(text, "a command is running", "")
        else:
            consequence = "its changes and pauses wait until it is continued; nothing is lost"
            yield problem(
                text, consequence, f"to continue it: {_CONTINUE.get(info.kind, 'ocsync resume')}"
            )
    if all_finished:
        finished = count(number, "run, finished", "runs, all finished")
        yield passed(finished if number else "no run yet")


def _progress(run: Run) -> str:
    try:
        ended = load_progress(run).ended.count()
        return f": {ended:,} of {count(run.read_info().steps, 'step')} done"
    except OcsyncError:
        return ""


def seals(setup: Setup) -> Iterator[CheckResult]:
    """Check for runs whose seal a crash interrupted."""
    interrupted = integrity.find_interrupted_seals(setup.folder.path)
    if not interrupted or setup.busy:
        yield passed("no interrupted run start" if not interrupted else "a run is being started")
        return

    def do() -> str:
        setup.folder.runs.recover(setup.folder.journal)
        return "completed or undone; every entry is either staged or in a run"

    yield warning(
        f"{', '.join(path.name for path in interrupted)}: the start of a run was interrupted",
        "the next resume completes or undoes it",
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
            error, "this workspace's pauses are unknown, so it cannot unpause them"
        )._replace(
            fix=f"repair {path}; or move it away, then: ocsync targets, ocsync pause TARGET --adopt"
        )
        return
    for name, facts in pauses.items():
        yield from _pause(setup, name, facts)
    if not pauses:
        yield passed("this workspace has paused nothing")


def _pause(setup: Setup, name: str, facts: dict[str, Any]) -> Iterator[CheckResult]:
    age = setup.now - datetime.fromisoformat(facts["since"])
    until = facts.get("until", "")
    if facts.get("lost"):
        yield problem(
            f"someone else unpaused {name}, which this workspace had paused",
            "changes are delivered one by one again, unless someone has paused it since",
            f"ocsync pause {name}, or ocsync unpause {name} to forget it",
        )
    elif age < -_SKEW:
        yield problem(
            f"the pause of {name} begins in the future ({_days(-age)} from now)",
            "this machine's clock is or was wrong, and --for times depend on it",
            f"set the clock; if it is right: ocsync unpause {name}, or pause it again",
        )
    elif facts.get("phase") != "paused" and not setup.busy:
        yield problem(
            f"{name}: {_phase_text(facts)} was started but not confirmed",
            "a command died; it is unknown what the server did",
            f"ocsync unpause {name}"
            if facts.get("phase") == "lifting"
            else f"ocsync pause {name}, or ocsync unpause {name}",
        )
    elif until and datetime.fromisoformat(until) <= setup.now:
        overdue_by = _days(setup.now - datetime.fromisoformat(until))
        yield problem(
            f"{name} has been paused {overdue_by} longer than planned",
            "its changes are not delivered until it is unpaused",
            "ocsync resume, or ocsync expire",
        )
    elif (window := facts.get("window")) and not setup.folder.window_locks.is_open(str(window)):
        yield problem(
            f"{name} is still paused by a window that died",
            "its changes are not delivered until it is unpaused",
            "ocsync expire, or ocsync resume",
        )
    elif not until and age > FORGOTTEN:
        yield warning(
            f"{name} has been paused for {_days(age)}, with no end set",
            "its changes are not delivered until it is unpaused",
            f"ocsync resume, or ocsync unpause {name}",
        )
    else:
        end = f" until {datetime.fromisoformat(until).astimezone():%Y-%m-%d %H:%M}" if until else ""
        yield passed(f"{name} is paused{end}")


def _phase_text(facts: dict[str, Any]) -> str:
    return "unpausing" if facts.get("phase") == "lifting" else str(facts.get("phase"))


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
    consequence = "the restore replaces the data (perhaps configs too) that you staged against"
    if stale:
        yield problem(
            f"older than the last restore of staging ({last_time:%a %d %b %H:%M} UTC): "
            f"{', '.join(stale)}",
            consequence,
            "ocsync status, ocsync plan --diff; then ocsync resume, or stage clear and unpause",
        )
    elif pending and next_time - setup.now < _SOON:
        yield warning(
            f"staging is restored in {_days(next_time - setup.now)}; pending: {', '.join(pending)}",
            consequence,
            "ocsync resume before that, or ocsync unpause and start again afterwards",
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
        yield count(staged.entries, "staged entry"), since


def limits(setup: Setup) -> Iterator[CheckResult]:
    """Check the staged edits against limits of the platform that staging lets pass."""
    try:
        steps = build(consolidate(setup.entries)).steps
    except PlanCycle as error:
        yield of_error(error, "ocsync cannot plan the staged edits")
        return
    found = [risk for risk in find_risks(steps) if risk.code in LIMITS]
    for risk in found:
        yield warning(f"staged: {risk.text}", risk.advice, f"ocsync stage show {risk.refs[0]}")
    if not found:
        yield passed("no staged edit is near a documented limit")


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
        others_text = f"{count(len(names), 'other profile')}, nothing paused or staged"
        yield passed(others_text if names else "no other profiles")


def _problems_of_other(other: Setup, check: Any) -> Iterator[CheckResult]:
    try:
        yield from (result for result in check(other) if result.level != "fine")
    except OcsyncError as error:
        yield of_error(error)


def _readable(other: Setup) -> Iterator[CheckResult]:
    other.profile  # noqa: B018 - reading it is the check
    yield passed("")
