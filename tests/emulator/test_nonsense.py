"""No request, however wrong, gets anything but an answer in the platform's form."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocsync.emulator.kinds import ALL_KINDS
from ocsync.schema import TARGETS
from tests.builders import HTTP, Shop
from tests.emulator.sdk_cases import SEED
from tests.emulator.test_emulator import FORM

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**33), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "P", "C", "B", "true", "2026-01-01", "x" * 300]),
    st.just([]), st.just([1]), st.just([{"Quantity": 1}]), st.just({}), st.just({"a": {"b": 1}}),
    st.just({"Http": 1}), st.just({"Http": {"Endpoint": 1, "Secret": 2}}),
)  # fmt: skip
NAMES = sorted(
    {path.partition(".")[0] for kind in ALL_KINDS.values() for path in kind.fields}
    | {"ID", "DeliveryConfigID", "Enabled", "DeliveryTargets", "Paused", "Items"}
)
IDS = sorted({name for kind in ALL_KINDS.values() for name in kind.ids})
BODIES = st.one_of(VALUES, st.dictionaries(st.sampled_from([*NAMES, *IDS]), VALUES, max_size=6))
PATHS = [
    *(k.path for k in ALL_KINDS.values()), *(k.collection for k in ALL_KINDS.values()),
    *(k.delete_path.partition("?")[0] for k in ALL_KINDS.values() if k.delete_path),
    *(t.path for t in TARGETS.values()), *(t.sync_path for t in TARGETS.values()),
    "/integrations/OrderSync", "/integrations/deliveryconfig", "/integrations/deliveryconfig/emulator-log",
    "/products/{ProductID}/variants/generate", "/priceschedules/{PriceScheduleID}/PriceBreaks",
    "/buyers/{BuyerID}/users/{UserID}/moveto/{CatalogID}", "/bulk/priceschedules/upsert", "/bulk/discounts/delete", "/me",
]  # fmt: skip
PLACES = st.builds(
    lambda path, ids: path.format_map(ids),
    st.sampled_from(PATHS),
    st.fixed_dictionaries(
        {name: st.sampled_from([name[0], "P", "none", "%7Bx%7D"]) for name in [*IDS, "JobID"]}
    ),
)
QUERIES = st.dictionaries(
    st.sampled_from(["page", "pageSize", "pageKey", "sortBy", "search", "searchOn", "depth", "ID",
                     "Name", "xp.a", "level", "quantity", "buyerID", "catalogID", "categoryID"]),
    st.sampled_from(["", "1", "x", "!*", "*", ">P", "a|b", "-1", "999999999999", "Name", "!Name"]),
    max_size=3,
)  # fmt: skip


@pytest.fixture
def token(shop: Shop) -> str:
    shop.seed(**SEED)
    return str(HTTP.post(shop.url + "/oauth/token", data=FORM).json()["access_token"])


def ask(shop: Shop, token: str, verb: str, path: str, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return HTTP.request(verb, shop.url + "/v1" + path, headers=headers, **more)


VERBS = st.sampled_from(["GET", "PUT", "PATCH", "POST", "DELETE"])


@pytest.mark.slow
@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(verb=VERBS, path=PLACES, body=BODIES, query=QUERIES)
def test_nonsense_is_answered(
    shop: Shop, token: str, verb: str, path: str, body: Any, query: dict[str, str]
) -> None:
    answers_sensibly(shop, token, verb, path, body, query)


@pytest.mark.slow
@settings(deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck))
@given(verb=VERBS, path=PLACES, body=BODIES, query=QUERIES)
def test_much_more_nonsense_is_answered(
    shop: Shop, token: str, verb: str, path: str, body: Any, query: dict[str, str]
) -> None:
    answers_sensibly(shop, token, verb, path, body, query)


def answers_sensibly(
    shop: Shop, token: str, verb: str, path: str, body: Any, query: dict[str, str]
) -> None:
    answer = ask(shop, token, verb, path, json=body, params=query)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["Errors"][0]["ErrorCode"]
    if verb != "GET":
        everything = ask(shop, token, "GET", "/products?sortBy=Name&Inventory.Enabled=!*")
        assert everything.status_code == 200, "what was kept can be shown"


@pytest.mark.parametrize("targets", [
    None, 1, {}, {"Http": 1}, {"Http": None}, {"Http": {"Endpoint": 1, "Secret": 2}}, {"Http": {"Endpoint": "x"}},
    {"Foo": {"a": 1}}, {"Http": {"Endpoint": "x", "Secret": "s" * 51}},
    {"Http": {"Endpoint": "x", "Secret": "s", "CustomAuthHeaderName": "n"}}, {"Kafka": {"Topic": "t"}},
])  # fmt: skip
def test_delivery_targets_are_checked(shop: Shop, targets: Any) -> None:
    path = "/integrations/deliveryconfig/D"
    assert shop.refusal("PUT", path, {"Name": "x", "DeliveryTargets": targets}) == (
        400,
        "ValidationFailure",
    )
    good = {"Http": {"Endpoint": "x", "Secret": "s"}}
    assert shop.refusal("PUT", path, {"Name": 5, "DeliveryTargets": good})[0] == 400
    assert shop.refusal("PATCH", "/integrations/productsync", {"Paused": "x"})[0] == 400
    assert shop.call("GET", path).status_code == 404


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[" * 5000, b'{"Name": NaN}', b"null"])
def test_bodies_that_are_no_json(shop: Shop, token: str, raw: bytes) -> None:
    answer = ask(shop, token, "PUT", "/catalogs/X", content=raw)
    assert answer.status_code == 400
    assert answer.json()["Errors"][0]["ErrorCode"] == "Request.InvalidRequestBody"
