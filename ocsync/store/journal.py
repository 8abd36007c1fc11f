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
a run returns under their old numbers come first. When no entry is live, the next seal starts over
with an empty segment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from ocsync.errors import StalePlan
from ocsync.models import Entry
from ocsync.schema import is_ref
from ocsync.store import files, log
from ocsync.store.damage import damaged
from ocsync.store.log import Log, Warn
from ocsync.store.number_ranges import remove_ranges, to_ranges
from ocsync.store.timestamps import parse_timestamp

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
_record = msgspec.json.Decoder(Record).decode
_encode = msgspec.json.Encoder().encode


class _JournalState:
    """Result of reading the segments in order."""

    def __init__(self) -> None:
        self.live: dict[int, Entry] = {}
        self.next_number = 1
        self.sealed: set[str] = set()
        self.returned: set[str] = set()
        self.last_path: Path | None = None
        self.last_closed = False
        self.imports: dict[str, list[range]] = {}
        self._first = 1

    def apply(self, record: Record) -> None:
        match record:
            case Entry():
                self.live[record.seq] = record
                self.next_number = max(self.next_number, record.seq + 1)
            case Segment():
                self.next_number = max(self.next_number, record.next)
                self._first = record.next
                self.last_closed = record.closed
                if record.returned:
                    self.returned.add(record.returned)
            case Drop() | Sealed():
                remove_ranges(self.live, record.seqs)
                if isinstance(record, Sealed):
                    self.sealed.add(record.run)
            case End() if record.content:
                numbers = range(self._first, self._first + record.entries)
                self.imports.setdefault(record.content, []).append(numbers)

    def entries(self) -> list[Entry]:
        return [self.live[seq] for seq in sorted(self.live)]


class Journal:
    """The journal in *folder*; every change takes *lock* itself.

    The segments are read once, and again only when another process has changed one of them.
    """

    def __init__(self, folder: Path, lock: Lock, warn: Warn) -> None:
        self._folder = folder
        self._lock = lock
        self._warn = warn
        self._read_state: tuple[list[_SegmentSignature], _JournalState] | None = None

    def entries(self) -> list[Entry]:
        """Return the live entries, in order. Raises Damaged."""
        return self._read().entries()

    def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """Add *entries*, durably, and return them with their numbers."""
        with self._lock():
            state = self._read()
            numbered = [
                msgspec.structs.replace(entry, seq=seq)
                for seq, entry in enumerate(entries, state.next_number)
            ]
            self._append(state, numbered)
        return numbered

    def add_segment(self, entries: Iterable[Entry], content: Callable[[], str] = lambda: "") -> int:
        """Add *entries* as one segment, and return their number.

        When iterating fails, none of them is added. *content* is called after the last one and
        gives their digest.
        """
        with self._lock():
            state = self._read()
            first = state.next_number
            with self._new_segment(state, Segment(next=first, closed=True)) as write:
                for seq, entry in enumerate(entries, first):
                    write(msgspec.structs.replace(entry, seq=seq))
                number = state.next_number - first
                write(End(number, content() if number else ""))
        return number

    def imports(self) -> Mapping[str, Sequence[range]]:
        """Return the numbers of the entries of each import, by the digest of its content."""
        return self._read().imports

    def drop(self, seqs: Collection[int]) -> int:
        """Unstage the entries with these numbers; return how many of them were staged."""
        with self._lock():
            state = self._read()
            staged = state.live.keys() & set(seqs)
            if staged:
                self._append(state, [Drop(to_ranges(staged))])
        return len(staged)

    def clear(self) -> int:
        """Unstage everything; return how many entries that was."""
        with self._lock():
            state = self._read()
            number = len(state.live)
            if number:
                self._append(state, [Drop(to_ranges(state.live))])
        return number

    def seal(self, run: str, seqs: Collection[int], save: Callable[[list[Entry]], None]) -> None:
        """Hand the entries *seqs* over to *run*; they leave the journal.

        *save* must have made them durable elsewhere when it returns. One record commits: a crash
        before it leaves the journal as it was, after it the run has them. Raises StalePlan when one
        of them has been unstaged meanwhile: what was planned with it would be sent all the same.
        """
        with self._lock():
            state = self._read()
            if unstaged := set(seqs) - state.live.keys():
                text = f"{len(unstaged):,} of the planned entries were unstaged meanwhile"
                raise StalePlan(text, hint="ocsync plan, then the same command again")
            taken = [state.live[seq] for seq in sorted(seqs)]
            save(taken)
            self._append(state, [Sealed(run, to_ranges(entry.seq for entry in taken))])

    def is_sealed(self, run: str) -> bool:
        """Return whether the seal of *run* was committed."""
        return run in self._read().sealed

    def run_ids(self) -> set[str]:
        """Return the runs whose seal or return it records: their IDs are taken."""
        state = self._read()
        return state.sealed | state.returned

    def return_entries(self, run: str, entries: Sequence[Entry]) -> None:
        """Stage *entries* of *run* again, in one act; a second call for a run does nothing."""
        with self._lock():
            state = self._read()
            if run in state.returned:
                return
            head = Segment(next=state.next_number, returned=run, closed=True)
            with self._new_segment(state, head) as write:
                for entry in entries:
                    write(entry)
                write(End(len(entries)))

    def find_unsealed(self, runs: Mapping[str, Collection[int]]) -> set[int]:
        """Return the numbers of live entries that belong to one of *runs* (run -> numbers).

        They are live because a damaged line took the record of the run's seal with it.
        """
        state = _JournalState()
        returned_by_run: dict[str, set[int]] = {}
        for path in self._segments():
            returned = ""
            for record in _read_segment(path, self._warn):
                state.apply(record)
                if isinstance(record, Segment):
                    returned = record.returned
                elif isinstance(record, Entry) and returned:
                    returned_by_run.setdefault(returned, set()).add(record.seq)
        unsealed = {run: set(seqs) for run, seqs in runs.items() if run not in state.sealed}
        theirs = {
            seq for run, seqs in unsealed.items() for seq in seqs - returned_by_run.get(run, set())
        }
        return state.live.keys() & theirs

    def compact(self) -> None:
        """Start over with an empty segment when nothing is staged. No run may be open."""
        with self._lock():
            state = self._read()
            old = self._segments()
            if state.live or len(old) < 2:
                return
            with self._new_segment(state, Segment(next=state.next_number)):
                pass
            for path in old:
                files.remove_file(path)
            files.sync_folder(self._folder)
            self._read_state = None

    def _segments(self) -> list[Path]:
        return log.list_segments(self._folder)

    def _read(self) -> _JournalState:
        """Return what the segments come to. Raises Damaged."""
        segments = self._segments()
        signatures = [(path.name, files.signature(path)) for path in segments]
        if self._read_state is None or self._read_state[0] != signatures:
            state = _JournalState()
            for path in segments:
                state.last_path, state.last_closed = path, False
                for record in _read_segment(path, self._warn):
                    state.apply(record)
            self._read_state = signatures, state
        return self._read_state[1]

    def _written(self, state: _JournalState) -> None:
        """Take *state* as what the segments come to now, as this process has just written them."""
        signatures = [(path.name, files.signature(path)) for path in self._segments()]
        self._read_state = signatures, state

    @contextmanager
    def _new_segment(
        self, state: _JournalState, head: Segment
    ) -> Iterator[Callable[[Record], None]]:
        """Write a new segment: all that the block writes, or nothing when the block fails."""
        path = self._next_path(state)
        self._read_state = None
        with files.atomic_writer(path) as file:

            def write(record: Record) -> None:
                file.write(log.encode_line(_encode(record)))
                state.apply(record)

            write(head)
            yield write
        state.last_path = path
        self._written(state)

    def _next_path(self, state: _JournalState) -> Path:
        files.make_folder(self._folder)
        files.remove_stale_temps(self._folder)
        number = int(state.last_path.stem) + 1 if state.last_path else 1
        return self._folder / f"{number:06}.jsonl"

    def _append(self, state: _JournalState, records: Sequence[Record]) -> None:
        if state.last_path is None or state.last_closed:
            with self._new_segment(state, Segment(next=state.next_number)):
                pass
        if state.last_path is None:
            raise AssertionError("a new segment is the last one")
        self._read_state = None
        with Log(state.last_path) as opened:
            opened.append(map(_encode, records))
        for record in records:
            state.apply(record)
        self._written(state)


def check_entry(entry: Entry) -> Entry:
    """Return *entry* if its ref and stamp are valid. Raises ValueError."""
    if not is_ref(entry.ref):
        raise ValueError(f"{entry.ref} is no ref that this ocsync knows")
    if entry.at:
        parse_timestamp(entry.at)
    return entry


def decode(payload: bytes) -> Record:
    """Return the record in *payload*. Raises ValueError."""
    record = _record(payload)
    return check_entry(record) if isinstance(record, Entry) else record


def _read_segment(path: Path, warn: Warn) -> Iterator[Record]:
    """Yield the records of a segment. Raises Damaged, also for a closed one that is not whole."""
    entries, open_end, warnings = 0, False, list[str]()
    for number, record in enumerate(log.read_records(path, decode, warnings.append), 1):
        entries += isinstance(record, Entry)
        open_end = record.closed if isinstance(record, Segment) else open_end
        if isinstance(record, End):
            open_end = False
            if record.entries != entries:
                raise damaged(path, number, f"{record.entries:,} entries were written here")
        yield record
    if open_end:
        raise damaged(path, entries + 2, "the rest of the segment is missing")
    for text in warnings:
        warn(text)
