"""Fields as text and as JSON: reading them by their type, and refusing what cannot be staged."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ocsync.field_paths import flatten, inside, is_deeper, nest, split
from ocsync.models import Entry, Fields, Op
from ocsync.schema import (
    WHOLE_MAX,
    WHOLE_MIN,
    XP_LEVELS,
    XP_LIMIT,
    Field,
    Kind,
    Type,
    field_at,
    kind_of,
)

_WHOLE = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_FLAGS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


class FieldError(NamedTuple):
    """One thing wrong with an entry: the field, the value as text, the reason."""

    field: str
    value: str
    why: str


def read_text(field: Field, text: str) -> Any:
    """*text* as the field's type. Raises ValueError with the reason.

    Text stays as it is, so leading zeros are kept. Inside xp it is text as well; JSON is for `:=`.
    """
    return _READERS[field.type](text)


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError("is not a whole number")
    return int(text)


def _number(text: str) -> int | float:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError("is not a number")
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _flag(text: str) -> bool:
    try:
        return _FLAGS[text.strip().casefold()]
    except KeyError:
        raise ValueError("is neither true nor false") from None


def _list(text: str) -> Any:
    return read_json(text)


_READERS: dict[Type, Callable[[str], Any]] = {
    Type.TEXT: str,
    Type.DATE: str,
    Type.XP: str,
    Type.WHOLE: _whole,
    Type.NUMBER: _number,
    Type.FLAG: _flag,
    Type.LIST: _list,
}


def read_json(text: str) -> Any:
    """*text* as JSON. Raises ValueError."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise ValueError("is not JSON") from None


def why_not(field: Field, path: str, value: Any) -> str:
    """Why *value* cannot stand in *field*; empty when it can. Null is for the field's owner."""
    if field.type is Type.XP and path != "xp":
        return ""
    if value is None:
        return "cannot be null, it is required" if field.required else ""
    if value == "" and field.required:
        return "cannot be empty, it is required"
    if not _TYPES[field.type](value):
        return f"is not a {field.type.value}".replace("a object", "an object").replace(
            "a true or false", "true or false"
        )
    if field.type is Type.WHOLE and not WHOLE_MIN <= value <= WHOLE_MAX:
        return "is not within 32 bits"
    size, what = (len(value), " characters") if isinstance(value, str) else (value, "")
    if field.max is not None and size > field.max:
        return f"is more than {field.max}{what}"
    if field.min is not None and size < field.min:
        return f"is less than {field.min}{what}"
    return ""


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)


_TYPES: dict[Type, Callable[[Any], bool]] = {
    Type.TEXT: lambda v: isinstance(v, str),
    Type.DATE: _is_date,
    Type.XP: lambda v: isinstance(v, dict),
    Type.WHOLE: lambda v: isinstance(v, int) and not isinstance(v, bool),
    Type.NUMBER: _is_number,
    Type.FLAG: lambda v: isinstance(v, bool),
    Type.LIST: lambda v: isinstance(v, list),
}


def opened(kind: Kind, document: Fields) -> Fields:
    """*document* with the members of its nested models as fields of their own; see `flatten`.

    Its names may be dotted paths already.
    """
    flat: Fields = {}
    for path, value in document.items():
        nested = isinstance(value, dict) and "." not in path
        flat |= flatten({path: value}, kind.models) if nested else {path: value}
    return flat


def validate(entry: Entry) -> Iterator[FieldError]:
    """Everything that keeps *entry* from being staged."""
    kind = kind_of(entry.ref)
    if entry.op not in kind.ops:
        yield FieldError("op", entry.op.value, _why_not_op(kind, entry.op))
        return
    if entry.op in (Op.SET, Op.ADJUST) and not entry.fields:
        yield FieldError("", "", "no field is named")
    for path, value in entry.fields.items():
        yield from _field_faults(kind, entry.op, path, value)
    yield from _crossing(entry.fields)
    for path, value in entry.expect.items():
        field = field_at(kind, path)
        if field is None or field.write_only:
            yield FieldError(f"expect.{path}", _text(value), _unknown(kind, path))
        elif why := why_not(field._replace(required=False, max=None, min=None), path, value):
            yield FieldError(f"expect.{path}", _text(value), why)
    yield from _missing(kind, entry)
    size = len(msgspec.json.encode({p: v for p, v in entry.fields.items() if p.startswith("xp.")}))
    if size > XP_LIMIT:
        yield FieldError("xp", f"{size:,} bytes", f"is more than {XP_LIMIT:,} bytes")
    if is_deeper(nest({**entry.expect, **entry.fields}), XP_LEVELS):
        yield FieldError("xp", "", f"is nested more than {XP_LEVELS} levels deep")


def _field_faults(kind: Kind, op: Op, path: str, value: Any) -> Iterator[FieldError]:
    field = field_at(kind, path)
    if path == "ID":
        why = "renames an entity, which is out of scope; the ref holds the ID"
    elif path in kind.models and path != "xp":
        why = "is a nested model: name its members"
    elif field is None:
        why = _unknown(kind, path)
    elif field.read_only:
        why = "is read-only"
    elif field.write_only:
        why = "is write-only and never staged; set it by hand"
    elif field.create_only and op is Op.SET:
        why = "can only be given when the entity is created (stage put)"
    elif path == "xp":
        why = "cannot be staged whole: name its keys, as in xp.color=red" if value != {} else ""
    elif op is Op.ADJUST and field.type not in (Type.WHOLE, Type.NUMBER):
        why = "cannot be adjusted, as it is no number"
    else:
        why = why_not(field._replace(min=None, max=None) if op is Op.ADJUST else field, path, value)
    if why:
        yield FieldError(path, _text(value), why)


def _unknown(kind: Kind, path: str) -> str:
    stem = path.casefold()
    near = [name for name in kind.fields if name.casefold() == stem or stem in name.casefold()]
    hint = f"; did you mean {near[0]}?" if near else f"; {kind.name} has {', '.join(kind.fields)}"
    return f"is not a field of {kind.name}{hint}"


def _why_not_op(kind: Kind, op: Op) -> str:
    if kind.assignment:
        return f"{kind.noun_with_article} can only be assigned (stage assign)"
    if op is Op.PUT:
        reason = "its password is write-only" if kind.deletable else "it is generated from specs"
        return f"{kind.noun_with_article} cannot be put, as {reason}; use set"
    return f"{kind.noun_with_article} is an entity: use set, put or adjust"


def _missing(kind: Kind, entry: Entry) -> Iterator[FieldError]:
    for path, field in kind.fields.items():
        due = field.required if entry.op is Op.PUT else field.required_on_assign
        if due and entry.op in (Op.PUT, Op.ASSIGN) and entry.fields.get(path) is None:
            yield FieldError(path, "", "is required")


def _crossing(fields: Fields) -> Iterator[FieldError]:
    deep = [path for path in fields if path.startswith("xp.")]
    for path in deep:
        if len(split(path)) < 2 or not all(split(path)):
            yield FieldError(path, "", "has an empty name in it")
        for other in deep:
            if inside(path, other):
                yield FieldError(path, "", f"lies inside {other}, which is named as well")


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
