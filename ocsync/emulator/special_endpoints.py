"""Paths that are no plain verb of a kind (api-facts 5.2)."""

from __future__ import annotations

import itertools
from typing import Any

from ocsync.emulator import documents, lists, rules
from ocsync.emulator.entities import Entities
from ocsync.emulator.errors import Refusal, invalid, not_found
from ocsync.emulator.kinds import ALL
from ocsync.emulator.request import Answer, Call
from ocsync.emulator.state import Document, Row, key_of
from ocsync.emulator.views import shown


class Actions:
    """What can be done beside reading and writing one entity."""

    def __init__(self, entities: Entities) -> None:
        self.entities = entities
        self.market = entities.market

    def me(self, call: Call) -> Answer:
        """GET the user that is signed in."""
        seller = {"ID": self.market.id, "Name": self.market.name}
        found = self.market.user(call.caller.user)
        if found is None:  # a client without a user of its own
            document: Document = {
                "ID": call.caller.user,
                "Username": call.caller.user,
                "Active": True,
            }
        else:
            document = shown(self.market, *found)
        roles = list(call.caller.roles)
        company = {"ID": call.caller.company} if call.caller.sort != "admin" else None
        return Answer(200, {
            **document, "AvailableRoles": roles, "Seller": seller,
            "Buyer": company if call.caller.sort == "buyer" else None,
            "Supplier": company if call.caller.sort == "supplier" else None,
        })  # fmt: skip

    def list_buyer_users(self, call: Call) -> Answer:
        """GET users of all buyers."""
        kind = ALL["buyer-user"]
        rows = [*self.market.tables[kind.name].rows.values()]
        wanted = lists.read(call.query, kind.fields)
        return Answer(200, self.entities.page(kind, rows, wanted, call))

    def move_user(self, call: Call) -> Answer:
        """POST a user to another buyer; the groups of the old one are left behind."""
        kind = ALL["buyer-user"]
        row = rules.require(self.market, kind, call.ids)
        new = self.market.tables["buyer"].get([call.ids["NewBuyerID"]])
        if new is None:
            raise not_found("Buyer", call.ids["NewBuyerID"])
        if self.market.tables[kind.name].get([new.ids[0], row.ids[1]]):
            raise Refusal(409, "IdExists", f"User {row.ids[1]} is there already")
        for link in [
            *self.market.linked("usergroup-assignment", BuyerID=row.ids[0], UserID=row.ids[1])
        ]:
            self.entities.remove(ALL["usergroup-assignment"], link)
        self.market.take_out(kind, key_of(row.ids))
        moved = Row((new.ids[0], row.ids[1]), row.document)
        self.entities.keep(kind, moved, None)
        return Answer(201, shown(self.market, kind, moved))

    def list_sellers(self, call: Call) -> Answer:
        """GET who sells to a buyer: the marketplace, and the suppliers linked to it."""
        rules.require(self.market, ALL["buyer"], call.ids)
        found = [{"ID": self.market.id, "Name": self.market.name}]
        for link in self.market.linked("supplier-buyer", BuyerID=call.ids["BuyerID"]):
            supplier = self.market.tables["supplier"].rows[key_of(link.ids[:1])]
            found.append({"ID": supplier.ids[0], "Name": supplier.document["Name"]})
        return Answer(200, lists.plain_page(found, call.query, ALL["supplier"].fields))

    def list_specs(self, call: Call) -> Answer:
        """GET the specs of a product."""
        rules.require(self.market, ALL["product"], call.ids)
        found = [
            shown(self.market, ALL["spec"], spec) for spec in self._specs(call.ids["ProductID"])
        ]
        return Answer(200, lists.plain_page(found, call.query, ALL["spec"].fields))

    def generate_variants(self, call: Call) -> Answer:
        """POST .../variants/generate: a variant for each combination of the options.

        A product without specs has one combination, the empty one. With `overwriteExisting` what
        fits no combination goes, and the others are as new.
        """
        kind, product = ALL["variant"], rules.require(self.market, ALL["product"], call.ids)
        overwrite = call.parameter("overwriteExisting").casefold() == "true"
        active = isinstance(call.body, dict) and bool(call.body.get("Active"))
        wanted = self._combinations(product.ids[0])
        if overwrite:
            for row in self.market.tables[kind.name].below(product.ids):
                self.entities.remove(kind, row)
        for name, specs in wanted.items():
            if self.market.tables[kind.name].get([product.ids[0], name]):
                continue
            given = {"Name": " ".join(s["Value"] for s in specs) or name, "Active": active}
            document = {"ID": name, **documents.blank(kind), **given, "Specs": specs}
            self.entities.keep(kind, Row((product.ids[0], name), document), None)
        return self.entities.get(ALL["product"], call)

    def save_price_break(self, call: Call) -> Answer:
        """POST one price break: an upsert by its quantity."""
        body = call.document()
        if not isinstance(body.get("Quantity"), int):
            raise invalid("Quantity", "is required")
        breaks = [one for one in self._breaks(call) if one["Quantity"] != body["Quantity"]]
        breaks = sorted([*breaks, body], key=lambda one: one["Quantity"])
        return Answer(201, self._set_breaks(call, breaks))

    def delete_price_break(self, call: Call) -> Answer:
        """DELETE one price break, but not the last."""
        now = self._breaks(call)
        left = [one for one in now if str(one["Quantity"]) != call.parameter("quantity")]
        if len(left) == len(now):
            raise not_found("PriceBreak", call.parameter("quantity"))
        if not left:
            text = "a price schedule keeps one price break"
            raise Refusal(400, "PriceSchedule.CannotDeleteLastPriceBreak", text)
        self._set_breaks(call, left)
        return Answer(204)

    def _breaks(self, call: Call) -> list[Document]:
        row = rules.require(self.market, ALL["price-schedule"], call.ids)
        return list(row.document.get("PriceBreaks") or ())

    def _set_breaks(self, call: Call, breaks: list[Document]) -> Any:
        patch = call._replace(body={"PriceBreaks": breaks})
        return self.entities.patch(ALL["price-schedule"], patch).body

    def _specs(self, product: str) -> list[Row]:
        links = self.market.linked("spec-product", ProductID=product)
        return [self.market.tables["spec"].rows[key_of(link.ids[:1])] for link in links]

    def _combinations(self, product: str) -> dict[str, list[Document]]:
        """Variant IDs, and the options that each is made of."""
        choices = []
        for spec in self._specs(product):
            options = self.market.tables["spec-option"].below(spec.ids)
            if spec.document.get("DefinesVariant") and options:
                choices.append([
                    {"SpecID": spec.ids[0], "Name": spec.document["Name"], "OptionID": o.ids[1],
                     "Value": o.document["Value"], "PriceMarkupType": o.document["PriceMarkupType"],
                     "PriceMarkup": o.document["PriceMarkup"]}
                    for o in options
                ])  # fmt: skip
        return {
            "-".join([product, *(one["OptionID"] for one in chosen)]): list(chosen)
            for chosen in itertools.product(*choices)
        }
