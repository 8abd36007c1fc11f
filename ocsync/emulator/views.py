"""Rows in the form that responses show: computed counts and sums, inherited values, no passwords.

Sources: guide/ordercloud.md 5.2 (read-only fields, child products) and 7 (sums of inventory
records).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from ocsync.emulator.state import Document, Marketplace, Row
from ocsync.schema import Kind

_COMPUTED = {
    "product": {"Inventory", "VariantCount", "SpecCount"},
    "catalog": {"CategoryCount"},
    "category": {"ChildCount"},
    "spec": {"OptionCount"},
    "price-schedule": {"IsOnSale"},
}


def is_computed(kind: Kind, path: str) -> bool:
    """Return whether the field at *path* is computed, and not in the document that is stored."""
    return path.partition(".")[0] in _COMPUTED.get(kind.name, ())


def view_of(
    market: Marketplace, kind: Kind, row: Row, document: Document | None = None
) -> Document:
    """Return the view of *row*, or of another *document* of it."""
    view = _VIEWS.get(kind.name)
    source = row.document if document is None else document
    return view(market, row, source) if view else source


def inventory_of(market: Marketplace, product: Row) -> list[Document]:
    """Return the inventory records that count for a product: its own, or its variants'."""
    inventory = product.document.get("Inventory") or {}
    name = "variant-inventory" if inventory.get("VariantLevelTracking") else "inventory"
    return [record.document for record in market.tables[name].rows_under(product.ids)]


def address_of(market: Marketplace, owner: str | None, name: str | None) -> Row | None:
    """Return the address *name* of *owner*: the marketplace's, or a supplier's own."""
    is_marketplace = not owner or owner.casefold() == market.id.casefold()
    table = market.tables["address" if is_marketplace else "supplier-address"]
    return table.get([name or ""] if is_marketplace else [owner or "", name or ""])


def group_catalog_of(market: Marketplace, buyer: Document) -> str:
    """Return the default catalog of a buyer's group, empty for none."""
    group = market.tables["buyer-group"].get([str(buyer.get("GroupID") or "")])
    return str(group.document.get("DefaultCatalogID") or "") if group else ""


def catalogs_of(market: Marketplace, buyer: str) -> Iterator[Row]:
    """Yield the catalog assignments of a buyer, and those of its group."""
    yield from market.links("catalog-assignment", BuyerID=buyer)
    row = market.tables["buyer"].get([buyer])
    if row and row.document.get("GroupID"):
        yield from market.links("catalog-assignment", BuyerGroupID=row.document["GroupID"])


def _buyer(market: Marketplace, _: Row, document: Document) -> Document:
    if document.get("DefaultCatalogID") or market.options.inherited_catalog == "null":
        return document
    return {**document, "DefaultCatalogID": group_catalog_of(market, document) or None}


def _product(market: Marketplace, row: Row, document: Document) -> Document:
    counts = {
        "VariantCount": len(market.tables["variant"].keys_with({0: row.ids[0].casefold()})),
        "SpecCount": len(
            market.tables["spec-product-assignment"].keys_with({1: row.ids[0].casefold()})
        ),
    }
    document = {**_with_parent_values(market, document), **counts}
    inventory = document.get("Inventory")
    if inventory is not None and (records := inventory_of(market, row)):
        total = sum(record.get("QuantityAvailable") or 0 for record in records)
        document["Inventory"] = {**inventory, "QuantityAvailable": total}
    return document


def _with_parent_values(market: Marketplace, document: Document) -> Document:
    """Return a child product's document with its parent's values where its own are null."""
    parent = market.tables["product"].get([document.get("ParentID") or ""])
    if parent is None:
        return document
    own_values = {name: value for name, value in document.items() if value is not None}
    xp = {**(parent.document.get("xp") or {}), **(document.get("xp") or {})} or None
    fixed = {"ID": document["ID"], "IsParent": False}
    return {**parent.document, **own_values, **fixed, "xp": xp}


def _catalog(market: Marketplace, row: Row, document: Document) -> Document:
    count = len(market.tables["category"].keys_with({0: row.ids[0].casefold()}))
    return {**document, "CategoryCount": count}


def _category(market: Marketplace, row: Row, document: Document) -> Document:
    category_id = row.ids[-1].casefold()
    siblings = market.tables["category"].rows_under(row.ids[:1])
    count = sum(str(c.document.get("ParentID") or "").casefold() == category_id for c in siblings)
    return {**document, "ChildCount": count}


def _spec(market: Marketplace, row: Row, document: Document) -> Document:
    options = [option.document for option in market.tables["spec-option"].rows_under(row.ids)]
    return {**document, "OptionCount": len(options), "Options": options}


def _price_schedule(_: Marketplace, _row: Row, document: Document) -> Document:
    now = datetime.now(UTC).isoformat()
    start, end = document.get("SaleStart") or "", document.get("SaleEnd") or "9999"
    breaks = document.get("PriceBreaks") or ()
    cheaper = any(one.get("SalePrice") is not None for one in breaks if isinstance(one, dict))
    return {**document, "IsOnSale": cheaper and start <= now < end}


def _user(
    organization: str, memberships: str, market: Marketplace, row: Row, document: Document
) -> Document:
    """Return the document of a user of an *organization*; *memberships* are of its groups' kind."""
    company = row.ids[0] if organization else market.id
    roles = sorted(_roles_of(market, row, organization, memberships))
    view = {**document, "CompanyID": company, "AvailableRoles": roles}
    view.pop("Password", None)
    return view


def _roles_of(market: Marketplace, user: Row, organization: str, memberships: str) -> set[str]:
    """Return the roles of the security profiles of a user, its groups and its organisation."""
    owner = {organization: user.ids[0]} if organization else {}
    name = user.ids[-1].casefold()
    links = market.links(memberships, UserID=name, **owner)
    groups = {link.ids[-2].casefold() for link in links}
    roles: set[str] = set()
    table = market.tables["security-profile-assignment"]
    for key in table.rows:
        ids = dict(zip(table.kind.ids, key, strict=True))
        if any(ids[o] != owner.get(o, "").casefold() for o in ("BuyerID", "SupplierID")):
            continue
        to_all = not (ids["UserID"] or ids["UserGroupID"])
        if to_all or ids["UserID"] == name or ids["UserGroupID"] in groups:
            profile = market.tables["security-profile"].rows[(ids["SecurityProfileID"],)]
            roles.update(profile.document.get("Roles") or ())
    return roles


_VIEWS: dict[str, Callable[[Marketplace, Row, Document], Document]] = {
    "buyer": _buyer,
    "product": _product,
    "catalog": _catalog,
    "category": _category,
    "spec": _spec,
    "price-schedule": _price_schedule,
    "buyer-user": partial(_user, "BuyerID", "usergroup-assignment"),
    "supplier-user": partial(_user, "SupplierID", "supplier-usergroup-assignment"),
    "admin-user": partial(_user, "", "admin-usergroup-assignment"),
}
