"""Rules for staging: conflicts with staged edits, deleted entities, repeated imports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from ocsync.groups import in_groups
from ocsync.intake import SummedStock, apply_rules
from ocsync.intake.contradictions import Contradictions
from ocsync.intake.staging_rules import StagingRule
from ocsync.models import Entry, Op, Ref
from ocsync.schema import (
    KINDS,
    RECORD_KINDS,
    ids_of,
    kind_names,
    kind_of,
    lineage,
    make_ref,
    parents_of,
)
from ocsync.store import ProfileDir
from ocsync.store.number_ranges import NumberRanges
from ocsync.store.spill import SpillFile
from ocsync.tombstones import refuse_deleted

_edit = attrgetter("op", "ref", "fields", "expect", "replace")
_encode_edits = msgspec.json.Encoder(order="sorted").encode_lines
_encode_lines = msgspec.json.Encoder().encode_lines
_decode_lines = msgspec.json.Decoder(Entry).decode_lines

_VARIANT_KINDS = frozenset(
    name for name, kind in KINDS.items() if any(rule.kind == "variants" for rule in kind.after)
)
_LATE = "would reset variants that earlier staged edits change"


def check_entries(
    folder: ProfileDir, entries: Iterable[Entry], *, recreated: bool
) -> Iterator[Entry]:
    """Yield *entries* unchanged; *recreated* is whether deleted entities exist again.

    Raises InputError at the end when some contradict staged entries, or edit a deleted entity that
    neither a staged entry nor the unfinished run creates again.
    """
    products, records = (folder.journal.of_kinds(kinds) for kinds in ({"product"}, RECORD_KINDS))
    return _checked(folder, entries, SummedStock(products, records), recreated=recreated)


def check_entry(folder: ProfileDir, entry: Entry, *, recreated: bool) -> Entry:
    """Return *entry* if `check_entries` takes it; of the staged ones only those that matter are
    read.
    """
    journal = folder.journal
    products = journal.of_refs([entry.ref, *parents_of(entry.ref)])
    rule = SummedStock(products, journal.of_kinds(RECORD_KINDS))
    [good] = _checked(folder, [entry], rule, recreated=recreated)
    return good


def _checked(
    folder: ProfileDir, entries: Iterable[Entry], stock: SummedStock, *, recreated: bool
) -> Iterator[Entry]:
    checked = apply_rules(entries, [_OwnSeller(folder), _LateOverwrite(folder), stock])
    return checked if recreated else _refuse_deleted(folder, checked)


class _OwnSeller(StagingRule):
    """The rule that no ref names the marketplace as another seller: the same row has a ref without
    it.
    """

    kinds = frozenset(name for name, kind in KINDS.items() if kind.owner_id)

    def __init__(self, folder: ProfileDir) -> None:
        super().__init__()
        self._folder = folder
        self._marketplace: str | None = None

    def take(self, entry: Entry) -> None:
        """Take *entry*."""
        if self._marketplace is None:
            pin = self._folder.read_pin()
            self._marketplace = pin.id if pin else ""
        if reason := own_seller_fault(entry.ref, self._marketplace):
            self.add_problem(entry, "ref", reason)


class _LateOverwrite(StagingRule):
    """The rule that no generation overwrites variants which were edited before: generations are
    sent first, so that these edits would not be overwritten.
    """

    kinds = _VARIANT_KINDS.union(name for name, kind in KINDS.items() if Op.GENERATE in kind.ops)
    hint = "ocsync stage drop the edits of its variants; stage generate; then stage them again"

    def __init__(self, folder: ProfileDir) -> None:
        super().__init__()
        self._folder = folder
        self._edited: set[str] = set()
        self._has_read_staged = False

    def take(self, entry: Entry) -> None:
        """Take *entry*."""
        if entry.op is not Op.GENERATE:
            self._note(entry)
        elif any(entry.fields.values()):
            if not self._has_read_staged:
                self._has_read_staged = True
                for staged in self._folder.journal.of_kinds(_VARIANT_KINDS):
                    self._note(staged)
            if ids_of(entry.ref)["ProductID"].casefold() in self._edited:
                self.add_problem(entry, "ref", _LATE)

    def _note(self, entry: Entry) -> None:
        self._edited.add(ids_of(entry.ref)["ProductID"].casefold())


def own_seller_fault(ref: Ref, marketplace: str) -> str:
    """Return the reason why *ref* cannot be written: it names *marketplace* as another seller."""
    name = kind_of(ref).owner_id
    owner = ids_of(ref).get(name, "") if name else ""
    if not owner or owner.casefold() != marketplace.casefold():
        return ""
    return f"{name} is the marketplace's own ID; leave it out, as in {_without(ref, name)}"


def _without(ref: Ref, name: str) -> Ref:
    return make_ref(kind_of(ref), {n: value for n, value in ids_of(ref).items() if n != name})


def _refuse_deleted(folder: ProfileDir, entries: Iterator[Entry]) -> Iterator[Entry]:
    tombstones = folder.tombstones.read()
    if not tombstones:
        return entries
    run = folder.runs.find_unfinished()
    earlier = chain(run.entries() if run else (), folder.journal.stream())
    return refuse_deleted(entries, earlier, tombstones)


def clear_tombstones(folder: ProfileDir, entries: Iterable[Entry], *, recreated: bool) -> None:
    """Remove the tombstones of the refs of *entries* and of their ancestors, when *recreated*."""
    if recreated:
        folder.tombstones.remove(ref for entry in entries for ref in lineage(entry.ref))


class RepeatedImport(NamedTuple):
    """An import of edits that are staged already, or that the unfinished run *run* sends.

    *adjusts* of its *entries* are adjustments, which count twice when they are staged again. *at*
    is the time when they were staged, UTC.
    """

    entries: int
    adjusts: int
    staged: int
    running: int
    run: str
    at: str


class ImportContent:
    """The content of one import, collected as its entries pass: their number, refs and kinds.

    *unchanged* lines are no entries.
    *contradictions* are those among its entries. Its digest is that of the edits: name, format and
    lines of the file do not matter. *on_repeat*
    is called after the last entry when an earlier import with the same digest is not sent yet, or
    when the edits are exactly those of the journal.
    """

    def __init__(
        self,
        folder: ProfileDir,
        on_repeat: Callable[[RepeatedImport], None],
    ) -> None:
        self._folder = folder
        self._on_repeat = on_repeat
        self._imports = folder.journal.imports()
        self.entries = self.unchanged = self._adjusts = 0
        self.contradictions = Contradictions()
        self.kinds: set[str] = set()
        self._hash = hashlib.sha256()

    def collect(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield *entries* unchanged."""
        return chain.from_iterable(self._collected(entries))

    def _collected(self, entries: Iterable[Entry]) -> Iterator[Sequence[Entry]]:
        for group in in_groups(entries):
            self.entries += len(group)
            self._adjusts += [entry.op for entry in group].count(Op.ADJUST)
            self._hash.update(_edits(group))
            self.contradictions.add_all(group)
            self.kinds |= kind_names([entry.ref for entry in group])
            yield group
        self.contradictions.end()
        if repeat := self._repeat():
            self._on_repeat(repeat)

    def count_unchanged(self) -> None:
        """Count a line that sets nothing to another value than it expects."""
        self.unchanged += 1

    @property
    def refs(self) -> int:
        """The number of refs."""
        return self.contradictions.refs

    def digest(self) -> str:
        """Return the digest of the entries that have passed."""
        return self._hash.hexdigest()

    def _repeat(self) -> RepeatedImport | None:
        if not self.entries:
            return None
        earlier = NumberRanges()
        for numbers in self._imports.get(self.digest(), ()):
            earlier.add(numbers.start, numbers.stop - 1)
        staged, at = _count(self._folder.journal.stream(earlier))
        if not earlier and self._holds_all_that_is_staged():  # an export of the journal
            staged, at = _count(self._folder.journal.stream())
        run = self._folder.runs.find_unfinished() if earlier else None
        sealed = run.entries() if run else iter(())
        running, running_at = _count(entry for entry in sealed if entry.seq in earlier)
        if not staged and not running:
            return None
        return RepeatedImport(
            self.entries, self._adjusts, staged, running, run.id if run else "",
            max(at, running_at),
        )  # fmt: skip

    def _holds_all_that_is_staged(self) -> bool:
        journal = self._folder.journal
        if journal.totals().entries != self.entries:
            return False
        edits = hashlib.sha256()
        for group in in_groups(journal.stream()):
            edits.update(_edits(group))
        return edits.hexdigest() == self.digest()


class EntrySpool:
    """Entries of an import in a temporary file in *folder*, to be read more than once."""

    def __init__(self, folder: Path, entries: Iterable[Entry]) -> None:
        self._file = SpillFile(folder)
        self._sizes: list[int] = []
        for group in in_groups(entries):
            lines = _encode_lines(group)
            self._file.append(lines)
            self._sizes.append(len(lines))

    def __iter__(self) -> Iterator[Entry]:
        offset = 0
        for size in self._sizes:
            yield from _decode_lines(self._file.read(offset, size))
            offset += size


def _count(entries: Iterable[Entry]) -> tuple[int, str]:
    """Return the number of *entries*, and their latest stamp."""
    number, latest = 0, ""
    for entry in entries:
        number += 1
        latest = max(latest, entry.at)
    return number, latest


def _edits(entries: Iterable[Entry]) -> bytes:
    """Return the JSON arrays of what *entries* edit, without anything between them."""
    return _encode_edits(map(_edit, entries)).replace(b"\n", b"")
