"""The end of a run: stage unfinished entries again, unpause, verify, and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import NamedTuple

import msgspec

from ocsync.engine.pause.pausing import (
    ConfigReading,
    KeptPause,
    TargetStatus,
    UnpausedTarget,
    claim_if_confirmed,
    config_changes,
    drop_pauses,
    in_window,
    named_when_cut_off,
    read_configs,
    read_status,
    uncertain,
    unpause_all,
)
from ocsync.engine.resume.options import ResumeOptions
from ocsync.engine.resume.pause_survey import LostPause
from ocsync.engine.resume.preflight import StepConflict
from ocsync.engine.run_log import Kinds, add_up, attempts, exit_code_for
from ocsync.engine.session import Session
from ocsync.engine.verify.delivery_proof import DeliveryProof
from ocsync.engine.verify.readback import ReadBack, Verification
from ocsync.engine.verify.verification import VerificationReport, verify_run
from ocsync.errors import ExitCode, first_of
from ocsync.events import NoticeLevel
from ocsync.models import CREATING_OPS, Entry, Intent, Outcome, State, Step
from ocsync.pause import PauseState
from ocsync.plan import created_refs, fed_targets
from ocsync.schema import TARGETS
from ocsync.store import Run, RunInfo


class ResumeReport(NamedTuple):
    """The report of a resume. *run* is None when there was nothing to send.

    *continued* is the report of the unfinished run that was continued before this one began.
    """

    run: RunInfo | None
    problems: list[Outcome]
    conflicts: list[StepConflict]
    unpaused: list[UnpausedTarget]
    still_paused: list[KeptPause]
    verification: Verification | None
    staged: int
    exit_code: ExitCode
    delivery_proof: DeliveryProof | None = None
    lost_pauses: tuple[LostPause, ...] = ()
    continued: ResumeReport | None = None


class RunEnd(NamedTuple):
    """The end of a run: its steps without success, the conflicts found before it wrote, and the
    targets whose pause ended before it did. *reading* has the sync configs after its last request.
    """

    problems: list[Outcome]
    conflicts: list[StepConflict]
    lost_pauses: tuple[LostPause, ...] = ()
    reading: ConfigReading | None = None


class UnpauseReport(NamedTuple):
    """The unpaused targets, those that stay paused, and the exit code for the latter."""

    unpaused: list[UnpausedTarget]
    still_paused: list[KeptPause]
    exit_code: ExitCode = ExitCode.DONE


async def finish_run(
    session: Session, run: Run, end: RunEnd, options: ResumeOptions, *, unpause: bool
) -> ResumeReport:
    """Unpause, verify and report a closed *run*.

    Without *unpause* the targets stay paused for the next run.
    """
    pauses = UnpauseReport([], [])
    report: VerificationReport | None = None
    info = run.read_info()
    async with AsyncExitStack() as stack:
        reading = None
        if info.verification_pending:
            reading = ReadBack(session, run, by_answers=options.by_answers)
            await stack.enter_async_context(aclosing(reading))
            reading.start()  # its requests go beside those of the unpause, which come first
        if unpause:
            pauses = await _unpause_after(session, run, end, options)
        if info.verification_pending:
            report = await _verify(session, run, options, reading)
    lost = [ExitCode.BAD_CONFIG if p.deleted else ExitCode.LOCKED for p in end.lost_pauses]
    code = first_of([exit_code_for(end.problems), pauses.exit_code, *lost])
    verification, proof = report or (None, None)
    if report:
        code = first_of([code, report.exit_code])
    causes_first = sorted(end.problems, key=lambda outcome: outcome.state is State.BLOCKED)
    return ResumeReport(
        run.update(exit_code=int(code)),
        causes_first,
        end.conflicts,
        pauses.unpaused,
        pauses.still_paused,
        verification,
        session.folder.journal.totals().entries,
        code,
        proof,
        end.lost_pauses,
    )


async def _unpause_after(
    session: Session, run: Run, end: RunEnd, options: ResumeOptions
) -> UnpauseReport:
    """Unpause the targets after *run*, and record the seconds for which each was paused."""
    info = run.read_info()
    sent = (State.DONE, State.UNKNOWN, State.FAILED)
    report = await _unpause_targets(
        session,
        run,
        options,
        done=not end.problems or options.unpause_anyway,
        for_run=not any(info.counts.get(state.value) for state in sent),
        reading=end.reading,
    )
    seconds = {one.target: one.seconds for one in report.unpaused}
    run.update(paused_seconds={**run.read_info().paused_seconds, **seconds})
    return report


async def _verify(
    session: Session, run: Run, options: ResumeOptions, reading: ReadBack | None = None
) -> VerificationReport:
    return await verify_run(
        session, run, settle=options.settle, patience=options.delivery_timeout,
        redeliver=options.redeliver, by_answers=options.by_answers, reading=reading,
    )  # fmt: skip


def close_run(
    session: Session,
    run: Run,
    steps: Sequence[Step],
    options: ResumeOptions,
    counted: tuple[Kinds, list[Outcome]],
) -> list[Outcome]:
    """Close *run*, whose *steps* have all ended; return the outcomes without success.

    Their entries are staged again, in one act. *counted* are all outcomes, by `count_outcomes`.
    """
    kinds, problems = counted
    numbers = {problem.number for problem in problems}
    unfinished = [step for step in steps if step.number in numbers]
    returned = _entries_of(run, unfinished, _uncertain_intents(run)) if unfinished else []
    if returned:
        session.folder.sent_record.give_back(run.id, (entry.seq for entry in returned))
        session.folder.journal.return_entries(run.id, returned)
    made_refs = [s.ref for s in steps if s.change.op in CREATING_OPS and s.number not in numbers]
    session.folder.tombstones.remove(made_refs)
    counts = add_up(kinds)
    run.update(
        state="closed",
        ended=session.timestamp(),
        counts=counts,
        kinds=kinds,
        exit_code=int(exit_code_for(problems)),
        verification_pending=options.verify
        and any(s.value in counts for s in State if s.succeeded),
    )
    session.folder.sent_record.close(run.id)
    session.folder.journal.compact()
    return problems


def _uncertain_intents(run: Run) -> dict[int, Intent]:
    """Return the intents, by step number, of the steps that failed but may have taken effect."""
    return {
        number: intent
        for number, _, intent, outcome in attempts(run.outcomes())
        if intent and outcome and _may_have_taken_effect(outcome)
    }


def _may_have_taken_effect(outcome: Outcome) -> bool:
    lost = outcome.state is State.FAILED and not outcome.status
    return lost or outcome.state is State.UNKNOWN


def _entries_of(run: Run, unfinished: list[Step], intents: dict[int, Intent]) -> list[Entry]:
    """Return the entries of the steps *unfinished*.

    An adjustment that may have taken effect expects the value before it, so that it cannot count
    twice unnoticed. A put that may have created its entity, and something else too, does not
    replace it: a second put would drop what the first one filled in.
    """
    seqs = {seq for step in unfinished for seq in step.change.entries}
    expect = {
        step.change.entries[0]: {
            path: intents[step.number].before.get(path) for path in step.change.adjust
        }
        for step in unfinished
        if step.number in intents
    }
    may_exist = {
        seq
        for step in unfinished
        if step.number in intents and intents[step.number].absent and created_refs(step.change)
        for seq in step.change.entries
    }
    return [
        msgspec.structs.replace(
            entry,
            expect={**expect.get(entry.seq, {}), **entry.expect},
            replace=entry.replace and entry.seq not in may_exist,
        )
        for entry in run.entries()
        if entry.seq in seqs
    ]


async def _unpause_targets(
    session: Session,
    run: Run | None,
    options: ResumeOptions,
    *,
    done: bool,
    for_run: bool = False,
    reading: ConfigReading | None = None,
) -> UnpauseReport:
    """Unpause the targets of this workspace when all is *done*; otherwise, with *for_run*, only
    those that *run* paused.

    Where the options name targets, others stay paused, except those that a run paused and that no
    staged entry feeds any more. Targets of an open window stay paused until it ends. The operator
    is asked about a pause that may be someone else's. Of the targets that *run* relied on, those
    paused by someone else are reported too.
    """
    pauses = session.folder.read_pauses()
    in_open_window = {name for name, pause in pauses.items() if in_window(session, pause)}
    target_names = {target.name for target in options.targets}
    needed = (
        fed_targets(entry.ref for entry in session.folder.journal.stream()).direct
        if target_names
        else ()
    )
    run_id = run.id if run else ""
    targets = [
        TARGETS[name]
        for name, pause in pauses.items()
        if name not in in_open_window
        and (
            (
                done
                and (not target_names or name in target_names or (pause.run and name not in needed))
            )
            or (run_id and pause.run == run_id and (done or for_run))
        )
    ]
    relied_on = [TARGETS[name] for name in (run.read_info().held if run else ())]
    to_read = list(dict.fromkeys([*targets, *relied_on]))
    reading = await read_configs(session, to_read, reading)
    statuses = await read_status(session, to_read, reading=reading)
    target_statuses = {target.name: statuses[target.name] for target in targets}
    _drop_lost_pauses(session, target_statuses)
    for status in target_statuses.values():
        for change in config_changes(status):
            session.notify(
                NoticeLevel.WARNING,
                f"{status.target.name}: its sync config was changed while it was paused: {change}",
            )
    ready = [
        status
        for status in target_statuses.values()
        if status.state is PauseState.PAUSED_BY_US
        or (status.state is PauseState.UNCERTAIN and claim_if_confirmed(session, status))
    ]
    result = await unpause_all(session, ready)
    if result.failed:
        raise result.failed[0][1]
    unpaused = [UnpausedTarget(status.target.name, seconds) for status, seconds in result.unpaused]
    default_reason = "some changes failed" if not done else "not named in this command"
    reasons = dict.fromkeys(session.folder.claims(), default_reason)
    reasons |= dict.fromkeys(
        reasons.keys() & in_open_window, "an open window unpauses it when its command ends"
    )
    uncertain_names = [name for name in reasons if _is_uncertain(statuses.get(name))]
    reasons |= {name: uncertain([name]).message.partition(": ")[2] for name in uncertain_names}
    paused_by_other = [
        n for n, status in statuses.items() if status.state is PauseState.PAUSED_BY_OTHER
    ]
    still_paused = [
        KeptPause(name, reason) for name, reason in reasons.items() if name not in paused_by_other
    ]
    still_paused += [
        KeptPause(name, "paused by someone else", by_other=True) for name in paused_by_other
    ]
    codes = [ExitCode.LOCKED] * bool(uncertain_names) + [ExitCode.PARTLY] * bool(paused_by_other)
    return UnpauseReport(unpaused, still_paused, first_of(codes))


def _is_uncertain(status: TargetStatus | None) -> bool:
    return status is not None and status.state is PauseState.UNCERTAIN


def _drop_lost_pauses(session: Session, statuses: Mapping[str, TargetStatus]) -> None:
    """Drop the pauses of this workspace that others have ended, and notify the operator."""
    ended = {
        PauseState.UNPAUSED_BY_OTHER: "someone else unpaused it in the meantime; changes may have "
        "been delivered one by one",
        PauseState.PAUSED_BY_OTHER: "someone else unpaused it in the meantime, and paused it again",
        PauseState.NO_CONFIG: "the sync config no longer exists, so the pause has ended",
    }
    for state, text in ended.items():
        names = [
            name for name, status in statuses.items() if status.state is state and status.pause
        ]
        if names:
            session.notify(NoticeLevel.WARNING, f"{', '.join(names)}: {text}")
            drop_pauses(session, names)


async def close_without_run(session: Session, options: ResumeOptions) -> ResumeReport:
    """Unpause the targets of this workspace when nothing is staged.

    A run that a crash kept from being verified is verified now.
    """
    with named_when_cut_off(session):
        pauses = await _unpause_targets(session, None, options, done=True)
    unpaused, still_paused, code = pauses
    staged = session.folder.journal.totals().entries
    run = session.folder.runs.pending_verification() if options.verify else None
    if run is None:
        return ResumeReport(None, [], [], unpaused, still_paused, None, staged, code)
    session.notify(NoticeLevel.RUNNING, f"run {run.id} has not been verified; verifying it now")
    report = await _verify(session, run, options)
    code = first_of([code, report.exit_code])
    info = run.update(exit_code=int(first_of([ExitCode(run.read_info().exit_code), code])))
    verification, proof = report
    return ResumeReport(info, [], [], unpaused, still_paused, verification, staged, code, proof)
