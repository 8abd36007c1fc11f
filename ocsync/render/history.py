"""Runs: the list of them, and one run with its steps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from ocsync.models import Sign, State
from ocsync.render.delivery_proof import count_lines
from ocsync.render.findings import answered_text, fields_text, finding_lines
from ocsync.render.problems import Problem, problem_lines
from ocsync.render.resume import outcome_table
from ocsync.render.status import ending_text
from ocsync.render.text import Line, columns, count, duration, local_time, log_id_text
from ocsync.render.timeline import buckets, timeline
from ocsync.store import RunInfo

if TYPE_CHECKING:
    from ocsync.engine.history import RunDetails, StepRow

_SPARKS, _SPARKS_WIDTH = "▁▂▃▄▅▆▇█", 32
_SETTLED = (State.DONE.value, State.UNCHANGED.value)
_SIGNS = {"done": "+", "unchanged": "=", "failed": "!", "conflict": "!", "unknown": "!"}


def run_table(infos: Sequence[RunInfo], now: datetime) -> Iterator[str]:
    """Yield a table of the runs, newest first."""
    rows: list[Sequence[object]] = [
        ("run", "type", "started", "edits", "steps", "sent", "took", "ended")
    ]
    for info in infos:
        at = local_time(info.started, now) if info.started else ""
        edits = info.entries if info.kind == "resume" else "-"
        requests = f"{info.requests:,}+" if info.requests_at_least else info.requests
        numbers = (edits, info.steps, requests)
        end = ending_text(info.state, info.exit_code)
        rows += [(info.id, info.kind, at, *numbers, duration(info.seconds), end)]
    yield from columns(rows, "<<<>>>><", heading=True)


def lines(details: RunDetails, now: datetime, *, steps: int | None) -> Iterator[Line]:
    """Yield one run with its first *steps* steps; with None only those that failed."""
    info = details.info
    yield from (("", line) for line in title_lines(info, now))
    if info.reverts:
        yield (
            "",
            f"  undoes {'run' if len(info.reverts) == 1 else 'runs'} {', '.join(info.reverts)}",
        )
    yield from outcome_table(info)
    yield from _pace_line(details)
    if info.by_answer:
        yield Sign.SAME.value, answered_text(info.by_answer)
    if steps is None:
        yield from _problem_lines(details.steps)
    else:
        yield from _step_lines(details.steps, steps)
    yield from finding_lines(details.findings)
    for name, seconds in info.paused_seconds.items():
        yield "▶", f"  {name}  paused for {duration(seconds)}"
    yield from count_lines(info.delivery) if info.delivery else ()
    good = info.state == "closed" and not info.exit_code
    ending = ending_text(info.state, info.exit_code)
    yield "✓" if good else "✗", f"{ending}; details in {details.folder}"


def _pace_line(details: RunDetails) -> Iterator[Line]:
    """Yield the requests a second from the first request to the last, as a line of bars."""
    line = timeline(details.pace.samples)
    if len(line.samples) < 2:
        return
    sent = buckets(line, _SPARKS_WIDTH).sent
    mean = sum(sample.sent for sample in line.samples) / line.seconds
    source = "" if details.pace.measured else " (by its log)"
    yield "", f"  pace  {sparkline(sent)}  {mean:,.0f}/s, {max(sent):,.0f}/s at most{source}"


def sparkline(values: Sequence[float]) -> str:
    """Return a bar for each of *values*, the longest for the largest."""
    largest = max(values, default=0.0) or 1.0
    return "".join(_SPARKS[min(len(_SPARKS) - 1, int(len(_SPARKS) * v / largest))] for v in values)


def title_lines(info: RunInfo, now: datetime) -> Iterator[str]:
    """Yield `run 1123-1504 · resume by mara@host at 15:04`, and the size of the run."""
    by = f" by {info.user}" if info.user else ""
    at = f" at {local_time(info.started, now)}" if info.started else ""
    parts = [count(info.entries, "edit")] if info.kind == "resume" else []
    parts += [count(info.steps, "step"), requests_text(info), duration(info.seconds)]
    yield f"run {info.id} · {info.kind}{by}{at}"
    if info.kind == "resync" and info.command:
        yield f"  {info.command}"
    yield f"  {', '.join(parts)}"
    if info.plan:
        yield f"  plan {info.plan}"


def requests_text(info: RunInfo) -> str:
    """Return the number of a run's requests, as in `at least 3 requests`."""
    at_least = "at least " if info.requests_at_least else ""
    return at_least + count(info.requests, "request")


def _problem_lines(steps: Collection[StepRow]) -> Iterator[Line]:
    problems = [row for row in steps if row.state not in _SETTLED]
    yield from problem_lines((_problem_of(row) for row in problems), " (--steps)")


def _problem_of(row: StepRow) -> Problem:
    return Problem(row.ref, _remark(row) or row.state, row.log_id, row.state)


def _step_lines(steps: Collection[StepRow], limit: int) -> Iterator[Line]:
    shown = list(islice(steps, limit or None))
    rows = [
        (row.number, row.method, row.state, row.ref, step_remark(row, plain=True)) for row in shown
    ]
    for row, line in zip(shown, columns(rows, "><<<<"), strict=True):
        yield _SIGNS.get(row.state, "-"), line
    if len(steps) > len(shown):
        yield "", f"... and {count(len(steps) - len(shown), 'step')} more (--limit 0)"


def step_remark(row: StepRow, *, plain: bool = False) -> str:
    """Return the error and the finding of a step, or its state if it has neither.

    With *plain* the state is left out, as it is shown beside the remark.
    """
    text = f"{_remark(row)}{log_id_text(row.log_id)}".strip()
    return text if plain else text or row.state


def _remark(row: StepRow) -> str:
    parts = [f"blocked by {row.blocked_by}" if row.blocked_by else row.message]
    if row.sign:
        where, finding = row.place or "verified", fields_text(row.found) or row.said
        parts.append(f"{where}: {row.sign} {finding or 'does not exist'}")
    return "; ".join(filter(None, parts))
