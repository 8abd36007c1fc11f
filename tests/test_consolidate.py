"""Consolidation, case by case; the law itself is in test_law."""

from __future__ import annotations

from typing import Any

import pytest

from ocsync.consolidate import consolidate
from ocsync.diff import unmet_expectations
from ocsync.models import Change, ContradictedExpectation, Entry, Op
from tests.builders import entry, numbered

REF = "inventory/P/R"
QUANTITY = "QuantityAvailable"


def net(*entries: Entry) -> list[Change]:
    return consolidate(numbered(entries))


def set_(fields: dict[str, Any], ref: str = REF, **more: Any) -> Entry:
    return entry("set", ref, fields, **more)


CASES: dict[str, tuple[list[Entry], dict[str, Any], dict[str, Any]]] = {
    "later fields win": ([set_({"a": 1, "b": 1}), set_({"b": 2})], {"a": 1, "b": 2}, {}),
    "models merge by member": (
        [set_({"Inventory.Enabled": True}), set_({"Inventory.NotificationPoint": 2})],
        {"Inventory.Enabled": True, "Inventory.NotificationPoint": 2}, {},
    ),
    "arrays are replaced": ([set_({"l": [1, 2]}), set_({"l": [3]})], {"l": [3]}, {}),
    "xp keys merge": ([set_({"xp.a": 1}), set_({"xp.b": 2})], {"xp.a": 1, "xp.b": 2}, {}),
    "a path goes into the key before it": (
        [set_({"xp.a": {"x": 1}}), set_({"xp.a.b": 2})], {"xp.a": {"x": 1, "b": 2}}, {},
    ),
    "a key replaces the paths before it": (
        [set_({"xp.a.b": 2}), set_({"xp.a": {"x": 1}})], {"xp.a": {"x": 1}}, {},
    ),
    "paths side by side stay": (
        [set_({"xp.a.b": 2}), set_({"xp.a.c": 1})], {"xp.a.b": 2, "xp.a.c": 1}, {},
    ),
    "sums add up": (
        [entry("adjust", REF, {QUANTITY: 2}), entry("adjust", REF, {QUANTITY: -5})],
        {}, {QUANTITY: -3},
    ),
    "set then adjust is a set": (
        [set_({QUANTITY: 40}), entry("adjust", REF, {QUANTITY: 2})], {QUANTITY: 42}, {},
    ),
    "adjust then set is the set": (
        [entry("adjust", REF, {QUANTITY: 2}), set_({QUANTITY: 40})], {QUANTITY: 40}, {},
    ),
    "null then adjust counts from nothing": (
        [set_({QUANTITY: None}), entry("adjust", REF, {QUANTITY: 2})], {QUANTITY: 2}, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_entries_fold_into_one_change(case: str) -> None:
    entries, fields, sums = CASES[case]
    [change] = net(*entries)

    assert (change.fields, change.adjust) == (fields, sums)
    assert change.entries == tuple(range(1, len(entries) + 1))


@pytest.mark.parametrize("value", [None, 2, [1]])
@pytest.mark.parametrize(("first", "then"), [
    ("xp.a", {"xp.a.b": 1}), ("xp.a", {"xp.a": {"b": 1}}), ("xp.a.b", {"xp.a.b.c.d": 1}),
])  # fmt: skip
def test_an_object_is_cleared_before_it_is_made_again(
    first: str, then: dict[str, Any], value: Any
) -> None:
    """A PATCH that merges below the top level of xp would keep its old members."""
    changes = net(set_({first: value}), set_(then))

    assert [change.fields for change in changes] == [{first: value}, then]


def test_a_put_replaces_and_later_sets_fold_into_it() -> None:
    [change] = net(set_({"a": 1}), entry("put", REF, {"AddressID": "A"}), set_({"b": 2}))

    assert change.op is Op.PUT
    assert change.fields == {"AddressID": "A", "b": 2}
    assert change.entries == (1, 2, 3)


def test_a_sum_after_a_put_that_leaves_the_field_is_a_second_change() -> None:
    put, after = net(entry("put", REF, {"AddressID": "A"}), entry("adjust", REF, {QUANTITY: 2}))

    assert (put.op, put.entries) == (Op.PUT, (1,))
    assert (after.op, after.adjust, after.entries) == (Op.SET, {QUANTITY: 2}, (2,))


def test_a_put_after_both_makes_them_needless() -> None:
    [change] = net(
        entry("put", REF, {"AddressID": "A"}),
        entry("adjust", REF, {QUANTITY: 2}),
        entry("put", REF, {"AddressID": "B"}),
    )
    assert change.fields == {"AddressID": "B"}
    assert change.entries == (1, 2, 3)


@pytest.mark.parametrize(("first", "second", "whole"), [
    (False, True, False), (True, False, True), (False, False, False),
])  # fmt: skip
def test_whether_an_entity_may_exist_is_what_the_first_put_said(
    first: bool, second: bool, whole: bool
) -> None:
    [change] = net(
        entry("put", REF, {"a": 1}, replace=first), entry("put", REF, {"a": 2}, replace=second)
    )
    assert change.replace is whole


def test_a_set_before_a_put_leaves_the_puts_own_word() -> None:
    [change] = net(set_({"a": 1}), entry("put", REF, {"a": 2}, replace=True))
    assert change.replace


def test_a_later_assign_replaces_an_earlier_one_whole() -> None:
    ref = "catalog-assignment/C/B"
    [change] = net(entry("assign", ref, {"x": 1, "y": 1}), entry("assign", ref, {"x": 2}))
    assert change.fields == {"x": 2}


def test_a_put_that_makes_a_catalog_stays_apart_from_what_decides_it() -> None:
    """A buyer put without a default catalog brings one into being; a folded put would not."""
    ref = "buyer/B"
    found = net(
        entry("put", ref, {"Name": "a"}), set_({"Active": True}, ref),
        set_({"DefaultCatalogID": "C"}, ref), entry("put", ref, {"Name": "b"}, replace=True),
    )  # fmt: skip
    assert [change.op for change in found] == [Op.PUT, Op.PUT]
    assert found[0].fields == {"Name": "a", "Active": True}
    assert [n for change in found for n in change.entries] == [1, 2, 3, 4]
    assert found[1].replace


def test_a_value_that_leaves_something_behind_is_sent() -> None:
    """A product stays linked to every default supplier that it had."""
    found = net(
        set_({"DefaultSupplierID": "S1", "Name": "a"}, "product/P"),
        set_({"Name": "b"}, "product/P"),
        set_({"DefaultSupplierID": "S2"}, "product/P"),
        entry("put", "product/P", {"Name": "c"}),
        entry("put", "product/P", {"Name": "d"}),
    )
    assert [c.op for c in found] == [Op.SET, Op.SET, Op.PUT]
    assert found[0].fields == {"DefaultSupplierID": "S1", "Name": "b"}
    assert found[1].fields == {"DefaultSupplierID": "S2"}
    assert found[2].fields == {"Name": "d"}
    again = net(*[set_({"DefaultSupplierID": "S1"}, "product/P")] * 3)
    assert len(again) == 1


def test_refs_keep_the_order_of_their_first_entry() -> None:
    found = net(
        set_({"a": 1}, "catalog/B"), set_({"a": 1}, "catalog/A"), set_({"a": 2}, "catalog/B")
    )
    assert [change.ref for change in found] == ["catalog/B", "catalog/A"]


def test_an_expectation_on_what_the_server_has_is_carried() -> None:
    [change] = net(
        set_({QUANTITY: 4}, expect={QUANTITY: 3, "xp.a": 1}), entry("put", REF, {"AddressID": "A"})
    )
    assert change.expect == {QUANTITY: 3, "xp.a": 1}
    assert not change.contradicted


def test_an_expectation_on_what_was_staged_is_checked() -> None:
    [change] = net(set_({QUANTITY: 4}), set_({QUANTITY: 5}, expect={QUANTITY: 3}))
    assert change.contradicted == (ContradictedExpectation(2, QUANTITY, 3, 4),)
    assert not change.expect


def test_an_expectation_after_a_sum_speaks_of_the_base() -> None:
    [change] = net(entry("adjust", REF, {QUANTITY: 4}), set_({"a": 5}, expect={QUANTITY: 10}))
    assert change.expect == {QUANTITY: 6}


@pytest.mark.parametrize(("before", "after", "expect", "null_is_empty"), [
    ({}, {QUANTITY: 3}, {QUANTITY: 0}, (QUANTITY,)),
    ({}, {QUANTITY: 4}, {QUANTITY: 1}, ()),
    ({QUANTITY: None}, {QUANTITY: 3}, {QUANTITY: None}, ()),
    ({QUANTITY: 0}, {QUANTITY: 3}, {QUANTITY: 0}, ()),
])  # fmt: skip
def test_a_sum_may_have_begun_with_null(
    before: dict[str, Any], after: dict[str, Any], expect: dict[str, Any], null_is_empty: Any
) -> None:
    [change] = net(entry("adjust", REF, {QUANTITY: 3}, expect=before), set_({"a": 5}, expect=after))
    assert (change.expect, change.null_is_empty) == (expect, null_is_empty)
    assert not change.contradicted


@pytest.mark.parametrize(("before", "after", "staged"), [
    ({QUANTITY: None}, {QUANTITY: 4}, 3), ({QUANTITY: 1}, {QUANTITY: 3}, 4), ({}, {QUANTITY: None}, 3),
])  # fmt: skip
def test_what_a_sum_cannot_come_to_is_contradicted(
    before: dict[str, Any], after: dict[str, Any], staged: int
) -> None:
    [change] = net(entry("adjust", REF, {QUANTITY: 3}, expect=before), set_({"a": 5}, expect=after))
    found = ContradictedExpectation(2, QUANTITY, after[QUANTITY], staged)
    assert change.contradicted == (found,)


def test_a_sum_counts_in_the_requests_after_its_own() -> None:
    ref, number = "product/P", "QuantityMultiplier"
    first, second = net(
        entry("adjust", ref, {number: 2}), set_({"DefaultSupplierID": "S1"}, ref),
        set_({"DefaultSupplierID": "S2"}, ref, expect={number: 5}),
        entry("adjust", ref, {number: 1}), set_({"Name": "p"}, ref, expect={number: 6}),
    )  # fmt: skip
    assert (first.adjust, first.expect, second.adjust) == ({number: 2}, {number: 3}, {number: 1})
    assert not first.contradicted


def test_a_sum_of_stock_begins_with_what_is_shown_once_it_is_no_sum() -> None:
    ref, stock = "product/P", "Inventory.QuantityAvailable"
    first, second = net(
        set_({"Inventory.VariantLevelTracking": False}, ref), entry("adjust", ref, {stock: 3})
    )
    assert (first.adjust, second.adjust) == ({}, {stock: 3})


@pytest.mark.parametrize(("expected", "found", "meets"), [
    (False, None, True), (False, False, True), (False, True, False), (True, None, False),
])  # fmt: skip
def test_the_rest_of_a_model_may_be_filled_in(expected: bool, found: object, meets: bool) -> None:
    """The first member that is given makes the others of a null model false."""
    [change] = net(
        set_({"Inventory.Enabled": True}, "product/P"),
        set_({"Name": "p"}, "product/P", expect={"Inventory.OrderCanExceed": expected}),
    )
    there = {"Inventory": None if found is None else {"OrderCanExceed": found}}
    assert not change.contradicted
    unmet = unmet_expectations(change.ref, change.expect, there, null_is_empty=change.null_is_empty)
    assert bool(unmet) is not meets


def test_a_member_that_is_named_is_not_filled_in() -> None:
    [change] = net(
        set_({"Inventory.OrderCanExceed": None}, "product/P"),
        set_({"Name": "p"}, "product/P", expect={"Inventory.OrderCanExceed": False}),
    )
    assert change.contradicted


def test_two_expectations_that_contradict_each_other_are_broken() -> None:
    [change] = net(set_({"a": 1}, expect={QUANTITY: 3}), set_({"b": 1}, expect={QUANTITY: 4}))
    assert change.contradicted == (ContradictedExpectation(2, QUANTITY, 4, 3),)


def test_after_a_put_the_defaults_of_the_table_are_known() -> None:
    [change] = net(
        entry("put", REF, {"AddressID": "A"}),
        set_({"a": 1}, expect={"AllowAllBuyers": True, "xp.z": None}),
        set_({"a": 2}, expect={"AllowAllBuyers": False}),
    )
    assert change.contradicted == (ContradictedExpectation(3, "AllowAllBuyers", False, True),)


def spans(*entries: Entry) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """What each change was folded from, and what it follows."""
    return [(c.ref, c.entries, c.follows) for c in net(*entries)]


def name(user: str, value: str) -> Entry:
    return set_({"Username": value}, f"admin-user/{user}")


ACROSS: dict[str, tuple[list[Entry], list[tuple[str, tuple[int, ...], tuple[int, ...]]]]] = {
    "a user name that is handed on": (
        [name("A", "tmp"), name("B", "a"), name("A", "b")],
        [("admin-user/A", (1,), ()), ("admin-user/A", (3,), ()), ("admin-user/B", (2,), ())],
    ),
    "user names that nobody else writes between": (
        [name("A", "tmp"), name("A", "b"), name("B", "a")],
        [("admin-user/A", (1, 2), ()), ("admin-user/B", (3,), ())],
    ),
    "settings that a record needed, and a later put drops": (
        [entry("put", "product/P", {"Name": "p", "Inventory.Enabled": True}),
         entry("put", "inventory/p/R", {"AddressID": "A"}),
         entry("put", "product/P", {"Name": "p"}, replace=True)],
        [("product/P", (1,), ()), ("product/P", (3,), (2,)), ("inventory/p/R", (2,), (1,))],
    ),
    "settings that a later put keeps": (
        [entry("put", "product/P", {"Name": "p", "Inventory.Enabled": True}),
         entry("put", "inventory/P/R", {"AddressID": "A"}),
         entry("put", "product/P", {"Name": "q", "Inventory.Enabled": True}, replace=True)],
        [("product/P", (1, 3), ()), ("inventory/P/R", (2,), ())],
    ),
    "a product that is assigned before it becomes a child": (
        [set_({"Active": True}, "product/P"), entry("assign", "catalog-product/C/P"),
         set_({"ParentID": "PP"}, "product/P")],
        [("product/P", (1,), ()), ("product/P", (3,), (2,)),
         ("catalog-product/C/P", (2,), (1,))],
    ),
    "a parent that ceases to be one": (
        [set_({"IsParent": True}, "product/PP"), set_({"ParentID": "PP"}, "product/P"),
         set_({"IsParent": False}, "product/PP")],
        [("product/PP", (1,), ()), ("product/PP", (3,), (2,)), ("product/P", (2,), (1,))],
    ),
    "a currency that changes while nothing refers to it": (
        [set_({"DefaultPriceScheduleID": None}, "product/P"),
         set_({"Currency": "USD"}, "price-schedule/S"),
         set_({"DefaultPriceScheduleID": "S"}, "product/P")],
        [("product/P", (1,), ()), ("product/P", (3,), (2,)), ("price-schedule/S", (2,), (1,))],
    ),
    "a reference that was not there before": (
        [set_({"Name": "p"}, "product/P"), set_({"Currency": "USD"}, "price-schedule/S"),
         set_({"DefaultPriceScheduleID": "S"}, "product/P")],
        [("product/P", (1, 3), (2,)), ("price-schedule/S", (2,), ())],
    ),
    "a parent's value that a child builds on": (
        [set_({"ParentID": "PP"}, "product/P"), set_({"xp.a": {"x": 1}}, "product/PP"),
         set_({"xp.a.b": 2}, "product/P"), set_({"xp.a": {"y": 1}}, "product/PP")],
        [("product/P", (1,), ()), ("product/P", (3,), (2,)),
         ("product/PP", (2,), ()), ("product/PP", (4,), (3,))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ACROSS, ids=str)
def test_no_fold_spans_what_depends_on_the_state_between(case: str) -> None:
    entries, expected = ACROSS[case]
    assert spans(*entries) == expected


def test_a_catalog_has_the_name_that_its_buyer_had_first() -> None:
    ref = "buyer/B"
    found = net(
        entry("put", ref, {"Name": "a"}), set_({"Active": True, "Name": "a"}, ref),
        set_({"Name": "b"}, ref),
    )  # fmt: skip
    assert [(c.op, c.fields) for c in found] == [
        (Op.PUT, {"Name": "a", "Active": True}), (Op.SET, {"Name": "b"}),
    ]  # fmt: skip
    [one] = net(entry("put", ref, {"Name": "a", "DefaultCatalogID": "C"}), set_({"Name": "b"}, ref))
    assert one.fields == {"Name": "b", "DefaultCatalogID": "C"}


def test_what_only_a_creation_can_set_is_of_the_first_put() -> None:
    ref = "product/P"
    [one] = net(
        entry("put", ref, {"Name": "a", "OwnerID": "x"}),
        entry("put", ref, {"Name": "b"}, replace=True),
    )
    assert one.fields == {"Name": "b", "OwnerID": "x"}
    [other] = net(
        entry("put", ref, {"Name": "a"}),
        entry("put", ref, {"Name": "b", "OwnerID": "y"}, replace=True),
    )
    assert other.fields == {"Name": "b"}


@pytest.mark.parametrize(("expected", "holds"), [(False, True), (None, True), (True, False)])
def test_after_a_put_a_flag_without_a_known_default_is_off(expected: object, holds: bool) -> None:
    [change] = net(
        entry("put", "catalog/C", {"Name": "c"}),
        set_({"Name": "d"}, "catalog/C", expect={"Active": expected}),
    )
    assert bool(change.contradicted) is not holds
    assert not change.expect, "the marketplace does not decide it"


@pytest.mark.parametrize("again", [False, True])
def test_a_buyer_that_is_staged_twice_is_created_once(again: bool) -> None:
    """A second put that replaces the first would drop the catalog that this one brings."""
    changes = net(
        entry("put", "buyer/B", {"Name": "a"}),
        entry("put", "buyer/B", {"Name": "b"}, replace=again),
    )
    assert [change.fields["Name"] for change in changes] == (["a", "b"] if again else ["b"])


@pytest.mark.parametrize(("named", "expected", "holds"), [
    ({}, "b", True), ({}, None, True), ({}, "C", False),
    ({"DefaultCatalogID": None}, "B", True), ({"DefaultCatalogID": "C"}, "B", False),
])  # fmt: skip
def test_after_a_put_a_buyer_may_have_its_own_catalog(
    named: dict[str, Any], expected: object, holds: bool
) -> None:
    [change] = net(
        entry("put", "buyer/B", {"Name": "b", **named}),
        set_({"Active": True}, "buyer/B", expect={"DefaultCatalogID": expected}),
    )
    assert bool(change.contradicted) is not holds
    assert not change.expect


def test_a_put_keeps_what_only_a_creation_sets() -> None:
    [change] = net(
        entry("put", "catalog/C", {"Name": "c"}, replace=True),
        set_({"Name": "d"}, "catalog/C", expect={"OwnerID": "acme"}),
    )
    assert change.expect == {"OwnerID": "acme"}
    assert not change.contradicted


def test_a_put_forgets_what_an_earlier_request_left() -> None:
    found = net(
        set_({"DefaultSupplierID": "S", "Active": True}, "product/P"),
        entry("put", "product/P", {"Name": "p"}),
        set_({"Name": "q"}, "product/P", expect={"Active": True}),
    )
    assert found[0].contradicted == (ContradictedExpectation(3, "Active", True, None),)


def test_after_an_assign_what_it_leaves_out_is_null() -> None:
    ref = "category-assignment/C/K/B"
    [change] = net(
        entry("assign", ref, {"Visible": True}),
        entry("assign", ref, expect={"Visible": True, "ViewAllProducts": None}),
        entry("assign", ref, expect={"Visible": True}),
    )
    assert change.contradicted == (ContradictedExpectation(3, "Visible", True, None),)
    assert not change.expect
