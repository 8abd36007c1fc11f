"""Staging one edit at a time: set, adjust, show, list, drop, clear."""

from __future__ import annotations

from tests.conftest import Run


def test_staging_one_by_one(ocsync: Run) -> None:
    assert ocsync("stage", "set", "catalog/C", "Active=true").code == 0
    assert ocsync("stage", "adjust", "inventory/P/R", "QuantityAvailable+=2").code == 0
    shown = ocsync("stage", "show", "inventory/P/R")
    assert "QuantityAvailable+=2" in shown.out
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 2
    assert ocsync("stage", "drop", "catalog/X").code == 66
    assert ocsync("stage", "drop", "1").code == 0
    assert ocsync("stage", "clear").code == 64
    assert ocsync("stage", "clear", "--yes").code == 0
    assert ocsync("plan", "--exit-code").code == 0


def test_what_is_wrong_is_told_in_few_words(ocsync: Run) -> None:
    unknown = ocsync("stage", "set", "foo/X", "Name=a").err
    assert "kinds: address, supplier" in unknown
    assert "next:" not in unknown, "a list of kinds is nothing to type"
    missing = ocsync("stage", "put", "catalog/X").err
    assert "catalog/X  Name  is required\n" in missing, "what is empty takes no room"
    ocsync("stage", "set", "product/P", "Inventory.QuantityAvailable=5")
    beside = ocsync("stage", "set", "inventory/P/R", "QuantityAvailable=5")
    assert (beside.code, '"inventory/P/R"  cannot be staged with its' in beside.err) == (
        65,
        True,
    )
