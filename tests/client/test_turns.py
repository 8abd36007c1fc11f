"""Turns: slots for a read and the writes that follow it, which are never lost and never too many."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.client.pacing import Pacer
from ocsync.client.slots import GateClosed
from ocsync.client.throttle import ThrottleTransport

URL = "http://x/"
MOST = 6
"""The largest window of these tests."""


class Server(httpx.AsyncBaseTransport):
    """A network in virtual time, with the statuses of its answers; it counts what is under way."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.now = self.most = self.running = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(1 + len(request.url.path) % 3):  # some answers take longer than others
            await asyncio.sleep(0)
        self.running -= 1
        self.now += 1
        status = self.statuses.pop() if self.statuses else 200
        if status == 0:
            raise httpx.ReadError("broken")
        headers = {"retry-after": "3"} if status == 429 else None
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b""))


def throttled(server: Server, pace: Pacer) -> ThrottleTransport:
    async def sleep(seconds: float) -> None:
        server.now += int(seconds) + 1
        await asyncio.sleep(0)

    return ThrottleTransport(
        server, pace, attempt_seconds=60, emit=lambda _: None, sleep=sleep, now=lambda: server.now
    )


async def send(throttle: ThrottleTransport, path: str) -> bool:
    try:
        await throttle.handle_async_request(httpx.Request("GET", URL + path))
    except (GateClosed, httpx.TransportError):
        return False
    return True


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 3), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    ),
    st.lists(st.sampled_from([200, 200, 200, 429, 500, 503, 0]), max_size=40),
)
def test_slots_come_back_and_the_window_holds(
    turns: list[tuple[int, int, int]], statuses: list[int]
) -> None:
    """Whatever is refused or breaks, and however much of a turn is used: everybody comes through.

    A turn of *wanted* slots spares some of its writes, and repeats its read.
    """

    async def take(throttle: ThrottleTransport, wanted: int, spared: int, again: int) -> int:
        async with throttle.turn(lambda: wanted, max_wait=10_000) as slots:
            assert 1 <= slots <= max(1, wanted)
            reads = [await send(throttle, "read") for _ in range(1 + again)]
            if reads[-1]:
                paths = [f"w{'x' * n}" for n in range(max(0, slots - spared))]
                await asyncio.gather(*(send(throttle, path) for path in paths))
        await send(throttle, "later")
        return slots

    async def go() -> Any:
        server, pace = Server([*statuses]), Pacer(MOST)
        throttle = throttled(server, pace)
        async with asyncio.timeout(20):
            await asyncio.gather(*(take(throttle, *turn) for turn in turns))
        assert pace.in_flight == 0
        assert server.most <= MOST

    asyncio.run(go())


def test_several_slots_are_one_turn_where_there_is_room() -> None:
    async def go() -> tuple[int, int]:
        server, pace = Server([]), Pacer(64)
        async with throttled(server, pace).turn(lambda: 20, max_wait=1) as slots:
            return slots, int(pace.window)

    slots, window = asyncio.run(go())
    assert slots == max(2, window // 2), "half the window"
