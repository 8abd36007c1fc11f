"""The marketplace in memory: a table for each kind, keyed by IDs in lower case."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.options import EmulatorOptions
from ocsync.schema import Kind

Document = dict[str, Any]
Key = tuple[str, ...]


def key_of(ids: Iterable[str]) -> Key:
    """Return *ids* as a key."""
    return tuple(one.casefold() for one in ids)


def timestamp() -> str:
    """Return the current time in the platform's format."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Row:
    """An entity or assignment: its IDs as they were written, and its document.

    *previous* is the document that a stale read shows until *visible_at*, None for a new row. A row
    that is not *indexed* is missing from lists. Writes cannot refer to it before *known_at*.
    """

    ids: tuple[str, ...]
    document: Document
    previous: Document | None = None
    visible_at: float = 0.0
    indexed: bool = True
    known_at: float = 0.0

    def read(self, *, stale: bool) -> Document | None:
        """Return the document; a *stale* read returns the previous one until `visible_at`."""
        if stale and self.visible_at and time.monotonic() < self.visible_at:
            return self.previous
        return self.document

    @property
    def is_known(self) -> bool:
        """True when writes of other objects can refer to it."""
        return not self.known_at or time.monotonic() >= self.known_at


@dataclass(slots=True)
class Table:
    """The rows of one kind.

    *indexes* has, for each position in the IDs that is searched by, the keys by value: an entity's
    parents, and every ID of an assignment. *stale_deletes* are deleted rows that stale reads still
    show.
    """

    kind: Kind
    rows: dict[Key, Row] = field(default_factory=dict)
    stale_deletes: dict[Key, Row] = field(default_factory=dict)
    indexes: list[dict[str, dict[Key, None]]] = field(default_factory=list)
    sorted_ids: dict[Key, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = len(self.kind.ids) - (not self.kind.assignment)
        self.indexes = [{} for _ in range(places)]

    def put(self, row: Row) -> None:
        """Add or replace *row*."""
        key = key_of(row.ids)
        if key not in self.rows:
            for index, value in zip(self.indexes, key, strict=False):
                index.setdefault(value, {})[key] = None
            self.sorted_ids.pop(key[:-1], None)
        self.rows[key] = row

    def get(self, ids: Iterable[str]) -> Row | None:
        """Return the row with *ids*."""
        return self.rows.get(key_of(ids))

    def pop(self, key: Key) -> Row | None:
        """Remove and return the row at *key*."""
        row = self.rows.pop(key, None)
        if row:
            for index, value in zip(self.indexes, key, strict=False):
                index[value].pop(key)
            self.sorted_ids.pop(key[:-1], None)
        return row

    def keys_with(self, values: Mapping[int, str]) -> list[Key]:
        """Return the keys that have these values (case folded) at these positions."""
        sets = [self.indexes[place].get(value, {}) for place, value in values.items()
                if place < len(self.indexes)]  # fmt: skip
        keys = min(sets, key=len) if sets else self.rows
        return [key for key in keys if all(key[place] == v for place, v in values.items())]

    def rows_under(self, parents: Iterable[str]) -> list[Row]:
        """Return the rows whose first IDs are *parents*."""
        values = dict(enumerate(key_of(parents)))
        return (
            [self.rows[key] for key in self.keys_with(values)] if values else [*self.rows.values()]
        )

    def rows_after(self, parents: Iterable[str], last: str) -> list[Row]:
        """Return the rows under *parents* (all but the last ID) that sort after *last*, sorted."""
        prefix = key_of(parents)
        sorted_ids = self.sorted_ids.get(prefix)
        if sorted_ids is None:
            sorted_ids = self.sorted_ids[prefix] = sorted(
                key_of(row.ids)[-1] for row in self.rows_under(prefix)
            )
        return [
            self.rows[*prefix, row_id]
            for row_id in sorted_ids[bisect_right(sorted_ids, last.casefold()) :]
        ]


class Client(NamedTuple):
    """An API client: its secret, its roles, and the user it acts as unless one signs in."""

    secret: str
    roles: tuple[str, ...]
    user: str = ""


class Marketplace:
    """All tables, the sync and delivery configurations, and the clients that may sign in."""

    def __init__(self, options: EmulatorOptions | None = None) -> None:
        self.options = options or EmulatorOptions()
        self.id = "emulator"
        self.name = "Emulated marketplace"
        self.tables = {name: Table(kind) for name, kind in ALL_KINDS.items()}
        self.sync_configs: dict[str, Document] = {}
        self.delivery_configs: dict[str, Document] = {}
        self.clients = {"emulator": Client("emulator", ("FullAccess",))}
        self.usernames: dict[str, tuple[Kind, Key]] = {}
        self.sold: Counter[str] = Counter()
        self._index_types: dict[str, type] = {}

    def find_row(self, kind: Kind, ids: Mapping[str, str]) -> Row | None:
        """Return the row of *kind* with *ids* by name; an optional ID may be missing."""
        return self.tables[kind.name].get(ids.get(name, "") for name in kind.ids)

    def put_row(self, kind: Kind, row: Row) -> None:
        """Add or replace a row, and register its user name if it has one."""
        if "Username" in kind.fields:
            self.remove_row(kind, key_of(row.ids))
            name = str(row.document["Username"]).casefold()
            self.usernames[name] = (kind, key_of(row.ids))
        if kind.eventually_consistent:
            row.indexed = self._fits_index(row.document.get("xp") or {})
        self.tables[kind.name].put(row)

    def _fits_index(self, xp: Document) -> bool:
        """Return whether each xp value has the type that the index first saw under its name."""
        types = {n: float if type(v) is int else type(v) for n, v in xp.items() if v is not None}
        indexed_types = {
            name: self._index_types.setdefault(name, kind) for name, kind in types.items()
        }
        return indexed_types == types

    def remove_row(self, kind: Kind, key: Key) -> Row | None:
        """Remove and return a row, and release its user name if it has one."""
        row = self.tables[kind.name].pop(key)
        if row and "Username" in kind.fields:
            self.usernames.pop(str(row.document["Username"]).casefold(), None)
        return row

    def find_user(self, name: str) -> tuple[Kind, Row] | None:
        """Return the user with this user name, and its kind."""
        kind, key = self.usernames.get(name.casefold(), (None, ()))
        return (kind, self.tables[kind.name].rows[key]) if kind else None

    def links(self, name: str, **ids: str) -> Iterator[Row]:
        """Return the rows of an assignment kind that have these IDs."""
        table = self.tables[name]
        values = {table.kind.ids.index(i): value.casefold() for i, value in ids.items()}
        return (table.rows[key] for key in table.keys_with(values))
