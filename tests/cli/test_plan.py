"""The plan as it is shown, and edits that cannot be planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import Run


def test_a_circle_is_told_before_anything_is_sealed(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "put", "category/C/A", "Name=a", "ParentID=B")
    ocsync("stage", "put", "category/C/B", "Name=b", "ParentID=A")
    for words in (("plan",), ("resume",)):
        result = ocsync(*words)
        assert result.code == 65
        assert "category/C/A -> category/C/B -> category/C/A" in result.err
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 2


def test_plan_explains_and_warns(ocsync: Run) -> None:
    Path("s.csv").write_text(
        "ref,QuantityAvailable,AddressID\ninventory/P/R,40,\ninventory/P/R,,wh-2\n"
    )
    ocsync("stage", "import", "s.csv")
    ocsync("stage", "adjust", "inventory/P/R", "QuantityAvailable+=2")
    shown = ocsync("plan")
    explained = ocsync("plan", "--explain", "inventory/P/R").out

    assert ocsync("plan", "--exit-code").code == 2
    assert "only one change: pausing gains nothing" in shown.out
    assert "1 quantity has no expected value" in shown.out
    assert "may also resend products" in shown.out
    assert "PATCH  QuantityAvailable=42  AddressID=wh-2" in explained
    assert "s.csv:2" in explained
    assert "adjust QuantityAvailable+=2" in explained
    assert all(len(line) <= 80 for line in shown.out.splitlines()[1:])
    assert ocsync("plan", "--explain", "catalog/C").code == 66


@pytest.mark.parametrize(
    "more", [(), ("product/P0", "Inventory.Enabled=false")], ids=["alone", "beside"]
)
def test_a_ref_is_explained_by_itself_where_no_other_matters(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    refs = shop.stock(records=3)
    for ref in (*refs, refs[0].lower()):
        ocsync("stage", "set", ref, "QuantityAvailable=4", "xp.bin=a")
    if more:
        assert ocsync("stage", "set", *more).code == 0
    quick = ocsync("plan", "--explain", refs[0])
    monkeypatch.setattr("ocsync.ordering.are_unrelated", lambda kinds: False)
    assert ocsync("plan", "--explain", refs[0]) == quick
    assert quick.out.count("xp.bin=a") == 3
    assert ocsync("plan", "--explain", "inventory/P0/none").code == 66


def test_a_diff_says_what_is_emptied_and_what_is_sent_anyway(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": "P", "Name": "p"}],
              catalog=[{"ID": "C", "Name": "c", "Description": "old"}])  # fmt: skip
    ocsync("stage", "set", "product/P", "Name=p")
    ocsync("stage", "put", "catalog/C", "Name=c", "--replace")
    shown = ocsync("plan", "--diff").out
    assert (
        "~ product/P  has these values already; sent anyway, because reads of it may lag" in shown
    )
    assert "~ catalog/C  Description old -> null" in shown
