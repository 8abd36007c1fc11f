"""`ocsync resync`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, Yes, command, seconds_of
from ocsync.errors import ExitCode, UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "resync", ExitCode.PARTLY, ExitCode.BAD_INPUT)
    def resync(
        ctx: Context,
        target: Annotated[str, typer.Argument(metavar="TARGET", help="The sync target.")],
        ids: Annotated[
            list[str] | None,
            typer.Argument(metavar="[ID...]", help="ID or PARENT/ID; - reads them from stdin."),
        ] = None,
        catalog: Annotated[
            str, typer.Option("--catalog", metavar="C", help="Everything of it in this catalog.")
        ] = "",
        concurrency: Annotated[
            int,
            typer.Option(
                "--concurrency", metavar="N", min=1, max=256, help="Most requests in flight."
            ),
        ] = 16,
        max_rate: Annotated[
            float,
            typer.Option(
                "--max-rate", metavar="N", min=0, help="Most requests a second; 0: no limit."
            ),
        ] = 0.0,
        yes: Yes = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> ExitCode:
        """Have OrderCloud send single entities again."""
        from ocsync.client import Limits
        from ocsync.engine.resync import MANY, Resynced, ids_in_catalog, read_ids
        from ocsync.engine.resync import resync as carry_out
        from ocsync.engine.work import Work, before_writing, sign_in
        from ocsync.render.text import count
        from ocsync.resources import read_targets

        found = read_targets([target])[0]
        if not found:
            raise UsageError(f"{target} is a group; name one target")
        words = ids or []
        if bool(words) == bool(catalog):
            raise UsageError("give IDs, - for standard input, or --catalog C")
        where = "standard input" if words == ["-"] else "argument"
        given = read_ids(found[0], sys.stdin if words == ["-"] else words, where)
        ctx.yes, ctx.confirmed, ctx.lock_seconds = yes, confirm, seconds_of(lock_timeout)

        async def work_on(work: Work) -> Resynced:
            await sign_in(work)
            before_writing(work)
            listed = await ids_in_catalog(work, found[0], catalog) if catalog else given
            if found[0].by_portal and len(listed) >= MANY:
                work.say(
                    "!", f"{len(listed):,} single product syncs: OrderCloud advises the Portal's"
                )
                work.say(" ", "full sync for catalogs, bulk and incremental work")
                if not ctx.ask("Send them one by one all the same?"):
                    raise UsageError("nothing was sent")
            return await carry_out(work, found[0], listed, workers=concurrency)

        limits = Limits(concurrency, max_rate)
        result = ctx.online(work_on, limits=limits, locked=True, stream=True)
        failed = [{"id": name, "message": error.message} for name, error in result.failed]
        ctx.console.event({"type": "summary", "target": found[0].name, "done": result.done,
                           "failed": failed})  # fmt: skip
        if not ctx.console.json:
            text = f"{count(result.done, 'sync request')} taken, {len(failed):,} failed"
            ctx.console.data(f"{found[0].name}: {text}", "✗" if failed else "✓")
        return ExitCode.PARTLY if failed else ExitCode.DONE
