"""Refs that a file has more than once, with different values for one field.

Only hashes are kept of what has passed: about 100 bytes for a ref.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from ocsync.models import Entry, Fields, Op
from ocsync.schema import kind_of, ref_keys

MAX_EXAMPLES = 3
_LINE = 4
"""Bytes of a line's number."""
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
            rows.setdefault(key, self._shape(()).pack_hashes())
            return
        fields = _whole(entry) if entry.op is Op.ASSIGN else entry.fields
        shape = self._shape(tuple(fields))
        try:
            hashes = [*map(hash, fields.values())]
        except TypeError:  # lists and objects have no hash of their own
            hashes = [*map(_hash, fields.values())]
        values = shape.pack_hashes(*hashes)
        line = int(entry.source.rpartition(":")[2])
        earlier = rows.get(key)
        if earlier is None or earlier.startswith(values):
            rows[key] = values + line.to_bytes(_LINE) * len(hashes)
        else:
            rows[key] = self._merged(
                entry, line, key, earlier, dict(zip(fields, hashes, strict=True))
            )

    def end(self) -> None:
        """Forget the values: no more entries are added."""
        self._ended, self._rows = self.refs, {}

    def _merged(
        self, entry: Entry, line: int, key: int, earlier: bytes, hashes: Mapping[str, int]
    ) -> bytes:
        """Return the row of a ref after one more entry, whose *hashes* are by path; an empty one
        when it contradicts the earlier values.
        """
        values = self._shapes_by_number[_NUMBER.unpack_from(earlier)[0]].unpack(earlier)
        for path, value in hashes.items():
            before, first = values.get(path, (value, 0))
            expected = entry.expect.get(path)
            if before != value and (expected is None or _hash(expected) != before):
                if key not in self._contradicted and len(self.examples) < MAX_EXAMPLES:
                    self.examples.append(Contradiction(entry.ref, path, first, line))
                self._contradicted.add(key)
            values[path] = (value, line)
        if key in self._contradicted:
            return b""
        packed = self._shape(tuple(values)).pack_hashes(*[value for value, _ in values.values()])
        return packed + b"".join(first.to_bytes(_LINE) for _, first in values.values())

    def _shape(self, paths: tuple[str, ...]) -> _Shape:
        shape = self._shapes.get(paths)
        if shape is None:
            shape = self._shapes[paths] = _Shape(len(self._shapes), paths)
            self._shapes_by_number.append(shape)
        return shape


class _Shape:
    """The paths of rows. A row is the shape's *number*, the hash of each value, and the line of
    each.
    """

    def __init__(self, number: int, paths: Sequence[str]) -> None:
        self._paths = paths
        self._hashes = Struct(f"={_NUMBER.format[1:]}{len(paths)}q")
        self.pack_hashes = partial(self._hashes.pack, number)

    def unpack(self, row: bytes) -> dict[str, tuple[int, int]]:
        """Return the hash and the line of each path."""
        _, *hashes = self._hashes.unpack_from(row)
        lines = row[self._hashes.size :]
        starts = range(0, len(lines), _LINE)
        numbers = [int.from_bytes(lines[start : start + _LINE]) for start in starts]
        return dict(zip(self._paths, zip(hashes, numbers, strict=True), strict=True))


def _whole(entry: Entry) -> Fields:
    """Return the fields of an assignment; one that it leaves out counts as null."""
    return {**dict.fromkeys(kind_of(entry.ref).fields), **entry.fields}


def _hash(value: Any) -> int:
    if isinstance(value, _NESTED):
        value = msgspec.json.encode(value, order="sorted")
    return hash(value)
