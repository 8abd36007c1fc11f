"""Sync: which writes feed which targets, what a pause holds, what is published.

Messages are logged when they are published (api-facts 4.3, 4.4). Updates made while a target is
paused are held, once an entity, and published after the resume; deletes are published at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Any

from ocsync.emulator.options import Options
from ocsync.emulator.state import Document, Key, Marketplace, Row, key_of, stamp
from ocsync.resources import KINDS, TARGETS, Kind, Target

KEPT = 200_000
"""Records that each log keeps."""
_USER_TYPES = {"buyer-user": 0, "supplier-user": 1, "admin-user": 2}
_WHO: Document = {"UserContext": {"ID": "emulator", "AnonymousId": None}}


class Publisher:
    """Publishes for one marketplace, and keeps the log of messages."""

    def __init__(self, market: Marketplace, options: Options) -> None:
        self.market = market
        self.options = options
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.dropped = 0
        self._held: dict[str, dict[tuple[str, Key], None]] = {}
        self._number = 0

    def written(self, kind: Kind, row: Row) -> None:
        """*row* was created or changed."""
        for target, entity, key in self._fed(kind, row.ids):
            config = self._enabled(target, target.flags[0])
            if config is not None:
                self._updated(target, entity, key, hold=bool(config.get("Paused")))

    def removed(self, kind: Kind, row: Row) -> None:
        """*row* is gone. Its own target hears of it at once; what it was part of has changed."""
        for target, entity, key in self._fed(kind, row.ids):
            if entity.name == kind.name:
                if target.deleted and self._enabled(target, target.flags[1]) is not None:
                    self._publish(target, target.deleted, _deleted(kind, row), held=False)
            elif part_of := self.market.tables[entity.name].rows.get(key):
                self.written(entity, part_of)

    def synced(self, target: Target, key: Key) -> None:
        """A sync request for one entity was taken."""
        paused = bool(self.market.configs[target.name].get("Paused"))
        hold = paused and self.options.sync_while_paused == "hold"
        self._updated(target, KINDS[target.entity], key, hold=hold)

    def resumed(self, target: Target) -> None:
        """The target runs again: what was held goes out, as a batch, once an entity."""
        for name, key in self._held.pop(target.name, {}):
            self._publish_updated(target, KINDS[name], key, held=True)

    async def set_paused(self, target: Target, config: Document, *, paused: bool) -> None:
        """Let the switch take effect, after the delay that the options ask for."""
        if self.options.pause_delay:
            await asyncio.sleep(self.options.pause_delay)
        was, config["Paused"] = config.get("Paused"), paused
        if was and not paused:
            self.resumed(target)

    def _fed(self, kind: Kind, ids: tuple[str, ...]) -> list[tuple[Target, Kind, Key]]:
        named = dict(zip(kind.ids, ids, strict=True))
        found = []
        for name in kind.direct:
            target = TARGETS[name]
            entity = KINDS[target.entity]
            if not kind.assignment and kind.ids[-1] == entity.ids[-1]:
                entity = kind  # a variant's record is an entity of its own
            found.append((target, entity, key_of(named[i] for i in entity.ids)))
        return found

    def _enabled(self, target: Target, flag: str) -> Document | None:
        config = self.market.configs.get(target.name)
        if config is None or config.get(flag) is False:
            return None
        delivery = self.market.deliveries.get(str(config.get("DeliveryConfigID")).casefold())
        return config if delivery and delivery.get("Enabled") else None

    def _updated(self, target: Target, entity: Kind, key: Key, *, hold: bool) -> None:
        if not hold:
            self._publish_updated(target, entity, key, held=False)
        elif self.options.while_paused == "drop":
            self.dropped += 1
        else:
            self._held.setdefault(target.name, {})[entity.name, key] = None

    def _publish_updated(self, target: Target, entity: Kind, key: Key, *, held: bool) -> None:
        row = self.market.tables[entity.name].rows.get(key)
        if row:
            payload = _payload(entity, row, self.market.shown(entity, row))
            self._publish(target, target.updated, payload, held=held)

    def _publish(self, target: Target, namespace: str, payload: Document, *, held: bool) -> None:
        self._number += 1
        self.counts[target.name] += 1
        record = {"n": self._number, "at": stamp(), "target": target.name, "namespace": namespace}
        self.messages.append({**record, "held": held, "payload": payload})


def _payload(kind: Kind, row: Row, document: Document) -> Document:
    if kind.name == "product":
        return {**document, "ProductID": row.ids[-1], **_WHO}
    if kind.name in ("inventory", "variant-inventory"):
        names = ("OwnerID", "AddressID", "OrderCanExceed", "QuantityAvailable", "xp")
        record = {"ID": row.ids[-1], **{name: document.get(name) for name in names}}
        return {"ID": row.ids[-1], "ProductID": row.ids[0], "InventoryRecords": [record], **_WHO}
    if kind.name in _USER_TYPES:
        company = row.ids[0] if len(row.ids) > 1 else None
        return {**document, "UserType": _USER_TYPES[kind.name], "CompanyID": company, **_WHO}
    return {**document, **_WHO}


def _deleted(kind: Kind, row: Row) -> Document:
    if kind.name == "product":
        return {"ProductID": row.ids[-1], **_WHO}
    if kind.name == "category":
        return {"CatalogID": row.ids[0], "ID": row.ids[-1], **_WHO}
    return {"ID": row.ids[-1], **_WHO}
