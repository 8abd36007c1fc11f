"""Status and targets: what the server says, held against what this workspace remembers."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ocsync.client import Identity
from ocsync.engine.pausing import Surveyed, survey
from ocsync.engine.work import Work, sign_in
from ocsync.pause import Pause, Standing
from ocsync.resources import TARGETS


class Status(NamedTuple):
    """Every target as the server has it, the overdue pauses, and what drifted."""

    identity: Identity
    targets: dict[str, Surveyed]
    overdue: tuple[str, ...]
    drifted: tuple[str, ...]

    @property
    def something(self) -> bool:
        """Whether a watcher should look: a pause, an overdue one, or drift."""
        paused = any(s.standing in (Standing.OURS, Standing.THEIRS) for s in self.targets.values())
        return bool(paused or self.overdue or self.drifted)


async def status(work: Work, *, max_age: float = 0.0) -> Status:
    """Ask the server about every target. Pauses older than *max_age* seconds (0: no such limit) are
    overdue, as those are whose lease has run out.

    Drifted are those that somebody else lifted, or whose config went away while we held them.
    """
    identity = await sign_in(work)
    seen = await survey(work, TARGETS.values(), settles=False)
    pauses = work.folder.read_pauses()
    drifted = [
        name
        for name, one in seen.items()
        if one.standing is Standing.LIFTED or (name in pauses and not one.server.exists)
    ]
    return Status(identity, seen, overdue(pauses, work.now(), max_age), tuple(drifted))


def overdue(pauses: dict[str, Pause], now: datetime, max_age: float) -> tuple[str, ...]:
    """The targets whose pause has outlived its lease, or *max_age* seconds (0: no such limit)."""
    return tuple(
        name
        for name, pause in pauses.items()
        if pause.overdue(now) or (max_age and pause.seconds(now) > max_age)
    )
