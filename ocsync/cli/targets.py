"""The `ocsync targets` command."""

from __future__ import annotations

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "targets")
    def targets(ctx: Context) -> None:
        """Show every sync config: whether it exists, is paused, and who paused it.

        Examples:
          ocsync targets
          ocsync targets --json
        """
        from ocsync.engine.status import status
        from ocsync.render import targets as shown
        from ocsync.render.status import document

        statuses = ctx.run_online(status)
        pauses = ctx.folder().claims()
        ctx.console.document("targets", document(statuses, pauses))
        if not ctx.console.json:
            ctx.console.print_lines(shown.table(statuses, pauses))
