"""A window: targets are paused for as long as somebody's own command runs.

    1. under the run lock: pause what runs; each pause names the window
    2. without it, so that ocsync can be used inside: run the command, signals passed on
    3. under it again: lift what is the window's, look whether the configs are as they were found

A kernel lock of its own is held throughout. So a window is open or died, never in doubt, and what
a dead one left paused is told by the next command and lifted by `expire`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from ocsync.client import read_targets
from ocsync.engine.pause import pausing
from ocsync.engine.pause.child_process import PASSED_ON, ChildCommand, run
from ocsync.engine.pause.pausing import TargetStatus, UnpausedTarget
from ocsync.engine.polling import waits
from ocsync.engine.session import Session, confirm_production, sign_in
from ocsync.engine.signals import Signals
from ocsync.errors import ExitCode, Locked, OcsyncError, PausedByOther, first_of
from ocsync.events import NoticeLevel
from ocsync.pause import PauseState
from ocsync.schema import TARGETS, Target
from ocsync.store import ProfileDir

UNPAUSE_SECONDS = 600.0
"""The time that the end of a window waits at least for the run lock."""

Sessions = Callable[[], AbstractAsyncContextManager[Session]]
"""Opens the way to the marketplace, as often as needed: a command may run for longer than a token
or a connection lasts."""
Say = Callable[[NoticeLevel, str], None]


class WindowRequest(NamedTuple):
    """The request for a window. *seconds* is the lease (0: none), *patience* how long to wait for
    the run lock. *enclosing* are the windows that this one runs in, whose pauses it may rely on.
    """

    direct: Sequence[Target]
    grouped: Sequence[Target]
    reason: str = ""
    seconds: float = 0.0
    adopt: bool = False
    patience: float = 0.0
    enclosing: Sequence[str] = ()


class OpenedWindow(NamedTuple):
    """The targets that a window holds, and until when; the targets that were paused already and
    stay so; those without a config.
    """

    held: tuple[str, ...]
    until: str
    already: tuple[str, ...]
    missing: tuple[str, ...]


class ClosedWindow(NamedTuple):
    """The end of a window: the targets unpaused, those unpaused before the command ended, those
    left paused with the reason, and the changes of their configs; each by target.
    """

    unpaused: tuple[UnpausedTarget, ...] = ()
    gone: tuple[str, ...] = ()
    left: Mapping[str, OcsyncError] = {}
    changed: Mapping[str, list[str]] = {}

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the window itself."""
        codes = [error.exit_code for error in self.left.values()]
        codes += [ExitCode.LOCKED] * bool(self.gone) + [ExitCode.DIFFERS] * bool(self.changed)
        return first_of(codes)


class WindowResult(NamedTuple):
    """The result of a window: the exit *code* of its command, None when it never ran because of
    *error*, and its pauses. *seconds* is how long it was open, *signals* are those that came.
    """

    code: int | None
    error: OcsyncError | None
    closed: ClosedWindow
    seconds: float
    signals: tuple[int, ...]

    @property
    def exit_code(self) -> int:
        """The command's own when it failed, else the window's."""
        return self.code or (self.error or self.closed).exit_code


async def window(
    sessions: Sessions,
    folder: ProfileDir,
    order: WindowRequest,
    command: Callable[[str, OpenedWindow], ChildCommand],
    say: Say,
) -> WindowResult:
    """Pause, run, lift; see the module's head. *command* is asked for when the window is open, with
    its name; *say* gets notices for the operator.

    Raises what stops it before anything was paused. Whatever comes later is in the answer.
    """
    signals, opened, code, failure = Signals(PASSED_ON), None, None, None
    used = {pause.window for pause in folder.read_pauses().values()}
    with ExitStack() as stack:
        async with sessions() as session:
            await sign_in(session)
            confirm_production(session)
            hold = folder.window_locks.hold(session.now(), what=folder.command, used=used)
            name = stack.enter_context(hold)
            signals.start()
            stack.callback(signals.stop)
            start = time.monotonic()
            try:
                opened = await signals.cancelling(_open(session, order, name, say))
            except OcsyncError as error:
                failure = error
        if opened:
            try:
                code = await run(command(name, opened), signals)
            except OcsyncError as error:
                failure = error
        patience = max(order.patience, UNPAUSE_SECONDS)
        held = opened.held if opened else ()
        closing = _close(sessions, folder, name, held, patience, say)
        closed = await _insisting(closing, folder, name, signals, say)
        return WindowResult(code, failure, closed, time.monotonic() - start, tuple(signals.seen))


async def _open(session: Session, order: WindowRequest, name: str, say: Say) -> OpenedWindow:
    async with _locked(session, order.patience, say):
        until = pausing.lease_end(session.now(), order.seconds) if order.seconds else ""
        seen = await pausing.read_status(session, [*order.direct, *order.grouped])
        pausing.refuse_others_pauses(seen, {t.name for t in order.direct}, adopt=order.adopt)
        _refuse_other_windows(session, seen, order.enclosing)
        held = []
        for target, one in seen.items():
            if await _hold(session, one, name, order, until, say):
                held.append(target)
    paused = [n for n, one in seen.items() if one.state is not PauseState.NO_CONFIG]
    return OpenedWindow(
        tuple(held),
        until,
        tuple(n for n in paused if n not in held),
        tuple(n for n in seen if n not in paused),
    )


async def _hold(
    session: Session, seen: TargetStatus, name: str, order: WindowRequest, until: str, say: Say
) -> bool:
    """Make the target's pause this window's; false for what is ours already, or has no config."""
    how = {"reason": order.reason, "until": until, "window": name}
    match seen.state:
        case PauseState.PAUSED_BY_OTHER | PauseState.UNCERTAIN:
            pausing.adopt_pause(session, seen, **how)
        case PauseState.RUNNING:
            await pausing.pause_target(session, seen, **how)
        case PauseState.UNPAUSED_BY_OTHER:
            say(
                NoticeLevel.WARNING,
                f"{seen.target.name}: someone else had unpaused it; pausing it again",
            )
            await pausing.pause_target(session, seen._replace(pause=None), **how)
        case PauseState.PAUSED_BY_US if seen.pause and _dead(session, seen):
            say(
                NoticeLevel.WARNING,
                f"{seen.target.name}: left paused by a window that died; this window takes it over",
            )
            pausing.save_pause(session, msgspec.structs.replace(seen.pause, **how))
        case _:
            return False
    return True


def _dead(session: Session, seen: TargetStatus) -> bool:
    return bool(seen.pause and seen.pause.window) and not pausing.in_window(session, seen.pause)


def _refuse_other_windows(
    session: Session, seen: Mapping[str, TargetStatus], enclosing: Sequence[str]
) -> None:
    """Refuse to rely on other windows, as each unpauses its targets when its own command ends."""
    for name, one in seen.items():
        pause = one.pause
        if pause and pausing.in_window(session, pause) and pause.window not in enclosing:
            holder = session.folder.window_locks.describe_holder(pause.window)
            raise PausedByOther(
                f"{name}: another window holds it paused: {holder}",
                hint="ocsync status; run this command when the other window has ended",
            )


async def _insisting(
    closing: Coroutine[Any, Any, ClosedWindow],
    folder: ProfileDir,
    name: str,
    signals: Signals,
    say: Say,
) -> ClosedWindow:
    """Close, also when a signal comes; the next one leaves it undone. What is left is told."""

    def first() -> None:
        say(
            NoticeLevel.WARNING,
            "unpausing first (interrupt again to leave immediately, with the targets paused)",
        )

    try:
        return await signals.cancelling(closing, first=first)
    except OcsyncError as error:
        return ClosedWindow(left=dict.fromkeys(_of_window(folder, name), error))


def _of_window(folder: ProfileDir, name: str) -> list[str]:
    return [target for target, pause in folder.read_pauses().items() if pause.window == name]


async def _close(
    sessions: Sessions,
    folder: ProfileDir,
    name: str,
    held: Sequence[str],
    patience: float,
    say: Say,
) -> ClosedWindow:
    if not _of_window(folder, name):
        return ClosedWindow(gone=tuple(held))
    async with sessions() as session, _locked(session, patience, say):
        await sign_in(session)
        targets = [TARGETS[target] for target in _of_window(folder, name)]
        seen = await pausing.read_status(session, targets)
        ours = {n: one for n, one in seen.items() if one.state is PauseState.PAUSED_BY_US}
        unsure = [n for n, one in seen.items() if one.state is PauseState.UNCERTAIN]
        pausing.drop_pauses(session, seen.keys() - ours.keys() - set(unsure))
        lifted, failed = await pausing.unpause_all(session, ours.values())
        after = await read_targets(session.api, [one.target for one, _ in lifted])
    changed = {
        n: pausing.config_changes(ours[n]._replace(server=server)) for n, server in after.items()
    }
    return ClosedWindow(
        tuple(UnpausedTarget(one.target.name, seconds) for one, seconds in lifted),
        tuple(n for n in held if n not in (*ours, *unsure)),
        {
            **{one.target.name: error for one, error in failed},
            **{name: pausing.uncertain([name]) for name in unsure},
        },
        {n: lines for n, lines in changed.items() if lines},
    )


@asynccontextmanager
async def _locked(session: Session, patience: float, say: Say) -> AsyncIterator[None]:
    """Hold the run lock, waited for without standing in the way of signals. Raises Locked."""
    with ExitStack() as stack:
        async for waited in waits(session, first=0.5, longest=0.5, patience=patience):
            try:
                stack.enter_context(session.folder.run_lock())
                break
            except Locked as busy:
                if waited >= patience:
                    raise
                if not waited:
                    say(NoticeLevel.WARNING, f"waiting: {busy.message}")
        yield
