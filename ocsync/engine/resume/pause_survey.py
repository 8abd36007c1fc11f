"""The survey after a replay: targets whose pause ended before the replay did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from ocsync.delivery.messages import EntityKey, key_of, published_by, same_entity, subjects_of
from ocsync.engine.pause.pausing import (
    ConfigReading,
    TargetStatus,
    read_configs,
    read_status,
)
from ocsync.engine.run_log import attempts
from ocsync.engine.session import Session
from ocsync.models import State
from ocsync.pause import PauseState
from ocsync.schema import TARGETS
from ocsync.store import Run


class LostPause(NamedTuple):
    """A target whose pause ended before the replay did.

    *sent* is the number of the run's changes that feed it, each of which may have been delivered
    singly; with *deleted* the target's sync config was deleted, and they may not be delivered at
    all. *received* counts the entities that the listener has received since the run began; None
    without a listener.
    """

    target: str
    sent: int
    received: int | None
    deleted: bool = False


async def survey_pauses(
    session: Session, run: Run, lost_names: Iterable[str]
) -> tuple[list[LostPause], ConfigReading | None]:
    """Return the targets on whose pause *run* relied, whoever had paused them, and that are no
    longer paused, or were not at its start (*lost_names*).

    The second value is the reading of the sync configs, None where none was needed.
    """
    relied_on = run.read_info().held
    if not relied_on:
        return _count(session, run, dict.fromkeys(lost_names)), None
    paused = {**dict.fromkeys(relied_on), **session.folder.read_pauses()}
    reading = await read_configs(session, [TARGETS[name] for name in paused])
    statuses = await read_status(session, [TARGETS[name] for name in relied_on], reading=reading)
    deleted = {n for n, status in statuses.items() if status.state is PauseState.NO_CONFIG}
    lost = [name for name, status in statuses.items() if name in deleted or _was_lost(status)]
    counted = _count(session, run, dict.fromkeys([*lost_names, *lost]))
    return [one._replace(deleted=one.target in deleted) for one in counted], reading


def _was_lost(status: TargetStatus) -> bool:
    """Return whether a target that had to be paused is running, or was meanwhile."""
    running = status.state in (PauseState.RUNNING, PauseState.UNPAUSED_BY_OTHER)
    replaced = status.state is PauseState.PAUSED_BY_OTHER and status.pause is not None
    return running or replaced


def _count(session: Session, run: Run, names: Iterable[str]) -> list[LostPause]:
    """Count the changes of *run* that may have been delivered singly, for each target of *names*.

    A target that none of them feeds is left out.
    """
    keys: dict[str, set[EntityKey]] = {name: set() for name in names}
    if not keys:
        return []
    sent: dict[str, int] = defaultdict(int)
    for _, ref, _, outcome in attempts(run.outcomes()):
        if outcome and outcome.state in (State.DONE, State.UNKNOWN):
            for target, entity in published_by(ref):
                if target.name in keys:
                    keys[target.name].add(key_of(target, entity))
                    sent[target.name] += 1
    received = _received(session, datetime.fromisoformat(run.read_info().started), keys)
    return [
        LostPause(name, sent[name], None if received is None else received[name])
        for name in keys
        if sent[name]
    ]


def _received(
    session: Session, start: datetime, keys: Mapping[str, set[EntityKey]]
) -> dict[str, int] | None:
    """Count per target the entities of *keys* that a listener has received since *start*."""
    log = session.folder.delivery_log
    if not log.path.exists():
        return None
    by_id: dict[tuple[str, str | None], list[EntityKey]] = defaultdict(list)
    for name, members in keys.items():
        for key in members:
            by_id[name, key[-1]].append(key)
    received: dict[str, set[EntityKey]] = {name: set() for name in keys}
    for message in log.read():
        if datetime.fromisoformat(message.at) >= start:
            for subject in subjects_of(message):
                near = by_id.get((subject.target, subject.key[-1]), ())
                received.get(subject.target, set()).update(
                    key for key in near if same_entity(key, subject.key)
                )
    return {name: len(members) for name, members in received.items()}
