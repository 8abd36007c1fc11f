"""Plan of more refs than memory should hold.

Where no edit depends on one of another ref, each ref is consolidated by itself: so the entries of
the refs that come later are put into temporary files, in partitions by ref, and the steps go into
another one. The plan is, to the byte, the one that `plan.build` makes.
"""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice
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
_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder(Entry)
_HEAD = len(b'{"number":0')
"""Length of the beginning of a step that has no number yet."""
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


class _Planned(NamedTuple):
    """Steps of one kind in one wave, without their numbers.

    *firsts* are the numbers of their refs' first entries, which they are sorted by; *rows* their
    places among all steps that were planned.
    """

    steps: list[Step]
    firsts: array[int]
    rows: array[int]


class _Piece:
    """The same of one part, with the encoded steps in *file*."""

    def __init__(self, file: SpillFile) -> None:
        self._file = file
        self._blocks: list[tuple[int, int]] = []
        self.firsts, self.rows = array("Q"), array("Q")
        self.entries = 0

    def add(self, planned: _Planned) -> None:
        data = _encode_lines(planned.steps)
        self._blocks.append((self._file.append(data), len(data)))
        self.firsts += planned.firsts
        self.rows += planned.rows
        self.entries += sum(len(step.change.entries) for step in planned.steps)

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the first entry, the row and the line of each step."""
        blocks = (self._file.read(*block).splitlines() for block in self._blocks)
        return zip(self.firsts, self.rows, chain.from_iterable(blocks), strict=True)


_Pieces = dict[tuple[int, int], list[_Piece]]
"""The pieces of each wave and, within it, of each kind, by its rank."""


def build_spilled(parts: Iterable[Sequence[Change]], folder: Path) -> SpilledPlan:
    """Return the plan of unrelated changes; those of one ref stand together, in one of *parts*."""
    file, rows = SpillFile(folder), 0
    pieces: _Pieces = defaultdict(list)
    for changes in parts:
        own: dict[tuple[int, str], _Piece] = defaultdict(lambda: _Piece(file))
        for group in _planned(changes, rows):
            for key, planned in group.items():
                own[key].add(planned)
        rows += len(changes)
        for (wave, name), piece in own.items():
            pieces[wave, RANKS[name]].append(piece)
    totals = []
    for name in KINDS:
        some = [one for (_, rank), all_ in pieces.items() if rank == RANKS[name] for one in all_]
        if some:
            entries, steps = sum(p.entries for p in some), sum(len(p.rows) for p in some)
            totals.append(KindTotal(name, entries, steps))
    refs = sum(len(one.rows) for (wave, _), some in pieces.items() if wave == 1 for one in some)
    last = max((wave for wave, _ in pieces), default=0)
    return SpilledPlan(Plan(_in_order(pieces, rows, folder), last), refs, totals)


def _planned(
    changes: Sequence[Change], first_row: int
) -> Iterator[Mapping[tuple[int, str], _Planned]]:
    """Yield the steps of *changes* by wave and kind, some at a time."""
    previous, wave, first = "", 0, 0
    for start in range(0, len(changes), _GROUP):
        group: dict[tuple[int, str], _Planned] = defaultdict(
            lambda: _Planned([], array("Q"), array("Q"))
        )
        for row, change in enumerate(changes[start : start + _GROUP], first_row + start):
            ref = change.ref
            wave, first = (wave + 1, first) if ref == previous else (1, change.entries[0])
            previous = ref
            path = write_url_of(ref, change.fields)
            steps, firsts, rows = group[wave, ref[: ref.find("/")]]
            steps.append(
                Step(number=0, wave=wave, change=change, method=METHODS[change.op], path=path)
            )
            firsts.append(first)
            rows.append(row)
        yield group


def _in_order(pieces: _Pieces, rows: int, folder: Path) -> StepLog:
    """Return the steps in plan order, with their numbers.

    A second one of a ref needs the one before it, which stands in the row before its own.
    """
    file, ends, number = SpillFile(folder), array("Q"), 0
    several = any(wave > 1 for wave, _ in pieces)
    numbers = array("Q", bytes(8 * rows * several))
    for (wave, _), some in sorted(pieces.items()):
        merged = heapq.merge(*(piece.lines() for piece in some))
        while group := list(islice(merged, _GROUP)):
            lines = list[bytes]()
            for _, row, text in group:
                number += 1
                line = b'{"number":%d%b\n' % (number, text[_HEAD:])
                if several:
                    numbers[row] = number
                if wave > 1:
                    line = b'%b,"needs":[%d]}\n' % (line[:-2], numbers[row - 1])
                lines.append(line)
            end = file.append(b"".join(lines))
            ends.extend(accumulate(map(len, lines[1:]), initial=end + len(lines[0])))
    return StepLog(file.read, ends)
