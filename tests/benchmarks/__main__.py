"""All figures in one table, beside what they are to reach.

    python -m tests.benchmarks                        everything, which takes an hour or two
    python -m tests.benchmarks --list                 the names of the sections
    python -m tests.benchmarks writes start --rounds 5
    python -m tests.benchmarks --size 0.01            a hundredth of the writes and refs

What depends on the machine is a ratio to something that ran right beside it: to a bare asyncio
client (*raw*), to reading the same bytes, to `python -c pass`. Beside it stand the community's
Python SDK, where it is installed, and a loop that sends one request after the other. Figures are
medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from ocsync.emulator import EmulatorOptions, serve_in_thread
from tests.benchmarks import journal, pace, requests
from tests.benchmarks.client import ROLES, Figures, Load, figures, send
from tests.benchmarks.emulator import call, emulator
from tests.benchmarks.faults import RECORDS_A_PRODUCT, Place
from tests.benchmarks.fixed_delay import serving
from tests.benchmarks.processes import OCSYNC, ROOT, Cost, environment, measured
from tests.client.pace_models import MODELS


class Given(NamedTuple):
    """The options: a share of the full sizes, how often to measure, and a folder for it."""

    size: float
    rounds: int
    folder: Path

    def of(self, number: int, least: int = 1) -> int:
        """Return the share of *number*."""
        return max(least, round(number * self.size))


class Line(NamedTuple):
    """A line of the table; *beside* has what others did."""

    what: str
    found: str
    goal: str = ""
    beside: str = ""


Cells = Sequence[str]


def ceiling(given: Given) -> Iterator[Line]:
    """Measure the server of the sections below: their rates cannot be higher."""
    with serving(0) as url:
        load = Load(given.of(20_000, 100), 64)
        rates = [figures("raw", url, load, given.folder).rate for _ in range(given.rounds)]
    yield Line(
        "the fixed-delay server, by raw without delay, 64 in flight", f"{median(rates):,.0f}/s"
    )


def _rounds(given: Given, url: str, load: Load, roles: Sequence[str]) -> dict[str, list[Figures]]:
    """Return the figures of each of *roles*, which take turns."""
    rounds = [
        {role: figures(role, url, load, given.folder) for role in roles}
        for _ in range(given.rounds)
    ]
    return {role: [one[role] for one in rounds] for role in roles}


def _share(found: list[Figures], of: list[Figures]) -> float:
    return median(one.rate / other.rate for one, other in zip(found, of, strict=True))


def writes(given: Given) -> Iterator[Line]:
    """Compare the writes of a resume with raw ones."""
    for latency, concurrency, goal in ((50, 64, "0.98"), (50, 128, "0.92"), (0, 32, "6,000/s")):
        roles = [*ROLES, *(["loop"] if latency else [])]
        with serving(latency) as url:
            found = _rounds(given, url, Load(given.of(5000, concurrency), concurrency), roles)
        rates = {role: median(one.rate for one in found[role]) for role in roles}
        shares = {role: _share(found[role], found["raw"]) for role in roles}
        others = [f"{role} {shares[role]:.2f}" for role in roles if role not in ("raw", "resume")]
        yield Line(
            f"writes, {latency} ms, {concurrency} in flight, of raw",
            f"{shares['resume']:.2f} ({rates['resume']:,.0f}/s)",
            goal,
            ", ".join(others),
        )
        if concurrency != 128:
            cpu = {role: 1000 * median(one.cpu for one in found[role]) for role in roles}
            others = [f"{role} {cpu[role]:.2f}" for role in roles if role != "resume"]
            yield Line(
                f"CPU ms a request, {latency} ms", f"{cpu['resume']:.2f}", "0.35", ", ".join(others)
            )


_WAYS = (("--verify",), ("--verify=answers",), ("--verify", "--no-undo"))
"""Options of a resume; all but the first save a read of each product."""


def whole(given: Given) -> Iterator[Line]:
    """Compare a whole `resume --verify` with raw writes of the same records."""
    for records, goal in ((50, "1.15"), (3, "1.4"), (1, "2.1")):
        load = Load(given.of(5000, 32), 32, records)
        times: list[list[float]] = []
        with serving(50) as url:
            for _ in range(given.rounds):
                times.append([figures("raw", url, load, given.folder).whole])
                for words in _WAYS:
                    times[-1].append(figures("resume", url, load, given.folder, *words).whole)
        ratios = [median(row[way] / row[0] for row in times) for way in (1, 2, 3)]
        seconds = median(row[1] for row in times)
        yield Line(
            f"resume --verify, 50 ms, 32 in flight, {records} records a product, of raw",
            f"{ratios[0]:.2f} ({seconds:.1f} s)",
            goal,
            f"=answers {ratios[1]:.2f}, --no-undo {ratios[2]:.2f}",
        )


def fixed(given: Given) -> Iterator[Line]:
    """Measure what a resume of one record takes from its start to its end."""
    for latency, goal in ((50, "0.8 s"), (200, "2 s")):
        with serving(latency) as url:
            figures("resume", url, Load(1, 64), given.folder, "--verify")
            found = [
                figures("resume", url, Load(1, 64), given.folder, "--verify")
                for _ in range(2 * given.rounds)
            ]
        seconds, cpu = median(one.whole for one in found), median(one.cpu for one in found)
        yield Line(f"resume --verify of one record, {latency} ms", f"{seconds:.2f} s", goal,
                   f"{cpu:.2f} s of it CPU")  # fmt: skip


_REFUSALS = {
    "1.0% stray, Retry-After 1": "10 s, 1.3 of the best",
    "1.0% stray, Retry-After 0.2": "1.3 of the best",
    "1.0% stray, no header": "1.3 of the best",
    "10.0% stray, Retry-After 1": "25 s, 1.3 of the best",
    "10.0% stray, Retry-After 0.2": "1.3 of the best",
    "10.0% stray, no header": "1.3 of the best",
    "bucket 100/s, Retry-After": "1.05, under 2 %",
    "bucket 100/s, no header": "1.05, under 2 %",
    "bucket 100/s, Retry-After, 64": "1.05, under 2 %",
    "bucket 100/s, no header, 64": "1.05, under 2 %",
    "100/s shared, 60 at once, Retry-After": "28 s",
}
"""What each model of a server is to reach, by its name."""


def refusals(given: Given) -> Iterator[Line]:
    """Simulate servers that refuse, in virtual time."""
    for model in MODELS:
        if model.name in _REFUSALS:
            found = pace.compare(model, 2 * given.rounds)
            yield Line(
                f"{model.name}, simulated",
                f"{found.seconds:.1f} s, {found.ratio:.2f} of the best, {found.share:.1%} refused",
                _REFUSALS[model.name],
                f"simple loop {found.simple:.1f} s, ideal {found.ideal:.1f} s",
            )


class _Trouble(NamedTuple):
    """What an emulator does to requests: its options and faults, and what a resume is to reach."""

    what: str
    options: dict[str, float]
    faults: list[dict[str, float]]
    goal: str = ""


_TROUBLE = (
    _Trouble("nothing refused", {}, []),
    _Trouble("1 % refused, Retry-After 1", {},
             [{"rate": 0.01, "status": 429, "retry_after": 1}], "10 s of 2,000"),
    _Trouble("10 % refused, Retry-After 1", {},
             [{"rate": 0.1, "status": 429, "retry_after": 1}], "25 s of 2,000"),
    _Trouble("a limit of 100/s, Retry-After", {"rate": 100.0}, [], "21 s of 2,000"),
)  # fmt: skip


def throttled(given: Given) -> Iterator[Line]:
    """Send to an emulator that refuses, in real time, by a resume and by the SDK."""
    steps = given.of(2000, 20)
    load = Load(steps, 16, RECORDS_A_PRODUCT)
    others = [role for role in ROLES if role == "sdk"]
    with emulator("--latency", "50") as (url, _, _):
        for number, trouble in enumerate(_TROUBLE):
            folder = given.folder / f"throttled-{number}"
            with environment(folder):
                place = Place(url, folder, steps, adjusts=False)
                seconds = {
                    role: _troubled(role, url, load, trouble) for role in ("resume", *others)
                }
                assert place.right()
            yield Line(
                f"{steps:,} writes, 50 ms, 16 in flight, {trouble.what}",
                f"{seconds['resume']:.1f} s",
                trouble.goal,
                ", ".join(f"{role} {seconds[role]:.1f} s" for role in others),
            )


def _troubled(role: str, url: str, load: Load, trouble: _Trouble) -> float:
    """Return the seconds that a client needs while the emulator makes *trouble*."""
    call(url, "PUT", "/_emulator/faults", json.dumps(trouble.faults).encode())
    call(url, "PATCH", "/_emulator/options", json.dumps(trouble.options).encode())
    try:
        if role == "resume":
            return measured([*OCSYNC, "resume", "--concurrency", str(load.concurrency)]).wall
        return _try(role, url, load).wall
    finally:
        call(url, "DELETE", "/_emulator/faults")
        call(url, "PATCH", "/_emulator/options", b'{"rate": 0}')


def _try(role: str, url: str, load: Load) -> Cost:
    """Run a client that may give up on some requests."""
    try:
        return send(role, url, load)
    except RuntimeError:
        return Cost(float("nan"), float("nan"), float("nan"))


_GOALS_OF_REQUESTS = {
    "products": "1.1", "product assignments": "1.05", "inventory, one": "2.0, answers 1.0 to 2.0",
    "inventory adjust": "1.7", "inventory set": "1.7",
}  # fmt: skip


def requests_sent(given: Given) -> Iterator[Line]:
    """Count the requests of `resume --verify` for each ref."""
    with serve_in_thread(EmulatorOptions()) as server:
        for case in requests.cases(given.of(1000, 50)):
            every, by_answers = (
                requests.measure(case, server.emulator, server.url, option).each
                for option in ("--verify", "--verify=answers")
            )
            goal = [text for name, text in _GOALS_OF_REQUESTS.items() if case.name.startswith(name)]
            yield Line(f"requests a ref, {case.name}", f"{every:.2f}", "".join(goal[:1]),
                       f"=answers {by_answers:.2f}")  # fmt: skip


_STAGED = "0.3 s, 60 MB"
_GOALS_OF_A_JOURNAL = {
    "import": "6 s, 100 MB", "plan": "5 s, 250 MB", "first write": "8 s, 400 MB",
    "with all staged: set": _STAGED, "with all staged: drop": _STAGED,
    "with all staged: show": _STAGED, "with all staged: explain": _STAGED,
    "with all staged: status": _STAGED, "all sent: set": "as if new",
    "all sent: status": "as if new",
}  # fmt: skip
_GOALS_OF_REFS = {"plan": "10 s, 600 MB", "import --dry-run": "15 s, 400 MB"}


def _rows(
    given: Given, name: str, lines: int, refs: int, url: str, *, send: bool = True
) -> journal.Rows:
    """Return the medians of the rounds for a journal of that size."""
    rounds = [
        journal.run_all(ROOT, given.folder / f"{name}-{n}", url, lines, refs, n + 1, send=send)
        for n in range(given.rounds)
    ]
    return {
        row: (
            Cost(*map(median, zip(*(one[row][0] for one in rounds), strict=True))),
            median(one[row][1] for one in rounds),
        )
        for row in rounds[0]
    }


def _lines(given: Given, lines: int, refs: int, url: str, goals: dict[str, str]) -> Iterator[Line]:
    for row, (cost, bare) in _rows(given, "journal", lines, refs, url).items():
        if row in goals:
            yield Line(
                f"{lines:,} lines, {refs:,} refs: {row}",
                f"{cost.wall:.1f} s, {cost.peak:,.0f} MB",
                goals[row],
                f"CPU {cost.cpu:.1f} s, {cost.cpu / bare:,.0f} times the bare bytes",
            )


def journals(given: Given) -> Iterator[Line]:
    """Measure what a large journal costs."""
    lines, refs = given.of(1_000_000, 100), given.of(100_000, 50)
    with journal.emulating(refs) as url:
        yield from _lines(given, lines, refs, url, _GOALS_OF_A_JOURNAL)
    yield from _lines(given, lines, lines, "", _GOALS_OF_REFS)


_GROWING = {
    "import": "stage import", "plan": "plan", "with all staged: set": "stage set, one more",
    "with all staged: status": "status --offline", "first write": "resume, to its first write",
}  # fmt: skip
_SIZES = (1_000, 10_000, 100_000, 1_000_000)


def growth(given: Given) -> Iterator[Cells]:
    """Measure CPU seconds and memory as the number of refs grows, one edit each."""
    found: list[tuple[int, dict[str, Cost]]] = []
    for refs in [given.of(size, 50) for size in _SIZES]:
        with journal.emulating(refs) as url:
            measured_rows = _rows(given, f"growth-{refs}", refs, refs, url, send=False)
        found.append((refs, {row: measured_rows[row][0] for row in _GROWING}))
        yield [f"{refs:,}", *(_cpu_and_memory(found[-1][1][row]) for row in _GROWING)]
    (smaller, before), (larger, last) = found[-2:]
    further = 9 * larger / max(1, larger - smaller)

    def onward(row: str) -> Cost:
        pairs = zip(before[row], last[row], strict=True)
        return Cost(*(b + max(0.0, b - a) * further for a, b in pairs))

    more = [_cpu_and_memory(onward(row)) for row in _GROWING]
    yield [f"{10 * larger:,}, extrapolated", *more]


def _cpu_and_memory(cost: Cost) -> str:
    return f"{cost.cpu:.{1 if cost.cpu < 20 else 0}f} s, {cost.peak:,.0f} MB"


_START = {
    "--version": "2", "status --offline": "3", "--help": "6.5", "completion": "4", "plan": "8",
}  # fmt: skip


_SCRIPT = (sys.executable, "-c", "import sys; from ocsync.cli import main; sys.exit(main())")
"""What the script that an installer makes does."""


def start(given: Given) -> Iterator[Line]:
    """Compare the start of short commands with that of the interpreter."""
    measured([*OCSYNC, "profile", "add", "b", "--api-url", "http://127.0.0.1:9", "--client-id", "c",
              "--secret-env", "S"])  # fmt: skip
    completing = {**os.environ, "_OCSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "ocsync sta",
                  "COMP_CWORD": "1"}  # fmt: skip
    commands = {name: [*_SCRIPT, *name.split()] for name in _START if name != "completion"}
    commands = {"": [sys.executable, "-c", "pass"], "completion": [*_SCRIPT], **commands}
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(5 * given.rounds + 1):  # the first one writes the bytecode
        for name, command in commands.items():
            cost = measured(command, environ=completing if name == "completion" else None)
            costs[name] += [cost] if number else []
    cpu, wall, _ = map(median, zip(*costs[""], strict=True))
    for name, goal in _START.items():
        own_cpu, own_wall, _ = map(median, zip(*costs[name], strict=True))
        yield Line(f"{name}{' (nothing staged)' * (name == 'plan')}, of python -c pass",
                   f"{own_wall / wall:.1f}", goal,
                   f"by CPU time {own_cpu / cpu:.1f}, {own_wall * 1000:.0f} ms")  # fmt: skip


class Section(NamedTuple):
    """A part of the table; *heads* are those of its columns.

    Those with *processes* measure some, whose bytecode is written before.
    """

    measure: Callable[[Given], Iterator[Cells]]
    heads: Cells = ("what", "measured", "to reach", "beside")
    processes: bool = True


SECTIONS = {
    "ceiling": Section(ceiling),
    "refusals": Section(refusals, processes=False),
    "throttled": Section(throttled),
    "requests": Section(requests_sent, processes=False),
    "whole": Section(whole),
    "writes": Section(writes),
    "fixed": Section(fixed),
    "journal": Section(journals),
    "growth": Section(growth, ("refs", *_GROWING.values())),
    "start": Section(start),
}

_LOADED = ("ocsync.cli.app", "ocsync.cli.resume", "ocsync.engine.resume.conductor",
           "ocsync.client.factory", "ocsync.emulator.app", "tests.benchmarks.client")  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("names", nargs="*", metavar="SECTION", help="only these")
    options.add_argument("--size", type=float, default=1.0, help="a share of the full sizes")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--list", action="store_true", help="only list the sections")
    given = options.parse_args(words)
    if unknown := set(given.names) - SECTIONS.keys():
        options.error(f"no section is called {', '.join(sorted(unknown))}; --list shows all")
    if given.list:
        for name, section in SECTIONS.items():
            print(f"{name:<12}{section.measure.__doc__}")
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}, "
          f"size {given.size:g}, {given.rounds} rounds")  # fmt: skip
    with tempfile.TemporaryDirectory() as root, environment(Path(root) / "w"):
        names = given.names or list(SECTIONS)
        if any(SECTIONS[name].processes for name in names):
            measured([sys.executable, "-c", f"import {', '.join(_LOADED)}"])
        for name in names:
            section, folder = SECTIONS[name], Path(root) / name
            print(f"\n{name}\n\n| {' | '.join(section.heads)} |")
            print("| --- " + "| ---: " * (len(section.heads) - 1) + "|", flush=True)
            with environment(folder):
                for cells in section.measure(Given(given.size, given.rounds, folder)):
                    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
