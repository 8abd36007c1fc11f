"""Limits of the platform that public sources state differently or only approximately."""

from __future__ import annotations

import pytest

from tests.builders import Shop
from tests.conftest import Run


def test_a_currency_is_any_text_of_100_characters(ocsync: Run, shop: Shop) -> None:
    name = "points of the loyalty program".ljust(100, ".")
    assert ocsync("stage", "put", "price-schedule/PS", "Name=p", f"Currency={name}").code == 0
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/priceschedules/PS")["Currency"] == name


@pytest.mark.parametrize("limit", ["characters", "bytes"])
def test_xp_of_8000_characters_and_more_bytes(ocsync: Run, shop: Shop, limit: str) -> None:
    """OrderCloud says one on one page and the other on another: its answer decides."""
    shop.seed(catalog=[{"ID": "C", "Name": "c"}, {"ID": "D", "Name": "d"}])
    shop.switch(xp_limit=limit)
    longest = "ä" * (8000 - len('{"a":""}'))
    refused = ocsync("stage", "set", "catalog/C", f"xp.a={longest}x")
    assert (refused.code, "8,001 characters" in refused.err) == (65, True), refused

    assert ocsync("stage", "set", "catalog/C", f"xp.a={longest}").code == 0
    assert ocsync("stage", "set", "catalog/D", f"xp.a={'x' * 7000}").code == 0
    assert "1 ref has more than 8,000 bytes of xp" in ocsync("plan").out
    result = ocsync("resume", "--verify")

    assert result.code == (0 if limit == "characters" else 3)
    assert ("is more than 8000 bytes" in result.out) is (limit == "bytes"), result
