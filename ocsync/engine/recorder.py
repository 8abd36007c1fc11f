"""The one place that writes a run's log while requests are under way.

Workers hand in intents and wait until these are on disk; they hand in outcomes and do not wait.
Everything handed in meanwhile is written as one group, with one sync: a group commit. While no slot
is free for a request, the disk delays nobody: then a group waits a little for more records, because
writing it costs as much as a few requests.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ocsync.errors import OcsyncError
from ocsync.models import Intent, Outcome
from ocsync.store import Run

_Waiting = tuple[Intent | Outcome, "asyncio.Future[None] | None"]

_GROUP_SECONDS, _GROUP_SIZE = 0.008, 64
"""The time from one group to the next while no slot is free, and the records that shorten it."""


def _unlimited() -> float:
    return math.inf


class Recorder:
    """The writer of one run's log; use it with `async with`.

    *announce* gets each outcome once it is on disk. *slots* returns the number of requests that may
    be in flight.
    """

    def __init__(
        self,
        run: Run,
        announce: Callable[[Outcome], None],
        *,
        slots: Callable[[], float] = _unlimited,
    ) -> None:
        self._run = run
        self._announce_one = announce
        self._slots = slots
        # steps whose intents are on disk, and whose outcomes were not handed in yet
        self._begun: set[int] = set()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._broken: Exception | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        self._wake.set()
        if self._task:
            await asyncio.shield(self._task)
        if self._broken and kind is None:
            raise self._broken

    async def intend(self, intent: Intent, *, at_once: bool = False) -> None:
        """Return when *intent* is on disk; *at_once* when it has a slot for its request already.

        Raises OcsyncError when it cannot be written.
        """
        await self._write_and_wait(intent, at_once=at_once)

    async def keep(self, outcome: Outcome) -> None:
        """Return when *outcome* is on disk and announced. Raises OcsyncError as `intend` does."""
        await self._write_and_wait(outcome)

    async def _write_and_wait(self, record: Intent | Outcome, *, at_once: bool = True) -> None:
        written = asyncio.get_running_loop().create_future()
        self._hand_in(record, written, at_once=at_once)
        await written

    async def end(self, outcome: Outcome) -> None:
        """Hand in *outcome*, to be written and announced with the next group, and do not wait."""
        self._begun.discard(outcome.number)
        self._hand_in(outcome, None)

    def _hand_in(
        self,
        record: Intent | Outcome,
        done: asyncio.Future[None] | None,
        *,
        at_once: bool = False,
    ) -> None:
        if self._broken:
            raise self._broken
        self._waiting.append((record, done))
        if at_once or self._is_due():
            self._wake.set()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._due, self._wake.set)

    def _is_due(self) -> bool:
        """Return whether the next group is to be written now; a free slot waits for its intent."""
        slot_is_free = len(self._begun) < self._slots()
        is_large = len(self._waiting) >= _GROUP_SIZE
        return slot_is_free or is_large or asyncio.get_running_loop().time() >= self._due

    async def _write(self) -> None:
        while self._waiting or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            self._start_group()
            group, self._waiting = self._waiting, []
            if not group:
                continue
            try:
                await self._write_down([record for record, _ in group])
                self._announce(group)
            except Exception as error:  # noqa: BLE001 - raised again to the waiting workers
                self._fail(group, error)
                return

    def _start_group(self) -> None:
        self._due = asyncio.get_running_loop().time() + _GROUP_SECONDS
        if self._timer:
            self._timer.cancel()
            self._timer = None

    async def _write_down(self, records: list[Intent | Outcome]) -> None:
        try:
            await asyncio.to_thread(self._run.record, records)
        except OSError as error:
            raise OcsyncError(
                f"cannot write the run's log: {error.strerror or error}",
                hint="free disk space or repair the disk, then run the same command again",
            ) from error

    def _announce(self, group: list[_Waiting]) -> None:
        for record, done in group:
            if isinstance(record, Intent):
                self._begun.add(record.number)
            if done and not done.done():
                done.set_result(None)
            if isinstance(record, Outcome):
                self._announce_one(record)

    def _fail(self, group: list[_Waiting], error: Exception) -> None:
        self._broken = error
        for _, done in [*group, *self._waiting]:
            if done and not done.done():
                done.set_exception(error)
