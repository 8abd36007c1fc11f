"""Dates of fields: the texts that are taken for one, and the form in which they are sent.

Taken is a calendar date, with or without a time, in the extended form of ISO 8601: other forms,
such as 20270131 or 2027-W04-7, are read differently by different programs. Sent is RFC 3339, in UTC
where no offset is given (guide/ordercloud.md 1.1).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)


def is_date(text: str) -> bool:
    """Return whether *text* is a date that a field can have."""
    try:
        return bool(_DATE.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


def instant(text: str) -> datetime | str:
    """Return the moment that *text* names, or *text* itself when it names none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def rfc3339(text: str) -> str:
    """Return the date *text* as RFC 3339, its digits unchanged; other text as it is."""
    match = _DATE.fullmatch(text)
    if match is None:
        moment = instant(text)
        return moment.isoformat() if isinstance(moment, datetime) else text
    day, minutes, seconds, offset = match.groups()
    return f"{day}T{minutes or '00:00'}{seconds or ':00'}{(offset or 'Z').upper()}"
