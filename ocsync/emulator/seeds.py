"""Seeds: a marketplace as a JSON or TOML document, to begin with or as saved state.

    {"marketplace": "acme", "name": "Acme",
     "clients": [{"ID": "ci", "Secret": "...", "Roles": ["ProductAdmin"], "User": "robot"}],
     "deliveries": [{"ID": "d", "Name": "d", "Enabled": true, "DeliveryTargets": {"Http": {...}}}],
     "targets": "all" or ["inventory", ...] or {"inventory": {"DeliveryConfigID": "d", ...}},
     "paused": ["products"],
     "held": {"products": [["product", "p1"]]},
     "product": [{"ID": "P1", "Name": "..."}, ...],
     "inventory": [{"ProductID": "P1", "ID": "R1", "AddressID": "wh-1", "QuantityAvailable": 5}],
     "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B", ...}]}

Every key is optional. Keys of data are the kinds' names; parents' IDs have their own names. A
target without a configuration of its own delivers to the emulator's log. *User* is the name of the
user that a client acts as; users may have a `Password`. *held* are updates that are published when
the target is unpaused. Loading publishes nothing and checks nothing beyond IDs and names.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from ocsync.emulator.documents import (
    blank_document,
    empty_section,
    fields_by_model,
    start_counting,
)
from ocsync.emulator.kinds import ALL_KINDS, ORDER_SYNC
from ocsync.emulator.publisher import Publisher
from ocsync.emulator.state import Client, Document, Marketplace, Row
from ocsync.errors import ConfigError, FileMissing, InputError
from ocsync.schema import TARGETS, Kind

LOG_CONFIG_ID = "emulator-log"
_SETTINGS = {"marketplace", "name", "targets", "paused", "clients", "deliveries", "held"}


def read_seed(path: Path) -> dict[str, Any]:
    """Return the seed in *path*. Raises FileMissing, and InputError unless it is JSON or TOML."""
    try:
        text = path.read_bytes()
        if path.suffix == ".toml":
            return tomllib.loads(text.decode())
        return msgspec.json.decode(text, type=dict[str, Any])
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"{path}: not a seed: {error}") from error


def load_seed(
    market: Marketplace, seed: dict[str, Any], publisher: Publisher | None = None
) -> None:
    """Add *seed* to *market*. Raises InputError for keys or values that a seed cannot have."""
    unknown = seed.keys() - ALL_KINDS.keys() - _SETTINGS
    if unknown:
        raise InputError(f"a seed cannot have {', '.join(sorted(unknown))}")
    market.id = seed.get("marketplace", market.id)
    market.name = seed.get("name", market.name)
    try:
        for client in seed.get("clients", ()):
            user = client.get("User", "")
            market.clients[client["ID"]] = Client(client["Secret"], tuple(client["Roles"]), user)
        for delivery in seed.get("deliveries", ()):
            market.delivery_configs[delivery["ID"].casefold()] = {"Enabled": True, **delivery}
        _set_targets(market, seed.get("targets", ()), set(seed.get("paused", ())))
        for name, kind in ALL_KINDS.items():
            for given in seed.get(name, ()):
                market.put_row(kind, _row(market, kind, given))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"this seed cannot be read: {type(error).__name__} {error}") from error
    for name, entries in seed.get("held", {}).items() if publisher else ():
        publisher.held[name] = {(kind, tuple(key)): None for kind, *key in entries}  # type: ignore[union-attr]


def _set_targets(market: Marketplace, given: Any, paused: set[str]) -> None:
    names = TARGETS if given == "all" else given
    for name in names:
        target = ORDER_SYNC if name == ORDER_SYNC.name else TARGETS[name]
        flags = dict.fromkeys(target.flags, True)
        if target.flags:
            flags["Paused"] = name in paused
        config = given[name] if isinstance(given, dict) else {}
        market.sync_configs[name] = {"DeliveryConfigID": LOG_CONFIG_ID, **flags, **config}
        if market.sync_configs[name]["DeliveryConfigID"] == LOG_CONFIG_ID:
            # logs only; leaves HTTP and Kafka free for a listener in the same configuration
            hub = {"EventHub": {"EventHubName": "log", "ConnectionString": "none"}}
            log = {"ID": LOG_CONFIG_ID, "Name": "the emulator's log", "Enabled": True}
            market.delivery_configs.setdefault(LOG_CONFIG_ID, {**log, "DeliveryTargets": hub})


def _row(market: Marketplace, kind: Kind, given: Document) -> Row:
    id_name = kind.ids[-1]
    names = given if kind.assignment else {id_name: given.get("ID", ""), **given}
    ids = tuple(str(names.get(name) or "") for name in kind.ids)
    document = fill_document(market, kind, given)
    if kind.assignment:
        id_fields = {
            n: v or None for n, v in zip(kind.ids, ids, strict=True) if "{" + n not in kind.path
        }
        return Row(ids, {**id_fields, **document})
    return Row(ids, {"ID": ids[-1], **document})


def fill_document(market: Marketplace, kind: Kind, given: Document) -> Document:
    """Return a document of *kind* with the values *given*, also those that no request can set."""
    document = blank_document(kind)
    if "OwnerID" in document:
        document["OwnerID"] = market.id
    models = fields_by_model(kind)
    for name, value in given.items():
        if name in models[""]:
            document[name] = value
        elif name in models and isinstance(value, dict):
            document[name] = empty_section(models[name]) | value
    start_counting(document)
    return document


def dump_seed(market: Marketplace, publisher: Publisher) -> dict[str, Any]:
    """Return the marketplace as a seed; `load_seed` of it gives an equal marketplace."""
    seed: dict[str, Any] = {
        "marketplace": market.id,
        "name": market.name,
        "clients": [
            {"ID": name, "Secret": client.secret, "Roles": client.roles, "User": client.user}
            for name, client in market.clients.items()
        ],
        "deliveries": [*market.delivery_configs.values()],
        "targets": market.sync_configs,
        "held": {
            name: [[kind, *key] for kind, key in held] for name, held in publisher.held.items()
        },
    }
    for name, table in market.tables.items():
        ids = table.kind.ids if table.kind.assignment else table.kind.ids[:-1]
        if table.rows:
            seed[name] = [
                {**dict(zip(ids, row.ids, strict=False)), **row.document}
                for row in table.rows.values()
            ]
    return seed


def write_state(path: Path, seed: dict[str, Any]) -> None:
    """Write *seed* to *path* atomically, readable by its owner only because it contains secrets.

    Raises ConfigError when that fails.
    """
    beside = path.with_name(path.name + ".new")
    data = msgspec.json.encode(seed)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        handle = os.open(beside, flags, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot write the state: {error.strerror}") from error
