"""The requests that `resume --verify` needs for each ref, by kind of edit, as a table.

    python -m tests.benchmarks.requests                    1,000 refs in each case
    python -m tests.benchmarks.requests --refs 100 --only products --verify answers

*early* are the reads before the pause, *late* those until the last write, and *verify* those after
it. *other* are sign-in and sync configurations. *each* is the total
for one ref.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.emulator.app import Emulator
from ocsync.emulator.seeds import load_seed
from tests.benchmarks.faults import here, settings

Edit = dict[str, Any]
Seed = dict[str, list[dict[str, Any]]]


class Case(NamedTuple):
    """A marketplace and the edits to stage in it; *name* is its row in the table."""

    name: str
    seed: Seed
    edits: list[Edit]

    @property
    def refs(self) -> int:
        """The number of entities that the edits write."""
        return len({edit["ref"] for edit in self.edits})


class Row(NamedTuple):
    """The requests of one case."""

    name: str
    edits: int
    refs: int
    early: int
    late: int
    writes: int
    verify: int
    other: int

    @property
    def total(self) -> int:
        """All requests of the command."""
        return self.early + self.late + self.writes + self.verify + self.other

    @property
    def each(self) -> float:
        """The requests for one ref."""
        return self.total / self.refs


def _set(ref: str, **fields: Any) -> Edit:
    return {"ref": ref, "op": "set", "fields": fields}


def _stock(refs: int, products: int) -> tuple[Seed, list[str]]:
    """Return a marketplace with records spread over products, and the refs of the records."""
    owners = [f"P{n * products // refs}" for n in range(refs)]
    return {
        "address": [{"ID": "wh", "Street1": "s", "City": "c", "Country": "DE"}],
        "product": [
            {"ID": f"P{n}", "Name": "p", "Inventory": {"Enabled": True}} for n in range(products)
        ],
        "inventory": [
            {"ProductID": owner, "ID": f"R{n}", "AddressID": "wh", "QuantityAvailable": 1000}
            for n, owner in enumerate(owners)
        ],
    }, [f"inventory/{owner}/R{n}" for n, owner in enumerate(owners)]


def _inventory(name: str, refs: int, products: int, repeats: int = 1) -> Case:
    seed, records = _stock(refs, products)
    quantities = range(1, repeats + 1)
    return Case(name, seed, [_set(r, QuantityAvailable=q) for q in quantities for r in records])


def _adjusted(refs: int, products: int) -> Case:
    seed, records = _stock(refs, products)
    edits = [{"ref": r, "op": "adjust", "fields": {"QuantityAvailable": 5}} for r in records]
    return Case(f"inventory adjust ({products:,} products)", seed, edits)


def _expected(refs: int, products: int) -> Case:
    seed, records = _stock(refs, products)
    expect = {"QuantityAvailable": 1000}
    edits = [{**_set(r, QuantityAvailable=5), "expect": expect} for r in records]
    return Case(f"inventory set --expect ({products:,} products)", seed, edits)


def _mostly_same(refs: int, products: int) -> Case:
    seed, records = _stock(refs, products)
    edits = [_set(r, QuantityAvailable=1000 if n % 10 else 5) for n, r in enumerate(records)]
    return Case(f"inventory, 90 % already as staged ({products:,} products)", seed, edits)


def _users(number: int) -> list[dict[str, Any]]:
    return [
        {
            "BuyerID": "B", "ID": f"U{n}", "Username": f"u{n}", "FirstName": "f", "LastName": "l",
            "Email": "u@example.com", "Active": True,
        }
        for n in range(number)
    ]  # fmt: skip


_BUYER: Seed = {
    "catalog": [{"ID": "C", "Name": "c"}],
    "buyer": [{"ID": "B", "Name": "b", "DefaultCatalogID": "C"}],
    "catalog-assignment": [
        {"CatalogID": "C", "BuyerID": "B", "ViewAllCategories": True, "ViewAllProducts": True}
    ],
}


def _goods(number: int) -> list[dict[str, Any]]:
    return [{"ID": f"P{n}", "Name": "p"} for n in range(number)]


def _catalog_products(number: int) -> list[dict[str, Any]]:
    return [{"CatalogID": "C", "ProductID": f"P{n}"} for n in range(number)]


def cases(refs: int) -> Iterator[Case]:
    """Yield the cases, with about so many *refs* each."""
    yield _inventory(f"inventory ({refs * 3 // 10:,} products)", refs, refs * 3 // 10, repeats=10)
    yield _inventory(f"inventory ({refs // 50:,} products)", refs, refs // 50, repeats=10)
    yield _inventory(f"inventory, one record a product ({refs:,})", refs, refs, repeats=10)
    yield _adjusted(refs, refs * 3 // 10)
    yield _expected(refs, refs * 3 // 10)
    categories = [{"CatalogID": f"C{n % 2}", "ID": f"K{n}", "Name": "k"} for n in range(refs // 5)]
    catalogs = [{"ID": f"C{n}", "Name": "c"} for n in range(2)]
    yield Case(
        "categories (2 catalogs)",
        {"catalog": catalogs, "category": categories},
        [
            _set(f"category/{one['CatalogID']}/{one['ID']}", Name=f"n{turn}")
            for turn in range(5)
            for one in categories
        ],
    )
    users = _users(refs // 2)
    yield Case(
        "users into one group",
        {**_BUYER, "buyer-user": users, "usergroup": [{"BuyerID": "B", "ID": "G", "Name": "g"}]},
        [_assign(f"usergroup-assignment/B/G/{user['ID']}") for user in users],
    )
    yield Case(
        "buyer users",
        {**_BUYER, "buyer-user": users},
        [_set(f"buyer-user/B/{user['ID']}", FirstName="new") for user in users],
    )
    prices = [{"ID": f"S{n}", "Name": "s"} for n in range(refs)]
    yield Case(
        "price schedules",
        {"price-schedule": prices},
        [_set(f"price-schedule/{price['ID']}", MinQuantity=2) for price in prices],
    )
    yield Case(
        "products",
        {"product": _goods(refs)},
        [
            _set(f"product/{product['ID']}", **fields)
            for fields in ({"Name": "new"}, {"Active": True}, {"Description": "d"})
            for product in _goods(refs)
        ],
    )
    yield Case(
        "product assignments (one buyer)",
        {**_BUYER, "product": _goods(refs), "catalog-product": _catalog_products(refs)},
        [_assign(f"product-assignment/{product['ID']}/B") for product in _goods(refs)],
    )
    shelves = [{"CatalogID": "C", "ID": f"K{n}", "Name": "k"} for n in range(20)]
    yield Case(
        "category products (20 categories)",
        {**_BUYER, "category": shelves, "product": _goods(refs)},
        [_assign(f"category-product/C/K{n % 20}/P{n}", ListOrder=1) for n in range(refs)],
    )
    yield _mostly_same(refs, refs // 10)


def _assign(ref: str, **fields: Any) -> Edit:
    return {"ref": ref, "op": "assign", "fields": fields}


def measure(case: Case, emulator: Emulator, url: str, *words: str) -> Row:
    """Resume *case* on an empty emulator, with *words* as options; return its requests."""
    emulator.reset()
    load_seed(emulator.market, {"targets": "all", **case.seed}, emulator.publisher)
    with _workspace(url) as folder:
        edits = folder / "edits.jsonl"
        edits.write_text("".join(json.dumps(edit) + "\n" for edit in case.edits))
        _run("stage", "import", str(edits), "--yes")
        emulator.requests.clear()
        _run("resume", *words)
    phases = dict.fromkeys(["early", "late", "writes", "verify", "other"], 0)
    for phase in _phases(list(emulator.requests)):
        phases[phase] += 1
    return Row(case.name, len(case.edits), case.refs, **phases)


def _run(*words: str) -> None:
    code, text = here(*words)
    if code:
        raise SystemExit(f"ocsync {' '.join(words)} ended with {code}: {text}")


@contextmanager
def _workspace(url: str) -> Iterator[Path]:
    """Yield the folder of a new workspace with a profile for *url*."""
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, settings(Path(name))):
        _run(
            "profile", "add", "x", "--api-url", url, "--client-id", "emulator", "--secret-env", "S"
        )
        yield Path(name)


def _phases(requests: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the phase of each of *requests*."""
    writes = [n for n, one in enumerate(requests) if _is_write(one)]
    first, last = writes[0], [n for n in writes if not _is_config(requests[n])][-1]
    for n, request in enumerate(requests):
        if _is_config(request) or request["path"] in ("/oauth/token", "/v1/me"):
            yield "other"
        elif _is_write(request):
            yield "writes"
        else:
            yield "early" if n < first else "late" if n < last else "verify"


def _is_config(request: dict[str, Any]) -> bool:
    return str(request["path"]).startswith("/v1/integrations/")


def _is_write(request: dict[str, Any]) -> bool:
    return bool(request["method"] != "GET" and request["path"] != "/oauth/token")


HEADS = ("case", "edits", "refs", "early", "late", "writes", "verify", "other", "total", "each")


def cells(row: Row) -> list[str]:
    """Return the cells of *row*, in the order of HEADS."""
    numbers = [row.edits, *row[2:], row.total]
    return [row.name, *(f"{number:,}" for number in numbers), f"{row.each:.2f}"]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--refs", type=int, default=1000)
    options.add_argument("--only", default="", help="cases whose name has this word")
    options.add_argument("--verify", default="", metavar="answers")
    options.add_argument("words", nargs="*", help="more options of resume, after --")
    given = options.parse_args()
    verify = f"--verify={given.verify}" if given.verify else "--verify"
    print("|", " | ".join(HEADS), "|")
    print("| ---", "| ---: " * (len(HEADS) - 1) + "|")
    with serve_in_thread(EmulatorOptions()) as server:
        for case in cases(given.refs):
            if given.only in case.name:
                row = measure(case, server.emulator, server.url, verify, *given.words)
                print("|", " | ".join(cells(row)), "|", flush=True)


if __name__ == "__main__":
    main()
