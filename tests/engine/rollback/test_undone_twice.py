"""A rollback that is rolled back itself, soon after."""

from __future__ import annotations

import pytest

from tests.builders import Shop
from tests.conftest import Run


@pytest.mark.slow
@pytest.mark.parametrize("lag", [0.0, 0.3])
def test_values_that_come_and_go_are_told_from_a_stale_read(
    ocsync: Run, shop: Shop, lag: float
) -> None:
    """The value before the first run is there again: that is no read that lags behind it."""
    shop.seed(product=[{"ID": "P", "Name": "p", "xp": {"a": 1}}])
    shop.switch(product_lag=lag, lag_get=True)
    assert ocsync("stage", "put", "product/P", "Name=q", "--replace").code == 0
    assert ocsync("resume", "--verify").code == 0
    for name in ("p", "q"):
        run = ocsync("history", "--json").data["runs"][0]["id"]
        assert ocsync("rollback", run).code == 0
        result = ocsync("resume", "--verify")
        assert result.code == 0, result
        row = shop.emulator.market.tables["product"].get(["P"])
        assert row
        assert row.document["Name"] == name
