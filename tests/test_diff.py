"""Whether sending a change would change the document that was read."""

from __future__ import annotations

from typing import Any

import pytest

from ocsync.diff import is_unchanged
from tests.builders import change

SUPPLIER = {"ID": "S", "Name": "s", "Active": False, "AllBuyersCanOrder": False, "xp": None}


@pytest.mark.parametrize(("there", "same"), [
    ({}, True),
    ({"xp": {}}, True),
    ({"Active": True}, False),
    ({"Active": None}, False),
    ({"xp": {"a": 1}}, False),
])  # fmt: skip
def test_a_put_is_unchanged_where_all_that_it_omits_is_empty(
    there: dict[str, Any], same: bool
) -> None:
    """A flag that it omits is off afterwards: neither on nor null."""
    put = change("supplier/S", {"Name": "s"}, op="put", replace=True)

    assert is_unchanged(put, put.fields, {**SUPPLIER, **there}) is same


def test_a_put_is_unchanged_where_what_it_omits_is_at_its_default() -> None:
    put = change("inventory/P/R", {"AddressID": "A"}, op="put", replace=True)
    there = {"AddressID": "A", "AllowAllBuyers": True, "OrderCanExceed": False, "LastUpdated": "x"}

    assert is_unchanged(put, put.fields, there)
    assert not is_unchanged(put, put.fields, {**there, "AllowAllBuyers": False})
