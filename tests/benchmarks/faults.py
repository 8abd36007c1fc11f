"""Trouble in every dose: what a resume makes of it, as a table.

    python -m tests.benchmarks.faults [--steps N] [--only NAME] [--haste X]

Each row is a fault, injected into a share of all requests (sign-in apart) of a resume of N steps,
half of them adjustments. *first* is the exit code of the first resume, *more* how many further ones
it took; all quantities must be right in the end, every adjustment applied once, no pause left. With
a haste of 10 every wait is a tenth as long, for the client as for its clock: to it the server is
ten times as slow, and what it makes of the trouble is the same.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, cast

from ocsync.cli import context
from ocsync.cli.app import run
from ocsync.client.factory import open_client
from tests.benchmarks.emulator import FORM, call, emulator
from tests.processes import Started

RATES = (0.01, 0.1, 0.5)
RECORDS_A_PRODUCT = 20
FAULTS: dict[str, dict[str, Any]] = {
    "429 with Retry-After": {"status": 429, "retry_after": 0.2},
    "429 without": {"status": 429},
    "503": {"status": 503},
    "500, no effect": {"status": 500},
    "500 after the effect": {"status": 500, "effect": True},
    "504 after the effect": {"status": 504, "effect": True},
    "reset before": {"action": "reset"},
    "reset after the effect": {"action": "reset", "effect": True},
    "half a body": {"action": "cut"},
    "HTML from a gateway": {"action": "html", "status": 502},
    "BOM": {"action": "bom"},
    "late by 100 ms": {"action": "hang", "seconds": 0.1},
    "token revoked": {"action": "revoke"},
}


class Row(NamedTuple):
    """What came of one dose."""

    fault: str
    rate: float
    injected: int
    first: int
    more: int
    seconds: float
    right: bool


Runner = Callable[..., tuple[int, str]]
"""Runs a command line: its exit code, and what it said on stderr."""


def settings(folder: Path) -> dict[str, str]:
    """The environment of a workspace in *folder*."""
    return {
        "OCSYNC_WORKSPACE": str(folder / ".ocsync"),
        "OCSYNC_DATA_DIR": str(folder / "data"),
        "S": "emulator",
    }


@contextmanager
def haste(factor: float) -> Iterator[None]:
    """Let the client of this process wait *factor* times as quickly, and its clock run so."""
    nap, made = context._nap, cast("Any", open_client).__wrapped__.__kwdefaults__

    async def short(stop: asyncio.Event, seconds: float) -> None:
        await nap(stop, seconds / factor)

    clock = made["now"]
    context._nap, made["now"] = short, lambda: clock() * factor
    try:
        yield
    finally:
        context._nap, made["now"] = nap, clock


def here(*words: str) -> tuple[int, str]:
    """The command line in this process."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        code = run(list(words))
    return int(code), said.getvalue()


class Place:
    """A workspace with *steps* records staged, on an emulator of its own."""

    def __init__(
        self,
        url: str,
        folder: Path,
        steps: int,
        *,
        adjusts: bool = True,
        runner: Runner | None = None,
    ) -> None:
        self.url, self.steps, self.adjusts = url, steps, adjusts
        self.env = settings(folder)
        self._runner = runner or self._process
        self.said = ""
        self.ocsync(
            "profile", "add", "x", "--api-url", url, "--client-id", "emulator", "--secret-env", "S"
        )
        products = steps // RECORDS_A_PRODUCT + 1
        call(url, "POST", "/_emulator/reset")
        call(url, "POST", "/_emulator/seed", json.dumps({
            "targets": "all",
            "address": [{"ID": "wh", "Street1": "s", "City": "c", "Country": "DE"}],
            "product": [{"ID": f"P{n}", "Name": "p", "Inventory": {"Enabled": True}} for n in range(products)],
            "inventory": [{"ProductID": self.product(n), "ID": f"R{n}", "AddressID": "wh", "QuantityAvailable": 100}
                          for n in range(steps)],
        }).encode())  # fmt: skip
        edits = folder / "edits.jsonl"
        with edits.open("w") as file:
            for n in range(steps):
                op, value = ("adjust", 7) if adjusts and n % 2 else ("set", n % 50)
                ref = f"inventory/{self.product(n)}/R{n}"
                file.write(
                    json.dumps({"ref": ref, "op": op, "fields": {"QuantityAvailable": value}})
                    + "\n"
                )
        assert self.ocsync("stage", "import", str(edits)) == 0
        assert self.ocsync("pause", "inventory") == 0

    def product(self, n: int) -> str:
        return f"P{n // RECORDS_A_PRODUCT}"

    def ocsync(self, *words: str) -> int:
        code, self.said = self._runner(*words)
        assert "Traceback" not in self.said, self.said
        assert "unexpected:" not in self.said, self.said
        return code

    def _process(self, *words: str) -> tuple[int, str]:
        with Started(*words, **self.env) as command:
            done = command.wait(600)
        return done.code, done.err

    def right(self) -> bool:
        """Whether every quantity is what one by one would have made it, and nothing is paused."""
        state = call(self.url, "GET", "/_emulator/state")
        stock = {r["ID"]: r["QuantityAvailable"] for r in state["inventory"]}
        wanted = {f"R{n}": 107 if self.adjusts and n % 2 else n % 50 for n in range(self.steps)}
        paused = [name for name, config in state["targets"].items() if config.get("Paused")]
        return stock == wanted and not paused

    def paused(self) -> bool:
        state = call(self.url, "GET", "/_emulator/state")
        return bool(state["targets"]["inventory"]["Paused"])


def dose(place: Place, name: str, rate: float) -> Row:
    """Inject, resume until it is done, and look."""
    seldom = 20 if name == "token revoked" else 1  # a token lasts for many requests
    rules = json.dumps([{**FAULTS[name], "rate": rate / seldom}]).encode()
    call(place.url, "PUT", "/_emulator/faults", rules)
    start = time.perf_counter()
    first = place.ocsync("resume", "--max-wait", "20s")
    injected = call(place.url, "GET", "/_emulator/counts")["faults"]
    stops = (0, 3, 4, 75) if name == "token revoked" else (0, 3, 75)
    assert first in stops, (name, rate, first)
    assert first == 0 or place.paused(), "what did not get through stays paused"
    more, code = 0, first
    call(place.url, "DELETE", "/_emulator/faults")
    while code and more < 5:
        code = place.ocsync("resume")
        more += 1
    return Row(name, rate, injected, first, more, time.perf_counter() - start, place.right())


def outage(place: Place, seconds: float, *words: str) -> Row:
    """Nothing answers for a while, in the middle of a resume; then everything does."""
    rules = b'[{"action": "reset", "rate": 0.999999, "after": 100}]'
    call(place.url, "PUT", "/_emulator/faults", rules)
    start = time.perf_counter()
    injected = 0

    def end() -> None:
        nonlocal injected
        injected = call(place.url, "GET", "/_emulator/counts")["faults"]
        call(place.url, "DELETE", "/_emulator/faults")

    back = threading.Timer(seconds, end)
    back.start()
    first = place.ocsync("resume", *words)
    waited = "waiting" in place.said
    assert waited, "the operator sees why nothing happens"
    assert first == 0 or place.paused(), "what did not get through stays paused"
    back.join()
    code, more = first, 0
    while code and more < 5:
        code, more = place.ocsync("resume"), more + 1
    took = time.perf_counter() - start
    return Row(f"nothing for {seconds:.0f} s", 1.0, injected, first, more, took, place.right())


def limited(place: Place, rate: float) -> tuple[float, float]:
    """A server that takes *rate* a second: the share of it that is used, and the share of 429."""
    call(place.url, "PATCH", "/_emulator/options", json.dumps({"rate": rate}).encode())
    code = place.ocsync("resume")
    counts = call(place.url, "GET", "/_emulator/counts")
    call(place.url, "PATCH", "/_emulator/options", b'{"rate": 0}')
    assert code == 0, place.said
    assert place.right()
    refused = counts["requests"].get("429", 0) / sum(
        counts["requests"][v] for v in ("GET", "PATCH")
    )
    return counts["writes_per_second"] / rate, refused


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--only", default="")
    parser.add_argument("--haste", type=float, default=1.0)
    given = parser.parse_args()
    print(f"{'fault':<24}{'share':>7}{'injected':>10}{'first':>7}{'more':>6}{'seconds':>9}  right")
    with emulator() as (url, _, _), tempfile.TemporaryDirectory() as name, haste(given.haste):
        call(url, "POST", "/oauth/token", FORM)
        number = 0

        def place(*, adjusts: bool = True) -> Place:
            nonlocal number
            number += 1
            folder = Path(name) / str(number)
            folder.mkdir()
            os.environ.update(settings(folder))
            return Place(url, folder, given.steps, adjusts=adjusts, runner=here)

        rows = (
            dose(place(), fault, rate) for fault in FAULTS for rate in RATES if given.only in fault
        )
        for row in rows:
            show(row)
        if not given.only:
            show(outage(place(), 30.0 / given.haste))
            show(outage(place(), 30.0 / given.haste, "--max-wait", "10s"))
        if not given.only and given.haste == 1:
            used, refused = limited(place(adjusts=False), 100.0)
            print(f"limit of 100/s: {used:.0%} of it used, {refused:.1%} of answers 429")


def show(row: Row) -> None:
    """One line of the table."""
    print(f"{row.fault:<24}{row.rate:>7.0%}{row.injected:>10,}{row.first:>7}{row.more:>6}"
          f"{row.seconds:>9.1f}  {'yes' if row.right else 'NO'}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
