"""The windows of a profile: a kernel lock each, held for as long as the window's process lives.

A pause that names a window whose lock nobody holds was left behind: the process died.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ocsync.store import files, lock

STALE_SECONDS = 3600.0
"""A lock younger than this may be of a window that is just being opened."""


class WindowLocks:
    """The windows whose locks are in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, now: datetime, *, what: str, used: Collection[str]) -> Iterator[str]:
        """Open a window for as long as the block lasts; its name.

        What windows that died long ago left here goes, but for those in *used*.
        """
        files.make_folder(self._folder)
        for path in self._folder.glob("*.lock"):
            old = now.timestamp() - path.stat().st_mtime > STALE_SECONDS
            if old and path.stem not in used and not self.is_open(path.stem):
                self._remove(path)
        name = now.strftime("%m%d-%H%M%S-") + str(os.getpid())
        path = self._path(name)
        with lock.hold(path, what=what):
            yield name
        self._remove(path)

    def is_open(self, name: str) -> bool:
        """Whether the window's process lives."""
        return bool(name) and lock.is_held(self._path(name))

    def describe_holder(self, name: str) -> str:
        """Whose window it is, what with and since when."""
        return lock.describe_holder(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{Path(name).name}.lock"

    @staticmethod
    def _remove(path: Path) -> None:
        lock.holder_path(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
