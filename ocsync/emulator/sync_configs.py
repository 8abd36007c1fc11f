"""Sync configurations and sync requests (guide/ordercloud.md 3)."""

from __future__ import annotations

from ocsync.emulator.delivery_configs import DeliveryConfigs
from ocsync.emulator.documents import read_section, validate_fields
from ocsync.emulator.errors import ErrorResponse, invalid, not_found
from ocsync.emulator.kinds import ALL_KINDS, ORDER_SYNC, type_name
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.publisher import Publisher
from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.emulator.state import Document, Marketplace, key_of
from ocsync.schema import TARGETS, Field, FieldType, Target

_FLAGS = {flag for target in TARGETS.values() for flag in target.flags}
CONFIG_FIELDS = {
    name: Field(FieldType.BOOLEAN, nullable=False)
    for name in (*_FLAGS, "Paused", "ExcludePriceSchedules")
} | {
    "DeliveryConfigID": Field(FieldType.TEXT),
    "ConfigData": Field(FieldType.OBJECT),
}


class SyncConfigs:
    """The handlers of the configurations under `/integrations`, one for each target."""

    def __init__(
        self,
        market: Marketplace,
        publisher: Publisher,
        deliveries: DeliveryConfigs,
        options: EmulatorOptions,
    ) -> None:
        self.market = market
        self.publisher = publisher
        self.deliveries = deliveries
        self.options = options

    def get(self, target: Target, _: ApiRequest) -> ApiResponse:
        """Handle a GET of a sync configuration."""
        config = self.market.sync_configs.get(target.name)
        if config is None:
            if self.options.missing_config == "empty":
                return ApiResponse(200, dict.fromkeys(config_fields(target)))
            raise _config_not_found(target)
        return ApiResponse(200, config)

    def put(self, target: Target, request: ApiRequest) -> ApiResponse:
        """Handle a PUT of a sync configuration: replace all of it; without `Paused` it unpauses."""
        body = self._read(request)
        for name in ("DeliveryConfigID", *target.flags):
            if body.get(name) is None:
                raise invalid(name, "is required")
        names = config_fields(target)
        start: Document = dict.fromkeys(names) | ({"Paused": False} if target.flags else {})
        new = start | {name: body[name] for name in names if name in body}
        old = self.market.sync_configs.get(target.name) or {}
        self.market.sync_configs[target.name] = new
        if old.get("Paused") and not new["Paused"]:
            self.publisher.publish_held(target)
        return ApiResponse(200, new)

    def patch(self, target: Target, request: ApiRequest) -> ApiResponse:
        """Handle a PATCH of a sync configuration."""
        config = self.market.sync_configs.get(target.name)
        if config is None:
            raise _config_not_found(target)
        body = self._read(request)
        names = {*config_fields(target)} - {"Paused"}
        config.update({name: body[name] for name in names if name in body})
        if "Paused" in body and target.flags:
            self.publisher.set_paused(target, config, paused=bool(body["Paused"]))
        return ApiResponse(200, config)

    def _read(self, request: ApiRequest) -> Document:
        """Return the body, or raise a 400 or 404."""
        body = read_section(CONFIG_FIELDS, request.document(), self.options)
        validate_fields(CONFIG_FIELDS, body)
        if "DeliveryConfigID" in body:
            if not body["DeliveryConfigID"]:
                raise invalid("DeliveryConfigID", "is required")
            self.deliveries.require(body["DeliveryConfigID"])
        return body

    def delete(self, target: Target, _: ApiRequest) -> ApiResponse:
        """Handle a DELETE of a sync configuration; updates that it held are lost."""
        if self.market.sync_configs.pop(target.name, None) is None:
            raise _config_not_found(target)
        self.publisher.held.pop(target.name, None)
        return ApiResponse(204)

    def request_sync(self, target: Target, request: ApiRequest) -> ApiResponse:
        """Handle a POST of a sync request for one entity."""
        body = request.document()
        config = self.market.sync_configs.get(target.name) or {}
        delivery = (
            self.market.delivery_configs.get(str(config.get("DeliveryConfigID")).casefold()) or {}
        )
        if not delivery.get("Enabled"):
            raise ErrorResponse(
                400, target.not_enabled_code, "there is no config, or its delivery is disabled"
            )
        if config.get("Paused") and self.options.sync_while_paused == "refuse":
            raise ErrorResponse(400, target.not_enabled_code, "sync is paused")
        for name in target.sync_ids:
            if not body.get(name):
                raise invalid(name, "is required")
        key = key_of(str(body[name]) for name in target.sync_ids)
        if key not in self.market.tables[target.entity_kind].rows:
            raise not_found(type_name(ALL_KINDS[target.entity_kind]), key[-1])
        self.publisher.publish_sync(target, key)
        return ApiResponse(204)


def config_fields(target: Target) -> tuple[str, ...]:
    """Return the fields of the configuration of *target*."""
    if target is ORDER_SYNC:
        return ("DeliveryConfigID", "ConfigData")
    more = ("ConfigData", "ExcludePriceSchedules") if target.entity_kind == "product" else ()
    return ("DeliveryConfigID", *target.flags, "Paused", *more)


def config_name(target: Target) -> str:
    """Return the platform's name of the configuration of *target*."""
    name = {"product": "ProductSyncConfig", "": "OrderSyncConfig"}
    return name.get(target.entity_kind, "EntitySyncConfig")


def _config_not_found(target: Target) -> ErrorResponse:
    return not_found(config_name(target), target.name)
