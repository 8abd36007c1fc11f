"""The export: read each kind into the spool, then write the file from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ocsync.client import read_current
from ocsync.diff import writable_fields
from ocsync.engine.export.listing import Row, read_source
from ocsync.engine.export.selection import ExportRequest, source_of
from ocsync.engine.export.spool import Spool
from ocsync.engine.session import Session, sign_in
from ocsync.errors import UsageError
from ocsync.events import NoticeLevel, Reading
from ocsync.field_paths import flatten
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.plurals import count, first_few
from ocsync.schema import Kind, field_at, kind_of


class ExportedKind(NamedTuple):
    """The result of reading a kind: its rows, and the refs that were asked for and do not exist.

    *total* is what the list stated at first, 0 where entities were read by ID.
    """

    kind: Kind
    rows: int
    total: int
    missing: tuple[str, ...] = ()


async def read_all(
    session: Session, requests: Sequence[ExportRequest], spool: Spool
) -> list[ExportedKind]:
    """Read what *requests* ask for into *spool*, as far as it is not there. Raises OcsyncError."""
    await sign_in(session)
    exported = await read_kinds(session, requests, spool)
    if absent := await absent_places(session, requests, exported):
        kind = absent[0].partition("/")[0]
        raise UsageError(
            f"{absent[0]} does not exist, so there is nothing to export",
            hint=f"ocsync export {kind} - --fields Name",
        )
    notify_of_gaps(session, exported)
    for one, request in zip(exported, requests, strict=True):
        if one.kind.eventually_consistent and not request.refs:
            session.notify(
                NoticeLevel.WARNING,
                f"{one.kind.noun}: lists come from the search index, which may be outdated and "
                "omits entities whose xp it cannot index; --ids FILE reads them one by one",
            )
        if one.missing:
            session.notify(NoticeLevel.WARNING, f"does not exist: {first_few(one.missing)}")
    return exported


async def read_kinds(
    session: Session, requests: Sequence[ExportRequest], spool: Spool
) -> list[ExportedKind]:
    """Read what *requests* ask for into *spool*; the session is signed in. Raises OcsyncError."""
    sources = [source_of(request) for request in requests]
    exported = []
    for request, source in zip(requests, sources, strict=True):
        kind, progress = request.kind.name, spool.of(request.kind.name)
        before = progress.rows
        is_one_list = not (source.refs or source.products or source.parent_kind)
        if not progress.ended:
            async for batch in read_source(session, source, progress.position):
                room = request.limit - progress.rows if request.limit else len(batch.rows)
                spool.add(kind, batch._replace(rows=batch.rows[:room]))
                done = batch.done + before * is_one_list
                total = max(batch.total, done)
                session.emit(Reading(done, min(total, request.limit or total)))
                if request.limit and progress.rows >= request.limit:
                    break
            spool.end(kind)
        total = progress.total if is_one_list and not request.limit else 0
        exported.append(ExportedKind(request.kind, progress.rows, total, tuple(progress.missing)))
    return exported


async def absent_places(
    session: Session, requests: Sequence[ExportRequest], exported: Sequence[ExportedKind]
) -> list[Ref]:
    """Return the entities that narrow *requests* and do not exist, if nothing was *exported*.

    OrderCloud may answer with an empty list where one of them does not exist.
    """
    if any(one.rows or one.missing for one in exported):
        return []
    places = dict.fromkeys(place for request in requests for place in request.places)
    found = [pair async for pair in read_current(session.api, places)]
    return [ref for ref, document in found if document is None]


def notify_of_gaps(session: Session, exported: Sequence[ExportedKind]) -> None:
    """Warn of lists that had another number of rows than they stated."""
    for one in exported:
        if one.total and one.rows != one.total:
            session.notify(
                NoticeLevel.WARNING,
                f"{one.kind.noun}: read {count(one.rows, 'row')}, but the list stated "
                f"{one.total:,}; some were created or deleted in the meantime, or the list omits "
                "some",
            )


def entries_of(rows: Iterator[Row], fields: Sequence[str], *, expect: bool) -> Iterator[Entry]:
    """Yield the rows as entries that set every writable field to its value, and expect it.

    Without expected values nulls are left out, as an empty cell leaves its field unchanged, too.
    *fields*, where given, are the only ones.
    """
    wanted = frozenset(fields)
    for ref, document in rows:
        kind = kind_of(ref)
        values = {
            path: value
            for path, value in present_values(kind, document).items()
            if (not wanted or path in wanted) and (expect or value is not None)
        }
        op = Op.ASSIGN if kind.assignment else Op.SET
        yield Entry(op=op, ref=ref, fields=values, expect=values if expect else {})


def present_values(kind: Kind, document: Fields) -> Fields:
    """Return the writable fields of *document*, with null for those that it does not have."""
    return {**dict.fromkeys(columns_of(kind)), **writable_fields(kind, document)}


def columns_of(kind: Kind) -> list[str]:
    """Return the fields of *kind* that an edit of a row can set, without keys of xp."""
    return [
        path
        for path, field in kind.fields.items()
        if not (field.read_only or field.write_only or field.create_only) and path != "xp"
    ]


def read_only_values(kind: Kind, document: Fields) -> Fields:
    """Return the values of *document* that no edit of a row can set."""
    found: Fields = {}
    for path, value in flatten(document, kind.models).items():
        field = field_at(kind, path)
        if field and not field.write_only and (field.read_only or field.create_only):
            found[path] = value
    return found
