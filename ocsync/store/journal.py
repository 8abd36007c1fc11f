"""The journal: staged edits, as segments of a log.

    journal/000001.jsonl   {"type":"segment","next":1}          the head: the next free number
                           {"type":"entry","seq":1,...}
                           {"type":"drop","seqs":[[1,4]]}       tombstones: drop, clear, seal
                           {"type":"sealed","run":"1123-1504","seqs":[[5,9]]}
                           {"type":"end","entries":1}           the last of a segment written whole

Segments sort by name; a single edit is appended to the last one, an import is a segment of its own,
written beside and renamed: all of it or nothing. Such a segment is closed, by its head and its last
record, so that one which was cut later can be told from a whole one. Nothing is ever rewritten.
Live entries are those that no later tombstone names, in the order of their numbers; so entries that
a run returns under their old numbers come first.

When a run ends, segments that are not needed any more are dropped, the oldest first: all of them
but for imports with a live entry, once the others' live entries stand in a new segment under their
numbers, and a tombstone there names the rest of these imports. A journal without a live entry is
one empty segment then.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import msgspec
from msgspec.structs import replace

from ocsync.errors import ConfigError, StalePlan
from ocsync.groups import in_groups
from ocsync.models import Entry, Op, Ref
from ocsync.plurals import count
from ocsync.schema import is_ref, ref_key
from ocsync.store import files, journal_index, log, summary
from ocsync.store.damage import damaged
from ocsync.store.journal_index import (
    IndexBuilder,
    IndexDamagedError,
    JournalIndex,
    JournalState,
    Stretch,
    StretchReader,
)
from ocsync.store.log import Log, Warn
from ocsync.store.number_ranges import NumberRanges, to_ranges
from ocsync.store.summary import JournalSummary
from ocsync.store.timestamps import parse_timestamp

T = TypeVar("T")
Lock = Callable[[], AbstractContextManager[None]]


class Segment(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="segment"):
    """Head of a segment. *returned* names the run that returned its entries."""

    next: int
    returned: str = ""
    closed: bool = False


class End(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="end"):
    """Last record of a closed segment: the number of its entries.

    *content* is a digest of them when they were imported; the same edits have the same one.
    """

    entries: int
    content: str = ""


class Drop(msgspec.Struct, frozen=True, tag_field="type", tag="drop"):
    """Numbers that are not staged any more; ranges, both ends included."""

    seqs: list[tuple[int, int]]


class Sealed(msgspec.Struct, frozen=True, tag_field="type", tag="sealed"):
    """Numbers that belong to *run* now. This record commits a seal."""

    run: str
    seqs: list[tuple[int, int]]


Record = Entry | Segment | Drop | Sealed | End
_SegmentSignature = tuple[str, files.Signature | None]
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines

ROLL_BYTES = 1_048_576
"""Size at which single edits go into a new segment."""
_MANY = 1_000
"""Most unstaged entries that are looked up one by one."""
_END_BYTES = 4_096
"""More bytes than the last record of a segment has."""
_MANY_SEGMENTS = 16
"""Most segments that are left as they are although little of them is staged."""


class _View:
    """State that the segments come to: an index, and the entries after it.

    *tail* has these by number. When they are too many it is empty, and *builder* has their rows:
    then another index is due.
    """

    def __init__(self, index: JournalIndex | None) -> None:
        self.index = index
        self.state = index.state() if index else JournalState()
        self.tail: dict[int, Entry] = {}
        self.builder: IndexBuilder | None = None
        self.readers: list[StretchReader] = []
        self.last_path: Path | None = None
        self._tail_bytes = 0

    def fork(self) -> _View:
        """Return a copy to which records are added; this one stays what the segments come to."""
        other = copy(self)
        other.state, other.tail = self.state.copy(), dict(self.tail)
        other.readers = [*self.readers[:-1], *(last.copy() for last in self.readers[-1:])]
        return other

    def begin(self, path: Path, before: Stretch | None = None) -> log.Cursor:
        """Take the beginning of a segment; return from where on it is to be read."""
        self.last_path = path
        if before is None:
            self.state.last_closed = False
        self.readers.append(StretchReader(path, before))
        return log.Cursor(before.lines, before.size) if before else log.Cursor()

    def take(self, record: Record, end: int) -> None:
        """Take a record whose line ends at byte *end* of the segment begun last."""
        reader, state = self.readers[-1], self.state
        self._tail_bytes += end - reader.size
        if isinstance(record, Entry):
            seq, ref = record.seq, record.ref
            reader.add_entry(end, seq)
            state.add(seq, ref, record.at)
            if self.builder:
                self.builder.add(ref, seq)
            else:
                self.tail[seq] = record
                if self._tail_bytes > summary.INDEX_BYTES:
                    self._spill()
            return
        reader.add_line(end)
        match record:
            case Segment():
                state.begin(record.next, record.returned, closed=record.closed)
            case Drop() | Sealed():
                state.live.remove(record.seqs)
                if isinstance(record, Sealed):
                    state.sealed.add(record.run)
                if self.tail:
                    self.tail = {n: e for n, e in self.tail.items() if n in state.live}
            case End():
                state.end(record.entries, record.content)
                reader.content = record.content

    def take_written(self, records: Sequence[Record], sizes: Sequence[int]) -> None:
        """Take records whose lines, of these *sizes*, were written at the end."""
        if self.builder and set(map(type, records)) == {Entry}:
            entries = cast("Sequence[Entry]", records)
            self._tail_bytes += sum(sizes)
            self.readers[-1].add_entries(entries, sizes)
            self.state.add_all(entries)
            self.builder.add_all(entries)
            return
        for record, size in zip(records, sizes, strict=True):
            self.take(record, self.readers[-1].size + size)

    def _spill(self) -> IndexBuilder:
        self.builder = IndexBuilder(self.index if self.state.live else None)
        for seq, entry in self.tail.items():
            self.builder.add(entry.ref, seq)
        self.tail = {}
        return self.builder

    def parts(self) -> Iterator[Stretch | StretchReader]:
        """Yield all segments, as far as they were read."""
        read = {reader.name for reader in self.readers}
        yield from (s for s in (self.index.stretches if self.index else ()) if s.name not in read)
        yield from self.readers

    @property
    def is_due(self) -> bool:
        """True when an index is to be made before anything is looked up."""
        is_long = self._tail_bytes > summary.INDEX_BYTES
        return self.builder is not None or (
            self.index is not None and (is_long or self.gone().count() > _MANY)
        )

    def gone(self) -> NumberRanges:
        """Return the entries of the index that are not staged any more."""
        return self.index.live.minus(self.state.live) if self.index else NumberRanges()

    def indexed(self, folder: Path) -> _View:
        """Return the same with an index of all that was read."""
        builder = self.builder or self._spill()
        stretches = {
            stretch.name: stretch for stretch in (self.index.stretches if self.index else ())
        }
        stretches |= {reader.path.name: reader.stretch() for reader in self.readers}
        view = _View(builder.build(folder, self.state, stretches.values()))
        if self.last_path:
            view.begin(self.last_path, stretches[self.last_path.name])
        return view


class Journal:
    """The journal in *folder*; every change takes *lock* itself.

    What its segments come to is read once, and again only when another process has changed one.
    """

    def __init__(self, folder: Path, lock: Lock, warn: Warn) -> None:
        self._folder = folder
        self._lock = lock
        self._warn = warn
        self._read_view: tuple[list[_SegmentSignature], _View] | None = None

    def entries(self) -> list[Entry]:
        """Return the live entries, in order. Raises Damaged."""
        return list(self.stream())

    def stream(self, numbers: NumberRanges | None = None) -> Iterator[Entry]:
        """Yield the live entries, in order; only those in *numbers*, if these are given.

        Raises Damaged, StalePlan when another process removes some of them meanwhile.
        """
        return chain.from_iterable(self._groups(numbers))

    def _groups(self, numbers: NumberRanges | None) -> Iterator[Sequence[Entry]]:
        view = self._read()
        wanted = view.state.live.copy()
        if numbers is not None:
            wanted = wanted.common(numbers)
        left = wanted.count()
        for group in _in_order(self._streams(view, wanted)):
            left -= len(group)
            yield group
        if left:
            text = "the journal changed while it was being read"
            raise StalePlan(text, hint="run the same command again")

    def check(self) -> None:
        """Read all of it. Raises Damaged."""
        for path in self._segments():
            for _ in _read_segment(path, self._warn):
                pass

    def _streams(self, view: _View, wanted: NumberRanges) -> Iterator[_Stream]:
        """Yield the entries *wanted*, by segment; of a number that comes twice the later counts."""
        tail, left = view.tail, wanted.copy()
        left.remove((seq, seq) for seq in tail)
        for stretch in view.index.stretches if view.index else ():
            if left.overlaps(stretch.first, stretch.last):
                path = self._folder / stretch.name
                is_whole = bool(stretch.content) and left.has_all(stretch.first, stretch.last)
                entries = self._entries_of(path, None if is_whole else left, stretch)
                copied = _copied_lines(path, stretch) if is_whole else None
                yield _Stream(stretch.first, stretch.last, entries, copied)
        if staged := [seq for seq in sorted(tail) if seq in wanted]:
            yield _Stream(staged[0], staged[-1], [[tail[seq] for seq in staged]])

    def _entries_of(
        self, path: Path, wanted: NumberRanges | None, indexed: Stretch | None = None
    ) -> Iterator[list[Entry]]:
        """Yield the entries of a segment that are *wanted*, all of them without that, in groups.

        Of a segment that was *indexed* only that part is read. Its lines were checked then: one
        checksum of them all shows that they are the same, as long as nothing is damaged.
        """
        if indexed and _is_undamaged(path, indexed):
            groups = log.read_checked(path, decode, self._warn, indexed.size)
        else:
            groups = (group.records for group in _read_segment(path, self._warn))
        for records in groups:
            if wanted is None:
                yield [record for record in records if isinstance(record, Entry)]
            else:
                yield [r for r in records if isinstance(r, Entry) and r.seq in wanted]

    def totals(self) -> JournalSummary:
        """Return how much is staged. Raises Damaged."""
        return self._look_up(self._totals)

    def of_refs(self, refs: Iterable[Ref]) -> list[Entry]:
        """Return the live entries of *refs*, in order. Raises Damaged."""
        keys = set(map(ref_key, refs))
        return self._look_up(lambda view: self._of_keys(view, keys))

    def newest(self, number: int) -> Iterator[Entry]:
        """Yield the live ones of the last *number* entries, in order. Raises Damaged."""
        end = self._read().state.next_number
        return self.stream(NumberRanges([(end - number, end - 1)]))

    def kinds(self) -> Collection[str]:
        """Return the kinds of the live entries, perhaps with some that were. Raises Damaged."""
        return self._read().state.kinds

    def of_kinds(self, kinds: Collection[str]) -> Iterator[Entry]:
        """Yield the live entries of *kinds*, in order. Raises Damaged."""
        if not set(kinds).isdisjoint(self.kinds()):
            yield from (e for e in self.stream() if e.ref.partition("/")[0] in kinds)

    def with_numbers(self, seqs: Iterable[int]) -> list[Entry]:
        """Return the live entries with these numbers, in order. Raises Damaged."""
        numbers = set(seqs)

        def find(view: _View) -> list[Entry]:
            live = {seq for seq in numbers if seq in view.state.live}
            found = [view.tail[seq] for seq in live if seq in view.tail]
            found += self._fetch(view, live - view.tail.keys())
            return sorted(found, key=lambda entry: entry.seq)

        return self._look_up(find)

    def _look_up(self, find: Callable[[_View], T]) -> T:
        """Return what *find* gives; where the index was damaged, with a new one."""
        try:
            return find(self._read())
        except IndexDamagedError:
            self._read_view = None
            return find(self._read(trust=False))

    def _totals(self, view: _View) -> JournalSummary:
        live, index = view.state.live, view.index
        keys = {ref_key(entry.ref) for entry in view.tail.values()}
        refs = len(keys)
        if index:
            gone = view.gone()
            touched = keys | {ref_key(e.ref) for e in self._fetch(view, set(gone.numbers()))}
            found = index.find(touched)
            refs = index.refs - sum(1 for numbers in found.values() if numbers)
            refs += sum(
                1 for key in touched if key in keys or any(n in live for n in found.get(key, ()))
            )
        return JournalSummary(live.count(), refs, view.state.oldest_stamp())

    def _of_keys(self, view: _View, keys: set[str]) -> list[Entry]:
        entries = [entry for entry in view.tail.values() if ref_key(entry.ref) in keys]
        if view.index:
            found = view.index.find(keys)
            seqs = {seq for some in found.values() for seq in some if seq in view.state.live}
            entries += [
                entry
                for entry in self._fetch(view, seqs - view.tail.keys())
                if ref_key(entry.ref) in keys
            ]
        return sorted(entries, key=lambda entry: entry.seq)

    def _fetch(self, view: _View, seqs: Collection[int]) -> list[Entry]:
        """Return the entries *seqs* of the index, read from the log. Raises IndexDamagedError."""
        missing, entries = set(seqs), list[Entry]()
        for stretch in reversed(view.index.stretches if view.index else ()):
            for entry in _find_entries(self._folder / stretch.name, stretch, missing):
                missing.discard(entry.seq)
                entries.append(entry)
        if missing:
            raise IndexDamagedError
        return entries

    def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """Add *entries*, durably, and return them with their numbers."""
        with self._lock():
            view = self._read()
            numbered = [
                replace(entry, seq=seq) for seq, entry in enumerate(entries, view.state.next_number)
            ]
            self._append(view, numbered)
        return numbered

    def add_segment(
        self,
        entries: Iterable[Entry],
        content: Callable[[], str] = lambda: "",
        *,
        at: str = "",
        by: str = "",
    ) -> int:
        """Add *entries* as one segment, and return their number.

        *at* and *by* are for all of them; without these each has its own. When iterating fails,
        none is added. *content* is called after the last one and gives their digest.
        """
        with self._lock():
            view = self._read()
            first = number = view.state.next_number
            with self._new_segment(view, Segment(next=first, closed=True)) as write:
                for group in in_groups(entries):
                    numbered = [
                        replace(entry, seq=seq, at=at or entry.at, by=by or entry.by)
                        for seq, entry in enumerate(group, number)
                    ]
                    number += len(group)
                    write(numbered)
                write([End(number - first, content() if number > first else "")])
        return number - first

    def imports(self) -> Mapping[str, Sequence[range]]:
        """Return the numbers of the entries of each import, by the digest of its content."""
        return self._read().state.imports

    def drop(self, seqs: Collection[int]) -> int:
        """Unstage the entries with these numbers; return how many of them were staged."""
        with self._lock():
            view = self._read()
            staged = {seq for seq in seqs if seq in view.state.live}
            if staged:
                self._append(view, [Drop(to_ranges(staged))])
        return len(staged)

    def clear(self) -> int:
        """Unstage everything; return how many entries that was."""
        with self._lock():
            view = self._read()
            number = view.state.live.count()
            if number:
                self._append(view, [Drop(list(view.state.live))])
        return number

    def seal(
        self, run: str, numbers: NumberRanges, save: Callable[[Iterable[bytes]], None]
    ) -> None:
        """Hand the entries with these *numbers* over to *run*; they leave the journal.

        *save* gets their log lines, and must have made them durable elsewhere when it returns. One
        record commits: a crash before it leaves the journal as it was, after it the run has them.
        Raises StalePlan when one of them has been unstaged meanwhile: what was planned with it
        would be sent all the same.
        """
        with self._lock():
            view = self._read()
            if unstaged := numbers.minus(view.state.live).count():
                text = (
                    f"{count(unstaged, 'planned entry is', 'planned entries are')} no longer staged"
                )
                raise StalePlan(text, hint="ocsync plan, then the same command again")
            save(_lines_in_order(self._streams(view, numbers)))
            self._append(view, [Sealed(run, list(numbers))])

    def is_sealed(self, run: str) -> bool:
        """Return whether the seal of *run* was committed."""
        return run in self._read().state.sealed

    def run_ids(self) -> set[str]:
        """Return the runs whose seal or return it records: their IDs are taken."""
        state = self._read().state
        return state.sealed | state.returned

    def return_entries(self, run: str, entries: Sequence[Entry]) -> None:
        """Stage *entries* of *run* again, in one act; a second call for a run does nothing."""
        with self._lock():
            view = self._read()
            if run in view.state.returned:
                return
            head = Segment(next=view.state.next_number, returned=run, closed=True)
            with self._new_segment(view, head) as write:
                write([*entries, End(len(entries))])

    def find_unsealed(self, runs: Mapping[str, Collection[int]]) -> set[int]:
        """Return the numbers of live entries that belong to one of *runs* (run -> numbers).

        They are live because a damaged line took the record of the run's seal with it.
        """
        state = self._read().state
        returned_by_run: dict[str, set[int]] = {}
        for path in self._segments():
            returned = ""
            for record in chain.from_iterable(g.records for g in _read_segment(path, self._warn)):
                if isinstance(record, Segment):
                    returned = record.returned
                elif isinstance(record, Entry) and returned:
                    returned_by_run.setdefault(returned, set()).add(record.seq)
        unsealed = {run: set(seqs) for run, seqs in runs.items() if run not in state.sealed}
        return {
            seq
            for run, seqs in unsealed.items()
            for seq in seqs - returned_by_run.get(run, set())
            if seq in state.live
        }

    def compact(self) -> None:
        """Drop the segments without which the same is staged. No run may be open.

        Imports with a staged entry stay. What is staged in other segments is gathered in a new one
        when these have grown, and most of it is not staged any more; at once when nothing is.
        """
        with self._lock():
            view = self._read()
            live, parts = view.state.live, list(view.parts())
            kept = [part for part in parts if part.content and live.overlaps(part.first, part.last)]
            old = [part for part in parts if part not in kept]
            used = [part for part in old if live.overlaps(part.first, part.last)]
            own = NumberRanges((part.first, part.last) for part in kept)
            if len(old) < 2 or (used and not _is_worth_it(old, live.minus(own))):
                return
            groups = _in_order(self._live_of(part, live) for part in used)
            entries = chain.from_iterable(groups)
            gone = own.minus(live)
            with self._new_segment(view, Segment(next=view.state.next_number)) as write:
                write([Drop(list(gone))] if gone else [])
            if first := next(entries, None):
                self._gather(chain([first], entries))
            for part in old:  # the oldest first: what unstages an entry outlives it
                files.remove_file(self._folder / part.name)
            journal_index.remove(self._folder)
            files.sync_folder(self._folder)
            self._read_view = None

    def _live_of(self, part: Stretch | StretchReader, live: NumberRanges) -> _Stream:
        """Return the entries of a segment that are staged, in whatever segment they came last."""
        entries = self._entries_of(self._folder / part.name, live)
        return _Stream(part.first, part.last, entries)

    def _gather(self, entries: Iterable[Entry]) -> None:
        """Write staged *entries* to a segment of their own, with the numbers that they have."""
        view, number = self._read(), 0
        head = Segment(next=view.state.next_number, closed=True)
        with self._new_segment(view, head) as write:
            for group in in_groups(entries):
                number += len(group)
                write(group)
            write([End(number)])

    def _segments(self) -> list[Path]:
        return log.list_segments(self._folder)

    def _read(self, *, trust: bool = True) -> _View:
        """Return what the segments come to; without *trust* by the log alone. Raises Damaged."""
        segments = self._segments()
        signatures = [(path.name, files.signature(path)) for path in segments]
        if self._read_view is None or self._read_view[0] != signatures:
            index = journal_index.load(self._folder, segments) if trust else None
            try:
                view = self._read_after(index, segments)
                view = view.indexed(self._folder) if view.is_due else view
            except IndexDamagedError:
                return self._read(trust=False)
            if not {*segments}.issubset(self._segments()):
                return self._read(trust=trust)  # another process dropped some meanwhile
            self._read_view = signatures, view
        return self._read_view[1]

    def _read_after(self, index: JournalIndex | None, segments: Sequence[Path]) -> _View:
        view = _View(index)
        known = {stretch.name: stretch for stretch in (index.stretches if index else ())}
        last = index.stretches[-1].name if index else ""
        for path in segments:
            if path.name in known and path.name != last:
                continue
            start = view.begin(path, known.get(path.name))
            end = start.offset
            for records, sizes in _read_segment(path, self._warn, start):
                for record, size in zip(records, sizes, strict=True):
                    end += size
                    view.take(record, end)
        return view

    def _written(self, view: _View) -> None:
        """Take *view* as what the segments come to now, as this process has just written them."""
        signatures = [(path.name, files.signature(path)) for path in self._segments()]
        view.readers[-1].written()
        try:
            self._read_view = signatures, view.indexed(self._folder) if view.is_due else view
        except IndexDamagedError:
            self._read_view = None  # then it is read again

    @contextmanager
    def _new_segment(
        self, view: _View, head: Segment
    ) -> Iterator[Callable[[Sequence[Record]], None]]:
        """Write a new segment: all that the block writes, or nothing when the block fails."""
        path, view = self._next_path(view), view.fork()
        view.begin(path)
        with files.atomic_writer(path) as file:

            def write(records: Sequence[Record]) -> None:
                lines, sizes = log.encode_lines(_encode_lines(records))
                file.write(lines)
                view.take_written(records, sizes)

            write([head])
            yield write
        self._written(view)

    def _next_path(self, view: _View) -> Path:
        files.make_folder(self._folder)
        files.remove_stale_temps(self._folder)
        number = int(view.last_path.stem) + 1 if view.last_path else 1
        return self._folder / f"{number:06}.jsonl"

    def _append(self, view: _View, records: Sequence[Record]) -> None:
        if view.last_path is None or view.state.last_closed or view.readers[-1].size > ROLL_BYTES:
            with self._new_segment(view, Segment(next=view.state.next_number)):
                pass
        view = self._read().fork()
        if view.last_path is None:
            raise AssertionError("a new segment is the last one")
        payloads = [_encode(record) for record in records]
        with Log(view.last_path) as opened:
            opened.append(payloads)
        view.take_written(records, list(map(log.line_length, payloads)))
        self._written(view)


def _is_worth_it(parts: Sequence[Stretch | StretchReader], left: NumberRanges) -> bool:
    """Return whether *parts* have grown, and most of their lines are not needed for *left*."""
    size = sum(part.size for part in parts)
    grown = len(parts) > _MANY_SEGMENTS or size > summary.INDEX_BYTES
    return grown and 2 * left.count() <= sum(part.lines for part in parts)


class _Stream(NamedTuple):
    """Entries by ascending number, between *first* and *last*, in *groups* that follow each other.

    *copied* has their log lines, where these can be copied as they stand in the segment.
    """

    first: int
    last: int
    groups: Iterable[Sequence[Entry]]
    copied: Iterable[bytes] | None = None


def _grouped(streams: Iterable[_Stream]) -> Iterator[list[tuple[int, _Stream]]]:
    """Yield *streams* by number, in groups of those that overlap, each with its place: of the later
    ones it is lower.
    """
    group: list[tuple[int, _Stream]] = []
    last = 0
    for place, stream in sorted(enumerate(streams), key=lambda pair: pair[1].first):
        if group and stream.first > last:
            yield group
            group = []
        group.append((-place, stream))
        last = max(last, stream.last)
    if group:
        yield group


def _in_order(streams: Iterable[_Stream]) -> Iterator[Sequence[Entry]]:
    """Yield the entries of *streams* by number, in groups; of one that comes twice that of the
    later stream.

    Streams that do not overlap are read one after the other.
    """
    for overlapping in _grouped(streams):
        yield from _merged(overlapping)


def _lines_in_order(streams: Iterable[_Stream]) -> Iterator[bytes]:
    """Yield the log lines of the entries that `_in_order` yields, some of them in one piece."""
    for overlapping in _grouped(streams):
        copied = overlapping[0][1].copied
        if len(overlapping) == 1 and copied is not None:
            yield from copied
        else:
            for entries in _merged(overlapping):
                yield from (log.encode_line(_encode(entry)) for entry in entries)


def _merged(overlapping: Sequence[tuple[int, _Stream]]) -> Iterator[Sequence[Entry]]:
    if len(overlapping) == 1:
        yield from overlapping[0][1].groups
        return
    numbered = [_with_place(place, stream.groups) for place, stream in overlapping]
    previous = 0
    for seq, _, entry in heapq.merge(*numbered, key=itemgetter(0, 1)):
        if seq != previous:
            yield (entry,)
        previous = seq


def _with_place(place: int, groups: Iterable[Sequence[Entry]]) -> Iterator[tuple[int, int, Entry]]:
    return ((entry.seq, place, entry) for entries in groups for entry in entries)


def _is_undamaged(path: Path, stretch: Stretch) -> bool:
    """Return whether *path* begins with the bytes that *stretch* was made from."""
    try:
        return journal_index.checksum(path, stretch.size) == stretch.crc
    except FileNotFoundError:
        return False


def _copied_lines(path: Path, stretch: Stretch) -> Iterator[bytes]:
    """Yield the lines of all entries of a closed segment, as they stand in it, in pieces."""
    _, start = stretch.marks[0]
    with files.open_for_reading(path) as file:
        file.seek(max(start, stretch.size - _END_BYTES))
        end = stretch.size - len(file.read().splitlines(keepends=True)[-1])
        file.seek(start)
        while start < end and (piece := file.read(min(2**20, end - start))):
            start += len(piece)
            yield piece


def _find_entries(path: Path, stretch: Stretch, seqs: Collection[int]) -> Iterator[Entry]:
    """Yield the entries *seqs* that *stretch* has. Raises IndexDamagedError."""
    wanted = sorted(seq for seq in seqs if stretch.first <= seq <= stretch.last)
    if not wanted:
        return
    try:
        file = files.open_for_reading(path)
    except (OSError, ConfigError) as error:
        raise IndexDamagedError from error
    with file:
        for seq in wanted:
            place = bisect_right(stretch.marks, seq, key=itemgetter(0))
            start = stretch.marks[place - 1][1] if place else 0
            end = stretch.marks[place][1] if place < len(stretch.marks) else stretch.size
            file.seek(start)
            for line in file.read(end - start).splitlines(keepends=True):
                if b'"seq":%d' % seq in line:
                    entry = _decode_found(line)
                    if entry.seq == seq:
                        yield entry
                        break


def _decode_found(line: bytes) -> Entry:
    """Return the entry in *line* of a segment; another one for another record."""
    payload = log.decode_line(log.restore_line(line)[:-1])
    if payload is None:
        raise IndexDamagedError
    record = decode(payload)
    return record if isinstance(record, Entry) else Entry(op=Op.SET, ref="")


def check_entries(records: Iterable[Record]) -> None:
    """Raise ValueError for an entry among *records* whose ref, number or stamp is not valid."""
    checked = ""
    for record in records:
        if not isinstance(record, Entry):
            continue
        if not is_ref(record.ref):
            raise ValueError(f"{record.ref} is not a ref that this ocsync knows")
        if record.seq < 0:
            raise ValueError(f"{record.seq} is not the number of an entry")
        if record.at != checked:
            checked = record.at
            if checked:
                parse_timestamp(checked)


decode = log.RecordDecoder[Record](msgspec.json.Decoder(Record), check_entries)
"""Decoder of a record. It raises ValueError."""


def _read_segment(
    path: Path, warn: Warn, after: log.Cursor | None = None
) -> Iterator[log.Group[Record]]:
    """Yield the records of a segment, *after* a position, in groups.

    Raises Damaged, also for a closed one that is not whole.
    """
    entries, open_end, warnings = 0, False, list[str]()
    number = after.line if after else 0
    for group in log.read_groups(path, decode, warnings.append, after=after):
        for place, record in enumerate(group.records, 1):
            if isinstance(record, Entry):
                entries += 1
            elif isinstance(record, Segment):
                open_end = record.closed
            elif isinstance(record, End):
                open_end = False
                if record.entries != entries:
                    text = f"{count(record.entries, 'entry was', 'entries were')} written here"
                    raise damaged(path, number + place, text)
        number += len(group.records)
        yield group
    if open_end:
        raise damaged(path, entries + 2, "the rest of the segment is missing")
    for text in warnings:
        warn(text)
