"""The law: consolidated and one by one, a sequence of entries ends in the same marketplace."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ocsync.client import Api, Connection, open_client, read_current
from ocsync.consolidate import consolidate
from ocsync.diff import request_body, resolve_values, values_before
from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.emulator.app import Emulator
from ocsync.emulator.seeds import load_seed
from ocsync.errors import ApiError
from ocsync.late_order import order_by_values, watched_fields
from ocsync.models import Change, Entry, Op, Step
from ocsync.plan import METHODS, build
from ocsync.schema import KINDS, kind_of, write_url_of
from tests.builders import numbered

SEED: dict[str, Any] = {
    "targets": "all",
    "address": [{"ID": "A1", "Street1": "s", "City": "c", "Country": "DE"}],
    "product": [
        {"ID": "P1", "Name": "P1", "Inventory": {"Enabled": True, "QuantityAvailable": 4},
         "xp": {"a": {"b": 1, "c": [1]}, "d": 2}},
        {"ID": "P2", "Name": "P2", "Inventory": {"Enabled": True}},
    ],
    "inventory": [{"ProductID": "P2", "ID": "R1", "AddressID": "A1", "QuantityAvailable": 7}],
    "supplier": [{"ID": f"S{n}", "Name": "s"} for n in (1, 2)],
    "buyer": [{"ID": "B1", "Name": "B1", "DefaultCatalogID": "C1"}],
    "catalog": [{"ID": "C1", "Name": "C1", "xp": {"k": "v"}}],
    "category": [{"CatalogID": "C1", "ID": n, "Name": n} for n in ("K1", "K2", "K3")],
}  # fmt: skip

numbers = st.integers(-5, 50)
flags = st.booleans()
words = st.sampled_from(["x", "y", ""])
leaves = st.one_of(numbers, flags, words, st.none(), st.lists(numbers, max_size=2))
xp_paths = st.sampled_from(["xp.a", "xp.a.b", "xp.a.b.e", "xp.d", "xp.n", "xp.n.m"])


def fields(*options: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields; no path lies inside another."""
    pairs = st.lists(st.one_of(*options), min_size=1, max_size=3)
    return pairs.map(dict).filter(
        lambda found: not any(a.startswith(b + ".") for a in found for b in found)
    )


def pair(path: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(path), values)


XP = st.tuples(xp_paths, leaves)
ENTITIES: dict[str, tuple[tuple[Any, ...], str, dict[str, Any]]] = {
    "product/P1": (
        (pair("Name", st.sampled_from(["n1", "n2"])), XP, pair("Active", flags),
         pair("Inventory.QuantityAvailable", numbers),
         pair("Inventory.NotificationPoint", numbers),
         pair("DefaultSupplierID", st.sampled_from(["S1", "S2", None]))),
        "Inventory.QuantityAvailable", {"Name": "fresh"},
    ),
    "inventory/P2/R1": (
        (pair("QuantityAvailable", numbers), pair("OrderCanExceed", flags), XP,
         pair("NotificationPoint", st.one_of(numbers, st.none()))),
        "QuantityAvailable", {"AddressID": "A1"},
    ),
    "inventory/P2/R9": (
        (pair("QuantityAvailable", numbers), pair("AllowAllBuyers", flags), XP),
        "QuantityAvailable", {"AddressID": "A1"},
    ),
    "catalog/C1": ((pair("Description", words), pair("Active", flags), XP), "", {"Name": "fresh"}),
    "category/C1/K2": (
        (pair("ListOrder", st.integers(0, 9)), pair("ParentID", st.sampled_from(["K1", None])), XP),
        "ListOrder", {"Name": "fresh"},
    ),
    "buyer/B9": (
        (pair("Active", flags), pair("DefaultCatalogID", st.sampled_from(["C1", None])), XP),
        "", {"Name": "fresh"},
    ),
    "catalog/B9": ((pair("Description", words), pair("Active", flags)), "", {"Name": "own"}),
}  # fmt: skip


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """One edit of one of the entities, or an assignment."""
    ref = draw(
        st.sampled_from([*ENTITIES, "catalog-assignment/C1/B1", "category-product/C1/K1/P1"])
    )
    if ref.startswith("catalog-assignment"):
        both = {"ViewAllCategories": draw(flags), "ViewAllProducts": draw(flags)}
        return Entry(op=Op.ASSIGN, ref=ref, fields=both)
    if ref.startswith("category-product"):
        given_fields = draw(
            st.one_of(st.just({}), st.builds(lambda n: {"ListOrder": n}, st.integers(0, 3)))
        )
        return Entry(op=Op.ASSIGN, ref=ref, fields=given_fields)
    options, number, start = ENTITIES[ref]
    op = draw(st.sampled_from([Op.SET, Op.SET, Op.PUT, Op.ADJUST] if number else [Op.SET, Op.PUT]))
    if op is Op.ADJUST:
        return Entry(op=op, ref=ref, fields={number: draw(st.integers(0, 3))})
    found = draw(fields(*options))
    return Entry(op=op, ref=ref, fields={**start, **found} if op is Op.PUT else found, replace=True)


CROSSING_SEED: dict[str, Any] = {
    "targets": "all",
    "address": [{"ID": "A1", "Street1": "s", "City": "c", "Country": "DE"}],
    "price-schedule": [{"ID": f"S{n}", "Name": "s", "Currency": "EUR"} for n in (1, 2)],
    "product": [
        {"ID": "PP", "Name": "PP", "IsParent": True, "Inventory": {"Enabled": True},
         "xp": {"a": {"b": 1}}},
        {"ID": "P1", "Name": "P1", "DefaultPriceScheduleID": "S1", "Inventory": {"Enabled": True}},
        {"ID": "P2", "Name": "P2", "xp": {"a": {"c": 2}}},
    ],
    "buyer": [{"ID": "B1", "Name": "B1", "DefaultCatalogID": "C1"}],
    "catalog": [{"ID": "C1", "Name": "C1"}],
    "catalog-assignment": [
        {"CatalogID": "C1", "BuyerID": "B1", "ViewAllCategories": True, "ViewAllProducts": True}],
    "catalog-product": [{"CatalogID": "C1", "ProductID": "P2"}],
    "category": [{"CatalogID": "C1", "ID": n, "Name": n} for n in ("K1", "K2", "K3")],
    "spec": [{"ID": "T1", "Name": "t", "DefinesVariant": True}, {"ID": "T2", "Name": "t"}],
    "spec-option": [{"SpecID": "T1", "ID": "O1", "Value": "o"}],
    "spec-product-assignment": [{"SpecID": "T1", "ProductID": "P2"}],
    "variant": [{"ProductID": "P2", "ID": "P2-O1"}],
    "buyer-group": [{"ID": "G1", "Name": "g", "DefaultCatalogID": "C1"}, {"ID": "G2", "Name": "g"}],
    "admin-user": [
        {"ID": f"U{n}", "Username": f"u{n}", "FirstName": "f", "LastName": "l", "Email": "e@e.e",
         "Active": True} for n in (1, 2, 3)],
    "buyer-user": [
        {"BuyerID": "B1", "ID": "U4", "Username": "u4", "FirstName": "f", "LastName": "l",
         "Email": "e@e.e", "Active": True}],
}  # fmt: skip
"""A marketplace in which edits of one entity are judged by the state of another."""


def either(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def put(ref: str, *options: Any, **start: Any) -> st.SearchStrategy[Entry]:
    return st.builds(
        lambda found: Entry(op=Op.PUT, ref=ref, fields={**start, **found}, replace=True),
        st.one_of(st.just({}), fields(*options)) if options else st.just({}),
    )


def set_(ref: str, *options: Any) -> st.SearchStrategy[Entry]:
    return st.builds(lambda found: Entry(op=Op.SET, ref=ref, fields=found), fields(*options))


def assign(ref: str, *options: Any) -> st.SearchStrategy[Entry]:
    return st.builds(
        lambda found: Entry(op=Op.ASSIGN, ref=ref, fields=dict(found)),
        st.tuples(*options) if options else st.just(()),
    )


PRODUCT = (
    pair("Inventory.Enabled", st.just(True)),
    pair("IsParent", flags),
    pair("DefaultPriceScheduleID", either("S1", "S2", None)),
    pair("xp.a.b", numbers), pair("xp.a", either(1, {"d": 1})),
)  # fmt: skip
CHILD = pair("ParentID", either("PP", None))
USER = (pair("Username", either("u1", "u2", "u3", "u4", "tmp")), pair("FirstName", words))
BUYER = (
    pair("Name", either("b1", "b2")), pair("DefaultCatalogID", either("C1", "B9", None)),
    pair("Active", flags),
)  # fmt: skip
CURRENCY = (pair("Currency", either("EUR", "USD", None)), pair("ApplyTax", flags))
CROSSING: dict[str, list[st.SearchStrategy[Entry]]] = {
    "user names": [
        *(set_(f"admin-user/U{n}", *USER) for n in (1, 2, 3)), set_("buyer-user/B1/U4", *USER),
    ],
    "products and what hangs on them": [
        set_("product/PP", *PRODUCT), put("product/PP", *PRODUCT, Name="PP"),
        *(set_(f"product/{n}", *PRODUCT, CHILD) for n in ("P1", "P2")),
        *(put(f"product/{n}", *PRODUCT, CHILD, Name=n) for n in ("P1", "P2", "P3")),
        *(put(f"inventory/{n}/R", AddressID="A1") for n in ("P1", "P2", "P3")),
        *(assign(f"catalog-product/C1/{n}") for n in ("P1", "P3")),
        assign("category-product/C1/K1/P2"),
    ],
    "prices": [
        *(set_(f"price-schedule/S{n}", *CURRENCY) for n in (1, 2)),
        *(put(f"price-schedule/S{n}", *CURRENCY, Name="s") for n in (1, 2, 3)),
        *(set_(f"product/{n}", pair("DefaultPriceScheduleID", either("S1", "S2", "S3", None)))
          for n in ("P1", "P2")),
        put("product/P1", pair("DefaultPriceScheduleID", either("S1", "S2")), Name="P1"),
        assign("product-assignment/P2/B1", pair("PriceScheduleID", either("S1", "S2", None))),
    ],
    "buyers and their catalogs": [
        put("buyer/B9", *BUYER, Name="b"), set_("buyer/B9", *BUYER),
        put("catalog/B9", Name="own"), set_("catalog/B9", pair("Active", flags)),
        put("category/B9/K", Name="k"),
    ],
    "specs": [
        *(set_(f"spec/{n}", pair("DefaultOptionID", either("O1", "O2", None)),
               pair("Name", either("s", "t"))) for n in ("T1", "T2")),
        *(put(f"spec/{n}", pair("DefaultOptionID", either("O1", "O2", None)), pair("Required", flags),
              Name="s") for n in ("T1", "T2", "T3")),
        *(put(f"spec-option/{n}", pair("ListOrder", numbers), Value="v")
          for n in ("T1/O1", "T1/O2", "T2/O1", "T3/O1")),
        *(assign(f"spec-product-assignment/{n}/P2", pair("DefaultOptionID", either("O1", "O2", None)))
          for n in ("T1", "T2", "T3")),
    ],
    "groups of buyers": [
        put("buyer/B9", *BUYER, pair("GroupID", either("G1", "G2", "G3", None)), Name="b"),
        set_("buyer/B9", pair("GroupID", either("G1", "G2", "G3", None)), pair("Active", flags)),
        *(put(f"buyer-group/{n}", pair("DefaultCatalogID", either("C1", None)), Name="g")
          for n in ("G1", "G2", "G3")),
        set_("buyer-group/G2", pair("DefaultCatalogID", either("C1", None))),
        *(assign(f"catalog-assignment/C1//{n}", pair("ViewAllCategories", flags),
                 pair("ViewAllProducts", flags)) for n in ("G1", "G3")),
        assign("product-assignment/P2/B9"),
    ],
    "categories": [
        set_(f"category/C1/{n}", pair("ParentID", either("K1", "K2", "K3", None)))
        for n in ("K1", "K2", "K3")
    ],
}  # fmt: skip


@pytest.mark.quick(1)
@pytest.mark.parametrize("pair_of", ["replace"], indirect=True)
@pytest.mark.parametrize("story", [*CROSSING][::2])
@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_refs_that_depend_on_each_other_end_alike(
    pair_of: Any, story: str, data: st.DataObject
) -> None:
    """What one edit needs and a later one of another ref takes away is sent in that order."""
    hold(pair_of, data.draw(st.lists(st.one_of(CROSSING[story]), max_size=9)), CROSSING_SEED)


GENERATING = [
    *CROSSING["specs"], set_("spec/T2", pair("DefinesVariant", flags)),
    st.builds(lambda over: Entry(op=Op.GENERATE, ref="variants/P2", fields={"OverwriteExisting": over}),
              flags),
    set_("variant/P2/P2-O1", pair("Active", flags), pair("Name", either("x", None))),
]  # fmt: skip


def in_stages(sequence: list[Entry]) -> list[Entry]:
    """Return entries as they are sent: specs, generations, variants; else in their order."""
    names = [entry.ref.partition("/")[0] for entry in sequence]
    places = [("variants", "variant").index(n) if n.startswith("variant") else -1 for n in names]
    return [sequence[n] for _, n in sorted(zip(places, range(len(sequence)), strict=True))]


@pytest.mark.parametrize("pair_of", ["replace"], indirect=True)
@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(GENERATING), max_size=9))
def test_variants_are_generated_once_after_specs(pair_of: Any, sequence: list[Entry]) -> None:
    hold(pair_of, in_stages(sequence), CROSSING_SEED)


@pytest.mark.slow
@pytest.mark.parametrize("pair_of", ["replace"], indirect=True)
@settings(deadline=None, max_examples=500, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(GENERATING), max_size=14))
def test_variants_are_generated_once_in_many_more_cases(
    pair_of: Any, sequence: list[Entry]
) -> None:
    hold(pair_of, in_stages(sequence), CROSSING_SEED)


@pytest.mark.slow
@pytest.mark.parametrize("pair_of", ["replace"], indirect=True)
@pytest.mark.parametrize("story", CROSSING)
@settings(deadline=None, max_examples=500, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_refs_that_depend_on_each_other_in_many_more_cases(
    pair_of: Any, story: str, data: st.DataObject
) -> None:
    hold(pair_of, data.draw(st.lists(st.one_of(CROSSING[story]), max_size=14)), CROSSING_SEED)


async def current_of(api: Api, ref: str) -> Any:
    async for _, found in read_current(api, [ref]):
        if isinstance(found, dict):
            return found
    return None


async def read_values(api: Api, steps: Sequence[Step]) -> dict[int, dict[str, Any]]:
    """What decides how steps are judged, as it is before all of them."""
    first = {step.ref: step for step in reversed(steps)}
    return {
        step.number: values_before(watched_fields(kind_of(ref)), await current_of(api, ref))
        for ref, step in first.items()
    }


async def send(api: Api, change: Change) -> None:
    current = await current_of(api, change.ref)
    await api.write(
        METHODS[change.op],
        write_url_of(change.ref, change.fields),
        request_body(change, resolve_values(change, current)),
    )


def marketplace(emulator: Emulator) -> dict[str, Any]:
    """What is there, in lower case: the spelling of an ID is the first or the last writer's."""
    found = {
        "/".join([name, *key]): timeless(row.document)
        for name, table in emulator.market.tables.items()
        for key, row in table.rows.items()
    }
    folded: dict[str, Any] = json.loads(json.dumps(found).casefold())
    return folded


def timeless(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    stamps = ("LastUpdated", "DateCreated")
    return {n: timeless(v) for n, v in document.items() if n not in stamps}


@pytest.fixture(scope="module", params=["replace", "merge"])
def pair_of(request: pytest.FixtureRequest) -> Any:
    with (
        serve_in_thread(EmulatorOptions(nested_xp=request.param)) as one,
        serve_in_thread(EmulatorOptions(nested_xp=request.param)) as two,
    ):
        yield one, two


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.lists(entries(), min_size=1, max_size=8))
def test_consolidated_and_one_by_one_end_alike(pair_of: Any, sequence: list[Entry]) -> None:
    """What the server refuses one by one is left out: the law speaks of what it accepts."""
    hold(pair_of, sequence)


@pytest.mark.parametrize("pair_of", ["replace"], indirect=True)
@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.lists(entries(), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_case_of_ids_changes_nothing(
    pair_of: Any, sequence: list[Entry], chance: random.Random
) -> None:
    """OrderCloud takes IDs that differ only in case for the same."""
    hold(pair_of, [recased(one, chance) for one in sequence])


def recased(one: Entry, chance: random.Random) -> Entry:
    """*one* with its IDs, and those that its fields hold, in upper or lower case by chance."""
    kind, *ids = one.ref.split("/")
    named = {name for reference in KINDS[kind].references for name in reference.ids}
    values = {
        name: either_case(value, chance) if name in named and value else value
        for name, value in one.fields.items()
    }
    ref = "/".join([kind, *(either_case(value, chance) for value in ids)])
    return msgspec.structs.replace(one, ref=ref, fields=values)


def either_case(text: str, chance: random.Random) -> str:
    return chance.choice([text.upper(), text.lower()])


def hold(pair_of: Any, sequence: list[Entry], seed: dict[str, Any] = SEED) -> None:
    note("\n".join(f"{e.op} {e.ref} {e.fields}" for e in sequence))
    for one in pair_of:
        one.emulator.reset()
        load_seed(one.emulator.market, seed)

    async def go() -> None:
        taken = []
        async with (
            open_client(
                Connection(pair_of[0].url, pair_of[0].url, "emulator", lambda: "emulator")
            ) as a,
            open_client(
                Connection(pair_of[1].url, pair_of[1].url, "emulator", lambda: "emulator")
            ) as b,
        ):
            for entry in sequence:
                try:
                    for change in consolidate([entry]):
                        await send(a, change)
                except ApiError:
                    continue
                taken.append(entry)
            steps = build(consolidate(numbered(taken))).steps
            for step in order_by_values(steps, await read_values(b, steps)):
                await send(b, step.change)

    asyncio.run(go())
    assert marketplace(pair_of[0].emulator) == marketplace(pair_of[1].emulator)


@pytest.mark.slow
@settings(deadline=None, max_examples=600, suppress_health_check=list(HealthCheck))
@given(st.lists(entries(), min_size=1, max_size=20))
def test_the_law_in_many_more_cases(pair_of: Any, sequence: list[Entry]) -> None:
    hold(pair_of, sequence)
