"""Checks and their results; checks run one after the other, and none stops the rest."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ocsync.errors import ExitCode, OcsyncError, first_of
from ocsync.models import Entry
from ocsync.store import Profile, ProfileDir, Workspace
from ocsync.store.lock import read_holder


class Level(StrEnum):
    """The severity of a result."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


class Repair(NamedTuple):
    """The repair that `--fix` makes: *do* makes it and returns its description.

    *ask* is the question to put before a repair that loses something; a repair without one is safe.
    """

    do: Callable[[], str]
    ask: str = ""


class CheckResult(NamedTuple):
    """One result: *what* is the fact, *consequence* why it matters, *fix* the command to type.

    *details* are lines of evidence. *code* is the exit code of the command for this result.
    """

    level: Level
    what: str
    consequence: str = ""
    fix: str = ""
    code: ExitCode = ExitCode.FAILED
    repair: Repair | None = None
    details: tuple[str, ...] = ()
    id: str = ""


def passed(what: str) -> CheckResult:
    """Return the result of a check that found no problem."""
    return CheckResult(Level.FINE, what)


def warning(
    what: str, consequence: str = "", fix: str = "", *, repair: Repair | None = None
) -> CheckResult:
    """Return a result that the operator should know, but that is no problem."""
    return CheckResult(Level.NOTE, what, consequence, fix, repair=repair)


def problem(
    what: str,
    consequence: str = "",
    fix: str = "",
    *,
    code: ExitCode = ExitCode.FAILED,
    repair: Repair | None = None,
    details: Sequence[str] = (),
) -> CheckResult:
    """Return the result that something does not work, or may be lost."""
    return CheckResult(Level.WRONG, what, consequence, fix, code, repair, tuple(details))


def of_error(error: OcsyncError, consequence: str = "") -> CheckResult:
    """Return *error* as a result."""
    return problem(error.message, consequence, error.hint, code=error.exit_code)


@dataclass
class Setup:
    """The setup under examination. *environ* and *cwd* are those of the process, *now* is UTC.

    *asked* are kinds and targets whose roles are to be checked, in use or not.
    """

    workspace: Workspace
    profile_name: str
    environ: Mapping[str, str]
    cwd: Path
    now: datetime
    encoding: str = "utf-8"
    command: str = "ocsync doctor"
    asked: tuple[str, ...] = ()
    torn: list[str] = field(default_factory=list)

    def short(self, path: Path) -> str:
        """Return *path* as the operator types it: relative to the current folder where possible."""
        return str(path.relative_to(self.cwd) if path.is_relative_to(self.cwd) else path)

    @cached_property
    def folder(self) -> ProfileDir:
        """The profile's folder. Raises ConfigError."""
        return self.workspace.open_profile(
            self.profile_name, warn=self.torn.append, command=self.command
        )

    @cached_property
    def entries(self) -> list[Entry]:
        """Return the staged entries. Raises Damaged."""
        return self.folder.journal.entries()

    @property
    def busy(self) -> bool:
        """True while another command holds a lock of this profile and is not known to be dead."""
        holders = [read_holder(self.folder.path / name) for name in ("run.lock", "journal.lock")]
        return any(h and h.alive is not False and h.pid != os.getpid() for h in holders)

    @cached_property
    def profile(self) -> Profile:
        """The profile. Raises ConfigError, Damaged."""
        return self.folder.profile


class Needs(StrEnum):
    """The precondition of a check; each includes those before it."""

    NOTHING = ""
    WORKSPACE = "a workspace"
    FOLDER = "a profile"
    PROFILE = "a readable profile"
    LOGS = "readable logs"
    SIGN_IN = "a sign-in"


LOGS = "logs"
"""The check that reports damaged logs, so that the checks after it need not."""


class Check(NamedTuple):
    """A check: its name, the function that yields its results, and its precondition."""

    id: str
    look: Callable[[Setup], Iterable[CheckResult]]
    needs: Needs = Needs.NOTHING


class DoctorReport(NamedTuple):
    """The results of the checks; *skipped* checks were not made: id -> the precondition they
    lacked.
    """

    results: list[CheckResult]
    skipped: dict[str, str]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: DONE when nothing is wrong."""
        return first_of(one.code for one in self.results if one.level is Level.WRONG)

    def count(self, level: Level) -> int:
        """Return the number of results of this level."""
        return sum(one.level is level for one in self.results)


def run_checks(setup: Setup, checks: Iterable[Check]) -> DoctorReport:
    """Run every check whose precondition is met."""
    missing = _missing(setup)
    report = DoctorReport([], {})
    order = list(Needs)
    for check in checks:
        if order.index(check.needs) < order.index(missing):
            report.results.extend(_run_check(check, setup))
        else:
            report.skipped[check.id] = missing.value
        damaged = any(one.id == LOGS and one.level is Level.WRONG for one in report.results)
        if damaged and missing is Needs.SIGN_IN:
            missing = Needs.LOGS
    return report


def _missing(setup: Setup) -> Needs:
    """Return the first precondition that is not met; local checks never have a sign-in."""
    try:
        exists = setup.workspace.exists or setup.workspace.profile_names()
        if not exists:
            return Needs.WORKSPACE
        setup.folder  # noqa: B018 - reading it is the check
    except (OcsyncError, OSError):
        return Needs.FOLDER
    try:
        setup.profile  # noqa: B018
    except (OcsyncError, OSError):
        return Needs.PROFILE
    return Needs.SIGN_IN


def _run_check(check: Check, setup: Setup) -> list[CheckResult]:
    results: list[CheckResult] = []
    try:
        results.extend(one._replace(id=check.id) for one in check.look(setup))
    except Exception as error:  # noqa: BLE001 - a check that fails is reported, and the others run
        results.append(failed(check.id, error))
    return results


def failed(name: str, error: Exception) -> CheckResult:
    """Return the result of a check that could not be completed."""
    if isinstance(error, OcsyncError):
        result = of_error(error, "commands that need it fail")
    elif isinstance(error, OSError):
        path = f"{error.filename}: " if error.filename else ""
        result = problem(f"{path}{error.strerror or error}", "it cannot be checked")
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        result = problem(
            f"this check itself failed: {type(error).__name__}: {error}",
            "this says nothing about the setup; the other checks are not affected",
            f"report this bug, with {Path(frame.filename).name}:{frame.lineno}",
        )
    return result._replace(id=name)
