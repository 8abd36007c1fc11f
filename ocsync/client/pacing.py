"""The pacer: a window of requests in flight, a gate and a rate. Pure; time is an argument.

The window starts small and doubles each round trip until the first 429 or a rise of latency, then
grows by one a round trip and is halved, at most once a round trip, when the server pushes back. A
429 with a `Retry-After` closes the gate for all requests until then, and from there on starts are
paced just below the rate that got through; the rate grows again, the faster the longer nothing is
refused. OrderCloud documents no limit and no header (guide/ordercloud.md 2.4), so all of it is
measured.
"""

from __future__ import annotations

import math
import random
from collections import deque

INITIAL_WINDOW = 4.0
_RATE_SAMPLE_SECONDS = 3.0
_RATE_MARGIN = 0.97
_RATE_GROWTH = 0.02
_NEAR_CEILING, _SLOW_GROWTH, _SLOW_GROWTH_SECONDS = 0.95, 0.1, 30.0
"""The share of the measured limit above which the rate grows this much slower, and for how long."""
_MIN_RATE = 5.0
"""The rate, in starts a second, below which no refusal sets it.

Some servers refuse for other reasons than the rate, and one that takes fewer requests sends a
`Retry-After`, which closes the gate."""
_LATENCY_SMOOTHING = 0.1


def backoff(
    attempt: int, *, first: float = 0.5, maximum: float = 30.0, jitter: float = -1.0
) -> float:
    """Return the seconds to wait after failure number *attempt*, counted from 0.

    They double up to *maximum*, and vary from half of that to all of it by *jitter* in [0, 1),
    which is random when negative.
    """
    roll = random.random() if jitter < 0 else jitter
    return min(maximum, first * 2.0 ** min(attempt, 16)) * (0.5 + roll / 2)


class Pacer:
    """The pacer of one client, up to *max_window* in flight and *max_rate* a second (0: any)."""

    def __init__(self, max_window: int, max_rate: float = 0.0) -> None:
        self.window = min(INITIAL_WINDOW, float(max_window))
        self.in_flight = 0
        self._max_window = float(max_window)
        self._max_rate = max_rate
        self._rate = max_rate
        self._rate_set = 0.0
        self._measured_limit = math.inf
        self._calm_since = 0.0
        self._next_start = 0.0
        self._gate_opens = 0.0
        self._slow_start = True
        self._last_shrink = -math.inf
        self._latency = 0.0
        self._min_latency = math.inf
        self._successes: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Return the seconds until a request may start; inf: as soon as another has ended."""
        if self.in_flight >= int(self.window):
            return math.inf
        if now < self._gate_opens:
            return self._gate_opens - now
        return max(0.0, self._next_start - now) if self._rate else 0.0

    def gate_seconds(self, now: float) -> float:
        """Return the seconds for which the server wants no requests at all."""
        return max(0.0, self._gate_opens - now)

    def started(self, now: float, requests: int = 1) -> None:
        """Record that a slot was taken for a number of *requests* that follow each other."""
        self.in_flight += 1
        if self._rate:
            self._grow_rate(now)
            self._next_start = max(now, self._next_start) + requests / self._rate

    def kept_slot(self) -> None:
        """Record that the slot of a request that has just ended is kept for the next one."""
        self.in_flight += 1

    def succeeded(self, now: float, latency: float) -> None:
        """Record an answer that arrived after *latency* seconds."""
        self._ended()
        self._record_success(now)
        self._latency += (
            _LATENCY_SMOOTHING * (latency - self._latency) if self._latency else latency
        )
        self._min_latency = min(self._min_latency, self._latency)
        if (
            self._slow_start
            and self._latency > 2 * self._min_latency + 0.02
            and self.window > INITIAL_WINDOW
        ):
            self._slow_start = False
        if self._latency > 4 * self._min_latency + 0.5:
            self._shrink(now)
        elif self.in_flight + 1 >= self.window / 2:  # a window that is not used proves nothing
            grow = 1.0 if self._slow_start else 1.0 / self.window
            self.window = min(self._max_window, self.window + grow)

    def failed(self) -> None:
        """Record the end of a request that tells nothing about the pace."""
        self._ended()

    def throttled(self, now: float, retry_after: float | None) -> None:
        """Record a refusal for the rate; *retry_after* is in seconds, None without one."""
        self._ended()
        self._shrink(now)
        if retry_after is None:
            return
        if now + retry_after > self._gate_opens + 0.05:
            self._set_rate(now)
        self._gate_opens = max(self._gate_opens, now + retry_after)
        self._calm_since = self._gate_opens

    def _ended(self) -> None:
        self.in_flight -= 1

    def _record_success(self, now: float) -> None:
        self._successes.append(now)
        while self._successes[0] < now - _RATE_SAMPLE_SECONDS:
            self._successes.popleft()

    def _shrink(self, now: float) -> None:
        self._slow_start = False
        if now - self._last_shrink >= max(self._latency, 0.05):
            self._last_shrink = now
            self.window = max(1.0, self.window / 2)

    def _set_rate(self, now: float) -> None:
        recent = [at for at in self._successes if at >= now - _RATE_SAMPLE_SECONDS]
        if len(recent) >= 2:
            measured = len(recent) / max(now - recent[0], 0.5)
            calm = now - max(recent[0], self._gate_opens)
            self._measured_limit = measured if calm > _RATE_SAMPLE_SECONDS / 2 else math.inf
            self._rate = min(max(measured * _RATE_MARGIN, _MIN_RATE), self._max_rate or math.inf)
            self._rate_set = now

    def _grow_rate(self, now: float) -> None:
        if self._rate == self._max_rate or now < self._calm_since:
            return
        calm = now - self._calm_since
        seconds = now - max(self._rate_set, self._calm_since)
        growth = _RATE_GROWTH + _RATE_GROWTH * min(calm, 10.0)
        if self._rate > _NEAR_CEILING * self._measured_limit and calm < _SLOW_GROWTH_SECONDS:
            growth *= _SLOW_GROWTH
        self._rate *= 1.0 + growth * max(seconds, 0.0)
        self._rate = min(self._rate, self._max_rate or math.inf)
        self._rate_set = now
