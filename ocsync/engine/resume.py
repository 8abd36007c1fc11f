"""Resume: the conductor of the whole operation.

    1. sign in; the token must belong to the profile's marketplace
    2. continue a crashed run first; otherwise plan what is staged
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

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from ocsync.consolidate import consolidate
from ocsync.engine.inspect import Clash, Inspection, inspect
from ocsync.engine.pausing import forget, hold, lift, survey
from ocsync.engine.planning import Draft, draft, fingerprint
from ocsync.engine.recorder import Recorder
from ocsync.engine.replay import Replay
from ocsync.engine.verify import Verification, tally, verify
from ocsync.engine.work import Work, sign_in
from ocsync.errors import ExitCode, PausedByOther, StalePlan, UsageError, first_of
from ocsync.events import Planned
from ocsync.models import Intent, Outcome, State, Step
from ocsync.pause import Standing
from ocsync.plan import build, feeds
from ocsync.resources import TARGETS, Target, kind_of
from ocsync.store import Run, RunInfo

_SHOWN = 1000
"""How many unsettled steps a report names; all of them are in the run's folder."""


class OnConflict(StrEnum):
    """What to do when the server is not as expected."""

    FAIL = "fail"
    SKIP = "skip"
    OVERWRITE = "overwrite"


class Options(NamedTuple):
    """How to resume. *targets* limits what is taken; *settle* is seconds lagging reads may take.

    *plan* is the fingerprint of a saved plan. *pause* is false for `--no-pause`.
    """

    targets: tuple[Target, ...] = ()
    verify: bool = False
    on_conflict: OnConflict = OnConflict.FAIL
    repause: bool = False
    pause: bool = True
    unpause_anyway: bool = False
    workers: int = 16
    settle: float = 30.0
    plan: str = ""
    command: str = "resume"


class Lifted(NamedTuple):
    """A target that runs again, and how many seconds it had been paused."""

    target: str
    seconds: float


class Kept(NamedTuple):
    """A target that stays paused, and why."""

    target: str
    why: str


class Report(NamedTuple):
    """What a resume came to. *run* is None when there was nothing to replay."""

    run: RunInfo | None
    problems: list[Outcome]
    clashes: list[Clash]
    lifted: list[Lifted]
    kept: list[Kept]
    verification: Verification | None
    staged: int
    exit_code: ExitCode


async def resume(work: Work, options: Options) -> Report:
    """Replay, lift, verify; see the module's head.

    Raises what stops it as a whole: Conflict (marketplace), StalePlan, PlanCycle, PausedByOther
    (a pause of ours was lifted), TryLater and SignInError (the way to the server), Interrupted.
    """
    await sign_in(work)
    work.folder.runs.recover(work.folder.journal)
    crashed = work.folder.runs.open_run()
    if crashed:
        work.say("▶", f"run {crashed.id} was not finished; going on with it")
        with crashed:
            report = await _carry_out(work, crashed, options, fresh=False)
        if report.exit_code is not ExitCode.DONE or not _more(work, options):
            return report
        work.say("✓", f"run {crashed.id} is complete; going on with what was staged since")
    run = await _seal(work, options)
    if run is None:
        return await _nothing(work, options)
    with run:
        return await _carry_out(work, run, options, fresh=True)


def _more(work: Work, options: Options) -> bool:
    """Whether a run of what is staged comes next; the pauses are lifted after that one then."""
    names = [target.name for target in options.targets]
    return bool(draft(work.folder.journal.entries(), names).plan.steps)


async def _seal(work: Work, options: Options) -> Run | None:
    """A new run of what is staged, or None when nothing is; the pauses are looked at before."""
    names = [target.name for target in options.targets]
    drafted = draft(work.folder.journal.entries(), names)
    if options.plan and options.plan != fingerprint(drafted.plan, work.folder):
        raise StalePlan(
            "the saved plan is stale: journal, profile or marketplace have changed since",
            hint="ocsync plan --out FILE, review it, then resume with it",
        )
    if not drafted.plan.steps:
        return None
    await _check_pauses(work, _concerned(work, drafted.plan.steps, options), options)
    return _new_run(work, drafted, options)


def _new_run(work: Work, drafted: Draft, options: Options) -> Run:
    pin = work.folder.pin()
    info = RunInfo(
        id=work.folder.runs.new_id(work.now()),
        started=work.stamp(),
        command=options.command,
        user=work.by,
        targets=tuple(target.name for target in options.targets),
        steps=len(drafted.plan.steps),
        entries=len(drafted.entries),
        marketplace=pin.id if pin else "",
        on_conflict=options.on_conflict.value,
    )
    chosen = {entry.seq for entry in drafted.entries}
    run = work.folder.runs.seal(work.folder.journal, info, chosen)
    run.write_plan(drafted.plan.steps)
    return run


def _concerned(work: Work, steps: Iterable[Step], options: Options) -> list[Target]:
    """The targets that *steps* feed directly, and those whose pause is to be lifted at the end."""
    names = set(feeds(step.ref for step in steps).direct)
    mine = work.folder.read_pauses()
    names |= {t.name for t in options.targets} & mine.keys() if options.targets else mine.keys()
    return [target for name, target in TARGETS.items() if name in names]


async def _check_pauses(work: Work, targets: list[Target], options: Options) -> None:
    """Raise PausedByOther when a pause of ours is gone and nobody wants it back."""
    seen = await survey(work, targets)
    lifted = [name for name, one in seen.items() if one.standing is Standing.LIFTED]
    if not lifted or not options.pause:
        return
    names = ", ".join(lifted)
    work.say("!", f"{names}: somebody else lifted our pause; targets may have seen changes since")
    if not (options.repause or _wanted(work, f"Pause {names} again for the replay?")):
        raise PausedByOther(
            f"{names}: our pause was lifted by someone else",
            hint="ocsync resume --repause pauses again; --no-pause replays unpaused",
        )


def _wanted(work: Work, question: str) -> bool:
    """A yes; where nobody can be asked that is a no, which has an exit code of its own here."""
    try:
        return work.ask(question)
    except UsageError:
        return False


async def _carry_out(work: Work, run: Run, options: Options, *, fresh: bool) -> Report:
    started, sent = time.monotonic(), work.api.sent
    if not run.has_plan:
        run.write_plan(build(consolidate(run.entries())).steps)
    steps = list(run.steps())
    if not fresh:
        options = options._replace(on_conflict=OnConflict(run.info.on_conflict or "fail"))
        await _check_pauses(work, _concerned(work, steps, options), options)
    ended, dangling = _left_off(run)
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
                    workers=2 * options.workers,
                ).run(conflicts=conflicts)
        else:
            _all_conflicts(work, run, waiting, clashes)
    finally:
        run.update(
            seconds=run.info.seconds + time.monotonic() - started,
            requests=run.info.requests + work.api.sent - sent,
        )
    return await _finish(work, run, steps, clashes, options, fresh=fresh)


def _will_write(waiting: list[Step], found: Inspection, dangling: dict[int, Intent]) -> bool:
    """Whether a request may be sent at all: where everything is as staged no pause is needed."""
    same = sum(1 for prepared in found.prepared.values() if prepared.same)
    return bool(dangling) or same < len(waiting)


def _left_off(run: Run) -> tuple[dict[int, Outcome], dict[int, Intent]]:
    ended: dict[int, Outcome] = {}
    dangling: dict[int, Intent] = {}
    for record in run.outcomes():
        if isinstance(record, Intent):
            dangling[record.number] = record
        else:
            ended[record.number] = record
            dangling.pop(record.number, None)
    return ended, dangling


async def _hold_all(work: Work, run: Run, steps: list[Step], options: Options) -> None:
    """Pause what the steps feed directly and what nobody has paused."""
    if not options.pause:
        return
    seen = await survey(work, _concerned(work, steps, options))
    for one in seen.values():
        if one.standing in (Standing.RUNNING, Standing.LIFTED):
            mine = one.pause.run if one.pause else run.id
            await hold(work, one, reason=f"replay of run {run.id}", run=mine)
        elif one.standing is Standing.NO_CONFIG:
            work.say("!", f"{one.target.name} has no sync config: nothing to pause")
        elif one.standing is Standing.THEIRS:
            work.say("‖", f"{one.target.name} is paused by someone else and will stay so")


def _all_conflicts(work: Work, run: Run, steps: list[Step], clashes: list[Clash]) -> None:
    """Nothing is sent: each clash is a conflict, and everything else waits with it."""
    reasons = {clash.number: clash.text() for clash in clashes}
    at, first = work.stamp(), clashes[0].ref

    def ended(step: Step) -> Outcome:
        why = reasons.get(step.number)
        state, because = (State.CONFLICT, "") if why else (State.BLOCKED, first)
        return Outcome(
            number=step.number, ref=step.ref, state=state, message=why or "", because=because, at=at
        )

    run.record([ended(step) for step in steps])


async def _finish(
    work: Work, run: Run, steps: list[Step], clashes: list[Clash], options: Options, *, fresh: bool
) -> Report:
    problems = _close(work, run, steps)
    counts = run.info.counts
    done = not problems or options.unpause_anyway
    sent = (State.DONE, State.UNKNOWN, State.FAILED)
    nothing_sent = not any(counts.get(state.value) for state in sent)
    lifted: list[Lifted] = []
    kept: list[Kept] = []
    if fresh or problems or not _more(work, options):
        lifted, kept = await _lift_all(work, run, options, done=done, for_run=nothing_sent)
    verification = None
    if options.verify and any(counts.get(s.value) for s in State if s.settled):
        verification = await verify(work, run, settle=options.settle)
        run.update(verified=tally(verification.kinds), verified_kinds=verification.kinds)
    code = first_of([_code_of(problems), verification.exit_code if verification else ExitCode.DONE])
    info = run.update(exit_code=int(code))
    staged = len(work.folder.journal.entries())
    return Report(info, problems[:_SHOWN], clashes, lifted, kept, verification, staged, code)


def _close(work: Work, run: Run, steps: list[Step]) -> list[Outcome]:
    """Give back the entries of what is not settled, and close the run; the unsettled outcomes."""
    kinds: dict[str, dict[str, int]] = {}
    problems: list[Outcome] = []
    for record in run.outcomes():
        if isinstance(record, Outcome):
            counts = kinds.setdefault(kind_of(record.ref).name, {})
            counts[record.state.value] = counts.get(record.state.value, 0) + 1
            if not record.state.settled:
                problems.append(record)
    left = {problem.number for problem in problems}
    seqs = {seq for step in steps if step.number in left for seq in step.change.entries}
    if seqs:
        back = [entry for entry in run.entries() if entry.seq in seqs]
        work.folder.journal.give_back(run.id, back)
    run.update(state="closed", ended=work.stamp(), counts=tally(kinds), kinds=kinds)
    return problems


def _code_of(problems: Iterable[Outcome]) -> ExitCode:
    codes = {
        State.FAILED: ExitCode.PARTLY,
        State.BLOCKED: ExitCode.PARTLY,
        State.CONFLICT: ExitCode.CONFLICT,
        State.UNKNOWN: ExitCode.CONFLICT,
    }
    found = [codes[problem.state] for problem in problems]
    if any(problem.status == 403 for problem in problems):
        found.append(ExitCode.SIGN_IN)
    return first_of(found)


async def _lift_all(
    work: Work, run: Run | None, options: Options, *, done: bool, for_run: bool = False
) -> tuple[list[Lifted], list[Kept]]:
    """Lift ours when all is *done*; otherwise only what was paused *for_run* alone, if it is so."""
    mine = work.folder.read_pauses()
    named = {target.name for target in options.targets}
    run_id = run.id if run else ""
    wanted = [
        TARGETS[name]
        for name, pause in mine.items()
        if (not named or name in named or (run_id and pause.run == run_id))
        and (done or (for_run and run_id and pause.run == run_id))
    ]
    seen = await survey(work, wanted)
    forget(work, [name for name, one in seen.items() if one.standing is Standing.LIFTED])
    lifted = [
        Lifted(name, await lift(work, one))
        for name, one in seen.items()
        if one.standing is Standing.OURS
    ]
    why = "not all is done" if not done else "not named in this resume"
    kept = [Kept(name, why) for name in work.folder.read_pauses()]
    return lifted, kept


async def _nothing(work: Work, options: Options) -> Report:
    """Nothing is staged: what is ours is lifted all the same, as the operator is done."""
    lifted, kept = await _lift_all(work, None, options, done=True)
    staged = len(work.folder.journal.entries())
    return Report(None, [], [], lifted, kept, None, staged, ExitCode.DONE)
