"""Servers that refuse, and a client of many workers, in virtual time.

A `Model` is a row of data: what the server limits, what it answers with, and how the ideal client
would fare. `simulate` sends requests to it through a pacer as the throttle and the retries do.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import NamedTuple, Protocol

from ocsync.client.pacing import Pacer, backoff

_TIMER_LATENESS = 0.0005
"""Seconds by which a timer of the event loop is late, on average."""


class Model(NamedTuple):
    """A server. Rates are requests a second; 0 and () mean that it has no such limit."""

    name: str
    requests: int = 2000
    concurrency: int = 16
    latency: tuple[float, float] = (0.04, 0.06)
    rates: tuple[tuple[float, float], ...] = ()
    """(from second, rate) of a token bucket of *burst*."""
    burst: float = 25.0
    others: tuple[float, float] = (0.0, 0.0)
    """(requests, seconds): another client sends so many at once, every so many seconds."""
    window: tuple[int, float] = (0, 0.0)
    """(requests, seconds) of a fixed window."""
    cap: int = 0
    """Requests in flight."""
    stray: float = 0.0
    """The share of all requests that is refused for no reason."""
    capacity: float = 0.0
    """Requests a second that it works off; others queue, and their latency rises."""
    closed: tuple[float, float] = (0.0, 0.0)
    """(from second, to second): every request is refused."""
    header: float | None = None
    """Seconds of its `Retry-After`; inf: until it would accept; nan: a date of whole seconds."""


class Result(NamedTuple):
    """What came of a simulation."""

    seconds: float
    refused: int
    longest_run: int
    """The most refusals of one request."""
    requests: int

    @property
    def share(self) -> float:
        """Refusals as a share of all answers."""
        return self.refused / (self.refused + self.requests)


class Pace(Protocol):
    """The part of the pacer that a client uses."""

    def delay(self, now: float) -> float: ...
    def started(self, now: float, requests: int = 1) -> None: ...
    def succeeded(self, now: float, latency: float) -> None: ...
    def throttled(self, now: float, retry_after: float | None, latency: float) -> None: ...


class Fixed:
    """A simple client's pace: a fixed number in flight, each waits alone."""

    def __init__(self, window: int) -> None:
        self.in_flight, self.window = 0, window

    def delay(self, now: float) -> float:
        return math.inf if self.in_flight >= self.window else 0.0

    def started(self, now: float, requests: int = 1) -> None:
        self.in_flight += 1

    def succeeded(self, now: float, latency: float) -> None:
        self.in_flight -= 1

    def throttled(self, now: float, retry_after: float | None, latency: float) -> None:
        self.in_flight -= 1


class Server:
    """The state of a model."""

    def __init__(self, model: Model, dice: random.Random) -> None:
        self.model, self._dice = model, dice
        self._tokens, self._at = model.burst, 0.0
        self._other = 0.0
        self._window, self._used = 0, 0
        self._processing: list[float] = []
        self._idle_from = 0.0

    def answer(self, now: float, latency: float) -> tuple[float, float | None]:
        """Return when the answer leaves, and NaN for an acceptance or else the `Retry-After`."""
        model = self.model
        retry_in = self._refuse(now)
        if retry_in is None:
            leaves = now + latency
            if model.capacity:
                self._idle_from = max(now, self._idle_from) + 1 / model.capacity
                leaves = self._idle_from + latency
            heapq.heappush(self._processing, leaves)
            return leaves, math.nan
        if model.header is None:
            return now + latency, None
        if math.isnan(model.header):
            return now + latency, self._dice.uniform(0.0, 1.0) + retry_in
        return now + latency, math.ceil(retry_in) if math.isinf(model.header) else model.header

    def _refuse(self, now: float) -> float | None:
        """Return the seconds until it would accept, None if it accepts now."""
        model = self.model
        if model.closed[0] <= now < model.closed[1]:
            return model.closed[1] - now
        if model.stray and self._dice.random() < model.stray:
            return 1.0
        if model.cap:
            while self._processing and self._processing[0] <= now:
                heapq.heappop(self._processing)
            if len(self._processing) >= model.cap:
                return 1.0
        if model.window[0]:
            number = int(now / model.window[1])
            if number != self._window:
                self._window, self._used = number, 0
            if self._used >= model.window[0]:
                return (number + 1) * model.window[1] - now
            self._used += 1
        return self._take_token(now) if model.rates else None

    def _take_token(self, now: float) -> float | None:
        requests, period = self.model.others
        while requests and self._other <= now:
            self._refill(self._other)
            self._tokens -= min(requests, math.floor(self._tokens))
            self._other += period
        rate = self._refill(now)
        if self._tokens < 1:
            return (1 - self._tokens) / rate
        self._tokens -= 1
        return None

    def _refill(self, now: float) -> float:
        rate = [rate for start, rate in self.model.rates if start <= now][-1]
        self._tokens = min(self.model.burst, self._tokens + (now - self._at) * rate)
        self._at = now
        return rate


def retry_wait(asked: float | None, attempt: int, dice: random.Random) -> float:
    """Return the seconds that a request waits after its refusal number *attempt*, from 1."""
    if asked is None:
        return backoff(attempt - 1, jitter=dice.random())
    floor = 0.0 if attempt == 1 else backoff(attempt - 2, first=0.1, maximum=1.0, jitter=0.5)
    return max(asked, floor)


def simulate(model: Model, pace: Pace, workers: int, seed: int = 1) -> Result:
    """Send the model's requests by *workers*, each of which has one until it got through."""
    dice = random.Random(seed)
    server = Server(model, random.Random(seed + 1000))
    tick = count()
    events: list[tuple[float, int, str, int, float, float | None]] = []
    queue = deque([1] * min(workers, model.requests))
    left = model.requests - len(queue)
    now, refused, done, longest = 0.0, 0, 0, 0
    wake = math.inf  # when the first of the queue looks again

    def at(time: float, what: str, attempt: int, start: float, asked: float | None = None) -> None:
        heapq.heappush(events, (time, next(tick), what, attempt, start, asked))

    while done < model.requests:
        while queue and wake == math.inf:
            delay = pace.delay(now)
            if delay > 0:
                wake = now + delay + 2 * _TIMER_LATENESS * dice.random()
                break
            pace.started(now)
            latency = dice.uniform(*model.latency)
            at(now + 0.1 * latency, "arrives", queue.popleft(), now, 0.9 * latency)
        if wake < (events[0][0] if events else math.inf):
            now, wake = wake, math.inf
            continue
        now, _, what, attempt, start, value = heapq.heappop(events)
        if what == "arrives":
            leaves, asked = server.answer(now, value or 0.0)
            at(leaves, "answer", attempt, start, asked)
        elif what == "wakes":
            queue.append(attempt)
        elif value is not None and math.isnan(value):
            pace.succeeded(now, now - start)
            done += 1
            if left:
                left -= 1
                queue.append(1)
        else:
            pace.throttled(now, value, now - start)
            refused, longest = refused + 1, max(longest, attempt)
            at(now + retry_wait(value, attempt, dice), "wakes", attempt + 1, now)
    return Result(now, refused, longest, model.requests)


def ours(model: Model, seed: int = 1, pacer: Callable[[int], Pace] = Pacer) -> Result:
    """Simulate a resume: twice as many workers as may be in flight, and the pacer."""
    return simulate(model, pacer(model.concurrency), 2 * model.concurrency, seed)


def simple(model: Model, seed: int = 1) -> Result:
    """Simulate a simple loop: as many workers as may be in flight, each waits alone."""
    return simulate(model, Fixed(model.concurrency), model.concurrency, seed)


def ideal(model: Model, seed: int = 1) -> float:
    """Return the seconds that a client with our workers needs if it knows the limits.

    It takes its fair share of a shared limit, and waits as long as stray refusals ask for.
    """
    latency = sum(model.latency) / 2
    sent, cap = model.requests / (1 - model.stray), model.cap or model.concurrency
    seconds = sent * latency / min(cap, model.concurrency)
    if model.stray and not model.rates:
        unpaced = simulate(model, Fixed(model.concurrency), 2 * model.concurrency, seed)
        seconds = max(seconds, unpaced.seconds)
    if model.capacity:
        seconds = max(seconds, model.requests / model.capacity)
    if model.window[0]:
        number, period = model.window
        full = (model.requests - 1) // number
        last = model.requests - full * number
        seconds = max(seconds, full * period + last * latency / model.concurrency)
    if model.rates:
        seconds = max(seconds, _fluid(model))
    return seconds + max(0.0, model.closed[1] - model.closed[0])


def _fluid(model: Model) -> float:
    """Return when a token bucket, the other client's part taken away, has passed all requests."""
    requests, period = model.others
    taken = min(requests, model.burst) / period if requests else 0.0
    left, now, step = model.requests - model.burst, 0.0, 0.01
    while left > 0:
        rate = [rate for start, rate in model.rates if start <= now][-1]
        left -= max(rate - taken, 0.0) * step
        now += step
    return now


_INF, _DATE = math.inf, math.nan
_HEADERS: tuple[tuple[str, float | None], ...] = (
    ("no header", None), ("Retry-After 0.2", 0.2), ("Retry-After 1", 1.0),
    ("Retry-After 5", 5.0), ("a date", _DATE),
)  # fmt: skip
_100 = ((0.0, 100.0),)
_WIDE = (0.03, 0.15)

MODELS: tuple[Model, ...] = (
    Model("no limit"),
    Model("no limit, 64", concurrency=64),
    *(
        Model(f"bucket {rate}/s, {'Retry-After' if header else 'no header'}{', 64' * (many > 16)}",
              rates=((0.0, float(rate)),), burst=rate / 4, header=header, concurrency=many,
              requests=min(2000, 40 * rate))
        for many in (16, 64) for rate in (5, 20, 100, 400) for header in (_INF, None)
    ),
    Model("bucket 100/s, 30 to 150 ms", 5000, 64, _WIDE, rates=_100, burst=100, header=_INF),
    Model("bucket 100/s, 30 to 150 ms, no header", 5000, 64, _WIDE, rates=_100, burst=100),
    *(
        Model(f"bucket 100/s, 2 ms, {'Retry-After' if header else 'no header'}", 3000, many,
              (0.001, 0.003), rates=_100, header=header)
        for many in (16, 64) for header in (_INF, None)
    ),
    Model("window 1,000 in 10 s, Retry-After", 5000, 16, _WIDE, window=(1000, 10.0), header=_INF),
    Model("window 1,000 in 10 s, no header", 5000, 16, _WIDE, window=(1000, 10.0)),
    Model("window 100 in 1 s, Retry-After", 3000, window=(100, 1.0), header=_INF),
    Model("window 100 in 1 s, no header", 3000, window=(100, 1.0)),
    Model("8 in flight", cap=8),
    Model("8 in flight, Retry-After 1", cap=8, header=1.0),
    Model("16 in flight, of 64", 5000, 64, _WIDE, cap=16),
    Model("16 in flight, of 64, Retry-After 1", 5000, 64, _WIDE, cap=16, header=1.0),
    *(
        Model(f"100, 30, 100/s, {'Retry-After' if header else 'no header'}", 4000,
              rates=((0.0, 100.0), (12.0, 30.0), (27.0, 100.0)), header=header)
        for header in (_INF, None)
    ),
    Model("300, 20, 300/s, Retry-After", 4000, rates=((0.0, 300.0), (5.0, 20.0), (15.0, 300.0)),
          burst=50, header=_INF),
    *(
        Model(f"100/s shared, {name}, {'Retry-After' if header else 'no header'}", rates=_100,
              others=others, header=header)
        for name, others in (("60/s", (1.0, 1 / 60)), ("60 at once", (60.0, 1.0)),
                             ("25 at once, 2 s", (25.0, 2.0)))
        for header in (_INF, None)
    ),
    *(
        Model(f"{share:.1%} stray, {name}", stray=share, header=header)
        for share in (0.001, 0.01, 0.03, 0.1, 0.3) for name, header in _HEADERS
    ),
    Model("1.0% stray, Retry-After 1, 64", concurrency=64, stray=0.01, header=1.0, requests=5000),
    Model("10.0% stray, Retry-After 1, 64", concurrency=64, stray=0.1, header=1.0, requests=5000),
    Model("100/s and 3% stray, Retry-After 1", rates=_100, stray=0.03, header=1.0),
    Model("works off 200/s", capacity=200.0),
    Model("works off 30/s", capacity=30.0, requests=600),
    Model("works off 30/s, 64", capacity=30.0, requests=600, concurrency=64),
    Model("closed for 10 s, Retry-After", closed=(2.0, 12.0), header=_INF),
    Model("closed for 10 s, no header", closed=(2.0, 12.0)),
)  # fmt: skip
