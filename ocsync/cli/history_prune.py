"""`ocsync history prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL, LockTimeout, Yes, command, seconds_of
from ocsync.errors import UsageError

if TYPE_CHECKING:
    from ocsync.store import RunInfo

_LIST = 20


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "prune", exits=LOCAL)
    def prune(
        ctx: Context,
        keep: Annotated[
            int | None, typer.Option("--keep", metavar="N", min=0, help="Keep the newest N.")
        ] = None,
        older_than: Annotated[
            str, typer.Option("--older-than", metavar="90d", help="Keep those that are younger.")
        ] = "",
        dry_run: Annotated[
            bool, typer.Option("--dry-run", "-n", help="Show which; remove nothing.")
        ] = False,
        yes: Yes = False,
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Remove old runs, and with them their way back.

        Never one that is not finished. With both options a run goes only if
        neither keeps it. What was deleted stays known to stage.
        """
        from ocsync.engine.history import Retention, prunable_runs
        from ocsync.engine.session import utc_now

        if keep is None and not older_than:
            raise UsageError("say which stay", hint="--keep 50, or --older-than 90d, or both")
        ctx.yes, ctx.lock_seconds = yes, seconds_of(lock_timeout)
        retention = Retention(keep, seconds_of(older_than) if older_than else None)
        folder = ctx.folder()
        with folder.run_lock():
            held = {pause.run for pause in folder.read_pauses().values()}
            gone = prunable_runs(folder.runs.list(), retention, utc_now(), held)
            size = sum(folder.runs.size(info.id) for info in gone)
            _going(ctx, gone, size)
            if gone and not dry_run:
                if not ctx.ask("Remove them? They cannot be rolled back or verified then."):
                    raise UsageError("nothing was removed")
                folder.runs.remove([info.id for info in gone])
        facts = {"removed": [] if dry_run else [i.id for i in gone], "bytes": size,
                 "dry_run": dry_run, "found": [info.id for info in gone]}  # fmt: skip
        ctx.console.document("history prune", facts)
        _gone(ctx, gone, dry_run=dry_run)


def _going(ctx: Context, gone: list[RunInfo], size: int) -> None:
    from ocsync.engine.session import utc_now
    from ocsync.render import history as shown
    from ocsync.render.text import count

    if not gone or ctx.console.json:
        return
    ctx.console.lines(shown.runs(gone[:_LIST], utc_now()))
    if len(gone) > _LIST:
        ctx.console.data(f"... and {count(len(gone) - _LIST, 'run')} more")
    much = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
    ctx.console.data(f"{count(len(gone), 'run')}, {much}", "-")


def _gone(ctx: Context, gone: list[RunInfo], *, dry_run: bool) -> None:
    from ocsync.render.text import count

    if ctx.console.json:
        return
    if not gone:
        ctx.console.data("no run may go", "=")
    elif dry_run:
        ctx.console.data("this was a dry run: nothing was removed", "=")
    else:
        ctx.console.data(f"{count(len(gone), 'run')} removed", "✓")
