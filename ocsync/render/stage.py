"""The dry run of an import: the columns of a file, and the edits that it would stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.render.text import Line, columns, count, display_width, local_time, value_text

if TYPE_CHECKING:
    from datetime import datetime

    from ocsync.engine.resume.drafting import PlanDraft
    from ocsync.engine.staging import RepeatedImport
    from ocsync.intake.against import EarlierFile
    from ocsync.intake.column_report import Column, ColumnReport
    from ocsync.intake.contradictions import Contradictions
    from ocsync.intake.mapping_draft import Draft
    from ocsync.models import Entry

_NAME_WIDTH, _EXAMPLE_WIDTH = 26, 20
_WIDTH, _MIN_VALUE_WIDTH = 76, 12
"""The terminal columns of a row, and those that its values get at least."""


def number_entries(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield *entries* with the numbers that an empty journal would give them."""
    return (msgspec.structs.replace(entry, seq=seq) for seq, entry in enumerate(entries, 1))


def repeat_note(source: str, repeat: RepeatedImport, now: datetime) -> str:
    """Return the note that the edits of *source* are staged once more."""
    effect = "the same values are staged again"
    if repeat.adjusts:
        effect = f"{count(repeat.adjusts, 'adjustment counts', 'adjustments count')} twice"
    return f"{_staged_earlier(source, repeat, now)}; {effect}"


def comparison_lines(earlier: EarlierFile, *, written: bool) -> Iterator[str]:
    """Yield what the comparison with an earlier file found beside changes.

    *written*: the refs that are gone are in a file.
    """
    if earlier.new:
        outcome = "left out" if earlier.new_rows == "skip" else "created by a put"
        yield f"  {count(earlier.new, 'row')} not in {earlier.label}: {outcome}"
    if emptied := earlier.emptied:
        verb = "is" if emptied == 1 else "are"
        effect = r"this leaves the field unchanged; \N clears it"
        yield f"  {count(emptied, 'cell')} {verb} empty where {earlier.label} has a value: {effect}"
    if gone := earlier.gone_number:
        verb = "is" if gone == 1 else "are"
        hint = "" if written else " (--gone FILE writes them)"
        refs = f"{count(gone, 'ref')} of {earlier.label} {verb} not in this file"
        yield f"  {refs}; nothing is deleted{hint}"


def contradiction_note(source: str, contradictions: Contradictions) -> str:
    """Return the note on refs that *source* gives different values for one field; "" for none."""
    number, examples = contradictions.count, contradictions.examples
    if not number:
        return ""
    listed = ", ".join(f"{e.ref} {e.path} (lines {e.first} and {e.second})" for e in examples)
    more = f" and {number - len(examples):,} more" if number > len(examples) else ""
    refs = count(number, "ref appears", "refs appear")
    text = f"{refs} more than once with different values"
    return f"{source}: {text}; the last line counts: {listed}{more}"


def repeat_question(source: str, repeat: RepeatedImport, now: datetime) -> str:
    """Return the question whether to stage adjustments that would count twice."""
    adjustments = count(repeat.adjusts, "adjustment")
    question = f"Stage the file again and count {adjustments} twice?"
    return f"{_staged_earlier(source, repeat, now)}. {question}"


def _staged_earlier(source: str, repeat: RepeatedImport, now: datetime) -> str:
    states = {"still staged": repeat.staged, f"in the unfinished run {repeat.run}": repeat.running}
    numbers = {state: min(number, repeat.entries) for state, number in states.items()}
    parts = [
        f"{number:,} {'is' if number == 1 else 'are'} {state}"
        for state, number in numbers.items()
        if number
    ]  # not more than the file has, although each may be staged several times
    entries = f"{source} was already staged at {local_time(repeat.at, now)}"
    return f"{entries}; of its {count(repeat.entries, 'entry')}, {', '.join(parts)}"


def column_lines(source: str, report: ColumnReport) -> Iterator[str]:
    """Yield a row for each column of the file, and below them their problems."""
    columns_shown = report.ordered_columns()
    if not columns_shown:
        return
    yield f"{source}: {count(report.lines, 'line')}" + (
        f", {report.wrong:,} wrong" * bool(report.wrong)
    )
    counts = [name for name in ("null", "wrong") if any(getattr(c, name) for c in columns_shown)]
    head = ("column", "type", "filled", "empty", *counts, "distinct")
    rows = [
        (
            _truncate(column.name, _NAME_WIDTH),
            column.type,
            column.filled,
            report.count_empty(column),
            *(getattr(column, name) for name in counts),
            column.distinct,
        )
        for column in columns_shown
    ]
    lines = columns([head, *rows], "<<>>" + ">" * len(counts) + ">")
    room = max(_WIDTH - max(map(display_width, lines)), _MIN_VALUE_WIDTH)
    for line, text in zip(
        lines, ["lowest … highest", *map(_range_text, columns_shown)], strict=True
    ):
        yield f"  {line}  {_truncate(text, room)}".rstrip()
    for column in columns_shown:
        yield from (f"  {problem}" for problem in column.examples)
        if column.wrong > len(column.examples):
            yield f"  ... and {column.wrong - len(column.examples):,} more in {column.name}"


def foreign_column_lines(source: str, draft: Draft) -> Iterator[str]:
    """Yield a row for each column of another program's file: values, and the likely field."""
    yield f"{source}: columns of the file, and the fields of {draft.kind} that they may hold"
    rows = [
        (
            _truncate(column.header, _NAME_WIDTH),
            _truncate(column.field + "?" * (not column.is_sure), _NAME_WIDTH) or "-",
            _truncate(", ".join(column.examples), _EXAMPLE_WIDTH),
        )
        for column in draft.columns
    ]
    yield from columns([("column", "field", "values"), *rows], "<<<", indent=2, heading=True)


def _range_text(column: Column) -> str:
    """Return the least and the greatest value, as in `0 … 500`; one value if all are equal."""
    ends = [value_text(end) for end in (column.least, column.greatest) if end is not None]
    return " … ".join(dict.fromkeys(ends))


def _truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def column_document(source: str, report: ColumnReport) -> dict[str, Any]:
    """Return the columns of the file as JSON data."""
    return {
        "dry_run": True,
        "file": source,
        "lines": report.lines,
        "wrong_lines": report.wrong,
        "columns": [_column_facts(report, column) for column in report.ordered_columns()],
    }


def _column_facts(report: ColumnReport, column: Column) -> dict[str, Any]:
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


def outcome_document(alone: PlanDraft, both: PlanDraft) -> dict[str, Any]:
    """Return the counts that the file comes to, alone and with what is staged already."""
    return {"alone": _draft_counts(alone), "with_staged": _draft_counts(both)}


def _draft_counts(draft: PlanDraft) -> dict[str, int]:
    return {"entries": draft.entries, "refs": draft.refs, "steps": len(draft.plan.steps)}


def outcome_lines(source: str, document: dict[str, Any]) -> Iterator[Line]:
    """Yield the counts of `outcome_document`, and the unchanged rows, as lines."""
    alone, both = document["alone"], document["with_staged"]
    yield "+", f"{source} would stage {_counts_text(alone)}"
    if document["unchanged"]:
        yield "", f"  {count(document['unchanged'], 'row')} without a change"
    if both != alone:
        yield "", f"  together with the staged edits: {_counts_text(both)}"
    yield "=", "dry run: nothing was staged"


def _counts_text(facts: dict[str, int]) -> str:
    parts = ((facts["entries"], "entry"), (facts["refs"], "ref"), (facts["steps"], "step"))
    return ", ".join(count(number, noun) for number, noun in parts)
