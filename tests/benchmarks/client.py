"""Writes a second and CPU time a request, beside a bare asyncio client, on a fast server.

    python -m tests.benchmarks.client [--requests N] [--latency MS] [--concurrency N ...]

Each round runs all clients one after the other, each in a new process, so that a busy machine slows
all of them: *ratio* is the median over the rounds of a client's rate and the bare one's. *raw* is a
hand-made protocol that sends the next PATCH when an answer is complete; *client* is `Api.write`;
*resume* is the command, its rate taken between the server's first and last write, its CPU time that
of the whole process. *whole* is the process from its start to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

RECORDS_A_PRODUCT = 50
ROLES = ("raw", "client", "resume")


class Figures(NamedTuple):
    """What one process did."""

    rate: float
    cpu: float
    whole: float


def path_of(number: int) -> str:
    return f"/products/P{number // RECORDS_A_PRODUCT}/inventoryrecords/R{number}"


class Raw(asyncio.Protocol):
    """A connection that always has one PATCH under way."""

    def __init__(self, numbers: Any, ended: Any) -> None:
        self._numbers, self._ended, self._data = numbers, ended, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        number = next(self._numbers, None)
        if number is None:
            self._transport.close()
            self._ended()
            return
        body = b'{"QuantityAvailable":%d}' % (number % 1000)
        head = (
            f"PATCH /v1{path_of(number)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {'t' * 200}"
        )
        head += f"\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().rpartition(b"content-length:")[2]):
            self._data = b""
            self._send()


async def raw(url: str, requests: int, concurrency: int) -> None:
    """Send all by the hand-made protocol."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    numbers, done, left = iter(range(requests)), asyncio.Event(), concurrency

    def ended() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    loop = asyncio.get_running_loop()
    for _ in range(concurrency):
        await loop.create_connection(lambda: Raw(numbers, ended), host, port)
    await done.wait()


async def client(url: str, requests: int, concurrency: int) -> None:
    """Send all by the client."""
    from ocsync.client import Connection, Limits, open_client

    connection, numbers = Connection(url, url, "c", lambda: "s"), iter(range(requests))
    async with open_client(connection, limits=Limits(concurrency)) as api:
        await api.identity()

        async def worker() -> None:
            for number in numbers:
                body = {"QuantityAvailable": number % 1000}
                assert (await api.write("PATCH", path_of(number), body)).status == 200

        await asyncio.gather(*(worker() for _ in range(2 * concurrency)))


def counts(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url + "/counts") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def measured(role: str, url: str, requests: int, concurrency: int, folder: Path) -> Figures:
    """Run one client in a process of its own."""
    program = [sys.executable, "-m"]
    if role == "resume":
        program += ["ocsync", "resume", "--concurrency", str(concurrency), "--quiet"]
        stage(url, requests, folder)
    else:
        program += [__spec__.name, "--role", role, "--url", url, "--requests", str(requests)]
        program += ["--concurrency", str(concurrency)]
    counts(url)
    start = time.perf_counter()
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    whole = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (role, process.returncode)
    seen = counts(url)
    assert seen["writes"] == requests, seen
    return Figures(seen["rate"], (usage.ru_utime + usage.ru_stime) / requests, whole)


def stage(url: str, requests: int, folder: Path) -> None:
    """Stage a record for each request; the value is new in each round."""
    if not (folder / "data").exists():
        ocsync("profile", "add", "b", "--api-url", url, "--client-id", "c", "--secret-env", "S")
    file, value = folder / "edits.csv", int(time.time()) % 100_000 + 1
    rows = (f"inventory/P{n // RECORDS_A_PRODUCT}/R{n},{value}\n" for n in range(requests))
    file.write_text("ref,QuantityAvailable\n" + "".join(rows))
    ocsync("stage", "import", str(file), "--quiet")


def ocsync(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "ocsync", *words], check=True, stdout=subprocess.DEVNULL)


def table(given: argparse.Namespace, concurrency: int, folder: Path) -> None:
    """Measure and print one number of requests in flight."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.fixed_delay",
        "--latency",
        str(given.latency),
    ]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as server:
        try:
            url = server.stdout.readline().strip() if server.stdout else ""
            rounds = [
                {role: measured(role, url, given.requests, concurrency, folder) for role in ROLES}
                for _ in range(given.rounds)
            ]
        finally:
            server.terminate()
    for role in ROLES:
        figures = [row[role] for row in rounds]
        ratio = median(row[role].rate / row["raw"].rate for row in rounds)
        rate, cpu, whole = (median(column) for column in zip(*figures, strict=True))
        print(
            f"{given.latency:>5.0f} ms {concurrency:>5} {role:<8}{rate:>9,.0f}/s{ratio:>7.2f}"
            f"{cpu * 1000:>8.2f} ms{whole:>8.2f} s",
            flush=True,
        )


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        part = raw if given.role == "raw" else client
        asyncio.run(part(given.url, given.requests, given.concurrency[0]))
        return
    print(f"{'delay':>8}{'flying':>6} {'':<8}{'rate':>11}{'ratio':>7}{'CPU':>11}{'whole':>10}")
    for concurrency in given.concurrency:
        with tempfile.TemporaryDirectory() as name:
            os.environ |= {"OCSYNC_WORKSPACE": f"{name}/.ocsync", "OCSYNC_DATA_DIR": f"{name}/data",
                           "S": "s"}  # fmt: skip
            table(given, concurrency, Path(name))


if __name__ == "__main__":
    main()
