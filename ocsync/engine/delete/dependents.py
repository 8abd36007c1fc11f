"""Dependents of an entity: what the server deletes with it, as far as it lists them.

Documented is only that a category takes those below it (api-facts 5.2). For everything else it is
assumed that children and assignments go with what they hang on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from ocsync.client import Api, ref_of
from ocsync.errors import ApiError, NotFound
from ocsync.models import Ref
from ocsync.schema import KINDS, Kind, has_all_ids, ids_of, kind_of, ref_key

Document = dict[str, Any]
_MOST = 50
"""IDs in one filter."""
_PAGE = {"pageSize": "100"}


class Dependents(NamedTuple):
    """The dependents of one ref: how many of each kind, and the documents of those on a first page.

    *subtree* are those of its own kind below it. *unread* are the kinds that could not be listed.
    """

    counts: dict[str, int]
    documents: dict[Ref, Document]
    subtree: list[Ref]
    unread: list[str]

    def kept(self) -> dict[str, tuple[int, int]]:
        """Count the dependents of each kind, and those whose documents are known."""
        known = Counter(kind_of(ref).name for ref in self.documents)
        return {name: (number, known[name]) for name, number in self.counts.items()}


async def read_dependents(api: Api, ref: Ref, document: Document) -> Dependents:
    """Read the dependents of *ref*. Nothing is changed. Raises TryLater and SignInError."""
    found = Dependents({}, {}, [], [])
    if kind_of(ref).parent_field and document.get("ChildCount") != 0:
        await _read_subtree(api, ref, found)
    for one in [ref, *found.subtree]:
        for kind in _hanging_on(kind_of(ref)):
            try:
                await _count(api, kind, one, found)
            except NotFound:
                continue
            except ApiError:
                if kind.name not in found.unread:
                    found.unread.append(kind.name)
    return found


def _hanging_on(kind: Kind) -> list[Kind]:
    """Return the kinds that cannot exist without one of *kind*, by their own IDs."""
    return [
        other
        for other in KINDS.values()
        if any(r.kind == kind.name and set(r.ids) <= set(other.ids) for r in other.references)
    ]


async def _read_subtree(api: Api, ref: Ref, found: Dependents) -> None:
    kind, ids = kind_of(ref), ids_of(ref)
    level, seen = [ref.rpartition("/")[2]], {ref_key(ref)}
    while level:
        query = {**kind.list_query, kind.parent_field: "|".join(level[:_MOST])}
        level = level[_MOST:]
        async for page in api.pages(kind.collection.format_map(ids), query, key="ID"):
            for item in page:
                below = ref_of(kind, ids, item)
                if ref_key(below) not in seen:
                    seen.add(ref_key(below))
                    found.subtree.append(below)
                    found.documents[below] = item
                    level.append(item["ID"])
    if found.subtree:
        found.counts[kind.name] = len(found.subtree)


async def _count(api: Api, kind: Kind, ref: Ref, found: Dependents) -> None:
    """Add the number of *kind* below *ref* by the total of its lists, and their first pages."""
    async for ids in _places(api, kind, ids_of(ref)):
        path, query = _list_of(kind, ids)
        page = await api.page(path, {**query, **_PAGE})
        if page.total_items:
            found.counts[kind.name] = found.counts.get(kind.name, 0) + page.total_items
        refs = [(ref_of(kind, ids, item), item) for item in page.items]
        found.documents.update((one, item) for one, item in refs if has_all_ids(one))


async def _places(api: Api, kind: Kind, ids: Mapping[str, str]) -> AsyncIterator[Mapping[str, str]]:
    """Return the IDs that the path of *kind*'s list needs: those of the deleted ref, and others by
    it.

    A product's place in a category is listed by catalog, so its catalogs are listed first.
    """
    missing = [name for name in _names_in(kind.collection) if name not in ids]
    if not missing:
        yield ids
        return
    [name] = missing
    via = next(k for k in KINDS.values() if name in k.ids and _is_listed_by(k, ids))
    path, query = _list_of(via, ids)
    async for page in api.pages(path, query, key=name if via.assignment else "ID"):
        for item in page:
            yield {**ids, name: item[name if via.assignment else "ID"]}


def _list_of(kind: Kind, ids: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    named = _names_in(kind.collection)
    own = {p: ids[n] for p, n in kind.listed_by.items() if n in ids and n not in named}
    return kind.collection.format_map(ids), {**kind.list_query, **own}


def _is_listed_by(kind: Kind, ids: Mapping[str, str]) -> bool:
    """Return whether *ids* narrow the list of *kind*."""
    named = _names_in(kind.collection)
    filters = [name for name in kind.listed_by.values() if name in ids]
    return all(name in ids for name in named) and bool(named or filters)


def _names_in(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
