"""Reads of kinds whose reads lag behind writes (guide/ordercloud.md 5.3), repeated until they are
fresh.
"""

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
    session: Session, refs: Iterable[Ref], stale_tests: Mapping[Ref, Stale], settle: float
) -> dict[Ref, Document | OcsyncError | None]:
    """Return the documents of *refs*; those in *stale_tests* are read again while they are stale.

    *stale_tests* maps a ref to a function that returns whether a document is stale. After *settle*
    seconds the stale document is returned. Raises TryLater, SignInError, Interrupted.
    """
    documents: dict[Ref, Document | OcsyncError | None] = {}
    pending = list(refs)
    total = len(pending)

    async def all_fresh() -> bool:
        nonlocal pending
        stale = []
        async for ref, document in read_current(session.api, pending):
            documents[ref] = document
            if len(documents) % 200 == 0:
                session.emit(Reading(len(documents), total))
            if (
                ref in stale_tests
                and not isinstance(document, OcsyncError)
                and stale_tests[ref](document)
            ):
                stale.append(ref)
        pending = stale
        return not pending

    await poll(session, all_fresh, patience=settle, first=POLL_SECONDS, longest=POLL_SECONDS)
    session.emit(ReadDone(total, 0))
    return documents
