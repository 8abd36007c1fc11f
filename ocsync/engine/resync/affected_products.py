"""Products that a change affects beside its own entity: those that a catalog resync would send.

A product's message carries its catalogs, categories, buyers and prices (api-facts 3.4, 4.4), so
what is assigned or written around a product may show in it. Whether the platform sends the
products then by itself is not documented.
"""

from __future__ import annotations

from typing import NamedTuple

from ocsync.client import Api
from ocsync.errors import NotFound
from ocsync.models import Ref
from ocsync.schema import ids_of, kind_of, make_ref


class _Listing(NamedTuple):
    """A list of the platform: its path and query, with ID names in braces, and what it gives."""

    path: str
    query: dict[str, str]
    field: str
    kind: str = "product"


_CATALOG = (_Listing("/catalogs/productassignments", {"catalogID": "{CatalogID}"}, "ProductID"),)
_CATEGORY = (
    _Listing("/catalogs/{CatalogID}/categories/productassignments",
             {"categoryID": "{CategoryID}"}, "ProductID"),
)  # fmt: skip
_TOUCHED: dict[str, tuple[_Listing, ...]] = {
    "catalog": _CATALOG,
    "catalog-assignment": _CATALOG,
    "category": _CATEGORY,
    "category-assignment": _CATEGORY,
    "buyer": (_Listing("/catalogs/assignments", {"buyerID": "{BuyerID}"}, "CatalogID", "catalog"),),
    "price-schedule": (
        _Listing("/products/assignments", {"priceScheduleID": "{PriceScheduleID}"}, "ProductID"),
        _Listing("/products", {"DefaultPriceScheduleID": "{PriceScheduleID}"}, "ID"),
    ),
}


def product_scope_of(ref: Ref) -> Ref | None:
    """Return the ref that decides which products *ref* affects, or None; equal scopes affect the
    same.
    """
    kind = kind_of(ref).name
    if kind == "variant-inventory":
        return make_ref("product", ids_of(ref))
    if kind not in _TOUCHED:
        return None
    whole = {"catalog-assignment": "catalog", "category-assignment": "category"}.get(kind, kind)
    return make_ref(whole, ids_of(ref))


async def affected_products(api: Api, ref: Ref) -> list[Ref]:
    """Return the products that *ref*, from `product_scope_of`, is about; none if it is gone by now.

    A variant's inventory record has no sync request of its own, but its product has its stock.
    """
    if kind_of(ref).name == "product":
        return [ref]
    found: dict[Ref, None] = {}
    ids = ids_of(ref)
    for one in _TOUCHED[kind_of(ref).name]:
        path = one.path.format_map(ids)
        query = {name: value.format_map(ids) for name, value in one.query.items()}
        try:
            rows = [row async for page in api.pages(path, query, key=one.field) for row in page]
        except NotFound:
            continue
        for row in rows:
            other = f"{one.kind}/{row[one.field]}"
            below = [other] if one.kind == "product" else await affected_products(api, other)
            found.update(dict.fromkeys(below))
    return list(found)
