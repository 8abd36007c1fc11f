"""The emulator against literal URLs, so that a wrong table cannot fool client and emulator alike."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ocsync.emulator import EmulatorOptions, serve_in_thread
from tests.builders import HTTP, Shop

FORM = {"grant_type": "client_credentials", "client_id": "emulator", "client_secret": "emulator"}
ADDRESS = {"Street1": "s", "City": "c", "Country": "DE"}
USER = {"Username": "u", "FirstName": "f", "LastName": "l", "Email": "e@x.example", "Active": True}


def test_it_is_there_quickly() -> None:
    start = time.monotonic()
    with serve_in_thread(EmulatorOptions()) as one:
        assert HTTP.get(one.url + "/_emulator/health").json()["status"] == "ready"
    assert time.monotonic() - start < 3


def test_sign_in_and_me(shop: Shop) -> None:
    answer = HTTP.post(shop.url + "/oauth/token", data=FORM).json()
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 36000)
    assert answer["access_token"].count(".") == 2
    assert shop.get("/me")["Seller"]["ID"] == "emulator"
    wrong = HTTP.post(shop.url + "/oauth/token", data={**FORM, "client_secret": "x"})
    assert wrong.status_code == 400
    assert wrong.json()["Errors"][0]["ErrorCode"] == "Auth.InvalidUsernameOrPassword"
    none = HTTP.get(shop.url + "/v1/me")
    assert (none.status_code, none.json()["Errors"][0]["ErrorCode"]) == (401, "InvalidToken")


def test_unknown_paths_and_any_case(shop: Shop) -> None:
    answer = shop.call("GET", "/nothing")
    assert (answer.status_code, answer.json()["Errors"][0]["ErrorCode"]) == (404, "NotFound")
    shop.call("PUT", "/Catalogs/C", {"Name": "x"})
    assert shop.get("/CATALOGS/c")["ID"] == "C"
    token = HTTP.post(shop.url + "/OAuth/Token", data=FORM).json()["access_token"]
    headers = {"Authorization": f"bearer {token}"}
    assert HTTP.get(shop.url + "/V1/Catalogs/c", headers=headers).json()["ID"] == "C"
    assert shop.requests()[-1]["path"] == "/v1/Catalogs/c"
    for path in ("/", "/oauth/token", "/oauth/certs/x"):
        nowhere = HTTP.get(shop.url + path)
        assert (nowhere.status_code, nowhere.json()["Errors"][0]["ErrorCode"]) == (404, "NotFound")


ENTITIES = [
    ("/addresses/A", ADDRESS), ("/suppliers/S", {"Name": "x"}), ("/catalogs/C2", {"Name": "x"}),
    ("/priceschedules/PS", {"Name": "x"}), ("/buyers/B2", {"Name": "x"}),
    ("/catalogs/C/categories/K", {"Name": "x"}), ("/products/P2", {"Name": "x"}),
    ("/buyers/B/usergroups/G", {"Name": "x"}), ("/buyers/B/users/U", USER),
    ("/suppliers/S0/users/U", USER), ("/adminusers/U", USER),
    ("/products/P/inventoryrecords/R", {"AddressID": "A0"}),
]  # fmt: skip


def plant(shop: Shop) -> None:
    shop.seed(
        address=[{"ID": "A0", **ADDRESS}], supplier=[{"ID": "S0", "Name": "x"}],
        catalog=[{"ID": "C", "Name": "C"}], buyer=[{"ID": "B", "Name": "B", "DefaultCatalogID": "C"}],
        product=[{"ID": "P", "Name": "P", "Inventory": {"Enabled": True}}],
    )  # fmt: skip


@pytest.mark.quick(4)
@pytest.mark.parametrize(("path", "body"), ENTITIES, ids=[e[0] for e in ENTITIES])
def test_the_verbs_of_every_entity(shop: Shop, path: str, body: dict[str, Any]) -> None:
    plant(shop)
    collection, _, name = path.rpartition("/")
    assert shop.call("GET", path).status_code == 404
    assert shop.call("PATCH", path, {}).status_code == 404
    made = shop.call("PUT", path, body)
    assert (made.status_code, made.json()["ID"]) == (200, name)
    assert shop.call("POST", collection, {**body, "ID": name, "Username": "v"}).status_code == 409
    other = shop.call("POST", collection, {**body, "Username": "w"})
    assert other.status_code == 201
    assert other.json()["ID"]
    patched = shop.call("PATCH", path, {"xp": {"a": 1}, "Nonsense": 1}).json()
    assert patched["xp"] == {"a": 1}
    assert "Nonsense" not in patched
    assert shop.call("PATCH", path, {"xp": {"b": 2}}).json()["xp"] == {"a": 1, "b": 2}
    assert shop.call("PUT", path, body).json()["xp"] is None
    assert name in [item["ID"] for item in shop.get(collection + "?pageSize=100")["Items"]]
    assert shop.call("PATCH", path, {"ID": "renamed"}).json()["ID"] == "renamed"
    assert shop.call("GET", path).status_code == 404
    gone = shop.call("DELETE", f"{collection}/renamed")
    assert (gone.status_code, gone.content) == (204, b"")


ASSIGNMENTS = [
    ("/catalogs/assignments", {"CatalogID": "C", "BuyerID": "B", "ViewAllProducts": True},
     "/catalogs/C/assignments?buyerID=B"),
    ("/catalogs/productassignments", {"CatalogID": "C", "ProductID": "P"},
     "/catalogs/C/productassignments/P"),
    ("/catalogs/C/categories/assignments", {"CategoryID": "K", "BuyerID": "B", "Visible": True},
     "/catalogs/C/categories/K/assignments?buyerID=B"),
    ("/catalogs/C/categories/productassignments", {"CategoryID": "K", "ProductID": "P"},
     "/catalogs/C/categories/K/productassignments/P"),
    ("/buyers/B/usergroups/assignments", {"UserGroupID": "G", "UserID": "U"},
     "/buyers/B/usergroups/G/assignments/U"),
    ("/products/assignments", {"ProductID": "P", "BuyerID": "B"}, "/products/P/assignments/B"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "removal"), ASSIGNMENTS, ids=[a[0] for a in ASSIGNMENTS])
def test_assignments_are_upserts(shop: Shop, path: str, body: dict[str, Any], removal: str) -> None:
    plant(shop)
    shop.seed(
        category=[{"CatalogID": "C", "ID": "K", "Name": "K"}],
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "G"}],
        **{"buyer-user": [{"BuyerID": "B", "ID": "U", **USER}],
           "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B"}],
           "catalog-product": [{"CatalogID": "C", "ProductID": "P"}]},
    )  # fmt: skip
    for _ in range(2):
        answer = shop.call("POST", path, body)
        assert (answer.status_code, answer.content) == (204, b"")
    [item] = shop.get(path)["Items"]
    assert item.items() >= body.items()
    missing = shop.call("POST", path, {**body, next(iter(body)): "nope"})
    assert missing.status_code == 404
    assert shop.call("DELETE", removal).status_code == 204
    assert shop.get(path)["Items"] == []


def test_rules_around_writes(shop: Shop) -> None:
    """What comes into being, what is refused, what goes along."""
    plant(shop)
    shop.call("PUT", "/buyers/NEW", {"Name": "x"})
    assert shop.get("/catalogs/NEW")["ID"] == "NEW"
    assert shop.get("/catalogs/assignments?buyerID=NEW")["Items"][0]["ViewAllProducts"] is True
    refused = {
        ("PUT", "/catalogs/X"): ({}, 400, "ValidationFailure"),
        ("PUT", "/catalogs/Y"): ({"Name": "x" * 101}, 400, "ValidationFailure"),
        ("PUT", "/catalogs/a%20b"): ({"Name": "x"}, 400, "ValidationFailure"),
        ("DELETE", "/catalogs/NEW"): (None, 400, "Catalog.CannotDelete"),
        ("PUT", "/buyers/C"): ({"Name": "x"}, 400, "Buyer.DefaultCatalogAlreadyExists"),
        ("POST", "/products/assignments"): (
            {"ProductID": "P", "BuyerID": "B"}, 400, "Product.CannotAssignNotInBuyerCatalog"),
        ("PUT", "/products/P/inventoryrecords/R"): ({"AddressID": "no"}, 404, "NotFound"),
        ("PUT", "/products/NO/inventoryrecords/R"): ({"AddressID": "A0"}, 404, "NotFound"),
        ("PUT", "/products/P/variants/V"): ({"Name": "x"}, 404, "NotFound"),
    }  # fmt: skip
    for (verb, path), (body, status, code) in refused.items():
        answer = shop.call(verb, path, body)
        assert (answer.status_code, answer.json()["Errors"][0]["ErrorCode"]) == (status, code), path
    shop.call("DELETE", "/buyers/NEW")
    assert shop.call("GET", "/catalogs/NEW").status_code == 200, "the catalog is left behind"


def test_stock_is_the_sum_of_the_records(shop: Shop) -> None:
    plant(shop)
    shop.call("PATCH", "/products/P", {"Inventory": {"QuantityAvailable": 4}})
    assert shop.get("/products/P")["Inventory"]["QuantityAvailable"] == 4
    for name, number in (("R1", 2), ("R2", 5)):
        shop.call(
            "PUT",
            f"/products/P/inventoryrecords/{name}",
            {"AddressID": "A0", "QuantityAvailable": number},
        )
    answer = shop.call("PATCH", "/products/P", {"Inventory": {"QuantityAvailable": 99}})
    assert answer.status_code == 200
    assert answer.json()["Inventory"]["QuantityAvailable"] == 7
    assert shop.call("DELETE", "/addresses/A0").json()["Errors"][0]["ErrorCode"] == (
        "Address.CannotDeleteInventoryRecordAddress"
    )


def test_categories_take_their_children_along(shop: Shop) -> None:
    plant(shop)
    for name, above in (("K1", None), ("K2", "K1"), ("K3", "K2"), ("K4", None)):
        shop.call("PUT", f"/catalogs/C/categories/{name}", {"Name": name, "ParentID": above})
    assert len(shop.get("/catalogs/C/categories?depth=2")["Items"]) == 3
    circle = shop.call("PATCH", "/catalogs/C/categories/K1", {"ParentID": "K3"})
    assert circle.json()["Errors"][0]["ErrorCode"] == "Category.CircularReference"
    shop.call("DELETE", "/catalogs/C/categories/K1")
    assert [k["ID"] for k in shop.get("/catalogs/C/categories?depth=all")["Items"]] == ["K4"]


def test_passwords_are_never_shown(shop: Shop) -> None:
    answer = shop.call("PUT", "/adminusers/U", {**USER, "Password": "hunter2"})
    assert "Password" not in answer.json()
    assert "Password" not in shop.get("/adminusers/U")
    again = shop.call("PUT", "/adminusers/V", USER)
    assert again.json()["Errors"][0]["ErrorCode"] == "User.UsernameMustBeUnique"


INVENTORY = "/integrations/entitysync/products/inventoryrecords"


def test_changes_are_held_while_paused_and_sent_once(shop: Shop) -> None:
    [*_] = shop.stock(records=2, products=1)
    for number in range(3):
        shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"QuantityAvailable": number})
    assert len(shop.messages()) == 3
    shop.call("PATCH", INVENTORY, {"Paused": True})
    for number in range(3):
        shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"QuantityAvailable": number})
        shop.call("PATCH", "/products/P0/inventoryrecords/R1", {"QuantityAvailable": number})
    shop.call("PATCH", "/products/P0", {"Name": "x"})
    assert [m["target"] for m in shop.messages()] == ["inventory"] * 3 + ["products"]
    shop.call("PATCH", INVENTORY, {"Paused": False})
    held = [m for m in shop.messages() if m["held"]]
    assert [m["payload"]["ID"] for m in held] == ["R0", "R1"]
    assert held[0]["namespace"] == "sitecore.ordercloud.messages.entitysync.inventoryrecord.updated"
    assert held[0]["payload"]["InventoryRecords"][0]["QuantityAvailable"] == 2


def test_deletes_are_never_held(shop: Shop) -> None:
    shop.stock(records=1)
    shop.call("PATCH", "/integrations/productsync", {"Paused": True})
    shop.call("DELETE", "/products/P1")
    assert [m["namespace"] for m in shop.messages()] == [
        "sitecore.ordercloud.messages.product.deleted"
    ]


def test_a_put_of_a_config_clears_the_pause(shop: Shop) -> None:
    shop.call("PATCH", INVENTORY, {"Paused": True})
    body = {
        "DeliveryConfigID": "emulator-log",
        "SyncEntityChanged": True,
        "SyncEntityDeleted": True,
    }
    assert shop.call("PUT", INVENTORY, body).json()["Paused"] is False
    for nothing in (None, ""):
        assert shop.refusal("PATCH", INVENTORY, {"DeliveryConfigID": nothing})[0] == 400
    shop.call("PATCH", INVENTORY, {"SyncEntityChanged": False})
    shop.stock(records=1)
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"QuantityAvailable": 1})
    assert shop.messages() == []


def test_sync_requests(shop: Shop) -> None:
    shop.seed(supplier=[{"ID": "S", "Name": "x"}])
    path = "/integrations/entitysync/supplier/sync"
    assert shop.call("POST", path, {"SupplierID": "S"}).status_code == 204
    assert shop.call("POST", path, {"SupplierID": "no"}).status_code == 404
    assert len(shop.messages()) == 1
    shop.call("PATCH", "/integrations/deliveryconfig/emulator-log", {"Enabled": False})
    refused = shop.call("POST", path, {"SupplierID": "S"})
    assert refused.json()["Errors"][0]["ErrorCode"] == "Synchronize.EntitySyncForSupplierNotEnabled"


def test_delivery_configurations_keep_their_secrets(shop: Shop) -> None:
    path = "/integrations/deliveryconfig"
    made = shop.call("POST", path, {"ID": "D", "Name": "x", "DeliveryTargets": {
        "Http": {"Endpoint": "https://x.example", "Secret": "hunter2"}}})  # fmt: skip
    assert made.status_code == 201
    assert "hunter2" not in made.text + shop.call("GET", path).text
    both = {name: {"ApiKey": "k", "Endpoint": "e", "TargetSchemaName": "s"}
            for name in ("ContentHub", "Mailchimp")}  # fmt: skip
    known = {"Name": "x", "DeliveryTargets": both}
    assert shop.refusal("POST", path, known) == (400, "ValidationFailure")
    in_use = shop.call("DELETE", path + "/emulator-log").json()
    assert in_use["Errors"][0]["ErrorCode"] == "DeliveryConfig.CannotDeleteConfigInUse"
    assert shop.call("DELETE", path + "/D").status_code == 204


def test_logs_are_cut_by_number(shop: Shop) -> None:
    shop.get("/me")
    shop.get("/me")
    logged = shop.requests()
    later = HTTP.get(shop.url + f"/_emulator/requests?after={logged[-2]['n']}").json()
    assert later == logged[-1:]
    assert not [r for r in logged if "_emulator" in r["path"]]


def test_a_wrong_seed_is_refused(shop: Shop) -> None:
    assert HTTP.post(shop.url + "/_emulator/seed", json={"produkt": []}).status_code == 400
