"""Sync configurations and sync requests (api-facts 3)."""

from __future__ import annotations

from ocsync.emulator.delivery_configs import Deliveries
from ocsync.emulator.documents import check_fields
from ocsync.emulator.errors import Refusal, invalid, not_found
from ocsync.emulator.kinds import ALL, ORDERS, noun
from ocsync.emulator.options import Options
from ocsync.emulator.publisher import Publisher
from ocsync.emulator.request import Answer, Call
from ocsync.emulator.state import Document, Marketplace, key_of
from ocsync.schema import TARGETS, Field, FieldType, Target

_FLAGS = {flag for target in TARGETS.values() for flag in target.flags}
_TYPES = {
    name: Field(FieldType.BOOLEAN) for name in (*_FLAGS, "Paused", "ExcludePriceSchedules")
} | {
    "DeliveryConfigID": Field(FieldType.TEXT),
    "ConfigData": Field(FieldType.OBJECT),
}


class Configs:
    """The singletons under `/integrations`."""

    def __init__(
        self, market: Marketplace, publisher: Publisher, deliveries: Deliveries, options: Options
    ) -> None:
        self.market = market
        self.publisher = publisher
        self.deliveries = deliveries
        self.options = options

    def get(self, target: Target, _: Call) -> Answer:
        """GET a sync config."""
        config = self.market.configs.get(target.name)
        if config is None:
            if self.options.missing_config == "empty":
                return Answer(200, dict.fromkeys(["DeliveryConfigID", *_fields(target)]))
            raise _missing(target)
        return Answer(200, config)

    def put(self, target: Target, call: Call) -> Answer:
        """PUT a sync config: replaces it whole, so a `Paused` left out is cleared."""
        body = call.document()
        for name in ("DeliveryConfigID", *target.flags):
            if body.get(name) is None:
                raise invalid(name, "is required")
        self._check(body)
        names = ("DeliveryConfigID", *_fields(target))
        start: Document = dict.fromkeys(names) | ({"Paused": False} if target.flags else {})
        new = start | {name: body[name] for name in names if name in body}
        old = self.market.configs.get(target.name) or {}
        self.market.configs[target.name] = new
        if old.get("Paused") and not new["Paused"]:
            self.publisher.resumed(target)
        return Answer(200, new)

    def patch(self, target: Target, call: Call) -> Answer:
        """PATCH a sync config."""
        config = self.market.configs.get(target.name)
        if config is None:
            raise _missing(target)
        body = call.document()
        self._check(body)
        names = {"DeliveryConfigID", *_fields(target)} - {"Paused"}
        config.update({name: body[name] for name in names if name in body})
        if "Paused" in body and target.flags:
            self.publisher.set_paused(target, config, paused=bool(body["Paused"]))
        return Answer(200, config)

    def _check(self, body: Document) -> None:
        check_fields(_TYPES, body)
        if "DeliveryConfigID" in body:
            if not body["DeliveryConfigID"]:
                raise invalid("DeliveryConfigID", "is required")
            self.deliveries.require(body["DeliveryConfigID"])

    def delete(self, target: Target, _: Call) -> Answer:
        """DELETE a sync config; what it held is lost."""
        if self.market.configs.pop(target.name, None) is None:
            raise _missing(target)
        self.publisher.held.pop(target.name, None)
        return Answer(204)

    def sync(self, target: Target, call: Call) -> Answer:
        """POST a sync request for one entity."""
        body = call.document()
        config = self.market.configs.get(target.name) or {}
        delivery = self.market.deliveries.get(str(config.get("DeliveryConfigID")).casefold()) or {}
        if not delivery.get("Enabled"):
            raise Refusal(
                400, target.not_enabled_code, "there is no config, or its delivery is disabled"
            )
        if config.get("Paused") and self.options.sync_while_paused == "refuse":
            raise Refusal(400, target.not_enabled_code, "sync is paused")
        for name in target.sync_ids:
            if not body.get(name):
                raise invalid(name, "is required")
        key = key_of(str(body[name]) for name in target.sync_ids)
        if key not in self.market.tables[target.entity_kind].rows:
            raise not_found(noun(ALL[target.entity_kind]), key[-1])
        self.publisher.synced(target, key)
        return Answer(204)


def _fields(target: Target) -> tuple[str, ...]:
    """What a config has beside its delivery configuration."""
    if target is ORDERS:
        return ("ConfigData",)
    more = ("ConfigData", "ExcludePriceSchedules") if target.entity_kind == "product" else ()
    return (*target.flags, "Paused", *more)


def _missing(target: Target) -> Refusal:
    name = {"product": "ProductSyncConfig", "": "OrderSyncConfig"}
    return not_found(name.get(target.entity_kind, "EntitySyncConfig"), target.name)
