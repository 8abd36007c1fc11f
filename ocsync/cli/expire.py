"""`ocsync expire`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LockTimeout, command, seconds_of
from ocsync.errors import ExitCode, first_of

if TYPE_CHECKING:
    from ocsync.engine.pause.pausing import UnpauseResult
    from ocsync.engine.session import Session


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "expire", ExitCode.LOCKED, ExitCode.PARTLY)
    def expire(
        ctx: Context,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", "-n", help="Tell what would be lifted, lift nothing.")
        ] = False,
        lock_timeout: LockTimeout = "0",
    ) -> ExitCode:
        """Lift our pauses whose lease or window is over; for cron.

        Over is a lease that ran out, and a window whose process died. Where
        there is none it is silent and asks nobody. Nothing is lifted while a
        run is under way (7), or waits to be finished (3).
        """
        from datetime import UTC, datetime

        from ocsync.store.summary import OverdueReason, overdue_pauses

        ctx.lock_seconds = seconds_of(lock_timeout)
        folder = ctx.folder()
        due = overdue_pauses(folder.raw_pauses(), datetime.now(UTC), folder.window_locks.is_open)
        if not due:
            ctx.console.document("expire", _facts(None, "", dry_run=dry_run))
            if sys.stderr.isatty():
                ctx.console.talk("no lease has run out, and no window died", "=")
            return ExitCode.DONE

        async def work_on(session: Session) -> tuple[str, UnpauseResult | None]:
            return await _expire(session, list(due), dry_run=dry_run)

        run, done = ctx.online(work_on, locked=not dry_run)
        ctx.console.document("expire", _facts(done, run, dry_run=dry_run))
        if run:
            text = f"run {run} is not finished: nothing is lifted before it is"
            ctx.console.fault(f"{', '.join(due)} overdue, but {text}", "!")
            ctx.console.next("ocsync resume")
            return ExitCode.PARTLY
        whys = {
            OverdueReason.LEASE: "its lease had run out",
            OverdueReason.WINDOW: "its window had died",
        }
        return _tell(ctx, done, {name: whys[why] for name, why in due.items()}, dry_run=dry_run)


async def _expire(
    session: Session, due: list[str], *, dry_run: bool
) -> tuple[str, UnpauseResult | None]:
    from ocsync.engine.pause import pausing
    from ocsync.engine.session import sign_in

    unfinished = session.folder.runs.open_run()
    if unfinished:
        return unfinished.id, None
    await sign_in(session)
    return "", await pausing.expire(session, due, dry_run=dry_run)


def _facts(done: UnpauseResult | None, run: str, *, dry_run: bool) -> dict[str, object]:
    lifted, failed = done or ([], [])
    return {
        "lifted": [{"target": seen.target.name, "seconds": seconds} for seen, seconds in lifted],
        "failed": [{"ref": seen.target.name, "message": e.message} for seen, e in failed],
        "open_run": run,
        "dry_run": dry_run,
    }


def _tell(
    ctx: Context, done: UnpauseResult | None, whys: dict[str, str], *, dry_run: bool
) -> ExitCode:
    from ocsync.render.text import duration

    lifted, failed = done or ([], [])
    for seen, seconds in lifted:
        name, lasted = seen.target.name, f"paused for {duration(seconds)}"
        word = "would run again" if dry_run else "running again"
        ctx.console.data(f"{name}  {word}: {whys[name]}; {lasted}", "‖" if dry_run else "▶")
    for seen, error in failed:
        ctx.console.fault(f"{seen.target.name} is still paused: {error.message}")
    return first_of(error.exit_code for _, error in failed)
