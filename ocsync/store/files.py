"""Operations on files: make a folder, replace a small file whole, write a large one whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from ocsync.store.processes import is_alive

T = TypeVar("T")
Signature = tuple[int, int, int]

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def make_folder(path: Path) -> None:
    """Make *path* and its missing parents, private to the user."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in *path* durable, where the platform can."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_private(path: Path, flags: int) -> int:
    """Return a file descriptor of *path*, created readable by the user alone."""
    return os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0), 0o600)


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that replaces *path*, whole and durable, when the block ends without error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(
            open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb"
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace *path* by *data*: a reader sees the old file or the new one, never a part."""
    with atomic_writer(path) as file:
        file.write(data)


def signature(path: Path) -> Signature | None:
    """Return inode, size and modification time of *path*, or None when there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


class ParsedFile(Generic[T]):
    """The content of a small file, parsed again only when the file has changed.

    A file counts as unchanged while its signature is the same: a small file of the workspace is
    only ever replaced by a new one. *parse* gets the path, which need not exist; what it returns
    is shared by all callers, who must not change it.
    """

    def __init__(self, path: Path, parse: Callable[[Path], T]) -> None:
        self.path = path
        self._parse = parse
        self._parsed: tuple[Signature | None, T] | None = None

    def read(self) -> T:
        """Return the content. Raises whatever *parse* raises."""
        now = signature(self.path)
        if self._parsed is None or self._parsed[0] != now:
            self._parsed = now, self._parse(self.path)
        return self._parsed[1]

    def written(self, content: T) -> None:
        """Take *content* as what the file holds now, as the caller has just written it."""
        self._parsed = signature(self.path), content


def remove_stale_temps(folder: Path) -> None:
    """Remove temporary files in *folder* of processes that died."""
    for path in folder.glob(".*.tmp"):
        pid = path.suffixes[-2][1:] if len(path.suffixes) > 1 else ""
        if pid.isdigit() and is_alive(int(pid)) is False:
            path.unlink(missing_ok=True)


def write_all(handle: int, data: bytes | Iterable[bytes]) -> None:
    """Write everything, in as many calls as it takes."""
    view = memoryview(data if isinstance(data, bytes) else b"".join(data))
    while view:
        view = view[os.write(handle, view) :]
