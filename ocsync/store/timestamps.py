"""Timestamps as the workspace's files write them: UTC, ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime

_FIRST_YEAR, _LAST_YEAR = 2, 9998
"""Years; beyond them a time zone's hours may leave the calendar."""


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def parse_timestamp(text: str) -> datetime:
    """Return the point in time in *text*. Raises ValueError if it is none."""
    stamp = datetime.fromisoformat(text)
    if stamp.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    if not _FIRST_YEAR <= stamp.year <= _LAST_YEAR:
        raise ValueError(f"{text} is outside the supported years")
    return stamp


def seconds_between(earlier: str, later: datetime) -> float:
    """Return the seconds from *earlier* to *later*; 0 if a clock was set back in between."""
    return max((later - datetime.fromisoformat(earlier)).total_seconds(), 0.0)


def local_time(timestamp: str, now: datetime, *, seconds: bool = False) -> str:
    """Return a UTC *timestamp* in local time, as in `15:05`; with the date unless it is today."""
    moment, here = datetime.fromisoformat(timestamp).astimezone(), now.astimezone()
    date = "" if moment.date() == here.date() else "%Y-%m-%d "
    return moment.strftime(date + ("%H:%M:%S" if seconds else "%H:%M"))
