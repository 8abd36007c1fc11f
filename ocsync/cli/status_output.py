"""The output of `ocsync status`, which the dispatcher needs without typer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocsync.errors import ExitCode
from ocsync.render import status as shown
from ocsync.store.lock import read_holder
from ocsync.store.summary import overdue_pauses, read_last_run, summarize_journal, unfinished_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocsync.cli.context import Context
    from ocsync.engine.status import Status
    from ocsync.store.summary import OverdueReason


def overdue_in(
    ctx: Context, result: Status | None, *, max_age: float
) -> Mapping[str, OverdueReason]:
    """Return the pauses that should have ended, by the server's *result* if it was asked."""
    if result:
        return result.overdue
    folder = ctx.folder()
    now, is_open = datetime.now(UTC), folder.window_locks.is_open
    return overdue_pauses(folder.read_raw_pauses(), now, is_open, max_age=max_age)


def show_status(
    ctx: Context, result: Status | None, *, max_age: float, exit_code: bool
) -> ExitCode:
    """Print what this workspace knows and, if it was asked, the server's *result*.

    Return SOMETHING for a status that needs attention if *exit_code* is set. Raises Damaged.
    """
    folder = ctx.folder()
    pauses, listeners = folder.read_raw_pauses(), folder.read_raw_attachments()
    staged = summarize_journal(folder.path / "journal", ctx.warn_once)
    run = read_last_run(folder.path / "runs")
    unfinished = unfinished_runs(folder.path, ctx.warn_once)
    holder = read_holder(folder.path / "run.lock")
    at_work = holder.describe() if holder and holder.alive is not False else ""
    now = datetime.now(UTC)
    due = overdue_in(ctx, result, max_age=max_age)
    pin = folder.read_pin()
    facts = {
        "profile": folder.path.name,
        "workspace": str(ctx.workspace.root),
        "pauses": pauses,
        "attached": listeners,
        "staged": staged._asdict(),
        "last_run": _last_run(ctx, run),
        "unfinished": [one.document() for one in unfinished],
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
    paused = result.needs_attention if result else bool((due or lost) if max_age else pauses)
    something = paused or (bool(unfinished) and not at_work)
    return ExitCode.SOMETHING if exit_code and something else ExitCode.DONE


def _last_run(ctx: Context, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the last run as JSON data if that is wanted; None without one. Raises Damaged."""
    if not (record and ctx.console.takes_documents):
        return None
    from ocsync.render.json_data import run_data

    with ctx.folder().runs.get(record["id"], "resume") as run:
        return run_data(run.read_info())
