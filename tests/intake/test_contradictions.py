"""Refs that stand more than once in a file: noted where their values differ, with both lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.intake.contradictions import MAX_EXAMPLES, Contradictions
from tests.builders import entry
from tests.conftest import Run

TWICE = "stock.csv: 1 ref appears more than once with different values; the last line counts: "


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_another_value_for_the_same_record_is_noted_with_both_lines(
    ocsync: Run, dry: list[str]
) -> None:
    rows = "lamp,south,7,3\nlamp,north,1,\nLAMP,South,,3\nlamp,south,9,3\n"
    head = "ProductID,InventoryRecordID,QuantityAvailable,NotificationPoint\n"
    Path("stock.csv").write_text(head + rows)
    done = ocsync("stage", "import", "stock.csv", *dry)
    assert done.code == 0
    assert TWICE + "inventory/lamp/south QuantityAvailable (lines 2 and 5)" in done.err


def test_lines_that_agree_add_up_or_know_of_each_other_are_not_noted(ocsync: Run) -> None:
    lines = [
        '{"ref":"inventory/P/R","fields":{"QuantityAvailable":1,"xp.a":{"b":1,"c":2}}}',
        '{"ref":"inventory/P/R","fields":{"xp.a":{"c":2,"b":1},"NotificationPoint":4}}',
        '{"ref":"inventory/P/R","fields":{"QuantityAvailable":2},"expect":{"QuantityAvailable":1}}',
        '{"ref":"inventory/P/R","op":"adjust","fields":{"QuantityAvailable":5}}',
        '{"ref":"inventory/P/R","op":"adjust","fields":{"QuantityAvailable":6}}',
    ]
    Path("stock.jsonl").write_text("\n".join(lines))
    assert "more than once" not in ocsync("stage", "import", "stock.jsonl").err


def test_an_assignment_that_leaves_out_what_an_earlier_one_set_is_noted(ocsync: Run) -> None:
    Path("a.csv").write_text("ProductID,BuyerID,PriceScheduleID\nP,B,PS\nP,B,\n")
    assert (
        "product-assignment/P/B PriceScheduleID (lines 2 and 3)"
        in ocsync("stage", "import", "a.csv").err
    )


VALUES = st.sampled_from([None, 0, 1, True, "a", "b", [1], {"a": 1}])


@given(st.lists(st.tuples(st.sampled_from("PQ"), st.dictionaries(st.sampled_from(["xp.a", "xp.b", "xp.c"]), VALUES)), max_size=9))  # fmt: skip
def test_exactly_the_refs_with_two_values_for_a_field_are_found(
    rows: list[tuple[str, dict[str, object]]],
) -> None:
    found = Contradictions()
    last: dict[tuple[str, str], tuple[int, object]] = {}
    expected: dict[str, tuple[str, int, int]] = {}
    for line, (name, fields) in enumerate(rows, 2):
        found.add_all([entry("set", f"product/{name}", fields, source=f"a.csv:{line}")])
        for path, value in fields.items():
            first, before = last.get((name, path), (0, value))
            if before != value:
                expected.setdefault(name, (path, first, line))
            last[name, path] = (line, value)
    assert found.count == len(expected)
    assert [(e.path, e.first, e.second) for e in found.examples] == list(expected.values())
    assert found.refs == len({name for name, _ in rows})


def test_only_the_first_ones_are_named() -> None:
    found = Contradictions()
    for value in (1, 2):
        found.add_all(
            [
                entry("set", f"product/{n}", {"QuantityMultiplier": value}, source=f"a.csv:{n + 2}")
                for n in range(9)
            ]
        )
    assert (found.count, len(found.examples)) == (9, MAX_EXAMPLES)
