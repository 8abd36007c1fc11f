"""Resume: the conductor of the whole operation.

    1. sign in; the token must belong to the profile's marketplace
    2. close a crashed run of deletes, continue a crashed run; otherwise plan what is staged
    3. look at the pauses: one of ours that somebody lifted is paused again only when that is wanted
    4. seal: the planned entries leave the journal for the run's folder (staging can go on)
    5. inspect: read what is there; expectations are all checked before the first write
    6. pause what the plan feeds directly, if nobody has
    7. replay (see `replay`), intents and outcomes on disk
    8. close: entries of what is not settled go back to the head of the journal, in one act
    9. lift what is ours, if everything is settled
    10. verify, if asked

Whatever ends it, the same command goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ocsync.client import Identity
from ocsync.consolidate import consolidate
from ocsync.engine.delete.execute import close_crashed_run
from ocsync.engine.pause.pausing import pause_target, read_status
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.close import ResumeReport, close_run, close_without_run, has_more_to_send
from ocsync.engine.resume.drafting import PlanDraft, draft_plan, is_stale
from ocsync.engine.resume.options import OnConflict, ResumeOptions
from ocsync.engine.resume.preflight import Preflight, StepConflict, run_preflight
from ocsync.engine.resume.replay import Replay
from ocsync.engine.rollback.rollback import reverted_runs
from ocsync.engine.run_log import SessionCost, load_progress, new_info
from ocsync.engine.session import Session, confirm_production, sign_in
from ocsync.errors import ExitCode, PausedByOther, Refused, StalePlan, UsageError, first_of
from ocsync.events import Planned
from ocsync.models import Intent, Outcome, State, Step
from ocsync.pause import PauseState
from ocsync.plan import OWN_USER, ZERO_STOCK, build, feeds, own_user, risks
from ocsync.schema import TARGETS, Target
from ocsync.store import Run


async def resume(session: Session, options: ResumeOptions) -> ResumeReport:
    """Replay, lift, verify; see the module's head.

    Raises what stops it as a whole: Conflict (marketplace), StalePlan, PlanCycle, PausedByOther
    (a pause of ours was lifted), TryLater and SignInError (the way to the server), Interrupted.
    """
    earlier = ExitCode.DONE
    identity = await sign_in(session)
    session.folder.runs.recover(session.folder.journal)
    await close_crashed_run(session)
    crashed = session.folder.runs.open_run()
    if crashed:
        session.notify("▶", f"run {crashed.id} was not finished; going on with it")
        confirm_production(session)
        _read_through(session, crashed)
        with crashed:
            report = await _carry_out(session, crashed, options, fresh=False)
        if not _only_transient_problems(report) or not has_more_to_send(session, options):
            return report
        earlier = ExitCode.DONE if report.problems else report.exit_code
        ended = "trying again what the server had no answer for" if report.problems else (
            "going on with what was staged since")  # fmt: skip
        session.notify(
            "▶" if report.problems or earlier else "✓", f"run {crashed.id} is over; {ended}"
        )
    run = await _seal(session, options, identity)
    if run is None:
        return await close_without_run(session, options)
    with run:
        report = await _carry_out(session, run, options, fresh=True)
    return report._replace(exit_code=first_of([earlier, report.exit_code]))


def _only_transient_problems(report: ResumeReport) -> bool:
    """Whether nothing went wrong but for the server's bad moment, which may be over by now."""
    return not report.conflicts and all(
        problem.state is State.BLOCKED
        or (problem.state is State.FAILED and (not problem.status or problem.status >= 500))
        for problem in report.problems
    )


def _read_through(session: Session, run: Run) -> None:
    """Read what giving entries back will need: damage is told before anything is sent."""
    session.folder.journal.entries()
    run.check_whole()


async def _seal(session: Session, options: ResumeOptions, identity: Identity) -> Run | None:
    """A new run of what is staged, or None when nothing is. Guards and pauses come before."""
    names = [target.name for target in options.targets]
    drafted = draft_plan(session.folder.journal.entries(), names)
    if options.plan and is_stale(options.plan, drafted.plan, session.folder):
        raise StalePlan(
            "the saved plan is stale: journal, profile or marketplace have changed since",
            hint="ocsync plan --out FILE, review it, then resume with it",
        )
    if not drafted.plan.steps:
        return None
    _check_limits(drafted.plan.steps, options, identity)
    confirm_production(session)
    await _check_pauses(session, _targets_of(session, drafted.plan.steps, options), options)
    return _new_run(session, drafted, options)


def _check_limits(steps: Sequence[Step], options: ResumeOptions, identity: Identity) -> None:
    """Raise Refused for a plan that is larger or riskier than the operator allows."""
    most = options.max_changes
    if most is not None and len(steps) > most:
        text = f"the plan has {len(steps):,} requests; --max-changes is {most:,}"
        raise Refused(text, hint="ocsync plan; --max-changes with a larger number if you mean it")
    found = [own_user(steps, f"{identity.kind}-user", identity.id), *risks(steps)]
    for risk in found:
        if risk and risk.code in (OWN_USER, ZERO_STOCK) and risk.code not in options.allowed:
            hint = f"ocsync plan; --allow-risky {risk.code} if you mean it"
            raise Refused(f"{risk.text}, such as {risk.refs[0]}", hint=hint)


def _new_run(session: Session, drafted: PlanDraft, options: ResumeOptions) -> Run:
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


def _targets_of(session: Session, steps: Iterable[Step], options: ResumeOptions) -> list[Target]:
    """The targets that *steps* feed directly, and those whose pause is to be lifted at the end."""
    names = set(feeds(step.ref for step in steps).direct)
    mine = session.folder.read_pauses()
    names |= {t.name for t in options.targets} & mine.keys() if options.targets else mine.keys()
    return [target for name, target in TARGETS.items() if name in names]


async def _check_pauses(session: Session, targets: list[Target], options: ResumeOptions) -> None:
    """Raise PausedByOther when a pause of ours is gone and nobody wants it back."""
    if not options.pause and not session.folder.read_pauses():
        return  # no config is asked for, so no role for configs is needed
    seen = await read_status(session, targets)
    lifted = [name for name, one in seen.items() if one.state is PauseState.UNPAUSED_BY_OTHER]
    if not lifted or not options.pause:
        return
    names = ", ".join(lifted)
    session.notify(
        "!", f"{names}: somebody else lifted our pause; targets may have seen changes since"
    )
    if not (options.repause or _confirmed(session, f"Pause {names} again for the replay?")):
        raise PausedByOther(
            f"{names}: our pause was lifted by someone else",
            hint="ocsync resume --repause pauses again; --no-pause replays unpaused",
        )


def _confirmed(session: Session, question: str) -> bool:
    """A yes; where nobody can be asked that is a no, which has an exit code of its own here."""
    try:
        return session.ask(question)
    except UsageError:
        return False


async def _carry_out(
    session: Session, run: Run, options: ResumeOptions, *, fresh: bool
) -> ResumeReport:
    spent = SessionCost.start(session)
    if not run.has_plan:
        plan = build(consolidate(run.entries()))
        run.update(steps=len(plan.steps))
        run.write_plan(plan.steps)
    steps = list(run.steps())
    if not fresh:
        options = options._replace(on_conflict=OnConflict(run.read_info().on_conflict or "fail"))
        await _check_pauses(session, _targets_of(session, steps, options), options)
    ended, dangling, lagging = load_progress(run)
    waves = max((step.wave for step in steps), default=0)
    session.emit(Planned(run.id, len(steps), waves, resumed=not fresh))
    waiting = [s for s in steps if s.number not in ended and s.number not in dangling]
    found = await run_preflight(session, waiting, run)
    clashes = [] if options.on_conflict is OnConflict.OVERWRITE else found.conflicts
    untouched = not ended and not dangling
    try:
        if not (clashes and untouched and options.on_conflict is OnConflict.FAIL):
            if _will_write(waiting, found, dangling):
                await _pause_targets(session, run, steps, options)
            conflicts = {clash.number: clash.text() for clash in clashes}
            async with Recorder(run, session.emit) as recorder:
                await Replay(
                    session,
                    recorder,
                    steps,
                    prepared=found.prepared,
                    ended=ended,
                    dangling=dangling,
                    written=lagging,
                    workers=2 * options.workers,
                    overwrite=options.on_conflict is OnConflict.OVERWRITE,
                ).run(conflicts=conflicts)
        else:
            _record_conflicts(session, run, waiting, clashes)
    finally:
        spent.add_to(run)
    return await close_run(session, run, steps, clashes, options, fresh=fresh)


def _will_write(waiting: list[Step], found: Preflight, dangling: dict[int, Intent]) -> bool:
    """Whether a request may be sent at all: where everything is as staged no pause is needed."""
    same = sum(1 for prepared in found.prepared.values() if prepared.same)
    return bool(dangling) or same < len(waiting)


async def _pause_targets(
    session: Session, run: Run, steps: list[Step], options: ResumeOptions
) -> None:
    """Pause what the steps feed directly and what nobody has paused."""
    if not options.pause:
        return
    seen = await read_status(session, _targets_of(session, steps, options))
    for one in seen.values():
        if one.state in (PauseState.RUNNING, PauseState.UNPAUSED_BY_OTHER):
            mine = one.pause.run if one.pause else run.id
            await pause_target(session, one, reason=f"replay of run {run.id}", run=mine)
        elif one.state is PauseState.NO_CONFIG:
            session.notify("!", f"{one.target.name} has no sync config: nothing to pause")
        elif one.state is PauseState.PAUSED_BY_OTHER:
            session.notify("‖", f"{one.target.name} is paused by someone else and will stay so")


def _record_conflicts(
    session: Session, run: Run, steps: list[Step], clashes: list[StepConflict]
) -> None:
    """Nothing is sent: each clash is a conflict, and everything else waits with it."""
    reasons = {clash.number: clash.text() for clash in clashes}
    at, first = session.timestamp(), clashes[0].ref

    def ended(step: Step) -> Outcome:
        why = reasons.get(step.number)
        state, because = (State.CONFLICT, "") if why else (State.BLOCKED, first)
        return Outcome(
            number=step.number,
            ref=step.ref,
            state=state,
            message=why or "",
            blocked_by=because,
            at=at,
        )

    run.record([ended(step) for step in steps])
