"""Products are read by lists from an index that lags: what it shows late decides nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import Result, Shop
from tests.conftest import Run, add_profile

LONG = 600.0
NUMBER = 4


@pytest.fixture
def lagging(run: Run, shop: Shop) -> Run:
    """A workspace at a marketplace whose product lists are stale for long after a write."""
    shop.seed(product=[{"ID": f"P{n}", "Name": "old"} for n in range(NUMBER)])
    shop.switch(product_lag=LONG)
    assert run("init").code == 0
    add_profile(run, shop)
    return run


def stage(run: Run, **fields: Any) -> None:
    for n in range(NUMBER):
        words = [f"{path}={value}" for path, value in fields.items()]
        assert run("stage", "set", f"product/P{n}", *words).code == 0


def gets(shop: Shop, start: str) -> list[str]:
    return [
        r["path"] for r in shop.requests() if r["method"] == "GET" and r["path"].startswith(start)
    ]


def names(shop: Shop) -> list[str]:
    return [shop.get(f"/products/P{n}")["Name"] for n in range(NUMBER)]


def resume(run: Run, *words: str) -> Result:
    return run("resume", "--verify", "--settle", "0s", *words)


def test_a_list_that_shows_what_was_written_is_enough(lagging: Run, shop: Shop) -> None:
    shop.switch(product_lag=0.0)
    stage(lagging, Name="new")
    assert resume(lagging).code == 0
    assert gets(shop, "/v1/products") == ["/v1/products"] * 2
    assert names(shop) == ["new"] * NUMBER


def test_a_write_that_the_list_does_not_show_is_read_by_itself(lagging: Run, shop: Shop) -> None:
    stage(lagging, Name="new")
    assert resume(lagging).code == 0
    assert len(gets(shop, "/v1/products/P")) == NUMBER


def test_a_write_of_the_value_before_is_proven_by_no_list(lagging: Run, shop: Shop) -> None:
    """It may show what was there before someone else wrote in between."""
    shop.switch(product_lag=0.0)
    stage(lagging, Name="old")
    assert resume(lagging).code == 0
    assert len(gets(shop, "/v1/products/P")) == NUMBER


def test_values_before_are_those_of_our_own_last_write(lagging: Run, shop: Shop) -> None:
    stage(lagging, Name="first")
    assert resume(lagging).code == 0
    stage(lagging, Name="second")
    assert resume(lagging).code == 0
    back = lagging("rollback", "--json").data["staged"]
    assert [entry["fields"] for entry in back] == [{"Name": "first"}] * NUMBER


def test_an_expected_value_is_held_against_more_than_a_list(lagging: Run, shop: Shop) -> None:
    for n in range(NUMBER):
        lagging("stage", "set", f"product/P{n}", "Name=new", "--expect", "Name=old")
    shop.call("PATCH", "/products/P2", {"Name": "theirs"})
    result = resume(lagging)
    assert result.code == 6
    assert 'Name is "theirs", expected "old"' in result.out
    assert names(shop) == ["old", "old", "theirs", "old"]


def test_a_put_of_what_a_list_still_shows_creates_it(lagging: Run, shop: Shop) -> None:
    shop.call("DELETE", "/products/P1")
    stage(lagging, Name="new")
    lagging("stage", "drop", "product/P1")
    lagging("stage", "put", "product/P1", "Name=again")
    assert resume(lagging).code == 0
    assert names(shop) == ["new", "again", "new", "new"]


def test_what_others_wrote_since_the_run_is_a_difference(lagging: Run, shop: Shop) -> None:
    shop.switch(product_lag=0.0)
    stage(lagging, Name="new")
    assert resume(lagging).code == 0
    shop.call("PATCH", "/products/P2", {"Name": "theirs"})
    result = lagging("verify", "--settle", "0s", "--json")
    assert result.code == 5
    assert [one["ref"] for one in result.events[-1]["findings"]] == ["product/P2"]


def test_a_get_that_lags_as_well_is_waited_for(
    lagging: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocsync.engine.verify.readback.POLL_SECONDS", 0.1)
    shop.switch(product_lag=0.3, lag_get=True)
    stage(lagging, Name="new")
    assert lagging("resume", "--verify", "--settle", "20s").code == 0
    assert names(shop) == ["new"] * NUMBER


def test_stock_before_is_not_taken_from_a_list(lagging: Run, shop: Shop) -> None:
    """Undone by the difference, it would come out wrong."""
    for n in range(NUMBER):
        stock = {"Enabled": True, "QuantityAvailable": 10}
        shop.seed(product=[{"ID": f"S{n}", "Name": "s", "Inventory": stock}])
        shop.call("PATCH", f"/products/S{n}", {"Inventory": {"QuantityAvailable": 6}})
        lagging("stage", "set", f"product/S{n}", "Inventory.QuantityAvailable=20")
    assert resume(lagging).code == 0
    assert lagging("rollback").code == 0
    assert resume(lagging).code == 0
    left = [shop.get(f"/products/S{n}")["Inventory"]["QuantityAvailable"] for n in range(NUMBER)]
    assert left == [6] * NUMBER
