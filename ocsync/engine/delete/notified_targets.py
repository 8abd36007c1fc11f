"""The sync targets that are notified of deletes: at once, paused or not (api-facts 3.3 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from ocsync.client import read_targets
from ocsync.engine.session import Session
from ocsync.errors import ApiError
from ocsync.models import TargetState
from ocsync.schema import TARGETS, Kind, Target


class NotificationRule(StrEnum):
    """The kinds of message that a target may get of a delete."""

    DELETED = "deleted"
    UNSURE = "unsure"
    CHANGED = "changed"
    OFF = "off"
    NO_CONFIG = "no config"
    UNREAD = "unread"


class TargetNotification(NamedTuple):
    """The message that *target* gets; *paused* does not hold it back."""

    target: str
    hearing: NotificationRule
    paused: bool = False


_LOUDEST = (NotificationRule.DELETED, NotificationRule.UNSURE, NotificationRule.CHANGED)


async def notified_targets(session: Session, kinds: Iterable[Kind]) -> list[TargetNotification]:
    """Return the notifications of the targets that *kinds* feed when some of each are deleted."""
    loud: dict[str, NotificationRule] = {}
    for kind in kinds:
        for name in kind.direct_targets:
            one = _of(kind, TARGETS[name])
            loud[name] = min(one, loud.get(name, one), key=_LOUDEST.index)
    found = []
    for name in (name for name in TARGETS if name in loud):
        try:
            server = (await read_targets(session.api, [TARGETS[name]]))[name]
        except ApiError:
            found.append(TargetNotification(name, NotificationRule.UNREAD))
            continue
        found.append(TargetNotification(name, _with(loud[name], server), server.paused))
    return found


def _of(kind: Kind, target: Target) -> NotificationRule:
    if kind.assignment:
        return NotificationRule.CHANGED
    return NotificationRule.DELETED if target.deleted_namespace else NotificationRule.UNSURE


def _with(hearing: NotificationRule, server: TargetState) -> NotificationRule:
    if not server.exists:
        return NotificationRule.NO_CONFIG
    on = server.sends_changes if hearing is NotificationRule.CHANGED else server.sends_deletes
    return hearing if on else NotificationRule.OFF
