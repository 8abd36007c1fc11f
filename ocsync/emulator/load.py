"""Load on the marketplace: a limit on requests, and simulated orders that sell stock."""

from __future__ import annotations

import random
import time

from ocsync.emulator.entities import Entities
from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.state import Key, Row, timestamp

_BURST = 0.25
"""Seconds of the rate that may be used at once."""


class TokenBucket:
    """A token bucket that limits requests per second."""

    def __init__(self) -> None:
        self._tokens = float("inf")
        self._last = time.monotonic()

    def acquire(self, rate: float) -> float:
        """Take a token and return 0, or return the seconds until there is one.

        *rate* is in requests per second; 0 is no limit.
        """
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
    """Simulated orders: each takes one piece of a random record that has one, paused or not."""

    interval = 0.02
    """Seconds between two calls of `sell`."""

    def __init__(self, entities: Entities, options: EmulatorOptions) -> None:
        self._entities = entities
        self._options = options
        self._due = 0.0
        self._random = random.Random(0)
        self._keys: list[Key] = []

    def sell(self) -> None:
        """Sell the pieces that are due since the last call."""
        self._due = min(self._due + self._options.sales * self.interval, 1000.0)
        while self._due >= 1:
            self._due -= 1
            self._sell_one()

    def _sell_one(self) -> None:
        kind, market = ALL_KINDS["inventory"], self._entities.market
        table = market.tables[kind.name]
        if len(self._keys) != len(table.rows):
            self._keys = list(table.rows)
        for _ in range(min(20, len(self._keys))):
            row = table.rows.get(self._random.choice(self._keys))
            available = row.document.get("QuantityAvailable") if row else None
            if row and available and available > 0:
                document = {
                    **row.document,
                    "QuantityAvailable": available - 1,
                    "LastUpdated": timestamp(),
                }
                self._entities.save(kind, Row(row.ids, document), row)
                market.sold["/".join([kind.name, *row.ids])] += 1
                return
