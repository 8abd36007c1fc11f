"""What the marketplace holds, in memory: a table per kind, keyed by IDs without regard to case."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ocsync.resources import KINDS, Kind

Document = dict[str, Any]
Key = tuple[str, ...]


def key_of(ids: Iterable[str]) -> Key:
    """IDs as a key."""
    return tuple(one.casefold() for one in ids)


def stamp() -> str:
    """Now, as the platform writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Row:
    """An entity or assignment: its IDs as they were written, its document, what it was before.

    *old* is shown until *shown_at* where reads lag.
    """

    ids: tuple[str, ...]
    document: Document
    old: Document | None = None
    shown_at: float = 0.0


@dataclass(slots=True)
class Table:
    """The rows of one kind; *groups* holds the keys by everything but the last ID."""

    kind: Kind
    rows: dict[Key, Row] = field(default_factory=dict)
    groups: dict[Key, dict[Key, None]] = field(default_factory=lambda: defaultdict(dict))

    def put(self, row: Row) -> None:
        """Add or replace *row*."""
        key = key_of(row.ids)
        self.rows[key] = row
        self.groups[key[:-1]][key] = None

    def get(self, ids: Iterable[str]) -> Row | None:
        """The row with *ids*."""
        return self.rows.get(key_of(ids))

    def pop(self, key: Key) -> Row | None:
        """Remove the row at *key*."""
        row = self.rows.pop(key, None)
        if row:
            self.groups[key[:-1]].pop(key, None)
        return row

    def below(self, parents: Iterable[str]) -> Iterator[Row]:
        """The rows whose IDs but the last are *parents*."""
        for key in list(self.groups.get(key_of(parents), ())):
            yield self.rows[key]


class Marketplace:
    """All tables, the sync configs, the delivery configs, and the clients that may sign in."""

    def __init__(self) -> None:
        self.id = "emulator"
        self.name = "Emulated marketplace"
        self.tables = {name: Table(kind) for name, kind in KINDS.items()}
        self.configs: dict[str, Document] = {}
        self.deliveries: dict[str, Document] = {}
        self.clients: dict[str, tuple[str, tuple[str, ...]]] = {
            "emulator": ("emulator", ("FullAccess",))
        }
        self.usernames: dict[str, Key] = {}

    def of(self, kind: Kind, ids: dict[str, str]) -> Row | None:
        """The row of *kind* with *ids* by name; a missing optional one is none."""
        return self.tables[kind.name].get(ids.get(name, "") for name in kind.ids)

    def take_out(self, kind: Kind, key: Key) -> Row | None:
        """Remove a row, and free its user name if it has one."""
        row = self.tables[kind.name].pop(key)
        if row and "Username" in kind.fields:
            self.usernames.pop(str(row.document["Username"]).casefold(), None)
        return row

    def shown(self, kind: Kind, row: Row) -> Document:
        """The row as the platform shows it: nothing write-only, sums and counts worked out."""
        document = row.document
        if row.old is not None:
            if time.monotonic() < row.shown_at:
                document = row.old
            else:
                row.old = None
        if kind.name == "product":
            return self._product(row, document)
        if kind.name == "catalog":
            count = sum(1 for _ in self.tables["category"].below(row.ids))
            return {**document, "CategoryCount": count}
        if "Password" in document:
            return {name: value for name, value in document.items() if name != "Password"}
        return document

    def _product(self, row: Row, document: Document) -> Document:
        """A product's stock is the sum of its records, where it has any (api-facts 7)."""
        inventory = document.get("Inventory")
        key = key_of(row.ids)
        tracked = inventory and inventory.get("VariantLevelTracking")
        if tracked:
            records = [
                r for v in self.tables["variant"].below(key)
                for r in self.tables["variant-inventory"].below(key_of(v.ids))
            ]  # fmt: skip
        else:
            records = list(self.tables["inventory"].below(key))
        document = {**document, "VariantCount": len(self.tables["variant"].groups.get(key, ()))}
        if inventory is not None and records:
            total = sum(record.document.get("QuantityAvailable") or 0 for record in records)
            document["Inventory"] = {**inventory, "QuantityAvailable": total}
        return document
