"""Results of the doctor's checks, as lines and as JSON data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ocsync.render.text import Line, count, display_width

if TYPE_CHECKING:
    from ocsync.engine.doctor import CheckResult, DoctorReport

_SIGNS = {"fine": "✓", "note": "!", "wrong": "✗"}
_DETAIL_LIMIT = 3


def lines(report: DoctorReport, columns: int, *, show_fine: bool) -> Iterator[Line]:
    """Yield each result with its reason and its fix below; *columns* 0 wraps nothing.

    Without *show_fine* the checks that found nothing are left out.
    """
    names = [one.id for one in report.results] + list(report.skipped)
    gap = max(map(len, names), default=0)
    for result in report.results:
        if result.level == "fine" and not show_fine:
            continue
        yield from _result_lines(result, gap, columns)
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.skipped.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, skipped in by_reason.items():
        yield "", f"  not checked without {reason}: {', '.join(skipped)}"


def check_lines(result: CheckResult, columns: int) -> Iterator[Line]:
    """Yield one result with all of its details."""
    yield from _result_lines(result._replace(fix=""), len(result.id), columns, whole=True)


def _result_lines(
    result: CheckResult, gap: int, columns: int, *, whole: bool = False
) -> Iterator[Line]:
    head = f"  {result.id}{' ' * (gap - display_width(result.id))}  "
    rest = [result.consequence, f"fix: {result.fix}" if result.fix else ""]
    first, *more = _wrap(result.what, columns, len(head) + 2) or [""]
    yield _SIGNS[result.level.value], head + first
    indent = " " * (len(head) + 2)
    for line in more:
        yield "", indent + line
    for detail in result.details if whole else result.details[:_DETAIL_LIMIT]:
        cut = _wrap if whole else _cut
        for line in cut(detail, columns, len(indent)):
            yield "", indent + line
    if len(result.details) > _DETAIL_LIMIT and not whole:
        yield "", f"{indent}... and {len(result.details) - _DETAIL_LIMIT:,} more (all with --json)"
    for text in rest:
        for line in _wrap(text, columns, len(indent)):
            yield "", indent + line


def _wrap(text: str, columns: int, used: int) -> list[str]:
    if not columns:
        return [text] if text else []
    size = max(columns - used, 30)
    return textwrap.wrap(text, size, break_long_words="{" in text, break_on_hyphens=False)


def _cut(text: str, columns: int, used: int) -> list[str]:
    most = max(columns - used, 30) if columns else 240
    return [text if len(text) <= most else text[: most - 1] + "…"]


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
