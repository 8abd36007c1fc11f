"""Status of the targets: their sync configs, compared with the pauses of this workspace."""

from __future__ import annotations

from typing import NamedTuple

from ocsync.client import Identity
from ocsync.engine.pause.pausing import TargetStatus, read_status
from ocsync.engine.session import Session, sign_in
from ocsync.pause import PauseState
from ocsync.schema import TARGETS
from ocsync.store.summary import OverdueReason, overdue_pauses


class Status(NamedTuple):
    """The state of every target, the overdue pauses with the reason, and the drifted targets.

    *aged* is true when a maximum age was given, so that younger pauses need no attention.
    """

    identity: Identity
    targets: dict[str, TargetStatus]
    overdue: dict[str, OverdueReason]
    drifted: tuple[str, ...]
    aged: bool = False

    @property
    def needs_attention(self) -> bool:
        """True for a pause, an overdue pause or drift, at which a watcher should look.

        A pause by somebody else always counts, because its age is unknown.
        """
        counts = (
            (PauseState.PAUSED_BY_OTHER, PauseState.UNCERTAIN)
            if self.aged
            else (PauseState.PAUSED_BY_US, PauseState.PAUSED_BY_OTHER, PauseState.UNCERTAIN)
        )
        paused = any(s.state in counts for s in self.targets.values())
        return bool(paused or self.overdue or self.drifted)


async def status(session: Session, *, max_age: float = 0.0) -> Status:
    """Return the status of every target, read from the server.

    Pauses older than *max_age* seconds (0: no limit) are overdue, and so are those whose end has
    passed and those that a dead window left. Targets have drifted when somebody else unpaused them,
    or when their sync config was removed while this workspace had them paused.
    """
    identity = await sign_in(session)
    statuses = await read_status(session, TARGETS.values(), save=False)
    pauses = session.folder.read_pauses()
    drifted = [
        name
        for name, status in statuses.items()
        if status.state is PauseState.UNPAUSED_BY_OTHER
        or (name in pauses and (pauses[name].lost or not status.server.exists))
    ]
    is_open = session.folder.window_locks.is_open
    overdue = overdue_pauses(
        session.folder.read_raw_pauses(), session.now(), is_open, max_age=max_age
    )
    return Status(identity, statuses, overdue, tuple(drifted), aged=bool(max_age))
