"""The law: consolidated and one by one, a sequence of entries ends in the same marketplace."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocsync.client import Api, Connection, open_client, read_current
from ocsync.consolidate import consolidate
from ocsync.diff import request_body, resolve_values
from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.emulator.app import Emulator
from ocsync.emulator.seeds import load_seed
from ocsync.errors import ApiError
from ocsync.models import Change, Entry, Op
from ocsync.plan import METHODS, build
from ocsync.schema import KINDS, url_of
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


async def send(api: Api, change: Change) -> None:
    current = None
    async for _, found in read_current(api, [change.ref]):
        current = found if isinstance(found, dict) else None
    await api.write(
        METHODS[change.op],
        url_of(change.ref),
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


@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.lists(entries(), min_size=1, max_size=8))
def test_consolidated_and_one_by_one_end_alike(pair_of: Any, sequence: list[Entry]) -> None:
    """What the server refuses one by one is left out: the law speaks of what it accepts."""
    hold(pair_of, sequence)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
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


def hold(pair_of: Any, sequence: list[Entry]) -> None:
    for one in pair_of:
        one.emulator.reset()
        load_seed(one.emulator.market, SEED)

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
            for step in build(consolidate(numbered(taken))).steps:
                await send(b, step.change)

    asyncio.run(go())
    assert marketplace(pair_of[0].emulator) == marketplace(pair_of[1].emulator)


@pytest.mark.slow
@settings(deadline=None, max_examples=600, suppress_health_check=list(HealthCheck))
@given(st.lists(entries(), min_size=1, max_size=20))
def test_the_law_in_many_more_cases(pair_of: Any, sequence: list[Entry]) -> None:
    hold(pair_of, sequence)
