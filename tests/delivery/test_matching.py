"""Messages and what they are about: signatures, envelopes, matching."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.delivery.decoding import decode_messages
from ocsync.delivery.matching import Arrival, DeliveryResult, ExpectedMessage, Matcher
from ocsync.delivery.messages import is_signed, key_of, published_by, sign
from ocsync.errors import InputError
from ocsync.models import Delivery
from ocsync.schema import TARGETS

START = datetime(2026, 1, 1, tzinfo=UTC)


def message(target: str, payload: dict[str, Any], seconds: float = 1.0) -> Delivery:
    at = (START + timedelta(seconds=seconds)).isoformat()
    return Delivery(at=at, namespace=TARGETS[target].updated_namespace, payload=payload)


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
        decode_messages(body, {}, "now")


def test_a_payload_may_be_a_string() -> None:
    body = json.dumps({"Headers": {"type": "t"}, "Payload": '{"ID": "x"}'}).encode()
    assert decode_messages(body, {}, "now")[0].payload == {"ID": "x"}


def match(expected: list[ExpectedMessage], messages: Iterable[Delivery]) -> DeliveryResult:
    matcher = Matcher(expected)
    for message in messages:
        matcher.add(message)
    return matcher.result()


def expected(
    ref: str, fields: dict[str, Any] | None = None, before: dict[str, Any] | None = None,
    *, held: bool = True, due: bool = True,
) -> ExpectedMessage:  # fmt: skip
    """A message to come of *ref*, written two seconds before START, when its target ran again."""
    [(target, entity)] = published_by(ref)
    wrote = START - timedelta(seconds=2)
    key = key_of(target, entity)
    return ExpectedMessage(target.name, entity, key, (ref,), fields or {}, before or {}, written_at=wrote,
                    since=START if held else wrote, due=due)  # fmt: skip


@pytest.mark.parametrize(("ref", "target", "payload"), [
    ("product/P", "products", {"ProductID": "p"}), ("product/P", "products", {"ProductId": "P"}),
    ("inventory/P/R", "inventory", {"ProductID": "P", "ID": "R", "InventoryRecords": [{"ID": "R"}]}),
    ("variant-inventory/P/V/R", "inventory", {"ProductID": "P", "ID": "R"}), ("category/C/K", "categories", {"ID": "K"}),
    ("variant-inventory/P/V/R", "inventory", {"ProductID": "P", "VariantID": "v", "ID": "R"}),
    ("category/C/K", "categories", {"ID": "K", "CatalogID": "C"}), ("buyer-user/B/U", "buyer-users", {"ID": "U", "CompanyID": "B"}),
    ("usergroup/B/G", "usergroups", {"ID": "G"}), ("catalog-assignment/C/B", "catalogs", {"ID": "C"}),
    ("category-product/C/K/P", "products", {"ProductID": "P"}), ("admin-user/U", "admin-users", {"ID": "U"}),
])  # fmt: skip
def test_each_kind_is_found_in_its_message(ref: str, target: str, payload: dict[str, Any]) -> None:
    result = match([expected(ref)], [message(target, payload)])
    assert [one.arrival for one in result.matched] == [Arrival.ARRIVED]
    other = {n: "zz" if isinstance(v, str) else [{"ID": "zz"}] for n, v in payload.items()}
    missed = match([expected(ref)], [message(target, other)])
    assert missed.having(Arrival.MISSING)
    assert missed.unexpected == 1


def test_a_full_sync_shows_every_record_of_a_product() -> None:
    wanted = [expected(f"inventory/P/R{n}", {"QuantityAvailable": n}) for n in range(3)]
    payload = {
        "ProductID": "P",
        "InventoryRecords": [{"ID": f"r{n}", "QuantityAvailable": n} for n in range(2)],
    }
    full = Delivery(
        at=START.isoformat(), payload=payload,
        namespace="sitecore.ordercloud.messages.entitysync.inventoryrecord.full.updated",
    )  # fmt: skip
    result = match(wanted, [full])
    assert [one.arrival.value for one in result.matched] == ["arrived", "arrived", "missing"]


@pytest.mark.parametrize(("contents", "arrival", "first"), [
    ("", "missing", None), ("new", "arrived", 1), ("old", "stale", 1), ("other", "stale", 1), ("old new", "arrived", 2),
    ("new old", "stale", 1), ("new other", "arrived", 1), ("old other", "stale", 2), ("new new", "arrived", 1), ("none", "arrived", 1),
    ("old none", "stale", 2), ("sold", "arrived", 1), ("old sold", "arrived", 2),
])  # fmt: skip
def test_the_last_word_counts(contents: str, arrival: str, first: int | None) -> None:
    """Older content after ours is what a target is left with; what others wrote since is not."""
    wanted = expected(
        "inventory/P/R",
        {"QuantityAvailable": 9, "AddressID": "w"},
        {"QuantityAvailable": 5, "AddressID": "w"},
    )
    shown: dict[str, dict[str, Any]] = {
        "new": {"QuantityAvailable": 9, "AddressID": "w"}, "old": {"QuantityAvailable": 5, "AddressID": "w"},
        "other": {"QuantityAvailable": 9, "AddressID": "x"}, "sold": {"QuantityAvailable": 7}, "none": {"OwnerID": "me"},
    }  # fmt: skip
    came = [
        message("inventory", {"ProductID": "P", "ID": "R", **shown[word]}, seconds=n)
        for n, word in enumerate(contents.split(), 1)
    ]
    [one] = match([wanted], came).matched
    good = sum(word in ("new", "sold", "none") for word in contents.split())
    assert (one.arrival.value, one.times) == (arrival, good or len(came))
    assert one.first == (first if first != 2 or arrival == "arrived" else one.last)


def test_less_stock_is_no_sale_where_the_stock_before_is_not_known() -> None:
    wanted = expected("inventory/P/R", {"QuantityAvailable": 9})._replace(unread=True)
    came = message("inventory", {"ProductID": "P", "ID": "R", "QuantityAvailable": 7})
    assert [one.arrival for one in match([wanted], [came]).matched] == [Arrival.STALE]


def test_what_the_marketplace_has_now_is_not_stale() -> None:
    wanted = expected("catalog/C", {"Name": "ours"}, {"Name": "old"})
    matcher = Matcher([wanted])
    matcher.add(message("catalogs", {"ID": "C", "Name": "theirs"}))
    assert matcher.result().having(Arrival.STALE)[0].fields == {
        "Name": {"wanted": "ours", "found": "theirs"}
    }
    assert matcher.result({"catalog/C": {"Name": "theirs"}}).having(Arrival.ARRIVED)
    assert matcher.result({"catalog/C": {"Name": "ours"}}).having(Arrival.STALE)


def test_early_ones_are_counted_and_prove_only_what_they_show() -> None:
    wanted = [expected(f"catalog/{name}", {"Name": "new"}, {"Name": "old"}) for name in "abc"]
    came = [
        message("catalogs", {"ID": "a", "Name": "new"}, -1), message("catalogs", {"ID": "b", "Name": "old"}, -1),
        message("catalogs", {"ID": "c", "Name": "new"}, -3), message("catalogs", {"ID": "a", "Name": "new"}, 1),
    ]  # fmt: skip
    result = match(wanted, came)
    assert [one.arrival.value for one in result.matched] == ["arrived", "missing", "missing"]
    assert (result.early, result.matched[0].times, result.unexpected) == (1, 1, 0)
    assert match(wanted[:1], came[:1]).having(Arrival.ARRIVED), "the target has it, early or not"


def test_without_a_pause_times_count_from_the_write() -> None:
    result = match([expected("catalog/C", held=False)], [message("catalogs", {"ID": "C"}, 1)])
    assert result.arrival_times() == {"first": 3.0, "p50": 3.0, "p95": 3.0, "last": 3.0}


def test_what_changed_nothing_is_not_due() -> None:
    wanted = [expected("product/P", {"Name": "x"}, due=False), expected("product/Q")]
    silent = match(wanted, [message("products", {"ProductID": "Q"})])
    assert [one.arrival.value for one in silent.matched] == ["not due", "arrived"]
    assert silent.due == 1
    told = match(wanted, [message("products", {"ProductID": "P", "Name": "x"})])
    assert [one.arrival.value for one in told.matched] == ["arrived", "missing"]


def test_of_two_that_look_alike_each_gets_its_own() -> None:
    """A message may tell neither variant nor catalog; its content and its number do."""
    ref = "variant-inventory/P/{}/R"
    wanted = [expected(ref.format(v), {"QuantityAvailable": n}) for v, n in (("V", 1), ("W", 2))]
    came = [message("inventory", {"ProductID": "P", "ID": "R", "QuantityAvailable": n}) for n in (2, 1)]  # fmt: skip
    both = match(wanted, came)
    assert [(one.arrival.value, one.times) for one in both.matched] == [("arrived", 1)] * 2
    assert [one.arrival.value for one in match(wanted, came[:1]).matched] == ["missing", "arrived"]
    groups = [expected(f"category/{c}/K") for c in "AB"]
    came = [message("categories", {"ID": "K"})] * 2
    assert [one.times for one in match(groups, came).matched] == [1, 1]
    assert len(match(groups, came[:1]).having(Arrival.MISSING)) == 1


def test_duplicates_strangers_and_times() -> None:
    wanted = [expected(f"catalog/{name}", {"v": "new"}, {"v": "old"}) for name in "abcd"]
    came = [
        message("catalogs", {"ID": "a", "v": "old"}, 1), message("catalogs", {"ID": "a", "v": "new"}, 3), message("catalogs", {"ID": "a", "v": "new"}, 9),
        message("catalogs", {"ID": "b", "v": "old"}, 2), message("catalogs", {"ID": "c", "v": "new"}, 4), message("catalogs", {"ID": "d", "v": "new"}, -5),
        message("catalogs", {"ID": "other"}, 1), message("catalogs", {"ID": "other"}, -1), Delivery(at=START.isoformat(), namespace="x.deleted", payload={}),
    ]  # fmt: skip
    result = match(wanted, came)
    assert [(m.arrival.value, m.times) for m in result.matched] == [
        ("arrived", 2),
        ("stale", 1),
        ("arrived", 1),
        ("missing", 0),
    ]
    assert (result.duplicates, result.unexpected) == (1, 1)
    assert result.arrival_times() == {"first": 3.0, "p50": 3.0, "p95": 4.0, "last": 4.0}


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=40), st.randoms())
def test_whatever_the_order_and_the_repetitions(came: list[tuple[int, bool]], dice: Any) -> None:
    """As-written messages, in any order and number: each arrived, and every further is counted."""
    wanted = [expected(f"catalog/c{n}", {"Name": f"n{n}"}, {"Name": "old"}) for n in range(5)]
    dice.shuffle(came)
    messages = [
        message("catalogs", {"ID": f"C{n}" if known else "other", "Name": f"n{n}"}, seconds)
        for seconds, (n, known) in enumerate(came)
    ]
    result = match(wanted, messages)
    ours = [n for n, known in came if known]
    assert {n for n, one in enumerate(result.matched) if one.arrival is Arrival.ARRIVED} == {*ours}
    assert len(result.having(Arrival.MISSING)) == 5 - len({*ours})
    assert result.duplicates == len(ours) - len({*ours})
    assert result.unexpected == len(came) - len(ours)


def test_nothing_expected_and_nothing_told() -> None:
    nothing = match([], [message("catalogs", {"ID": "C"}), message("catalogs", {"Name": "no ID"})])
    assert (nothing.matched, nothing.arrival_times()) == ([], {})
