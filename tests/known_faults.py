"""Known faults of the program: what they are, what meets them, and an example of each.

Random scenarios keep clear of those in AVOID. One that is mended loses its entry there; it is then
met like everything else, and its example has to pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tests.model import (
    RECORDS,
    STOCK,
    TRACKING,
    Document,
    Entry,
    Key,
    Kind,
    Model,
    Op,
    Refused,
    Row,
    blank,
    key_of,
    kind_of,
)
from tests.scenarios import (
    OWNER,
    Meddling,
    Mode,
    Round,
    Scenario,
    brought_by,
    named_by,
    settle,
)

AVOID: dict[str, str] = {}
"""What each fault is."""


class Case(NamedTuple):
    """An edit about to be drawn: what is there before the round, and the edits staged so far."""

    before: Model
    earlier: Sequence[Entry]
    entry: Entry
    mode: Mode

    @property
    def kind(self) -> Kind:
        """The kind of the entry."""
        return kind_of(self.entry.ref)

    @property
    def mine(self) -> list[Entry]:
        """The earlier edits of the same ref."""
        return [one for one in self.earlier if key_of(one.ref) == key_of(self.entry.ref)]

    @property
    def there(self) -> Document | None:
        """The document that a read shows before the round; None where there is nothing."""
        ref = self.entry.ref
        return self.before.shown(ref) if self.before.has(ref) else None


def deep_keys(entry: Entry) -> set[str]:
    """Return the keys of xp that *entry* writes inside of."""
    return {path.split(".")[1] for path in entry.fields if path.count(".") > 1}


GUARDS: dict[str, Callable[[Case], bool]] = {}
"""Return whether an edit meets a fault of AVOID."""


def avoided(case: Case) -> bool:
    """Return whether an edit would meet a fault that is avoided, or cannot be staged there."""
    return not _stageable([*case.earlier, case.entry]) or any(
        guard(case) for name, guard in GUARDS.items()
    )


def _stageable(edits: Iterable[Entry]) -> bool:
    """Return whether these may be staged together: stock that is a sum stands beside no part of it,
    and no ref is spelled in two ways.
    """
    if not _in_generation_order(edits := [*edits]):
        return False
    sums: set[Key] = set()
    parts: set[Key] = set()
    spelled: dict[Key, str] = {}
    for entry in edits:
        name, *ids = key_of(entry.ref)
        if spelled.setdefault(key_of(entry.ref), entry.ref) != entry.ref:
            return False
        if STOCK in entry.fields:
            sums.add((name, *ids))
        if name in RECORDS:
            parts |= {("product", ids[0]), (RECORDS[name], *ids[:-1])}
    return not sums & parts


def _in_generation_order(edits: Sequence[Entry]) -> bool:
    """Return whether variants are generated after all specs are edited, and none is overwritten
    after it was edited: generations are sent between the two, in whatever order they were staged.
    """
    generated, edited = False, set[str]()
    for entry in edits:
        name, product, *_ = key_of(entry.ref)
        if name.startswith("spec") and generated:
            return False
        if entry.op is Op.GENERATE:
            generated = True
            if product in edited and any(entry.fields.values()):
                return False
        elif name in ("variant", "variant-inventory"):
            edited.add(product)
    return True


def is_fair(model: Model, turn: Round, mode: Mode) -> bool:
    """Return whether the program has to bring *turn* to the very end that the model says.

    Edits that are refused have to be hopeless, and alone: the program leaves out what depends on
    them. Where something is deleted below staged edits anything may be refused that no accepted
    edit writes over.
    """
    try:
        found = settle(model, turn)
    except (Refused, KeyError):
        return False
    staged = [turn.edits[n] for n in found.staged]
    cases = (Case(found.before, staged[:n], entry, mode) for n, entry in enumerate(staged))
    if not _stageable(turn.edits) or any(map(avoided, cases)):
        return False
    if turn.deletes:
        return not any(_is_overwritten(turn.edits[n], found.accepted) for n in found.refused)
    refused = [turn.edits[n] for n in found.refused]
    holds = any(key_of(one.ref)[0].startswith("spec") for one in refused)
    if holds and any(one.op is Op.GENERATE for one in staged):
        return False  # variants are not generated from a part of what was staged for them
    return all(n in found.hopeless and not _is_needed(turn.edits[n], staged) for n in found.refused)


def _is_overwritten(entry: Entry, edits: Iterable[Entry]) -> bool:
    """Return whether one of *edits* writes what *entry* writes: the two become one request."""
    whole = (Op.PUT, Op.ASSIGN)
    return any(
        entry.op in whole or one.op in whole or not entry.fields.keys().isdisjoint(one.fields)
        for one in edits
        if key_of(one.ref) == key_of(entry.ref)
    )


def _is_needed(entry: Entry, edits: Iterable[Entry]) -> bool:
    """Return whether others of *edits* are of what *entry* makes, or name it."""
    made = {key_of(ref) for ref in (entry.ref, *brought_by(entry.ref))}
    return any(made & {key_of(one.ref), *named_by(one)} for one in edits if one is not entry)


PLAIN, FAULTS, LAG, UNDO = Mode(), Mode(faults=True), Mode(lag=True), Mode(undo=True)


def edit(op: str, ref: str, fields: dict[str, Any] | None = None, **more: Any) -> Entry:
    """Return an edit; the IDs of *ref* get the prefix of their scenario later."""
    return Entry(op=Op(op), ref=ref, fields=fields or {}, **more)


class Example(NamedTuple):
    """What is there, and the round that meets the fault; `@` stands for the scenario's prefix."""

    mode: Mode
    there: list[Entry]
    turn: Round


HOUSE = edit("put", "address/@A", {"Street1": "s", "City": "c", "Country": "DE"})
ITEM = edit("put", "product/@P", {"Name": "p", "Inventory.Enabled": True})
BOOK = edit("put", "catalog/@C", {"Name": "c", "xp.a": {"x": 1}, "Description": "d"})
PRICE = edit("put", "price-schedule/@S", {"Name": "s"})
RECORD = edit("put", "inventory/@P/@R", {"AddressID": "@A", "QuantityAvailable": 4})
OWN = edit("put", "buyer/@B", {"Name": "b"})
SHELF = edit("put", "category/@C/@K", {"Name": "k"})
PLACED_IN = edit("assign", "catalog-product/@C/@P")
BUYER = edit("put", "buyer/@B", {"Name": "b", "DefaultCatalogID": "@C"})
GIVEN = edit("assign", "catalog-assignment/@C/@B",
             {"ViewAllCategories": True, "ViewAllProducts": True})  # fmt: skip
SEEN = edit("assign", "product-assignment/@P/@B")
PLACED = edit("assign", "category-product/@C/@K/@P")

EXAMPLES: dict[str, Example] = {
    "put takes away": Example(FAULTS, [BOOK], Round(
        [edit("put", "catalog/@C", {"Name": "c"}, replace=True)])),
    "spelling": Example(PLAIN, [BOOK], Round(
        [SHELF, edit("put", "category/@C/@L", {"Name": "l", "ParentID": "@K"}),
         edit("put", "category/@C/@M", {"Name": "m", "ParentID": "@l"})])),
    "xp of two writers": Example(PLAIN, [BOOK], Round(
        [edit("set", "catalog/@C", {"xp.a.b": 2})],
        meddling=[Meddling("catalog/@C", "xp.a.other", 3, inspected=True)])),
    "unique value handed on": Example(PLAIN, [], Round(
        [edit("set", "admin-user/@U0", {"Username": "@n2"}),
         edit("set", "admin-user/@U1", {"Username": "@n0"}),
         edit("set", "admin-user/@U0", {"Username": "@n1"})])),
    "state between": Example(PLAIN, [HOUSE, ITEM], Round(
        [RECORD, edit("put", "product/@P", {"Name": "q"}, replace=True)])),
    "name of own catalog": Example(PLAIN, [], Round([OWN, edit("set", "buyer/@B", {"Name": "c"})])),
    "sum under an undo": Example(UNDO, [
        edit("put", "product/@P", {"Name": "p", "Inventory.Enabled": True, TRACKING: True})], Round(
        [edit("put", "product/@P", {"Name": "q"}, replace=True)])),
    "inherited under an undo": Example(UNDO, [
        ITEM, edit("put", "product/@Q", {"Name": "q", "IsParent": True, "Description": "d"})], Round(
        [edit("put", "product/@P", {"Name": "p", "ParentID": "@Q"}, replace=True)])),
    "sum before": Example(PLAIN, [
        edit("put", "product/@P", {"Name": "p", "Inventory.Enabled": True, TRACKING: True})], Round(
        [edit("put", "product/@P", {"Name": "p"}, replace=True),
         edit("set", "product/@P", {STOCK: 3})])),
    "brought beside": Example(PLAIN, [ITEM, BOOK, SHELF, PLACED], Round(
        [PLACED], writes=["catalog-product/@C/@P"])),
    "created twice": Example(FAULTS, [], Round([OWN])),
    "dropped by a put": Example(PLAIN, [edit("put", "buyer-group/@G", {"Name": "g"})], Round(
        [edit("put", "buyer/@B", {"Name": "b", "GroupID": "@G"}),
         edit("put", "buyer/@B", {"Name": "b"}, replace=True)])),
    "null filled in": Example(PLAIN, [], Round(
        [edit("put", "buyer/@B", {"Name": "b", "DefaultCatalogID": None})])),
    "expected of what comes": Example(PLAIN, [], Round(
        [OWN, edit("set", "catalog/@B", {"Description": "d"}, expect={"Name": "b"})])),
    "null expected": Example(PLAIN, [PRICE], Round(
        [edit("adjust", "price-schedule/@S", {"MaxQuantity": 3}),
         edit("set", "price-schedule/@S", {"Name": "t"}, expect={"MaxQuantity": 3})])),
    "rest of a model": Example(PLAIN, [edit("put", "product/@P", {"Name": "p"})], Round(
        [edit("set", "product/@P", {"Inventory.Enabled": None}),
         edit("put", "product/@P", {"Name": "x"}, expect={"Inventory.OrderCanExceed": False},
              replace=True)])),
    "dropped, then summed": Example(LAG, [
        edit("put", "product/@P", {"Name": "p", "ShipLength": 2.75})], Round(
        [edit("put", "product/@P", {"Name": "q"}, replace=True),
         edit("adjust", "product/@P", {"ShipLength": 0.5})])),
    "refused, but there": Example(PLAIN, [ITEM, BOOK, PLACED_IN, BUYER, GIVEN, SEEN], Round(
        [SEEN], writes=["catalog-product/@C/@P"])),
    "turned on by a put": Example(FAULTS, [
        HOUSE, ITEM, RECORD, edit("set", "inventory/@P/@R", {"AllowAllBuyers": False})], Round(
        [edit("put", "inventory/@P/@R", {"AddressID": "@A", "QuantityAvailable": 4}, replace=True)])),
    "null under a sum": Example(UNDO, [PRICE], Round(
        [edit("adjust", "price-schedule/@S", {"MaxQuantity": 3})])),
    "null default": Example(UNDO, [
        PRICE, edit("set", "price-schedule/@S", {"MinQuantity": None})], Round(
        [edit("put", "price-schedule/@S", {"Name": "s", "MinQuantity": None, "xp.a": 1}, replace=True)])),
    "first price breaks": Example(UNDO, [PRICE], Round(
        [edit("set", "price-schedule/@S", {"PriceBreaks": [{"Quantity": 1, "Price": 2}]})])),
}  # fmt: skip
RULES: list[dict[str, Any]] = [
    {"method": "PUT", "path": "/catalogs/", "status": 500, "times": 8},
    {"method": "PUT", "path": "/buyers/", "status": 504, "times": 1, "effect": True},
    {"method": "PUT", "path": "/inventoryrecords/", "status": 500, "times": 1},
]
"""The faults of the examples with faults."""


def scenarios(mode: Mode) -> list[Scenario]:
    """Return the scenarios of this mode, each with the name of its fault."""
    examples = {name: example for name, example in EXAMPLES.items() if example.mode == mode}
    return [
        _scenario(name, example, f"w{n}-") for n, (name, example) in enumerate(examples.items())
    ]


def _scenario(name: str, example: Example, prefix: str) -> Scenario:
    model = Model(OWNER)
    for n in range(2):
        ref = f"admin-user/{prefix}U{n}"
        user = {"FirstName": "f", "LastName": "l", "Email": "e", "Active": True}
        document = {**blank(kind_of(ref)), **user, "Username": f"{prefix}n{n}"}
        model.rows[key_of(ref)] = Row(ref, document)
    for entry in example.there:
        model.apply(_prefixed(entry, prefix))
    turn = Round(
        [_prefixed(entry, prefix) for entry in example.turn.edits],
        [_prefixed(write, prefix) for write in example.turn.writes],
        meddling=[_prefixed(one, prefix) for one in example.turn.meddling],
    )
    return Scenario(name, prefix, model, [turn])


def _prefixed(thing: Any, prefix: str) -> Any:
    """Return *thing* with *prefix* in the place of each `@`."""
    if isinstance(thing, str):
        return thing.replace("@", prefix)
    if isinstance(thing, Entry):
        fields = {path: _prefixed(value, prefix) for path, value in thing.fields.items()}
        return Entry(op=thing.op, ref=_prefixed(thing.ref, prefix), fields=fields,
                     expect=thing.expect, replace=thing.replace)  # fmt: skip
    if isinstance(thing, Meddling):
        return thing._replace(ref=_prefixed(thing.ref, prefix))
    return thing
