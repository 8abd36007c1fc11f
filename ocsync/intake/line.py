"""What a reader of one format makes of one record."""

from __future__ import annotations

from typing import NamedTuple

from ocsync.errors import Problem
from ocsync.models import Entry


class Line(NamedTuple):
    """One record of a file: its entry, or what is wrong with it. *columns* place a field's cell."""

    number: int
    entry: Entry | None
    problems: list[Problem]
    columns: dict[str, int]
