"""The run of a plan's steps, wave by wave: replays, deletes and resyncs alike.

What one step does is its operation's business. Here is the order, the number of steps under way,
and what a failed step blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence

from ocsync.engine.run_log import RunProgress, by_kind, outcome_now
from ocsync.engine.session import Session
from ocsync.engine.worker_pool import run_all
from ocsync.events import NoticeLevel, WaveStarted
from ocsync.models import Outcome, Ref, State, Step
from ocsync.store.number_ranges import NumberRanges
from ocsync.store.step_log import steps_without

Execute = Callable[[Step], Awaitable[Outcome]]
Record = Callable[[Outcome], Awaitable[None]]


class StepRunner:
    """The steps of one plan, some of which may have ended before, by *progress*.

    *execute* carries out one step and returns its outcome, and *record* gets the outcome. A step
    that needs one without success is blocked and never executed; so is one that follows another
    which may succeed later. Once *max_failures* steps have failed, those that have not started are
    blocked too, except those that hang in *progress*: their requests may have been sent before.
    """

    def __init__(
        self,
        session: Session,
        execute: Execute,
        record: Record,
        *,
        workers: int,
        progress: RunProgress | None = None,
        max_failures: int | None = None,
    ) -> None:
        self._session = session
        self._execute = execute
        self._record = record
        self._workers = workers
        self._ended = progress.ended if progress else NumberRanges()
        self._begun = progress.dangling if progress else {}
        self._max_failures = max_failures
        self._failures = 0
        self._stopped = False
        self._causes: dict[int, Ref] = {}
        self._refused: set[int] = set()
        for outcome in progress.problems if progress else ():
            self._note(outcome)

    async def run(self, steps: Sequence[Step], *, announce: bool = True) -> None:
        """Run those of *steps*, which are in plan order, that have not ended.

        With *announce* an event tells of each wave. Raises what *execute* raises, once the steps
        under way have ended; Interrupted when the operator stops it.
        """
        first, last = 0, steps[-1].wave if steps else 0
        while first < len(steps):
            number = steps[first].wave
            end = bisect_right(steps, number, first, key=lambda step: step.wave)
            waiting = steps[first:end]
            if self._ended:
                waiting = steps_without(waiting, self._ended)
            if waiting and announce:
                self._session.emit(WaveStarted(number, last, by_kind(waiting)))
            await self._run_wave(waiting)
            first = end

    async def _run_wave(self, steps: Sequence[Step]) -> None:
        workers = min(self._workers, len(steps))
        try:
            await run_all(steps, self._run_step, workers=workers, stop=self._session.stop)
        finally:
            self._session.raise_if_stopped()

    async def _run_step(self, step: Step) -> None:
        before = (*step.needs, *(n for n in step.follows if n not in self._refused))
        cause = next((self._causes[n] for n in before if n in self._causes), "")
        if self._is_over and step.number not in self._begun:
            outcome = self._not_sent(step)
        elif cause:
            outcome = outcome_now(self._session, step, State.BLOCKED, blocked_by=cause)
        else:
            outcome = await self._execute(step)
        await self._record(outcome)
        self._note(outcome)

    def _not_sent(self, step: Step) -> Outcome:
        reached = f"--max-failures {self._max_failures:,} was reached"
        if not self._stopped:
            self._stopped = True
            self._session.notify(
                NoticeLevel.WARNING, f"{reached}; the remaining steps are not sent"
            )
        text = f"not sent because {reached}"
        return outcome_now(self._session, step, State.BLOCKED, message=text)

    @property
    def _is_over(self) -> bool:
        """True when as many steps have failed as may fail."""
        return self._max_failures is not None and self._failures >= self._max_failures

    def _note(self, outcome: Outcome) -> None:
        self._failures += outcome.state in (State.FAILED, State.UNKNOWN)
        if not outcome.state.succeeded:
            self._causes[outcome.number] = outcome.blocked_by or outcome.ref
            if outcome.state is State.FAILED and 400 <= outcome.status < 500:
                self._refused.add(outcome.number)
