"""The kinds of entity and assignment, a row each.

Planner, intake, client and emulator read the same row and know nothing else of a kind; a new kind
is one more row here. Facts are from api-facts 4.3, 5.2 and 6; *feeds* is inferred from
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

    *volatile* marks what the platform changes by itself (orders decrement stock).
    *default* is what a PUT (or an assignment) that leaves the field out ends with, where known.
    *has_side_effect* marks a field of which each value leaves something behind that a later one does not undo.
    """

    type: Type
    required: bool = False
    read_only: bool = False
    write_only: bool = False
    create_only: bool = False
    max: int | None = None
    min: int | None = None
    default: Any = None
    volatile: bool = False
    has_side_effect: bool = False
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


class ReferencedBy(NamedTuple):
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
    *delete_path* is the DELETE of an assignment; entities are deleted at *path*.
    *role_prefix* is the stem of its roles (`ProductAdmin` writes, `ProductReader` reads), *extra_writer_roles* further
    roles that may write.
    *direct_targets* targets get a message when one is written, *indirect_targets* ones may.
    *eventually_consistent* means that a read right after a write may be stale, so it never suppresses one.
    Of its own kind, those whose field *subtree* names one are deleted with it. *referenced_by* lists
    what names it in a field; *unreadable_blockers* is what keeps one from being deleted and cannot be read
    beforehand.
    """

    name: str
    noun: str
    ids: tuple[str, ...]
    path: str
    fields: Mapping[str, Field]
    role_prefix: str
    extra_writer_roles: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    after: tuple[After, ...] = ()
    creates: tuple[Creates, ...] = ()
    direct_targets: tuple[str, ...] = ()
    indirect_targets: tuple[str, ...] = ()
    optional: int = 0
    assignment: bool = False
    listed_by: Mapping[str, str] = {}
    list_query: Mapping[str, str] = {}
    delete_path: str = ""
    allows_put: bool = True
    eventually_consistent: bool = False
    deletable: bool = True
    subtree: str = ""
    referenced_by: tuple[ReferencedBy, ...] = ()
    unreadable_blockers: str = ""

    @property
    def ops(self) -> tuple[Op, ...]:
        """What can be staged for it."""
        if self.assignment:
            return (Op.ASSIGN,)
        return (Op.SET, Op.PUT, Op.ADJUST) if self.allows_put else (Op.SET, Op.ADJUST)

    @property
    def noun_with_article(self) -> str:
        """The noun with its article, as in `an inventory record`."""
        return f"{'an' if self.noun[0] in 'aeio' else 'a'} {self.noun}"

    @property
    def writers(self) -> tuple[str, ...]:
        """The roles that may write it; FullAccess always may."""
        return (f"{self.role_prefix}Admin", *self.extra_writer_roles)

    @property
    def readers(self) -> tuple[str, ...]:
        """The roles that may read it; FullAccess always may."""
        return (*self.writers, f"{self.role_prefix}Reader")

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
_STOCK = Field(Type.WHOLE, volatile=True)
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
         role_prefix="AdminAddress", indirect_targets=("inventory", "products"),
         referenced_by=(ReferencedBy("product", "/products", "InventoryRecords.AddressID", "inventory records refer to it", inner="inventory"),
                   ReferencedBy("product", "/products", "ShipFromAddressID"))),
    Kind("supplier", "supplier", ("SupplierID",), "/suppliers/{SupplierID}",
         {**_ORGANISATION, "AllBuyersCanOrder": _FLAG},
         role_prefix="Supplier", direct_targets=("suppliers",), indirect_targets=("products",),
         referenced_by=(ReferencedBy("product", "/products", "DefaultSupplierID"),)),
    Kind("catalog", "catalog", ("CatalogID",), "/catalogs/{CatalogID}", {
            "OwnerID": _OWNER, "Name": _NAME, "Description": _ABOUT, "Active": _FLAG, "CategoryCount": _COUNT, "xp": _XP},
         role_prefix="Catalog", direct_targets=("catalogs",), indirect_targets=("products", "categories"),
         referenced_by=(ReferencedBy("buyer", "/buyers", "DefaultCatalogID", "it is a default catalog"),)),
    Kind("price-schedule", "price schedule", ("PriceScheduleID",), "/priceschedules/{PriceScheduleID}", {
            "OwnerID": _OWNER, "Name": _NAME, "ApplyTax": _FLAG, "ApplyShipping": _FLAG, "MinQuantity": Field(Type.WHOLE, min=1, default=1),
            "MaxQuantity": _WHOLE, "UseCumulativeQuantity": _FLAG, "RestrictedQuantity": _FLAG, "PriceBreaks": Field(Type.LIST),
            "Currency": Field(Type.TEXT, max=3), "SaleStart": Field(Type.DATE), "SaleEnd": Field(Type.DATE),
            "IsOnSale": Field(Type.FLAG, read_only=True), "xp": _XP},
         role_prefix="PriceSchedule", indirect_targets=("products",),
         referenced_by=(ReferencedBy("product", "/products", "DefaultPriceScheduleID"),
                   ReferencedBy("product-assignment", "/products/assignments", "priceScheduleID", id="ProductID"))),
    Kind("buyer", "buyer", ("BuyerID",), "/buyers/{BuyerID}", {**_ORGANISATION, "DefaultCatalogID": _ID, "GroupID": _ID},
         role_prefix="Buyer", references=(Reference("catalog", ("DefaultCatalogID",)),),
         creates=(Creates("catalog", ("BuyerID",), "DefaultCatalogID"), Creates("catalog-assignment", ("BuyerID", "BuyerID"), "DefaultCatalogID")),
         direct_targets=("buyers",), indirect_targets=("catalogs", "products")),
    Kind("category", "category", ("CatalogID", "CategoryID"), "/catalogs/{CatalogID}/categories/{CategoryID}", {
            "Name": _NAME, "Description": _ABOUT, "ListOrder": Field(Type.WHOLE, min=0, default=0), "Active": _FLAG, "ParentID": _ID,
            "ChildCount": _COUNT, "xp": _XP},
         role_prefix="Category", references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "ParentID"))),
         direct_targets=("categories",), indirect_targets=("products",), list_query={"depth": "all"}, subtree="ParentID"),
    Kind("product", "product", ("ProductID",), "/products/{ProductID}", {
            "OwnerID": _OWNER, "Name": _NAME, "Description": _ABOUT, "Active": _FLAG, "AutoForward": _FLAG, "Returnable": _FLAG,
            "IsParent": _FLAG, "ParentID": _ID, "QuantityMultiplier": Field(Type.WHOLE, min=1, default=1), **_SIZES,
            "DefaultPriceScheduleID": _ID, "DefaultSupplierID": _ID._replace(has_side_effect=True), "AllSuppliersCanSell": _FLAG, "ShipFromAddressID": _ID,
            "Inventory.Enabled": _FLAG, "Inventory.NotificationPoint": _WHOLE, "Inventory.VariantLevelTracking": _FLAG,
            "Inventory.OrderCanExceed": _FLAG, "Inventory.QuantityAvailable": _STOCK, "Inventory.LastUpdated": _STAMP,
            "IsBundle": Field(Type.FLAG, read_only=True), "SpecCount": _COUNT, "VariantCount": _COUNT, "DateCreated": _STAMP, "xp": _XP},
         role_prefix="Product",
         references=(Reference("price-schedule", ("DefaultPriceScheduleID",)), Reference("supplier", ("DefaultSupplierID",)),
                     Reference("address", ("ShipFromAddressID",)), Reference("product", ("ParentID",))),
         direct_targets=("products",), eventually_consistent=True,
         referenced_by=(ReferencedBy("product", "/products", "ParentID", "it is a parent product"),
                   ReferencedBy("bundle", "/bundles/productassignments", "productID", "bundles have it", id="BundleID"))),
    Kind("usergroup", "user group", ("BuyerID", "UserGroupID"), "/buyers/{BuyerID}/usergroups/{UserGroupID}",
         {"Name": _NAME, "Description": _ABOUT, "xp": _XP},
         role_prefix="UserGroup", references=(Reference("buyer", ("BuyerID",)),), direct_targets=("usergroups",), indirect_targets=("products",),
         unreadable_blockers="approval rules"),
    Kind("buyer-user", "buyer user", ("BuyerID", "UserID"), "/buyers/{BuyerID}/users/{UserID}", _USER,
         role_prefix="BuyerUser", references=(Reference("buyer", ("BuyerID",)),), direct_targets=("buyer-users",), allows_put=False,
         unreadable_blockers="open orders or an API client"),
    Kind("supplier-user", "supplier user", ("SupplierID", "UserID"), "/suppliers/{SupplierID}/users/{UserID}", _USER,
         role_prefix="SupplierUser", references=(Reference("supplier", ("SupplierID",)),), direct_targets=("supplier-users",), allows_put=False,
         unreadable_blockers="open orders or an API client"),
    Kind("admin-user", "admin user", ("UserID",), "/adminusers/{UserID}", _USER,
         role_prefix="AdminUser", direct_targets=("admin-users",), allows_put=False,
         unreadable_blockers="an API client"),
    Kind("variant", "variant", ("ProductID", "VariantID"), "/products/{ProductID}/variants/{VariantID}", {
            "Name": Field(Type.TEXT, max=100), "Description": _ABOUT, "Active": _FLAG, **_SIZES,
            "Inventory.QuantityAvailable": _STOCK, "Inventory.NotificationPoint": _WHOLE, "Inventory.LastUpdated": _STAMP,
            "Specs": Field(Type.LIST, read_only=True), "xp": _XP},
         role_prefix="Product", references=(Reference("product", ("ProductID",)),), direct_targets=("products",), allows_put=False, deletable=False),
    Kind("inventory", "inventory record", ("ProductID", "InventoryRecordID"),
         "/products/{ProductID}/inventoryrecords/{InventoryRecordID}", _RECORD,
         role_prefix="Product", references=(Reference("product", ("ProductID",)), Reference("address", ("AddressID",))),
         direct_targets=("inventory",), indirect_targets=("products",), unreadable_blockers="open orders"),
    Kind("variant-inventory", "variant inventory record", ("ProductID", "VariantID", "InventoryRecordID"),
         "/products/{ProductID}/variants/{VariantID}/inventoryrecords/{InventoryRecordID}", _RECORD,
         role_prefix="Product", references=(Reference("product", ("ProductID",)), Reference("variant", ("ProductID", "VariantID")), Reference("address", ("AddressID",))),
         direct_targets=("inventory",), indirect_targets=("products",), unreadable_blockers="open orders"),
    Kind("catalog-assignment", "catalog assignment", ("CatalogID", "BuyerID"), "/catalogs/assignments",
         {"ViewAllCategories": _BOTH_WAYS, "ViewAllProducts": _BOTH_WAYS},
         role_prefix="Catalog", references=(Reference("catalog", ("CatalogID",)), Reference("buyer", ("BuyerID",))),
         direct_targets=("catalogs",), indirect_targets=("products",), assignment=True,
         listed_by={"catalogID": "CatalogID", "buyerID": "BuyerID"}, delete_path="/catalogs/{CatalogID}/assignments?buyerID={BuyerID}"),
    Kind("catalog-product", "catalog product", ("CatalogID", "ProductID"), "/catalogs/productassignments", {},
         role_prefix="Catalog", references=(Reference("catalog", ("CatalogID",)), Reference("product", ("ProductID",))),
         direct_targets=("products",), indirect_targets=("catalogs",), assignment=True,
         listed_by={"catalogID": "CatalogID", "productID": "ProductID"}, delete_path="/catalogs/{CatalogID}/productassignments/{ProductID}"),
    Kind("category-product", "category product", ("CatalogID", "CategoryID", "ProductID"),
         "/catalogs/{CatalogID}/categories/productassignments", {"ListOrder": Field(Type.WHOLE, min=0)},
         role_prefix="Category", references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("product", ("ProductID",))),
         creates=(Creates("catalog-product", ("CatalogID", "ProductID")),),
         direct_targets=("products",), indirect_targets=("categories",), assignment=True,
         listed_by={"categoryID": "CategoryID", "productID": "ProductID"},
         delete_path="/catalogs/{CatalogID}/categories/{CategoryID}/productassignments/{ProductID}"),
    Kind("category-assignment", "category assignment", ("CatalogID", "CategoryID", "BuyerID", "UserGroupID"),
         "/catalogs/{CatalogID}/categories/assignments", {"Visible": _FLAG, "ViewAllProducts": _FLAG},
         role_prefix="Category", optional=1, assignment=True,
         references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("buyer", ("BuyerID",)),
                     Reference("usergroup", ("BuyerID", "UserGroupID"))),
         after=(After("catalog-assignment", ("CatalogID", "BuyerID")),),
         direct_targets=("categories",), indirect_targets=("products",),
         listed_by={"categoryID": "CategoryID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         delete_path="/catalogs/{CatalogID}/categories/{CategoryID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    Kind("usergroup-assignment", "user group membership", ("BuyerID", "UserGroupID", "UserID"), "/buyers/{BuyerID}/usergroups/assignments", {},
         role_prefix="UserGroup", assignment=True,
         references=(Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")), Reference("buyer-user", ("BuyerID", "UserID"))),
         direct_targets=("usergroups",), indirect_targets=("buyer-users",),
         listed_by={"userGroupID": "UserGroupID", "userID": "UserID"},
         delete_path="/buyers/{BuyerID}/usergroups/{UserGroupID}/assignments/{UserID}"),
    Kind("product-assignment", "product assignment", ("ProductID", "BuyerID", "UserGroupID"), "/products/assignments", {"PriceScheduleID": _ID},
         role_prefix="Product", extra_writer_roles=("ProductAssignmentAdmin",), optional=1, assignment=True,
         references=(Reference("product", ("ProductID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")),
                     Reference("price-schedule", ("PriceScheduleID",))),
         after=(After("catalog-product", ("ProductID",)), After("category-product", ("ProductID",)), After("catalog-assignment", ("BuyerID",))),
         direct_targets=("products",),
         listed_by={"productID": "ProductID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         delete_path="/products/{ProductID}/assignments/{BuyerID}?userGroupID={UserGroupID}"),
)}
# fmt: on
