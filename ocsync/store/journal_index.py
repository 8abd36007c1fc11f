"""Index of a journal: its totals, and the entries of each ref, so that few commands read all of it.

    journal/refs.index    {"crc":"...","format":1,"segments":[...],"live":[[1,9]],"refs":4,...}
                          blocks of rows, each with its checksum: hash of a ref, number of an entry

It stands beside the segments and is made from them alone. It holds for the segments that it names
as long as they are as it found them; what is appended later is read from the log. One that is
missing, damaged or made from other segments is made again, and an entry that it leads to is read
from the log, with its checksum. So it decides how long a command takes, never what it says.

Rows are sorted by hash and have the live entries. Refs that differ only in case have one hash.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from struct import iter_unpack
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

from ocsync.errors import ConfigError
from ocsync.models import Entry, Ref
from ocsync.schema import KINDS, kind_names, ref_key, ref_keys
from ocsync.store import files, log
from ocsync.store.number_ranges import NumberRanges

try:  # hashlib has this function from there, and loads OpenSSL, too
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

_FORMAT = 1
_NAME = "refs.index"
_HASH, _ROW = 8, 16
_BLOCK_ROWS = 255
_MARK_BYTES = 65_536
"""Bytes of a segment between two marks: as much is read to find one entry."""
_SETTLED_NS = 50_000_000
"""Age at which a file's time tells it from a later version of the same size."""


class IndexDamagedError(Exception):
    """The index is not what was written; the journal is to be read without it."""


class Stretch(NamedTuple):
    """Part of a segment that an index was made from: its first *size* bytes, *lines* lines.

    *crc* is the checksum of these bytes. *inode* and *mtime* are those of the file. *first* and
    *last* are the least and the greatest number of its entries, 0 without any. *content* is the
    digest of an import. *marks* are positions in it, as pairs: the number of an entry, and the
    offset of its line.
    """

    name: str
    inode: int
    mtime: int
    size: int
    crc: int
    lines: int
    first: int
    last: int
    content: str
    marks: Sequence[tuple[int, int]]


class JournalState:
    """Result of reading the records of a journal in order, without the entries themselves.

    *stamps* are the times of staging: [first number, last number, stamp] of entries.
    *kinds* are those of the entries, of some that are not live any more too.
    """

    def __init__(self) -> None:
        self.live = NumberRanges()
        self.next_number = 1
        self.sealed: set[str] = set()
        self.returned: set[str] = set()
        self.kinds: set[str] = set()
        self.imports: dict[str, list[range]] = {}
        self.stamps: list[list[Any]] = []
        self.last_closed = False
        self._first = 1

    def copy(self) -> JournalState:
        """Return a copy that changes by itself."""
        other = copy(self)
        other.live, other.stamps = self.live.copy(), [stamp[:] for stamp in self.stamps]
        other.sealed, other.returned = set(self.sealed), set(self.returned)
        other.kinds = set(self.kinds)
        other.imports = {content: some[:] for content, some in self.imports.items()}
        return other

    def begin(self, first: int, returned: str, *, closed: bool) -> None:
        """Take the head of a segment."""
        self.next_number = max(self.next_number, first)
        self._first = first
        self.last_closed = closed
        if returned:
            self.returned.add(returned)

    def add(self, seq: int, ref: Ref, at: str) -> None:
        """Take an entry."""
        self.kinds.add(ref[: ref.find("/")])
        self.add_numbers(seq, seq, at)

    def add_all(self, entries: Sequence[Entry]) -> None:
        """Take *entries*, those that follow each other with one stamp together."""
        self.kinds |= kind_names([entry.ref for entry in entries])
        first = last = entries[0].seq
        at = entries[0].at
        for entry in entries[1:]:
            seq = entry.seq
            if seq == last + 1 and entry.at == at:
                last = seq
            else:
                self.add_numbers(first, last, at)
                first, last, at = seq, seq, entry.at
        self.add_numbers(first, last, at)

    def add_numbers(self, first: int, last: int, at: str) -> None:
        """Take the numbers of entries of known kinds that have the same stamp."""
        self.live.add(first, last)
        self.next_number = max(self.next_number, last + 1)
        newest = self.stamps[-1] if self.stamps else None
        if newest and newest[1] == first - 1 and newest[2] == at:
            newest[1] = last
        else:
            self.stamps.append([first, last, at])

    def end(self, entries: int, content: str) -> None:
        """Take the end of a segment; *content* is the digest of an import."""
        if content:
            numbers = range(self._first, self._first + entries)
            self.imports.setdefault(content, []).append(numbers)

    def oldest_stamp(self) -> str:
        """Return the oldest stamp of a live entry, "" for none."""
        stamps = (at for first, last, at in self.stamps if at and self.live.overlaps(first, last))
        return min(stamps, default="")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "live": list(self.live),
            "next": self.next_number,
            "sealed": sorted(self.sealed),
            "returned": sorted(self.returned),
            "kinds": sorted(self.kinds),
            "imports": {
                name: [(numbers.start, numbers.stop) for numbers in some]
                for name, some in self.imports.items()
            },
            "stamps": [stamp for stamp in self.stamps if self.live.overlaps(*stamp[:2])],
            "closed": self.last_closed,
            "first": self._first,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JournalState:
        """Return the state that `to_json` gave."""
        state = cls()
        state.live = NumberRanges((first, last) for first, last in data["live"])
        state.next_number = int(data["next"])
        state.sealed, state.returned = set(data["sealed"]), set(data["returned"])
        state.kinds = set(data["kinds"])
        state.imports = {
            name: [range(*pair) for pair in some] for name, some in data["imports"].items()
        }
        state.stamps = [[*stamp] for stamp in data["stamps"]]
        state.last_closed, state._first = bool(data["closed"]), int(data["first"])
        return state


class JournalIndex:
    """Index whose header is *facts*; *open_rows* opens its rows, which begin at byte *start*."""

    def __init__(
        self, facts: Mapping[str, Any], open_rows: Callable[[], BinaryIO], start: int = 0
    ) -> None:
        self._facts = facts
        self._open_rows = open_rows
        self._start = start
        self._live = JournalState.from_json(facts).live
        fences = bytes.fromhex(facts["fences"])
        self._fences = [fences[i : i + _HASH] for i in range(0, len(fences), _HASH)]
        self.rows = int(facts["rows"])
        self.refs = int(facts["refs"])
        self.stretches = [
            Stretch(*row)._replace(marks=[(number, offset) for number, offset in row[-1]])
            for row in facts["segments"]
        ]

    @property
    def live(self) -> NumberRanges:
        """The live entries when the index was made: those that have a row."""
        return self._live

    def state(self) -> JournalState:
        """Return the state of the journal when the index was made."""
        return JournalState.from_json(self._facts)

    def find(self, refs: Collection[str]) -> dict[str, list[int]]:
        """Return the numbers of the entries of each of *refs*, which are keys. Raises
        IndexDamagedError.
        """
        found: dict[str, list[int]] = {}
        if refs and self.rows:
            with self._open() as file:
                for ref in sorted(refs, key=hash_of):
                    found[ref] = list(self._numbers(file, hash_of(ref)))
        return found

    def all_rows(self) -> Iterator[bytes]:
        """Yield the rows, block by block. Raises IndexDamagedError."""
        with self._open() as file:
            for number in range(len(self._fences)):
                yield self._block(file, number)

    def _numbers(self, file: BinaryIO, wanted: bytes) -> Iterator[int]:
        start = max(bisect_left(self._fences, wanted) - 1, 0)
        for number in range(start, bisect_right(self._fences, wanted)):
            block = self._block(file, number)
            place = block.find(wanted)
            while place >= 0:
                if place % _ROW == 0:
                    yield int.from_bytes(block[place + _HASH : place + _ROW])
                place = block.find(wanted, place + 1)

    def _open(self) -> BinaryIO:
        try:
            return self._open_rows()
        except (OSError, ConfigError) as error:
            raise IndexDamagedError from error

    def _block(self, file: BinaryIO, number: int) -> bytes:
        size = 4 + _BLOCK_ROWS * _ROW
        file.seek(self._start + number * size)
        data = file.read(min(size, 4 + _ROW * (self.rows - number * _BLOCK_ROWS)))
        if len(data) < 4 or int.from_bytes(data[:4]) != crc32(data[4:], number):
            raise IndexDamagedError
        return data[4:]


def hash_of(ref: str) -> bytes:
    """Return the hash of *ref*, a key."""
    data = ref.encode() if ref.isascii() else ref.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=_HASH).digest()


def load(folder: Path, segments: Sequence[Path]) -> JournalIndex | None:
    """Return the index of the journal in *folder*, or None if it does not hold.

    It holds for the first ones of *segments*. Of the last of these it may have only the beginning.
    """
    path = folder / _NAME
    made = files.signature(path)
    if made is None:
        return None
    try:
        with files.open_for_reading(path) as file:
            header = file.readline()
        payload = log.decode_line(header[:-1])
        facts = json.loads(payload or b"null")
        if payload is None or facts["format"] != _FORMAT or not KINDS.keys() >= {*facts["kinds"]}:
            return None
        index = JournalIndex(facts, partial(files.open_for_reading, path), len(header))
    except (OSError, ConfigError, ValueError, KeyError, TypeError, AttributeError):
        return None
    size = made[1] - len(header)
    if size != index.rows * _ROW + 4 * len(index._fences) or not index.stretches:
        return None
    names = [segment.name for segment in segments[: len(index.stretches)]]
    if names != [stretch.name for stretch in index.stretches]:
        return None
    last = index.stretches[-1]
    for segment, stretch in zip(segments, index.stretches, strict=False):
        may_grow = stretch is last and not index._facts["closed"]
        if not _is_unchanged(segment, stretch, made[2], may_grow=may_grow):
            return None
    return index


def remove(folder: Path) -> None:
    """Remove the index in *folder*, which no longer holds; one that stays is not believed."""
    with suppress(OSError, ConfigError):
        if files.signature(folder / _NAME):
            files.remove_file(folder / _NAME)


def _is_unchanged(segment: Path, stretch: Stretch, made: int, *, may_grow: bool) -> bool:
    """Return whether *segment* still begins with *stretch*, as found for an index of time *made*.

    One that cannot have grown since is known by its time, if that was settled by then.
    """
    now = files.signature(segment)
    if now is None or now[0] != stretch.inode or now[1] < stretch.size:
        return False
    if not may_grow and now[1] != stretch.size:
        return False
    if not may_grow and made - now[2] > _SETTLED_NS:
        return now[2] == stretch.mtime
    return checksum(segment, stretch.size) == stretch.crc


def checksum(path: Path, size: int) -> int:
    """Return the checksum of the first *size* bytes of *path*."""
    found = 0
    with files.open_for_reading(path) as file:
        while size and (piece := file.read(min(size, 2**20))):
            found = crc32(piece, found)
            size -= len(piece)
    return found


class StretchReader:
    """The positions in one segment, collected while its lines are read or written."""

    def __init__(self, path: Path, before: Stretch | None = None) -> None:
        self.path = path
        self.name = path.name
        self._signature = files.signature(path)
        self.size = before.size if before else 0
        self.lines = before.lines if before else 0
        self.first = before.first if before else 0
        self.last = before.last if before else 0
        self.content = before.content if before else ""
        self._marks = list(before.marks) if before else []
        self._next_mark = self._marks[-1][1] + _MARK_BYTES if self._marks else 0

    def copy(self) -> StretchReader:
        """Return a copy that reads on by itself."""
        other = copy(self)
        other._marks = self._marks[:]
        return other

    def add_line(self, end: int) -> None:
        """Take the line that ends at offset *end*."""
        self.size = end
        self.lines += 1

    def add_entry(self, end: int, seq: int) -> None:
        """Take the line of entry *seq*, which ends at offset *end*."""
        if self.size >= self._next_mark:
            self._marks.append((seq, self.size))
            self._next_mark = self.size + _MARK_BYTES
        if seq > self.last:
            self.last = seq
        if not self.first or seq < self.first:
            self.first = seq
        self.size = end
        self.lines += 1

    def add_entries(self, entries: Sequence[Entry], sizes: Sequence[int]) -> None:
        """Take the lines of *entries*, which have these *sizes*."""
        starts = list(accumulate(sizes, initial=self.size))
        self.size = starts.pop()
        while (place := bisect_left(starts, self._next_mark)) < len(starts):
            self._marks.append((entries[place].seq, starts[place]))
            self._next_mark = starts[place] + _MARK_BYTES
        numbers = [entry.seq for entry in entries]
        self.first = min([*numbers, *filter(None, [self.first])])
        self.last = max([*numbers, self.last])
        self.lines += len(entries)

    def written(self) -> None:
        """Take the file as this process has just written it."""
        self._signature = files.signature(self.path)

    def stretch(self) -> Stretch:
        """Return what was read."""
        inode, _, mtime = self._signature or (0, 0, 0)
        return Stretch(
            self.path.name, inode, mtime, self.size, checksum(self.path, self.size),
            self.lines, self.first, self.last, self.content, self._marks,
        )  # fmt: skip


class IndexBuilder:
    """Rows of an index in the making: those of *base*, and the added ones."""

    def __init__(self, base: JournalIndex | None) -> None:
        self._base = base
        self._buckets = [bytearray() for _ in range(256)]

    def add(self, ref: str, seq: int) -> None:
        """Add an entry of *ref*. Raises OverflowError for a number that has no row."""
        row = hash_of(ref_key(ref)) + seq.to_bytes(8)
        self._buckets[row[0]] += row

    def add_all(self, entries: Sequence[Entry]) -> None:
        """Add *entries*."""
        buckets = self._buckets
        keys = ref_keys(entry.ref for entry in entries)
        for key, entry in zip(keys, entries, strict=True):
            row = hash_of(key) + entry.seq.to_bytes(8)
            buckets[row[0]] += row

    def build(
        self, folder: Path, state: JournalState, stretches: Iterable[Stretch]
    ) -> JournalIndex:
        """Return the index of the live entries, written to *folder* if that can be written to.

        Raises IndexDamagedError for a base that is.
        """
        for block in self._base.all_rows() if self._base else ():
            for start in range(0, len(block), _ROW):
                self._buckets[block[start]] += block[start : start + _ROW]
        # each live entry has a row: where there are no more rows, all of them are live, and differ
        are_all_live = sum(map(len, self._buckets)) == _ROW * state.live.count()
        blocks, fences = list[bytes](), list[bytes]()
        rows, count, refs = list[bytes](), 0, 0

        def pack(some: Sequence[bytes]) -> None:
            data = b"".join(some)
            blocks.append(crc32(data, len(fences)).to_bytes(4) + data)
            fences.append(data[:_HASH])

        for bucket in self._buckets:
            kept = [row for (row,) in iter_unpack(f"{_ROW}s", bucket)]
            if not are_all_live:
                kept = [row for row in set(kept) if int.from_bytes(row[_HASH:]) in state.live]
            kept.sort()
            refs += len({row[:_HASH] for row in kept})
            count, rows = count + len(kept), rows + kept
            while len(rows) >= _BLOCK_ROWS:
                pack(rows[:_BLOCK_ROWS])
                del rows[:_BLOCK_ROWS]
        if rows:
            pack(rows)
        facts = {
            "format": _FORMAT,
            "segments": list(stretches),
            "rows": count,
            "refs": refs,
            **state.to_json(),
            "fences": b"".join(fences).hex(),
        }
        header = log.encode_line(json.dumps(facts, separators=(",", ":")).encode())
        try:
            with files.atomic_writer(folder / _NAME) as file:
                file.write(header)
                file.writelines(blocks)
        except (OSError, ConfigError):  # then it is of use to this command alone
            return JournalIndex(facts, lambda: BytesIO(b"".join(blocks)))
        return JournalIndex(facts, partial(files.open_for_reading, folder / _NAME), len(header))
