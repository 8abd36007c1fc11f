"""The `ocsync doctor` command."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context, current_folder
from ocsync.cli.options import ONLINE_EXITS, Yes, command
from ocsync.errors import ExitCode, Locked, OcsyncError, UsageError, first_of

if TYPE_CHECKING:
    from ocsync.engine.doctor import CheckResult, DoctorReport, Setup

_MAX_WAIT = 8.0


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "doctor", exits=ONLINE_EXITS)
    def doctor(
        ctx: Context,
        names: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[KIND|TARGET...]", help="Kinds or targets whose roles are checked too."
            ),
        ] = None,
        offline: Annotated[
            bool, typer.Option("--offline", help="Check only this machine; ask no server.")
        ] = False,
        fix: Annotated[
            bool,
            typer.Option(
                "--fix", help="Repair what can be repaired; asks before anything is lost."
            ),
        ] = False,
        yes: Yes = False,
    ) -> ExitCode:
        """Check the setup and suggest a fix for each problem.

        Works without a workspace, a profile or a network, and changes nothing without --fix.
        Notes are not problems: exit 0. Otherwise 4 for sign-in and roles, 78 for workspace
        and profile, 75 for the network, 6 for another marketplace, 7 for a pause that may be
        someone else's, and 1 for everything else.

        Examples:
          ocsync doctor
          ocsync doctor product inventory
          ocsync doctor --offline --fix
        """
        from ocsync.render import doctor as shown

        ctx.yes = yes
        asked = _asked(names or [])
        report = _run_checks(ctx, _setup(ctx, asked), offline=offline)
        repaired: list[CheckResult] = []
        locked = ExitCode.DONE
        if fix:
            repaired, locked = _repair(ctx, report)
        if repaired:
            report = _run_checks(ctx, _setup(ctx, asked), offline=offline)
        facts = {
            "workspace": str(ctx.workspace.root),
            "profile": _profile_name(ctx),
            "offline": offline,
            **shown.document(report, repaired),
        }
        ctx.console.document("doctor", facts)
        if not ctx.console.json:
            _show(ctx, report, repaired)
        return first_of([locked, report.exit_code])


def _asked(names: list[str]) -> tuple[str, ...]:
    """Return the kinds and targets that *names* mean. Raises UsageError."""
    from ocsync.schema import GROUPS, KINDS, KINDS_COMMAND, TARGETS, read_targets
    from ocsync.suggestions import listed, suggestion

    known = [*TARGETS, *GROUPS, *(target.singular for target in TARGETS.values()), *KINDS]
    for name in names:
        if name.lower() not in known:
            shown = listed(dict.fromkeys(known), KINDS_COMMAND)
            hint = suggestion(name, known, f"kinds and targets: {shown}")
            raise UsageError(f'"{name}" is not a kind or a sync target', hint=hint)
    kinds = [name for name in names if name in KINDS]
    direct, grouped = read_targets(name for name in names if name not in KINDS)
    return (*kinds, *(target.name for target in (*direct, *grouped)))


def _setup(ctx: Context, asked: tuple[str, ...]) -> Setup:
    from datetime import UTC, datetime

    from ocsync.engine.doctor import Setup

    return Setup(
        ctx.workspace,
        ctx.profile_name,
        os.environ,
        current_folder() or ctx.workspace.root,
        datetime.now(UTC),
        sys.stdout.encoding or "utf-8",
        asked=asked,
    )


def _profile_name(ctx: Context) -> str:
    try:
        return ctx.profile_name or ctx.workspace.current_profile
    except OcsyncError:
        return ""


def _run_checks(ctx: Context, setup: Setup, *, offline: bool) -> DoctorReport:
    from ocsync.engine.doctor import LOCAL, DoctorReport, can_ask, run_checks

    report = run_checks(setup, LOCAL)
    if offline:
        return report
    from ocsync.client import Limits
    from ocsync.engine.doctor import server
    from ocsync.engine.doctor.check import failed

    if not can_ask(report):
        reason = report.skipped.get("secret", "a profile that can sign in")
        skipped = dict.fromkeys(("sign-in", *server.CHECKS), reason)
        return DoctorReport(report.results, {**report.skipped, **skipped})
    try:
        online = ctx.run_online(
            lambda session: server.read_server(session, setup),
            limits=Limits(max_wait=_MAX_WAIT, timeout=15.0),
        )
    except OcsyncError as error:
        online = DoctorReport([failed("sign-in", error)], {})
    return DoctorReport([*report.results, *online.results], {**report.skipped, **online.skipped})


def _repair(ctx: Context, report: DoctorReport) -> tuple[list[CheckResult], ExitCode]:
    """Repair under the run lock, if there is a profile; return what was repaired."""
    from ocsync.engine.doctor import repair
    from ocsync.render import doctor as shown

    def ask(result: CheckResult) -> bool:
        question = result.repair.ask if result.repair else ""
        for sign, line in shown.check_lines(result):
            ctx.console.alert(line, sign)
        try:
            return ctx.ask(question)
        except UsageError:
            ctx.warn_once(f"not repaired: this is not a terminal (or give --yes): {question}")
            return False

    if not any(one.repair for one in report.results):
        return [], ExitCode.DONE
    try:
        lock = ctx.folder().run_lock()
    except OcsyncError:
        lock = nullcontext()
    try:
        with lock:
            return list(repair(report, ask)), ExitCode.DONE
    except Locked as error:
        ctx.warn_once(f"nothing was repaired: {error.message}")
        return [], ExitCode.LOCKED


def _show(ctx: Context, report: DoctorReport, repaired: list[CheckResult]) -> None:
    from ocsync.render import doctor as shown

    for result in repaired:
        ctx.console.print(f"  {result.id}: {result.what}", "+")
    for sign, line in shown.lines(report, show_fine=not ctx.console.quiet):
        ctx.console.print(line, sign)
    sign, line = shown.closing_line(report)
    ctx.console.print(line, sign)
    if not repaired and any(result.repair for result in report.results):
        ctx.console.suggest("ocsync doctor --fix")
