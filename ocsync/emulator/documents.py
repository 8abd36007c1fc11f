"""Documents under the rules of the tables: blank documents, PATCH, and validation."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from ocsync.emulator.errors import invalid
from ocsync.emulator.kinds import ALL_KINDS, LIST_MEMBERS
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.state import Document, timestamp
from ocsync.schema import ID_PATTERN, INTEGER_MAX, INTEGER_MIN, XP_LIMIT, Field, FieldType, Kind

_TYPES: dict[FieldType, tuple[type, ...]] = {
    FieldType.TEXT: (str,),
    FieldType.DATE: (str,),
    FieldType.INTEGER: (int,),
    FieldType.NUMBER: (int, float),
    FieldType.BOOLEAN: (bool,),
    FieldType.LIST: (list,),
    FieldType.OBJECT: (dict,),
}


def fields_by_model(kind: Kind) -> dict[str, dict[str, Field]]:
    """Return the fields of *kind* by model; plain fields are under the empty name."""
    return _fields_by_model(kind.name)


@cache
def _fields_by_model(name: str) -> dict[str, dict[str, Field]]:
    models: dict[str, dict[str, Field]] = {"": {}}
    for path, field in ALL_KINDS[name].fields.items():
        model, _, member = path.rpartition(".")
        models.setdefault(model, {})[member] = field
    return models


def generate_id() -> str:
    """Return a random ID in the platform's form."""
    return secrets.token_urlsafe(16).replace("-", "a").replace("_", "b")[:22]


def blank_document(kind: Kind) -> Document:
    """Return a document of *kind* in which every field has its default."""
    document = dict(_blank_template(kind.name))
    if "DateCreated" in document:
        document["DateCreated"] = timestamp()
    return document


@cache
def _blank_template(name: str) -> Document:
    kind = ALL_KINDS[name]
    plain = {path: _default(field) for path, field in fields_by_model(kind)[""].items()}
    return plain | {model: None for model in fields_by_model(kind) if model}


_READ_ONLY_DEFAULTS = {FieldType.INTEGER: 0, FieldType.BOOLEAN: False}


def _default(field: Field) -> Any:
    if field.default is not None:
        return field.default
    if field.read_only:
        return [] if field.type is FieldType.LIST else _READ_ONLY_DEFAULTS.get(field.type)
    return None if field.nullable else False


def apply_patch(
    kind: Kind, current: Document, body: Mapping[str, Any], options: EmulatorOptions
) -> Document:
    """Return *current* after a PATCH with *body*.

    Unknown, read-only and create-only fields of *body* are ignored. *current* stays as it is, as
    the PATCH may still be refused. Raises ErrorResponse.
    """
    models = fields_by_model(kind)
    body = read_values(kind, body, options)
    nested = {name: dict(current[name]) for name in models if name and current.get(name)}
    result = {**current, **nested}
    plain = models[""]
    for name, value in body.items():
        if name in plain:
            field = plain[name]
            if field.type is FieldType.OBJECT and not field.read_only:
                result[name] = _patch_xp(result.get(name), value, options)
            elif not (field.read_only or (field.create_only and result.get(name))):
                result[name] = value
        elif name in models and name:
            result[name] = _patch_model(result.get(name), models[name], value)
    for model, fields in models.items():
        section = result.get(model) if model else result
        if section is not None and "LastUpdated" in fields:
            section["LastUpdated"] = timestamp()
    start_counting(result)
    return result


def start_counting(document: Document) -> None:
    """Let the quantity of a product or variant with inventory begin with 0."""
    inventory = document.get("Inventory")
    if inventory and inventory.get("Enabled"):
        inventory["QuantityAvailable"] = inventory.get("QuantityAvailable") or 0


def read_values(kind: Kind, body: Mapping[str, Any], options: EmulatorOptions) -> Document:
    """Return *body* with its values as the platform reads them: numbers may be text.

    Raises a 400 for null where a field is true or false, if the options say so.
    """
    models, lists = fields_by_model(kind), LIST_MEMBERS.get(kind.name, {})
    values = read_section(models[""], body, options)
    for name, value in values.items():
        if name in models and name and isinstance(value, dict):
            values[name] = read_section(models[name], value, options)
        elif name in lists and isinstance(value, list):
            values[name] = [
                read_section(lists[name], one, options) if isinstance(one, dict) else one
                for one in value
            ]
    return values


def read_section(
    fields: Mapping[str, Field], section: Mapping[str, Any], options: EmulatorOptions
) -> Document:
    """Return the values of *section*, whose numbers may be text (guide/ordercloud.md 12.17).

    Raises a 400 for null where a field is true or false, if the options say so.
    """
    return {
        name: _read_value(name, fields[name], value, options) if name in fields else value
        for name, value in section.items()
    }


def _read_value(name: str, field: Field, value: Any, options: EmulatorOptions) -> Any:
    if value is None and not (field.nullable or options.null_flags == "kept"):
        if options.null_flags == "refused":
            raise invalid(name, "is true or false, and not null")
        return False
    if isinstance(value, str) and field.type in _NUMBER_TEXTS:
        pattern, read = _NUMBER_TEXTS[field.type]
        return read(value) if pattern.fullmatch(value) else value
    return value


_NUMBER_TEXTS: dict[FieldType, tuple[re.Pattern[str], Callable[[str], float]]] = {
    FieldType.INTEGER: (re.compile(r"[+-]?[0-9]{1,10}"), int),
    FieldType.NUMBER: (re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?"), float),
}


def empty_section(fields: Mapping[str, Field]) -> Document:
    """Return a nested model of which nothing is set."""
    return {name: f.default if f.nullable else False for name, f in fields.items()}


def _patch_model(current: Any, fields: dict[str, Field], value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    base = current or empty_section(fields)
    given = {n: v for n, v in value.items() if n in fields and not fields[n].read_only}
    return {**base, **given}


def _patch_xp(current: Any, value: Any, options: EmulatorOptions) -> Any:
    if value is None:
        return None if options.xp_null == "clears" else current
    if not isinstance(value, dict):
        return value  # validation refuses it
    return (
        _merge_deep(current or {}, value)
        if options.nested_xp == "merge"
        else {**(current or {}), **value}
    )


def _merge_deep(base: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in update.items():
        old = result.get(name)
        are_objects = isinstance(old, dict) and isinstance(value, dict)
        result[name] = _merge_deep(old, value) if are_objects else value  # type: ignore[arg-type]
    return result


def validate(kind: Kind, document: Document, options: EmulatorOptions) -> None:
    """Raise a 400 for a document that breaks a rule of *kind*'s fields."""
    validate_fields(kind.fields, document)
    for name, fields in LIST_MEMBERS.get(kind.name, {}).items():
        for member in document.get(name) or ():
            if not isinstance(member, dict):
                raise invalid(name, "is not a list of objects")
            validate_fields({f"{name}.{path}": f for path, f in fields.items()}, {name: member})
    if xp := document.get("xp"):
        raw = msgspec.json.encode(xp)
        size = len(raw) if options.xp_limit == "bytes" else len(raw.decode())
        if size > XP_LIMIT:
            raise invalid("xp", f"is more than {XP_LIMIT} {options.xp_limit}")


def validate_fields(fields: Mapping[str, Field], document: Document) -> None:
    """Raise a 400 for a document that breaks a rule of *fields*."""
    for path, field in fields.items():
        model, _, name = path.rpartition(".")
        section = document if not model else document.get(model)
        value = None if section is None else section.get(name)
        if field.required and value in (None, ""):
            raise invalid(path, "is required")
        if value is not None and not field.read_only:
            _validate_value(path, field, value)


def _validate_value(path: str, field: Field, value: Any) -> None:
    wrong = isinstance(value, bool) and field.type is not FieldType.BOOLEAN
    if wrong or not isinstance(value, _TYPES[field.type]):
        raise invalid(path, f"is not a {field.type.value}")
    if isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX:
        raise invalid(path, "is not a 32-bit number")
    if field.choices and value not in field.choices:
        raise invalid(path, f"is none of {', '.join(field.choices)}")
    size: float = len(value) if isinstance(value, str) else value  # type: ignore[assignment]
    if field.max is not None and size > field.max:
        raise invalid(path, f"is more than {field.max}")
    if field.min is not None and size < field.min:
        raise invalid(path, f"is less than {field.min}")


def validate_id(value: Any) -> str:
    """Return *value*, or raise a 400 when it is not an ID."""
    if not isinstance(value, str) or not ID_PATTERN.fullmatch(value):
        raise invalid("ID", "has letters, digits, - and _ only, 1 to 100 of them")
    return value
