"""Plans: what comes before what, who blocks whom, circles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.errors import PlanCycle
from ocsync.models import Change, Op
from ocsync.plan import build, count_by_kind, fed_targets, refs_feeding
from tests.builders import change

BEFORE = [
    ("address/A", change("inventory/P/R", {"AddressID": "A"})),
    ("product/P", change("inventory/P/R", {"QuantityAvailable": 1})),
    ("product/P", change("variant/P/V", {"Name": "x"})),
    ("variant/P/V", change("variant-inventory/P/V/R", {"QuantityAvailable": 1})),
    ("price-schedule/PS", change("product/P", {"DefaultPriceScheduleID": "PS"})),
    ("supplier/S", change("product/P", {"DefaultSupplierID": "S"})),
    ("supplier/S", change("supplier-user/S/U", {"Active": True})),
    ("catalog/C", change("buyer/B", {"DefaultCatalogID": "C"})),
    ("catalog/C", change("category/C/K", {"Name": "x"})),
    ("category/C/K", change("category/C/K2", {"ParentID": "K"})),
    ("buyer/B", change("usergroup/B/G", {"Name": "x"})),
    ("buyer/B", change("buyer-user/B/U", {"Active": True})),
    ("buyer/B", change("catalog-assignment/C/B", op="assign")),
    ("catalog/C", change("catalog-assignment/C/B", op="assign")),
    ("product/P", change("catalog-product/C/P", op="assign")),
    ("category/C/K", change("category-product/C/K/P", op="assign")),
    ("usergroup/B/G", change("usergroup-assignment/B/G/U", op="assign")),
    ("buyer-user/B/U", change("usergroup-assignment/B/G/U", op="assign")),
    ("usergroup/B/G", change("product-assignment/P/B/G", op="assign")),
    ("usergroup/B/G", change("category-assignment/C/K/B/G", op="assign")),
    ("price-schedule/PS", change("product-assignment/P/B", {"PriceScheduleID": "PS"}, op="assign")),
]
ONLY_ORDER = [
    ("catalog-product/C/P", "product-assignment/P/B"),
    ("catalog-assignment/C/B", "product-assignment/P/B"),
    ("category-product/C/K/P", "product-assignment/P/B"),
    ("catalog-assignment/C/B", "category-assignment/C/K/B"),
]


def waves(*changes: Change) -> dict[str, int]:
    return {step.ref: step.wave for step in build(changes).steps}


@pytest.mark.parametrize(
    ("first", "then"), BEFORE, ids=lambda v: v if isinstance(v, str) else v.ref
)
def test_what_is_named_goes_first_and_blocks(first: str, then: Change) -> None:
    steps = {step.ref: step for step in build([then, change(first, {"Name": "x"})]).steps}

    assert steps[first].wave < steps[then.ref].wave
    assert steps[then.ref].needs == (steps[first].number,)


@pytest.mark.parametrize(("first", "then"), ONLY_ORDER)
def test_what_only_comes_first_does_not_block(first: str, then: str) -> None:
    steps = {s.ref: s for s in build([change(then, op="assign"), change(first, op="assign")]).steps}

    assert steps[first].wave < steps[then].wave
    assert steps[then].needs == ()


def test_order_does_not_bind_what_has_other_ids() -> None:
    found = waves(
        change("product-assignment/P/B", op="assign"), change("catalog-product/C/P2", op="assign")
    )
    assert set(found.values()) == {1}


def test_what_a_put_brings_into_being_waits_for_it() -> None:
    """A buyer makes the catalog that has its ID; edits of that catalog come after."""
    found = waves(change("catalog/B", {"Active": True}), change("buyer/B", {"Name": "x"}, op="put"))
    assert found["buyer/B"] < found["catalog/B"]
    other = waves(
        change("catalog/B", {"Active": True}),
        change("buyer/B", {"Name": "x", "DefaultCatalogID": "B"}, op="put"),
    )
    assert other["catalog/B"] < other["buyer/B"]


def test_a_second_put_of_a_buyer_makes_no_catalog() -> None:
    """The catalog that the first one makes comes between them, and they do not wait in a circle."""
    found = build([
        change("buyer/B", {"Name": "a"}, op="put"),
        change("buyer/B", {"DefaultCatalogID": "B"}),
        change("buyer/B", {"Name": "b"}, op="put"),
        change("catalog/B", {"Active": False}),
    ]).steps  # fmt: skip
    assert [s.ref for s in found] == ["buyer/B", "catalog/B", "buyer/B", "buyer/B"]


def test_requests_are_what_the_op_says() -> None:
    found = build([
        change("catalog/A", {"Name": "x"}), change("catalog/B", {"Name": "x"}, op="put"),
        change("catalog-product/A/P", op="assign"),
    ]).steps  # fmt: skip
    assert {(s.ref, s.method) for s in found} == {
        ("catalog/A", "PATCH"), ("catalog/B", "PUT"), ("catalog-product/A/P", "POST"),
    }  # fmt: skip


def test_a_circle_names_its_members() -> None:
    with pytest.raises(PlanCycle) as caught:
        build([
            change("category/C/K1", {"ParentID": "K2"}),
            change("category/C/K2", {"ParentID": "K3"}),
            change("category/C/K3", {"ParentID": "K1"}),
            change("category/C/K4", {"ParentID": "K1"}),
        ])  # fmt: skip
    assert set(caught.value.members) == {"category/C/K1", "category/C/K2", "category/C/K3"}


def test_several_changes_of_one_ref_go_in_order() -> None:
    put = Change(op=Op.PUT, ref="inventory/P/R", fields={"AddressID": "A"})
    after = Change(op=Op.SET, ref="inventory/P/R", adjust={"QuantityAvailable": 1})
    first, second = build([put, after]).steps
    assert (first.change, second.change) == (put, after)
    assert second.needs == (first.number,)


refs = st.sampled_from(
    ["catalog/C", "buyer/B", "category/C/K", "category/C/K2", "product/P", "inventory/P/R",
     "catalog-assignment/C/B", "catalog-product/C/P", "product-assignment/P/B", "address/A"]
)  # fmt: skip


@given(st.lists(refs, unique=True), st.randoms())
def test_the_same_changes_give_the_same_plan(names: list[str], random: st.DataObject) -> None:
    """Numbers follow waves; what is needed has a lower wave; a second planning is the same."""
    changes = [change(ref, {"Name": "x"}) for ref in names]
    plan = build(changes)

    assert plan == build(changes)
    assert [step.number for step in plan.steps] == list(range(1, len(names) + 1))
    by_number = {step.number: step for step in plan.steps}
    assert all(by_number[n].wave < step.wave for step in plan.steps for n in step.needs)


def test_selecting_a_target_takes_what_its_steps_wait_for() -> None:
    changes = [
        change("inventory/P/R", {"AddressID": "A"}), change("address/A", {"City": "x"}),
        change("catalog/C", {"Name": "x"}), change("supplier/S", {"Name": "x"}),
    ]  # fmt: skip
    assert refs_feeding(changes, ["inventory"]) == {"inventory/P/R", "address/A"}
    assert refs_feeding(changes, ["catalogs", "suppliers"]) == {"catalog/C", "supplier/S"}


def test_direct_and_possible_targets() -> None:
    assert fed_targets(["inventory/P/R"]) == (("inventory",), ("products",))
    assert fed_targets(["inventory/P/R", "product/P"]) == (("inventory", "products"), ())


def test_totals_count_entries_and_steps_by_kind() -> None:
    two = Change(op=Op.SET, ref="catalog/C", fields={"Name": "x"}, entries=(1, 2))
    plan = build([two, change("inventory/P/R", {"QuantityAvailable": 1})])
    assert [tuple(row) for row in count_by_kind(plan.steps)] == [
        ("catalog", 2, 1),
        ("inventory", 1, 1),
    ]
