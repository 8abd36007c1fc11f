"""Whole lists of entities in the order of their IDs, several pages at a time.

Up to page 30 a page is asked for by its number, from there on the last ID leads
(guide/ordercloud.md 6): so 30 pages can be under way at once. An entity that is created or deleted
meanwhile moves others from one page to another. Where the total that the pages state tells of that,
the list goes on from the last ID that was surely read, and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from ocsync.client.api import MAX_PAGE_NUMBER, PAGE_SIZE, Api, Page
from ocsync.client.responses import GATEWAY_HINT
from ocsync.errors import TryLater


async def read_list(
    api: Api,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    after: str = "",
    most: int = 0,
) -> AsyncIterator[Page]:
    """Yield the pages of the list at *path*, from the first ID behind *after* on.

    Only as many pages are under way as *most* items take, if that is not 0. Raises TryLater for a
    list that does not move on, or whose items have no ID.
    """
    ahead = min(MAX_PAGE_NUMBER, -(-most // PAGE_SIZE) or MAX_PAGE_NUMBER)
    base = {**(query or {}), "pageSize": str(PAGE_SIZE), "sortBy": "ID"}
    last = after
    while True:
        position = {"ID": f">{last}"} if last else {}
        number, whole, size, total = 0, True, 0, 0
        async for page in _window(api, path, {**base, **position}, ahead):
            if not page.items:
                return
            number, total = number + 1, total if number else page.total_items
            if page.total_items != total:
                whole = False
                break
            yield page
            size += len(page.items)
            last = _last_id(path, page, last)
        if whole and 0 < total <= size:
            return


async def _window(api: Api, path: str, query: Mapping[str, str], ahead: int) -> AsyncIterator[Page]:
    """Yield the first pages of a list, *ahead* at most."""
    first = await api.page(path, {**query, "page": "1"})
    yield first
    tasks = [
        asyncio.create_task(api.page(path, {**query, "page": str(number)}))
        for number in range(2, min(first.total_pages, ahead) + 1)
    ]
    try:
        for task in tasks:
            yield await task
    finally:
        await _cancel(tasks)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _last_id(path: str, page: Page, before: str) -> str:
    last = page.items[-1].get("ID")
    if not isinstance(last, str) or not last:
        raise TryLater(f"an item of the list {path} has no ID", hint=GATEWAY_HINT)
    if last == before:
        raise TryLater(f"the list {path} does not continue after {last}", hint=GATEWAY_HINT)
    return last
