"""The pace, in virtual time: 5,000 requests take a moment here."""

from __future__ import annotations

import heapq
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.client.pacing import Pacer, backoff


class Bucket:
    """A server that takes *rate* a second, with a burst, and says when to come back."""

    def __init__(self, rate: float, burst: float, *, header: bool = True) -> None:
        self.rate, self.level, self.burst, self.at, self.header = rate, burst, burst, 0.0, header

    def takes(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


def simulate(pace: Pacer, server: Bucket | None, requests: int, seed: int = 1) -> tuple[float, int]:
    """Seconds until all got through, and how many 429s that took."""
    dice = random.Random(seed)
    now, refused, waiting, done = 0.0, 0, requests, 0
    flying: list[tuple[float, float, bool]] = []
    while done < requests:
        delay = pace.delay(now) if waiting else math.inf
        if delay == 0:
            latency = dice.uniform(0.03, 0.15)
            taken = server.takes(now + latency / 2) if server else True
            heapq.heappush(flying, (now + latency, latency, taken))
            pace.started(now)
            waiting -= 1
            continue
        landing = flying[0][0] if flying else math.inf
        if now + delay < landing:
            now += delay
            continue
        now, latency, taken = heapq.heappop(flying)
        if taken:
            done += 1
            pace.succeeded(now, latency)
        else:
            refused += 1
            waiting += 1
            pace.throttled(now, 1.0 if server and server.header else None)
    return now, refused


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_limited_server_is_kept_busy_with_few_refusals(seed: int) -> None:
    ideal = (5000 - 100) / 100
    seconds, refused = simulate(Pacer(64), Bucket(100, 100), 5000, seed)

    assert seconds <= 1.1 * ideal
    assert refused / 5000 <= 0.05


def test_a_server_that_does_not_say_when_to_come_back() -> None:
    seconds, refused = simulate(Pacer(64), Bucket(100, 100, header=False), 5000)
    assert seconds <= 1.3 * 49
    assert refused / 5000 <= 0.5


@pytest.mark.parametrize("cap", [8, 16, 32, 64])
def test_without_a_limit_the_window_is_used(cap: int) -> None:
    """Ordinary jitter is no rise of latency."""
    ideal = 5000 * 0.09 / cap
    seconds, refused = simulate(Pacer(cap), None, 5000)
    assert seconds <= 1.1 * ideal + 0.5
    assert refused == 0


def test_a_rate_of_the_operators_is_kept() -> None:
    seconds, _ = simulate(Pacer(64, max_rate=50.0), None, 500)
    assert seconds >= 499 / 50


def test_the_window_starts_small_and_is_halved_once_a_round_trip() -> None:
    pace = Pacer(16)
    assert pace.window == 4
    for _ in range(4):
        pace.started(0.0)
    pace.succeeded(0.1, 0.1)
    pace.throttled(0.2, None)
    small = pace.window
    pace.throttled(0.21, None)
    assert (small, pace.window) == (2.5, 2.5)


def test_a_gate_holds_everybody() -> None:
    pace = Pacer(16)
    pace.started(0.0)
    pace.throttled(1.0, 3.0)
    assert pace.delay(2.0) == 2.0
    assert pace.gate_seconds(4.0) == 0


@given(st.integers(0, 60), st.floats(0, 0.999))
def test_waits_are_capped_and_never_shrink_below_half(attempt: int, jitter: float) -> None:
    wait = backoff(attempt, jitter=jitter)
    assert 0.25 <= wait <= 30.0
