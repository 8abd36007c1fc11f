"""How fast a resume replays, and what memory that takes.

    python -m tests.benchmarks.replay                      5,000 writes, 50 ms, 32 connections
    python -m tests.benchmarks.replay --writes 100000 --latency 0 --samples 10

The emulator runs in a process of its own. *rate* is writes a second from the first to the last
write that the server saw, *share* its part of the limit (connections / latency); *whole* counts
everything from the start of the resume to its end. With --samples memory is shown as the replay
goes on: it must not grow with the steps that are done.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

RECORDS_A_PRODUCT = 50


def call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data)) as answer:
        return json.loads(answer.read() or b"null")


def ocsync(*words: str, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ocsync", *words]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **more)


def seed(url: str, writes: int) -> None:
    products = writes // RECORDS_A_PRODUCT + 1
    place = {"ID": "wh", "Street1": "s", "City": "c", "Country": "DE"}
    goods = [{"ID": f"P{n}", "Name": "p", "Inventory": {"Enabled": True}} for n in range(products)]
    call(url + "/_emulator/seed", {"targets": ["inventory"], "address": [place], "product": goods})
    for start in range(0, writes, 20_000):
        rows = [
            {"ProductID": f"P{n // RECORDS_A_PRODUCT}", "ID": f"R{n}", "AddressID": "wh",
             "QuantityAvailable": 0}
            for n in range(start, min(start + 20_000, writes))
        ]  # fmt: skip
        call(url + "/_emulator/seed", {"inventory": rows})


def memory(pid: int) -> float:
    """Resident memory of a process, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--writes", type=int, default=5000)
    options.add_argument("--latency", type=float, default=50.0, help="milliseconds")
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--samples", type=int, default=0, help="how often to show the memory")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"OCSYNC_WORKSPACE": f"{name}/.ocsync", "OCSYNC_DATA_DIR": f"{name}/data",
                       "S": "emulator"}  # fmt: skip
        server = ocsync("emulator", "--port", "0", "--latency", str(given.latency), "--json")
        try:
            url = json.loads(server.stdout.readline())["url"]  # type: ignore[union-attr]
            run(url, given, Path(name))
        finally:
            server.terminate()
            server.wait()


def run(url: str, given: argparse.Namespace, folder: Path) -> None:
    """Stage, resume, and print what was measured."""
    seed(url, given.writes)
    ocsync(
        "profile", "add", "b", "--api-url", url, "--client-id", "emulator", "--secret-env", "S"
    ).wait()
    file = folder / "edits.csv"
    rows = (
        f"inventory/P{n // RECORDS_A_PRODUCT}/R{n},{n % 1000 + 1}\n" for n in range(given.writes)
    )
    file.write_text("ref,QuantityAvailable\n" + "".join(rows))
    start = time.monotonic()
    ocsync("stage", "import", str(file), "--quiet").wait()
    print(f"import   {given.writes:,} lines in {time.monotonic() - start:.1f} s")
    start = time.monotonic()
    resume = ocsync("resume", "--concurrency", str(given.connections), "--quiet")
    step, shown = given.writes // given.samples if given.samples else 0, 0
    while resume.poll() is None:
        time.sleep(0.2)
        if step:
            done = call(url + "/_emulator/counts")["requests"].get("writes", 0)
            if done >= shown + step and resume.poll() is None:
                shown = done
                print(f"memory   {memory(resume.pid):,.0f} MB after {done:,} writes")
    whole = time.monotonic() - start
    rate = call(url + "/_emulator/counts")["writes_per_second"]
    limit = given.connections / (given.latency / 1000) if given.latency else 0
    share = f", {rate / limit:.2f} of the limit of {limit:,.0f}" if limit else ""
    print(f"replay   {rate:,.0f} writes a second{share}")
    print(f"whole    {given.writes / whole:,.0f} a second, {whole:.1f} s, exit {resume.returncode}")


if __name__ == "__main__":
    main()
