"""The `ocsync resume` command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.help_format import BARE
from ocsync.cli.options import (
    ALL_ANSWERS,
    DEFAULT_CONCURRENCY,
    Concurrency,
    DeliveryTimeout,
    MaxRate,
    Redeliver,
    Settle,
    check_choice,
    command,
    parse_duration,
    read_settle,
)
from ocsync.cli.plan import Targets, preflight
from ocsync.cli.watchers import Ending, Metrics, Notify, run_watched
from ocsync.errors import ExitCode, FileMissing, InputError, UsageError, first_of

if TYPE_CHECKING:
    from ocsync.client import Limits
    from ocsync.engine.resume.options import ResumeOptions

BY_ANSWERS = "answers"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app,
        "resume",
        ExitCode.PARTLY,
        ExitCode.DIFFERS,
        ExitCode.BAD_INPUT,
        ExitCode.NO_FILE,
        answers=ALL_ANSWERS,
    )
    def resume(
        ctx: Context,
        targets: Targets = None,
        verify: Annotated[
            str | None,
            typer.Option(
                "--verify",
                metavar=f"[={BY_ANSWERS}]",
                help=(
                    "Read every change back and compare; =answers reads only the writes that no"
                    " response verifies, and a sample of the others."
                ),
            ),
        ] = None,
        plan: Annotated[
            Path | None,
            typer.Option(
                "--plan", metavar="FILE", help="Send only if the plan is still this saved one."
            ),
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", "-n", help="Read and compare; send nothing.")
        ] = False,
        on_conflict: Annotated[
            str,
            typer.Option(
                "--on-conflict",
                metavar="fail|skip|overwrite",
                help="What to do where an expected value differs.",
            ),
        ] = "fail",
        repause: Annotated[
            bool,
            typer.Option("--repause", help="Pause again the targets that someone else unpaused."),
        ] = False,
        resend: Annotated[
            bool,
            typer.Option(
                "--resend",
                help="Resend edits that another copy of this workspace has already sent.",
            ),
        ] = False,
        no_pause: Annotated[bool, typer.Option("--no-pause", help="Do not pause targets.")] = False,
        unpause_anyway: Annotated[
            bool, typer.Option("--unpause-anyway", help="Unpause even if some changes failed.")
        ] = False,
        no_undo: Annotated[
            bool,
            typer.Option(
                "--no-undo",
                help=(
                    "Set inventory records without reading them first; the run cannot be undone."
                ),
            ),
        ] = False,
        concurrency: Concurrency = DEFAULT_CONCURRENCY,
        max_rate: MaxRate = 0.0,
        max_wait: Annotated[
            str,
            typer.Option(
                "--max-wait",
                metavar="TIME",
                help="How long a request may wait when OrderCloud throttles.",
            ),
        ] = "5m",
        settle: Settle = "",
        delivery_timeout: DeliveryTimeout = "60s",
        redeliver: Redeliver = False,
        max_changes: Annotated[
            int | None,
            typer.Option(
                "--max-changes",
                metavar="N",
                min=0,
                envvar="OCSYNC_MAX_CHANGES",
                help="Refuse a plan with more requests than N.",
            ),
        ] = None,
        max_failures: Annotated[
            int | None,
            typer.Option(
                "--max-failures",
                metavar="N",
                min=1,
                envvar="OCSYNC_MAX_FAILURES",
                help="Stop sending once N steps failed; the rest is staged again.",
            ),
        ] = None,
        allow_risky: Annotated[
            list[str] | None,
            typer.Option(
                "--allow-risky",
                metavar="RISK",
                help="Allow a risk that the plan names, such as zero-stock, own-user or xp-type.",
            ),
        ] = None,
        notify: Notify = False,
        metrics: Metrics = None,
    ) -> ExitCode:
        """Send the staged changes, unpause, and verify the result.

        Pauses every target the plan writes to. If interrupted, run it again; it continues
        where it stopped. Changes that fail are staged again, and their targets stay paused.

        Examples:
          ocsync resume --verify
          ocsync resume --plan release.plan --verify --yes
          ocsync resume inventory --dry-run
        """
        from ocsync.client import Limits
        from ocsync.engine.resume.options import OnConflict, ResumeOptions
        from ocsync.risks import GUARDED
        from ocsync.schema import read_targets

        if verify not in (None, BARE, BY_ANSWERS):
            raise UsageError(f'use --verify or --verify={BY_ANSWERS}, not --verify="{verify}"')
        check_choice("--on-conflict", on_conflict, OnConflict)
        for risk in allow_risky or ():
            check_choice("--allow-risky", risk, GUARDED)
        direct, grouped = read_targets(targets or ())
        if dry_run:
            names = [target.name for target in (*direct, *grouped)]
            return run_watched(
                ctx, lambda: Ending(_dry_run(ctx, names)), notify=notify, metrics=metrics
            )
        options = ResumeOptions(
            targets=(*direct, *grouped),
            undo=not no_undo,
            verify=bool(verify or redeliver),
            by_answers=verify == BY_ANSWERS,
            on_conflict=OnConflict(on_conflict),
            repause=repause,
            resend=resend,
            pause=not no_pause,
            unpause_anyway=unpause_anyway,
            workers=concurrency,
            settle=read_settle(ctx, settle),
            plan=_fingerprint(plan) if plan else "",
            redeliver=redeliver,
            delivery_timeout=parse_duration(delivery_timeout),
            max_changes=max_changes,
            max_failures=max_failures,
            allowed=frozenset(allow_risky or ()),
        )
        limits = Limits(concurrency, max_rate, parse_duration(max_wait))
        return run_watched(
            ctx, lambda: _resume(ctx, options, limits), notify=notify, metrics=metrics
        )


def _resume(ctx: Context, options: ResumeOptions, limits: Limits) -> Ending:
    """Carry out a resume and show its report."""
    from ocsync.engine.resume.conductor import resume as carry_out
    from ocsync.render import resume as shown

    report = ctx.run_online(
        lambda session: carry_out(session, options), limits=limits, locked=True, stream=True
    )
    folder = ctx.folder().path / "runs" / report.run.id if report.run else None
    ctx.console.event(shown.document(report, folder))
    for sign, line in () if ctx.console.json else shown.lines(report):
        ctx.console.print(line, sign)
    left = ["ocsync delivery detach"] if ctx.folder().read_raw_attachments() else []
    ctx.console.suggest(*shown.next_commands(report), *left)
    if report.run is None:
        return Ending(report.exit_code, "nothing was sent" if report.exit_code else "")
    kept = tuple(row.target for row in report.still_paused)
    text = f"run {report.run.id}: {shown.closing_line(report)[1]}"
    if kept:
        text += f"; {', '.join(kept)} {'stays' if len(kept) == 1 else 'stay'} paused"
    return Ending(report.exit_code, text, kept, report.run.id)


def _fingerprint(path: Path) -> str:
    """Return the fingerprint in a saved plan, without keeping its steps."""
    import msgspec

    saved_plan = msgspec.defstruct("SavedPlan", [("fingerprint", str)])
    hint = "ocsync plan --out FILE"
    try:
        saved: Any = msgspec.json.decode(path.read_bytes(), type=saved_plan)
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error
    except (ValueError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: not a saved plan: {error}", hint=hint) from error
    fingerprint: str = saved.fingerprint
    if not fingerprint:
        raise InputError(f"{path}: not a saved plan", hint=hint)
    return fingerprint


def _dry_run(ctx: Context, targets: list[str]) -> ExitCode:
    from ocsync.engine.resume.drafting import draft_staged
    from ocsync.engine.run_log import load_progress
    from ocsync.render.plan import change_lines
    from ocsync.render.planned_changes import planned_changes
    from ocsync.store.step_log import steps_without
    from ocsync.store.summary import unfinished_runs

    folder = ctx.folder()
    unfinished = [
        run for run in unfinished_runs(folder.path, ctx.warn_once) if run.kind == "resume"
    ]
    drafts = [draft_staged(folder, targets)]
    open_run = folder.runs.find_unfinished()
    if open_run and open_run.has_plan:
        ended = load_progress(open_run).ended
        rest = steps_without(open_run.read_plan(), ended)
        drafts.insert(0, drafts[0]._replace(plan=drafts[0].plan._replace(steps=rest)))
    results = [(draft.plan.steps, preflight(ctx, draft, stream=True)[0]) for draft in drafts]
    changes = [row.document() for found in results for row in planned_changes(*found)]
    facts = {"type": "dry_run", "changes": changes}
    facts["unfinished"] = [run.document() for run in unfinished]
    ctx.console.event(facts)
    if not ctx.console.json:
        for run in unfinished:
            ctx.console.print(f"{run.text()}; resume continues it first", "!")
        for found in results:
            if found[0] or len(results) == 1:
                for sign, line in change_lines(*found, remark=" (--json has all)"):
                    ctx.console.print(line, sign)
    ctx.console.info("dry run: nothing was sent", "=")
    codes = [ExitCode.CONFLICT] * any(result.conflicts for _, result in results)
    return first_of([*codes, *[ExitCode.PARTLY] * bool(unfinished)])
