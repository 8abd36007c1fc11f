"""The `ocsync verify` command."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import (
    DeliveryTimeout,
    Redeliver,
    Settle,
    command,
    parse_duration,
    parse_moment,
    read_settle,
)
from ocsync.errors import ExitCode, UsageError, first_of

RunName = Annotated[
    str, typer.Argument(metavar="[RUN]", help="ID of the run. Default: the last resume.")
]

_DELIVERY_TIMEOUT = "60s"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app,
        "verify",
        ExitCode.PARTLY,
        ExitCode.DIFFERS,
        ExitCode.NO_FILE,
        answers=("confirm", "lock_timeout"),
    )
    def verify(
        ctx: Context,
        name: RunName = "",
        settle: Settle = "",
        delivery_timeout: DeliveryTimeout = _DELIVERY_TIMEOUT,
        redeliver: Redeliver = False,
        since: Annotated[
            str,
            typer.Option(
                "--since", metavar="TIME", help="All runs begun since: 7d ago, or 2027-01-31."
            ),
        ] = "",
        exit_code: Annotated[
            bool,
            typer.Option(
                "--exit-code", help="With --since: return 5 if anything differs, 3 if unfinished."
            ),
        ] = False,
    ) -> ExitCode:
        """Compare what a run wrote with what OrderCloud has now.

        With a listener attached, it also waits until the listener received every message. It
        reads only, unless --redeliver is given.

        With --since it compares what all runs since then left: of each field the last write
        counts. It shows what others have changed since, and returns 0 without --exit-code.

        Examples:
          ocsync verify
          ocsync verify 1123-1504 --redeliver
          ocsync verify --since 7d --exit-code
        """
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.engine.verify.verification import VerificationReport, verify_run
        from ocsync.render import delivery_proof
        from ocsync.render import verify as shown
        from ocsync.render.status import unfinished_lines
        from ocsync.store.summary import unfinished_runs

        seconds, patience = read_settle(ctx, settle), parse_duration(delivery_timeout)
        if since:
            if name:
                raise UsageError("--since is for all runs since then: leave out the run")
            if redeliver or delivery_timeout != _DELIVERY_TIMEOUT:
                raise UsageError("--redeliver and --delivery-timeout are for one run, not --since")
            return _verify_since(ctx, since, seconds, exit_code=exit_code)
        if exit_code:
            raise UsageError(
                "--exit-code is for --since; without it verify always returns 5 for differences"
            )
        unfinished = unfinished_runs(ctx.folder().path, ctx.warn_once)
        with ctx.folder().runs.get(name, "resume") as run:
            if run.read_info().kind == "resync":
                raise UsageError(
                    f"run {run.id} is a resync and wrote nothing; there is nothing to verify"
                )

            async def work_on(session: Session) -> VerificationReport:
                await sign_in(session)
                if redeliver:
                    confirm_production(session)
                return await verify_run(
                    session, run, settle=seconds, patience=patience, redeliver=redeliver
                )

            report = ctx.run_online(work_on, stream=True, locked=redeliver)
            code, info = report.exit_code, run.read_info()
            if info.state == "open":
                code = first_of([code, ExitCode.PARTLY])
            if info.state == "closed" and info.exit_code in (ExitCode.DONE, ExitCode.DIFFERS):
                run.update(exit_code=int(code))
        verification, proof = report
        ctx.console.event(
            {
                "type": "summary",
                "run": info.id,
                "folder": str(run.path),
                "delivery": delivery_proof.document(proof),
                **shown.document(verification),
                "unfinished": [one.document() for one in unfinished],
                "exit_code": int(code),
            }
        )
        if not ctx.console.json:
            for sign, line in (
                *unfinished_lines(unfinished),
                *shown.lines(info, verification, proof),
            ):
                ctx.console.print(line, sign)
            more = ["ocsync resume --verify"] if info.state == "open" else []
            ctx.console.suggest(*more, *delivery_proof.next_commands(info.id, proof))
        return code


def _verify_since(ctx: Context, since: str, settle: float, *, exit_code: bool) -> ExitCode:
    """Compare what all runs since then left with what is there; nothing is written."""
    from datetime import UTC

    from ocsync.engine.session import Session, sign_in
    from ocsync.engine.verify.drift import Drift, find_drift
    from ocsync.render import drift as shown
    from ocsync.render.status import unfinished_lines
    from ocsync.store.summary import unfinished_runs
    from ocsync.store.timestamps import utc_now

    stamp = parse_moment(since).astimezone(UTC).isoformat(timespec="seconds")

    async def work_on(session: Session) -> Drift:
        await sign_in(session)
        return await find_drift(session, stamp, settle=settle)

    unfinished = unfinished_runs(ctx.folder().path, ctx.warn_once)
    drift = ctx.run_online(work_on, stream=True)
    codes = [ExitCode.TRY_LATER] * drift.verification.has_unread
    if exit_code:
        codes = [drift.verification.exit_code]
        codes += [ExitCode.PARTLY] * bool(drift.unfinished or drift.unknown)
    code = first_of(codes)
    facts = {
        **shown.document(drift, stamp),
        "unfinished": [one._asdict() for one in unfinished],
        "exit_code": int(code),
    }
    ctx.console.event({"type": "drift", **facts})
    if not ctx.console.json:
        every = ctx.console.verbose
        for sign, line in (
            *unfinished_lines(unfinished),
            *shown.lines(drift, stamp, utc_now(), every=every),
        ):
            ctx.console.print(line, sign)
    return code
