"""The `ocsync demo` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.emulator import missing_extra
from ocsync.cli.options import command
from ocsync.errors import ExitCode, FileMissing


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app,
        "demo",
        ExitCode.NO_FILE,
        exits=(ExitCode.DONE, ExitCode.FAILED, ExitCode.BAD_CONFIG),
    )
    def demo(
        ctx: Context,
        report: Annotated[
            Path | None,
            typer.Option("--report", metavar="FILE", help="Write the runs as a page of HTML."),
        ] = None,
    ) -> ExitCode:
        """Show the whole cycle on a local emulator; no account needed.

        Examples:
          ocsync demo
          ocsync demo --report demo.html
        """
        try:
            from ocsync.cli.demo_stories import run
        except ImportError as error:
            raise missing_extra() from error
        if report and not report.absolute().parent.is_dir():
            raise FileMissing(f"{report}: its folder does not exist")
        return run(ctx.console, report.absolute() if report else None)
