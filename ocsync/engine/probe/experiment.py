"""The surroundings of an experiment: session, throwaway entities, and the listener's messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from ocsync.delivery.messages import subjects_of
from ocsync.engine.pause.pausing import lease_end, pause, unpause
from ocsync.engine.polling import poll
from ocsync.engine.probe.throwaway import Throwaway
from ocsync.engine.session import Session
from ocsync.errors import OcsyncError
from ocsync.models import TargetState
from ocsync.schema import TARGETS

REASON = "ocsync probe"
"""The reason of a pause that the probe makes."""
_FIRST, _LONGEST = 0.05, 0.5
_LEASE_SECONDS = 900.0


class Unanswered(Exception):
    """The reason why a question cannot be answered here."""


class Measured(NamedTuple):
    """A value and what was seen."""

    value: str | float
    evidence: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """The things that every experiment works with.

    *states* are the sync configurations by target, as they are at the start. *patience* is how many
    seconds may pass without a message before silence counts, *longest* how long a read may lag.
    """

    session: Session
    made: Throwaway
    states: dict[str, TargetState]
    listens: bool
    patience: float
    longest: float

    async def until(self, holds: Callable[[], Awaitable[bool]], *, patience: float) -> float | None:
        """Return the seconds until *holds* says yes, 0 for at once, None when it never does."""
        start = monotonic()
        if await holds():
            return 0.0
        if await poll(self.session, holds, patience=patience, first=_FIRST, longest=_LONGEST):
            return monotonic() - start
        return None

    async def read(self, path: str) -> dict[str, Any]:
        """Return the document at *path*, empty where there is none. Raises ApiError."""
        return await self.session.api.get(path) or {}

    @asynccontextmanager
    async def paused(self, target: str) -> AsyncIterator[None]:
        """Pause *target* for the block. The pause is this workspace's own, so a crash leaves one
        that `expire` and `unpause` end.
        """
        until = lease_end(self.session.now(), _LEASE_SECONDS)
        await pause(self.session, [TARGETS[target]], [], reason=REASON, until=until)
        try:
            yield
        finally:
            await unpause(self.session, [TARGETS[target]])

    def running(self, *names: str) -> str:
        """Return the first of the targets *names* (all, without any) that may be paused here.

        Raises Unanswered.
        """
        for name in names or TARGETS:
            state = self.states.get(name)
            if state and state.exists and not state.paused and state.sends_changes:
                return name
        which = ", ".join(names) or "any target"
        raise Unanswered(f"no running sync configuration of {which}")

    def need_listener(self, *names: str) -> None:
        """Raise Unanswered unless a listener may receive messages of the targets *names*."""
        if not self.listens:
            raise Unanswered("no listener runs: ocsync listen http, ocsync delivery attach")
        for name in names:
            self.running(name)

    def count(self, target: str, name: str, *, skip: int = 0) -> int:
        """Return the number of messages about entity *name* after the first *skip* in the log."""
        folded = name.casefold()
        return sum(
            1
            for message in self.session.folder.delivery_log.read_from(skip)
            for subject in subjects_of(message)
            if subject.target == target and subject.key[-1] == folded
        )

    def position(self) -> int:
        """Return the number of messages in the log."""
        return sum(1 for _ in self.session.folder.delivery_log.read())

    async def messages(
        self, target: str, name: str, *, skip: int, wanted: int = 1, patience: float = 0.0
    ) -> int:
        """Wait for *wanted* messages about entity *name* after *skip*; return how many came."""

        async def came() -> bool:
            return self.count(target, name, skip=skip) >= wanted

        await self.until(came, patience=patience or self.patience)
        return self.count(target, name, skip=skip)

    async def settled(self, target: str, name: str) -> int:
        """Wait for the first message about entity *name*; return the log's length then.

        Raises Unanswered when none arrives.
        """
        longest = max(self.patience, self.longest)
        if not await self.messages(target, name, skip=0, patience=longest):
            raise Unanswered(f"the listener received no message of {target}")
        return self.position()


Ask = Callable[[Experiment], Awaitable[Measured]]


def refusal_of(error: OcsyncError) -> str:
    """Return how a request was refused, in words."""
    return " ".join(error.message.split())[:200]
