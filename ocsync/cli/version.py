"""`ocsync version`."""

from __future__ import annotations

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command
from ocsync.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "version", exits=(ExitCode.DONE, ExitCode.USAGE))
    def version(ctx: Context) -> None:
        """Show the version, and those of Python and the system.

        Examples:
          ocsync version
          ocsync version --json
        """
        import platform

        from ocsync import __version__

        python, system = platform.python_version(), platform.platform()
        facts = {"version": __version__, "python": python, "platform": system}
        ctx.console.document("version", facts)
        ctx.console.print(f"ocsync {__version__}")
        ctx.console.print(f"Python {python} on {system}")
