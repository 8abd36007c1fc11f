"""The `ocsync history prune` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, command, parse_duration
from ocsync.errors import UsageError

if TYPE_CHECKING:
    from ocsync.store import RunInfo

_RUN_LIMIT = 20


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "prune", exits=LOCAL_EXITS, answers=("yes", "lock_timeout"))
    def prune(
        ctx: Context,
        keep: Annotated[
            int | None, typer.Option("--keep", metavar="N", min=0, help="Keep the newest N runs.")
        ] = None,
        older_than: Annotated[
            str, typer.Option("--older-than", metavar="90d", help="Keep runs that are younger.")
        ] = "",
        dry_run: Annotated[
            bool,
            typer.Option(
                "--dry-run", "-n", help="Show which runs would be removed; remove nothing."
            ),
        ] = False,
    ) -> None:
        """Remove old runs; they cannot be undone after that.

        Unfinished runs are kept. With both options, a run is removed only if both allow it.
        What was deleted stays known to stage.

        Examples:
          ocsync history prune --keep 50 --dry-run
          ocsync history prune --older-than 90d
        """
        from ocsync.engine.history import Retention, prunable_runs
        from ocsync.store.timestamps import utc_now

        if keep is None and not older_than:
            raise UsageError(
                "nothing selected: give --keep N, --older-than AGE, or both",
                hint="ocsync history prune --keep 50 --older-than 90d",
            )
        retention = Retention(
            keep, parse_duration(older_than, unit_needed=True) if older_than else None
        )
        folder = ctx.folder()
        with folder.run_lock():
            held = {pause.run for pause in folder.read_pauses().values()}
            prunable = prunable_runs(folder.runs.read_all(), retention, utc_now(), held)
            size = sum(folder.runs.size_of(info.id) for info in prunable)
            _show_candidates(ctx, prunable, size)
            if prunable and not dry_run:
                if not ctx.ask("Remove them? They can then no longer be rolled back or verified."):
                    raise UsageError("nothing was removed")
                folder.runs.remove([info.id for info in prunable])
        facts = {"removed": [] if dry_run else [i.id for i in prunable], "bytes": size,
                 "dry_run": dry_run, "found": [info.id for info in prunable]}  # fmt: skip
        ctx.console.document("history prune", facts)
        _show_result(ctx, prunable, dry_run=dry_run)


def _show_candidates(ctx: Context, runs: list[RunInfo], size: int) -> None:
    from ocsync.render import history as shown
    from ocsync.render.text import count
    from ocsync.store.timestamps import utc_now

    if not runs or ctx.console.json:
        return
    ctx.console.print_lines(shown.run_table(runs[:_RUN_LIMIT], utc_now()))
    if len(runs) > _RUN_LIMIT:
        ctx.console.print(f"... and {count(len(runs) - _RUN_LIMIT, 'run')} more")
    much = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
    ctx.console.print(f"{count(len(runs), 'run')}, {much}", "-")


def _show_result(ctx: Context, runs: list[RunInfo], *, dry_run: bool) -> None:
    from ocsync.render.text import count

    if ctx.console.json:
        return
    if not runs:
        ctx.console.print("nothing to remove: no run is old enough", "=")
    elif dry_run:
        ctx.console.print("dry run: nothing was removed", "=")
    else:
        ctx.console.print(f"{count(len(runs), 'run')} removed", "✓")
