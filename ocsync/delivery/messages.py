"""Messages: their signature, and which entity each is about. Pure.

Sources: api-facts 4.3 to 4.5. IDs are compared without regard to case.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

from ocsync.models import Delivery, Ref
from ocsync.resources import TARGETS, Target, ids_of, kind_of

Key = tuple[str | None, ...]
"""An entity's IDs, case folded, in the order of its target's sync request; None: not told."""

_NAMED: dict[str, tuple[str, ...]] = {
    "products": ("ProductID",),
    "catalogs": ("ID",),
    "categories": ("CatalogID", "ID"),
    "inventory": ("ProductID", "ID"),
    "buyers": ("ID",),
    "usergroups": ("BuyerID", "ID"),
    "buyer-users": ("CompanyID", "ID"),
    "suppliers": ("ID",),
    "supplier-users": ("CompanyID", "ID"),
    "admin-users": ("ID",),
}
"""The payload's names for the IDs of a target's entity; parents may be missing (api-facts 4.4)."""
_BY_NAMESPACE = {target.updated: target for target in TARGETS.values()}


class Told(NamedTuple):
    """The entity that an *updated* message is about, and its document."""

    target: str
    key: Key
    document: Mapping[str, Any]


def sign(secret: str, body: bytes) -> str:
    """The `X-oc-hash` of a request's raw *body*: HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def is_signed(secret: str, body: bytes, header: str) -> bool:
    """Whether *header* is the signature of *body*; takes the same time either way."""
    return hmac.compare_digest(sign(secret, body).encode(), header.strip().encode())


def told_by(message: Delivery) -> Told | None:
    """What an *updated* message is about; None for any other."""
    target = _BY_NAMESPACE.get(message.namespace)
    if target is None:
        return None
    low = {name.casefold(): value for name, value in message.payload.items()}
    found = [low.get(name.casefold()) for name in _NAMED[target.name]]
    key = tuple(one.casefold() if isinstance(one, str) and one else None for one in found)
    if key[-1] is None:
        return None
    records = message.payload.get("InventoryRecords")
    one = records[0] if isinstance(records, list) and len(records) == 1 else message.payload
    return Told(target.name, key, one if isinstance(one, dict) else {})


def expected_of(ref: Ref) -> list[tuple[Target, Key]]:
    """The entities whose messages a write of *ref* brings about, by target."""
    ids = ids_of(ref)
    found: list[tuple[Target, Key]] = []
    for name in kind_of(ref).direct:
        target = TARGETS[name]
        found.append((target, tuple(ids[one].casefold() for one in target.sync_ids)))
    return found


def same_entity(key: Key, told: Key) -> bool:
    """Whether a message that told *told* can be about *key*."""
    return all(other in (None, one) for one, other in zip(key, told, strict=True))
