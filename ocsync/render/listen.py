"""Messages that the listeners received."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ocsync.delivery.decoding import DistinctMessage, entity_ids
from ocsync.models import Delivery
from ocsync.render.text import clock, columns, count

_PREFIX = "sitecore.ordercloud.messages."


def once(found: Iterable[DistinctMessage], now: datetime) -> list[str]:
    """A row a message: when it came first, how often, what it is about."""
    rows = [
        (
            clock(one.first, now, seconds=True),
            "" if one.times == 1 else f"{one.times:,} times",
            _kind(one.message),
            entity_ids(one.message),
        )
        for one in found
    ]
    return columns(rows, "<<<<")


def messages(found: Iterable[Delivery], now: datetime) -> list[str]:
    """A row for each message that came."""
    rows = [(clock(one.at, now, seconds=True), _kind(one), entity_ids(one)) for one in found]
    return columns(rows, "<<<")


def received(number: int, again: int) -> str:
    """How many were received, and how many of them repeated another."""
    repeated = f", {again:,} of them a repetition" if again else ""
    return f"{count(number, 'message')} received{repeated}"


def _kind(message: Delivery) -> str:
    return message.namespace.removeprefix(_PREFIX)
