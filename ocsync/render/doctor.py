"""Results of the doctor's checks, as lines and as JSON data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ocsync.render.text import Line, Row, count, display_width, truncate

if TYPE_CHECKING:
    from ocsync.engine.doctor import CheckResult, DoctorReport

_SIGNS = {"fine": "✓", "note": "!", "wrong": "✗"}
_DETAIL_LIMIT, _DETAIL_WIDTH = 3, 240


def lines(report: DoctorReport, *, show_fine: bool) -> Iterator[Line]:
    """Yield each result with its reason and its fix below.

    Without *show_fine* the checks that found nothing are left out.
    """
    names = [one.id for one in report.results] + list(report.skipped)
    width = max(map(len, names), default=0)
    for result in report.results:
        if result.level == "fine" and not show_fine:
            continue
        yield from _result_lines(
            result,
            width,
            [truncate(text, _DETAIL_WIDTH) for text in result.details[:_DETAIL_LIMIT]],
        )
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.skipped.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, skipped in by_reason.items():
        yield "", f"  not checked without {reason}: {', '.join(skipped)}"


def check_lines(result: CheckResult) -> Iterator[Line]:
    """Yield one result with all of its details."""
    yield from _result_lines(result._replace(fix=""), len(result.id), result.details)


def _result_lines(result: CheckResult, width: int, details: Sequence[str]) -> Iterator[Line]:
    """Yield a result as a row of a table, and what is known of it below its last column."""
    head = f"  {result.id}{' ' * (width - display_width(result.id))}  "
    yield _SIGNS[result.level.value], Row(head + result.what, (0, len(head)))
    indent = " " * (len(head) + 2)
    for detail in details:
        yield "", Row(indent + detail, (0, len(indent)))
    if len(result.details) > len(details):
        more = len(result.details) - len(details)
        yield "", Row(f"{indent}... and {more:,} more (all with --json)", (0, len(indent)))
    for text in filter(None, [result.consequence, result.fix and f"fix: {result.fix}"]):
        yield "", Row(indent + text, (0, len(indent)))


def closing_line(report: DoctorReport) -> Line:
    """Return the last line: the number of problems and notes."""
    counts = {level: sum(one.level == level for one in report.results) for level in _SIGNS}
    notes = f", {count(counts['note'], 'note')}" if counts["note"] else ""
    fine = f"{count(counts['fine'], 'check')} OK"
    if counts["wrong"]:
        return "✗", f"{count(counts['wrong'], 'problem')}{notes}; {fine}"
    return "✓", f"no problems{notes}; {fine}"


def document(report: DoctorReport, repaired: Iterable[CheckResult]) -> dict[str, Any]:
    """Return the results, and those that were repaired, as JSON data."""
    return {
        "checks": [_result_document(one) for one in report.results],
        "skipped": [{"id": name, "needs": needs} for name, needs in report.skipped.items()],
        "repaired": [
            {"id": one.id, "what": one.what, "details": list(one.details)} for one in repaired
        ],
        "wrong": sum(one.level == "wrong" for one in report.results),
        "notes": sum(one.level == "note" for one in report.results),
        "exit_code": int(report.exit_code),
    }


def _result_document(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "level": result.level.value,
        "what": result.what,
        "why": result.consequence,
        "fix": result.fix,
        "details": list(result.details),
        "repairable": result.repair is not None,
    }
