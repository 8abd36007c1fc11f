"""Slots for attempts: one pacer for all workers, first come, first served."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from time import time

import httpx

from ocsync.client.aiohttp_import import aiohttp
from ocsync.client.pacing import Pacer
from ocsync.client.transport import header_of
from ocsync.events import Emit, InFlight, Waiting

THROTTLED = "throttled by OrderCloud"
"""The reason of a wait that OrderCloud asks for."""
_REPORT_SECONDS = 0.2
_MOST_TOGETHER = 10
"""The most slots that one turn may take; the first are idle until it has the last."""


class GateClosed(httpx.PoolTimeout):
    """The gate stays closed for *seconds*, longer than this request may wait; it was never sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"OrderCloud asks to wait {seconds:,.0f} s")
        self.seconds = seconds


class _Turn:
    """Slots held for a number of requests that need not queue.

    A request that the server refuses, or whose answer is lost, counts again when it is repeated.
    No slot is held that no request of the turn can use, and none from then on that one of them has
    to queue: it might wait for that slot.
    """

    def __init__(self, requests: int, slots: int) -> None:
        self._requests = requests
        self._running = 0
        self._keeps_slots = True
        self.idle_slots = slots

    def begin(self) -> bool:
        """Take a slot for a request; return False where it has to queue as any other."""
        if self._requests == self._running or not self.idle_slots:
            self._keeps_slots = False
            return False
        self._running += 1
        self.idle_slots -= 1
        return True

    def end(self, *, final: bool) -> bool:
        """Record the end of a request; return whether its slot is kept for another one."""
        self._running -= 1
        self._requests -= final
        kept = self._keeps_slots and self._requests - self._running > self.idle_slots
        self.idle_slots += kept
        return kept

    def close(self) -> int:
        """Return the slots that no request has used, which are not held any more."""
        slots, self.idle_slots = self.idle_slots, 0
        return slots


_current_turn: ContextVar[_Turn | None] = ContextVar("current_turn", default=None)


class ThrottleTransport(httpx.AsyncBaseTransport):
    """A transport that bounds the requests in flight; *inner* reads each answer whole.

    *attempt_seconds* bounds an attempt from its first byte to the last byte of its answer.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        pacer: Pacer,
        *,
        attempt_seconds: float,
        emit: Emit,
        sleep: Callable[[float], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._pacer = pacer
        self._attempt_seconds = attempt_seconds
        self._emit = emit
        self._sleep = sleep
        self._now = now
        self._queue = asyncio.Lock()
        self._slot_freed = asyncio.Event()
        self._reported_at = -math.inf
        self._gated_seconds = 0.0
        self.requests_sent = 0
        self.requests_throttled = 0
        self.last_retry_after = ""

    @property
    def in_flight(self) -> int:
        """The number of attempts sent whose answer has not arrived yet."""
        return self._pacer.in_flight

    @property
    def window(self) -> int:
        """The number of attempts that may be in flight."""
        return int(self._pacer.window)

    def widen(self, window: float) -> None:
        """Begin with *window* attempts in flight, which the server has been shown to take."""
        self._pacer.widen(window)

    def take_peak(self) -> int:
        """Return the largest number of attempts in flight since the last call."""
        return self._pacer.take_peak()

    @asynccontextmanager
    async def turn(self, writes: Callable[[], int], *, max_wait: float) -> AsyncIterator[int]:
        """Take slots for a read in the block and then up to *writes* requests side by side.

        Yield for how many of them there are slots: none of these need queue. *writes* is asked once
        the first slot is free. A request of the block that finds the gate closed is not sent at
        all: GateClosed. Raises GateClosed when the gate stays closed for longer than *max_wait*
        seconds.
        """
        slots = await self._acquire_slots(self._now() + max_wait, writes)
        turn = _Turn(1 + slots, slots)
        token = _current_turn.set(turn)
        try:
            yield slots
        finally:
            _current_turn.reset(token)
            self._release(turn.close())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one attempt. Raises httpx.TransportError.

        The request's `deadline` bounds how long the server may delay it. Time in our own queue is
        added to it, as the server does not cause that. A `sign_in` takes no slot of others: those
        that hold one may be waiting for its token.
        """
        if request.extensions.get("sign_in"):
            await self._wait_for_gate(request.extensions.get("deadline", math.inf))
            self._pacer.started(self._now())
            self.requests_sent += 1
            return await self._attempt(request)
        turn = _current_turn.get()
        if turn and turn.idle_slots and (gated := self._pacer.gate_seconds(self._now())):
            raise GateClosed(gated)
        if turn and turn.begin():
            self.requests_sent += 1
            final = False
            try:
                response = await self._attempt(request)
                final = response.status_code not in (401, 429) and response.status_code < 500
                return response
            finally:
                if turn.end(final=final):
                    self._pacer.kept_slot()
        queued, held = self._now(), self._gated_seconds
        await self._acquire_slot(request.extensions.get("deadline", math.inf))
        self.requests_sent += 1
        own = self._now() - queued - (self._gated_seconds - held)
        if "deadline" in request.extensions:
            request.extensions["deadline"] += max(own, 0.0)
        return await self._attempt(request)

    async def _attempt(self, request: httpx.Request) -> httpx.Response:
        start = self._now()
        try:
            async with asyncio.timeout(self._attempt_seconds):
                response = await self._inner.handle_async_request(request)
        except TimeoutError as late:
            self._pacer.failed()
            raise httpx.ReadTimeout(f"no response within {self._attempt_seconds:.0f} s") from late
        except (aiohttp.ClientError, OSError) as error:
            self._pacer.failed()
            text = str(error) or type(error).__name__
            raise httpx.RemoteProtocolError(text.splitlines()[0]) from error
        except BaseException:
            self._pacer.failed()
            raise
        finally:
            self._slot_freed.set()
        self._update_pacer(response, self._now() - start)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _acquire_slot(self, deadline: float) -> None:
        async with self._queue:
            await self._wait_for_slot(deadline)
            self._take_slot(1)

    async def _acquire_slots(self, deadline: float, writes: Callable[[], int]) -> int:
        """Take a slot, and the next ones that become free up to the number of *writes*.

        Return how many were taken: fewer where the server wants no requests, or where all that are
        in flight are these.
        """
        async with self._queue:
            await self._wait_for_slot(deadline)
            self._take_slot(2)
            held = 1
            try:
                most = min(_MOST_TOGETHER, max(2, int(self._pacer.window) // 2))
                wanted = min(writes(), most)
                while held < wanted and await self._next_slot(held):
                    self._take_slot(1)
                    held += 1
            except BaseException:
                self._release(held)
                raise
            return held

    async def _next_slot(self, held: int) -> bool:
        """Wait for a free slot; return False when none becomes free unless those *held* do."""
        while (delay := self._pacer.delay(self._now())) > 0:
            if self._pacer.gate_seconds(self._now()):
                return False
            if delay < math.inf:
                await self._sleep(delay)
            elif self._pacer.in_flight <= held:
                return False
            else:
                self._slot_freed.clear()
                await self._slot_freed.wait()
        return True

    def _release(self, slots: int) -> None:
        """Give back *slots* that no request uses."""
        for _ in range(slots):
            self._pacer.failed()
        self._slot_freed.set()

    async def _wait_for_slot(self, deadline: float) -> None:
        while (delay := self._pacer.delay(self._now())) > 0:
            if delay == math.inf:
                self._slot_freed.clear()
                await self._slot_freed.wait()
            else:
                gated = self._pacer.gate_seconds(self._now())
                if gated and self._now() + gated > deadline:
                    raise GateClosed(gated)
                if gated >= 1:
                    self._emit(Waiting(gated, THROTTLED))
                before = self._now()
                await self._sleep(delay)
                self._gated_seconds += self._now() - before if gated else 0.0

    def _take_slot(self, requests: int) -> None:
        now = self._now()
        self._pacer.started(now, requests)
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            self._emit(InFlight(self._pacer.in_flight, self.window))

    async def _wait_for_gate(self, deadline: float) -> None:
        while gated := self._pacer.gate_seconds(self._now()):
            if self._now() + gated > deadline:
                raise GateClosed(gated)
            await self._sleep(gated)

    def _update_pacer(self, response: httpx.Response, latency: float) -> None:
        if response.status_code in (429, 503):
            self.requests_throttled += 1
            self.last_retry_after = header_of(response, "retry-after")
            self._pacer.throttled(self._now(), retry_after(response), latency)
        elif response.status_code >= 500:
            self._pacer.failed()
        else:
            self._pacer.succeeded(self._now(), latency)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of a `Retry-After` (a number or a date), or None if it has none."""
    text = header_of(response, "retry-after").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
