"""The handlers of entities: one method for each verb, with the kind as its argument."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ocsync.emulator import cascades, documents, lists, rules
from ocsync.emulator.errors import ErrorResponse, not_found
from ocsync.emulator.kinds import list_fields, type_name
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.publisher import Publisher
from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.emulator.state import Document, Key, Marketplace, Row, Table, key_of
from ocsync.emulator.views import address_of, inventory_of, is_computed, view_of
from ocsync.schema import Kind

Ids = dict[str, str]


def _in_catalog(market: Marketplace, request: ApiRequest) -> set[Key] | None:
    catalog, category = request.parameter("catalogID"), request.parameter("categoryID")
    if category and not catalog:
        code = "Product.CategoryFilterRequiresCatalogID"
        raise ErrorResponse(400, code, "categoryID needs catalogID beside it")
    if category:
        rows = market.links("category-product", CatalogID=catalog, CategoryID=category)
    elif catalog:
        rows = market.links("catalog-product", CatalogID=catalog)
    else:
        return None
    return {(row.ids[-1].casefold(),) for row in rows}


def _of_supplier(market: Marketplace, request: ApiRequest) -> set[Key] | None:
    supplier = request.parameter("supplierID")
    if not supplier:
        return None
    rows = market.links("product-supplier", SupplierID=supplier)
    return {(row.ids[0].casefold(),) for row in rows}


def _in_group(
    memberships: str, organization: str, market: Marketplace, request: ApiRequest
) -> set[Key] | None:
    group, owner = request.parameter("userGroupID"), request.ids[organization]
    if not group:
        return None
    rows = market.links(memberships, UserGroupID=group, **{organization: owner})
    return {key_of((owner, row.ids[-1])) for row in rows}


def _all(_: Marketplace, __: ApiRequest) -> None:
    """Limit the list to nothing: its parameter has another meaning."""


LIST_PARAMETERS: dict[
    str, dict[frozenset[str], Callable[[Marketplace, ApiRequest], set[Key] | None]]
] = {
    "product": {
        frozenset(("catalogID", "categoryID")): _in_catalog,
        frozenset(("supplierID",)): _of_supplier,
        frozenset(("searchType",)): _all,
    },
    "buyer-user": {
        frozenset(("userGroupID",)): partial(_in_group, "usergroup-assignment", "BuyerID")
    },
    "supplier-user": {
        frozenset(("userGroupID",)): partial(
            _in_group, "supplier-usergroup-assignment", "SupplierID"
        )
    },
    "category": {frozenset(("depth",)): _all},
    "inventory": {frozenset(("includeAddress",)): _all},
    "variant-inventory": {frozenset(("includeAddress",)): _all},
}
"""List parameters that are not filters, by kind. Each function returns the keys that the list is
limited to, or None when the request has none of its parameters.
"""


class Entities:
    """The handlers of entities, and the only way to save or remove a row."""

    def __init__(self, market: Marketplace, publisher: Publisher, options: EmulatorOptions) -> None:
        self.market = market
        self.publisher = publisher
        self.options = options

    def list_rows(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a GET of a collection."""
        self._check_parents(kind, request.ids)
        parameters = LIST_PARAMETERS.get(kind.name, {})
        own = frozenset[str]().union(*parameters)
        query = lists.parse_query(request.query, kind.fields, list_fields(kind), own)
        rows, query = self._candidates(kind, request.ids, query)
        for narrow in parameters.values():
            keys = narrow(self.market, request)
            rows = rows if keys is None else [row for row in rows if key_of(row.ids) in keys]
        if kind.name == "category":
            rows = _down_to_depth(rows, request.parameter("depth") or "1")
        return ApiResponse(200, self.page(kind, rows, query, request))

    def page(
        self, kind: Kind, rows: list[Row], query: lists.ListQuery, request: ApiRequest
    ) -> Document:
        """Return one page of *rows*.

        Views are computed only for the rows on the page and where a filter or the order needs them.
        """
        if kind.eventually_consistent:
            rows = [
                row
                for row in rows
                if row.indexed and (not row.visible_at or row.read(stale=True) is not None)
            ]
        fields = lists.deciding_fields(query)
        needs_view = any(is_computed(kind, name) for name in fields)

        def shown(row: Row) -> Document | None:
            return row.read(stale=True) if kind.eventually_consistent else None

        def view(row: Row) -> Document:
            document = view_of(self.market, kind, row, shown(row))
            if request.parameter("includeAddress").casefold() == "true":
                address = address_of(
                    self.market, document.get("OwnerID"), document.get("AddressID")
                )
                document = {**document, "Address": address.document if address else None}
            return document

        def filtered_document(row: Row) -> Document:
            document = view(row) if needs_view else (shown(row) or row.document)
            if any(name.startswith("InventoryRecords.") for name in fields):
                document = {**document, "InventoryRecords": inventory_of(self.market, row)}
            return document

        if fields:
            rows = [row for row in rows if lists.matches(query, filtered_document(row))]
        page = lists.make_page(
            rows, query, lambda row, name: lists.value_at(filtered_document(row), name), view,
            by_keys=self._has_page_keys(kind, query),
        )  # fmt: skip
        if kind.name == "product":
            page["Meta"]["Facets"] = []
        return page

    def get(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a GET of one entity."""
        self._check_parents(kind, request.ids)
        stale = kind.eventually_consistent and self.options.lag_get
        row = self.market.find_row(kind, request.ids)
        if stale and row is None:
            row = self._find_stale_delete(kind, request.ids)
        document = row.read(stale=stale) if row else None
        if row is None or document is None:
            raise not_found(type_name(kind), request.ids[kind.ids[-1]])
        return ApiResponse(200, view_of(self.market, kind, row, document))

    def post(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a POST to a collection: create an entity, with a generated ID if none is sent."""
        body = request.document()
        entity_id = documents.validate_id(body.get("ID") or documents.generate_id())
        ids = {**request.ids, kind.ids[-1]: entity_id}
        if self.market.find_row(kind, ids):
            raise ErrorResponse(409, "IdExists", f"{type_name(kind)} {entity_id} exists already")
        return ApiResponse(201, self.put_document(kind, ids, body, request), created=entity_id)

    def put(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a PUT: create the entity, or replace all of it."""
        return ApiResponse(200, self.put_document(kind, request.ids, request.document(), request))

    def patch(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a PATCH: change the fields that are sent; an `ID` renames the entity."""
        self._check_parents(kind, request.ids)
        row = rules.require_row(self.market, kind, request.ids)
        body = request.document()
        ids = self._ids_after_rename(kind, row, body.get("ID"))
        document = documents.apply_patch(kind, row.document, body, self.options)
        return ApiResponse(200, self._validate_and_save(kind, ids, document, row, request))

    def delete(self, kind: Kind, request: ApiRequest) -> ApiResponse:
        """Handle a DELETE of an entity and of the rows that cannot exist without it."""
        self._check_parents(kind, request.ids)
        self.remove(kind, rules.require_row(self.market, kind, request.ids))
        return ApiResponse(204)

    def put_document(
        self, kind: Kind, ids: Ids, body: Document, request: ApiRequest | None = None
    ) -> Document:
        """Create or replace the entity at *ids* and return its view.

        An `ID` in *body* renames a variant.
        """
        self._check_parents(kind, ids)
        old = self.market.find_row(kind, ids)
        if old is None and not kind.deletable:  # variants are generated, never created by PUT
            raise not_found(type_name(kind), ids[kind.ids[-1]])
        if old and not kind.deletable:
            ids = self._ids_after_rename(kind, old, body.get("ID"))
        document_before = {
            "ID": documents.validate_id(ids[kind.ids[-1]]),
            **documents.blank_document(kind),
        }
        if "OwnerID" in kind.fields:
            document_before["OwnerID"] = None
        if old:
            kept = {n for n, f in kind.fields.items() if f.create_only or f.read_only}
            if self.options.put_password == "kept":  # noqa: S105 - the name of a behaviour
                kept.add("Password")
            document_before |= {name: old.document[name] for name in kept & old.document.keys()}
        document = documents.apply_patch(kind, document_before, body, self.options)
        if "OwnerID" in kind.fields:
            document["OwnerID"] = document["OwnerID"] or self.market.id
        return self._validate_and_save(kind, ids, document, old, request)

    def save(self, kind: Kind, row: Row, old: Row | None) -> None:
        """Save *row* and the rows created with it, and publish them."""
        written = [(kind, row)]
        row.known_at = self._known_at(old)
        if old and key_of(old.ids) != key_of(row.ids):
            self._move_references(kind, old, row)
        self.market.put_row(kind, row)
        if kind.name in cascades.WRITE_CASCADES:
            written += cascades.WRITE_CASCADES[kind.name](self.market, row, old)
        for other, created in written[1:]:
            created.known_at = self._known_at(None)
            self.market.put_row(other, created)
        before = _without_timestamp(old.document) if old else None
        unchanged = before == _without_timestamp(row.document)
        if not (unchanged and self.options.no_op == "silent"):
            for written_kind, written_row in written:
                self.publisher.publish_write(written_kind, written_row)

    def _known_at(self, old: Row | None) -> float:
        """Return the time from which writes can refer to a row that replaces *old*."""
        if old:
            return old.known_at
        return time.monotonic() + self.options.reference_lag if self.options.reference_lag else 0.0

    def remove(self, kind: Kind, row: Row) -> None:
        """Delete *row* and the rows deleted with it, and publish that."""
        check_delete = rules.DELETE_RULES.get(kind.name)
        if check_delete:
            check_delete(self.market, row)
        cascaded = cascades.deleted_with(self.market, kind, row)
        deleted: list[tuple[Kind, Key]] = [(kind, key_of(row.ids)), *cascaded]
        referrers = [*cascades.referrers_of(self.market, kind, row)]
        removed = [(k, self.market.remove_row(k, key)) for k, key in deleted]
        for referrer in referrers:
            referrer.row.document[referrer.field] = None
        for other, old in removed:
            if old:
                self._keep_stale_delete(other, old)
                self.publisher.publish_delete(other, old)
        for referrer in referrers if self.options.product_resync == "touched" else ():
            if (referrer.kind, key_of(referrer.row.ids)) not in deleted:
                self.publisher.publish_write(referrer.kind, referrer.row)

    def check_rules(self, kind: Kind, ids: Ids, document: Document, old: Row | None) -> None:
        """Apply the write rule of *kind*, which raises when it refuses the write."""
        check = rules.WRITE_RULES.get(kind.name)
        if check:
            check(rules.ProposedWrite(self.market, ids, document, old.document if old else None))

    def _validate_and_save(
        self, kind: Kind, ids: Ids, document: Document, old: Row | None, request: ApiRequest | None
    ) -> Document:
        documents.validate(kind, document, self.options)
        if old is None:
            rules.check_owner(self.market, document)
        rules.check_references(self.market, kind, ids, document)
        self.check_rules(kind, ids if old is None else _ids_of(kind, old), document, old)
        row = Row(tuple(ids[name] for name in kind.ids), {**document, "ID": ids[kind.ids[-1]]})
        self.save(kind, row, old)
        if request and kind.name == "category":
            self._shift_siblings(kind, row, request)
        if kind.eventually_consistent and self.options.product_lag:
            row.previous = old.document if old else None
            row.visible_at = time.monotonic() + self.options.product_lag
        return view_of(self.market, kind, row)

    def _shift_siblings(self, kind: Kind, row: Row, request: ApiRequest) -> None:
        """Move every later sibling on by one for `adjustListOrders`, each in a write of its own."""
        if request.parameter("adjustListOrders").casefold() != "true":
            return
        list_order, parent = row.document["ListOrder"], row.document["ParentID"]
        for other in self.market.tables[kind.name].rows_under(row.ids[:-1]):
            document = other.document
            if (
                other is not row
                and document["ParentID"] == parent
                and document["ListOrder"] >= list_order
            ):
                moved = {**document, "ListOrder": document["ListOrder"] + 1}
                self.save(kind, Row(other.ids, moved), other)

    def _candidates(
        self, kind: Kind, ids: Ids, query: lists.ListQuery
    ) -> tuple[list[Row], lists.ListQuery]:
        """Return the rows that can be in the list, and the part of *query* still to be applied.

        Rows are found by key where the query allows it.
        """
        table, parents = self.market.tables[kind.name], [ids[name] for name in kind.ids[:-1]]
        if plain := lists.split_id_filter(query):
            ids_asked, query = plain
            keys = dict.fromkeys(key_of((*parents, name)) for name in ids_asked)
            return [row for key in keys if (row := table.rows.get(key))], query
        if (after := lists.split_start(query)) and (after[0] or not table.stale_deletes):
            last, query = after
            return table.rows_after(parents, last), query
        if self._has_page_keys(kind, query):
            return table.rows_after(parents, ""), query
        return [*table.rows_under(parents), *self._stale_deletes(table)], query

    def _has_page_keys(self, kind: Kind, query: lists.ListQuery) -> bool:
        """Return whether the list can be continued by `pageKey`."""
        return kind.name == "product" and self.options.page_keys == "given" and not query.sort_by

    def _check_parents(self, kind: Kind, ids: Ids) -> None:
        parents = {name: ids[name] for name in kind.ids[:-1]}
        rules.check_references(self.market, kind, parents, {}, writing=False)

    def _ids_after_rename(self, kind: Kind, row: Row, new_id: Any) -> Ids:
        """Return *row*'s IDs, with *new_id* as the last if one is sent.

        The spelling of the request's path does not count: IDs are equal in any case. Raises a
        409 when another row has the new ID.
        """
        ids = _ids_of(kind, row)
        if not new_id or new_id == row.ids[-1]:
            return ids
        ids |= {kind.ids[-1]: documents.validate_id(new_id)}
        if new_id.casefold() != row.ids[-1].casefold() and self.market.find_row(kind, ids):
            raise ErrorResponse(409, "IdExists", f"{type_name(kind)} {new_id} exists already")
        return ids

    def _move_references(self, kind: Kind, old: Row, new: Row) -> None:
        """Give *old*'s children and referrers the IDs of *new*, and remove *old*."""
        children = cascades.children_of(self.market, kind, old)
        for referrer in [*cascades.referrers_of(self.market, kind, old)]:
            referrer.row.document[referrer.field] = new.ids[-1]
        self.market.remove_row(kind, key_of(old.ids))
        for other, key in children:
            row = self.market.remove_row(other, key)
            if row is None:
                continue
            ids_by_name = dict(zip(other.ids, row.ids, strict=True))
            moved = {
                name: after
                for child, reference in cascades.child_references(kind)
                if child is other
                for name, before, after in zip(reference.ids, old.ids, new.ids, strict=True)
                if ids_by_name[name].casefold() == before.casefold()
            }
            document = row.document | {n: v for n, v in moved.items() if n in row.document}
            self.market.put_row(other, Row(tuple({**ids_by_name, **moved}.values()), document))

    def _keep_stale_delete(self, kind: Kind, row: Row) -> None:
        if kind.eventually_consistent and self.options.product_lag:
            visible_at = time.monotonic() + self.options.product_lag
            stale_row = Row(row.ids, row.document, row.document, visible_at)
            self.market.tables[kind.name].stale_deletes[key_of(row.ids)] = stale_row

    def _find_stale_delete(self, kind: Kind, ids: Ids) -> Row | None:
        key = key_of(ids[name] for name in kind.ids)
        rows = self._stale_deletes(self.market.tables[kind.name])
        return next((row for row in rows if key_of(row.ids) == key), None)

    def _stale_deletes(self, table: Table) -> Iterable[Row]:
        now = time.monotonic()
        for key, row in [*table.stale_deletes.items()]:
            if row.visible_at <= now or key in table.rows:
                del table.stale_deletes[key]
            else:
                yield row


def _ids_of(kind: Kind, row: Row) -> Ids:
    return dict(zip(kind.ids, row.ids, strict=True))


def _down_to_depth(rows: list[Row], depth: str) -> list[Row]:
    if depth.casefold() == "all":
        return rows
    if not depth.isdigit() or not int(depth):
        raise ErrorResponse(400, "List.InvalidType", "depth is a number above 0, or all")
    rows_by_id = {row.ids[-1].casefold(): row for row in rows}

    def level(row: Row) -> int:
        parent: Any = rows_by_id.get(str(row.document.get("ParentID") or "").casefold())
        return 1 + (level(parent) if parent else 0)

    return [row for row in rows if level(row) <= int(depth)]


def _without_timestamp(document: Document) -> Document:
    """Return *document* without its time of the last write, and without those of its models."""
    return {
        name: _without_timestamp(value) if isinstance(value, dict) and name != "xp" else value
        for name, value in document.items()
        if name != "LastUpdated"
    }
