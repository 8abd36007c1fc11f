"""The impact of a delete: deleted entities, dependents, refusals, remains. Read-only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ocsync.client import Identity, read_current, ref_of
from ocsync.engine.delete.dependents import (
    Dependents,
    Document,
    read_dependents,
    uncounted_dependents,
)
from ocsync.engine.delete.notified_targets import TargetNotification, notified_targets
from ocsync.engine.session import Session
from ocsync.engine.worker_pool import run_all
from ocsync.errors import ApiError, Conflict, Interrupted, OcsyncError, Refused
from ocsync.events import ReadDone, Reading
from ocsync.models import Entry, Ref
from ocsync.schema import KINDS, ReferencedBy, ids_of, kind_of, ref_key
from ocsync.tombstones import AffectedEntries, depends_on_any, mentions_any, split_by_deletion


class Referrer(NamedTuple):
    """The entities that name a ref in one of their fields: *number* of *kind*, such as *refs*.

    *refuses* is the reason for which the platform will refuse the delete; empty where its behaviour
    is not documented.
    """

    kind: str
    refuses: str
    number: int
    refs: tuple[Ref, ...]


class DeleteRow(NamedTuple):
    """One ref to delete. *document* is None when it does not exist.

    *gone_by* is the run of this workspace that deleted it before. *remaining* are entities that
    were created with it and will not be deleted with it.
    """

    ref: Ref
    document: Document | None
    dependents: Dependents
    gone_by: str = ""
    referrers: tuple[Referrer, ...] = ()
    remaining: tuple[Ref, ...] = ()

    @property
    def refused(self) -> list[Referrer]:
        """The referrers for which the platform will refuse the delete."""
        return [referrer for referrer in self.referrers if referrer.refuses]


class DeleteImpact(NamedTuple):
    """The consequences of a delete.

    *affected* are staged entries of the deleted refs, *referring* those that name one of them.
    *counted* is false when the dependents were not read.
    """

    rows: list[DeleteRow]
    notified: list[TargetNotification]
    affected: AffectedEntries
    referring: list[Entry]
    counted: bool

    @property
    def existing(self) -> list[DeleteRow]:
        """The rows of the entities that exist."""
        return [row for row in self.rows if row.document is not None]

    @property
    def number(self) -> int:
        """The number of entities to be deleted; those with a known ref count once."""
        known = {ref_key(row.ref) for row in self.existing}
        more = 0
        for row in self.existing:
            known |= {ref_key(ref) for ref in row.dependents.documents}
            more += sum(row.dependents.counts.values()) - len(row.dependents.documents)
        return len(known) + more


async def delete_impact(
    session: Session, identity: Identity, refs: Sequence[Ref], *, counting: bool, workers: int
) -> DeleteImpact:
    """Return the consequences of deleting *refs*; with *counting* false only the refs are read.

    Raises Conflict when an unfinished run still writes one of them, Refused when one is the user
    that is signed in, ApiError when one may not be read.
    """
    _refuse_running(session, refs)
    _refuse_own_user(identity, refs)
    current: dict[Ref, Document | None] = {}
    async for ref, document in read_current(session.api, refs):
        if isinstance(document, OcsyncError):
            raise document
        current[ref] = document
    deleting_runs = {
        name: tombstone.run for name, tombstone in session.folder.tombstones.read().items()
    }
    rows = {
        ref: DeleteRow(
            ref,
            current[ref],
            Dependents({}, {}, [], {}) if counting else uncounted_dependents(ref),
            deleting_runs.get(ref_key(ref), ""),
        )
        for ref in refs
    }
    existing = [ref for ref in refs if current[ref] is not None]
    deleted_keys = {ref_key(ref) for ref in refs}

    done = 0

    async def read_row(ref: Ref) -> None:
        nonlocal done
        rows[ref] = await _read_row(session, rows[ref], deleted_keys)
        done += 1
        session.emit(Reading(done, len(existing)))

    if counting:
        await run_all(existing, read_row, workers=min(workers, len(existing)), stop=session.stop)
        if session.stop.is_set():
            raise Interrupted("interrupted; nothing was deleted")
    session.emit(ReadDone(len(refs), 0))
    gone_keys = {
        ref_key(ref) for row in rows.values() for ref in (row.ref, *row.dependents.subtree)
    }
    entries = session.folder.journal.entries()
    affected = split_by_deletion(entries, gone_keys)
    referring = [
        e for e in entries if mentions_any(e, gone_keys) and not depends_on_any(e.ref, gone_keys)
    ]
    kinds = {kind_of(ref).name for ref in existing}
    kinds |= {name for row in rows.values() for name in row.dependents.counts}
    notified = await notified_targets(session, [KINDS[name] for name in kinds])
    return DeleteImpact(list(rows.values()), notified, affected, referring, counting)


async def _read_row(session: Session, row: DeleteRow, deleted_keys: Collection[str]) -> DeleteRow:
    dependents = await read_dependents(session.api, row.ref, row.document or {})
    referrers = [
        await _referrers(session, row.ref, reference, deleted_keys, dependents)
        for reference in kind_of(row.ref).referenced_by
    ]
    remaining = []
    created_refs = [
        ref for ref in _created_beside(row.ref) if not depends_on_any(ref, deleted_keys)
    ]
    async for ref, document in read_current(session.api, created_refs):
        if isinstance(document, dict):
            remaining.append(ref)
    return row._replace(
        dependents=dependents,
        referrers=tuple(referrer for referrer in referrers if referrer.number),
        remaining=tuple(sorted(remaining)),
    )


def _created_beside(ref: Ref) -> Iterator[Ref]:
    """Yield the refs that were created with *ref* and do not depend on it, such as a buyer's
    catalog.
    """
    ids = ids_of(ref)
    for creation in kind_of(ref).creates:
        created_ref = "/".join([creation.kind, *(ids[name] for name in creation.ids)])
        if not depends_on_any(created_ref, {ref_key(ref)}):
            yield created_ref


async def _referrers(
    session: Session,
    ref: Ref,
    reference: ReferencedBy,
    deleted_keys: Collection[str],
    dependents: Dependents,
) -> Referrer:
    """Return the entities that name *ref* in a field and are not to be deleted themselves."""
    query = {reference.query: ref.rpartition("/")[2], "pageSize": "100"}
    try:
        page = await session.api.page(reference.path, query)
        refs: list[Ref] = []
        released = 0
        for item in page.items:
            holders = await _holders(session, reference, item, ref, deleted_keys)
            staying = [holder for holder in holders if not _is_deleted(holder, deleted_keys)]
            released += not staying
            refs += staying
    except ApiError as error:
        dependents.unread[reference.kind] = error.message
        return Referrer(reference.kind, "", 0, ())
    return Referrer(
        reference.kind, reference.delete_refusal, page.total_items - released, tuple(refs)
    )


def _is_deleted(ref: Ref, deleted_keys: Collection[str]) -> bool:
    return ref.partition("/")[0] in KINDS and depends_on_any(ref, deleted_keys)


async def _holders(
    session: Session,
    reference: ReferencedBy,
    item: Document,
    ref: Ref,
    deleted_keys: Collection[str],
) -> list[Ref]:
    """Return the refs for an item of the list of *reference*: the item, or entities below it."""
    if reference.kind not in KINDS:
        return [f"{reference.kind}/{item.get(reference.item_id)}"]
    holder = ref_of(KINDS[reference.kind], {}, item)
    nested_kind = KINDS.get(reference.nested_kind)
    prefix = holder.casefold().replace(reference.kind, reference.nested_kind, 1)
    if nested_kind is None or all(name.rpartition("/")[0] != prefix for name in deleted_keys):
        return [holder]
    [field] = [r.ids[0] for r in nested_kind.references if r.kind == kind_of(ref).name]
    path = nested_kind.collection.format_map(ids_of(holder))
    query = {field: ref.rpartition("/")[2]}
    pages = session.api.pages(path, query, key="ID")
    nested = [ref_of(nested_kind, ids_of(holder), row) async for page in pages for row in page]
    return nested or [holder]


def _refuse_running(session: Session, refs: Sequence[Ref]) -> None:
    run = session.folder.runs.find_unfinished()
    if run is None:
        return
    deleted_keys = {ref_key(ref) for ref in refs}
    with run:
        written = {entry.ref for entry in run.entries() if depends_on_any(entry.ref, deleted_keys)}
    if written:
        raise Conflict(
            f"unfinished run {run.id} edits {min(written)}",
            hint="ocsync resume, then the same ocsync delete",
        )


def _refuse_own_user(identity: Identity, refs: Iterable[Ref]) -> None:
    """Refuse to delete the user who is signed in, which no other command could undo."""
    own_keys = {f"{identity.user_type}-user/{identity.user_id}".casefold()}
    for ref in refs:
        if (
            identity.user_id
            and kind_of(ref).name == f"{identity.user_type}-user"
            and depends_on_any(ref, own_keys)
        ):
            raise Refused(
                f"{ref} is the user you are signed in as",
                hint="sign in as another user",
            )
