"""Slots for requests in flight: one queue for all workers, first come, first served."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable

import httpx

from ocsync.client.pacing import Pacer
from ocsync.events import Emit, InFlight, Waiting

THROTTLED = "throttled by OrderCloud"
"""The reason of a wait that OrderCloud asks for."""
_REPORT_SECONDS = 0.2
_MOST_TOGETHER = 10
"""The most slots that are taken together; the first are idle until the last is there."""


class GateClosed(httpx.PoolTimeout):
    """The gate stays closed for *seconds*, longer than this request may wait; it was never sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"OrderCloud asks to wait {seconds:,.0f} s")
        self.seconds = seconds


class SlotQueue:
    """The slots that *pacer* allows.

    A slot that becomes free goes to the first in the queue in that moment, as do all that become
    free together. Where time has to pass, or several slots are wanted, the first leads the queue:
    it alone waits, and nobody gets a slot before it has ended.
    """

    def __init__(
        self,
        pacer: Pacer,
        *,
        emit: Emit,
        sleep: Callable[[float], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._pacer = pacer
        self._emit = emit
        self._sleep = sleep
        self._now = now
        self._queue: deque[tuple[asyncio.Future[bool], bool]] = deque()
        self._is_led = False
        self._freed = asyncio.Event()
        self._reported_at = -math.inf
        self.gated_seconds = 0.0  # while the server wanted no requests and one waited for a slot

    @property
    def has_queue(self) -> bool:
        """True while a request waits for a slot."""
        return self._is_led or bool(self._queue)

    async def take(self, deadline: float) -> None:
        """Wait for a slot and take it. Raises GateClosed if it must wait beyond *deadline*."""
        if not self.has_queue and not self._pacer.delay(self._now()):
            self._count(1)
        elif not await self._has_been_given():
            try:
                await self._wait(deadline)
                self._count(1)
            finally:
                self._stop_leading()

    async def take_several(self, deadline: float, writes: Callable[[], int]) -> int:
        """Take a slot, and the next ones that become free up to the number of *writes*.

        Return how many were taken: fewer where the server wants no requests, or where all that are
        in flight are these. Raises GateClosed as `take` does.
        """
        await self._has_been_given(leads=True)
        held = 0
        try:
            await self._wait(deadline)
            self._count(2)
            held = 1
            most = min(_MOST_TOGETHER, max(2, int(self._pacer.window) // 2))
            wanted = min(writes(), most)
            while held < wanted and await self._wait_for_one_more(held):
                self._count(1)
                held += 1
        except BaseException:
            self._give_back(held)
            raise
        finally:
            self._stop_leading()
        return held

    def release(self, slots: int) -> None:
        """Give back *slots* that no request uses."""
        self._give_back(slots)
        self.freed()

    def freed(self) -> None:
        """Hand on what is free; the pacer knows that a request has ended."""
        self._freed.set()
        self._hand_on()

    async def wait_for_gate(self, deadline: float) -> None:
        """Wait while the server wants no requests. Raises GateClosed as `take` does."""
        while gated := self._pacer.gate_seconds(self._now()):
            if self._now() + gated > deadline:
                raise GateClosed(gated)
            await self._sleep(gated)

    async def _has_been_given(self, *, leads: bool = False) -> bool:
        """Queue; return whether a slot was given, which never is to one that *leads* in any case.

        The caller leads the queue where none was given.
        """
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append((turn, leads))
        self._hand_on()
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.result():
                self.release(1)
            elif not turn.cancelled():
                self._stop_leading()
            raise

    def _hand_on(self) -> None:
        """Give the slots that are free to the first in the queue, until one of them leads."""
        while self._queue and not self._is_led:
            turn, leads = self._queue[0]
            delay = 0.0 if turn.done() else self._pacer.delay(self._now())
            if delay == math.inf:
                return
            self._queue.popleft()
            if turn.done():  # cancelled
                continue
            self._is_led = leads or delay > 0
            if not self._is_led:
                self._count(1)
            turn.set_result(not self._is_led)

    def _stop_leading(self) -> None:
        self._is_led = False
        self._hand_on()

    def _give_back(self, slots: int) -> None:
        for _ in range(slots):
            self._pacer.failed()

    async def _wait(self, deadline: float) -> None:
        while (delay := self._pacer.delay(self._now())) > 0:
            if delay == math.inf:
                self._freed.clear()
                await self._freed.wait()
            else:
                gated = self._pacer.gate_seconds(self._now())
                if gated and self._now() + gated > deadline:
                    raise GateClosed(gated)
                if gated >= 1:
                    self._emit(Waiting(gated, THROTTLED))
                before = self._now()
                await self._sleep(delay)
                self.gated_seconds += self._now() - before if gated else 0.0

    async def _wait_for_one_more(self, held: int) -> bool:
        """Wait for a free slot; return False when none becomes free unless those *held* do."""
        while (delay := self._pacer.delay(self._now())) > 0:
            if self._pacer.gate_seconds(self._now()):
                return False
            if delay < math.inf:
                await self._sleep(delay)
            elif self._pacer.in_flight <= held:
                return False
            else:
                self._freed.clear()
                await self._freed.wait()
        return True

    def _count(self, requests: int) -> None:
        """Count one slot as taken, for a number of *requests* that follow each other."""
        now = self._now()
        self._pacer.started(now, requests)
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            self._emit(InFlight(self._pacer.in_flight, int(self._pacer.window)))
