"""What a write brings along, and what a delete takes along. Sources: api-facts 5.2 and 7."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ocsync.emulator.documents import blank
from ocsync.emulator.kinds import ALL
from ocsync.emulator.state import Key, Marketplace, Row, key_of
from ocsync.schema import Kind

Made = list[tuple[Kind, Row]]


def _buyer(market: Marketplace, row: Row, old: Row | None) -> Made:
    """A buyer without a default catalog gets one with its own ID, and sees all of it."""
    if old or row.document.get("DefaultCatalogID"):
        return []
    name = row.ids[0]
    row.document["DefaultCatalogID"] = name
    title = {"Name": row.document["Name"], "Active": True, "OwnerID": market.id}
    catalog = Row((name,), {"ID": name, **blank(ALL["catalog"]), **title})
    both = {"CatalogID": name, "BuyerID": name, "ViewAllCategories": True, "ViewAllProducts": True}
    return [(ALL["catalog"], catalog), (ALL["catalog-assignment"], Row((name, name), both))]


def _category_product(market: Marketplace, row: Row, _: Row | None) -> Made:
    """A product in a category is in the catalog too."""
    catalog, _category, product = row.ids
    if market.tables["catalog-product"].get([catalog, product]):
        return []
    document = {"CatalogID": catalog, "ProductID": product}
    return [(ALL["catalog-product"], Row((catalog, product), document))]


def _product(market: Marketplace, row: Row, _: Row | None) -> Made:
    """A product's default supplier is linked to it."""
    supplier = row.document.get("DefaultSupplierID")
    if not supplier or market.tables["product-supplier"].get([row.ids[0], supplier]):
        return []
    ids = (row.ids[0], supplier)
    link = {"ProductID": ids[0], "SupplierID": supplier, "DefaultPriceScheduleID": None}
    return [(ALL["product-supplier"], Row(ids, link))]


EFFECTS: dict[str, Callable[[Marketplace, Row, Row | None], Made]] = {
    "buyer": _buyer,
    "category-product": _category_product,
    "product": _product,
}
"""What a write of the kind makes beside it: rows that were not there."""


def hanging(market: Marketplace, kind: Kind, row: Row) -> list[tuple[Kind, Key]]:
    """What has *row*'s IDs in its own: it cannot be without it, and follows a rename."""
    found: list[tuple[Kind, Key]] = []
    mine = dict(zip(kind.ids, key_of(row.ids), strict=True))
    for other in ALL.values():
        needs = any(r.kind == kind.name and set(r.ids) <= set(other.ids) for r in other.references)
        if other.name == kind.name or not needs:
            continue
        values = {other.ids.index(name): value for name, value in mine.items()}
        found += [(other, key) for key in market.tables[other.name].matching(values)]
    return found


def takes_along(market: Marketplace, kind: Kind, row: Row) -> list[tuple[Kind, Key]]:
    """What a delete of *row* takes along: what hangs on it, and the categories below a category."""
    gone = hanging(market, kind, row)
    if kind.name == "category":
        for below in [one.row for one in naming(market, kind, row) if one.kind is kind]:
            gone += [(kind, key_of(below.ids)), *takes_along(market, kind, below)]
    return gone


class Referrer(NamedTuple):
    """A row that names another one in *field*, not in its own IDs."""

    kind: Kind
    row: Row
    field: str


def naming(market: Marketplace, kind: Kind, row: Row) -> Iterator[Referrer]:
    """What names *row* in a field: it follows a rename, and is left with null by a delete."""
    if kind.name == "product" and not row.document.get("IsParent"):
        return  # it has no child that could name it
    mine = key_of(row.ids)
    for other in ALL.values():
        for reference in other.references:
            field = reference.ids[-1]
            if reference.kind != kind.name or field in other.ids:
                continue
            for one in market.tables[other.name].rows.values():
                if one.document.get(field) and _named(other, one, reference.ids) == mine:
                    yield Referrer(other, one, field)


def _named(kind: Kind, row: Row, names: tuple[str, ...]) -> Key:
    known = {**row.document, **dict(zip(kind.ids, row.ids, strict=True))}
    return key_of(str(known.get(name)) for name in names)
