"""`ocsync expire`."""

from __future__ import annotations

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LockTimeout, command, seconds_of
from ocsync.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "expire", ExitCode.LOCKED, ExitCode.PARTLY)
    def expire(ctx: Context, lock_timeout: LockTimeout = "0") -> ExitCode:
        """Lift our pauses whose lease has run out; for cron.

        Nothing is lifted while a run is under way, or waits to be finished.
        """
        from ocsync.engine import pausing
        from ocsync.engine.work import Work, sign_in
        from ocsync.render.text import duration

        ctx.lock_seconds = seconds_of(lock_timeout)

        async def work_on(work: Work) -> tuple[str, list[tuple[pausing.Surveyed, float]]]:
            unfinished = work.folder.runs.open_run()
            if unfinished:
                return unfinished.id, []
            await sign_in(work)
            return "", await pausing.expire(work)

        run, lifted = ctx.online(work_on, locked=True)
        facts = [{"target": seen.target.name, "seconds": seconds} for seen, seconds in lifted]
        ctx.console.document("expire", {"lifted": facts, "open_run": run})
        for seen, seconds in lifted:
            ctx.console.data(
                f"{seen.target.name}  running again; paused for {duration(seconds)}", "▶"
            )
        if run:
            ctx.console.fault(f"run {run} is not finished: nothing is lifted before it is", "!")
            ctx.console.next("ocsync resume")
            return ExitCode.PARTLY
        if not lifted:
            ctx.console.talk("no lease has run out", "=")
        return ExitCode.DONE
