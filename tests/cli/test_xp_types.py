"""The type of an xp value: compared strictly, shown as JSON, and not changed without a word.

A product whose xp does not fit the type that the index has is left out of lists
(guide/ordercloud.md 12.10).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import Shop
from tests.conftest import Run

CHANGES: list[tuple[Any, str, str, str]] = [
    (False, "xp.v:=0", "xp.v false -> 0", "xp.v of product/P from true or false to number"),
    ("false", "xp.v:=false", 'xp.v "false" -> false', "from text to true or false"),
    (1, "xp.v=1", 'xp.v 1 -> "1"', "from number to text"),
    ([1], 'xp.v:=["a"]', 'xp.v [1] -> ["a"]', "from list of number to list of text"),
    ({"b": True}, "xp.v.b:=1", 'xp.v {"b": true} -> {"b": 1}', "xp.v.b of product/P from"),
]


@pytest.mark.quick(2)
@pytest.mark.parametrize(("before", "word", "shown", "warned"), CHANGES)
def test_a_change_of_type_is_shown_and_refused(
    ocsync: Run, shop: Shop, before: Any, word: str, shown: str, warned: str
) -> None:
    shop.seed(product=[{"ID": "P", "Name": "p", "xp": {"v": before}}])
    assert ocsync("stage", "set", "product/P", word).code == 0
    plan = ocsync("plan", "--diff")
    assert shown in plan.out
    assert warned in plan.out
    assert "--allow-risky xp-type" in plan.out
    assert "xp-type" in [one["code"] for one in ocsync("plan", "--diff", "--json").data["risks"]]

    refused = ocsync("resume")
    assert (refused.code, warned in refused.err, shop.writes()) == (64, True, []), refused
    assert ocsync("history", "--json").data["runs"] == []

    assert ocsync("resume", "--verify", "--allow-risky", "xp-type").code == 0
    assert ocsync("resume", "--allow-risky", "xp-types").code == 64


SAME: list[tuple[Any, str]] = [
    (1, "xp.v:=2.5"), (None, "xp.v:=1"), (1, "xp.v:=null"), ([], "xp.v:=[1]"), ({"a": 1}, "xp.v.b=x"),
    ("a", "xp.w:=1"),
]  # fmt: skip


@pytest.mark.quick(2)
@pytest.mark.parametrize(("before", "word"), SAME)
def test_what_is_no_change_of_type(ocsync: Run, shop: Shop, before: Any, word: str) -> None:
    shop.seed(product=[{"ID": "P", "Name": "p", "xp": {"v": before}}])
    ocsync("stage", "set", "product/P", word)
    assert ocsync("resume", "--verify").code == 0


def test_staged_products_that_disagree(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "put", "product/P", "Name=p", "xp.v:=false", "xp.w:=1")
    ocsync("stage", "put", "product/Q", "Name=q", "xp.v:=0", "xp.w:=2")
    text = "xp.v is true or false on product/P and number on product/Q"
    assert text in " ".join(ocsync("plan").out.split())
    refused = ocsync("resume")
    assert (refused.code, text in refused.err) == (64, True), refused
    assert ocsync("resume", "--allow-risky", "xp-type").code == 0


def test_kinds_without_an_index_may_change_types(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c", "xp": {"v": False}}])
    ocsync("stage", "set", "catalog/C", "xp.v:=0")
    assert "xp.v false -> 0" in ocsync("plan", "--diff").out
    assert ocsync("resume", "--verify").code == 0


def test_a_new_product_needs_no_read(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "put", "product/P", "Name=p", "xp.v:=false")
    assert ocsync("resume", "--no-pause").code == 0
    reads = [one for one in shop.requests() if one["path"].startswith("/v1/products")]
    assert len([one for one in reads if one["method"] == "GET"]) == 1


def test_values_in_xp_are_explained_as_they_are_staged(ocsync: Run) -> None:
    ocsync("stage", "set", "product/P", "xp.v:=false", "xp.w=false", "xp.n:=null")
    shown = ocsync("plan", "--explain", "product/P").out
    for word in ("xp.v:=false", "xp.w=false", "xp.n:=null"):
        assert word in shown


def test_reports_of_a_run_tell_text_from_numbers(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "null", "xp": {"v": 5}}])
    assert ocsync("stage", "set", "catalog/C", "xp.v=5", "Name=n").code == 0
    assert ocsync("resume", "--allow-risky", "xp-type").code == 0
    page = ocsync("history", "--report", "html", "-").out
    assert "<code>xp.v</code> <del>5</del> → <ins>&quot;5&quot;</ins>" in page
    assert "<code>Name</code> <del>&quot;null&quot;</del> → <ins>n</ins>" in page
    shop.call("PATCH", "/catalogs/C", {"xp": {"v": 7}})
    again = ocsync("verify")
    assert (again.code, 'xp.v=7 instead of "5"' in again.out) == (5, True), again
    undone = ocsync("rollback", "--dry-run")
    assert 'xp.v was 5, the run set "5", now it is 7' in undone.out, undone
