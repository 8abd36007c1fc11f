"""`resume --no-undo`: inventory records are set without a read, and a rollback says what that costs."""

from __future__ import annotations

import pytest

from tests.builders import Shop
from tests.conftest import Run

RECORD = "/products/P0/inventoryrecords/R0"


def stock(shop: Shop, number: int = 1) -> list[int]:
    paths = [f"/products/P{n}/inventoryrecords/R{n}" for n in range(number)]
    return [shop.get(path)["QuantityAvailable"] for path in paths]


def record_reads(shop: Shop) -> list[str]:
    return [
        r["path"] for r in shop.requests() if r["method"] == "GET" and "/products/" in r["path"]
        and "/integrations/" not in r["path"]
    ]  # fmt: skip


def test_records_are_set_without_a_read(ocsync: Run, shop: Shop) -> None:
    for ref in shop.stock(records=4, products=4):
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume", "--no-undo").code == 0
    assert record_reads(shop) == []
    assert stock(shop, 4) == [7] * 4
    assert ocsync("verify").code == 0


def test_a_rollback_says_that_they_cannot_come_back(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    ocsync("resume", "--no-undo")
    result = ocsync("rollback", "--json")
    assert result.code == 3
    assert result.data["staged"] == []
    [lost] = result.data["lost"]
    assert lost["what"] == ["its earlier values were not read (resume --no-undo)"]
    assert ocsync("stage", "list", "--json").data["staged"] == []


@pytest.mark.parametrize(("effect", "code", "left"), [(True, 0, 7), (False, 6, 5)])
def test_an_answer_that_is_lost_is_not_guessed(
    ocsync: Run, shop: Shop, effect: bool, code: int, left: int
) -> None:
    """What was there before is not known, so a value other than the one sent tells nothing."""
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    shop.faults({"status": 504, "effect": effect, "method": "PATCH", "path": RECORD})
    result = ocsync("resume", "--no-undo", "--json")
    assert (result.code, stock(shop)) == (code, [left])
    if not effect:
        [problem] = result.events[-1]["problems"]
        assert (problem["state"], "were not read" in problem["message"]) == ("unknown", True)


def test_what_decides_is_read_all_the_same(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=3, products=3)
    shop.seed(catalog=[{"ID": "C", "Name": "same"}])
    ocsync("stage", "set", refs[0], "QuantityAvailable=7")
    ocsync("stage", "adjust", refs[1], "QuantityAvailable+=2")
    ocsync("stage", "set", refs[2], "QuantityAvailable=7", "--expect", "QuantityAvailable=4")
    ocsync("stage", "set", "catalog/C", "Name=same")
    conflict = ocsync("resume", "--no-undo")
    assert (conflict.code, shop.writes(), stock(shop, 3)) == (6, [], [5] * 3)
    ocsync("stage", "drop", refs[2])
    result = ocsync("resume", "--no-undo", "--json")
    assert result.code == 0
    assert result.events[-1]["run"]["counts"] == {"done": 2, "unchanged": 1}
    assert stock(shop, 3) == [7, 7, 5]


def test_without_the_option_each_is_read_and_can_be_undone(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume").code == 0
    assert len(record_reads(shop)) == 1
    assert ocsync("rollback").code == 0
    assert ocsync("resume").code == 0
    assert stock(shop) == [5]
