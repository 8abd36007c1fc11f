"""Lists: filters, order, pages, and what the search index makes of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.builders import Shop
from tests.emulator.test_emulator import ADDRESS, USER, plant

FRUIT: list[dict[str, Any]] = [
    {"ID": "A", "Name": "Apple", "xp": {"n": 1, "Deep": {"er": "x"}}, "Description": "x", "Active": True},
    {"ID": "B", "Name": "Berry", "xp": {"n": 2}}, {"ID": "C", "Name": "Cherry", "xp": {"n": 3}},
]  # fmt: skip


def found(shop: Shop, path: str) -> str:
    return "".join(item["ID"] for item in shop.get(path)["Items"])


def test_pages_and_meta(shop: Shop) -> None:
    shop.seed(catalog=[{"ID": f"C{n:02}", "Name": str(n)} for n in range(25)])
    first, last, none = (shop.get(f"/catalogs?{q}") for q in ("", "page=2", "ID=nope"))
    assert len(first["Items"]) == 20
    assert last["Meta"] == {"Page": 2, "PageSize": 20, "TotalCount": 25, "TotalPages": 2,
                            "ItemRange": [21, 25], "NextPageKey": None}  # fmt: skip
    assert (none["Meta"]["TotalPages"], none["Meta"]["ItemRange"]) == (0, [1, 0])
    assert shop.get("/products")["Meta"]["Facets"] == []


@pytest.mark.parametrize(("query", "expected"), [
    ("ID=a|C", "AC"), ("ID=!A", "BC"), ("Name=*pp*", "A"), ("Name=ap*", "A"), ("Name=*y", "BC"),
    ("ID=>A", "BC"), ("ID=!>A", "A"), ("xp.n=>1", "BC"), ("xp.n=1|3", "AC"), ("Description=!*", "BC"),
    ("xp.n=!<2", "BC"), ("xp.n=!>2", "AB"), ("xp.Deep.er=x", "A"), ("xp.n=>1&xp.n=<3", "B"),
    ("Active=true", "A"), ("sortBy=!Name", "CBA"), ("search=err", "BC"), ("search=a&searchOn=ID", "A"),
    ("Description=*", "A"), ("Name=BERRY", "B"), ("sortBy=ID&ID=>A&pageSize=1", "B"), ("sortBy=!OwnerID,!Name", "CBA"),
])  # fmt: skip
def test_filters_and_order(shop: Shop, query: str, expected: str) -> None:
    shop.seed(catalog=FRUIT)
    assert found(shop, "/catalogs?" + query) == expected


@pytest.mark.parametrize(("query", "code"), [
    ("pageSize=101", "List.InvalidPageSize"), ("page=0", "List.InvalidPageSize"), ("page=x", "List.InvalidType"),
    ("Colour=red", "List.InvalidProperty"), ("name=x", "List.InvalidProperty"), ("sortBy=Colour", "List.InvalidSortProperty"),
    ("searchOn=Colour&search=x", "List.InvalidSearchProperty"), ("Active=perhaps", "List.InvalidType"),
    ("CategoryCount=many", "List.InvalidType"), ("page=1001&pageSize=100", "Search.ResultSetTooLarge"),
    ("sortBy=Active", "List.InvalidSortProperty"), ("sortBy=xp.n", "List.InvalidSortProperty"),
    ("searchOn=Active&search=x", "List.InvalidSearchProperty"), ("searchType=AnyTerm", "List.InvalidProperty"),
    ("Name|ID=a", "List.InvalidProperty"),
])  # fmt: skip
def test_what_a_list_refuses(shop: Shop, query: str, code: str) -> None:
    assert shop.refusal("GET", "/catalogs?" + query) == (400, code)


@pytest.mark.parametrize(("query", "expected"), [
    ("sortBy=xp.n&xp.n=!2", "AC"), ("Name|ID=berry|c", "BC"), ("sortBy=!Active,!Name", "ACB"),
    ("search=ripe cherry&searchOn=Description,Name", "ABC"), ("depth=all", "ABC"), ("searchType=AllTermsAnyField&search=ripe cherry", "C"),
    ("searchType=AllTermsSameField&search=ripe cherry", ""), ("searchType=AllTermsSameField&search=ripe so", "ABC"),
    ("searchType=ExactPhrase&search=so ripe", "ABC"), ("searchType=ExactPhrase&search=ripe so", ""),
    ("searchType=ExactPhrasePrefix&search=berr", "B"),
])  # fmt: skip
def test_the_search_index_takes_more(shop: Shop, query: str, expected: str) -> None:
    shop.seed(product=[{**fruit, "Description": "so ripe"} for fruit in FRUIT])
    assert found(shop, "/products?" + query) == expected


def test_a_search_type_is_one_of_five(shop: Shop) -> None:
    refused = shop.refusal("GET", "/products?searchType=Fuzzy&search=a")
    assert refused == (400, "List.InvalidType")


@pytest.mark.parametrize(("kind", "organization", "path"), [
    ("buyer", "BuyerID", "/buyers/O"), ("supplier", "SupplierID", "/suppliers/O"),
])  # fmt: skip
def test_users_are_listed_by_their_group(
    shop: Shop, kind: str, organization: str, path: str
) -> None:
    shop.seed(**{kind: [{"ID": "O", "Name": "o"}]})
    for name in ("U", "V"):
        shop.call("PUT", f"{path}/users/{name}", {**USER, "Username": name})
    shop.call("PUT", f"{path}/usergroups/G", {"Name": "g"})
    shop.call("POST", f"{path}/usergroups/assignments", {"UserGroupID": "G", "UserID": "V"})
    assert found(shop, f"{path}/users?userGroupID=G") == "V"
    assert found(shop, f"{path}/users?usergroupid=none") == ""


def test_the_last_id_leads_through_everything(shop: Shop) -> None:
    """Beyond page 30 one goes on by the last ID, until nothing is left."""
    names = [f"p{n:03}" for n in range(250)]
    shop.seed(product=[{"ID": name, "Name": name} for name in reversed(names)])
    seen: list[str] = []
    while items := shop.get(
        "/products?page=1&pageSize=100&sortBy=ID" + (f"&ID=>{seen[-1]}" if seen else "")
    )["Items"]:
        seen += [item["ID"] for item in items]
        shop.call("PUT", "/products/zz", {"Name": "came meanwhile"})
    assert seen == [*names, "zz"]


def test_a_page_key_leads_on_where_it_is_given(shop: Shop) -> None:
    shop.seed(product=[{"ID": f"p{n}", "Name": "x"} for n in (3, 1, 2)])
    assert shop.get("/products?pageSize=2")["Meta"]["NextPageKey"] is None
    shop.switch(page_keys="given")
    first = shop.get("/products?pageSize=2")
    key = first["Meta"]["NextPageKey"]
    assert [item["ID"] for item in first["Items"]] == ["p1", "p2"]
    second = shop.get(f"/products?pageKey={key}")
    assert [item["ID"] for item in second["Items"]] == ["p3"]
    assert second["Meta"]["NextPageKey"] is None
    assert shop.refusal("GET", "/products?pageKey=%21")[1] == "Search.InvalidQuery"


def test_lists_that_take_more(shop: Shop) -> None:
    """Products by catalog, category, supplier and stock; users by group; records with addresses."""
    plant(shop)
    shop.seed(
        product=[{"ID": "Q", "Name": "Q", "Inventory": {"Enabled": True}}],
        category=[{"CatalogID": "C", "ID": "K", "Name": "K"}],
        inventory=[{"ProductID": "Q", "ID": "R", "AddressID": "A0", "QuantityAvailable": 8}],
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "G"}],
        **{"catalog-product": [{"CatalogID": "C", "ProductID": p} for p in "PQ"],
           "category-product": [{"CatalogID": "C", "CategoryID": "K", "ProductID": "Q"}],
           "buyer-user": [{"BuyerID": "B", "ID": n, **USER, "Username": n} for n in ("u1", "u2")],
           "usergroup-assignment": [{"BuyerID": "B", "UserGroupID": "G", "UserID": "u2"}]},
    )  # fmt: skip
    shop.call("PUT", "/products/P/suppliers/S0")
    assert found(shop, "/products?catalogID=C") == "PQ"
    assert found(shop, "/products?catalogID=C&categoryID=K") == "Q"
    assert (
        shop.refusal("GET", "/products?categoryID=K")[1]
        == "Product.CategoryFilterRequiresCatalogID"
    )
    assert found(shop, "/products?supplierID=S0") == "P"
    assert found(shop, "/products?Inventory.QuantityAvailable=>5") == "Q"
    assert found(shop, "/products?InventoryRecords.AddressID=A0") == "Q"
    assert found(shop, "/products?InventoryRecords.QuantityAvailable=<8") == ""
    assert found(shop, "/buyers/B/users?userGroupID=G") == "u2"
    assert found(shop, "/buyerusers?Username=u1|u2") == "u1u2"
    records = "/products/Q/inventoryrecords"
    assert shop.get(records)["Items"][0]["Address"] is None
    assert shop.get(records + "?includeAddress=true")["Items"][0]["Address"]["City"] == "c"


def test_assignment_lists_by_their_parameters(shop: Shop) -> None:
    plant(shop)
    shop.seed(
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "G"}],
        **{"price-schedule": [{"ID": "PS", "Name": "x"}],
           "product-assignment": [{"ProductID": "P", "BuyerID": "B", "PriceScheduleID": "PS"},
                                  {"ProductID": "P", "BuyerID": "B", "UserGroupID": "G"}]},
    )  # fmt: skip

    def count(query: str) -> int:
        return len(shop.get("/products/assignments?" + query)["Items"])

    assert count("productID=P") == 2
    assert count("productID=P&level=Group") == 1
    assert count("level=Company") == count("priceScheduleID=PS") == count("userGroupID=G") == 1
    assert count("buyerID=none") == 0


def test_product_lists_live_in_the_past(shop: Shop) -> None:
    """What was new, changed or deleted a moment ago is not so in the index; the answer is fresh."""
    shop.seed(product=[{"ID": "P", "Name": "old"}, {"ID": "G", "Name": "goes"}])
    shop.switch(product_lag=0.4)
    until = time.monotonic() + 0.4
    assert shop.call("PATCH", "/products/P", {"Name": "new"}).json()["Name"] == "new"
    shop.call("PUT", "/products/N", {"Name": "made"})
    shop.call("DELETE", "/products/G")

    def names(path: str) -> list[str]:
        return [item["Name"] for item in shop.get(path)["Items"]]

    listed, single = names("/products"), shop.get("/products/P")["Name"]
    by_id = names("/products?ID=P|N")
    shop.switch(lag_get=True)
    lagging = [shop.call("GET", f"/products/{name}").status_code for name in "PNG"]
    stale = shop.get("/products/P")["Name"]
    if time.monotonic() < until:
        assert (listed, by_id, single) == (["old", "goes"], ["old"], "new")
        assert (lagging, stale) == ([200, 404, 200], "old")
    time.sleep(max(0.0, until + 0.45 - time.monotonic()))
    assert names("/products") == ["new", "made"]
    assert [shop.call("GET", f"/products/{name}").status_code for name in "PNG"] == [200, 200, 404]


def test_a_product_of_another_xp_type_is_not_listed(shop: Shop) -> None:
    """The index takes the type it saw first; what does not fit is still there by its ID."""
    for name, value in (("A", 1), ("B", 2.5), ("C", "three"), ("D", None)):
        shop.call("PUT", f"/products/{name}", {"Name": "x", "xp": {"size": value}})
    assert found(shop, "/products") == "ABD"
    assert shop.get("/products/C")["xp"] == {"size": "three"}
    shop.call("PATCH", "/products/C", {"xp": {"size": 3}})
    assert found(shop, "/products") == "ABCD"


def test_categories_by_depth(shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "C"}], category=[
        {"CatalogID": "C", "ID": "1", "Name": "x"}, {"CatalogID": "C", "ID": "2", "Name": "x", "ParentID": "1"},
        {"CatalogID": "C", "ID": "3", "Name": "x", "ParentID": "2"}])  # fmt: skip
    assert [found(shop, f"/catalogs/C/categories{q}") for q in ("", "?depth=2", "?depth=all")] == [
        "1",
        "12",
        "123",
    ]
    assert shop.refusal("GET", "/catalogs/C/categories?depth=0")[0] == 400
    counts: dict[str, Any] = {
        c["ID"]: c["ChildCount"] for c in shop.get("/catalogs/C/categories?depth=all")["Items"]
    }
    assert counts == {"1": 1, "2": 1, "3": 0}
    assert shop.get("/catalogs/C")["CategoryCount"] == 3


def test_addresses_of_suppliers_and_buyers(shop: Shop) -> None:
    plant(shop)
    for place in ("/suppliers/S0/addresses", "/buyers/B/addresses"):
        shop.call("PUT", place + "/X", ADDRESS)
        assert found(shop, place) == "X"
    assert shop.call("GET", "/addresses/X").status_code == 404
