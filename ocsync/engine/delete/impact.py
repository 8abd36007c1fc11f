"""Before a delete: what goes, what goes along, what is refused, what stays. Nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ocsync.client import Identity, read_current, ref_of
from ocsync.engine.delete.dependents import Dependents, Document, read_dependents
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

    *refuses* is why the platform will refuse the delete; empty where what happens to the name is
    not documented.
    """

    kind: str
    refuses: str
    number: int
    refs: tuple[Ref, ...]


class DeleteRow(NamedTuple):
    """One ref that is to go. *document* is None when it is not there.

    *gone_by* is the run of ours that deleted it already. *remaining* are what once came with it and
    will not go with it.
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
        return [held for held in self.referrers if held.refuses]


class DeleteImpact(NamedTuple):
    """The consequences of a delete. *affected* and *naming* are about staged entries.

    *counted* is false when what goes along was not read.
    """

    rows: list[DeleteRow]
    notified: list[TargetNotification]
    affected: AffectedEntries
    naming: list[Entry]
    counted: bool

    @property
    def there(self) -> list[DeleteRow]:
        """The rows of what is there."""
        return [row for row in self.rows if row.document is not None]

    @property
    def number(self) -> int:
        """The number of entities to be deleted, each counted once as far as it is known by name."""
        known = {ref_key(row.ref) for row in self.there}
        more = 0
        for row in self.there:
            known |= {ref_key(ref) for ref in row.dependents.documents}
            more += sum(row.dependents.counts.values()) - len(row.dependents.documents)
        return len(known) + more


async def delete_impact(
    session: Session, identity: Identity, refs: Sequence[Ref], *, counting: bool, workers: int
) -> DeleteImpact:
    """Return the consequences of deleting *refs*; with *counting* false only the refs are read.

    Raises Conflict when a run that is not finished still writes one of them, Refused when one is
    the user that is signed in, ApiError when one may not be read.
    """
    _refuse_running(session, refs)
    _refuse_own_user(identity, refs)
    current: dict[Ref, Document | None] = {}
    async for ref, found in read_current(session.api, refs):
        if isinstance(found, OcsyncError):
            raise found
        current[ref] = found
    known = {name: one.run for name, one in session.folder.tombstones.read().items()}
    rows = {
        ref: DeleteRow(ref, current[ref], Dependents({}, {}, [], []), known.get(ref_key(ref), ""))
        for ref in refs
    }
    there = [ref for ref in refs if current[ref] is not None]
    wanted = {ref_key(ref) for ref in refs}

    done = 0

    async def look(ref: Ref) -> None:
        nonlocal done
        rows[ref] = await _look(session, rows[ref], wanted)
        done += 1
        session.emit(Reading(done, len(there)))

    if counting:
        await run_all(there, look, workers=min(workers, len(there)), stop=session.stop)
        if session.stop.is_set():
            raise Interrupted("stopped; nothing was deleted")
    session.emit(ReadDone(len(refs), 0))
    gone = {ref_key(ref) for row in rows.values() for ref in (row.ref, *row.dependents.subtree)}
    entries = session.folder.journal.entries()
    fallen = split_by_deletion(entries, gone)
    naming = [e for e in entries if mentions_any(e, gone) and not depends_on_any(e.ref, gone)]
    kinds = {kind_of(ref).name for ref in there}
    kinds |= {name for row in rows.values() for name in row.dependents.counts}
    heard = await notified_targets(session, [KINDS[name] for name in kinds])
    return DeleteImpact(list(rows.values()), heard, fallen, naming, counting)


async def _look(session: Session, row: DeleteRow, wanted: Collection[str]) -> DeleteRow:
    along = await read_dependents(session.api, row.ref, row.document or {})
    held = [
        await _held(session, row.ref, named, wanted, along)
        for named in kind_of(row.ref).referenced_by
    ]
    stays = []
    made = [ref for ref in _brought(row.ref) if not depends_on_any(ref, wanted)]
    async for ref, found in read_current(session.api, made):
        if isinstance(found, dict):
            stays.append(ref)
    return row._replace(
        dependents=along,
        referrers=tuple(one for one in held if one.number),
        remaining=tuple(sorted(stays)),
    )


def _brought(ref: Ref) -> Iterator[Ref]:
    """Yield what the creation of a ref brought into being and does not depend on it: a buyer's
    catalog.
    """
    ids = ids_of(ref)
    for made in kind_of(ref).creates:
        other = "/".join([made.kind, *(ids[name] for name in made.ids)])
        if not depends_on_any(other, {ref_key(ref)}):
            yield other


async def _held(
    session: Session, ref: Ref, named: ReferencedBy, wanted: Collection[str], along: Dependents
) -> Referrer:
    """Return the entities that name *ref* in a field and are not to be deleted themselves."""
    query = {named.query: ref.rpartition("/")[2], "pageSize": "100"}
    try:
        page = await session.api.page(named.path, query)
        left: list[Ref] = []
        released = 0
        for item in page.items:
            holders = await _holders(session, named, item, ref, wanted)
            staying = [one for one in holders if not _goes(one, wanted)]
            released += not staying
            left += staying
    except ApiError:
        along.unread.append(named.kind)
        return Referrer(named.kind, "", 0, ())
    return Referrer(named.kind, named.delete_refusal, page.total_items - released, tuple(left))


def _goes(ref: Ref, wanted: Collection[str]) -> bool:
    return ref.partition("/")[0] in KINDS and depends_on_any(ref, wanted)


async def _holders(
    session: Session, named: ReferencedBy, item: Document, ref: Ref, wanted: Collection[str]
) -> list[Ref]:
    """Return the refs that an item of the list *named* stands for: itself, or those below it."""
    if named.kind not in KINDS:
        return [f"{named.kind}/{item.get(named.item_id)}"]
    holder = ref_of(KINDS[named.kind], {}, item)
    inner = KINDS.get(named.nested_kind)
    prefix = holder.casefold().replace(named.kind, named.nested_kind, 1)
    if inner is None or all(name.rpartition("/")[0] != prefix for name in wanted):
        return [holder]
    [field] = [r.ids[0] for r in inner.references if r.kind == kind_of(ref).name]
    path = inner.collection.format_map(ids_of(holder))
    query = {field: ref.rpartition("/")[2]}
    pages = session.api.pages(path, query, key="ID")
    found = [ref_of(inner, ids_of(holder), one) async for page in pages for one in page]
    return found or [holder]


def _refuse_running(session: Session, refs: Sequence[Ref]) -> None:
    run = session.folder.runs.find_unfinished()
    if run is None:
        return
    wanted = {ref_key(ref) for ref in refs}
    with run:
        touched = {entry.ref for entry in run.entries() if depends_on_any(entry.ref, wanted)}
    if touched:
        raise Conflict(
            f"run {run.id} is not finished and still writes {min(touched)}",
            hint="ocsync resume, then delete",
        )


def _refuse_own_user(identity: Identity, refs: Iterable[Ref]) -> None:
    """Refuse to delete the user who is signed in, as no other command could undo that."""
    own = {f"{identity.user_type}-user/{identity.user_id}".casefold()}
    for ref in refs:
        if (
            identity.user_id
            and kind_of(ref).name == f"{identity.user_type}-user"
            and depends_on_any(ref, own)
        ):
            raise Refused(f"{ref} is the user that you are signed in as", hint="sign in as another")
