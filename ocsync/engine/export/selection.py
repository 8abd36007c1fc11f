"""The selection of an export: which lists have the entities of a kind, and how they are narrowed.

Entities at the top have one list. Those below others, such as inventory records, have a list in
each of their parents. Assignments are listed in one list, or in a catalog or a buyer; it takes the
parameters of their kind (guide/ordercloud.md 6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from ocsync.errors import UsageError
from ocsync.models import Ref
from ocsync.schema import KINDS, Kind, make_ref, read_ref

_IN_BRACES = re.compile(r"\{(\w+)\}")


class ExportRequest(NamedTuple):
    """A request for entities of one kind.

    *catalog*, *category* (`CATALOG/CATEGORY`), *buyer* and *supplier* narrow it to what is in or
    below one of these. *since* and *filters* are for kinds whose lists have filters. *refs* replace
    all of them: the entities are read by ID. *limit* is the most rows, 0 for all.
    """

    kind: Kind
    catalog: str = ""
    category: str = ""
    buyer: str = ""
    supplier: str = ""
    since: datetime | None = None
    filters: Mapping[str, str] = {}
    refs: tuple[Ref, ...] = ()
    limit: int = 0

    @property
    def places(self) -> list[Ref]:
        """The entities that narrow it."""
        category = ["category/" + self.category] if self.category else []
        named = {"catalog": self.catalog, "buyer": self.buyer, "supplier": self.supplier}
        return category + [f"{kind}/{value}" for kind, value in named.items() if value]


class Source(NamedTuple):
    """The lists that answer a request.

    *parent_kind* is the kind of the parents whose lists are read, None where there is one list.
    These are *parents*, or else all in the parents' list, narrowed by *parent_query*; *parameter*
    passes a parent's ID to the list where its path does not. *query* narrows every list. *products*
    is an assignment list whose products are the entities themselves (or, below a parent, their
    parents): the path and the query. *refs* are read by ID instead. No more than *limit* rows are
    needed, if it is not 0.
    """

    kind: Kind
    query: Mapping[str, str]
    parent_kind: Kind | None = None
    parents: tuple[str, ...] = ()
    parent_query: Mapping[str, str] = {}
    parameter: str = ""
    products: tuple[str, Mapping[str, str]] | None = None
    refs: tuple[Ref, ...] = ()
    limit: int = 0


def source_of(request: ExportRequest) -> Source:
    """Return the lists that answer *request*. Raises UsageError where the platform has none."""
    kind = request.kind
    if kind.action:
        raise UsageError(
            f"{kind.noun_with_article} is not an entity, so there is nothing to export"
        )
    source = Source(
        kind, dict(kind.list_query), _top_parent(kind), refs=request.refs, limit=request.limit
    )
    if request.refs:
        return source
    if request.catalog or request.category:
        source = _in_catalog(source, request)
    for name, value in (("BuyerID", request.buyer), ("SupplierID", request.supplier)):
        if value:
            source = _below(source, name, value)
    return source._replace(query={**source.query, **_filters(request)})


def _top_parent(kind: Kind) -> Kind | None:
    """Return the kind of the entity at the top of the list's path, if it has one."""
    names = _IN_BRACES.findall(kind.collection)
    if not names:
        return None
    return next(k for k in KINDS.values() if k.ids == (names[0],) and not k.assignment)


def _in_catalog(source: Source, request: ExportRequest) -> Source:
    kind = source.kind
    catalog, _, category = (request.category or request.catalog).partition("/")
    if request.category and request.catalog not in ("", catalog):
        raise UsageError(f"category {request.category} is not in catalog {request.catalog}")
    ids = {"CatalogID": catalog, **({"CategoryID": category} if category else {})}
    if kind.name == ("category" if category else "catalog"):
        return source._replace(refs=(make_ref(kind, ids),))
    is_inside = source.parent_kind is not None and source.parent_kind.ids == ("CatalogID",)
    if is_inside and (not category or "CategoryID" in kind.listed_by.values()):
        return source._replace(parents=(catalog,), query=_narrowed(source, ids))
    if not category and "CatalogID" in kind.listed_by.values():
        return source._replace(query=_narrowed(source, ids))
    if kind.name == "product" or (source.parent_kind and source.parent_kind.name == "product"):
        return source._replace(products=_product_list(ids))
    if "ProductID" in kind.listed_by.values():
        parameter = _parameter_of(kind, "ProductID")
        return source._replace(
            parent_kind=KINDS["product"], parameter=parameter, products=_product_list(ids)
        )
    place = "category" if category else "catalog"
    raise UsageError(f"OrderCloud lists no {kind.noun} by {place}", hint=f"leave out --{place}")


def _product_list(ids: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    if "CategoryID" in ids:
        assignments = KINDS["category-product"]
        return assignments.path.format_map(ids), {"categoryID": ids["CategoryID"]}
    return KINDS["catalog-product"].path, {"catalogID": ids["CatalogID"]}


def _below(source: Source, name: str, value: str) -> Source:
    """Return *source* narrowed to what is in or below the buyer or supplier *value*."""
    kind, parent = source.kind, source.parent_kind
    if kind.ids == (name,):
        return source._replace(refs=(make_ref(kind, {name: value}),))
    if parent and parent.ids == (name,):
        return source._replace(parents=(value,))
    if name in kind.listed_by.values():
        return source._replace(query=_narrowed(source, {name: value}))
    if name == "SupplierID" and kind.name == "product":
        return source._replace(query={**source.query, "DefaultSupplierID": value})
    if name == "SupplierID" and parent and parent.name == "product":
        return source._replace(parent_query={**source.parent_query, "DefaultSupplierID": value})
    option = name.removesuffix("ID").lower()
    raise UsageError(f"OrderCloud lists no {kind.noun} by {option}", hint=f"leave out --{option}")


def _narrowed(source: Source, ids: Mapping[str, str]) -> dict[str, str]:
    """Return the source's query with the parameters that stand for *ids*."""
    by_id = {name: parameter for parameter, name in source.kind.listed_by.items()}
    return {**source.query, **{by_id[name]: ids[name] for name in by_id if name in ids}}


def _parameter_of(kind: Kind, name: str) -> str:
    return next(parameter for parameter, listed in kind.listed_by.items() if listed == name)


def _filters(request: ExportRequest) -> dict[str, str]:
    """Return the filters as a query. Raises UsageError for a kind whose lists take none."""
    kind, query = request.kind, dict(request.filters)
    if kind.assignment and (query or request.since):
        option = "--filter" if query else "--since"
        text = f"OrderCloud cannot filter the list of {kind.name}"
        raise UsageError(f"{option}: {text} (guide: ordercloud 6)", hint="ocsync help ordercloud")
    if "ID" in query:
        raise UsageError(
            "--filter cannot use ID, which ocsync needs to page through the list",
            hint="give refs",
        )
    if request.since:
        if not kind.date_field:
            raise UsageError(f"--since needs a date, and {kind.noun_with_article} has none")
        moment = request.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query[kind.date_field] = f">{moment}"
    return query


def read_category(text: str) -> str:
    """Return *text* as `CATALOG/CATEGORY`. Raises UsageError."""
    read_ref(f"category/{text}")
    return text
