"""The kinds of entity and assignment, a row each.

Planner, intake, client and emulator read the same row and know nothing else of a kind; a new kind
is one more row here. Facts are from api-facts (sections 4.3, 5.2 and 6); *feeds* is inferred from
section 3.4.

Names in braces in a path are ID names; a kind's own ID is the last of its *ids*.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from ocsync.models import Op

XP_LIMIT = 8000
"""Bytes of JSON in one entity's xp."""
XP_LEVELS = 50
"""How deep xp may be nested; a bound of ours, far below what any reader takes."""
WHOLE_MIN, WHOLE_MAX = -(2**31), 2**31 - 1


class Type(StrEnum):
    """How a field's text is read, and which JSON values it takes."""

    TEXT = "text"
    WHOLE = "whole number"
    NUMBER = "number"
    FLAG = "true or false"
    DATE = "date"
    LIST = "list"
    XP = "object"


class Field(NamedTuple):
    """One field of a kind.

    *moves* marks what the platform changes by itself (orders decrement stock).
    *default* is what a PUT (or an assignment) that leaves the field out ends with, where known.
    *lasts* marks a field of which each value leaves something behind that a later one does not undo.
    """

    type: Type
    required: bool = False
    read_only: bool = False
    write_only: bool = False
    create_only: bool = False
    max: int | None = None
    min: int | None = None
    default: Any = None
    moves: bool = False
    lasts: bool = False
    required_on_assign: bool = False


class Reference(NamedTuple):
    """An ID of another kind that this one names: *ids* are ID names or fields of this kind."""

    kind: str
    ids: tuple[str, ...]


class After(NamedTuple):
    """Order only: steps of *kind* whose *same* IDs equal ours go before."""

    kind: str
    same: tuple[str, ...]


class Creates(NamedTuple):
    """A put of this kind brings *kind* with the IDs *ids* into being, unless it sets *unless*."""

    kind: str
    ids: tuple[str, ...]
    unless: str = ""


class Named(NamedTuple):
    """A list of what names one of this kind in a field: *kind* at *path*, filtered by *query*.

    *refuses* is why the platform then refuses to delete it (api-facts 2.3 and 5.2); where it is
    empty, what becomes of the name is not documented. *id* is the items' own ID. *inner* is the
    kind below the items which really holds the name.
    """

    kind: str
    path: str
    query: str
    refuses: str = ""
    id: str = "ID"
    inner: str = ""


class Kind(NamedTuple):
    """A kind of entity or assignment.

    *ids* are OrderCloud's names; the last *optional* of them may be left out of a ref.
    *path* is the entity, or, for an assignment, where it is posted and listed.
    *listed_by* maps an assignment list's query parameters to ID names; *list_query* is always sent.
    *removal* is the DELETE of an assignment; entities are deleted at *path*.
    *area* is the stem of its roles (`ProductAdmin` writes, `ProductReader` reads), *also* further
    roles that may write.
    *direct* targets get a message when one is written, *possible* ones may.
    *lags* means that a read right after a write may be stale, so it never suppresses one.
    Of its own kind, those whose field *subtree* names one are deleted with it. *named_by* lists
    what names it in a field; *hidden* is what keeps one from being deleted and cannot be read
    beforehand.
    """

    name: str
    noun: str
    ids: tuple[str, ...]
    path: str
    fields: Mapping[str, Field]
    area: str
    also: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    after: tuple[After, ...] = ()
    creates: tuple[Creates, ...] = ()
    direct: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    optional: int = 0
    assignment: bool = False
    listed_by: Mapping[str, str] = {}
    list_query: Mapping[str, str] = {}
    removal: str = ""
    puts: bool = True
    lags: bool = False
    deletable: bool = True
    subtree: str = ""
    named_by: tuple[Named, ...] = ()
    hidden: str = ""

    @property
    def ops(self) -> tuple[Op, ...]:
        """What can be staged for it."""
        if self.assignment:
            return (Op.ASSIGN,)
        return (Op.SET, Op.PUT, Op.ADJUST) if self.puts else (Op.SET, Op.ADJUST)

    @property
    def one(self) -> str:
        """The noun with its article, as in `an inventory record`."""
        return f"{'an' if self.noun[0] in 'aeio' else 'a'} {self.noun}"

    @property
    def writers(self) -> tuple[str, ...]:
        """The roles that may write it; FullAccess always may."""
        return (f"{self.area}Admin", *self.also)

    @property
    def readers(self) -> tuple[str, ...]:
        """The roles that may read it; FullAccess always may."""
        return (*self.writers, f"{self.area}Reader")

    @property
    def collection(self) -> str:
        """The path that lists it."""
        return self.path if self.assignment else self.path.rpartition("/")[0]

    @property
    def models(self) -> frozenset[str]:
        """The nested models whose members are fields of their own, xp among them."""
        nested = {path.partition(".")[0] for path in self.fields if "." in path}
        return frozenset(nested | ({"xp"} if "xp" in self.fields else set()))


_TEXT, _FLAG, _WHOLE = Field(Type.TEXT), Field(Type.FLAG), Field(Type.WHOLE)
_ID = Field(Type.TEXT, max=100)
_NAME = Field(Type.TEXT, required=True, max=100)
_ABOUT = Field(Type.TEXT, max=2000)
_NUMBER = Field(Type.NUMBER)
_XP = Field(Type.XP)
_OWNER = Field(Type.TEXT, max=100, create_only=True)
_STOCK = Field(Type.WHOLE, moves=True)
_SHOWN = Field(Type.TEXT, read_only=True)
_COUNT = Field(Type.WHOLE, read_only=True)
_STAMP = Field(Type.DATE, read_only=True)
_BOTH_WAYS = Field(Type.FLAG, required_on_assign=True)

_SIZES = {"ShipWeight": _NUMBER, "ShipHeight": _NUMBER, "ShipWidth": _NUMBER, "ShipLength": _NUMBER}
_RECORD = {
    "OwnerID": _OWNER,
    "AddressID": _ID._replace(required=True),
    "AllowAllBuyers": Field(Type.FLAG, default=True),
    "OrderCanExceed": _FLAG,
    "QuantityAvailable": _STOCK,
    "NotificationPoint": _WHOLE,
    "xp": _XP,
    "Address": Field(Type.XP, read_only=True),
    "LastUpdated": _STAMP,
}
_USER = {
    "Username": _NAME,
    "FirstName": _NAME,
    "LastName": _NAME,
    "Email": Field(Type.TEXT, required=True, max=200),
    "Phone": _ID,
    "TermsAccepted": Field(Type.DATE),
    "Active": Field(Type.FLAG, required=True),
    "xp": _XP,
    "Password": Field(Type.TEXT, write_only=True),
    "CompanyID": _SHOWN,
    "AvailableRoles": Field(Type.LIST, read_only=True),
    "Locale": Field(Type.XP, read_only=True),
    "DateCreated": _STAMP,
    "LastActive": _STAMP,
    "PasswordLastSetDate": _STAMP,
    "FailedLoginAttempts": _COUNT,
}
_ORGANISATION = {"Name": _NAME, "Active": _FLAG, "DateCreated": _STAMP, "xp": _XP}


# Rows are aligned as a table; the formatter would break them.
# fmt: off
KINDS: dict[str, Kind] = {k.name: k for k in (
    Kind("address", "address", ("AddressID",), "/addresses/{AddressID}", {
            "CompanyName": _ID, "FirstName": _ID, "LastName": _ID, "AddressName": _ID, "Phone": _ID,
            "Street1": _NAME, "Street2": _ID, "City": _NAME, "State": _ID, "Zip": _ID,
            "Country": Field(Type.TEXT, required=True, max=2, min=2), "DateCreated": _STAMP, "xp": _XP},
         area="AdminAddress", possible=("inventory", "products"),
         named_by=(Named("product", "/products", "InventoryRecords.AddressID", "inventory records refer to it", inner="inventory"),
                   Named("product", "/products", "ShipFromAddressID"))),
    Kind("supplier", "supplier", ("SupplierID",), "/suppliers/{SupplierID}",
         {**_ORGANISATION, "AllBuyersCanOrder": _FLAG},
         area="Supplier", direct=("suppliers",), possible=("products",),
         named_by=(Named("product", "/products", "DefaultSupplierID"),)),
    Kind("catalog", "catalog", ("CatalogID",), "/catalogs/{CatalogID}", {
            "OwnerID": _OWNER, "Name": _NAME, "Description": _ABOUT, "Active": _FLAG, "CategoryCount": _COUNT, "xp": _XP},
         area="Catalog", direct=("catalogs",), possible=("products", "categories"),
         named_by=(Named("buyer", "/buyers", "DefaultCatalogID", "it is a default catalog"),)),
    Kind("price-schedule", "price schedule", ("PriceScheduleID",), "/priceschedules/{PriceScheduleID}", {
            "OwnerID": _OWNER, "Name": _NAME, "ApplyTax": _FLAG, "ApplyShipping": _FLAG, "MinQuantity": Field(Type.WHOLE, min=1, default=1),
            "MaxQuantity": _WHOLE, "UseCumulativeQuantity": _FLAG, "RestrictedQuantity": _FLAG, "PriceBreaks": Field(Type.LIST),
            "Currency": Field(Type.TEXT, max=3), "SaleStart": Field(Type.DATE), "SaleEnd": Field(Type.DATE),
            "IsOnSale": Field(Type.FLAG, read_only=True), "xp": _XP},
         area="PriceSchedule", possible=("products",),
         named_by=(Named("product", "/products", "DefaultPriceScheduleID"),
                   Named("product-assignment", "/products/assignments", "priceScheduleID", id="ProductID"))),
    Kind("buyer", "buyer", ("BuyerID",), "/buyers/{BuyerID}", {**_ORGANISATION, "DefaultCatalogID": _ID, "GroupID": _ID},
         area="Buyer", references=(Reference("catalog", ("DefaultCatalogID",)),),
         creates=(Creates("catalog", ("BuyerID",), "DefaultCatalogID"), Creates("catalog-assignment", ("BuyerID", "BuyerID"), "DefaultCatalogID")),
         direct=("buyers",), possible=("catalogs", "products")),
    Kind("category", "category", ("CatalogID", "CategoryID"), "/catalogs/{CatalogID}/categories/{CategoryID}", {
            "Name": _NAME, "Description": _ABOUT, "ListOrder": Field(Type.WHOLE, min=0, default=0), "Active": _FLAG, "ParentID": _ID,
            "ChildCount": _COUNT, "xp": _XP},
         area="Category", references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "ParentID"))),
         direct=("categories",), possible=("products",), list_query={"depth": "all"}, subtree="ParentID"),
    Kind("product", "product", ("ProductID",), "/products/{ProductID}", {
            "OwnerID": _OWNER, "Name": _NAME, "Description": _ABOUT, "Active": _FLAG, "AutoForward": _FLAG, "Returnable": _FLAG,
            "IsParent": _FLAG, "ParentID": _ID, "QuantityMultiplier": Field(Type.WHOLE, min=1, default=1), **_SIZES,
            "DefaultPriceScheduleID": _ID, "DefaultSupplierID": _ID._replace(lasts=True), "AllSuppliersCanSell": _FLAG, "ShipFromAddressID": _ID,
            "Inventory.Enabled": _FLAG, "Inventory.NotificationPoint": _WHOLE, "Inventory.VariantLevelTracking": _FLAG,
            "Inventory.OrderCanExceed": _FLAG, "Inventory.QuantityAvailable": _STOCK, "Inventory.LastUpdated": _STAMP,
            "IsBundle": Field(Type.FLAG, read_only=True), "SpecCount": _COUNT, "VariantCount": _COUNT, "DateCreated": _STAMP, "xp": _XP},
         area="Product",
         references=(Reference("price-schedule", ("DefaultPriceScheduleID",)), Reference("supplier", ("DefaultSupplierID",)),
                     Reference("address", ("ShipFromAddressID",)), Reference("product", ("ParentID",))),
         direct=("products",), lags=True,
         named_by=(Named("product", "/products", "ParentID", "it is a parent product"),
                   Named("bundle", "/bundles/productassignments", "productID", "bundles have it", id="BundleID"))),
    Kind("usergroup", "user group", ("BuyerID", "UserGroupID"), "/buyers/{BuyerID}/usergroups/{UserGroupID}",
         {"Name": _NAME, "Description": _ABOUT, "xp": _XP},
         area="UserGroup", references=(Reference("buyer", ("BuyerID",)),), direct=("usergroups",), possible=("products",),
         hidden="approval rules"),
    Kind("buyer-user", "buyer user", ("BuyerID", "UserID"), "/buyers/{BuyerID}/users/{UserID}", _USER,
         area="BuyerUser", references=(Reference("buyer", ("BuyerID",)),), direct=("buyer-users",), puts=False,
         hidden="open orders or an API client"),
    Kind("supplier-user", "supplier user", ("SupplierID", "UserID"), "/suppliers/{SupplierID}/users/{UserID}", _USER,
         area="SupplierUser", references=(Reference("supplier", ("SupplierID",)),), direct=("supplier-users",), puts=False,
         hidden="open orders or an API client"),
    Kind("admin-user", "admin user", ("UserID",), "/adminusers/{UserID}", _USER,
         area="AdminUser", direct=("admin-users",), puts=False,
         hidden="an API client"),
    Kind("variant", "variant", ("ProductID", "VariantID"), "/products/{ProductID}/variants/{VariantID}", {
            "Name": Field(Type.TEXT, max=100), "Description": _ABOUT, "Active": _FLAG, **_SIZES,
            "Inventory.QuantityAvailable": _STOCK, "Inventory.NotificationPoint": _WHOLE, "Inventory.LastUpdated": _STAMP,
            "Specs": Field(Type.LIST, read_only=True), "xp": _XP},
         area="Product", references=(Reference("product", ("ProductID",)),), direct=("products",), puts=False, deletable=False),
    Kind("inventory", "inventory record", ("ProductID", "InventoryRecordID"),
         "/products/{ProductID}/inventoryrecords/{InventoryRecordID}", _RECORD,
         area="Product", references=(Reference("product", ("ProductID",)), Reference("address", ("AddressID",))),
         direct=("inventory",), possible=("products",), hidden="open orders"),
    Kind("variant-inventory", "variant inventory record", ("ProductID", "VariantID", "InventoryRecordID"),
         "/products/{ProductID}/variants/{VariantID}/inventoryrecords/{InventoryRecordID}", _RECORD,
         area="Product", references=(Reference("product", ("ProductID",)), Reference("variant", ("ProductID", "VariantID")), Reference("address", ("AddressID",))),
         direct=("inventory",), possible=("products",), hidden="open orders"),
    Kind("catalog-assignment", "catalog assignment", ("CatalogID", "BuyerID"), "/catalogs/assignments",
         {"ViewAllCategories": _BOTH_WAYS, "ViewAllProducts": _BOTH_WAYS},
         area="Catalog", references=(Reference("catalog", ("CatalogID",)), Reference("buyer", ("BuyerID",))),
         direct=("catalogs",), possible=("products",), assignment=True,
         listed_by={"catalogID": "CatalogID", "buyerID": "BuyerID"}, removal="/catalogs/{CatalogID}/assignments?buyerID={BuyerID}"),
    Kind("catalog-product", "catalog product", ("CatalogID", "ProductID"), "/catalogs/productassignments", {},
         area="Catalog", references=(Reference("catalog", ("CatalogID",)), Reference("product", ("ProductID",))),
         direct=("products",), possible=("catalogs",), assignment=True,
         listed_by={"catalogID": "CatalogID", "productID": "ProductID"}, removal="/catalogs/{CatalogID}/productassignments/{ProductID}"),
    Kind("category-product", "category product", ("CatalogID", "CategoryID", "ProductID"),
         "/catalogs/{CatalogID}/categories/productassignments", {"ListOrder": Field(Type.WHOLE, min=0)},
         area="Category", references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("product", ("ProductID",))),
         creates=(Creates("catalog-product", ("CatalogID", "ProductID")),),
         direct=("products",), possible=("categories",), assignment=True,
         listed_by={"categoryID": "CategoryID", "productID": "ProductID"},
         removal="/catalogs/{CatalogID}/categories/{CategoryID}/productassignments/{ProductID}"),
    Kind("category-assignment", "category assignment", ("CatalogID", "CategoryID", "BuyerID", "UserGroupID"),
         "/catalogs/{CatalogID}/categories/assignments", {"Visible": _FLAG, "ViewAllProducts": _FLAG},
         area="Category", optional=1, assignment=True,
         references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("buyer", ("BuyerID",)),
                     Reference("usergroup", ("BuyerID", "UserGroupID"))),
         after=(After("catalog-assignment", ("CatalogID", "BuyerID")),),
         direct=("categories",), possible=("products",),
         listed_by={"categoryID": "CategoryID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         removal="/catalogs/{CatalogID}/categories/{CategoryID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    Kind("usergroup-assignment", "user group membership", ("BuyerID", "UserGroupID", "UserID"), "/buyers/{BuyerID}/usergroups/assignments", {},
         area="UserGroup", assignment=True,
         references=(Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")), Reference("buyer-user", ("BuyerID", "UserID"))),
         direct=("usergroups",), possible=("buyer-users",),
         listed_by={"userGroupID": "UserGroupID", "userID": "UserID"},
         removal="/buyers/{BuyerID}/usergroups/{UserGroupID}/assignments/{UserID}"),
    Kind("product-assignment", "product assignment", ("ProductID", "BuyerID", "UserGroupID"), "/products/assignments", {"PriceScheduleID": _ID},
         area="Product", also=("ProductAssignmentAdmin",), optional=1, assignment=True,
         references=(Reference("product", ("ProductID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")),
                     Reference("price-schedule", ("PriceScheduleID",))),
         after=(After("catalog-product", ("ProductID",)), After("category-product", ("ProductID",)), After("catalog-assignment", ("BuyerID",))),
         direct=("products",),
         listed_by={"productID": "ProductID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         removal="/products/{ProductID}/assignments/{BuyerID}?userGroupID={UserGroupID}"),
)}
# fmt: on
