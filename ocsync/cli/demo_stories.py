"""The demo's stories: real commands on an emulator, and the same edits one by one on a twin.

The twin is never paused and gets every edit as a request of its own, so the figures at the end are
counted and not claimed; and both marketplaces must end alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.cli.app import run as ocsync
from ocsync.client import Connection, open_client, read_current
from ocsync.compare import body, to_send
from ocsync.consolidate import consolidate
from ocsync.emulator import Options, Running, running
from ocsync.emulator.seeds import plant
from ocsync.errors import ExitCode, OcsyncError
from ocsync.models import Entry
from ocsync.plan import METHODS
from ocsync.render.console import Console
from ocsync.render.text import columns, duration
from ocsync.resources import url_of
from ocsync.store import Workspace

PRODUCTS, RECORDS, BUYERS, CATEGORIES = 50, 200, 4, 6
_SECRET = "OCSYNC_DEMO_SECRET"  # noqa: S105 - the name of a variable


class Figures(NamedTuple):
    """What was counted in a story."""

    story: str
    edits: int
    requests: int
    messages: int
    twin_requests: int
    twin_messages: int


def seed() -> dict[str, Any]:
    """A small marketplace: products with records, a catalog with categories, buyers."""
    return {
        "marketplace": "demo",
        "name": "Demo Outdoors",
        "targets": "all",
        "address": [
            {"ID": f"wh-{n}", "Street1": "1 Dock Road", "City": "Hamburg", "Country": "DE"}
            for n in range(3)
        ],
        "product": [
            {"ID": f"P{n}", "Name": f"Tent {n}", "Active": True, "Inventory": {"Enabled": True}}
            for n in range(PRODUCTS)
        ],
        "inventory": [
            {"ProductID": _product(n), "ID": f"R{n}", "AddressID": "wh-0", "QuantityAvailable": 10}
            for n in range(RECORDS)
        ],
        "catalog": [{"ID": "SUMMER", "Name": "Summer", "Active": False}],
        "category": [
            {"CatalogID": "SUMMER", "ID": f"C{n}", "Name": f"Category {n}", "Active": True}
            for n in range(CATEGORIES)
        ],
        "buyer": [{"ID": f"B{n}", "Name": f"Buyer {n}", "Active": True} for n in range(BUYERS)],
    }


def _product(record: int) -> str:
    return f"P{record * PRODUCTS // RECORDS}"


def stocktake(path: Path) -> None:
    """1,000 edits of 200 records: quantities, locations, settings, and a recount."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        names = ["ProductID", "InventoryRecordID", "op", "QuantityAvailable", "AddressID"]
        rows.writerow([*names, "OrderCanExceed", "NotificationPoint"])
        for cells in (
            ("set", 40, "", "", ""),
            ("set", "", "wh-1", "", ""),
            ("set", "", "", "true", ""),
            ("set", "", "", "", 5),
            ("adjust", 2, "", "", ""),
        ):
            rows.writerows([_product(n), f"R{n}", *cells] for n in range(RECORDS))


def assignments(path: Path) -> None:
    """Several buyers get the catalog, and its categories a new order."""
    both = {"ViewAllCategories": True, "ViewAllProducts": True}
    records: list[dict[str, Any]] = [
        {"ref": f"catalog-assignment/SUMMER/B{n}", "op": "assign", "fields": both}
        for n in range(BUYERS)
    ]
    records += [
        {"ref": f"category/SUMMER/C{n}", "fields": {"ListOrder": n + 1}} for n in range(CATEGORIES)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


INVENTORY = (
    ("pause", "inventory", "--reason", "stocktake", "--for", "2h"),
    ("stage", "import", "stocktake.csv", "--kind", "inventory"),
    ("plan",),
    ("plan", "--explain", "inventory/P0/R0"),
    ("resume", "--verify"),
)
CATALOG = (
    ("pause", "catalog-wide", "--reason", "summer opens"),
    ("stage", "import", "summer.jsonl"),
    ("stage", "set", "catalog/SUMMER", "Active=true", "xp.season=2027", "--quiet"),
    ("stage", "set", "catalog/SUMMER", "Description=Everything for outdoors", "--quiet"),
    ("stage", "set", "category/SUMMER/C5", "ParentID=C0", "Description=Tents for two", "--quiet"),
    ("plan",),
    ("resume", "--verify"),
    ("status",),
)


def run(console: Console) -> ExitCode:
    """Run both stories; FAILED when a command fails or the two marketplaces differ."""
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="ocsync-demo-") as name,
        running(Options()) as paused,
        running(Options()) as twin,
    ):
        for one in (paused, twin):
            plant(one.emulator.market, seed())
        shell = _Shell(console, Path(name), paused.url)
        stocktake(shell.folder / "stocktake.csv")
        assignments(shell.folder / "summer.jsonl")
        shell.run("profile", "add", "demo", "--api-url", paused.url, "--client-id", "emulator",
                  "--secret-env", _SECRET)  # fmt: skip
        figures = [
            _story(shell, "inventory", INVENTORY, paused, twin),
            _story(shell, "catalog-wide", CATALOG, paused, twin),
        ]
        differ = _differences(paused, twin)
    _tell(console, figures, differ, time.monotonic() - start)
    good = not differ and all(f.messages < f.twin_messages for f in figures)
    return ExitCode.DONE if good else ExitCode.FAILED


@contextlib.contextmanager
def _variables(folder: Path) -> Iterator[None]:
    """The environment of a shell in which nothing but the demo's profile is set up."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith("OCSYNC_"):
            del os.environ[name]
    os.environ |= {
        _SECRET: "emulator",
        "OCSYNC_WORKSPACE": str(folder / ".ocsync"),
        "OCSYNC_DATA_DIR": str(folder / "data"),
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


class _Shell:
    """Runs ocsync as a user would, from the same entry point, showing each command line."""

    def __init__(self, console: Console, folder: Path, url: str) -> None:
        self.console = console
        self.folder = folder
        self.url = url

    def run(self, *words: str) -> None:
        shown = " ".join(f'"{w}"' if " " in w else w for w in words if w != "--quiet")
        if not self.console.json:
            self.console.data(f"$ ocsync {shown}")
            sys.stdout.flush()
        with contextlib.ExitStack() as place:
            place.enter_context(contextlib.chdir(self.folder))
            place.enter_context(_variables(self.folder))
            if self.console.json:
                place.enter_context(contextlib.redirect_stdout(io.StringIO()))
            code = ocsync(list(words))
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise OcsyncError(f"ocsync {shown} ended with exit code {code}")
        if not self.console.json:
            self.console.data("")


def _story(
    shell: _Shell, name: str, commands: tuple[tuple[str, ...], ...], paused: Running, twin: Running
) -> Figures:
    if not shell.console.json:
        shell.console.data(f"-- {name} ".ljust(72, "-"))
        shell.console.data("")
    before = [_counted(one) for one in (paused, twin)]
    for words in commands:
        shell.run(*words)
    workspace = Workspace(shell.folder / ".ocsync")
    runs = workspace.open("", warn=shell.console.talk).runs
    with runs.get() as last:
        entries = list(last.entries())
    asyncio.run(_one_by_one(twin.url, entries))
    after = [_counted(one) for one in (paused, twin)]
    (requests, messages), (twin_requests, twin_messages) = (
        (b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True)
    )
    return Figures(name, len(entries), requests, messages, twin_requests, twin_messages)


async def _one_by_one(url: str, entries: list[Entry]) -> None:
    """Send every entry as a request of its own, in order, as a script would."""
    connection = Connection(url, url, "emulator", lambda: "emulator")
    async with open_client(connection) as api:
        for entry in entries:
            [change] = consolidate([entry])
            current = None
            if change.adjust or any(path.startswith("xp.") for path in change.fields):
                async for _, found in read_current(api, [entry.ref]):
                    current = found if isinstance(found, dict) else None
            request = body(change, to_send(change, current))
            await api.write(METHODS[change.op], url_of(entry.ref), request)


def _counted(one: Running) -> tuple[int, int]:
    return one.emulator.counts["writes"], sum(one.emulator.publisher.counts.values())


def _differences(one: Running, other: Running) -> list[str]:
    """The refs whose documents are not the same in both marketplaces, time stamps apart."""
    found = []
    for name, table in one.emulator.market.tables.items():
        twin = other.emulator.market.tables[name].rows
        for key in table.rows.keys() | twin.keys():
            pair = [
                _timeless(rows[key].document) if key in rows else None
                for rows in (table.rows, twin)
            ]
            if pair[0] != pair[1]:
                found.append("/".join([name, *key]))
    return found


def _timeless(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    stamps = ("LastUpdated", "DateCreated")
    return {name: _timeless(value) for name, value in document.items() if name not in stamps}


def _tell(console: Console, figures: list[Figures], differ: list[str], seconds: float) -> None:
    facts = {"stories": [f._asdict() for f in figures], "differences": differ, "seconds": seconds}
    console.document("demo", facts)
    if console.json:
        return
    console.data("-- figures ".ljust(72, "-"))
    titles = ("", "edits", "requests", "messages", "one by one: requests", "messages")
    rows: list[tuple[object, ...]] = [titles]
    rows += [tuple(figure) for figure in figures]
    console.lines(columns(rows, "<>>>>>"))
    if differ:
        console.data(f"the two marketplaces differ: {', '.join(differ[:5])}", "✗")
    else:
        text = f"both marketplaces ended alike; {duration(seconds)}, everything temporary is gone"
        console.data(text, "✓")
