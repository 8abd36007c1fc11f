"""Rows that are created with a write or deleted with a row. Sources:
guide/ordercloud.md 5.2 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ocsync.emulator.documents import blank_document
from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.state import Key, Marketplace, Row, key_of
from ocsync.emulator.views import group_catalog_of
from ocsync.schema import Kind, Reference

CreatedRows = list[tuple[Kind, Row]]


def _buyer(market: Marketplace, row: Row, old: Row | None) -> CreatedRows:
    """Return a default catalog and its assignment for a buyer that was created without one."""
    if old or row.document.get("DefaultCatalogID") or group_catalog_of(market, row.document):
        return []
    name = row.ids[0]
    row.document["DefaultCatalogID"] = name
    title = row.document["Name"]
    fields = {"Name": title, "Active": True, "OwnerID": market.id}
    fields["Description"] = f"Default catalog for {title}"
    catalog = Row((name,), {"ID": name, **blank_document(ALL_KINDS["catalog"]), **fields})
    assignment = {
        "CatalogID": name,
        "BuyerID": name,
        "BuyerGroupID": None,
        "ViewAllCategories": True,
        "ViewAllProducts": True,
    }
    return [
        (ALL_KINDS["catalog"], catalog),
        (ALL_KINDS["catalog-assignment"], Row((name, name, ""), assignment)),
    ]


def _category_product(market: Marketplace, row: Row, _: Row | None) -> CreatedRows:
    """Return the catalog assignment of a product that is assigned to a category."""
    catalog, _category, product = row.ids
    if market.tables["catalog-product"].get([catalog, product]):
        return []
    document = {"CatalogID": catalog, "ProductID": product}
    return [(ALL_KINDS["catalog-product"], Row((catalog, product), document))]


def _product(market: Marketplace, row: Row, _: Row | None) -> CreatedRows:
    """Return the link to a product's default supplier."""
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
"""Functions, by kind, that return the rows a write creates in addition."""


def children_of(market: Marketplace, kind: Kind, row: Row) -> list[tuple[Kind, Key]]:
    """Return the rows that have *row*'s IDs in their own.

    They cannot exist without *row*, and a rename of *row* changes their IDs.
    """
    children: dict[tuple[str, Key], Kind] = {}
    for other, reference in child_references(kind):
        places = map(other.ids.index, reference.ids)
        values = dict(zip(places, key_of(row.ids), strict=True))
        for key in market.tables[other.name].keys_with(values):
            if not any(key[other.ids.index(name)] for name in reference.unless):
                children[other.name, key] = other
    return [(other, key) for (_, key), other in children.items()]


def child_references(kind: Kind) -> Iterator[tuple[Kind, Reference]]:
    """Yield each other kind whose IDs hold those of *kind*, with the reference that does."""
    for other in ALL_KINDS.values():
        for reference in other.references if other.name != kind.name else ():
            if reference.kind == kind.name and set(reference.ids) <= set(other.ids):
                yield other, reference


def deleted_with(market: Marketplace, kind: Kind, row: Row) -> list[tuple[Kind, Key]]:
    """Return the rows deleted with *row*: its children, and the subcategories of a category."""
    deleted = children_of(market, kind, row)
    if kind.name == "category":
        for subcategory in [
            referrer.row for referrer in referrers_of(market, kind, row) if referrer.kind is kind
        ]:
            deleted += [(kind, key_of(subcategory.ids)), *deleted_with(market, kind, subcategory)]
    return deleted


class Referrer(NamedTuple):
    """A row that refers to another one in *field*, not in its own IDs."""

    kind: Kind
    row: Row
    field: str


def referrers_of(market: Marketplace, kind: Kind, row: Row) -> Iterator[Referrer]:
    """Yield the rows that refer to *row* in a field.

    A rename of *row* changes that field; a delete sets it to null.
    """
    key = key_of(row.ids)
    for other in ALL_KINDS.values():
        if other is kind and kind.name == "product" and not row.document.get("IsParent"):
            continue  # only a parent product has children
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
