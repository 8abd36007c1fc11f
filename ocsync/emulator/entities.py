"""The verbs for every kind of the tables: one handler a verb, the kind is its argument."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from ocsync.emulator import documents, rules
from ocsync.emulator.errors import Refusal, invalid, not_found
from ocsync.emulator.lists import page_of
from ocsync.emulator.options import Options
from ocsync.emulator.state import Document, Key, Marketplace, Row, key_of
from ocsync.emulator.sync import Publisher
from ocsync.resources import KINDS, Kind

Ids = dict[str, str]


class Call(NamedTuple):
    """A request under way: its path's IDs by name, its query, its decoded body."""

    ids: Ids
    query: dict[str, list[str]]
    body: Any

    def document(self) -> Document:
        """The body, which must be an object."""
        if not isinstance(self.body, dict):
            raise Refusal(400, "Request.InvalidRequestBody", "the body is not a JSON object")
        return self.body


class Answer(NamedTuple):
    """A status, and a body unless it is None."""

    status: int
    body: Any = None


class Entities:
    """Reads and writes the rows of a marketplace."""

    def __init__(self, market: Marketplace, publisher: Publisher, options: Options) -> None:
        self.market = market
        self.publisher = publisher
        self.options = options

    def list(self, kind: Kind, call: Call) -> Answer:
        """GET a collection."""
        self._check_parents(kind, call.ids)
        rows = self.market.tables[kind.name].below(call.ids[name] for name in kind.ids[:-1])
        query = dict(call.query)
        if kind.name == "category":
            rows = self._to_depth(rows, (query.get("depth") or ["1"])[-1])
        return Answer(200, page_of((self.market.shown(kind, row) for row in rows), query))

    def get(self, kind: Kind, call: Call) -> Answer:
        """GET one."""
        self._check_parents(kind, call.ids)
        row = rules.require(self.market, kind, call.ids)
        return Answer(200, self.market.shown(kind, row))

    def post(self, kind: Kind, call: Call) -> Answer:
        """POST to a collection: creates, with an ID of its own where none is given."""
        body = call.document()
        own = documents.check_id(body.get("ID") or documents.new_id())
        ids = {**call.ids, kind.ids[-1]: own}
        if self.market.of(kind, ids):
            raise Refusal(409, "IdExists", f"{rules.noun(kind)} {own} is there already")
        return Answer(201, self._replace(kind, ids, body))

    def put(self, kind: Kind, call: Call) -> Answer:
        """PUT one: creates it, or replaces it whole."""
        return Answer(200, self._replace(kind, call.ids, call.document()))

    def patch(self, kind: Kind, call: Call) -> Answer:
        """PATCH one: what is sent changes; an `ID` renames."""
        self._check_parents(kind, call.ids)
        row = rules.require(self.market, kind, call.ids)
        body, ids = call.document(), call.ids
        if body.get("ID") and body["ID"] != row.ids[-1]:
            ids = self._rename(kind, row, call.ids, documents.check_id(body["ID"]))
        deep = self.options.nested_xp == "merge"
        document = documents.merged(kind, row.document, body, deep_xp=deep)
        return Answer(200, self._store(kind, ids, document, row))

    def delete(self, kind: Kind, call: Call) -> Answer:
        """DELETE one, and what cannot be without it."""
        self._check_parents(kind, call.ids)
        self._remove(kind, rules.require(self.market, kind, call.ids))
        return Answer(204)

    def list_assignments(self, kind: Kind, call: Call) -> Answer:
        """GET a list of assignments, by the parameters that its kind has."""
        query = {name.casefold(): texts[-1] for name, texts in call.query.items()}
        wanted = {
            n: query[p.casefold()] for p, n in kind.listed_by.items() if query.get(p.casefold())
        }
        wanted |= call.ids
        level = query.get("level", "").casefold()
        rows = self._matching(kind, wanted)
        if level and kind.optional:
            rows = (row for row in rows if bool(row.ids[-1]) == (level == "group"))
        paging = {n: t for n, t in call.query.items() if n.casefold() in ("page", "pagesize")}
        return Answer(200, page_of((row.document for row in rows), paging))

    def assign(self, kind: Kind, call: Call) -> Answer:
        """POST an assignment: an upsert."""
        body = call.document()
        ids: Ids = {}
        for name in kind.ids:
            value = call.ids.get(name) or body.get(name) or ""
            if not value and name not in kind.ids[len(kind.ids) - kind.optional :]:
                raise invalid(name, "is required")
            ids[name] = documents.check_id(value) if value else ""
        rules.check_references(self.market, kind, ids, body)
        old = self.market.of(kind, ids)
        kept = old.document if old and self.options.omitted == "unchanged" else {}
        named = {name: value or None for name, value in ids.items() if name not in call.ids}
        defaults = {n: False if f.required_on_assign else None for n, f in kind.fields.items()}
        given = {n: body[n] for n in kind.fields if n in body}
        document = {**named, **defaults, **{n: kept[n] for n in kept if n in kind.fields}, **given}
        documents.check(kind, document)
        self._check(kind, ids, document, new=old is None)
        self._keep(kind, Row(tuple(ids.values()), document), old)
        return Answer(204)

    def unassign(self, kind: Kind, call: Call) -> Answer:
        """DELETE an assignment; the IDs that its path lacks come by the query."""
        query = {name.casefold(): texts[-1] for name, texts in call.query.items()}
        ids = {name: call.ids.get(name) or query.get(name.casefold(), "") for name in kind.ids}
        row = self.market.of(kind, ids)
        if row is None:
            raise not_found(rules.noun(kind), "/".join(filter(None, ids.values())))
        self._remove(kind, row)
        return Answer(204)

    def generate_variants(self, call: Call) -> Answer:
        """POST .../variants/generate: here one variant of a product without specs, named as it."""
        product = rules.require(self.market, KINDS["product"], call.ids)
        kind = KINDS["variant"]
        if not list(self.market.tables["variant"].below(product.ids)):
            name = product.ids[0]
            active = isinstance(call.body, dict) and bool(call.body.get("Active"))
            document = {"ID": name, **documents.blank(kind), "Name": name, "Active": active}
            self._keep(kind, Row((name, name), document), None)
        return self.get(KINDS["product"], call)

    def _replace(self, kind: Kind, ids: Ids, body: Document) -> Document:
        self._check_parents(kind, ids)
        old = self.market.of(kind, ids)
        if old is None and not kind.deletable:  # a variant is generated, never put
            raise not_found(rules.noun(kind), ids[kind.ids[-1]])
        start = {"ID": documents.check_id(ids[kind.ids[-1]]), **documents.blank(kind)}
        if old:
            start |= {n: old.document[n] for n in ("DateCreated", "Password") if n in old.document}
        return self._store(kind, ids, documents.merged(kind, start, body, deep_xp=False), old)

    def _store(self, kind: Kind, ids: Ids, document: Document, old: Row | None) -> Document:
        documents.check(kind, document)
        rules.check_references(self.market, kind, ids, document)
        self._check(kind, ids, document, new=old is None)
        row = Row(tuple(ids[name] for name in kind.ids), {**document, "ID": ids[kind.ids[-1]]})
        self._keep(kind, row, old)
        if kind.lags and self.options.product_lag:
            fresh = Row(row.ids, row.document)
            row.old = old.document if old else {}
            row.shown_at = time.monotonic() + self.options.product_lag
            return self.market.shown(kind, fresh)
        return self.market.shown(kind, row)

    def _keep(self, kind: Kind, row: Row, old: Row | None) -> None:
        made = [(kind, row)]
        self.market.tables[kind.name].put(row)
        if kind.name in rules.EFFECTS:
            made += rules.EFFECTS[kind.name](self.market, row, old)
        for other, beside in made[1:]:
            self.market.tables[other.name].put(beside)
        same = old is not None and _plain(old.document) == _plain(row.document)
        if not (same and self.options.no_op == "silent"):
            for written, one in made:
                self.publisher.written(written, one)

    def _check(self, kind: Kind, ids: Ids, document: Document, *, new: bool) -> None:
        check = rules.CHECKS.get(kind.name)
        if check:
            check(rules.Wanted(self.market, ids, document, new))

    def _check_parents(self, kind: Kind, ids: Ids) -> None:
        named = {name: ids[name] for name in kind.ids[:-1]}
        rules.check_references(self.market, kind, named, {})

    def _rename(self, kind: Kind, row: Row, ids: Ids, name: str) -> Ids:
        new = {**ids, kind.ids[-1]: name}
        if name.casefold() != row.ids[-1].casefold():
            if self.market.of(kind, new):
                raise Refusal(409, "IdExists", f"{rules.noun(kind)} {name} is there already")
            self.market.take_out(kind, key_of(row.ids))
        return new

    def _remove(self, kind: Kind, row: Row) -> None:
        goes = rules.GOES.get(kind.name)
        if goes:
            goes(self.market, row)
        along = rules.takes_along(self.market, kind, row)
        gone: list[tuple[Kind, Key]] = [(kind, key_of(row.ids)), *along]
        removed = [(k, self.market.take_out(k, key)) for k, key in gone]
        for other, one in removed:
            if one:
                self.publisher.removed(other, one)

    def _matching(self, kind: Kind, wanted: Ids) -> Iterator[Row]:
        places = [(kind.ids.index(name), value.casefold()) for name, value in wanted.items()]
        for key, row in list(self.market.tables[kind.name].rows.items()):
            if all(key[place] == value for place, value in places):
                yield row

    def _to_depth(self, rows: Iterator[Row], depth: str) -> Iterator[Row]:
        if depth.casefold() == "all":
            yield from rows
            return
        found = {row.ids[-1].casefold(): row for row in rows}
        for row in found.values():
            level, above = 1, row
            while above := found.get(str(above.document.get("ParentID") or "").casefold()):  # type: ignore[assignment]
                level += 1
            if level <= int(depth):
                yield row


def _plain(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "LastUpdated"}
