"""Values of fields: reading them from text or JSON, and checking that they can be staged."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ocsync.characters import is_blank
from ocsync.dates import is_date
from ocsync.field_paths import exceeds_depth, flatten, is_below, nest, split_path, xp_text
from ocsync.json_text import repeated_key
from ocsync.models import Entry, Fields, Op
from ocsync.schema import (
    INTEGER_MAX,
    INTEGER_MIN,
    KINDS,
    XP_LIMIT,
    XP_MAX_DEPTH,
    Field,
    FieldType,
    Kind,
    field_at,
    ids_of,
    kind_of,
    stageable_fields,
)
from ocsync.suggestions import QUESTION, listed, suggestion

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_NUMBERS = (FieldType.INTEGER, FieldType.NUMBER)
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "1", "wahr", "vrai", "verdadero", "vero"), True),
    **dict.fromkeys(("false", "no", "0", "falsch", "faux", "falso"), False),
}
"""Words for flags; spreadsheets write theirs in the language of their user."""


_NO_VALUE = frozenset((
    "null", "none", "nil", "nan", "nat", "na", "n/a", "n.a.", "undefined", "<na>", "<null>",
    "(null)", "(none)", "[null]", r"\n", "-", "--", "\u2013", "\u2014",
))  # fmt: skip
"""Words, in lower case, that databases, programs and people write where they have no value."""
_LONGEST_NO_VALUE = max(map(len, _NO_VALUE))


class FieldError(NamedTuple):
    """A fault of an entry: the field, the value as text, the reason."""

    field: str
    value: str
    reason: str


def read_text(field: Field, text: str) -> Any:
    """Return *text* as the field's type. Raises ValueError with the reason.

    Text is kept as it is, leading zeros included. Inside xp the value is text too; `:=` takes JSON.
    """
    return reader_of(field)(text)


def reader_of(field: Field) -> Callable[[str], Any]:
    """Return the function that `read_text` reads the text of *field* with."""
    return _READERS[field.type]


def _integer(text: str) -> int:
    if text.isdecimal() and len(text) <= 18:
        return int(text)
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError("is not a whole number")
    return int(text)


def _number(text: str) -> int | float:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError("is not a number")
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.strip().casefold()]
    except KeyError:
        raise ValueError("is not true or false") from None


def _list(text: str) -> Any:
    return read_json(text)


_READERS: dict[FieldType, Callable[[str], Any]] = {
    FieldType.TEXT: str,
    FieldType.DATE: str,
    FieldType.OBJECT: str,
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.LIST: _list,
}


DECIMALS = r"(?:\.[0-9]{1,15})?"
"""Pattern of a point and decimals."""
PLAIN_TEXTS = {
    FieldType.TEXT: "",
    FieldType.DATE: "",
    FieldType.OBJECT: "",
    FieldType.INTEGER: "[+-]?[0-9]{1,18}",
    FieldType.NUMBER: f"[+-]?[0-9]{{1,15}}{DECIMALS}",
    FieldType.BOOLEAN: "(?i:true|false|yes|no|1|0)",
}
"""Patterns of texts that are surely read as the type, though not of all; "" where any text is."""


def read_json(text: str) -> Any:
    """Return *text* decoded as JSON. Raises ValueError with the reason."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise ValueError("is not JSON") from None
    if fault := repeated_key(text, value):
        raise ValueError(fault)
    return value


def is_word_for_no_value(value: Any) -> bool:
    """Return whether *value* is a text that programs and people write where they have no value."""
    return type(value) is str and len(value) <= _LONGEST_NO_VALUE and value.casefold() in _NO_VALUE


def value_fault(field: Field, path: str, value: Any) -> str:
    """Return the reason why *field* cannot have *value*, or "" when it can.

    Keys of xp take any value. Null removes the value of a field that is not required.
    """
    if field.type is FieldType.OBJECT and path != "xp":
        return ""
    if value is None:
        return "is required and cannot be null" if field.required else ""
    if field.required and isinstance(value, str) and is_blank(value):
        return f"is required and cannot be {'blank' if value else 'empty'}"
    if not _TYPE_CHECKS[field.type](value):
        if field.type is FieldType.DATE:
            return "is not a date such as 2027-01-31 or 2027-01-31T08:30:00Z"
        return f"is not a {field.type.value}".replace("a object", "an object").replace(
            "a true or false", "true or false"
        )
    if field.type is FieldType.INTEGER and not INTEGER_MIN <= value <= INTEGER_MAX:
        return "does not fit in 32 bits"
    if field.choices and value not in field.choices:
        return f"is not one of {', '.join(field.choices)}"
    if field.members:
        return _members_fault(field.members, value)
    size, unit = (len(value), " characters") if isinstance(value, str) else (value, "")
    if field.max is not None and size > field.max:
        return f"is more than {field.max}{unit}"
    if field.min is not None and size < field.min:
        return f"is less than {field.min}{unit}"
    return ""


def _members_fault(members: Mapping[str, Field], items: Iterable[Any]) -> str:
    """Return the first fault of the objects in a list; "" for none.

    Other members may be there, and nulls, as the platform may show them.
    """
    written = {name.casefold(): name for name in members}
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            return f"item {number}: is not an object"
        for name, value in item.items():
            known = written.get(name.casefold(), name)
            if known != name:
                return f"item {number}: {name} is written {known}"
            fault = (
                name in members and value is not None and value_fault(members[name], name, value)
            )
            if fault:
                return f"item {number}: {name} {fault}"
        for name, field in members.items():
            if field.required and name not in item:
                return f"item {number}: {name} is required"
    return ""


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and is_date(value)


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)


_TYPE_CHECKS: dict[FieldType, Callable[[Any], bool]] = {
    FieldType.TEXT: lambda v: isinstance(v, str),
    FieldType.DATE: _is_date,
    FieldType.OBJECT: lambda v: isinstance(v, dict),
    FieldType.INTEGER: lambda v: isinstance(v, int) and not isinstance(v, bool),
    FieldType.NUMBER: _is_number,
    FieldType.BOOLEAN: lambda v: isinstance(v, bool),
    FieldType.LIST: lambda v: isinstance(v, list),
}


def expand_models(kind: Kind, document: Fields) -> Fields:
    """Return *document* with the members of its nested models as fields of their own.

    See `flatten`; here names may be dotted paths already.
    """
    if not any(type(value) is dict for value in document.values()):
        return dict(document)
    flat: Fields = {}
    for path, value in document.items():
        nested = isinstance(value, dict) and "." not in path
        flat |= flatten({path: value}, kind.models) if nested else {path: value}
    return flat


def validate(entry: Entry) -> Iterable[FieldError]:
    """Return every fault that keeps *entry* from being staged."""
    ref, fields, expect = entry.ref, entry.fields, entry.expect
    checks: tuple[Check, ...] = ()
    if expect.keys() <= fields.keys():
        checks = plain_checks(ref[: ref.find("/")], entry.op, *fields)
    if not checks:
        return _faults(entry)
    for check, (path, value) in zip(checks, fields.items(), strict=True):
        if not check(value) or (path in expect and not check(expect[path])):
            return _faults(entry)
    return ()  # as nearly every line of a file


_PLAIN_PATHS, _PLAIN_NAMES, _PLAIN_TEXT = 10, 200, 100
"""Bounds far from the limits of xp: fields, characters of their names, and of each text."""
Check = Callable[[Any], bool]


@lru_cache(1024)
def plain_checks(kind_name: str, op: Op, *paths: str) -> tuple[Check, ...]:
    """Return a check for the value of each of *paths*: an entry that passes them has no fault.

    There are none where an entry with some of these fields may have a fault whatever their values
    are.
    """
    kind = KINDS[kind_name]
    fields = [field for path in paths if (field := field_at(kind, path))]
    if op is Op.ADJUST:
        fields = [f._replace(min=None, max=None) for f in fields if f.type in _NUMBERS]
    required = {path for path, field in kind.fields.items() if field.required}
    if (
        op not in kind.ops
        or op is Op.ASSIGN
        or (op is Op.PUT and not required.issubset(paths))
        or len(fields) < len(paths)
        or len(paths) > _PLAIN_PATHS
        or sum(map(len, paths)) > _PLAIN_NAMES
        or any(f.read_only or f.write_only or f.create_only for f in fields)
        or any(f.after_creation for f in fields)
        or any(path == "ID" or path in kind.models or path.count(".") > 5 for path in paths)
        or [*_overlapping_paths(dict.fromkeys(paths))]
    ):
        return ()
    return tuple(_plain_check(field, path) for field, path in zip(fields, paths, strict=True))


def _plain_check(field: Field, path: str) -> Check:
    """Return a check that only values pass which *field* can have at *path*; not all of them."""
    if path.startswith("xp."):
        return _is_plain_xp
    if field.type is not FieldType.INTEGER:
        return lambda value: not value_fault(field, path, value)
    least = max(INTEGER_MIN, INTEGER_MIN if field.min is None else field.min)
    most = min(INTEGER_MAX, INTEGER_MAX if field.max is None else field.max)
    return lambda value: type(value) is int and least <= value <= most


def _is_plain_xp(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= _PLAIN_TEXT
    return value is None or type(value) is bool or (type(value) is int and abs(value) < 2**53)


def _faults(entry: Entry) -> Iterator[FieldError]:
    kind = kind_of(entry.ref)
    if entry.op not in kind.ops:
        yield FieldError("op", entry.op.value, _op_fault(kind, entry.op))
        return
    if entry.op in (Op.SET, Op.ADJUST) and not entry.fields:
        yield FieldError("", "", "sets no field")
    for path, value in entry.fields.items():
        yield from _field_faults(kind, entry.op, path, value, replace=entry.replace)
    yield from _overlapping_paths(entry.fields)
    for path, value in entry.expect.items():
        field = field_at(kind, path)
        if field is None or field.write_only:
            yield FieldError(f"expect.{path}", _abbreviated(value), unknown_field(kind, path))
        elif reason := value_fault(field._replace(required=False, max=None, min=None), path, value):
            yield FieldError(f"expect.{path}", _abbreviated(value), reason)
    yield from _missing_fields(kind, entry)
    size = len(xp_text(entry.fields))
    if size > XP_LIMIT:
        yield FieldError("xp", f"{size:,} characters", f"is more than {XP_LIMIT:,} characters")
    if exceeds_depth(nest({**entry.expect, **entry.fields}), XP_MAX_DEPTH):
        yield FieldError("xp", "", f"is nested more than {XP_MAX_DEPTH} levels deep")


def _field_faults(
    kind: Kind, op: Op, path: str, value: Any, *, replace: bool
) -> Iterator[FieldError]:
    field = field_at(kind, path)
    if path == "ID":
        reason = "would rename the entity, which ocsync cannot do; the ref holds the ID"
    elif path in kind.models and path != "xp":
        reason = "is a nested object: name its fields"
    elif field is None:
        reason = unknown_field(kind, path)
    elif field.read_only:
        reason = "is read-only"
    elif field.write_only:
        reason = "is write-only and cannot be staged; set it by hand"
    elif field.create_only and op is Op.SET:
        reason = "can be set only when the entity is created (stage put)"
    elif field.after_creation and op is Op.PUT and not replace and value is not None:
        reason = "can be set only on an existing entity: use stage set after the put"
    elif path == "xp":
        reason = _whole_xp_fault(kind, op, value)
    elif op is Op.ADJUST and field.type not in _NUMBERS:
        reason = "cannot be adjusted, because it is not a number"
    else:
        reason = value_fault(
            field._replace(min=None, max=None) if op is Op.ADJUST else field, path, value
        )
    if reason:
        yield FieldError(path, _abbreviated(value), reason)


def _whole_xp_fault(kind: Kind, op: Op, value: Any) -> str:
    """Return the reason why xp cannot have *value*: `{}`, in a PUT, is the only one that it can."""
    if value != {}:
        return "cannot be staged as a whole: name its keys, as in xp.color=red"
    if op in (Op.PUT, Op.ASSIGN):
        return ""
    remedy = "set the keys to null, as in xp.color:=null"
    if kind.allows_put:
        remedy = "stage put --replace with every field to keep, without xp"
    return f"cannot be emptied by {op.value}, which keeps the keys that it does not name; {remedy}"


def unknown_field(kind: Kind, path: str, columns: Sequence[str] = ()) -> str:
    """Return the fault of a *path* that is not a field of *kind*, with the closest names.

    *columns* are names that a header may have as well.
    """
    names = stageable_fields(kind)
    if not (names or columns):
        return f"is not a field of {kind.name}, which has none"
    prefix, _, key = path.partition(".")
    if key and prefix.strip().casefold() == "xp":
        return f"is not a field of {kind.name}; {QUESTION}xp.{key}?"
    fields = f"its fields: {listed(names, f'ocsync stage template {kind.name}')}"
    return f"is not a field of {kind.name}; {suggestion(path, [*columns, *names], fields)}"


def _op_fault(kind: Kind, op: Op) -> str:
    if kind.action:
        return f"{kind.noun_with_article} can only be generated (stage generate)"
    if op is Op.GENERATE:
        return f"{kind.noun_with_article} cannot be generated; variants/PRODUCT can"
    if kind.assignment:
        return f"{kind.noun_with_article} can only be assigned (stage assign)"
    if op is Op.PUT:
        reason = "its password is write-only" if kind.deletable else "it is generated from specs"
        return f"{kind.noun_with_article} cannot be put, because {reason}; use set"
    return f"{kind.noun_with_article} is an entity: use set, put or adjust"


def _missing_fields(kind: Kind, entry: Entry) -> Iterator[FieldError]:
    ids = ids_of(entry.ref)
    for path, field in kind.fields.items():
        is_required = field.required if entry.op is Op.PUT else field.required_on_assign
        is_required = is_required or field.required_with in ids
        if is_required and entry.op in (Op.PUT, Op.ASSIGN) and entry.fields.get(path) is None:
            yield FieldError(path, "", "is required")


def _overlapping_paths(fields: Fields) -> Iterator[FieldError]:
    xp_paths = [path for path in fields if path.startswith("xp.")]
    for path in xp_paths:
        if len(split_path(path)) < 2 or not all(split_path(path)):
            yield FieldError(path, "", "has an empty key")
        for other in xp_paths:
            if is_below(path, other):
                yield FieldError(path, "", f"is part of {other}, which is also given")


def _abbreviated(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
