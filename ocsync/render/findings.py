"""Findings of a verification: counted by sign, and listed by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ocsync.models import Finding, Sign
from ocsync.render.text import Line, count, field_value_text, limited

_SIGN_TEXTS = {
    Sign.SAME: "",
    Sign.MOVED: " sold since",
    Sign.DIFFERS: " different",
    Sign.MISSING: " missing",
    Sign.UNREAD: " not read",
}


def sign_counts(counts: dict[str, int]) -> str:
    """Return the number of refs with each sign, as in `= 998  ~ 2 sold since`."""
    parts = [
        f"{sign.value} {counts[sign.value]:,}{meaning}"
        for sign, meaning in _SIGN_TEXTS.items()
        if counts.get(sign.value)
    ]
    return "  ".join(parts) or "-"


def difference_counts(counts: Mapping[str, int]) -> list[str]:
    """Return the number of refs that do not match, as in `2 sold since` and `1 missing`."""
    return [
        f"{counts[sign.value]:,}{meaning}"
        for sign, meaning in _SIGN_TEXTS.items()
        if meaning and counts.get(sign.value)
    ]


def answered_text(number: int) -> str:
    """Return that so many refs were verified by the answers to their writes."""
    response = "response to its write" if number == 1 else "responses to their writes"
    return f"{count(number, 'ref')} verified by the {response}"


def finding_lines(findings: Sequence[Finding]) -> Iterator[Line]:
    """Yield a line for each ref that differs, in the marketplace or at the delivery target.

    The worst come first, and those that are harmless are counted.
    """
    wrong = sorted(
        (one for one in findings if not one.sign.is_harmless), key=lambda one: one.sign.severity
    )
    lines = ((one.sign.value, f"{one.ref}   {_finding_text(one)}") for one in wrong)
    yield from limited(lines, len(wrong), " findings")
    harmless = [one for one in findings if one.sign.is_harmless]
    if harmless:
        have = count(len(harmless), "ref has", "refs have")
        text = f"{have} less stock than was written (sold since)"
        yield Sign.MOVED.value, f"{text}, such as {harmless[0].ref}"


def fields_text(fields: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the fields that differ, as in `Name=a instead of b`; see `Finding.fields`."""
    return ", ".join(
        f"{path}={field_value_text(path, pair['found'])} instead of "
        f"{field_value_text(path, pair['wanted'])}"
        for path, pair in fields.items()
    )


def _finding_text(finding: Finding) -> str:
    fields = fields_text(finding.fields)
    if finding.where:
        return ": ".join(filter(None, [finding.message, fields]))
    return fields or finding.message or "does not exist"
