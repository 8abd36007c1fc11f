"""Reading what may lag behind its writes (api-facts 5.3), until it shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ocsync.client import read_current
from ocsync.diff import Document
from ocsync.engine.session import Session
from ocsync.errors import OcsyncError
from ocsync.events import ReadDone, Reading
from ocsync.models import Ref

POLL_SECONDS = 1.0

Stale = Callable[[Document | None], bool]


async def read_settled(
    session: Session, refs: Iterable[Ref], late: Mapping[Ref, Stale], settle: float
) -> dict[Ref, Document | OcsyncError | None]:
    """What is there now. Those that are *late* are read again while they may be stale.

    After *settle* seconds what they show counts all the same. Raises TryLater, SignInError.
    """
    found: dict[Ref, Document | OcsyncError | None] = {}
    wanted, waited = list(refs), 0.0
    total = len(wanted)
    while wanted:
        again = []
        async for ref, now in read_current(session.api, wanted):
            found[ref] = now
            if len(found) % 200 == 0:
                session.emit(Reading(len(found), total))
            if ref in late and not isinstance(now, OcsyncError) and late[ref](now):
                again.append(ref)
        wanted = again
        if not wanted or waited >= settle or session.stop.is_set():
            break
        await session.sleep(POLL_SECONDS)
        waited += POLL_SECONDS
    session.emit(ReadDone(total, 0))
    return found
