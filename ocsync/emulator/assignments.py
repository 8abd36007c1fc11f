"""Assignments: upserts without an ID of their own (guide/ordercloud.md 5.1), and links put at a
path.
"""

from __future__ import annotations

from ocsync.emulator import documents, lists, rules
from ocsync.emulator.entities import Entities
from ocsync.emulator.errors import invalid, not_found
from ocsync.emulator.kinds import ALL_KINDS, list_fields, type_name
from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.emulator.state import Document, Marketplace, Row
from ocsync.emulator.views import view_of
from ocsync.schema import Kind

Ids = dict[str, str]


def _is_own(market: Marketplace, owner: str) -> bool:
    """Return whether *owner* is the marketplace itself."""
    return owner.casefold() == market.id.casefold()


class Assignments:
    """The handlers of assignments; rows are saved through *entities*."""

    def __init__(self, entities: Entities) -> None:
        self.entities = entities
        self.market = entities.market

    def list_rows(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a GET of the list, filtered by the parameters of *kind*."""
        rules.check_references(self.market, kind, request.ids, {}, writing=False)
        query = {name.casefold(): texts[-1] for name, texts in request.query.items()}
        parameters = {
            n: query[p.casefold()] for p, n in kind.listed_by.items() if query.get(p.casefold())
        }
        values = {kind.ids.index(n): v.casefold() for n, v in {**parameters, **request.ids}.items()}
        table = self.market.tables[kind.name]
        rows = [table.rows[key] for key in table.keys_with(values)]
        level = query.get("level", "").casefold()
        if level and "UserGroupID" in kind.ids:
            place = kind.ids.index("UserGroupID")
            rows = [row for row in rows if bool(row.ids[place]) == (level == "group")]
        if price := query.get("pricescheduleid", "").casefold():
            rows = [r for r in rows if str(r.document.get("PriceScheduleID")).casefold() == price]
        items = [self._view(kind, row) for row in rows]
        return ApiResponse(
            200, lists.filtered_page(items, lists.paging_parameters(request.query), kind.fields)
        )

    def _view(self, kind: Kind, row: Row) -> Document:
        """Return the document of *row*; whether an own one names its owner is unknown."""
        own = kind.owner_id and not row.document.get(kind.owner_id)
        if own and self.entities.options.own_seller == "id":
            return {**row.document, kind.owner_id: self.market.id}
        return row.document

    def assign(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a POST of an assignment, which is an upsert."""
        body = documents.read_values(kind, request.document(), self.entities.options)
        ids: Ids = {}
        for name in kind.ids:
            value = request.ids.get(name) or body.get(name) or ""
            if not value and name in kind.needed_ids:
                raise invalid(name, "is required")
            if name == kind.owner_id and _is_own(self.market, value):
                value = ""
            ids[name] = documents.validate_id(value) if value else ""
        party = tuple(name for name in kind.ids[len(kind.needed_ids) :] if ids[name])
        if party not in kind.parties:
            raise invalid(" or ".join(filter(None, map(" and ".join, kind.parties))), "is required")
        self._save(kind, ids, {n: body[n] for n in kind.fields if n in body}, request)
        return ApiResponse(204)

    def unassign(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a DELETE of an assignment; IDs that are not in its path come from the query."""
        ids = {name: request.ids.get(name) or request.parameter(name) for name in kind.ids}
        if kind.owner_id and _is_own(self.market, ids[kind.owner_id]):
            ids[kind.owner_id] = ""
        row = self.market.find_row(kind, ids)
        if row is None:
            raise not_found(type_name(kind), "/".join(filter(None, ids.values())))
        self.entities.remove(kind, row)
        return ApiResponse(204)

    def link(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a PUT of a link at its path; its fields come from the query."""
        given = {field: request.parameter(name) for name, field in kind.query.items()}
        fields = {name: value for name, value in given.items() if value}
        self._save(kind, dict(request.ids), fields, request)
        return ApiResponse(204)

    def list_links(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a GET of linked entities: those at the other end, with the link's own fields."""
        rules.check_references(self.market, kind, request.ids, {}, writing=False)
        other_kind = next(r.kind for r in kind.references if r.ids == kind.ids[-1:])
        items = []
        for link in self.market.links(kind.name, **request.ids):
            row = self.market.tables[other_kind].rows[(link.ids[-1].casefold(),)]
            fields = {n: link.document[n] for n in kind.fields}
            items.append({**view_of(self.market, ALL_KINDS[other_kind], row), **fields})
        return ApiResponse(
            200,
            lists.filtered_page(
                items,
                request.query,
                {**ALL_KINDS[other_kind].fields, **kind.fields},
                list_fields(ALL_KINDS[other_kind]),
            ),
        )

    def _save(self, kind: Kind, ids: Ids, fields: Ids, request: ApiRequest) -> None:
        rules.check_references(self.market, kind, ids, fields)
        old = self.market.find_row(kind, ids)
        kept_fields = old.document if old and self.entities.options.omitted == "unchanged" else {}
        id_fields = {name: value or None for name, value in ids.items() if name not in request.ids}
        defaults = documents.blank_document(kind)
        document = {
            **id_fields,
            **defaults,
            **{n: kept_fields[n] for n in kept_fields if n in kind.fields},
            **fields,
        }
        documents.validate(kind, document, self.entities.options)
        self.entities.check_rules(kind, ids, document, old)
        self.entities.save(kind, Row(tuple(ids.values()), document), old)
