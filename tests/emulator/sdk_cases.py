"""What both SDKs are asked to do, as data: a row for each family that they and the emulator know.

Names are the Python SDK's; the JavaScript ones follow by `camel`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

ADDRESS = {"Street1": "s", "City": "c", "Country": "DE"}
PERSON = {"FirstName": "f", "LastName": "l", "Email": "e@x.example", "Active": True}


class Family(NamedTuple):
    """Entities: the resource, its parents' IDs, a body; *suffix* of the methods' names."""

    resource: str
    parents: tuple[str, ...]
    body: dict[str, Any]
    change: dict[str, Any]
    suffix: str = ""
    plural: str = ""
    javascript: bool = True


class Assigned(NamedTuple):
    """Assignments: save(*parents, body), list(*parents), delete(*gone, **by)."""

    resource: str
    stem: str
    parents: tuple[str, ...]
    body: dict[str, Any]
    gone: tuple[str, ...]
    by: dict[str, str] = {}  # noqa: RUF012 - never changed
    javascript: bool = True


NAMED, XP = {"Name": "n"}, {"xp": {"a": 1}}
FAMILIES = [
    Family("admin_addresses", (), ADDRESS, {"City": "other"}),
    Family("addresses", ("B",), ADDRESS, {"City": "other"}),
    Family("supplier_addresses", ("S",), ADDRESS, {"City": "other"}),
    Family("suppliers", (), NAMED, XP),
    Family("catalogs", (), NAMED, XP),
    Family("categories", ("C",), NAMED, XP),
    Family("price_schedules", (), {**NAMED, "PriceBreaks": [{"Quantity": 1, "Price": 2.5}]}, XP),
    Family("buyers", (), {**NAMED, "DefaultCatalogID": "C"}, XP),
    Family("products", (), NAMED, XP),
    Family("user_groups", ("B",), NAMED, XP),
    Family("admin_user_groups", (), NAMED, XP),
    Family("supplier_user_groups", ("S",), NAMED, XP),
    Family("users", ("B",), {**PERSON, "Username": "u1"}, {"Phone": "1"}),
    Family("supplier_users", ("S",), {**PERSON, "Username": "u2"}, {"Phone": "1"}),
    Family("admin_users", (), {**PERSON, "Username": "u3"}, {"Phone": "1"}),
    Family("inventory_records", ("P",), {"AddressID": "A"}, {"QuantityAvailable": 4}),
    Family("inventory_records", ("V", "V"), {"AddressID": "A"}, {"QuantityAvailable": 4}, "_variant"),
    Family("specs", (), NAMED, XP),
    Family("specs", ("SP",), {"Value": "x"}, XP, "_option", "s"),
    Family("bundles", (), NAMED, XP),
    Family("discounts", (), {"DiscountBreaks": [{"Quantity": 1, "Amount": 5}]}, XP, javascript=False),
    Family(
        "delivery_configurations", (),
        {**NAMED, "DeliveryTargets": {"Http": {"Endpoint": "http://x.invalid", "Secret": "s"}}},
        {"Enabled": True},
    ),
]  # fmt: skip

_B = {"buyerID": "B"}
ASSIGNED = [
    Assigned("catalogs", "assignment", (), {"CatalogID": "C", "BuyerID": "B"}, ("C",), _B),
    Assigned("catalogs", "product_assignment", (), {"CatalogID": "C", "ProductID": "P"}, ("C", "P")),
    Assigned("catalogs", "bundle_assignment", (), {"CatalogID": "C", "BundleID": "BU"}, ("C", "BU")),
    Assigned("categories", "product_assignment", ("C",), {"CategoryID": "K", "ProductID": "P"}, ("C", "K", "P")),
    Assigned("categories", "bundle_assignment", ("C",), {"CategoryID": "K", "BundleID": "BU"}, ("C", "K", "BU")),
    Assigned("categories", "assignment", ("CB",), {"CategoryID": "K", "BuyerID": "B"}, ("CB", "K"), _B),
    Assigned("products", "assignment", (), {"ProductID": "PB", "BuyerID": "B"}, ("PB", "B")),
    Assigned("user_groups", "user_assignment", ("B",), {"UserGroupID": "G", "UserID": "U"}, ("B", "G", "U")),
    Assigned("admin_user_groups", "user_assignment", (), {"UserGroupID": "G", "UserID": "U"}, ("G", "U")),
    Assigned("supplier_user_groups", "user_assignment", ("S",), {"UserGroupID": "G", "UserID": "U"}, ("S", "G", "U")),
    Assigned("inventory_records", "assignment", ("P",), {"InventoryRecordID": "R", "BuyerID": "B"}, ("P", "R"), _B),
    Assigned("inventory_records", "variant_assignment", ("V", "V"), {"InventoryRecordID": "R", "BuyerID": "B"}, ("V", "V", "R"), _B),
    Assigned("specs", "product_assignment", (), {"SpecID": "SP", "ProductID": "P"}, ("SP", "P")),
    Assigned("bundles", "assignment", (), {"BundleID": "BU", "BuyerID": "B"}, ("BU", "B")),
    Assigned("bundles", "product_assignment", (), {"BundleID": "BU", "ProductID": "P"}, ("BU", "P")),
    Assigned("discounts", "assignment", (), {"DiscountID": "D", "BuyerID": "B"}, ("D",), _B, javascript=False),
]  # fmt: skip

SYNCS: list[tuple[str, str, str, dict[str, str]]] = [
    ("admin_users", "admin_users", "sync_admin_user", {"UserID": "U"}),
    ("buyers", "buyers", "sync_buyer", {"BuyerID": "B"}),
    ("buyer_user_groups", "user_groups", "sync_buyer_user_group", {"BuyerID": "B", "UserGroupID": "G"}),
    ("buyer_users", "buyer_users", "sync_buyer_user", {"BuyerID": "B", "UserID": "U"}),
    ("catalogs", "catalogs", "sync_catalog", {"CatalogID": "C"}),
    ("categories", "categories", "sync_category", {"CatalogID": "C", "CategoryID": "K"}),
    ("inventory_records", "inventory_records", "sync_inventory_record", {"ProductID": "P", "InventoryRecordID": "R"}),
    ("suppliers", "suppliers", "sync_supplier", {"SupplierID": "S"}),
    ("supplier_users", "supplier_users", "sync_supplier_user", {"SupplierID": "S", "UserID": "U"}),
]  # fmt: skip
"""Of `entity_syncs`: the stem of get and patch, that of save and delete, sync, and its body."""

SEED: dict[str, Any] = {
    "address": [{"ID": "A", **ADDRESS}],
    "supplier": [{"ID": "S", "Name": "s"}],
    "catalog": [{"ID": "C", "Name": "c"}, {"ID": "CB", "Name": "cb"}],
    "buyer": [{"ID": "B", "Name": "b", "DefaultCatalogID": "C"}],
    "category": [{"CatalogID": c, "ID": "K", "Name": "k"} for c in ("C", "CB")],
    "product": [
        {"ID": "P", "Name": "p", "Inventory": {"Enabled": True}},
        {"ID": "PB", "Name": "p"},
        {"ID": "V", "Name": "v", "Inventory": {"Enabled": True, "VariantLevelTracking": True}},
    ],
    "variant": [{"ProductID": "V", "ID": "V", "Name": "v"}],
    "inventory": [{"ProductID": "P", "ID": "R", "AddressID": "A"}],
    "variant-inventory": [{"ProductID": "V", "VariantID": "V", "ID": "R", "AddressID": "A"}],
    "usergroup": [{"BuyerID": "B", "ID": "G", "Name": "g"}],
    "admin-usergroup": [{"ID": "G", "Name": "g"}],
    "supplier-usergroup": [{"SupplierID": "S", "ID": "G", "Name": "g"}],
    "buyer-user": [{"BuyerID": "B", "ID": "U", **PERSON, "Username": "bu", "Password": "p4ssword"}],
    "supplier-user": [{"SupplierID": "S", "ID": "U", **PERSON, "Username": "su"}],
    "admin-user": [{"ID": "U", **PERSON, "Username": "au"}],
    "spec": [{"ID": "SP", "Name": "s"}],
    "bundle": [{"ID": "BU", "Name": "b"}],
    "discount": [{"ID": "D", "DiscountBreaks": []}],
    "catalog-assignment": [{"CatalogID": "CB", "BuyerID": "B"}],
    "catalog-product": [{"CatalogID": "CB", "ProductID": "PB"}],
    "clients": [{"ID": "public", "Secret": "", "Roles": ["FullAccess"]}],
}


MODELS: dict[str, str] = {
    "product": "Product", "catalog": "Catalog", "category": "Category", "buyer": "Buyer", "supplier": "Supplier",
    "usergroup": "UserGroup", "buyer-user": "User", "address": "Address", "price-schedule": "PriceSchedule",
    "variant": "Variant", "inventory": "InventoryRecord", "variant-inventory": "InventoryRecord",
    "catalog-assignment": "CatalogAssignment", "catalog-product": "ProductCatalogAssignment",
    "category-assignment": "CategoryAssignment", "category-product": "CategoryProductAssignment",
    "product-assignment": "ProductAssignment", "usergroup-assignment": "UserGroupAssignment",
}  # fmt: skip
"""Each kind, and the SDK's model of it."""
UNKNOWN = {"BuyerGroupID", "SellerID"}
"""Fields that decide about an assignment's identity, and that refs have no place for."""


def camel(name: str) -> str:
    """`save_price_break` as JavaScript has it."""
    return "".join(word.title() for word in name.split("_"))
