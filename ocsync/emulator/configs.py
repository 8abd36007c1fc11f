"""Sync and delivery configurations, and the sync requests (api-facts 3 and 4)."""

from __future__ import annotations

from typing import Any

from ocsync.emulator.documents import check_id, new_id
from ocsync.emulator.entities import Answer, Call
from ocsync.emulator.errors import Refusal, invalid, not_found
from ocsync.emulator.lists import page_of
from ocsync.emulator.options import Options
from ocsync.emulator.state import Document, Marketplace, key_of
from ocsync.emulator.sync import Publisher
from ocsync.resources import KINDS, Target

_SECRETS = {"Secret", "SaslPassword", "ConnectionString", "ApiKey", "CustomAuthHeaderValue"}
_CONFIG_FIELDS = {"DeliveryConfigID", "Paused", "ConfigData", "ExcludePriceSchedules"}


class Configs:
    """The singletons under `/integrations`, and the list of delivery configurations."""

    def __init__(self, market: Marketplace, publisher: Publisher, options: Options) -> None:
        self.market = market
        self.publisher = publisher
        self.options = options

    def get(self, target: Target, _: Call) -> Answer:
        """GET a sync config."""
        config = self.market.configs.get(target.name)
        if config is None:
            if self.options.missing_config == "empty":
                return Answer(200, dict.fromkeys([*_CONFIG_FIELDS, *target.flags]))
            raise self._missing(target)
        return Answer(200, config)

    async def put(self, target: Target, call: Call) -> Answer:
        """PUT a sync config: replaces it whole, so a `Paused` left out is cleared."""
        body = call.document()
        for name in ("DeliveryConfigID", *target.flags):
            if body.get(name) is None:
                raise invalid(name, "is required")
        self._delivery(body["DeliveryConfigID"])
        allowed = {*_CONFIG_FIELDS, *target.flags}
        new = {"Paused": False, **{n: v for n, v in body.items() if n in allowed}}
        old = self.market.configs.get(target.name) or {}
        self.market.configs[target.name] = new
        if old.get("Paused") and not new["Paused"]:
            self.publisher.resumed(target)
        return Answer(200, new)

    async def patch(self, target: Target, call: Call) -> Answer:
        """PATCH a sync config."""
        config = self.market.configs.get(target.name)
        if config is None:
            raise self._missing(target)
        body = call.document()
        if body.get("DeliveryConfigID"):
            self._delivery(body["DeliveryConfigID"])
        allowed = {*_CONFIG_FIELDS, *target.flags} - {"Paused"}
        config.update({n: v for n, v in body.items() if n in allowed})
        if "Paused" in body:
            await self.publisher.set_paused(target, config, paused=bool(body["Paused"]))
        return Answer(200, config)

    def delete(self, target: Target, _: Call) -> Answer:
        """DELETE a sync config."""
        if self.market.configs.pop(target.name, None) is None:
            raise self._missing(target)
        return Answer(204)

    def sync(self, target: Target, call: Call) -> Answer:
        """POST a sync request for one entity."""
        body = call.document()
        config = self.market.configs.get(target.name)
        delivery = self.market.deliveries.get(
            str((config or {}).get("DeliveryConfigID")).casefold()
        )
        if config is None or not (delivery or {}).get("Enabled"):
            raise Refusal(400, target.not_enabled, "sync is not enabled")
        if config.get("Paused") and self.options.sync_while_paused == "refuse":
            raise Refusal(400, target.not_enabled, "sync is paused")
        for name in target.sync_ids:
            if not body.get(name):
                raise invalid(name, "is required")
        key = key_of(str(body[name]) for name in target.sync_ids)
        if key not in self.market.tables[target.entity].rows:
            raise not_found(KINDS[target.entity].noun.title().replace(" ", ""), key[-1])
        self.publisher.synced(target, key)
        return Answer(204)

    def list_deliveries(self, call: Call) -> Answer:
        """GET the delivery configurations."""
        found = (_without_secrets(d) for d in self.market.deliveries.values())
        return Answer(200, page_of(found, call.query))

    def get_delivery(self, call: Call) -> Answer:
        """GET a delivery configuration, without its secrets."""
        return Answer(200, _without_secrets(self._delivery(call.ids["DeliveryConfigID"])))

    def put_delivery(self, call: Call) -> Answer:
        """PUT or POST a delivery configuration."""
        body = call.document()
        own = call.ids.get("DeliveryConfigID") or check_id(body.get("ID") or new_id())
        if "DeliveryConfigID" not in call.ids and own.casefold() in self.market.deliveries:
            raise Refusal(409, "IdExists", f"delivery configuration {own} is there already")
        for name in ("Name", "DeliveryTargets"):
            if not body.get(name):
                raise invalid(name, "is required")
        names = ("Name", "Enabled", "DeliveryTargets")
        document = {"ID": own, "Enabled": False, **{n: body[n] for n in names if n in body}}
        self.market.deliveries[own.casefold()] = document
        return Answer(200 if call.ids else 201, _without_secrets(document))

    def patch_delivery(self, call: Call) -> Answer:
        """PATCH a delivery configuration."""
        document = self._delivery(call.ids["DeliveryConfigID"])
        body = call.document()
        document.update({n: body[n] for n in ("Name", "Enabled") if n in body})
        if isinstance(body.get("DeliveryTargets"), dict):
            document["DeliveryTargets"] = {**document["DeliveryTargets"], **body["DeliveryTargets"]}
        return Answer(200, _without_secrets(document))

    def delete_delivery(self, call: Call) -> Answer:
        """DELETE a delivery configuration that nothing uses."""
        name = call.ids["DeliveryConfigID"].casefold()
        self._delivery(name)
        if any(str(c["DeliveryConfigID"]).casefold() == name for c in self.market.configs.values()):
            raise Refusal(400, "DeliveryConfig.CannotDeleteConfigInUse", "a sync config uses it")
        del self.market.deliveries[name]
        return Answer(204)

    def _delivery(self, name: Any) -> Document:
        found = self.market.deliveries.get(str(name).casefold())
        if found is None:
            raise not_found("DeliveryConfig", str(name))
        return found

    def _missing(self, target: Target) -> Refusal:
        kind = "ProductSyncConfig" if target.entity == "product" else "EntitySyncConfig"
        return not_found(kind, target.name)


def _without_secrets(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {n: _without_secrets(v) for n, v in thing.items() if n not in _SECRETS}
    return thing
