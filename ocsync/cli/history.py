"""The `ocsync history` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ocsync.cli import history_prune
from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, check_choice, command, parse_duration
from ocsync.cli.reports import check_report, write_report
from ocsync.errors import ExitCode, FileMissing, UsageError

if TYPE_CHECKING:
    from ocsync.engine.history import RunDetails, RunFilter
    from ocsync.store import RunInfo, Runs

_DEFAULT = "show"
_STATES, _COMMANDS = "open|done|failed", "resume|delete|resync"
_FORMATS = ("html", "junit", "markdown", "csv")
_RUN_LIMIT, _STEP_LIMIT = 20, 50
"""The numbers of runs and steps shown without --limit."""


class _HistoryGroup(TyperGroup):
    """A group whose default command is `show`, for `history` and `history RUN`."""

    default_command = _DEFAULT

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the name of the default command where none is given."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=_HistoryGroup,
        help="List runs, show one, write a report, or remove old ones.",
        epilog="ocsync history [RUN] is short for ocsync history show [RUN]. "
        "ocsync history RUN --report html run.html writes a page with charts.",
    )
    app.add_typer(group, name="history")

    @command(group, _DEFAULT, ExitCode.NO_FILE, exits=LOCAL_EXITS)
    def show(
        ctx: Context,
        name: Annotated[str, typer.Argument(metavar="[RUN]", help="One run.")] = "",
        since: Annotated[
            str,
            typer.Option("--since", metavar="7d|DATE", help="Only runs begun since."),
        ] = "",
        state: Annotated[
            str, typer.Option("--state", metavar=_STATES, help="Only runs with this outcome.")
        ] = "",
        failed: Annotated[bool, typer.Option("--failed", help="Short for --state failed.")] = False,
        target: Annotated[
            str,
            typer.Option("--target", metavar="TARGET", help="Only runs that wrote to this target."),
        ] = "",
        kind: Annotated[
            str, typer.Option("--type", metavar=_COMMANDS, help="Only runs of this command.")
        ] = "",
        limit: Annotated[
            int | None,
            typer.Option("--limit", metavar="N", min=0, help="Runs or steps to show; 0 for all."),
        ] = None,
        steps: Annotated[
            bool, typer.Option("--steps", help="One run, with every step's outcome.")
        ] = False,
        report: Annotated[
            tuple[str, str] | None,
            typer.Option(
                "--report",
                metavar="html|junit|markdown|csv FILE",
                help="One run as a file; - for stdout.",
            ),
        ] = None,
        no_values: Annotated[
            bool,
            typer.Option("--no-values", help="Leave values of fields out of the report."),
        ] = False,
    ) -> None:
        """List the runs, newest first, or show one.

        With --report it writes the run as a file: html is a page with charts to read, send or
        print; the others are for tools.

        Examples:
          ocsync history --since 7d --failed
          ocsync history 1123-1504 --steps
          ocsync history 1123-1504 --report html run.html
        """
        form, file = report or ("", "")
        check_report(ctx, form, file, _FORMATS)
        if no_values and not form:
            hint = "ocsync history --report html FILE"
            raise UsageError("--no-values is for a report", hint=hint)
        run_filter = _run_filter(since, "failed" if failed else state, target, kind)
        if name and any(run_filter):
            raise UsageError("a RUN cannot be combined with filters of the list")
        folder = ctx.folder()
        runs = [] if name else [info for info in _records(folder.runs) if run_filter.fits(info)]
        if not (name or steps or report):
            return _show_list(ctx, runs, limit, narrowed=any(run_filter))
        if not (name or runs):
            raise FileMissing("no run matches", hint="ocsync history")
        with folder.runs.get(name or runs[0].id) as run:
            from ocsync.engine.history import run_details, without_values

            details = run_details(run, changes=form == "html")
        if form:
            from ocsync.render.history_report import FORMATS

            reported = without_values(details) if no_values else details
            write_report(ctx, file, FORMATS[form](reported))
        if file != "-":
            _show_run(ctx, details, limit, steps=steps, file=file)
        return None

    history_prune.register(group)


def _records(runs: Runs) -> list[RunInfo]:
    """Return the records of all runs, newest first, with what killed commands are known to have
    sent.
    """
    from ocsync.engine.pace import with_killed

    infos = runs.read_all()
    return [with_killed(runs.get(i.id)) if i.state == "open" else i for i in infos]


def _run_filter(since: str, state: str, target: str, kind: str) -> RunFilter:
    from ocsync.engine import history
    from ocsync.schema import read_targets
    from ocsync.store.timestamps import utc_now

    for option, text, choices in (("--state", state, _STATES), ("--type", kind, _COMMANDS)):
        if text:
            check_choice(option, text, choices.split("|"))
    stamp, now = "", utc_now()
    if since:
        try:
            seconds = parse_duration(since) if since[-1] in "smhd" else None
            stamp = history.parse_since(since, now, seconds)
        except (ValueError, typer.BadParameter):
            text = f'"{since}" is not a duration such as 7d or a date such as {now:%Y-%m-%d}'
            raise UsageError(text) from None
    direct = read_targets([target])[0] if target else []
    if target and not direct:
        raise UsageError(f"{target} is a group; name one target")
    return history.RunFilter(stamp, state, direct[0].name if direct else "", kind)


def _show_list(ctx: Context, runs: list[RunInfo], limit: int | None, *, narrowed: bool) -> None:
    from ocsync.render import history as shown
    from ocsync.render.json_data import run_data
    from ocsync.render.text import count
    from ocsync.store.timestamps import utc_now

    chosen = runs[: limit or None] if limit is not None else runs
    ctx.console.document("history", {"runs": [*map(run_data, chosen)]})
    if ctx.console.json:
        return
    if not runs:
        ctx.console.print_lines(["no run matches" if narrowed else "no run yet"])
        return
    visible = runs[: _RUN_LIMIT if limit is None else limit or None]
    ctx.console.print_lines(shown.run_table(visible, utc_now()))
    if len(visible) < len(runs):
        ctx.console.info(f"... and {count(len(runs) - len(visible), 'run')} more (--limit 0)")


def _show_run(
    ctx: Context, details: RunDetails, limit: int | None, *, steps: bool, file: str
) -> None:
    from ocsync.models import State
    from ocsync.render import history as shown
    from ocsync.render.json_data import json_data, run_data, step_data
    from ocsync.store.timestamps import utc_now

    settled = [state.value for state in State if state.succeeded]
    facts: dict[str, Any] = {
        "run": run_data(details.info),
        "problems": [step_data(row) for row in details.steps if row.state not in settled],
        "findings": json_data(details.findings),
        "folder": details.folder,
    }
    if steps:
        facts["steps"] = [*map(step_data, details.steps)]
    ctx.console.document("history", facts)
    if ctx.console.json:
        return
    most = (_STEP_LIMIT if limit is None else limit) if steps else None
    for sign, line in shown.lines(details, utc_now(), steps=most):
        ctx.console.print(line, sign)
    if file:
        ctx.console.info(f"wrote {file}", "+")
