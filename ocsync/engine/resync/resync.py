"""Resync by hand: single sync requests, paced by the client, each outcome on disk.

A resync is a run of its own sort: its plan are the requests, and what has no outcome yet is what is
left of it. A request that was under way when it ended is sent again, which does no harm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ocsync.client import read_targets, sync_one
from ocsync.engine.delivery_config.bindings import read_config
from ocsync.engine.recorder import Recorder
from ocsync.engine.run_log import SessionCost, add_up, count_outcomes, load_progress, new_info
from ocsync.engine.session import Session
from ocsync.engine.worker_pool import run_all
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
from ocsync.events import RequestEnded, ignore
from ocsync.models import Change, Op, Outcome, Ref, State, Step
from ocsync.schema import TARGETS, Target, ids_of
from ocsync.store import Run, RunInfo

ADVICE, QUESTION = 100, 1000
"""Past so many OrderCloud's advice is told, and past so many it is asked (api-facts 3.1, 3.5)."""
_LOST = 16
"""So many lost answers in a row are the server's trouble, not an entity's."""
_BY_PATH = {target.sync_path: target for target in TARGETS.values()}


class SyncRequest(NamedTuple):
    """One sync request: *ref* is an entity of *target*."""

    number: int
    target: Target
    ref: Ref

    @property
    def ids(self) -> dict[str, str]:
        """The request's body."""
        known = ids_of(self.ref)
        return {name: known[name] for name in self.target.sync_ids}


class ResyncReport(NamedTuple):
    """What a resync came to; *closed* are the errors of targets that refused every request."""

    run: RunInfo
    failed: list[Outcome]
    closed: list[OcsyncError]

    @property
    def exit_code(self) -> ExitCode:
        """PARTLY when some failed, unless a target as a whole says more."""
        codes = [ExitCode.PARTLY] if self.failed else []
        return first_of([*codes, *(error.exit_code for error in self.closed)])


def begin_resync(session: Session, syncs: Iterable[tuple[Target, Ref]], command: str) -> Run:
    """A new run that will send *syncs*; *command* tells whether another is the same."""
    steps = [
        Step(number=n, wave=1, change=Change(op=Op.SET, ref=r), method="POST", path=t.sync_path)
        for n, (t, r) in enumerate(syncs, 1)
    ]
    names = tuple(n for n, t in TARGETS.items() if t.sync_path in {s.path for s in steps})
    info = new_info(session, kind="resync", command=command, targets=names, steps=len(steps))
    return session.folder.runs.begin(info, steps)


def remaining_requests(run: Run) -> Iterator[SyncRequest]:
    """What *run* has still to send."""
    ended = load_progress(run).ended
    for step in run.steps():
        if step.number not in ended:
            yield SyncRequest(step.number, _BY_PATH[step.path], step.ref)


async def run_resync(session: Session, run: Run, *, workers: int) -> ResyncReport:
    """Send what is left of *run*, and close it; the report.

    Raises TryLater and SignInError when the way to the server is gone, Interrupted when the
    operator stops it; what ended is on disk, and the run can be continued.
    """
    spent, syncs = SessionCost.start(session), list(remaining_requests(run))
    done = run.read_info().steps - len(syncs)
    failed = 0
    try:
        async with Recorder(run, ignore) as recorder:

            async def keep(outcome: Outcome) -> None:
                nonlocal done, failed
                await recorder.keep(outcome)
                done, failed = done + 1, failed + (outcome.state is State.FAILED)
                error = outcome.message if outcome.state is State.FAILED else ""
                session.emit(RequestEnded(outcome.ref, done, run.read_info().steps, error, failed))

            closed = await send_requests(session, syncs, workers=workers, keep=keep)
    except Interrupted as stop:
        text = f"stopped; {done:,} of {run.read_info().steps:,} sync requests have ended"
        raise Interrupted(text, hint="ocsync resync goes on from here") from stop
    finally:
        spent.add_to(run)
    return _close(session, run, closed)


def abandon(run: Run) -> int:
    """Close *run* as it is; how many were not sent."""
    number = sum(1 for _ in remaining_requests(run))
    ended = max((o.at for o in load_progress(run).ended.values()), default=run.read_info().started)
    _close_counted(run, ended)
    run.update(exit_code=int(ExitCode.PARTLY))
    return number


def _close(session: Session, run: Run, closed: list[OcsyncError]) -> ResyncReport:
    report = ResyncReport(*_close_counted(run, session.timestamp()), closed)
    return report._replace(run=run.update(exit_code=int(report.exit_code)))


def _close_counted(run: Run, ended: str) -> tuple[RunInfo, list[Outcome]]:
    kinds, failed = count_outcomes(run)
    return run.update(state="closed", ended=ended, counts=add_up(kinds), kinds=kinds), failed


async def send_requests(
    session: Session,
    syncs: Sequence[SyncRequest],
    *,
    workers: int,
    keep: Callable[[Outcome], Awaitable[None]],
) -> list[OcsyncError]:
    """Send *syncs*, handing each outcome to *keep*; what closed a whole target to us.

    One that is refused does not stop the others. Raises as `run_resync` says.
    """
    sender = _Sender(session, keep)
    crew = min(workers, len(syncs))
    await run_all(syncs, sender.take, workers=crew, stop=session.stop)
    if session.stop.is_set():
        raise Interrupted("stopped; what was under way has ended", hint="the same command again")
    return list(sender.closed.values())


class _Sender:
    """What the workers of one `send_requests` share."""

    def __init__(self, session: Session, keep: Callable[[Outcome], Awaitable[None]]) -> None:
        self._session = session
        self._keep = keep
        self._lost = 0
        self.closed: dict[str, OcsyncError] = {}

    async def take(self, one: SyncRequest) -> None:
        """Send *one*, and hand its outcome on."""
        await self._keep(await self._outcome(one))

    async def _outcome(self, one: SyncRequest) -> Outcome:
        name = one.target.name
        if name in self.closed:
            return self._failed(one, self.closed[name])
        try:
            reply = await sync_one(self._session.api, one.target, one.ids)
        except (ConfigError, RoleMissing) as refused:
            if name not in self.closed:
                self.closed[name] = refused
                self.closed[name] = await _explained(self._session, one.target, refused)
            return self._failed(one, self.closed[name])
        except ApiError as refused:
            return self._failed(one, refused)
        except LostAnswer as unsure:
            self._lost += 1
            if self._lost >= _LOST:
                raise
            return self._failed(one, unsure)
        self._lost = 0
        return Outcome(number=one.number, ref=one.ref, state=State.DONE, status=reply.status,
                       at=self._session.timestamp())  # fmt: skip

    def _failed(self, one: SyncRequest, error: OcsyncError) -> Outcome:
        status, code = (error.status, error.code) if isinstance(error, ApiError) else (0, "")
        text = error.message.removesuffix(f" (POST {one.target.sync_path})")
        return Outcome(number=one.number, ref=one.ref, state=State.FAILED, status=status,
                       code=code, message=text, at=self._session.timestamp())  # fmt: skip


async def _explained(session: Session, target: Target, error: OcsyncError) -> OcsyncError:
    """Why *target* takes no sync requests, as far as its configuration tells."""
    if not isinstance(error, NotEnabled):
        return error
    state = (await read_targets(session.api, [target]))[target.name]
    if not state.exists:
        hint = f"ocsync delivery bind {target.name} CONFIG makes one"
        return ConfigError(f"{target.name}: there is no sync config to send by", hint=hint)
    if state.paused:
        text = f"{target.name} is paused, and the platform takes no sync requests meanwhile"
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
    """Tell OrderCloud's own advice."""
    session.notify("!", f"{number:,} single sync requests: OrderCloud means them for quick repair;")
    session.notify(" ", "for a whole catalog it has a full sync in the Portal's self-service")
