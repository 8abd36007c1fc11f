"""Documents under the rules of the tables: new ones, PATCH, and what is refused in them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from ocsync.emulator.errors import invalid
from ocsync.emulator.kinds import ALL
from ocsync.emulator.options import Options
from ocsync.emulator.state import Document, stamp
from ocsync.schema import ID_PATTERN, INTEGER_MAX, INTEGER_MIN, XP_MAX_BYTES, Field, FieldType, Kind

_TYPES: dict[FieldType, tuple[type, ...]] = {
    FieldType.TEXT: (str,),
    FieldType.DATE: (str,),
    FieldType.INTEGER: (int,),
    FieldType.NUMBER: (int, float),
    FieldType.BOOLEAN: (bool,),
    FieldType.LIST: (list,),
    FieldType.OBJECT: (dict,),
}


def members(kind: Kind) -> dict[str, dict[str, Field]]:
    """The fields of *kind* by model; the plain ones are under the empty name."""
    return _members(kind.name)


@cache
def _members(name: str) -> dict[str, dict[str, Field]]:
    found: dict[str, dict[str, Field]] = {"": {}}
    for path, field in ALL[name].fields.items():
        model, _, member = path.rpartition(".")
        found.setdefault(model, {})[member] = field
    return found


def new_id() -> str:
    """An ID as the platform makes them."""
    return secrets.token_urlsafe(16).replace("-", "a").replace("_", "b")[:22]


def blank(kind: Kind) -> Document:
    """A document of *kind* with nothing given."""
    document = dict(_template(kind.name))
    if "DateCreated" in document:
        document["DateCreated"] = stamp()
    return document


@cache
def _template(name: str) -> Document:
    kind = ALL[name]
    plain = {path: _default(kind, field) for path, field in members(kind)[""].items()}
    return plain | {model: None for model in members(kind) if model}


def _default(kind: Kind, field: Field) -> Any:
    if field.default is not None:
        return field.default
    if field.read_only:
        return 0 if field.type is FieldType.INTEGER else None
    return False if field.type is FieldType.BOOLEAN and not kind.assignment else None


def merged(kind: Kind, document: Document, body: Mapping[str, Any], options: Options) -> Document:
    """*document* after a PATCH with *body*.

    What is unknown, read-only or fixed at creation in it is ignored.
    """
    result = dict(document)
    models = members(kind)
    plain = models[""]
    for name, value in body.items():
        if name in plain:
            field = plain[name]
            if field.type is FieldType.OBJECT and not field.read_only:
                result[name] = _merged_xp(result.get(name), value, options)
            elif not (field.read_only or (field.create_only and result.get(name))):
                result[name] = value
        elif name in models and name:
            result[name] = _merged_model(result.get(name), models[name], value)
    for model, fields in models.items():
        place = result.get(model) if model else result
        if place is not None and "LastUpdated" in fields:
            place["LastUpdated"] = stamp()
    if result.get("Inventory") and result["Inventory"].get("Enabled"):
        inventory = result["Inventory"]
        inventory["QuantityAvailable"] = inventory.get("QuantityAvailable") or 0
    return result


def _merged_model(now: Any, fields: dict[str, Field], value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    start = now or {
        n: False if f.type is FieldType.BOOLEAN else f.default for n, f in fields.items()
    }
    given = {n: v for n, v in value.items() if n in fields and not fields[n].read_only}
    return {**start, **given}


def _merged_xp(now: Any, value: Any, options: Options) -> Any:
    if value is None:
        return None if options.xp_null == "clears" else now
    if not isinstance(value, dict):
        return value  # refused when the document is checked
    return _deep(now or {}, value) if options.nested_xp == "merge" else {**(now or {}), **value}


def _deep(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for name, value in other.items():
        old = result.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[name] = _deep(old, value) if both else value  # type: ignore[arg-type]
    return result


def check(kind: Kind, document: Document) -> None:
    """Refuse a document that breaks a rule of its fields."""
    check_fields(kind.fields, document)


def check_fields(fields: Mapping[str, Field], document: Document) -> None:
    """Refuse a document that breaks a rule of *fields*."""
    for path, field in fields.items():
        model, _, name = path.rpartition(".")
        place = document if not model else document.get(model)
        value = None if place is None else place.get(name)
        if field.required and value in (None, ""):
            raise invalid(path, "is required")
        if value is not None and not field.read_only:
            _check_value(path, field, value)


def _check_value(path: str, field: Field, value: Any) -> None:
    wrong = isinstance(value, bool) and field.type is not FieldType.BOOLEAN
    if wrong or not isinstance(value, _TYPES[field.type]):
        raise invalid(path, f"is not a {field.type.value}")
    if isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX:
        raise invalid(path, "is not a 32-bit number")
    size: float = len(value) if isinstance(value, str) else value  # type: ignore[assignment]
    if field.max is not None and size > field.max:
        raise invalid(path, f"is more than {field.max}")
    if field.min is not None and size < field.min:
        raise invalid(path, f"is less than {field.min}")
    if field.type is FieldType.OBJECT and len(msgspec.json.encode(value)) > XP_MAX_BYTES:
        raise invalid(path, f"is more than {XP_MAX_BYTES} bytes")


def check_id(value: Any) -> str:
    """*value* as an ID, or a refusal."""
    if not isinstance(value, str) or not ID_PATTERN.fullmatch(value):
        raise invalid("ID", "has letters, digits, - and _ only, 1 to 100 of them")
    return value
