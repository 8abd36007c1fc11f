"""The pacer: a window of requests in flight, a rate and a gate. Pure; time is an argument.

OrderCloud documents no limit and no header (guide/ordercloud.md 2.4), so all of it is measured. A
refusal among successes delays its own request and no other. Two patterns delay all requests:

- Nothing gets through: every answer of a round trip is a refusal. The gate closes until the
  `Retry-After`, or for up to a second without one; then one request tries, and the window doubles.
- More refusals than usual: the rate is cut to what got through since the first of them. If two cuts
  in a row do not lower the share of refusals, it does not depend on the rate: the cuts are undone,
  and that share is usual for a number of answers, which doubles each time.

After a cut the rate stays, then grows ever faster until refusals show the limit again. A limit that
is confirmed is probed half as often, and moves up by little at a time; each further refusal while
the rate stays trims it. A window that doubles is held by refusals at once.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

INITIAL_WINDOW = 4.0
_DOUBLING_WINDOW, _SHOWN, _QUARTER = 8.0, 80, 0.25
"""The window above which it grows by a quarter in a round trip, no longer by all, until so many
successes have shown that the server takes that many: a limit that was overrun refuses all that are
in flight.
"""
_LATENCY_SMOOTHING = 0.1
_CATCH_UP_SECONDS = 0.03
"""The delay of starts that later starts make up for, as timers are late."""
_SAMPLE, _SAMPLE_ROUND_TRIPS = 64, 3.0
"""The latest answers from which the share of refusals is judged; more for a large window.

They have to last for longer than a cut is measured.
"""
_USUAL_SHARE, _USUAL_SMOOTHING = 0.005, 1 / 500
_TESTED_SHARE, _TOLERATED_SHARE = 0.05, 0.5
"""The most that counts as usual: when it is tested, and after two cuts did not lower it."""
_CUT_ROUND_TRIPS = 2.0
"""Round trips since the first refusal, from which the rate of a cut is measured."""
_IDLE_SHARE, _IDLE_ANSWERS = 0.35, 24
"""The share of refusals, of so many answers, from which idle time counts in that measure.

Fewer leave senders asleep for reasons of their own; an overrun limit puts all of them to sleep.
"""
_MIN_RATE, _MARGIN = 1.0, 0.98
_MIN_SAMPLE, _MIN_SECONDS = 16, 0.001
_RAMP_ANSWERS, _RAMP_SHARE = 16, 0.4
"""The latest answers, and the share of refusals among them, that stop a window that doubles.

It has not sent enough yet to tell what the server takes; an overrun limit refuses half of it.
"""
_TRIM, _MAX_TRIM = 0.005, 0.05
"""The parts of a confirmed limit that one refusal takes from the rate, and that all take."""
_RISE, _NEAR = 1.05, 1.3
"""The rise of a confirmed limit by a cut that measures less than *near* times as much.

The few answers of a cut measure too much as long as a bucket is not empty.
"""
_MAX_CUTS, _CUT_ACCEPTED = 2, 8
"""The cuts that show whether the share depends on the rate, and what has to get through for each.

A rate measured from fewer may be far above the limit, so that its share of refusals shows nothing.
"""
_CUT_TO = 0.25, 0.95
"""The least and the most that a cut leaves of the rate: as a trial, it has to show an effect."""
_CONFIRM_FROM, _CONFIRM_SLOPE, _FAIL_FROM = 5.0, 0.8, 10.0
"""The verdict on a cut, in refusals to expect if it had no effect.

It worked when fewer than *slope* came for each one expected beyond the first *confirm*, and failed
when that has not happened by *fail*: a share that stays the same passes one time in twenty.
"""
_TOLERATED_ANSWERS, _MAX_TOLERATED_ANSWERS = 2000, 16_000
_GROWTH, _GROWTH_A_START = 0.15, 0.05
"""The growth a second, for each second since the rate stopped staying, and its bound a start."""
_UNLIMITED_RATE = 100_000.0
"""The rate, grown from a cut, that no client reaches."""
_STAY_SECONDS, _MAX_STAY_SECONDS = 3.0, 8.0
_SAME_LIMIT = 0.15
_GATE_CHANCE, _GATE_SHARES = 1e-4, (0.05, 0.7)
"""The chance that independent refusals close the gate, and the bounds of their usual share."""
_MAX_GATE_SECONDS = 1.0
"""The longest that the gate stays closed without a `Retry-After`."""


def backoff(
    attempt: int, *, first: float = 0.5, maximum: float = 30.0, jitter: float = -1.0
) -> float:
    """Return the seconds to wait after failure number *attempt*, counted from 0.

    They double up to *maximum*, and vary from half of that to all of it by *jitter* in [0, 1),
    which is random when negative.
    """
    roll = random.random() if jitter < 0 else jitter
    return min(maximum, first * 2.0 ** min(attempt, 16)) * (0.5 + roll / 2)


class _Answer(NamedTuple):
    """An answer: when its request started and ended, the busy seconds until then, and its kind."""

    start: float
    end: float
    busy: float
    refused: bool


@dataclass
class _Trial:
    """Cuts whose effect is not known yet, and the answers since the last of them."""

    rate_before: float
    share_before: float
    cuts: int
    answers: int = 0
    refused: int = 0


class Pacer:
    """The pacer of one client, up to *max_window* in flight and *max_rate* a second (0: any)."""

    def __init__(self, max_window: int, max_rate: float = 0.0) -> None:
        self.in_flight = self._peak = 0
        self._window = min(INITIAL_WINDOW, float(max_window))
        self._max_window = float(max_window)
        self._slow_start = True
        self._last_shrink = -math.inf
        self._latency = 0.0
        self._min_latency = math.inf
        self._max_rate = max_rate or math.inf
        self._rate = self._max_rate
        self._next_start = -math.inf
        self._cut_at = -math.inf
        self._grown_at = 0.0
        self._stay_seconds = _STAY_SECONDS
        self._limit = math.inf
        self._sample: deque[_Answer] = deque()
        self._usual_share = _USUAL_SHARE
        self._trial: _Trial | None = None
        self._confirmed: _Trial | None = None
        self._tolerated = 0
        self._tolerate_next = _TOLERATED_ANSWERS
        self._gate_opens = 0.0
        self._closed_at = -math.inf
        self._closings = 0
        self._refused_in_a_row = 0
        self._row_began = math.inf
        self._busy = 0.0
        self._event_at = 0.0
        self._accepted = 0
        self._all_accepted = 0

    def widen(self, window: float) -> None:
        """Begin with *window* in flight, which the server has been shown to take."""
        self._window = max(self._window, min(window, self._max_window))

    @property
    def window(self) -> float:
        """The number of requests that may be in flight: no more than the rate needs."""
        if self._rate == math.inf or not self._latency:
            return self._window
        return min(self._window, max(1.0, math.ceil(self._rate * self._latency)))

    def take_peak(self) -> int:
        """Return the largest number in flight since the last call."""
        peak, self._peak = self._peak, self.in_flight
        return peak

    def delay(self, now: float) -> float:
        """Return the seconds until a request may start; inf: as soon as another has ended."""
        if self.in_flight >= int(self.window):
            return math.inf
        return max(self.gate_seconds(now), self._next_start - now, 0.0)

    def gate_seconds(self, now: float) -> float:
        """Return the seconds for which the server wants no requests at all."""
        return max(0.0, self._gate_opens - now)

    def started(self, now: float, requests: int = 1) -> None:
        """Record that a slot was taken for a number of *requests* that follow each other."""
        self._count_busy(now)
        self.in_flight += 1
        self._peak = max(self._peak, self.in_flight)
        self._grow_rate(now)
        if self._rate < math.inf:
            due = max(now - _CATCH_UP_SECONDS, self._next_start)
            self._next_start = due + requests / self._rate

    def kept_slot(self) -> None:
        """Record that the slot of a request that has just ended is kept for the next one."""
        self.in_flight += 1

    def succeeded(self, now: float, latency: float) -> None:
        """Record an answer that arrived after *latency* seconds."""
        self._ended(now)
        self._refused_in_a_row = self._closings = 0
        self._accepted += 1
        self._all_accepted += 1
        self._record(_Answer(now - latency, now, self._busy, refused=False), now)
        self._latency += (
            _LATENCY_SMOOTHING * (latency - self._latency) if self._latency else latency
        )
        self._min_latency = min(self._min_latency, self._latency)
        if self._latency > 2 * self._min_latency + 0.02 and self._window > INITIAL_WINDOW:
            self._slow_start = False
        if self._latency > 4 * self._min_latency + 0.5:
            self._shrink(now)
        elif self.in_flight + 1 >= self.window / 2:  # a window that is not used proves nothing
            shown = self._window < _DOUBLING_WINDOW or self._all_accepted >= _SHOWN
            ramp = 1.0 if shown else _QUARTER
            grow = ramp if self._slow_start else 1.0 / self._window
            self._window = min(self._max_window, self._window + grow)

    def failed(self) -> None:
        """Record the end of a request that tells nothing about the pace."""
        self.in_flight -= 1

    def throttled(self, now: float, retry_after: float | None, latency: float) -> None:
        """Record a refusal after *latency* seconds; *retry_after* is None without the header."""
        self._ended(now)
        answer = _Answer(now - latency, now, self._busy, refused=True)
        self._record(answer, now)
        self._refused_in_a_row += 1
        if self._slow_start:
            self._window = max(1.0, self._window - 1.0)
        if self._refused_in_a_row == 1:
            self._row_began = now
        if self._nothing_gets_through(answer):
            self._close_gate(now, retry_after, answer)
        elif self._more_than_usual(answer):
            if self._slow_start:
                self._shrink(now)
            self._cut(now)
        else:
            self._trim(now)

    def _ended(self, now: float) -> None:
        self._count_busy(now)
        self.in_flight -= 1

    def _count_busy(self, now: float) -> None:
        """Count the time since the last event when the window or the rate held requests back."""
        held_back = self.in_flight >= self.window / 2
        until = now if held_back else min(now, self._next_start + _CATCH_UP_SECONDS)
        self._busy += max(0.0, until - self._event_at)
        self._event_at = max(now, self._event_at)

    def _shrink(self, now: float) -> None:
        self._slow_start = False
        if now - self._last_shrink >= max(self._latency, 0.05):
            self._last_shrink = now
            self._window = max(1.0, self._window / 2)

    def _record(self, answer: _Answer, now: float) -> None:
        """Count an answer, unless its request started at a former rate."""
        if self._tolerated:
            self._tolerated -= 1
            if not self._tolerated:
                self._end_tolerance()
        if answer.start < max(self._cut_at, self._gate_opens):
            return
        while len(self._sample) >= max(_SAMPLE, _SAMPLE_ROUND_TRIPS * self.window):
            oldest = self._sample.popleft()
            if not self._trial:
                self._learn_usual(oldest.refused, 1)
        self._sample.append(answer)
        if self._trial:
            self._trial.answers += 1
            self._trial.refused += answer.refused
            self._judge(self._trial, now)

    def _end_tolerance(self) -> None:
        self._tolerated = 0
        self._usual_share = min(self._usual_share, _TESTED_SHARE)

    def _learn_usual(self, refused: int, answers: int) -> None:
        weight = 1 - (1 - _USUAL_SMOOTHING) ** answers
        self._usual_share += weight * (refused / answers - self._usual_share)

    def _nothing_gets_through(self, answer: _Answer) -> bool:
        """Return whether a whole round trip was refused, and more in a row than chance makes."""
        lowest, highest = _GATE_SHARES
        others = list(self._sample)[: -self._refused_in_a_row]
        share = sum(a.refused for a in others) / max(len(others), _MIN_SAMPLE)
        before = self._trial.share_before if self._trial else 0.0
        share = min(max(share, before, self._usual_share, lowest), highest)
        enough = math.log(_GATE_CHANCE) / math.log(share)
        in_a_row = self._refused_in_a_row >= enough and answer.start >= self._row_began
        return in_a_row or not self._all_accepted

    def _close_gate(self, now: float, retry_after: float | None, answer: _Answer) -> None:
        if answer.start >= self._gate_opens:
            self._closings += 1
            self._measure_closings(now)
            self._sample.clear()
        if retry_after is None:
            retry_after = backoff(
                self._closings - 1, first=0.25, maximum=_MAX_GATE_SECONDS, jitter=1.0
            )
        self._gate_opens = max(self._gate_opens, now + retry_after)
        self._window, self._slow_start = 1.0, True

    def _measure_closings(self, now: float) -> None:
        """Set the rate to what got through since the gate closed before.

        What the server allows lies between the rates with and without the time that it was closed.
        """
        if not self._accepted:
            return
        if self._closed_at > -math.inf:
            opened = max(self._gate_opens, self._closed_at)
            seconds = math.sqrt((now - self._closed_at) * (now - opened))
            self._set_rate(self._accepted / max(seconds, _MIN_SECONDS), now)
            self._confirm()
        self._accepted, self._closed_at = 0, now

    def _more_than_usual(self, answer: _Answer) -> bool:
        if self._trial or answer.start < self._cut_at:
            return False
        if self._slow_start and len(self._sample) < _SAMPLE:
            latest = list(self._sample)[-_RAMP_ANSWERS:]
            if sum(a.refused for a in latest) < _RAMP_SHARE * len(latest):
                return False
        refused = sum(a.refused for a in self._sample)
        return _exceeds(refused, self._usual_share * len(self._sample))

    def _cut(self, now: float) -> None:
        """Cut the rate to what got through since the first refusal, when that can be measured.

        A cut before the rate has grown again continues the trial that the last one began.
        """
        refused = [a for a in self._sample if a.refused]
        if not refused:
            return
        seconds = self._busy - refused[0].busy
        accepted = sum(not a.refused for a in self._sample if a.end > refused[0].end)
        if len(self._sample) >= _IDLE_ANSWERS and len(refused) >= _IDLE_SHARE * len(self._sample):
            seconds = now - refused[0].end
        if seconds < max(_CUT_ROUND_TRIPS * self._latency, _MIN_SECONDS) or not accepted:
            return
        measured_well = accepted >= _CUT_ACCEPTED
        if before := self._trial:
            share = before.refused / before.answers
            self._trial = _Trial(before.rate_before, share, before.cuts + measured_well)
        else:
            self._end_tolerance()
            grown = now > self._cut_at + self._stay_seconds
            last = None if grown else self._confirmed
            share = len(refused) / max(len(self._sample), _MIN_SAMPLE)
            rate, cuts = (last.rate_before, last.cuts) if last else (self._rate, 0)
            self._trial = _Trial(rate, share, cuts + measured_well)
        lowest, highest = (share * self._rate for share in _CUT_TO)
        measured = max((accepted + 0.5) / seconds, lowest if lowest < math.inf else 0.0)
        if measured < _NEAR * self._limit:
            measured = min(measured, _RISE * self._limit)
        self._set_rate(min(measured, highest), now)

    def _trim(self, now: float) -> None:
        """Take a little from a rate that stays, unless refusals come for other reasons too."""
        stays = self._confirmed and not self._trial and now < self._cut_at + self._stay_seconds
        if stays and self._usual_share < _TESTED_SHARE:
            self._rate = max(self._rate * (1 - _TRIM), (1 - _MAX_TRIM) * self._limit)

    def _set_rate(self, measured: float, now: float) -> None:
        self._rate = min(max(measured * _MARGIN, _MIN_RATE), self._max_rate)
        self._cut_at = self._grown_at = now
        self._next_start = min(self._next_start, now + 1 / self._rate)
        self._slow_start = False
        self._sample.clear()

    def _judge(self, trial: _Trial, now: float) -> None:
        expected = trial.share_before * trial.answers
        calm = not trial.refused and now - self._cut_at > _MAX_STAY_SECONDS
        if calm or trial.refused <= _CONFIRM_SLOPE * (expected - _CONFIRM_FROM):
            self._learn_usual(trial.refused, trial.answers)
            self._confirm()
        elif _exceeds(trial.refused, expected):  # the limit is lower than it was, or than measured
            trial.cuts = 0
            self._cut(now)
        elif expected >= _FAIL_FROM and trial.cuts < _MAX_CUTS:
            self._cut(now)
        elif expected >= _FAIL_FROM:
            self._undo_cuts(trial, now)

    def _confirm(self) -> None:
        same = abs(self._rate - self._limit) < _SAME_LIMIT * self._limit < math.inf
        self._stay_seconds = min(2 * self._stay_seconds, _MAX_STAY_SECONDS)
        self._stay_seconds = self._stay_seconds if same else _STAY_SECONDS
        self._limit, self._confirmed, self._trial = self._rate, self._trial, None

    def _undo_cuts(self, trial: _Trial, now: float) -> None:
        self._rate, self._trial = trial.rate_before, None
        share = trial.refused / max(trial.answers, _MIN_SAMPLE)
        self._usual_share = min(max(self._usual_share, share), _TOLERATED_SHARE)
        self._tolerated = self._tolerate_next
        self._tolerate_next = min(2 * self._tolerate_next, _MAX_TOLERATED_ANSWERS)
        self._next_start = min(self._next_start, now)
        self._slow_start = True

    def _grow_rate(self, now: float) -> None:
        calm = now - self._cut_at - self._stay_seconds
        if self._rate < self._max_rate and calm > 0 and not self._trial:
            growth = _GROWTH * calm * (now - self._grown_at)
            rate = self._rate * (1 + min(growth, _GROWTH_A_START))
            self._rate = min(rate if rate < _UNLIMITED_RATE else math.inf, self._max_rate)
        self._grown_at = now


def _exceeds(refused: int, expected: float) -> bool:
    """Return whether *refused* is more than chance makes of the *expected* number."""
    return refused >= 3 and refused > expected + 3 * math.sqrt(expected) + 1
