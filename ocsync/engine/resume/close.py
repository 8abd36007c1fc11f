"""Closing a run: give back what is not settled, lift what is ours, verify, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from ocsync.engine.pause.pausing import (
    KeptPause,
    TargetStatus,
    UnpausedTarget,
    claim_if_confirmed,
    config_changes,
    drop_pauses,
    in_window,
    read_status,
    uncertain,
    unpause_target,
)
from ocsync.engine.resume.options import ResumeOptions
from ocsync.engine.resume.pause_survey import LostPause
from ocsync.engine.resume.preflight import StepConflict
from ocsync.engine.run_log import add_up, attempts, count_outcomes, exit_code_for
from ocsync.engine.session import Session
from ocsync.engine.verify.delivery_proof import DeliveryProof
from ocsync.engine.verify.readback import Verification
from ocsync.engine.verify.verification import VerificationReport, verify_run
from ocsync.errors import ExitCode, first_of
from ocsync.events import NoticeLevel
from ocsync.models import CREATING_OPS, Entry, Intent, Outcome, State, Step
from ocsync.pause import PauseState
from ocsync.plan import fed_targets
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
    """The steps of a run that ended without success, the conflicts found before it wrote, and the
    targets whose pause ended before it did.
    """

    problems: list[Outcome]
    conflicts: list[StepConflict]
    lost_pauses: tuple[LostPause, ...] = ()


class UnpauseReport(NamedTuple):
    """The targets that run again, and those that stay paused; with the exit code for these."""

    unpaused: list[UnpausedTarget]
    still_paused: list[KeptPause]
    exit_code: ExitCode = ExitCode.DONE


async def finish_run(
    session: Session, run: Run, end: RunEnd, options: ResumeOptions, *, unpause: bool
) -> ResumeReport:
    """Unpause, verify and report a *run* that is closed.

    Without *unpause* the targets stay paused for what is sent next.
    """
    pauses = UnpauseReport([], [])
    if unpause:
        pauses = await _unpause_after(session, run, end, options)
    lost = ExitCode.LOCKED if end.lost_pauses else ExitCode.DONE
    code = first_of([exit_code_for(end.problems), pauses.exit_code, lost])
    verification, proof = None, None
    if run.read_info().verification_pending:
        examined = await _examine(session, run, options)
        verification, proof = examined
        code = first_of([code, examined.exit_code])
    causes_first = sorted(end.problems, key=lambda outcome: outcome.state is State.BLOCKED)
    return ResumeReport(
        run.update(exit_code=int(code)),
        causes_first,
        end.conflicts,
        pauses.unpaused,
        pauses.still_paused,
        verification,
        len(session.folder.journal.entries()),
        code,
        proof,
        end.lost_pauses,
    )


async def _unpause_after(
    session: Session, run: Run, end: RunEnd, options: ResumeOptions
) -> UnpauseReport:
    """Unpause what *run* leaves to be unpaused, and note in its record how long each was paused."""
    info = run.read_info()
    sent = (State.DONE, State.UNKNOWN, State.FAILED)
    report = await _unpause_ours(
        session,
        run,
        options,
        done=not end.problems or options.unpause_anyway,
        for_run=not any(info.counts.get(state.value) for state in sent),
    )
    seconds = {one.target: one.seconds for one in report.unpaused}
    run.update(paused_seconds={**run.read_info().paused_seconds, **seconds})
    return report


async def _examine(session: Session, run: Run, options: ResumeOptions) -> VerificationReport:
    return await verify_run(
        session, run, settle=options.settle, patience=options.delivery_timeout,
        redeliver=options.redeliver,
    )  # fmt: skip


def close_run(
    session: Session, run: Run, steps: Sequence[Step], options: ResumeOptions
) -> list[Outcome]:
    """Close *run*, whose *steps* have all ended; return the outcomes without success.

    Their entries are staged again, in one act.
    """
    kinds, problems = count_outcomes(run)
    numbers = {problem.number for problem in problems}
    left = [step for step in steps if step.number in numbers]
    if left:
        session.folder.journal.return_entries(run.id, _entries_of(run, left, _unsure(run)))
    made = [s.ref for s in steps if s.change.op in CREATING_OPS and s.number not in numbers]
    session.folder.tombstones.remove(made)
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
    return problems


def _unsure(run: Run) -> dict[int, Intent]:
    """Return the intents, by step number, of the steps that failed but may have taken effect."""
    return {
        number: intent
        for number, _, intent, outcome in attempts(run.outcomes())
        if intent and outcome and _may_have_taken_effect(outcome)
    }


def _may_have_taken_effect(outcome: Outcome) -> bool:
    lost = outcome.state is State.FAILED and not outcome.status
    return lost or outcome.state is State.UNKNOWN


def _entries_of(run: Run, left: list[Step], unsure: dict[int, Intent]) -> list[Entry]:
    """Return the entries of the steps *left*.

    An adjustment that may have taken effect comes back with the expectation of what was there
    before it: made once more unseen it might count twice.
    """
    seqs = {seq for step in left for seq in step.change.entries}
    expect = {
        step.change.entries[0]: {
            path: unsure[step.number].before.get(path) for path in step.change.adjust
        }
        for step in left
        if step.number in unsure
    }
    return [
        msgspec.structs.replace(entry, expect={**expect.get(entry.seq, {}), **entry.expect})
        for entry in run.entries()
        if entry.seq in seqs
    ]


async def _unpause_ours(
    session: Session, run: Run | None, options: ResumeOptions, *, done: bool, for_run: bool = False
) -> UnpauseReport:
    """Unpause the targets of this workspace when all is *done*; otherwise only those paused
    *for_run* alone, if that is set.

    Where targets are named, others are left alone, but for those that a run paused for itself and
    that nothing staged needs any more.
    What an open window holds is left to it. A pause that may be someone else's is asked about.
    Of the targets that *run* relied on, those paused by someone else are reported too.
    """
    mine = session.folder.read_pauses()
    held = {name for name, pause in mine.items() if in_window(session, pause)}
    named = {target.name for target in options.targets}
    needed = (
        fed_targets(entry.ref for entry in session.folder.journal.entries()).direct if named else ()
    )
    run_id = run.id if run else ""
    wanted = [
        TARGETS[name]
        for name, pause in mine.items()
        if name not in held
        and (
            (done and (not named or name in named or (pause.run and name not in needed)))
            or (run_id and pause.run == run_id and (done or for_run))
        )
    ]
    relied_on = [TARGETS[name] for name in (run.read_info().held if run else ())]
    asked = dict.fromkeys([*wanted, *relied_on])
    everything = await read_status(session, asked)
    seen = {target.name: everything[target.name] for target in wanted}
    _forget_lost(session, seen)
    for one in seen.values():
        for change in config_changes(one):
            session.notify(
                NoticeLevel.WARNING,
                f"{one.target.name}: its config was changed meanwhile: {change}",
            )
    lifted = [
        UnpausedTarget(name, await unpause_target(session, one))
        for name, one in seen.items()
        if one.state is PauseState.PAUSED_BY_US
        or (one.state is PauseState.UNCERTAIN and claim_if_confirmed(session, one))
    ]
    why = "not all is done" if not done else "not named in this resume"
    reasons = dict.fromkeys(session.folder.claims(), why)
    reasons |= dict.fromkeys(reasons.keys() & held, "its window is open, and lifts it at its end")
    unsure = [name for name in reasons if _is_uncertain(everything.get(name))]
    reasons |= {name: uncertain([name]).message.partition(": ")[2] for name in unsure}
    theirs = [n for n, one in everything.items() if one.state is PauseState.PAUSED_BY_OTHER]
    kept = [KeptPause(name, reason) for name, reason in reasons.items() if name not in theirs]
    kept += [KeptPause(name, "paused by someone else", by_other=True) for name in theirs]
    codes = [ExitCode.LOCKED] * bool(unsure) + [ExitCode.PARTLY] * bool(theirs)
    return UnpauseReport(lifted, kept, first_of(codes))


def _is_uncertain(status: TargetStatus | None) -> bool:
    return status is not None and status.state is PauseState.UNCERTAIN


def _forget_lost(session: Session, seen: Mapping[str, TargetStatus]) -> None:
    """Say which pauses of ours have ended without us, and forget them."""
    ended = {
        PauseState.UNPAUSED_BY_OTHER: "somebody else lifted our pause meanwhile; targets may have "
        "seen changes one by one",
        PauseState.PAUSED_BY_OTHER: "somebody else lifted our pause meanwhile and paused it since",
        PauseState.NO_CONFIG: "its sync config is gone, and our pause with it",
    }
    for state, text in ended.items():
        names = [name for name, one in seen.items() if one.state is state and one.pause]
        if names:
            session.notify(NoticeLevel.WARNING, f"{', '.join(names)}: {text}")
            drop_pauses(session, names)


async def close_without_run(session: Session, options: ResumeOptions) -> ResumeReport:
    """Unpause the targets of this workspace although nothing is staged, as the operator is done.

    A last run that was cut off before it was verified is verified now.
    """
    pauses = await _unpause_ours(session, None, options, done=True)
    lifted, kept, code = pauses
    staged = len(session.folder.journal.entries())
    run = session.folder.runs.pending_verification() if options.verify else None
    if run is None:
        return ResumeReport(None, [], [], lifted, kept, None, staged, code)
    session.notify(NoticeLevel.RUNNING, f"run {run.id} was not verified; doing it now")
    examined = await _examine(session, run, options)
    code = first_of([code, examined.exit_code])
    info = run.update(exit_code=int(first_of([ExitCode(run.read_info().exit_code), code])))
    verification, proof = examined
    return ResumeReport(info, [], [], lifted, kept, verification, staged, code, proof)
