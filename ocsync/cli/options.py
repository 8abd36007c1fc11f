"""Options that commands share, and the decorator that adds them to a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.common_options import COMMON_OPTIONS, CommonOption
from ocsync.cli.context import Context
from ocsync.cli.durations import read_duration
from ocsync.cli.help_format import COMMON, Command
from ocsync.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from datetime import datetime

_EXIT_CODE_TEXTS = {
    ExitCode.DONE: "done, or nothing to do",
    ExitCode.FAILED: "failed",
    ExitCode.SOMETHING: "with --exit-code: changes or problems found",
    ExitCode.PARTLY: "some changes failed",
    ExitCode.SIGN_IN: "sign-in failed or a role is missing",
    ExitCode.DIFFERS: "verification found differences",
    ExitCode.CONFLICT: "conflict, unknown outcome or stale plan",
    ExitCode.LOCKED: "locked, or paused by someone else",
    ExitCode.USAGE: "usage error, or confirmation needed but no terminal",
    ExitCode.BAD_INPUT: "bad input",
    ExitCode.NO_FILE: "file, run or staged entry not found",
    ExitCode.TRY_LATER: "try again later (network, throttling, server)",
    ExitCode.BAD_CONFIG: "bad configuration",
    ExitCode.NOT_EXECUTABLE: "the command cannot be run",
    ExitCode.NO_COMMAND: "the command does not exist",
    ExitCode.INTERRUPTED: "interrupted; run it again to continue",
    ExitCode.TERMINATED: "terminated; run it again to continue",
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


_WRITES_ITSELF = ("demo", "emulator", "listen http", "listen kafka")
"""The commands that wait by design, and write when something happens."""


def _declare(option: CommonOption) -> tuple[Any, Any]:
    """Return a common option as typer declares one: the annotation and the default."""
    declaration = typer.Option(
        *option.names, help=option.help, metavar=option.metavar, envvar=option.env,
        show_envvar=False, rich_help_panel=COMMON,
    )  # fmt: skip
    kind = Path | None if option.kind is Path else option.kind
    return Annotated[kind, declaration], option.default


_COMMON_OPTIONS = {name: _declare(option) for name, option in COMMON_OPTIONS.items()}
Settle = Annotated[
    str,
    typer.Option(
        "--settle",
        metavar="TIME",
        help="How long to wait for a write to become visible. Default: 30s, or longer where "
        "ocsync probe measured a longer lag.",
    ),
]

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Answer every question with yes.", envvar="OCSYNC_YES")
]
Confirm = Annotated[
    str,
    typer.Option(
        "--confirm", metavar="ID", help="ID of the marketplace; required to write to production.",
        envvar="OCSYNC_CONFIRM",
    ),
]  # fmt: skip
DEFAULT_CONCURRENCY = 64
"""The default of `client.Limits`, which is not imported here as it takes long."""
Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency", metavar="N", min=1, max=256,
        help=(
            "Maximum concurrent requests; lowered while OrderCloud refuses some or "
            "slows down."
        ),
    ),
]  # fmt: skip
MaxRate = Annotated[
    float,
    typer.Option(
        "--max-rate", metavar="N", min=0, help="Maximum requests per second (0 = unlimited)."
    ),
]
DeliveryTimeout = Annotated[
    str,
    typer.Option(
        "--delivery-timeout",
        metavar="TIME",
        help="How long to wait without new messages at the listener.",
    ),
]
Redeliver = Annotated[
    bool, typer.Option("--redeliver", help="Verify, and resend what the listener did not receive.")
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Reason for the pause, shown by status.")
]
Adopt = Annotated[
    bool,
    typer.Option("--adopt", help="Take over a pause made elsewhere; ocsync then unpauses it too."),
]
SecretCommand = Annotated[
    str, typer.Option("--secret-command", metavar="CMD", help="Command that prints the secret.")
]
LockTimeout = Annotated[
    str,
    typer.Option(
        "--lock-timeout",
        metavar="TIME",
        help="How long to wait for a running ocsync command, such as 5m.",
        envvar="OCSYNC_LOCK_TIMEOUT",
    ),
]

_ANSWERS: dict[str, tuple[Any, Any]] = {
    "yes": (Yes, False), "confirm": (Confirm, ""), "lock_timeout": (LockTimeout, "0"),
}  # fmt: skip
"""Options that say what a command may do without a question, and how long it waits for a lock."""
ALL_ANSWERS = tuple(_ANSWERS)


def command(
    app: typer.Typer,
    name: str,
    *codes: ExitCode,
    exits: tuple[ExitCode, ...] = ONLINE_EXITS,
    answers: tuple[str, ...] = (),
    cls: type[Command] = Command,
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Register `f(ctx, ...)` as command *name* with the common options and its exit codes.

    *answers* names those of `yes`, `confirm` and `lock_timeout` that the command takes too; the
    context has what they say.
    """

    noun = app.info.name if isinstance(app.info.name, str) and app.info.name != "ocsync" else ""

    def register(function: Callable[..., int | None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "ctx"]
        taken = {**{n: _ANSWERS[n] for n in answers}, **_COMMON_OPTIONS}
        common = [
            inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for n, (kind, default) in taken.items()
        ]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            shared = {n: given.pop(n) for n in _COMMON_OPTIONS}
            answered = {n: given.pop(n) for n in answers}
            context = Context.start(f"{noun} {name}".strip(), **shared)
            signs = nullcontext() if context.command in _WRITES_ITSELF else context.showing_life()
            with context, signs:
                context.yes = answered.get("yes", context.yes)
                context.confirmed = answered.get("confirm", context.confirmed)
                context.lock_seconds = parse_duration(answered.get("lock_timeout", "0"))
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


def check_choice(option: str, value: str, choices: Iterable[str]) -> None:
    """Raise UsageError unless *value*, which *option* was given, is one of *choices*."""
    from ocsync.suggestions import listed, suggestion

    if value not in (names := list(choices)):
        hint = suggestion(value, names, f"one of {listed(names)}")
        raise UsageError(f'{option} cannot be "{value}"', hint=hint)


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
        raise typer.BadParameter(f'"{text}" is not a time such as 2h or 2027-01-31T16:00') from None


def read_settle(ctx: Context, text: str) -> float:
    """Return the seconds to wait for a write to become visible; what a probe measured counts unless
    the operator gives a time. Raises UsageError.
    """
    from ocsync.engine.probe.answers import read_answers
    from ocsync.engine.probe.effects import settle_seconds

    return parse_duration(text) if text else settle_seconds(read_answers(ctx.folder()))


def parse_duration(text: str, *, unit_needed: bool = False) -> float:
    """Return *text*, `90s`, `5m`, `2h`, `1d` or a number, in seconds. Raises BadParameter.

    *unit_needed* is for leases and ages: nobody means two seconds by `--for 2`.
    """
    try:
        return read_duration(text, unit_needed=unit_needed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
