"""Waiting until a condition holds, by asking ever less often."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable

from ocsync.engine.session import Session

FIRST_SECONDS, LONGEST_SECONDS = 0.2, 5.0


async def waits(
    session: Session, *, first: float, longest: float, patience: float = math.inf
) -> AsyncIterator[float]:
    """Yield the seconds waited so far: 0 at once, then again after each pause.

    The pauses grow from *first* to *longest* seconds; the last yield is at *patience* seconds.
    Raises Interrupted.
    """
    waited, pause = 0.0, first
    while True:
        yield waited
        if waited >= patience:
            return
        nap = min(pause, patience - waited)
        await session.sleep(nap)
        waited, pause = waited + nap, min(pause * 2, longest)


async def poll(
    session: Session,
    holds: Callable[[], Awaitable[bool]],
    *,
    patience: float,
    first: float = FIRST_SECONDS,
    longest: float = LONGEST_SECONDS,
) -> bool:
    """Ask *holds* until it says yes, or until *patience* seconds of waiting have passed.

    The pauses between grow from *first* to *longest* seconds. Return whether it held at last.
    Raises Interrupted.
    """
    async for _ in waits(session, first=first, longest=longest, patience=patience):
        if await holds():
            return True
    return False
