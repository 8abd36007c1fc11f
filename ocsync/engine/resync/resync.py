"""Resync: single sync requests, paced by the client, with each outcome on disk.

A resync is a run of its own kind. Its plan consists of sync requests, and those without an outcome
remain to be sent. A request without an answer when the command ended is sent again, which does no
harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocsync.client import read_targets, request_sync
from ocsync.engine.delivery_config.bindings import read_config
from ocsync.engine.pace import count_killed, recorded_pace
from ocsync.engine.recorder import Recorder
from ocsync.engine.run_log import (
    SessionCost,
    add_up,
    attempts,
    count_outcomes,
    load_progress,
    new_info,
    outcome_now,
)
from ocsync.engine.session import Session
from ocsync.engine.step_runner import Record, StepRunner
from ocsync.errors import (
    ApiError,
    ConfigError,
    ExitCode,
    Interrupted,
    LostAnswer,
    NotEnabled,
    OcsyncError,
    RoleMissing,
    first_of,
)
from ocsync.events import NoticeLevel, RequestEnded
from ocsync.models import Change, Op, Outcome, Ref, State, Step
from ocsync.plurals import count
from ocsync.schema import TARGETS, Target, ids_of
from ocsync.store import Run, RunInfo

ADVICE, QUESTION = 100, 1000
"""The numbers of requests above which OrderCloud's advice against so many single requests is shown
(guide/ordercloud.md 3.1, 3.5), and above which the command asks.
"""
_MAX_LOST_ANSWERS = 16
"""The number of lost answers in a row that is a failure of the server, not of single entities."""
_BY_PATH = {target.sync_path: target for target in TARGETS.values()}


class ResyncReport(NamedTuple):
    """The report of a resync; *closed* are the errors of targets that refused every request."""

    run: RunInfo
    failed: list[Outcome]
    closed: list[OcsyncError]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: that of a target that refused every request, else PARTLY for failures."""
        codes = [ExitCode.PARTLY] if self.failed else []
        return first_of([*codes, *(error.exit_code for error in self.closed)])


def begin_resync(session: Session, entities: Iterable[tuple[Target, Ref]], command: str) -> Run:
    """Return a new run that will send a sync request for each of *entities*.

    *command* is the command line, by which a later resync recognizes the same request.
    """
    steps = sync_steps(entities)
    sync_paths = {step.path for step in steps}
    target_names = tuple(name for name, target in TARGETS.items() if target.sync_path in sync_paths)
    info = new_info(session, kind="resync", command=command, targets=target_names, steps=len(steps))
    return session.folder.runs.create(info, steps)


def sync_steps(entities: Iterable[tuple[Target, Ref]]) -> list[Step]:
    """Return a step for each of *entities*, all in one wave."""
    return [
        Step(
            number=number,
            wave=1,
            change=Change(op=Op.SYNC, ref=ref),
            method="POST",
            path=target.sync_path,
        )
        for number, (target, ref) in enumerate(entities, 1)
    ]


def remaining_steps(run: Run) -> list[Step]:
    """Return the steps of *run* that have not ended. Raises Damaged."""
    ended = load_progress(run).ended
    return [step for step in run.steps() if step.number not in ended]


async def run_resync(session: Session, run: Run, *, workers: int) -> ResyncReport:
    """Send the remaining requests of *run*, close it and return the report.

    Raises TryLater and SignInError when the server cannot be reached, Interrupted when the
    operator stops it; the steps that ended are on disk, and the run can be continued.
    """
    cost, steps = SessionCost.start(session), remaining_steps(run)
    total = run.read_info().steps
    done, failed = total - len(steps), 0

    def announce(outcome: Outcome) -> None:
        nonlocal done, failed
        done, failed = done + 1, failed + (outcome.state is State.FAILED)
        error = outcome.message if outcome.state is State.FAILED else ""
        session.emit(RequestEnded(outcome.ref, done, total, error, failed))

    try:
        with recorded_pace(session, run, phase="send"):
            async with Recorder(run, announce) as recorder:
                closed = await send_requests(session, steps, recorder.keep, workers=workers)
    except Interrupted as stop:
        requests = count(total, "sync request")
        text = f"interrupted: {done:,} of {requests} sent and recorded"
        raise Interrupted(text, hint="ocsync resync continues it") from stop
    finally:
        cost.add_to(run)
    return _close(session, run, closed)


def abandon(run: Run) -> int:
    """Close *run* without sending more, and return the number of requests not sent."""
    unsent = len(remaining_steps(run))
    count_killed(run)
    outcomes = (outcome for _, _, _, outcome in attempts(run.outcomes()) if outcome)
    ended = max((outcome.at for outcome in outcomes), default=run.read_info().started)
    _record_end(run, ended)
    run.update(exit_code=int(ExitCode.PARTLY))
    return unsent


def _close(session: Session, run: Run, closed: list[OcsyncError]) -> ResyncReport:
    report = ResyncReport(*_record_end(run, session.timestamp()), closed)
    return report._replace(run=run.update(exit_code=int(report.exit_code)))


def _record_end(run: Run, ended: str) -> tuple[RunInfo, list[Outcome]]:
    kinds, failed = count_outcomes(run)
    return run.update(state="closed", ended=ended, counts=add_up(kinds), kinds=kinds), failed


async def send_requests(
    session: Session, steps: Sequence[Step], record: Record, *, workers: int
) -> list[OcsyncError]:
    """Send *steps*, handing each outcome to *record*; return the errors of the targets that
    refused every request.

    A refused request does not stop the others. Raises the same errors as `run_resync`.
    """
    sender = _Sender(session)
    runner = StepRunner(session, sender.execute, record, workers=workers)
    await runner.run(steps, announce=False)
    return list(sender.closed.values())


class _Sender:
    """The sync requests of one `send_requests`; *closed* are the targets that refused one."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lost = 0
        self.closed: dict[str, OcsyncError] = {}

    async def execute(self, step: Step) -> Outcome:
        """Send one sync request. Raises LostAnswer when many in a row had no answer."""
        target = _BY_PATH[step.path]
        if target.name in self.closed:
            return self._failed(step, self.closed[target.name])
        try:
            reply = await request_sync(self._session.api, target, _body(target, step.ref))
        except (ConfigError, RoleMissing) as error:
            if target.name not in self.closed:
                self.closed[target.name] = error
                self.closed[target.name] = await _with_cause(self._session, target, error)
            return self._failed(step, self.closed[target.name])
        except ApiError as error:
            return self._failed(step, error)
        except LostAnswer as error:
            self._lost += 1
            if self._lost >= _MAX_LOST_ANSWERS:
                raise
            return self._failed(step, error)
        self._lost = 0
        facts = {"status": reply.status, "log_id": reply.log_id}
        return outcome_now(self._session, step, State.DONE, **facts)

    def _failed(self, step: Step, error: OcsyncError) -> Outcome:
        status, code = (error.status, error.code) if isinstance(error, ApiError) else (0, "")
        text = error.message.removesuffix(f" (POST {step.path})")
        facts = {"status": status, "code": code, "message": text, "log_id": error.log_id}
        return outcome_now(self._session, step, State.FAILED, **facts)


def _body(target: Target, ref: Ref) -> dict[str, str]:
    """Return the body of the sync request for *ref*."""
    ids = ids_of(ref)
    return {name: ids[name] for name in target.sync_ids}


async def _with_cause(session: Session, target: Target, error: OcsyncError) -> OcsyncError:
    """Return *error*, or one that names the cause found in the configuration of *target*."""
    if not isinstance(error, NotEnabled):
        return error
    state = (await read_targets(session.api, [target]))[target.name]
    if not state.exists:
        hint = f"ocsync delivery bind {target.name} CONFIG creates one"
        return ConfigError(f"{target.name}: no sync config", hint=hint)
    if state.paused:
        text = f"{target.name} is paused; OrderCloud accepts no sync requests during a pause"
        hint = f"ocsync resume or ocsync unpause {target.name}, then the same command again"
        return ConfigError(text, hint=hint)
    try:
        delivery = await read_config(session, state.delivery)
    except ApiError:
        return error  # the role for it may be missing
    if delivery.get("Enabled") is False:
        text = f"{target.name}: its delivery configuration {state.delivery} is disabled"
        hint = "enable it in the Portal, or bind another: ocsync delivery bind"
        return ConfigError(text, hint=hint)
    return error


def advise_full_sync(session: Session, number: int) -> None:
    """Emit OrderCloud's advice to use a full sync."""
    session.notify(
        NoticeLevel.WARNING,
        f"{number:,} single sync requests: OrderCloud intends them for quick repair;",
    )
    session.notify(
        NoticeLevel.DETAIL, "for a whole catalog, use the full sync in the Portal's self-service"
    )
