"""Rules that refuse writes and deletes.

Each rule is one small function in a table by kind. Codes are the documented ones
(guide/ordercloud.md 2.3); where only a code's name is documented, the rule follows from the name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ocsync.emulator.errors import ErrorResponse, invalid, not_found
from ocsync.emulator.kinds import ALL_KINDS, type_name
from ocsync.emulator.state import Document, Marketplace, Row, key_of
from ocsync.emulator.views import address_of, catalogs_of, group_catalog_of
from ocsync.schema import Kind, Reference

Ids = dict[str, str]
PRICE_SCHEDULE_FIELDS = {
    "product": "DefaultPriceScheduleID",
    "product-assignment": "PriceScheduleID",
}


def require_row(market: Marketplace, kind: Kind, ids: Mapping[str, str]) -> Row:
    """Return the row of *kind* with *ids*, or raise a 404."""
    row = market.find_row(kind, ids)
    if row is None:
        raise not_found(type_name(kind), ids.get(kind.ids[-1], ""))
    return row


def check_references(
    market: Marketplace, kind: Kind, ids: Ids, document: Document, *, writing: bool = True
) -> None:
    """Raise a 404 unless every object that the IDs and fields refer to exists.

    For a write an object counts only once it is known.
    """
    values = {**document, **ids}
    for reference in kind.references:
        referenced = [v for name in reference.ids if isinstance(v := values.get(name), str) and v]
        applies = not any(values.get(name) for name in reference.unless)
        if applies and len(referenced) == len(reference.ids):
            row = _referenced_row(market, reference, values, referenced)
            if row is None or (writing and not row.is_known):
                raise not_found(type_name(ALL_KINDS[reference.kind]), referenced[-1])


def _referenced_row(
    market: Marketplace, reference: Reference, fields: Document, values: list[str]
) -> Row | None:
    """Return the referenced object; an address must be the owner's."""
    if reference.kind == "address":
        return address_of(market, fields.get("OwnerID"), values[0])
    return market.tables[reference.kind].get(values)


def check_owner(market: Marketplace, document: Document) -> None:
    """Raise a 404 unless the document's owner is the marketplace or one of its suppliers.

    That others are refused is known, and the code is inferred (guide/ordercloud.md 12.18).
    """
    owner = document.get("OwnerID")
    if owner and owner.casefold() != market.id.casefold():
        require_row(market, ALL_KINDS["supplier"], {"SupplierID": owner})


class ProposedWrite(NamedTuple):
    """A write before it is saved: IDs, new document, and the document that it replaces."""

    market: Marketplace
    ids: Ids
    document: Document
    old: Document | None

    def changes(self, *names: str) -> bool:
        """Return whether the write changes one of the fields *names* of an existing document."""
        old = self.old
        return old is not None and any(old.get(n) != self.document.get(n) for n in names)

    def product(self) -> Document:
        """Return the product that the IDs name."""
        row = self.market.tables["product"].get([self.ids["ProductID"]])
        return row.document if row else {}


def _check_inventory(write: ProposedWrite) -> None:
    if write.old:
        return
    inventory = write.product().get("Inventory")
    if inventory is None:
        code = "InventoryConfiguration.ProductInventoryMustExist"
        raise ErrorResponse(400, code, "the product has no inventory settings")
    if bool(inventory.get("VariantLevelTracking")) is not ("VariantID" in write.ids):
        code = "InventoryConfiguration.CannotCreateInventoryRecord"
        raise ErrorResponse(400, code, "product and variant records cannot be mixed")


def _check_product(write: ProposedWrite) -> None:
    document, market = write.document, write.market
    parent = market.tables["product"].get([document.get("ParentID") or ""])
    if parent and not parent.document.get("IsParent"):
        raise ErrorResponse(400, "Product.IsNotParent", f"{parent.ids[0]} is not a parent product")
    tracks = bool((document.get("Inventory") or {}).get("VariantLevelTracking"))
    tracked = bool(((write.old or {}).get("Inventory") or {}).get("VariantLevelTracking"))
    if tracks and (parent or document.get("IsParent")):
        code = "InventoryConfiguration.CannotSetVariantLevelTracking"
        raise ErrorResponse(400, code, "not for parent and child products")
    if write.old and tracks is not tracked:
        product_key = {0: write.ids["ProductID"].casefold()}
        if any(
            market.tables[name].keys_with(product_key)
            for name in ("inventory", "variant-inventory")
        ):
            code = "InventoryConfiguration.CannotChangeVariantLevelTracking"
            raise ErrorResponse(400, code, "the product has inventory records")


def _check_user(write: ProposedWrite) -> None:
    name = str(write.document.get("Username") or "")
    owner = write.market.usernames.get(name.casefold())
    if owner and owner[1] != key_of(write.ids.values()):
        raise ErrorResponse(409, "User.UsernameMustBeUnique", f'the user name "{name}" is taken')


def _check_category(write: ProposedWrite) -> None:
    catalog, category_id = write.ids["CatalogID"], write.ids["CategoryID"]
    parent_id, visited = write.document.get("ParentID"), {category_id.casefold()}
    while parent_id:
        if parent_id.casefold() in visited:
            raise ErrorResponse(
                400, "Category.CircularReference", "a category cannot be below itself"
            )
        visited.add(parent_id.casefold())
        parent = write.market.tables["category"].get([catalog, parent_id])
        parent_id = parent.document.get("ParentID") if parent else None


def _check_buyer(write: ProposedWrite) -> None:
    catalog = write.market.tables["catalog"].get([write.ids["BuyerID"]])
    named = write.document.get("DefaultCatalogID") or group_catalog_of(write.market, write.document)
    if not write.old and not named and catalog:
        text = "a catalog with the buyer's ID exists already"
        raise ErrorResponse(400, "Buyer.DefaultCatalogAlreadyExists", text)


def _check_price_schedule(write: ProposedWrite) -> None:
    document, schedule_id = write.document, write.ids["PriceScheduleID"].casefold()
    breaks = document.get("PriceBreaks") or ()
    if len({price_break["Quantity"] for price_break in breaks}) < len(breaks):
        raise ErrorResponse(400, "PriceSchedule.DuplicatePriceBreaks", "a quantity appears twice")
    if (document.get("MinQuantity") or 0) > (document.get("MaxQuantity") or 2**31):
        raise ErrorResponse(
            400, "PriceSchedule.MinGreaterThanMax", "MinQuantity is above MaxQuantity"
        )
    start, end = document.get("SaleStart"), document.get("SaleEnd")
    if start and end and start > end:
        raise ErrorResponse(
            400, "PriceSchedule.InvalidSaleStartOrSaleEnd", "the sale ends before it starts"
        )
    if write.changes("Currency") and _is_assigned(write.market, schedule_id):
        raise ErrorResponse(400, "PriceSchedule.CannotModifyCurrency", "the schedule is assigned")
    if (write.old or {}).get("PriceBreaks") and not breaks:
        raise ErrorResponse(
            400, "PriceSchedule.CannotClearPriceBreaks", "price breaks cannot be cleared"
        )


def _is_assigned(market: Marketplace, schedule: str) -> bool:
    """Return whether a product or an assignment has this price schedule."""
    return any(
        str(row.document.get(name) or "").casefold() == schedule
        for kind, name in PRICE_SCHEDULE_FIELDS.items()
        for row in market.tables[kind].rows.values()
    )


def _check_product_assignment(write: ProposedWrite) -> None:
    market, ids = write.market, write.ids
    if seller := ids.get("SellerID"):
        name = str(write.document.get("PriceScheduleID") or "")
        price = market.tables["price-schedule"].get([name])
        if price is None:
            code = "ProductAssigment.MustSpecifyPriceScheduleID"  # the platform's own spelling
            raise ErrorResponse(400, code, "another seller's assignment needs a price schedule")
        if str(price.document.get("OwnerID")).casefold() != seller.casefold():
            raise not_found("PriceSchedule", name)
    with_product = {
        row.ids[0].casefold()
        for row in market.links("catalog-product", ProductID=ids["ProductID"])
        if row.is_known
    }
    of_buyer = {
        row.ids[0].casefold() for row in catalogs_of(market, ids["BuyerID"]) if row.is_known
    }
    if not with_product & of_buyer:
        text = "the product is in none of the buyer's catalogs"
        raise ErrorResponse(400, "Product.CannotAssignNotInBuyerCatalog", text)


def _refuse_child_product(code: str) -> Callable[[ProposedWrite], None]:
    def check(write: ProposedWrite) -> None:
        if write.product().get("ParentID"):
            raise ErrorResponse(400, code, "a child product is assigned with its parent")

    return check


def _check_category_assignment(write: ProposedWrite) -> None:
    """Raise unless the buyer has the catalog; the platform's response is not documented."""
    catalog, buyer = write.ids["CatalogID"].casefold(), write.ids["BuyerID"]
    rows = catalogs_of(write.market, buyer)
    if not any(row.is_known and row.ids[0].casefold() == catalog for row in rows):
        raise not_found("CatalogAssignment", f"{write.ids['CatalogID']}/{buyer}")


def _check_security_profile(write: ProposedWrite) -> None:
    require_row(write.market, ALL_KINDS["security-profile"], write.ids)


def _check_address(write: ProposedWrite) -> None:
    for name in ("State", "Zip") if write.document.get("Country") in ("US", "CA") else ():
        if not write.document.get(name):
            raise invalid(name, "is required in the US and Canada")


WRITE_RULES: dict[str, Callable[[ProposedWrite], None]] = {
    "inventory": _check_inventory,
    "variant-inventory": _check_inventory,
    "address": _check_address,
    "supplier-address": _check_address,
    "buyer-address": _check_address,
    "product": _check_product,
    "buyer-user": _check_user,
    "supplier-user": _check_user,
    "admin-user": _check_user,
    "category": _check_category,
    "buyer": _check_buyer,
    "price-schedule": _check_price_schedule,
    "product-assignment": _check_product_assignment,
    "category-assignment": _check_category_assignment,
    "security-profile-assignment": _check_security_profile,
    "catalog-product": _refuse_child_product("Catalog.CannotAssignChildProduct"),
    "category-product": _refuse_child_product("Category.CannotAssignChildProduct"),
}
"""Rules for writes, by kind; each raises ErrorResponse when it refuses the write."""


def _refers_to(value: Any, row: Row) -> bool:
    return str(value or "").casefold() == row.ids[-1].casefold()


def _check_catalog_delete(market: Marketplace, row: Row) -> None:
    buyers = market.tables["buyer"].rows.values()
    if any(_refers_to(buyer.document.get("DefaultCatalogID"), row) for buyer in buyers):
        raise ErrorResponse(400, "Catalog.CannotDelete", "it is some buyer's default catalog")


def _check_address_delete(market: Marketplace, row: Row) -> None:
    for name in ("inventory", "variant-inventory"):
        records = (record.document for record in market.tables[name].rows.values())
        if any(address_of(market, r.get("OwnerID"), r.get("AddressID")) is row for r in records):
            code = "Address.CannotDeleteInventoryRecordAddress"
            raise ErrorResponse(400, code, "an inventory record refers to it")


def _check_product_delete(market: Marketplace, row: Row) -> None:
    if any(market.links("bundle-product", ProductID=row.ids[0])):
        code = "Product.CannotDeleteProductAssingedToBundle"  # the platform's own spelling
        raise ErrorResponse(400, code, "a bundle has the product")
    if row.document.get("IsParent"):
        children = market.tables["product"].rows.values()
        if any(_refers_to(child.document.get("ParentID"), row) for child in children):
            raise ErrorResponse(400, "Product.CannotDeleteParentProduct", "it has child products")


def _check_user_delete(market: Marketplace, row: Row) -> None:
    name = str(row.document.get("Username")).casefold()
    if any(client.user.casefold() == name for client in market.clients.values()):
        text = "an API client acts as this user"
        raise ErrorResponse(409, "User.CannotDeleteDefaultContextUser", text)


DELETE_RULES: dict[str, Callable[[Marketplace, Row], None]] = {
    "catalog": _check_catalog_delete,
    "address": _check_address_delete,
    "supplier-address": _check_address_delete,
    "product": _check_product_delete,
    "buyer-user": _check_user_delete,
    "supplier-user": _check_user_delete,
    "admin-user": _check_user_delete,
}
"""Rules for deletes, by kind; each raises ErrorResponse when it refuses the delete."""
