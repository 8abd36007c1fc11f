"""Messages and what they are about: signatures, envelopes, matching."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.delivery.envelope import open_messages
from ocsync.delivery.matching import Arrival, Expected, match
from ocsync.delivery.messages import expected_of, is_signed, sign, told_by
from ocsync.errors import InputError
from ocsync.models import Delivery
from ocsync.resources import TARGETS

START = datetime(2026, 1, 1, tzinfo=UTC)


def message(target: str, payload: dict[str, Any], seconds: float = 1.0) -> Delivery:
    at = (START + timedelta(seconds=seconds)).isoformat()
    return Delivery(at=at, namespace=TARGETS[target].updated, payload=payload)


def test_the_signature_is_that_of_the_platform() -> None:
    """HMAC-SHA256 over the raw body in base64, as the reference vector of RFC 4231 has it."""
    assert (
        sign("Jefe", b"what do ya want for nothing?")
        == "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
    )


@given(st.text(min_size=1, max_size=50), st.binary(max_size=200), st.binary(max_size=200))
def test_only_the_right_body_is_signed(secret: str, body: bytes, other: bytes) -> None:
    header = sign(secret, body)
    assert is_signed(secret, body, header)
    assert is_signed(secret, other, header) is (body == other)
    assert not is_signed(secret + "x", body, header)


@pytest.mark.parametrize("body", [
    b"", b"x", b"5", b"[]", b"{}", b'{"Headers": 5, "Payload": {}}', b'{"Headers": {"type": 5}, "Payload": {}}',
    b'{"Headers": {"type": "x"}}', b'{"Headers": {"type": "x"}, "Payload": 5}', b'{"Headers": {"type": "x"}, "Payload": "{"}',
    b'{"a":' * 5000,
])  # fmt: skip
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(InputError):
        open_messages(body, {}, "now")


def test_a_payload_may_be_a_string() -> None:
    body = json.dumps({"Headers": {"type": "t"}, "Payload": '{"ID": "x"}'}).encode()
    assert open_messages(body, {}, "now")[0].payload == {"ID": "x"}


@pytest.mark.parametrize(("ref", "target", "payload"), [
    ("product/P", "products", {"ProductID": "p"}), ("product/P", "products", {"ProductId": "P"}),
    ("inventory/P/R", "inventory", {"ProductID": "P", "ID": "R", "InventoryRecords": [{"ID": "R"}]}),
    ("variant-inventory/P/V/R", "inventory", {"ProductID": "P", "ID": "R"}), ("category/C/K", "categories", {"ID": "K"}),
    ("category/C/K", "categories", {"ID": "K", "CatalogID": "C"}), ("buyer-user/B/U", "buyer-users", {"ID": "U", "CompanyID": "B"}),
    ("usergroup/B/G", "usergroups", {"ID": "G"}), ("catalog-assignment/C/B", "catalogs", {"ID": "C"}),
    ("category-product/C/K/P", "products", {"ProductID": "P"}), ("admin-user/U", "admin-users", {"ID": "U"}),
])  # fmt: skip
def test_each_kind_is_found_in_its_message(ref: str, target: str, payload: dict[str, Any]) -> None:
    [(found, key)] = expected_of(ref)
    assert found.name == target
    told = told_by(message(target, payload))
    assert told
    result = match(
        [Expected(target, key, (ref,))], [message(target, payload)], START, lambda e, d: True
    )
    assert [one.arrival for one in result.matched] == [Arrival.ARRIVED]
    other = match(
        [Expected(target, key, (ref,))],
        [message(target, {**payload, "ID": "zz", "ProductID": "zz"})],
        START,
        lambda e, d: True,
    )
    assert other.of(Arrival.MISSING)
    assert other.strangers == 1


def test_duplicates_stale_ones_and_times() -> None:
    expected = [Expected("catalogs", (name,), (f"catalog/{name}",)) for name in "abcd"]
    came = [
        message("catalogs", {"ID": "a", "v": "old"}, 1), message("catalogs", {"ID": "a", "v": "new"}, 3), message("catalogs", {"ID": "a", "v": "new"}, 9),
        message("catalogs", {"ID": "b", "v": "old"}, 2), message("catalogs", {"ID": "c", "v": "new"}, 4), message("catalogs", {"ID": "d", "v": "new"}, -5),
        message("catalogs", {"ID": "other"}, 1), Delivery(at=START.isoformat(), namespace="x.deleted", payload={}),
    ]  # fmt: skip
    result = match(expected, came, START, lambda e, d: d.get("v") == "new")
    assert [(m.arrival.value, m.times) for m in result.matched] == [
        ("arrived", 3),
        ("stale", 1),
        ("arrived", 1),
        ("missing", 0),
    ]
    assert (result.duplicates, result.strangers) == (2, 1)
    assert result.drain() == {"p50": 3.0, "p95": 4.0, "last": 4.0}
