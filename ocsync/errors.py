"""Everything that ocsync raises on purpose, and the exit code each one means.

    OcsyncError                 1
    ├─ UsageError              64   wrong command line, or confirmation needed but no terminal
    │  └─ Refused              64   a guard says no, until an option says that it is meant
    ├─ InputError              65   wrong data in arguments or files; holds every problem found
    │  └─ PlanCycle            65   staged refs that depend on each other
    ├─ FileMissing             66
    ├─ ConfigError             78   workspace, profile, or a target without sync config
    │  ├─ NotEnabled           78   a target takes no sync requests
    │  ├─ TrustRequired        78   a folder's profile wants to run code or send a secret elsewhere
    │  └─ Damaged              78   a file of the workspace is not what was written
    ├─ Locked                   7   another command holds the lock
    ├─ PausedByOther            7   somebody else's pause, or ours lifted by somebody else
    ├─ Conflict                 6   the server has other values than expected
    │  └─ StalePlan             6
    ├─ SignInError              4
    ├─ TryLater                75   network, throttling, server trouble: the same command again
    │  └─ LostAnswer           75   sent, and nothing is known of its effect
    ├─ Interrupted        130/143
    ├─ CommandMissing     127   the command of a window does not exist
    │  └─ NotExecutable   126   or is none
    └─ ApiError                 1   the platform said no
       ├─ NotFound              1
       ├─ AlreadyExists         1
       ├─ GatewayRefusal       75   a proxy or firewall said no, not the platform
       └─ RoleMissing           4

Each error carries a hint: what to type next. Foreign errors are translated where they are met.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple


class ExitCode(IntEnum):
    """The exit codes of every command; a code that is not here means failure."""

    DONE = 0
    FAILED = 1
    SOMETHING = 2
    PARTLY = 3
    SIGN_IN = 4
    DIFFERS = 5
    CONFLICT = 6
    LOCKED = 7
    USAGE = 64
    BAD_INPUT = 65
    NO_FILE = 66
    TRY_LATER = 75
    BAD_CONFIG = 78
    NOT_EXECUTABLE = 126
    NO_COMMAND = 127
    INTERRUPTED = 130
    TERMINATED = 143


_PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.LOCKED,
    ExitCode.SIGN_IN,
    ExitCode.BAD_CONFIG,
    ExitCode.TRY_LATER,
    ExitCode.CONFLICT,
    ExitCode.PARTLY,
    ExitCode.DIFFERS,
    ExitCode.FAILED,
)


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code to exit with when several hold; DONE when none does."""
    found = set(codes) - {ExitCode.DONE}
    for code in _PRECEDENCE:
        if code in found:
            return code
    return next(iter(found), ExitCode.DONE)


class OcsyncError(Exception):
    """The root of what is expected to go wrong: a message for the operator, never a traceback.

    *log_id* is the platform's name for the answer that it was, which its support asks for.
    """

    exit_code: ExitCode = ExitCode.FAILED
    log_id: str = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def details(self) -> dict[str, Any]:
        """Return what a program may want to know beside message, hint and exit code."""
        return {}


class UsageError(OcsyncError):
    """The command line is wrong, or a question would have to be asked where none can be."""

    exit_code = ExitCode.USAGE


class Refused(UsageError):
    """A guard will not let this pass; the hint names the option that does."""


class Problem(NamedTuple):
    """One thing wrong with the input: where it stands, what stands there, and why it is refused.

    *line* and *column* count from 1; 0 means that the input has none (an argument). *sheet* names
    the sheet of a spreadsheet.
    """

    where: str
    line: int
    column: int
    field: str
    value: str
    why: str
    sheet: str = ""

    @classmethod
    def of_entry(cls, source: str, field: str, value: str, why: str) -> Problem:
        """Return a problem of an entry; its *source* is `FILE:LINE`, `rollback RUN` or empty."""
        file, _, line = source.rpartition(":")
        if file and line.isdigit():
            return cls(file, int(line), 0, field, value, why)
        return cls(source or "argument", 0, 0, field, value, why)

    def place(self) -> str:
        """Return `file:line:column` as far as they are known; `file sheet!C7` in a spreadsheet."""
        if self.sheet:
            return f"{self.where} {self.sheet}!{column_letters(self.column)}{self.line or ''}"
        return ":".join([self.where, *(str(n) for n in (self.line, self.column) if n)])


def column_letters(column: int) -> str:
    """Return a spreadsheet's name of a column that counts from 1: 28 is AB."""
    name = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


class InputError(OcsyncError):
    """Input that was refused as a whole; *problems* has every one of its faults."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def details(self) -> dict[str, Any]:
        """Return the problems, one object each."""
        return {"problems": [p._asdict() for p in self.problems]}


class PlanCycle(InputError):
    """Staged refs that need each other in a circle; *members* are in the order of the circle."""

    def __init__(self, members: Sequence[str]) -> None:
        super().__init__(
            "these staged refs depend on each other: " + " -> ".join([*members, members[0]]),
            hint="ocsync stage drop one of them, ocsync resume, then stage it again",
        )
        self.members = tuple(members)


class FileMissing(OcsyncError):
    """A file that was named does not exist or cannot be read."""

    exit_code = ExitCode.NO_FILE


class ConfigError(OcsyncError):
    """The workspace, the profile or the marketplace is not set up for what was asked."""

    exit_code = ExitCode.BAD_CONFIG


class NotEnabled(ConfigError):
    """A target takes no sync requests: no config, a disabled delivery, or (maybe) a pause."""


class TrustRequired(ConfigError):
    """A profile found in a folder wants to run a command or talk to an unknown host."""


class Damaged(ConfigError):
    """A file of the workspace that does not hold what was written to it, at *path* and *line*."""

    def __init__(self, path: str, line: int, reason: str, *, hint: str) -> None:
        super().__init__(f"{path}:{line}: {reason}", hint=hint)
        self.path = path
        self.line = line


class Locked(OcsyncError):
    """Another command holds the lock; the message says whose it is."""

    exit_code = ExitCode.LOCKED


class PausedByOther(OcsyncError):
    """A target's pause is not as this workspace left it, or was never ours."""

    exit_code = ExitCode.LOCKED


class Conflict(OcsyncError):
    """The marketplace is not as the operator expected."""

    exit_code = ExitCode.CONFLICT


class StalePlan(Conflict):
    """A saved plan does not belong to this journal, profile or marketplace any more."""


class SignInError(OcsyncError):
    """The token endpoint refused; *code* is the platform's error code."""

    exit_code = ExitCode.SIGN_IN

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class TryLater(OcsyncError):
    """Network, throttling or a server's bad moment; the same command can be run again."""

    exit_code = ExitCode.TRY_LATER


class LostAnswer(TryLater):
    """The request may or may not have taken effect: the answer never came (or was a 5xx)."""


class NotApplied(TryLater):
    """The server did not act on a request, or never got it; it can be repeated after *seconds*."""

    def __init__(self, message: str, *, seconds: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class Interrupted(OcsyncError):
    """Stopped by the operator; what was under way is on disk."""

    exit_code = ExitCode.INTERRUPTED


class Terminated(Interrupted):
    """Stopped by SIGTERM; what was under way is on disk."""

    exit_code = ExitCode.TERMINATED


class CommandMissing(OcsyncError):
    """The command that a window was to run does not exist; shells use the same code."""

    exit_code = ExitCode.NO_COMMAND


class NotExecutable(CommandMissing):
    """The command is there, but cannot be run."""

    exit_code = ExitCode.NOT_EXECUTABLE


class ApiError(OcsyncError):
    """The platform answered with an error: HTTP *status*, *code*, and its *data* if it sent any.

    Never match on the message: a marketplace can override it (guide/ordercloud.md 2.1).
    """

    def __init__(
        self, status: int, code: str, message: str, *, data: Any = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.data = data

    def details(self) -> dict[str, Any]:
        """Return status, code and data as the platform sent them."""
        return {"status": self.status, "code": self.code, "data": self.data}


class NotFound(ApiError):
    """404. `Data.ObjectType` and `Data.ObjectID` tell which of several IDs is missing."""


class AlreadyExists(ApiError):
    """409: an entity with this ID (or a unique name) is there already."""


class GatewayRefusal(ApiError):
    """A write that a proxy or firewall refused; OrderCloud has not seen it."""

    exit_code = ExitCode.TRY_LATER


class RoleMissing(ApiError):
    """403: the signed-in user lacks a role; *data* names those that would do."""

    exit_code = ExitCode.SIGN_IN
