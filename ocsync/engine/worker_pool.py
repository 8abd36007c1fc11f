"""Many things at once: a number of workers that take from one queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from ocsync.errors import OcsyncError

T = TypeVar("T")


async def run_all(
    things: Iterable[T], act: Callable[[T], Awaitable[None]], *, workers: int, stop: asyncio.Event
) -> None:
    """Do *act* for each of *things*, up to *workers* at a time.

    An OcsyncError of one, or *stop*, lets what is under way end and begins nothing new; the first
    such error is raised then.
    """
    queue = iter(things)
    trouble: list[OcsyncError] = []

    async def worker() -> None:
        for thing in queue:
            if trouble or stop.is_set():
                return
            try:
                await act(thing)
            except OcsyncError as error:
                trouble.append(error)
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
    if trouble:
        raise trouble[0]
