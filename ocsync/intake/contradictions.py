"""Refs that a file has more than once, with different values for one field.

Only hashes are kept of what has passed: about 100 bytes for a ref.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from ocsync.models import Entry, Fields, Op
from ocsync.schema import kind_of, ref_keys

MAX_EXAMPLES = 3
_NUMBER = Struct("=I")
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
        self._rows: dict[int, bytes] = {}
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._shapes_by_number: list[_Shape] = []

    @property
    def refs(self) -> int:
        """The number of refs."""
        return self._ended + len(self._rows)

    @property
    def count(self) -> int:
        """The number of refs with different values for one field."""
        return len(self._contradicted)

    def add_all(self, entries: Sequence[Entry]) -> None:
        """Compare *entries*, in order, with those before them; `source` tells their lines."""
        keys = map(hash, ref_keys(entry.ref for entry in entries))
        contradicted = self._contradicted
        for key, entry in zip(keys, entries, strict=True):
            if key not in contradicted:
                self._add(key, entry)

    def _add(self, key: int, entry: Entry) -> None:
        rows = self._rows
        if entry.op is Op.ADJUST:
            rows.setdefault(key, self._shape(()).pack())
            return
        fields = _whole(entry) if entry.op is Op.ASSIGN else entry.fields
        line = int(entry.source.rpartition(":")[2])
        shape = self._shape(tuple(fields))
        try:
            row = shape.pack(*map(hash, fields.values()), *[line] * len(fields))
        except TypeError:  # lists and objects have no hash of their own
            row = shape.pack(*map(_hash, fields.values()), *[line] * len(fields))
        earlier = rows.setdefault(key, row)
        if earlier is row:
            return
        if earlier[: shape.lines_at] == row[: shape.lines_at]:
            rows[key] = row
        else:
            rows[key] = self._merged(entry, key, earlier, shape.values(row))

    def end(self) -> None:
        """Forget the values: no more entries are added."""
        self._ended, self._rows = self.refs, {}

    def _merged(
        self, entry: Entry, key: int, earlier: bytes, later: Iterable[tuple[str, int, int]]
    ) -> bytes:
        """Return the row of a ref after one more entry, whose paths, hashes and lines are *later*;
        an empty one when it contradicts the earlier values.
        """
        shape = self._shapes_by_number[_NUMBER.unpack_from(earlier)[0]]
        values = {path: (value, line) for path, value, line in shape.values(earlier)}
        for path, value, line in later:
            before, first = values.get(path, (value, 0))
            expected = entry.expect.get(path)
            if before != value and (expected is None or _hash(expected) != before):
                if key not in self._contradicted and len(self.examples) < MAX_EXAMPLES:
                    self.examples.append(Contradiction(entry.ref, path, first, line))
                self._contradicted.add(key)
            values[path] = (value, line)
        if key in self._contradicted:
            return b""
        hashes, lines = zip(*values.values(), strict=True)
        return self._shape(tuple(values)).pack(*hashes, *lines)

    def _shape(self, paths: tuple[str, ...]) -> _Shape:
        shape = self._shapes.get(paths)
        if shape is None:
            shape = self._shapes[paths] = _Shape(len(self._shapes), paths)
            self._shapes_by_number.append(shape)
        return shape


class _Shape:
    """The paths of rows. A row is the shape's number, the hash of each value, and from the byte
    *lines_at* on the line of each. *pack* takes all but the number.
    """

    def __init__(self, number: int, paths: Sequence[str]) -> None:
        self._paths = paths
        self._row = Struct(f"{_NUMBER.format}{len(paths)}q{len(paths)}I")
        self.lines_at = self._row.size - 4 * len(paths)
        self.pack = partial(self._row.pack, number)

    def values(self, row: bytes) -> Iterable[tuple[str, int, int]]:
        """Return each path with its hash and its line."""
        numbers, size = self._row.unpack(row), len(self._paths)
        return zip(self._paths, numbers[1 : size + 1], numbers[size + 1 :], strict=True)


def _whole(entry: Entry) -> Fields:
    """Return the fields of an assignment; one that it leaves out counts as null."""
    return {**dict.fromkeys(kind_of(entry.ref).fields), **entry.fields}


def _hash(value: Any) -> int:
    if isinstance(value, _NESTED):
        value = msgspec.json.encode(value, order="sorted")
    return hash(value)
