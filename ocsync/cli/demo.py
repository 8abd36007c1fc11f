"""The `ocsync demo` command."""

from __future__ import annotations

import typer

from ocsync.cli.context import Context
from ocsync.cli.emulator import missing_extra
from ocsync.cli.options import command
from ocsync.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "demo", exits=(ExitCode.DONE, ExitCode.FAILED, ExitCode.BAD_CONFIG))
    def demo(ctx: Context) -> ExitCode:
        """Show the whole cycle on a local emulator; no account needed.

        Examples:
          ocsync demo
        """
        try:
            from ocsync.cli.demo_stories import run
        except ImportError as error:
            raise missing_extra() from error
        return run(ctx.console)
