"""Lists of entities from the platform: those in a catalog, and those dated since a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from ocsync.engine.resync.affected_products import affected_products
from ocsync.engine.session import Session
from ocsync.engine.worker_pool import map_all
from ocsync.errors import NotFound, UsageError
from ocsync.events import NoticeLevel, Reading
from ocsync.models import Ref
from ocsync.schema import KINDS, Kind, Target, ids_of, make_ref

T = TypeVar("T")
_LISTS_ACROSS_PARENTS: dict[str, tuple[str, Mapping[str, str]]] = {
    "buyer-user": ("/buyerusers", {"BuyerID": "CompanyID", "UserID": "ID"})
}
"""Lists across all parents: kind -> the path, and the field of each ID."""


async def list_entities(
    session: Session, target: Target, *, catalog: str = "", since: datetime | None = None
) -> list[Ref]:
    """Return the entities of *target* in *catalog*, or dated *since*, or (records) both.

    Raises UsageError, with the reason, where the platform has no such list.
    """
    kind = KINDS[target.entity_kind]
    query = _date_filter(session, target, kind, since, catalog) if since else {}
    if not catalog:
        return await _list_everywhere(session, kind, query)
    if query and kind.name != "inventory":
        text = "--catalog and --since together work only for inventory"
        raise UsageError(f"{target.name}: {text}", hint="give one of them")
    return await _list_in_catalog(session, target, catalog, query)


async def list_each(
    session: Session, items: Sequence[T], act: Callable[[T], Awaitable[list[Ref]]]
) -> list[list[Ref]]:
    """Return the refs that *act* lists for each of *items*, in their order. Raises Interrupted."""
    done = 0

    async def list_one(item: T) -> list[Ref]:
        nonlocal done
        refs = await act(item)
        done += 1
        if len(items) > 1:
            session.emit(Reading(done, len(items)))
        return refs

    lists = await map_all(
        items, list_one, workers=session.api.max_parallel_reads, stop=session.stop
    )
    session.raise_if_stopped()
    return lists


def _date_filter(
    session: Session, target: Target, kind: Kind, since: datetime, catalog: str
) -> dict[str, str]:
    """Return the filter for entities dated *since*."""
    field = kind.date_field
    if not field:
        text = f"--since needs a date, and {kind.noun_with_article} has none"
        raise UsageError(f"{target.name}: {text}", hint="give IDs, --catalog or --run")
    if kind.name == "inventory" and not catalog:
        text = "OrderCloud lists inventory records of one product at a time"
        raise UsageError(f"{target.name}: {text}", hint="give --since with --catalog C, or --run")
    if field == "DateCreated":
        session.notify(
            NoticeLevel.WARNING,
            f"{target.name}: --since uses DateCreated, the only date of {kind.noun_with_article}",
        )
    return {field: ">" + since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


async def _list_in_catalog(
    session: Session, target: Target, catalog: str, query: Mapping[str, str]
) -> list[Ref]:
    """Return the entities of *target* in *catalog*: the catalog, its categories, its products, or
    their inventory records.
    """
    catalog_ref = make_ref("catalog", {"CatalogID": catalog})
    if target.entity_kind == "catalog":
        return [catalog_ref]
    if target.entity_kind == "category":
        return await _list_below(session, KINDS["category"], {"CatalogID": catalog}, {})
    if target.entity_kind not in ("product", "inventory"):
        raise UsageError(f"{target.name}: a catalog contains none of them", hint="give IDs")
    products = await affected_products(session.api, catalog_ref)
    if target.entity_kind == "product":
        return products
    record_kind = KINDS["inventory"]
    lists = await list_each(
        session, products, lambda product: _list_below(session, record_kind, ids_of(product), query)
    )
    return [ref for refs in lists for ref in refs]


async def _list_everywhere(session: Session, kind: Kind, query: Mapping[str, str]) -> list[Ref]:
    """Return all entities of *kind*, across its parents."""
    if kind.name in _LISTS_ACROSS_PARENTS:
        path, field_of_id = _LISTS_ACROSS_PARENTS[kind.name]
        rows = [row async for page in session.api.pages(path, query, key="ID") for row in page]
        refs = [make_ref(kind, {i: str(r.get(name) or "") for i, name in field_of_id.items()})
                for r in rows]  # fmt: skip
        return [ref for ref in refs if ref.count("/") == len(kind.ids)]
    parents = kind.ids[:-1]
    parent_kind = next((k for k in KINDS.values() if k.ids == parents and not k.assignment), None)
    if parent_kind is None:
        return await _list_below(session, kind, {}, query)
    parent_refs = await _list_below(session, parent_kind, {}, {})
    lists = await list_each(
        session,
        parent_refs,
        lambda parent_ref: _list_below(session, kind, ids_of(parent_ref), query),
    )
    return [ref for refs in lists for ref in refs]


async def _list_below(
    session: Session, kind: Kind, ids: Mapping[str, str], query: Mapping[str, str]
) -> list[Ref]:
    path = kind.collection.format_map(ids)
    refs: list[Ref] = []
    with suppress(NotFound):  # the parent has been deleted since
        async for page in session.api.pages(path, {**kind.list_query, **query}, key="ID"):
            refs += [make_ref(kind, {**ids, kind.ids[-1]: row["ID"]}) for row in page]
    return refs
