"""Going down at every point, and the same command again.

Every point between two operations that can leave something behind is one at which a machine can go
down. After any of them the same command, without help, ends as if nothing had happened: nothing
that was staged is lost, nothing is applied twice in effect or out of order, and pauses are lifted.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.builders import Shop
from tests.conftest import Run, add_profile
from tests.processes import Done, Started, call

PLACE = {"Street1": "s", "City": "c", "Country": "DE"}
STAGED: list[tuple[str, ...]] = [
    ("adjust", "inventory/P0/R0", "QuantityAvailable+=5"),
    ("set", "inventory/P1/R1", "QuantityAvailable=9"),
    ("put", "address/new", "Street1=s", "City=c", "Country=DE"),
    ("set", "inventory/P0/R2", "AddressID=new"),
    ("put", "product/NEW", "Name=n", "Inventory.Enabled=true"),
    ("put", "inventory/NEW/R9", "AddressID=new", "QuantityAvailable=3"),
    ("adjust", "inventory/NEW/R9", "NotificationPoint+=2"),
    ("set", "catalog/C", "Name=new"),
    ("assign", "catalog-assignment/C/B", "ViewAllCategories=true", "ViewAllProducts=false"),
]
FAILING = ("set", "inventory/P1/R3", "AddressID=nowhere")


class Case(NamedTuple):
    """A staged workspace to copy, and how the shop looks when it has been carried out."""

    folder: Path
    staged: int
    code: int
    after: dict[str, Any]
    paused: list[str]


def open_shop(shop: Shop) -> None:
    shop.emulator.reset()
    shop.seed(targets="all", paused=["inventory"], catalog=[{"ID": "C", "Name": "C"}],
              buyer=[{"ID": "B", "Name": "B", "DefaultCatalogID": "C"}])  # fmt: skip
    shop.stock(records=4, products=2)


def documents(shop: Shop) -> dict[str, Any]:
    """The marketplace without its clocks."""
    clocks = ("LastUpdated", "DateCreated")
    return {
        "/".join([name, *key]): {
            n: {m: w for m, w in v.items() if m not in clocks} if isinstance(v, dict) else v
            for n, v in row.document.items()
            if n not in clocks
        }
        for name, table in shop.emulator.market.tables.items()
        for key, row in table.rows.items()
    }


@pytest.fixture(params=[0, 3], ids=["complete", "partly"])
def case(request: pytest.FixtureRequest, run: Run, shop: Shop, tmp_path: Path) -> Case:
    """A workspace with all of it staged and inventory paused; what a quiet resume makes of it."""
    run("init")
    add_profile(run, shop)
    shop.stock(records=4, products=2)
    assert run("pause", "inventory").code == 0
    for words in [*STAGED, *([FAILING] if request.param else [])]:
        assert run("stage", *words).code == 0, words
    folder = tmp_path / "template"
    shutil.copytree(".ocsync", folder)
    open_shop(shop)
    assert run("resume", "--verify").code == request.param
    after = documents(shop)
    assert after["inventory/p0/r0"]["QuantityAvailable"] == 10
    shutil.rmtree(".ocsync")
    return Case(folder, len(STAGED) + bool(request.param), request.param, after, paused_in(shop))


def paused_in(shop: Shop) -> list[str]:
    return sorted(n for n, config in shop.emulator.market.configs.items() if config["Paused"])


def dying(*words: str) -> Done:
    return call(*words, program="tests.dying")


def again_and_compare(case: Case, run: Run, shop: Shop, what: str) -> None:
    result = run("resume", "--verify")
    assert result.code == case.code, (what, result)
    assert "Traceback" not in result.err
    assert documents(shop) == case.after, what
    assert paused_in(shop) == case.paused, what
    left = run("stage", "list", "--json").data
    assert [e["ref"] for e in left["staged"]] == [FAILING[1]] * bool(case.code), what
    assert run("status", "--exit-code").code in (0, 2)


def points(operations: dict[str, int]) -> Iterator[tuple[str, int, str]]:
    for operation, times in operations.items():
        for number in range(1, times + 1):
            for when in ("before", "after", *(["half"] if operation == "write" else [])):
                yield operation, number, when


def count(case: Case, shop: Shop, operations: list[str]) -> dict[str, int]:
    """How often a quiet resume comes to each operation."""
    found = {}
    for operation in operations:
        prepare(case, shop)
        said = dying(operation, "100000", "before", "resume", "--verify").err
        times = re.search(r"came to \w+ (\d+) times", said)
        assert times, said
        found[operation] = int(times[1])
    return found


def prepare(case: Case, shop: Shop) -> None:
    shutil.rmtree(".ocsync", ignore_errors=True)
    shutil.copytree(case.folder, ".ocsync")
    open_shop(shop)


def die_at(case: Case, run: Run, shop: Shop, point: tuple[str, int, str]) -> None:
    operation, number, when = point
    prepare(case, shop)
    dead = dying(operation, str(number), when, "resume", "--verify")
    assert dead.code in (-9, case.code), (point, dead.err)
    again_and_compare(case, run, shop, str(point))


SAMPLE = [
    ("request", 1, "before"), ("request", 6, "after"), ("pause", 2, "after"), ("move", 1, "before"),
    ("write", 3, "half"), ("rename", 5, "after"),
]  # fmt: skip


def test_down_at_some_points(case: Case, run: Run, shop: Shop) -> None:
    for point in SAMPLE if not case.code else SAMPLE[::3]:
        die_at(case, run, shop, point)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_down_at_every_point(case: Case, run: Run, shop: Shop) -> None:
    operations = count(
        case, shop, ["write", "sync", "rename", "remove", "move", "request", "pause"]
    )
    everywhere = list(points(operations))
    for point in everywhere:
        die_at(case, run, shop, point)
    print(f"\ndied at {len(everywhere)} points of {operations}: all came right")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again_at_any_time(case: Case, run: Run, shop: Shop, seed: int) -> None:
    """Killed at random moments until one resume gets through."""
    dice = random.Random(seed)
    for _ in range(5):
        prepare(case, shop)
        shop.switch(latency=0.02)
        for _ in range(dice.randrange(1, 5)):
            with Started("resume", "--verify") as process:
                time.sleep(dice.uniform(0.0, 0.6))
                process.kill()
        again_and_compare(case, run, shop, f"seed {seed}")


@pytest.mark.slow
@pytest.mark.parametrize("words", [
    ("stage", "set", "catalog/C", "Name=x"), ("stage", "import", "edits.csv"), ("stage", "clear", "--yes"),
], ids=lambda words: words[1])  # fmt: skip
def test_staging_is_all_or_nothing(
    run: Run, shop: Shop, words: tuple[str, ...], tmp_path: Path
) -> None:
    """Down at any point of it, the journal has all of the command or nothing, and takes more."""
    run("init")
    add_profile(run, shop)
    run("stage", "set", "catalog/C", "Name=first")
    Path("edits.csv").write_text("ref,Name\n" + "".join(f"catalog/C{n},x\n" for n in range(50)))
    shutil.copytree(".ocsync", tmp_path / "kept")
    sizes = {"set": (1, 2), "import": (1, 51), "clear": (1, 0)}[words[1]]
    for operation in ("write", "sync", "rename"):
        for number in (1, 2, 3):
            for when in ("before", "after"):
                shutil.rmtree(".ocsync")
                shutil.copytree(tmp_path / "kept", ".ocsync")
                dying(operation, str(number), when, *words)
                staged = run("stage", "list", "--json").data["staged_entries"]
                assert staged in sizes, (operation, number, when)
                assert run("stage", "set", "catalog/C", "Name=last").code == 0
                assert run("stage", "list", "--json").data["staged_entries"] == staged + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("pause", "inventory"), ("unpause", "inventory"), ("expire",)], ids=lambda w: w[0]
)
def test_pausing_is_settled_by_the_next_command(
    run: Run, shop: Shop, words: tuple[str, ...]
) -> None:
    run("init")
    add_profile(run, shop)
    if words[0] != "pause":
        run("pause", "inventory", "--for", "1s")
        time.sleep(1.05)
    paused = shop.paused()
    shutil.copytree(".ocsync", "kept")
    for operation, times in (("pause", 1), ("rename", 3), ("sync", 6)):
        for number in range(1, times + 1):
            for when in ("before", "after"):
                shop.emulator.market.configs["inventory"]["Paused"] = paused
                shutil.rmtree(".ocsync")
                shutil.copytree("kept", ".ocsync")
                dying(operation, str(number), when, *words)
                result = run(*words)
                assert result.code == 0, (operation, number, when, result)
                assert shop.paused() is (words[0] == "pause"), (operation, number, when)
                assert run("unpause", "inventory").code == 0, "it is ours, or nobody's"
                assert not shop.paused()
