"""The pace, in virtual time: 5,000 requests take a moment here."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.client.pacing import Pacer, backoff
from tests.client.pace_models import MODELS, Fixed, Model, ideal, ours, simple, simulate

NO_LIMIT = Model("no limit", 5000, 64, (0.03, 0.15))
LIMIT = 1.3


@pytest.mark.quick(4)
@pytest.mark.parametrize("model", MODELS[::6], ids=lambda model: model.name)
def test_a_server_makes_the_pace_hardly_worse_than_the_best_policy(model: Model) -> None:
    hold_to_the_best_policy(model)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_no_server_makes_the_pace_much_worse_than_the_best_policy(model: Model) -> None:
    hold_to_the_best_policy(model)


def hold_to_the_best_policy(model: Model) -> None:
    """As `python -m tests.benchmarks.pace` shows it."""
    seconds = sum(ours(model, seed).seconds for seed in (1, 2))
    best = sum(min(ideal(model, seed), simple(model, seed).seconds) for seed in (1, 2))
    assert seconds <= LIMIT * best + 0.4


@pytest.mark.quick(2)
@pytest.mark.parametrize("concurrency", [16, 64])
@pytest.mark.parametrize("header", [None, math.inf], ids=["no header", "Retry-After"])
def test_a_limit_is_used_with_few_refusals(header: float | None, concurrency: int) -> None:
    model = Model("", 2000, concurrency, rates=((0.0, 100.0),), header=header)
    results = [ours(model, seed) for seed in range(1, 6)]
    assert fmean(r.seconds for r in results) <= 1.05 * ideal(model)
    assert fmean(r.share for r in results) <= 0.02


@pytest.mark.quick(2)
@pytest.mark.parametrize("latency", [(0.001, 0.003), (0.03, 0.15)], ids=["2 ms", "90 ms"])
@pytest.mark.parametrize("concurrency", [16, 64, 256])
def test_a_limit_is_not_taken_for_chance(concurrency: int, latency: tuple[float, float]) -> None:
    """Whatever is in flight, and however fast the answers come: some cut always shows an effect."""
    for header, burst in ((None, 25.0), (math.inf, 100.0)):
        model = Model("", 3000, concurrency, latency, ((0.0, 100.0),), burst, header=header)
        assert max(ours(model, seed).share for seed in (14, 28)) <= 0.1


@pytest.mark.parametrize("cap", [8, 16, 32, 64])
def test_without_a_limit_the_window_is_used(cap: int) -> None:
    """Ordinary jitter is no rise of latency."""
    result = ours(NO_LIMIT._replace(concurrency=cap))
    assert result.seconds <= 1.1 * 5000 * 0.09 / cap + 0.5


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    share=st.floats(0.001, 0.3),
    header=st.sampled_from([None, 0.0, 0.2, 1.0, 5.0, math.nan]),
    concurrency=st.sampled_from([4, 16, 64]),
    seed=st.integers(0, 99),
)
def test_stray_refusals_slow_only_their_own_requests(
    share: float, header: float | None, concurrency: int, seed: int
) -> None:
    """All of it but a few seconds, and the waits of the one request that had the worst luck."""
    model = Model("", 1000, concurrency, stray=share, header=header)
    unpaced = simulate(model, Fixed(concurrency), 2 * concurrency, seed).seconds
    result = ours(model, seed)
    own = sum(
        backoff(n - 1, jitter=1.0)
        if header is None
        else (1.5 if math.isnan(header) else header + 1.0)
        for n in range(1, result.longest_run + 1)
    )
    assert result.seconds <= 1.3 * unpaced + 5 + own


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    rates=st.lists(st.floats(10.0, 400.0), min_size=1, max_size=3),
    burst=st.floats(5.0, 100.0),
    header=st.sampled_from([None, math.inf]),
    stray=st.sampled_from([0.0, 0.02]),
    cap=st.sampled_from([0, 0, 6]),
    seed=st.integers(0, 99),
)
def test_no_limit_starves_a_request(
    rates: list[float], burst: float, header: float | None, stray: float, cap: int, seed: int
) -> None:
    """However limits mix and change, all get through: over half of what the server would take."""
    times = tuple((5.0 * n, rate) for n, rate in enumerate(rates))
    model = Model("", 400, 16, rates=times, burst=burst, header=header, stray=stray, cap=cap)
    result = ours(model, seed)
    assert result.seconds <= ideal(model._replace(requests=800)) + 40
    assert result.longest_run <= 15


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "success", "refusal", "failure"]),
        st.floats(0.0, 2.0), st.floats(0.0, 3.0), st.sampled_from([None, 0.0, 0.2, 5.0]),
    ), max_size=150,
)  # fmt: skip


@settings(max_examples=150)
@given(_EVENTS, st.integers(1, 8), st.sampled_from([0.0, 0.5, 50.0]))
def test_whatever_is_answered_the_pace_is_bounded(
    events: list[tuple[str, float, float, float | None]], most: int, max_rate: float
) -> None:
    pace, now = Pacer(most, max_rate), 100.0
    for kind, seconds, latency, header in events:
        now += seconds
        if kind == "start" and pace.delay(now) == 0:
            pace.started(now)
        elif pace.in_flight and kind == "success":
            pace.succeeded(now, latency)
        elif pace.in_flight and kind == "refusal":
            pace.throttled(now, header, latency)
        elif pace.in_flight and kind == "failure":
            pace.failed()
        assert 1 <= pace.window <= most
        assert 0 <= pace.in_flight <= most
    while pace.in_flight:
        pace.failed()
    slowest = max(1.0, 1 / max_rate if max_rate else 0.0)
    assert pace.delay(now) <= max(5.0, slowest) + 1e-9


@pytest.mark.parametrize("lateness", [0.0, 0.002])
def test_a_rate_of_the_operators_is_kept(lateness: float) -> None:
    """A timer that is late by less than a tenth of the interval costs nothing."""
    pace, now, dice = Pacer(64, max_rate=50.0), 10.0, random.Random(1)
    first = now
    for _ in range(500):
        while (delay := pace.delay(now)) > 0:
            now += delay + lateness * dice.random()
        pace.started(now)
        pace.failed()
    assert now - first + 0.031 >= 499 / 50
    assert now - first <= 1.01 * 499 / 50


def test_a_limit_of_long_ago_is_forgotten() -> None:
    """The pace grows until nothing of it is left."""
    model = Model("", 30_000, 16, rates=((0.0, 50.0), (3.0, 10_000.0)))
    pace = Pacer(16)
    simulate(model, pace, 32)
    assert pace.window == 16
    assert pace.delay(1e6) == 0


def test_a_turn_counts_its_requests() -> None:
    pace = Pacer(16, max_rate=10.0)
    pace.started(0.0, requests=2)
    assert pace.delay(0.0) == pytest.approx(0.17)


def test_the_window_starts_small_and_doubles() -> None:
    pace = Pacer(16)
    assert pace.window == 4
    for _ in range(4):
        pace.started(0.0)
    for _ in range(4):
        pace.succeeded(0.1, 0.1)
        pace.started(0.1)
    assert pace.window == 8


def busy(requests: int = 40) -> Pacer:
    """Return a pacer after *requests* that succeeded, one after the other, until the second 4."""
    pace = Pacer(16)
    for n in range(requests):
        pace.started(n / 10)
        pace.succeeded(n / 10 + 0.1, 0.1)
    return pace


def test_one_refusal_among_successes_holds_nobody_else() -> None:
    pace = busy()
    pace.started(4.0)
    pace.throttled(4.1, 60.0, 0.1)
    assert (pace.delay(4.1), pace.gate_seconds(4.1)) == (0, 0)


def test_a_gate_holds_everybody_when_nothing_has_got_through_yet() -> None:
    pace = Pacer(16)
    pace.started(0.0)
    pace.throttled(1.0, 3.0, 0.5)
    assert pace.delay(2.0) == 2.0
    assert pace.gate_seconds(4.0) == 0


def test_a_gate_holds_everybody_when_nothing_gets_through_any_more() -> None:
    """A service that closes for a minute is left alone for it, after two round trips at most."""
    pace = busy()
    for now in (4.0, 4.2):
        for _ in range(4):
            pace.started(now)
        for _ in range(4):
            pace.throttled(now + 0.1, 60.0, 0.1)
    assert pace.gate_seconds(4.3) == 60.0
    assert pace.window == 1


def test_a_closed_server_without_a_header_is_asked_about_once_a_second() -> None:
    model = Model("", 500, closed=(1.0, 61.0))
    assert ours(model).seconds <= 61 + 500 * 0.05 / 16 + 3
    assert ours(model).refused <= 32 + 75


@given(st.integers(0, 60), st.floats(0, 0.999))
def test_waits_are_capped_and_never_shrink_below_half(attempt: int, jitter: float) -> None:
    wait = backoff(attempt, jitter=jitter)
    assert 0.25 <= wait <= 30.0
