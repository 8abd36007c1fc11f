"""The `ocsync plan` command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, command
from ocsync.errors import ExitCode, FileMissing

if TYPE_CHECKING:
    from ocsync.engine.pause.pausing import TargetStatus
    from ocsync.engine.resume.drafting import PlanDraft
    from ocsync.engine.resume.preflight import Preflight
    from ocsync.models import Entry
    from ocsync.render.plan import ReplayRate
    from ocsync.store import ProfileDir

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET...]",
        help="Only changes for these targets, and the changes they depend on.",
    ),
]
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
        exit_code: Annotated[
            bool, typer.Option("--exit-code", help="Exit 2 when there are changes to send.")
        ] = False,
    ) -> ExitCode:
        """Show what resume will send, how many requests it saves, and the risks.

        Works offline. With --diff it reads the marketplace and shows what would really
        change. --explain shows which edits became one request.

        Examples:
          ocsync plan
          ocsync plan inventory --diff
          ocsync plan --out release.plan
        """
        from ocsync.engine.resume.drafting import draft_plan, draft_staged, fingerprint
        from ocsync.ordering import are_unrelated
        from ocsync.render import plan as shown
        from ocsync.risks import find_risks, writes_indexed_xp, xp_type_risk
        from ocsync.schema import read_targets
        from ocsync.store.summary import unfinished_runs
        from ocsync.store.timestamps import utc_now

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
        view = shown.PlanView(
            plan_title(folder), drafted, pauses, _last_rate(folder), utc_now(),
            find_risks(drafted.plan.steps), names,
            [name for name, pause in pauses.items() if pause.window and is_open(pause.window)],
            resends=_resends_products(folder),
        )  # fmt: skip
        documents = ctx.console.takes_documents
        digest = fingerprint(drafted.plan, folder) if out or documents else ""
        steps = drafted.plan.steps
        result: Preflight | None = None
        if diff and (steps or pauses):
            result, statuses = preflight(ctx, drafted)
            values = {
                step.number: (prepared.before, prepared.sent)
                for step in filter(writes_indexed_xp, steps)
                if (prepared := result.prepared.get(step.number))
            }
            risks = [*view.risks, *filter(None, [xp_type_risk(steps, values)])]
            view = view._replace(statuses=statuses, pauses=folder.read_pauses(), risks=risks)
        unfinished = [
            run for run in unfinished_runs(folder.path, ctx.warn_once) if run.kind == "resume"
        ]
        something = bool(steps or unfinished)
        changes: dict[str, Any] = {}
        if result and steps:
            changes["changes"] = rows = shown.difference_documents(steps, result)
            something = bool(unfinished) or any(not row["same"] for row in rows)
        if out:
            _save(out, digest, drafted, names)
        if documents:
            open_run = unfinished[0].id if unfinished else ""
            facts = {**shown.document(view, digest), "open_run": open_run, **changes}
            ctx.console.document("plan", facts)
        if unfinished and not ctx.console.json:
            ctx.console.print(f"{unfinished[0].text()}; resume continues it first", "!")
        if not steps:
            ctx.console.print(shown.nothing_to_send(drafted, names), "=")
            for sign, line in shown.target_lines(view):
                ctx.console.print(line, sign)
            ctx.console.suggest(*_next_commands(drafted, unfinished=bool(unfinished)))
        elif not ctx.console.json:
            for sign, line in shown.lines(view):
                ctx.console.print(line, sign)
            for sign, line in shown.difference_lines(steps, result) if result else ():
                ctx.console.print(line, sign)
            more = [] if diff else ["ocsync plan --diff"]
            ctx.console.suggest(*more, "ocsync resume --verify")
        return ExitCode.SOMETHING if exit_code and something else ExitCode.DONE


def _next_commands(drafted: PlanDraft, *, unfinished: bool) -> tuple[str, ...]:
    """Return the commands to type when there is nothing to send."""
    if unfinished:
        return ("ocsync resume --verify",)
    if drafted.remaining:
        return ("ocsync plan",)
    return ("ocsync stage set REF FIELD=VALUE", "ocsync stage import FILE")


def plan_title(folder: ProfileDir) -> str:
    """Return profile, marketplace and environment, as in `acme · Acme · uswest-sandbox`."""
    pin, profile = folder.read_pin(), folder.profile
    parts = [profile.name, pin.name if pin else "", profile.environment or profile.api_url]
    return " · ".join(dict.fromkeys(filter(None, parts)))


def preflight(
    ctx: Context, drafted: PlanDraft, *, stream: bool = False
) -> tuple[Preflight, dict[str, TargetStatus] | None]:
    """Read what the server has of the entities that a plan writes, and of its targets.

    The latter is None for a sign-in that may not read the sync configs.
    """
    from ocsync.engine.pause.pausing import read_status
    from ocsync.engine.resume.preflight import run_preflight
    from ocsync.engine.session import Session, sign_in
    from ocsync.errors import RoleMissing
    from ocsync.plan import fed_targets
    from ocsync.schema import TARGETS

    async def read(session: Session) -> tuple[Preflight, dict[str, TargetStatus] | None]:
        await sign_in(session)
        found = await run_preflight(session, drafted.plan.steps)
        fed = fed_targets(total.kind for total in drafted.totals)
        named = {*fed.direct, *session.folder.read_pauses()}
        try:
            targets = [target for name, target in TARGETS.items() if name in named]
            return found, await read_status(session, targets, save=False)
        except RoleMissing:
            return found, None

    return ctx.run_online(read, stream=stream)


def _explain(ctx: Context, drafted: PlanDraft, ref: str, staged: list[Entry]) -> ExitCode:
    import msgspec

    from ocsync.render import plan as shown
    from ocsync.schema import ref_key
    from ocsync.store.timestamps import utc_now

    steps = [step for step in drafted.plan.steps if ref_key(step.ref) == ref_key(ref)]
    if not steps:
        raise FileMissing(f"nothing is staged for {ref}", hint="ocsync stage list")
    entries = {entry.seq: entry for entry in staged if entry.seq in drafted.numbers}
    facts = {"ref": ref, "steps": msgspec.to_builtins(steps),
             "entries": msgspec.to_builtins(list(entries.values()))}  # fmt: skip
    ctx.console.document("plan explain", facts)
    if not ctx.console.json:
        ctx.console.print_lines(shown.explain(steps, entries, utc_now()))
    return ExitCode.DONE


def _resends_products(folder: ProfileDir) -> bool | None:
    """Return whether products are sent again when what they show changes; None if not known."""
    answer = folder.read_probe_answers().get("product-resync")
    value = answer.get("value") if isinstance(answer, dict) else None
    return {"touched": True, "own": False}.get(str(value))


def _last_rate(folder: ProfileDir) -> ReplayRate | None:
    """Return the rate of the newest resume that sent at least ten steps."""
    from ocsync.render.plan import ReplayRate

    for info in folder.runs.read_all():
        done = info.counts.get("done", 0)
        if info.kind == "resume" and done >= 10 and info.seconds > 0:
            return ReplayRate(done / info.seconds)
    return None


def _save(path: Path, digest: str, drafted: PlanDraft, targets: list[str]) -> None:
    import msgspec

    from ocsync.store.files import real_path, write_atomically

    facts: dict[str, Any] = {"format": 1, "fingerprint": digest, "targets": targets}
    facts["steps"] = msgspec.to_builtins(list(drafted.plan.steps))
    try:
        text = msgspec.json.format(msgspec.json.encode(facts)) + b"\n"
        write_atomically(real_path(path), text)
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error
