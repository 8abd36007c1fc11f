"""Resume: the conductor of the whole operation.

    1. sign in; the token must belong to the profile's marketplace
    2. close a crashed run of deletes; continue a crashed run
    3. draft the plan of the staged edits, and check its limits and the pauses: a target that
       somebody else unpaused is paused again only when the operator wants that
    4. seal: the planned entries leave the journal for the run's folder (staging can continue)
    5. preflight: read current documents; all expected values are checked before the first write,
       but for those of what an earlier step creates
    6. pause the targets that the plan feeds directly and that are not paused
    7. replay, with intents and outcomes on disk
    8. close: entries of steps without success go back to the head of the journal, in one act
    9. unpause what this workspace paused, if every step has succeeded
    10. verify, if asked, and report

If it is interrupted, the same command continues from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from ocsync.client import Identity, read_current
from ocsync.diff import resolve_values, values_before
from ocsync.engine.pace import begin_as_proven, recorded_pace
from ocsync.engine.pause.pausing import (
    ConfigReading,
    claim_if_confirmed,
    confirmed,
    named_when_cut_off,
    pause_all,
    read_configs,
    read_status,
    uncertain,
)
from ocsync.engine.probe.answers import read_answers
from ocsync.engine.probe.effects import reference_seconds
from ocsync.engine.read_ahead import ReadAhead
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.close import (
    ResumeReport,
    RunEnd,
    close_run,
    close_without_run,
    finish_run,
)
from ocsync.engine.resume.drafting import (
    PlanDraft,
    draft_large,
    draft_staged,
    fingerprint,
    is_stale,
)
from ocsync.engine.resume.options import OnConflict, ResumeOptions
from ocsync.engine.resume.pause_survey import survey_pauses
from ocsync.engine.resume.preflight import Preflight, StepConflict, read_ahead, run_preflight
from ocsync.engine.resume.replay import BuildingSteps, Replay
from ocsync.engine.run_log import (
    RunProgress,
    SessionCost,
    add_up,
    count_outcomes,
    load_progress,
    new_info,
    outcome_now,
    recent_writes,
)
from ocsync.engine.session import (
    Session,
    check_pinned_url,
    confirm_production,
    sign_in,
)
from ocsync.engine.staging import own_seller_fault
from ocsync.errors import (
    Conflict,
    ExitCode,
    InputError,
    Interrupted,
    PausedByOther,
    Refused,
    StalePlan,
    UsageError,
    first_of,
)
from ocsync.events import NoticeLevel, Planned
from ocsync.late_order import order_by_values
from ocsync.models import Fields, Intent, Op, Outcome, State, Step
from ocsync.pause import PauseState
from ocsync.plan import fed_targets
from ocsync.plurals import count
from ocsync.risks import (
    GUARDED,
    XP_TYPE,
    Risk,
    find_risks,
    own_user_risk,
    writes_indexed_xp,
    xp_type_risk,
)
from ocsync.schema import KINDS, TARGETS, Target, kind_of, ref_key
from ocsync.store import Run
from ocsync.store.number_ranges import NumberRanges, to_ranges
from ocsync.store.step_log import steps_without

T = TypeVar("T")
_SHOWN_RANGES = 3
"""Ranges of entry numbers that a message names at most."""


async def resume(session: Session, options: ResumeOptions) -> ResumeReport:
    """Send the staged edits, unpause and verify; see the module's docstring.

    Raises Conflict (another marketplace), StalePlan, PlanCycle, PausedByOther (somebody else
    unpaused a target of this workspace), TryLater and SignInError (the server cannot be reached),
    and Interrupted.
    """
    check_pinned_url(session.folder)  # before anything is sent
    session.folder.runs.recover(session.folder.journal)
    begin_as_proven(session)
    runs = session.folder.runs
    deletes = runs.find_unfinished("delete")
    if not (deletes or runs.find_unfinished()):
        async with _beside(sign_in(session)) as signing_in:
            drafted = await asyncio.to_thread(_draft, session, options)
            reads = read_ahead(session, drafted.plan.steps, undo=options.undo)
            async with aclosing(reads) as ahead:
                reading = await _read_beside(signing_in, session, drafted, options, ahead)
                identity = await signing_in
                return await _start_run(session, options, identity, drafted, reading, ahead)
    identity = await sign_in(session)
    if deletes:
        from ocsync.engine.delete.execute import close_crashed_run

        await close_crashed_run(session)
    crashed = runs.find_unfinished()
    if crashed is None:
        return await _start_run(session, options, identity, _draft(session, options))
    first, next_draft = await _continue_run(session, crashed, options)
    if next_draft is None:
        return first
    earlier = ExitCode.DONE if first.problems else first.exit_code
    report = await _start_run(session, options, identity, next_draft)
    code = first_of([earlier, report.exit_code])
    return report._replace(exit_code=code, continued=first)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Do *work* beside the block, at whose end it is cancelled if it has not ended."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _read_beside(
    signing_in: asyncio.Task[Identity],
    session: Session,
    drafted: PlanDraft,
    options: ResumeOptions,
    ahead: ReadAhead,
) -> ConfigReading | None:
    """Read the sync configs that the *drafted* plan needs, and *ahead*, beside the sign-in.

    Return the configs, None where the plan needs none. Raises what *signing_in* raises before any
    of their errors.
    """
    if not drafted.plan.steps or not (options.pause or session.folder.read_pauses()):
        ahead.start()
        return None
    configs = read_configs(session, _targets_of(session, _fed_by(drafted), options))
    async with _beside(configs) as reading:
        ahead.start()
        await signing_in
        return await reading


async def _start_run(
    session: Session,
    options: ResumeOptions,
    identity: Identity,
    drafted: PlanDraft,
    reading: ConfigReading | None = None,
    ahead: ReadAhead | None = None,
) -> ResumeReport:
    """Send the *drafted* plan in a new run; *reading* has the sync configs, if they were read, and
    *ahead* the documents.
    """
    steps = drafted.plan.steps
    if options.plan and is_stale(options.plan, drafted.plan, session.folder):
        raise StalePlan(
            "the saved plan is stale: the staged edits, profile or marketplace have changed",
            hint="ocsync plan --out FILE; review it, then ocsync resume --plan FILE",
        )
    if not steps:
        return await close_without_run(session, options)
    _check_sent_before(session, drafted, options)
    await asyncio.to_thread(_check_limits, drafted, options, identity)
    if any(KINDS[total.kind].indexed_xp for total in drafted.totals):
        await _check_xp_types(session, steps, options)
    confirm_production(session)
    fed = _fed_by(drafted)
    reading = await _check_pauses(session, _targets_of(session, fed, options), options, reading)
    with (
        _seal(session, drafted, options) as run,
        recorded_pace(session, run),
        _interruption_counted(session, run),
        named_when_cut_off(session),
    ):
        end = await _carry_out(
            session, run, steps, fed, options, reading, ahead=ahead, resumed=False
        )
        return await finish_run(session, run, end, options, unpause=True)


@contextmanager
def _interruption_counted(session: Session, run: Run) -> Iterator[None]:
    """Let an interruption of the open *run* state how many steps have ended, and what is paused."""
    try:
        yield
    except Interrupted as stop:
        if run.read_info().state == "open":
            kinds, _ = count_outcomes(run)
            done = sum(add_up(kinds).values())
            steps, paused = run.read_info().steps, list(session.folder.claims())
            stays = "stays" if len(paused) == 1 else "stay"
            pauses = f"; {', '.join(paused)} {stays} paused" if paused else ""
            stop.message = f"interrupted: {done:,} of {count(steps, 'step')} done{pauses}"
        raise


async def _continue_run(
    session: Session, run: Run, options: ResumeOptions
) -> tuple[ResumeReport, PlanDraft | None]:
    """Continue the crashed *run*; return its report, and the plan to send next, or None.

    With a next plan the targets stay paused for it.
    """
    session.notify(NoticeLevel.RUNNING, f"continuing unfinished run {run.id}")
    _check_finished_elsewhere(session, run, options)
    confirm_production(session)
    _check_logs(session, run)
    with (
        run,
        recorded_pace(session, run),
        _interruption_counted(session, run),
        named_when_cut_off(session),
    ):
        session.folder.sent_record.add(
            run.id,
            NumberRanges((entry.seq, entry.seq) for entry in run.entries()),
            run.read_info().started,
        )
        steps = _steps_of(run)
        run_options = options._replace(
            on_conflict=OnConflict(run.read_info().on_conflict or "fail")
        )
        fed = fed_targets(step.ref for step in steps).direct
        targets = _targets_of(session, fed, run_options)
        reading = await _check_pauses(session, targets, run_options)
        end = await _carry_out(session, run, steps, fed, run_options, reading, resumed=True)
        drafted = _draft(session, options)
        has_more = bool(drafted.plan.steps)
        report = await finish_run(
            session, run, end, run_options, unpause=bool(end.problems) or not has_more
        )
    if not has_more or not _only_transient_problems(report):
        return report, None
    level = NoticeLevel.RUNNING if report.problems or report.exit_code else NoticeLevel.DONE
    next_action = (
        "now retrying the steps that the server did not answer"
        if report.problems
        else "now sending the edits staged since"
    )
    info = run.read_info()
    done = sum(info.counts.get(state.value, 0) for state in State if state.succeeded)
    numbers = f"{done:,} of {count(info.steps, 'step')} done"
    session.notify(level, f"run {run.id} finished ({numbers}); {next_action}")
    return report, drafted


def _draft(session: Session, options: ResumeOptions) -> PlanDraft:
    names = [target.name for target in options.targets]
    return draft_staged(session.folder, names)


def _steps_of(run: Run) -> Sequence[Step]:
    """Return the steps of a sealed *run*, planned now if a crash came right after the seal."""
    if not run.has_plan:
        kinds = {entry.ref.partition("/")[0] for entry in run.entries()}
        steps = draft_large(run.entries(), kinds, run.path).plan.steps
        run.update(steps=len(steps))
        run.write_plan(steps)
    return run.read_plan()


def _only_transient_problems(report: ResumeReport) -> bool:
    """Return whether all problems are failures of the server, which may have ended since."""
    return not report.conflicts and all(
        problem.state is State.BLOCKED
        or (problem.state is State.FAILED and (not problem.status or problem.status >= 500))
        for problem in report.problems
    )


def _check_logs(session: Session, run: Run) -> None:
    """Read the logs that closing the run needs, so that damage is found before anything is sent."""
    session.folder.journal.check()
    run.check_whole()


def _seal(session: Session, drafted: PlanDraft, options: ResumeOptions) -> Run:
    """Return a new run with the *drafted* entries and their plan."""
    info = new_info(
        session,
        command=options.command,
        targets=tuple(target.name for target in options.targets),
        steps=len(drafted.plan.steps),
        on_conflict=options.on_conflict.value,
        reverts=drafted.reverts,
        plan=options.plan or fingerprint(drafted.plan, session.folder),
    )
    run = session.folder.runs.seal(session.folder.journal, info, drafted.numbers)
    session.folder.sent_record.add(run.id, drafted.numbers, info.started)
    run.write_plan(drafted.plan.steps)
    return run


def _check_sent_before(session: Session, drafted: PlanDraft, options: ResumeOptions) -> None:
    """Raise Conflict when entries were sent from another copy of the workspace already."""
    record, journal = session.folder.sent_record, session.folder.journal
    taken = drafted.numbers.common(record.numbers())
    sent = record.sent(journal.stream(taken)) if taken and not options.resend else {}
    if not sent:
        return
    runs = list(dict.fromkeys(sent.values()))
    ranges = to_ranges(sent)
    numbers = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_SHOWN_RANGES])
    more = " and more" if len(ranges) > _SHOWN_RANGES else ""
    were = "was" if len(sent) == 1 else "were"
    name = runs[0] if len(runs) == 1 else f"{runs[0]} and {len(runs) - 1:,} more"
    text = (
        f"this workspace is an older copy: {len(sent):,} of "
        f"{count(drafted.entries, 'staged entry')} ({numbers}{more}) {were} already sent, "
        f"by run {name}"
    )
    hint = "ocsync stage drop NUMBER..., or to send them again: ocsync resume --resend"
    _ask_to_resend(session, text, "Send them again?", hint)


def _check_finished_elsewhere(session: Session, run: Run, options: ResumeOptions) -> None:
    """Raise Conflict when *run* was finished from another copy of the workspace already."""
    if not options.resend and session.folder.sent_record.is_closed(run.id):
        text = f"this workspace is an older copy: its run {run.id} was finished in another copy"
        hint = (
            "use the newest copy; ocsync resume --resend continues here, and may send edits twice"
        )
        _ask_to_resend(session, text, "Continue it anyway?", hint)


def _ask_to_resend(session: Session, text: str, question: str, hint: str) -> None:
    """Ask whether to send what was sent before. Raises Conflict for a no, or with nobody to ask."""
    session.notify(NoticeLevel.WARNING, text)
    try:
        agreed = session.ask_person(question)
    except UsageError:
        agreed = False
    if not agreed:
        raise Conflict(f"{text}; nothing was sent", hint=hint)


def _check_limits(drafted: PlanDraft, options: ResumeOptions, identity: Identity) -> None:
    """Raise Refused for a plan that is larger or riskier than the operator allows, InputError for
    one that names the marketplace as another seller.
    """
    limit, steps = options.max_changes, drafted.plan.steps
    naming = steps if any(KINDS[total.kind].owner_id for total in drafted.totals) else ()
    own = (own_seller_fault(step.ref, identity.marketplace) for step in naming)
    if fault := next(filter(None, own), ""):  # staged before the first sign-in
        raise InputError(f"nothing was sent: {fault}", hint="ocsync stage drop REF")
    if limit is not None and len(steps) > limit:
        text = f"the plan has {count(len(steps), 'request')}, more than --max-changes {limit:,}"
        raise Refused(text, hint="ocsync plan; to send it anyway, give a larger --max-changes")
    user_kind = f"{identity.user_type}-user"
    has_users = any(total.kind == user_kind for total in drafted.totals)
    own_user = own_user_risk(steps, user_kind, identity.user_id) if has_users else None
    plan_risks = [own_user, *find_risks(steps)]
    for risk in plan_risks:
        _refuse_unless_allowed(risk, options)


def _refuse_unless_allowed(risk: Risk | None, options: ResumeOptions) -> None:
    """Raise Refused for a guarded *risk* that the operator did not allow."""
    if risk and risk.code in GUARDED and risk.code not in options.allowed:
        hint = f"ocsync plan --diff; to send it anyway: --allow-risky {risk.code}"
        raise Refused(f"{risk.text}, such as {risk.refs[0]}", hint=hint)


async def _check_xp_types(session: Session, steps: Sequence[Step], options: ResumeOptions) -> None:
    """Raise Refused when *steps* change the type of an indexed xp value and that is not allowed."""
    first: dict[str, Step] = {}
    for step in steps:
        if kind_of(step.ref).indexed_xp:
            first.setdefault(ref_key(step.ref), step)
    written = {key: step for key, step in first.items() if writes_indexed_xp(step)}
    changing = {key: s for key, s in written.items() if s.change.op is Op.SET or s.change.replace}
    if XP_TYPE in options.allowed or not changing:
        return
    values: dict[int, tuple[Fields, Fields]] = {}
    refs = [step.ref for step in changing.values()]
    async for ref, found in read_current(session.api, refs, accept=lambda *_: True):
        if isinstance(found, dict):
            step = changing[ref_key(ref)]
            sent = resolve_values(step.change, found)
            values[step.number] = values_before(sent, found), sent
    _refuse_unless_allowed(xp_type_risk(changing.values(), values), options)


def _fed_by(drafted: PlanDraft) -> tuple[str, ...]:
    """Return the targets that the *drafted* plan feeds directly."""
    return fed_targets(total.kind for total in drafted.totals).direct


def _targets_of(session: Session, fed: Iterable[str], options: ResumeOptions) -> list[Target]:
    """Return the targets that are *fed* directly, and those to be unpaused at the end."""
    names = set(fed)
    pauses = session.folder.read_pauses()
    names |= {t.name for t in options.targets} & pauses.keys() if options.targets else pauses.keys()
    return [target for name, target in TARGETS.items() if name in names]


async def _check_pauses(
    session: Session,
    targets: list[Target],
    options: ResumeOptions,
    reading: ConfigReading | None = None,
) -> ConfigReading | None:
    """Raise PausedByOther when somebody else unpaused a target and it is not to be paused again.

    Return the reading of the sync configs that it is based on, *reading* if that is new enough.
    """
    if not options.pause and not session.folder.read_pauses():
        return None  # without reading sync configs, so that no role for them is needed
    reading = await read_configs(session, targets, reading)
    statuses = await read_status(session, targets, reading=reading)
    uncertain_statuses = [
        status for status in statuses.values() if status.state is PauseState.UNCERTAIN
    ]
    if unconfirmed := [
        s.target.name for s in uncertain_statuses if not claim_if_confirmed(session, s)
    ]:
        raise uncertain(unconfirmed)
    unpaused_by_other = [
        name for name, status in statuses.items() if status.state is PauseState.UNPAUSED_BY_OTHER
    ]
    if not unpaused_by_other or not options.pause:
        return reading
    names = ", ".join(unpaused_by_other)
    session.notify(
        NoticeLevel.WARNING,
        f"someone else unpaused {names}; changes may have been delivered since",
    )
    if not (options.repause or confirmed(session, f"Pause {names} again for this run?")):
        raise PausedByOther(
            f"someone else unpaused {names}",
            hint="ocsync resume --repause pauses again; --no-pause sends without pausing",
        )
    return reading


async def _carry_out(
    session: Session,
    run: Run,
    steps: Sequence[Step],
    fed: Collection[str],
    options: ResumeOptions,
    reading: ConfigReading | None,
    *,
    ahead: ReadAhead | None = None,
    resumed: bool,
) -> RunEnd:
    """Read, pause and replay the *steps* of *run* that have not ended, and close it.

    *fed* are the targets that the steps feed directly.
    """
    cost = SessionCost.start(session)
    progress = load_progress(run)
    waves = steps[-1].wave if steps else 0
    plan = run.read_info().plan if options.plan else ""
    session.emit(Planned(run.id, len(steps), waves, resumed=resumed, plan=plan))
    begun = progress.ended.copy()
    for number in progress.dangling:
        begun.add(number, number)
    waiting = steps_without(steps, begun) if begun else steps
    preflight = await run_preflight(
        session, waiting, run, steps, progress.lagging,
        needed_only=True, undo=options.undo, ahead=ahead,
    )  # fmt: skip
    conflicts = _conflicts_of(session, steps, preflight, options)
    try:
        lost_names: list[str] = []
        if conflicts and not begun and options.on_conflict is OnConflict.FAIL:
            _record_conflicts(session, run, waiting, conflicts)
        else:
            if _will_write(waiting, preflight, progress.dangling):
                lost_names = await _pause_targets(session, run, fed, options, reading)
            await _replay(session, run, steps, progress, preflight, conflicts, options)
        (lost, reading), counted = await asyncio.gather(
            survey_pauses(session, run, lost_names), asyncio.to_thread(count_outcomes, run)
        )
    finally:
        cost.add_to(run)
    problems = close_run(session, run, steps, options, counted)
    return RunEnd(problems, conflicts, tuple(lost), reading)


def _conflicts_of(
    session: Session, steps: Sequence[Step], preflight: Preflight, options: ResumeOptions
) -> list[StepConflict]:
    """Return the conflicts of steps that are not to be sent.

    Edits of entities that do not exist are sent, and fail, when the operator agrees.
    """
    if options.on_conflict is OnConflict.OVERWRITE:
        return []
    recent = recent_writes(session, [conflict.ref for conflict in preflight.missing])
    recent_keys = {ref_key(intent.ref) for intent in recent}  # reads may not show these yet
    missing = [one for one in preflight.missing if ref_key(one.ref) not in recent_keys]
    if missing and options.on_conflict is OnConflict.FAIL:
        text = f"{len(missing):,} of {count(len(steps), 'step')} would edit missing entities"
        session.notify(NoticeLevel.WARNING, f"{text}, such as {missing[0].ref}")
        if confirmed(session, "Send the plan anyway? These steps will fail."):
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
    building = BuildingSteps.of(steps)
    before = {number: {**i.emptied, **i.before} for number, i in progress.dangling.items()}
    async with Recorder(run, session.step_ended, slots=lambda: session.api.window) as recorder:
        replay = Replay(
            session,
            recorder,
            order_by_values(steps, {**before, **preflight.watched}),
            progress,
            building=building,
            prepared=preflight.prepared,
            conflicts={conflict.number: conflict.text() for conflict in conflicts},
            workers=2 * options.workers,
            settle=options.settle,
            reference_lag=reference_seconds(read_answers(session.folder)),
            recent=recent_writes(session, building.lagging),
            overwrite=options.on_conflict is OnConflict.OVERWRITE,
            max_failures=options.max_failures,
        )
        await replay.run()


def _will_write(
    waiting: Sequence[Step], preflight: Preflight, dangling: Mapping[int, Intent]
) -> bool:
    """Return whether a request may be sent at all; otherwise no pause is needed."""
    return bool(dangling) or preflight.prepared.same < len(waiting)


async def _pause_targets(
    session: Session,
    run: Run,
    fed: Collection[str],
    options: ResumeOptions,
    reading: ConfigReading | None,
) -> list[str]:
    """Pause the targets *fed* that nobody has paused, and record all that are paused then.

    Return the targets on whose pause, by someone else, an earlier part of the run relied, and that
    were running now.
    """
    if not options.pause and not session.folder.claims():
        return []  # without reading sync configs, so that no role for them is needed
    targets = _targets_of(session, fed, options)
    reading = await read_configs(session, targets, reading)
    statuses = await read_status(session, targets, reading=reading)
    unpaused_states = (PauseState.RUNNING, PauseState.UNPAUSED_BY_OTHER)
    running = [
        status for status in statuses.values() if status.state in unpaused_states and options.pause
    ]
    await pause_all(session, running, reason=f"run {run.id}", run=run.id)
    earlier = run.read_info().held
    relied_on = {
        name
        for name, status in statuses.items()
        if name in fed and status.state is not PauseState.NO_CONFIG
        if options.pause or status.state is PauseState.PAUSED_BY_US
    }
    run.update(held=tuple(name for name in TARGETS if name in {*relied_on, *earlier}))
    lost_names = [n for n in earlier if n in statuses and statuses[n].state is PauseState.RUNNING]
    for status in statuses.values():
        if status.state is PauseState.NO_CONFIG:
            session.notify(
                NoticeLevel.WARNING, f"{status.target.name} has no sync config: nothing to pause"
            )
        elif status.state is PauseState.PAUSED_BY_OTHER:
            session.notify(
                NoticeLevel.PAUSED,
                f"{status.target.name} is paused by someone else and stays paused",
            )
    return lost_names


def _record_conflicts(
    session: Session, run: Run, steps: Sequence[Step], conflicts: Sequence[StepConflict]
) -> None:
    """Record CONFLICT for the steps with *conflicts* and BLOCKED for all others, sending none."""
    reasons = {conflict.number: conflict.text() for conflict in conflicts}

    def outcome_of(step: Step) -> Outcome:
        if step.number in reasons:
            return outcome_now(session, step, State.CONFLICT, message=reasons[step.number])
        return outcome_now(session, step, State.BLOCKED, blocked_by=conflicts[0].ref)

    run.record([outcome_of(step) for step in steps])
