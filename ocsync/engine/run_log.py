"""A run's log, folded: how far the run has come, and what it wrote.

A run's log has an intent before each request and an outcome after it. Everything that asks a run
what became of its steps asks here.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ocsync.consolidate import merge
from ocsync.diff import falling_to_default
from ocsync.errors import ExitCode, first_of
from ocsync.field_paths import flatten, json_equal, nest
from ocsync.models import Change, Fields, Intent, Op, Outcome, Ref, State, Step
from ocsync.plan import created_refs, decider_of
from ocsync.schema import kind_of, ref_key
from ocsync.store import Run, RunInfo
from ocsync.store.number_ranges import NumberRanges
from ocsync.store.spill import Partitions

if TYPE_CHECKING:
    from ocsync.engine.session import Session

SUCCEEDED = tuple(state for state in State if state.succeeded)
Kinds = dict[str, dict[str, int]]
"""Counts per kind."""
_encode = msgspec.json.Encoder().encode
_decode_records = msgspec.json.Decoder(Intent | Outcome).decode_lines


def new_info(session: Session, **facts: Any) -> RunInfo:
    """Return the record of a run that begins now; *facts* are its own members."""
    pin = session.folder.read_pin()
    return RunInfo(
        id=session.folder.runs.new_id(session.now(), session.folder.journal.run_ids()),
        started=session.timestamp(),
        user=session.by,
        marketplace=pin.id if pin else "",
        **facts,
    )


class SessionCost(NamedTuple):
    """The time at which a command began to work on a run, and the requests sent by then."""

    session: Session
    started: float
    sent: int

    @classmethod
    def start(cls, session: Session) -> SessionCost:
        """Return the cost of nothing, as of now."""
        return cls(session, time.monotonic(), session.api.requests_sent)

    def add_to(self, run: Run) -> None:
        """Add the time and the requests since the start to the record of *run*."""
        info = run.read_info()
        seconds = time.monotonic() - self.started
        requests = self.session.api.requests_sent - self.sent
        run.update(
            seconds=info.seconds + seconds,
            requests=info.requests + requests,
            counted_until=self.session.precise_timestamp(),
        )


class Attempt(NamedTuple):
    """One step of a run as its log has it.

    Without an *outcome* the step was begun and not ended; without an *intent* no request was sent
    for it.
    """

    number: int
    ref: Ref
    intent: Intent | None
    outcome: Outcome | None


def attempts(records: Iterable[Intent | Outcome]) -> Iterator[Attempt]:
    """Yield each step of a log once: those that ended, in the order in which they did, then those
    that did not.
    """
    intents: dict[int, Intent] = {}
    for record in records:
        if isinstance(record, Intent):
            intents[record.number] = record
        else:
            intent = intents.pop(record.number, None)
            yield Attempt(record.number, record.ref, intent, record)
    for intent in intents.values():
        yield Attempt(intent.number, intent.ref, intent, None)


class SpilledRecords:
    """Intents and outcomes of a long run in a temporary file in *folder*, in *number* partitions.

    Each partition is in memory only while it is read.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._partitions = Partitions(folder, number)

    def add(self, place: int, record: Intent | Outcome) -> None:
        """Add *record* to the partition *place*."""
        self._partitions.add(place, _encode(record) + b"\n")

    def read(self, place: int) -> Iterator[Intent | Outcome]:
        """Yield the records of a partition in the order in which they were added."""
        for lines in self._partitions.read(place):
            yield from _decode_records(lines)


class RunProgress(NamedTuple):
    """The progress of a run: the numbers of the steps that have *ended*, of which some are *done*.

    *problems* are the outcomes without success, *dangling* the intents without an outcome, by step
    number; *lagging* are the intents of steps that are done, of kinds whose reads lag behind
    writes.
    """

    ended: NumberRanges
    done: NumberRanges
    problems: list[Outcome]
    dangling: dict[int, Intent]
    lagging: list[Intent]


def load_progress(run: Run) -> RunProgress:
    """Return how far *run* has come. Raises Damaged."""
    progress = RunProgress(NumberRanges(), NumberRanges(), [], {}, [])
    for number, ref, intent, outcome in attempts(run.outcomes()):
        if outcome:
            progress.ended.add(number, number)
            if outcome.state is State.DONE:
                progress.done.add(number, number)
                if intent and kind_of(ref).eventually_consistent:
                    progress.lagging.append(intent)
            elif not outcome.state.succeeded:
                progress.problems.append(outcome)
        elif intent:
            progress.dangling[number] = intent
    return progress


RECENT_SECONDS = 600.0
"""The time after a run in which a read may not show its writes; no bound is documented."""


def is_recent(session: Session, info: RunInfo) -> bool:
    """Return whether the run ended so lately that a read may not show it yet."""
    if not info.ended:
        return True
    age = session.now() - datetime.fromisoformat(info.ended)
    return age.total_seconds() < RECENT_SECONDS


def recent_writes(session: Session, refs: Collection[Ref]) -> list[Intent]:
    """Return the writes of *refs* by recent runs that are closed, oldest first.

    Reads of kinds that lag may still show the values before them (guide/ordercloud.md 5.3).
    """
    names = {ref_key(ref) for ref in refs}
    writes: list[Intent] = []
    infos = session.folder.runs.read_all() if names else []
    for info in reversed(infos):
        if info.kind == "resume" and info.state == "closed" and is_recent(session, info):
            with session.folder.runs.get(info.id) as run:
                writes += [i for i in load_progress(run).lagging if ref_key(i.ref) in names]
    return writes


class RefWrite(NamedTuple):
    """The net effect of a run's requests on one ref.

    *fields* are the values that the run left, and *before* those that it found, both flat;
    *earlier* maps a path to the values there before each write of it. *absent* says that the ref
    did not exist before, *created* names what came into being with it, unless *decided_by*,
    another entity, did not let it; *replaced* says that a put
    replaced all of it, and *emptied* maps paths that it left out to the values there. *added* are
    the sums of fields that were only ever adjusted. *answered* says that the answers of all
    requests showed the values, *exact* that the answer of the only request showed just these.
    *sent_at* is the time of the last request that took effect, None when none was sent; *updated*
    is the stamp of the stock before it, None without one. *uncertain* says that an outcome is
    unknown, *unread* that the values before were not read.
    """

    ref: Ref
    fields: Fields
    before: Fields
    earlier: Mapping[str, tuple[Any, ...]] = {}
    absent: bool = False
    replaced: bool = False
    emptied: Mapping[str, Any] = {}
    created: tuple[Ref, ...] = ()
    decided_by: Ref = ""
    added: Mapping[str, Any] = {}
    answered: bool = True
    exact: bool = False
    sent_at: datetime | None = None
    updated: str | None = None
    uncertain: bool = False
    unread: bool = False
    deleted: bool = False

    @property
    def changed(self) -> bool:
        """True when what was sent differs from what a read had shown before."""
        return not self.fields or any(
            path not in self.before or not json_equal(value, self.before[path])
            for path, value in self.fields.items()
        )


def ref_writes(
    steps: Iterable[Step], records: Iterable[Intent | Outcome], states: Collection[State]
) -> dict[Ref, RefWrite]:
    """Return what the steps that ended in one of *states* wrote, by ref."""
    changes = {step.number: step.change for step in steps}
    writes: dict[str, RefWrite] = {}
    for number, ref, intent, outcome in attempts(records):
        if outcome and outcome.state in states:
            write = _ref_write(changes[number], intent, outcome)
            earlier = writes.get(ref_key(ref))
            writes[ref_key(ref)] = combine(earlier, write) if earlier else write
    return {write.ref: write for write in writes.values()}


def read_writes(run: Run, states: Collection[State] = SUCCEEDED) -> dict[Ref, RefWrite]:
    """Return what *run* wrote, by ref, with steps that ended in one of *states*. Raises Damaged."""
    return ref_writes(run.steps(), run.outcomes(), states)


def _ref_write(change: Change, intent: Intent | None, outcome: Outcome) -> RefWrite:
    """Return what one request wrote; what needed no request was there before."""
    kind = kind_of(change.ref)
    models = kind.models
    sent = flatten(nest(intent.sent if intent and not kind.action else outcome.sent), models)
    before = flatten(nest(intent.before), models) if intent else dict(sent)
    absent = bool(intent and intent.absent)
    took_effect = outcome.state is State.DONE
    return RefWrite(
        change.ref,
        sent,
        before,
        earlier={path: (before.get(path),) for path in sent}
        | {path: (value,) for path, value in (intent.emptied if intent else {}).items()},
        absent=absent,
        replaced=change.op is Op.PUT,
        emptied=intent.emptied if intent else {},
        created=tuple(created_refs(change)) if absent else (),
        decided_by=decider_of(change),
        added={path: sum_ for path, sum_ in change.adjust.items() if path not in change.fields},
        answered=outcome.answered,
        exact=outcome.exact,
        sent_at=datetime.fromisoformat(intent.at) if took_effect and intent and intent.at else None,
        updated=intent.updated if intent else None,
        uncertain=outcome.state is State.UNKNOWN,
        unread=bool(intent and intent.unread),
        deleted=change.op is Op.DELETE,
    )


def combine(first: RefWrite, second: RefWrite) -> RefWrite:
    """Return two writes of one ref as one.

    A put makes what the first write left fall to the server's defaults, which are not all known.
    Sums stay sums only while nothing else sets the field.
    """
    replaced = first.replaced or second.replaced
    fields = {} if second.replaced else dict(first.fields)
    inherits = second.fields.get(kind_of(first.ref).inherits_from)
    falls = second.replaced and not inherits
    dropped = falling_to_default(first.ref, first.fields) if falls else {}
    for path, value in second.fields.items():
        merge(fields, path, value)
    sums = {
        path: first.added.get(path, 0) + second.added.get(path, 0)
        for path in ({**first.added, **second.added} if not replaced else ())
        if (path in first.added or path not in first.fields)
        and (path in second.added or path not in second.fields)
    }
    found = {path: v for path, v in second.before.items() if path not in first.fields}
    earlier = [first.earlier, second.earlier, {path: (value,) for path, value in dropped.items()}]
    paths = {path for values in earlier for path in values}
    return first._replace(
        fields=flatten(nest(fields), kind_of(first.ref).models),
        before={**found, **first.before},
        earlier={p: tuple(v for values in earlier for v in values.get(p, ())) for p in paths},
        replaced=replaced,
        emptied={
            path: value
            for path, value in {**first.emptied, **dropped, **second.emptied}.items()
            if path not in second.fields
        },
        added=sums,
        answered=first.answered and second.answered,
        exact=False,
        sent_at=second.sent_at or first.sent_at,
        updated=second.updated if second.sent_at else first.updated,
        uncertain=first.uncertain or second.uncertain,
        unread=first.unread or second.unread,
    )


def in_sequence(first: RefWrite | None, second: RefWrite) -> RefWrite:
    """Return the writes of two runs as one, by the times of the *second* run."""
    if first is None:
        return second
    return RefWrite(
        second.ref,
        {**first.fields, **second.fields},
        {**second.before, **first.before},
        answered=second.answered,
        sent_at=second.sent_at or first.sent_at,
        unread=first.unread or second.unread,
    )


def outcome_now(session: Session, step: Step, state: State, **facts: Any) -> Outcome:
    """Return the outcome of *step* as of now."""
    return Outcome(
        number=step.number, ref=step.ref, state=state, at=session.precise_timestamp(), **facts
    )


def by_kind(steps: Iterable[Step]) -> dict[str, int]:
    """Count *steps* by kind."""
    counts: dict[str, int] = {}
    for step in steps:
        ref = step.ref
        name = ref[: ref.find("/")]
        counts[name] = counts.get(name, 0) + 1
    return counts


def count_outcomes(run: Run) -> tuple[Kinds, list[Outcome]]:
    """Return the outcomes of *run* counted by kind and state, and those that are no success."""
    kinds: Kinds = {}
    problems: list[Outcome] = []
    for _, ref, _, outcome in attempts(run.outcomes()):
        if outcome:
            counts = kinds.setdefault(kind_of(ref).name, {})
            counts[outcome.state.value] = counts.get(outcome.state.value, 0) + 1
            if not outcome.state.succeeded:
                problems.append(outcome)
    return kinds, problems


def add_up(kinds: Kinds) -> dict[str, int]:
    """Return the counts of all *kinds* added up."""
    total: dict[str, int] = {}
    for counts in kinds.values():
        for key, number in counts.items():
            total[key] = total.get(key, 0) + number
    return total


def exit_code_for(problems: Iterable[Outcome]) -> ExitCode:
    """Return the exit code of a run with these *problems*."""
    codes = {
        State.FAILED: ExitCode.PARTLY,
        State.BLOCKED: ExitCode.PARTLY,
        State.CONFLICT: ExitCode.CONFLICT,
        State.UNKNOWN: ExitCode.CONFLICT,
    }
    found = [codes[problem.state] for problem in problems]
    if any(problem.status == 403 and problem.code for problem in problems):  # not a gateway's
        found.append(ExitCode.SIGN_IN)
    return first_of(found)
