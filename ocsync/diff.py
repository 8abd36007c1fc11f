"""Comparison of a change with a document that was read: what to send, and what differs. Pure.

A document is the nested JSON that the server answered; None for an entity that does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from typing import Any

from ocsync.dates import instant, rfc3339
from ocsync.field_paths import (
    MISSING,
    flatten,
    is_below,
    is_inside_xp_key,
    join_path,
    json_equal,
    nest,
    split_path,
    value_at,
    with_value,
)
from ocsync.models import Change, Fields, Intent, Op, Ref
from ocsync.schema import KINDS, Field, FieldType, Kind, body_ids, field_at, kind_of

Document = dict[str, Any]


def resolve_values(change: Change, current: Document | None) -> Fields:
    """Return the values to write, absolute.

    Sums are added to *current*, `xp.a.b` becomes a complete `xp.a`: PATCH below the top level of xp
    is not documented; a complete top-level value comes out the same whether the platform replaces
    or merges (guide/ordercloud.md 7). An assignment carries all its fields, null or false where
    none was staged, as the effect of leaving one out is not known either. Dates are RFC 3339.
    """
    kind = kind_of(change.ref)
    fields = dict(change.fields)
    for path in _DATES[kind.name] & fields.keys():
        fields[path] = rfc3339(fields[path]) if isinstance(fields[path], str) else fields[path]
    if change.op in (Op.ASSIGN, Op.GENERATE):
        unset = {n: None if f.nullable else False for n, f in kind.fields.items()}
        return {n: fields.get(n, unset[n]) for n, f in kind.fields.items() if not f.read_only}
    base = current or {}
    for path, amount in change.adjust.items():
        number = value_at(base, path)
        fields[path] = (number if isinstance(number, int | float) else 0) + amount
    if change.op is Op.SET:
        return _complete_xp(fields, base)
    return fields


_DATES = {
    name: frozenset(path for path, field in kind.fields.items() if field.type is FieldType.DATE)
    for name, kind in KINDS.items()
}
"""The fields of each kind that are dates."""


def _complete_xp(fields: Fields, current: Document) -> Fields:
    if not any(map(is_inside_xp_key, fields)):
        return fields
    whole: Fields = {}
    for path, value in fields.items():
        parts = split_path(path)
        if parts[0] != "xp" or len(parts) < 3:
            whole[path] = value
            continue
        top = join_path(parts[:2])
        start = whole.get(top, value_at(current, top))
        whole[top] = with_value(None if start is MISSING else start, parts[2:], value)
    return whole


def request_body(change: Change, sent: Fields) -> Document | None:
    """Return the request's body for the values *sent*; None where all of them are in its query."""
    kind = kind_of(change.ref)
    if kind.query:
        rest = {path: value for path, value in sent.items() if path not in kind.query.values()}
        return nest(rest) if rest else None
    return {**body_ids(change.ref), **nest(sent)} if change.op is Op.ASSIGN else nest(sent)


def diff(ref: Ref, wanted: Fields, found: Document | None) -> dict[str, dict[str, Any]]:
    """Return each path of *wanted* whose value in *found* differs: path -> wanted and found."""
    differences = {}
    for path, value in wanted.items():
        actual = value_at(found, path)
        if not same_value(ref, path, value, actual):
            actual = None if actual is MISSING else actual
            differences[path] = {"wanted": value, "found": actual}
    return differences


def diff_as_written(
    ref: Ref, written: Fields, found: Document | None, *, created: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the differences between *found* and what a request wrote.

    Left out is what the platform makes of it by itself: a value where null was written (with
    *created* that of an entity that came with it, too), and another spelling of an ID.
    """
    differences = diff(ref, written, found)
    if not differences:
        return {}
    kind = kind_of(ref)
    named = {name for reference in kind.references for name in reference.ids}
    brought = {made.unless_field for made in kind.creates if created}
    inherits = bool(kind.inherits_from and value_at(found, kind.inherits_from))

    def is_own(path: str, wanted: Any, actual: Any) -> bool:
        if path in named and isinstance(wanted, str) and isinstance(actual, str):
            return wanted.casefold() == actual.casefold()
        filled = is_blank(actual) or same_value(ref, path, actual, default_of(ref, path))
        field = kind.fields.get(path)
        shows_other = field and field.inherited_by and value_at(found, field.inherited_by)
        return wanted is None and bool(filled or inherits or path in brought or shows_other)

    return {
        path: pair
        for path, pair in differences.items()
        if not is_own(path, pair["wanted"], pair["found"])
    }


def is_blank(value: Any) -> bool:
    """Return whether a field with *value* may be one that nobody has set."""
    return value in (None, {}, [], False, 0, "")


def is_unchanged(change: Change, sent: Fields, current: Document | None) -> bool:
    """Return whether sending would change nothing, a put's omitted fields included."""
    if current is None or diff(change.ref, sent, current):
        return False
    if change.op is not Op.PUT:
        return True
    document = nest(sent)
    for path, field in kind_of(change.ref).fields.items():
        left_out = value_at(document, path) is MISSING
        if left_out and not (field.read_only or field.write_only or field.create_only):
            found = value_at(current, path)
            empty = found == {} and field.type is FieldType.OBJECT
            if not empty and not same_value(change.ref, path, _default_at(path, field), found):
                return False
    xp, now = document.get("xp") or {}, current.get("xp") or {}
    return json_equal(xp, now)


def _default_at(path: str, field: Field) -> Any:
    """Return the value after a put that omits *path*: of a flag false, but in a null model null."""
    is_flag = field.type is FieldType.BOOLEAN and "." not in path
    return False if is_flag and field.default is None else field.default


def writable_fields(kind: Kind, document: Mapping[str, Any], *, creating: bool = False) -> Fields:
    """Return *document* flat, without what cannot be staged or the tables do not know."""
    found: Fields = {}
    for path, value in flatten(document, kind.models).items():
        field = field_at(kind, path)
        if field is None or field.read_only or field.write_only:
            continue
        if not creating and (field.create_only or path == "xp"):
            continue
        if path == "xp" and value != {}:
            continue
        found[path] = value
    return found


def defaults_of(ref: Ref) -> Document:
    """Return the known values of what a put of *ref* creates, where it names none."""
    fields = kind_of(ref).fields.items()
    return {p: f.default for p, f in fields if "." not in p and f.default is not None}


def emptied_by(change: Change, sent: Fields, current: Document | None) -> Fields:
    """Return the fields of *current* that sending a put empties: path -> the value there.

    False, 0 and empty values are left out where no default is known: a put may end with the same,
    and so prove nothing. So are all values of what inherits, as that shows another entity's.
    """
    if change.op is not Op.PUT or current is None:
        return {}
    kind, document = kind_of(change.ref), nest(sent)
    if kind.inherits_from and document.get(kind.inherits_from):
        return {}
    omitted = {
        path: value
        for path, value in writable_fields(kind, current).items()
        if value_at(document, path) is MISSING
    }
    return falling_to_default(change.ref, omitted)


def default_of(ref: Ref, path: str) -> Any:
    """Return the value that a put which leaves *path* out ends with there, as far as is known."""
    field = field_at(kind_of(ref), path)
    return field.default if field and not path.startswith("xp.") else None


def fields_to_put(ref: Ref, fields: Fields, paths: Collection[str] = ()) -> Fields:
    """Return *fields* as a put names them: null only at *paths*, or in place of a default."""
    return {
        path: value
        for path, value in fields.items()
        if value is not None or path in paths or default_of(ref, path) is not None
    }


def falling_to_default(ref: Ref, omitted: Fields) -> Fields:
    """Return those of the values *omitted* by a put that cannot be there after it."""
    defaults = {path: default_of(ref, path) for path in omitted}
    return {
        path: value
        for path, value in omitted.items()
        if not (is_blank(value) and defaults[path] is None)
        and not same_value(ref, path, value, defaults[path])
    }


def is_as_created(change: Change, sent: Fields, current: Document | None) -> bool:
    """Return whether *current* is what a put of *change* creates, with the server's defaults."""
    if current is None or diff(change.ref, sent, current):
        return False
    filled_in = {made.unless_field for made in kind_of(change.ref).creates}
    return emptied_by(change, sent, current).keys() <= filled_in


_STAMP_FIELDS = {
    name: next((path for path in kind.fields if path.endswith("LastUpdated")), "")
    for name, kind in KINDS.items()
}
"""The field of each kind that has the stamp of its stock, "" for none."""


def stock_stamp(ref: Ref, document: Document | None) -> str | None:
    """Return the server's stamp of the last change of the stock in *document*.

    It is empty where the document shows none, and None for a kind without one. That an order
    changes it is inferred (guide/ordercloud.md 7).
    """
    path = _STAMP_FIELDS[ref[: ref.find("/")]]
    if not path:
        return None
    stamp = value_at(document, path)
    return stamp if isinstance(stamp, str) else ""


def is_volatile(ref: Ref, path: str) -> bool:
    """Return whether the platform changes the field at *path* by itself, as orders do stock."""
    field = field_at(kind_of(ref), path)
    return bool(field and field.volatile)


def lacks_base(change: Change, current: Document | None) -> bool:
    """Return whether *change* builds on an entity that *current* does not show."""
    deep = any(map(is_inside_xp_key, change.fields))
    return current is None and change.op is Op.SET and bool(change.adjust or deep)


def values_before(sent: Iterable[str], current: Document | None) -> Fields:
    """Return the values that *current* has at the paths *sent*, without absent ones."""
    values = {path: value_at(current, path) for path in sent}
    return {path: value for path, value in values.items() if value is not MISSING}


def with_own_write(current: Document | None, intent: Intent) -> Document | None:
    """Return *current* with what *intent* wrote in it, if it still shows what was there before.

    What a put left out is at its default then.
    """
    sent, was = intent.sent, intent.before
    if not all(json_equal(value_at(current, path), was.get(path)) for path in sent):
        return current
    left = (p for p, value in intent.emptied.items() if json_equal(value_at(current, p), value))
    document: Any = current
    for path, value in {**{path: default_of(intent.ref, path) for path in left}, **sent}.items():
        document = with_value(document, split_path(path), value)
    return document  # type: ignore[no-any-return]


def is_sale(ref: Ref, path: str, pair: Mapping[str, Any]) -> bool:
    """Return whether a difference is stock that went down after the write.

    Orders go on while a target is paused.
    """
    field, numbers = field_at(kind_of(ref), path), (pair["wanted"], pair["found"])
    if not field or not field.volatile or not all(isinstance(n, int | float) for n in numbers):
        return False
    return bool(pair["found"] < pair["wanted"])


def same_value(ref: Ref, path: str, one: Any, other: Any) -> bool:
    """Return whether *one* and *other* are the same value of a field; dates are the same moment."""
    if json_equal(one, other):
        return True
    field = field_at(kind_of(ref), path)
    if field and field.type is FieldType.DATE and isinstance(one, str) and isinstance(other, str):
        return instant(one) == instant(other)
    return False


def unmet_expectations(
    ref: Ref,
    expect: Mapping[str, Any],
    current: Document | None,
    *,
    null_is_empty: Container[str] = (),
) -> Fields:
    """Return the expectations that *current* does not meet: path -> the value it has.

    At the paths *null_is_empty* null meets an expected 0 or false.
    """
    return {
        path: pair["found"]
        for path, pair in diff(ref, dict(expect), current).items()
        if pair["found"] is not None or path not in null_is_empty or not is_blank(pair["wanted"])
    }


def own_values(
    kind: Kind, document: Document, parent: Document | None, written: Fields
) -> Document:
    """Return *document* without the values that it inherits from its *parent*.

    A read shows a child product with the values of its parent where it has none of its own, and
    does not tell which these are (guide/ordercloud.md 5.2). So a value counts as inherited where
    the parent shows the same, unless it is among those *written*.
    """
    if not kind.inherits_from or not parent or not document.get(kind.inherits_from):
        return document
    own: Document = {}
    for name, value in document.items():
        field = kind.fields.get(name)
        if name == "xp" and isinstance(value, dict):
            own[name] = _without_inherited_keys(value, parent.get(name) or {}, written)
        elif name in kind.models:
            is_written = any(is_below(p, name) and v is not None for p, v in written.items())
            own[name] = value if is_written or not json_equal(value, parent.get(name)) else None
        elif field is None or field.required or not field.nullable:
            own[name] = value  # it is never null, so it has a value of its own
        elif json_equal(value, written.get(name)):
            own[name] = value
        else:
            own[name] = value if not json_equal(value, parent.get(name)) else None
    return own


def _without_inherited_keys(
    xp: Mapping[str, Any], parent: Mapping[str, Any], written: Fields
) -> dict[str, Any]:
    return {
        name: value
        for name, value in xp.items()
        if name not in parent
        or not json_equal(value, parent[name])
        or json_equal(value, written.get(join_path(("xp", name)), MISSING))
    }
