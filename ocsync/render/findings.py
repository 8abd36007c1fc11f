"""Findings of a verification: counted by sign, and listed by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ocsync.models import Finding, Sign
from ocsync.render.text import Line, assignment, value

SHOWN = 10
_MEANING = {Sign.SAME: "same", Sign.MOVED: "sold since", Sign.DIFFERS: "differ",
            Sign.MISSING: "missing", Sign.UNREAD: "unread"}  # fmt: skip


def signs(counts: dict[str, int]) -> str:
    """`= 998  ~ 2 sold since`."""
    parts = []
    for sign in Sign:
        number = counts.get(sign.value, 0)
        if number:
            meaning = "" if sign is Sign.SAME else f" {_MEANING[sign]}"
            parts.append(f"{sign.value} {number:,}{meaning}")
    return "  ".join(parts) or "-"


def findings(found: Sequence[Finding]) -> Iterator[Line]:
    """What is not the same, in the marketplace or at the delivery target."""
    for one in found[:SHOWN]:
        yield one.sign.value, f"{one.ref}   {_said(one)}"
    if len(found) > SHOWN:
        yield "", f"  ... and {len(found) - SHOWN:,} more findings"


def _said(one: Finding) -> str:
    parts = [
        f"{assignment(path, pair['found'])} instead of {value(pair['wanted'])}"
        for path, pair in one.fields.items()
    ]
    if one.where:
        return ": ".join(filter(None, [one.message, ", ".join(parts)]))
    return ", ".join(parts) or one.message or "is not there"
