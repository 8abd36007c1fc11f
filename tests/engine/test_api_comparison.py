"""What the API's description says, compared with the tables: each kind of difference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from ocsync.emulator import EmulatorOptions
from ocsync.emulator.app import Emulator
from ocsync.emulator.openapi import describe
from ocsync.engine.probe.api_comparison import compare
from ocsync.schema import KINDS, TARGETS

Document = dict[str, Any]


@cache
def _described() -> Document:
    return describe(Emulator(EmulatorOptions())._root.endpoints())


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]["properties"]
    return found


def operation(document: Document, verb: str, path: str) -> Document:
    found: Document = document["paths"][path][verb]
    return found


DIFFERENCES: dict[str, tuple[Callable[[Document], Any], list[str]]] = {
    "nothing": (lambda d: None, []),
    "a field gone": (lambda d: schema(d, "Catalog").pop("Active"), ["catalog: the field Active is missing"]),
    "a new field": (lambda d: schema(d, "Catalog").update(Colour={"type": "string"}), ["catalog: the field Colour is unknown to ocsync"]),
    "a new member": (lambda d: schema(d, "Product")["Inventory"]["properties"].update(Weight={"type": "number"}),
                     ["product: the field Inventory.Weight is unknown to ocsync"]),
    "another type": (lambda d: schema(d, "Catalog").update(Active={"type": "string"}), ["catalog: Active has the type string, not boolean"]),
    "another length": (lambda d: schema(d, "Catalog")["Name"].update(maxLength=80), ["catalog: Name has maxLength 80, not 100"]),
    "another minimum": (lambda d: schema(d, "PriceSchedule")["MinQuantity"].update(minimum=0), ["price-schedule: MinQuantity has minimum 0, not 1"]),
    "a limit where there was none": (lambda d: schema(d, "Category")["ListOrder"].update(maximum=99), ["category: ListOrder has maximum 99, not none"]),
    "read only": (lambda d: schema(d, "Catalog")["Active"].update(readOnly=True), ["catalog: Active can only be read"]),
    "writable": (lambda d: schema(d, "Catalog")["CategoryCount"].pop("readOnly"), ["catalog: CategoryCount is written, not only read"]),
    "required": (lambda d: operation(d, "put", "/catalogs/{catalogID}")["requestBody"]["content"]["application/json"]["schema"]["required"].append("Description"),
                 ["catalog: Description is required"]),
    "no longer required": (lambda d: operation(d, "put", "/catalogs/{catalogID}")["requestBody"]["content"]["application/json"]["schema"]["required"].clear(),
                           ["catalog: Name is not required"]),
    "another role": (lambda d: operation(d, "patch", "/catalogs/{catalogID}").update(security=[{"OAuth2": ["FullAccess", "ShopAdmin"]}]),
                     ["catalog: PATCH /catalogs/{CatalogID} needs ShopAdmin; CatalogAdmin is not enough"]),
    "a verb gone": (lambda d: d["paths"]["/catalogs/{catalogID}"].pop("delete"), ["catalog: DELETE /catalogs/{CatalogID} is missing"]),
    "a kind gone": (lambda d: [d["paths"].pop(p) for p in ("/locales", "/locales/{localeID}")],
                    ["locale: all of it is missing (GET /locales, ...)"]),
    "a target gone": (lambda d: [d["paths"].pop(p) for p in (TARGETS["catalogs"].path, TARGETS["catalogs"].sync_path)],
                      ["catalogs (target): all of it is missing (GET /integrations/entitysync/catalogs, ...)"]),
    "a new target": (lambda d: d["paths"].update({"/integrations/entitysync/specs": {"get": {}}}), ["/integrations/entitysync/specs is unknown to ocsync"]),
    "a new path below a kind": (lambda d: d["paths"].update({"/products/{productID}/collections": {"get": {}}}),
                                ["/products/{}/collections is unknown to ocsync"]),
    "a path that is far away": (lambda d: d["paths"].update({"/orders/{direction}": {"get": {}}}), []),
    "a path that is known": (lambda d: d["paths"].update({"/buyers/{buyerID}/creditcards/{creditCardID}": {"get": {}}}), []),
    "other names and case": (lambda d: d["paths"].update({"/Catalogs/{id}": d["paths"].pop("/catalogs/{catalogID}")}), []),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_are_named(name: str) -> None:
    change, expected = DIFFERENCES[name]
    document = copy.deepcopy(_described())
    change(document)
    assert compare(document) == expected


@pytest.mark.parametrize("document", [{}, {"paths": {}}, {"paths": []}, {"paths": None}])
def test_what_is_no_description(document: Document) -> None:
    with pytest.raises(ValueError, match="names no paths"):
        compare(document)


@pytest.mark.parametrize("junk", [
    {"paths": {"/catalogs": None, "/catalogs/{catalogID}": {"put": 5}}}, {"paths": {"/x": []}},
    {"paths": {"/catalogs/{c}": {"put": {"requestBody": {"content": None}, "security": None}}}},
    {"paths": {"/catalogs/{c}": {"put": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/x/Y"}}}}}}}},
])  # fmt: skip
def test_descriptions_that_are_broken(junk: Document) -> None:
    assert len(compare(junk)) >= len(KINDS)
