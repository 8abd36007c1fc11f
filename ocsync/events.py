"""What the engines announce while they work; frozen, and the same for people and programs.

An engine is given one callable, `emit`, and knows nothing of who listens.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from ocsync.models import Finding, Outcome


class Event(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower):
    """The root of all events; in JSON `type` is the class's name in lower case."""


class NoticeLevel(StrEnum):
    """The meanings of a notice; the interface has a sign for each."""

    WARNING = "warning"
    PAUSED = "paused"
    RUNNING = "running"
    DONE = "done"
    ADDED = "added"
    DETAIL = "detail"


class Notice(Event, frozen=True, tag="said"):
    """A line for the operator; DETAIL continues the notice before it."""

    level: NoticeLevel
    text: str


class Planned(Event, frozen=True):
    """A run is about to start (or, *resumed*, to go on): how many steps in how many waves."""

    run: str
    steps: int
    waves: int
    resumed: bool = False


class Reading(Event, frozen=True):
    """*done* of *total* refs have been read."""

    done: int
    total: int


class ReadDone(Event, frozen=True):
    """Reading ended: *total* refs, *same* of which already hold what is staged."""

    total: int
    same: int


class WaveStarted(Event, frozen=True):
    """Wave *number* of *of* begins; *kinds* maps each kind to its number of steps."""

    number: int
    of: int
    kinds: dict[str, int]


class StepEnded(Event, frozen=True):
    """A step has its outcome, and it is on disk."""

    outcome: Outcome


class Waiting(Event, frozen=True):
    """Nothing is sent for *seconds* because of *why* (throttling, a retry)."""

    seconds: float
    why: str


class InFlight(Event, frozen=True, tag="flight"):
    """How many requests are under way, and how many the pace allows."""

    now: int
    limit: int = msgspec.field(name="window")


class PauseChanged(Event, frozen=True):
    """A target was paused or lifted; *seconds* is how long it had been paused, when known."""

    target: str
    paused: bool
    seconds: float = 0.0


class Verifying(Event, frozen=True):
    """*done* of *total* refs have been read back."""

    done: int
    total: int


class FindingReported(Event, frozen=True, tag="found"):
    """Verification has a finding that is not plain sameness."""

    finding: Finding


class DeliveryProgress(Event, frozen=True, tag="arriving"):
    """*done* of *total* changed entities have arrived at the listener as written.

    Some came twice, *stale* ones only with older content; *left* is how many seconds may pass yet
    without news.
    """

    done: int
    total: int
    duplicates: int = 0
    stale: int = 0
    left: float = 0.0


class RequestEnded(Event, frozen=True, tag="sent"):
    """One of many alike (a resync, a delete): *what*, and the error's text if it failed.

    *done* of *total* have ended, *failed* of them badly; where those are counted, a report names
    them at the end.
    """

    what: str
    done: int
    total: int
    error: str = ""
    failed: int = 0


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
    del event


def as_data(event: Event) -> dict[str, Any]:
    """The event as plain JSON data."""
    data: dict[str, Any] = msgspec.to_builtins(event)
    return data
