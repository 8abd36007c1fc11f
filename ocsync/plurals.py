"""Numbers with their nouns, so that every message agrees with its number, and lists cut short."""

from __future__ import annotations

from collections.abc import Sequence


def count(number: int, noun: str, plural: str = "") -> str:
    """Return *number* with its noun, as in `1 step` or `1,004 steps`.

    *noun* may be a phrase with its verb; then *plural* is needed, as in `3 refs are`.
    """
    return f"{number:,} {noun if number == 1 else plural or plural_of(noun)}"


def plural_of(noun: str) -> str:
    """Return the plural of *noun*, as `entries` for `entry`."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "ch", "x")) else "s")


def first_few(names: Sequence[str], limit: int = 3) -> str:
    """Return the first *limit* names and the number of the others, as in `a, b, c and 7 more`."""
    text = ", ".join(names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit:,} more"
