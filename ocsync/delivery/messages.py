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
from ocsync.schema import KINDS, TARGETS, Target, ids_of, kind_of, make_ref

Key = tuple[str | None, ...]
"""An entity's IDs, case folded, in the order of its target's payload names; None: not told."""

_NAMED: dict[str, dict[str, str]] = {
    "products": {"ProductID": "ProductID"},
    "catalogs": {"CatalogID": "ID"},
    "categories": {"CatalogID": "CatalogID", "CategoryID": "ID"},
    "inventory": {"ProductID": "ProductID", "VariantID": "VariantID", "InventoryRecordID": "ID"},
    "buyers": {"BuyerID": "ID"},
    "usergroups": {"BuyerID": "BuyerID", "UserGroupID": "ID"},
    "buyer-users": {"BuyerID": "CompanyID", "UserID": "ID"},
    "suppliers": {"SupplierID": "ID"},
    "supplier-users": {"SupplierID": "CompanyID", "UserID": "ID"},
    "admin-users": {"UserID": "ID"},
}
"""By ID name, the payload's name for it; parents' IDs may be missing there (api-facts 4.4)."""
_BY_NAMESPACE = {target.updated_namespace: target for target in TARGETS.values()}
_BY_NAMESPACE[TARGETS["inventory"].updated_namespace.replace(".updated", ".full.updated")] = (
    TARGETS["inventory"]
)


class MessageSubject(NamedTuple):
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


def subjects_of(message: Delivery) -> list[MessageSubject]:
    """What an *updated* message is about: one entity, or (after a full sync) all of a product."""
    target = _BY_NAMESPACE.get(message.namespace)
    if target is None:
        return []
    payload = {name.casefold(): value for name, value in message.payload.items()}
    records = payload.get("inventoryrecords")
    found = [one for one in records if isinstance(one, dict)] if isinstance(records, list) else []
    return [
        MessageSubject(target.name, key, document)
        for document in found or [message.payload]
        if (key := _key_in(target, {**payload, **_own_id(document)}))[-1] is not None
    ]


def _own_id(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": document["ID"]} if "ID" in document else {}


def _key_in(target: Target, payload: Mapping[str, Any]) -> Key:
    found = [payload.get(name.casefold()) for name in _NAMED[target.name].values()]
    return tuple(one.casefold() if isinstance(one, str) and one else None for one in found)


def key_of(target: Target, ref: Ref) -> Key:
    """The key of the entity *ref*, as messages of *target* tell it."""
    ids = ids_of(ref)
    return tuple(ids.get(name, "").casefold() for name in _NAMED[target.name])


def published_by(ref: Ref) -> list[tuple[Target, Ref]]:
    """The targets that publish when *ref* is written, each with the entity that it sends.

    A variant's inventory record is an entity of its own.
    """
    kind = kind_of(ref)
    found: list[tuple[Target, Ref]] = []
    for name in kind.direct_targets:
        entity = KINDS[TARGETS[name].entity_kind]
        own = not kind.assignment and kind.ids[-1] == entity.ids[-1]
        found.append((TARGETS[name], ref if own else make_ref(entity, ids_of(ref))))
    return found


def has_sync_request(ref: Ref) -> bool:
    """Whether *ref*, an entity, can be asked for: a variant's record cannot (api-facts 3.1)."""
    return any(target.entity_kind == kind_of(ref).name for target in TARGETS.values())


def same_entity(key: Key, told: Key) -> bool:
    """Whether a message that told *told* can be about *key*."""
    return all(other in (None, one) for one, other in zip(key, told, strict=True))
