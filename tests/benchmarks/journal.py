"""What a large journal costs: staging, planning and the start of a resume.

    python -m tests.benchmarks.journal                      1,000,000 lines over 100,000 refs
    python -m tests.benchmarks.journal --lines 100000 --refs 10000 --rounds 5
    python -m tests.benchmarks.journal --code ../before --code .      two trees, in turn

Each row is a command in a process of its own: its CPU seconds, how many times that is of the bare
work on the same bytes (`csv.reader` for an import, reading the journal's bytes for the others), its
wall time and its peak memory; medians of the rounds. The rows *with all staged* concern one ref.
*first write* is a resume against an emulator without latency, until its first write: what it used
until then; it is killed there. The last rows are those of a journal whose edits were all sent.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.emulator import emulator
from tests.benchmarks.processes import OCSYNC, Cost, measured
from tests.benchmarks.replay import RECORDS_A_PRODUCT, call, seed

TICKS = os.sysconf("SC_CLK_TCK")


class Bench:
    """The commands of one tree of code on a workspace of its own."""

    def __init__(self, code: Path, folder: Path, url: str) -> None:
        self.folder = folder
        data = {"OCSYNC_WORKSPACE": f"{folder}/.ocsync", "OCSYNC_DATA_DIR": f"{folder}/data"}
        self._environ = {**os.environ, **data, "S": "emulator", "PYTHONPATH": str(code)}
        self.run("profile", "add", "b", "--api-url", url, "--client-id", "emulator",
                 "--secret-env", "S")  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [*OCSYNC, *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, cwd=self.folder, env=self._environ, **quiet)  # type: ignore[call-overload,no-any-return]

    def run(self, *words: str) -> Cost:
        """Run a command to its end."""
        return measured([*OCSYNC, *words], environ=self._environ, folder=self.folder, code=None)

    def first_write(self, url: str) -> Cost:
        """Run a resume until its first write, and kill it there."""
        before, begun = _writes(url), time.monotonic()
        process = self.start("resume", "--concurrency", "32")
        while process.poll() is None and _writes(url) == before:
            time.sleep(0.02)
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        cost = Cost(
            (int(stat[11]) + int(stat[12])) / TICKS, time.monotonic() - begun, int(memory) / 1000
        )
        process.kill()
        process.wait()
        return cost

    @property
    def journal_bytes(self) -> list[Path]:
        return sorted(self.folder.glob(".ocsync/profiles/b/journal/0*.jsonl"))


def _writes(url: str) -> int:
    return int(call(url + "/_emulator/counts")["requests"].get("writes", 0))


def bare(work: Any) -> float:
    """Return the CPU seconds of *work*."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def read_csv(path: Path) -> None:
    with path.open(newline="") as file:
        for _ in csv.reader(file):
            pass


def read_bytes(paths: list[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            while file.read(2**20):
                pass


def write_edits(path: Path, lines: int, refs: int, least: int) -> None:
    with path.open("w") as file:
        file.write("ProductID,InventoryRecordID,QuantityAvailable,xp.bin\n")
        for number in range(lines):
            ref = number * 7919 % refs
            file.write(
                f"P{ref // RECORDS_A_PRODUCT},R{ref},{number % 1000 + least},B{number % 97}\n"
            )


Rows = dict[str, tuple[Cost, float]]


def run_all(
    code: Path, folder: Path, url: str, lines: int, refs: int, least: int = 1, *, send: bool = True
) -> Rows:
    """Return the rows of one tree of *code*, in a workspace in *folder* that is removed then.

    Without *url* the resume is left out, without *send* all of it after its first write.
    """
    folder.mkdir()
    edits = folder / "edits.csv"
    write_edits(edits, lines, refs, least)
    found = rows(Bench(code, folder, url or "http://127.0.0.1:9"), edits, url, send=send)
    shutil.rmtree(folder)
    return found


@contextmanager
def emulating(refs: int) -> Iterator[str]:
    """Yield the URL of an emulator without latency that has so many records."""
    with emulator("--latency", "0") as (url, _, _):
        seed(url, refs)
        yield url


def rows(bench: Bench, edits: Path, url: str, *, send: bool = True) -> Rows:
    """Return the cost of each command, and the CPU seconds of the bare work on the same bytes."""
    found: dict[str, tuple[Cost, float]] = {}
    one, words = "inventory/P0/R0", ("--kind", "inventory")
    csv_seconds = bare(lambda: read_csv(edits))
    found["import --dry-run"] = bench.run("stage", "import", str(edits), *words, "-n"), csv_seconds
    found["import"] = bench.run("stage", "import", str(edits), *words), csv_seconds
    byte_seconds = bare(lambda: read_bytes(bench.journal_bytes))
    commands = {
        "plan": ("plan",),
        "with all staged: set": ("stage", "set", one, "QuantityAvailable=5"),
        "with all staged: drop": ("stage", "drop", "inventory/P0/R1"),
        "with all staged: show": ("stage", "show", one),
        "with all staged: explain": ("plan", "--explain", one),
        "with all staged: status": ("status", "--offline"),
        "list": ("stage", "list"),
    }
    for name, command in commands.items():
        found[name] = bench.run(*command), byte_seconds
    if url:
        found["first write"] = bench.first_write(url), byte_seconds
    if url and send:
        bench.run("resume", "--concurrency", "32")
        found["all sent: set"] = bench.run("stage", "set", one, "QuantityAvailable=5"), byte_seconds
        found["all sent: status"] = bench.run("status", "--offline"), byte_seconds
    return found


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--refs", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--code", type=Path, action="append", help="a tree with ocsync in it")
    options.add_argument("--offline", action="store_true", help="leave out the resume")
    given = options.parse_args()
    trees = [code.resolve() for code in given.code or [Path()]]
    with tempfile.TemporaryDirectory() as name:
        if given.offline:
            measure(given, trees, Path(name), "")
            return
        with emulating(given.refs) as url:
            measure(given, trees, Path(name), url)


def measure(given: Any, trees: list[Path], folder: Path, url: str) -> None:
    """Run the rounds, each tree in turn, and print the medians."""
    costs: dict[str, dict[Path, list[tuple[Cost, float]]]] = defaultdict(lambda: defaultdict(list))
    for number in range(given.rounds):
        for place, code in enumerate(trees):
            least = number * len(trees) + place + 1  # so that each resume has to write
            own = folder / f"{number}-{place}"
            for row, cost in run_all(code, own, url, given.lines, given.refs, least).items():
                costs[row][code].append(cost)
    print(f"{given.lines:,} lines over {given.refs:,} refs, medians of {given.rounds}")
    print(f"{'':26}" + "".join(f"{'CPU s':>9}{'x bare':>8}{'wall s':>8}{'MB':>7}" for _ in trees))
    for row, by_tree in costs.items():
        cells = []
        for code in trees:
            found = by_tree[code]
            cpu, wall, peak = (
                statistics.median(values) for values in zip(*(c for c, _ in found), strict=True)
            )
            ratio = cpu / statistics.median(seconds for _, seconds in found)
            cells.append(f"{cpu:9.2f}{ratio:8,.0f}{wall:8.1f}{peak:7,.0f}")
        print(f"{row:26}" + "".join(cells))


if __name__ == "__main__":
    main()
