"""The `ocsync plan` command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, command
from ocsync.cli.reports import check_report, write_report
from ocsync.errors import ExitCode, FileMissing

if TYPE_CHECKING:
    from ocsync.engine.pause.pausing import TargetStatus
    from ocsync.engine.resume.drafting import PlanDraft
    from ocsync.engine.resume.preflight import Preflight
    from ocsync.models import Entry, Step
    from ocsync.render.plan import PlanView, ReplayRate
    from ocsync.risks import Risk
    from ocsync.store import ProfileDir
    from ocsync.store.summary import UnfinishedRun

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET...]",
        help="Only changes for these targets, and the changes they depend on.",
    ),
]
_FORMATS = ("markdown", "html")
_EXITS = (*LOCAL_EXITS, ExitCode.SOMETHING, ExitCode.BAD_INPUT, ExitCode.NO_FILE, ExitCode.SIGN_IN,
          ExitCode.CONFLICT, ExitCode.TRY_LATER)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "plan", exits=_EXITS)
    def plan(
        ctx: Context,
        targets: Targets = None,
        diff: Annotated[
            bool,
            typer.Option("--diff", help="Read the marketplace, and show what would really change."),
        ] = False,
        whole: Annotated[
            bool, typer.Option("--list", help="List every change, however many there are.")
        ] = False,
        explain: Annotated[
            str,
            typer.Option(
                "--explain", metavar="REF", help="Show the edits that became the request for REF."
            ),
        ] = "",
        out: Annotated[
            Path | None,
            typer.Option("--out", metavar="FILE", help="Save the plan for resume --plan."),
        ] = None,
        report: Annotated[
            tuple[str, str] | None,
            typer.Option(
                "--report",
                metavar="markdown|html FILE",
                help="The plan as a comment or a page to review; - for stdout.",
            ),
        ] = None,
        exit_code: Annotated[
            bool, typer.Option("--exit-code", help="Exit 2 when there are changes to send.")
        ] = False,
    ) -> ExitCode:
        """Show what resume will send, how many requests it saves, and the risks.

        Works offline. With --diff it reads the marketplace and shows the values before and
        after. Up to 20 changes are listed, more of them with --list. --explain shows which
        edits became one request.

        Examples:
          ocsync plan inventory --diff
          ocsync plan --out release.plan
          ocsync plan --diff --report markdown plan.md
        """
        from ocsync.engine.probe.answers import read_answers
        from ocsync.engine.probe.effects import products_resent, xp_objects_merge
        from ocsync.engine.resume.drafting import draft_plan, draft_staged, fingerprint
        from ocsync.ordering import are_unrelated
        from ocsync.render.plan import PlanView
        from ocsync.risks import find_risks, settle_xp_risk
        from ocsync.schema import read_targets
        from ocsync.store.summary import unfinished_runs
        from ocsync.store.timestamps import utc_now

        form, file = report or ("", "")
        check_report(ctx, form, file, _FORMATS)
        folder = ctx.folder()
        names = [target.name for found in read_targets(targets or ()) for target in found]
        if explain:
            staged = folder.journal.of_refs([explain])
            # what is shown has no numbers of steps, which all that is staged decides
            alone = not (names or ctx.console.json) and are_unrelated(folder.journal.kinds())
            drafted = draft_plan(staged) if alone else draft_staged(folder, names)
            return _explain(ctx, drafted, explain, staged)
        drafted = draft_staged(folder, names)
        pauses, is_open = folder.read_pauses(), folder.window_locks.is_open
        steps, answers = drafted.plan.steps, read_answers(folder)
        view = PlanView(
            _names_of(folder), drafted, pauses, _last_rate(folder), utc_now(),
            settle_xp_risk(find_risks(steps), merges=xp_objects_merge(answers)), names,
            [name for name, pause in pauses.items() if pause.window and is_open(pause.window)],
            resends=products_resent(answers, [total.kind for total in drafted.totals]),
        )  # fmt: skip
        result: Preflight | None = None
        if diff and (steps or pauses):
            result, statuses = preflight(ctx, drafted)
            risks = [*view.risks, *_type_risks(steps, result)]
            view = view._replace(statuses=statuses, pauses=folder.read_pauses(), risks=risks)
        unfinished = [
            run for run in unfinished_runs(folder.path, ctx.warn_once) if run.kind == "resume"
        ]
        needs_digest = out or report or ctx.console.takes_documents
        digest = fingerprint(drafted.plan, folder) if needs_digest else ""
        if out:
            _save(out, digest, drafted, names)
        if needs_digest:
            _write_documents(ctx, view, result, digest, unfinished, form, file)
        if file != "-" and not ctx.console.json:
            _show(ctx, view, result, unfinished, whole=whole)
            if report:
                ctx.console.info(f"wrote {file}", "+")
            if out:
                ctx.console.info(f"saved plan {digest} as {out}", "+")
            ctx.console.suggest(*_next_commands(view, out, unfinished, compared=diff))
        if not exit_code:
            return ExitCode.DONE
        something = unfinished or (_would_change(steps, result) if result else steps)
        return ExitCode.SOMETHING if something else ExitCode.DONE


def _write_documents(
    ctx: Context,
    view: PlanView,
    result: Preflight | None,
    digest: str,
    unfinished: Sequence[UnfinishedRun],
    form: str,
    file: str,
) -> None:
    """Write the plan as JSON, tell the CI, and write the report as *form* if one is wanted."""
    from ocsync.render import plan_report
    from ocsync.render.json_data import json_data
    from ocsync.render.plan import document
    from ocsync.render.planned_changes import list_changes, planned_changes

    steps = view.draft.plan.steps
    facts = {**document(view, digest), "open_run": unfinished[0].id if unfinished else ""}
    listed = list_changes(steps, result, plan_report.ROW_LIMIT)
    rows: dict[str, Iterable[Any]] = {"planned_steps": map(json_data, steps)}
    reported: dict[str, Any] = {**facts, "command": "plan", "listed": listed}
    if result and steps:
        rows["changes"] = (row.document() for row in planned_changes(steps, result))
        reported["changes"] = [row.document() for row in listed.rows]
    ctx.console.document("plan", facts, rows=rows, ci=reported)
    if form:
        write_report(ctx, file, plan_report.FORMATS[form](reported))


def _show(
    ctx: Context,
    view: PlanView,
    result: Preflight | None,
    unfinished: Sequence[UnfinishedRun],
    *,
    whole: bool,
) -> None:
    from ocsync.render import plan as shown

    if unfinished:
        ctx.console.print(f"{unfinished[0].text()}; resume continues it first", "!")
    if view.draft.plan.steps:
        rows = shown.lines(view, result, whole=whole)
    else:
        ctx.console.print(shown.nothing_to_send(view.draft, view.named), "=")
        rows = shown.target_lines(view)
    for sign, line in rows:
        ctx.console.print(line, sign)


def _next_commands(
    view: PlanView, out: Path | None, unfinished: Sequence[UnfinishedRun], *, compared: bool
) -> tuple[str, ...]:
    """Return the commands to type after a plan was shown, and saved as *out*."""
    if view.draft.plan.steps:
        diff = () if compared else ("ocsync plan --diff",)
        targets = "".join(f" {name}" for name in view.named)
        plan = f" --plan {shlex.quote(str(out))}" if out else ""
        return (*diff, f"ocsync resume{targets}{plan} --verify")
    if unfinished:
        return ("ocsync resume --verify",)
    if view.draft.remaining:
        return ("ocsync plan",)
    return ("ocsync stage set REF FIELD=VALUE", "ocsync stage import FILE")


def _would_change(steps: Sequence[Step], result: Preflight) -> bool:
    from ocsync.render.planned_changes import planned_changes

    return any(not row.is_same for row in planned_changes(steps, result))


def _type_risks(steps: Sequence[Step], result: Preflight) -> list[Risk]:
    """Return the risk that types of xp values change, as a list of one or none."""
    from ocsync.risks import writes_indexed_xp, xp_type_risk

    values = {
        step.number: (prepared.before, prepared.sent)
        for step in filter(writes_indexed_xp, steps)
        if (prepared := result.prepared.get(step.number))
    }
    risk = xp_type_risk(steps, values)
    return [risk] if risk else []


def _names_of(folder: ProfileDir) -> tuple[str, str, str]:
    """Return the names of profile, marketplace and environment."""
    pin, profile = folder.read_pin(), folder.profile
    return profile.name, pin.name if pin else "", profile.environment or profile.api_url


def preflight(
    ctx: Context, drafted: PlanDraft, *, stream: bool = False
) -> tuple[Preflight, dict[str, TargetStatus] | None]:
    """Read what the server has of the entities that a plan writes, and of its targets.

    The latter is None for a sign-in that may not read the sync configs.
    """
    from ocsync.engine.pause.pausing import read_status
    from ocsync.engine.resume.preflight import add_missing_references, run_preflight
    from ocsync.engine.session import Session, sign_in
    from ocsync.errors import RoleMissing
    from ocsync.plan import fed_targets
    from ocsync.schema import TARGETS

    async def read(session: Session) -> tuple[Preflight, dict[str, TargetStatus] | None]:
        await sign_in(session)
        found = await run_preflight(session, drafted.plan.steps)
        await add_missing_references(session, drafted.plan.steps, found)
        fed = fed_targets(total.kind for total in drafted.totals)
        named = {*fed.direct, *session.folder.read_pauses()}
        try:
            targets = [target for name, target in TARGETS.items() if name in named]
            return found, await read_status(session, targets, save=False)
        except RoleMissing:
            return found, None

    return ctx.run_online(read, stream=stream)


def _explain(ctx: Context, drafted: PlanDraft, ref: str, staged: list[Entry]) -> ExitCode:
    from ocsync.render import plan as shown
    from ocsync.render.json_data import json_data
    from ocsync.schema import ref_key
    from ocsync.store.timestamps import utc_now

    steps = [step for step in drafted.plan.steps if ref_key(step.ref) == ref_key(ref)]
    if not steps:
        raise FileMissing(f"nothing is staged for {ref}", hint="ocsync stage list")
    entries = {entry.seq: entry for entry in staged if entry.seq in drafted.numbers}
    facts = {"ref": ref, "steps": json_data(steps),
             "entries": json_data(list(entries.values()))}  # fmt: skip
    ctx.console.document("plan explain", facts)
    if not ctx.console.json:
        ctx.console.print_lines(shown.explain(steps, entries, utc_now()))
    return ExitCode.DONE


def _last_rate(folder: ProfileDir) -> ReplayRate | None:
    """Return the rate of the newest resume that sent at least ten steps."""
    from ocsync.render.plan import ReplayRate

    newest = folder.runs.newest_resume(
        lambda info: info.counts.get("done", 0) >= 10 and info.seconds > 0
    )
    if newest is None:
        return None
    info = newest.read_info()
    return ReplayRate(info.counts["done"] / info.seconds)


def _save(path: Path, digest: str, drafted: PlanDraft, targets: list[str]) -> None:
    """Write a plan to *path*, some steps at a time. Raises FileMissing."""
    import msgspec

    from ocsync.store.files import atomic_writer, real_path

    facts: dict[str, Any] = {"format": 1, "fingerprint": digest, "targets": targets}
    head = msgspec.json.encode(facts)[:-1]
    try:
        with atomic_writer(real_path(path)) as file:
            file.write(head + b',"steps":[')
            separator = b"\n"
            for step in drafted.plan.steps:
                file.write(separator + msgspec.json.encode(step))
                separator = b",\n"
            file.write(b"\n]}\n")
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error
