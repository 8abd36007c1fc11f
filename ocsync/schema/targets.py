"""Table of the sync targets: OrderCloud's ten sync configurations
(guide/ordercloud.md 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ocsync.errors import UsageError
from ocsync.suggestions import listed, suggestion


class Target(NamedTuple):
    """A sync configuration: its paths, the kind it publishes, and the messages it sends.

    *sync_path* takes a request to sync one entity; *sync_ids* are its body, all required.
    *deleted_namespace* is empty where no such message exists. *not_enabled_code* is the error of a
    sync request without an active configuration. *flags* are the switches for changes and deletes.
    """

    name: str
    singular: str
    path: str
    sync_path: str
    sync_ids: tuple[str, ...]
    entity_kind: str
    updated_namespace: str
    deleted_namespace: str
    not_enabled_code: str
    role: str = "EntitySyncConfigAdmin"
    flags: tuple[str, ...] = ("SyncEntityChanged", "SyncEntityDeleted")


_ENTITY = "/integrations/entitysync"
_MESSAGE = "sitecore.ordercloud.messages"
_NOT_ENABLED = "Synchronize.EntitySyncFor{}NotEnabled"


def _target(name: str, singular: str, part: str, ids: str, entity: str, noun: str, code: str,
            *, sync_part: str = "", deletes: bool = True) -> Target:  # fmt: skip
    return Target(
        name, singular, f"{_ENTITY}/{part}", f"{_ENTITY}/{sync_part or part}/sync",
        tuple(ids.split()), entity, f"{_MESSAGE}.entitysync.{noun}.updated",
        f"{_MESSAGE}.entitysync.{noun}.deleted" if deletes else "", _NOT_ENABLED.format(code),
    )  # fmt: skip


# The code for catalogs is by pattern; no public list has it. Inventory has no deleted message.
# Rows are aligned as a table; the formatter would break them.
# fmt: off
TARGETS: dict[str, Target] = {t.name: t for t in (
    Target("products", "product", "/integrations/productsync", "/integrations/productsync/sync", ("ProductID",), "product",
           f"{_MESSAGE}.product.updated", f"{_MESSAGE}.product.deleted", "Synchronize.ProductSyncNotEnabled",
           role="ProductSyncConfigAdmin", flags=("SyncProductChanged", "SyncProductDeleted")),
    _target("catalogs", "catalog", "catalogs", "CatalogID", "catalog", "catalog", "Catalog"),
    _target("categories", "category", "categories", "CatalogID CategoryID", "category", "category", "Category"),
    _target("inventory", "inventory", "products/inventoryrecords", "ProductID InventoryRecordID", "inventory",
            "inventoryrecord", "InventoryRecord", deletes=False),
    _target("buyers", "buyer", "buyers", "BuyerID", "buyer", "buyer", "Buyer"),
    _target("usergroups", "usergroup", "buyers/usergroups", "BuyerID UserGroupID", "usergroup", "buyerusergroup", "BuyerUserGroup"),
    _target("buyer-users", "buyer-user", "buyers/users", "BuyerID UserID", "buyer-user", "buyeruser", "BuyerUsers"),
    _target("suppliers", "supplier", "suppliers", "SupplierID", "supplier", "supplier", "Supplier", sync_part="supplier"),
    _target("supplier-users", "supplier-user", "suppliers/users", "SupplierID UserID", "supplier-user", "supplieruser", "SupplierUsers"),
    _target("admin-users", "admin-user", "adminusers", "UserID", "admin-user", "adminuser", "AdminUsers"),
)}
# fmt: on

GROUPS: dict[str, tuple[str, ...]] = {"catalog-wide": ("catalogs", "categories", "products")}


def read_targets(names: Iterable[str]) -> tuple[list[Target], list[Target]]:
    """Return the targets that *names* mean, in the table's order: (named directly, only by a group).

    Singular, plural and group names work; raises UsageError for others.
    """
    direct, grouped = set(), set()
    for name in names:
        key = name.strip().lower()
        if key in GROUPS:
            grouped |= set(GROUPS[key])
            continue
        matches = [t.name for t in TARGETS.values() if key in (t.name, t.singular)]
        if not matches:
            names = [*TARGETS, *GROUPS]
            hint = suggestion(name, names, f"targets: {listed(names)}")
            raise UsageError(f'"{name}" is not a sync target', hint=hint)
        direct.add(matches[0])
    table = list(TARGETS.values())
    return (
        [t for t in table if t.name in direct],
        [t for t in table if t.name in grouped - direct],
    )
