"""Objects in JSON text: one a line, or within one document as the API answers it.

A document is an object, an array of objects, or a page of a list: `{"Meta": ..., "Items": [...]}`.
Pages may also stand one a line, or one after the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from ocsync.json_text import RepeatedKey, repeated_key

_SPACE = re.compile(r"\s*")
_scan = json.JSONDecoder().raw_decode
_decode = msgspec.json.decode


class JsonItem(NamedTuple):
    """A JSON value, decoded and as text, that begins on line *number*; or the *fault* there."""

    number: int
    value: Any
    text: str
    fault: str = ""


class ListPage(NamedTuple):
    """A page of a list: the number of items of the whole list, as its Meta says."""

    total: int


def read_items(text: Iterator[str]) -> Iterator[JsonItem | ListPage]:
    """Yield each object: that of each line, or those within one document of many lines.

    The items of a page come after a ListPage. A text that is no JSON ends with a fault.
    """
    number, first = 1, ""
    for first in text:
        if first.strip():
            break
        number += 1
    item = _whole_line(number, first)
    if first.strip() and item.fault and first.lstrip()[0] in "{[":
        rest = list(text)
        if not _is_lines(rest):
            yield from _document("\n" * (number - 1) + first + "".join(rest), item)
            return
        text = iter(rest)
    lines = enumerate(chain([first], text), number)
    for item in (_whole_line(n, line) for n, line in lines if line.strip()):
        yield from _unpacked(item)


def _is_lines(lines: Sequence[str]) -> bool:
    """Return whether *lines*, which follow a broken one, are an object each: the last one is."""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return isinstance(_whole_line(0, last).value, dict)


def _whole_line(number: int, line: str) -> JsonItem:
    try:
        value = _decode(line)
        return JsonItem(number, value, line, repeated_key(line, value))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return JsonItem(number, None, line, "is not JSON")


def _unpacked(item: JsonItem) -> Iterator[JsonItem | ListPage]:
    """Yield the objects that *item* holds, all as if they began on its line."""
    value = item.value
    if isinstance(value, dict) and "Items" in value and isinstance(value["Items"], list):
        yield _list_page(value.get("Meta"))
        value = value["Items"]
    if not isinstance(value, list):
        yield item
        return
    for member in value:
        yield JsonItem(item.number, member, msgspec.json.encode(member).decode())


def _list_page(meta: Any) -> ListPage:
    total = meta.get("TotalCount") if isinstance(meta, dict) else None
    return ListPage(total if isinstance(total, int) else 0)


def _document(text: str, first_line: JsonItem) -> Iterator[JsonItem | ListPage]:
    """Yield the objects of the documents in *text*; of broken ones the fault with its line."""
    lines = _LineCounter(text)
    position = _skip_space(text, 0)
    try:
        while position < len(text):
            _, end = _scan(text, position)  # refuses a broken document as a whole
            yield from _inside(text, position, lines)
            position = _skip_space(text, end)
    except json.JSONDecodeError as error:
        if position == _skip_space(text, 0) and error.lineno == first_line.number:
            yield first_line
            return
        reason = f"is not JSON: {error.msg}"
        yield JsonItem(error.lineno, None, text[error.pos : error.pos + 60], reason)
    except RecursionError:
        yield first_line


def _inside(text: str, position: int, lines: _LineCounter) -> Iterator[JsonItem | ListPage]:
    """Yield the objects of the sound document that begins at *position*."""
    if text[position] == "[":
        yield from _members(text, position, lines)
        return
    items, meta, begin = -1, None, position
    keys: set[str] = set()
    position = _skip_space(text, position + 1)
    while text[position] != "}":
        key, end = _scan(text, position)
        if key in keys:
            start = lines.at(begin, text[begin : begin + 60])
            yield start._replace(fault=str(RepeatedKey(key)))
            return
        keys.add(key)
        position = _skip_space(text, _skip_space(text, end) + 1)
        value, end = _scan(text, position)
        if key == "Items" and text[position] == "[":
            items = position
        elif key == "Meta":
            meta = value
        position = _skip_space(text, end)
        position = _skip_space(text, position + 1) if text[position] == "," else position
    if items < 0:
        source = text[begin : position + 1]
        yield lines.at(begin, source)
    else:
        yield _list_page(meta)
        yield from _members(text, items, lines)


def _members(text: str, position: int, lines: _LineCounter) -> Iterator[JsonItem]:
    """Yield the members of the array that begins at *position*."""
    position = _skip_space(text, position + 1)
    while text[position] != "]":
        _, end = _scan(text, position)
        yield lines.at(position, text[position:end])
        position = _skip_space(text, end)
        position = _skip_space(text, position + 1) if text[position] == "," else position


class _LineCounter:
    """The number of the line at a position that only grows."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position, self._line = 0, 1

    def at(self, position: int, source: str) -> JsonItem:
        """Return the JSON in *source*, which begins at *position*."""
        self._line += self._text.count("\n", self._position, position)
        self._position = position
        return _whole_line(self._line, source)


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
