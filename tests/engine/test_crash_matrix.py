"""Going down at every point, and the same command again.

Every point between two operations that can leave something behind is one at which a machine can go
down, with all that was written (`kill -9`) or only with what was synced (the power). After any of
them the same command, without help, ends as if nothing had happened: nothing that was staged is
lost, nothing is applied twice in effect or out of order, and pauses are lifted or kept by the rule.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.builders import Shop
from tests.conftest import Run, add_profile
from tests.crash_points import (
    CrashPoint,
    crash,
    crash_points,
    crash_resume,
    keep_state,
    restore_state,
)
from tests.processes import Started

RECORD = "/products/P0/inventoryrecords/R0"
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


def stage(run: Run, *rows: tuple[str, ...]) -> None:
    for words in rows:
        assert run("stage", *words).code == 0, words


def complete(run: Run, shop: Shop) -> None:
    run("pause", "inventory")
    stage(run, *STAGED)


def partly(run: Run, shop: Shop) -> None:
    complete(run, shop)
    stage(run, ("set", "inventory/P1/R3", "AddressID=nowhere"))


def some_targets(run: Run, shop: Shop) -> None:
    """Inventory alone, for which the product that it waits for is paused as well."""
    run("pause", "catalogs")
    stage(run, *STAGED)


def conflict(run: Run, shop: Shop) -> None:
    complete(run, shop)
    stage(run, ("set", "inventory/P1/R3", "QuantityAvailable=7", "--expect", "QuantityAvailable=6"))


def recovering(run: Run, shop: Shop) -> None:
    """A run that was cut off with requests under way, and edits staged since."""
    complete(run, shop)
    crashed = crash("resume", at=CrashPoint("request", 4, "after"))
    assert crashed.code == -9
    assert 0 < len(shop.writes()) < len(STAGED)
    stage(
        run,
        ("adjust", "inventory/P1/R1", "QuantityAvailable+=1"),
        ("set", "catalog/C", "Active=true"),
    )


def unsure(run: Run, shop: Shop) -> None:
    """An adjustment that was cut off, and so many sales since that nothing is proved."""
    run("pause", "inventory")
    stage(run, STAGED[0], STAGED[1])
    crash_resume(shop, CrashPoint("request", 2, "after"))
    shop.call("PATCH", RECORD, {"QuantityAvailable": 1})


def doomed(run: Run, shop: Shop) -> None:
    """Something staged for what is to be deleted, and for what is not."""
    run("pause", "inventory")
    stage(run, STAGED[0], STAGED[1])


def carried_out(run: Run, shop: Shop) -> None:
    stage(run, *STAGED)
    assert run("resume").code == 0


def leased(run: Run, shop: Shop) -> None:
    assert run("pause", "inventory", "catalogs", "--for", "0.01s").code == 0
    time.sleep(0.02)


def paused(run: Run, shop: Shop) -> None:
    run("pause", "inventory", "catalogs")


def paused_by_other(run: Run, shop: Shop) -> None:
    shop.call("PATCH", "/integrations/entitysync/catalogs", {"Paused": True})


class Story(NamedTuple):
    """What to die in: how to come to it, the command, and its exit code in the end."""

    prepare: Callable[[Run, Shop], None]
    words: tuple[str, ...]
    code: int = 0


RESUMES = {
    "complete": Story(complete, ("resume", "--verify")),
    "partly": Story(partly, ("resume", "--verify"), 3),
    "targets": Story(some_targets, ("resume", "inventory", "--verify")),
    "conflict": Story(conflict, ("resume",), 6),
    "recovering": Story(recovering, ("resume", "--verify")),
    "unsure": Story(unsure, ("resume",), 6),
}
PAUSES = {
    "pause": Story(lambda *_: None, ("pause", "inventory", "catalogs", "--for", "2h")),
    "adopt": Story(paused_by_other, ("pause", "inventory", "catalogs", "--adopt")),
    "unpause": Story(paused, ("unpause", "inventory", "catalogs")),
    "expire": Story(leased, ("expire",)),
}
OTHERS = {
    "delete": Story(doomed, ("delete", "inventory/P0/R0", "inventory/P0/R2", "--yes")),
    "resync": Story(lambda *_: None, ("resync", "inventory", "P0/R0", "P1/R1", "--yes")),
    "window": Story(lambda *_: None, ("window", "inventory", "--", "true")),
    "rollback": Story(carried_out, ("rollback",)),
}


class Case(NamedTuple):
    """A story that is ready: the workspace and the marketplace to begin with, and the end."""

    story: Story
    folder: Path
    start: dict[str, Any]
    end: dict[str, Any]


def marketplace(shop: Shop) -> dict[str, Any]:
    """All of it, without clocks; what is held for a paused target in any order."""
    found: dict[str, Any] = _timeless(shop.emulator_state())
    held = {name: sorted(rows) for name, rows in found.pop("held", {}).items()}
    return {**found, "held": held}


def _timeless(thing: Any) -> Any:
    if isinstance(thing, dict):
        clocks = ("LastUpdated", "DateCreated")
        return {k: _timeless(v) for k, v in thing.items() if k not in clocks}
    return [_timeless(v) for v in thing] if isinstance(thing, list) else thing


def situation(run: Run, shop: Shop) -> dict[str, Any]:
    """Everything that must be as if nobody had died."""
    left = run("stage", "list", "--json").data["staged"]
    runs = run("history", "--json").data["runs"]
    pauses = run("status", "--offline", "--json").data["pauses"]
    return {
        "marketplace": marketplace(shop), "staged": {row["ref"]: len(row["entries"]) for row in left},
        "paused": shop.all_paused(), "ours": sorted(pauses), "for": {p: bool(f.get("until")) for p, f in pauses.items()},
        "open": [r["id"] for r in runs if r["state"] == "open"],
    }  # fmt: skip


def restore(case: Case, shop: Shop) -> None:
    """Make the workspace, the user's data folder and the marketplace what they were."""
    restore_state(case.folder)
    shop.emulator.reset()
    shop.seed(**case.start)


def ready(story: Story, run: Run, shop: Shop, folder: Path) -> Case:
    shop.seed(
        catalog=[{"ID": "C", "Name": "C"}],
        buyer=[{"ID": "B", "Name": "B", "DefaultCatalogID": "C"}],
    )
    shop.stock(records=4, products=2)
    run("init")
    add_profile(run, shop)
    story.prepare(run, shop)
    keep_state(folder)
    case = Case(story, folder, shop.emulator_state(), {})
    restore(case, shop)
    assert run(*story.words).code == story.code
    if story.code:
        assert run(*story.words).code == story.code, "and the same again"
    return case._replace(end=situation(run, shop))


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in wanted.keys() | found.keys():
            yield from differences(wanted.get(name), found.get(name), f"{path}.{name}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif wanted != found:
        yield f"{path}: {found} instead of {wanted}"


def again_and_compare(case: Case, run: Run, shop: Shop, what: Any) -> None:
    result = run(*case.story.words)
    if result.code == 7 and "an unpause was interrupted" in result.out + result.err:
        result = run(*_answered(case, run))
    assert result.code == case.story.code, (what, result)
    assert "Traceback" not in result.err
    assert "unexpected" not in result.err, (what, result)
    assert not list(differences(case.end, situation(run, shop))), what
    if case.story in RESUMES.values():
        left = [*Path(".ocsync").rglob("*.new"), *Path(".ocsync").rglob("runs/*/.*.tmp")]
        assert not left, what
    if case.story in PAUSES.values():
        assert run("unpause", "inventory", "catalogs").code == 0, "it is ours, or nobody's"
        assert not shop.all_paused()


def _answered(case: Case, run: Run) -> tuple[str, ...]:
    """Return the command that says that a pause in doubt is this workspace's."""
    if case.story in (*RESUMES.values(), PAUSES["unpause"]):
        return (*case.story.words, "--yes")
    if case.story is PAUSES["expire"]:
        return ("unpause", "inventory", "catalogs", "--yes")
    assert run("unpause", "inventory", "--yes").code == 0
    return case.story.words


def crash_everywhere(case: Case, run: Run, shop: Shop, every: int = 1, first: int = 0) -> int:
    restore(case, shop)
    whole = crash(*case.story.words)
    assert whole.code == case.story.code, whole.err
    points = crash_points(whole.operations)[first::every]
    for point in points:
        restore(case, shop)
        crashed = crash(*case.story.words, at=point)
        assert crashed.code in (-9, case.story.code), crashed.err
        again_and_compare(case, run, shop, point)
    return len(points)


STORIES = {**RESUMES, **PAUSES, **OTHERS}


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", [*STORIES][::2])
def test_down_at_some_points(run: Run, shop: Shop, tmp_path: Path, name: str) -> None:
    case = ready(STORIES[name], run, shop, tmp_path / "kept")
    crash_everywhere(case, run, shop, every=193, first=len(name))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STORIES)
def test_down_at_every_point(run: Run, shop: Shop, tmp_path: Path, name: str) -> None:
    case = ready(STORIES[name], run, shop, tmp_path / "kept")
    number = crash_everywhere(case, run, shop)
    print(f"\n{name}: died at {number} points, all came right")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["complete", "partly", "recovering"])
def test_killed_again_and_again_at_any_time(
    run: Run, shop: Shop, tmp_path: Path, name: str, seed: int
) -> None:
    """Killed at random moments until one resume gets through."""
    dice = random.Random(f"{name} {seed}")
    case = ready(STORIES[name], run, shop, tmp_path / "kept")
    for _ in range(6):
        restore(case, shop)
        shop.switch(latency=0.01)
        for _ in range(dice.randrange(1, 6)):
            with Started(*case.story.words) as process:
                time.sleep(dice.uniform(0.0, 0.4))
                process.kill()
        shop.switch(latency=0)
        again_and_compare(case, run, shop, f"seed {seed}")


EDITS: dict[str, tuple[tuple[str, ...], set[int]]] = {
    "set": (("stage", "set", "catalog/C", "Name=x"), {2, 3}),
    "import": (("stage", "import", "edits.csv"), {2, 2_003}),
    "drop": (("stage", "drop", "catalog/C"), {1, 2}),
    "clear": (("stage", "clear", "--yes"), {0, 2}),
}


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", EDITS)
def test_staging_is_all_or_nothing(run: Run, shop: Shop, tmp_path: Path, name: str) -> None:
    """Down at any point of it, the journal has all of the command or nothing, and takes more."""
    words, sizes = EDITS[name]
    run("init")
    add_profile(run, shop)
    stage(run, ("set", "catalog/C", "Name=first"), ("set", "catalog/D", "Name=first"))
    rows = "".join(f"catalog/C{n},x\n" for n in range(2_001))  # three groups, written one by one
    Path("edits.csv").write_text("ref,Name\n" + rows)
    keep_state(tmp_path / "kept")
    seen = set()
    operations = crash(*words).operations
    groups = [CrashPoint("group", number + 1) for number in range(operations.count("group"))]
    assert name != "import" or len(groups) == 5, "three, and the lines around them"
    for point in [*crash_points(operations), *groups]:
        restore_state(tmp_path / "kept")
        crashed = crash(*words, at=point)
        assert crashed.code == -9 or point.operation not in ("group", "rename")
        staged = run("stage", "list", "--json").data["staged_entries"]
        assert staged in sizes, point
        acknowledged = "staged now" in crashed.err or point.operation == "exit"
        assert not acknowledged or staged != 2, (point, crashed)
        seen.add(staged)
        stage(run, ("set", "catalog/C", "Name=last"))
        assert run("stage", "list", "--json").data["staged_entries"] == staged + 1
        if name == "import":
            assert run(*words).code == 0
            assert not list(Path(".ocsync").rglob(".*.tmp")), "what was begun beside is swept away"
    assert seen == sizes
