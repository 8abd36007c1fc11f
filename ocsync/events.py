"""Events that the engines emit while they work; frozen, and the same for people and programs.

An engine is given one callable, `emit`, and does not know who receives the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from ocsync.models import Finding, Outcome


def _tag(name: str) -> str:
    """Return the name of a class in words, as `step_ended` for `StepEnded`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).removeprefix("_")


class Event(msgspec.Struct, frozen=True, tag_field="type", tag=_tag):
    """The root of all events; in JSON `type` is the class's name in words."""


class NoticeLevel(StrEnum):
    """The meanings of a notice; the interface has a sign for each."""

    WARNING = "warning"
    PAUSED = "paused"
    RUNNING = "running"
    DONE = "done"
    ADDED = "added"
    DETAIL = "detail"


class Notice(Event, frozen=True):
    """A line for the operator; DETAIL continues the notice before it."""

    level: NoticeLevel
    text: str


class Planned(Event, frozen=True):
    """Run about to start or, if *resumed*, to continue: the number of its steps and waves.

    *plan* is the fingerprint of its plan if a saved one was named, else empty.
    """

    run: str
    steps: int
    waves: int
    resumed: bool = False
    plan: str = ""


class Reading(Event, frozen=True):
    """Progress of reading: *done* of *total* refs."""

    done: int
    total: int


class ReadDone(Event, frozen=True):
    """End of reading: *total* refs, *same* of which already have the staged values."""

    total: int
    same: int


class WaveStarted(Event, frozen=True):
    """Start of wave *number* of *of*; *kinds* maps each kind to its number of steps."""

    number: int
    of: int
    kinds: dict[str, int]


class StepEnded(Event, frozen=True):
    """Outcome of a step, once it is on disk."""

    outcome: Outcome


class Waiting(Event, frozen=True):
    """Wait before the next request, for *seconds*, because of *why* (throttling, a retry)."""

    seconds: float
    why: str


class InFlight(Event, frozen=True):
    """Number of requests in flight, and the number that the pace allows."""

    now: int
    limit: int


class PauseChanged(Event, frozen=True):
    """Target that was paused or unpaused; *seconds* is how long it had been paused, if known."""

    target: str
    paused: bool
    seconds: float | None = None


class Verifying(Event, frozen=True):
    """Progress of verification: *done* of *total* refs read back."""

    done: int
    total: int


class FindingReported(Event, frozen=True):
    """Finding of verification for a ref that does not match."""

    finding: Finding


class DeliveryProgress(Event, frozen=True):
    """Progress at the listener: *done* of *total* changed entities arrived as written.

    *duplicates* came more than once, *stale* ones only with older content; *left* is how many more
    seconds may pass without a new message.
    """

    done: int
    total: int
    duplicates: int = 0
    stale: int = 0
    left: float = 0.0


class MessageReceived(Event, frozen=True):
    """Message that a listener received: its time, namespace, and *target* if that is known.

    *ref* is the entity's, without a kind where the message has none or is about several *entities*.
    *duplicate* says that the delivery log has an equal message already.
    """

    at: str
    namespace: str
    target: str = ""
    ref: str = ""
    entities: int = 1
    duplicate: bool = False


class RequestEnded(Event, frozen=True):
    """End of one of many similar requests (a resync, a delete): *what*, and the error's text.

    *done* of *total* have ended, *failed* of them with an error; where those are counted, a report
    names them at the end.
    """

    what: str
    done: int
    total: int
    error: str = ""
    failed: int = 0


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Ignore *event*."""
    del event


class Broadcast:
    """A listener that passes each event on to its *listeners*, in their order."""

    def __init__(self, *listeners: Emit) -> None:
        self._listeners = list(listeners)

    def __call__(self, event: Event) -> None:
        """Pass *event* on."""
        for listener in self._listeners:
            listener(event)

    @contextmanager
    def joined_by(self, listener: Emit) -> Iterator[None]:
        """Pass events on to *listener* too, until the block ends."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
