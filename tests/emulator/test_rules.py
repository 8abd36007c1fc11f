"""What a write may not do, what it brings along, and what a delete takes along."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.builders import Shop
from tests.emulator.test_emulator import USER, plant

BREAKS = [{"Quantity": 1, "Price": 2.5}, {"Quantity": 10, "Price": 2.0}]
RECORD = {"AddressID": "A0", "QuantityAvailable": 3}


@pytest.fixture(autouse=True)
def _goods(shop: Shop) -> None:
    plant(shop)
    shop.seed(
        product=[
            {"ID": "PARENT", "Name": "p", "IsParent": True, "Description": "of the parent", "xp": {"a": 1}},
            {"ID": "CHILD", "Name": "c", "ParentID": "PARENT", "xp": {"b": 2}},
            {"ID": "V", "Name": "v", "Inventory": {"Enabled": True, "VariantLevelTracking": True}},
        ],
        bundle=[{"ID": "BU", "Name": "b"}],
        **{"price-schedule": [{"ID": "PS", "Name": "x", "PriceBreaks": BREAKS, "Currency": "EUR"}]},
    )  # fmt: skip


REFUSED: list[tuple[str, str, Any, str]] = [
    ("PUT", "/products/X", {"Name": "x", "ParentID": "P"}, "Product.IsNotParent"),
    ("PATCH", "/products/CHILD", {"Inventory": {"VariantLevelTracking": True}}, "InventoryConfiguration.CannotSetVariantLevelTracking"),
    ("PUT", "/products/V/inventoryrecords/R", RECORD, "InventoryConfiguration.CannotCreateInventoryRecord"),
    ("PUT", "/products/CHILD/inventoryrecords/R", RECORD, "InventoryConfiguration.ProductInventoryMustExist"),
    ("DELETE", "/products/PARENT", None, "Product.CannotDeleteParentProduct"),
    ("POST", "/catalogs/productassignments", {"CatalogID": "C", "ProductID": "CHILD"}, "Catalog.CannotAssignChildProduct"),
    ("PATCH", "/priceschedules/PS", {"PriceBreaks": [BREAKS[0], BREAKS[0]]}, "PriceSchedule.DuplicatePriceBreaks"),
    ("PATCH", "/priceschedules/PS", {"PriceBreaks": []}, "PriceSchedule.CannotClearPriceBreaks"),
    ("PATCH", "/priceschedules/PS", {"PriceBreaks": [{"Quantity": 1}]}, "ValidationFailure"),
    ("PATCH", "/priceschedules/PS", {"PriceBreaks": [{"Quantity": 1, "Price": False}]}, "ValidationFailure"),
    ("PATCH", "/priceschedules/PS", {"PriceBreaks": [{"Quantity": -1, "Price": 1}]}, "ValidationFailure"),
    ("PATCH", "/priceschedules/PS", {"PriceBreaks": [5]}, "ValidationFailure"),
    ("POST", "/priceschedules/PS/PriceBreaks", {"Quantity": 1, "Price": True}, "ValidationFailure"),
    ("PATCH", "/catalogs/C", {"Active": None}, "ValidationFailure"),
    ("PATCH", "/products/V", {"Inventory": {"OrderCanExceed": None}}, "ValidationFailure"),
    ("POST", "/catalogs/assignments", {"CatalogID": "C", "BuyerID": "B", "ViewAllProducts": None}, "ValidationFailure"),
    ("PATCH", "/integrations/productsync", {"Paused": None}, "ValidationFailure"),
    ("PUT", "/products/X", {"Name": "x", "OwnerID": "stranger"}, "NotFound"),
    ("PUT", "/priceschedules/X", {"Name": "x", "OwnerID": "stranger"}, "NotFound"),
    ("PATCH", "/priceschedules/PS", {"MinQuantity": 5, "MaxQuantity": 2}, "PriceSchedule.MinGreaterThanMax"),
    ("PATCH", "/priceschedules/PS", {"SaleStart": "2026-02-01", "SaleEnd": "2026-01-01"}, "PriceSchedule.InvalidSaleStartOrSaleEnd"),
    ("PUT", "/catalogs/C", {"Name": 5}, "ValidationFailure"),
    ("PATCH", "/catalogs/C", {"Name": ""}, "ValidationFailure"),
    ("PUT", "/catalogs/C", ["no", "object"], "Request.InvalidRequestBody"),
    ("PATCH", "/catalogs/C", {"xp": {"a": "x" * 8000}}, "ValidationFailure"),
    ("PUT", "/addresses/A0", {"Street1": "s", "City": "c", "Country": "US", "State": "NY"}, "ValidationFailure"),
    ("POST", "/catalogs", {"ID": "{inc}", "Name": "x"}, "ValidationFailure"),
    ("POST", "/catalogs", {"ID": "c", "Name": "x"}, "IdExists"),
    ("POST", "/catalogs/C/categories/assignments", {"CategoryID": "K", "BuyerID": "B"}, "NotFound"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "path", "body", "code"), REFUSED, ids=[f"{r[3]}-{r[0]}" for r in REFUSED]
)
def test_what_is_refused(shop: Shop, verb: str, path: str, body: Any, code: str) -> None:
    before = shop.call("GET", path).text if verb != "POST" else ""
    assert shop.refusal(verb, path, body)[1] == code
    assert not before or shop.call("GET", path).text == before, "nothing was kept"


def test_rules_that_need_something_first(shop: Shop) -> None:
    shop.call("POST", "/bundles/productassignments", {"BundleID": "BU", "ProductID": "P"})
    assert shop.refusal("DELETE", "/products/P")[1] == "Product.CannotDeleteProductAssingedToBundle"
    shop.call("PUT", "/products/P/inventoryrecords/R", RECORD)
    patch = {"Inventory": {"VariantLevelTracking": True}}
    assert (
        shop.refusal("PATCH", "/products/P", patch)[1]
        == "InventoryConfiguration.CannotChangeVariantLevelTracking"
    )
    assert shop.call("PATCH", "/priceschedules/PS", {"Currency": "USD"}).status_code == 200
    shop.call("PATCH", "/products/P", {"DefaultPriceScheduleID": "PS"})
    assert (
        shop.refusal("PATCH", "/priceschedules/PS", {"Currency": "EUR"})[1]
        == "PriceSchedule.CannotModifyCurrency"
    )


def test_children_inherit_what_is_null(shop: Shop) -> None:
    child = shop.get("/products/CHILD")
    assert (child["Name"], child["Description"], child["xp"]) == (
        "c",
        "of the parent",
        {"a": 1, "b": 2},
    )
    shop.call("PATCH", "/products/PARENT", {"Description": "changed"})
    assert shop.get("/products/CHILD")["Description"] == "changed"
    assert shop.get("/products/CHILD")["IsParent"] is False


def test_price_breaks(shop: Shop) -> None:
    path = "/priceschedules/PS/PriceBreaks"
    made = shop.call("POST", path, {"Quantity": 5, "Price": 2.2, "SalePrice": 1.0})
    assert made.status_code == 201
    assert [b["Quantity"] for b in made.json()["PriceBreaks"]] == [1, 5, 10]
    assert made.json()["IsOnSale"] is True
    shop.call("PATCH", "/priceschedules/PS", {"SaleEnd": "2001-01-01T00:00:00Z"})
    assert shop.get("/priceschedules/PS")["IsOnSale"] is False
    assert [shop.call("DELETE", f"{path}?quantity={n}").status_code for n in (5, 10, 7)] == [
        204,
        204,
        404,
    ]
    assert (
        shop.refusal("DELETE", path + "?quantity=1")[1]
        == "PriceSchedule.CannotDeleteLastPriceBreak"
    )


def test_variants_come_from_specs(shop: Shop) -> None:
    for spec, options in (("size", "sl"), ("colour", "r")):
        shop.call("PUT", f"/specs/{spec}", {"Name": spec, "DefinesVariant": True})
        for one in options:
            shop.call("PUT", f"/specs/{spec}/options/{one}", {"Value": one.upper()})
        shop.call("POST", "/specs/productassignments", {"SpecID": spec, "ProductID": "V"})
    answer = shop.call("POST", "/products/V/variants/generate", {"Active": True})
    assert answer.status_code == 201
    product = answer.json()
    assert (product["VariantCount"], product["SpecCount"]) == (2, 2)
    variants = shop.get("/products/V/variants")["Items"]
    assert [(v["ID"], v["Active"], len(v["Specs"])) for v in variants] == [
        ("V-r-l", True, 2),
        ("V-r-s", True, 2),
    ]
    assert [s["ID"] for s in shop.get("/products/V/specs")["Items"]] == ["size", "colour"]
    shop.call("PATCH", "/products/V/variants/V-r-s", {"Description": "mine"})
    shop.call("POST", "/products/V/variants/generate")
    assert shop.get("/products/V/variants/V-r-s")["Description"] == "mine"
    assert {v["Name"] for v in variants} == {None}, "as downloads show them"
    shop.call("DELETE", "/specs/colour/productassignments/V")
    shop.call("POST", "/products/V/variants/generate?overwriteExisting=true")
    assert [v["ID"] for v in shop.get("/products/V/variants")["Items"]] == ["V-l", "V-s"]
    for verb in ("POST", "DELETE"):
        assert (
            shop.call(verb, "/products/V/variants" + "/V-s" * (verb == "DELETE"), {}).status_code
            == 404
        )
    record = shop.call("PUT", "/products/V/variants/V-s/inventoryrecords/R", RECORD)
    assert record.status_code == 200
    assert shop.get("/products/V")["Inventory"]["QuantityAvailable"] == 3


def test_links_between_products_suppliers_and_buyers(shop: Shop) -> None:
    assert shop.call("PUT", "/products/P/suppliers/S0?defaultPriceScheduleID=PS").status_code == 204
    [linked] = shop.get("/products/P/suppliers")["Items"]
    assert (linked["ID"], linked["DefaultPriceScheduleID"]) == ("S0", "PS")
    shop.seed(supplier=[{"ID": "S1", "Name": "s"}])
    shop.call("PATCH", "/products/P", {"DefaultSupplierID": "S1"})
    assert len(shop.get("/products/P/suppliers")["Items"]) == 2
    assert shop.call("PUT", "/suppliers/S0/buyers/B").status_code == 204
    assert [b["ID"] for b in shop.get("/suppliers/S0/buyers")["Items"]] == ["B"]
    assert [s["ID"] for s in shop.get("/buyers/B/sellers")["Items"]] == ["emulator", "S0"]
    assert shop.call("DELETE", "/suppliers/S0/buyers/B").status_code == 204
    assert shop.call("DELETE", "/suppliers/S0").status_code == 204
    assert [s["ID"] for s in shop.get("/products/P/suppliers")["Items"]] == ["S1"]


def test_a_suppliers_records_are_at_its_own_addresses(shop: Shop) -> None:
    shop.call("PUT", "/suppliers/S0/addresses/dock", {"Street1": "s", "City": "c", "Country": "DE", "Zip": "20457"})  # fmt: skip
    path, own = "/products/P/inventoryrecords/R", {"AddressID": "dock"}
    assert shop.refusal("PUT", path, own)[1] == "NotFound"
    assert shop.call("PUT", path, {**own, "OwnerID": "S0"}).json()["OwnerID"] == "S0"
    shop.call("PATCH", path, {"OwnerID": "other"})
    assert shop.get(path)["OwnerID"] == "S0", "an owner is for ever"
    assert shop.refusal("DELETE", "/suppliers/S0/addresses/dock")[0] == 400
    assert shop.refusal("PUT", path + "2", {"AddressID": "A0", "OwnerID": "S0"})[1] == "NotFound"
    [record] = shop.get("/products/P/inventoryrecords?includeAddress=true")["Items"]
    assert record["Address"]["ID"] == "dock"
    assert shop.messages()[-1]["payload"]["InventoryRecords"][0]["Zip"] == "20457"


def test_numbers_may_be_text(shop: Shop) -> None:
    breaks = [{"Quantity": "1", "Price": "29.99", "SalePrice": "20"}]
    fields = {"PriceBreaks": breaks, "MinQuantity": "2"}
    saved = shop.call("PATCH", "/priceschedules/PS", fields).json()
    assert saved["MinQuantity"] == 2
    assert saved["PriceBreaks"] == [{"Quantity": 1, "Price": 29.99, "SalePrice": 20.0}]
    stock = shop.call("PATCH", "/products/V", {"Inventory": {"NotificationPoint": "-5"}})
    assert stock.json()["Inventory"]["NotificationPoint"] == -5
    for wrong in ("1.5", "one", "", "9999999999"):
        assert shop.refusal("PATCH", "/priceschedules/PS", {"MinQuantity": wrong})[0] == 400


def test_read_only_flags_and_lists_are_never_null(shop: Shop) -> None:
    shop.switch(generate_without_options="one")
    assert shop.call("POST", "/products/V/variants/generate").status_code == 201
    [variant] = shop.get("/products/V/variants")["Items"]
    assert (variant["Name"], variant["Specs"]) == (None, [])
    assert shop.get("/products/V")["IsBundle"] is False
    shop.call("PUT", "/buyers/B/users/U", USER)
    assert shop.get("/buyers/B/users/U")["AvailableRoles"] == []


def test_an_owner_is_the_marketplace_or_a_supplier(shop: Shop) -> None:
    for number, owner in enumerate(("S0", "s0", "EMULATOR", "")):
        fields = {"Name": "x", "OwnerID": owner}
        assert shop.call("PUT", f"/products/X{number}", fields).status_code == 200
    shop.call("DELETE", "/suppliers/S0")
    assert shop.call("PATCH", "/products/X0", {"Name": "still there"}).status_code == 200


def test_a_user_that_a_client_acts_as_stays(shop: Shop) -> None:
    shop.call("PUT", "/adminusers/U", USER)
    robot = {"ID": "robot", "Secret": "s", "Roles": [], "User": USER["Username"]}
    shop.seed(clients=[robot])
    refused = shop.refusal("DELETE", "/adminusers/U")
    assert refused == (409, "User.CannotDeleteDefaultContextUser")


def test_users_move_and_are_unique(shop: Shop) -> None:
    shop.seed(
        buyer=[{"ID": "B2", "Name": "x", "DefaultCatalogID": "C"}],
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "g"}],
    )
    shop.call("PUT", "/buyers/B/users/U", {**USER, "Password": "geheim1"})
    shop.call("POST", "/buyers/B/usergroups/assignments", {"UserGroupID": "G", "UserID": "U"})
    assert shop.refusal("PUT", "/adminusers/other", USER)[1] == "User.UsernameMustBeUnique"
    for orders in ("", "?orders=Some"):
        refused = shop.refusal("POST", "/buyers/B/users/U/moveto/B2" + orders)
        assert refused == (400, "ValidationFailure")
    moved = shop.call("POST", "/buyers/B/users/U/moveto/B2?orders=None").json()
    assert moved["CompanyID"] == "B2"
    assert "Password" not in moved
    assert shop.call("GET", "/buyers/B/users/U").status_code == 404
    assert shop.get("/buyers/B/usergroups/assignments")["Items"] == []
    assert shop.call("PATCH", "/buyers/B2", {"ID": "B3"}).json()["ID"] == "B3"
    assert shop.refusal("PUT", "/adminusers/other", USER)[1] == "User.UsernameMustBeUnique"
    assert shop.get("/buyers/B3/users/U")["CompanyID"] == "B3"
    shop.call("DELETE", "/buyers/B3")
    assert shop.call("PUT", "/adminusers/other", USER).status_code == 200


@pytest.mark.parametrize("body", [{"QuantityAvailable": 40}, {"ID": "", "xp": {"a": 1}}])
def test_a_patch_without_an_id_keeps_its_spelling(shop: Shop, body: Any) -> None:
    shop.stock(records=1, products=1)
    patched = shop.call("PATCH", "/products/p0/inventoryrecords/r0", body)
    assert patched.json()["ID"] == "R0"
    assert shop.get("/products/P0/inventoryrecords/R0")["ID"] == "R0"
    assert {tuple(r[n] for n in ("ProductID", "ID")) for r in shop.state()["inventory"]} >= {
        ("P0", "R0")
    }
    assert shop.messages()[-1]["payload"]["ID"] == "R0"


def test_a_put_of_a_variant_without_an_id_keeps_its_spelling(shop: Shop) -> None:
    shop.switch(generate_without_options="one")
    shop.call("POST", "/products/V/variants/generate")
    assert shop.call("PUT", "/products/v/variants/v", {"Name": "one"}).json()["ID"] == "V"


def test_a_patch_with_the_id_in_another_case_renames(shop: Shop) -> None:
    shop.stock(records=1, products=1)
    path = "/products/P0/inventoryrecords/"
    assert shop.call("PATCH", path + "R0", {"ID": "r0"}).json()["ID"] == "r0"
    assert shop.get(path + "R0")["ID"] == "r0"


def test_a_rename_takes_along_what_hangs_on_it(shop: Shop) -> None:
    shop.call("PUT", "/products/P/inventoryrecords/R", RECORD)
    shop.call("POST", "/catalogs/productassignments", {"CatalogID": "C", "ProductID": "P"})
    for name, above in (("K", None), ("K2", "K")):
        shop.call("PUT", f"/catalogs/C/categories/{name}", {"Name": "k", "ParentID": above})
    shop.call("PATCH", "/products/P", {"ID": "NEW"})
    shop.call("PATCH", "/catalogs/C/categories/K", {"ID": "K1"})
    assert shop.get("/products/NEW/inventoryrecords/R")["QuantityAvailable"] == 3
    assert shop.get("/catalogs/productassignments")["Items"] == [
        {"CatalogID": "C", "ProductID": "NEW"}
    ]
    assert shop.get("/catalogs/C/categories/K2")["ParentID"] == "K1"
    shop.call("POST", "/catalogs/C/categories/productassignments", {"CategoryID": "K2", "ProductID": "NEW"})  # fmt: skip
    shop.call("PATCH", "/catalogs/C/categories/K1", {"ID": "K0"})
    [link] = shop.get("/catalogs/C/categories/productassignments")["Items"]
    assert link["CategoryID"] == "K2", "what hangs on a child stays there"
    assert shop.refusal("PATCH", "/catalogs/C/categories/K2", {"ID": "k0"}) == (409, "IdExists")
    assert shop.call("PATCH", "/catalogs/C/categories/K2", {"ID": "k2"}).json()["ID"] == "k2"


@pytest.mark.parametrize(("path", "names", "field"), [
    ("/catalogs/C", "/buyers/B", "DefaultCatalogID"), ("/suppliers/S0", "/products/P", "DefaultSupplierID"),
    ("/addresses/A0", "/products/P/inventoryrecords/R", "AddressID"), ("/addresses/A0", "/products/P", "ShipFromAddressID"),
    ("/priceschedules/PS", "/products/P", "DefaultPriceScheduleID"), ("/products/PARENT", "/products/CHILD", "ParentID"),
])  # fmt: skip
def test_what_names_another_follows_its_rename(
    shop: Shop, path: str, names: str, field: str
) -> None:
    shop.call("PUT", "/products/P/inventoryrecords/R", RECORD)
    assert shop.call("PATCH", names, {field: path.rpartition("/")[2]}).status_code == 200
    shop.call("PATCH", path, {"ID": "renamed"})
    assert shop.get(names)[field] == "renamed"
    assert shop.call("PATCH", names, {"xp": {"a": 1}}).status_code == 200


def test_what_named_something_deleted_is_left_with_null(shop: Shop) -> None:
    given = {"DefaultPriceScheduleID": "PS", "DefaultSupplierID": "S0"}
    assert shop.call("PATCH", "/products/P", given).json().items() >= given.items()
    shop.switch(product_resync="touched")
    before = len(shop.messages())
    for path in ("/priceschedules/PS", "/suppliers/S0"):
        assert shop.call("DELETE", path).status_code == 204
    left = shop.call("PATCH", "/products/P", {"Name": "goes on"}).json()
    assert {left[name] for name in given} == {None}
    assert "P" in {m["payload"]["ID"] for m in shop.messages()[before:-1]}


def test_a_put_renames_a_variant_and_keeps_what_is_not_its_own(shop: Shop) -> None:
    shop.seed(variant=[{"ProductID": "V", "ID": n, "Specs": [{"OptionID": n}]} for n in "ab"])
    path = "/products/V/variants/"
    assert shop.refusal("PUT", path + "a", {"ID": "b"}) == (409, "IdExists")
    before = len(shop.messages())
    put = shop.call("PUT", path + "a", {"ID": "c", "Name": "sea"}).json()
    assert (put["ID"], put["Name"], put["Specs"]) == ("c", "sea", [{"OptionID": "a"}])
    assert {v["ID"] for v in shop.get(path)["Items"]} == {"b", "c"}
    assert len(shop.messages()) == before + 1


def test_deletes_take_children_and_assignments_along(shop: Shop) -> None:
    shop.call("PUT", "/products/P/inventoryrecords/R", RECORD)
    shop.call(
        "POST",
        "/products/P/inventoryrecords/assignments",
        {"InventoryRecordID": "R", "BuyerID": "B"},
    )
    shop.call("POST", "/catalogs/productassignments", {"CatalogID": "C", "ProductID": "P"})
    shop.call("DELETE", "/products/P")
    assert shop.get("/catalogs/productassignments")["Items"] == []
    shop.call("PUT", "/products/P", {"Name": "again", "Inventory": {"Enabled": True}})
    assert shop.get("/products/P/inventoryrecords")["Items"] == []
    assert shop.get("/products/P/inventoryrecords/assignments")["Items"] == []


def test_list_orders_are_adjusted_on_request(shop: Shop) -> None:
    for number, name in enumerate("abc"):
        shop.call("PUT", f"/catalogs/C/categories/{name}", {"Name": name, "ListOrder": number})
    before = len(shop.messages())
    shop.call(
        "POST",
        "/catalogs/C/categories?adjustListOrders=true",
        {"ID": "new", "Name": "n", "ListOrder": 1},
    )
    orders = {
        c["ID"]: c["ListOrder"] for c in shop.get("/catalogs/C/categories?depth=all")["Items"]
    }
    assert orders == {"a": 0, "new": 1, "b": 2, "c": 3}
    assert len(shop.messages()) - before == 3


def test_groups_of_the_seller_and_of_suppliers(shop: Shop) -> None:
    shop.call("PUT", "/adminusers/U", {**USER, "Username": "a"})
    shop.call("PUT", "/suppliers/S0/users/U", {**USER, "Username": "b"})
    for place in ("", "/suppliers/S0"):
        shop.call("PUT", place + "/usergroups/G", {"Name": "g"})
        posted = shop.call(
            "POST", place + "/usergroups/assignments", {"UserGroupID": "G", "UserID": "U"}
        )
        assert posted.status_code == 204
        assert len(shop.get(place + "/usergroups/assignments?userID=U")["Items"]) == 1
        assert shop.call("DELETE", place + "/usergroups/G/assignments/U").status_code == 204


def test_bulk_jobs(shop: Shop) -> None:
    items = [
        {"ID": "A", "Name": "a"},
        {"ID": "B"},
        {"ID": "PS", "Name": "replaced", "PriceBreaks": BREAKS},
    ]
    taken = shop.call("POST", "/bulk/priceschedules/upsert", {"Items": items})
    assert (taken.status_code, taken.json()["ItemsReceived"]) == (202, 3)
    path = f"/bulk/jobs/{taken.json()['JobID']}"
    job = shop.get(path)
    while job["Status"] not in ("Completed", "Failed"):
        job = shop.get(path)
    assert (job["ItemsSucceeded"], job["ItemsFailed"]) == (2, 1)
    assert (job["Operation"], job["Resource"]) == ("Upsert", "PriceSchedules")
    assert re.fullmatch(r"bulk_01[0-9A-Z]{24}", job["JobID"])
    [error] = shop.get(path + "/errors")
    assert (error["ItemIndex"], error["ErrorCode"]) == (1, "ValidationFailure")
    assert shop.get("/priceschedules/PS")["Name"] == "replaced"
    shop.call("POST", "/bulk/priceschedules/delete", [{"ID": "A"}])
    assert shop.call("GET", "/priceschedules/A").status_code == 404
    discount = {"ID": "D", "DiscountBreaks": [{"Quantity": 1, "Amount": 10}]}
    shop.call("POST", "/bulk/discounts/upsert", [discount])
    shop.call("POST", "/bulk/discounts/assignments/upsert", [{"DiscountID": "D", "BuyerID": "B"}])
    assert shop.get("/discounts/assignments")["Items"] == [
        {"DiscountID": "D", "BuyerID": "B", "UserGroupID": None, "BuyerGroupID": None}
    ]
    assert shop.refusal("POST", "/bulk/discounts/upsert", [])[0] == 400
    large = [{"ID": "D", "Description": "x" * 1_000_000}] * 26
    assert shop.refusal("POST", "/bulk/discounts/upsert", large)[0] == 400
    assert shop.call("GET", "/bulk/jobs/none").status_code == 404
    shop.switch(bulk="absent")
    assert shop.refusal("POST", "/bulk/discounts/upsert", [discount]) == (404, "NotFound")
    assert shop.call("GET", path).status_code == 404


@pytest.mark.parametrize("path", [
    "/catalogs/none/categories/assignments", "/buyers/none/usergroups/assignments",
    "/products/none/suppliers", "/suppliers/none/buyers",
])  # fmt: skip
def test_assignments_of_what_does_not_exist_are_not_listed(shop: Shop, path: str) -> None:
    assert shop.refusal("GET", path) == (404, "NotFound")
