"""Products whose message shows a change of another entity, such as a catalog or a price schedule.

A product's message contains its catalogs, categories, buyers and prices
(guide/ordercloud.md 3.4, 4.4), so writes to these and to their assignments may show in it. Whether
the platform then sends the products by itself is not documented.
"""

from __future__ import annotations

from typing import NamedTuple

from ocsync.client import Api
from ocsync.errors import NotFound
from ocsync.models import Ref
from ocsync.schema import ids_of, kind_of, make_ref


class _Listing(NamedTuple):
    """A list of the platform: its path and query, with ID names in braces.

    *field* is the field with the ID of an entity of *kind*.
    """

    path: str
    query: dict[str, str]
    field: str
    kind: str = "product"


_CATALOG = (_Listing("/catalogs/productassignments", {"catalogID": "{CatalogID}"}, "ProductID"),)
_CATEGORY = (
    _Listing("/catalogs/{CatalogID}/categories/productassignments",
             {"categoryID": "{CategoryID}"}, "ProductID"),
)  # fmt: skip
_SPEC = (_Listing("/specs/productassignments", {"SpecID": "{SpecID}"}, "ProductID"),)
_LISTINGS: dict[str, tuple[_Listing, ...]] = {
    "catalog": _CATALOG,
    "catalog-assignment": _CATALOG,
    "category": _CATEGORY,
    "category-assignment": _CATEGORY,
    "buyer": (_Listing("/catalogs/assignments", {"buyerID": "{BuyerID}"}, "CatalogID", "catalog"),),
    "buyer-group": (
        _Listing(
            "/catalogs/assignments", {"buyerGroupID": "{BuyerGroupID}"}, "CatalogID", "catalog"
        ),
    ),
    "spec": _SPEC,
    "spec-option": _SPEC,
    "price-schedule": (
        _Listing("/products/assignments", {"priceScheduleID": "{PriceScheduleID}"}, "ProductID"),
        _Listing("/products", {"DefaultPriceScheduleID": "{PriceScheduleID}"}, "ID"),
    ),
}


_SCOPES = {
    "catalog-assignment": "catalog",
    "category-assignment": "category",
    "spec-option": "spec",
}
"""The kinds that affect the products of the entity above them: kind -> its kind."""


def product_scope_of(ref: Ref) -> Ref | None:
    """Return the ref that decides which products *ref* affects, or None if it affects none.

    Refs with equal scopes affect the same products.
    """
    kind = kind_of(ref).name
    if kind == "variant-inventory":
        return make_ref("product", ids_of(ref))
    if kind not in _LISTINGS:
        return None
    scope_kind = _SCOPES.get(kind, kind)
    return make_ref(scope_kind, ids_of(ref))


async def affected_products(api: Api, ref: Ref) -> list[Ref]:
    """Return the products of *ref*, a scope from `product_scope_of`; none if it does not exist now.

    A variant's inventory record has no sync request of its own, but its product's message has its
    stock.
    """
    if kind_of(ref).name == "product":
        return [ref]
    products: dict[Ref, None] = {}
    ids = ids_of(ref)
    for listing in _LISTINGS[kind_of(ref).name]:
        path = listing.path.format_map(ids)
        query = {name: value.format_map(ids) for name, value in listing.query.items()}
        try:
            rows = [row async for page in api.pages(path, query, key=listing.field) for row in page]
        except NotFound:
            continue
        for row in rows:
            row_ref = f"{listing.kind}/{row[listing.field]}"
            product_refs = (
                [row_ref] if listing.kind == "product" else await affected_products(api, row_ref)
            )
            products.update(dict.fromkeys(product_refs))
    return list(products)
