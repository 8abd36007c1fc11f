"""Signatures of messages, and the entity that each is about. Pure.

Sources: guide/ordercloud.md 4.3 to 4.5. IDs are compared without regard to case.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

from ocsync.models import Delivery, Ref
from ocsync.schema import KINDS, TARGETS, Target, ids_of, kind_of, make_ref

EntityKey = tuple[str | None, ...]
"""An entity's IDs, case folded, in the order of its target's payload names; None if not named."""

_PAYLOAD_IDS: dict[str, dict[str, str]] = {
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
"""The payload's name of each ID; the IDs of parents may be missing there
(guide/ordercloud.md 4.4).
"""
_BY_NAMESPACE = {target.updated_namespace: target for target in TARGETS.values()}
_BY_NAMESPACE[TARGETS["inventory"].updated_namespace.replace(".updated", ".full.updated")] = (
    TARGETS["inventory"]
)


class MessageSubject(NamedTuple):
    """The entity that an *updated* message is about, and its document."""

    target: str
    key: EntityKey
    document: Mapping[str, Any]


def sign(secret: str, body: bytes) -> str:
    """Return the `X-oc-hash` of a request's raw *body*: HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def is_signed(secret: str, body: bytes, header: str) -> bool:
    """Return whether *header* is the signature of *body*, in constant time."""
    return hmac.compare_digest(sign(secret, body).encode(), header.strip().encode())


def subjects_of(message: Delivery) -> list[MessageSubject]:
    """Return the subjects of an *updated* message: one, or after a full sync all of a product."""
    target = _BY_NAMESPACE.get(message.namespace)
    if target is None:
        return []
    payload = {name.casefold(): value for name, value in message.payload.items()}
    records = payload.get("inventoryrecords")
    rows = records if isinstance(records, list) else []
    documents = [row for row in rows if isinstance(row, dict)]
    return [
        MessageSubject(target.name, key, document)
        for document in documents or [message.payload]
        if (key := _key_in(target, {**payload, **_own_id(document)}))[-1] is not None
    ]


def _own_id(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": document["ID"]} if "ID" in document else {}


def _key_in(target: Target, payload: Mapping[str, Any]) -> EntityKey:
    values = [payload.get(name.casefold()) for name in _PAYLOAD_IDS[target.name].values()]
    return tuple(v.casefold() if isinstance(v, str) and v else None for v in values)


def key_of(target: Target, ref: Ref) -> EntityKey:
    """Return the key of the entity *ref* in messages of *target*."""
    ids = ids_of(ref)
    return tuple(ids.get(name, "").casefold() for name in _PAYLOAD_IDS[target.name])


def published_by(ref: Ref) -> list[tuple[Target, Ref]]:
    """Return the targets that publish when *ref* is written, each with the entity it sends.

    A variant's inventory record is an entity of its own.
    """
    kind = kind_of(ref)
    publications: list[tuple[Target, Ref]] = []
    for name in kind.direct_targets:
        entity = KINDS[TARGETS[name].entity_kind]
        own = not kind.assignment and kind.ids[-1] == entity.ids[-1]
        publications.append((TARGETS[name], ref if own else make_ref(entity, ids_of(ref))))
    return publications


def can_request_sync(ref: Ref) -> bool:
    """Return whether *ref* has a sync request: a variant's record has none
    (guide/ordercloud.md 3.1).
    """
    return any(target.entity_kind == kind_of(ref).name for target in TARGETS.values())


def same_entity(key: EntityKey, subject_key: EntityKey) -> bool:
    """Return whether a message about *subject_key* can be about *key*."""
    return all(other in (None, one) for one, other in zip(key, subject_key, strict=True))
