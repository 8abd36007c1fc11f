"""The demo's stories: real commands on an emulator, and the same edits two other ways meanwhile.

What each way takes is counted at a signed HTTP listener, and all marketplaces must end alike.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.cli.app import run as ocsync
from ocsync.cli.demo_comparison import Cost, Way, by_hand, differences, one_by_one
from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.emulator.seeds import load_seed
from ocsync.errors import ExitCode, OcsyncError
from ocsync.render.console import Console
from ocsync.render.text import columns, duration
from ocsync.schema import TARGETS, read_targets
from ocsync.store import ProfileDir, Workspace

PRODUCTS, RECORDS, BUYERS, CATEGORIES = 50, 200, 4, 6
_SECRET, _LISTENER = "OCSYNC_DEMO_SECRET", "LISTENER_SECRET"
"""The names of variables: the API client's secret, and the listener's."""


_FEED = {"BootstrapServers": "broker.invalid:9093", "SaslUsername": "demo",
         "SaslPassword": "of the real consumer", "Topic": "catalog"}  # fmt: skip


class Figures(NamedTuple):
    """What was counted in a story, in each way."""

    story: str
    edits: int
    costs: list[Cost]

    @property
    def good(self) -> bool:
        """Whether the last way, which is ocsync's, took the fewest messages and requests."""
        *others, mine = self.costs
        return all(mine.messages <= c.messages and mine.requests < c.requests for c in others)


def seed() -> dict[str, Any]:
    """A small marketplace: products with records, a catalog with categories, buyers."""
    return {
        "marketplace": "demo",
        "name": "Demo Outdoors",
        "deliveries": [
            {"ID": "search", "Name": "Search feed", "DeliveryTargets": {"Kafka": _FEED}}
        ],
        "targets": {name: {"DeliveryConfigID": "search"} for name in TARGETS},
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


class Story(NamedTuple):
    """A story: its commands up to where all is staged, and those after; the targets it pauses."""

    name: str
    targets: tuple[str, ...]
    stage: tuple[tuple[str, ...], ...]
    resume: tuple[tuple[str, ...], ...]


STORIES = (
    Story(
        "inventory",
        ("inventory",),
        (
            ("pause", "inventory", "--reason", "stocktake", "--for", "2h"),
            ("stage", "import", "stocktake.csv", "--kind", "inventory"),
        ),
        (
            ("plan",),
            ("plan", "--explain", "inventory/P0/R0"),
            ("resume", "--verify"),
        ),
    ),
    Story(
        "catalog-wide",
        ("catalog-wide",),
        (
            ("pause", "catalog-wide", "--reason", "summer opens"),
            ("stage", "import", "summer.jsonl"),
            ("stage", "set", "catalog/SUMMER", "Active=true", "xp.season=2027", "-q"),
            ("stage", "set", "catalog/SUMMER", "Description=Everything for outdoors", "-q"),
            ("stage", "set", "category/SUMMER/C5", "ParentID=C0", "Description=Tents", "-q"),
        ),
        (
            ("plan",),
            ("resume", "--verify"),
            ("status",),
        ),
    ),
)


def run(console: Console) -> ExitCode:
    """Run both stories; FAILED when a command fails or the marketplaces differ."""
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="ocsync-demo-") as name,
        contextlib.chdir(name),
        _variables(Path(name)),
        serve_in_thread(EmulatorOptions()) as market,
        by_hand("one by one, not paused", seed()) as unpaused,
        by_hand("one by one, while paused", seed()) as paused,
    ):
        load_seed(market.emulator.market, seed())
        shell = _Shell(console, Path(name))
        stocktake(shell.folder / "stocktake.csv")
        assignments(shell.folder / "summer.jsonl")
        shell.run("profile", "add", "demo", "--api-url", market.url, "--client-id", "emulator",
                  "--secret-env", _SECRET)  # fmt: skip
        with shell.listening() as url:
            shell.run("delivery", "attach", "inventory", "catalog-wide", "--endpoint", url,
                      "--secret-env", _LISTENER)  # fmt: skip
            mine = Way("with ocsync", market, shell.heard)
            figures = [_figures(shell, story, unpaused, paused, mine) for story in STORIES]
        differ = [ref for way in (unpaused, paused) for ref in differences(mine, way)]
    _tell(console, figures, differ, time.monotonic() - start)
    return ExitCode.DONE if not differ and all(f.good for f in figures) else ExitCode.FAILED


@contextmanager
def _variables(folder: Path) -> Iterator[None]:
    """The environment of a shell in which nothing but the demo's profile is set up."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith("OCSYNC_"):
            del os.environ[name]
    os.environ |= {
        _SECRET: "emulator",
        _LISTENER: "sesame",
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

    def __init__(self, console: Console, folder: Path) -> None:
        self.console = console
        self.folder = folder

    def show(self, line: str = "") -> None:
        """A line of the demo's own; programs get the figures alone."""
        if not self.console.json:
            self.console.data(line)
            sys.stdout.flush()

    def run(self, *words: str) -> None:
        """Run a command. Raises OcsyncError when it does not end well."""
        shown = " ".join(f'"{w}"' if " " in w else w for w in words if w != "--quiet")
        self.show(f"$ ocsync {shown}")
        hidden = contextlib.redirect_stdout(io.StringIO())
        with hidden if self.console.json else contextlib.nullcontext():
            code = ocsync(list(words))
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise OcsyncError(f"ocsync {shown} ended with exit code {code}")
        self.show()

    @contextmanager
    def listening(self) -> Iterator[str]:
        """A listener beside, as in a terminal of its own, for the time of the block; its URL."""
        words = ["listen", "http", "--port", "0", "--secret-env", _LISTENER]
        self.show(f"$ ocsync {' '.join(words)} &")
        with subprocess.Popen(
            [sys.executable, "-m", "ocsync", *words, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as listener:  # fmt: skip
            try:
                said = listener.stdout.readline() if listener.stdout else ""
                if not said:
                    raise OcsyncError("the listener did not start")
                url = str(json.loads(said)["url"])
                self.show(f"listening at {url}\n")
                yield url
            finally:
                listener.terminate()

    @property
    def profile(self) -> ProfileDir:
        """The profile that the commands work with."""
        return Workspace(self.folder / ".ocsync").open("", warn=self.console.talk)

    def heard(self) -> int:
        """How many messages the listener has taken."""
        return sum(1 for _ in self.profile.delivery_log.read())


def _figures(shell: _Shell, story: Story, unpaused: Way, paused: Way, mine: Way) -> Figures:
    """Tell *story*; what it took, and what the same edits take the other ways meanwhile."""
    shell.show(f"-- {story.name} ".ljust(72, "-") + "\n")
    ways = (unpaused, paused, mine)
    before = [way.counted() for way in ways]
    for words in story.stage:
        shell.run(*words)
    entries = shell.profile.journal.entries()
    direct, grouped = read_targets(story.targets)
    others = [(unpaused, ()), (paused, (*direct, *grouped))]
    with ThreadPoolExecutor() as pool:
        beside = [pool.submit(one_by_one, way, entries, targets) for way, targets in others]
        for words in story.resume:
            shell.run(*words)
        for other in beside:
            other.result()
    after = [way.counted() for way in ways]
    costs = [
        Cost(way.name, b.requests - a.requests, b.messages - a.messages)
        for way, a, b in zip(ways, before, after, strict=True)
    ]
    return Figures(story.name, len(entries), costs)


def _tell(console: Console, figures: list[Figures], differ: list[str], seconds: float) -> None:
    stories = [{**f._asdict(), "costs": [cost._asdict() for cost in f.costs]} for f in figures]
    console.document("demo", {"stories": stories, "differences": differ, "seconds": seconds})
    if console.json:
        return
    console.data("-- figures ".ljust(72, "-"))
    console.lines(_table(figures))
    if differ:
        console.data(f"the marketplaces differ: {', '.join(differ[:5])}", "✗")
    else:
        text = f"all marketplaces ended alike; {duration(seconds)}, everything temporary is gone"
        console.data(text, "✓")


def _table(figures: Sequence[Figures]) -> list[str]:
    """What each way took in each story."""
    rows: list[tuple[object, ...]] = [("story", "edits", "way", "requests", "messages")]
    for one in figures:
        first: tuple[object, ...] = (one.story, one.edits)
        for cost in one.costs:
            rows.append((*first, *cost))
            first = ("", "")
    return columns(rows, "<><>>", gap=3)
