"""Assignments: upserts without a name of their own (api-facts 5.1), and links put at a path."""

from __future__ import annotations

from ocsync.emulator import documents, lists, rules
from ocsync.emulator.entities import Entities
from ocsync.emulator.errors import invalid, not_found
from ocsync.emulator.kinds import ALL, LINKS, noun
from ocsync.emulator.request import Answer, Call
from ocsync.emulator.state import Row
from ocsync.emulator.views import shown
from ocsync.schema import Kind

Ids = dict[str, str]


class Assignments:
    """The verbs of assignments, over the rows that *entities* keeps."""

    def __init__(self, entities: Entities) -> None:
        self.entities = entities
        self.market = entities.market

    def list_rows(self, kind: Kind, call: Call) -> Answer:
        """GET a list, by the parameters that its kind has."""
        query = {name.casefold(): texts[-1] for name, texts in call.query.items()}
        wanted = {
            n: query[p.casefold()] for p, n in kind.listed_by.items() if query.get(p.casefold())
        }
        values = {kind.ids.index(n): v.casefold() for n, v in {**wanted, **call.ids}.items()}
        table = self.market.tables[kind.name]
        rows = [table.rows[key] for key in table.matching(values)]
        level = query.get("level", "").casefold()
        if level and kind.optional_ids:
            rows = [row for row in rows if bool(row.ids[-1]) == (level == "group")]
        if price := query.get("pricescheduleid", "").casefold():
            rows = [r for r in rows if str(r.document.get("PriceScheduleID")).casefold() == price]
        found = [row.document for row in rows]
        return Answer(200, lists.plain_page(found, lists.paging(call.query), kind.fields))

    def assign(self, kind: Kind, call: Call) -> Answer:
        """POST an assignment: an upsert."""
        body = call.document()
        ids: Ids = {}
        for name in kind.ids:
            value = call.ids.get(name) or body.get(name) or ""
            if not value and name not in kind.ids[len(kind.ids) - kind.optional_ids :]:
                raise invalid(name, "is required")
            ids[name] = documents.check_id(value) if value else ""
        self._keep(kind, ids, {n: body[n] for n in kind.fields if n in body}, call)
        return Answer(204)

    def unassign(self, kind: Kind, call: Call) -> Answer:
        """DELETE an assignment; the IDs that its path lacks come by the query."""
        ids = {name: call.ids.get(name) or call.parameter(name) for name in kind.ids}
        row = self.market.of(kind, ids)
        if row is None:
            raise not_found(noun(kind), "/".join(filter(None, ids.values())))
        self.entities.remove(kind, row)
        return Answer(204)

    def link(self, kind: Kind, call: Call) -> Answer:
        """PUT a link at its path; its fields come by the query."""
        given = {n: call.parameter(n) for n in kind.fields if call.parameter(n)}
        self._keep(kind, dict(call.ids), given, call)
        return Answer(204)

    def list_linked(self, kind: Kind, call: Call) -> Answer:
        """GET what is linked: the entities at the other end, with the link's own fields."""
        other = next(r.kind for r in kind.references if r.ids == (LINKS[kind.name],))
        place = kind.ids.index(LINKS[kind.name])
        found = []
        for link in self.market.linked(kind.name, **call.ids):
            row = self.market.tables[other].rows[(link.ids[place].casefold(),)]
            own = {n: link.document[n] for n in kind.fields}
            found.append({**shown(self.market, ALL[other], row), **own})
        return Answer(
            200, lists.plain_page(found, call.query, {**ALL[other].fields, **kind.fields})
        )

    def _keep(self, kind: Kind, ids: Ids, given: Ids, call: Call) -> None:
        rules.check_references(self.market, kind, ids, given)
        old = self.market.of(kind, ids)
        kept = old.document if old and self.entities.options.omitted == "unchanged" else {}
        named = {name: value or None for name, value in ids.items() if name not in call.ids}
        defaults = {n: False if f.required_on_assign else None for n, f in kind.fields.items()}
        document = {**named, **defaults, **{n: kept[n] for n in kept if n in kind.fields}, **given}
        documents.check(kind, document)
        self.entities.check(kind, ids, document, old)
        self.entities.keep(kind, Row(tuple(ids.values()), document), old)
