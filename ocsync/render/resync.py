"""A resync: what it would send, what it came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.render.findings import SHOWN
from ocsync.render.text import Line, columns, count, duration

if TYPE_CHECKING:
    from ocsync.engine.resync.resync import ResyncReport
    from ocsync.engine.resync.selection import Selection


def selection(found: Selection) -> Iterator[Line]:
    """What would be sent: how many of each target, and some by name."""
    rows = list(found.by_target().items())
    for line in columns(rows, "<>", gap=3):
        yield "", "  " + line
    for _, ref in found.syncs[:SHOWN]:
        yield "", f"    {ref}"
    if len(found.syncs) > SHOWN:
        yield "", f"    ... and {len(found.syncs) - SHOWN:,} more"


def dry_run(found: Selection) -> dict[str, Any]:
    """The same as data, all of it."""
    refs = [{"target": target.name, "ref": ref} for target, ref in found.syncs]
    return {"type": "dry-run", "targets": dict(found.by_target()), "syncs": refs}


def report(result: ResyncReport) -> Iterator[Line]:
    """What a resync came to."""
    info = result.run
    done = info.counts.get("done", 0)
    rows = [
        (kind, f"{counts.get('done', 0):,} taken", _failed(counts))
        for kind, counts in info.kinds.items()
    ]
    for line in columns(rows, "<><", gap=3):
        yield "", "  " + line
    for outcome in [] if result.closed else result.failed[:SHOWN]:
        yield "!", f"{outcome.ref}   {outcome.message}"
    if not result.closed and len(result.failed) > SHOWN:
        yield "", f"  ... and {len(result.failed) - SHOWN:,} more"
    for error in result.closed:
        yield "!", error.message
        yield "", f"    ({error.hint})"
    text = f"{done:,} of {count(info.steps, 'sync request')} taken"
    yield "✗" if result.failed else "✓", f"{text}, {duration(info.seconds)}"


def _failed(counts: Mapping[str, int]) -> str:
    number = counts.get("failed", 0)
    return f"{number:,} failed" if number else ""


def document(result: ResyncReport) -> dict[str, Any]:
    """The report as data; the last event of a resync."""
    info = result.run
    return {
        "type": "summary",
        "exit_code": int(result.exit_code),
        "run": msgspec.to_builtins(info),
        "done": info.counts.get("done", 0),
        "failed": msgspec.to_builtins(result.failed),
        "closed": [{"message": error.message, "hint": error.hint} for error in result.closed],
    }
