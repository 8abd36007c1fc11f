"""Attempts, as many as there are slots for them, and turns that hold slots for several."""

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
from ocsync.client.slots import GateClosed, SlotQueue
from ocsync.client.transport import header_of
from ocsync.events import Emit

_LOOP_TURNS = 2
"""Turns of the event loop after an answer before it is worked on, while other requests wait.

In the first the other answers that came together with it free their slots, as far as they have not
yet; in the second all that were given these slots are sent.
"""


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
        self._slots = SlotQueue(pacer, emit=emit, sleep=sleep, now=now)
        self._attempt_seconds = attempt_seconds
        self._now = now
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
        self._slots.freed()

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
        slots = await self._slots.take_several(self._now() + max_wait, writes)
        turn = _Turn(1 + slots, slots)
        token = _current_turn.set(turn)
        try:
            yield slots
        finally:
            _current_turn.reset(token)
            self._slots.release(turn.close())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one attempt. Raises httpx.TransportError.

        The request's `deadline` bounds how long the server may delay it. Time in our own queue is
        added to it, as the server does not cause that. A `sign_in` takes no slot of others: those
        that hold one may be waiting for its token.
        """
        if request.extensions.get("sign_in"):
            await self._slots.wait_for_gate(request.extensions.get("deadline", math.inf))
            self._pacer.started(self._now())
            return await self._attempt(request)
        turn = _current_turn.get()
        if turn and turn.idle_slots and (gated := self._pacer.gate_seconds(self._now())):
            raise GateClosed(gated)
        if turn and turn.begin():
            return await self._attempt(request, turn)
        queued, held = self._now(), self._slots.gated_seconds
        await self._slots.take(request.extensions.get("deadline", math.inf))
        own = self._now() - queued - (self._slots.gated_seconds - held)
        if "deadline" in request.extensions:
            request.extensions["deadline"] += max(own, 0.0)
        response = await self._attempt(request)
        if self._slots.has_unsent:
            for _ in range(_LOOP_TURNS):
                await asyncio.sleep(0)
        return response

    async def _attempt(self, request: httpx.Request, turn: _Turn | None = None) -> httpx.Response:
        """Send *request* in the slot that was taken for it; hand that on, or back to *turn*."""
        self.requests_sent += 1
        start, final = self._now(), False
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
        else:
            final = response.status_code not in (401, 429) and response.status_code < 500
            self._update_pacer(response, self._now() - start)
            return response
        finally:
            if turn and turn.end(final=final):
                self._pacer.kept_slot()
            self._slots.freed()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

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
