"""JSON that others wrote, with numbers of any size, and values as JSON in messages."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

_MAX_DIGITS = 1000
"""Digits of an integer that every later reader and writer takes."""


def decode_json(text: bytes) -> Any:
    """Return the JSON value in *text*. Raises ValueError.

    A number that is out of range here (1e400, or more than a thousand digits) becomes its text, as
    any other value would be wrong.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:  # well-formed, with a number out of range
        return json.loads(
            text, parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
        )


class RepeatedKey(ValueError):
    """Key that one object has twice, so that its value is not certain."""

    def __init__(self, key: str) -> None:
        super().__init__(f"repeats the key {json_value(key)} in one object")


def repeated_key(text: str, value: Any) -> str:
    """Return a message on a key that an object of the JSON in *text* has twice, or "".

    *value* is *text* decoded, where the last of equal keys has replaced the others, so that it has
    fewer strings than *text* has; only escapes make their quotes uncertain.
    """
    if "\\" not in text and text.count('"') == msgspec.json.encode(value).count(b'"'):
        return ""
    try:
        json.loads(text, object_pairs_hook=unique_members, parse_int=str, parse_float=str)
    except RepeatedKey as error:
        return str(error)
    return ""


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of *pairs*. Raises RepeatedKey."""
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKey(repeated)
    return members


def json_value(value: Any) -> str:
    """Return *value* as JSON, as messages show it: null is not "null"."""
    return json.dumps(value, ensure_ascii=False)


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
