"""Endpoints that are not plain verbs of a kind (guide/ordercloud.md 5.2)."""

from __future__ import annotations

import itertools
from typing import Any

from ocsync.emulator import documents, lists, rules
from ocsync.emulator.entities import Entities
from ocsync.emulator.errors import ErrorResponse, invalid, not_found
from ocsync.emulator.kinds import ALL_KINDS, list_fields
from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.emulator.state import Document, Row, key_of
from ocsync.emulator.views import view_of
from ocsync.schema import PRICE_BREAK, VARIANTS_MAX

ORDER_MOVES = ("None", "Unsubmitted", "All")
"""The orders that can move along with a user."""


class SpecialEndpoints:
    """The handlers of these endpoints."""

    def __init__(self, entities: Entities) -> None:
        self.entities = entities
        self.market = entities.market

    def me(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of the signed-in user."""
        seller = {"ID": self.market.id, "Name": self.market.name}
        user = self.market.find_user(request.caller.user)
        if user is None:  # a client without a user of its own
            document: Document = {
                "ID": request.caller.user,
                "Username": request.caller.user,
                "Active": True,
            }
        else:
            document = view_of(self.market, *user)
        roles = list(request.caller.roles)
        company = {"ID": request.caller.company} if request.caller.user_type != "admin" else None
        return ApiResponse(200, {
            **document, "AvailableRoles": roles, "Seller": seller,
            "Buyer": company if request.caller.user_type == "buyer" else None,
            "Supplier": company if request.caller.user_type == "supplier" else None,
        })  # fmt: skip

    def list_buyer_users(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of the users of all buyers."""
        kind = ALL_KINDS["buyer-user"]
        rows = [*self.market.tables[kind.name].rows.values()]
        query = lists.parse_query(request.query, kind.fields, list_fields(kind))
        return ApiResponse(200, self.entities.page(kind, rows, query, request))

    def move_user(self, request: ApiRequest) -> ApiResponse:
        """Handle a POST that moves a user to another buyer, without its group memberships."""
        kind = ALL_KINDS["buyer-user"]
        row = rules.require_row(self.market, kind, request.ids)
        if request.parameter("orders") not in ORDER_MOVES:
            raise invalid("orders", f"is required, and one of {', '.join(ORDER_MOVES)}")
        new = self.market.tables["buyer"].get([request.ids["NewBuyerID"]])
        if new is None:
            raise not_found("Buyer", request.ids["NewBuyerID"])
        if self.market.tables[kind.name].get([new.ids[0], row.ids[1]]):
            raise ErrorResponse(409, "IdExists", f"User {row.ids[1]} exists already")
        for link in [
            *self.market.links("usergroup-assignment", BuyerID=row.ids[0], UserID=row.ids[1])
        ]:
            self.entities.remove(ALL_KINDS["usergroup-assignment"], link)
        self.market.remove_row(kind, key_of(row.ids))
        moved = Row((new.ids[0], row.ids[1]), row.document)
        self.entities.save(kind, moved, None)
        return ApiResponse(201, view_of(self.market, kind, moved))

    def list_sellers(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of a buyer's sellers: the marketplace, and the suppliers linked to it."""
        rules.require_row(self.market, ALL_KINDS["buyer"], request.ids)
        items = [{"ID": self.market.id, "Name": self.market.name}]
        for link in self.market.links("supplier-buyer", BuyerID=request.ids["BuyerID"]):
            supplier = self.market.tables["supplier"].rows[key_of(link.ids[:1])]
            items.append({"ID": supplier.ids[0], "Name": supplier.document["Name"]})
        return ApiResponse(
            200, lists.filtered_page(items, request.query, ALL_KINDS["supplier"].fields)
        )

    def list_specs(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of the specs of a product."""
        rules.require_row(self.market, ALL_KINDS["product"], request.ids)
        items = [
            view_of(self.market, ALL_KINDS["spec"], spec)
            for spec in self._specs(request.ids["ProductID"])
        ]
        kind = ALL_KINDS["spec"]
        page = lists.filtered_page(items, request.query, kind.fields, list_fields(kind))
        return ApiResponse(200, page)

    def generate_variants(self, request: ApiRequest) -> ApiResponse:
        """Handle a POST that generates a variant for each combination of spec options.

        A product without options is refused, or has one combination, the empty one. With
        `overwriteExisting` all variants are deleted first, so those of the combinations start from
        new documents.
        """
        kind, product = (
            ALL_KINDS["variant"],
            rules.require_row(self.market, ALL_KINDS["product"], request.ids),
        )
        overwrite = request.parameter("overwriteExisting").casefold() == "true"
        active = isinstance(request.body, dict) and bool(request.body.get("Active"))
        combinations = self._combinations(product.ids[0])
        options = self.entities.options
        if [*combinations] == [product.ids[0]] and options.generate_without_options == "refused":
            raise ErrorResponse(400, "ValidationFailure", "Invalid spec configuration")
        if len(combinations) > VARIANTS_MAX:
            raise ErrorResponse(400, "Variant.ExceededLimit", f"more than {VARIANTS_MAX} variants")
        generated = [*combinations] if overwrite else []
        if overwrite:
            for row in self.market.tables[kind.name].rows_under(product.ids):
                self.entities.remove(kind, row)
        for name, specs in combinations.items():
            if self.market.tables[kind.name].get([product.ids[0], name]):
                continue
            given = {"Active": active}
            document = {"ID": name, **documents.blank_document(kind), **given, "Specs": specs}
            self.entities.save(kind, Row((product.ids[0], name), document), None)
            generated.append(name)
        if not generated and options.no_op == "deliver":
            self.entities.publisher.publish_write(ALL_KINDS["product"], product)
        return ApiResponse(201, view_of(self.market, ALL_KINDS["product"], product))

    def save_price_break(self, request: ApiRequest) -> ApiResponse:
        """Handle a POST of one price break, which is an upsert by its quantity."""
        body = request.document()
        body = documents.read_section(PRICE_BREAK, body, self.market.options)
        documents.validate_fields(PRICE_BREAK, body)
        breaks = [
            price_break
            for price_break in self._breaks(request)
            if price_break["Quantity"] != body["Quantity"]
        ]
        breaks = sorted([*breaks, body], key=lambda price_break: price_break["Quantity"])
        return ApiResponse(201, self._set_breaks(request, breaks))

    def delete_price_break(self, request: ApiRequest) -> ApiResponse:
        """Handle a DELETE of one price break; the last one cannot be deleted."""
        breaks = self._breaks(request)
        remaining = [
            price_break
            for price_break in breaks
            if str(price_break["Quantity"]) != request.parameter("quantity")
        ]
        if len(remaining) == len(breaks):
            raise not_found("PriceBreak", request.parameter("quantity"))
        if not remaining:
            text = "a price schedule keeps one price break"
            raise ErrorResponse(400, "PriceSchedule.CannotDeleteLastPriceBreak", text)
        self._set_breaks(request, remaining)
        return ApiResponse(204)

    def _breaks(self, request: ApiRequest) -> list[Document]:
        row = rules.require_row(self.market, ALL_KINDS["price-schedule"], request.ids)
        return list(row.document.get("PriceBreaks") or ())

    def _set_breaks(self, request: ApiRequest, breaks: list[Document]) -> Any:
        patch = request._replace(body={"PriceBreaks": breaks})
        return self.entities.patch(ALL_KINDS["price-schedule"], patch).body

    def _specs(self, product: str) -> list[Row]:
        links = self.market.links("spec-product-assignment", ProductID=product)
        return [self.market.tables["spec"].rows[key_of(link.ids[:1])] for link in links]

    def _combinations(self, product: str) -> dict[str, list[Document]]:
        """Return the ID of each variant, and the spec options that it consists of."""
        links = self.market.links("spec-product-assignment", ProductID=product)
        choices, all_known = [], all(link.is_known for link in links)
        for spec in sorted(self._specs(product), key=_list_order):
            rows = self.market.tables["spec-option"].rows_under(spec.ids)
            options = sorted(rows, key=_list_order)
            all_known = all_known and all(row.is_known for row in (spec, *options))
            if spec.document.get("DefinesVariant") and options:
                choices.append([
                    {"SpecID": spec.ids[0], "Name": spec.document["Name"], "OptionID": o.ids[1],
                     "Value": o.document["Value"], "PriceMarkupType": o.document["PriceMarkupType"],
                     "PriceMarkup": o.document["PriceMarkup"]}
                    for o in options
                ])  # fmt: skip
        if not all_known:
            raise ErrorResponse(400, "ValidationFailure", "Invalid spec configuration")
        return {
            "-".join([product, *(one["OptionID"] for one in chosen)]): list(chosen)
            for chosen in itertools.product(*choices)
        }


def _list_order(row: Row) -> tuple[int, str]:
    return (row.document.get("ListOrder") or 0, row.ids[-1].casefold())
