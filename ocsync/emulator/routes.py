"""Paths -> endpoints: a tree of path parts, made from the tables; literals match in any case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from ocsync.emulator.assignments import Assignments
from ocsync.emulator.bulk import Bulk, jobs_of
from ocsync.emulator.delivery_configs import Deliveries
from ocsync.emulator.entities import Entities
from ocsync.emulator.kinds import ALL, LINKS, ORDERS
from ocsync.emulator.request import Answer, Call
from ocsync.emulator.special_endpoints import Actions
from ocsync.emulator.sync_configs import Configs
from ocsync.schema import TARGETS, Kind

Handler = Callable[[Call], Answer | Awaitable[Answer]]


class Endpoint(NamedTuple):
    """A verb at a path: the names in the path, what answers, the roles that may; none: anybody."""

    names: tuple[str, ...]
    handler: Handler
    roles: tuple[str, ...]


class Node:
    """One part of a path."""

    def __init__(self) -> None:
        self.literal: dict[str, Node] = {}
        self.named: Node | None = None
        self.verbs: dict[str, Endpoint] = {}

    def at(self, parts: Iterable[str]) -> Node:
        """The node at *parts*, made if need be; parts in braces are names."""
        node = self
        for part in parts:
            if part.startswith("{"):
                node.named = node.named or Node()
                node = node.named
            else:
                node = node.literal.setdefault(part.casefold(), Node())
        return node

    def find(self, parts: list[str]) -> tuple[Node, list[str]] | None:
        """The node at *parts*, and what stands at its names; literals go before names."""
        if not parts:
            return (self, []) if self.verbs else None
        literal = self.literal.get(parts[0].casefold())
        found = literal.find(parts[1:]) if literal else None
        if found or self.named is None:
            return found
        below = self.named.find(parts[1:])
        return (below[0], [parts[0], *below[1]]) if below else None


class Handlers(NamedTuple):
    """All that answers."""

    entities: Entities
    assignments: Assignments
    actions: Actions
    configs: Configs
    deliveries: Deliveries
    bulk: Bulk


def build(handlers: Handlers) -> Node:
    """The tree of all paths below `/v1`."""
    root = Node()

    def add(path: str, reads: Iterable[str], writes: Iterable[str], **verbs: Handler) -> None:
        parts = path.strip("/").split("/")
        names = tuple(part[1:-1] for part in parts if part.startswith("{"))
        node = root.at(parts)
        for verb, handler in verbs.items():
            roles = tuple(reads if verb == "get" else writes)
            node.verbs[verb.upper()] = Endpoint(names, handler, roles)

    for kind in ALL.values():
        for path, verbs in _paths(kind, handlers):
            bound = {verb: partial(handler, kind) for verb, handler in verbs.items()}
            add(path, kind.readers, kind.writers, **bound)
    c = handlers.configs
    for target in (*TARGETS.values(), ORDERS):
        bound = {v: partial(getattr(c, v), target) for v in ("get", "put", "patch", "delete")}
        add(target.path, [target.role], [target.role], **bound)
        if target.sync_path:
            add(target.sync_path, (), [target.role], post=partial(c.sync, target))
    d, role = handlers.deliveries, ["DeliveryConfigAdmin"]
    add("/integrations/deliveryconfig", role, role, get=d.list_all, post=d.post)
    one = "/integrations/deliveryconfig/{DeliveryConfigID}"
    add(one, role, role, get=d.get, put=d.put, patch=d.patch, delete=d.delete)
    for path, name, verb, handler in _actions(handlers.actions):
        area = ALL[name] if name else None
        add(path, area.readers if area else (), area.writers if area else (), **{verb: handler})
    for path, kind, take in jobs_of(handlers.bulk):
        add(path, (), kind.writers, post=take)
    add("/bulk/jobs/{JobID}", ["BulkReader"], (), get=handlers.bulk.get)
    add("/bulk/jobs/{JobID}/errors", ["BulkReader"], (), get=handlers.bulk.list_errors)
    return root


def _paths(kind: Kind, handlers: Handlers) -> list[tuple[str, dict[str, Callable[..., Any]]]]:
    e, a = handlers.entities, handlers.assignments
    removal = kind.delete_path.partition("?")[0]
    if kind.name in LINKS:
        return [
            (kind.path, {"get": a.list_linked}),
            (removal, {"put": a.link, "delete": a.unassign}),
        ]
    if kind.assignment:
        return [
            (kind.path, {"get": a.list_rows, "post": a.assign}),
            (removal, {"delete": a.unassign}),
        ]
    one = {"get": e.get, "put": e.put, "patch": e.patch}
    if not kind.deletable:
        return [(kind.path, one), (kind.collection, {"get": e.list_rows})]
    both = {"get": e.list_rows, "post": e.post}
    return [(kind.path, {**one, "delete": e.delete}), (kind.collection, both)]


def _actions(a: Actions) -> list[tuple[str, str, str, Handler]]:
    """Path, the kind whose roles it takes, verb, handler."""
    breaks, user = (
        "/priceschedules/{PriceScheduleID}/PriceBreaks",
        "/buyers/{BuyerID}/users/{UserID}",
    )
    return [
        ("/me", "", "get", a.me),
        ("/buyerusers", "buyer-user", "get", a.list_buyer_users),
        (user + "/moveto/{NewBuyerID}", "buyer-user", "post", a.move_user),
        ("/buyers/{BuyerID}/sellers", "buyer", "get", a.list_sellers),
        ("/products/{ProductID}/specs", "product", "get", a.list_specs),
        ("/products/{ProductID}/variants/generate", "product", "post", a.generate_variants),
        (breaks, "price-schedule", "post", a.save_price_break),
        (breaks, "price-schedule", "delete", a.delete_price_break),
    ]
