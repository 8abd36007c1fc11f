"""What a write brings along, and what a delete takes along. Sources: api-facts 5.2 and 7."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ocsync.emulator.documents import blank_document
from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.state import Key, Marketplace, Row, key_of
from ocsync.schema import Kind

CreatedRows = list[tuple[Kind, Row]]


def _buyer(market: Marketplace, row: Row, old: Row | None) -> CreatedRows:
    """A buyer without a default catalog gets one with its own ID, and sees all of it."""
    if old or row.document.get("DefaultCatalogID"):
        return []
    name = row.ids[0]
    row.document["DefaultCatalogID"] = name
    fields = {"Name": row.document["Name"], "Active": True, "OwnerID": market.id}
    catalog = Row((name,), {"ID": name, **blank_document(ALL_KINDS["catalog"]), **fields})
    assignment = {
        "CatalogID": name,
        "BuyerID": name,
        "ViewAllCategories": True,
        "ViewAllProducts": True,
    }
    return [
        (ALL_KINDS["catalog"], catalog),
        (ALL_KINDS["catalog-assignment"], Row((name, name), assignment)),
    ]


def _category_product(market: Marketplace, row: Row, _: Row | None) -> CreatedRows:
    """A product in a category is in the catalog too."""
    catalog, _category, product = row.ids
    if market.tables["catalog-product"].get([catalog, product]):
        return []
    document = {"CatalogID": catalog, "ProductID": product}
    return [(ALL_KINDS["catalog-product"], Row((catalog, product), document))]


def _product(market: Marketplace, row: Row, _: Row | None) -> CreatedRows:
    """A product's default supplier is linked to it."""
    supplier = row.document.get("DefaultSupplierID")
    if not supplier or market.tables["product-supplier"].get([row.ids[0], supplier]):
        return []
    ids = (row.ids[0], supplier)
    link = {"ProductID": ids[0], "SupplierID": supplier, "DefaultPriceScheduleID": None}
    return [(ALL_KINDS["product-supplier"], Row(ids, link))]


WRITE_CASCADES: dict[str, Callable[[Marketplace, Row, Row | None], CreatedRows]] = {
    "buyer": _buyer,
    "category-product": _category_product,
    "product": _product,
}
"""What a write of the kind makes beside it: rows that were not there."""


def children_of(market: Marketplace, kind: Kind, row: Row) -> list[tuple[Kind, Key]]:
    """What has *row*'s IDs in its own: it cannot be without it, and follows a rename."""
    children: list[tuple[Kind, Key]] = []
    own_ids = dict(zip(kind.ids, key_of(row.ids), strict=True))
    for other in ALL_KINDS.values():
        refers = any(r.kind == kind.name and set(r.ids) <= set(other.ids) for r in other.references)
        if other.name == kind.name or not refers:
            continue
        values = {other.ids.index(name): value for name, value in own_ids.items()}
        children += [(other, key) for key in market.tables[other.name].keys_with(values)]
    return children


def deleted_with(market: Marketplace, kind: Kind, row: Row) -> list[tuple[Kind, Key]]:
    """What a delete of *row* takes along: what hangs on it, and the categories below a category."""
    deleted = children_of(market, kind, row)
    if kind.name == "category":
        for subcategory in [
            referrer.row for referrer in referrers_of(market, kind, row) if referrer.kind is kind
        ]:
            deleted += [(kind, key_of(subcategory.ids)), *deleted_with(market, kind, subcategory)]
    return deleted


class Referrer(NamedTuple):
    """A row that names another one in *field*, not in its own IDs."""

    kind: Kind
    row: Row
    field: str


def referrers_of(market: Marketplace, kind: Kind, row: Row) -> Iterator[Referrer]:
    """What names *row* in a field: it follows a rename, and is left with null by a delete."""
    if kind.name == "product" and not row.document.get("IsParent"):
        return  # it has no child that could name it
    key = key_of(row.ids)
    for other in ALL_KINDS.values():
        for reference in other.references:
            field = reference.ids[-1]
            if reference.kind != kind.name or field in other.ids:
                continue
            for candidate in market.tables[other.name].rows.values():
                if (
                    candidate.document.get(field)
                    and _referenced_key(other, candidate, reference.ids) == key
                ):
                    yield Referrer(other, candidate, field)


def _referenced_key(kind: Kind, row: Row, fields: tuple[str, ...]) -> Key:
    values = {**row.document, **dict(zip(kind.ids, row.ids, strict=True))}
    return key_of(str(values.get(name)) for name in fields)
