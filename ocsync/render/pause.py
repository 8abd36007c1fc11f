"""The text of a pause that this workspace made."""

from __future__ import annotations

from datetime import datetime

from ocsync.render.text import duration, local_time
from ocsync.store.identity import operator
from ocsync.store.timestamps import seconds_between


def pause_text(
    by: str, since: str, now: datetime, *, until: str = "", reason: str = "", run: str = ""
) -> str:
    """Return who paused, for how long and why, as in `paused by you for 2 min, "stocktake"`.

    *by* is an operator, as in `name@host`; *since* and *until* are UTC, ISO 8601. Empty values are
    left out. The reason of a pause that *run* made for itself is not the words of a person.
    """
    who = "you" if by == operator() else by.partition("@")[0] or "this workspace"
    lasted = f" for {duration(seconds_between(since, now))}" if since else ""
    parts = [f"paused by {who}{lasted}"]
    if run and reason == f"run {run}":
        parts.append(f"for {reason}")
    elif reason:
        parts.append(f'"{reason}"')
    if until:
        parts.append(f"until {local_time(until, now)}")
    return ", ".join(parts)
