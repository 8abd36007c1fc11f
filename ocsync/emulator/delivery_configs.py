"""Delivery configurations (api-facts 4.1, 4.2); their secrets are kept and never shown."""

from __future__ import annotations

from typing import Any

from ocsync.emulator.documents import check_fields, check_id, new_id
from ocsync.emulator.errors import Refusal, invalid, not_found
from ocsync.emulator.lists import plain_page
from ocsync.emulator.options import Options
from ocsync.emulator.request import Answer, Call
from ocsync.emulator.state import Document, Marketplace
from ocsync.schema import (
    CUSTOM_HEADER_FIELDS,
    DELIVERY_CONFIG_FIELDS,
    DELIVERY_TARGETS,
    EXCLUSIVE_TARGETS,
    SECRET_FIELDS,
)


class Deliveries:
    """The verbs of `/integrations/deliveryconfig`."""

    def __init__(self, market: Marketplace, options: Options) -> None:
        self.market = market
        self.options = options

    def list_all(self, call: Call) -> Answer:
        """GET the delivery configurations."""
        found = [without_secrets(one) for one in self.market.deliveries.values()]
        return Answer(200, plain_page(found, call.query, DELIVERY_CONFIG_FIELDS))

    def get(self, call: Call) -> Answer:
        """GET one, without its secrets."""
        return Answer(200, without_secrets(self.require(call.ids["DeliveryConfigID"])))

    def post(self, call: Call) -> Answer:
        """POST a new one."""
        own = check_id(call.document().get("ID") or new_id())
        if own.casefold() in self.market.deliveries:
            raise Refusal(409, "IdExists", f"DeliveryConfig {own} is there already")
        return Answer(201, self._keep({"ID": own, "Enabled": False}, call.document()))

    def put(self, call: Call) -> Answer:
        """PUT one: replaces it whole, secrets and all."""
        own = check_id(call.ids["DeliveryConfigID"])
        return Answer(200, self._keep({"ID": own, "Enabled": False}, call.document()))

    def patch(self, call: Call) -> Answer:
        """PATCH one; whether targets and fields that are left out stay is a switch."""
        document, body = self.require(call.ids["DeliveryConfigID"]), call.document()
        targets, way = body.get("DeliveryTargets"), self.options.nested_targets
        if isinstance(targets, dict) and way != "replace":
            now = document["DeliveryTargets"]
            if way == "merge":
                targets = {name: _merged(now.get(name), one) for name, one in targets.items()}
            body = {**body, "DeliveryTargets": now | targets}
        return Answer(200, self._keep(document, body))

    def delete(self, call: Call) -> Answer:
        """DELETE one that nothing uses."""
        name = call.ids["DeliveryConfigID"].casefold()
        self.require(name)
        if any(str(c["DeliveryConfigID"]).casefold() == name for c in self.market.configs.values()):
            raise Refusal(400, "DeliveryConfig.CannotDeleteConfigInUse", "a sync config uses it")
        del self.market.deliveries[name]
        return Answer(204)

    def require(self, name: Any) -> Document:
        """The delivery configuration *name*, or 404."""
        found = self.market.deliveries.get(str(name).casefold())
        if found is None:
            raise not_found("DeliveryConfig", str(name))
        return found

    def _keep(self, now: Document, body: Document) -> Document:
        names = ("Name", "Enabled", "DeliveryTargets")
        document = {**now, **{name: body[name] for name in names if name in body}}
        check(document)
        self.market.deliveries[document["ID"].casefold()] = document
        return dict(without_secrets(document))


def check(document: Document) -> None:
    """Refuse a delivery configuration that breaks a rule of its fields."""
    check_fields(DELIVERY_CONFIG_FIELDS, document)
    targets = {name: target for name, target in document["DeliveryTargets"].items() if target}
    if not targets:
        raise invalid("DeliveryTargets", "is required")
    if len(targets.keys() & set(EXCLUSIVE_TARGETS)) > 1:
        raise invalid("DeliveryTargets", "has more than one integration")
    for name, target in targets.items():
        if not isinstance(target, dict) or name not in DELIVERY_TARGETS:
            raise invalid(f"DeliveryTargets.{name}", "is not a delivery target")
        check_fields(DELIVERY_TARGETS[name], target)
        if len([one for one in CUSTOM_HEADER_FIELDS if target.get(one)]) == 1:
            raise invalid(f"{name}.CustomAuthHeaderName", "goes with its value only")


def without_secrets(thing: Any) -> Any:
    """A document without what is write-only."""
    if isinstance(thing, dict):
        return {n: without_secrets(v) for n, v in thing.items() if n not in SECRET_FIELDS}
    return thing


def _merged(now: Any, target: Any) -> Any:
    return {**now, **target} if isinstance(now, dict) and isinstance(target, dict) else target
