"""Entries that create an entity as a document shows it: a deleted one, or one elsewhere. Pure.

Users cannot be created, as their password is write-only, nor variants, which OrderCloud generates
from specs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ocsync.diff import Document, fields_to_put, writable_fields
from ocsync.models import Change, Entry, Op, Ref
from ocsync.plan import created_refs
from ocsync.schema import (
    SUMMED_QUANTITY,
    Kind,
    given_after_creation,
    ids_of,
    kind_of,
    ref_key,
)


class Creation(NamedTuple):
    """The *entries* that create an entity, and the refs that OrderCloud creates *beside* it."""

    entries: list[Entry]
    beside: list[Ref]


def creation_fault(kind: Kind) -> str:
    """Return the reason why no entry can create an entity of *kind*; "" where one can."""
    if kind.assignment or kind.allows_put:
        return ""
    has_secret = any(field.write_only for field in kind.fields.values())
    return "its password is write-only" if has_secret else "it is generated from specs"


def creation_of(
    ref: Ref, document: Document, *, summed: bool, replace: bool, exist: Collection[str] = ()
) -> Creation:
    """Return the creation of *ref* with the values of *document*, or with *replace* the put of them
    over the entity that exists.

    *summed* is whether its stock is the sum of records below it. *exist* are the keys of other
    refs that exist, or are created before it. A create fills an empty field in with a new entity,
    and is refused where that one exists; so it names that one, and the field is emptied afterwards.
    """
    kind = kind_of(ref)
    fields = fields_to_put(ref, writable_fields(kind, document, creating=True))
    if summed:
        fields.pop(SUMMED_QUANTITY, None)
    links = {} if replace else linked_fields(ref, document)
    for path, other in links.items():
        if ref_key(other) in exist:
            fields[path] = other.rpartition("/")[2]
    op = Op.ASSIGN if kind.assignment else Op.PUT
    later = given_after_creation(kind, fields)
    fields = {path: value for path, value in fields.items() if path not in later}
    entries = [Entry(op=op, ref=ref, fields=fields, replace=replace)]
    if later:
        entries.append(Entry(op=Op.SET, ref=ref, fields=later))
    if links:
        entries.append(Entry(op=Op.SET, ref=ref, fields=dict.fromkeys(links)))
    beside = created_refs(Change(op=Op.PUT, ref=ref, fields=fields)) if links else []
    return Creation(entries, beside)


def linked_fields(ref: Ref, document: Document) -> dict[str, Ref]:
    """Return the entities that a put of *document* would create and name: field -> ref."""
    kind, ids = kind_of(ref), ids_of(ref)
    kind_names = {reference.ids[-1]: reference.kind for reference in kind.references}
    return {
        made.unless_field: "/".join([made.kind, *(ids[name] for name in made.ids)])
        for made in kind.creates
        if made.kind == kind_names.get(made.unless_field) and not document.get(made.unless_field)
    }
