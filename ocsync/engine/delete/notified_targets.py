"""Sync targets that get a message of a delete, paused or not (guide/ordercloud.md 3.3 and 4.3)."""

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
    """The kinds of message that a target may get for a delete."""

    DELETED = "deleted"
    UNSURE = "unsure"
    CHANGED = "changed"
    OFF = "off"
    NO_CONFIG = "no_config"
    UNREAD = "unread"


class TargetNotification(NamedTuple):
    """The kind of message that *target* gets; a pause does not hold it back."""

    target: str
    hearing: NotificationRule
    paused: bool = False


_BY_SEVERITY = (NotificationRule.DELETED, NotificationRule.UNSURE, NotificationRule.CHANGED)


async def notified_targets(session: Session, kinds: Iterable[Kind]) -> list[TargetNotification]:
    """Return the notifications of the targets that *kinds* feed, for a delete of each kind."""
    rules: dict[str, NotificationRule] = {}
    for kind in kinds:
        for name in kind.direct_targets:
            rule = _rule_of(kind, TARGETS[name])
            rules[name] = min(rule, rules.get(name, rule), key=_BY_SEVERITY.index)
    notifications = []
    for name in (name for name in TARGETS if name in rules):
        try:
            server = (await read_targets(session.api, [TARGETS[name]]))[name]
        except ApiError:
            notifications.append(TargetNotification(name, NotificationRule.UNREAD))
            continue
        notifications.append(
            TargetNotification(name, _rule_with_config(rules[name], server), server.paused)
        )
    return notifications


def _rule_of(kind: Kind, target: Target) -> NotificationRule:
    if kind.assignment:
        return NotificationRule.CHANGED
    return NotificationRule.DELETED if target.deleted_namespace else NotificationRule.UNSURE


def _rule_with_config(rule: NotificationRule, server: TargetState) -> NotificationRule:
    if not server.exists:
        return NotificationRule.NO_CONFIG
    publishes = server.sends_changes if rule is NotificationRule.CHANGED else server.sends_deletes
    return rule if publishes else NotificationRule.OFF
