"""A fast server with a fixed delay, for measurements of the client: inventory, and what it needs.

    python -m tests.benchmarks.fixed_delay [--latency MS]

It prints its URL and serves until it is stopped. It keeps quantities and the pause of one target,
answers sign-in, `/me`, the config, records and lists of them by ID, each after the delay, and
`/counts` at once. One process of asyncio protocols takes about 15,000 requests a second here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import cast
from urllib.parse import parse_qs

TOKEN = {
    # a JWT whose claims are {"role": "FullAccess", "usrtype": "admin", "usr": "me"}
    "access_token": "eyJhbGciOiJub25lIn0."
    "eyJyb2xlIjoiRnVsbEFjY2VzcyIsInVzcnR5cGUiOiJhZG1pbiIsInVzciI6Im1lIn0.x",
    "expires_in": 36_000,
}
ME = {"ID": "me", "Username": "me", "Seller": {"ID": "acme", "Name": "acme"}}


class Marketplace:
    """The state, and what was asked of it."""

    def __init__(self) -> None:
        self.quantities: dict[str, int] = {}
        self.paused = False
        self.counts: dict[str, int] = {}
        self.first_write = self.last_write = 0.0

    def answer(self, method: str, target: str, body: bytes) -> bytes:
        """Return the JSON for a request."""
        path, _, query = target.partition("?")
        kind, document = self._document(method, path, query, body)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return document if isinstance(document, bytes) else json.dumps(document).encode()

    def _document(self, method: str, path: str, query: str, body: bytes) -> tuple[str, object]:
        if path.startswith("/v1/integrations"):
            if method == "PATCH":
                self.paused = json.loads(body)["Paused"]
            return "configs", {"DeliveryConfigID": "d", "Paused": self.paused}
        if "/inventoryrecords/" in path:
            record = path.rpartition("/")[2]
            if method != "PATCH":
                return "gets", self._record(record)
            now = time.monotonic()
            self.first_write, self.last_write = self.first_write or now, now
            self.quantities[record] = json.loads(body)["QuantityAvailable"]
            return "writes", self._record(record)
        if path.endswith("/inventoryrecords"):
            records = parse_qs(query).get("ID", [""])[0].split("|")
            items = [json.loads(self._record(record)) for record in records if record]
            return "lists", {"Meta": {"TotalPages": 1, "TotalCount": len(items)}, "Items": items}
        if path == "/counts":
            span = self.last_write - self.first_write
            rate = self.counts.get("writes", 0) / span if span else 0.0
            counts, self.counts, self.first_write = self.counts, {}, 0.0
            return "counts", {**counts, "rate": rate}
        return "sign-in", TOKEN if path == "/oauth/token" else ME

    def _record(self, record: str) -> bytes:
        return (
            b'{"ID":"%s","OwnerID":"owner","AllowAllBuyers":true,"Address":null,"AddressID":"wh",'
            b'"OrderCanExceed":false,"QuantityAvailable":%d,"NotificationPoint":10,'
            b'"LastUpdated":"2026-11-23T10:00:00.000+00:00","xp":{"bin":"A-17-3","source":"erp"}}'
        ) % (record.encode(), self.quantities.get(record, 0))


class Connection(asyncio.Protocol):
    """A kept connection; answers leave in order."""

    def __init__(self, marketplace: Marketplace, due: Due) -> None:
        self._marketplace, self._due, self._data = marketplace, due, b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end]
            at = head.lower().find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + size:
                return
            body = self._data[end + 4 : end + 4 + size]
            self._data = self._data[end + 4 + size :]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            content = self._marketplace.answer(method, target, body)
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
            answer += b"Content-Length: %d\r\n\r\n" % len(content) + content
            self._due.send(self, answer, now=target == "/counts")

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None


class Due:
    """Answers that wait for the delay; one timer serves them all, as they leave in order."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._waiting: deque[tuple[float, Connection, bytes]] = deque()

    def send(self, connection: Connection, answer: bytes, *, now: bool) -> None:
        """Send *answer* after the delay, or *now*."""
        if (now or not self._delay) and connection.transport:
            connection.transport.write(answer)
            return
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + self._delay, connection, answer))
        if len(self._waiting) == 1:
            loop.call_at(self._waiting[0][0], self._flush)

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            _, connection, answer = self._waiting.popleft()
            if connection.transport:
                connection.transport.write(answer)
        if self._waiting:
            loop.call_at(self._waiting[0][0], self._flush)


@contextlib.contextmanager
def serving(latency: float) -> Iterator[str]:
    """Yield the URL of a server in a process of its own; *latency* in milliseconds."""
    command = [sys.executable, "-m", "tests.benchmarks.fixed_delay", "--latency", str(latency)]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()


async def serve(delay: float) -> None:
    """Serve until cancelled."""
    marketplace, due = Marketplace(), Due(delay)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(marketplace, due), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        try:
            import uvloop
        except ImportError:
            asyncio.run(serve(given.latency / 1000))
        else:
            uvloop.run(serve(given.latency / 1000))


if __name__ == "__main__":
    main()
