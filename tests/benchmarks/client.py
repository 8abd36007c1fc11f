"""Writes a second and CPU time a request, beside a bare asyncio client, on a fast server.

    python -m tests.benchmarks.client [--requests N] [--latency MS] [--concurrency N ...]

Each round runs all clients one after the other, each in a new process, so that a busy machine slows
all of them: *ratio* is the median over the rounds of a client's rate and the bare one's. *raw* is a
hand-made protocol that sends the next PATCH when an answer is complete; *client* is `Api.write`;
*sdk* is the community's Python SDK where it is installed, and *loop* sends one after the other;
*resume* is the command, its rate taken between the server's first and last write, its CPU time that
of the whole process. *whole* is the process from its start to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.benchmarks.fixed_delay import serving
from tests.benchmarks.processes import OCSYNC, Cost, environment, measured

RECORDS_A_PRODUCT = 50
SDK = "ordercloud"
ROLES = ("raw", "client", "resume", *(["sdk"] if find_spec(SDK) else []))
ID = "emulator"
"""The client ID and the secret."""
LOOP_REQUESTS = 40
"""The most requests of the loop, which takes a round trip for each."""


class Load(NamedTuple):
    """The writes to send: how many, how many in flight, and how many records a product has."""

    requests: int
    concurrency: int
    a_product: int = RECORDS_A_PRODUCT

    def path_of(self, number: int) -> str:
        """Return the path of the record *number*."""
        return f"/products/P{number // self.a_product}/inventoryrecords/R{number}"

    @property
    def words(self) -> list[str]:
        """The options of this module that describe it."""
        return [
            "--requests", str(self.requests), "--concurrency", str(self.concurrency),
            "--a-product", str(self.a_product),
        ]  # fmt: skip


class Figures(NamedTuple):
    """The writes a second of one process, its CPU seconds a request, and its time."""

    rate: float
    cpu: float
    whole: float


class Raw(asyncio.Protocol):
    """A connection that always has one PATCH under way."""

    def __init__(self, load: Load, numbers: Any, ended: Any) -> None:
        self._load, self._numbers, self._ended, self._data = load, numbers, ended, b""

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
            f"PATCH /v1{self._load.path_of(number)} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {'t' * 200}\r\n"
        )
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().rpartition(b"content-length:")[2]):
            self._data = b""
            self._send()


async def raw(url: str, load: Load) -> None:
    """Send all by the hand-made protocol."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    numbers, done, left = iter(range(load.requests)), asyncio.Event(), load.concurrency

    def ended() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    loop = asyncio.get_running_loop()
    for _ in range(load.concurrency):
        await loop.create_connection(lambda: Raw(load, numbers, ended), host, port)
    await done.wait()


async def client(url: str, load: Load) -> None:
    """Send all by the client."""
    from ocsync.client import Connection, Limits, open_client

    connection, numbers = Connection(url, url, ID, lambda: ID), iter(range(load.requests))
    async with open_client(connection, limits=Limits(load.concurrency)) as api:
        await api.identity()

        async def worker() -> None:
            for number in numbers:
                body = {"QuantityAvailable": number % 1000}
                assert (await api.write("PATCH", load.path_of(number), body)).status == 200

        await asyncio.gather(*(worker() for _ in range(2 * load.concurrency)))


async def sdk(url: str, load: Load) -> None:
    """Send all by the SDK, as its users do: a number of tasks, five retries."""
    create = import_module(SDK).OrderCloudClient.create
    numbers = iter(range(load.requests))
    urls = {"base_url": f"{url}/v1", "auth_url": f"{url}/oauth/token"}
    async with create(client_id=ID, client_secret=ID, max_retries=5, **urls) as api:

        async def worker() -> None:
            for number in numbers:
                product, record = load.path_of(number).split("/")[2::2]
                body = {"QuantityAvailable": number % 50}
                await api.inventory_records.patch(product, record, body)

        await asyncio.gather(*(worker() for _ in range(load.concurrency)))


async def loop(url: str, load: Load) -> None:
    """Send one after the other, over one connection."""
    await raw(url, load._replace(concurrency=1))


def counts(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url + "/counts") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def send(role: str, url: str, load: Load) -> Cost:
    """Run one client in a process of its own."""
    program = [
        sys.executable,
        "-m",
        "tests.benchmarks.client",
        "--role",
        role,
        "--url",
        url,
        *load.words,
    ]
    return measured(program)


def figures(role: str, url: str, load: Load, folder: Path, *words: str) -> Figures:
    """Run one client, *words* being options of a resume, and ask the server what it did."""
    if role == "loop":
        load = load._replace(requests=min(load.requests, LOOP_REQUESTS))
    profile = ("--profile", f"p{urlsplit(url).port}")
    if role == "resume":
        stage(url, load, folder, *profile)
    counts(url)
    if role == "resume":
        concurrency = ("--concurrency", str(load.concurrency))
        cost = measured([*OCSYNC, "resume", *concurrency, *profile, *words])
    else:
        cost = send(role, url, load)
    seen = counts(url)
    assert seen["writes"] == load.requests, (role, seen)
    return Figures(seen["rate"], cost.cpu / load.requests, cost.wall)


def stage(url: str, load: Load, folder: Path, option: str, profile: str) -> None:
    """Stage a record for each request; the value is new in each round."""
    if not (folder / ".ocsync/profiles" / profile).exists():
        measured([*OCSYNC, "profile", "add", profile, "--api-url", url, "--client-id", ID,
                  "--secret-env", "S"])  # fmt: skip
    file, value = folder / "edits.csv", time.time_ns() // 1000 % 1_000_000 + 1
    rows = (f"inventory/P{n // load.a_product}/R{n},{value}\n" for n in range(load.requests))
    file.write_text("ref,QuantityAvailable\n" + "".join(rows))
    measured([*OCSYNC, "stage", "import", str(file), "--quiet", option, profile])


def table(given: argparse.Namespace, concurrency: int, folder: Path) -> None:
    """Measure and print one number of requests in flight."""
    load = Load(given.requests, concurrency, given.a_product)
    with serving(given.latency) as url:
        rounds = [
            {role: figures(role, url, load, folder) for role in (*ROLES, "loop")}
            for _ in range(given.rounds)
        ]
    for role in (*ROLES, "loop"):
        ratio = median(row[role].rate / row["raw"].rate for row in rounds)
        rate, cpu, whole = map(median, zip(*(row[role] for row in rounds), strict=True))
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
    parser.add_argument("--a-product", type=int, default=RECORDS_A_PRODUCT, metavar="RECORDS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        parts = {"raw": raw, "client": client, "sdk": sdk, "loop": loop}
        load = Load(given.requests, given.concurrency[0], given.a_product)
        asyncio.run(parts[given.role](given.url, load))
        return
    print(f"{'delay':>8}{'flying':>6} {'':<8}{'rate':>11}{'ratio':>7}{'CPU':>11}{'whole':>10}")
    for concurrency in given.concurrency:
        with tempfile.TemporaryDirectory() as name, environment(Path(name) / "w"):
            table(given, concurrency, Path(name) / "w")


if __name__ == "__main__":
    main()
