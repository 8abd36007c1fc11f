"""Slots for requests in flight: one queue for all workers, first come, first served."""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count
from typing import NamedTuple

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


class _Place(NamedTuple):
    """A place in the queue, by *ticket*: *turn* ends with True for a slot, with False for the lead,
    which one that *leads* always gets.
    """

    ticket: int
    turn: asyncio.Future[bool]
    leads: bool


class SlotQueue:
    """The slots that *pacer* allows.

    A slot that becomes free belongs to the first in the queue from that moment on, as all do that
    become free together. Where time has to pass, or several slots are wanted, the first leads the
    queue: no other in it gets a slot until the leader has its own, or gives up.
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
        self._tickets = count()
        self._queue: deque[_Place] = deque()
        self._is_led = False
        self._given = 0  # slots whose requests have not woken yet
        self._freed = asyncio.Event()
        self._reported_at = -math.inf
        self.gated_seconds = 0.0  # while the server wanted no requests and one waited for a slot

    @property
    def has_unsent(self) -> bool:
        """True while a request waits for a slot, or has been given one and has not woken yet."""
        return self._is_led or self._given > 0 or bool(self._queue)

    async def take(self, deadline: float) -> None:
        """Wait for a slot and take it. Raises GateClosed if it must wait beyond *deadline*."""
        if not self._queue and not self._is_led and not self._pacer.delay(self._now()):
            self._count(1)
        elif not await self._queue_up():
            try:
                await self._wait(deadline)
                self._count(1)
            finally:
                self._stop_leading()
        self._report()

    async def take_several(self, deadline: float, writes: Callable[[], int]) -> int:
        """Take a slot, and the next ones that become free up to the number of *writes*.

        Return how many were taken: fewer where the server wants no requests, or where all that are
        in flight are these. Raises GateClosed as `take` does.
        """
        await self._queue_up(leads=True)
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
        self._report()
        return held

    def release(self, slots: int) -> None:
        """Give back *slots* that no request uses."""
        self._give_back(slots)
        self.freed()

    def freed(self) -> None:
        """Hand on what is free; to be called when the pacer may allow more than before."""
        self._freed.set()
        self._hand_on()

    async def wait_for_gate(self, deadline: float) -> None:
        """Wait while the server wants no requests. Raises GateClosed as `take` does."""
        while gated := self._pacer.gate_seconds(self._now()):
            if self._now() + gated > deadline:
                raise GateClosed(gated)
            await self._sleep(gated)

    async def _queue_up(self, *, leads: bool = False) -> bool:
        """Queue. Return True with a slot, False as leader, who has to end with `_stop_leading`; one
        that *leads* always gets False.
        """
        ticket = next(self._tickets)
        while True:
            place = _Place(ticket, asyncio.get_running_loop().create_future(), leads)
            insort(self._queue, place)
            self._hand_on()
            try:
                has_slot = await place.turn
            except asyncio.CancelledError:
                if not place.turn.cancelled():
                    self._undo(has_slot=place.turn.result())
                raise
            if not has_slot:
                return False
            self._given -= 1
            if not self._pacer.gate_seconds(self._now()):
                return True
            # an answer that came together with the one that freed the slot has closed the gate
            self._give_back(1)
            self._freed.set()

    def _hand_on(self) -> None:
        """Give the slots that are free to the first in the queue, until one of them leads."""
        while self._queue and not self._is_led:
            _, turn, leads = self._queue[0]
            delay = 0.0 if turn.done() else self._pacer.delay(self._now())
            if delay == math.inf:
                return
            self._queue.popleft()
            if turn.done():  # cancelled
                continue
            if leads or delay > 0:
                self._is_led = True
            else:
                self._given += 1
                self._count(1)
            turn.set_result(not self._is_led)

    def _undo(self, *, has_slot: bool) -> None:
        """Hand on what was given to a request that was cancelled then."""
        if has_slot:
            self._given -= 1
            self.release(1)
        else:
            self._stop_leading()

    def _stop_leading(self) -> None:
        self._is_led = False
        self._hand_on()

    def _give_back(self, slots: int) -> None:
        """Count *slots* as free, which tells nothing about the pace, and wake nobody."""
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
        """Count one more slot as taken, to be used by *requests* that follow each other."""
        self._pacer.started(self._now(), requests)

    def _report(self) -> None:
        now = self._now()
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            self._emit(InFlight(self._pacer.in_flight, int(self._pacer.window)))
