"""What messages carry (api-facts 4.4), and which products a write touches (3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ocsync.emulator.kinds import ALL
from ocsync.emulator.rules import PRICED_BY
from ocsync.emulator.state import Document, Key, Marketplace, Row, key_of
from ocsync.emulator.views import address_of, shown
from ocsync.schema import RECORD_KINDS, Kind

_USER_TYPES = {"buyer-user": 0, "supplier-user": 1, "admin-user": 2}
_PARTY = {"usergroup": 2, "buyer": 3}
_NOT_SENT = ("Password", "LastActive", "FailedLoginAttempts", "CategoryCount", "ChildCount")


def updated(market: Marketplace, kind: Kind, row: Row) -> Document:
    """The payload of an *updated* message, but for who did it."""
    document = shown(market, kind, row)
    if kind.name == "product":
        return {**document, "ProductID": row.ids[0], **_around_product(market, row)}
    if kind.name in RECORD_KINDS:
        names = ("OwnerID", "AddressID", "OrderCanExceed", "QuantityAvailable", "xp")
        place = address_of(market, document.get("OwnerID"), document.get("AddressID"))
        record = {"ID": row.ids[-1], **{name: document.get(name) for name in names}}
        record["Zip"] = place.get("Zip") if place else None
        return {"ID": row.ids[-1], "ProductID": row.ids[0], "InventoryRecords": [record]}
    sent = {name: value for name, value in document.items() if name not in _NOT_SENT}
    if kind.name in _USER_TYPES:
        return {**sent, "UserType": _USER_TYPES[kind.name]}
    return sent


def deleted(kind: Kind, row: Row) -> Document:
    """The payload of a *deleted* message, but for who did it."""
    if kind.name == "product":
        return {"ProductID": row.ids[-1]}
    if kind.name == "category":
        return {"CatalogID": row.ids[0], "ID": row.ids[-1]}
    if kind.name == "usergroup":
        return {"ID": row.ids[-1], "UserGroupType": "Buyer"}
    return {"ID": row.ids[-1]}


def user_context(market: Marketplace, name: str) -> Document:
    """Who did it: the ID of the user *name*, or the name of a client that has no user."""
    found = market.user(name)
    return {"UserContext": {"ID": found[1].ids[-1] if found else name, "AnonymousId": None}}


def _around_product(market: Marketplace, row: Row) -> Document:
    product = row.ids[0]

    def entity(kind: str, *ids: str | None) -> Document | None:
        found = market.tables[kind].get([one or "" for one in ids])
        return shown(market, ALL[kind], found) if found else None

    parties: list[Document] = []
    buyers, groups = set(), set()
    for link in market.linked("product-assignment", ProductID=product):
        _, buyer, group = link.ids
        buyers.add(buyer)
        groups |= {group} if group else set()
        parties.append({
            "Seller": market.id, "Party": group or buyer,
            "PartyType": _PARTY["usergroup" if group else "buyer"],
            "PriceSchedule": entity("price-schedule", link.document.get("PriceScheduleID")),
        })  # fmt: skip
    categories = [entity("category", *link.ids[:2])
                  for link in market.linked("category-product", ProductID=product)]  # fmt: skip
    default = entity("price-schedule", row.document.get("DefaultPriceScheduleID"))
    own = {"Seller": market.id, "PriceSchedule": default}
    specs = [
        entity("spec", link.ids[0]) for link in market.linked("spec-product", ProductID=product)
    ]
    return {
        "Marketplace": market.id,
        "DefaultPriceSchedule": default,
        "PartyPriceSchedules": parties,
        "SellerDefaultPriceSchedules": [own] if default else [],
        "Catalogs": [link.ids[0] for link in market.linked("catalog-product", ProductID=product)],
        "Categories": [{n: c[n] for n in ("ID", "Name", "ListOrder", "Active")}
                       for c in categories if c],
        "Buyers": sorted(buyers),
        "UserGroups": sorted(groups),
        "Suppliers": [link.ids[1] for link in market.linked("product-supplier", ProductID=product)],
        "Specs": specs,
    }  # fmt: skip


def touched_products(market: Marketplace, kind: Kind, ids: tuple[str, ...]) -> Iterator[Key]:
    """The keys of the products whose message carries what *kind* is."""
    find = _TOUCHED.get(kind.name)
    if find:
        yield from dict.fromkeys(key_of([one]) for one in find(market, *ids))


def _of_catalog(market: Marketplace, catalog: str, *_: str) -> Iterator[str]:
    return (link.ids[1] for link in market.linked("catalog-product", CatalogID=catalog))


def _of_category(market: Marketplace, catalog: str, category: str, *_: str) -> Iterator[str]:
    links = market.linked("category-product", CatalogID=catalog, CategoryID=category)
    return (link.ids[2] for link in links)


def _of_buyer(market: Marketplace, buyer: str, *_: str) -> Iterator[str]:
    for link in market.linked("catalog-assignment", BuyerID=buyer):
        yield from _of_catalog(market, link.ids[0])


def _of_group(market: Marketplace, buyer: str, group: str, *_: str) -> Iterator[str]:
    links = market.linked("product-assignment", BuyerID=buyer, UserGroupID=group)
    return (link.ids[0] for link in links)


def _priced_by(market: Marketplace, schedule: str) -> Iterator[str]:
    for kind, name in PRICED_BY.items():
        for row in market.tables[kind].rows.values():
            if str(row.document.get(name) or "").casefold() == schedule.casefold():
                yield row.ids[0]


def _supplied_by(market: Marketplace, supplier: str) -> Iterator[str]:
    return (link.ids[0] for link in market.linked("product-supplier", SupplierID=supplier))


def _itself(_: Marketplace, product: str, *__: str) -> Iterator[str]:
    return iter([product])


_TOUCHED: dict[str, Callable[..., Iterator[Any]]] = {
    "catalog": _of_catalog,
    "catalog-assignment": _of_catalog,
    "category": _of_category,
    "category-assignment": _of_category,
    "buyer": _of_buyer,
    "usergroup": _of_group,
    "price-schedule": _priced_by,
    "supplier": _supplied_by,
    **dict.fromkeys(RECORD_KINDS, _itself),
}
