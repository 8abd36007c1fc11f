"""Deleted refs that were not created again since: `deleted.jsonl` in the profile's folder.

Staging refuses edits of them. A ref is recorded before its delete is sent, and confirmed or removed
when the run is closed; so after a crash in between a ref may be listed that still exists, never the
reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from ocsync.models import Ref, Tombstone
from ocsync.schema import ref_key
from ocsync.store import files, log
from ocsync.store.log import Warn

Lock = Callable[[], AbstractContextManager[None]]

_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Tombstone).decode


class Tombstones:
    """File at *path*, replaced whole; every change takes *lock* itself."""

    def __init__(self, path: Path, lock: Lock, warn: Warn) -> None:
        self._path = path
        self._lock = lock
        self._warn = warn

    def read(self) -> dict[str, Tombstone]:
        """Return the tombstones, by ref in lower case. Raises Damaged."""
        tombstones = log.read_records(self._path, decode, self._warn, whole=True)
        return {ref_key(one.ref): one for one in tombstones}

    def add_pending(self, run: str, refs: Iterable[Ref], at: str) -> None:
        """Record that *run* is about to delete *refs*."""
        new = {ref_key(ref): Tombstone(ref=ref, run=run, at=at) for ref in refs}
        with self._lock():
            self._write({**self.read(), **new})

    def confirm(self, run: str, gone: Collection[Ref]) -> None:
        """Confirm that *run* deleted the refs *gone*, and drop its other pending ones."""
        confirmed = {ref_key(ref) for ref in gone}
        with self._lock():
            tombstones = self.read()
            for name, tombstone in [*tombstones.items()]:
                if tombstone.run == run and name in confirmed:
                    tombstones[name] = msgspec.structs.replace(tombstone, confirmed=True)
                elif tombstone.run == run and not tombstone.confirmed:
                    del tombstones[name]
            self._write(tombstones)

    def remove(self, refs: Iterable[Ref]) -> None:
        """Drop the tombstones of *refs*, which were created again."""
        created = {ref_key(ref) for ref in refs}
        if not created or not self._path.exists():
            return
        with self._lock():
            tombstones = self.read()
            rest = {name: one for name, one in tombstones.items() if name not in created}
            if len(rest) < len(tombstones):
                self._write(rest)

    def _write(self, tombstones: dict[str, Tombstone]) -> None:
        with files.atomic_writer(self._path) as file:
            for tombstone in tombstones.values():
                file.write(log.encode_line(_encode(tombstone)))
