"""The `ocsync status` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command, parse_duration
from ocsync.errors import ExitCode

if TYPE_CHECKING:
    from ocsync.engine.session import Session
    from ocsync.engine.status import Status


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "status", ExitCode.SOMETHING)
    def status(
        ctx: Context,
        offline: Annotated[
            bool, typer.Option("--offline", help="Only what this workspace knows.")
        ] = False,
        max_age: Annotated[
            str,
            typer.Option("--max-age", metavar="TIME", help="Older pauses are overdue, such as 4h."),
        ] = "",
        exit_code: Annotated[
            bool,
            typer.Option("--exit-code", help="Exit 2 if there is something to look at."),
        ] = False,
    ) -> ExitCode:
        """Show what is paused, what is staged, and the last run.

        For a watcher: with --max-age, --exit-code lets our younger pauses
        pass. Somebody else's never pass, as nobody knows their age.
        """
        from datetime import UTC, datetime

        from ocsync.render import status as shown
        from ocsync.store.lock import read_holder
        from ocsync.store.summary import (
            overdue_pauses,
            read_last_run,
            summarize_journal,
            unfinished_runs,
        )

        age = parse_duration(max_age, unit_needed=True) if max_age else 0.0
        result = None if offline else ctx.run_online(lambda session: _status(session, age))
        folder = ctx.folder()
        pauses, listeners = folder.read_raw_pauses(), folder.read_raw_attachments()
        staged = summarize_journal(folder.path / "journal", ctx.warn_once)
        run = read_last_run(folder.path / "runs")
        unfinished = unfinished_runs(folder.path, ctx.warn_once)
        holder = read_holder(folder.path / "run.lock")
        at_work = holder.describe() if holder and holder.alive is not False else ""
        now = datetime.now(UTC)
        is_open = folder.window_locks.is_open
        due = result.overdue if result else overdue_pauses(pauses, now, is_open, max_age=age)
        pin = folder.read_pin()
        facts = {
            "profile": folder.path.name,
            "workspace": str(ctx.workspace.root),
            "pauses": pauses,
            "attached": listeners,
            "staged": staged._asdict(),
            "last_run": run,
            "unfinished": [one._asdict() for one in unfinished],
            **(shown.document(result, pauses) if result else {}),
            "overdue": list(due),
            "due": dict(due),
        }
        ctx.console.document("status", facts)
        if not ctx.console.json:
            names = " · ".join(filter(None, [folder.path.name, pin.name if pin else ""]))
            ctx.console.print(f"{names} · workspace {ctx.workspace.root}")
            lines = (
                shown.online_lines(result, pauses, now)
                if result
                else shown.offline_lines(pauses, due, now)
            )
            for sign, line in (*shown.unfinished_lines(unfinished, at_work), *lines):
                ctx.console.print(line, sign)
            for sign, line in (
                *shown.attachment_lines(listeners, now),
                *shown.staged_lines(staged, run, now),
            ):
                ctx.console.print(line, sign)
        lost = [name for name, pause in pauses.items() if pause.get("lost")]
        paused = result.needs_attention if result else bool((due or lost) if age else pauses)
        something = paused or (bool(unfinished) and not at_work)
        return ExitCode.SOMETHING if exit_code and something else ExitCode.DONE


async def _status(session: Session, max_age: float) -> Status:
    from ocsync.engine.status import status

    return await status(session, max_age=max_age)
