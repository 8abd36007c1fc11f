"""How fast the emulator is: simple writes a second, its start, and a large marketplace.

    python -m tests.benchmarks.emulator [--writes N] [--connections N] [--products N]

The emulator runs in a process of its own, so that it has one core; the load comes from this one
over plain sockets. Figures go to standard output as one line each.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FORM = b"grant_type=client_credentials&client_id=emulator&client_secret=emulator"


@contextlib.contextmanager
def emulator(*words: str) -> Iterator[tuple[str, float, int]]:
    """Its URL, the seconds until it answered, and its process ID."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "ocsync", "emulator", "--port", "0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    url = json.loads(process.stdout.readline())["url"]
    call(url, "GET", "/_emulator/health")
    try:
        yield url, time.perf_counter() - start, process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def call(url: str, method: str, path: str, body: bytes | None = None, token: str = "") -> Any:
    """One request, its JSON answer."""
    request = urllib.request.Request(url + path, body, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


async def load(url: str, token: str, paths: list[str], writes: int, connections: int) -> float:
    """Writes a second of *writes* PATCHes over *connections* sockets."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    head = f"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json"
    todo = iter(range(writes))

    async def worker() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number in todo:
            body = b'{"QuantityAvailable":%d}' % number
            path = paths[number % len(paths)]
            writer.write(
                f"PATCH /v1{path} {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(connections)))
    return writes / (time.perf_counter() - start)


def memory(pid: int) -> float:
    """The most memory that the process had, in MB, where the system tells."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return float("nan")


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--products", type=int, default=100_000)
    given = parser.parse_args()
    with emulator("--products", "100") as (url, start, _):
        token = call(url, "POST", "/oauth/token", FORM)["access_token"]
        names = [
            f"/products/P{n % 100:06}/inventoryrecords/P{n % 100:06}-{n % 3}" for n in range(300)
        ]
        rate = asyncio.run(load(url, token, names, given.writes, given.connections))
        print(f"start      {start:8.2f} s")
        print(f"writes     {rate:8.0f} a second, {given.connections} connections")
    with emulator("--products", str(given.products)) as (url, start, pid):
        token = call(url, "POST", "/oauth/token", FORM)["access_token"]
        print(f"load       {start:8.2f} s for {given.products:,} products, 3 records each")
        print(f"memory     {memory(pid):8.0f} MB")
        for query in (
            "",
            "?ID=>P050000&sortBy=ID&pageSize=100",
            "?ID=P000001|P000002&pageSize=100",
        ):
            before = time.perf_counter()
            call(url, "GET", "/v1/products" + query, token=token)
            print(
                f"list       {(time.perf_counter() - before) * 1000:8.1f} ms for {query or 'all'}"
            )


if __name__ == "__main__":
    main()
