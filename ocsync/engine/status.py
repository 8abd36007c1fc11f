"""Status and targets: what the server says, held against what this workspace remembers."""

from __future__ import annotations

from typing import NamedTuple

from ocsync.client import Identity
from ocsync.engine.pause.pausing import TargetStatus, read_status
from ocsync.engine.session import Session, sign_in
from ocsync.pause import PauseState
from ocsync.schema import TARGETS
from ocsync.store.summary import OverdueReason, overdue_pauses


class Status(NamedTuple):
    """Every target as the server has it, the overdue pauses with why, and what drifted.

    *aged* says that pauses were held against an age, so that the younger ones are in order.
    """

    identity: Identity
    targets: dict[str, TargetStatus]
    overdue: dict[str, OverdueReason]
    drifted: tuple[str, ...]
    aged: bool = False

    @property
    def something(self) -> bool:
        """True when a watcher should look: a pause, an overdue one, or drift.

        Of somebody else's pause nobody knows the age, so it counts always.
        """
        counts = (
            (PauseState.PAUSED_BY_OTHER, PauseState.UNCERTAIN)
            if self.aged
            else (PauseState.PAUSED_BY_US, PauseState.PAUSED_BY_OTHER, PauseState.UNCERTAIN)
        )
        paused = any(s.state in counts for s in self.targets.values())
        return bool(paused or self.overdue or self.drifted)


async def status(session: Session, *, max_age: float = 0.0) -> Status:
    """Ask the server about every target. Pauses older than *max_age* seconds (0: no such limit) are
    overdue, as those are whose lease has run out and those that a dead window left.

    Drifted are those that somebody else lifted, or whose config went away while we held them.
    """
    identity = await sign_in(session)
    seen = await read_status(session, TARGETS.values(), save=False)
    pauses = session.folder.read_pauses()
    drifted = [
        name
        for name, one in seen.items()
        if one.state is PauseState.UNPAUSED_BY_OTHER
        or (name in pauses and (pauses[name].lost or not one.server.exists))
    ]
    is_open = session.folder.window_locks.is_open
    overdue = overdue_pauses(
        session.folder.read_raw_pauses(), session.now(), is_open, max_age=max_age
    )
    return Status(identity, seen, overdue, tuple(drifted), aged=bool(max_age))
