"""The tables against the platform's literal paths, so that a wrong row cannot fool both sides."""

from __future__ import annotations

import pytest

from ocsync import schema
from ocsync.errors import UsageError
from ocsync.schema import KINDS, TARGETS

PATHS = {
    "address/A": "/addresses/A",
    "supplier/S": "/suppliers/S",
    "catalog/C": "/catalogs/C",
    "price-schedule/PS": "/priceschedules/PS",
    "buyer/B": "/buyers/B",
    "buyer-group/BG": "/buyergroups/BG",
    "category/C/K": "/catalogs/C/categories/K",
    "product/P": "/products/P",
    "spec/S": "/specs/S",
    "spec-option/S/O": "/specs/S/options/O",
    "spec-product-assignment/S/P": "/specs/productassignments",
    "usergroup/B/G": "/buyers/B/usergroups/G",
    "buyer-user/B/U": "/buyers/B/users/U",
    "supplier-user/S/U": "/suppliers/S/users/U",
    "admin-user/U": "/adminusers/U",
    "variants/P": "/products/P/variants/generate",
    "variant/P/V": "/products/P/variants/V",
    "inventory/P/R": "/products/P/inventoryrecords/R",
    "variant-inventory/P/V/R": "/products/P/variants/V/inventoryrecords/R",
    "catalog-assignment/C/B": "/catalogs/assignments",
    "catalog-product/C/P": "/catalogs/productassignments",
    "category-product/C/K/P": "/catalogs/C/categories/productassignments",
    "category-assignment/C/K/B/G": "/catalogs/C/categories/assignments",
    "usergroup-assignment/B/G/U": "/buyers/B/usergroups/assignments",
    "product-assignment/P/B": "/products/assignments",
    "supplier-address/S/A": "/suppliers/S/addresses/A",
    "supplier-usergroup/S/G": "/suppliers/S/usergroups/G",
    "admin-usergroup/G": "/usergroups/G",
    "supplier-usergroup-assignment/S/G/U": "/suppliers/S/usergroups/assignments",
    "admin-usergroup-assignment/G/U": "/usergroups/assignments",
    "locale/L": "/locales/L",
    "locale-assignment/L/B": "/locales/assignments",
    "product-supplier/P/S": "/products/P/suppliers",
    "inventory-assignment/P/R/B": "/products/P/inventoryrecords/assignments",
    "variant-inventory-assignment/P/V/R/B": "/products/P/variants/V/inventoryrecords/assignments",
    "security-profile-assignment/SP/B": "/securityprofiles/assignments",
    "bundle/BU": "/bundles/BU",
    "bundle-product/BU/P": "/bundles/productassignments",
    "bundle-assignment/BU/B": "/bundles/assignments",
    "catalog-bundle/C/BU": "/catalogs/bundleassignments",
    "category-bundle/C/K/BU": "/catalogs/C/categories/bundleassignments",
    "discount/D": "/discounts/D",
    "discount-assignment/D/B": "/discounts/assignments",
}
REMOVALS = {
    "catalog-assignment/C/B": "/catalogs/C/assignments?buyerID=B",
    "catalog-assignment/C//BG": "/catalogs/C/assignments?buyerGroupID=BG",
    "catalog-product/C/P": "/catalogs/C/productassignments/P",
    "category-product/C/K/P": "/catalogs/C/categories/K/productassignments/P",
    "spec-product-assignment/S/P": "/specs/S/productassignments/P",
    "category-assignment/C/K/B": "/catalogs/C/categories/K/assignments?buyerID=B",
    "category-assignment/C/K/B/G": "/catalogs/C/categories/K/assignments?buyerID=B&userGroupID=G",
    "usergroup-assignment/B/G/U": "/buyers/B/usergroups/G/assignments/U",
    "product-assignment/P/B": "/products/P/assignments/B",
    "product-assignment/P/B/G": "/products/P/assignments/B?userGroupID=G",
    "product-assignment/P/B//S": "/products/P/assignments/B?sellerID=S",
    "product-assignment/P/B/G/S": "/products/P/assignments/B?userGroupID=G&sellerID=S",
    "supplier-usergroup-assignment/S/G/U": "/suppliers/S/usergroups/G/assignments/U",
    "admin-usergroup-assignment/G/U": "/usergroups/G/assignments/U",
    "locale-assignment/L/B/G": "/locales/L/assignments?buyerID=B&userGroupID=G",
    "product-supplier/P/S": "/products/P/suppliers/S",
    "inventory-assignment/P/R/B": "/products/P/inventoryrecords/R/assignments?buyerID=B",
    "variant-inventory-assignment/P/V/R/B/G": "/products/P/variants/V/inventoryrecords/R/assignments?buyerID=B&userGroupID=G",
    "security-profile-assignment/SP/B": "/securityprofiles/SP/assignments?buyerID=B",
    "security-profile-assignment/SP//S//U": "/securityprofiles/SP/assignments?supplierID=S&userID=U",
    "security-profile-assignment/SP///G": "/securityprofiles/SP/assignments?userGroupID=G",
    "bundle-product/BU/P": "/bundles/BU/productassignments/P",
    "bundle-assignment/BU/B//S": "/bundles/BU/assignments/B?sellerID=S",
    "catalog-bundle/C/BU": "/catalogs/C/bundleassignments/BU",
    "category-bundle/C/K/BU": "/catalogs/C/categories/K/bundleassignments/BU",
    "discount-assignment/D/B/G": "/discounts/D/assignments?buyerID=B&userGroupID=G",
    "discount-assignment/D///BG": "/discounts/D/assignments?buyerGroupID=BG",
}
SYNCS = {
    "products": ("/integrations/productsync", "/integrations/productsync/sync", ("ProductID",)),
    "catalogs": ("/integrations/entitysync/catalogs", "/integrations/entitysync/catalogs/sync", ("CatalogID",)),
    "categories": ("/integrations/entitysync/categories", "/integrations/entitysync/categories/sync", ("CatalogID", "CategoryID")),
    "inventory": ("/integrations/entitysync/products/inventoryrecords", "/integrations/entitysync/products/inventoryrecords/sync", ("ProductID", "InventoryRecordID")),
    "buyers": ("/integrations/entitysync/buyers", "/integrations/entitysync/buyers/sync", ("BuyerID",)),
    "usergroups": ("/integrations/entitysync/buyers/usergroups", "/integrations/entitysync/buyers/usergroups/sync", ("BuyerID", "UserGroupID")),
    "buyer-users": ("/integrations/entitysync/buyers/users", "/integrations/entitysync/buyers/users/sync", ("BuyerID", "UserID")),
    "suppliers": ("/integrations/entitysync/suppliers", "/integrations/entitysync/supplier/sync", ("SupplierID",)),
    "supplier-users": ("/integrations/entitysync/suppliers/users", "/integrations/entitysync/suppliers/users/sync", ("SupplierID", "UserID")),
    "admin-users": ("/integrations/entitysync/adminusers", "/integrations/entitysync/adminusers/sync", ("UserID",)),
}  # fmt: skip


@pytest.mark.parametrize("ref", PATHS)
def test_each_kind_has_the_platforms_path(ref: str) -> None:
    assert schema.url_of(schema.read_ref(ref)) == PATHS[ref]


def test_every_kind_is_pinned() -> None:
    missing = set(KINDS) - {ref.partition("/")[0] for ref in PATHS}
    assert not missing, f"add a ref of {', '.join(missing)} and its path to PATHS"
    missing = {kind.name for kind in KINDS.values() if kind.delete_path}
    missing -= {ref.partition("/")[0] for ref in REMOVALS}
    assert not missing, f"add a ref of {', '.join(missing)} and its path to REMOVALS"
    assert set(SYNCS) == set(TARGETS)


@pytest.mark.parametrize("ref", REMOVALS)
def test_assignments_are_removed_where_the_platform_says(ref: str) -> None:
    assert schema.delete_url_of(ref) == REMOVALS[ref]


@pytest.mark.parametrize("name", SYNCS)
def test_each_target_has_the_platforms_paths(name: str) -> None:
    target = TARGETS[name]
    assert (target.path, target.sync_path, target.sync_ids) == SYNCS[name]


def test_message_namespaces() -> None:
    assert TARGETS["products"].updated_namespace == "sitecore.ordercloud.messages.product.updated"
    assert TARGETS["usergroups"].updated_namespace == (
        "sitecore.ordercloud.messages.entitysync.buyerusergroup.updated"
    )
    assert TARGETS["inventory"].deleted_namespace == "", (
        "no deleted message of records is listed anywhere"
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda k: k.name)
def test_rows_are_whole(kind: schema.Kind) -> None:
    """References and feeds name what exists; IDs stand in the path or in the body."""
    known = {*kind.ids, *kind.fields}
    for reference in kind.references:
        assert reference.kind in KINDS
        assert set(reference.ids) <= known
    for rule in kind.after:
        assert set(rule.shared_ids) <= set(kind.ids) & set(KINDS[rule.kind].ids)
    assert set(kind.direct_targets) | set(kind.indirect_targets) <= set(TARGETS)
    assert not set(kind.direct_targets) & set(kind.indirect_targets)
    if kind.assignment:
        assert set(kind.listed_by.values()) <= set(kind.ids)
        assert kind.delete_path
    if kind.quantity_summed_by:
        records = KINDS[kind.quantity_summed_by]
        assert records.ids[:-1] == kind.ids
        assert schema.SUMMED_QUANTITY in kind.fields
        assert "QuantityAvailable" in records.fields


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("inventry/P/R", "is not a kind"),
        ("inventory/P", "is written inventory/ProductID/InventoryRecordID"),
        ("inventory/P/R/X", "is written"),
        ("catalog/", "letters, digits"),
        ("catalog/a b", "letters, digits"),
        ("catalog/{incrementorID}", "letters, digits"),
        ("catalog/" + "x" * 101, "letters, digits"),
        ("catalog/ä", "letters, digits"),
        ("catalog/a\n", "letters, digits"),
        ("product-assignment/P//G", "letters, digits"),
        ("product-assignment/P/B/", "letters, digits"),
        ("product-assignment/P/B//S/X", "or product-assignment/ProductID/BuyerID//SellerID or"),
    ],
)
def test_bad_refs_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        schema.read_ref(text)


def test_targets_by_singular_plural_and_group() -> None:
    direct, grouped = schema.read_targets(["product", "catalog-wide", "Inventory"])
    assert [t.name for t in direct] == ["products", "inventory"]
    assert [t.name for t in grouped] == ["catalogs", "categories"]
    with pytest.raises(UsageError, match="not a sync target"):
        schema.read_targets(["orders"])
