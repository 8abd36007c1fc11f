"""Expecting the current value beside staged edits of the same ref."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.consolidate import consolidate, expect_current
from ocsync.errors import InputError
from ocsync.field_paths import json_equal
from ocsync.models import Entry, Op
from ocsync.schema import url_of
from tests.builders import Shop, entry
from tests.conftest import Run

REF = "inventory/P/R"
QUANTITY = "QuantityAvailable"

EARLIER: list[tuple[str, list[Entry], Any, Any]] = [
    ("nothing", [], 40, 40),
    ("another ref", [entry("set", "inventory/P/S", {QUANTITY: 9})], 40, 40),
    ("another field", [entry("set", REF, {"xp.a": 1})], 40, 40),
    ("a set", [entry("set", REF, {QUANTITY: 9})], 40, 9),
    ("an adjustment", [entry("adjust", REF, {QUANTITY: 5})], 40, 45),
    ("an adjustment of null", [entry("adjust", REF, {QUANTITY: 5})], None, 5),
    ("a set and an adjustment",
     [entry("set", REF, {QUANTITY: 9}), entry("adjust", REF, {QUANTITY: 5})], 40, 14),
    ("a put", [entry("put", REF, {"AddressID": "wh", QUANTITY: 9})], 40, 9),
    ("a put without it", [entry("put", REF, {"AddressID": "wh"})], 40, None),
    ("an expected value", [entry("set", REF, {"xp.a": 1}, expect={QUANTITY: 40})], 40, 40),
    ("an expected value after an adjustment of null",
     [entry("adjust", REF, {QUANTITY: 5}), entry("set", REF, {"xp.a": 1}, expect={QUANTITY: 5})],
     None, 5),
    ("an adjustment after an expected value",
     [entry("adjust", REF, {QUANTITY: -2}, expect={QUANTITY: 40})], 40, 38),
]  # fmt: skip


@pytest.mark.parametrize(("earlier", "current", "expected"), [e[1:] for e in EARLIER],
                         ids=[e[0] for e in EARLIER])  # fmt: skip
def test_the_value_after_the_staged_edits_is_expected(
    earlier: list[Entry], current: Any, expected: Any
) -> None:
    new = entry("set", REF, {QUANTITY: 1})
    assert expect_current(earlier, new, {QUANTITY: current}) == {QUANTITY: expected}


def test_a_value_that_contradicts_a_staged_edit_is_refused_with_the_reason() -> None:
    new = entry("set", REF, {QUANTITY: 1})
    earlier = entry("set", REF, {"xp.a": 1}, expect={QUANTITY: 38})
    with pytest.raises(InputError) as caught:
        expect_current([earlier], new, {QUANTITY: 40})
    [problem] = caught.value.problems
    assert "a staged edit expects 38" in problem.why
    assert problem.field == QUANTITY


NUMBERS = st.integers(0, 3)
EDITS = st.one_of(
    st.builds(lambda n: entry("set", REF, {QUANTITY: n}), NUMBERS),
    st.builds(lambda n: entry("set", REF, {"xp.a": n}), NUMBERS),
    st.builds(lambda n: entry("adjust", REF, {QUANTITY: n - 1}), NUMBERS),
    st.builds(lambda n: entry("put", REF, {"AddressID": "wh", QUANTITY: n}, replace=True), NUMBERS),
    st.builds(lambda n: entry("put", REF, {"AddressID": "wh"}, replace=True), NUMBERS),
    st.builds(lambda n: entry("set", REF, {"xp.b": 1}, expect={QUANTITY: n}), NUMBERS),
)


@given(st.lists(EDITS, max_size=5), st.one_of(st.none(), NUMBERS))
def test_what_is_expected_never_contradicts_what_is_staged(
    earlier: list[Entry], current: Any
) -> None:
    """A run finds no conflict in it as long as nobody else writes."""
    earlier = [msgspec.structs.replace(e, seq=n) for n, e in enumerate(earlier, 1)]
    new = Entry(op=Op.SET, ref=REF, fields={QUANTITY: 7}, seq=99)
    try:
        expected = expect_current(earlier, new, {QUANTITY: current})
    except InputError:
        return
    first = consolidate([*earlier, msgspec.structs.replace(new, expect=expected)])[0]
    assert not [found for found in first.contradicted if found.seq == 99]
    if not any(QUANTITY in e.expect for e in earlier):
        begins = 0 if current is None and QUANTITY in first.null_is_empty else current
        assert json_equal(first.expect.get(QUANTITY, current), begins)


def test_the_current_value_beside_staged_edits_is_no_conflict(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1, products=1, quantity=40)
    ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    staged = ocsync("stage", "set", ref, "QuantityAvailable=9", "--expect-current")
    assert staged.code == 0, staged
    assert "QuantityAvailable is 40 on the server; staged edits make it 45" in staged.err
    assert "expects QuantityAvailable=45" in staged.err
    again = ocsync("stage", "set", ref, "QuantityAvailable=8", "--expect-current")
    assert "expects QuantityAvailable=9" in again.err
    assert "contradict" not in ocsync("plan").out
    assert ocsync("resume").code == 0
    assert shop.get(url_of(ref))["QuantityAvailable"] == 8


def test_the_current_value_of_what_is_only_staged(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "put", "catalog/C", "Name=x")
    staged = ocsync("stage", "set", "catalog/C", "Name=y", "--expect-current")
    assert (staged.code, "expects Name=x" in staged.err) == (0, True), staged
    assert ocsync("resume").code == 0
    assert shop.get("/catalogs/C")["Name"] == "y"


def test_the_current_value_is_not_final_while_a_run_writes_it(ocsync: Run, shop: Shop) -> None:
    first, other = shop.stock(records=2, products=1, quantity=40)
    ocsync("stage", "adjust", first, "QuantityAvailable+=5")
    shop.faults({"method": "PATCH", "path": "/inventoryrecords", "status": 503, "retry_after": 60})
    assert ocsync("resume", "--max-wait", "1s").code == 75
    shop.faults()
    refused = ocsync("stage", "set", first, "QuantityAvailable=9", "--expect-current")
    assert (refused.code, "the unfinished run" in refused.err) == (64, True)
    assert ocsync("stage", "set", other, "QuantityAvailable=9", "--expect-current").code == 0
