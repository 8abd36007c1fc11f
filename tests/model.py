"""A model of a marketplace: the documents that edits leave when each is sent on its own, in order.

It is written from what OrderCloud documents, and apart from both the program and the emulator: it
shares the table of kinds with them and no code. Where nothing is documented it takes the likeliest
behaviour, or raises Unclear, so that no test relies on a guess.

    set, adjust   PATCH: the fields that are named change; a key of xp is replaced whole
    put           PUT: creates, or replaces everything but what only a creation can set
    assign        POST: an upsert that leaves nothing of an earlier assignment
    generate      POST: makes a variant of each combination of the options of a product's specs
    delete        takes everything along that has the IDs in its own, and categories below a category
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from ocsync.models import Entry, Op
from ocsync.schema import (
    INTEGER_MAX,
    INTEGER_MIN,
    KINDS,
    Field,
    FieldType,
    Kind,
    body_ids,
    delete_url_of,
    url_of,
    write_url_of,
)

__all__ = [
    "KINDS",
    "Entry",
    "Field",
    "FieldType",
    "Kind",
    "Op",
    "body_ids",
    "delete_url_of",
    "url_of",
    "write_url_of",
]
"""The table of kinds and the nouns, for whoever tests with this model."""

Document = dict[str, Any]
Key = tuple[str, ...]

STOCK, TRACKING = "Inventory.QuantityAvailable", "Inventory.VariantLevelTracking"
RECORDS = {"inventory": "product", "variant-inventory": "variant"}
"""The kinds of inventory records, and the kind whose stock is their sum."""
RULED = {
    "Username", "ParentID", "IsParent", "Country", "State", "Zip", "Currency", "PriceBreaks",
    "MinQuantity", "MaxQuantity", "SaleStart", "SaleEnd",
}  # fmt: skip
"""The fields that a rule below speaks about."""


class Refused(Exception):
    """The platform refuses this; *rule* is the name of the rule that it breaks."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Unclear(Refused):
    """Nobody documents what the platform makes of this."""


class Row(NamedTuple):
    """An entity or assignment, under the ref that created it."""

    ref: str
    document: Document


@cache
def key_of(ref: str) -> Key:
    """Return *ref* as a key: the platform takes IDs that differ only in case for the same."""
    return tuple(ref.casefold().split("/"))


@cache
def kind_of(ref: str) -> Kind:
    """Return the table's row for the kind of *ref*."""
    return KINDS[ref.partition("/")[0]]


@cache
def ids_of(ref: str) -> Mapping[str, str]:
    """Return the IDs of *ref* by their names; an optional one that is left out is missing."""
    ids = zip(kind_of(ref).ids, ref.split("/")[1:], strict=False)
    return {name: value for name, value in ids if value}


def named_in(ref: str, document: Mapping[str, Any]) -> list[str]:
    """Return the refs that *ref* names, in its own IDs or in the fields of its document."""
    ids, found = ids_of(ref), []
    for kind, names, unless in _references(ref.partition("/")[0]):
        if any(name in ids for name in unless):
            continue
        values = [ids[name] if name in ids else document.get(name) for name in names]
        if all(values):
            found.append("/".join([kind, *map(str, values)]))
    return found


@cache
def _references(name: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(one.kind, one.ids, one.unless) for one in KINDS[name].references]


def parents_of(ref: str) -> list[str]:
    """Return the refs that *ref* cannot exist without."""
    return named_in(ref, {})


def value_at(document: Any, path: str) -> Any:
    """Return the value at a dotted path, null where there is none."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _written_ids(name: str) -> tuple[str, ...]:
    """Return the names of the IDs in a document of this kind: an entity's own is `ID`."""
    ids = KINDS[name].ids
    return ids if KINDS[name].assignment else (*ids[:-1], "ID")


def _listed(row: Row) -> tuple[int, str]:
    """Return the place of a spec or an option among others."""
    return (row.document["ListOrder"] or 0, key_of(row.ref)[-1])


class Model:
    """A marketplace in memory. Documents are never changed in place, so a copy is cheap."""

    def __init__(self, owner: str, rows: Mapping[Key, Row] | None = None) -> None:
        self.owner = owner
        self.rows: dict[Key, Row] = dict(rows or {})

    @classmethod
    def read(cls, owner: str, seed: Mapping[str, Any]) -> Model:
        """Return the model of a marketplace that is written as lists of documents by kind."""
        model = cls(owner)
        for name in KINDS:
            for given in seed.get(name, ()):
                document = dict(given)
                ids = [document.pop(own, None) or "" for own in _written_ids(name)]
                ref = "/".join([name, *ids]).rstrip("/")
                model.rows[key_of(ref)] = Row(ref, document)
        return model

    def seed(self) -> dict[str, list[Document]]:
        """Return this marketplace as lists of documents by kind."""
        found: dict[str, list[Document]] = {}
        for row in self.rows.values():
            name, *ids = row.ref.split("/")
            pairs = zip(_written_ids(name), ids, strict=False)
            named = {own: value for own, value in pairs if value}
            found.setdefault(name, []).append({**named, **row.document})
        return found

    def copy(self) -> Model:
        """Return a model that goes its own way from here."""
        return Model(self.owner, self.rows)

    def has(self, ref: str) -> bool:
        """Return whether *ref* exists."""
        return key_of(ref) in self.rows

    def of_kind(self, *names: str) -> list[Row]:
        """Return the rows of these kinds."""
        return [row for key, row in self.rows.items() if key[0] in names]

    def shown(self, ref: str) -> Document:
        """Return what a read shows: with what a child inherits, and with sums of records."""
        document = self.rows[key_of(ref)].document
        parent = self.rows.get(("product", str(document.get("ParentID")).casefold()))
        if key_of(ref)[0] == "product" and parent:
            own = {name: value for name, value in document.items() if value is not None}
            xp = {**(parent.document["xp"] or {}), **(document["xp"] or {})}
            document = {**parent.document, **own, "IsParent": False, "xp": xp}
        records, inventory = self.records_of(ref), document.get("Inventory")
        if records and inventory:
            total = sum(row.document["QuantityAvailable"] or 0 for row in records)
            document = {**document, "Inventory": {**inventory, "QuantityAvailable": total}}
        return document

    def records_of(self, ref: str) -> list[Row]:
        """Return the inventory records of a product (its variants' too) or of a variant."""
        own = key_of(ref)
        return [
            row
            for name, above in RECORDS.items()
            if own[0] in ("product", above)
            for row in self.of_kind(name)
            if key_of(row.ref)[1 : len(own)] == own[1:]
        ]

    def apply(self, entry: Entry) -> None:
        """Send one entry; a refused one raises Refused and changes nothing."""
        kind, row = kind_of(entry.ref), self.rows.get(key_of(entry.ref))
        self._check_expected(entry, row)
        if entry.op in (Op.SET, Op.ADJUST):
            if row is None:
                raise Refused("missing")
            base = self.shown(entry.ref)
            fields = _summed(entry.fields, base) if entry.op is Op.ADJUST else entry.fields
            document = _merged(kind, row.document, _whole_keys(fields, base))
        elif entry.op is Op.GENERATE:
            self._generate(ids_of(entry.ref)["ProductID"], overwrite=any(entry.fields.values()))
            return
        elif entry.op is Op.PUT:
            if row and not entry.replace:
                raise Refused("exists")
            old = row.document if row else {}
            kept = {n: old.get(n) for n, f in kind.fields.items() if f.create_only}
            document = _merged(kind, {**blank(kind), **kept}, _whole_keys(entry.fields, {}))
            if "OwnerID" in kind.fields:
                document["OwnerID"] = document["OwnerID"] or self.owner
        else:
            document = {**unset(kind), **entry.fields}
        if STOCK in entry.fields and self._is_sum(entry.ref, document, row):
            raise Unclear("sum")
        self.keep(entry.ref, document)

    def _generate(self, product: str, *, overwrite: bool) -> None:
        """Make a variant of each combination of options; *overwrite* begins with none."""
        row = self.rows.get(("product", product.casefold()))
        if row is None:
            raise Refused("missing")
        choices = []
        specs = [r for r in self.of_kind("spec-product-assignment")
                 if key_of(r.ref)[2] == product.casefold()]  # fmt: skip
        for spec in sorted((self.rows[("spec", key_of(r.ref)[1])] for r in specs), key=_listed):
            under = key_of(spec.ref)[1:]
            options = [o for o in self.of_kind("spec-option") if key_of(o.ref)[1:2] == under]
            if spec.document["DefinesVariant"] and options:
                choices.append([o.ref.split("/")[2] for o in sorted(options, key=_listed)])
        if not choices:
            raise Refused("no options")
        name = row.ref.split("/")[1]
        if overwrite:
            for old in self.of_kind("variant"):
                if key_of(old.ref)[1] == product.casefold():
                    for key in self.along(old.ref):
                        del self.rows[key]
        for chosen in itertools.product(*choices):
            ref = f"variant/{name}/{'-'.join([name, *chosen])}"
            self.rows.setdefault(key_of(ref), Row(ref, blank(KINDS["variant"])))

    def keep(self, ref: str, document: Document) -> None:
        """Store *document*, and what comes into being with it. Raises Refused."""
        kind, row = kind_of(ref), self.rows.get(key_of(ref))
        if row is None and not kind.deletable:
            raise Refused("missing")  # it is generated, never put
        _check_fields(kind, ids_of(ref), document)
        for other in named_in(ref, document):
            if key_of(other) == key_of(ref):
                raise Unclear("itself")
            if not self.has(other):
                raise Refused(f"no {other.partition('/')[0]}")
        if rule := _RULES.get(kind.name):
            rule(self, ref, document, row.document if row else None)
        self.rows[key_of(ref)] = Row(row.ref if row else ref, document)
        if bring := _BRINGS.get(kind.name):
            for made in bring(self, ref, row):
                self.rows.setdefault(key_of(made.ref), made)

    def delete(self, ref: str) -> None:
        """Delete *ref* and everything that goes along. Raises Refused."""
        own = self.rows.get(key_of(ref))
        if own is None:
            raise Refused("missing")
        if rule := _KEEPERS.get(kind_of(ref).name):
            rule(self, ref)
        gone = self.along(ref)
        for key in gone:
            del self.rows[key]
        for key, row in [*self.rows.items()]:
            if key[0] in KINDS:
                lost = {
                    reference.ids[-1]: None
                    for reference in kind_of(row.ref).references
                    for other in named_in(row.ref, row.document)
                    if other.startswith(reference.kind + "/") and key_of(other) in gone
                }
                if lost:
                    self.rows[key] = row._replace(document={**row.document, **lost})

    def along(self, ref: str) -> set[Key]:
        """Return the keys of *ref* and of what is deleted with it."""
        gone = {key_of(ref)}
        while True:
            more = {
                key
                for key, row in self.rows.items()
                if key not in gone and any(key_of(p) in gone for p in self._needs(row))
            }
            if not more:
                return gone
            gone |= more

    def _needs(self, row: Row) -> Iterable[str]:
        """Return the refs that *row* goes along with."""
        subtree = kind_of(row.ref).parent_field
        below = {subtree: row.document.get(subtree)} if subtree else {}
        return named_in(row.ref, below)

    def _check_expected(self, entry: Entry, row: Row | None) -> None:
        for path, expected in entry.expect.items():
            found = value_at(self.shown(entry.ref), path) if row else None
            same = found == expected and isinstance(found, bool) is isinstance(expected, bool)
            if row is None or not same:
                raise Refused("expected")

    def _is_sum(self, ref: str, document: Document, row: Row | None) -> bool:
        """Return whether the stock of *ref* is a sum, so that a write of it never shows."""
        states = [document, row.document if row else {}]
        tracked = any(value_at(one, TRACKING) for one in states)
        return tracked or bool(self.records_of(ref))


def blank(kind: Kind) -> Document:
    """Return a document in which nothing is given: flags are false, the rest null or a default."""
    plain = {
        path: False if field.default is None and field.type is FieldType.BOOLEAN else field.default
        for path, field in kind.fields.items()
        if "." not in path and not field.read_only and not field.write_only
    }
    return {**plain, **dict.fromkeys(kind.models)}


def unset(kind: Kind) -> Document:
    """Return an assignment in which nothing is given: false where null is not taken."""
    return {name: None if field.nullable else False for name, field in kind.fields.items()}


def _summed(amounts: Mapping[str, Any], base: Document) -> Document:
    return {path: (value_at(base, path) or 0) + amount for path, amount in amounts.items()}


def _whole_keys(fields: Mapping[str, Any], base: Document) -> Document:
    """Return *fields* with every path inside a key of xp made the complete value of that key."""
    whole: Document = {}
    for path, value in fields.items():
        head, *names = path.split(".")
        if head != "xp" or len(names) < 2:
            whole[path] = value
            continue
        top = f"xp.{names[0]}"
        start = whole[top] if top in whole else (base.get("xp") or {}).get(names[0])
        whole[top] = _with(start, names[1:], value)
    return whole


def _with(value: Any, names: list[str], inner: Any) -> Any:
    if not names:
        return inner
    start = value if isinstance(value, dict) else {}
    return {**start, names[0]: _with(start.get(names[0]), names[1:], inner)}


def _merged(kind: Kind, document: Document, fields: Mapping[str, Any]) -> Document:
    result = dict(document)
    for path, value in fields.items():
        model, _, member = path.partition(".")
        field = kind.fields.get(path)
        if member and model == "xp":
            result["xp"] = {**(result["xp"] or {}), member: value}
        elif member:
            start = {
                name.partition(".")[2]: False if f.type is FieldType.BOOLEAN else f.default
                for name, f in kind.fields.items()
                if name.startswith(model + ".") and not f.read_only
            }
            result[model] = {**(result[model] or start), member: value}
        elif path == "xp":
            result["xp"] = result["xp"] or value
        elif not (field and field.create_only and result.get(path)):
            result[path] = value
    inventory = result.get("Inventory")
    if inventory and inventory.get("Enabled"):  # what is not set reads as 0 then
        result["Inventory"] = {
            **inventory, "QuantityAvailable": inventory.get("QuantityAvailable") or 0
        }  # fmt: skip
    return result


def _check_fields(kind: Kind, ids: Mapping[str, str], document: Document) -> None:
    for path, field in _checked(kind.name):
        value = value_at(document, path) if "." in path else document[path]
        if (field.required or field.required_with in ids) and value in (None, ""):
            raise Refused("required")
        if value is not None and not _fits(field, value):
            raise Refused("range")


@cache
def _checked(name: str) -> list[tuple[str, Field]]:
    """Return the fields that a rule of their own can refuse."""
    return [
        (path, field)
        for path, field in KINDS[name].fields.items()
        if not field.read_only
        and (
            field.required
            or field.required_with
            or field.type is FieldType.INTEGER
            or (field.max, field.min) != (None, None)
        )
    ]


def _fits(field: Field, value: Any) -> bool:
    if field.type is FieldType.INTEGER and not INTEGER_MIN <= value <= INTEGER_MAX:
        return False
    size = len(value) if isinstance(value, str) else value
    return not (
        (field.max is not None and size > field.max) or (field.min is not None and size < field.min)
    )


def _address(_: Model, __: str, document: Document, ___: Document | None) -> None:
    if document["Country"] in ("US", "CA") and not (document["State"] and document["Zip"]):
        raise Refused("state and zip")


def _buyer(model: Model, ref: str, document: Document, old: Document | None) -> None:
    own = ids_of(ref)["BuyerID"]
    named = document["DefaultCatalogID"] or _catalog_of_group(model, document)
    if old is None and not named and model.has(f"catalog/{own}"):
        raise Refused("own catalog exists")


def _catalog_of_group(model: Model, buyer: Document) -> str | None:
    """Return the default catalog of the group that a buyer is in."""
    row = model.rows.get(("buyer-group", str(buyer["GroupID"]).casefold()))
    return row.document["DefaultCatalogID"] if row else None


def _catalogs_of(model: Model, buyer: str) -> set[str]:
    """Return the catalogs, in lower case, that are given to a buyer or to its group."""
    group = str(model.rows[key_of(f"buyer/{buyer}")].document["GroupID"]).casefold()
    assigned = [key for key in model.rows if key[0] == "catalog-assignment"]
    ways = ((2, buyer.casefold()), (3, group))
    return {key[1] for key in assigned for place, one in ways if key[place:][:1] == (one,)}


def _category(model: Model, ref: str, document: Document, _: Document | None) -> None:
    catalog, own = ref.split("/")[1:]
    above = document["ParentID"]
    while above:
        if above.casefold() == own.casefold():
            raise Refused("circle")
        above = model.rows[key_of(f"category/{catalog}/{above}")].document["ParentID"]


def _price_schedule(model: Model, ref: str, document: Document, old: Document | None) -> None:
    breaks = document["PriceBreaks"] or []
    if len({one["Quantity"] for one in breaks}) < len(breaks):
        raise Refused("price breaks")
    if old and old["PriceBreaks"] and not breaks:
        raise Refused("price breaks cleared")
    if (document["MinQuantity"] or 0) > (document["MaxQuantity"] or INTEGER_MAX):
        raise Refused("quantities")
    if (
        document["SaleStart"]
        and document["SaleEnd"]
        and document["SaleStart"] > document["SaleEnd"]
    ):
        raise Refused("sale dates")
    if old and old["Currency"] != document["Currency"]:
        users = model.of_kind("product", "product-assignment")
        if any(key_of(ref) in map(key_of, named_in(r.ref, r.document)) for r in users):
            raise Refused("currency")


def _product(model: Model, ref: str, document: Document, old: Document | None) -> None:
    parent = document["ParentID"] and model.rows[key_of(f"product/{document['ParentID']}")].document
    children = any(
        (row.document["ParentID"] or "").casefold() == key_of(ref)[1]
        for row in model.of_kind("product")
    )
    if parent and not parent["IsParent"]:
        raise Refused("parent")
    if (parent and (parent["ParentID"] or document["IsParent"])) or (
        children and not document["IsParent"]
    ):
        raise Unclear("family")
    tracks = bool((document["Inventory"] or {}).get("VariantLevelTracking"))
    tracked = bool(((old or {}).get("Inventory") or {}).get("VariantLevelTracking"))
    if tracks and (parent or document["IsParent"]):
        raise Refused("tracking")
    if old and tracks is not tracked and model.records_of(ref):
        raise Refused("tracking")


def _record(model: Model, ref: str, _: Document, old: Document | None) -> None:
    if old is None:
        product = model.rows[key_of(f"product/{ids_of(ref)['ProductID']}")].document
        if product["Inventory"] is None:
            raise Refused("no inventory")
        if bool(product["Inventory"]["VariantLevelTracking"]) is not ("VariantID" in ids_of(ref)):
            raise Refused("records mixed")


def _user(model: Model, ref: str, document: Document, _: Document | None) -> None:
    for row in model.of_kind(*(k.name for k in KINDS.values() if "Username" in k.fields)):
        same = row.document["Username"].casefold() == document["Username"].casefold()
        if same and key_of(row.ref) != key_of(ref):
            raise Refused("user name")


def _product_assignment(model: Model, ref: str, document: Document, _: Document | None) -> None:
    ids = {name: value.casefold() for name, value in ids_of(ref).items()}
    if "SellerID" in ids:
        price = model.rows[key_of(f"price-schedule/{document['PriceScheduleID']}")].document
        if str(price["OwnerID"]).casefold() != ids["SellerID"]:
            raise Refused("another seller's price")
    product, buyer = ids["ProductID"], ids["BuyerID"]
    having = {key[1] for key in model.rows if key[0] == "catalog-product" and key[2] == product}
    if not having & _catalogs_of(model, buyer):
        raise Refused("not in a catalog of the buyer")


def _category_assignment(model: Model, ref: str, _: Document, __: Document | None) -> None:
    ids = ids_of(ref)
    if ids["CatalogID"].casefold() not in _catalogs_of(model, ids["BuyerID"]):
        raise Refused("no catalog-assignment")


def _no_child(model: Model, ref: str, _: Document, __: Document | None) -> None:
    if model.rows[key_of(f"product/{ids_of(ref)['ProductID']}")].document["ParentID"]:
        raise Refused("child product")


_Rule = Callable[[Model, str, Document, Document | None], None]
_RULES: dict[str, _Rule] = {
    "address": _address,
    "supplier-address": _address,
    "buyer": _buyer,
    "category": _category,
    "price-schedule": _price_schedule,
    "product": _product,
    "inventory": _record,
    "variant-inventory": _record,
    "buyer-user": _user,
    "supplier-user": _user,
    "admin-user": _user,
    "product-assignment": _product_assignment,
    "category-assignment": _category_assignment,
    "catalog-product": _no_child,
    "category-product": _no_child,
}
"""What a write may not do, by kind: (model, ref, new document, old document)."""


def _own_catalog(model: Model, ref: str, old: Row | None) -> list[Row]:
    """A buyer that is created without a default catalog gets one, and sees all of it."""
    document, own = model.rows[key_of(ref)].document, ids_of(ref)["BuyerID"]
    if old or document["DefaultCatalogID"] or _catalog_of_group(model, document):
        return []
    model.rows[key_of(ref)] = Row(ref, {**document, "DefaultCatalogID": own})
    catalog = {
        **blank(KINDS["catalog"]), "Name": document["Name"], "Active": True,
        "OwnerID": model.owner, "Description": f"Default catalog for {document['Name']}",
    }  # fmt: skip
    both = {"ViewAllCategories": True, "ViewAllProducts": True}
    return [Row(f"catalog/{own}", catalog), Row(f"catalog-assignment/{own}/{own}", both)]


def _in_catalog(_: Model, ref: str, __: Row | None) -> list[Row]:
    """A product in a category is in its catalog as well."""
    ids = ids_of(ref)
    return [Row(f"catalog-product/{ids['CatalogID']}/{ids['ProductID']}", {})]


def _supplied(model: Model, ref: str, _: Row | None) -> list[Row]:
    """A product is linked to its default supplier."""
    supplier = model.rows[key_of(ref)].document["DefaultSupplierID"]
    link = f"product-supplier/{ids_of(ref)['ProductID']}/{supplier}"
    return [Row(link, {"DefaultPriceScheduleID": None})] if supplier else []


_BRINGS: dict[str, Callable[[Model, str, Row | None], list[Row]]] = {
    "buyer": _own_catalog,
    "category-product": _in_catalog,
    "product": _supplied,
}
"""What comes into being with a write, by kind: (model, ref, row before)."""


def _is_default(model: Model, ref: str) -> None:
    own = key_of(ref)[1]
    if any(
        (r.document["DefaultCatalogID"] or "").casefold() == own for r in model.of_kind("buyer")
    ):
        raise Refused("default catalog")


def _has_records(model: Model, ref: str) -> None:
    own = key_of(ref)[1]
    if any(row.document["AddressID"].casefold() == own for row in model.of_kind(*RECORDS)):
        raise Refused("records refer to it")


def _has_children(model: Model, ref: str) -> None:
    own = key_of(ref)[1]
    if any(key_of(row.ref)[2] == own for row in model.of_kind("bundle-product")):
        raise Refused("in a bundle")
    if any((r.document["ParentID"] or "").casefold() == own for r in model.of_kind("product")):
        raise Refused("child products")


_KEEPERS: dict[str, Callable[[Model, str], None]] = {
    "catalog": _is_default,
    "address": _has_records,
    "product": _has_children,
}
"""What keeps an entity from being deleted, by kind."""


def differences(
    wanted: Model, found: Model, seen: Callable[[Document], Document] = dict
) -> list[tuple[str, str]]:
    """Return each ref (in lower case) that differs, and how; *seen* makes documents simpler.

    Null is the same as nothing, and so is an empty xp. What the platform writes by itself does not
    count, nor does a quantity that is a sum, or that is 0 where inventory is switched off.
    """
    lines = []
    for key in sorted(wanted.rows.keys() | found.rows.keys()):
        one, other = wanted.rows.get(key), found.rows.get(key)
        if one is None or other is None:
            lines.append(("/".join(key), "is missing" if one else f"is there: {other}"))
        elif any(one.document.get(n) != other.document.get(n) for n in _compared_names(key[0])):
            left, right = (seen(_compared(m, r)) for m, r in ((wanted, one), (found, other)))
            lines += [
                ("/".join(key), f"{name} is {right.get(name)!r}, not {left.get(name)!r}")
                for name in sorted(left.keys() | right.keys())
                if left.get(name) != right.get(name)
            ]
    return lines


IRREVOCABLE = {"PriceBreaks", "Inventory"}
"""The fields that no request may bring back to what they were."""


def irrevocable(before: Model, after: Model) -> set[tuple[str, str]]:
    """Return what no request brings back to what it was *before*: refs in lower case, and fields.

    Price breaks are never cleared once there are any, nor inventory settings, so that those of the
    parent would show again. Own settings that are the same as the parent's count as the parent's.
    A put takes the stock beside records that came into being with it: it cannot be written then.
    """
    found = set()
    slim = without_inherited(before)
    for key in before.rows.keys() & after.rows.keys():
        old, shown, new = slim.rows[key].document, before.rows[key], after.rows[key].document
        if new.get("PriceBreaks") and not old.get("PriceBreaks"):
            found.add(("/".join(key), "PriceBreaks"))
        stock = value_at(before.rows[key].document, STOCK)
        if stock and after.records_of(shown.ref) and not before.records_of(shown.ref):
            found.add(("/".join(key), "Inventory"))
        inherits = key[0] == "product" and shown.document["ParentID"]
        settings = before.shown(shown.ref)["Inventory"] if inherits else None
        if settings and new["Inventory"] and not old["Inventory"]:
            found.add(("/".join(key), "Inventory"))
    return found


def without_inherited(model: Model) -> Model:
    """Return *model* without a child's own values that are the same as its parent's.

    No read tells them from inherited ones.
    """
    slim = model.copy()
    for key, row in model.rows.items():
        parent = model.rows.get(("product", str(row.document.get("ParentID")).casefold()))
        if key[0] == "product" and parent:
            theirs, xp = parent.document, parent.document["xp"] or {}
            own = {name: None if value == theirs[name] else value
                   for name, value in row.document.items()}  # fmt: skip
            keys = row.document["xp"] or {}
            own["xp"] = {n: value for n, value in keys.items() if n not in xp or value != xp[n]}
            slim.rows[key] = row._replace(document=own)
    return slim


@cache
def _compared_names(name: str) -> list[str]:
    fields = KINDS[name].fields if name in KINDS else {}
    names = dict.fromkeys(path.partition(".")[0] for path in fields)
    return [one for one in names if one not in fields or not fields[one].read_only]


def _compared(model: Model, row: Row) -> Document:
    names = _compared_names(row.ref.partition("/")[0])
    document = {name: _without_nulls(row.document.get(name)) for name in names}
    if inventory := document.get("Inventory"):
        quantity = inventory.pop("QuantityAvailable", None)
        counts = quantity or (quantity is not None and inventory.get("Enabled"))
        if counts and not model.records_of(row.ref):
            inventory["QuantityAvailable"] = quantity
        inventory.pop("LastUpdated", None)
    return {name: value for name, value in document.items() if value not in (None, {})}


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(one) for name, one in value.items() if one is not None}
