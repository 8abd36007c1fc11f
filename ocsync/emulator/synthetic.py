"""A synthetic marketplace of any size: products with three inventory records each.

`P000017` has the records `P000017-0` to `-2` in the warehouses `wh-0` to `wh-2`; all products are
in the catalog `main`, which is assigned to the buyer `acme`; each has one of 100 price schedules.
"""

from __future__ import annotations

from typing import Any

from ocsync.emulator.documents import blank_document
from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.seeds import load_seed
from ocsync.emulator.state import Marketplace, Row

RECORDS_PER_PRODUCT = 3
_SCHEDULES = 100
_PLACE = {"Street1": "1 Dock Road", "City": "Hamburg", "Zip": "20457", "Country": "DE"}


def generate(market: Marketplace, products: int) -> None:
    """Add *products* products, and what they refer to, to *market*; all targets are configured."""
    schedules = min(_SCHEDULES, products)
    setup: dict[str, Any] = {
        "targets": "all",
        "address": [{"ID": f"wh-{n}", "AddressName": f"Warehouse {n}", **_PLACE}
                    for n in range(RECORDS_PER_PRODUCT)],
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
    load_seed(market, setup)
    product, record = blank_document(ALL_KINDS["product"]), blank_document(ALL_KINDS["inventory"])
    product["OwnerID"] = record["OwnerID"] = market.id
    stock = {"Enabled": True, "NotificationPoint": None, "VariantLevelTracking": False,
             "OrderCanExceed": False, "QuantityAvailable": 0, "LastUpdated": None}  # fmt: skip
    tables = market.tables
    for number in range(products):
        product_id = f"P{number:06}"
        fields = {"ID": product_id, "Name": f"Product {number}", "Active": True,
                  "Inventory": stock.copy(),
                  "DefaultPriceScheduleID": f"price-{number % schedules}"}  # fmt: skip
        tables["product"].put(Row((product_id,), {**product, **fields}))
        link = {"CatalogID": "main", "ProductID": product_id}
        tables["catalog-product"].put(Row(("main", product_id), link))
        for index in range(RECORDS_PER_PRODUCT):
            ids = (product_id, f"{product_id}-{index}")
            fields = {
                "ID": ids[1],
                "AddressID": f"wh-{index}",
                "QuantityAvailable": number % 50 + 1,
            }
            tables["inventory"].put(Row(ids, {**record, **fields}))
