"""Risks of a plan."""

from __future__ import annotations

import pytest

from ocsync.models import Change
from ocsync.plan import build
from ocsync.risks import find_risks
from tests.builders import change

RISKS = [
    ("blind-quantity", [change("inventory/P/R", {"QuantityAvailable": 1})] * 2, True),
    ("blind-quantity", [change("inventory/P/R", {"QuantityAvailable": 1}, expect={"QuantityAvailable": 2})], False),
    ("blind-quantity", [change("inventory/P/R", adjust={"QuantityAvailable": 1})], False),
    ("blind-quantity", [change("product/P", {"Inventory.QuantityAvailable": 1})], True),
    ("blind-quantity", [change("inventory/P/R", {"QuantityAvailable": 1}, "put", replace=True)], True),
    ("blind-quantity", [change("inventory/P/R", {"QuantityAvailable": 1}, "put")], False),
    ("single-change", [change("catalog/C", {"Name": "x"})], True),
    ("single-change", [change("catalog/C", {"Name": "x"}), change("catalog/D", {"Name": "x"})], False),
    ("time-critical", [change("product/P", {"Active": False})], True),
    ("time-critical", [change("price-schedule/P", {"SaleStart": "2027-01-01"})], True),
    ("time-critical", [change("product/P", {"Active": True})], False),
    ("xp-members", [change("catalog/C", {"xp.a": {"b": 1}})], True),
    ("xp-members", [change("catalog/C", {"xp.a": 1})], False),
    ("xp-size", [change("catalog/C", {"xp.a": "ä" * 5000})], True),
    ("xp-size", [change("catalog/C", {"xp.a": "a" * 5000})], False),
    ("xp-keys", [change("product/P", {f"xp.{n}": 1 for n in range(101)})], True),
    ("xp-keys", [change(f"product/P{m}", {f"xp.{n}": 1 for n in range(90 + m)}) for m in range(12)], True),
    ("xp-keys", [change("product/P", {f"xp.{n}.{m}": 1 for n in range(50) for m in range(3)})], False),
    ("index-rebuild", [change("catalog/C", {"Active": False})], True),
    ("index-rebuild", [change("buyer/B", {"Active": True})], True),
    ("index-rebuild", [change("supplier/S", {"AllBuyersCanOrder": True})], True),
    ("index-rebuild", [change("category/C/K", {"Active": True, "Name": "n"}, "put", replace=True)], True),
    ("index-rebuild", [change("catalog-assignment/C/B", {"ViewAllProducts": True, "ViewAllCategories": True}, "assign")], True),
    ("index-rebuild", [change("catalog/C", {"Active": True, "Name": "n"}, "put")], False),
    ("index-rebuild", [change("product/P", {"Active": True})], False),
    ("index-rebuild", [change("catalog/C", {"Name": "n"})], False),
    ("xp-keys", [change("catalog/C", {f"xp.{n}": 1 for n in range(101)})], False),
]  # fmt: skip


@pytest.mark.parametrize(("code", "changes", "there"), RISKS)
def test_risks(code: str, changes: list[Change], there: bool) -> None:
    steps = [s for c in changes for s in build([c]).steps]
    assert (code in {risk.code for risk in find_risks(steps)}) is there
