"""What happens around a write: what must exist, what is refused, what else comes into being.

Each rule is one small function in a table by kind. Sources: api-facts 2.3, 5.2 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ocsync.emulator.documents import blank
from ocsync.emulator.errors import Refusal, not_found
from ocsync.emulator.state import Document, Key, Marketplace, Row, key_of
from ocsync.resources import KINDS, Kind

Ids = dict[str, str]
Made = list[tuple[Kind, Row]]
_NOUNS = {name: name.title().replace("-", "") for name in KINDS} | {
    "inventory": "InventoryRecord",
    "variant-inventory": "InventoryRecord",
    "usergroup": "UserGroup",
    "buyer-user": "User",
    "supplier-user": "User",
    "admin-user": "User",
}


def noun(kind: Kind) -> str:
    """The platform's name of the kind."""
    return _NOUNS[kind.name]


def require(market: Marketplace, kind: Kind, ids: Ids) -> Row:
    """The row of *kind*, or 404."""
    row = market.of(kind, ids)
    if row is None:
        raise not_found(noun(kind), ids.get(kind.ids[-1], ""))
    return row


def check_references(market: Marketplace, kind: Kind, ids: Ids, document: Document) -> None:
    """Everything that *kind* names, in its IDs or its fields, must be there."""
    known = {**document, **ids}
    for reference in kind.references:
        values = [v for name in reference.ids if isinstance(v := known.get(name), str) and v]
        if len(values) == len(reference.ids) and not market.tables[reference.kind].get(values):
            raise not_found(noun(KINDS[reference.kind]), values[-1])


class Wanted(NamedTuple):
    """A write about to be kept: where, what, and whether it is the first."""

    market: Marketplace
    ids: Ids
    document: Document
    new: bool


def _record(wanted: Wanted) -> None:
    product = wanted.market.tables["product"].get([wanted.ids["ProductID"]])
    inventory = product.document.get("Inventory") if product else None
    if not wanted.new:
        return
    if inventory is None:
        code = "InventoryConfiguration.ProductInventoryMustExist"
        raise Refusal(400, code, "the product has no inventory settings")
    if bool(inventory.get("VariantLevelTracking")) is not ("VariantID" in wanted.ids):
        code = "InventoryConfiguration.CannotCreateInventoryRecord"
        raise Refusal(400, code, "product and variant records cannot be mixed")


def _user(wanted: Wanted) -> None:
    name = str(wanted.document.get("Username") or "").casefold()
    owner = wanted.market.usernames.get(name)
    if owner and owner != key_of(wanted.ids.values()):
        raise Refusal(409, "User.UsernameMustBeUnique", f'the user name "{name}" is taken')


def _category(wanted: Wanted) -> None:
    catalog, own = wanted.ids["CatalogID"], wanted.ids["CategoryID"]
    above, seen = wanted.document.get("ParentID"), {own.casefold()}
    while above:
        if above.casefold() in seen:
            raise Refusal(400, "Category.CircularReference", "a category cannot be below itself")
        seen.add(above.casefold())
        parent = wanted.market.tables["category"].get([catalog, above])
        above = parent.document.get("ParentID") if parent else None


def _buyer(wanted: Wanted) -> None:
    taken = wanted.market.tables["catalog"].get([wanted.ids["BuyerID"]])
    if wanted.new and not wanted.document.get("DefaultCatalogID") and taken:
        text = "a catalog with the buyer's ID is there already"
        raise Refusal(400, "Buyer.DefaultCatalogAlreadyExists", text)


def _product_assignment(wanted: Wanted) -> None:
    buyer, product = wanted.ids["BuyerID"].casefold(), wanted.ids["ProductID"].casefold()
    tables = wanted.market.tables
    catalogs = {key[0] for key in tables["catalog-assignment"].rows if key[1] == buyer}
    if not any((catalog, product) in tables["catalog-product"].rows for catalog in catalogs):
        text = "the product is in none of the buyer's catalogs"
        raise Refusal(400, "Product.CannotAssignNotInBuyerCatalog", text)


CHECKS: dict[str, Callable[[Wanted], None]] = {
    "inventory": _record,
    "variant-inventory": _record,
    "buyer-user": _user,
    "supplier-user": _user,
    "admin-user": _user,
    "category": _category,
    "buyer": _buyer,
    "product-assignment": _product_assignment,
}


def _buyer_made(_: Marketplace, row: Row, old: Row | None) -> Made:
    if old or row.document.get("DefaultCatalogID"):
        return []
    name = row.ids[0]
    row.document["DefaultCatalogID"] = name
    title = {"Name": row.document["Name"], "Active": True}
    catalog = Row((name,), {"ID": name, **blank(KINDS["catalog"]), **title})
    both = {"CatalogID": name, "BuyerID": name, "ViewAllCategories": True, "ViewAllProducts": True}
    return [(KINDS["catalog"], catalog), (KINDS["catalog-assignment"], Row((name, name), both))]


def _category_product_made(market: Marketplace, row: Row, _: Row | None) -> Made:
    catalog, _category, product = row.ids
    if market.tables["catalog-product"].get([catalog, product]):
        return []
    document = {"CatalogID": catalog, "ProductID": product}
    return [(KINDS["catalog-product"], Row((catalog, product), document))]


def _user_made(market: Marketplace, row: Row, old: Row | None) -> Made:
    if old:
        market.usernames.pop(str(old.document["Username"]).casefold(), None)
    market.usernames[str(row.document["Username"]).casefold()] = key_of(row.ids)
    return []


EFFECTS: dict[str, Callable[[Marketplace, Row, Row | None], Made]] = {
    "buyer": _buyer_made,
    "category-product": _category_product_made,
    "buyer-user": _user_made,
    "supplier-user": _user_made,
    "admin-user": _user_made,
}
"""What a write of the kind makes beside it: rows that were not there."""


def _catalog_goes(market: Marketplace, row: Row) -> None:
    for buyer in market.tables["buyer"].rows.values():
        if str(buyer.document.get("DefaultCatalogID") or "").casefold() == row.ids[0].casefold():
            raise Refusal(400, "Catalog.CannotDelete", "it is some buyer's default catalog")


def _address_goes(market: Marketplace, row: Row) -> None:
    for name in ("inventory", "variant-inventory"):
        for record in market.tables[name].rows.values():
            if str(record.document.get("AddressID")).casefold() == row.ids[0].casefold():
                code = "Address.CannotDeleteInventoryRecordAddress"
                raise Refusal(400, code, "an inventory record refers to it")


GOES: dict[str, Callable[[Marketplace, Row], None]] = {
    "catalog": _catalog_goes,
    "address": _address_goes,
}
"""What keeps a row of the kind from being deleted."""


def takes_along(market: Marketplace, kind: Kind, row: Row) -> list[tuple[Kind, Key]]:
    """What goes with *row*: what has its IDs in its own, and the categories below a category."""
    gone: list[tuple[Kind, Key]] = []
    mine = dict(zip(kind.ids, key_of(row.ids), strict=True))
    for other in KINDS.values():
        needs = any(r.kind == kind.name and set(r.ids) <= set(other.ids) for r in other.references)
        if other.name == kind.name or not needs:
            continue
        places = [(other.ids.index(name), value) for name, value in mine.items()]
        gone += [
            (other, key)
            for key in market.tables[other.name].rows
            if all(key[place] == value for place, value in places)
        ]
    if kind.name == "category":
        for below in list(market.tables["category"].below(row.ids[:-1])):
            if str(below.document.get("ParentID") or "").casefold() == mine["CategoryID"]:
                gone += [(kind, key_of(below.ids)), *takes_along(market, kind, below)]
    return gone
