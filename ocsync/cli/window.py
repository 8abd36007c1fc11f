"""The `ocsync window` command."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.help_format import Command as Described
from ocsync.cli.options import Adopt, Confirm, LockTimeout, Reason, command, parse_duration
from ocsync.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocsync.engine.pause.child_process import ChildCommand
    from ocsync.engine.pause.window import OpenedWindow
    from ocsync.events import NoticeLevel


MAX_WAIT = 300.0
"""The seconds for which a request is retried: a lost one leaves the target paused."""


class _WindowCommand(Described):
    """A command that keeps the `--` before its program: click removes the first of two."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            args.insert(args.index("--"), "--")
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app,
        "window",
        ExitCode.DIFFERS,
        ExitCode.NOT_EXECUTABLE,
        ExitCode.NO_COMMAND,
        cls=_WindowCommand,
    )
    def window(
        ctx: Context,
        words: Annotated[
            list[str],
            typer.Argument(
                metavar="TARGET... -- COMMAND [ARG]...", help="Targets, then -- and your command."
            ),
        ],
        reason: Reason = "",
        lease: Annotated[
            str,
            typer.Option(
                "--for",
                metavar="TIME",
                help="How long the pause may last, such as 1h; expire ends it then.",
            ),
        ] = "",
        adopt: Adopt = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> int:
        """Pause targets while a command runs, then unpause whatever happened.

        The exit code is the command's own (128 + n for signal n) when that is not 0; it is
        never 0 when a target is left paused. SIGINT, SIGTERM and SIGHUP are passed on. The
        command runs without a shell and finds this profile and workspace in OCSYNC_PROFILE
        and OCSYNC_WORKSPACE; ocsync inside it leaves the window's pauses alone. With --json
        the command's standard output goes to standard error.

        Examples:
          ocsync window inventory --for 1h -- ./import.sh stock.csv
        """
        import asyncio

        from ocsync.cli.pause import profile_label
        from ocsync.client import Limits
        from ocsync.engine.pause.window import WindowRequest
        from ocsync.engine.pause.window import window as run_window
        from ocsync.render import window as shown
        from ocsync.render.progress import NOTICE_SIGNS
        from ocsync.schema import read_targets

        targets, program = _split_arguments(words)
        direct, grouped = read_targets(targets)
        ctx.confirmed = confirm
        folder = ctx.folder()
        child = _child_command(ctx, program)
        enclosing = os.environ.get("OCSYNC_WINDOW", "").split()
        request = WindowRequest(
            direct=direct,
            grouped=grouped,
            reason=reason or f"window: {child.name}",
            seconds=parse_duration(lease, unit_needed=True) if lease else 0.0,
            adopt=adopt,
            patience=parse_duration(lock_timeout),
            enclosing=enclosing,
        )

        def print_line(sign: str, text: str) -> None:
            (ctx.console.alert if sign in ("!", "✗") else ctx.console.info)(text, sign)

        def notify(level: NoticeLevel, text: str) -> None:
            print_line(NOTICE_SIGNS[level], text)

        def on_open(name: str, window: OpenedWindow) -> ChildCommand:
            hush.enter_context(ctx.console.hushed())
            for sign, line in shown.opened_lines(window, child.name, profile_label(folder)):
                print_line(sign, line)
            return child.told(
                OCSYNC_WINDOW=" ".join([*enclosing, name]),
                OCSYNC_WINDOW_TARGETS=" ".join([*window.held, *window.already]),
            )

        sessions = partial(ctx.session, limits=Limits(max_wait=MAX_WAIT))
        with ExitStack() as hush:  # from then on the command has the terminal
            result = asyncio.run(run_window(sessions, folder, request, on_open, notify))
        for sign, line in shown.closed_lines(result, child.name):
            print_line(sign, line)
        if result.error:
            raise result.error
        ctx.console.document("window", shown.document(result))
        return result.exit_code


def _split_arguments(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the targets and the command. Raises UsageError if one of them is missing."""
    position = words.index("--") if "--" in words else len(words)
    targets, program = list(words[:position]), list(words[position + 1 :])
    if not targets or not program:
        missing = "command" if targets else "target"
        raise UsageError(
            f"no {missing} was given", hint="ocsync window inventory --for 1h -- ./import.sh"
        )
    return targets, program


def _child_command(ctx: Context, words: list[str]) -> ChildCommand:
    """Return the command with the environment of this profile's window."""
    from ocsync.engine.pause.child_process import ChildCommand

    variables = {
        "OCSYNC_WORKSPACE": str(ctx.workspace.root),
        "OCSYNC_PROFILE": ctx.folder().path.name,
    }
    stdout = sys.stderr.fileno() if ctx.console.json else None
    child = ChildCommand(tuple(words), {**os.environ, **variables}, stdout)
    child.check()
    return child
