"""Seeds: a marketplace as a JSON or TOML document.

    {"marketplace": "acme", "name": "Acme", "targets": ["inventory", ...] or "all",
     "clients": [{"ID": "ci", "Secret": "...", "Roles": ["ProductAdmin"]}],
     "paused": ["products"],
     "product": [{"ID": "P1", "Name": "..."}, ...],
     "inventory": [{"ProductID": "P1", "ID": "R1", "AddressID": "wh-1", "QuantityAvailable": 5}],
     "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B", ...}]}

Keys are the kinds' names; parents' IDs go by their names. Targets get a config that delivers to the
log. Nothing is published and nothing is checked beyond the IDs.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from ocsync.emulator.documents import blank, merged
from ocsync.emulator.state import Marketplace, Row, key_of
from ocsync.errors import FileMissing, InputError
from ocsync.resources import KINDS, TARGETS, Kind

DELIVERY = "emulator-log"


def read_seed(path: Path) -> dict[str, Any]:
    """The seed in *path*. Raises FileMissing, and InputError for what is neither JSON nor TOML."""
    try:
        text = path.read_bytes()
        if path.suffix == ".toml":
            return tomllib.loads(text.decode())
        return msgspec.json.decode(text, type=dict[str, Any])
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"{path}: not a seed: {error}") from error


def plant(market: Marketplace, seed: dict[str, Any]) -> None:
    """Add *seed* to *market*. Raises InputError for a key that is none."""
    unknown = seed.keys() - KINDS.keys() - {"marketplace", "name", "targets", "paused", "clients"}
    if unknown:
        raise InputError(f"a seed has no {', '.join(sorted(unknown))}")
    market.id = seed.get("marketplace", market.id)
    market.name = seed.get("name", market.name)
    for client in seed.get("clients", ()):
        market.clients[client["ID"]] = (client["Secret"], tuple(client["Roles"]))
    names = seed.get("targets", ())
    for name in TARGETS if names == "all" else names:
        _enable(market, name, paused=name in seed.get("paused", ()))
    for name, kind in KINDS.items():
        for given in seed.get(name, ()):
            market.tables[name].put(_row(kind, given))
            if "Username" in given:
                market.usernames[given["Username"].casefold()] = key_of(_ids(kind, given))


def _enable(market: Marketplace, name: str, *, paused: bool) -> None:
    target = TARGETS[name]
    http = {"Http": {"Endpoint": "http://127.0.0.1:9/none", "Secret": "none"}}
    log = {"ID": DELIVERY, "Name": "the emulator's log", "Enabled": True, "DeliveryTargets": http}
    market.deliveries.setdefault(DELIVERY, log)
    flags = dict.fromkeys(target.flags, True)
    market.configs[name] = {"DeliveryConfigID": DELIVERY, **flags, "Paused": paused}


def _ids(kind: Kind, given: dict[str, Any]) -> tuple[str, ...]:
    own = kind.ids[-1]
    names = {own: given.get("ID", ""), **given} if not kind.assignment else given
    return tuple(str(names.get(name) or "") for name in kind.ids)


def _row(kind: Kind, given: dict[str, Any]) -> Row:
    ids = _ids(kind, given)
    document = merged(kind, blank(kind), given, deep_xp=False)
    if kind.assignment:
        named = {n: v or None for n, v in zip(kind.ids, ids, strict=True)}
        return Row(
            ids, {**{n: v for n, v in named.items() if "{" + n + "}" not in kind.path}, **document}
        )
    return Row(ids, {"ID": ids[-1], **document})
