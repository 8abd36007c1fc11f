"""The `ocsync rollback` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocsync.cli.context import Context, current_folder
from ocsync.cli.options import Settle, Yes, command, read_settle
from ocsync.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "rollback", ExitCode.PARTLY, ExitCode.NO_FILE, ExitCode.BAD_INPUT)
    def rollback(
        ctx: Context,
        name: Annotated[
            str,
            typer.Argument(
                metavar="[RUN]", help="ID of the run. Default: the last that changed something."
            ),
        ] = "",
        overwrite: Annotated[
            list[str] | None,
            typer.Option(
                "--overwrite", metavar="REF", help="Undo REF although others have changed it since."
            ),
        ] = None,
        settle: Settle = "",
        dry_run: Annotated[
            bool,
            typer.Option(
                "--dry-run", "-n", help="Show the changes that undo the run; stage nothing."
            ),
        ] = False,
        yes: Yes = False,
    ) -> ExitCode:
        """Stage changes that undo a run. Nothing is sent until resume.

        Stock is changed back by the difference, so later sales are kept. Values that others
        changed since are left alone. Entities that the run created are listed for delete.

        Examples:
          ocsync rollback --dry-run
          ocsync rollback 1123-1504
        """
        from ocsync.engine.rollback.rollback import Rollback, choose_run, roll_back, stage_rollback
        from ocsync.engine.session import Session, sign_in
        from ocsync.models import Entry
        from ocsync.render import rollback as shown
        from ocsync.schema import read_ref

        ctx.yes = yes
        seconds, forced = read_settle(ctx, settle), [read_ref(ref) for ref in overwrite or ()]
        runs = ctx.folder().runs
        with choose_run(runs, name) as run:
            newest = runs.read_all()[0]
            if not name and newest.kind == "delete":
                text = f"the newest run, {newest.id}, is a delete and is not undone here"
                ctx.console.info(f"{text}; to undo it: ocsync rollback {newest.id}", "!")

            async def work_on(session: Session) -> tuple[Rollback, list[Entry]]:
                await sign_in(session)
                result = await roll_back(session, run, overwrite=forced, settle=seconds)
                return result, [] if dry_run else stage_rollback(session, result)

            result, staged = ctx.run_online(work_on)
            file = (
                _typed_path(run.write_list("made", result.created))
                if result.created and not dry_run
                else ""
            )
        ctx.console.document("rollback", shown.document(result, staged, file, dry_run=dry_run))
        if not ctx.console.json:
            for sign, line in shown.lines(result, verbose=ctx.console.verbose):
                ctx.console.print(line, sign)
            sign, line = shown.closing_line(result, dry_run=dry_run)
            ctx.console.print(line, sign)
            ctx.console.suggest(*shown.next_commands(result, file, dry_run=dry_run))
        return result.exit_code


def _typed_path(path: Path) -> str:
    """Return *path* relative to the current folder, if it is inside."""
    here = current_folder()
    return str(path.relative_to(here) if here and path.is_relative_to(here) else path)
