"""What the sync targets hear of deletes: at once, paused or not (api-facts 3.3 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from ocsync.client import read_targets
from ocsync.engine.session import Work
from ocsync.errors import ApiError
from ocsync.models import TargetState
from ocsync.schema import TARGETS, Kind, Target


class Hearing(StrEnum):
    """What a target hears of a delete."""

    DELETED = "deleted"
    UNSURE = "unsure"
    CHANGED = "changed"
    OFF = "off"
    NO_CONFIG = "no config"
    UNREAD = "unread"


class Heard(NamedTuple):
    """What *target* hears; *paused* does not keep it from hearing."""

    target: str
    hearing: Hearing
    paused: bool = False


_LOUDEST = (Hearing.DELETED, Hearing.UNSURE, Hearing.CHANGED)


async def hearing_of(work: Work, kinds: Iterable[Kind]) -> list[Heard]:
    """What the targets that *kinds* feed hear when some of each are deleted."""
    loud: dict[str, Hearing] = {}
    for kind in kinds:
        for name in kind.direct:
            one = _of(kind, TARGETS[name])
            loud[name] = min(one, loud.get(name, one), key=_LOUDEST.index)
    found = []
    for name in (name for name in TARGETS if name in loud):
        try:
            server = (await read_targets(work.api, [TARGETS[name]]))[name]
        except ApiError:
            found.append(Heard(name, Hearing.UNREAD))
            continue
        found.append(Heard(name, _with(loud[name], server), server.paused))
    return found


def _of(kind: Kind, target: Target) -> Hearing:
    if kind.assignment:
        return Hearing.CHANGED
    return Hearing.DELETED if target.deleted else Hearing.UNSURE


def _with(hearing: Hearing, server: TargetState) -> Hearing:
    if not server.exists:
        return Hearing.NO_CONFIG
    on = server.changed if hearing is Hearing.CHANGED else server.deleted
    return hearing if on else Hearing.OFF
