"""A limit on requests, and orders that sell stock meanwhile."""

from __future__ import annotations

import random
import time

from ocsync.emulator.entities import Entities
from ocsync.emulator.kinds import ALL
from ocsync.emulator.options import Options
from ocsync.emulator.state import Key, Row, stamp

_BURST = 0.25
"""Seconds' worth of requests that may come at once."""


class Bucket:
    """A token bucket; *now* is a clock in seconds."""

    def __init__(self) -> None:
        self._tokens = float("inf")
        self._last = time.monotonic()

    def wait(self, rate: float) -> float:
        """Seconds until a request is welcome; 0 takes it. *rate* per second, 0 for no limit."""
        if not rate:
            return 0.0
        now = time.monotonic()
        most = max(1.0, rate * _BURST)
        self._tokens = min(most, self._tokens + (now - self._last) * rate)
        self._last = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / rate


class SalesSimulator:
    """Orders: each takes one piece of a random record that has one, paused or not."""

    every = 0.02
    """Seconds between their visits."""

    def __init__(self, entities: Entities, options: Options) -> None:
        self._entities = entities
        self._options = options
        self._owed = 0.0
        self._random = random.Random(0)
        self._keys: list[Key] = []

    def sell(self) -> None:
        """What is sold in one visit."""
        self._owed = min(self._owed + self._options.sales * self.every, 1000.0)
        while self._owed >= 1:
            self._owed -= 1
            self._sell_one()

    def _sell_one(self) -> None:
        kind, market = ALL["inventory"], self._entities.market
        table = market.tables[kind.name]
        if len(self._keys) != len(table.rows):
            self._keys = list(table.rows)
        for _ in range(min(20, len(self._keys))):
            row = table.rows.get(self._random.choice(self._keys))
            left = row.document.get("QuantityAvailable") if row else None
            if row and left and left > 0:
                document = {**row.document, "QuantityAvailable": left - 1, "LastUpdated": stamp()}
                self._entities.keep(kind, Row(row.ids, document), row)
                market.sold["/".join([kind.name, *row.ids])] += 1
                return
