"""Delivery configurations (guide/ordercloud.md 4.1, 4.2); their secrets are stored and never
shown.
"""

from __future__ import annotations

from typing import Any

from ocsync.emulator.documents import generate_id, read_section, validate_fields, validate_id
from ocsync.emulator.errors import ErrorResponse, invalid, not_found
from ocsync.emulator.kinds import DELIVERY_LIST
from ocsync.emulator.lists import filtered_page
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.emulator.state import Document, Marketplace
from ocsync.schema import (
    CUSTOM_HEADER_FIELDS,
    DELIVERY_CONFIG_FIELDS,
    DELIVERY_TARGETS,
    EXCLUSIVE_TARGETS,
    SECRET_FIELDS,
)


class DeliveryConfigs:
    """The handlers of `/integrations/deliveryconfig`."""

    def __init__(self, market: Marketplace, options: EmulatorOptions) -> None:
        self.market = market
        self.options = options

    def list_all(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of all delivery configurations."""
        items = [without_secrets(config) for config in self.market.delivery_configs.values()]
        return ApiResponse(
            200, filtered_page(items, request.query, DELIVERY_CONFIG_FIELDS, DELIVERY_LIST)
        )

    def get(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of one, without its secrets."""
        return ApiResponse(200, without_secrets(self.require(request.ids["DeliveryConfigID"])))

    def post(self, request: ApiRequest) -> ApiResponse:
        """Handle a POST of a new one."""
        config_id = validate_id(request.document().get("ID") or generate_id())
        if config_id.casefold() in self.market.delivery_configs:
            raise ErrorResponse(409, "IdExists", f"DeliveryConfig {config_id} exists already")
        document = self._save({"ID": config_id, "Enabled": False}, request.document())
        return ApiResponse(201, document, created=config_id)

    def put(self, request: ApiRequest) -> ApiResponse:
        """Handle a PUT of one: replace all of it, secrets included."""
        config_id = validate_id(request.ids["DeliveryConfigID"])
        return ApiResponse(200, self._save({"ID": config_id, "Enabled": False}, request.document()))

    def patch(self, request: ApiRequest) -> ApiResponse:
        """Handle a PATCH of one; `nested_targets` decides whether omitted values stay."""
        document, body = self.require(request.ids["DeliveryConfigID"]), request.document()
        targets, mode = body.get("DeliveryTargets"), self.options.nested_targets
        if isinstance(targets, dict) and mode != "replace":
            current = document["DeliveryTargets"]
            if mode == "merge":
                targets = {
                    name: _merge_target(current.get(name), one) for name, one in targets.items()
                }
            body = {**body, "DeliveryTargets": current | targets}
        return ApiResponse(200, self._save(document, body))

    def delete(self, request: ApiRequest) -> ApiResponse:
        """Handle a DELETE of one that no sync configuration uses."""
        name = request.ids["DeliveryConfigID"].casefold()
        self.require(name)
        if any(
            str(c["DeliveryConfigID"]).casefold() == name for c in self.market.sync_configs.values()
        ):
            raise ErrorResponse(
                400, "DeliveryConfig.CannotDeleteConfigInUse", "a sync config uses it"
            )
        del self.market.delivery_configs[name]
        return ApiResponse(204)

    def require(self, name: Any) -> Document:
        """Return the delivery configuration *name*, or raise a 404."""
        config = self.market.delivery_configs.get(str(name).casefold())
        if config is None:
            raise not_found("DeliveryConfig", str(name))
        return config

    def _save(self, current: Document, body: Document) -> Document:
        names = ("Name", "Enabled", "DeliveryTargets")
        body = read_section(DELIVERY_CONFIG_FIELDS, body, self.options)
        document = {**current, **{name: body[name] for name in names if name in body}}
        validate_delivery_config(document)
        self.market.delivery_configs[document["ID"].casefold()] = document
        return dict(without_secrets(document))


def validate_delivery_config(document: Document) -> None:
    """Raise a 400 for a delivery configuration that breaks a rule of its fields."""
    validate_fields(DELIVERY_CONFIG_FIELDS, document)
    targets = {name: target for name, target in document["DeliveryTargets"].items() if target}
    if not targets:
        raise invalid("DeliveryTargets", "is required")
    if len(targets.keys() & set(EXCLUSIVE_TARGETS)) > 1:
        raise invalid("DeliveryTargets", "has more than one integration")
    for name, target in targets.items():
        if not isinstance(target, dict) or name not in DELIVERY_TARGETS:
            raise invalid(f"DeliveryTargets.{name}", "is not a delivery target")
        validate_fields(DELIVERY_TARGETS[name], target)
        if len([field for field in CUSTOM_HEADER_FIELDS if target.get(field)]) == 1:
            raise invalid(f"{name}.CustomAuthHeaderName", "goes with its value only")


def without_secrets(value: Any) -> Any:
    """Return *value* without write-only fields, at every depth."""
    if isinstance(value, dict):
        return {n: without_secrets(v) for n, v in value.items() if n not in SECRET_FIELDS}
    return value


def _merge_target(current: Any, target: Any) -> Any:
    return (
        {**current, **target} if isinstance(current, dict) and isinstance(target, dict) else target
    )
