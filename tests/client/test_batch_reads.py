"""Reads of many refs: which lists are asked for, and what is read by itself after all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ocsync.client import Api, read_current
from tests.builders import Shop
from tests.client.test_client import talk
from tests.intercepting import Answer, Request, intercepting

Accept = Callable[[str, dict[str, Any]], bool]


def read(url: str, refs: list[str], accept: Accept | None = None) -> dict[str, Any]:
    async def task(api: Api) -> dict[str, Any]:
        return {ref: found async for ref, found in read_current(api, refs, accept=accept)}

    return talk(url, task)


def reads(shop: Shop) -> list[str]:
    """The GETs so far, as path and query."""
    return sorted(
        f"{r['path'].removeprefix('/v1')}?{r['query']}".rstrip("?")
        for r in shop.requests()
        if r["method"] == "GET"
    )


def goods(shop: Shop, number: int, buyers: int = 1) -> None:
    shop.seed(
        catalog=[{"ID": "C", "Name": "c"}],
        buyer=[{"ID": f"B{b}", "Name": "b", "DefaultCatalogID": "C"} for b in range(buyers)],
        **{
            "catalog-assignment": [
                {
                    "CatalogID": "C",
                    "BuyerID": f"B{b}",
                    "ViewAllCategories": True,
                    "ViewAllProducts": True,
                }
                for b in range(buyers)
            ]
        },
        product=[{"ID": f"P{n}", "Name": "p"} for n in range(number)],
    )
    shop.seed(
        **{"catalog-product": [{"CatalogID": "C", "ProductID": f"P{n}"} for n in range(number)]}
    )


def assigned(shop: Shop, number: int, buyer: str = "B0") -> None:
    rows = [{"ProductID": f"P{n}", "BuyerID": buyer} for n in range(number)]
    shop.seed(**{"product-assignment": rows})


def test_assignments_are_listed_by_the_parameter_with_the_fewest_values(shop: Shop) -> None:
    goods(shop, 240)
    assigned(shop, 230)
    refs = [f"product-assignment/p{n}/{'b0' if n % 2 else 'B0'}" for n in range(240)]

    found = read(shop.url, refs)

    assert len(reads(shop)) == 3, "the pages of one buyer's list"
    assert [ref for ref in refs if not found[ref]] == refs[230:]
    assert found["product-assignment/p7/b0"]["ProductID"] == "P7"


def test_few_assignments_out_of_a_long_list_are_listed_by_the_other_parameter(shop: Shop) -> None:
    goods(shop, 350)
    assigned(shop, 350)
    found = read(shop.url, ["product-assignment/P7/B0", "product-assignment/P300/B0"])
    assert all(found.values())
    assert len(reads(shop)) == 3
    assert [one for one in reads(shop) if "productID" not in one] == [
        "/products/assignments?buyerID=B0&pageSize=100"
    ]


def test_a_list_too_long_for_page_numbers_is_not_walked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocsync.client.batch_reads.MAX_PAGE_NUMBER", 2)
    goods(shop, 210)
    assigned(shop, 210)
    refs = [f"product-assignment/P{n}/B0" for n in range(210)]
    assert all(read(shop.url, refs).values())
    assert not [one for one in reads(shop) if "page=3" in one]
    assert len(reads(shop)) == 211


def test_assignments_of_a_buyer_and_of_its_groups_are_told_apart(shop: Shop) -> None:
    goods(shop, 3)
    shop.seed(usergroup=[{"BuyerID": "B0", "ID": "G", "Name": "g"}])
    assigned(shop, 1)
    rows = [{"ProductID": "P1", "BuyerID": "B0", "UserGroupID": "G"}]
    shop.seed(**{"product-assignment": rows})
    refs = [f"product-assignment/P{n}/B0{group}" for n in range(3) for group in ("", "/G")]
    found = read(shop.url, refs)
    assert [ref for ref in refs if found[ref]] == [refs[0], refs[3]]
    assert reads(shop) == ["/products/assignments?buyerID=B0&pageSize=100"]


def test_what_moved_between_two_pages_is_read_by_itself(shop: Shop) -> None:
    """One of the first page is deleted before the second is read, so that another moves up."""
    goods(shop, 150)
    assigned(shop, 150)
    met: list[str] = []

    def hook(request: Request) -> Answer:
        query = parse_qs(urlsplit(request.path).query)
        if query.get("page") == ["2"] and "productID" not in query and not met:
            met.append(request.path)
            shop.call("DELETE", "/products/P0/assignments/B0")
        return request.forward()

    with intercepting(shop.url, hook) as url:
        refs = [f"product-assignment/P{n}/B0" for n in range(1, 150)]
        found = read(url, refs)
    assert met
    assert all(found.values())


@pytest.mark.parametrize("accepts", [True, False])
def test_products_are_listed_when_their_documents_are_accepted(shop: Shop, accepts: bool) -> None:
    shop.seed(product=[{"ID": f"P{n}", "Name": f"p{n}"} for n in range(130)])
    refs = [f"product/P{n}" for n in range(130)]

    found = read(shop.url, refs, lambda ref, document: accepts)

    assert {ref: one["Name"] for ref, one in found.items()} == {
        f"product/P{n}": f"p{n}" for n in range(130)
    }
    assert len(reads(shop)) == (2 if accepts else 132)


def test_a_product_that_the_index_left_out_is_read_by_itself(shop: Shop) -> None:
    products = [{"ID": f"P{n}", "Name": "p", "xp": {"a": n}} for n in range(4)]
    shop.seed(product=products)
    shop.seed(product=[{"ID": "Q", "Name": "q", "xp": {"a": "text"}}])
    refs = [*(f"product/P{n}" for n in range(4)), "product/Q", "product/NONE"]
    found = read(shop.url, refs, lambda ref, document: True)
    assert found["product/Q"]["Name"] == "q"
    assert found["product/NONE"] is None
    assert [one for one in reads(shop) if "?" not in one] == ["/products/NONE", "/products/Q"]


def test_products_whose_list_is_refused_are_read_by_themselves(shop: Shop) -> None:
    shop.seed(product=[{"ID": f"P{n}", "Name": "p"} for n in range(3)])
    refused = json.dumps({"Errors": [{"ErrorCode": "Product.CacheBuilding", "Message": "x"}]})

    def hook(request: Request) -> Answer:
        listed = request.path.startswith("/v1/products?")
        return Answer(400, refused.encode()) if listed else request.forward()

    with intercepting(shop.url, hook) as url:
        found = read(url, [f"product/P{n}" for n in range(3)], lambda ref, document: True)
    assert all(isinstance(one, dict) for one in found.values())


def test_without_a_judge_each_product_is_read_by_itself(shop: Shop) -> None:
    shop.seed(product=[{"ID": f"P{n}", "Name": "p"} for n in range(3)])
    read(shop.url, [f"product/P{n}" for n in range(3)])
    assert reads(shop) == ["/products/P0", "/products/P1", "/products/P2"]
