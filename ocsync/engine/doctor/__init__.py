"""Checks of the setup, each problem with its fix.

A check looks at one thing and yields results: a fact, why it matters, and the command to type. Each
is one row of a table: `LOCAL` here for checks of this machine, `server.CHECKS` for those that need
the server. A check that fails reports that and stops no other. Checks change nothing; a repair by
`repair` is safe, or is made after a question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ocsync.engine.doctor import (
    environment,
    leftovers,
    listeners,
    log_repair,
    probe_state,
    profile,
    workspace,
)
from ocsync.engine.doctor.check import LOGS, failed
from ocsync.engine.doctor.check import Check as Check
from ocsync.engine.doctor.check import CheckResult as CheckResult
from ocsync.engine.doctor.check import DoctorReport as DoctorReport
from ocsync.engine.doctor.check import Level as Level
from ocsync.engine.doctor.check import Needs as Needs
from ocsync.engine.doctor.check import Setup as Setup
from ocsync.engine.doctor.check import run_checks as run_checks
from ocsync.errors import OcsyncError

_W, _F, _P, _L = Needs.WORKSPACE, Needs.FOLDER, Needs.PROFILE, Needs.LOGS

LOCAL: tuple[Check, ...] = (
    Check("python", environment.python),
    Check("packages", environment.packages),
    Check("terminal", environment.terminal),
    Check("environment", environment.environment),
    Check("user", environment.user),
    Check("workspace", workspace.location),
    Check("format", workspace.format_known, _W),
    Check("owner", workspace.owner, _W),
    Check("files", workspace.file_kinds, _W),
    Check("modes", workspace.modes, _W),
    Check("ignored", workspace.ignored, _W),
    Check("leftovers", workspace.leftovers, _W),
    Check("disk", workspace.disk_space),
    Check("profile", profile.settings, _W),
    Check("host", profile.host, _P),
    Check("proxy", environment.proxy, _P),
    Check("secret", profile.secret, _P),
    Check("trust", profile.trust, _P),
    Check(LOGS, log_repair.logs, _F),
    Check("locks", leftovers.locks, _F),
    Check("runs", leftovers.runs, _F),
    Check("seals", leftovers.seals, _F),
    Check("pauses", leftovers.pauses, _F),
    Check("listeners", listeners.listeners, _F),
    Check("probe", probe_state.probe_answers, _P),
    Check("copies", workspace.copies, _L),
    Check("restore", leftovers.restore, _L),
    Check("extras", profile.extras, _L),
    Check("limits", leftovers.limits, _L),
    Check("others", leftovers.others, _F),
)

BEFORE_ASKING = ("profile", "secret", "trust")
"""The checks without which the server is not asked."""


def can_ask(report: DoctorReport) -> bool:
    """Return whether signing in makes sense after the local checks."""
    failed = any(one.level is Level.WRONG and one.id in BEFORE_ASKING for one in report.results)
    return not failed and not any(name in report.skipped for name in BEFORE_ASKING)


def repair(report: DoctorReport, ask: Callable[[CheckResult], bool]) -> Iterator[CheckResult]:
    """Yield a result for each repair made, or why it was not.

    Before a repair that loses something, *ask* has to show the loss and to return true.
    """
    for result in report.results:
        if result.repair is None:
            continue
        if result.repair.ask and not ask(result):
            continue
        try:
            yield result._replace(
                level=Level.FINE, what=result.repair.do(), consequence="", fix="", repair=None
            )
        except (OSError, OcsyncError) as error:
            yield failed(result.id, error)._replace(what=f"not repaired: {error}")
