"""The runs: the list, and one of them with its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ocsync.models import State
from ocsync.render.delivery_proof import numbers
from ocsync.render.findings import findings
from ocsync.render.resume import table
from ocsync.render.status import ending
from ocsync.render.text import Line, assignment, clock, columns, count, duration, value
from ocsync.store import RunInfo

if TYPE_CHECKING:
    from ocsync.engine.history import RunDetails, StepRow

_SHOWN = 10
_SETTLED = (State.DONE.value, State.UNCHANGED.value)
_MARKS = {"done": "+", "unchanged": "=", "failed": "!", "conflict": "!", "unknown": "!"}


def runs(infos: Sequence[RunInfo], now: datetime) -> Iterator[str]:
    """The runs, newest first, a line each."""
    rows: list[Sequence[object]] = [
        ("run", "sort", "started", "edits", "steps", "sent", "took", "ended")
    ]
    for info in infos:
        at = clock(info.started, now) if info.started else ""
        edits = info.entries if info.kind == "resume" else "-"
        numbers = (edits, info.steps, info.requests)
        end = ending(info.state, info.exit_code)
        rows += [(info.id, info.kind, at, *numbers, duration(info.seconds), end)]
    yield from columns(rows, "<<<>>>><")


def one(found: RunDetails, now: datetime, *, steps: int | None) -> Iterator[Line]:
    """One run; with *steps* every step up to that number, else those that are not settled."""
    info = found.info
    yield from (("", line) for line in title(info, now))
    if info.reverts:
        yield "", f"  takes back run {', '.join(info.reverts)}"
    yield from table(info)
    if steps is None:
        yield from _problems(found.steps)
    else:
        yield from _steps(found.steps, steps)
    yield from findings(found.findings)
    for name, seconds in info.paused_seconds.items():
        yield "▶", f"  {name}  paused for {duration(seconds)}"
    yield from numbers(info.delivery) if info.delivery else ()
    good = info.state == "closed" and not info.exit_code
    yield "✓" if good else "✗", f"{ending(info.state, info.exit_code)}; all of it in {found.folder}"


def title(info: RunInfo, now: datetime) -> Iterator[str]:
    """`run 1123-1504 · resume by mara@host at 15:04`, and below it how much it was."""
    by = f" by {info.user}" if info.user else ""
    at = f" at {clock(info.started, now)}" if info.started else ""
    parts = [count(info.entries, "edit")] if info.kind == "resume" else []
    parts += [count(info.steps, "step"), count(info.requests, "request"), duration(info.seconds)]
    yield f"run {info.id} · {info.kind}{by}{at}"
    if info.kind == "resync" and info.command:
        yield f"  {info.command}"
    yield f"  {', '.join(parts)}"


def _problems(steps: Sequence[StepRow]) -> Iterator[Line]:
    left = [row for row in steps if row.state not in _SETTLED]
    for row in left[:_SHOWN]:
        yield "!", f"{row.ref}   {why(row)}"
    if len(left) > _SHOWN:
        yield "", f"  ... and {len(left) - _SHOWN:,} more (--steps)"


def _steps(steps: Sequence[StepRow], most: int) -> Iterator[Line]:
    shown = steps[: most or None]
    rows = [(row.number, row.method, row.state, row.ref, why(row, plain=True)) for row in shown]
    for row, line in zip(shown, columns(rows, "><<<<"), strict=True):
        yield _MARKS.get(row.state, "-"), line
    if len(steps) > len(shown):
        yield "", f"... and {count(len(steps) - len(shown), 'step')} more (--limit 0)"


def why(row: StepRow, *, plain: bool = False) -> str:
    """What there is to say of a step, without its state where that is shown beside it."""
    parts = [f"blocked by {row.blocked_by}" if row.blocked_by else row.message]
    if row.sign:
        found = ", ".join(
            f"{assignment(path, pair['found'])} instead of {value(pair['wanted'])}"
            for path, pair in row.found.items()
        )
        where = row.place or "verified"
        parts.append(f"{where}: {row.sign} {found or row.said or 'is not there'}")
    text = "; ".join(filter(None, parts))
    return text if plain else text or row.state
