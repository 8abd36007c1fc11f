"""What a file would stage, column by column, as lines and as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.render.text import Line, columns, count, value, width

if TYPE_CHECKING:
    from ocsync.engine.resume.drafting import PlanDraft
    from ocsync.intake.column_report import Column, ColumnReport
    from ocsync.models import Entry

_NAME = 26
_WIDTH, _LEAST = 76, 14
"""Columns for a row, and those that its values get at least."""


def numbered(entries: Iterable[Entry]) -> list[Entry]:
    """*entries* as the journal would number them, after nothing else."""
    return [msgspec.structs.replace(entry, seq=seq) for seq, entry in enumerate(entries, 1)]


def report_lines(source: str, report: ColumnReport) -> Iterator[str]:
    """A row a column; what is wrong with it below."""
    found = report.ordered_columns()
    if not found:
        return
    yield f"{source}: {count(report.lines, 'line')}" + (
        f", {report.wrong:,} wrong" * bool(report.wrong)
    )
    counts = [name for name in ("null", "wrong") if any(getattr(c, name) for c in found)]
    head = ("column", "type", "filled", "empty", *counts, "differ")
    rows = [
        (
            _short(column.name, _NAME),
            column.type,
            column.filled,
            report.count_empty(column),
            *(getattr(column, name) for name in counts),
            column.distinct,
        )
        for column in found
    ]
    lines = columns([head, *rows], "<<>>" + ">" * len(counts) + ">")
    room = max(_WIDTH - max(map(width, lines)), _LEAST)
    for line, text in zip(lines, ["least … most", *map(_range, found)], strict=True):
        yield f"  {line}  {_short(text, room)}".rstrip()
    for column in found:
        yield from (f"  {problem}" for problem in column.examples)
        if column.wrong > len(column.examples):
            yield f"  ... and {column.wrong - len(column.examples):,} more in {column.name}"


def _range(column: Column) -> str:
    """`0 … 500`; one value where all are the same."""
    ends = [value(end) for end in (column.least, column.greatest) if end is not None]
    return " … ".join(dict.fromkeys(ends))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def report_data(source: str, report: ColumnReport) -> dict[str, Any]:
    """The same as data."""
    return {
        "dry_run": True,
        "file": source,
        "lines": report.lines,
        "wrong_lines": report.wrong,
        "columns": [_column(report, column) for column in report.ordered_columns()],
    }


def _column(report: ColumnReport, column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "filled": column.filled,
        "empty": report.count_empty(column),
        "null": column.null,
        "wrong": column.wrong,
        "distinct": column.distinct,
        "least": column.least,
        "most": column.greatest,
        "problems": column.examples,
    }


def outcome_data(alone: PlanDraft, both: PlanDraft) -> dict[str, Any]:
    """What the file comes to, by itself and with what is staged already."""
    return {"alone": _outcome(alone), "with_staged": _outcome(both)}


def _outcome(draft: PlanDraft) -> dict[str, int]:
    refs = {entry.ref for entry in draft.entries}
    return {"entries": len(draft.entries), "refs": len(refs), "steps": len(draft.plan.steps)}


def outcome_lines(source: str, facts: dict[str, Any]) -> Iterator[Line]:
    """The same as lines."""
    alone, both = facts["alone"], facts["with_staged"]
    yield "+", f"{source} would stage {_said(alone)}"
    if both != alone:
        yield "", f"  with what is staged already: {_said(both)}"
    yield "=", "dry run: nothing was staged"


def _said(facts: dict[str, int]) -> str:
    parts = ((facts["entries"], "entry"), (facts["refs"], "ref"), (facts["steps"], "step"))
    return ", ".join(count(number, noun) for number, noun in parts)
