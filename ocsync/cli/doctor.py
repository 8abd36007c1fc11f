"""`ocsync doctor`."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import ONLINE, Yes, command
from ocsync.errors import ExitCode, Locked, OcsyncError, UsageError, first_of
from ocsync.render.console import terminal_columns

if TYPE_CHECKING:
    from ocsync.engine.doctor import CheckResult, DoctorReport, Setup

_MAX_WAIT = 8.0


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "doctor", exits=ONLINE)
    def doctor(
        ctx: Context,
        offline: Annotated[
            bool, typer.Option("--offline", help="Only what this machine can tell.")
        ] = False,
        fix: Annotated[
            bool, typer.Option("--fix", help="Repair; asks first where something is lost by it.")
        ] = False,
        yes: Yes = False,
    ) -> ExitCode:
        """Find what is wrong with the set-up, and tell each fix.

        Works without a workspace, a profile or a network, and changes nothing without --fix. Notes
        are no fault: exit 0. Else 4 for sign-in and roles, 78 for workspace and profile, 75 for the
        network, 6 for another marketplace, and 1 for all else.
        """
        from ocsync.render import doctor as shown

        ctx.yes = yes
        found = _examined(ctx, _setup(ctx), offline=offline)
        repaired: list[CheckResult] = []
        locked = ExitCode.DONE
        if fix:
            repaired, locked = _repaired(ctx, found)
        if repaired:
            found = _examined(ctx, _setup(ctx), offline=offline)
        facts = {
            "workspace": str(ctx.workspace.root),
            "profile": _profile(ctx),
            "offline": offline,
            **shown.document(found, repaired),
        }
        ctx.console.document("doctor", facts)
        if not ctx.console.json:
            _show(ctx, found, repaired)
        return first_of([locked, found.exit_code])


def _setup(ctx: Context) -> Setup:
    from datetime import UTC, datetime

    from ocsync.engine.doctor import Setup

    return Setup(
        ctx.workspace, ctx.profile_name, os.environ, Path.cwd(), datetime.now(UTC),
        sys.stdout.encoding or "utf-8",
    )  # fmt: skip


def _profile(ctx: Context) -> str:
    try:
        return ctx.profile_name or ctx.workspace.current
    except OcsyncError:
        return ""


def _examined(ctx: Context, setup: Setup, *, offline: bool) -> DoctorReport:
    from ocsync.engine.doctor import LOCAL, DoctorReport, can_ask, run_checks

    found = run_checks(setup, LOCAL)
    if offline:
        return found
    from ocsync.client import Limits
    from ocsync.engine.doctor import server
    from ocsync.engine.doctor.check import failed

    if not can_ask(found):
        why = found.skipped.get("secret", "a profile that can sign in")
        skipped = dict.fromkeys(("sign-in", *server.CHECKS), why)
        return DoctorReport(found.said, {**found.skipped, **skipped})
    try:
        asked = ctx.online(
            lambda session: server.read_server(session, setup),
            limits=Limits(max_wait=_MAX_WAIT, timeout=15.0),
        )
    except OcsyncError as error:
        asked = DoctorReport([failed("sign-in", error)], {})
    return DoctorReport([*found.said, *asked.said], {**found.skipped, **asked.skipped})


def _repaired(ctx: Context, found: DoctorReport) -> tuple[list[CheckResult], ExitCode]:
    """What was repaired, under the run lock where there is a profile."""
    from ocsync.engine.doctor import repair
    from ocsync.render import doctor as shown

    def ask(one: CheckResult) -> bool:
        question = one.repair.ask if one.repair else ""
        for sign, line in shown.told(one, terminal_columns(sys.stderr)):
            ctx.console.fault(line, sign)
        try:
            return ctx.ask(question)
        except UsageError:
            ctx.warn(f"not repaired, as nobody can be asked (--yes): {question}")
            return False

    if not any(one.repair for one in found.said):
        return [], ExitCode.DONE
    try:
        lock = ctx.folder().run_lock()
    except OcsyncError:
        lock = nullcontext()
    try:
        with lock:
            return list(repair(found, ask)), ExitCode.DONE
    except Locked as error:
        ctx.warn(f"nothing was repaired: {error.message}")
        return [], ExitCode.LOCKED


def _show(ctx: Context, found: DoctorReport, repaired: list[CheckResult]) -> None:
    from ocsync.render import doctor as shown

    for one in repaired:
        ctx.console.data(f"  {one.id}: {one.what}", "+")
    for sign, line in shown.lines(
        found, terminal_columns(sys.stdout), all_of_it=not ctx.console.quiet
    ):
        ctx.console.data(line, sign)
    sign, line = shown.closing(found)
    ctx.console.data(line, sign)
    if not repaired and any(one.repair for one in found.said):
        ctx.console.next("ocsync doctor --fix")
