"""What is refused: what must exist before a write, and what a write or a delete may not do.

Each rule is one small function in a table by kind. Codes are the documented ones (api-facts 2.3);
where only a code's name is documented, the rule is what the name says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ocsync.emulator.errors import Refusal, invalid, not_found
from ocsync.emulator.kinds import ALL, noun
from ocsync.emulator.state import Document, Marketplace, Row, key_of
from ocsync.emulator.views import address_of
from ocsync.schema import RECORD_KINDS, Kind, Reference

Ids = dict[str, str]
PRICED_BY = {"product": "DefaultPriceScheduleID", "product-assignment": "PriceScheduleID"}


def require(market: Marketplace, kind: Kind, ids: Mapping[str, str]) -> Row:
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
        if len(values) == len(reference.ids) and not _is_there(market, reference, known, values):
            raise not_found(noun(ALL[reference.kind]), values[-1])


def _is_there(
    market: Marketplace, reference: Reference, known: Document, values: list[str]
) -> bool:
    """Whether what is named exists; an address has to be the owner's."""
    if reference.kind == "address":
        return address_of(market, known.get("OwnerID"), values[0]) is not None
    return market.tables[reference.kind].get(values) is not None


class Wanted(NamedTuple):
    """A write about to be kept: where, what, and what was there."""

    market: Marketplace
    ids: Ids
    document: Document
    old: Document | None

    def changes(self, *names: str) -> bool:
        """Whether one of the fields gets another value than an existing one has."""
        old = self.old
        return old is not None and any(old.get(n) != self.document.get(n) for n in names)

    def product(self) -> Document:
        """The product that the IDs name."""
        row = self.market.tables["product"].get([self.ids["ProductID"]])
        return row.document if row else {}


def _record(wanted: Wanted) -> None:
    if wanted.old:
        return
    inventory = wanted.product().get("Inventory")
    if inventory is None:
        code = "InventoryConfiguration.ProductInventoryMustExist"
        raise Refusal(400, code, "the product has no inventory settings")
    if bool(inventory.get("VariantLevelTracking")) is not ("VariantID" in wanted.ids):
        code = "InventoryConfiguration.CannotCreateInventoryRecord"
        raise Refusal(400, code, "product and variant records cannot be mixed")


def _product(wanted: Wanted) -> None:
    document, market = wanted.document, wanted.market
    parent = market.tables["product"].get([document.get("ParentID") or ""])
    if parent and not parent.document.get("IsParent"):
        raise Refusal(400, "Product.IsNotParent", f"{parent.ids[0]} is not a parent product")
    tracks = bool((document.get("Inventory") or {}).get("VariantLevelTracking"))
    tracked = bool(((wanted.old or {}).get("Inventory") or {}).get("VariantLevelTracking"))
    if tracks and (parent or document.get("IsParent")):
        code = "InventoryConfiguration.CannotSetVariantLevelTracking"
        raise Refusal(400, code, "not for parent and child products")
    if wanted.old and tracks is not tracked:
        own = {0: wanted.ids["ProductID"].casefold()}
        if any(market.tables[name].matching(own) for name in RECORD_KINDS):
            code = "InventoryConfiguration.CannotChangeVariantLevelTracking"
            raise Refusal(400, code, "the product has inventory records")


def _user(wanted: Wanted) -> None:
    name = str(wanted.document.get("Username") or "")
    owner = wanted.market.usernames.get(name.casefold())
    if owner and owner[1] != key_of(wanted.ids.values()):
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
    if not wanted.old and not wanted.document.get("DefaultCatalogID") and taken:
        text = "a catalog with the buyer's ID is there already"
        raise Refusal(400, "Buyer.DefaultCatalogAlreadyExists", text)


def _price_schedule(wanted: Wanted) -> None:
    document, own = wanted.document, wanted.ids["PriceScheduleID"].casefold()
    breaks = [one for one in document.get("PriceBreaks") or () if isinstance(one, dict)]
    for one in breaks:
        for name in ("Quantity", "Price"):
            if not isinstance(one.get(name), int | float):
                raise invalid(f"PriceBreaks.{name}", "is required")
    if len({one["Quantity"] for one in breaks}) < len(breaks):
        raise Refusal(400, "PriceSchedule.DuplicatePriceBreaks", "a quantity is there twice")
    if (document.get("MinQuantity") or 0) > (document.get("MaxQuantity") or 2**31):
        raise Refusal(400, "PriceSchedule.MinGreaterThanMax", "MinQuantity is above MaxQuantity")
    start, end = document.get("SaleStart"), document.get("SaleEnd")
    if start and end and start > end:
        raise Refusal(
            400, "PriceSchedule.InvalidSaleStartOrSaleEnd", "the sale ends before it starts"
        )
    if wanted.changes("Currency") and _priced(wanted.market, own):
        raise Refusal(400, "PriceSchedule.CannotModifyCurrency", "the schedule is assigned")
    if (wanted.old or {}).get("PriceBreaks") and not breaks:
        raise Refusal(400, "PriceSchedule.CannotClearPriceBreaks", "price breaks cannot be cleared")


def _priced(market: Marketplace, schedule: str) -> bool:
    """Whether a product or an assignment has this price schedule."""
    return any(
        str(row.document.get(name) or "").casefold() == schedule
        for kind, name in PRICED_BY.items()
        for row in market.tables[kind].rows.values()
    )


def _product_assignment(wanted: Wanted) -> None:
    market, ids = wanted.market, wanted.ids
    carrying = {
        row.ids[0].casefold()
        for row in market.linked("catalog-product", ProductID=ids["ProductID"])
    }
    having = {
        row.ids[0].casefold() for row in market.linked("catalog-assignment", BuyerID=ids["BuyerID"])
    }
    if not carrying & having:
        text = "the product is in none of the buyer's catalogs"
        raise Refusal(400, "Product.CannotAssignNotInBuyerCatalog", text)


def _no_child(code: str) -> Callable[[Wanted], None]:
    def check(wanted: Wanted) -> None:
        if wanted.product().get("ParentID"):
            raise Refusal(400, code, "a child product is assigned with its parent")

    return check


def _category_assignment(wanted: Wanted) -> None:
    """The buyer needs the catalog first; what the platform answers is not documented."""
    ids = [wanted.ids["CatalogID"], wanted.ids["BuyerID"]]
    if not wanted.market.tables["catalog-assignment"].get(ids):
        raise not_found("CatalogAssignment", "/".join(ids))


def _address(wanted: Wanted) -> None:
    for name in ("State", "Zip") if wanted.document.get("Country") in ("US", "CA") else ():
        if not wanted.document.get(name):
            raise invalid(name, "is required in the US and Canada")


CHECKS: dict[str, Callable[[Wanted], None]] = {
    **dict.fromkeys(RECORD_KINDS, _record),
    "address": _address,
    "supplier-address": _address,
    "buyer-address": _address,
    "product": _product,
    "buyer-user": _user,
    "supplier-user": _user,
    "admin-user": _user,
    "category": _category,
    "buyer": _buyer,
    "price-schedule": _price_schedule,
    "product-assignment": _product_assignment,
    "category-assignment": _category_assignment,
    "catalog-product": _no_child("Catalog.CannotAssignChildProduct"),
    "category-product": _no_child("Category.CannotAssignChildProduct"),
}
"""What a write of the kind may not do."""


def _same(value: Any, row: Row) -> bool:
    return str(value or "").casefold() == row.ids[-1].casefold()


def _catalog_goes(market: Marketplace, row: Row) -> None:
    buyers = market.tables["buyer"].rows.values()
    if any(_same(buyer.document.get("DefaultCatalogID"), row) for buyer in buyers):
        raise Refusal(400, "Catalog.CannotDelete", "it is some buyer's default catalog")


def _address_goes(market: Marketplace, row: Row) -> None:
    for name in RECORD_KINDS:
        if any(_same(r.document.get("AddressID"), row) for r in market.tables[name].rows.values()):
            code = "Address.CannotDeleteInventoryRecordAddress"
            raise Refusal(400, code, "an inventory record refers to it")


def _product_goes(market: Marketplace, row: Row) -> None:
    if any(market.linked("bundle-product", ProductID=row.ids[0])):
        code = "Product.CannotDeleteProductAssingedToBundle"  # the platform's own spelling
        raise Refusal(400, code, "a bundle has the product")
    if row.document.get("IsParent"):
        children = market.tables["product"].rows.values()
        if any(_same(child.document.get("ParentID"), row) for child in children):
            raise Refusal(400, "Product.CannotDeleteParentProduct", "it has child products")


def _user_goes(market: Marketplace, row: Row) -> None:
    name = str(row.document.get("Username")).casefold()
    if any(client.user.casefold() == name for client in market.clients.values()):
        text = "an API client acts as this user"
        raise Refusal(400, "User.CannotDeleteDefaultContextUser", text)


GOES: dict[str, Callable[[Marketplace, Row], None]] = {
    "catalog": _catalog_goes,
    "address": _address_goes,
    "supplier-address": _address_goes,
    "product": _product_goes,
    "buyer-user": _user_goes,
    "supplier-user": _user_goes,
    "admin-user": _user_goes,
}
"""What keeps a row of the kind from being deleted."""
