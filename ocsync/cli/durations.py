"""Durations as they are typed."""

from __future__ import annotations


def read_duration(text: str, *, unit_needed: bool = False) -> float:
    """Return *text*, `90s`, `5m`, `2h`, `1d` or a number, in seconds. Raises ValueError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        raise ValueError(f'"{text}" is not a duration such as 90s, 5m, 2h or 1d') from None
    if unit_needed and value and text[-1] not in units:
        raise ValueError(f'"{text}" has no unit; write it as 2h or 90s')
    if not 0 <= value < 10**9:
        raise ValueError(f'"{text}" is out of range')
    return value
