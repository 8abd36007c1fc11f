"""Pausing and lifting: intent to disk, PATCH, confirmed by its answer or by GET.

ocsync lifts exactly the pauses that it made (or was told to adopt), and never writes true at the
end. A config is only ever patched: GET hides what is write-only, so a PUT would lose it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import NamedTuple

import msgspec

from ocsync.client import read_targets, set_paused
from ocsync.engine.polling import poll
from ocsync.engine.session import Session
from ocsync.errors import (
    ApiError,
    ConfigError,
    ExitCode,
    FileMissing,
    LostAnswer,
    OcsyncError,
    PausedByOther,
    SignInError,
    TryLater,
    UsageError,
    first_of,
)
from ocsync.events import NoticeLevel, PauseChanged
from ocsync.json_text import json_value
from ocsync.models import TargetState
from ocsync.pause import (
    PastPause,
    Pause,
    PausePhase,
    PauseState,
    is_lost,
    pause_state,
    resolve_intent,
)
from ocsync.schema import TARGETS, Target

CONFIRM_SECONDS = 20.0
"""The time that a changed `Paused` may take to be seen (guide/ordercloud.md 3.3: not
documented).
"""
READING_SECONDS = 2.0
"""The time for which a reading of sync configs counts; someone else may change one meanwhile."""


class TargetStatus(NamedTuple):
    """A target as the server has it, with what this workspace remembers of it."""

    target: Target
    server: TargetState
    pause: Pause | None
    state: PauseState


class ConfigReading(NamedTuple):
    """The sync configs that the server showed at one time, by target.

    *before* are this workspace's pauses when they were asked for, *at* the monotonic time of that.
    """

    states: Mapping[str, TargetState]
    before: Mapping[str, Pause]
    at: float

    def holds(self, targets: Iterable[Target]) -> bool:
        """Return whether it shows all *targets*, and is so new that nobody need ask again."""
        covers = all(target.name in self.states for target in targets)
        return covers and time.monotonic() - self.at < READING_SECONDS


async def read_configs(
    session: Session, targets: Sequence[Target], earlier: ConfigReading | None = None
) -> ConfigReading:
    """Ask the server about *targets* and change nothing here; *earlier* counts while it is new."""
    if earlier and earlier.holds(targets):
        return earlier
    before, at = session.folder.read_pauses(), time.monotonic()
    return ConfigReading(await read_targets(session.api, targets), before, at)


async def read_status(
    session: Session,
    targets: Iterable[Target],
    *,
    save: bool = True,
    reading: ConfigReading | None = None,
) -> dict[str, TargetStatus]:
    """Return the status of *targets*, by *reading* or by asking the server, and settle what a crash
    left open.

    A pause of ours that is not there any more is lost for good, whoever pauses next. With *save*
    all that is written down, for which the run lock must be held; without it the loss alone is
    noted.
    """
    wanted = list(targets)
    reading = reading or await read_configs(session, wanted)
    pauses = session.folder.read_pauses()
    found = {t.name: judge(session, t, reading.states[t.name], reading.before) for t in wanted}
    kept = {**pauses, **{name: seen.pause for name, seen in found.items() if seen.pause}}
    for name, seen in found.items():
        if seen.pause is None:
            kept.pop(name, None)
    if not save:
        note_lost(session, found.values())
    elif kept != pauses:
        session.folder.write_pauses(kept)
    return found


def judge(
    session: Session, target: Target, server: TargetState, before: Mapping[str, Pause]
) -> TargetStatus:
    """Return how *target* stands, which the *server* has shown; *before* are the pauses of ours
    from before it was asked.

    A pause that a command beside this one has just made or ended was not seen lost.
    """
    pause = resolve_intent(session.folder.read_pauses().get(target.name), server)
    if pause and is_lost(pause, server) and pause == before.get(target.name):
        pause = msgspec.structs.replace(pause, lost=session.timestamp())
    return TargetStatus(target, server, pause, pause_state(pause, server))


def note_lost(session: Session, seen: Iterable[TargetStatus]) -> None:
    """Note the pauses of ours that were seen lost, without the run lock."""
    remembered = session.folder.claims()
    for one in seen:
        if one.pause and one.pause.lost and one.target.name in remembered:
            with suppress(OSError):  # a workspace that cannot be written can still be looked at
                session.folder.note_lost(one.target.name, one.pause.since, one.pause.lost)


def config_changes(seen: TargetStatus) -> list[str]:
    """Return the changes of the config since the pause, but for the pause itself."""
    if seen.pause is None or seen.pause.lost or not seen.server.exists:
        return []
    old, new = seen.pause.found, seen.server.config
    return [
        f"{name} was {json_value(old.get(name))}, is {json_value(new.get(name))}"
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
    running = [s for s in before.values() if s.state in _RUNNING]
    await pause_all(session, running, reason=reason, until=until)
    for seen in before.values():
        if seen.state in _NOT_OURS:
            adopt_pause(session, seen, reason=reason, until=until)
        elif seen.state is PauseState.PAUSED_BY_US and seen.pause:
            _extend_pause(session, seen.pause, reason, until)
    return list((await read_status(session, [*direct, *grouped])).values())


_RUNNING = (PauseState.RUNNING, PauseState.UNPAUSED_BY_OTHER)
_NOT_OURS = (PauseState.PAUSED_BY_OTHER, PauseState.UNCERTAIN)


async def pause_all(
    session: Session, running: Iterable[TargetStatus], *, reason: str = "", until: str = "",
    run: str = "",
) -> None:  # fmt: skip
    """Pause the targets *running*, all at once.

    The error for one of them names those that are paused by then, as they stay so.
    """

    async def one(seen: TargetStatus) -> OcsyncError | None:
        try:
            mine = seen.pause.run if seen.pause else run
            await pause_target(session, seen, reason=reason, until=until, run=mine)
        except OcsyncError as error:
            return error
        return None

    to_pause = list(running)
    errors = await asyncio.gather(*map(one, to_pause))
    paused = [s.target.name for s, error in zip(to_pause, errors, strict=True) if error is None]
    if first := next(filter(None, errors), None):
        raise _partly_paused(first, paused) from first


def _partly_paused(error: OcsyncError, paused: Sequence[str]) -> OcsyncError:
    """Return *error*, which also says that the targets *paused* are paused."""
    if paused:
        error.message += f"; {', '.join(paused)} {'is' if len(paused) == 1 else 'are'} now paused"
        way_back = f"ocsync unpause {' '.join(paused)}"
        error.hint = f"{way_back}; {error.hint}" if error.hint else way_back
        error.exit_code = first_of([error.exit_code, ExitCode.PARTLY])
    return error


def _extend_pause(session: Session, pause: Pause, reason: str, until: str) -> None:
    """Update a pause of this workspace that is asked for again; one left by a dead window becomes a
    plain one.
    """
    open_ = in_window(session, pause)
    if open_:
        session.notify(
            NoticeLevel.WARNING,
            f"a window holds {pause.target} paused and unpauses it when its command ends",
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
    """Return whether *pause* belongs to a window that is open: only that unpauses, at its end."""
    return pause is not None and session.folder.window_locks.is_open(pause.window)


def refuse_others_pauses(
    seen: dict[str, TargetStatus], direct: Collection[str], *, adopt: bool
) -> None:
    """Raise for somebody else's pause, unless to *adopt*; for one of *direct* without config."""
    unsure = [s.target.name for s in seen.values() if s.state is PauseState.UNCERTAIN]
    if unsure and not adopt:
        raise uncertain(unsure)
    theirs = [s.target.name for s in seen.values() if s.state is PauseState.PAUSED_BY_OTHER]
    if theirs and not adopt:
        raise PausedByOther(
            f"{', '.join(theirs)}: paused by someone else",
            hint="to take it over, so that resume unpauses it: "
            f"ocsync pause {' '.join(theirs)} --adopt",
        )
    missing = [n for n, s in seen.items() if s.state is PauseState.NO_CONFIG and n in direct]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)}: no sync config on this marketplace, nothing to pause",
            hint="ocsync targets shows which targets are configured",
        )


def uncertain(names: Sequence[str]) -> PausedByOther:
    """Return the error for targets that may be paused by this workspace or by someone else."""
    them, listed = "it" if len(names) == 1 else "them", " ".join(names)
    return PausedByOther(
        f"{', '.join(names)}: an unpause was interrupted, so it is unknown who paused {them}",
        hint=f"ocsync unpause {listed} --force, or to keep the pause: "
        f"ocsync pause {listed} --adopt",
    )


def confirmed(session: Session, question: str) -> bool:
    """Return whether the answer is yes; where nobody can be asked it is no."""
    try:
        return session.ask(question)
    except UsageError:
        return False


def claim_if_confirmed(session: Session, seen: TargetStatus) -> bool:
    """Ask whether an uncertain pause is this workspace's, and write down that it is."""
    text = f"An unpause of {seen.target.name} was interrupted, and it is still paused. "
    if seen.pause is None or not confirmed(session, text + "Did this workspace pause it?"):
        return False
    save_pause(session, msgspec.structs.replace(seen.pause, phase=PausePhase.PAUSED))
    return True


def adopt_pause(
    session: Session, seen: TargetStatus, *, reason: str = "", until: str = "", window: str = ""
) -> None:
    """Make somebody else's pause ours."""
    fresh = seen._replace(pause=None)  # a lease of before was another pause's
    pause = _new(session, fresh, reason, until, PausePhase.PAUSED, window=window, adopted=True)
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
    """Take one running target from running to paused, and remember that we did.

    A request that the server refused leaves no intent behind.
    """
    intent = _new(session, seen, reason, until, PausePhase.PAUSING, run=run, window=window)
    save_pause(session, intent)
    try:
        shown = await set_paused(session.api, seen.target, paused=True)
    except OcsyncError as error:
        if _had_no_effect(error):
            restore_pause(session, seen)
        raise
    if not shown:
        await _confirm(session, seen.target, paused=True)
    save_pause(session, msgspec.structs.replace(intent, phase=PausePhase.PAUSED))
    session.emit(PauseChanged(seen.target.name, paused=True))


async def unpause_target(session: Session, seen: TargetStatus) -> float:
    """Unpause a target that this workspace paused; return the seconds that the pause lasted.

    That it is over is written down before, as what it held may arrive at once.
    """
    pause = seen.pause
    if pause is None:
        return 0.0
    save_pause(session, msgspec.structs.replace(pause, phase=PausePhase.UNPAUSING))
    session.folder.pause_history.append(
        PastPause(target=pause.target, since=pause.since, until=session.precise_timestamp())
    )
    shown = False
    try:
        shown = await set_paused(session.api, seen.target, paused=False)
    except LostAnswer:
        if (await read_targets(session.api, [seen.target]))[pause.target].paused:
            raise
    except OcsyncError as error:
        if _had_no_effect(error):
            save_pause(session, msgspec.structs.replace(pause, phase=PausePhase.PAUSED))
        raise
    if not shown:
        await _confirm(session, seen.target, paused=False)
    drop_pauses(session, [pause.target])
    seconds = pause.seconds(session.now())
    _record_paused_seconds(session, pause, seconds)
    session.emit(PauseChanged(pause.target, paused=False, seconds=seconds))
    return seconds


def _had_no_effect(error: OcsyncError) -> bool:
    """Return whether the server refused the request, or never got it."""
    refused = isinstance(error, ApiError | SignInError | TryLater)
    return refused and not isinstance(error, LostAnswer)


@contextmanager
def named_when_cut_off(session: Session) -> Iterator[None]:
    """Warn of the targets that stay paused when an error of the server ends the block."""
    try:
        yield
    except (TryLater, SignInError, ApiError):
        if names := list(session.folder.claims()):
            stays = "stays" if len(names) == 1 else "stay"
            session.notify(NoticeLevel.WARNING, f"{', '.join(names)} {stays} paused")
        raise


def restore_pause(session: Session, seen: TargetStatus) -> None:
    """Write down what was remembered of a target before."""
    if seen.pause:
        save_pause(session, seen.pause)
    else:
        drop_pauses(session, [seen.target.name])


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
    """A target that stays paused, and why; *by_other* says that someone else paused it."""

    target: str
    why: str
    by_other: bool = False


class UnpauseResult(NamedTuple):
    """The result of unpausing several targets: the seconds that each pause lasted, and the failures
    with their reasons.
    """

    unpaused: list[tuple[TargetStatus, float]]
    failed: list[tuple[TargetStatus, OcsyncError]]


async def unpause_all(session: Session, seen: Iterable[TargetStatus]) -> UnpauseResult:
    """Unpause targets that this workspace paused, each independent of the others."""

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
    """Unpause those of *targets* that this workspace paused, all at once; with *force* also the
    others, and those that an open window holds. Return the seconds that each pause lasted.

    Raises PausedByOther, after the others are lifted, naming those that were left.
    """
    seen = await read_status(session, targets)
    left: dict[str, str] = {}
    ours: list[TargetStatus] = []
    forced: list[TargetStatus] = []
    for name, one in seen.items():
        if one.state is PauseState.PAUSED_BY_US and in_window(session, one.pause) and not force:
            holder = (
                session.folder.window_locks.describe_holder(one.pause.window) if one.pause else ""
            )
            left[name] = f"held paused by a window until its command ends ({holder})"
        elif one.state is PauseState.PAUSED_BY_US or (
            one.state is PauseState.UNCERTAIN and (force or claim_if_confirmed(session, one))
        ):
            ours.append(one)
        elif one.state is PauseState.UNCERTAIN:
            left[name] = uncertain([name]).message.partition(": ")[2]
        elif one.state is PauseState.PAUSED_BY_OTHER and not force:
            left[name] = "paused by someone else; left paused"
            drop_pauses(session, [name])
        elif one.state is PauseState.PAUSED_BY_OTHER:
            forced.append(one)
        elif one.state in (PauseState.UNPAUSED_BY_OTHER, PauseState.NO_CONFIG) and one.pause:
            drop_pauses(session, [one.target.name])
    result = await unpause_all(session, ours)
    for one in forced:
        drop_pauses(session, [one.target.name])
        if not await set_paused(session.api, one.target, paused=False):
            await _confirm(session, one.target, paused=False)
        session.emit(PauseChanged(one.target.name, paused=False))
    if result.failed:
        with named_when_cut_off(session):
            raise result.failed[0][1]
    if left:
        whys = {why: [n for n, w in left.items() if w == why] for why in left.values()}
        raise PausedByOther(
            "; ".join(f"{', '.join(names)}: {why}" for why, names in whys.items()),
            hint=f"to unpause anyway: ocsync unpause {' '.join(left)} --force",
        )
    return [*result.unpaused, *((one, 0.0) for one in forced)]


async def expire(session: Session, due: Iterable[str], *, dry_run: bool = False) -> UnpauseResult:
    """Unpause those of this workspace's targets that are *due*; with *dry_run* only return them.

    What somebody else lifted meanwhile is forgotten.
    """
    seen = await read_status(session, [TARGETS[name] for name in due], save=not dry_run)
    ours = [s for s in seen.values() if s.state is PauseState.PAUSED_BY_US]
    if dry_run:
        now = session.now()
        return UnpauseResult([(s, s.pause.seconds(now)) for s in ours if s.pause], [])
    gone = (PauseState.UNPAUSED_BY_OTHER, PauseState.NO_CONFIG)
    drop_pauses(session, [n for n, s in seen.items() if s.state in gone])
    unsure: list[tuple[TargetStatus, OcsyncError]] = [
        (s, uncertain([n])) for n, s in seen.items() if s.state is PauseState.UNCERTAIN
    ]
    result = await unpause_all(session, ours)
    return result._replace(failed=[*result.failed, *unsure])


def drop_pauses(session: Session, names: Iterable[str]) -> None:
    """Forget the pauses of these targets, as they are not this workspace's any more."""
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
    if old and old.until and old.lost and datetime.fromisoformat(old.until) <= session.now():
        old = msgspec.structs.replace(old, until="")
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
            f"{target.name} is still not shown as {word} after {CONFIRM_SECONDS:.0f} s",
            hint="ocsync status, then the same command again",
        )


def lease_end(now: datetime, seconds: float) -> str:
    """Return the end of a lease of *seconds* from *now*, as the pause file writes it."""
    if seconds <= 0:
        raise OcsyncError("the time of --for must be longer than zero")
    end = datetime.fromtimestamp(now.timestamp() + seconds, tz=now.tzinfo)
    return end.isoformat(timespec="seconds")
