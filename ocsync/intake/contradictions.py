"""Refs that a file has more than once, with different values for one field.

Only hashes are kept of what has passed: about 100 bytes for a ref.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from ocsync.models import Entry, Fields, Op
from ocsync.schema import kind_of, ref_key

MAX_EXAMPLES = 3
_HASH_BITS = 0xFFFFFFFF
_NESTED = (dict, list)


class Contradiction(NamedTuple):
    """A field of *ref* that two lines of a file, *first* and *second*, give different values."""

    ref: str
    path: str
    first: int
    second: int


class Contradictions:
    """The contradictions among the entries that have been added.

    *count* is the number of refs that have one, *examples* are the first MAX_EXAMPLES of them.
    """

    def __init__(self) -> None:
        self._ended = 0
        self.examples: list[Contradiction] = []
        self._contradicted: set[int] = set()
        self._values: dict[int, array[int]] = {}
        self._shapes: dict[tuple[str, ...], int] = {}
        self._paths: list[tuple[str, ...]] = []

    @property
    def refs(self) -> int:
        """The number of refs."""
        return self._ended + len(self._values)

    @property
    def count(self) -> int:
        """The number of refs with different values for one field."""
        return len(self._contradicted)

    def add(self, entry: Entry, line: int) -> None:
        """Compare *entry*, of this *line*, with those before it."""
        key = hash(ref_key(entry.ref))
        if key in self._contradicted:
            return
        fields = _whole(entry) if entry.op is Op.ASSIGN else entry.fields
        if entry.op is Op.ADJUST:
            self._values.setdefault(key, array("I", [self._shape(())]))
            return
        earlier = self._values.get(key)
        paths = tuple(fields)
        try:
            hashes = [hash(value) & _HASH_BITS for value in fields.values()]
        except TypeError:  # lists and objects have no hash of their own
            hashes = [_hash(value) for value in fields.values()]
        size, shape = len(paths), self._shapes.get(paths, -1)
        if earlier is None or (earlier[0] == shape and [*earlier[1 + size :]] == hashes):
            lines = [line] * size
        else:
            paths, lines, hashes = self._merge(entry, line, key, earlier, paths, hashes)
        self._values[key] = array("I", [self._shape(paths), *lines, *hashes])

    def end(self) -> None:
        """Forget the values: no more entries are added."""
        self._ended, self._values = self.refs, {}

    def _merge(
        self,
        entry: Entry,
        line: int,
        key: int,
        earlier: array[int],
        paths: Sequence[str],
        hashes: Sequence[int],
    ) -> tuple[tuple[str, ...], list[int], list[int]]:
        """Return the paths, lines and hashes of a ref after one more line; compare them before."""
        known = self._paths[earlier[0]]
        size = len(known)
        values = {
            path: (earlier[1 + index], earlier[1 + size + index])
            for index, path in enumerate(known)
        }
        for path, value in zip(paths, hashes, strict=True):
            first, before = values.get(path, (0, value))
            expected = entry.expect.get(path)
            if before != value and (expected is None or _hash(expected) != before):
                if key not in self._contradicted and len(self.examples) < MAX_EXAMPLES:
                    self.examples.append(Contradiction(entry.ref, path, first, line))
                self._contradicted.add(key)
            values[path] = (line, value)
        return (
            tuple(values),
            [first for first, _ in values.values()],
            [value for _, value in values.values()],
        )

    def _shape(self, paths: tuple[str, ...]) -> int:
        number = self._shapes.setdefault(paths, len(self._paths))
        if number == len(self._paths):
            self._paths.append(paths)
        return number


def _whole(entry: Entry) -> Fields:
    """Return the fields of an assignment; one that it leaves out counts as null."""
    return {**dict.fromkeys(kind_of(entry.ref).fields), **entry.fields}


def _hash(value: Any) -> int:
    if isinstance(value, _NESTED):
        value = msgspec.json.encode(value, order="sorted")
    return hash(value) & _HASH_BITS
