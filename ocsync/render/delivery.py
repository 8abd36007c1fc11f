"""Deliveries: what was received."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ocsync.delivery.envelope import Distinct, about
from ocsync.models import Delivery
from ocsync.render.text import clock, columns, count

_PREFIX = "sitecore.ordercloud.messages."


def once(found: Iterable[Distinct], now: datetime) -> list[str]:
    """A row a message: when it came first, how often, what it is about."""
    rows = [
        (
            clock(one.first, now, seconds=True),
            "" if one.times == 1 else f"{one.times:,} times",
            _kind(one.message),
            about(one.message),
        )
        for one in found
    ]
    return columns(rows, "<<<<")


def messages(found: Iterable[Delivery], now: datetime) -> list[str]:
    """A row for each message that came."""
    rows = [(clock(one.at, now, seconds=True), _kind(one), about(one)) for one in found]
    return columns(rows, "<<<")


def received(number: int, again: int) -> str:
    """How many were received, and how many of them repeated another."""
    repeated = f", {again:,} of them a repetition" if again else ""
    return f"{count(number, 'message')} received{repeated}"


def _kind(message: Delivery) -> str:
    return message.namespace.removeprefix(_PREFIX)
