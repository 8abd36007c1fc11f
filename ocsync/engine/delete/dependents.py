"""Dependents of an entity: those that the server deletes with it, as far as it lists them.

The documentation says only that a category's subcategories are deleted with it
(guide/ordercloud.md 5.2). For all other kinds this module assumes that children and assignments are
deleted with the entities that they refer to by ID.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from ocsync.client import Api, ref_of
from ocsync.errors import ApiError, NotFound
from ocsync.models import Ref
from ocsync.schema import (
    KINDS,
    Kind,
    Reference,
    has_all_ids,
    ids_of,
    kind_of,
    parents_of,
    ref_key,
)

Document = dict[str, Any]
_FILTER_IDS = 50
"""The number of IDs in one filter."""
_PAGE = {"pageSize": "100"}


class Dependents(NamedTuple):
    """The dependents of one ref: their *counts* by kind, and the documents of each list's first
    page.

    *subtree* are those of its own kind below it. *unread* are the kinds that could not be listed,
    each with the reason; it is empty for those that no list shows.
    """

    counts: dict[str, int]
    documents: dict[Ref, Document]
    subtree: list[Ref]
    unread: dict[str, str]

    def kept(self) -> dict[str, tuple[int, int]]:
        """Count the dependents of each kind, and those whose documents are known.

        Both are 0 for the kinds that could not be listed.
        """
        known = Counter(kind_of(ref).name for ref in self.documents)
        unread = dict.fromkeys(self.unread, (0, 0))
        return unread | {name: (number, known[name]) for name, number in self.counts.items()}


async def read_dependents(api: Api, ref: Ref, document: Document) -> Dependents:
    """Read the dependents of *ref*, and change nothing. Raises TryLater and SignInError."""
    dependents = Dependents({}, {}, [], {})
    if kind_of(ref).parent_field and document.get("ChildCount") != 0:
        await _read_subtree(api, ref, dependents)
    for parent in [ref, *dependents.subtree]:
        for kind, reference in _dependent_kinds(kind_of(ref)):
            try:
                is_counted = await _count(api, kind, reference, parent, dependents)
            except NotFound:
                continue
            except ApiError as error:
                dependents.unread[kind.name] = error.message
                continue
            if not is_counted:
                dependents.unread.setdefault(kind.name, "")
    return dependents


def uncounted_dependents(ref: Ref) -> Dependents:
    """Return the dependents of *ref* as far as they are known without a request: not at all."""
    return Dependents({}, {}, [], {kind.name: "" for kind, _ in _dependent_kinds(kind_of(ref))})


def _dependent_kinds(kind: Kind) -> list[tuple[Kind, Reference]]:
    """Return the kinds whose IDs contain those of *kind*, so that they cannot exist without it, and
    the reference that says so.
    """
    return [
        (other, reference)
        for other in KINDS.values()
        for reference in other.references
        if reference.kind == kind.name and set(reference.ids) <= set(other.ids) and not other.action
    ]


async def _read_subtree(api: Api, ref: Ref, dependents: Dependents) -> None:
    kind, ids = kind_of(ref), ids_of(ref)
    level, known_keys = [ref.rpartition("/")[2]], {ref_key(ref)}
    while level:
        query = {**kind.list_query, kind.parent_field: "|".join(level[:_FILTER_IDS])}
        level = level[_FILTER_IDS:]
        async for page in api.pages(kind.collection.format_map(ids), query, key="ID"):
            for item in page:
                descendant = ref_of(kind, ids, item)
                if ref_key(descendant) not in known_keys:
                    known_keys.add(ref_key(descendant))
                    dependents.subtree.append(descendant)
                    dependents.documents[descendant] = item
                    level.append(item["ID"])
    if dependents.subtree:
        dependents.counts[kind.name] = len(dependents.subtree)


async def _count(
    api: Api, kind: Kind, reference: Reference, ref: Ref, dependents: Dependents
) -> bool:
    """Add the number of *kind* below *ref*, from the totals of its lists, and their first pages.

    Where a list has those of other refs too, all its pages are counted. Return False, without a
    request, where no list is limited to those below *ref*.
    """
    own = dict(zip(reference.ids, ids_of(ref).values(), strict=True))
    lists = _list_ids(api, kind, own)
    if lists is None:
        return False
    key, number = ref_key(ref), 0
    async for ids in lists:
        path, query = _list_url(kind, ids)
        if reference.unless:
            items = [item async for page in api.pages(path, query) for item in page]
        else:
            first = await api.page(path, {**query, **_PAGE})
            items, number = first.items, number + first.total_items
        refs = [(ref_of(kind, ids, item, api.marketplace), item) for item in items]
        whole = [(item_ref, item) for item_ref, item in refs if has_all_ids(item_ref)]
        if reference.unless:
            whole = [pair for pair in whole if key in map(ref_key, parents_of(pair[0]))]
            number += len(whole)
        dependents.documents.update(whole)
    if number:
        dependents.counts[kind.name] = dependents.counts.get(kind.name, 0) + number
    return True


def _list_ids(
    api: Api, kind: Kind, ids: Mapping[str, str]
) -> AsyncIterator[Mapping[str, str]] | None:
    """Return the IDs for the path of each list of *kind*: *ids* of the deleted ref, and those that
    must be looked up from it. Return None where no list is limited by these.

    The categories of a product are listed by catalog, so its catalogs are listed first; so are the
    variants of a product for their records. Where no list shows the parents that count, as for the
    bundles in categories, all parents are listed, but for products, of which there are too many.
    """
    missing = [name for name in _names_in(kind.collection) if name not in ids]
    if not missing:
        return _one(ids) if _is_listed_by(kind, ids) else None
    if len(missing) > 1:
        return None
    beside = [rule.kind for rule in kind.after] + [made.kind for made in kind.creates]
    parents = [reference.kind for reference in kind.references if missing[0] in reference.ids[-1:]]
    for name in [*beside, *parents]:
        if missing[0] in KINDS[name].ids and _is_listed_by(KINDS[name], ids):
            return _look_up(api, KINDS[name], missing[0], ids)
    whole = [KINDS[name] for name in parents if not _names_in(KINDS[name].collection)]
    if whole and not whole[0].eventually_consistent:
        return _look_up(api, whole[0], missing[0], ids)
    return None


async def _one(ids: Mapping[str, str]) -> AsyncIterator[Mapping[str, str]]:
    yield ids


async def _look_up(
    api: Api, listing_kind: Kind, name: str, ids: Mapping[str, str]
) -> AsyncIterator[Mapping[str, str]]:
    """Yield *ids* with each ID *name* that a list of *listing_kind* shows."""
    path, query = _list_url(listing_kind, ids)
    async for page in api.pages(path, query, key=name if listing_kind.assignment else "ID"):
        for item in page:
            yield {**ids, name: item[name if listing_kind.assignment else "ID"]}


def _list_url(kind: Kind, ids: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    path_ids = _names_in(kind.collection)
    filters = {p: ids[n] for p, n in kind.listed_by.items() if n in ids and n not in path_ids}
    return kind.collection.format_map(ids), {**kind.list_query, **filters}


def _is_listed_by(kind: Kind, ids: Mapping[str, str]) -> bool:
    """Return whether *ids* narrow the list of *kind*."""
    path_ids = _names_in(kind.collection)
    filters = [name for name in kind.listed_by.values() if name in ids]
    return all(name in ids for name in path_ids) and bool(path_ids or filters)


def _names_in(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
