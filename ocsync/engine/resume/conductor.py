"""Resume: the conductor of the whole operation.

    1. sign in; the token must belong to the profile's marketplace
    2. close a crashed run of deletes; continue a crashed run
    3. draft the plan of what is staged, check its limits, and look at the pauses: one of this
       workspace that somebody else lifted is paused again only when that is wanted
    4. seal: the planned entries leave the journal for the run's folder (staging can go on)
    5. preflight: read what is there; expected values are all checked before the first write
    6. pause what the plan feeds directly, if nobody has
    7. replay, with intents and outcomes on disk
    8. close: entries of steps without success go back to the head of the journal, in one act
    9. unpause what this workspace paused, if every step has succeeded
    10. verify, if asked, and report

Whatever ends it, the same command continues from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ocsync.client import Identity
from ocsync.consolidate import consolidate
from ocsync.engine.delete.execute import close_crashed_run
from ocsync.engine.pause.pausing import (
    claim_if_confirmed,
    confirmed,
    pause_all,
    read_status,
    uncertain,
)
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.close import (
    ResumeReport,
    RunEnd,
    close_run,
    close_without_run,
    finish_run,
)
from ocsync.engine.resume.drafting import PlanDraft, draft_plan, is_stale
from ocsync.engine.resume.options import OnConflict, ResumeOptions
from ocsync.engine.resume.pause_survey import survey_pauses
from ocsync.engine.resume.preflight import Preflight, StepConflict, run_preflight
from ocsync.engine.resume.replay import Replay, lagging_bases
from ocsync.engine.rollback.rollback import reverted_runs
from ocsync.engine.run_log import (
    RunProgress,
    SessionCost,
    load_progress,
    new_info,
    outcome_now,
    recent_writes,
)
from ocsync.engine.session import Session, confirm_production, sign_in
from ocsync.errors import ExitCode, PausedByOther, Refused, StalePlan, first_of
from ocsync.events import NoticeLevel, Planned
from ocsync.late_order import order_by_values
from ocsync.models import Intent, Outcome, State, Step
from ocsync.pause import PauseState
from ocsync.plan import build, fed_targets
from ocsync.risks import OWN_USER, ZERO_STOCK, find_risks, own_user_risk
from ocsync.schema import TARGETS, Target, ref_key
from ocsync.store import Run


async def resume(session: Session, options: ResumeOptions) -> ResumeReport:
    """Send what is staged, unpause and verify; see the module's head.

    Raises what stops it as a whole: Conflict (another marketplace), StalePlan, PlanCycle,
    PausedByOther (a pause of this workspace was lifted), TryLater and SignInError (the server
    cannot be reached), Interrupted.
    """
    identity = await sign_in(session)
    session.folder.runs.recover(session.folder.journal)
    await close_crashed_run(session)
    crashed = session.folder.runs.find_unfinished()
    if crashed is None:
        return await _start_run(session, options, identity, _draft(session, options))
    first, drafted = await _continue_run(session, crashed, options)
    if drafted is None:
        return first
    earlier = ExitCode.DONE if first.problems else first.exit_code
    report = await _start_run(session, options, identity, drafted)
    code = first_of([earlier, report.exit_code])
    return report._replace(exit_code=code, continued=first)


async def _start_run(
    session: Session, options: ResumeOptions, identity: Identity, drafted: PlanDraft
) -> ResumeReport:
    """Send what is *drafted* in a run of its own."""
    steps = drafted.plan.steps
    if options.plan and is_stale(options.plan, drafted.plan, session.folder):
        raise StalePlan(
            "the saved plan is stale: journal, profile or marketplace have changed since",
            hint="ocsync plan --out FILE, review it, then resume with it",
        )
    if not steps:
        return await close_without_run(session, options)
    _check_limits(steps, options, identity)
    confirm_production(session)
    await _check_pauses(session, _targets_of(session, steps, options), options)
    with _seal(session, drafted, options) as run:
        end = await _carry_out(session, run, steps, options, resumed=False)
        return await finish_run(session, run, end, options, unpause=True)


async def _continue_run(
    session: Session, run: Run, options: ResumeOptions
) -> tuple[ResumeReport, PlanDraft | None]:
    """Continue the crashed *run*; return its report, and the plan of what is to be sent next.

    Where something comes next, the targets stay paused for it.
    """
    session.notify(NoticeLevel.RUNNING, f"run {run.id} was not finished; going on with it")
    confirm_production(session)
    _read_through(session, run)
    with run:
        steps = _plan_of(run)
        own = options._replace(on_conflict=OnConflict(run.read_info().on_conflict or "fail"))
        await _check_pauses(session, _targets_of(session, steps, own), own)
        end = await _carry_out(session, run, steps, own, resumed=True)
        drafted = _draft(session, options)
        more = bool(drafted.plan.steps)
        report = await finish_run(session, run, end, own, unpause=bool(end.problems) or not more)
    if not more or not _only_transient_problems(report):
        return report, None
    level = NoticeLevel.RUNNING if report.problems or report.exit_code else NoticeLevel.DONE
    what = (
        "trying again what the server had no answer for"
        if report.problems
        else "going on with what was staged since"
    )
    info = run.read_info()
    done = sum(info.counts.get(state.value, 0) for state in State if state.succeeded)
    numbers = f"{done:,} of {info.steps:,} steps are done"
    session.notify(level, f"run {run.id} is over, {numbers}; {what}")
    return report, drafted


def _draft(session: Session, options: ResumeOptions) -> PlanDraft:
    names = [target.name for target in options.targets]
    return draft_plan(session.folder.journal.entries(), names)


def _plan_of(run: Run) -> list[Step]:
    """Return the plan of a sealed *run*; a crash right after the seal left none."""
    if not run.has_plan:
        plan = build(consolidate(run.entries()))
        run.update(steps=len(plan.steps))
        run.write_plan(plan.steps)
    return list(run.steps())


def _only_transient_problems(report: ResumeReport) -> bool:
    """Return whether only the server failed for a moment, which may be over by now."""
    return not report.conflicts and all(
        problem.state is State.BLOCKED
        or (problem.state is State.FAILED and (not problem.status or problem.status >= 500))
        for problem in report.problems
    )


def _read_through(session: Session, run: Run) -> None:
    """Read what giving entries back will need: damage is told before anything is sent."""
    session.folder.journal.entries()
    run.check_whole()


def _seal(session: Session, drafted: PlanDraft, options: ResumeOptions) -> Run:
    """Return a new run that has the *drafted* entries and their plan."""
    info = new_info(
        session,
        command=options.command,
        targets=tuple(target.name for target in options.targets),
        steps=len(drafted.plan.steps),
        on_conflict=options.on_conflict.value,
        reverts=reverted_runs(drafted.entries),
    )
    chosen = {entry.seq for entry in drafted.entries}
    run = session.folder.runs.seal(session.folder.journal, info, chosen)
    run.write_plan(drafted.plan.steps)
    return run


def _check_limits(steps: Sequence[Step], options: ResumeOptions, identity: Identity) -> None:
    """Raise Refused for a plan that is larger or riskier than the operator allows."""
    most = options.max_changes
    if most is not None and len(steps) > most:
        text = f"the plan has {len(steps):,} requests; --max-changes is {most:,}"
        raise Refused(text, hint="ocsync plan; --max-changes with a larger number if you mean it")
    found = [
        own_user_risk(steps, f"{identity.user_type}-user", identity.user_id),
        *find_risks(steps),
    ]
    for risk in found:
        if risk and risk.code in (OWN_USER, ZERO_STOCK) and risk.code not in options.allowed:
            hint = f"ocsync plan; --allow-risky {risk.code} if you mean it"
            raise Refused(f"{risk.text}, such as {risk.refs[0]}", hint=hint)


def _targets_of(session: Session, steps: Iterable[Step], options: ResumeOptions) -> list[Target]:
    """Return the targets that *steps* feed directly, and those to be unpaused at the end."""
    names = set(fed_targets(step.ref for step in steps).direct)
    mine = session.folder.read_pauses()
    names |= {t.name for t in options.targets} & mine.keys() if options.targets else mine.keys()
    return [target for name, target in TARGETS.items() if name in names]


async def _check_pauses(session: Session, targets: list[Target], options: ResumeOptions) -> None:
    """Raise PausedByOther when a pause of ours is gone and nobody wants it back."""
    if not options.pause and not session.folder.read_pauses():
        return  # no config is asked for, so no role for configs is needed
    seen = await read_status(session, targets)
    unsure = [one for one in seen.values() if one.state is PauseState.UNCERTAIN]
    if left := [s.target.name for s in unsure if not claim_if_confirmed(session, s)]:
        raise uncertain(left)
    lifted = [name for name, one in seen.items() if one.state is PauseState.UNPAUSED_BY_OTHER]
    if not lifted or not options.pause:
        return
    names = ", ".join(lifted)
    session.notify(
        NoticeLevel.WARNING,
        f"{names}: somebody else lifted our pause; targets may have seen changes since",
    )
    if not (options.repause or confirmed(session, f"Pause {names} again for the replay?")):
        raise PausedByOther(
            f"{names}: our pause was lifted by someone else",
            hint="ocsync resume --repause pauses again; --no-pause replays unpaused",
        )


async def _carry_out(
    session: Session, run: Run, steps: Sequence[Step], options: ResumeOptions, *, resumed: bool
) -> RunEnd:
    """Read, pause and replay the *steps* of *run* that have not ended, and close it."""
    cost = SessionCost.start(session)
    progress = load_progress(run)
    waves = max((step.wave for step in steps), default=0)
    session.emit(Planned(run.id, len(steps), waves, resumed=resumed))
    begun = progress.ended.keys() | progress.dangling.keys()
    waiting = [step for step in steps if step.number not in begun]
    preflight = await run_preflight(session, waiting, run, steps)
    conflicts = _conflicts_of(session, steps, preflight, options)
    try:
        gone: list[str] = []
        if conflicts and not begun and options.on_conflict is OnConflict.FAIL:
            _record_conflicts(session, run, waiting, conflicts)
        else:
            if _will_write(waiting, preflight, progress.dangling):
                gone = await _pause_targets(session, run, steps, options)
            await _replay(session, run, steps, progress, preflight, conflicts, options)
        lost = await survey_pauses(session, run, gone)
    finally:
        cost.add_to(run)
    return RunEnd(close_run(session, run, steps, options), conflicts, tuple(lost))


def _conflicts_of(
    session: Session, steps: Sequence[Step], preflight: Preflight, options: ResumeOptions
) -> list[StepConflict]:
    """Return the steps that are not to be sent as things are.

    Edits of what does not exist are sent all the same, to fail, when the operator says so.
    """
    if options.on_conflict is OnConflict.OVERWRITE:
        return []
    recent = recent_writes(session, [conflict.ref for conflict in preflight.missing])
    hidden = {ref_key(intent.ref) for intent in recent}  # created lately, and not shown yet
    missing = [one for one in preflight.missing if ref_key(one.ref) not in hidden]
    if missing and options.on_conflict is OnConflict.FAIL:
        number = f"{len(missing):,} of {len(steps):,} steps edit what does not exist"
        session.notify(NoticeLevel.WARNING, f"{number}, such as {missing[0].ref}")
        if confirmed(session, "Send the plan all the same? These steps will fail."):
            return preflight.conflicts
    return sorted([*preflight.conflicts, *missing])


async def _replay(
    session: Session,
    run: Run,
    steps: Sequence[Step],
    progress: RunProgress,
    preflight: Preflight,
    conflicts: Iterable[StepConflict],
    options: ResumeOptions,
) -> None:
    before = {number: {**p.emptied, **p.before} for number, p in preflight.prepared.items()}
    before |= {number: {**i.emptied, **i.before} for number, i in progress.dangling.items()}
    async with Recorder(run, session.step_ended) as recorder:
        replay = Replay(
            session,
            recorder,
            order_by_values(steps, before),
            progress,
            prepared=preflight.prepared,
            conflicts={conflict.number: conflict.text() for conflict in conflicts},
            workers=2 * options.workers,
            settle=options.settle,
            recent=recent_writes(session, lagging_bases(steps)),
            overwrite=options.on_conflict is OnConflict.OVERWRITE,
        )
        await replay.run()


def _will_write(
    waiting: Sequence[Step], preflight: Preflight, dangling: Mapping[int, Intent]
) -> bool:
    """Return whether a request may be sent at all; otherwise no pause is needed."""
    same = sum(1 for prepared in preflight.prepared.values() if prepared.same)
    return bool(dangling) or same < len(waiting)


async def _pause_targets(
    session: Session, run: Run, steps: Sequence[Step], options: ResumeOptions
) -> list[str]:
    """Pause what the steps feed directly and what nobody has paused; record what is held then.

    Return the targets that an earlier part of the run relied on, and that were running now although
    this workspace had not paused them.
    """
    if not options.pause and not session.folder.claims():
        return []  # no config is asked for, so no role for configs is needed
    seen = await read_status(session, _targets_of(session, steps, options))
    still = (PauseState.RUNNING, PauseState.UNPAUSED_BY_OTHER)
    running = [one for one in seen.values() if one.state in still and options.pause]
    await pause_all(session, running, reason=f"replay of run {run.id}", run=run.id)
    earlier, fed = run.read_info().held, fed_targets(step.ref for step in steps).direct
    held = {
        name
        for name, one in seen.items()
        if name in fed and one.state is not PauseState.NO_CONFIG
        if options.pause or one.state is PauseState.PAUSED_BY_US
    }
    run.update(held=tuple(name for name in TARGETS if name in {*held, *earlier}))
    gone = [n for n in earlier if n in seen and seen[n].state is PauseState.RUNNING]
    for one in seen.values():
        if one.state is PauseState.NO_CONFIG:
            session.notify(
                NoticeLevel.WARNING, f"{one.target.name} has no sync config: nothing to pause"
            )
        elif one.state is PauseState.PAUSED_BY_OTHER:
            session.notify(
                NoticeLevel.PAUSED, f"{one.target.name} is paused by someone else and will stay so"
            )
    return gone


def _record_conflicts(
    session: Session, run: Run, steps: Sequence[Step], conflicts: Sequence[StepConflict]
) -> None:
    """Record that nothing is sent: a conflict is a conflict, and every other step is blocked."""
    reasons = {conflict.number: conflict.text() for conflict in conflicts}

    def outcome_of(step: Step) -> Outcome:
        if step.number in reasons:
            return outcome_now(session, step, State.CONFLICT, message=reasons[step.number])
        return outcome_now(session, step, State.BLOCKED, blocked_by=conflicts[0].ref)

    run.record([outcome_of(step) for step in steps])
