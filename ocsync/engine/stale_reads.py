"""Reading what may lag behind its writes (api-facts 5.3), until it shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ocsync.client import read_current
from ocsync.diff import Document
from ocsync.engine.polling import poll
from ocsync.engine.session import Session
from ocsync.errors import OcsyncError
from ocsync.events import ReadDone, Reading
from ocsync.models import Ref

POLL_SECONDS = 1.0

Stale = Callable[[Document | None], bool]


async def read_settled(
    session: Session, refs: Iterable[Ref], late: Mapping[Ref, Stale], settle: float
) -> dict[Ref, Document | OcsyncError | None]:
    """Return what the server has of *refs*; those in *late* are read again while they are stale.

    *late* maps a ref to the test whether a document is stale. After *settle* seconds a stale one
    counts all the same. Raises TryLater, SignInError, Interrupted.
    """
    documents: dict[Ref, Document | OcsyncError | None] = {}
    wanted = list(refs)
    total = len(wanted)

    async def all_fresh() -> bool:
        nonlocal wanted
        stale = []
        async for ref, now in read_current(session.api, wanted):
            documents[ref] = now
            if len(documents) % 200 == 0:
                session.emit(Reading(len(documents), total))
            if ref in late and not isinstance(now, OcsyncError) and late[ref](now):
                stale.append(ref)
        wanted = stale
        return not wanted

    await poll(session, all_fresh, patience=settle, first=POLL_SECONDS, longest=POLL_SECONDS)
    session.emit(ReadDone(total, 0))
    return documents
