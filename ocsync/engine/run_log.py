"""What runs of every sort have in common: how one begins, where it was left, what it came to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from ocsync.engine.session import Session
from ocsync.errors import ExitCode, first_of
from ocsync.models import Intent, Outcome, State, Step
from ocsync.schema import kind_of
from ocsync.store import Run, RunInfo

Kinds = dict[str, dict[str, int]]
"""Counts per kind."""


def new_info(session: Session, **facts: Any) -> RunInfo:
    """The record of a run that begins now, by whoever works here; *facts* are its own members."""
    pin = session.folder.pin()
    return RunInfo(
        id=session.folder.runs.new_id(session.now(), session.folder.journal.runs()),
        started=session.timestamp(),
        user=session.by,
        marketplace=pin.id if pin else "",
        **facts,
    )


class SessionCost(NamedTuple):
    """When a sitting of a run began, and how many requests had been sent by then."""

    session: Session
    started: float
    sent: int

    @classmethod
    def start(cls, session: Session) -> SessionCost:
        """A sitting that begins now."""
        return cls(session, time.monotonic(), session.api.sent)

    def add_to(self, run: Run) -> None:
        """Add the time and the requests of this sitting to the record of *run*."""
        info = run.read_info()
        seconds, requests = time.monotonic() - self.started, self.session.api.sent - self.sent
        run.update(seconds=info.seconds + seconds, requests=info.requests + requests)


class RunProgress(NamedTuple):
    """Where a run is: by number the outcomes so far, and the intents without one.

    *lagging* are the intents of steps that are done, of kinds whose reads lag behind writes.
    """

    ended: dict[int, Outcome]
    dangling: dict[int, Intent]
    lagging: list[Intent]


def load_progress(run: Run) -> RunProgress:
    """How far *run* has come. Raises Damaged."""
    found = RunProgress({}, {}, [])
    for record in run.outcomes():
        if isinstance(record, Intent):
            found.dangling[record.number] = record
            continue
        found.ended[record.number] = record
        intent = found.dangling.pop(record.number, None)
        if intent and record.state is State.DONE and kind_of(record.ref).eventually_consistent:
            found.lagging.append(intent)
    return found


def outcome_now(session: Session, step: Step, state: State, **facts: Any) -> Outcome:
    """The outcome of *step* as of now."""
    return Outcome(number=step.number, ref=step.ref, state=state, at=session.timestamp(), **facts)


def by_kind(steps: Iterable[Step]) -> dict[str, int]:
    """How many of *steps* each kind has."""
    counts: dict[str, int] = {}
    for step in steps:
        name = kind_of(step.ref).name
        counts[name] = counts.get(name, 0) + 1
    return counts


def count_outcomes(run: Run) -> tuple[Kinds, list[Outcome]]:
    """*run*'s outcomes counted by kind and state, and those that are not settled."""
    kinds: Kinds = {}
    problems: list[Outcome] = []
    for record in run.outcomes():
        if isinstance(record, Outcome):
            counts = kinds.setdefault(kind_of(record.ref).name, {})
            counts[record.state.value] = counts.get(record.state.value, 0) + 1
            if not record.state.succeeded:
                problems.append(record)
    return kinds, problems


def add_up(kinds: Kinds) -> dict[str, int]:
    """The counts of all *kinds* added up."""
    total: dict[str, int] = {}
    for counts in kinds.values():
        for key, number in counts.items():
            total[key] = total.get(key, 0) + number
    return total


def exit_code_for(problems: Iterable[Outcome]) -> ExitCode:
    """What a run with these *problems* exits with."""
    codes = {
        State.FAILED: ExitCode.PARTLY,
        State.BLOCKED: ExitCode.PARTLY,
        State.CONFLICT: ExitCode.CONFLICT,
        State.UNKNOWN: ExitCode.CONFLICT,
    }
    found = [codes[problem.state] for problem in problems]
    if any(problem.status == 403 for problem in problems):
        found.append(ExitCode.SIGN_IN)
    return first_of(found)
