"""Reading of what a source lists, in batches that can be continued from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ocsync.client import Page, read_current, read_list, ref_of
from ocsync.client.api import MAX_PAGE_NUMBER, PAGE_SIZE
from ocsync.client.batch_reads import Accept
from ocsync.engine.export.selection import Source
from ocsync.engine.session import Session
from ocsync.engine.worker_pool import map_all
from ocsync.errors import NotFound, OcsyncError
from ocsync.models import Ref
from ocsync.schema import KINDS, Kind, ids_of, make_ref

Row = tuple[Ref, dict[str, Any]]
_CHUNK = 1000
"""Parents, or refs, whose rows are held in memory until all of them have been read."""


class Batch(NamedTuple):
    """Rows that were read, and the *position* from which reading goes on after them.

    *done* of *total* parts have been read: rows of a list, or parents. *missing* were asked for by
    ID and do not exist.
    """

    rows: list[Row]
    position: str
    done: int
    total: int
    missing: tuple[Ref, ...] = ()


async def read_source(session: Session, source: Source, position: str) -> AsyncIterator[Batch]:
    """Yield what *source* lists, from *position* on, in the order of its list.

    Entities whose parent is deleted meanwhile are left out. Raises OcsyncError.
    """
    if source.refs:
        batches = _read_refs(session, source.refs, position)
    elif source.products and source.parent_kind is None:
        products = await _assigned_products(session, source.products)
        batches = _read_products(session, products, position)
    elif source.parent_kind is not None:
        batches = _read_below_parents(session, source, source.parent_kind, position)
    elif source.kind.assignment:
        batches = _read_assignments(session, source, position)
    else:
        batches = _read_list(session, source, position)
    async for batch in batches:
        session.raise_if_stopped()
        yield batch


async def _read_list(session: Session, source: Source, position: str) -> AsyncIterator[Batch]:
    kind, done, total = source.kind, 0, 0
    lists = read_list(session.api, kind.collection, source.query, after=position, most=source.limit)
    async for page in lists:
        done, total = done + len(page.items), total or page.total_items
        rows = _rows_of(session, kind, {}, page)
        yield Batch(rows, str(page.items[-1]["ID"]), done, max(total, done))


async def _read_refs(
    session: Session, refs: Sequence[Ref], position: str, accept: Accept | None = None
) -> AsyncIterator[Batch]:
    """Yield entities by ID; those that a list of an index shows, and *accept* takes, by lists."""
    done = int(position or 0)
    while chunk := refs[done : done + _CHUNK]:
        found: dict[Ref, dict[str, Any]] = {}
        missing = []
        async for ref, document in read_current(session.api, chunk, accept=accept):
            if isinstance(document, OcsyncError):
                raise document
            if document is None:
                missing.append(ref)
            else:
                found[ref] = document
        done += len(chunk)
        rows = [(ref, found[ref]) for ref in chunk if ref in found]
        yield Batch(rows, str(done), done, len(refs), tuple(missing))


async def _read_products(
    session: Session, products: Sequence[str], position: str
) -> AsyncIterator[Batch]:
    """Yield *products*, which are sorted; the position is an ID, as others may come in between."""
    start = bisect_right(products, position)
    refs = [make_ref("product", {"ProductID": product}) for product in products]
    async for batch in _read_refs(session, refs, str(start), _take_any):
        yield batch._replace(position=products[batch.done - 1])


def _take_any(ref: Ref, document: dict[str, Any]) -> bool:
    """Return true: a list that lags shows what an export may show."""
    del ref, document
    return True


async def _read_below_parents(
    session: Session, source: Source, parent_kind: Kind, position: str
) -> AsyncIterator[Batch]:
    done = 0

    async def read_parent(parent: str) -> list[Row]:
        ids = {parent_kind.ids[0]: parent}
        query = {**source.query, **({source.parameter: parent} if source.parameter else {})}
        return [row async for row in _rows_below(session, source.kind, ids, query)]

    async for parents, total in _parents(session, source, parent_kind, position):
        session.raise_if_stopped()
        lists = await map_all(
            parents, read_parent, workers=session.api.max_parallel_reads, stop=session.stop
        )
        session.raise_if_stopped()
        done += len(parents)
        rows = [row for rows in lists for row in rows]
        yield Batch(rows, parents[-1], done, max(total, done))


async def _parents(
    session: Session, source: Source, parent_kind: Kind, position: str
) -> AsyncIterator[tuple[list[str], int]]:
    """Yield the IDs of parents after *position*, and how many there are in all."""
    ids: list[str] = list(source.parents)
    size = min(source.limit, _CHUNK) or _CHUNK
    if source.products:
        ids = await _assigned_products(session, source.products)
    if source.parents or source.products:
        rest = iter(ids[bisect_right(ids, position) :])
        while chunk := list(islice(rest, size)):
            yield chunk, len(ids)
        return
    waiting: list[str] = []
    total = 0
    query = {**parent_kind.list_query, **source.parent_query}
    pages = read_list(
        session.api, parent_kind.collection, query, after=position, most=source.limit and size
    )
    async for page in pages:
        total = total or page.total_items
        waiting += [str(item["ID"]) for item in page.items]
        while len(waiting) >= size:
            yield waiting[:size], total
            waiting = waiting[size:]
    if waiting:
        yield waiting, total


async def _rows_below(
    session: Session, kind: Kind, ids: Mapping[str, str], query: Mapping[str, str]
) -> AsyncIterator[Row]:
    """Yield the entities of *kind* below the parent that has *ids*."""
    between = next((name for name in kind.ids[:-1] if _is_unknown(kind, name, ids)), "")
    try:
        if between:
            inner_kind = _kind_below(kind, between)
            async for ref, _ in _rows_below(session, inner_kind, ids, inner_kind.list_query):
                async for row in _rows_below(session, kind, ids_of(ref), query):
                    yield row
        elif kind.assignment:
            async for page in _assignment_pages(session, kind, ids, query):
                for row in _rows_of(session, kind, ids, page):
                    yield row
        else:
            path = kind.collection.format_map(ids)
            async for page in read_list(session.api, path, query):
                for row in _rows_of(session, kind, ids, page):
                    yield row
    except NotFound:
        return  # the parent has been deleted since


def _is_unknown(kind: Kind, name: str, ids: Mapping[str, str]) -> bool:
    return "{" + name + "}" in kind.collection and name not in ids


def _kind_below(kind: Kind, name: str) -> Kind:
    """Return the kind of the parent of *kind* whose own ID is *name*."""
    reference = next(r for r in kind.references if r.ids[-1] == name)
    return KINDS[reference.kind]


async def _read_assignments(
    session: Session, source: Source, position: str
) -> AsyncIterator[Batch]:
    """Yield the assignments of a list at the top, by its pages or by one of its parameters."""
    kind, done = source.kind, 0
    part = 0
    async for page in _assignment_pages(session, kind, {}, source.query):
        part += 1
        done += len(page.items)
        if part > int(position or 0):
            rows = _rows_of(session, kind, {}, page)
            yield Batch(rows, str(part), done, max(done, page.total_items))


async def _assignment_pages(
    session: Session, kind: Kind, ids: Mapping[str, str], query: Mapping[str, str]
) -> AsyncIterator[Page]:
    """Yield the pages of a list of assignments.

    A list that is too long for page numbers is read by the parameter that has the fewest values.
    """
    path = kind.path.format_map(ids)
    base = {**query, "pageSize": str(PAGE_SIZE)}
    first = await session.api.page(path, {**base, "page": "1"})
    if first.total_pages > MAX_PAGE_NUMBER and (split := await _split(session, kind, ids, query)):
        parameter, parent_kind = split
        parents = parent_kind.collection.format_map(ids)
        async for page in read_list(session.api, parents, parent_kind.list_query):
            for item in page.items:
                narrowed = {**query, parameter: str(item["ID"])}
                async for part in _assignment_pages(session, kind, ids, narrowed):
                    yield part
        return
    if first.items:
        yield first
    for number in range(2, first.total_pages + 1):
        yield await session.api.page(path, {**base, "page": str(number)})


async def _split(
    session: Session, kind: Kind, ids: Mapping[str, str], query: Mapping[str, str]
) -> tuple[str, Kind] | None:
    """Return the free parameter with the fewest values, and the kind of these."""
    counts: list[tuple[int, str, Kind]] = []
    for parameter, name in kind.listed_by.items():
        reference = next((r for r in kind.references if r.ids[-1] == name), None)
        if parameter in query or name in ids or reference is None:
            continue
        parent_kind = KINDS[reference.kind]
        if any(_is_unknown(parent_kind, i, ids) for i in parent_kind.ids):
            continue
        path = parent_kind.collection.format_map(ids)
        page = await session.api.page(path, {**parent_kind.list_query, "pageSize": "1"})
        counts.append((page.total_items, parameter, parent_kind))
    if not counts:
        return None
    _, parameter, parent_kind = min(counts, key=lambda count: count[:2])
    return parameter, parent_kind


async def _assigned_products(session: Session, listed: tuple[str, Mapping[str, str]]) -> list[str]:
    """Return the IDs of the products that a list of assignments has, in order."""
    path, query = listed
    products: dict[str, None] = {}
    async for items in session.api.pages(path, query, key="ProductID"):
        products.update(dict.fromkeys(str(item["ProductID"]) for item in items))
    return sorted(products)


def _rows_of(session: Session, kind: Kind, ids: Mapping[str, str], page: Page) -> list[Row]:
    """Return the items of *page* with their refs; *ids* are those of the path."""
    if kind.assignment:
        owner = session.api.marketplace
        return [(ref_of(kind, ids, item, owner), item) for item in page.items]
    own = kind.ids[-1]
    return [(make_ref(kind, {**ids, own: item["ID"]}), item) for item in page.items]
