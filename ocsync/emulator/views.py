"""A row as the platform shows it: nothing write-only, sums and counts worked out, values inherited.

Sources: api-facts 5.2 (read-only fields, child products) and 7 (sums of inventory records).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ocsync.emulator.kinds import ALL
from ocsync.emulator.state import Document, Marketplace, Row
from ocsync.schema import Kind

_WORKED_OUT = {
    "product": {"Inventory", "VariantCount", "SpecCount"},
    "catalog": {"CategoryCount"},
    "category": {"ChildCount"},
    "spec": {"OptionCount"},
    "price-schedule": {"IsOnSale"},
}


def worked_out(kind: Kind, path: str) -> bool:
    """Whether the field at *path* is not in the row's document as it is kept."""
    return path.partition(".")[0] in _WORKED_OUT.get(kind.name, ())


def shown(market: Marketplace, kind: Kind, row: Row, document: Document | None = None) -> Document:
    """The row (or another *document* of it) as it is shown."""
    show = _SHOW.get(kind.name)
    mine = row.document if document is None else document
    return show(market, row, mine) if show else mine


def records_of(market: Marketplace, product: Row) -> list[Document]:
    """The inventory records that count for a product: its own, or its variants'."""
    inventory = product.document.get("Inventory") or {}
    summed = ALL["variant" if inventory.get("VariantLevelTracking") else "product"]
    return [
        record.document for record in market.tables[summed.quantity_summed_by].below(product.ids)
    ]


def address_of(market: Marketplace, owner: str | None, name: str | None) -> Document | None:
    """The address *name* of *owner*: the marketplace's, or a supplier's own."""
    mine = not owner or owner.casefold() == market.id.casefold()
    table = market.tables["address" if mine else "supplier-address"]
    row = table.get([name or ""] if mine else [owner or "", name or ""])
    return row.document if row else None


def _product(market: Marketplace, row: Row, document: Document) -> Document:
    counts = {
        "VariantCount": len(market.tables["variant"].matching({0: row.ids[0].casefold()})),
        "SpecCount": len(market.tables["spec-product"].matching({1: row.ids[0].casefold()})),
    }
    document = {**_inherited(market, document), **counts}
    inventory = document.get("Inventory")
    if inventory is not None and (records := records_of(market, row)):
        total = sum(record.get("QuantityAvailable") or 0 for record in records)
        document["Inventory"] = {**inventory, "QuantityAvailable": total}
    return document


def _inherited(market: Marketplace, document: Document) -> Document:
    """A child product has its parent's value wherever its own is null."""
    parent = market.tables["product"].get([document.get("ParentID") or ""])
    if parent is None:
        return document
    own = {name: value for name, value in document.items() if value is not None}
    xp = {**(parent.document.get("xp") or {}), **(document.get("xp") or {})} or None
    never = {"ID": document["ID"], "IsParent": False}
    return {**parent.document, **own, **never, "xp": xp}


def _catalog(market: Marketplace, row: Row, document: Document) -> Document:
    count = len(market.tables["category"].matching({0: row.ids[0].casefold()}))
    return {**document, "CategoryCount": count}


def _category(market: Marketplace, row: Row, document: Document) -> Document:
    own = row.ids[-1].casefold()
    siblings = market.tables["category"].below(row.ids[:1])
    count = sum(str(c.document.get("ParentID") or "").casefold() == own for c in siblings)
    return {**document, "ChildCount": count}


def _spec(market: Marketplace, row: Row, document: Document) -> Document:
    options = [option.document for option in market.tables["spec-option"].below(row.ids)]
    return {**document, "OptionCount": len(options), "Options": options}


def _price_schedule(_: Marketplace, _row: Row, document: Document) -> Document:
    now = datetime.now(UTC).isoformat()
    start, end = document.get("SaleStart") or "", document.get("SaleEnd") or "9999"
    breaks = document.get("PriceBreaks") or ()
    cheaper = any(one.get("SalePrice") is not None for one in breaks if isinstance(one, dict))
    return {**document, "IsOnSale": cheaper and start <= now < end}


def _user(market: Marketplace, row: Row, document: Document) -> Document:
    company = row.ids[0] if len(row.ids) > 1 else market.id
    shown = {**document, "CompanyID": company}
    shown.pop("Password", None)
    return shown


_SHOW: dict[str, Callable[[Marketplace, Row, Document], Document]] = {
    "product": _product,
    "catalog": _catalog,
    "category": _category,
    "spec": _spec,
    "price-schedule": _price_schedule,
    "buyer-user": _user,
    "supplier-user": _user,
    "admin-user": _user,
}
