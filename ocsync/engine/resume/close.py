"""Closing a run: give back what is not settled, lift what is ours, verify, report."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ocsync.engine.pause.pausing import (
    KeptPause,
    UnpausedTarget,
    drift,
    drop_pauses,
    in_window,
    read_status,
    unpause_target,
)
from ocsync.engine.resume.drafting import draft
from ocsync.engine.resume.options import Options
from ocsync.engine.resume.preflight import Clash
from ocsync.engine.run_log import add_up, count_outcomes, exit_code_for
from ocsync.engine.session import Session
from ocsync.engine.verify.delivery_proof import Proof
from ocsync.engine.verify.readback import Verification
from ocsync.engine.verify.verification import Examined, examine
from ocsync.errors import ExitCode, first_of
from ocsync.models import Entry, Intent, Outcome, State, Step
from ocsync.pause import Standing
from ocsync.plan import feeds
from ocsync.schema import TARGETS
from ocsync.store import Run, RunInfo
from ocsync.tombstones import MAKERS

_SHOWN = 1000
"""How many unsettled steps a report names; all of them are in the run's folder."""


class Report(NamedTuple):
    """What a resume came to. *run* is None when there was nothing to replay."""

    run: RunInfo | None
    problems: list[Outcome]
    clashes: list[Clash]
    lifted: list[UnpausedTarget]
    kept: list[KeptPause]
    verification: Verification | None
    staged: int
    exit_code: ExitCode
    proof: Proof | None = None


def more_to_come(work: Session, options: Options) -> bool:
    """Whether a run of what is staged comes next; the pauses are lifted after that one then."""
    names = [target.name for target in options.targets]
    return bool(draft(work.folder.journal.entries(), names).plan.steps)


async def finish(
    work: Session,
    run: Run,
    steps: list[Step],
    clashes: list[Clash],
    options: Options,
    *,
    fresh: bool,
) -> Report:
    """Close *run*, whose *steps* have all ended: give back, lift, verify; the report."""
    problems = _close(work, run, steps, options)
    counts = run.info.counts
    done = not problems or options.unpause_anyway
    sent = (State.DONE, State.UNKNOWN, State.FAILED)
    nothing_sent = not any(counts.get(state.value) for state in sent)
    lifted: list[UnpausedTarget] = []
    kept: list[KeptPause] = []
    lifts = fresh or bool(problems) or not more_to_come(work, options)
    if lifts:
        lifted, kept = await _lift_all(work, run, options, done=done, for_run=nothing_sent)
        run.update(
            paused_seconds={
                **run.info.paused_seconds,
                **{one.target: one.seconds for one in lifted},
            }
        )
    code = exit_code_for(problems)
    verification, proof = None, None
    if run.info.verification_pending:
        examined = await _examine(work, run, options)
        verification, proof = examined
        code = first_of([code, examined.exit_code])
    problems.sort(key=lambda problem: problem.state is State.BLOCKED)  # the causes first
    info = run.update(exit_code=int(code))
    staged = len(work.folder.journal.entries())
    return Report(info, problems[:_SHOWN], clashes, lifted, kept, verification, staged, code, proof)


async def _examine(work: Session, run: Run, options: Options) -> Examined:
    return await examine(
        work, run, settle=options.settle, patience=options.delivery_timeout,
        redeliver=options.redeliver,
    )  # fmt: skip


def _close(work: Session, run: Run, steps: list[Step], options: Options) -> list[Outcome]:
    """Give back the entries of what is not settled, and close the run; the unsettled outcomes."""
    kinds, problems = count_outcomes(run)
    numbers = {problem.number for problem in problems}
    left = [step for step in steps if step.number in numbers]
    if left:
        work.folder.journal.give_back(run.id, _entries_of(run, left, _unsure(run)))
    made = [s.ref for s in steps if s.change.op in MAKERS and s.number not in numbers]
    work.folder.tombstones.lift(made)
    counts = add_up(kinds)
    run.update(
        state="closed",
        ended=work.timestamp(),
        counts=counts,
        kinds=kinds,
        exit_code=int(exit_code_for(problems)),
        verification_pending=options.verify and any(s.value in counts for s in State if s.settled),
    )
    return problems


def _unsure(run: Run) -> dict[int, Intent]:
    """The intents of the steps that are not settled, but may have taken effect."""
    sent: dict[int, Intent] = {}
    unsure: dict[int, Intent] = {}
    for record in run.outcomes():
        if isinstance(record, Intent):
            sent[record.number] = record
        elif (intent := sent.pop(record.number, None)) and _may_have_taken_effect(record):
            unsure[record.number] = intent
    return unsure


def _may_have_taken_effect(outcome: Outcome) -> bool:
    lost = outcome.state is State.FAILED and not outcome.status
    return lost or outcome.state is State.UNKNOWN


def _entries_of(run: Run, left: list[Step], unsure: dict[int, Intent]) -> list[Entry]:
    """The entries of the steps *left*.

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


async def _lift_all(
    work: Session, run: Run | None, options: Options, *, done: bool, for_run: bool = False
) -> tuple[list[UnpausedTarget], list[KeptPause]]:
    """Lift ours when all is *done*; otherwise only what was paused *for_run* alone, if it is so.

    Where targets are named, others are left alone, but for those that a run paused for itself and
    that nothing staged needs any more.
    What an open window holds is left to it.
    """
    mine = work.folder.read_pauses()
    held = {name for name, pause in mine.items() if in_window(work, pause)}
    named = {target.name for target in options.targets}
    needed = feeds(entry.ref for entry in work.folder.journal.entries()).direct if named else ()
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
    seen = await read_status(work, wanted)
    gone = [name for name, one in seen.items() if one.standing is Standing.LIFTED]
    drop_pauses(work, gone)
    if gone:
        text = f"{', '.join(gone)}: somebody else lifted our pause meanwhile"
        work.notify("!", f"{text}; targets may have seen changes one by one")
    for one in seen.values():
        for change in drift(one):
            work.notify("!", f"{one.target.name}: its config was changed meanwhile: {change}")
    lifted = [
        UnpausedTarget(name, await unpause_target(work, one))
        for name, one in seen.items()
        if one.standing is Standing.OURS
    ]
    why = "not all is done" if not done else "not named in this resume"
    kept = [
        KeptPause(name, "its window is open, and lifts it at its end" if name in held else why)
        for name in work.folder.read_pauses()
    ]
    return lifted, kept


async def nothing_staged(work: Session, options: Options) -> Report:
    """Nothing is staged: what is ours is lifted all the same, as the operator is done.

    A last run that was cut off before it was verified is verified now.
    """
    lifted, kept = await _lift_all(work, None, options, done=True)
    staged = len(work.folder.journal.entries())
    run = work.folder.runs.pending_verification() if options.verify else None
    if run is None:
        return Report(None, [], [], lifted, kept, None, staged, ExitCode.DONE)
    work.notify("▶", f"run {run.id} was not verified; doing it now")
    examined = await _examine(work, run, options)
    code = examined.exit_code
    info = run.update(exit_code=int(first_of([ExitCode(run.info.exit_code), code])))
    verification, proof = examined
    return Report(info, [], [], lifted, kept, verification, staged, code, proof)
