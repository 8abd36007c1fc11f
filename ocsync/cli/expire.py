"""The `ocsync expire` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command
from ocsync.cli.watchers import Ending, Metrics, Notify, run_watched
from ocsync.errors import ExitCode, first_of

if TYPE_CHECKING:
    from ocsync.engine.pause.pausing import UnpauseResult
    from ocsync.engine.session import Session


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "expire", ExitCode.LOCKED, ExitCode.PARTLY, answers=("lock_timeout",))
    def expire(
        ctx: Context,
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", "-n", help="Show what would be unpaused; change nothing."),
        ] = False,
        notify: Notify = False,
        metrics: Metrics = None,
    ) -> ExitCode:
        """Unpause targets whose time is over; for cron.

        Unpauses targets whose --for time has passed or whose window process has died. Prints
        nothing when there is nothing to do. Does nothing while a run is working (exit 7) or
        unfinished (exit 3).

        Examples:
          ocsync expire
          ocsync expire --dry-run
          ocsync expire --notify
        """
        return run_watched(
            ctx, lambda: _end_overdue(ctx, dry_run=dry_run), notify=notify, metrics=metrics
        )


def _end_overdue(ctx: Context, *, dry_run: bool) -> Ending:
    """Unpause the targets whose pause is overdue, and show the result."""
    from datetime import UTC, datetime

    from ocsync.store.summary import OverdueReason, overdue_pauses

    folder = ctx.folder()
    due = overdue_pauses(folder.read_raw_pauses(), datetime.now(UTC), folder.window_locks.is_open)
    if not due:
        ctx.console.document("expire", _document(None, "", dry_run=dry_run))
        if sys.stderr.isatty():
            ctx.console.info(
                "nothing to unpause: no --for time has passed, and no window died", "="
            )
        return Ending(ExitCode.DONE)

    async def work_on(session: Session) -> tuple[str, UnpauseResult | None]:
        return await _expire(session, list(due), dry_run=dry_run)

    run, done = ctx.run_online(work_on, locked=not dry_run)
    ctx.console.document("expire", _document(done, run, dry_run=dry_run))
    if run:
        text = f"{', '.join(due)} overdue, but run {run} is not finished"
        ctx.console.alert(f"{text}; expire waits for it", "!")
        ctx.console.suggest("ocsync resume")
        return Ending(ExitCode.PARTLY, text, tuple(due), run)
    whys = {
        OverdueReason.LEASE: "its --for time has passed",
        OverdueReason.WINDOW: "its window process has died",
    }
    reasons = {name: whys[why] for name, why in due.items()}
    code = _show_result(ctx, done, reasons, dry_run=dry_run)
    return Ending(code, "" if dry_run else _message(done), tuple(due))


def _message(result: UnpauseResult | None) -> str:
    """Return what was unpaused, and what could not be."""
    from ocsync.render.text import duration

    unpaused, failed = result or ([], [])
    parts = [
        f"{status.target.name} was forgotten and is unpaused after {duration(seconds)}"
        for status, seconds in unpaused
    ]
    parts += [f"{status.target.name} is still paused: {error.message}" for status, error in failed]
    return "; ".join(parts)


async def _expire(
    session: Session, due: list[str], *, dry_run: bool
) -> tuple[str, UnpauseResult | None]:
    from ocsync.engine.pause import pausing
    from ocsync.engine.session import sign_in

    unfinished = session.folder.runs.find_unfinished()
    if unfinished:
        return unfinished.id, None
    await sign_in(session)
    return "", await pausing.expire(session, due, dry_run=dry_run)


def _document(result: UnpauseResult | None, run: str, *, dry_run: bool) -> dict[str, object]:
    lifted, failed = result or ([], [])
    return {
        "unpaused": [{"target": one.target.name, "seconds": seconds} for one, seconds in lifted],
        "failed": [{"ref": one.target.name, "message": e.message} for one, e in failed],
        "open_run": run,
        "dry_run": dry_run,
    }


def _show_result(
    ctx: Context, result: UnpauseResult | None, reasons: dict[str, str], *, dry_run: bool
) -> ExitCode:
    from ocsync.render.text import duration

    lifted, failed = result or ([], [])
    for status, seconds in lifted:
        name, lasted = status.target.name, f"paused for {duration(seconds)}"
        word = "would run again" if dry_run else "running again"
        ctx.console.print(f"{name}  {word}: {reasons[name]}; {lasted}", "‖" if dry_run else "▶")
    for status, error in failed:
        ctx.console.alert(f"{status.target.name} is still paused: {error.message}")
    return first_of(error.exit_code for _, error in failed)
