"""Three ways to make the same edits, and what each costs: counted, not claimed.

Each way has a marketplace of its own, whose messages go to a signed HTTP listener of its own. One
by one means every edit as a request, in order, as a script would; with ocsync they are staged.
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
from ocsync.diff import body, resolve_values
from ocsync.emulator import EmulatorOptions, RunningEmulator, serve_app_in_thread, serve_in_thread
from ocsync.emulator.seeds import load_seed
from ocsync.errors import OcsyncError
from ocsync.models import Entry
from ocsync.plan import METHODS
from ocsync.schema import Target, url_of

SECRET = "a listener's secret"  # noqa: S105 - of a marketplace that lives for seconds
_ARRIVE_SECONDS = 20.0


class Cost(NamedTuple):
    """What a way took: requests that wrote, and messages that its listener took."""

    way: str
    requests: int
    messages: int


class Way(NamedTuple):
    """A way: its marketplace, and how many messages its listener has taken."""

    name: str
    market: RunningEmulator
    heard: Callable[[], int]

    def counted(self) -> Cost:
        """What it took so far, when all that was published has arrived. Raises OcsyncError."""
        emulator = self.market.emulator
        deadline = time.monotonic() + _ARRIVE_SECONDS
        while (heard := self.heard()) < sum(emulator.publisher.counts.values()):
            if time.monotonic() > deadline:
                raise OcsyncError(f"{self.name}: not every message came to the listener")
            time.sleep(0.02)
        return Cost(self.name, emulator.counts["writes"], heard)


@contextmanager
def by_hand(name: str, seed: dict[str, Any]) -> Iterator[Way]:
    """A way without ocsync, with its marketplace and its listener for the time of the block."""
    taken: list[Any] = []
    receiver = HttpListener(RequestCheck(SECRET), taken.extend, lambda *_: None)
    with serve_app_in_thread(receiver) as url, serve_in_thread(EmulatorOptions()) as market:
        http = {"Http": {"Endpoint": url, "Secret": SECRET}}
        deliveries = [{**one, "DeliveryTargets": http} for one in seed["deliveries"]]
        load_seed(market.emulator.market, {**seed, "deliveries": deliveries})
        yield Way(name, market, lambda: len(taken))


def one_by_one(way: Way, entries: Sequence[Entry], paused: Sequence[Target] = ()) -> None:
    """Send every entry as a request of its own, while *paused* are paused."""
    asyncio.run(_one_by_one(way.market.url, entries, paused))


async def _one_by_one(url: str, entries: Sequence[Entry], paused: Sequence[Target]) -> None:
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
    request = body(change, resolve_values(change, current))
    await api.write(METHODS[change.op], url_of(entry.ref), request)


def differences(one: Way, other: Way) -> list[str]:
    """The refs whose documents are not the same in both marketplaces, time stamps apart."""
    found = []
    for name, table in one.market.emulator.market.tables.items():
        twin = other.market.emulator.market.tables[name].rows
        for key in table.rows.keys() | twin.keys():
            pair = [
                _timeless(rows[key].document) if key in rows else None
                for rows in (table.rows, twin)
            ]
            if pair[0] != pair[1]:
                found.append("/".join([name, *key]))
    return found


def _timeless(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    stamps = ("LastUpdated", "DateCreated")
    return {name: _timeless(value) for name, value in document.items() if name not in stamps}
