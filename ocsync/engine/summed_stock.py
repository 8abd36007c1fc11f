"""Stock that is a sum: of the inventory records of an entity, or over its variants.

A write of it is accepted and never shown (guide/ordercloud.md 7), so none is sent.
"""

from __future__ import annotations

from ocsync.diff import Document
from ocsync.engine.session import Session
from ocsync.errors import NotFound
from ocsync.field_paths import MISSING, nest, value_at
from ocsync.models import Change, Op, Ref
from ocsync.plurals import count
from ocsync.schema import KINDS, SUMMED_QUANTITY, VARIANT_TRACKING, ids_of, kind_of


def ends_tracking(change: Change) -> bool:
    """Return whether the stock of a product is not the sum over its variants after *change*."""
    tracks = value_at(nest(change.fields), VARIANT_TRACKING)
    return change.op is Op.PUT if tracks is MISSING else not tracks


async def sum_text(session: Session, ref: Ref, document: Document | None) -> str:
    """Return the words that call the stock of *ref* a sum, with *document* there; empty for none.

    Raises ApiError when its records cannot be listed.
    """
    if not kind_of(ref).quantity_summed_by:
        return ""
    if value_at(document, VARIANT_TRACKING) is True:
        return f"{SUMMED_QUANTITY} is the sum over its variants"
    records = await count_records(session, ref)
    text = f"{SUMMED_QUANTITY} is the sum of its {count(records, 'inventory record')}"
    return text if records else ""


async def count_records(session: Session, ref: Ref) -> int:
    """Return the number of inventory records whose sum is the stock of *ref*. Raises ApiError."""
    records = KINDS[kind_of(ref).quantity_summed_by]
    try:
        path = records.collection.format_map(ids_of(ref))
        return (await session.api.page(path, {"pageSize": "1"})).total_items
    except NotFound:
        return 0
