"""Points in time as the workspace's files write them: UTC, ISO 8601."""

from __future__ import annotations

from datetime import datetime

_FIRST, _LAST = 2, 9998
"""Years; beyond them a time zone's hours may leave the calendar."""


def read_stamp(text: str) -> datetime:
    """The point in time that *text* names. Raises ValueError for text that names none."""
    stamp = datetime.fromisoformat(text)
    if stamp.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    if not _FIRST <= stamp.year <= _LAST:
        raise ValueError(f"{text} is not of our time")
    return stamp
