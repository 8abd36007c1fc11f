"""The output of `ocsync status`, which the dispatcher needs without typer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ocsync.errors import ExitCode
from ocsync.render import status as shown
from ocsync.store.lock import read_holder
from ocsync.store.summary import overdue_pauses, read_last_run, summarize_journal, unfinished_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocsync.cli.context import Context
    from ocsync.engine.status import Status
    from ocsync.render.text import Line
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


class StatusView(NamedTuple):
    """A status: its *facts* for programs, its *lines* for people, and its exit code."""

    facts: Mapping[str, Any]
    lines: Sequence[Line]
    exit_code: ExitCode


def show_status(
    ctx: Context, result: Status | None, *, max_age: float, exit_code: bool
) -> ExitCode:
    """Print what this workspace knows and, if it was asked, the server's *result*.

    Return SOMETHING for a status that needs attention if *exit_code* is set. Raises Damaged.
    """
    view = view_status(ctx, result, max_age=max_age)
    print_status(ctx, view)
    return view.exit_code if exit_code else ExitCode.DONE


def print_status(ctx: Context, view: StatusView) -> None:
    """Print a status."""
    ctx.console.document("status", view.facts)
    if not ctx.console.json:
        for sign, line in view.lines:
            ctx.console.print(line, sign)


def view_status(ctx: Context, result: Status | None, *, max_age: float) -> StatusView:
    """Return what this workspace knows and, if it was asked, the server's *result*.

    Raises Damaged.
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
    names = " · ".join(filter(None, [folder.path.name, pin.name if pin else ""]))
    targets = (
        shown.online_lines(result, pauses, now) if result else shown.offline_lines(pauses, due, now)
    )
    lines = (
        ("", f"{names} · workspace {ctx.workspace.root}"),
        *shown.unfinished_lines(unfinished, at_work),
        *targets,
        *shown.attachment_lines(listeners, now),
        *shown.staged_lines(staged, run, now),
    )
    lost = [name for name, pause in pauses.items() if pause.get("lost")]
    paused = result.needs_attention if result else bool((due or lost) if max_age else pauses)
    something = paused or (bool(unfinished) and not at_work)
    return StatusView(facts, lines, ExitCode.SOMETHING if something else ExitCode.DONE)


def _last_run(ctx: Context, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the last run as JSON data if that is wanted; None without one. Raises Damaged."""
    if not (record and ctx.console.takes_documents):
        return None
    from ocsync.render.json_data import run_data

    with ctx.folder().runs.get(record["id"], "resume") as run:
        return run_data(run.read_info())
