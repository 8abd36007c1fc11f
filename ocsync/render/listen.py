"""Messages that the listeners received."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ocsync.delivery.decoding import DistinctMessage, entity_ids
from ocsync.events import MessageReceived
from ocsync.models import Delivery
from ocsync.render.text import columns, count, local_time

_PREFIX = "sitecore.ordercloud.messages."


def distinct_table(messages: Iterable[DistinctMessage], now: datetime) -> Sequence[str]:
    """Return a row for each distinct message: its first time, repetitions, kind and entity."""
    rows = [
        (
            local_time(distinct.first, now, seconds=True),
            "" if distinct.times == 1 else f"{distinct.times:,} times",
            _namespace(distinct.message),
            entity_ids(distinct.message),
        )
        for distinct in messages
    ]
    return columns(rows, "<<<<")


def message_table(messages: Iterable[Delivery], now: datetime) -> Sequence[str]:
    """Return a row for each message: its time, kind and entity."""
    rows = [
        (local_time(one.at, now, seconds=True), _namespace(one), entity_ids(one))
        for one in messages
    ]
    return columns(rows, "<<<")


def message_line(event: MessageReceived, now: datetime) -> str:
    """Return a message as it came: its time, target and entity, and whether it is a duplicate."""
    time = local_time(event.at, now, seconds=True)
    name = event.target or event.namespace.removeprefix(_PREFIX)
    several = f" ({event.entities:,} entities)" if event.entities > 1 else ""
    verdict = "duplicate" if event.duplicate else "new"
    return f"{time}  {name:<14}  {event.ref + several:<32}  {verdict}"


def received_text(number: int, repetitions: int) -> str:
    """Return the number of messages received and, among them, of repetitions."""
    repeated = f", including {count(repetitions, 'duplicate')}" if repetitions else ""
    return f"{count(number, 'message')} received{repeated}"


def _namespace(message: Delivery) -> str:
    return message.namespace.removeprefix(_PREFIX)
