"""What was deleted by us and not made again since: `deleted.jsonl` in the profile's folder.

Staging refuses edits of it. A ref is written down before its delete is sent, and made sure or taken
out when the run is closed; so a crash in between leaves what may be gone, never what is forgotten.
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
    """The file at *path*, replaced whole; every change takes *lock* itself."""

    def __init__(self, path: Path, lock: Lock, warn: Warn) -> None:
        self._path = path
        self._lock = lock
        self._warn = warn

    def read(self) -> dict[str, Tombstone]:
        """What is gone, by its ref in lower case. Raises Damaged."""
        gone = log.read_records(self._path, decode, self._warn, whole=True)
        return {ref_key(one.ref): one for one in gone}

    def add_pending(self, run: str, refs: Iterable[Ref], at: str) -> None:
        """*run* is about to delete *refs*."""
        new = {ref_key(ref): Tombstone(ref=ref, run=run, at=at) for ref in refs}
        with self._lock():
            self._write({**self.read(), **new})

    def confirm(self, run: str, gone: Collection[Ref]) -> None:
        """Of what *run* was about to delete *gone* is gone indeed, and the rest is not."""
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
        """*refs* were made again."""
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
