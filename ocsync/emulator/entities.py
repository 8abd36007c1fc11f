"""The verbs for every kind: one handler a verb, the kind is its argument."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from ocsync.emulator import cascades, documents, lists, rules
from ocsync.emulator.errors import Refusal, not_found
from ocsync.emulator.kinds import noun
from ocsync.emulator.options import Options
from ocsync.emulator.publisher import Publisher
from ocsync.emulator.request import Answer, Call
from ocsync.emulator.state import Document, Key, Marketplace, Row, Table, key_of
from ocsync.emulator.views import address_of, records_of, shown, worked_out
from ocsync.schema import Kind

Ids = dict[str, str]


def _in_catalog(market: Marketplace, call: Call) -> set[Key] | None:
    catalog, category = call.parameter("catalogID"), call.parameter("categoryID")
    if category and not catalog:
        code = "Product.CategoryFilterRequiresCatalogID"
        raise Refusal(400, code, "categoryID needs catalogID beside it")
    if category:
        rows = market.linked("category-product", CatalogID=catalog, CategoryID=category)
    elif catalog:
        rows = market.linked("catalog-product", CatalogID=catalog)
    else:
        return None
    return {(row.ids[-1].casefold(),) for row in rows}


def _of_supplier(market: Marketplace, call: Call) -> set[Key] | None:
    supplier = call.parameter("supplierID")
    if not supplier:
        return None
    rows = market.linked("product-supplier", SupplierID=supplier)
    return {(row.ids[0].casefold(),) for row in rows}


def _in_group(market: Marketplace, call: Call) -> set[Key] | None:
    group, buyer = call.parameter("userGroupID"), call.ids.get("BuyerID", "")
    if not group:
        return None
    rows = market.linked("usergroup-assignment", BuyerID=buyer, UserGroupID=group)
    return {key_of((buyer, row.ids[-1])) for row in rows}


PARAMETERS: dict[str, dict[frozenset[str], Callable[[Marketplace, Call], set[Key] | None]]] = {
    "product": {
        frozenset(("catalogID", "categoryID")): _in_catalog,
        frozenset(("supplierID",)): _of_supplier,
    },
    "buyer-user": {frozenset(("userGroupID",)): _in_group},
}
"""What a list takes beside filters, and the keys that it then holds (all of them if None)."""


class Entities:
    """Reads and writes the rows of a marketplace."""

    def __init__(self, market: Marketplace, publisher: Publisher, options: Options) -> None:
        self.market = market
        self.publisher = publisher
        self.options = options

    def list_rows(self, kind: Kind, call: Call) -> Answer:
        """GET a collection."""
        self._check_parents(kind, call.ids)
        own = PARAMETERS.get(kind.name, {})
        wanted = lists.read(call.query, kind.fields, frozenset().union(*own))
        rows, wanted = self._candidates(kind, call.ids, wanted)
        for narrow in own.values():
            keys = narrow(self.market, call)
            rows = rows if keys is None else [row for row in rows if key_of(row.ids) in keys]
        if kind.name == "category":
            rows = _to_depth(rows, call.parameter("depth") or "1")
        return Answer(200, self.page(kind, rows, wanted, call))

    def page(self, kind: Kind, rows: list[Row], wanted: lists.Wanted, call: Call) -> Document:
        """The page of *rows*; only what decides or is on it is worked out."""
        seen = (
            {id(row): row.seen(stale=kind.eventually_consistent) for row in rows}
            if kind.eventually_consistent
            else {}
        )
        if seen:
            rows = [row for row in rows if row.indexed and seen[id(row)] is not None]
        names = lists.needs_all(wanted)
        all_shown = any(worked_out(kind, name) for name in names)

        def show(row: Row) -> Document:
            document = shown(self.market, kind, row, seen.get(id(row)))
            if call.parameter("includeAddress").casefold() == "true":
                place = address_of(self.market, document.get("OwnerID"), document.get("AddressID"))
                document = {**document, "Address": place}
            return document

        def looked_at(row: Row) -> Document:
            document = show(row) if all_shown else (seen.get(id(row)) or row.document)
            if any(name.startswith("InventoryRecords.") for name in names):
                document = {**document, "InventoryRecords": records_of(self.market, row)}
            return document

        if names:
            rows = [row for row in rows if lists.fits(wanted, looked_at(row))]
        page = lists.page_of(
            rows, wanted, lambda row, name: lists.value_at(looked_at(row), name), show,
            keys=self._by_keys(kind, wanted),
        )  # fmt: skip
        if kind.name == "product":
            page["Meta"]["Facets"] = []
        return page

    def get(self, kind: Kind, call: Call) -> Answer:
        """GET one."""
        self._check_parents(kind, call.ids)
        stale = kind.eventually_consistent and self.options.lag_get
        row = self.market.of(kind, call.ids)
        if stale and row is None:
            row = self._ghost(kind, call.ids)
        document = row.seen(stale=stale) if row else None
        if row is None or document is None:
            raise not_found(noun(kind), call.ids[kind.ids[-1]])
        return Answer(200, shown(self.market, kind, row, document))

    def post(self, kind: Kind, call: Call) -> Answer:
        """POST to a collection: creates, with an ID of its own where none is given."""
        body = call.document()
        own = documents.check_id(body.get("ID") or documents.new_id())
        ids = {**call.ids, kind.ids[-1]: own}
        if self.market.of(kind, ids):
            raise Refusal(409, "IdExists", f"{noun(kind)} {own} is there already")
        return Answer(201, self.replace(kind, ids, body, call))

    def put(self, kind: Kind, call: Call) -> Answer:
        """PUT one: creates it, or replaces it whole."""
        return Answer(200, self.replace(kind, call.ids, call.document(), call))

    def patch(self, kind: Kind, call: Call) -> Answer:
        """PATCH one: what is sent changes; an `ID` renames."""
        self._check_parents(kind, call.ids)
        row = rules.require(self.market, kind, call.ids)
        body = call.document()
        ids = self._renamed(kind, row, call.ids, body.get("ID"))
        document = documents.merged(kind, row.document, body, self.options)
        return Answer(200, self._store(kind, ids, document, row, call))

    def delete(self, kind: Kind, call: Call) -> Answer:
        """DELETE one, and what cannot be without it."""
        self._check_parents(kind, call.ids)
        self.remove(kind, rules.require(self.market, kind, call.ids))
        return Answer(204)

    def replace(self, kind: Kind, ids: Ids, body: Document, call: Call | None = None) -> Document:
        """Put *body* at *ids*, or where a variant's `ID` says; the document as it is shown."""
        self._check_parents(kind, ids)
        old = self.market.of(kind, ids)
        if old is None and not kind.deletable:  # a variant is generated, never put
            raise not_found(noun(kind), ids[kind.ids[-1]])
        if old and not kind.deletable:
            ids = self._renamed(kind, old, ids, body.get("ID"))
        start = {"ID": documents.check_id(ids[kind.ids[-1]]), **documents.blank(kind)}
        if "OwnerID" in kind.fields:
            start["OwnerID"] = None
        if old:
            kept = {n for n, f in kind.fields.items() if f.create_only or f.read_only}
            if self.options.put_password == "kept":  # noqa: S105 - the name of a behaviour
                kept.add("Password")
            start |= {name: old.document[name] for name in kept & old.document.keys()}
        document = documents.merged(kind, start, body, self.options)
        if "OwnerID" in kind.fields:
            document["OwnerID"] = document["OwnerID"] or self.market.id
        return self._store(kind, ids, document, old, call)

    def keep(self, kind: Kind, row: Row, old: Row | None) -> None:
        """Keep *row* and what it brings along, and publish."""
        made = [(kind, row)]
        if old and key_of(old.ids) != key_of(row.ids):
            self._rename(kind, old, row)
        self.market.put_in(kind, row)
        if kind.name in cascades.EFFECTS:
            made += cascades.EFFECTS[kind.name](self.market, row, old)
        for other, beside in made[1:]:
            self.market.put_in(other, beside)
        same = old is not None and _plain(old.document) == _plain(row.document)
        if not (same and self.options.no_op == "silent"):
            for written, one in made:
                self.publisher.written(written, one)

    def remove(self, kind: Kind, row: Row) -> None:
        """Delete *row* and what goes along, and publish."""
        goes = rules.GOES.get(kind.name)
        if goes:
            goes(self.market, row)
        along = cascades.takes_along(self.market, kind, row)
        gone: list[tuple[Kind, Key]] = [(kind, key_of(row.ids)), *along]
        left = [*cascades.naming(self.market, kind, row)]
        removed = [(k, self.market.take_out(k, key)) for k, key in gone]
        for one in left:
            one.row.document[one.field] = None
        for other, old in removed:
            if old:
                self._haunt(other, old)
                self.publisher.removed(other, old)
        for one in left if self.options.product_resync == "touched" else ():
            if (one.kind, key_of(one.row.ids)) not in gone:
                self.publisher.written(one.kind, one.row)

    def check(self, kind: Kind, ids: Ids, document: Document, old: Row | None) -> None:
        """Refuse what a rule of the kind refuses."""
        check = rules.CHECKS.get(kind.name)
        if check:
            check(rules.Wanted(self.market, ids, document, old.document if old else None))

    def _store(
        self, kind: Kind, ids: Ids, document: Document, old: Row | None, call: Call | None
    ) -> Document:
        documents.check(kind, document)
        rules.check_references(self.market, kind, ids, document)
        self.check(kind, ids if old is None else _named(kind, old), document, old)
        row = Row(tuple(ids[name] for name in kind.ids), {**document, "ID": ids[kind.ids[-1]]})
        self.keep(kind, row, old)
        if call and kind.name == "category":
            self._adjust_orders(kind, row, call)
        if kind.eventually_consistent and self.options.product_lag:
            row.old = old.document if old else None
            row.shown_at = time.monotonic() + self.options.product_lag
        return shown(self.market, kind, row)

    def _adjust_orders(self, kind: Kind, row: Row, call: Call) -> None:
        """`adjustListOrders` moves every later sibling on by one, each a write of its own."""
        if call.parameter("adjustListOrders").casefold() != "true":
            return
        place, above = row.document["ListOrder"], row.document["ParentID"]
        for other in self.market.tables[kind.name].below(row.ids[:-1]):
            mine = other.document
            if other is not row and mine["ParentID"] == above and mine["ListOrder"] >= place:
                moved = {**mine, "ListOrder": mine["ListOrder"] + 1}
                self.keep(kind, Row(other.ids, moved), other)

    def _candidates(
        self, kind: Kind, ids: Ids, wanted: lists.Wanted
    ) -> tuple[list[Row], lists.Wanted]:
        """The rows that can be in the list, by their keys where the query allows it."""
        table, parents = self.market.tables[kind.name], [ids[name] for name in kind.ids[:-1]]
        if plain := lists.plain_ids(wanted):
            names, wanted = plain
            keys = dict.fromkeys(key_of((*parents, name)) for name in names)
            return [row for key in keys if (row := table.rows.get(key))], wanted
        if after := lists.last_id(wanted):
            last, wanted = after
            return table.beyond(parents, last), wanted
        if self._by_keys(kind, wanted):
            return table.beyond(parents, ""), wanted
        return [*table.below(parents), *self._ghosts(table)], wanted

    def _by_keys(self, kind: Kind, wanted: lists.Wanted) -> bool:
        """Whether the list can be read on by `pageKey`."""
        return kind.name == "product" and self.options.page_keys == "given" and not wanted.order

    def _check_parents(self, kind: Kind, ids: Ids) -> None:
        named = {name: ids[name] for name in kind.ids[:-1]}
        rules.check_references(self.market, kind, named, {})

    def _renamed(self, kind: Kind, row: Row, ids: Ids, own: Any) -> Ids:
        """*ids* under the name *own*, if it is another than *row*'s; 409 where that is taken."""
        if not own or own == row.ids[-1]:
            return ids
        ids = {**ids, kind.ids[-1]: documents.check_id(own)}
        if own.casefold() != row.ids[-1].casefold() and self.market.of(kind, ids):
            raise Refusal(409, "IdExists", f"{noun(kind)} {own} is there already")
        return ids

    def _rename(self, kind: Kind, old: Row, new: Row) -> None:
        """Move *old*'s place to *new*'s: what hangs on it goes along, what names it follows."""
        along = cascades.hanging(self.market, kind, old)
        for one in [*cascades.naming(self.market, kind, old)]:
            one.row.document[one.field] = new.ids[-1]
        self.market.take_out(kind, key_of(old.ids))
        for other, key in along:
            row = self.market.take_out(other, key)
            if row is None:
                continue
            named = dict(zip(other.ids, row.ids, strict=True))
            moved = {n: v for n, v in zip(kind.ids, new.ids, strict=True) if n in named}
            document = row.document | {n: v for n, v in moved.items() if n in row.document}
            self.market.put_in(other, Row(tuple({**named, **moved}.values()), document))

    def _haunt(self, kind: Kind, row: Row) -> None:
        if kind.eventually_consistent and self.options.product_lag:
            shown_at = time.monotonic() + self.options.product_lag
            ghost = Row(row.ids, row.document, row.document, shown_at)
            self.market.tables[kind.name].ghosts[key_of(row.ids)] = ghost

    def _ghost(self, kind: Kind, ids: Ids) -> Row | None:
        key = key_of(ids[name] for name in kind.ids)
        return next(
            (g for g in self._ghosts(self.market.tables[kind.name]) if key_of(g.ids) == key), None
        )

    def _ghosts(self, table: Table) -> Iterable[Row]:
        now = time.monotonic()
        for key, ghost in [*table.ghosts.items()]:
            if ghost.shown_at <= now or key in table.rows:
                del table.ghosts[key]
            else:
                yield ghost


def _named(kind: Kind, row: Row) -> Ids:
    return dict(zip(kind.ids, row.ids, strict=True))


def _to_depth(rows: list[Row], depth: str) -> list[Row]:
    if depth.casefold() == "all":
        return rows
    if not depth.isdigit() or not int(depth):
        raise Refusal(400, "List.InvalidType", "depth is a number above 0, or all")
    found = {row.ids[-1].casefold(): row for row in rows}

    def level(row: Row) -> int:
        above: Any = found.get(str(row.document.get("ParentID") or "").casefold())
        return 1 + (level(above) if above else 0)

    return [row for row in rows if level(row) <= int(depth)]


def _plain(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "LastUpdated"}
