"""Rules for staging: conflicts with staged edits, deleted entities, repeated imports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from ocsync.intake import check_against_staged
from ocsync.models import Entry, Op
from ocsync.schema import lineage
from ocsync.store import ProfileDir
from ocsync.tombstones import refuse_deleted

_encode = msgspec.json.Encoder(order="sorted").encode


def check_entries(
    folder: ProfileDir, entries: Iterable[Entry], staged: Sequence[Entry], *, recreated: bool
) -> Iterator[Entry]:
    """Yield *entries* unchanged; *recreated* is whether deleted entities exist again.

    Raises InputError at the end when some contradict *staged* entries, or edit a deleted entity
    that neither a staged entry nor the unfinished run creates again.
    """
    tombstones = {} if recreated else folder.tombstones.read()
    run = folder.runs.find_unfinished() if tombstones else None
    sealed = list(run.entries()) if run else []
    return refuse_deleted(check_against_staged(entries, staged), [*sealed, *staged], tombstones)


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
    """The content of one import, collected as its entries pass.

    Its digest is that of the edits: name, format and lines of the file do not matter. *on_repeat*
    is called after the last entry when an earlier import with the same digest is not sent yet, or
    when the edits are exactly those of the journal.
    """

    def __init__(
        self,
        folder: ProfileDir,
        staged: Sequence[Entry],
        on_repeat: Callable[[RepeatedImport], None],
    ) -> None:
        self._folder = folder
        self._staged = staged
        self._on_repeat = on_repeat
        self._imports = folder.journal.imports()
        self._entries = self._adjusts = 0
        self._hash = hashlib.sha256()

    def collect(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield *entries* unchanged."""
        for entry in entries:
            self._entries += 1
            self._adjusts += entry.op is Op.ADJUST
            self._hash.update(_edit(entry))
            yield entry
        if repeat := self._repeat():
            self._on_repeat(repeat)

    def digest(self) -> str:
        """Return the digest of the entries that have passed."""
        return self._hash.hexdigest()

    def _repeat(self) -> RepeatedImport | None:
        if not self._entries:
            return None
        earlier = self._imports.get(self.digest(), [])
        staged = [e for e in self._staged if any(e.seq in numbers for numbers in earlier)]
        if not earlier and self._holds_all_that_is_staged():
            staged = [*self._staged]  # an export of the journal
        run = self._folder.runs.find_unfinished() if earlier else None
        sealed = run.entries() if run else ()
        running = [e for e in sealed if any(e.seq in numbers for numbers in earlier)]
        if not staged and not running:
            return None
        return RepeatedImport(
            self._entries,
            self._adjusts,
            len(staged),
            len(running),
            run.id if run else "",
            max(entry.at for entry in (*staged, *running)),
        )

    def _holds_all_that_is_staged(self) -> bool:
        if len(self._staged) != self._entries:
            return False
        edits = hashlib.sha256()
        for entry in self._staged:
            edits.update(_edit(entry))
        return edits.hexdigest() == self.digest()


def _edit(entry: Entry) -> bytes:
    return _encode((entry.op, entry.ref, entry.fields, entry.expect, entry.replace))
