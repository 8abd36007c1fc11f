"""Sign-in: grants, claims, roles, revocation."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest

from tests.builders import HTTP, Shop
from tests.emulator.test_emulator import FORM, USER, plant


@pytest.fixture(autouse=True)
def _people(shop: Shop) -> None:
    plant(shop)
    shop.seed(
        clients=[
            {"ID": "ci", "Secret": "s", "Roles": ["ProductAdmin", "CatalogReader"], "User": "robot"},
            {"ID": "open", "Secret": "", "Roles": ["CatalogReader"]},
            {"ID": "all", "Secret": "s", "Roles": ["FullAccess"]},
        ],
        **{"admin-user": [{"ID": "R", **USER, "Username": "robot"}],
           "buyer-user": [{"BuyerID": "B", "ID": "U", **USER, "Username": "shopper", "Password": "p4ssword"}],
           "supplier-user": [{"SupplierID": "S0", "ID": "U", **USER, "Username": "maker", "Password": "p4ssword"}]},
    )  # fmt: skip


def sign_in(shop: Shop, **form: str) -> httpx.Response:
    return HTTP.post(shop.url + "/oauth/token", data=form)


def claims(answer: httpx.Response) -> dict[str, Any]:
    part = answer.json()["access_token"].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return found


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": "Bearer " + answer.json()["access_token"]}


CLIENT = {"grant_type": "client_credentials", "client_id": "ci", "client_secret": "s"}
SHOPPER = {
    "grant_type": "password",
    "client_id": "all",
    "client_secret": "s",
    "username": "shopper",
    "password": "p4ssword",
}


def test_claims_and_me(shop: Shop) -> None:
    answer = sign_in(shop, **CLIENT)
    found = claims(answer)
    assert (found["usr"], found["cid"], found["usrtype"], found["aud"]) == (
        "robot",
        "ci",
        "admin",
        shop.url,
    )
    assert found["role"] == ["ProductAdmin", "CatalogReader"]
    assert found["exp"] - found["nbf"] == 36000
    one = sign_in(shop, grant_type="client_credentials", client_id="open", scope="CatalogReader")
    assert claims(one)["role"] == "CatalogReader", "a single role is no list"
    me = HTTP.get(shop.url + "/v1/me", headers=bearer(answer)).json()
    assert (me["ID"], me["Username"], me["AvailableRoles"]) == ("R", "robot", found["role"])
    assert "Password" not in me


@pytest.mark.parametrize(("change", "code"), [
    ({"client_id": "none"}, "ApiClient.InvalidClientID"), ({"client_secret": "x"}, "Auth.InvalidUsernameOrPassword"),
    ({"grant_type": "magic"}, "Request.InvalidRequestBody"), ({"scope": "ProductAdmin BuyerAdmin"}, "Auth.InsufficientRoles"),
    ({**SHOPPER, "password": "x"}, "Auth.InvalidUsernameOrPassword"), ({**SHOPPER, "username": "x"}, "Auth.InvalidUsernameOrPassword"),
    ({**SHOPPER, "password": ""}, "Auth.UsernameAndPasswordRequired"), ({**SHOPPER, "username": ""}, "Auth.UsernameAndPasswordRequired"),
    ({"grant_type": "refresh_token", "refresh_token": "x"}, "Auth.TokenRevoked"),
])  # fmt: skip
def test_what_is_refused_at_the_door(shop: Shop, change: dict[str, str], code: str) -> None:
    answer = sign_in(shop, **{**CLIENT, **change})
    assert answer.status_code == 400
    assert answer.json()["Errors"][0]["ErrorCode"] == code
    assert {"error", "error_description"} <= answer.json().keys()


def test_the_form_must_be_a_form(shop: Shop) -> None:
    answer = HTTP.post(shop.url + "/oauth/token", json=FORM)
    assert answer.json()["Errors"][0]["ErrorCode"] == "Request.InvalidContentType"


def test_users_sign_in_and_administer_only_their_own(shop: Shop) -> None:
    buyer, maker = (sign_in(shop, **{**SHOPPER, "username": n}) for n in ("shopper", "maker"))
    assert (claims(buyer)["usrtype"], claims(maker)["usrtype"]) == ("buyer", "supplier")
    me = HTTP.get(shop.url + "/v1/me", headers=bearer(buyer)).json()
    assert (me["Buyer"], me["Supplier"], me["CompanyID"]) == ({"ID": "B"}, None, "B")
    for who in (buyer, maker):
        answer = HTTP.patch(shop.url + "/v1/catalogs/C", json={}, headers=bearer(who))
        assert (answer.status_code, answer.json()["Errors"][0]["ErrorCode"]) == (
            403,
            "Auth.UserNotAuthorizedToAdmin",
        )
    own = HTTP.patch(shop.url + "/v1/suppliers/S0", json={"xp": {"a": 1}}, headers=bearer(maker))
    assert own.status_code == 200
    shop.call("PATCH", "/buyers/B/users/U", {"Active": False})
    assert sign_in(shop, **SHOPPER).json()["Errors"][0]["ErrorCode"] == "Auth.UserNotActive"


def test_roles_by_read_and_write(shop: Shop) -> None:
    headers = bearer(sign_in(shop, **CLIENT))
    assert HTTP.get(shop.url + "/v1/catalogs", headers=headers).status_code == 200
    refused = HTTP.patch(shop.url + "/v1/catalogs/C", json={}, headers=headers)
    error = refused.json()["Errors"][0]
    assert (refused.status_code, error["ErrorCode"]) == (403, "InsufficientRoles")
    assert error["Data"] == {
        "SufficientRoles": ["CatalogAdmin", "FullAccess"],
        "AssignedRoles": ["ProductAdmin", "CatalogReader"],
    }
    for path in (
        "/integrations/productsync",
        "/integrations/OrderSync",
        "/integrations/deliveryconfig",
    ):
        assert HTTP.get(shop.url + "/v1" + path, headers=headers).status_code == 403


def test_refresh_tokens_are_for_one_use(shop: Shop) -> None:
    assert "refresh_token" not in sign_in(shop, **CLIENT).json()
    shop.switch(refresh_lifetime=60)
    token = sign_in(shop, **CLIENT).json()["refresh_token"]
    form = {**CLIENT, "grant_type": "refresh_token", "refresh_token": token}
    assert sign_in(shop, **form).status_code == 200
    assert sign_in(shop, **form).status_code == 400


def test_tokens_end(shop: Shop) -> None:
    shop.switch(token_lifetime=1)
    answer = sign_in(shop, **CLIENT)
    assert answer.json()["expires_in"] == 1
    headers = bearer(answer)
    assert HTTP.get(shop.url + "/v1/me", headers=headers).status_code == 200
    time.sleep(1.05)
    ended = HTTP.get(shop.url + "/v1/me", headers=headers)
    assert (ended.status_code, ended.json()["Errors"][0]["ErrorCode"]) == (401, "InvalidToken")
    shop.switch(token_lifetime=100)
    headers = bearer(sign_in(shop, **CLIENT))
    HTTP.post(shop.url + "/_emulator/revoke")
    revoked = HTTP.get(shop.url + "/v1/me", headers=headers)
    assert (revoked.status_code, revoked.json()["Errors"][0]["ErrorCode"]) == (
        401,
        "Auth.TokenRevoked",
    )


def test_the_context_user_cannot_be_deleted(shop: Shop) -> None:
    assert shop.refusal("DELETE", "/adminusers/R")[1] == "User.CannotDeleteDefaultContextUser"
    shop.call("PATCH", "/adminusers/R", {"Active": False})
    assert sign_in(shop, **CLIENT).json()["Errors"][0]["ErrorCode"] == "Auth.UserNotActive"
