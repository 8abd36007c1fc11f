"""Reads of many refs with few requests.

Refs of one list are read by `ID=a|b|c`, a single one by GET. The list of an eventually consistent
kind may leave entities out or show them as they were (guide/ordercloud.md 5.3): the caller decides
which of its documents to accept, and the others are read by GET. Assignments have no GET: they are
listed by one of the parameters of their kind (guide/ordercloud.md 6), the one with the fewest
values among them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Any, NamedTuple

from ocsync.client.api import MAX_PAGE_NUMBER, PAGE_SIZE, Api, Page
from ocsync.client.responses import GATEWAY_HINT
from ocsync.errors import ApiError, NotFound, OcsyncError, TryLater
from ocsync.models import Ref
from ocsync.schema import Kind, ids_of, kind_of, make_ref, ref_key, url_of

MAX_IDS = 100
MAX_URL_LENGTH = 2000
"""Characters of a URL; `|` counts as the three that it is sent as (guide/ordercloud.md 2.4)."""

CurrentDocument = dict[str, Any] | None
ReadResult = tuple[Ref, CurrentDocument | OcsyncError]
Accept = Callable[[Ref, dict[str, Any]], bool]
"""A test of a document that a list shows which may lag: true when it is new enough to be used."""


class _Batch(NamedTuple):
    """Refs that one list shows, or a single ref.

    *parameters* are those by which a list of assignments can be asked for, the best first.
    """

    refs: Sequence[Ref]
    parameters: Sequence[str] = ()


class _BatchResult(NamedTuple):
    """The results of a batch, and the batches that are still to be read for it."""

    results: list[ReadResult]
    remaining: list[_Batch]


async def read_current(
    api: Api, refs: Iterable[Ref], *, accept: Accept | None = None
) -> AsyncGenerator[ReadResult, None]:
    """Yield each ref with its current document, or None if it does not exist, in any order.

    A ref that the platform refuses to show comes with its ApiError. Eventually consistent kinds are
    read by lists only with *accept*: it is called with each document that such a list shows, and
    one that it does not accept is read by GET. The number of requests at a time is bounded. Raises
    TryLater, SignInError.
    """
    batches: Iterator[_Batch] = _batches(refs, by_lagging_list=accept is not None)
    pending: set[asyncio.Task[_BatchResult]] = set()
    try:
        while True:
            for batch in islice(batches, api.max_parallel_reads - len(pending)):
                pending.add(asyncio.create_task(_read_batch(api, batch, accept)))
            if not pending:
                return
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                result = task.result()
                if result.remaining:
                    batches = chain(result.remaining, batches)
                for pair in result.results:
                    yield pair
    finally:
        await _cancel(pending)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _batches(refs: Iterable[Ref], *, by_lagging_list: bool) -> Iterator[_Batch]:
    """Yield groups of refs that one request (or one list) can answer."""
    groups: dict[tuple[str, ...], list[Ref]] = defaultdict(list)
    for ref in refs:
        kind = kind_of(ref)
        if kind.action or (kind.eventually_consistent and not by_lagging_list):
            yield _Batch([ref])
        else:
            groups[list_key(ref)].append(ref)
    for group in groups.values():
        kind = kind_of(group[0])
        if kind.assignment:
            yield from _by_parameter(group, kind.listed_by)
        else:
            yield from map(_Batch, _split_by_url_length(group))


def list_key(ref: Ref) -> tuple[str, ...]:
    """Return a key that the refs of one list, or of lists at one path, share."""
    kind = kind_of(ref)
    if kind.assignment:
        return (kind.name, kind.path.format_map(ids_of(ref)))
    return tuple(ref.split("/")[:-1])


def _by_parameter(group: Sequence[Ref], parameters: Iterable[str]) -> Iterator[_Batch]:
    """Yield *group* by the values of the one of *parameters* that has the fewest among them."""
    ids, listed_by = list(map(ids_of, group)), kind_of(group[0]).listed_by
    values = {
        parameter: [of_one[listed_by[parameter]].casefold() for of_one in ids]
        for parameter in parameters
        if all(listed_by[parameter] in of_one for of_one in ids)
    }
    if not values:
        yield from (_Batch([ref]) for ref in group)
        return
    best_first = sorted(values, key=lambda parameter: len(set(values[parameter])))
    lists: dict[str, list[Ref]] = defaultdict(list)
    for ref, value in zip(group, values[best_first[0]], strict=True):
        lists[value].append(ref)
    yield from (_Batch(refs, best_first) for refs in lists.values())


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


async def _read_batch(api: Api, batch: _Batch, accept: Accept | None) -> _BatchResult:
    refs = batch.refs
    kind = kind_of(refs[0])
    lags = kind.eventually_consistent
    try:
        if kind.assignment:
            return await _read_assignments(api, kind, batch)
        if kind.action:
            return _BatchResult([(refs[0], await _read_counts(api, kind, refs[0]))], [])
        if len(refs) == 1:
            return _BatchResult([(refs[0], await _read_one(api, refs[0]))], [])
        documents = await _read_by_list(api, kind, refs)
    except NotFound:
        return _BatchResult([(ref, None) for ref in refs], [])
    except ApiError as error:
        if lags and len(refs) > 1:
            return _BatchResult([], _single(refs))
        return _BatchResult([(ref, error) for ref in refs], [])
    if not (lags and accept):
        return _BatchResult(list(documents.items()), [])
    accepted: list[ReadResult] = [
        (ref, document) for ref, document in documents.items() if document and accept(ref, document)
    ]
    shown = {ref for ref, _ in accepted}
    return _BatchResult(accepted, _single(ref for ref in refs if ref not in shown))


def _single(refs: Iterable[Ref]) -> list[_Batch]:
    return [_Batch([ref]) for ref in refs]


async def _read_counts(api: Api, kind: Kind, ref: Ref) -> dict[str, Any]:
    """Return what shows the result of an action: the lengths of lists; nothing where none exists.

    It always exists itself: what it is asked for may not exist yet.
    """
    document: dict[str, Any] = {}
    for name, path in kind.counted_by.items():
        with suppress(NotFound):
            page = await api.page(path.format_map(ids_of(ref)), {"pageSize": "1"})
            document[name] = page.total_items
    return document


async def _read_one(api: Api, ref: Ref) -> dict[str, Any]:
    """Return the entity *ref*. Raises NotFound; TryLater for an answer that is not about it."""
    path = url_of(ref)
    document = await api.get(path)
    shown = str((document or {}).get("ID") or "")
    if document is None or shown.casefold() != ref.rpartition("/")[2].casefold():
        what = f"is for {shown}" if shown else "shows no entity"
        text = f"the response to GET {path} {what}; it is not used"
        raise TryLater(text, hint=GATEWAY_HINT)
    return document


async def _read_by_list(
    api: Api, kind: Kind, refs: Sequence[Ref]
) -> dict[Ref, dict[str, Any] | None]:
    by_id = {ref.rpartition("/")[2].casefold(): ref for ref in refs}
    query = {
        **kind.list_query,
        "ID": "|".join(ref.rpartition("/")[2] for ref in refs),
        "pageSize": str(PAGE_SIZE),
    }
    page = await api.page(kind.collection.format_map(ids_of(refs[0])), query)
    documents: dict[Ref, dict[str, Any] | None] = dict.fromkeys(refs)
    for item in page.items:
        ref = by_id.get(str(item.get("ID", "")).casefold())
        if ref:
            documents[ref] = item
    return documents


async def _read_assignments(api: Api, kind: Kind, batch: _Batch) -> _BatchResult:
    """Read assignments that have the value of one parameter in common.

    They are listed by that parameter, unless its list has more pages than the other ways need
    requests, or is too long for page numbers.
    """
    refs, ids = batch.refs, ids_of(batch.refs[0])
    path = kind.path.format_map(ids)
    if len(refs) == 1:
        query = {p: ids[name] for p, name in kind.listed_by.items() if name in ids}
        items = [item async for page in api.pages(path, query) for item in page]
        return _BatchResult(_match_items(kind, refs, items, api.marketplace), [])
    query = {batch.parameters[0]: ids[kind.listed_by[batch.parameters[0]]]}
    query["pageSize"] = str(PAGE_SIZE)
    first = await api.page(path, query)
    others = list(_by_parameter(refs, batch.parameters[1:]))
    if first.total_pages > min(len(others) + 1, MAX_PAGE_NUMBER):
        return _BatchResult([], others)
    pages = [first, *await _further_pages(api, path, query, first.total_pages)]
    items = [item for page in pages for item in page.items]
    results = _match_items(kind, refs, items, api.marketplace)
    if _is_whole(kind, ids, pages):
        return _BatchResult(results, [])
    shown: list[ReadResult] = [pair for pair in results if pair[1] is not None]
    return _BatchResult(shown, _single(ref for ref, document in results if document is None))


async def _further_pages(
    api: Api, path: str, query: Mapping[str, str], total_pages: int
) -> list[Page]:
    tasks = [
        asyncio.create_task(api.page(path, {**query, "page": str(number)}))
        for number in range(2, total_pages + 1)
    ]
    try:
        return [await task for task in tasks]
    finally:
        await _cancel(tasks)


def _is_whole(kind: Kind, ids: Mapping[str, str], pages: Sequence[Page]) -> bool:
    """Return whether *pages* are a whole list: what is deleted between two of them moves others
    from one that is still to come to one that was read.
    """
    if len(pages) == 1:
        return True
    shown = {ref_key(ref_of(kind, ids, item)) for page in pages for item in page.items}
    return {page.total_items for page in pages} == {len(shown)}


def _match_items(
    kind: Kind, refs: Sequence[Ref], items: Iterable[dict[str, Any]], owner: str
) -> list[ReadResult]:
    ids = ids_of(refs[0])
    by_ref = {ref_key(ref_of(kind, ids, item, owner)): item for item in items}
    return [(ref, by_ref.get(ref_key(ref))) for ref in refs]


def ref_of(kind: Kind, ids: Mapping[str, str], item: Mapping[str, Any], owner: str = "") -> Ref:
    """Return the ref of a list's *item*; *ids* are those in the path of the list.

    An optional ID of an assignment that is null counts as absent, and so does that of its owner
    where this is *owner*, the marketplace. The ref of an unexpected item lacks IDs.
    """
    in_path = [name for name in kind.ids if "{" + name + "}" in kind.collection]
    shown = {kind.ids[-1]: item.get("ID")}
    if kind.assignment:
        shown = {name: item.get(name) for name in kind.ids}
        if kind.link:
            shown[kind.ids[-1]] = item.get("ID")
        if owner and str(shown.get(kind.owner_id)).casefold() == owner.casefold():
            del shown[kind.owner_id]
    own = {n: v if isinstance(v, str) else None for n, v in shown.items() if n not in in_path}
    others = {name: value for name, value in ids.items() if name in in_path}
    return make_ref(kind, {**others, **own})
