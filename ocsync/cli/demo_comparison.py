"""Strategies to make the same edits, compared by the requests and messages that each one costs.

Each strategy has its own marketplace, which delivers to its own signed HTTP listener. The edits are
either sent one by one, a request for each, as a script would, or staged with ocsync.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ocsync.client import Api, Connection, open_client, read_current, set_paused
from ocsync.consolidate import consolidate
from ocsync.delivery.http_listener import HttpListener, RequestCheck
from ocsync.diff import request_body, resolve_values
from ocsync.emulator import EmulatorOptions, RunningEmulator, serve_app_in_thread, serve_in_thread
from ocsync.emulator.seeds import load_seed
from ocsync.errors import OcsyncError
from ocsync.models import Entry
from ocsync.plan import METHODS
from ocsync.schema import Target, url_of

SECRET = "a listener's secret"  # noqa: S105 - of a marketplace that lives for seconds
_ARRIVAL_TIMEOUT = 20.0


class StrategyCost(NamedTuple):
    """The cost of a strategy: write requests, and messages that its listener received."""

    strategy: str
    requests: int
    messages: int

    def document(self) -> dict[str, Any]:
        """Return the cost as JSON data."""
        return {"way": self.strategy, "requests": self.requests, "messages": self.messages}


class Strategy(NamedTuple):
    """A strategy: its marketplace, and the count of messages that its listener received."""

    name: str
    market: RunningEmulator
    received: Callable[[], int]

    def cost(self) -> StrategyCost:
        """Return the cost so far, once all messages have arrived. Raises OcsyncError."""
        emulator = self.market.emulator
        deadline = time.monotonic() + _ARRIVAL_TIMEOUT
        while (received := self.received()) < sum(emulator.publisher.counts.values()):
            if time.monotonic() > deadline:
                raise OcsyncError(f"{self.name}: the listener did not receive every message")
            time.sleep(0.02)
        return StrategyCost(self.name, emulator.counts["writes"], received)


@contextmanager
def without_ocsync(name: str, seed: dict[str, Any]) -> Iterator[Strategy]:
    """Yield a strategy without ocsync, whose marketplace and listener run until the block ends."""
    received: list[Any] = []
    listener = HttpListener(RequestCheck(SECRET), received.extend, lambda *_: None)
    with serve_app_in_thread(listener) as url, serve_in_thread(EmulatorOptions()) as market:
        http = {"Http": {"Endpoint": url, "Secret": SECRET}}
        deliveries = [{**one, "DeliveryTargets": http} for one in seed["deliveries"]]
        load_seed(market.emulator.market, {**seed, "deliveries": deliveries})
        yield Strategy(name, market, lambda: len(received))


def send_one_by_one(
    strategy: Strategy, entries: Sequence[Entry], paused: Sequence[Target] = ()
) -> None:
    """Send each entry as its own request, while the targets in *paused* are paused."""
    asyncio.run(_send_all(strategy.market.url, entries, paused))


async def _send_all(url: str, entries: Sequence[Entry], paused: Sequence[Target]) -> None:
    connection = Connection(url, url, "emulator", lambda: "emulator")
    async with open_client(connection) as api:
        for target in paused:
            await set_paused(api, target, paused=True)
        for entry in entries:
            await _send(api, entry)
        for target in paused:
            await set_paused(api, target, paused=False)


async def _send(api: Api, entry: Entry) -> None:
    [change] = consolidate([entry])
    current = None
    if change.adjust or any(path.startswith("xp.") for path in change.fields):
        async for _, found in read_current(api, [entry.ref]):
            current = found if isinstance(found, dict) else None
    request = request_body(change, resolve_values(change, current))
    await api.write(METHODS[change.op], url_of(entry.ref), request)


def differing_refs(first: Strategy, second: Strategy) -> list[str]:
    """Return the refs whose documents differ between both marketplaces, timestamps aside."""
    refs = []
    for name, table in first.market.emulator.market.tables.items():
        twin = second.market.emulator.market.tables[name].rows
        for key in table.rows.keys() | twin.keys():
            pair = [
                _without_timestamps(rows[key].document) if key in rows else None
                for rows in (table.rows, twin)
            ]
            if pair[0] != pair[1]:
                refs.append("/".join([name, *key]))
    return refs


def _without_timestamps(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    stamps = ("LastUpdated", "DateCreated")
    return {
        name: _without_timestamps(value) for name, value in document.items() if name not in stamps
    }
