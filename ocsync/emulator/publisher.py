"""Publishing: the targets that a write feeds, and what a pause holds (guide/ordercloud.md 3, 4).

A message is logged when it is published. Updates made while a target is paused are held, one for
each entity, and published when it is unpaused; deletes are published at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from ocsync.emulator import payloads
from ocsync.emulator.delivery_sender import DeliverySender
from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.state import Document, Key, Marketplace, Row, key_of, timestamp
from ocsync.schema import RECORD_KINDS, TARGETS, Kind, Target

LOG_LIMIT = 200_000
"""The number of records that each log keeps."""


class TargetEntity(NamedTuple):
    """An entity that a target publishes."""

    target: Target
    kind: Kind
    key: Key


class Publisher:
    """The publisher of one marketplace, with its log of messages.

    *user* is the name of the user whose request is being handled; messages contain it.
    """

    def __init__(
        self, market: Marketplace, options: EmulatorOptions, sender: DeliverySender
    ) -> None:
        self.market = market
        self.options = options
        self.sender = sender
        self.messages: deque[dict[str, Any]] = deque(maxlen=LOG_LIMIT)
        self.counts: Counter[str] = Counter()
        self.dropped = 0
        self.user = "emulator"
        self.held: dict[str, dict[tuple[str, Key], Document | None]] = {}
        self._number = 0

    def publish_write(self, kind: Kind, row: Row) -> None:
        """Publish or hold an update for every target that the created or changed *row* feeds."""
        for fed in self._entities_fed_by(kind, row.ids):
            config = self._enabled_config(fed.target, fed.target.flags[0])
            if config is not None:
                self._hold_or_publish(fed, hold=bool(config.get("Paused")))

    def publish_delete(self, kind: Kind, row: Row) -> None:
        """Publish the delete of *row* at once, and an update of the entity that it was part of."""
        for fed in self._entities_fed_by(kind, row.ids):
            target = fed.target
            if fed.kind.name != kind.name:
                if container := self.market.tables[fed.kind.name].rows.get(fed.key):
                    self.publish_write(fed.kind, container)
                continue
            if (
                target.deleted_namespace
                and self._enabled_config(target, target.flags[1]) is not None
            ):
                self._publish(
                    target,
                    target.deleted_namespace,
                    payloads.deleted_payload(kind, row),
                    held=False,
                )
            held = self.held.get(target.name, {})
            if (kind.name, fed.key) in held and self.options.updated_after_delete == "sent":
                held[kind.name, fed.key] = payloads.updated_payload(self.market, kind, row)

    def publish_sync(self, target: Target, key: Key) -> None:
        """Publish or hold the entity that a sync request names."""
        paused = bool(self.market.sync_configs[target.name].get("Paused"))
        hold = paused and self.options.sync_while_paused == "hold"
        self._hold_or_publish(TargetEntity(target, ALL_KINDS[target.entity_kind], key), hold=hold)

    def publish_held(self, target: Target) -> None:
        """Publish the updates held for *target*, in one batch, one for each entity."""
        for (name, key), payload in self.held.pop(target.name, {}).items():
            if payload is None:
                self._publish_updated(TargetEntity(target, ALL_KINDS[name], key), held=True)
            else:
                self._publish(target, target.updated_namespace, payload, held=True)

    def set_paused(self, target: Target, config: Document, *, paused: bool) -> None:
        """Set `Paused`, after the delay that the options ask for.

        The response does not wait: how long the platform's parts take is unknown.
        """
        if self.options.pause_delay:
            take_effect = partial(self._set_paused, target, config, paused=paused)
            asyncio.get_running_loop().call_later(self.options.pause_delay, take_effect)
        else:
            self._set_paused(target, config, paused=paused)

    def unpause_all(self) -> None:
        """Unpause every target, as another user would."""
        for name, config in self.market.sync_configs.items():
            if name in TARGETS and config.get("Paused"):
                self._set_paused(TARGETS[name], config, paused=False)

    def _set_paused(self, target: Target, config: Document, *, paused: bool) -> None:
        was, config["Paused"] = config.get("Paused"), paused
        if was and not paused:
            self.publish_held(target)

    def _entities_fed_by(self, kind: Kind, ids: tuple[str, ...]) -> Iterator[TargetEntity]:
        ids_by_name = dict(zip(kind.ids, ids, strict=True))
        for name in kind.direct_targets:
            target = TARGETS[name]
            entity = ALL_KINDS[target.entity_kind]
            if not kind.assignment and kind.ids[-1] == entity.ids[-1]:
                entity = kind  # variant inventory has its own messages
            yield TargetEntity(
                target, entity, key_of(ids_by_name[id_name] for id_name in entity.ids)
            )
        resends = self.options.product_resync == "touched"
        if kind.name in RECORD_KINDS:
            resends = self.options.inventory_feeds == "products"
        if resends:
            for key in payloads.affected_products(self.market, kind, ids):
                yield TargetEntity(TARGETS["products"], ALL_KINDS["product"], key)

    def _enabled_config(self, target: Target, flag: str) -> Document | None:
        config = self.market.sync_configs.get(target.name)
        if config is None or config.get(flag) is False:
            return None
        delivery = self.market.delivery_configs.get(str(config.get("DeliveryConfigID")).casefold())
        return config if delivery and delivery.get("Enabled") else None

    def _hold_or_publish(self, fed: TargetEntity, *, hold: bool) -> None:
        if not hold:
            self._publish_updated(fed, held=False)
        elif self.options.while_paused == "drop":
            self.dropped += 1
        else:
            self.held.setdefault(fed.target.name, {})[fed.kind.name, fed.key] = None

    def _publish_updated(self, fed: TargetEntity, *, held: bool) -> None:
        row = self.market.tables[fed.kind.name].rows.get(fed.key)
        if row:
            payload = payloads.updated_payload(self.market, fed.kind, row)
            config = self.market.sync_configs[fed.target.name]
            if config.get("ExcludePriceSchedules"):
                payload = {n: v for n, v in payload.items() if "PriceSchedule" not in n}
            self._publish(fed.target, fed.target.updated_namespace, payload, held=held)

    def _publish(self, target: Target, namespace: str, payload: Document, *, held: bool) -> None:
        self._number += 1
        self.counts[target.name] += 1
        payload = {**payload, **payloads.user_context(self.market, self.user)}
        record = {
            "n": self._number,
            "at": timestamp(),
            "target": target.name,
            "namespace": namespace,
        }
        self.messages.append({**record, "held": held, "payload": payload})
        config = self.market.sync_configs.get(target.name) or {}
        delivery = self.market.delivery_configs.get(str(config.get("DeliveryConfigID")).casefold())
        if delivery:
            self.sender.enqueue(delivery["DeliveryTargets"], namespace, payload)
