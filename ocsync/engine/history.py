"""History of runs: a filter for them, the details of one, and the runs that may be removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from ocsync.engine.pace import Pace, pace_of, with_killed
from ocsync.engine.run_log import Attempt, SpilledRecords, attempts
from ocsync.field_paths import MISSING, json_equal
from ocsync.models import Finding, Outcome, Ref, Sign, State, Step
from ocsync.schema import KINDS, ref_key
from ocsync.store import Run, RunInfo, runs
from ocsync.store.timestamps import seconds_between

NOT_SENT = "not sent"
"""The state of a step that has no outcome."""
_PART_SIZE = 20_000
"""Steps of a long run whose attempts are in memory together."""


class RunFilter(NamedTuple):
    """A filter for runs: started *since*, in *state*, feeding *target*, of *kind*; empty means any.

    The states are those of `run_state`.
    """

    since: str = ""
    state: str = ""
    target: str = ""
    kind: str = ""

    def fits(self, info: RunInfo) -> bool:
        """Return whether *info* passes the filter."""
        return (
            (not self.since or info.started >= self.since)
            and self.state in ("", run_state(info))
            and (not self.target or self.target in run_targets(info))
            and self.kind in ("", info.kind)
        )


def run_state(info: RunInfo) -> str:
    """Return `open`, `done` (closed with exit code 0) or `failed` (closed with another)."""
    if info.state == "open":
        return "open"
    return "failed" if info.exit_code else "done"


def run_targets(info: RunInfo) -> set[str]:
    """Return the targets that a run was limited to, fed directly, or unpaused at its end."""
    fed = {target for name in info.kinds if name in KINDS for target in KINDS[name].direct_targets}
    return {*info.targets, *info.paused_seconds, *fed}


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run with its outcome. *seconds* is the time from its intent to its outcome.

    *sign*, *found*, *said* and *place* are those of the finding of its ref, if verification found
    a difference.
    """

    number: int
    wave: int
    ref: Ref
    method: str
    state: str = NOT_SENT
    status: int = 0
    code: str = ""
    message: str = ""
    blocked_by: Ref = ""
    log_id: str = ""
    seconds: float = 0.0
    sign: str = ""
    found: dict[str, dict[str, Any]] = {}
    said: str = ""
    place: str = ""


class FieldChange(NamedTuple):
    """A field that a step was to change; MISSING as *before* or *after* is a field without a value.

    Without *has_before* the value before is not known, without *has_after* none is to be shown. A
    *relative* change adds *after* to the value there.
    """

    path: str
    before: Any = MISSING
    after: Any = MISSING
    has_before: bool = True
    has_after: bool = True
    relative: bool = False


class RunDetails(NamedTuple):
    """All of one run: its record, its steps, its findings, and the path of its folder.

    *changes* has the fields that each step changed, by its number, if they were asked for.
    """

    info: RunInfo
    steps: Collection[StepRow]
    findings: list[Finding]
    folder: str
    pace: Pace = Pace([], measured=False)
    changes: Mapping[int, Sequence[FieldChange]] = {}


class _AttemptedSteps:
    """The steps of a run, each with its attempt. Raises Damaged.

    The attempts of a long run are in a temporary file, by the numbers of their steps.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._last = run.read_info().steps // _PART_SIZE
        self._attempts: dict[int, Attempt] = {}
        self._records: SpilledRecords | None = None
        if run.read_info().steps <= runs.LONG_PLAN:
            self._attempts = {attempt.number: attempt for attempt in attempts(run.outcomes())}
            return
        self._records = SpilledRecords(run.path, self._last + 1)
        for record in run.outcomes():
            self._records.add(self._part_of(record.number), record)

    def __iter__(self) -> Iterator[tuple[Step, Attempt | None]]:
        for part, steps in groupby(self._run.steps(), lambda step: self._part_of(step.number)):
            known = self._attempts
            if self._records:
                known = {attempt.number: attempt for attempt in attempts(self._records.read(part))}
            for step in steps:
                yield step, known.get(step.number)

    def _part_of(self, number: int) -> int:
        return min(number // _PART_SIZE, self._last)


class StepRows(Collection[StepRow]):
    """The rows of a long run, made by *make_row* each time they are iterated."""

    def __init__(
        self,
        steps: _AttemptedSteps,
        number: int,
        make_row: Callable[[Step, Attempt | None], StepRow],
    ) -> None:
        self._steps = steps
        self._number = number
        self._make_row = make_row

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[StepRow]:
        return (self._make_row(step, attempt) for step, attempt in self._steps)

    def __contains__(self, row: object) -> bool:
        return any(row == other for other in self)

    def changed(self, change: Callable[[StepRow], StepRow]) -> StepRows:
        """Return the rows, each of them put through *change*."""
        make_row = self._make_row
        return StepRows(self._steps, self._number, lambda *step: change(make_row(*step)))


def run_details(run: Run, *, changes: bool = False) -> RunDetails:
    """Return the details of *run*, with the *changes* of its steps if wanted. Raises Damaged.

    Memory does not hold the rows of a long run; then they may raise Damaged too.
    """
    attempted, info = _AttemptedSteps(run), with_killed(run)
    findings = list(run.findings())
    # reversed, so that the first finding of a ref wins
    finding_by_key = {ref_key(finding.ref): finding for finding in reversed(findings)}

    def make_row(step: Step, attempt: Attempt | None) -> StepRow:
        row = StepRow(number=step.number, wave=step.wave, ref=step.ref, method=step.method)
        return _row(row, attempt, finding_by_key.get(ref_key(step.ref)))

    rows: Collection[StepRow] = StepRows(attempted, info.steps, make_row)
    if info.steps <= runs.LONG_PLAN:
        rows = list(rows)
    field_changes = {
        step.number: _field_changes(step, attempt)
        for step, attempt in (attempted if changes else ())
    }
    return RunDetails(info, rows, findings, str(run.path), pace_of(run), field_changes)


def _field_changes(step: Step, attempt: Attempt | None) -> list[FieldChange]:
    """Return the fields that *step* changed, or was to change where its request was never sent."""
    change, intent = step.change, attempt.intent if attempt else None
    if intent:
        before = {**intent.emptied, **intent.before}
        after = {**dict.fromkeys(intent.emptied, MISSING), **intent.sent}
        return [
            FieldChange(path, before.get(path, MISSING), value, has_before=not intent.unread)
            for path, value in after.items()
            if intent.unread or not json_equal(before.get(path, MISSING), value)
        ]
    if attempt and attempt.outcome and attempt.outcome.state.succeeded:
        return []  # what was to be written was there already
    fields, sums = change.fields.items(), change.adjust.items()
    planned = [FieldChange(path, after=value, has_before=False) for path, value in fields]
    return planned + [FieldChange(p, after=v, has_before=False, relative=True) for p, v in sums]


def _without_value(change: FieldChange) -> FieldChange:
    return FieldChange(change.path, has_before=False, has_after=False)


def without_values(details: RunDetails) -> RunDetails:
    """Return *details* without the values of fields, and without messages that may quote them."""
    rows = details.steps
    steps = (
        rows.changed(_without_text) if isinstance(rows, StepRows) else [*map(_without_text, rows)]
    )
    findings = [
        msgspec.structs.replace(
            finding, fields={}, message=_differing_text(finding.fields) or finding.message
        )
        for finding in details.findings
    ]
    changes = {number: list(map(_without_value, one)) for number, one in details.changes.items()}
    return details._replace(steps=steps, findings=findings, changes=changes)


def _without_text(row: StepRow) -> StepRow:
    said = _differing_text(row.found) or row.said
    return msgspec.structs.replace(row, message=_plain_message(row), found={}, said=said)


def _plain_message(row: StepRow) -> str:
    """Return the message of a step, or the status and code of one that may quote values."""
    if row.state == State.CONFLICT.value:
        return "the value there was not the expected one"
    return f"{row.status} {row.code}".rstrip() if row.status >= 400 else row.message


def _differing_text(fields: Mapping[str, Any]) -> str:
    return f"differs in {', '.join(fields)}" if fields else ""


def _row(row: StepRow, attempt: Attempt | None, finding: Finding | None) -> StepRow:
    facts: dict[str, Any] = {}
    outcome = attempt.outcome if attempt else None
    started = attempt.intent.at if attempt and attempt.intent else ""
    if outcome:
        names = ("status", "code", "message", "blocked_by", "log_id")
        facts = {name: getattr(outcome, name) for name in names}
        facts["state"] = outcome.state.value
        facts["message"] = outcome.message or _cascaded_text(outcome)
        facts["seconds"] = _seconds_between(started, outcome.at)
    elif attempt:
        facts["message"] = "begun; how it ended is not known yet"
    if finding and finding.sign is not Sign.SAME:
        facts |= {"sign": finding.sign.value, "found": finding.fields}
        facts |= {"said": finding.message, "place": finding.where}
    return msgspec.structs.replace(row, **facts)


def _cascaded_text(outcome: Outcome) -> str:
    parts = [f"{number:,} {name}" for name, (number, _) in outcome.cascaded.items() if number]
    return f"with its dependents: {', '.join(parts)}" if parts else ""


def _seconds_between(first: str, last: str) -> float:
    if not (first and last):
        return 0.0
    return seconds_between(first, datetime.fromisoformat(last))


class Retention(NamedTuple):
    """The runs to keep: the newest *keep*, and those younger than *older_than* seconds.

    Where both are given, a run is removed only if neither keeps it.
    """

    keep: int | None = None
    older_than: float | None = None


def prunable_runs(
    infos: Sequence[RunInfo], retention: Retention, now: datetime, kept_ids: Collection[str]
) -> list[RunInfo]:
    """Return those of *infos*, newest first, that may be removed: never an open one, nor one of
    *kept_ids*.
    """
    threshold = "" if retention.older_than is None else _time_before(now, retention.older_than)
    return [
        info
        for index, info in enumerate(infos)
        if info.state != "open"
        and info.id not in kept_ids
        and (retention.keep is None or index >= retention.keep)
        and (not threshold or (info.ended or info.started) < threshold)
    ]


def _time_before(now: datetime, seconds: float) -> str:
    return (now - timedelta(seconds=seconds)).isoformat()


def parse_since(text: str, now: datetime, seconds: float | None) -> str:
    """Return the stamp that *text* names, a day or a time in the operator's zone, or *seconds* ago.

    Raises ValueError for text that names none.
    """
    if seconds is not None:
        return _time_before(now, seconds)
    return datetime.fromisoformat(text).astimezone(now.tzinfo).isoformat()
