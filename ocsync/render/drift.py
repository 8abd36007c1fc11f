"""Drift: the fields that differ from what runs left there, and what could not be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ocsync.models import Finding, Sign
from ocsync.render.findings import difference_counts, sign_counts
from ocsync.render.text import (
    LINE_LIMIT,
    Line,
    columns,
    count,
    field_value_text,
    first_few,
    local_time,
)
from ocsync.render.verify import document as verification_document
from ocsync.render.verify import proof_lines

if TYPE_CHECKING:
    from ocsync.engine.verify.drift import Drift, RefHistory

_VALUE_WIDTH = 30


def lines(drift: Drift, since: str, now: datetime, *, every: bool) -> Iterator[Line]:
    """Yield the result; with *every* all refs that differ, else the first."""
    moment = local_time(since, now)
    if not drift.runs:
        yield "=", f"no run since {moment}"
        return
    verification = drift.verification
    rows: list[Sequence[object]] = [("kind", "verified")]
    rows += [(kind, sign_counts(counts)) for kind, counts in verification.kinds.items()]
    for line in columns(rows, "<<", gap=3) if verification.kinds else ():
        yield "", "  " + line
    yield from proof_lines(verification)
    yield from _finding_lines(drift, every=every)
    yield from _unknown_lines(drift.unknown)
    yield _closing_line(drift, moment)


def _finding_lines(drift: Drift, *, every: bool) -> Iterator[Line]:
    wrong = [one for one in drift.verification.findings if not one.sign.is_harmless or every]
    for finding in wrong if every else wrong[:LINE_LIMIT]:
        history = drift.histories[finding.ref]
        yield finding.sign.value, f"{finding.ref}{_ref_remark(finding, history)}"
        for path, pair in finding.fields.items():
            found, wanted = (
                field_value_text(path, pair[name], _VALUE_WIDTH) for name in ("found", "wanted")
            )
            write = history.field_at(path)
            was = f"run {write.run}; before it {field_value_text(path, write.before, _VALUE_WIDTH)}"
            yield "", f"    {path}  {wanted} -> {found}   ({was})"
    if len(wrong) > LINE_LIMIT and not every:
        yield "", f"  ... and {len(wrong) - LINE_LIMIT:,} more (--verbose)"
    sold = [one for one in drift.verification.findings if one.sign is Sign.MOVED]
    if sold and not every:
        have = count(len(sold), "ref has", "refs have")
        yield Sign.MOVED.value, f"{have} less stock than was written (sold since)"


def _ref_remark(finding: Finding, history: RefHistory) -> str:
    if finding.fields:
        return ""
    text = finding.message or "does not exist"
    return f"   {text} (run {history.run})"


def _unknown_lines(unknown: Sequence[RefHistory]) -> Iterator[Line]:
    if unknown:
        runs = first_few(sorted({run for one in unknown for run in one.unknown.values()}))
        refs = count(len(unknown), "ref")
        yield "!", f"{refs} not verified, or not all of it: the outcome of a write is unknown"
        yield "", f"    (runs {runs}): {first_few([one.ref for one in unknown])}"


def _closing_line(drift: Drift, moment: str) -> Line:
    counts = sum(map(Counter, drift.verification.kinds.values()), Counter[str]())
    total, same = counts.total(), counts[Sign.SAME.value]
    runs = count(len(drift.runs), "run")
    left = f"{runs} since {moment}"
    if not total:
        return "=", f"{left} left nothing to verify"
    if same == total:
        text = f"{count(total, 'ref is', 'refs are')} as {left} left them"
    else:
        verb = "is" if same == 1 or total == 1 else "are"
        text = f"{same:,} of {count(total, 'ref')} {verb} as {left} left them"
        text = f"{text}; {', '.join(difference_counts(counts))}"
    is_good = not (drift.verification.exit_code or drift.unfinished or drift.unknown)
    return "✓" if is_good else "✗", text


def document(drift: Drift, since: str) -> dict[str, Any]:
    """Return the result as JSON data."""
    return {
        "since": since,
        "runs": [info.id for info in drift.runs],
        **verification_document(drift.verification),
        "refs": [
            _ref_document(finding, drift.histories[finding.ref])
            for finding in drift.verification.findings
        ],
        "unknown": [{"ref": one.ref, "fields": one.unknown} for one in drift.unknown],
    }


def _ref_document(finding: Finding, history: RefHistory) -> dict[str, Any]:
    return {
        "ref": finding.ref,
        "run": history.run,
        "fields": {path: history.field_at(path)._asdict() for path in finding.fields},
    }
