"""The `ocsync status` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command, parse_duration
from ocsync.cli.status_output import overdue_in, show_status
from ocsync.cli.watchers import OVERDUE_TEXTS, Ending, Metrics, Notify, run_watched
from ocsync.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocsync.engine.session import Session
    from ocsync.engine.status import Status
    from ocsync.store.summary import OverdueReason

_INTERVAL = "5s"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "status", ExitCode.SOMETHING)
    def status(
        ctx: Context,
        offline: Annotated[
            bool, typer.Option("--offline", help="Show what this workspace knows; ask no server.")
        ] = False,
        max_age: Annotated[
            str,
            typer.Option(
                "--max-age",
                metavar="TIME",
                help="Report pauses older than this as overdue, such as 4h.",
            ),
        ] = "",
        exit_code: Annotated[
            bool,
            typer.Option("--exit-code", help="Exit 2 if something needs attention."),
        ] = False,
        watch: Annotated[
            bool, typer.Option("--watch", help="Show it again when it changes, until Ctrl-C.")
        ] = False,
        interval: Annotated[
            str,
            typer.Option("--interval", metavar="TIME", help="With --watch: how often to look."),
        ] = "",
        notify: Notify = False,
        metrics: Metrics = None,
    ) -> ExitCode:
        """Show pauses, staged edits, and the last run.

        With --max-age, --exit-code ignores this workspace's pauses younger than that. Pauses
        made elsewhere always count, because their age is unknown. With --notify a message is
        posted for each overdue pause. With --watch it looks every 5 seconds: a terminal shows
        the latest status, a file or --json gets each status that differs from the one before.

        Examples:
          ocsync status
          ocsync status --watch --interval 30s
          ocsync status --max-age 4h --notify --metrics ocsync.prom
        """
        age = parse_duration(max_age, unit_needed=True) if max_age else 0.0
        if interval and not watch:
            raise UsageError("--interval is for --watch", hint="ocsync status --watch")
        if watch:
            if exit_code or notify or metrics:
                raise UsageError("--watch cannot be combined with --exit-code, --notify, --metrics")
            from ocsync.cli.status_watch import watch_status

            seconds = parse_duration(interval or _INTERVAL, unit_needed=True)
            return watch_status(ctx, seconds, max_age=age, offline=offline)

        def work() -> Ending:
            result = None if offline else ctx.run_online(lambda session: _status(session, age))
            code = show_status(ctx, result, max_age=age, exit_code=exit_code)
            return _ending(ctx, code, overdue_in(ctx, result, max_age=age))

        return run_watched(ctx, work, notify=notify, metrics=metrics)


def _ending(ctx: Context, code: ExitCode, due: Mapping[str, OverdueReason]) -> Ending:
    """Return the end of the command, with a message if a pause is overdue."""
    from ocsync.render.text import duration
    from ocsync.store.timestamps import parse_timestamp, utc_now

    pauses, now = ctx.folder().read_raw_pauses(), utc_now()
    parts = []
    for name, reason in due.items():
        lasted = duration((now - parse_timestamp(pauses[name]["since"])).total_seconds())
        parts.append(f"{name} has been paused for {lasted}, {OVERDUE_TEXTS[reason]}")
    return Ending(code, "; ".join(parts), tuple(due))


async def _status(session: Session, max_age: float) -> Status:
    from ocsync.engine.status import status

    return await status(session, max_age=max_age)
