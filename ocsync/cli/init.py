"""The `ocsync init` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, command


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "init", exits=LOCAL_EXITS)
    def init(
        ctx: Context,
        folder: Annotated[
            Path, typer.Argument(metavar="[DIR]", help="Folder for the workspace.")
        ] = Path(),
    ) -> None:
        """Create a workspace: the folder .ocsync in DIR.

        The workspace holds profiles, staged edits, pauses and runs. Commands find the nearest
        one in this folder or above.

        Examples:
          ocsync init
          ocsync init ./shop
        """
        from ocsync.store import Workspace
        from ocsync.store.workspace import ADD_PROFILE

        workspace = Workspace((folder / ".ocsync").absolute())
        was_there = workspace.exists
        workspace.create()
        ctx.console.document("init", {"workspace": str(workspace.root), "made": not was_there})
        ctx.console.print(f"workspace {workspace.root}", "=" if was_there else "+")
        ctx.console.suggest("ocsync login", ADD_PROFILE)
