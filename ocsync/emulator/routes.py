"""The tree of path parts with the endpoints, built from the tables; literals match in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from ocsync.emulator.assignments import Assignments
from ocsync.emulator.bulk import BulkJobs, bulk_routes
from ocsync.emulator.delivery_configs import DeliveryConfigs
from ocsync.emulator.endpoint import Endpoint, Handler
from ocsync.emulator.entities import Entities
from ocsync.emulator.kinds import ALL_KINDS, ORDER_SYNC
from ocsync.emulator.openapi import ApiDescription
from ocsync.emulator.special_endpoints import SpecialEndpoints
from ocsync.emulator.sync_configs import SyncConfigs
from ocsync.schema import TARGETS, Kind


class PathNode:
    """One part of a path."""

    def __init__(self) -> None:
        self.literals: dict[str, PathNode] = {}
        self.parameter: PathNode | None = None
        self.verbs: dict[str, Endpoint] = {}

    def insert(self, parts: Iterable[str]) -> PathNode:
        """Return the node at *parts*, creating it if necessary; parts in braces are parameters."""
        node = self
        for part in parts:
            if part.startswith("{"):
                node.parameter = node.parameter or PathNode()
                node = node.parameter
            else:
                node = node.literals.setdefault(part.casefold(), PathNode())
        return node

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield the endpoints here and below."""
        yield from self.verbs.values()
        for node in (*self.literals.values(), *filter(None, [self.parameter])):
            yield from node.endpoints()

    def match(self, parts: list[str]) -> tuple[PathNode, list[str]] | None:
        """Return the node that *parts* lead to, and its parameters' values; literals go first."""
        if not parts:
            return (self, []) if self.verbs else None
        literal = self.literals.get(parts[0].casefold())
        result = literal.match(parts[1:]) if literal else None
        if result or self.parameter is None:
            return result
        rest = self.parameter.match(parts[1:])
        return (rest[0], [parts[0], *rest[1]]) if rest else None


class Handlers(NamedTuple):
    """The objects whose methods handle requests."""

    entities: Entities
    assignments: Assignments
    special_endpoints: SpecialEndpoints
    sync_configs: SyncConfigs
    delivery_configs: DeliveryConfigs
    bulk: BulkJobs


def build_routes(handlers: Handlers) -> PathNode:
    """Return the tree of all paths below `/v1`."""
    root = PathNode()

    def add(path: str, reads: Iterable[str], writes: Iterable[str], **verbs: Handler) -> None:
        node = root.insert(path.strip("/").split("/"))
        for verb, handler in verbs.items():
            roles = tuple(reads if verb == "get" else writes)
            node.verbs[verb.upper()] = Endpoint(verb.upper(), path, handler, roles)

    for kind in ALL_KINDS.values():
        for path, verbs in _kind_paths(kind, handlers):
            bound = {verb: partial(handler, kind) for verb, handler in verbs.items()}
            add(path, kind.readers, kind.writers, **bound)
    syncs = handlers.sync_configs
    for target in (*TARGETS.values(), ORDER_SYNC):
        bound = {v: partial(getattr(syncs, v), target) for v in ("get", "put", "patch", "delete")}
        add(target.path, [target.role], [target.role], **bound)
        if target.sync_path:
            add(target.sync_path, (), [target.role], post=partial(syncs.request_sync, target))
    deliveries, role = handlers.delivery_configs, ["DeliveryConfigAdmin"]
    path = "/integrations/deliveryconfig"
    add(path, role, role, get=deliveries.list_all, post=deliveries.post)
    bound = {v: getattr(deliveries, v) for v in ("get", "put", "patch", "delete")}
    add(path + "/{DeliveryConfigID}", role, role, **bound)
    for path, name, verb, handler in _special_paths(handlers.special_endpoints):
        reads, writes = (ALL_KINDS[name].readers, ALL_KINDS[name].writers) if name else ((), ())
        add(path, reads, writes, **{verb: handler})
    for path, kind, submit in bulk_routes(handlers.bulk):
        add(path, (), kind.writers, post=submit)
    add("/bulk/jobs/{JobID}", ["BulkReader"], (), get=handlers.bulk.get)
    add("/bulk/jobs/{JobID}/errors", ["BulkReader"], (), get=handlers.bulk.list_errors)
    describe = ApiDescription(root).get
    root.insert(["openapi", "v3"]).verbs["GET"] = Endpoint(
        "GET", "/openapi/v3", describe, (), public=True
    )
    return root


def _kind_paths(kind: Kind, handlers: Handlers) -> list[tuple[str, dict[str, Callable[..., Any]]]]:
    entities, assignments = handlers.entities, handlers.assignments
    delete_path = kind.delete_path.partition("?")[0]
    if kind.action:
        return []  # a special endpoint
    if kind.link:
        return [
            (kind.path, {"get": assignments.list_links}),
            (delete_path, {"put": assignments.link, "delete": assignments.unassign}),
        ]
    if kind.assignment:
        return [
            (kind.path, {"get": assignments.list_rows, "post": assignments.assign}),
            (delete_path, {"delete": assignments.unassign}),
        ]
    entity = {"get": entities.get, "put": entities.put, "patch": entities.patch}
    if not kind.deletable:
        return [(kind.path, entity), (kind.collection, {"get": entities.list_rows})]
    collection = {"get": entities.list_rows, "post": entities.post}
    return [(kind.path, {**entity, "delete": entities.delete}), (kind.collection, collection)]


def _special_paths(endpoints: SpecialEndpoints) -> list[tuple[str, str, str, Handler]]:
    """Return path, kind whose roles are required, verb and handler of each special endpoint."""
    breaks_path, user_path = (
        "/priceschedules/{PriceScheduleID}/PriceBreaks",
        "/buyers/{BuyerID}/users/{UserID}",
    )
    return [
        ("/me", "", "get", endpoints.me),
        ("/buyerusers", "buyer-user", "get", endpoints.list_buyer_users),
        (user_path + "/moveto/{NewBuyerID}", "buyer-user", "post", endpoints.move_user),
        ("/buyers/{BuyerID}/sellers", "buyer", "get", endpoints.list_sellers),
        ("/products/{ProductID}/specs", "product", "get", endpoints.list_specs),
        ("/products/{ProductID}/variants/generate", "product", "post", endpoints.generate_variants),
        (breaks_path, "price-schedule", "post", endpoints.save_price_break),
        (breaks_path, "price-schedule", "delete", endpoints.delete_price_break),
    ]
