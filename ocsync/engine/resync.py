"""Resync by hand: single sync requests, paced by the client, counted as they end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocsync.client import sync_one
from ocsync.engine.work import Work
from ocsync.errors import ApiError, InputError, Interrupted, OcsyncError, Problem
from ocsync.events import Sent
from ocsync.resources import ID_PATTERN, KINDS, Target

MANY = 100
"""From here on OrderCloud's own advice is the Portal's full sync (api-facts 3.1)."""

Ids = dict[str, str]


class Resynced(NamedTuple):
    """How many sync requests were taken, and those that were not."""

    done: int
    failed: list[tuple[str, OcsyncError]]


def read_ids(target: Target, words: Iterable[str], where: str) -> list[Ids]:
    """*words* as the IDs of a sync request each: `ID`, `PARENT/ID`, or a ref of the target's kind.

    Raises InputError naming every word that is none.
    """
    found, problems = [], []
    prefix = target.entity + "/"
    for line, word in enumerate(words, 1):
        text = word.strip()
        if not text or text.startswith("#"):
            continue
        values = text.removeprefix(prefix).split("/")
        if len(values) != len(target.sync_ids) or not all(map(ID_PATTERN.fullmatch, values)):
            shape = "/".join(target.sync_ids)
            problems.append(Problem(where, line, 0, "ID", text, f"is not {shape}"))
        else:
            found.append(dict(zip(target.sync_ids, values, strict=True)))
    if problems:
        text = f"{len(problems)} of the IDs are wrong; nothing was sent"
        raise InputError(text, problems)
    return found


async def ids_in_catalog(work: Work, target: Target, catalog: str) -> list[Ids]:
    """The IDs of everything of *target* in *catalog*: its products, its categories, or itself."""
    if target.entity == "catalog":
        return [{"CatalogID": catalog}]
    if target.entity == "category":
        path = KINDS["category"].collection.format(CatalogID=catalog)
        pages = work.api.pages(path, KINDS["category"].list_query, key="ID")
        return [{"CatalogID": catalog, "CategoryID": c["ID"]} async for page in pages for c in page]
    pages = work.api.pages(KINDS["catalog-product"].path, {"catalogID": catalog}, key="ProductID")
    products = [row["ProductID"] async for page in pages for row in page]
    if target.entity == "product":
        return [{"ProductID": product} for product in products]
    found: list[Ids] = []
    for product in products:
        records = work.api.pages(f"/products/{product}/inventoryrecords", key="ID")
        found += [
            {"ProductID": product, "InventoryRecordID": r["ID"]}
            async for page in records
            for r in page
        ]
    return found


async def resync(work: Work, target: Target, ids: Sequence[Ids], *, workers: int) -> Resynced:
    """Send a sync request for each of *ids*. One that is refused does not stop the others.

    Raises ConfigError when the target is not enabled, TryLater when the way to the server is gone.
    """
    queue = iter(ids)
    failed: list[tuple[str, OcsyncError]] = []
    done = 0
    trouble: list[OcsyncError] = []

    async def worker() -> None:
        nonlocal done
        for one in queue:
            if trouble or work.stop.is_set():
                return
            name, error = "/".join(one.values()), ""
            try:
                await sync_one(work.api, target, one)
            except ApiError as refused:
                failed.append((name, refused))
                error = refused.message
            except OcsyncError as gone:
                trouble.append(gone)
                return
            done += 1
            work.emit(Sent(name, done, len(ids), error))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(workers, len(ids))):
            group.create_task(worker())
    if trouble:
        raise trouble[0]
    if work.stop.is_set():
        raise Interrupted(f"stopped; {done:,} of {len(ids):,} sync requests were sent")
    return Resynced(done - len(failed), failed)
