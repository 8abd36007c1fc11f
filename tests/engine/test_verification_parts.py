"""Verification of a long run in parts, against that of the same run as a whole."""

from __future__ import annotations

import json
from itertools import filterfalse
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.client import list_key
from ocsync.engine import step_parts
from ocsync.engine.resume.options import ResumeOptions
from ocsync.engine.verify import readback
from ocsync.engine.verify.readback import WriteParts
from ocsync.models import Intent, Op, Outcome, State, Step
from ocsync.plan import METHODS
from ocsync.schema import kind_of
from ocsync.store import RunInfo, runs
from ocsync.store.runs import Runs
from tests.builders import Shop, change
from tests.conftest import Run
from tests.engine.test_stock import between
from tests.in_process import resume
from tests.intercepting import Answer, Request

REFS = ["inventory/P/R", "inventory/P/r", "inventory/P/S", "inventory/Q/R", "product/P",
        "product/p", "product/Q", "supplier/S"]  # fmt: skip
ASSIGNMENTS = [f"category-assignment/C/K/B{n}" for n in range(4)]
STEPS = st.one_of(
    st.tuples(st.sampled_from(REFS), st.sampled_from(["set", "put", "delete"])),
    st.tuples(st.sampled_from(ASSIGNMENTS), st.sampled_from(["assign", "delete"])),
)
VALUES = st.dictionaries(st.sampled_from(["Name", "xp.a", "xp.b.c"]), st.integers(0, 2), max_size=3)
ENDS = st.sampled_from([State.DONE, State.DONE, State.UNCHANGED, State.FAILED, State.UNKNOWN, None])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(STEPS, ENDS, VALUES, VALUES, st.booleans()), min_size=1, max_size=25),
    size=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
)
def test_the_writes_of_the_parts_are_those_of_the_run(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[Any],
    size: int,
    order: Any,
) -> None:
    folder = Runs(tmp_path_factory.mktemp("runs"), pytest.fail)
    plan, records = list[Step](), list[list[Intent | Outcome]]()
    for number, ((ref, op), end, sent, before, exact) in enumerate(steps, 1):
        one = change(ref, sent, op)
        plan.append(Step(number=number, wave=1, change=one, method=METHODS[Op(op)], path="/x"))
        intent = Intent(number=number, ref=ref, sent=sent, before=before)
        outcome = end and Outcome(number=number, ref=ref, state=end, sent=sent, exact=exact)
        records.append([intent, outcome] if outcome else [intent])
    order.shuffle(records)
    with folder.create(RunInfo(id="1"), plan) as run, pytest.MonkeyPatch.context() as patch:
        run.record([record for group in records for record in group])
        expected = WriteParts(run).whole
        patch.setattr(runs, "LONG_PLAN", 0)
        patch.setattr(step_parts, "PART_SIZE", size)
        parts = WriteParts(run)
        found = list(parts)
        assert list(parts) == found
    assert parts.whole is None
    assert expected == {ref: write for part in found for ref, write in part.items()}
    assert all(len(list(filterfalse(_is_assignment, part))) <= size for part in found)
    homes: dict[tuple[str, ...], set[int]] = {}
    for place, part in enumerate(found):
        for ref in filter(_is_assignment, part):
            homes.setdefault(list_key(ref), set()).add(place)
    assert all(len(places) == 1 for places in homes.values())


def _is_assignment(ref: str) -> bool:
    return bool(kind_of(ref).assignment)


def keep_in_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "LONG_PLAN", 3)
    patch.setattr(step_parts, "PART_SIZE", 4)


def test_a_verification_in_parts_finds_what_one_of_the_whole_finds(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref in shop.stock(records=15, products=6):
        ocsync("stage", "set", ref, "QuantityAvailable=7", "xp.a=1")
    ocsync("stage", "put", "supplier/S", "Name=s")
    assert resume(shop, ResumeOptions(verify=False)).exit_code == 0
    shop.call("PATCH", "/products/P1/inventoryrecords/R1", {"xp": {"a": 2}})
    shop.call("PATCH", "/products/P2/inventoryrecords/R2", {"QuantityAvailable": 6})
    shop.call("DELETE", "/suppliers/S")
    whole = ocsync("verify", "--settle", "0s", "--json")
    keep_in_parts(monkeypatch)
    parts = ocsync("verify", "--settle", "0s", "--json")
    assert whole.code == parts.code == 5
    report = whole.events[-1]
    assert report == parts.events[-1]
    assert {finding["result"] for finding in report["findings"]} == {
        "differs",
        "moved",
        "missing",
    }


@pytest.mark.parametrize("is_kept", [True, False])
def test_answers_prove_the_writes_of_each_part_unless_a_sample_differs(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    def answer(request: Request) -> Answer:
        if request.method != "PATCH" or "/inventoryrecords/" not in request.path or is_kept:
            return request.forward()
        document: dict[str, Any] = shop.get(request.path.removeprefix("/v1"))
        return Answer(200, json.dumps({**document, **json.loads(request.body)}).encode())

    refs = shop.stock(records=15, products=5)
    monkeypatch.setattr(readback, "SMALLEST_SAMPLE", 1)
    keep_in_parts(monkeypatch)
    with between(ocsync, shop, answer):
        for ref in refs:
            ocsync("stage", "set", ref, "QuantityAvailable=7")
        result = ocsync("resume", "--verify=answers", "--json")
    verified = result.events[-1]["verified"]
    if is_kept:
        assert (result.code, verified["read"], verified["sample"]) == (0, 4, 4)
        assert verified["kinds"] == {"inventory": {"same": 15}}
        assert len(set(verified["by_answer"])) == 11
    else:
        assert (result.code, verified["read"], verified["by_answer"]) == (5, 15, [])
        assert sorted(finding["ref"] for finding in verified["findings"]) == sorted(refs)
