"""Reads that begin beside other requests, to save a round trip and the ramp of the window.

What is read before it is asked for might be read in vain: no more requests than may wait for a slot
at a time are made ahead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence

from ocsync.client import read_current
from ocsync.client.batch_reads import Accept, ReadResult
from ocsync.engine.session import Session
from ocsync.models import Ref

VALID_SECONDS = 2.0
"""The time for which what was read ahead counts: a question to the operator may take longer."""


class ReadAhead:
    """A reading of *refs* that begins at `start`, and continues when its results are asked for."""

    def __init__(
        self, session: Session, refs: Sequence[Ref], *, accept: Accept | None = None
    ) -> None:
        self._refs = refs
        self._reads = read_current(session.api, refs, accept=accept)
        self._first: asyncio.Task[ReadResult | None] | None = None
        self._began = 0.0

    def start(self) -> None:
        """Begin to read; requests that wait for a slot by then come first."""
        self._began = time.monotonic()
        if self._refs:
            self._first = asyncio.create_task(self._begin())

    async def _begin(self) -> ReadResult | None:
        """Return the first result; the reads that have begun with it go on."""
        return await anext(self._reads, None)

    async def aclose(self) -> None:
        """Cancel what is still being read."""
        if self._first:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)
        await self._reads.aclose()

    async def results(self) -> AsyncIterator[ReadResult]:
        """Yield each ref with its document, or nothing when they are too old.

        Raises TryLater, SignInError.
        """
        if self._first is None or time.monotonic() - self._began > VALID_SECONDS:
            await self.aclose()
            return
        if first := await self._first:
            yield first
        async for result in self._reads:
            yield result


async def read_documents(
    session: Session,
    refs: Iterable[Ref],
    *,
    accept: Accept | None = None,
    ahead: ReadAhead | None = None,
) -> AsyncIterator[ReadResult]:
    """Yield each ref with its current document, as `read_current` does.

    Those that are read *ahead* come first, and are not read again.
    """
    wanted = dict.fromkeys(refs)
    if ahead:
        async for ref, document in ahead.results():
            if ref in wanted:
                del wanted[ref]
                yield ref, document
    async for result in read_current(session.api, wanted, accept=accept):
        yield result
