"""Sync: which writes feed which targets, what a pause holds, what is published (api-facts 3, 4).

A message is logged when it is published. Updates made while a target is paused are held, once an
entity, and published after the resume; deletes are published at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from ocsync.emulator import payloads
from ocsync.emulator.delivery_sender import DeliverySender
from ocsync.emulator.kinds import ALL
from ocsync.emulator.options import Options
from ocsync.emulator.state import Document, Key, Marketplace, Row, key_of, stamp
from ocsync.schema import TARGETS, Kind, Target

KEPT = 200_000
"""Records that each log keeps."""


class Fed(NamedTuple):
    """An entity that a target publishes."""

    target: Target
    kind: Kind
    key: Key


class Publisher:
    """Publishes for one marketplace, and keeps the log of messages.

    *user* is the name of whoever is at work, as messages tell.
    """

    def __init__(self, market: Marketplace, options: Options, courier: DeliverySender) -> None:
        self.market = market
        self.options = options
        self.courier = courier
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.dropped = 0
        self.user = "emulator"
        self.held: dict[str, dict[tuple[str, Key], Document | None]] = {}
        self._number = 0

    def written(self, kind: Kind, row: Row) -> None:
        """*row* was created or changed."""
        for fed in self._fed(kind, row.ids):
            config = self._enabled(fed.target, fed.target.flags[0])
            if config is not None:
                self._updated(fed, hold=bool(config.get("Paused")))

    def removed(self, kind: Kind, row: Row) -> None:
        """*row* is gone. Its own target hears of it at once; what it was part of has changed."""
        for fed in self._fed(kind, row.ids):
            target = fed.target
            if fed.kind.name != kind.name:
                if part_of := self.market.tables[fed.kind.name].rows.get(fed.key):
                    self.written(fed.kind, part_of)
                continue
            if target.deleted_namespace and self._enabled(target, target.flags[1]) is not None:
                self._publish(
                    target, target.deleted_namespace, payloads.deleted(kind, row), held=False
                )
            held = self.held.get(target.name, {})
            if (kind.name, fed.key) in held and self.options.updated_after_delete == "sent":
                held[kind.name, fed.key] = payloads.updated(self.market, kind, row)

    def synced(self, target: Target, key: Key) -> None:
        """A sync request for one entity was taken."""
        paused = bool(self.market.configs[target.name].get("Paused"))
        hold = paused and self.options.sync_while_paused == "hold"
        self._updated(Fed(target, ALL[target.entity_kind], key), hold=hold)

    def resumed(self, target: Target) -> None:
        """The target runs again: what was held goes out, as a batch, once an entity."""
        for (name, key), payload in self.held.pop(target.name, {}).items():
            if payload is None:
                self._publish_updated(Fed(target, ALL[name], key), held=True)
            else:
                self._publish(target, target.updated_namespace, payload, held=True)

    def set_paused(self, target: Target, config: Document, *, paused: bool) -> None:
        """Let the switch take effect, after the delay that the options ask for.

        The answer does not wait for it: what is unknown is how long the platform's parts take.
        """
        if self.options.pause_delay:
            take_effect = partial(self._set_paused, target, config, paused=paused)
            asyncio.get_running_loop().call_later(self.options.pause_delay, take_effect)
        else:
            self._set_paused(target, config, paused=paused)

    def lift_all(self) -> None:
        """Somebody else unpauses everything."""
        for name, config in self.market.configs.items():
            if name in TARGETS and config.get("Paused"):
                self._set_paused(TARGETS[name], config, paused=False)

    def _set_paused(self, target: Target, config: Document, *, paused: bool) -> None:
        was, config["Paused"] = config.get("Paused"), paused
        if was and not paused:
            self.resumed(target)

    def _fed(self, kind: Kind, ids: tuple[str, ...]) -> Iterator[Fed]:
        named = dict(zip(kind.ids, ids, strict=True))
        for name in kind.direct_targets:
            target = TARGETS[name]
            entity = ALL[target.entity_kind]
            if not kind.assignment and kind.ids[-1] == entity.ids[-1]:
                entity = kind  # a variant's record is an entity of its own
            yield Fed(target, entity, key_of(named[i] for i in entity.ids))
        if self.options.product_resync == "touched":
            for key in payloads.touched_products(self.market, kind, ids):
                yield Fed(TARGETS["products"], ALL["product"], key)

    def _enabled(self, target: Target, flag: str) -> Document | None:
        config = self.market.configs.get(target.name)
        if config is None or config.get(flag) is False:
            return None
        delivery = self.market.deliveries.get(str(config.get("DeliveryConfigID")).casefold())
        return config if delivery and delivery.get("Enabled") else None

    def _updated(self, fed: Fed, *, hold: bool) -> None:
        if not hold:
            self._publish_updated(fed, held=False)
        elif self.options.while_paused == "drop":
            self.dropped += 1
        else:
            self.held.setdefault(fed.target.name, {})[fed.kind.name, fed.key] = None

    def _publish_updated(self, fed: Fed, *, held: bool) -> None:
        row = self.market.tables[fed.kind.name].rows.get(fed.key)
        if row:
            payload = payloads.updated(self.market, fed.kind, row)
            config = self.market.configs[fed.target.name]
            if config.get("ExcludePriceSchedules"):
                payload = {n: v for n, v in payload.items() if "PriceSchedule" not in n}
            self._publish(fed.target, fed.target.updated_namespace, payload, held=held)

    def _publish(self, target: Target, namespace: str, payload: Document, *, held: bool) -> None:
        self._number += 1
        self.counts[target.name] += 1
        payload = {**payload, **payloads.user_context(self.market, self.user)}
        record = {"n": self._number, "at": stamp(), "target": target.name, "namespace": namespace}
        self.messages.append({**record, "held": held, "payload": payload})
        config = self.market.configs.get(target.name) or {}
        delivery = self.market.deliveries.get(str(config.get("DeliveryConfigID")).casefold())
        if delivery:
            self.courier.take(delivery["DeliveryTargets"], namespace, payload)
