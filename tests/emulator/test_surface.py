"""Every path and verb that OrderCloud has around the kinds of this tool, as literal text.

The emulator's routes are made from the tables; these are not, so a wrong table shows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders import HTTP, Shop

ENTITIES = """
/addresses /suppliers/s/addresses /buyers/b/addresses /suppliers /catalogs /catalogs/c/categories /priceschedules
/buyers /buyers/b/users /suppliers/s/users /adminusers /buyers/b/usergroups /suppliers/s/usergroups /usergroups
/products /products/p/inventoryrecords /products/p/variants/v/inventoryrecords /integrations/deliveryconfig
"""
ASSIGNMENTS = """
/products/assignments /products/p/assignments/b
/products/p/inventoryrecords/assignments /products/p/inventoryrecords/r/assignments
/products/p/variants/v/inventoryrecords/assignments /products/p/variants/v/inventoryrecords/r/assignments
/catalogs/assignments /catalogs/c/assignments
/catalogs/productassignments /catalogs/c/productassignments/p
/catalogs/bundleassignments /catalogs/c/bundleassignments/b
/catalogs/c/categories/assignments /catalogs/c/categories/k/assignments
/catalogs/c/categories/productassignments /catalogs/c/categories/k/productassignments/p
/catalogs/c/categories/bundleassignments /catalogs/c/categories/k/bundleassignments/b
/buyers/b/usergroups/assignments /buyers/b/usergroups/g/assignments/u
/suppliers/s/usergroups/assignments /suppliers/s/usergroups/g/assignments/u
/usergroups/assignments /usergroups/g/assignments/u
"""
"""Where each is listed and posted, and where it is deleted."""
OTHERS = """
GET /me GET /buyerusers POST /buyers/b/users/u/moveto/b2
GET /products/p/variants GET /products/p/variants/v PUT /products/p/variants/v PATCH /products/p/variants/v
POST /products/p/variants/generate POST /priceschedules/x/PriceBreaks DELETE /priceschedules/x/PriceBreaks
GET /products/p/suppliers PUT /products/p/suppliers/s DELETE /products/p/suppliers/s
GET /suppliers/s/buyers PUT /suppliers/s/buyers/b DELETE /suppliers/s/buyers/b
POST /bulk/priceschedules/upsert POST /bulk/priceschedules/delete POST /bulk/discounts/upsert POST /bulk/discounts/delete
POST /bulk/discounts/assignments/upsert POST /bulk/discounts/assignments/delete GET /bulk/jobs/j
GET /integrations/OrderSync PUT /integrations/OrderSync PATCH /integrations/OrderSync DELETE /integrations/OrderSync
"""
SYNCS = """
productsync productsync/sync ProductSync
entitysync/catalogs entitysync/catalogs/sync EntitySyncForCatalog
entitysync/categories entitysync/categories/sync EntitySyncForCategory
entitysync/products/inventoryrecords entitysync/products/inventoryrecords/sync EntitySyncForInventoryRecord
entitysync/buyers entitysync/buyers/sync EntitySyncForBuyer
entitysync/buyers/usergroups entitysync/buyers/usergroups/sync EntitySyncForBuyerUserGroup
entitysync/buyers/users entitysync/buyers/users/sync EntitySyncForBuyerUsers
entitysync/suppliers entitysync/supplier/sync EntitySyncForSupplier
entitysync/suppliers/users entitysync/suppliers/users/sync EntitySyncForSupplierUsers
entitysync/adminusers entitysync/adminusers/sync EntitySyncForAdminUsers
"""
"""Config, sync request, and the code of a refused one between `Synchronize.` and `NotEnabled`."""


def surface() -> Iterator[tuple[str, str]]:
    for path in ENTITIES.split():
        yield from (("GET", path), ("POST", path))
        yield from ((verb, path + "/x") for verb in ("GET", "PUT", "PATCH", "DELETE"))
    words = ASSIGNMENTS.split()
    for path, removal in zip(words[::2], words[1::2], strict=True):
        yield from (("GET", path), ("POST", path), ("DELETE", removal))
    words = OTHERS.split()
    yield from zip(words[::2], words[1::2], strict=True)
    for config, sync, _ in map(str.split, SYNCS.strip().splitlines()):
        yield from ((v, f"/integrations/{config}") for v in ("GET", "PUT", "PATCH", "DELETE"))
        yield "POST", f"/integrations/{sync}"


def test_every_path_and_verb_is_there(shop: Shop) -> None:
    """A path that is not there has no object that could be missing."""
    headers = {"Authorization": shop.call("GET", "/me").request.headers["authorization"]}
    lacking = []
    for verb, path in surface():
        answer = HTTP.request(verb, shop.url + "/v1" + path, headers=headers, json={})
        if answer.status_code == 404 and not answer.json()["Errors"][0]["Data"]:
            lacking.append((verb, path))
    assert lacking == []
    assert len(list(surface())) > 200


@pytest.mark.parametrize("row", SYNCS.strip().splitlines(), ids=lambda row: row.split()[0])
@pytest.mark.parametrize("why", ["no config", "disabled"])
def test_a_sync_request_that_is_not_enabled(shop: Shop, row: str, why: str) -> None:
    config, sync, code = row.split()
    if why == "disabled":
        shop.call("PATCH", "/integrations/deliveryconfig/emulator-log", {"Enabled": False})
    else:
        assert shop.call("DELETE", f"/integrations/{config}").status_code == 204
    refused = shop.refusal("POST", f"/integrations/{sync}", {})
    assert refused == (400, f"Synchronize.{code}NotEnabled")
