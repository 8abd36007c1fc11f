"""Plan of more refs than memory should hold.

Where no edit depends on one of another ref, each ref is consolidated by itself: so the entries of
the refs that come later are put into temporary files, in partitions by ref, and the steps go into
another one. The plan is, to the byte, the one that `plan.build` makes.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ocsync.consolidate import consolidate
from ocsync.models import Change, Entry, Step
from ocsync.plan import METHODS, RANKS, KindTotal, Plan
from ocsync.schema import KINDS, write_url_of
from ocsync.store.spill import Partitions, SpillFile
from ocsync.store.step_log import StepLog

PARTITIONS = 64
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry)
_HEAD = len(b'{"number":0')
"""Length of the beginning of a step that has no number yet."""
_BLOCK = 65_536
_GROUP = 1_000
"""Steps that are written together."""


class SpilledEntries:
    """Entries in temporary files in *folder*, by the keys of their refs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partitions: Partitions | None = None

    def __bool__(self) -> bool:
        return self._partitions is not None

    def add(self, key: str, entry: Entry) -> None:
        """Add *entry*, whose ref has the *key*; what a plan has no use for is left out."""
        if self._partitions is None:
            self._partitions = Partitions(self._folder, PARTITIONS)
        kept = Entry(
            op=entry.op, ref=entry.ref, fields=entry.fields, expect=entry.expect,
            replace=entry.replace, seq=entry.seq,
        )  # fmt: skip
        self._partitions.add(hash(key) % PARTITIONS, _encode(kept) + b"\n")

    def changes(self) -> Iterator[list[Change]]:
        """Yield the changes that they come to, one partition after the other."""
        for place in range(PARTITIONS) if self._partitions else ():
            yield consolidate(self._entries(place))

    def _entries(self, place: int) -> Iterator[Entry]:
        for lines in self._partitions.read(place) if self._partitions else ():
            yield from _decode.decode_lines(lines)


class SpilledPlan(NamedTuple):
    """A plan in a temporary file, the number of its *refs*, and its rows by kind."""

    plan: Plan
    refs: int
    totals: list[KindTotal]


class _Wave(NamedTuple):
    """The steps of one kind in one wave: the numbers of their refs' first entries, their rows."""

    firsts: array[int]
    rows: array[int]


class _Rows:
    """Encoded steps without their numbers, in parts, within which they are read in order."""

    def __init__(self, folder: Path) -> None:
        self._file = SpillFile(folder)
        self._ends = array("Q", [0])
        self._parts = array("H")
        self._windows: dict[int, tuple[int, bytes]] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def add_part(self, rows: Sequence[bytes]) -> None:
        """Add one more part."""
        part = self._parts[-1] + 1 if self._parts else 0
        end = self._ends[-1]
        for row in rows:
            end += len(row)
            self._ends.append(end)
            self._parts.append(part)
        self._file.append(b"".join(rows))

    def read(self, row: int) -> bytes:
        """Return a row."""
        start, end, part = self._ends[row], self._ends[row + 1], self._parts[row]
        first, window = self._windows.get(part, (0, b""))
        if not first <= start <= end <= first + len(window):
            first, window = start, self._file.read(start, max(_BLOCK, end - start))
            self._windows[part] = first, window
        return window[start - first : end - first]


def build_spilled(parts: Iterable[Collection[Change]], folder: Path) -> SpilledPlan:
    """Return the plan of unrelated changes; those of one ref stand together, in one of *parts*."""
    rows, refs, entries = _Rows(folder), 0, Counter[str]()
    waves: dict[tuple[int, int], _Wave] = defaultdict(lambda: _Wave(array("Q"), array("Q")))
    for changes in parts:
        encoded = list[bytes]()
        previous, wave, first, number = "", 0, 0, len(rows)
        for row, change in enumerate(changes, number):
            ref = change.ref
            wave, first = (wave + 1, first) if ref == previous else (1, change.entries[0])
            previous, refs = ref, refs + (wave == 1)
            kind_name = ref[: ref.find("/")]
            group = waves[wave, RANKS[kind_name]]
            group.firsts.append(first)
            group.rows.append(row)
            entries[kind_name] += len(change.entries)
            path = write_url_of(ref, change.fields)
            step = Step(number=0, wave=wave, change=change, method=METHODS[change.op], path=path)
            encoded.append(_encode(step))
        rows.add_part(encoded)
    steps = Counter[int]()
    for (_, rank), group in waves.items():
        steps[rank] += len(group.rows)
    totals = [KindTotal(n, entries[n], steps[RANKS[n]]) for n in KINDS if n in entries]
    last = max((wave for wave, _ in waves), default=0)
    return SpilledPlan(Plan(_in_order(rows, waves, folder), last), refs, totals)


def _in_order(rows: _Rows, waves: dict[tuple[int, int], _Wave], folder: Path) -> StepLog:
    """Return the steps in plan order, with their numbers.

    A second one of a ref needs the one before it, which stands in the row before its own.
    """
    file, ends, number = SpillFile(folder), array("Q"), 0
    several = any(wave > 1 for wave, _ in waves)
    numbers = array("Q", bytes(8 * len(rows) * several))
    for (wave, _), group in sorted(waves.items()):
        order = sorted(range(len(group.rows)), key=group.firsts.__getitem__)
        for start in range(0, len(order), _GROUP):
            lines = list[bytes]()
            for place in order[start : start + _GROUP]:
                row, number = group.rows[place], number + 1
                line = b'{"number":%d%b\n' % (number, rows.read(row)[_HEAD:])
                if wave > 1:
                    line = b'%b,"needs":[%d]}\n' % (line[:-2], numbers[row - 1])
                if several:
                    numbers[row] = number
                lines.append(line)
            end = file.append(b"".join(lines))
            for line in lines:
                end += len(line)
                ends.append(end)
    return StepLog(file.read, ends)
