"""Deletes, sent at once: OrderCloud cannot pause them, so the targets see them immediately.

    impact (see `impact`) -> BEGIN -> DELETE -> CLOSE

Begin writes a run of its own: its steps, the documents before the delete, and the staged entries
that may be dropped. Delete sends the requests wave by wave, an entity that refers to another before
that other, each with intent and outcome on disk. Close drops the staged entries of deleted
entities, but keeps those that create an entity again, and writes tombstones, by which staging
refuses edits of deleted entities. A run that a crash left open is closed by the next delete or
resume: a step with an intent and no outcome is resolved by reading; steps without an intent are not
sent any more.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ocsync.client import read_current
from ocsync.engine.delete.impact import DeleteImpact, DeleteRow
from ocsync.engine.pace import count_killed, recorded_pace
from ocsync.engine.recorder import Recorder
from ocsync.engine.run_log import (
    SessionCost,
    add_up,
    attempts,
    count_outcomes,
    exit_code_for,
    load_progress,
    new_info,
    outcome_now,
)
from ocsync.engine.session import Session
from ocsync.engine.step_runner import StepRunner
from ocsync.errors import (
    ApiError,
    ExitCode,
    LostAnswer,
    NotFound,
    OcsyncError,
    SignInError,
    TryLater,
)
from ocsync.events import NoticeLevel, Planned
from ocsync.models import Change, Intent, Op, Outcome, Ref, State, Step
from ocsync.plan import METHODS, assign_waves
from ocsync.schema import (
    KINDS,
    delete_url_of,
    given_after_creation,
    kind_of,
    ref_key,
    references_of,
)
from ocsync.store import Run, RunInfo
from ocsync.tombstones import AffectedEntries, split_by_deletion

_RANK = {name: place for place, name in enumerate(reversed(KINDS))}


class DeleteReport(NamedTuple):
    """The report of a run of deletes. *affected* are the staged entries dropped and kept."""

    run: RunInfo
    problems: list[Outcome]
    affected: AffectedEntries
    unsent: int

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the run: INTERRUPTED when some deletes were not sent."""
        return ExitCode(self.run.exit_code)


async def delete(session: Session, impact: DeleteImpact, *, workers: int) -> DeleteReport:
    """Delete the rows of *impact*.

    Raises TryLater, SignInError and Interrupted when some deletes were not sent; the outcomes of
    the others are on disk, and the same command deletes the rest.
    """
    cost = SessionCost.start(session)
    failure: OcsyncError | None = None
    with _begin(session, impact) as run, recorded_pace(session, run):
        steps = list(run.steps())
        session.emit(Planned(run.id, len(steps), max(step.wave for step in steps)))
        try:
            async with Recorder(run, session.step_ended) as recorder:
                deletes = _Deletes(session, impact, recorder)
                runner = StepRunner(session, deletes.execute, recorder.end, workers=workers)
                await runner.run(steps)
        except OcsyncError as error:
            failure = error
        cost.add_to(run)
        if failure and load_progress(run).dangling:
            failure.hint = (
                "run the same command again: it checks unknown outcomes and deletes the rest"
            )
            raise failure
        report = _close(session, run, interrupted=failure.exit_code if failure else None)
    if failure and report.unsent:
        raise _with_progress(failure, report.run)
    return report


def _with_progress(failure: OcsyncError, info: RunInfo) -> OcsyncError:
    """Return *failure* with the progress of the run in its message."""
    failure.message += f"; deleted {info.counts.get(State.DONE, 0):,} of {info.steps:,}"
    failure.hint = "run the same command again to delete the rest"
    return failure


def _begin(session: Session, impact: DeleteImpact) -> Run:
    """Create the run's folder: its steps, the documents to be deleted, and the staged entries that
    may be dropped.
    """
    steps = _steps(impact.rows)
    info = new_info(session, kind="delete", command="delete", steps=len(steps))
    staged = sorted((*impact.affected.dropped, *impact.affected.kept), key=lambda entry: entry.seq)
    run = session.folder.runs.create(info, steps, staged)
    documents = {row.ref: row.document for row in impact.existing}
    dependents = {
        ref: item for row in impact.existing for ref, item in row.dependents.documents.items()
    }
    run.record_before({**dependents, **documents}.items())
    subtrees = [ref for row in impact.existing for ref in row.dependents.subtree]
    session.folder.tombstones.add_pending(run.id, [*documents, *subtrees], session.timestamp())
    return run


def _steps(rows: list[DeleteRow]) -> list[Step]:
    """Return a step for each row; a row that refers to another, or depends on it, comes first.

    A reference to something below the row's own entity (a default option) asks for no order.
    """
    index = {ref_key(row.ref): i for i, row in enumerate(rows)}
    prerequisites: list[set[int]] = [set() for _ in rows]
    for i, row in enumerate(rows):
        document = row.document or {}
        downward = given_after_creation(kind_of(row.ref), document).keys()
        upward = {name: document[name] for name in document.keys() - downward}
        for referenced in references_of(row.ref, upward):
            if ref_key(referenced) in index:
                prerequisites[index[ref_key(referenced)]].add(i)
        prerequisites[i] |= {
            index[ref_key(r)] for r in row.dependents.documents if ref_key(r) in index
        }
    for i, numbers in enumerate(prerequisites):
        numbers.discard(i)
    wave = assign_waves([row.ref for row in rows], dict(enumerate(prerequisites)))
    order = sorted(range(len(rows)), key=lambda i: (wave[i], _RANK[kind_of(rows[i].ref).name], i))
    number = {i: n for n, i in enumerate(order, 1)}
    return [
        Step(
            number=number[i],
            wave=wave[i],
            change=Change(op=Op.DELETE, ref=rows[i].ref),
            method=METHODS[Op.DELETE],
            path=delete_url_of(rows[i].ref),
            needs=tuple(sorted(number[n] for n in prerequisites[i])),
        )
        for i in order
    ]


class _Deletes:
    """The requests of one run of deletes."""

    def __init__(self, session: Session, impact: DeleteImpact, recorder: Recorder) -> None:
        self._session = session
        self._rows = {row.ref: row for row in impact.rows}
        self._recorder = recorder

    async def execute(self, step: Step) -> Outcome:
        """Delete one entity. Raises TryLater and SignInError when the server cannot be reached."""
        row, end = self._rows[step.ref], partial(outcome_now, self._session, step)
        if row.document is None and not kind_of(step.ref).eventually_consistent:
            return end(State.UNCHANGED, message="did not exist")
        intent = Intent(number=step.number, ref=step.ref, at=self._session.precise_timestamp())
        await self._recorder.intend(intent)
        try:
            reply = await self._session.api.delete(step.path)
            return end(
                State.DONE,
                status=reply.status,
                cascaded=row.dependents.kept(),
                log_id=reply.log_id,
            )
        except NotFound as error:
            text = "no longer existed" if row.document is not None else "did not exist"
            return end(State.UNCHANGED, status=error.status, message=text)
        except LostAnswer as lost:
            return await _outcome_by_reading(self._session, step, lost)
        except (TryLater, SignInError):
            raise
        except ApiError as refused:
            return end(
                State.FAILED,
                status=refused.status,
                code=refused.code,
                message=refused.message,
                log_id=refused.log_id,
            )


async def _outcome_by_reading(session: Session, step: Step, lost: LostAnswer) -> Outcome:
    """Read the entity and return the outcome of a delete whose answer was lost."""
    reason, end = lost.message, partial(outcome_now, session, step, log_id=lost.log_id)
    async for _, current in read_current(session.api, [step.ref]):
        if isinstance(current, ApiError):
            return end(State.UNKNOWN, message=f"{reason}; {current.message}")
        if isinstance(current, OcsyncError):
            raise current
        if current is None:
            return end(State.DONE, message="deleted; the response was lost")
    if kind_of(step.ref).eventually_consistent:
        return end(
            State.UNKNOWN, message=f"{reason}; reads still show it, but they may be outdated"
        )
    return end(State.FAILED, message=f"{reason}; it still exists")


async def close_crashed_run(session: Session) -> None:
    """Close the run of deletes that a crash left open, if one exists. Call it after sign-in."""
    run = session.folder.runs.find_unfinished("delete")
    if run is None:
        return
    with run:
        count_killed(run)
        steps = {step.number: step for step in run.steps()}
        for number in load_progress(run).dangling:
            cut_off = LostAnswer("interrupted during the request")
            run.record([await _outcome_by_reading(session, steps[number], cut_off)])
        report = _close(session, run, interrupted=ExitCode.INTERRUPTED)
    done = sum(report.run.counts.get(state.value, 0) for state in State if state.succeeded)
    text = f"delete run {run.id} was unfinished: {done:,} of {report.run.steps:,} deleted"
    session.notify(NoticeLevel.RUNNING, f"{text}; it is now closed")


def _close(session: Session, run: Run, *, interrupted: ExitCode | None) -> DeleteReport:
    """Close the run: drop staged entries and write tombstones by its outcomes.

    Each of its writes may be repeated after a crash.
    """
    kinds, problems = count_outcomes(run)
    outcomes = [outcome for _, _, _, outcome in attempts(run.outcomes()) if outcome]
    deleted = {outcome.ref for outcome in outcomes if outcome.state.succeeded}
    deleted |= cascaded_refs(run, deleted)
    session.folder.tombstones.confirm(run.id, deleted)
    affected = split_by_deletion(run.entries(), deleted)
    session.folder.journal.drop([entry.seq for entry in affected.dropped])
    unsent = run.read_info().steps - len(outcomes)
    code = interrupted if interrupted and unsent else exit_code_for(problems)
    info = run.update(
        state="closed",
        ended=session.timestamp(),
        counts=add_up(kinds),
        kinds=kinds,
        entries=len(affected.dropped),
        exit_code=int(code),
    )
    return DeleteReport(info, problems, affected, unsent)


def cascaded_refs(run: Run, deleted: set[Ref]) -> set[Ref]:
    """Return the refs that were deleted with *deleted* although their IDs do not contain it:
    subcategories.
    """
    trees = [(ref, doc) for ref, doc in run.before() if kind_of(ref).parent_field]
    deleted_keys = {ref_key(ref) for ref in deleted}
    cascaded: set[Ref] = set()
    changed = True
    while changed:
        changed = False
        for ref, document in trees:
            parents = {ref_key(r) for r in references_of(ref, document or {})}
            if ref_key(ref) not in deleted_keys and parents & deleted_keys:
                deleted_keys.add(ref_key(ref))
                cascaded.add(ref)
                changed = True
    return cascaded
