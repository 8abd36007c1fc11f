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
    """The repair that `--fix` makes: *do* returns a description of it. *ask* is the question put
    first, where something is lost by it; a repair without one is safe.
    """

    do: Callable[[], str]
    ask: str = ""


class CheckResult(NamedTuple):
    """One line of the answer: what is so, why it matters, what to type.

    *details* are the lines that it stands on. *code* is what the command exits with for it.
    """

    level: Level
    what: str
    why: str = ""
    fix: str = ""
    code: ExitCode = ExitCode.FAILED
    repair: Repair | None = None
    details: tuple[str, ...] = ()
    id: str = ""


def passed(what: str) -> CheckResult:
    """Return the result that all is well."""
    return CheckResult(Level.FINE, what)


def warning(
    what: str, why: str = "", fix: str = "", *, repair: Repair | None = None
) -> CheckResult:
    """Return a result that the operator should know; nothing is wrong."""
    return CheckResult(Level.NOTE, what, why, fix, repair=repair)


def problem(
    what: str,
    why: str = "",
    fix: str = "",
    *,
    code: ExitCode = ExitCode.FAILED,
    repair: Repair | None = None,
    details: Sequence[str] = (),
) -> CheckResult:
    """Return the result that something does not work, or is in danger."""
    return CheckResult(Level.WRONG, what, why, fix, code, repair, tuple(details))


def of_error(error: OcsyncError, why: str = "") -> CheckResult:
    """Return the result that an error gives."""
    return problem(error.message, why, error.hint, code=error.exit_code)


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
        """Return *path* as it would be typed here."""
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
        """True while another command works on this profile, as far as this machine can tell."""
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
    PROFILE = "a profile that can be read"
    LOGS = "logs that can be read"
    SIGN_IN = "a sign-in"


LOGS = "logs"
"""The check that tells of damaged logs, so that those after it need not."""


class Check(NamedTuple):
    """A check: its name, what it needs, and what it finds."""

    id: str
    look: Callable[[Setup], Iterable[CheckResult]]
    needs: Needs = Needs.NOTHING


class DoctorReport(NamedTuple):
    """The results of the checks; *skipped* checks were not made: id -> the precondition they
    lacked.
    """

    said: list[CheckResult]
    skipped: dict[str, str]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: DONE when nothing is wrong."""
        return first_of(one.code for one in self.said if one.level is Level.WRONG)

    def count(self, level: Level) -> int:
        """Return the number of results of this level."""
        return sum(one.level is level for one in self.said)


def run_checks(setup: Setup, checks: Iterable[Check]) -> DoctorReport:
    """Make every check that makes sense."""
    missing = _missing(setup)
    found = DoctorReport([], {})
    order = list(Needs)
    for check in checks:
        if order.index(check.needs) < order.index(missing):
            found.said.extend(_made(check, setup))
        else:
            found.skipped[check.id] = missing.value
        damaged = any(one.id == LOGS and one.level is Level.WRONG for one in found.said)
        if damaged and missing is Needs.SIGN_IN:
            missing = Needs.LOGS
    return found


def _missing(setup: Setup) -> Needs:
    """Return the first precondition that is not met; a sign-in never is, here."""
    try:
        there = setup.workspace.exists or setup.workspace.profile_names()
        if not there:
            return Needs.WORKSPACE
        setup.folder  # noqa: B018 - reading it is the check
    except (OcsyncError, OSError):
        return Needs.FOLDER
    try:
        setup.profile  # noqa: B018
    except (OcsyncError, OSError):
        return Needs.PROFILE
    return Needs.SIGN_IN


def _made(check: Check, setup: Setup) -> list[CheckResult]:
    said: list[CheckResult] = []
    try:
        said.extend(one._replace(id=check.id) for one in check.look(setup))
    except Exception as error:  # noqa: BLE001 - a check that fails is told, and the others go on
        said.append(failed(check.id, error))
    return said


def failed(name: str, error: Exception) -> CheckResult:
    """Return the result of a check that could not be completed."""
    if isinstance(error, OcsyncError):
        said = of_error(error, "whatever needs it cannot go on")
    elif isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        said = problem(f"{place}{error.strerror or error}", "it cannot be looked at")
    else:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = problem(
            f"this check failed itself: {type(error).__name__}: {error}",
            "it says nothing about the set-up; the other checks are not touched by it",
            f"report it, with {Path(where.filename).name}:{where.lineno}",
        )
    return said._replace(id=name)
