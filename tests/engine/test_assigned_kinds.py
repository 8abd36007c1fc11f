"""Assignments of several forms: links put at a path, and parties of different kinds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import Shop
from tests.conftest import Run

USER = {"FirstName": "f", "LastName": "l", "Email": "a@b.example", "Active": True}


def ok(run: Run, *words: str, code: int = 0, stdin: bytes = b"") -> Any:
    result = run(*words, stdin=stdin)
    assert result.code == code, (words, result)
    return result


@pytest.fixture
def supplied(ocsync: Run, shop: Shop) -> Run:
    """A product, two suppliers, and a price schedule."""
    shop.seed(
        product=[{"ID": "P", "Name": "p"}, {"ID": "Q", "Name": "q"}],
        supplier=[{"ID": "S", "Name": "s"}, {"ID": "T", "Name": "t"}],
        **{"price-schedule": [{"ID": "PS", "Name": "ps"}]},
    )
    return ocsync


def links(shop: Shop, product: str = "P") -> dict[str, Any]:
    items = shop.get(f"/products/{product}/suppliers")["Items"]
    return {one["ID"]: one["DefaultPriceScheduleID"] for one in items}


def test_a_supplier_is_put_at_a_product(supplied: Run, shop: Shop) -> None:
    ok(supplied, "stage", "assign", "product-supplier/P/S", "DefaultPriceScheduleID=PS")
    ok(supplied, "stage", "assign", "product-supplier/P/T")
    explained = ok(supplied, "plan", "--explain", "product-supplier/P/S").out
    assert "product-supplier/P/S   PUT" in explained
    ok(supplied, "resume", "--verify")
    assert links(shop) == {"S": "PS", "T": None}
    paths = {one["path"] + "?" + one["query"]: one.get("body") for one in shop.writes()}
    assert paths == {
        "/v1/products/P/suppliers/S?defaultPriceScheduleID=PS": None,
        "/v1/products/P/suppliers/T?": None,
    }
    assert [one["payload"]["Suppliers"] for one in shop.messages()][-1] in (["S", "T"], ["T", "S"])

    sent = len(shop.writes())
    ok(supplied, "stage", "assign", "product-supplier/p/s", "DefaultPriceScheduleID=PS")
    ok(supplied, "resume", "--verify")
    assert len(shop.writes()) == sent, "it is there"

    run = supplied("history", "--json").data["runs"][1]["id"]
    made = ok(supplied, "rollback", run, "--json").data["created"]
    assert sorted(made) == ["product-supplier/P/S", "product-supplier/P/T"]
    ok(supplied, "delete", *made, "--yes")
    assert links(shop) == {}
    last = supplied("history", "--json").data["runs"][0]["id"]
    ok(supplied, "rollback", last)
    ok(supplied, "resume", "--verify")
    assert links(shop) == {"S": "PS", "T": None}


@pytest.mark.parametrize("omitted", ["false", "unchanged"])
def test_a_link_loses_its_price_or_says_that_it_did_not(
    supplied: Run, shop: Shop, omitted: str
) -> None:
    """What a PUT without the parameter does is unknown: the verification tells."""
    shop.switch(omitted=omitted)
    shop.call("PUT", "/products/P/suppliers/S?defaultPriceScheduleID=PS")
    ok(supplied, "stage", "assign", "product-supplier/P/S")
    result = supplied("resume", "--verify")
    assert result.code == (0 if omitted == "false" else 5), result


def test_a_default_supplier_links_as_well(supplied: Run, shop: Shop) -> None:
    ok(supplied, "stage", "set", "product/Q", "DefaultSupplierID=S")
    ok(supplied, "stage", "assign", "product-supplier/Q/S", "DefaultPriceScheduleID=PS")
    ok(supplied, "resume", "--verify")
    assert links(shop, "Q") == {"S": "PS"}


@pytest.fixture
def people(ocsync: Run, shop: Shop) -> Run:
    """Users and groups of every sort under the same IDs, and a security profile."""
    shop.seed(
        catalog=[{"ID": "C", "Name": "c"}],
        buyer=[{"ID": "B", "Name": "b", "DefaultCatalogID": "C"}],
        supplier=[{"ID": "S", "Name": "s"}],
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "g"}],
        **{
            "supplier-usergroup": [{"SupplierID": "S", "ID": "G", "Name": "g"}],
            "admin-usergroup": [{"ID": "G", "Name": "g"}],
            "buyer-user": [{"BuyerID": "B", "ID": "U", "Username": "b", **USER}],
            "supplier-user": [{"SupplierID": "S", "ID": "U", "Username": "s", **USER}],
            "admin-user": [{"ID": "U", "Username": "a", **USER}],
            "security-profile": [{"ID": "SP", "Name": "sp", "Roles": ["Shopper"]}],
        },
    )
    return ocsync


PARTIES = ("B", "/S", "//G", "///U", "B//G", "B///U", "/S/G", "/S//U")


def test_a_profile_is_given_to_each_party(people: Run, shop: Shop) -> None:
    refs = [f"security-profile-assignment/SP/{party}" for party in PARTIES]
    for ref in refs:
        ok(people, "stage", "assign", ref)
    ok(people, "resume", "--verify")
    items = shop.get("/securityprofiles/assignments?securityProfileID=SP")["Items"]
    assert len(items) == len(PARTIES)
    for user in ("/buyers/B/users/U", "/suppliers/S/users/U", "/adminusers/U"):
        assert shop.get(user)["AvailableRoles"] == ["Shopper"]
    sent = len(shop.writes())
    for ref in refs:
        ok(people, "stage", "assign", ref)
    ok(people, "resume", "--verify")
    assert len(shop.writes()) == sent

    for group, gone in (("admin-usergroup/G", 1), ("usergroup/B/G", 1), ("supplier/S", 3)):
        shown = ok(people, "delete", group, "--dry-run")
        text = f"{gone} security profile assignment"
        assert text in shown.out + shown.err, shown
        ok(people, "delete", group, "--yes")
    assert len(shop.get("/securityprofiles/assignments")["Items"]) == 3


def test_what_no_profile_can_be_given_to(people: Run, shop: Shop) -> None:
    for party in ("", "B/S", "B//G/U", "B/S/G"):
        result = people("stage", "assign", f"security-profile-assignment/SP/{party}")
        assert result.code in (64, 65), party
        assert "//SupplierID" in result.err or "letters, digits" in result.err
    ok(people, "stage", "assign", "security-profile-assignment/NONE/B")
    result = ok(people, "resume", code=3)
    assert "404 NotFound" in result.out


def test_users_may_be_sent_for_their_profiles_and_locales(people: Run) -> None:
    ok(people, "stage", "assign", "security-profile-assignment/SP////U")
    ok(people, "stage", "put", "locale/DE", "Currency=EUR", "Language=de-DE")
    ok(people, "stage", "assign", "locale-assignment/DE/B/G")
    targets = ok(people, "plan", "--json").data["targets"]
    assert targets["possible"] == ["admin-users", "buyer-users", "supplier-users"]
    ok(people, "resume", "--verify")


def test_a_supplier_s_address_keeps_its_records(ocsync: Run, shop: Shop) -> None:
    """A record belongs to an address of its owner, whichever other has the same ID."""
    shop.seed(supplier=[{"ID": "S", "Name": "s"}],
              product=[{"ID": "P", "Name": "p", "Inventory": {"Enabled": True}}])  # fmt: skip
    ok(ocsync, "stage", "put", "inventory/P/R", "AddressID=A", "OwnerID=S")
    ok(ocsync, "stage", "put", "supplier-address/S/A", "Street1=s", "City=c", "Country=DE")
    ok(ocsync, "resume", "--verify")
    refused = ok(ocsync, "delete", "supplier-address/S/A", "--yes", code=3)
    assert "Address.CannotDeleteInventoryRecordAddress" in refused.out
    ok(ocsync, "stage", "put", "address/A", "Street1=s", "City=c", "Country=DE")
    ok(ocsync, "resume", "--verify")
    ok(ocsync, "delete", "address/A", "--yes")


def test_bundles_and_discounts_have_parties_and_contents(people: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": "P", "Name": "p"}], **{"buyer-group": [{"ID": "BG", "Name": "bg"}]})
    breaks = 'DiscountBreaks:=[{"Quantity":1,"Amount":10}]'
    for words in (
        ("put", "bundle/BU", "Name=bu", "xp.a:=1"), ("assign", "bundle-product/BU/P"),
        ("assign", "bundle-assignment/BU/B"), ("assign", "bundle-assignment/BU/B/G/S"),
        ("put", "discount/D", breaks, "ProductID=P"), ("assign", "discount-assignment/D/B"),
        ("assign", "discount-assignment/D/B/G"), ("assign", "discount-assignment/D///BG"),
    ):  # fmt: skip
        ok(people, "stage", *words)
    ok(people, "resume", "--verify")
    shown = ok(people, "delete", "buyer/B", "--dry-run")
    text = shown.out + shown.err
    assert "2 discount assignments" in text
    assert "2 bundle assignments" in text
    refused = ok(people, "delete", "product/P", "--yes", code=3)
    assert "Product.CannotDeleteProductAssingedToBundle" in refused.out
    ok(people, "stage", "set", "bundle/BU", "xp.a=text")
    assert "--allow-risky xp-type" in ok(people, "resume", code=64).err
