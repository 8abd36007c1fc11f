"""Stories of the demo: real commands on an emulator, beside two other strategies.

A signed HTTP listener counts the messages of each strategy, and all marketplaces must end alike.
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
from ocsync.cli.demo_comparison import (
    Strategy,
    StrategyCost,
    differing_refs,
    send_one_by_one,
    without_ocsync,
)
from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.emulator.seeds import load_seed
from ocsync.errors import ExitCode, OcsyncError
from ocsync.render.console import Console
from ocsync.render.text import columns, duration
from ocsync.schema import TARGETS, read_targets
from ocsync.store import ProfileDir, Workspace

PRODUCTS, RECORDS, BUYERS, CATEGORIES = 50, 200, 4, 6
_SECRET, _LISTENER = "OCSYNC_DEMO_SECRET", "LISTENER_SECRET"
"""The environment variables of the API client's secret and the listener's secret."""


_KAFKA_TARGET = {"BootstrapServers": "broker.invalid:9093", "SaslUsername": "demo",
         "SaslPassword": "of the real consumer", "Topic": "catalog"}  # fmt: skip


class StoryResult(NamedTuple):
    """The result of a story: the cost of each strategy, ocsync's last."""

    story: str
    edits: int
    costs: list[StrategyCost]

    @property
    def is_best(self) -> bool:
        """True if ocsync cost the fewest requests, and no more messages than the others."""
        *others, mine = self.costs
        return all(mine.messages <= c.messages and mine.requests < c.requests for c in others)


def demo_seed() -> dict[str, Any]:
    """Return the seed of a marketplace: products, inventory, a catalog with categories, buyers."""
    return {
        "marketplace": "demo",
        "name": "Demo Outdoors",
        "deliveries": [
            {"ID": "search", "Name": "Search feed", "DeliveryTargets": {"Kafka": _KAFKA_TARGET}}
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
            {
                "ProductID": _product_id(n),
                "ID": f"R{n}",
                "AddressID": "wh-0",
                "QuantityAvailable": 10,
            }
            for n in range(RECORDS)
        ],
        "catalog": [{"ID": "SUMMER", "Name": "Summer", "Active": False}],
        "category": [
            {"CatalogID": "SUMMER", "ID": f"C{n}", "Name": f"Category {n}", "Active": True}
            for n in range(CATEGORIES)
        ],
        "buyer": [{"ID": f"B{n}", "Name": f"Buyer {n}", "Active": True} for n in range(BUYERS)],
    }


def _product_id(record: int) -> str:
    return f"P{record * PRODUCTS // RECORDS}"


def write_stocktake(path: Path) -> None:
    """Write 1,000 edits of 200 records: quantities, locations, settings and a recount."""
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
            rows.writerows([_product_id(n), f"R{n}", *cells] for n in range(RECORDS))


def write_assignments(path: Path) -> None:
    """Write edits that assign the catalog to buyers and reorder its categories."""
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
    """A story: the targets that it pauses, and the commands that stage and send its edits."""

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


def run(console: Console, report: Path | None = None) -> ExitCode:
    """Run all stories; return FAILED if ocsync is not best or the marketplaces differ.

    The *report* is a page with the costs and the runs. Raises FileMissing if it cannot be written.
    """
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="ocsync-demo-") as name,
        contextlib.chdir(name),
        _isolated_environment(Path(name)),
        serve_in_thread(EmulatorOptions()) as market,
        without_ocsync("one by one, not paused", demo_seed()) as unpaused,
        without_ocsync("one by one, while paused", demo_seed()) as paused,
    ):
        load_seed(market.emulator.market, demo_seed())
        runner = _CommandRunner(console, Path(name))
        write_stocktake(runner.folder / "stocktake.csv")
        write_assignments(runner.folder / "summer.jsonl")
        runner.run("profile", "add", "demo", "--api-url", market.url, "--client-id", "emulator",
                  "--secret-env", _SECRET)  # fmt: skip
        with runner.running_listener() as url:
            runner.run("delivery", "attach", "inventory", "catalog-wide", "--endpoint", url,
                      "--secret-env", _LISTENER)  # fmt: skip
            with_ocsync = Strategy("with ocsync", market, runner.received)
            results = [
                _run_story(runner, story, unpaused, paused, with_ocsync) for story in STORIES
            ]
        differing = [
            ref for other in (unpaused, paused) for ref in differing_refs(with_ocsync, other)
        ]
        if report:
            _write_report(report, results, runner.profile)
    _show_results(console, results, differing, time.monotonic() - start)
    if report:
        console.info(f"written to {report}", "+")
    return ExitCode.DONE if not differing and all(f.is_best for f in results) else ExitCode.FAILED


@contextmanager
def _isolated_environment(folder: Path) -> Iterator[None]:
    """Hide the user's settings from the commands and set the demo's, until the block ends."""
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


class _CommandRunner:
    """A runner that prints each command line and runs it through the real entry point."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.console = console
        self.folder = folder

    def print(self, line: str = "") -> None:
        """Print a line of the demo itself, unless --json is given."""
        if not self.console.json:
            self.console.print(line)
            sys.stdout.flush()

    def run(self, *words: str) -> None:
        """Run a command. Raises OcsyncError if it fails."""
        shown = " ".join(f'"{w}"' if " " in w else w for w in words if w != "--quiet")
        self.print(f"$ ocsync {shown}")
        hidden = contextlib.redirect_stdout(io.StringIO())
        with hidden if self.console.json else contextlib.nullcontext():
            code = ocsync(list(words))
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise OcsyncError(f"ocsync {shown} exited with code {code}")
        self.print()

    @contextmanager
    def running_listener(self) -> Iterator[str]:
        """Run a listener in a process of its own until the block ends; yield its URL."""
        words = ["listen", "http", "--port", "0", "--secret-env", _LISTENER]
        self.print(f"$ ocsync {' '.join(words)} &")
        with subprocess.Popen(
            [sys.executable, "-m", "ocsync", *words, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as listener:  # fmt: skip
            try:
                line = listener.stdout.readline() if listener.stdout else ""
                if not line:
                    raise OcsyncError("the listener did not start")
                url = str(json.loads(line)["url"])
                self.print(f"listening at {url}\n")
                yield url
            finally:
                listener.terminate()

    @property
    def profile(self) -> ProfileDir:
        """The profile that the commands use."""
        return Workspace(self.folder / ".ocsync").open_profile("", warn=self.console.info)

    def received(self) -> int:
        """Return the number of messages that the listener received."""
        return sum(1 for _ in self.profile.delivery_log.read())


def _run_story(
    runner: _CommandRunner,
    story: Story,
    unpaused: Strategy,
    paused: Strategy,
    with_ocsync: Strategy,
) -> StoryResult:
    """Run the commands of *story* beside the other strategies, and return the costs."""
    runner.print(f"-- {story.name} ".ljust(72, "-") + "\n")
    strategies = (unpaused, paused, with_ocsync)
    before = [strategy.cost() for strategy in strategies]
    for words in story.stage:
        runner.run(*words)
    entries = runner.profile.journal.entries()
    direct, grouped = read_targets(story.targets)
    others = [(unpaused, ()), (paused, (*direct, *grouped))]
    with ThreadPoolExecutor() as pool:
        futures = [
            pool.submit(send_one_by_one, strategy, entries, targets) for strategy, targets in others
        ]
        for words in story.resume:
            runner.run(*words)
        for future in futures:
            future.result()
    after = [strategy.cost() for strategy in strategies]
    costs = [
        StrategyCost(one.strategy, two.requests - one.requests, two.messages - one.messages)
        for one, two in zip(before, after, strict=True)
    ]
    return StoryResult(story.name, len(entries), costs)


def _write_report(path: Path, results: Sequence[StoryResult], profile: ProfileDir) -> None:
    """Write a page with the cost of each strategy and the runs, oldest first."""
    from ocsync.engine.history import run_details
    from ocsync.render.run_page import cost_article, document, run_article
    from ocsync.store.files import write_output

    articles = [cost_article(_cost_rows(results))]
    for info in reversed(profile.runs.read_all()):
        with profile.runs.get(info.id) as opened:
            articles.append(run_article(run_details(opened, changes=True)))
    write_output(path, document("ocsync demo", articles).encode())


def _show_results(
    console: Console, results: list[StoryResult], differing: list[str], seconds: float
) -> None:
    stories = [{**f._asdict(), "costs": [cost.document() for cost in f.costs]} for f in results]
    console.document("demo", {"stories": stories, "differences": differing, "seconds": seconds})
    if console.json:
        return
    console.print("-- figures ".ljust(72, "-"))
    console.print_lines(_result_table(results))
    if differing:
        console.print(f"the marketplaces differ: {', '.join(differing[:5])}", "✗")
    else:
        text = f"all marketplaces end with the same data after {duration(seconds)}"
        console.print(f"{text}; temporary files removed", "✓")


def _result_table(results: Sequence[StoryResult]) -> Sequence[str]:
    """Return a table of the cost of each strategy in each story."""
    return columns(_cost_rows(results), "<><>>", gap=3, heading=True)


def _cost_rows(results: Sequence[StoryResult]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [("story", "edits", "way", "requests", "messages")]
    for result in results:
        first: tuple[object, ...] = (result.story, result.edits)
        for cost in result.costs:
            rows.append((*first, *cost))
            first = ("", "")
    return rows
