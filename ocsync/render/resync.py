"""A resync: the entities that it would send, and the report after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ocsync.render.json_data import json_data, run_data
from ocsync.render.problems import problem_lines, problem_of
from ocsync.render.text import LINE_LIMIT, Line, columns, count, duration

if TYPE_CHECKING:
    from ocsync.engine.resync.resync import ResyncReport
    from ocsync.engine.resync.selection import Selection


def selection_lines(selection: Selection) -> Iterator[Line]:
    """Yield the number of entities of each target, and the first refs."""
    rows = list(selection.by_target().items())
    for line in columns(rows, "<>", gap=3, indent=2):
        yield "", line
    for _, ref in selection.syncs[:LINE_LIMIT]:
        yield "", f"    {ref}"
    if len(selection.syncs) > LINE_LIMIT:
        yield "", f"    ... and {len(selection.syncs) - LINE_LIMIT:,} more"


def selection_document(selection: Selection) -> dict[str, Any]:
    """Return all entities that would be sent as JSON data."""
    refs = [{"target": target.name, "ref": ref} for target, ref in selection.syncs]
    return {"type": "dry_run", "targets": dict(selection.by_target()), "syncs": refs}


def lines(result: ResyncReport) -> Iterator[Line]:
    """Yield the report of a resync."""
    info = result.run
    done = info.counts.get("done", 0)
    rows = [
        (kind, f"{counts.get('done', 0):,} accepted", _failed_text(counts))
        for kind, counts in info.kinds.items()
    ]
    for line in columns(rows, "<><", gap=3, indent=2):
        yield "", line
    if not result.closed:
        yield from problem_lines(map(problem_of, result.failed))
    for error in result.closed:
        yield "!", error.message
        yield "", f"    ({error.hint})"
    text = f"OrderCloud accepted {done:,} of {count(info.steps, 'sync request')}"
    yield "✗" if result.failed else "✓", f"{text} in {duration(info.seconds)}"


def _failed_text(counts: Mapping[str, int]) -> str:
    number = counts.get("failed", 0)
    return f"{number:,} failed" if number else ""


def document(result: ResyncReport) -> dict[str, Any]:
    """Return the last event of a resync."""
    info = result.run
    return {
        "type": "summary",
        "exit_code": int(result.exit_code),
        "run": run_data(info),
        "done": info.counts.get("done", 0),
        "failed": json_data(result.failed),
        "closed": [{"message": error.message, "hint": error.hint} for error in result.closed],
    }
