"""Kinds of the platform that the product's tables do not have, as rows of the same form.

`ALL_KINDS` has both. Facts are from guide/ordercloud.md 5.2; specs, bundles and discounts, which
are only as complete as variants, assignments and bulk jobs need, are from the public SDKs.
"""

from __future__ import annotations

from ocsync.schema import KINDS, Field, FieldType, Kind, Reference, Target

_TEXT, _FLAG, _WHOLE = Field(FieldType.TEXT), Field(FieldType.BOOLEAN), Field(FieldType.INTEGER)
_ID = Field(FieldType.TEXT, max=100)
_NAME = Field(FieldType.TEXT, required=True, max=100)
_ABOUT = Field(FieldType.TEXT, max=2000)
_XP = Field(FieldType.OBJECT)
_OWNER = Field(FieldType.TEXT, max=100, create_only=True)
_COUNT = Field(FieldType.INTEGER, read_only=True)
_ADDRESS = KINDS["address"].fields
_GROUP = KINDS["usergroup"].fields
_DISCOUNT = {
    "Description": _ABOUT, "DiscountBreaks": Field(FieldType.LIST, required=True), "ProductFilter": _TEXT,
    "CatalogID": _ID, "CategoryID": _ID, "ProductID": _ID, "Priority": _WHOLE, "xp": _XP,
}  # fmt: skip
_ANY_GROUP = ((), ("UserGroupID",))


def _by(*names: str) -> dict[str, str]:
    return {name[0].lower() + name[1:]: name for name in names}


# Rows are aligned as a table; the formatter would break them.
# fmt: off
_MORE_KINDS = (
    Kind("supplier-address", "supplier address", ("SupplierID", "AddressID"), "/suppliers/{SupplierID}/addresses/{AddressID}", _ADDRESS,
         role_prefix="SupplierAddress", references=(Reference("supplier", ("SupplierID",)),)),
    Kind("buyer-address", "buyer address", ("BuyerID", "AddressID"), "/buyers/{BuyerID}/addresses/{AddressID}", _ADDRESS,
         role_prefix="Address", references=(Reference("buyer", ("BuyerID",)),)),
    Kind("admin-usergroup", "admin user group", ("UserGroupID",), "/usergroups/{UserGroupID}", _GROUP, role_prefix="AdminUserGroup"),
    Kind("supplier-usergroup", "supplier user group", ("SupplierID", "UserGroupID"), "/suppliers/{SupplierID}/usergroups/{UserGroupID}", _GROUP,
         role_prefix="SupplierUserGroup", references=(Reference("supplier", ("SupplierID",)),)),
    Kind("admin-usergroup-assignment", "admin group membership", ("UserGroupID", "UserID"), "/usergroups/assignments", {},
         role_prefix="AdminUserGroup", assignment=True, listed_by=_by("UserGroupID", "UserID"),
         references=(Reference("admin-usergroup", ("UserGroupID",)), Reference("admin-user", ("UserID",))),
         delete_path="/usergroups/{UserGroupID}/assignments/{UserID}"),
    Kind("supplier-usergroup-assignment", "supplier group membership", ("SupplierID", "UserGroupID", "UserID"),
         "/suppliers/{SupplierID}/usergroups/assignments", {},
         role_prefix="SupplierUserGroup", assignment=True, listed_by=_by("UserGroupID", "UserID"),
         references=(Reference("supplier", ("SupplierID",)), Reference("supplier-usergroup", ("SupplierID", "UserGroupID")),
                     Reference("supplier-user", ("SupplierID", "UserID"))),
         delete_path="/suppliers/{SupplierID}/usergroups/{UserGroupID}/assignments/{UserID}"),
    Kind("inventory-assignment", "inventory record assignment", ("ProductID", "InventoryRecordID", "BuyerID", "UserGroupID"),
         "/products/{ProductID}/inventoryrecords/assignments", {},
         role_prefix="Product", assignment=True, parties=_ANY_GROUP, listed_by=_by("InventoryRecordID", "BuyerID", "UserGroupID"),
         references=(Reference("product", ("ProductID",)), Reference("inventory", ("ProductID", "InventoryRecordID")),
                     Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID"))),
         delete_path="/products/{ProductID}/inventoryrecords/{InventoryRecordID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    Kind("variant-inventory-assignment", "variant inventory record assignment",
         ("ProductID", "VariantID", "InventoryRecordID", "BuyerID", "UserGroupID"),
         "/products/{ProductID}/variants/{VariantID}/inventoryrecords/assignments", {},
         role_prefix="Product", assignment=True, parties=_ANY_GROUP, listed_by=_by("InventoryRecordID", "BuyerID", "UserGroupID"),
         references=(Reference("variant", ("ProductID", "VariantID")),
                     Reference("variant-inventory", ("ProductID", "VariantID", "InventoryRecordID")),
                     Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID"))),
         delete_path="/products/{ProductID}/variants/{VariantID}/inventoryrecords/{InventoryRecordID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
    Kind("product-supplier", "product supplier", ("ProductID", "SupplierID"), "/products/{ProductID}/suppliers", {"DefaultPriceScheduleID": _ID},
         role_prefix="Product", assignment=True,
         references=(Reference("product", ("ProductID",)), Reference("supplier", ("SupplierID",)),
                     Reference("price-schedule", ("DefaultPriceScheduleID",))),
         direct_targets=("products",), delete_path="/products/{ProductID}/suppliers/{SupplierID}"),
    Kind("supplier-buyer", "supplier buyer", ("SupplierID", "BuyerID"), "/suppliers/{SupplierID}/buyers", {},
         role_prefix="Supplier", assignment=True, references=(Reference("supplier", ("SupplierID",)), Reference("buyer", ("BuyerID",))),
         delete_path="/suppliers/{SupplierID}/buyers/{BuyerID}"),
    Kind("bundle", "bundle", ("BundleID",), "/bundles/{BundleID}",
         {"OwnerID": _OWNER, "Name": _NAME, "Description": _ABOUT, "Active": _FLAG, "xp": _XP}, role_prefix="Bundle"),
    Kind("bundle-assignment", "bundle assignment", ("BundleID", "BuyerID", "UserGroupID"), "/bundles/assignments", {},
         role_prefix="Bundle", extra_writer_roles=("BundleAssignmentAdmin",), assignment=True, parties=_ANY_GROUP, listed_by=_by("BundleID", "BuyerID", "UserGroupID"),
         references=(Reference("bundle", ("BundleID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID"))),
         delete_path="/bundles/{BundleID}/assignments/{BuyerID}?userGroupID={UserGroupID}"),
    Kind("bundle-product", "bundle product assignment", ("BundleID", "ProductID"), "/bundles/productassignments",
         {"Required": _FLAG, "DefaultQuantity": _WHOLE},
         role_prefix="Bundle", assignment=True, listed_by=_by("BundleID", "ProductID"),
         references=(Reference("bundle", ("BundleID",)), Reference("product", ("ProductID",))),
         delete_path="/bundles/{BundleID}/productassignments/{ProductID}"),
    Kind("catalog-bundle", "catalog bundle assignment", ("CatalogID", "BundleID"), "/catalogs/bundleassignments", {},
         role_prefix="Catalog", assignment=True, listed_by=_by("CatalogID", "BundleID"),
         references=(Reference("catalog", ("CatalogID",)), Reference("bundle", ("BundleID",))),
         delete_path="/catalogs/{CatalogID}/bundleassignments/{BundleID}"),
    Kind("category-bundle", "category bundle assignment", ("CatalogID", "CategoryID", "BundleID"), "/catalogs/{CatalogID}/categories/bundleassignments",
         {"ListOrder": Field(FieldType.INTEGER, min=0)},
         role_prefix="Category", assignment=True, listed_by=_by("CategoryID", "BundleID"),
         references=(Reference("catalog", ("CatalogID",)), Reference("category", ("CatalogID", "CategoryID")), Reference("bundle", ("BundleID",))),
         delete_path="/catalogs/{CatalogID}/categories/{CategoryID}/bundleassignments/{BundleID}"),
    Kind("discount", "discount", ("DiscountID",), "/discounts/{DiscountID}", _DISCOUNT, role_prefix="Discount"),
    Kind("discount-assignment", "discount assignment", ("DiscountID", "BuyerID", "UserGroupID"), "/discounts/assignments", {},
         role_prefix="Discount", assignment=True, parties=_ANY_GROUP, listed_by=_by("DiscountID", "BuyerID", "UserGroupID"),
         references=(Reference("discount", ("DiscountID",)), Reference("buyer", ("BuyerID",)), Reference("usergroup", ("BuyerID", "UserGroupID"))),
         delete_path="/discounts/{DiscountID}/assignments?buyerID={BuyerID}&userGroupID={UserGroupID}"),
)
# fmt: on

ALL_KINDS: dict[str, Kind] = {**KINDS, **{kind.name: kind for kind in _MORE_KINDS}}

LINK_KINDS = {"product-supplier": "SupplierID", "supplier-buyer": "BuyerID"}
"""Assignments that are put at a path of their own and listed as the entity at their other end."""

ORDER_SYNC = Target(
    "orders", "order", "/integrations/OrderSync", "", (), "", "", "", "",
    role="OrderSyncConfigAdmin", flags=(),
)  # fmt: skip
"""Order sync: a configuration without `Paused`, flags or sync requests
(guide/ordercloud.md 3.2).
"""

_TYPE_NAMES = {
    "inventory": "InventoryRecord",
    "variant-inventory": "InventoryRecord",
    "usergroup": "UserGroup",
    "buyer-user": "User",
    "supplier-user": "User",
    "admin-user": "User",
}


def type_name(kind: Kind) -> str:
    """Return the platform's name of *kind*, as in `Data.ObjectType`."""
    return _TYPE_NAMES.get(kind.name) or kind.noun.title().replace(" ", "")
