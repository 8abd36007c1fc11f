"""The `ocsync status` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command, parse_duration
from ocsync.cli.status_output import show_status
from ocsync.errors import ExitCode

if TYPE_CHECKING:
    from ocsync.engine.session import Session
    from ocsync.engine.status import Status


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "status", ExitCode.SOMETHING)
    def status(
        ctx: Context,
        offline: Annotated[
            bool, typer.Option("--offline", help="Show what this workspace knows; ask no server.")
        ] = False,
        max_age: Annotated[
            str,
            typer.Option(
                "--max-age",
                metavar="TIME",
                help="Report pauses older than this as overdue, such as 4h.",
            ),
        ] = "",
        exit_code: Annotated[
            bool,
            typer.Option("--exit-code", help="Exit 2 if something needs attention."),
        ] = False,
    ) -> ExitCode:
        """Show pauses, staged edits, and the last run.

        With --max-age, --exit-code ignores this workspace's pauses younger than that. Pauses
        made elsewhere always count, because their age is unknown.

        Examples:
          ocsync status
          ocsync status --max-age 4h --exit-code
        """
        age = parse_duration(max_age, unit_needed=True) if max_age else 0.0
        result = None if offline else ctx.run_online(lambda session: _status(session, age))
        return show_status(ctx, result, max_age=age, exit_code=exit_code)


async def _status(session: Session, max_age: float) -> Status:
    from ocsync.engine.status import status

    return await status(session, max_age=max_age)
