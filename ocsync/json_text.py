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
