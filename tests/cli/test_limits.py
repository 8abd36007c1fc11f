"""Limits of the platform that public sources state differently or only approximately."""

from __future__ import annotations

from tests.builders import Shop
from tests.conftest import Run


def test_a_currency_is_any_text_of_100_characters(ocsync: Run, shop: Shop) -> None:
    name = "points of the loyalty program".ljust(100, ".")
    assert ocsync("stage", "put", "price-schedule/PS", "Name=p", f"Currency={name}").code == 0
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/priceschedules/PS")["Currency"] == name
