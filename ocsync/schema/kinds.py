"""Table of the kinds of entity and assignment, one row for each.

Planner, intake, client and emulator read the same row and know nothing else about a kind; a new
kind is one more row. Facts are from guide/ordercloud.md 4.3, 5.2 and 6; the targets that a kind
notifies are inferred from guide/ordercloud.md 3.4.

Names in braces in a path are ID names; a kind's own ID is the last of its *ids*.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from ocsync.models import Op

XP_LIMIT = 8000
"""Most characters of JSON in one entity's xp; one page says bytes (guide/ordercloud.md 12.8)."""
XP_KEYS_ADVISED = 100
"""Different top-level keys of xp that all products, or all orders, should have at most."""
VARIANTS_MAX = 1500
"""Most variants of one product (guide/ordercloud.md 12.8)."""
XP_MAX_DEPTH = 50
"""Deepest nesting of xp; our own limit, far below that of any JSON reader."""
INTEGER_MIN, INTEGER_MAX = -(2**31), 2**31 - 1
"""Range of the platform's 32-bit integers."""


class FieldType(StrEnum):
    """The type of a field: it decides how text is read, and which JSON values are valid."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    BOOLEAN = "true or false"
    DATE = "date"
    LIST = "list"
    OBJECT = "object"


class Field(NamedTuple):
    """A field of a kind.

    *max* and *min* limit the length of text and the value of numbers. *default* is the value after
    a PUT (or an assignment) that leaves the field out, where known. *volatile*: the platform changes
    it by itself (orders decrement stock). *has_side_effect*: setting it creates something that
    setting another value does not remove. *unique*: no other entity that has the field, of any kind,
    may have the same value. *judged_by_references*: whether the platform accepts a
    value depends on what refers to the entity. *required_on_assign*: an assignment must have it;
    *required_with*: one must that has this optional ID.
    Unless *clearable*, the platform refuses to empty it once it has a value. *needs_rebuild*: a
    change of it shows in lists of products only once the search index has been rebuilt by hand
    (guide/ordercloud.md 12.11). Where it is null, the entity named in the field *inherited_by* may
    show its own value there. Unless *nullable* it is true or false, and never null. *after_creation*: only an entity that exists can have a value in it.
    *choices* are its only values, if it has any; *members* are the known fields of the objects in a
    list.
    """

    type: FieldType
    required: bool = False
    read_only: bool = False
    write_only: bool = False
    create_only: bool = False
    max: int | None = None
    min: int | None = None
    default: Any = None
    volatile: bool = False
    has_side_effect: bool = False
    unique: bool = False
    judged_by_references: bool = False
    required_on_assign: bool = False
    required_with: str = ""
    clearable: bool = True
    needs_rebuild: bool = False
    inherited_by: str = ""
    nullable: bool = True
    after_creation: bool = False
    choices: tuple[str, ...] = ()
    members: Mapping[str, Field] = {}


class Reference(NamedTuple):
    """A reference to an entity of *kind*; *ids* are the ID names or fields that hold its IDs.

    With one of the IDs *unless* they refer to another kind.
    """

    kind: str
    ids: tuple[str, ...]
    unless: tuple[str, ...] = ()


class OrderedAfter(NamedTuple):
    """An order without dependency: steps of *kind* that have the same *shared_ids* go first.

    With *blocks* their failure blocks what comes after them all the same. Where *through* names
    another rule's kind and an ID, only those block that have this ID in common with one of its: of
    others it is not known whether they matter.
    """

    kind: str
    shared_ids: tuple[str, ...]
    blocks: bool = False
    through: tuple[str, str] = ("", "")


class ImplicitEntity(NamedTuple):
    """An entity of *kind* that a put creates as well, unless the put sets *unless_field*.

    *ids* are the ID names of the put entity whose values become the created entity's IDs, *copied*
    the fields whose values it takes over. Where the put sets *depends_on*, the entity named there
    decides by its own field *unless_field*.
    """

    kind: str
    ids: tuple[str, ...]
    unless_field: str = ""
    copied: tuple[str, ...] = ()
    depends_on: str = ""


class NeededState(NamedTuple):
    """The state of another entity that a write needs to be accepted: *field* set, or not set. With
    None it needs the value that the field has then, or does another thing where it has another.

    The entity is of *kind*, and has the values of the ID names or fields *ids*. Where these are IDs
    only a put or an assignment needs it; where one is a field, a put does, and if the entity
    inherits by that field every write of it.
    """

    kind: str
    ids: tuple[str, ...]
    field: str
    is_set: bool | None


class ReferencedBy(NamedTuple):
    """A list of entities of *kind* that refer to an entity: *path*, filtered by *query*.

    *delete_refusal* is the platform's reason to refuse deleting the entity while it is referred to
    (guide/ordercloud.md 2.3 and 5.2); empty where that is not documented. *item_id* names the ID of
    a listed item. *nested_kind* is the kind below the listed one that really holds the reference.
    """

    kind: str
    path: str
    query: str
    delete_refusal: str = ""
    item_id: str = "ID"
    nested_kind: str = ""


_DATED = ("LastUpdated", "DateCreated")
"""The fields that tell a date of the entity itself, the most telling first."""


class Kind(NamedTuple):
    """A kind of entity or assignment.

    *noun* is its name in messages. *ids* are OrderCloud's ID names; the last of them are optional
    where *parties* has several sets of IDs, of which a ref has one. *owner_id* is the optional ID
    that names another owner than the marketplace. *path* is the entity's, or the one where an assignment is posted and
    listed. *listed_by* maps query parameters of an assignment list to ID names; *list_query* is
    always sent. *delete_path* deletes an assignment; entities are deleted at *path*.
    *role_prefix* makes the names of roles (`ProductAdmin` writes, `ProductReader` reads);
    *extra_writer_roles* may write too. A write sends a message to the *direct_targets*, and may send
    one to the *indirect_targets*. *eventually_consistent*: a read right after a write may be stale,
    so it never suppresses a write. *parent_field* names the parent of the same kind; children are
    deleted with it. *quantity_summed_by* is the kind of inventory record below one; where there are
    any, its `Inventory.QuantityAvailable` is their sum (guide/ordercloud.md 7). *needs_state* are
    the states of other entities by which a write is judged; *inherits_from* is the field that names
    an entity of the same kind whose values show where one has none of its own. *referenced_by*
    lists the entities that refer to one; *unreadable_blockers* are things that prevent deleting one
    and that no list shows. *action*: it is no entity but something that OrderCloud does when it is
    asked at *path*; *counted_by* maps each of its read-only fields to the path of the list whose
    length it is. *link*: it is an assignment that is put at its *delete_path*, and listed as the entity
    with its last ID. *query* maps parameters of a write to the fields that are sent as these. *indexed_xp*: its xp is in
    the search index of products, which knows one type for each path (guide/ordercloud.md 12.10).
    """

    name: str
    noun: str
    ids: tuple[str, ...]
    path: str
    fields: Mapping[str, Field]
    role_prefix: str
    extra_writer_roles: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    after: tuple[OrderedAfter, ...] = ()
    creates: tuple[ImplicitEntity, ...] = ()
    direct_targets: tuple[str, ...] = ()
    indirect_targets: tuple[str, ...] = ()
    parties: tuple[tuple[str, ...], ...] = ((),)
    owner_id: str = ""
    assignment: bool = False
    listed_by: Mapping[str, str] = {}
    list_query: Mapping[str, str] = {}
    delete_path: str = ""
    allows_put: bool = True
    eventually_consistent: bool = False
    deletable: bool = True
    parent_field: str = ""
    quantity_summed_by: str = ""
    needs_state: tuple[NeededState, ...] = ()
    inherits_from: str = ""
    referenced_by: tuple[ReferencedBy, ...] = ()
    unreadable_blockers: str = ""
    action: bool = False
    counted_by: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    link: bool = False
    indexed_xp: bool = False

    @property
    def ops(self) -> tuple[Op, ...]:
        """The operations that can be staged for it; the first is meant where none is named."""
        if self.action:
            return (Op.GENERATE,)
        if self.assignment:
            return (Op.ASSIGN,)
        return (Op.SET, Op.PUT, Op.ADJUST) if self.allows_put else (Op.SET, Op.ADJUST)

    @property
    def optional_ids(self) -> int:
        """The number of the last IDs that a ref may leave out."""
        return len({name for party in self.parties for name in party})

    @property
    def needed_ids(self) -> tuple[str, ...]:
        """The IDs that every ref of it has."""
        return self.ids[: len(self.ids) - self.optional_ids]

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
    def date_field(self) -> str:
        """The field by which a list finds what changed, or was created, since a time; or ""."""
        return next((name for name in _DATED if name in self.fields), "")

    @property
    def collection(self) -> str:
        """The path of the list that has it."""
        return self.path if self.assignment else self.path.rpartition("/")[0]

    @property
    def models(self) -> frozenset[str]:
        """The nested models whose members are fields of their own, xp among them."""
        nested = {path.partition(".")[0] for path in self.fields if "." in path}
        return frozenset(nested | ({"xp"} if "xp" in self.fields else set()))


_TEXT, _BOOLEAN, _INTEGER = (
    Field(FieldType.TEXT),
    Field(FieldType.BOOLEAN, nullable=False),
    Field(FieldType.INTEGER),
)
_ID = Field(FieldType.TEXT, max=100)
_NAME = Field(FieldType.TEXT, required=True, max=100)
_DESCRIPTION = Field(FieldType.TEXT, max=2000)
_LONG_TEXT = Field(FieldType.TEXT, max=2000)
_NUMBER = Field(FieldType.NUMBER)
_XP = Field(FieldType.OBJECT)
_CREATE_ONLY_ID = Field(FieldType.TEXT, max=100, create_only=True)
_STOCK = Field(FieldType.INTEGER, volatile=True)
_READ_ONLY_TEXT = Field(FieldType.TEXT, read_only=True)
_READ_ONLY_COUNT = Field(FieldType.INTEGER, read_only=True)
_READ_ONLY_DATE = Field(FieldType.DATE, read_only=True)
_REQUIRED_FLAG = _BOOLEAN._replace(required_on_assign=True)
_VISIBILITY = _BOOLEAN._replace(needs_rebuild=True)

_DIMENSIONS = {
    "ShipWeight": _NUMBER,
    "ShipHeight": _NUMBER,
    "ShipWidth": _NUMBER,
    "ShipLength": _NUMBER,
}
_INVENTORY_FIELDS = {
    "OwnerID": _CREATE_ONLY_ID,
    "AddressID": _ID._replace(required=True),
    "AllowAllBuyers": _BOOLEAN._replace(default=True),
    "OrderCanExceed": _BOOLEAN,
    "QuantityAvailable": _STOCK,
    "NotificationPoint": _INTEGER,
    "xp": _XP,
    "Address": Field(FieldType.OBJECT, read_only=True),
    "LastUpdated": _READ_ONLY_DATE,
}
_USER_FIELDS = {
    "Username": _NAME._replace(unique=True),
    "FirstName": _NAME,
    "LastName": _NAME,
    "Email": Field(FieldType.TEXT, required=True, max=200),
    "Phone": _ID,
    "TermsAccepted": Field(FieldType.DATE),
    "Active": _BOOLEAN._replace(required=True),
    "xp": _XP,
    "Password": Field(FieldType.TEXT, write_only=True),
    "CompanyID": _READ_ONLY_TEXT,
    "AvailableRoles": Field(FieldType.LIST, read_only=True),
    "Locale": Field(FieldType.OBJECT, read_only=True),
    "DateCreated": _READ_ONLY_DATE,
    "LastActive": _READ_ONLY_DATE,
    "PasswordLastSetDate": _READ_ONLY_DATE,
    "FailedLoginAttempts": _READ_ONLY_COUNT,
}
_ADDRESS_FIELDS = {
    "CompanyName": _ID,
    "FirstName": _ID,
    "LastName": _ID,
    "AddressName": _ID,
    "Phone": _ID,
    "Street1": _NAME,
    "Street2": _ID,
    "City": _NAME,
    "State": _ID,
    "Zip": _ID,
    "Country": Field(FieldType.TEXT, required=True, max=2, min=2),
    "DateCreated": _READ_ONLY_DATE,
    "xp": _XP,
}
_GROUP_FIELDS = {"Name": _NAME, "Description": _DESCRIPTION, "xp": _XP}
PRICE_BREAK: Mapping[str, Field] = {
    "Quantity": Field(FieldType.INTEGER, required=True, min=0),
    "Price": Field(FieldType.NUMBER, required=True),
    **dict.fromkeys(("SalePrice", "SubscriptionPrice", "BundlePrice"), Field(FieldType.NUMBER)),
}
_WITH_INVENTORY = NeededState("product", ("ProductID",), "Inventory", is_set=True)
_NO_CHILD = NeededState("product", ("ProductID",), "ParentID", is_set=False)
_ORGANIZATION_FIELDS = {
    "Name": _NAME,
    "Active": _VISIBILITY,
    "DateCreated": _READ_ONLY_DATE,
    "xp": _XP,
}
_AFTER_SUPPLIERS = OrderedAfter("supplier-address", ())  # a record of a supplier has one of these
_AFTER_GENERATION = (OrderedAfter("variants", ("ProductID",), blocks=True),)
_SAME_GROUP = NeededState("buyer", ("BuyerID",), "GroupID", is_set=None)
_ANY_GROUP = ((), ("UserGroupID",))
_ANY_GROUP_AND_SELLER = ((), ("UserGroupID",), ("SellerID",), ("UserGroupID", "SellerID"))


# Rows are aligned as a table; the formatter would break them.
# fmt: off
KINDS: dict[str, Kind] = {k.name: k for k in (
    Kind("address", "address", ("AddressID",), "/addresses/{AddressID}", _ADDRESS_FIELDS,
         role_prefix="AdminAddress", indirect_targets=("inventory", "products"),
         referenced_by=(ReferencedBy("product", "/products", "InventoryRecords.AddressID", "inventory records refer to it", nested_kind="inventory"),
                   ReferencedBy("product", "/products", "ShipFromAddressID"))),
    Kind("supplier", "supplier", ("SupplierID",), "/suppliers/{SupplierID}",
         {**_ORGANIZATION_FIELDS, "AllBuyersCanOrder": _VISIBILITY},
         role_prefix="Supplier", direct_targets=("suppliers",), indirect_targets=("products",),
         referenced_by=(ReferencedBy("product", "/products", "DefaultSupplierID"),)),
    # What an address stands in is as for those of the marketplace.
    Kind("supplier-address", "supplier address", ("SupplierID", "AddressID"), "/suppliers/{SupplierID}/addresses/{AddressID}", _ADDRESS_FIELDS,
         role_prefix="SupplierAddress", references=(Reference("supplier", ("SupplierID",)),), indirect_targets=("inventory", "products"),
         unreadable_blockers="inventory records of the supplier"),
    # A user's message has its locale (guide/ordercloud.md 4.4), which comes from an assignment.
    Kind("locale", "locale", ("LocaleID",), "/locales/{LocaleID}",
         {"OwnerID": _CREATE_ONLY_ID, "Currency": _ID._replace(required=True), "Language": _ID},
         role_prefix="Locale", indirect_targets=("buyer-users",)),
    Kind("catalog", "catalog", ("CatalogID",), "/catalogs/{CatalogID}", {
            "OwnerID": _CREATE_ONLY_ID, "Name": _NAME, "Description": _DESCRIPTION, "Active": _VISIBILITY, "CategoryCount": _READ_ONLY_COUNT, "xp": _XP},
         role_prefix="Catalog", direct_targets=("catalogs",), indirect_targets=("products", "categories"),
         referenced_by=(ReferencedBy("buyer", "/buyers", "DefaultCatalogID", "it is a default catalog"),
                   ReferencedBy("buyer-group", "/buyergroups", "DefaultCatalogID"))),
    Kind("price-schedule", "price schedule", ("PriceScheduleID",), "/priceschedules/{PriceScheduleID}", {
            "OwnerID": _CREATE_ONLY_ID, "Name": _NAME, "ApplyTax": _BOOLEAN, "ApplyShipping": _BOOLEAN, "MinQuantity": Field(FieldType.INTEGER, min=1, default=1),
            "MaxQuantity": _INTEGER, "UseCumulativeQuantity": _BOOLEAN, "RestrictedQuantity": _BOOLEAN, "PriceBreaks": Field(FieldType.LIST, clearable=False, members=PRICE_BREAK),
            "Currency": Field(FieldType.TEXT, max=100, judged_by_references=True), "SaleStart": Field(FieldType.DATE), "SaleEnd": Field(FieldType.DATE),
            "IsOnSale": _BOOLEAN._replace(read_only=True), "xp": _XP},
         role_prefix="PriceSchedule", indirect_targets=("products",),
         referenced_by=(ReferencedBy("product", "/products", "DefaultPriceScheduleID"),
                   ReferencedBy("product-assignment", "/products/assignments", "priceScheduleID", item_id="ProductID"))),
    # Messages about a group of buyers are not documented; its catalogs are those of its buyers.
    Kind("buyer-group", "buyer group", ("BuyerGroupID",), "/buyergroups/{BuyerGroupID}",
         {"Name": _NAME, "Description": _DESCRIPTION, "DefaultCatalogID": _ID, "xp": _XP},
         role_prefix="Buyer", references=(Reference("catalog", ("DefaultCatalogID",)),),
         indirect_targets=("buyers", "catalogs", "products"), referenced_by=(ReferencedBy("buyer", "/buyers", "GroupID"),)),
    Kind("buyer", "buyer", ("BuyerID",), "/buyers/{BuyerID}",
         {**_ORGANIZATION_FIELDS, "DefaultCatalogID": _ID._replace(inherited_by="GroupID"), "GroupID": _ID},
         role_prefix="Buyer", references=(Reference("catalog", ("DefaultCatalogID",)), Reference("buyer-group", ("GroupID",))),
         creates=(ImplicitEntity("catalog", ("BuyerID",), "DefaultCatalogID", ("Name",), "GroupID"),
                  ImplicitEntity("catalog-assignment", ("BuyerID", "BuyerID"), "DefaultCatalogID", (), "GroupID")),
         needs_state=(NeededState("buyer-group", ("GroupID",), "DefaultCatalogID", is_set=None),),
         direct_targets=("buyers",), indirect_targets=("catalogs", "products")),
    Kind("category", "category", ("CatalogID", "CategoryID"), "/catalogs/{CatalogID}/categories/{CategoryID}", {
            "Name": _NAME, "Description": _DESCRIPTION, "ListOrder": Field(FieldType.INTEGER, min=0, default=0), "Active": _VISIBILITY, "ParentID": _ID,
            "ChildCount": _READ_ONLY_COUNT, "xp": _XP},
         role_prefix="Category", references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "ParentID"))),
         direct_targets=("categories",), indirect_targets=("products",), list_query={"depth": "all"}, parent_field="ParentID"),
    Kind("product", "product", ("ProductID",), "/products/{ProductID}", {
            "OwnerID": _CREATE_ONLY_ID, "Name": _NAME, "Description": _DESCRIPTION, "Active": _BOOLEAN, "AutoForward": _BOOLEAN, "Returnable": _BOOLEAN,
            "IsParent": _BOOLEAN, "ParentID": _ID, "QuantityMultiplier": Field(FieldType.INTEGER, min=1, default=1), **_DIMENSIONS,
            "DefaultPriceScheduleID": _ID, "DefaultSupplierID": _ID._replace(has_side_effect=True), "AllSuppliersCanSell": _BOOLEAN, "ShipFromAddressID": _ID,
            "Inventory.Enabled": _BOOLEAN, "Inventory.NotificationPoint": _INTEGER, "Inventory.VariantLevelTracking": _BOOLEAN,
            "Inventory.OrderCanExceed": _BOOLEAN, "Inventory.QuantityAvailable": _STOCK, "Inventory.LastUpdated": _READ_ONLY_DATE,
            "IsBundle": _BOOLEAN._replace(read_only=True), "SpecCount": _READ_ONLY_COUNT, "VariantCount": _READ_ONLY_COUNT, "DateCreated": _READ_ONLY_DATE, "xp": _XP},
         role_prefix="Product",
         references=(Reference("price-schedule", ("DefaultPriceScheduleID",)), Reference("supplier", ("DefaultSupplierID",)),
                     Reference("address", ("ShipFromAddressID",)), Reference("product", ("ParentID",))),
         direct_targets=("products",), eventually_consistent=True, indexed_xp=True, quantity_summed_by="inventory",
         needs_state=(NeededState("product", ("ParentID",), "IsParent", is_set=True),), inherits_from="ParentID",
         referenced_by=(ReferencedBy("product", "/products", "ParentID", "it is a parent product"),
                   ReferencedBy("bundle", "/bundles/productassignments", "productID", "bundles contain it", item_id="BundleID"))),
    # The specs of a product are in its message (guide/ordercloud.md 4.4), so that to assign one is a
    # change of the product, as assigning it to a catalog is; a change of the spec may resend it.
    Kind("spec", "spec", ("SpecID",), "/specs/{SpecID}", {
            "OwnerID": _CREATE_ONLY_ID, "Name": _NAME, "ListOrder": _INTEGER, "DefaultValue": _LONG_TEXT, "Required": _BOOLEAN, "AllowOpenText": _BOOLEAN,
            "DefaultOptionID": _ID._replace(after_creation=True), "DefinesVariant": _BOOLEAN, "OptionCount": _READ_ONLY_COUNT,
            "Options": Field(FieldType.LIST, read_only=True), "xp": _XP},
         role_prefix="Product", references=(Reference("spec-option", ("SpecID", "DefaultOptionID")),), indirect_targets=("products",)),
    Kind("spec-option", "spec option", ("SpecID", "OptionID"), "/specs/{SpecID}/options/{OptionID}", {
            "Value": _LONG_TEXT._replace(required=True), "ListOrder": _INTEGER, "IsOpenText": _BOOLEAN,
            "PriceMarkupType": Field(FieldType.TEXT, choices=("NoMarkup", "AmountPerQuantity", "AmountTotal", "Percentage")),
            "PriceMarkup": _NUMBER, "xp": _XP},
         role_prefix="Product", references=(Reference("spec", ("SpecID",)),), indirect_targets=("products",)),
    Kind("spec-product-assignment", "spec product assignment", ("SpecID", "ProductID"), "/specs/productassignments",
         {"DefaultValue": _LONG_TEXT, "DefaultOptionID": _ID},
         role_prefix="Product", assignment=True, listed_by={"SpecID": "SpecID", "ProductID": "ProductID"},
         references=(Reference("spec", ("SpecID",)), Reference("product", ("ProductID",)), Reference("spec-option", ("SpecID", "DefaultOptionID"))),
         direct_targets=("products",), delete_path="/specs/{SpecID}/productassignments/{ProductID}"),
    Kind("usergroup", "user group", ("BuyerID", "UserGroupID"), "/buyers/{BuyerID}/usergroups/{UserGroupID}",
         _GROUP_FIELDS,
         role_prefix="UserGroup", references=(Reference("buyer", ("BuyerID",)),), direct_targets=("usergroups",), indirect_targets=("products",),
         unreadable_blockers="approval rules"),
    Kind("buyer-user", "buyer user", ("BuyerID", "UserID"), "/buyers/{BuyerID}/users/{UserID}", _USER_FIELDS,
         role_prefix="BuyerUser", references=(Reference("buyer", ("BuyerID",)),), direct_targets=("buyer-users",), allows_put=False,
         unreadable_blockers="open orders or an API client"),
    Kind("supplier-user", "supplier user", ("SupplierID", "UserID"), "/suppliers/{SupplierID}/users/{UserID}", _USER_FIELDS,
         role_prefix="SupplierUser", references=(Reference("supplier", ("SupplierID",)),), direct_targets=("supplier-users",), allows_put=False,
         unreadable_blockers="open orders or an API client"),
    Kind("admin-user", "admin user", ("UserID",), "/adminusers/{UserID}", _USER_FIELDS,
         role_prefix="AdminUser", direct_targets=("admin-users",), allows_put=False,
         unreadable_blockers="an API client"),
    # No target publishes these groups; their roles may show in a user's message (security profiles).
    Kind("supplier-usergroup", "supplier user group", ("SupplierID", "UserGroupID"), "/suppliers/{SupplierID}/usergroups/{UserGroupID}", _GROUP_FIELDS,
         role_prefix="SupplierUserGroup", references=(Reference("supplier", ("SupplierID",)),), indirect_targets=("supplier-users",)),
    Kind("admin-usergroup", "admin user group", ("UserGroupID",), "/usergroups/{UserGroupID}", _GROUP_FIELDS,
         role_prefix="AdminUserGroup", indirect_targets=("admin-users",)),
    # A product says whether it is a bundle; that a bundle is sent as one is inferred.
    Kind("bundle", "bundle", ("BundleID",), "/bundles/{BundleID}",
         {"OwnerID": _CREATE_ONLY_ID, "Name": _NAME, "Description": _DESCRIPTION, "Active": _BOOLEAN, "xp": _XP},
         role_prefix="Bundle", indirect_targets=("products",), indexed_xp=True),
    # No message has discounts; that they change the prices which a product's message has is inferred.
    Kind("discount", "discount", ("DiscountID",), "/discounts/{DiscountID}", {
            "Description": _DESCRIPTION, "DiscountBreaks": Field(FieldType.LIST, required=True), "ProductFilter": _TEXT, "CatalogID": _ID,
            "CategoryID": _ID, "ProductID": _ID, "Priority": _INTEGER, "xp": _XP},
         role_prefix="Discount", indirect_targets=("products",),
         references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("product", ("ProductID",)))),
    # A product's message has its number of variants (guide/ordercloud.md 4.4).
    Kind("variants", "variant generation", ("ProductID",), "/products/{ProductID}/variants/generate",
         {"OverwriteExisting": _BOOLEAN, "VariantCount": _READ_ONLY_COUNT},
         role_prefix="Product", references=(Reference("product", ("ProductID",)),),
         after=(OrderedAfter("spec-product-assignment", ("ProductID",), blocks=True),
                OrderedAfter("spec", (), blocks=True, through=("spec-product-assignment", "SpecID")),
                OrderedAfter("spec-option", (), blocks=True, through=("spec-product-assignment", "SpecID"))),
         direct_targets=("products",), allows_put=False, deletable=False, action=True,
         counted_by={"VariantCount": "/products/{ProductID}/variants"}, query={"overwriteExisting": "OverwriteExisting"}),
    Kind("variant", "variant", ("ProductID", "VariantID"), "/products/{ProductID}/variants/{VariantID}", {
            "Name": Field(FieldType.TEXT, max=100), "Description": _DESCRIPTION, "Active": _BOOLEAN, **_DIMENSIONS,
            "Inventory.QuantityAvailable": _STOCK, "Inventory.NotificationPoint": _INTEGER, "Inventory.LastUpdated": _READ_ONLY_DATE,
            "Specs": Field(FieldType.LIST, read_only=True), "xp": _XP},
         role_prefix="Product", references=(Reference("product", ("ProductID",)),), after=_AFTER_GENERATION, direct_targets=("products",), allows_put=False, deletable=False,
         quantity_summed_by="variant-inventory"),
    Kind("inventory", "inventory record", ("ProductID", "InventoryRecordID"),
         "/products/{ProductID}/inventoryrecords/{InventoryRecordID}", _INVENTORY_FIELDS,
         role_prefix="Product", references=(Reference("product", ("ProductID",)), Reference("address", ("AddressID",))),
         after=(_AFTER_SUPPLIERS,), needs_state=(_WITH_INVENTORY,), direct_targets=("inventory",), indirect_targets=("products",), unreadable_blockers="open orders"),
    Kind("variant-inventory", "variant inventory record", ("ProductID", "VariantID", "InventoryRecordID"),
         "/products/{ProductID}/variants/{VariantID}/inventoryrecords/{InventoryRecordID}", _INVENTORY_FIELDS,
         role_prefix="Product", references=(Reference("product", ("ProductID",)), Reference("variant", ("ProductID", "VariantID")), Reference("address", ("AddressID",))),
         needs_state=(_WITH_INVENTORY,), after=(*_AFTER_GENERATION, _AFTER_SUPPLIERS), direct_targets=("inventory",), indirect_targets=("products",), unreadable_blockers="open orders"),
    Kind("catalog-assignment", "catalog assignment", ("CatalogID", "BuyerID", "BuyerGroupID"), "/catalogs/assignments",
         {"ViewAllCategories": _REQUIRED_FLAG, "ViewAllProducts": _REQUIRED_FLAG._replace(needs_rebuild=True)},
         role_prefix="Catalog", parties=(("BuyerID",), ("BuyerGroupID",)),
         references=(Reference("catalog", ("CatalogID",)), Reference("buyer", ("BuyerID",)), Reference("buyer-group", ("BuyerGroupID",))),
         direct_targets=("catalogs",), indirect_targets=("products",), assignment=True,
         listed_by={"catalogID": "CatalogID", "buyerID": "BuyerID", "buyerGroupID": "BuyerGroupID"},
         delete_path="/catalogs/{CatalogID}/assignments?buyerID={BuyerID}&buyerGroupID={BuyerGroupID}"),
    Kind("catalog-product", "catalog product", ("CatalogID", "ProductID"), "/catalogs/productassignments", {},
         role_prefix="Catalog", references=(Reference("catalog", ("CatalogID",)), Reference("product", ("ProductID",))),
         needs_state=(_NO_CHILD,), direct_targets=("products",), indirect_targets=("catalogs",), assignment=True,
         listed_by={"catalogID": "CatalogID", "productID": "ProductID"}, delete_path="/catalogs/{CatalogID}/productassignments/{ProductID}"),
    Kind("category-product", "category product", ("CatalogID", "CategoryID", "ProductID"),
         "/catalogs/{CatalogID}/categories/productassignments", {"ListOrder": Field(FieldType.INTEGER, min=0)},
         role_prefix="Category", references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("product", ("ProductID",))),
         creates=(ImplicitEntity("catalog-product", ("CatalogID", "ProductID")),), needs_state=(_NO_CHILD,),
         direct_targets=("products",), indirect_targets=("categories",), assignment=True,
         listed_by={"categoryID": "CategoryID", "productID": "ProductID"},
         delete_path="/catalogs/{CatalogID}/categories/{CategoryID}/productassignments/{ProductID}"),
    Kind("category-assignment", "category assignment", ("CatalogID", "CategoryID", "BuyerID", "UserGroupID"),
         "/catalogs/{CatalogID}/categories/assignments", {"Visible": _BOOLEAN._replace(nullable=True), "ViewAllProducts": _VISIBILITY._replace(nullable=True)},
         role_prefix="Category", parties=_ANY_GROUP, assignment=True,
         references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("buyer", ("BuyerID",)),
                     Reference("usergroup", ("BuyerID", "UserGroupID"))),
         after=(OrderedAfter("catalog-assignment", ("CatalogID", "BuyerID")),), needs_state=(_SAME_GROUP,),
         direct_targets=("categories",), indirect_targets=("products",),
         listed_by={"categoryID": "CategoryID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         delete_path="/catalogs/{CatalogID}/categories/{CategoryID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    Kind("usergroup-assignment", "user group membership", ("BuyerID", "UserGroupID", "UserID"), "/buyers/{BuyerID}/usergroups/assignments", {},
         role_prefix="UserGroup", assignment=True,
         references=(Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")), Reference("buyer-user", ("BuyerID", "UserID"))),
         direct_targets=("usergroups",), indirect_targets=("buyer-users",),
         listed_by={"userGroupID": "UserGroupID", "userID": "UserID"},
         delete_path="/buyers/{BuyerID}/usergroups/{UserGroupID}/assignments/{UserID}"),
    Kind("product-assignment", "product assignment", ("ProductID", "BuyerID", "UserGroupID", "SellerID"), "/products/assignments",
         {"PriceScheduleID": _ID._replace(required_with="SellerID")},
         role_prefix="Product", extra_writer_roles=("ProductAssignmentAdmin",), parties=_ANY_GROUP_AND_SELLER, owner_id="SellerID", assignment=True,
         references=(Reference("product", ("ProductID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")),
                     Reference("supplier", ("SellerID",)), Reference("price-schedule", ("PriceScheduleID",))),
         after=(OrderedAfter("catalog-product", ("ProductID",)), OrderedAfter("category-product", ("ProductID",)), OrderedAfter("catalog-assignment", ("BuyerID",))),
         needs_state=(_SAME_GROUP,),
         direct_targets=("products",),
         listed_by={"productID": "ProductID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         delete_path="/products/{ProductID}/assignments/{BuyerID}?userGroupID={UserGroupID}&sellerID={SellerID}"),
    # The suppliers of a product are in its message (guide/ordercloud.md 4.4).
    Kind("product-supplier", "product supplier", ("ProductID", "SupplierID"), "/products/{ProductID}/suppliers", {"DefaultPriceScheduleID": _ID},
         role_prefix="Product", assignment=True, link=True, query={"defaultPriceScheduleID": "DefaultPriceScheduleID"},
         references=(Reference("product", ("ProductID",)), Reference("supplier", ("SupplierID",)),
                     Reference("price-schedule", ("DefaultPriceScheduleID",))),
         direct_targets=("products",), indirect_targets=("suppliers",), delete_path="/products/{ProductID}/suppliers/{SupplierID}"),
    # A user's message has its roles (guide/ordercloud.md 4.4); that assigning a profile sends it is inferred.
    Kind("security-profile-assignment", "security profile assignment", ("SecurityProfileID", "BuyerID", "SupplierID", "UserGroupID", "UserID"),
         "/securityprofiles/assignments", {},
         role_prefix="SecurityProfile", extra_writer_roles=("SetSecurityProfile",), assignment=True,
         parties=(("BuyerID",), ("SupplierID",), ("UserGroupID",), ("UserID",), ("BuyerID", "UserGroupID"), ("BuyerID", "UserID"),
                  ("SupplierID", "UserGroupID"), ("SupplierID", "UserID")),
         listed_by={"securityProfileID": "SecurityProfileID", "buyerID": "BuyerID", "supplierID": "SupplierID", "userGroupID": "UserGroupID", "userID": "UserID"},
         references=(Reference("buyer", ("BuyerID",)), Reference("supplier", ("SupplierID",)),
                     Reference("usergroup", ("BuyerID", "UserGroupID")), Reference("supplier-usergroup", ("SupplierID", "UserGroupID")),
                     Reference("admin-usergroup", ("UserGroupID",), ("BuyerID", "SupplierID")),
                     Reference("buyer-user", ("BuyerID", "UserID")), Reference("supplier-user", ("SupplierID", "UserID")),
                     Reference("admin-user", ("UserID",), ("BuyerID", "SupplierID"))),
         indirect_targets=("buyer-users", "supplier-users", "admin-users"),
         delete_path="/securityprofiles/{SecurityProfileID}/assignments?buyerID={BuyerID}&supplierID={SupplierID}&userGroupID={UserGroupID}&userID={UserID}"),
    Kind("supplier-usergroup-assignment", "supplier group membership", ("SupplierID", "UserGroupID", "UserID"),
         "/suppliers/{SupplierID}/usergroups/assignments", {},
         role_prefix="SupplierUserGroup", assignment=True, listed_by={"userGroupID": "UserGroupID", "userID": "UserID"}, indirect_targets=("supplier-users",),
         references=(Reference("supplier", ("SupplierID",)), Reference("supplier-usergroup", ("SupplierID", "UserGroupID")),
                     Reference("supplier-user", ("SupplierID", "UserID"))),
         delete_path="/suppliers/{SupplierID}/usergroups/{UserGroupID}/assignments/{UserID}"),
    Kind("admin-usergroup-assignment", "admin group membership", ("UserGroupID", "UserID"), "/usergroups/assignments", {},
         role_prefix="AdminUserGroup", assignment=True, listed_by={"userGroupID": "UserGroupID", "userID": "UserID"}, indirect_targets=("admin-users",),
         references=(Reference("admin-usergroup", ("UserGroupID",)), Reference("admin-user", ("UserID",))),
         delete_path="/usergroups/{UserGroupID}/assignments/{UserID}"),
    Kind("locale-assignment", "locale assignment", ("LocaleID", "BuyerID", "UserGroupID"), "/locales/assignments", {},
         role_prefix="Locale", assignment=True, parties=_ANY_GROUP, indirect_targets=("buyer-users",),
         listed_by={"localeID": "LocaleID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         references=(Reference("locale", ("LocaleID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID"))),
         delete_path="/locales/{LocaleID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    # A record's message does not have its buyers; a product's may (guide/ordercloud.md 12.13).
    Kind("inventory-assignment", "inventory record assignment", ("ProductID", "InventoryRecordID", "BuyerID", "UserGroupID"),
         "/products/{ProductID}/inventoryrecords/assignments", {},
         role_prefix="Product", assignment=True, parties=_ANY_GROUP, indirect_targets=("inventory", "products"),
         listed_by={"inventoryRecordID": "InventoryRecordID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         references=(Reference("product", ("ProductID",)), Reference("inventory", ("ProductID", "InventoryRecordID")),
                     Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID"))),
         delete_path="/products/{ProductID}/inventoryrecords/{InventoryRecordID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    Kind("variant-inventory-assignment", "variant inventory record assignment",
         ("ProductID", "VariantID", "InventoryRecordID", "BuyerID", "UserGroupID"),
         "/products/{ProductID}/variants/{VariantID}/inventoryrecords/assignments", {},
         role_prefix="Product", assignment=True, parties=_ANY_GROUP, indirect_targets=("inventory", "products"), after=_AFTER_GENERATION,
         listed_by={"inventoryRecordID": "InventoryRecordID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"},
         references=(Reference("product", ("ProductID",)), Reference("variant", ("ProductID", "VariantID")),
                     Reference("variant-inventory", ("ProductID", "VariantID", "InventoryRecordID")),
                     Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID"))),
         delete_path="/products/{ProductID}/variants/{VariantID}/inventoryrecords/{InventoryRecordID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    Kind("bundle-product", "bundle product", ("BundleID", "ProductID"), "/bundles/productassignments", {"Required": _BOOLEAN, "DefaultQuantity": _INTEGER},
         role_prefix="Bundle", assignment=True, listed_by={"bundleID": "BundleID", "productID": "ProductID"}, indirect_targets=("products",),
         references=(Reference("bundle", ("BundleID",)), Reference("product", ("ProductID",))),
         delete_path="/bundles/{BundleID}/productassignments/{ProductID}"),
    Kind("bundle-assignment", "bundle assignment", ("BundleID", "BuyerID", "UserGroupID", "SellerID"), "/bundles/assignments", {},
         role_prefix="Bundle", extra_writer_roles=("BundleAssignmentAdmin",), assignment=True, parties=_ANY_GROUP_AND_SELLER, owner_id="SellerID",
         listed_by={"bundleID": "BundleID", "buyerID": "BuyerID", "userGroupID": "UserGroupID"}, indirect_targets=("products",),
         references=(Reference("bundle", ("BundleID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")),
                     Reference("supplier", ("SellerID",))),
         delete_path="/bundles/{BundleID}/assignments/{BuyerID}?userGroupID={UserGroupID}&sellerID={SellerID}"),
    Kind("catalog-bundle", "catalog bundle", ("CatalogID", "BundleID"), "/catalogs/bundleassignments", {},
         role_prefix="Catalog", assignment=True, listed_by={"catalogID": "CatalogID", "bundleID": "BundleID"}, indirect_targets=("catalogs", "products"),
         references=(Reference("catalog", ("CatalogID",)), Reference("bundle", ("BundleID",))),
         delete_path="/catalogs/{CatalogID}/bundleassignments/{BundleID}"),
    Kind("category-bundle", "category bundle", ("CatalogID", "CategoryID", "BundleID"), "/catalogs/{CatalogID}/categories/bundleassignments",
         {"ListOrder": Field(FieldType.INTEGER, min=0)},
         role_prefix="Category", assignment=True, listed_by={"categoryID": "CategoryID", "bundleID": "BundleID"}, indirect_targets=("categories", "products"),
         references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("bundle", ("BundleID",))),
         delete_path="/catalogs/{CatalogID}/categories/{CategoryID}/bundleassignments/{BundleID}"),
    Kind("discount-assignment", "discount assignment", ("DiscountID", "BuyerID", "UserGroupID", "BuyerGroupID"), "/discounts/assignments", {},
         role_prefix="Discount", assignment=True, parties=(("BuyerID",), ("BuyerID", "UserGroupID"), ("BuyerGroupID",)),
         listed_by={"discountID": "DiscountID", "buyerID": "BuyerID", "userGroupID": "UserGroupID", "buyerGroupID": "BuyerGroupID"},
         references=(Reference("discount", ("DiscountID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID")),
                     Reference("buyer-group", ("BuyerGroupID",))), indirect_targets=("products",),
         delete_path="/discounts/{DiscountID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}&buyerGroupID={BuyerGroupID}"),
)}
# fmt: on
SUMMED_QUANTITY = "Inventory.QuantityAvailable"
"""The field that is a sum where a kind is `quantity_summed_by` records."""
VARIANT_TRACKING = "Inventory.VariantLevelTracking"
"""The field that makes a product's stock the sum over its variants."""
RECORD_KINDS = frozenset(k.quantity_summed_by for k in KINDS.values() if k.quantity_summed_by)
"""The kinds of inventory record."""
