"""Reads of many refs with few requests.

Refs of one list are read by `ID=a|b|c`, a single one by GET. An eventually consistent kind is
always read by GET, as its list may leave entities out (guide/ordercloud.md 5.3). Assignments have
no GET: they are listed by the parameters of their kind (guide/ordercloud.md 6).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ocsync.client.api import PAGE_SIZE, Api
from ocsync.client.responses import GATEWAY_HINT
from ocsync.errors import ApiError, NotFound, OcsyncError, TryLater
from ocsync.models import Ref
from ocsync.schema import Kind, ids_of, kind_of, make_ref, ref_key, url_of

MAX_IDS = 100
MAX_URL_LENGTH = 2000
"""Characters of a URL; `|` counts as the three that it is sent as (guide/ordercloud.md 2.4)."""

CurrentDocument = dict[str, Any] | None
ReadResult = tuple[Ref, CurrentDocument | OcsyncError]


async def read_current(api: Api, refs: Iterable[Ref]) -> AsyncIterator[ReadResult]:
    """Yield each ref with its current document, or None if it does not exist, in any order.

    A ref that the platform refuses to show comes with its ApiError. The number of requests at a
    time is bounded. Raises TryLater, SignInError.
    """
    batches = _batches(refs)
    pending: set[asyncio.Task[list[ReadResult]]] = set()
    try:
        while True:
            for batch in islice(batches, api.max_parallel_reads - len(pending)):
                pending.add(asyncio.create_task(_read_batch(api, batch)))
            if not pending:
                return
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                for pair in task.result():
                    yield pair
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _batches(refs: Iterable[Ref]) -> Iterator[list[Ref]]:
    """Yield groups of refs that one request (or one list) can answer."""
    groups: dict[tuple[str, ...], list[Ref]] = defaultdict(list)
    for ref in refs:
        kind = kind_of(ref)
        if kind.eventually_consistent:
            yield [ref]
        else:
            groups[_list_key(kind, ref)].append(ref)
    for group in groups.values():
        yield from [group] if kind_of(group[0]).assignment else _split_by_url_length(group)


def _list_key(kind: Kind, ref: Ref) -> tuple[str, ...]:
    """Return a key that the refs of one list share."""
    if not kind.assignment:
        return tuple(ref.split("/")[:-1])
    ids = ids_of(ref)
    first = next(iter(kind.listed_by.values()))
    return (kind.name, kind.path.format_map(ids), ids[first])


def _split_by_url_length(group: Sequence[Ref]) -> Iterator[list[Ref]]:
    batch: list[Ref] = []
    length = base = len(url_of(group[0])) + 200
    for ref in group:
        size = len(ref.rpartition("/")[2]) + 3
        if batch and (len(batch) == MAX_IDS or length + size > MAX_URL_LENGTH):
            yield batch
            batch, length = [], base
        batch.append(ref)
        length += size
    yield batch


async def _read_batch(api: Api, batch: list[Ref]) -> list[ReadResult]:
    kind = kind_of(batch[0])
    try:
        if kind.assignment:
            return await _read_assignments(api, kind, batch)
        if len(batch) == 1:
            return [(batch[0], await _read_one(api, batch[0]))]
        return await _read_by_list(api, kind, batch)
    except NotFound:
        return [(ref, None) for ref in batch]
    except ApiError as error:
        return [(ref, error) for ref in batch]


async def _read_one(api: Api, ref: Ref) -> dict[str, Any]:
    """Return the entity *ref*. Raises NotFound; TryLater for an answer that is not about it."""
    path = url_of(ref)
    document = await api.get(path)
    shown = str((document or {}).get("ID") or "")
    if document is None or shown.casefold() != ref.rpartition("/")[2].casefold():
        what = f"is about {shown}" if shown else "shows no entity"
        text = f"the answer to GET {path} {what}; nothing is based on it"
        raise TryLater(text, hint=GATEWAY_HINT)
    return document


async def _read_by_list(api: Api, kind: Kind, batch: list[Ref]) -> list[ReadResult]:
    by_id = {ref.rpartition("/")[2].casefold(): ref for ref in batch}
    query = {
        **kind.list_query,
        "ID": "|".join(ref.rpartition("/")[2] for ref in batch),
        "pageSize": str(PAGE_SIZE),
    }
    page = await api.page(kind.collection.format_map(ids_of(batch[0])), query)
    documents: dict[Ref, CurrentDocument] = dict.fromkeys(batch)
    for item in page.items:
        ref = by_id.get(str(item.get("ID", "")).casefold())
        if ref:
            documents[ref] = item
    return list(documents.items())


async def _read_assignments(api: Api, kind: Kind, batch: list[Ref]) -> list[ReadResult]:
    """Read a group with the same first ID by one list, unless that has more pages than refs."""
    if len(batch) > 1:
        ids = ids_of(batch[0])
        parameter, name = next(iter(kind.listed_by.items()))
        path, query = kind.path.format_map(ids), {parameter: ids[name], "pageSize": str(PAGE_SIZE)}
        first = await api.page(path, query)
        if first.total_pages <= len(batch):
            items = list(first.items)
            for number in range(2, first.total_pages + 1):
                items += (await api.page(path, {**query, "page": str(number)})).items
            return _match_items(kind, batch, items)
    results: list[ReadResult] = []
    for ref in batch:
        results += _match_items(kind, [ref], await _list_assignment(api, kind, ref))
    return results


async def _list_assignment(api: Api, kind: Kind, ref: Ref) -> list[dict[str, Any]]:
    ids = ids_of(ref)
    query = {p: ids[name] for p, name in kind.listed_by.items() if name in ids}
    path = kind.path.format_map(ids)
    return [item async for page in api.pages(path, query) for item in page]


def _match_items(kind: Kind, batch: list[Ref], items: Iterable[dict[str, Any]]) -> list[ReadResult]:
    ids = ids_of(batch[0])
    by_ref = {ref_key(ref_of(kind, ids, item)): item for item in items}
    return [(ref, by_ref.get(ref_key(ref))) for ref in batch]


def ref_of(kind: Kind, ids: Mapping[str, str], item: Mapping[str, Any]) -> Ref:
    """Return the ref of a list's *item*; *ids* are those in the path of the list.

    An optional ID of an assignment that is null counts as absent. The ref of an unexpected item
    lacks IDs.
    """
    in_path = [name for name in kind.ids if "{" + name + "}" in kind.collection]
    shown = {kind.ids[-1]: item.get("ID")}
    if kind.assignment:
        shown = {name: item.get(name) for name in kind.ids}
    own = {n: v if isinstance(v, str) else None for n, v in shown.items() if n not in in_path}
    return make_ref(kind, {**ids, **own})
