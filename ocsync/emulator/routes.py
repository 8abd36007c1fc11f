"""Paths -> handlers: a tree of path parts, made from the tables; literals match in any case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ocsync.emulator.configs import Configs
from ocsync.emulator.entities import Answer, Call, Entities
from ocsync.resources import KINDS, TARGETS

Handler = Callable[[Call], Answer | Awaitable[Answer]]


class Node:
    """One part of a path."""

    def __init__(self) -> None:
        self.literal: dict[str, Node] = {}
        self.named: tuple[str, Node] | None = None
        self.verbs: dict[str, Handler] = {}

    def add(self, path: str, **verbs: Handler) -> None:
        """Put *verbs* at *path*, whose parts in braces are names."""
        node = self
        for part in path.strip("/").split("/"):
            if part.startswith("{"):
                if node.named is None:
                    node.named = (part[1:-1], Node())
                node = node.named[1]
            else:
                node = node.literal.setdefault(part.casefold(), Node())
        node.verbs |= {name.upper(): handler for name, handler in verbs.items()}

    def find(self, parts: list[str]) -> tuple[Node, list[str]] | None:
        """The node at *parts*, and what stands at its names; literals go before names."""
        if not parts:
            return (self, []) if self.verbs else None
        literal = self.literal.get(parts[0].casefold())
        found = literal.find(parts[1:]) if literal else None
        if found or self.named is None:
            return found
        below = self.named[1].find(parts[1:])
        return (below[0], [parts[0], *below[1]]) if below else None


def build(entities: Entities, configs: Configs, me: Handler) -> tuple[Node, dict[int, list[str]]]:
    """The tree, and the names at each node (the same place can have other names in another row)."""
    root = Node()
    names: dict[int, list[str]] = {}

    def add(path: str, *row: Any, **verbs: Callable[..., Any]) -> None:
        root.add(path, **{verb: partial(handler, *row) for verb, handler in verbs.items()})
        parts = path.strip("/").split("/")
        found = root.find(["" if part.startswith("{") else part for part in parts])
        if found:
            names[id(found[0])] = [part[1:-1] for part in parts if part.startswith("{")]

    e, c = entities, configs
    for kind in KINDS.values():
        if kind.assignment:
            add(kind.path, kind, get=e.list_assignments, post=e.assign)
            add(kind.removal.partition("?")[0], kind, delete=e.unassign)
            continue
        add(kind.path, kind, get=e.get, put=e.put, patch=e.patch)
        add(kind.collection, kind, get=e.list)
        if kind.deletable:
            add(kind.path, kind, delete=e.delete)
            add(kind.collection, kind, post=e.post)
    for target in TARGETS.values():
        add(target.path, target, get=c.get, put=c.put, patch=c.patch, delete=c.delete)
        add(target.sync_path, target, post=c.sync)
    delivery = "/integrations/deliveryconfig"
    one = delivery + "/{DeliveryConfigID}"
    add(delivery, get=c.list_deliveries, post=c.put_delivery)
    add(one, get=c.get_delivery, put=c.put_delivery, patch=c.patch_delivery)
    add(one, delete=c.delete_delivery)
    add("/products/{ProductID}/variants/generate", post=e.generate_variants)
    add("/me", get=me)
    return root, names
