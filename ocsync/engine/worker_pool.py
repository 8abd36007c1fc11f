"""A pool of workers that take from one queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from ocsync.errors import OcsyncError

T = TypeVar("T")
R = TypeVar("R")


async def run_all(
    items: Iterable[T], act: Callable[[T], Awaitable[None]], *, workers: int, stop: asyncio.Event
) -> None:
    """Do *act* for each of *items*, up to *workers* at a time.

    An OcsyncError of one, or *stop*, lets those under way end and begins none; the first such
    error is raised then.
    """
    queue = iter(items)
    errors: list[OcsyncError] = []

    async def worker() -> None:
        for item in queue:
            if errors or stop.is_set():
                return
            try:
                await act(item)
            except OcsyncError as error:
                errors.append(error)
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
    if errors:
        raise errors[0]


async def map_all(
    items: Sequence[T], act: Callable[[T], Awaitable[R]], *, workers: int, stop: asyncio.Event
) -> list[R]:
    """Return what *act* returns for each of *items*, in their order; otherwise as `run_all`.

    What *stop* kept from beginning is left out.
    """
    results: dict[int, R] = {}

    async def put(index: int) -> None:
        results[index] = await act(items[index])

    await run_all(range(len(items)), put, workers=workers, stop=stop)
    return [results[index] for index in sorted(results)]
