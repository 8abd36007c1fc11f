"""Options that commands share, and the decorator that adds them to a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.help_format import COMMON, Command
from ocsync.errors import ExitCode

if TYPE_CHECKING:
    from datetime import datetime

_EXIT_CODE_TEXTS = {
    ExitCode.DONE: "done, also when there was nothing to do",
    ExitCode.FAILED: "failed",
    ExitCode.SOMETHING: "with --exit-code: there is something",
    ExitCode.PARTLY: "partly done",
    ExitCode.SIGN_IN: "not signed in, or a role is missing",
    ExitCode.DIFFERS: "verification found differences",
    ExitCode.CONFLICT: "conflict, unknown outcome or stale plan",
    ExitCode.LOCKED: "locked, or paused by someone else",
    ExitCode.USAGE: "wrong usage, or a question that could not be asked",
    ExitCode.BAD_INPUT: "bad input",
    ExitCode.NO_FILE: "no such file",
    ExitCode.TRY_LATER: "try again later (network, throttled, server)",
    ExitCode.BAD_CONFIG: "bad configuration",
    ExitCode.NOT_EXECUTABLE: "the command cannot be run",
    ExitCode.NO_COMMAND: "there is no such command",
    ExitCode.INTERRUPTED: "interrupted, state safe",
    ExitCode.TERMINATED: "terminated, state safe",
}
LOCAL_EXITS = (ExitCode.DONE, ExitCode.LOCKED, ExitCode.USAGE, ExitCode.BAD_CONFIG)
"""The exit codes of a command that sends nothing."""
ONLINE_EXITS = (
    *LOCAL_EXITS,
    ExitCode.FAILED,
    ExitCode.SIGN_IN,
    ExitCode.CONFLICT,
    ExitCode.TRY_LATER,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
)
"""The exit codes of a command that signs in."""


def _common_option(*names: str, help: str, env: str, metavar: str | None = None) -> Any:  # noqa: A002 - typer's own word
    return typer.Option(
        *names, help=help, metavar=metavar, envvar=env, show_envvar=False, rich_help_panel=COMMON
    )


_COMMON_OPTIONS: dict[str, tuple[Any, Any]] = {
    "json": (
        Annotated[
            bool, _common_option("--json", help="Data as JSON on stdout.", env="OCSYNC_JSON")
        ],
        False,
    ),
    "profile": (
        Annotated[
            str,
            _common_option(
                "--profile", help="The profile to use.", metavar="NAME", env="OCSYNC_PROFILE"
            ),
        ],
        "",
    ),
    "workspace": (
        Annotated[
            Path | None,
            _common_option(
                "--workspace",
                help="The .ocsync folder to use.",
                metavar="DIR",
                env="OCSYNC_WORKSPACE",
            ),
        ],
        None,
    ),
    "quiet": (
        Annotated[
            bool, _common_option("--quiet", "-q", help="Only the answer.", env="OCSYNC_QUIET")
        ],
        False,
    ),
    "verbose": (
        Annotated[
            bool, _common_option("--verbose", "-v", help="Every step.", env="OCSYNC_VERBOSE")
        ],
        False,
    ),
    "no_color": (
        Annotated[bool, _common_option("--no-color", help="No colour.", env="OCSYNC_NO_COLOR")],
        False,
    ),
    "no_input": (
        Annotated[bool, _common_option("--no-input", help="Never ask.", env="OCSYNC_NO_INPUT")],
        False,
    ),
}
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Answer every question with yes.", envvar="OCSYNC_YES")
]
Confirm = Annotated[
    str,
    typer.Option(
        "--confirm", metavar="ID", help="The marketplace's ID, to write to production.",
        envvar="OCSYNC_CONFIRM",
    ),
]  # fmt: skip
DEFAULT_CONCURRENCY = 64
"""The default of `client.Limits`, which is not imported here as it takes long."""
Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency", metavar="N", min=1, max=256,
        help="Most requests in flight; fewer are, while the server refuses some or slows down.",
    ),
]  # fmt: skip
MaxRate = Annotated[
    float,
    typer.Option("--max-rate", metavar="N", min=0, help="Most requests a second; 0: no limit."),
]
DeliveryTimeout = Annotated[
    str,
    typer.Option(
        "--delivery-timeout",
        metavar="TIME",
        help="How long to wait without news from the listener.",
    ),
]
Redeliver = Annotated[
    bool, typer.Option("--redeliver", help="Verify, and have sent again what was not heard of.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; shown by status.")]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take over a pause that somebody else made.")]
SecretCommand = Annotated[str, typer.Option("--secret-command", metavar="CMD", help="Prints it.")]
LockTimeout = Annotated[
    str,
    typer.Option(
        "--lock-timeout",
        metavar="TIME",
        help="How long to wait for another command, such as 5m.",
        envvar="OCSYNC_LOCK_TIMEOUT",
    ),
]


def command(
    app: typer.Typer,
    name: str,
    *codes: ExitCode,
    exits: tuple[ExitCode, ...] = ONLINE_EXITS,
    cls: type[Command] = Command,
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Register `f(ctx, ...)` as command *name* with the common options and its exit codes."""

    noun = app.info.name if isinstance(app.info.name, str) and app.info.name != "ocsync" else ""

    def register(function: Callable[..., int | None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "ctx"]
        common = [
            inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for n, (kind, default) in _COMMON_OPTIONS.items()
        ]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            shared = {n: given.pop(n) for n in _COMMON_OPTIONS}
            context = Context.start(f"{noun} {name}".strip(), **shared)
            with context:
                code = function(context, **given)
            raise typer.Exit(int(code or ExitCode.DONE))

        keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*keyword, *common], return_annotation=None
        )
        run.__annotations__ = {p.name: p.annotation for p in [*keyword, *common]}
        app.command(name, cls=cls, epilog=_exit_codes_text(sorted({*exits, *codes})))(run)
        return run

    return register


def _exit_codes_text(codes: list[ExitCode]) -> str:
    return (
        "Exit codes: " + "; ".join(f"{int(code)} {_EXIT_CODE_TEXTS[code]}" for code in codes) + "."
    )


def parse_moment(text: str) -> datetime:
    """Return the time that *text* names: `2h` ago, a date, or a date and time, local by default.

    Raises typer.BadParameter.
    """
    from datetime import UTC, datetime, timedelta

    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text, unit_needed=True))
    except typer.BadParameter:
        raise typer.BadParameter(f'"{text}" is no time such as 2h or 2027-01-31T16:00') from None


def parse_duration(text: str, *, unit_needed: bool = False) -> float:
    """Return *text*, `90s`, `5m`, `2h`, `1d` or a number, in seconds. Raises BadParameter.

    *unit_needed* is for leases and ages: nobody means two seconds by `--for 2`.
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no time such as 90s, 5m, 2h or 1d') from None
    if unit_needed and value and text[-1] not in units:
        raise typer.BadParameter(f'"{text}" has no unit; give a unit, such as 2h or 90s')
    if not 0 <= value < 10**9:
        raise typer.BadParameter(f'"{text}" is not a sensible time')
    return value
