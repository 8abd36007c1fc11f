"""Comparison of a file with the one before it: what its rows change, which are new, which are gone.

Of each row of the earlier file only the packed values are kept in memory, about 200 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

from ocsync.intake.record import DifferingLines
from ocsync.intake.unchanged import changed_part
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import kind_of, ref_key

_pack = msgspec.msgpack.Encoder().encode
_unpack: Callable[[bytes], tuple[Ref, int, list[Any]]] = msgspec.msgpack.Decoder(
    tuple[str, int, list[Any]]
).decode


class NewRows(StrEnum):
    """The ways to take rows that the earlier file does not have."""

    REFUSE = "refuse"
    SKIP = "skip"
    PUT = "put"


class EarlierFile:
    """The rows of an earlier file, and the counts of a comparison with it.

    *same* rows change nothing, *new* ones are not in the earlier file. With *kept*, lines that both
    files have alike are read from neither; they only count.
    """

    def __init__(self, label: str, new_rows: NewRows, kept: DifferingLines | None = None) -> None:
        self.label = label
        self.kept = kept
        self.new_rows = new_rows
        self.same = self.new = 0
        self._rows: dict[int, bytes] = {}
        self._seen: set[int] = set()
        self._emptied: Counter[str] = Counter()
        self._used: set[str] = set()
        self._equal_shapes: set[int] = set()
        self._shapes: dict[tuple[str, ...], int] = {}
        self._paths: list[tuple[str, ...]] = []

    def begin(self) -> None:
        """Forget what was compared."""
        self.same = self.new = 0
        self._seen.clear()
        self._emptied.clear()
        self._used.clear()
        self._equal_shapes.clear()

    def read(self, entries: Iterable[Entry]) -> None:
        """Take all rows; of several for one ref, the later values hold."""
        rows, shape_of = self._rows, self._shape
        for entry in entries:
            key, fields = hash(ref_key(entry.ref)), entry.fields
            if key in rows:
                fields = {**self._fields(rows[key])[1], **fields}
            rows[key] = _pack((entry.ref, shape_of(tuple(fields)), [*fields.values()]))

    def add_left_out(self) -> int:
        """Count the lines that were left out of the new file as the same; return their number."""
        number = self.kept.new.left_out if self.kept else 0
        self.same += number
        return number

    def compare(self, entry: Entry, columns: Iterable[str] = ()) -> tuple[Entry | None, str]:
        """Return the part of *entry* that differs, which expects the earlier values, and "".

        *columns* are those that the file has, if it is a table.
        None stands for a row that changes nothing, or that is new and is left out. Raises nothing:
        a row that cannot be taken comes with the reason.
        """
        if entry.op not in (Op.SET, Op.ASSIGN):
            return entry, "cannot be compared: leave out its op"
        key = hash(ref_key(entry.ref))
        self._seen.add(key)
        row = self._rows.get(key)
        if row is None:
            return self._take_new(entry)
        fields = entry.fields
        shape = self._shapes.get(tuple(fields), -1)
        if row == _pack((entry.ref, shape, [*fields.values()])):
            self.same += 1
            self._equal_shapes.add(shape)
            return None, ""
        _, before = self._fields(row)
        self._used.update(fields, columns)
        self._emptied.update(p for p, v in before.items() if v is not None and p not in fields)
        expect = {path: before[path] for path in fields if path in before}
        changed = changed_part(
            msgspec.structs.replace(entry, expect={**expect, **entry.expect}), is_known=True
        )
        if changed is None:
            self.same += 1
        return changed, ""

    def _take_new(self, entry: Entry) -> tuple[Entry | None, str]:
        self.new += 1
        if self.new_rows is NewRows.REFUSE:
            return entry, f"is not in {self.label}: --new put creates it, --new skip skips it"
        if self.new_rows is NewRows.SKIP:
            return None, ""
        is_assignment = kind_of(entry.ref).assignment
        return entry if is_assignment else msgspec.structs.replace(entry, op=Op.PUT), ""

    def gone(self) -> Iterator[Ref]:
        """Yield the refs of the earlier file that were not compared, in its order."""
        return (_unpack(row)[0] for key, row in self._rows.items() if key not in self._seen)

    @property
    def gone_number(self) -> int:
        """The number of refs of the earlier file that were not compared."""
        return sum(key not in self._seen for key in self._rows)

    @property
    def emptied(self) -> int:
        """The number of empty cells where the earlier file has a value, in columns of both."""
        used = self._used.union(*(self._paths[shape] for shape in self._equal_shapes))
        return sum(number for path, number in self._emptied.items() if path in used)

    def _fields(self, row: bytes) -> tuple[Ref, Fields]:
        ref, shape, values = _unpack(row)
        return ref, dict(zip(self._paths[shape], values, strict=True))

    def _shape(self, paths: tuple[str, ...]) -> int:
        number = self._shapes.setdefault(paths, len(self._paths))
        if number == len(self._paths):
            self._paths.append(paths)
        return number
