"""Contents of messages (guide/ordercloud.md 4.4), and the products that a write affects
(guide/ordercloud.md 3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.rules import PRICE_SCHEDULE_FIELDS
from ocsync.emulator.state import Document, Key, Marketplace, Row, key_of
from ocsync.emulator.views import address_of, catalogs_of, view_of
from ocsync.schema import RECORD_KINDS, Kind

_USER_TYPES = {"buyer-user": 0, "supplier-user": 1, "admin-user": 2}
_PARTY_TYPES = {"usergroup": 2, "buyer": 3}
_NOT_SENT = ("Password", "LastActive", "FailedLoginAttempts", "CategoryCount", "ChildCount")


def updated_payload(market: Marketplace, kind: Kind, row: Row) -> Document:
    """Return the payload of an *updated* message, without the user."""
    document = view_of(market, kind, row)
    if kind.name == "product":
        return {**document, "ProductID": row.ids[0], **_product_context(market, row)}
    if kind.name in ("inventory", "variant-inventory"):
        names = ("OwnerID", "AddressID", "OrderCanExceed", "QuantityAvailable", "xp")
        address = address_of(market, document.get("OwnerID"), document.get("AddressID"))
        record = {"ID": row.ids[-1], **{name: document.get(name) for name in names}}
        record["Zip"] = address.document.get("Zip") if address else None
        return {"ID": row.ids[-1], "ProductID": row.ids[0], "InventoryRecords": [record]}
    fields = {name: value for name, value in document.items() if name not in _NOT_SENT}
    if kind.name in _USER_TYPES:
        return {**fields, "UserType": _USER_TYPES[kind.name]}
    return fields


def deleted_payload(kind: Kind, row: Row) -> Document:
    """Return the payload of a *deleted* message, without the user."""
    if kind.name == "product":
        return {"ProductID": row.ids[-1]}
    if kind.name == "category":
        return {"CatalogID": row.ids[0], "ID": row.ids[-1]}
    if kind.name == "usergroup":
        return {"ID": row.ids[-1], "UserGroupType": "Buyer"}
    return {"ID": row.ids[-1]}


def user_context(market: Marketplace, name: str) -> Document:
    """Return the context of the user *name*: its ID, or the name of a client without a user."""
    user = market.find_user(name)
    return {"UserContext": {"ID": user[1].ids[-1] if user else name, "AnonymousId": None}}


def _product_context(market: Marketplace, row: Row) -> Document:
    product = row.ids[0]

    def entity(kind: str, *ids: str | None) -> Document | None:
        row = market.tables[kind].get([entity_id or "" for entity_id in ids])
        return view_of(market, ALL_KINDS[kind], row) if row else None

    parties: list[Document] = []
    buyers, groups = set(), set()
    for link in market.links("product-assignment", ProductID=product):
        _, buyer, group, seller = link.ids
        buyers.add(buyer)
        groups |= {group} if group else set()
        parties.append({
            "Seller": seller or market.id, "Party": group or buyer,
            "PartyType": _PARTY_TYPES["usergroup" if group else "buyer"],
            "PriceSchedule": entity("price-schedule", link.document.get("PriceScheduleID")),
        })  # fmt: skip
    categories = [entity("category", *link.ids[:2])
                  for link in market.links("category-product", ProductID=product)]  # fmt: skip
    default = entity("price-schedule", row.document.get("DefaultPriceScheduleID"))
    own = {"Seller": market.id, "PriceSchedule": default}
    specs = [
        entity("spec", link.ids[0])
        for link in market.links("spec-product-assignment", ProductID=product)
    ]
    return {
        "Marketplace": market.id,
        "DefaultPriceSchedule": default,
        "PartyPriceSchedules": parties,
        "SellerDefaultPriceSchedules": [own] if default else [],
        "Catalogs": [link.ids[0] for link in market.links("catalog-product", ProductID=product)],
        "Categories": [{n: c[n] for n in ("ID", "Name", "ListOrder", "Active")}
                       for c in categories if c],
        "Buyers": sorted(buyers),
        "UserGroups": sorted(groups),
        "Suppliers": [link.ids[1] for link in market.links("product-supplier", ProductID=product)],
        "Specs": specs,
    }  # fmt: skip


def affected_products(market: Marketplace, kind: Kind, ids: tuple[str, ...]) -> Iterator[Key]:
    """Yield the keys of the products whose message contains the row of *kind* with *ids*."""
    find = _AFFECTED_BY.get(kind.name)
    if find:
        yield from dict.fromkeys(key_of([one]) for one in find(market, *ids))


def _in_catalog(market: Marketplace, catalog: str, *_: str) -> Iterator[str]:
    return (link.ids[1] for link in market.links("catalog-product", CatalogID=catalog))


def _in_category(market: Marketplace, catalog: str, category: str, *_: str) -> Iterator[str]:
    links = market.links("category-product", CatalogID=catalog, CategoryID=category)
    return (link.ids[2] for link in links)


def _visible_to_buyer(market: Marketplace, buyer: str, *_: str) -> Iterator[str]:
    for link in catalogs_of(market, buyer):
        yield from _in_catalog(market, link.ids[0])


def _visible_to_group(market: Marketplace, group: str) -> Iterator[str]:
    for link in market.links("catalog-assignment", BuyerGroupID=group):
        yield from _in_catalog(market, link.ids[0])


def _assigned_to_group(market: Marketplace, buyer: str, group: str, *_: str) -> Iterator[str]:
    links = market.links("product-assignment", BuyerID=buyer, UserGroupID=group)
    return (link.ids[0] for link in links)


def _priced_by(market: Marketplace, schedule: str) -> Iterator[str]:
    for kind, name in PRICE_SCHEDULE_FIELDS.items():
        for row in market.tables[kind].rows.values():
            if str(row.document.get(name) or "").casefold() == schedule.casefold():
                yield row.ids[0]


def _supplied_by(market: Marketplace, supplier: str) -> Iterator[str]:
    return (link.ids[0] for link in market.links("product-supplier", SupplierID=supplier))


def _with_spec(market: Marketplace, spec: str, *_: str) -> Iterator[str]:
    return (link.ids[1] for link in market.links("spec-product-assignment", SpecID=spec))


def _itself(_: Marketplace, product: str, *__: str) -> Iterator[str]:
    return iter([product])


_AFFECTED_BY: dict[str, Callable[..., Iterator[Any]]] = {
    "catalog": _in_catalog,
    "catalog-assignment": _in_catalog,
    "category": _in_category,
    "category-assignment": _in_category,
    "buyer": _visible_to_buyer,
    "buyer-group": _visible_to_group,
    "usergroup": _assigned_to_group,
    "price-schedule": _priced_by,
    "spec": _with_spec,
    "spec-option": _with_spec,
    "supplier": _supplied_by,
    **dict.fromkeys(RECORD_KINDS, _itself),
}
