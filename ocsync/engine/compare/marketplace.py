"""One side of a comparison: the rows of a marketplace, in files.

A selection by place, filter or number may leave out an entity on one side alone, and so may a list
of an index. What only one side's lists have is therefore read by ID on the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from ocsync.client import read_current
from ocsync.diff import Document
from ocsync.engine.export.export import absent_places, notify_of_gaps, read_kinds
from ocsync.engine.export.listing import Row
from ocsync.engine.export.selection import ExportRequest
from ocsync.engine.export.spool import Spool
from ocsync.engine.session import Session, sign_in
from ocsync.models import Ref
from ocsync.schema import Kind, kind_of, ref_key


class Marketplace:
    """The rows that were read of the marketplace of *profile*, in files below *folder*.

    *owner* is the marketplace's ID. *absent_places* are the entities that narrow the selection and
    do not exist. *parents* are the entities, by key, whose values others of
    their kind inherit.
    """

    def __init__(self, profile: str, folder: Path) -> None:
        self.profile = profile
        self.owner = ""
        self.absent_places: list[Ref] = []
        self.parents: dict[str, Document] = {}
        self._listed = Spool(folder / f"{profile}.listed", {}, continues=False)
        self._by_id = Spool(folder / f"{profile}.by-id", {}, continues=False)

    def __enter__(self) -> Marketplace:
        return self

    def __exit__(self, *error: object) -> None:
        self._listed.remove()
        self._by_id.remove()

    def rows(self, kind: Kind) -> Iterator[Row]:
        """Yield the rows of *kind*."""
        return chain(self._listed.rows(kind.name), self._by_id.rows(kind.name))

    def missing(self, kind: Kind) -> list[Ref]:
        """Return the refs that were asked for by name and do not exist."""
        return self._listed.of(kind.name).missing

    def parent_of(self, ref: Ref, document: Document) -> Document | None:
        """Return the entity whose values *document* of *ref* inherits; None where it has none."""
        parent = _parent_ref(kind_of(ref), document)
        return self.parents.get(ref_key(parent)) if parent else None

    async def read(self, session: Session, requests: Sequence[ExportRequest]) -> None:
        """Sign in, and read what *requests* ask for. Raises OcsyncError."""
        await self._sign_in(session)
        exported = await read_kinds(session, requests, self._listed)
        self.absent_places = await absent_places(session, requests, exported)
        notify_of_gaps(session, exported)
        await self._read_parents(session, [request.kind for request in requests])

    async def read_omitted(
        self, session: Session, requests: Sequence[ExportRequest], other: Marketplace
    ) -> None:
        """Read by ID what the lists of *other* have and those of this one may omit."""
        if omitted := self.omitted(requests, other):
            await self._sign_in(session)
            await read_kinds(session, omitted, self._by_id)
            await self._read_parents(session, [request.kind for request in omitted])

    def omitted(self, requests: Sequence[ExportRequest], other: Marketplace) -> list[ExportRequest]:
        """Return requests by ID for what only *other* has, where lists may omit entities."""
        named = []
        for request in filter(_may_omit, requests):
            keys = {hash(ref_key(ref)) for ref, _ in self.rows(request.kind)}
            only = [ref for ref, _ in other.rows(request.kind) if hash(ref_key(ref)) not in keys]
            if only:
                named.append(ExportRequest(request.kind, refs=tuple(only)))
        return named

    async def _sign_in(self, session: Session) -> None:
        self.owner = (await sign_in(session)).marketplace

    async def _read_parents(self, session: Session, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            if not kind.inherits_from:
                continue
            needed = {
                ref_key(parent): parent
                for _, document in self.rows(kind)
                if (parent := _parent_ref(kind, document)) and ref_key(parent) not in self.parents
            }
            for ref, document in self.rows(kind) if needed else ():
                if needed.pop(ref_key(ref), None):
                    self.parents[ref_key(ref)] = document
            async for ref, found in read_current(session.api, needed.values()):
                if isinstance(found, dict):
                    self.parents[ref_key(ref)] = found


def _may_omit(request: ExportRequest) -> bool:
    narrowed = (
        request.catalog, request.category, request.buyer, request.supplier, request.filters,
        request.limit, request.kind.eventually_consistent,
    )  # fmt: skip
    return any(narrowed) and not request.refs


def _parent_ref(kind: Kind, document: Document) -> Ref:
    parent = document.get(kind.inherits_from) if kind.inherits_from else None
    return f"{kind.name}/{parent}" if parent else ""
