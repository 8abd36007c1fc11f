"""Pausing and lifting: intent to disk, PATCH, confirmed by GET.

ocsync lifts exactly the pauses that it made (or was told to adopt), and never writes true at the
end. A config is only ever patched: GET hides what is write-only, so a PUT would lose it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec

from ocsync.client import read_targets, set_paused
from ocsync.engine.polling import poll
from ocsync.engine.session import Session
from ocsync.errors import ConfigError, FileMissing, OcsyncError, PausedByOther, TryLater
from ocsync.events import NoticeLevel, PauseChanged
from ocsync.models import TargetState
from ocsync.pause import PastPause, Pause, PausePhase, PauseState, pause_state, resolve_intent
from ocsync.schema import TARGETS, Target

CONFIRM_SECONDS = 20.0
"""How long a changed `Paused` may take to be seen (api-facts 3.3: not documented)."""


class TargetStatus(NamedTuple):
    """A target as the server has it, with what this workspace remembers of it."""

    target: Target
    server: TargetState
    pause: Pause | None
    state: PauseState


async def read_status(
    session: Session, targets: Iterable[Target], *, save: bool = True
) -> dict[str, TargetStatus]:
    """Ask the server about *targets*, and settle what a crash left open.

    With *save* that is written down, for which the run lock must be held.
    """
    wanted = list(targets)
    states = await read_targets(session.api, wanted)
    pauses = session.folder.read_pauses()
    settled = {name: resolve_intent(pauses.get(name), states[name]) for name in states}
    kept = {**pauses, **{name: pause for name, pause in settled.items() if pause}}
    for name, pause in settled.items():
        if pause is None:
            kept.pop(name, None)
    if save and kept != pauses:
        session.folder.write_pauses(kept)
    found = {}
    for target in wanted:
        mine, server = settled[target.name], states[target.name]
        found[target.name] = TargetStatus(target, server, mine, pause_state(mine, server))
    return found


def config_changes(seen: TargetStatus) -> list[str]:
    """What of the config is not as it was when we paused, but for the pause itself."""
    if seen.pause is None or not seen.server.exists:
        return []
    old, new = seen.pause.found, seen.server.config
    return [
        f"{name} was {old.get(name)!r}, is {new.get(name)!r}"
        for name in sorted(old.keys() | new.keys() if old else ())
        if name != "Paused" and old.get(name) != new.get(name)
    ]


async def pause(
    session: Session,
    direct: Sequence[Target],
    grouped: Sequence[Target],
    *,
    reason: str = "",
    until: str = "",
    adopt: bool = False,
) -> list[TargetStatus]:
    """Pause *direct* and those of *grouped* that have a config; the state of each afterwards.

    Nothing is paused when one cannot be: PausedByOther when somebody else holds it and *adopt* is
    false, ConfigError when one named directly has no config.
    """
    before = await read_status(session, [*direct, *grouped])
    refuse_others_pauses(before, {t.name for t in direct}, adopt=adopt)
    for seen in before.values():
        if seen.state is PauseState.PAUSED_BY_OTHER:
            adopt_pause(session, seen, reason=reason, until=until)
        elif seen.state in (PauseState.RUNNING, PauseState.UNPAUSED_BY_OTHER):
            await pause_target(session, seen, reason=reason, until=until)
        elif seen.state is PauseState.PAUSED_BY_US and seen.pause:
            _extend_pause(session, seen.pause, reason, until)
    return list((await read_status(session, [*direct, *grouped])).values())


def _extend_pause(session: Session, pause: Pause, reason: str, until: str) -> None:
    """A pause of ours that is asked for again; one that a dead window left is a plain one now."""
    open_ = in_window(session, pause)
    if open_:
        session.notify(
            NoticeLevel.WARNING,
            f"{pause.target} is held by a window, which lifts it when its command ends",
        )
    changes = {
        "reason": reason or pause.reason,
        "until": until or pause.until,
        "window": pause.window if open_ else "",
    }
    again = msgspec.structs.replace(pause, **changes)
    if again != pause:
        save_pause(session, again)


def in_window(session: Session, pause: Pause | None) -> bool:
    """Whether *pause* belongs to a window that is open: that alone lifts it, at its end."""
    return pause is not None and session.folder.window_locks.is_open(pause.window)


def refuse_others_pauses(
    seen: dict[str, TargetStatus], direct: Collection[str], *, adopt: bool
) -> None:
    """Raise for somebody else's pause, unless to *adopt*; for one of *direct* without config."""
    theirs = [s.target.name for s in seen.values() if s.state is PauseState.PAUSED_BY_OTHER]
    if theirs and not adopt:
        raise PausedByOther(
            f"{', '.join(theirs)}: already paused, and not by this workspace",
            hint="ocsync pause ... --adopt makes the pause yours, to be lifted at the end",
        )
    missing = [n for n, s in seen.items() if s.state is PauseState.NO_CONFIG and n in direct]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)}: no sync config on this marketplace, so nothing to pause",
            hint="ocsync targets shows which targets are configured",
        )


def adopt_pause(
    session: Session, seen: TargetStatus, *, reason: str = "", until: str = "", window: str = ""
) -> None:
    """Make somebody else's pause ours."""
    pause = _new(session, seen, reason, until, PausePhase.PAUSED, window=window, adopted=True)
    save_pause(session, pause)


async def pause_target(
    session: Session,
    seen: TargetStatus,
    *,
    reason: str = "",
    until: str = "",
    run: str = "",
    window: str = "",
) -> None:
    """Take one running target from running to paused, and remember that we did."""
    intent = _new(session, seen, reason, until, PausePhase.PAUSING, run=run, window=window)
    save_pause(session, intent)
    await set_paused(session.api, seen.target, paused=True)
    await _confirm(session, seen.target, paused=True)
    save_pause(session, msgspec.structs.replace(intent, phase=PausePhase.PAUSED))
    session.emit(PauseChanged(seen.target.name, paused=True))


async def unpause_target(session: Session, seen: TargetStatus) -> float:
    """Lift a pause of ours; the seconds that it lasted.

    That it is over is written down before, as what it held may arrive at once.
    """
    pause = seen.pause
    if pause is None:
        return 0.0
    save_pause(session, msgspec.structs.replace(pause, phase=PausePhase.UNPAUSING))
    session.folder.pause_history.append(
        PastPause(target=pause.target, since=pause.since, until=session.precise_timestamp())
    )
    await set_paused(session.api, seen.target, paused=False)
    await _confirm(session, seen.target, paused=False)
    drop_pauses(session, [pause.target])
    seconds = pause.seconds(session.now())
    _record_paused_seconds(session, pause, seconds)
    session.emit(PauseChanged(pause.target, paused=False, seconds=seconds))
    return seconds


def _record_paused_seconds(session: Session, pause: Pause, seconds: float) -> None:
    """Write down how long the target was paused with the run that paused it, if it is there."""
    if pause.run:
        with suppress(FileMissing), session.folder.runs.get(pause.run) as run:
            run.update(paused_seconds={**run.read_info().paused_seconds, pause.target: seconds})


class UnpausedTarget(NamedTuple):
    """A target that runs again, and how many seconds it had been paused."""

    target: str
    seconds: float


class KeptPause(NamedTuple):
    """A target that stays paused, and why."""

    target: str
    why: str


class UnpauseResult(NamedTuple):
    """What lifting several came to: the seconds that each had lasted, and what failed, and why."""

    unpaused: list[tuple[TargetStatus, float]]
    failed: list[tuple[TargetStatus, OcsyncError]]


async def unpause_all(session: Session, seen: Iterable[TargetStatus]) -> UnpauseResult:
    """Lift pauses of ours, each whatever becomes of the others."""

    async def one(seen: TargetStatus) -> tuple[TargetStatus, float | OcsyncError]:
        try:
            return seen, await unpause_target(session, seen)
        except OcsyncError as error:
            return seen, error

    ended = await asyncio.gather(*map(one, seen))
    return UnpauseResult(
        [(s, end) for s, end in ended if not isinstance(end, OcsyncError)],
        [(s, end) for s, end in ended if isinstance(end, OcsyncError)],
    )


async def unpause(
    session: Session, targets: Sequence[Target], *, force: bool = False
) -> list[tuple[TargetStatus, float]]:
    """Lift what is ours of *targets*; with *force* also what is not, and what an open window holds.
    The seconds each had lasted.

    Raises PausedByOther, after the others are lifted, naming those that were left.
    """
    seen = await read_status(session, targets)
    left: dict[str, str] = {}
    lifted: list[tuple[TargetStatus, float]] = []
    for name, one in seen.items():
        if one.state is PauseState.PAUSED_BY_US and in_window(session, one.pause) and not force:
            holder = (
                session.folder.window_locks.describe_holder(one.pause.window) if one.pause else ""
            )
            left[name] = f"held by a window until its command ends: {holder}"
        elif one.state is PauseState.PAUSED_BY_US:
            lifted.append((one, await unpause_target(session, one)))
        elif one.state is PauseState.PAUSED_BY_OTHER and not force:
            left[name] = "paused by someone else, left as it is"
        elif one.state is PauseState.PAUSED_BY_OTHER:
            await set_paused(session.api, one.target, paused=False)
            await _confirm(session, one.target, paused=False)
            session.emit(PauseChanged(one.target.name, paused=False))
            lifted.append((one, 0.0))
        elif one.state in (PauseState.UNPAUSED_BY_OTHER, PauseState.NO_CONFIG) and one.pause:
            drop_pauses(session, [one.target.name])
    if left:
        whys = {why: [n for n, w in left.items() if w == why] for why in left.values()}
        raise PausedByOther(
            "; ".join(f"{', '.join(names)}: {why}" for why, names in whys.items()),
            hint=f"ocsync unpause {' '.join(left)} --force lifts it all the same",
        )
    return lifted


async def expire(session: Session, due: Iterable[str], *, dry_run: bool = False) -> UnpauseResult:
    """Lift the pauses of ours that are *due*; with *dry_run* tell which those are.

    What somebody else lifted meanwhile is forgotten.
    """
    seen = await read_status(session, [TARGETS[name] for name in due], save=not dry_run)
    ours = [s for s in seen.values() if s.state is PauseState.PAUSED_BY_US]
    if dry_run:
        now = session.now()
        return UnpauseResult([(s, s.pause.seconds(now)) for s in ours if s.pause], [])
    gone = (PauseState.UNPAUSED_BY_OTHER, PauseState.NO_CONFIG)
    drop_pauses(session, [n for n, s in seen.items() if s.state in gone])
    return await unpause_all(session, ours)


def drop_pauses(session: Session, names: Iterable[str]) -> None:
    """These targets are none of ours any more."""
    gone = set(names)
    pauses = session.folder.read_pauses()
    if gone & pauses.keys():
        session.folder.write_pauses({n: p for n, p in pauses.items() if n not in gone})


def save_pause(session: Session, pause: Pause) -> None:
    """Write down a pause of ours."""
    session.folder.write_pauses({**session.folder.read_pauses(), pause.target: pause})


def _new(
    session: Session,
    seen: TargetStatus,
    reason: str,
    until: str,
    phase: PausePhase,
    *,
    run: str = "",
    window: str = "",
    adopted: bool = False,
) -> Pause:
    old = seen.pause
    return Pause(
        target=seen.target.name,
        phase=phase,
        since=session.precise_timestamp(),
        by=session.by,
        job=session.job,
        reason=reason or (old.reason if old else ""),
        until=until or (old.until if old else ""),
        run=run,
        window=window or (old.window if old and in_window(session, old) else ""),
        adopted=adopted,
        found=seen.server.config,
    )


async def _confirm(session: Session, target: Target, *, paused: bool) -> None:
    async def is_so() -> bool:
        return (await read_targets(session.api, [target]))[target.name].paused is paused

    if not await poll(session, is_so, patience=CONFIRM_SECONDS):
        word = "paused" if paused else "running"
        raise TryLater(
            f"{target.name} was told to be {word}, but does not show it after "
            f"{CONFIRM_SECONDS:.0f} s",
            hint="ocsync status, then the same command again",
        )


def lease_end(now: datetime, seconds: float) -> str:
    """When a lease of *seconds* from *now* runs out, as the pause file writes it."""
    if seconds <= 0:
        raise OcsyncError("a lease has to last longer than nothing")
    end = datetime.fromtimestamp(now.timestamp() + seconds, tz=now.tzinfo)
    return end.isoformat(timespec="seconds")
