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
        gone = log.read_records(self._path, decode, self._warn, whole=True)
        return {ref_key(one.ref): one for one in gone}

    def add_pending(self, run: str, refs: Iterable[Ref], at: str) -> None:
        """Record that *run* is about to delete *refs*."""
        new = {ref_key(ref): Tombstone(ref=ref, run=run, at=at) for ref in refs}
        with self._lock():
            self._write({**self.read(), **new})

    def confirm(self, run: str, gone: Collection[Ref]) -> None:
        """Confirm that *run* deleted the refs *gone*, and drop its other pending ones."""
        sure = {ref_key(ref) for ref in gone}
        with self._lock():
            kept = self.read()
            for name, one in [*kept.items()]:
                if one.run == run and name in sure:
                    kept[name] = msgspec.structs.replace(one, confirmed=True)
                elif one.run == run and not one.confirmed:
                    del kept[name]
            self._write(kept)

    def remove(self, refs: Iterable[Ref]) -> None:
        """Drop the tombstones of *refs*, which were created again."""
        back = {ref_key(ref) for ref in refs}
        if not back or not self._path.exists():
            return
        with self._lock():
            known = self.read()
            kept = {name: one for name, one in known.items() if name not in back}
            if len(kept) < len(known):
                self._write(kept)

    def _write(self, kept: dict[str, Tombstone]) -> None:
        with files.atomic_writer(self._path) as file:
            for one in kept.values():
                file.write(log.encode_line(_encode(one)))
