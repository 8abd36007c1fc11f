"""Deleting, at once: OrderCloud cannot pause deletes, so the targets see them immediately.

    survey (see `doomed`) -> BEGIN -> DELETE -> CLOSE

Begin: a run of its own is on disk, with the documents that will be gone and the staged entries that
may fall. Delete: what names something else goes before it, wave by wave; intent, request, outcome.
Close: staged entries fall, or are kept where they make it again; what is gone is remembered, as
staging refuses edits of it. A run that a crash left open is closed by the next delete or resume:
what has an intent and no outcome is read; what was never sent stays undone.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ocsync.client import read_current
from ocsync.engine.delete.impact import DeleteImpact, DeleteRow
from ocsync.engine.recorder import Recorder
from ocsync.engine.run_log import (
    SessionCost,
    add_up,
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
from ocsync.schema import KINDS, delete_url_of, kind_of, ref_key, references_of
from ocsync.store import Run, RunInfo
from ocsync.tombstones import AffectedEntries, split_by_deletion

_RANK = {name: place for place, name in enumerate(reversed(KINDS))}


class DeleteReport(NamedTuple):
    """The report of a run of deletes. *affected* tells what became of staged entries."""

    run: RunInfo
    problems: list[Outcome]
    affected: AffectedEntries
    unsent: int

    @property
    def exit_code(self) -> ExitCode:
        """INTERRUPTED when not all was sent."""
        return ExitCode(self.run.exit_code)


async def delete(session: Session, impact: DeleteImpact, *, workers: int) -> DeleteReport:
    """Delete what was surveyed.

    Raises TryLater, SignInError and Interrupted when not all was sent; what was is on disk, and
    the same command again does the rest.
    """
    spent = SessionCost.start(session)
    trouble: OcsyncError | None = None
    with _begin(session, impact) as run:
        steps = list(run.steps())
        session.emit(Planned(run.id, len(steps), max(step.wave for step in steps)))
        try:
            async with Recorder(run, session.step_ended) as recorder:
                deletes = _Deletes(session, impact, recorder)
                runner = StepRunner(session, deletes.execute, recorder.end, workers=workers)
                await runner.run(steps)
        except OcsyncError as error:
            trouble = error
        spent.add_to(run)
        if trouble and load_progress(run).dangling:
            trouble.hint = "the same command again settles what is unknown, and deletes the rest"
            raise trouble
        report = _close(session, run, interrupted=trouble.exit_code if trouble else None)
    if trouble and report.unsent:
        raise _counted(trouble, report.run)
    return report


def _counted(trouble: OcsyncError, info: RunInfo) -> OcsyncError:
    """Return *trouble* with the progress of the run in its message."""
    trouble.message += f"; {info.counts.get(State.DONE, 0):,} of {info.steps:,} were deleted"
    trouble.hint = "the same command again deletes the rest"
    return trouble


def _begin(session: Session, impact: DeleteImpact) -> Run:
    """Create the run's folder: its steps, the documents to be deleted, and the staged entries that
    may be dropped.
    """
    steps = _steps(impact.rows)
    info = new_info(session, kind="delete", command="delete", steps=len(steps))
    staged = sorted((*impact.affected.dropped, *impact.affected.kept), key=lambda entry: entry.seq)
    run = session.folder.runs.create(info, steps, staged)
    documents = {row.ref: row.document for row in impact.there}
    along = {ref: one for row in impact.there for ref, one in row.dependents.documents.items()}
    run.record_before({**along, **documents}.items())
    subtrees = [ref for row in impact.there for ref in row.dependents.subtree]
    session.folder.tombstones.add_pending(run.id, [*documents, *subtrees], session.timestamp())
    return run


def _steps(rows: list[DeleteRow]) -> list[Step]:
    """Return a step for each row; a row that names another, or depends on it, comes first."""
    place = {ref_key(row.ref): i for i, row in enumerate(rows)}
    first: list[set[int]] = [set() for _ in rows]
    for i, row in enumerate(rows):
        for named in references_of(row.ref, row.document or {}):
            if ref_key(named) in place:
                first[place[ref_key(named)]].add(i)
        first[i] |= {place[ref_key(r)] for r in row.dependents.documents if ref_key(r) in place}
    for i, before in enumerate(first):
        before.discard(i)
    wave = assign_waves([row.ref for row in rows], first)
    order = sorted(range(len(rows)), key=lambda i: (wave[i], _RANK[kind_of(rows[i].ref).name], i))
    number = {i: n for n, i in enumerate(order, 1)}
    return [
        Step(
            number=number[i],
            wave=wave[i],
            change=Change(op=Op.DELETE, ref=rows[i].ref),
            method=METHODS[Op.DELETE],
            path=delete_url_of(rows[i].ref),
            needs=tuple(sorted(number[n] for n in first[i])),
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
            return end(State.UNCHANGED, message="was not there")
        intent = Intent(number=step.number, ref=step.ref, at=self._session.precise_timestamp())
        await self._recorder.intend(intent)
        try:
            reply = await self._session.api.delete(step.path)
            return end(State.DONE, status=reply.status, cascaded=row.dependents.kept())
        except NotFound as gone:
            more = " any more" if row.document is not None else ""
            return end(State.UNCHANGED, status=gone.status, message=f"was not there{more}")
        except LostAnswer as lost:
            return await _outcome_by_reading(self._session, step, lost.message)
        except (TryLater, SignInError):
            raise
        except ApiError as refused:
            said = {"status": refused.status, "code": refused.code, "message": refused.message}
            return end(State.FAILED, **said)


async def _outcome_by_reading(session: Session, step: Step, why: str) -> Outcome:
    """Return the outcome of a delete without an answer, found by reading."""
    end = partial(outcome_now, session, step)
    async for _, found in read_current(session.api, [step.ref]):
        if isinstance(found, ApiError):
            return end(State.UNKNOWN, message=f"{why}; {found.message}")
        if isinstance(found, OcsyncError):
            raise found
        if found is None:
            return end(State.DONE, message="found gone; the answer was lost")
    if kind_of(step.ref).eventually_consistent:
        return end(State.UNKNOWN, message=f"{why}; it is still shown, but reads of it lag")
    return end(State.FAILED, message=f"{why}; it is still there")


async def close_crashed_run(session: Session) -> None:
    """Close the run of deletes that a crash left open, if there is one. Call it after sign-in."""
    run = session.folder.runs.find_unfinished("delete")
    if run is None:
        return
    with run:
        steps = {step.number: step for step in run.steps()}
        for number in load_progress(run).dangling:
            run.record([await _outcome_by_reading(session, steps[number], "cut off in the middle")])
        report = _close(session, run, interrupted=ExitCode.INTERRUPTED)
    done = sum(report.run.counts.get(state.value, 0) for state in State if state.succeeded)
    text = f"run {run.id} of deletes was not finished: {done:,} of {report.run.steps:,} are gone"
    session.notify(NoticeLevel.RUNNING, f"{text}; it is closed now")


def _close(session: Session, run: Run, *, interrupted: ExitCode | None) -> DeleteReport:
    """Close the run: drop staged entries and write tombstones by its outcomes. Each act may be
    repeated.
    """
    kinds, problems = count_outcomes(run)
    outcomes = load_progress(run).ended.values()
    gone = {outcome.ref for outcome in outcomes if outcome.state.succeeded}
    gone |= cascaded_refs(run, gone)
    session.folder.tombstones.confirm(run.id, gone)
    fallen = split_by_deletion(run.entries(), gone)
    session.folder.journal.drop([entry.seq for entry in fallen.dropped])
    unsent = run.read_info().steps - len(outcomes)
    code = interrupted if interrupted and unsent else exit_code_for(problems)
    info = run.update(
        state="closed",
        ended=session.timestamp(),
        counts=add_up(kinds),
        kinds=kinds,
        entries=len(fallen.dropped),
        exit_code=int(code),
    )
    return DeleteReport(info, problems, fallen, unsent)


def cascaded_refs(run: Run, gone: set[Ref]) -> set[Ref]:
    """Return the refs that were deleted with *gone* without being below it by their IDs:
    categories.
    """
    trees = [(ref, doc) for ref, doc in run.before() if kind_of(ref).parent_field]
    names = {ref_key(ref) for ref in gone}
    found: set[Ref] = set()
    more = True
    while more:
        more = False
        for ref, document in trees:
            above = {ref_key(r) for r in references_of(ref, document or {})}
            if ref_key(ref) not in names and above & names:
                names.add(ref_key(ref))
                found.add(ref)
                more = True
    return found
