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
from ocsync.engine.delete.execute import close_open
from ocsync.engine.pause.pausing import pause_target, read_status
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.close import Report, finish, more_to_come, nothing_staged
from ocsync.engine.resume.drafting import Draft, draft, is_stale
from ocsync.engine.resume.options import OnConflict, Options
from ocsync.engine.resume.preflight import Clash, Inspection, inspect
from ocsync.engine.resume.replay import Replay
from ocsync.engine.rollback.rollback import undone_by
from ocsync.engine.run_log import SessionCost, load_progress, new_info
from ocsync.engine.session import Session, confirm_production, sign_in
from ocsync.errors import ExitCode, PausedByOther, Refused, StalePlan, UsageError, first_of
from ocsync.events import Planned
from ocsync.models import Intent, Outcome, State, Step
from ocsync.pause import Standing
from ocsync.plan import OWN_USER, ZERO_STOCK, build, feeds, own_user, risks
from ocsync.schema import TARGETS, Target
from ocsync.store import Run


async def resume(work: Session, options: Options) -> Report:
    """Replay, lift, verify; see the module's head.

    Raises what stops it as a whole: Conflict (marketplace), StalePlan, PlanCycle, PausedByOther
    (a pause of ours was lifted), TryLater and SignInError (the way to the server), Interrupted.
    """
    earlier = ExitCode.DONE
    identity = await sign_in(work)
    work.folder.runs.recover(work.folder.journal)
    await close_open(work)
    crashed = work.folder.runs.open_run()
    if crashed:
        work.notify("▶", f"run {crashed.id} was not finished; going on with it")
        confirm_production(work)
        _read_through(work, crashed)
        with crashed:
            report = await _carry_out(work, crashed, options, fresh=False)
        if not _passing(report) or not more_to_come(work, options):
            return report
        earlier = ExitCode.DONE if report.problems else report.exit_code
        ended = "trying again what the server had no answer for" if report.problems else (
            "going on with what was staged since")  # fmt: skip
        work.notify(
            "▶" if report.problems or earlier else "✓", f"run {crashed.id} is over; {ended}"
        )
    run = await _seal(work, options, identity)
    if run is None:
        return await nothing_staged(work, options)
    with run:
        report = await _carry_out(work, run, options, fresh=True)
    return report._replace(exit_code=first_of([earlier, report.exit_code]))


def _passing(report: Report) -> bool:
    """Whether nothing went wrong but for the server's bad moment, which may be over by now."""
    return not report.clashes and all(
        problem.state is State.BLOCKED
        or (problem.state is State.FAILED and (not problem.status or problem.status >= 500))
        for problem in report.problems
    )


def _read_through(work: Session, run: Run) -> None:
    """Read what giving entries back will need: damage is told before anything is sent."""
    work.folder.journal.entries()
    run.check_whole()


async def _seal(work: Session, options: Options, identity: Identity) -> Run | None:
    """A new run of what is staged, or None when nothing is. Guards and pauses come before."""
    names = [target.name for target in options.targets]
    drafted = draft(work.folder.journal.entries(), names)
    if options.plan and is_stale(options.plan, drafted.plan, work.folder):
        raise StalePlan(
            "the saved plan is stale: journal, profile or marketplace have changed since",
            hint="ocsync plan --out FILE, review it, then resume with it",
        )
    if not drafted.plan.steps:
        return None
    _guard(drafted.plan.steps, options, identity)
    confirm_production(work)
    await _check_pauses(work, _concerned(work, drafted.plan.steps, options), options)
    return _new_run(work, drafted, options)


def _guard(steps: Sequence[Step], options: Options, identity: Identity) -> None:
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


def _new_run(work: Session, drafted: Draft, options: Options) -> Run:
    info = new_info(
        work,
        command=options.command,
        targets=tuple(target.name for target in options.targets),
        steps=len(drafted.plan.steps),
        on_conflict=options.on_conflict.value,
        reverts=undone_by(drafted.entries),
    )
    chosen = {entry.seq for entry in drafted.entries}
    run = work.folder.runs.seal(work.folder.journal, info, chosen)
    run.write_plan(drafted.plan.steps)
    return run


def _concerned(work: Session, steps: Iterable[Step], options: Options) -> list[Target]:
    """The targets that *steps* feed directly, and those whose pause is to be lifted at the end."""
    names = set(feeds(step.ref for step in steps).direct)
    mine = work.folder.read_pauses()
    names |= {t.name for t in options.targets} & mine.keys() if options.targets else mine.keys()
    return [target for name, target in TARGETS.items() if name in names]


async def _check_pauses(work: Session, targets: list[Target], options: Options) -> None:
    """Raise PausedByOther when a pause of ours is gone and nobody wants it back."""
    if not options.pause and not work.folder.read_pauses():
        return  # no config is asked for, so no role for configs is needed
    seen = await read_status(work, targets)
    lifted = [name for name, one in seen.items() if one.standing is Standing.LIFTED]
    if not lifted or not options.pause:
        return
    names = ", ".join(lifted)
    work.notify(
        "!", f"{names}: somebody else lifted our pause; targets may have seen changes since"
    )
    if not (options.repause or _wanted(work, f"Pause {names} again for the replay?")):
        raise PausedByOther(
            f"{names}: our pause was lifted by someone else",
            hint="ocsync resume --repause pauses again; --no-pause replays unpaused",
        )


def _wanted(work: Session, question: str) -> bool:
    """A yes; where nobody can be asked that is a no, which has an exit code of its own here."""
    try:
        return work.ask(question)
    except UsageError:
        return False


async def _carry_out(work: Session, run: Run, options: Options, *, fresh: bool) -> Report:
    spent = SessionCost.start(work)
    if not run.has_plan:
        plan = build(consolidate(run.entries()))
        run.update(steps=len(plan.steps))
        run.write_plan(plan.steps)
    steps = list(run.steps())
    if not fresh:
        options = options._replace(on_conflict=OnConflict(run.info.on_conflict or "fail"))
        await _check_pauses(work, _concerned(work, steps, options), options)
    ended, dangling, lagging = load_progress(run)
    waves = max((step.wave for step in steps), default=0)
    work.emit(Planned(run.id, len(steps), waves, resumed=not fresh))
    waiting = [s for s in steps if s.number not in ended and s.number not in dangling]
    found = await inspect(work, waiting, run)
    clashes = [] if options.on_conflict is OnConflict.OVERWRITE else found.clashes
    untouched = not ended and not dangling
    try:
        if not (clashes and untouched and options.on_conflict is OnConflict.FAIL):
            if _will_write(waiting, found, dangling):
                await _hold_all(work, run, steps, options)
            conflicts = {clash.number: clash.text() for clash in clashes}
            async with Recorder(run, work.emit) as recorder:
                await Replay(
                    work,
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
            _all_conflicts(work, run, waiting, clashes)
    finally:
        spent.add_to(run)
    return await finish(work, run, steps, clashes, options, fresh=fresh)


def _will_write(waiting: list[Step], found: Inspection, dangling: dict[int, Intent]) -> bool:
    """Whether a request may be sent at all: where everything is as staged no pause is needed."""
    same = sum(1 for prepared in found.prepared.values() if prepared.same)
    return bool(dangling) or same < len(waiting)


async def _hold_all(work: Session, run: Run, steps: list[Step], options: Options) -> None:
    """Pause what the steps feed directly and what nobody has paused."""
    if not options.pause:
        return
    seen = await read_status(work, _concerned(work, steps, options))
    for one in seen.values():
        if one.standing in (Standing.RUNNING, Standing.LIFTED):
            mine = one.pause.run if one.pause else run.id
            await pause_target(work, one, reason=f"replay of run {run.id}", run=mine)
        elif one.standing is Standing.NO_CONFIG:
            work.notify("!", f"{one.target.name} has no sync config: nothing to pause")
        elif one.standing is Standing.THEIRS:
            work.notify("‖", f"{one.target.name} is paused by someone else and will stay so")


def _all_conflicts(work: Session, run: Run, steps: list[Step], clashes: list[Clash]) -> None:
    """Nothing is sent: each clash is a conflict, and everything else waits with it."""
    reasons = {clash.number: clash.text() for clash in clashes}
    at, first = work.timestamp(), clashes[0].ref

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
