"""Doctor: everything that can be wrong with the set-up, each with its fix.

A check looks at one thing and says, line by line, what is so, why it matters and what to type. It
is one row of a table: `LOCAL` here for what this machine tells, `server.CHECKS` for what only the
server does. A check that fails says so and stops no other. Looking changes nothing; what `repair`
does is safe, or asked for first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ocsync.engine.doctor import environment, leftovers, listeners, log_repair, profile, workspace
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
    Check("user", environment.who),
    Check("workspace", workspace.found),
    Check("format", workspace.format_known, _W),
    Check("owner", workspace.owner, _W),
    Check("files", workspace.file_kinds, _W),
    Check("modes", workspace.modes, _W),
    Check("ignored", workspace.ignored, _W),
    Check("leftovers", workspace.leftovers, _W),
    Check("disk", workspace.room),
    Check("profile", profile.whole, _W),
    Check("host", profile.host, _P),
    Check("proxy", environment.proxy, _P),
    Check("secret", profile.secret, _P),
    Check("trust", profile.trust, _P),
    Check(LOGS, log_repair.records, _F),
    Check("locks", leftovers.locks, _F),
    Check("runs", leftovers.runs, _F),
    Check("seals", leftovers.seals, _F),
    Check("pauses", leftovers.pauses, _F),
    Check("listeners", listeners.listeners, _F),
    Check("restore", leftovers.restore, _L),
    Check("extras", profile.extras, _L),
    Check("others", leftovers.others, _F),
)

BEFORE_ASKING = ("profile", "secret", "trust")
"""The checks without which the server is not asked."""


def can_ask(found: DoctorReport) -> bool:
    """Return whether signing in makes sense after the local checks."""
    bad = any(one.level is Level.WRONG and one.id in BEFORE_ASKING for one in found.said)
    return not bad and not any(name in found.skipped for name in BEFORE_ASKING)


def repair(found: DoctorReport, ask: Callable[[CheckResult], bool]) -> Iterator[CheckResult]:
    """Repair what can be; what was done, or why not. Where something is lost by a repair, *ask* has
    to show what that is, and to get a yes.
    """
    for one in found.said:
        if one.repair is None:
            continue
        if one.repair.ask and not ask(one):
            continue
        try:
            yield one._replace(level=Level.FINE, what=one.repair.do(), why="", fix="", repair=None)
        except (OSError, OcsyncError) as error:
            yield failed(one.id, error)._replace(what=f"not repaired: {error}")
