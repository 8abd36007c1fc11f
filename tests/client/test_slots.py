"""The queue for slots: in order, never more than the window, and no slot lost."""

from __future__ import annotations

import asyncio
import math

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.client.pacing import INITIAL_WINDOW, Pacer
from ocsync.client.slots import GateClosed, SlotQueue
from ocsync.client.throttle import ThrottleTransport

SLOTS = int(INITIAL_WINDOW)


class Clock:
    """Virtual time, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def queue_of(pacer: Pacer, clock: Clock) -> SlotQueue:
    return SlotQueue(pacer, emit=lambda _: None, sleep=clock.sleep, now=lambda: clock.now)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_slots_that_become_free_together_are_given_together() -> None:
    """Each request that waits has its slot one turn of the event loop later."""

    async def go() -> None:
        pacer, clock = Pacer(SLOTS), Clock()
        slots = queue_of(pacer, clock)
        for _ in range(SLOTS):
            await slots.take(math.inf)
        waiting = [asyncio.ensure_future(slots.take(math.inf)) for _ in range(SLOTS + 1)]
        await settle()
        assert not any(task.done() for task in waiting)
        slots.release(SLOTS)
        assert pacer.in_flight == SLOTS
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [True] * SLOTS + [False]
        slots.release(1)
        await waiting[-1]

    asyncio.run(go())


def test_nobody_gets_a_slot_before_the_one_that_waits_for_time() -> None:
    """Where a rate spaces requests, they start in the order in which they came."""

    async def go() -> list[int]:
        pacer, clock, order = Pacer(64, max_rate=10.0), Clock(), list[int]()
        slots = queue_of(pacer, clock)

        async def request(number: int) -> None:
            await slots.take(math.inf)
            order.append(number)
            slots.release(1)

        await asyncio.gather(*map(request, range(20)))
        assert clock.now >= 1.8
        return order

    assert asyncio.run(go()) == list(range(20))


def test_a_closed_gate_ends_the_wait_of_the_impatient_alone() -> None:
    async def go() -> None:
        pacer, clock = Pacer(SLOTS), Clock()
        slots = queue_of(pacer, clock)
        await slots.take(math.inf)
        pacer.throttled(clock.now, 30.0, 0.1)
        slots.freed()
        ends = [asyncio.ensure_future(slots.take(deadline)) for deadline in (10.0, math.inf)]
        done = await asyncio.gather(*ends, return_exceptions=True)
        assert isinstance(done[0], GateClosed)
        assert done[1] is None
        assert clock.now >= 30.0

    asyncio.run(go())


@pytest.mark.parametrize("moment", ["waiting", "given a slot", "given the lead", "leading"])
def test_a_cancelled_request_leaves_its_place(moment: str) -> None:
    """A slot that it was given goes to the next; so does the lead of the queue."""

    async def go() -> None:
        pacer, clock = Pacer(SLOTS), Clock()
        slots = queue_of(pacer, clock)
        for _ in range(SLOTS):
            await slots.take(math.inf)
        first = asyncio.ensure_future(
            slots.take_several(math.inf, lambda: 3) if "lead" in moment else slots.take(math.inf)
        )
        second = asyncio.ensure_future(slots.take(math.inf))
        await settle()
        if moment != "waiting":
            slots.release(1)
        if moment == "leading":
            await settle()
        first.cancel()
        await settle()
        assert first.cancelled()
        if moment == "waiting":
            assert not second.done()
            slots.release(1)
        await second
        assert pacer.in_flight == SLOTS
        assert not slots.has_unsent

    asyncio.run(go())


def test_a_gate_that_closes_meanwhile_keeps_back_what_was_given_a_slot() -> None:
    """Such requests wait again, in the order in which they came."""

    async def go() -> None:
        pacer, clock, order = Pacer(SLOTS), Clock(), list[tuple[int, bool]]()
        slots = queue_of(pacer, clock)
        for _ in range(SLOTS):
            await slots.take(math.inf)

        async def request(number: int) -> None:
            await slots.take(math.inf)
            order.append((number, clock.now >= 30.0))
            slots.release(1)

        requests = [asyncio.ensure_future(request(number)) for number in range(6)]
        await settle()
        slots.release(2)
        pacer.throttled(clock.now, 30.0, 0.1)
        slots.freed()
        await settle()
        slots.release(1)
        await asyncio.gather(*requests)
        assert order == [(number, True) for number in range(6)]
        assert pacer.in_flight == 0

    asyncio.run(go())


@pytest.mark.parametrize("waiting", [1, 4, 8, 9])
def test_what_waits_is_sent_before_a_burst_of_answers_is_worked_on(waiting: int) -> None:
    sent, worked, order = "sent", "worked on", list[str]()

    async def go() -> None:
        pacer, burst = Pacer(8), asyncio.Event()
        pacer.widen(8)

        class Server(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                order.append(sent)
                await burst.wait()
                return httpx.Response(200)

        throttle = ThrottleTransport(
            Server(), pacer, attempt_seconds=60, emit=lambda _: None, sleep=asyncio.sleep,
            now=lambda: 0.0,
        )  # fmt: skip

        async def request() -> None:
            await throttle.handle_async_request(httpx.Request("GET", "http://x/"))
            order.append(worked)

        requests = [asyncio.ensure_future(request()) for _ in range(8 + waiting)]
        await settle()
        assert order == [sent] * 8
        burst.set()
        await asyncio.gather(*requests)

    asyncio.run(go())
    assert order.index(worked) == 8 + waiting


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["take", "several", "release", "cancel", "refuse", "turn"]),
        st.integers(0, 9),
    ),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(ACTIONS, st.sampled_from([0.0, 5.0]))
def test_whatever_happens_the_window_holds_and_all_are_served(
    actions: list[tuple[str, int]], rate: float
) -> None:
    """Requests come, end, are refused and cancelled in any order: in the end no slot is missing."""

    async def go() -> None:
        pacer, clock = Pacer(SLOTS, rate), Clock()
        slots = queue_of(pacer, clock)
        tasks: list[asyncio.Task[int]] = []
        released: set[asyncio.Task[int]] = set()

        async def take(several: int) -> int:
            if several:
                return await slots.take_several(math.inf, lambda: several)
            await slots.take(math.inf)
            return 1

        def release(*, everything: bool = False, refused: int = 0) -> None:
            held = [t for t in tasks if t.done() and not t.cancelled() and t not in released]
            for task in held if everything else held[:1]:
                released.add(task)
                if refused:
                    pacer.throttled(clock.now, float(refused), 0.1)
                    slots.freed()
                slots.release(task.result() - bool(refused))

        for action, number in actions:
            if action in ("take", "several"):
                wanted = number % 5 if action == "several" else 0
                tasks.append(asyncio.ensure_future(take(wanted)))
            elif action == "cancel" and tasks:
                tasks[number % len(tasks)].cancel()
            elif action in ("release", "refuse"):
                release(refused=1 + number if action == "refuse" else 0)
            else:
                await asyncio.sleep(0)
            assert 0 <= pacer.in_flight <= SLOTS
        while not all(task.done() for task in tasks):
            await settle()
            release(everything=True)
            assert 0 <= pacer.in_flight <= SLOTS
        release(everything=True)
        assert pacer.in_flight == 0
        assert not slots.has_unsent

    asyncio.run(go())
