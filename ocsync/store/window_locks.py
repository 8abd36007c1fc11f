"""The locks of a profile's windows: each is held for as long as the window's process lives.

A pause whose window's lock nobody holds was left behind: the process died.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ocsync.store import files, lock

STALE_SECONDS = 3600.0
"""Seconds after which a lock cannot be of a window that is only being opened."""


class WindowLocks:
    """Locks in *folder*, one a window."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, now: datetime, *, what: str, used: Collection[str]) -> Iterator[str]:
        """Open a window for as long as the block lasts; yield its name.

        Locks of windows that died long ago are removed, except those in *used*.
        """
        files.make_folder(self._folder)
        for path in files.list_folder(self._folder, "*.lock"):
            old = now.timestamp() - path.lstat().st_mtime > STALE_SECONDS
            if old and path.stem not in used and not self.is_open(path.stem):
                self._remove(path)
        name = now.strftime("%m%d-%H%M%S-") + str(os.getpid())
        path = self._path(name)
        with lock.hold(path, what=what):
            yield name
        self._remove(path)

    def is_open(self, name: str) -> bool:
        """Return whether the window's process is alive."""
        return bool(name) and lock.is_held(self._path(name))

    def describe_holder(self, name: str) -> str:
        """Return, in words, whose window it is, its command and start."""
        return lock.describe_holder(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{Path(name).name}.lock"

    @staticmethod
    def _remove(path: Path) -> None:
        files.remove_file(lock.holder_path(path))
        files.remove_file(path)
