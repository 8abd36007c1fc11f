"""Plans of more refs than are kept in memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import encode

from ocsync.engine.resume import drafting, spilled_plan
from ocsync.engine.resume.drafting import draft_large, draft_plan
from ocsync.models import Entry, Step
from ocsync.ordering import are_unrelated
from ocsync.store.log import decode_line
from ocsync.store.runs import DECODERS
from ocsync.store.step_log import StepLog, step_lines
from tests.builders import entry, numbered

KINDS = {"inventory", "variant-inventory", "supplier", "category-assignment"}
REFS = ["inventory/P/R", "inventory/p/R", *(f"inventory/P/R{n}" for n in range(5)),
        "variant-inventory/P/V/R", "supplier/S", "supplier/T"]  # fmt: skip
PATHS = ["QuantityAvailable", "Name", "xp.a", "xp.b.c", "xp.b"]
EDITS = st.one_of(
    st.builds(
        lambda op, ref, fields, expect, replace: entry(op, ref, fields, expect=expect, replace=replace),
        st.sampled_from(["set", "set", "put"]),
        st.sampled_from(REFS),
        st.dictionaries(st.sampled_from(PATHS), st.integers(0, 3), min_size=1, max_size=3),
        st.just({}) | st.dictionaries(st.sampled_from(PATHS), st.integers(0, 3), max_size=1),
        st.booleans(),
    ),
    st.builds(
        lambda ref, amount: entry("adjust", ref, {"QuantityAvailable": amount}),
        st.sampled_from(REFS[:7]),
        st.integers(1, 3),
    ),
    st.builds(
        lambda user: entry("assign", f"category-assignment/C/K/B{user}", {"Visible": True}),
        st.integers(0, 2),
    ),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    edits=st.lists(EDITS, min_size=1, max_size=30),
    limit=st.integers(0, 9),
    kept=st.integers(0, 9),
    partitions=st.integers(1, 3),
    targets=st.sampled_from([(), ("inventory",), ("products",), ("inventory", "categories")]),
)
def test_a_plan_in_files_is_to_the_byte_the_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    edits: list[Entry],
    limit: int,
    kept: int,
    partitions: int,
    targets: tuple[str, ...],
) -> None:
    folder, entries = tmp_path_factory.mktemp("plan"), numbered(edits)
    expected = draft_plan(entries, targets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spilled_plan, "PARTITIONS", partitions)
        patch.setattr(drafting, "KEPT_CHANGES", kept)
        found = draft_large(iter(entries), KINDS, folder, targets, limit=limit)
    assert encode(list(found.plan.steps)) == encode(list(expected.plan.steps))
    assert found.plan.waves == expected.plan.waves
    assert list(step_lines(found.plan.steps)) == list(step_lines(expected.plan.steps))
    assert found[2:] == expected[2:]
    assert list(found.numbers) == list(expected.numbers)
    assert [*folder.iterdir()] == []


def test_edits_that_depend_on_each_other_are_planned_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    edits = [entry("set", "inventory/P/R", {"QuantityAvailable": 1})]
    edits += [entry("put", "product/P", {"Name": "x"}), entry("put", "address/A", {"Name": "x"})]
    folder, entries = tmp_path_factory.mktemp("plan"), numbered(edits)
    found = draft_large(iter(entries), {"inventory", "product", "address"}, folder, limit=0)
    assert found.plan == draft_plan(entries).plan
    assert are_unrelated(KINDS)
    assert not are_unrelated({"product-assignment", "catalog-product"})  # one comes after the other
    assert not are_unrelated({"category-product", "catalog-product"})  # one creates the other


def test_steps_are_read_one_by_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    edits = [entry("set", f"inventory/P/R{n}", {"QuantityAvailable": n}) for n in range(700)]
    found = draft_large(
        numbered(edits), {"inventory"}, tmp_path_factory.mktemp("plan"), limit=1
    ).plan.steps
    assert isinstance(found, StepLog)
    steps = list(found)
    assert [step.number for step in steps] == list(range(1, 701))
    assert [found[0], found[-1], found[513]] == [steps[0], steps[-1], steps[513]]
    assert list(found[255:257]) == steps[255:257]
    assert list(found[500:][100:]) == steps[600:]
    assert list(found.without({3, *range(10, 700)})[1:]) == [*steps[1:2], *steps[3:9], steps[699]]
    with pytest.raises(IndexError):
        found[700]
    payloads = [decode_line(line[:-1]) for line in step_lines(found)]
    assert [DECODERS["plan"](payload or b"") for payload in payloads] == steps
    assert isinstance(steps[0], Step)
