"""What the doctor says, as lines and as data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ocsync.render.text import Line, count, width

if TYPE_CHECKING:
    from ocsync.engine.doctor import CheckResult, DoctorReport

_SIGNS = {"fine": "✓", "note": "!", "wrong": "✗"}
_DETAILS = 3


def lines(found: DoctorReport, columns: int, *, all_of_it: bool) -> Iterator[Line]:
    """A line a finding, and below it why it matters and what to type; *columns* 0 wraps nothing.

    Without *all_of_it* what is fine is only counted.
    """
    names = [one.id for one in found.said] + list(found.skipped)
    gap = max(map(len, names), default=0)
    for one in found.said:
        if one.level == "fine" and not all_of_it:
            continue
        yield from _told(one, gap, columns)
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.skipped.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, skipped in by_reason.items():
        yield "", f"  not checked without {reason}: {', '.join(skipped)}"


def told(one: CheckResult, columns: int) -> Iterator[Line]:
    """One finding, with every line that it stands on."""
    yield from _told(one._replace(fix=""), len(one.id), columns, whole=True)


def _told(one: CheckResult, gap: int, columns: int, *, whole: bool = False) -> Iterator[Line]:
    head = f"  {one.id}{' ' * (gap - width(one.id))}  "
    rest = [one.why, f"fix: {one.fix}" if one.fix else ""]
    first, *more = _wrapped(one.what, columns, len(head) + 2) or [""]
    yield _SIGNS[one.level.value], head + first
    indent = " " * (len(head) + 2)
    for line in more:
        yield "", indent + line
    for detail in one.details if whole else one.details[:_DETAILS]:
        cut = _wrapped if whole else _cut
        for line in cut(detail, columns, len(indent)):
            yield "", indent + line
    if len(one.details) > _DETAILS and not whole:
        yield "", f"{indent}... and {len(one.details) - _DETAILS:,} more (all with --json)"
    for text in rest:
        for line in _wrapped(text, columns, len(indent)):
            yield "", indent + line


def _wrapped(text: str, columns: int, used: int) -> list[str]:
    if not columns:
        return [text] if text else []
    size = max(columns - used, 30)
    return textwrap.wrap(text, size, break_long_words="{" in text, break_on_hyphens=False)


def _cut(text: str, columns: int, used: int) -> list[str]:
    most = max(columns - used, 30) if columns else 240
    return [text if len(text) <= most else text[: most - 1] + "…"]


def closing(found: DoctorReport) -> Line:
    """The one line that sums it up."""
    counts = {level: sum(one.level == level for one in found.said) for level in _SIGNS}
    notes = f", {count(counts['note'], 'note')}" if counts["note"] else ""
    if counts["wrong"]:
        are = "thing is" if counts["wrong"] == 1 else "things are"
        return "✗", f"{counts['wrong']} {are} wrong{notes}; {counts['fine']} fine"
    return "✓", f"nothing is wrong{notes}; {counts['fine']} fine"


def document(found: DoctorReport, repaired: Iterable[CheckResult]) -> dict[str, Any]:
    """The same as data."""
    return {
        "checks": [_facts(one) for one in found.said],
        "skipped": [{"id": name, "needs": needs} for name, needs in found.skipped.items()],
        "repaired": [
            {"id": one.id, "what": one.what, "details": list(one.details)} for one in repaired
        ],
        "wrong": sum(one.level == "wrong" for one in found.said),
        "notes": sum(one.level == "note" for one in found.said),
        "exit_code": int(found.exit_code),
    }


def _facts(one: CheckResult) -> dict[str, Any]:
    return {
        "id": one.id,
        "level": one.level.value,
        "what": one.what,
        "why": one.why,
        "fix": one.fix,
        "details": list(one.details),
        "repairable": one.repair is not None,
    }
