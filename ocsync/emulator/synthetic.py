"""A synthetic marketplace of any size: products with three inventory records each.

`P000017` has the records `P000017-0` to `-2` in the warehouses `wh-0` to `wh-2`; all are in the
catalog `main`, which the buyer `acme` sees; each has one of 100 price schedules.
"""

from __future__ import annotations

from typing import Any

from ocsync.emulator.documents import blank
from ocsync.emulator.kinds import ALL
from ocsync.emulator.seeds import load_seed
from ocsync.emulator.state import Marketplace, Row

RECORDS = 3
_SCHEDULES = 100
_PLACE = {"Street1": "1 Dock Road", "City": "Hamburg", "Zip": "20457", "Country": "DE"}


def generate(market: Marketplace, products: int) -> None:
    """Add *products* of them, and what they need, to *market*; all targets are on."""
    schedules = min(_SCHEDULES, products)
    around: dict[str, Any] = {
        "targets": "all",
        "address": [{"ID": f"wh-{n}", "AddressName": f"Warehouse {n}", **_PLACE}
                    for n in range(RECORDS)],
        "catalog": [{"ID": "main", "Name": "Main", "Active": True}],
        "buyer": [{"ID": "acme", "Name": "Acme", "Active": True, "DefaultCatalogID": "main"}],
        "catalog-assignment": [{"CatalogID": "main", "BuyerID": "acme",
                                "ViewAllCategories": True, "ViewAllProducts": True}],
        "price-schedule": [
            {"ID": f"price-{n}", "Name": f"Price {n}",
             "PriceBreaks": [{"Quantity": 1, "Price": n + 0.5}]}
            for n in range(schedules)
        ],
    }  # fmt: skip
    load_seed(market, around)
    product, record = blank(ALL["product"]), blank(ALL["inventory"])
    product["OwnerID"] = record["OwnerID"] = market.id
    stock = {"Enabled": True, "NotificationPoint": None, "VariantLevelTracking": False,
             "OrderCanExceed": False, "QuantityAvailable": 0, "LastUpdated": None}  # fmt: skip
    tables = market.tables
    for number in range(products):
        name = f"P{number:06}"
        own = {"ID": name, "Name": f"Product {number}", "Active": True, "Inventory": stock.copy(),
               "DefaultPriceScheduleID": f"price-{number % schedules}"}  # fmt: skip
        tables["product"].put(Row((name,), {**product, **own}))
        link = {"CatalogID": "main", "ProductID": name}
        tables["catalog-product"].put(Row(("main", name), link))
        for place in range(RECORDS):
            ids = (name, f"{name}-{place}")
            mine = {"ID": ids[1], "AddressID": f"wh-{place}", "QuantityAvailable": number % 50 + 1}
            tables["inventory"].put(Row(ids, {**record, **mine}))
