"""Reads of a few refs that go on beside other requests, to save a round trip.

Where many refs are read a round trip matters little, and so many requests might be made in vain:
they are not read ahead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence

from ocsync.client import read_current
from ocsync.client.batch_reads import Accept, CurrentDocument, ReadResult
from ocsync.engine.session import Session
from ocsync.errors import OcsyncError
from ocsync.models import Ref

MOST_REFS = 200
VALID_SECONDS = 2.0
"""The time for which what was read ahead counts: a question to the operator may take longer."""

_Documents = dict[Ref, CurrentDocument | OcsyncError]


class ReadAhead:
    """A reading of *refs* that goes on from `start` until it is closed."""

    def __init__(
        self, session: Session, refs: Sequence[Ref], *, accept: Accept | None = None
    ) -> None:
        self._session = session
        self._refs = refs if len(refs) <= MOST_REFS else ()
        self._accept = accept
        self._task: asyncio.Task[_Documents] | None = None
        self._began = 0.0

    def start(self) -> None:
        """Begin to read; requests that wait for a slot by then come first."""
        self._began = time.monotonic()
        if self._refs:
            self._task = asyncio.create_task(self._read())

    async def aclose(self) -> None:
        """Cancel what is still being read."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> _Documents:
        reads = read_current(self._session.api, self._refs, accept=self._accept)
        return {ref: document async for ref, document in reads}

    async def documents(self) -> _Documents:
        """Return what was read, or nothing when that is too old. Raises TryLater, SignInError."""
        if self._task is None or time.monotonic() - self._began > VALID_SECONDS:
            return {}
        return await self._task


async def read_documents(
    session: Session,
    refs: Iterable[Ref],
    *,
    accept: Accept | None = None,
    ahead: ReadAhead | None = None,
) -> AsyncIterator[ReadResult]:
    """Yield each ref with its current document, as `read_current` does.

    Those that were read *ahead* come first, and are not read again.
    """
    wanted = list(refs)
    known = await ahead.documents() if ahead else {}
    for ref in wanted:
        if ref in known:
            yield ref, known[ref]
    async for result in read_current(
        session.api, [ref for ref in wanted if ref not in known], accept=accept
    ):
        yield result
