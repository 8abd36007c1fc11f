"""Operations on the workspace's files: check, read, replace whole, list, remove.

A folder may come from elsewhere, in a cloned repository for instance. So nothing in it leads
out of it: a workspace's root is a real path, and a path below it that goes through a symbolic link
is refused. Only regular files are opened, without waiting, so that a pipe or a device in the place
of a file is an error and not a command that hangs.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from ocsync.errors import ConfigError, FileMissing
from ocsync.store.processes import is_alive

T = TypeVar("T")
Signature = tuple[int, int, int]

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
_SAFE_FLAGS = sum(
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")
)
_PATH_ONLY = getattr(os, "O_PATH", 0)
_LINK_ERRORS = (errno.ELOOP, getattr(errno, "EMLINK", errno.ELOOP), getattr(errno, "EFTYPE", None))
"""The errors that systems give when O_NOFOLLOW meets a symbolic link."""
_REPLACES_OPEN_FILES = os.name == "posix"
_REPLACE_TRIES, _REPLACE_SECONDS = 50, 0.02
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)
ELSEWHERE_HINT = "put the workspace on a local disk: --workspace DIR"


MOST_BYTES = 64 * 1024 * 1024
"""Bytes of a file that is read whole; those that may be longer are read in parts."""


def kind_of_file(mode: int) -> str:
    """Return, in words, the kind of file that *mode* stands for."""
    return next((name for fits, name in _KINDS if fits(mode)), "a device")


def real_path(path: Path) -> Path:
    """Return *path*, absolute and with its symbolic links followed; it need not exist."""
    return Path(os.path.realpath(path))


def check_folder(path: Path) -> None:
    """Raise ConfigError unless *path* is a folder, or is missing, and no link leads to it."""
    plain = os.path.normcase(os.path.abspath(path))  # noqa: PTH100 - links must stay
    if os.path.normcase(_followed(path)) != plain:
        raise _wrong_kind(next((p for p in (path, *path.parents) if p.is_symlink()), path))
    mode = _mode_of(path)
    if mode and not stat.S_ISDIR(mode):
        raise _wrong_kind(path, "a folder")


def _followed(path: Path) -> str:
    """Return *path* with its symbolic links followed.

    Where the kernel knows the path of an open folder, it is asked: that takes a sixth of the time.
    """
    if _PATH_ONLY:
        try:
            handle = os.open(path, _PATH_ONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return os.path.realpath(path)
        try:
            return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115 - a Path costs more
        except OSError:
            return os.path.realpath(path)
        finally:
            os.close(handle)
    return os.path.realpath(path)


def check_file(path: Path) -> None:
    """Raise ConfigError unless *path* is a regular file, or is missing, and no link leads to it."""
    check_folder(path.parent)
    mode = _mode_of(path)
    if mode and not stat.S_ISREG(mode):
        raise _wrong_kind(path)


def _mode_of(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _wrong_kind(path: Path, expected: str = "a file") -> ConfigError:
    kind = kind_of_file(_mode_of(path))
    if kind == "a symbolic link":
        return ConfigError(
            f"{path} is a symbolic link, which a workspace must not contain",
            hint=f"ls -l {path}; replace it with the file it points to, or use another --workspace",
        )
    return ConfigError(f"{path} is {kind}, not {expected}", hint=f"ls -ld {path}")


def make_folder(path: Path) -> None:
    """Make *path* and its missing parents, private to the user. Raises ConfigError."""
    check_folder(path)
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        sync_folder(path.parent)


def list_folder(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the paths in *folder* whose names match *pattern*, by name; none if it is missing.

    Raises ConfigError if a link leads to *folder*.
    """
    check_folder(folder)
    try:
        paths = [path for path in folder.iterdir() if fnmatch(path.name, pattern)]
    except FileNotFoundError:
        return []
    return sorted(paths, key=lambda path: path.name)


def sync_folder(path: Path) -> None:
    """Make the names in *path* durable, where the platform can."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(handle, path)
    finally:
        os.close(handle)


def sync(handle: int, path: Path) -> None:
    """Make the bytes of *path*, open as *handle*, durable.

    Raises ConfigError where the file system cannot do that.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in _NO_SYNC:
            text = f"cannot sync {path} to disk ({error.strerror})"
            raise ConfigError(text, hint=ELSEWHERE_HINT) from error
        raise _with_name(error, path) from error


def open_file(path: Path, flags: int = os.O_RDONLY) -> int:
    """Return a file descriptor of the regular file *path*; a new one is readable by the user alone.

    Raises ConfigError for a link or anything else that is no regular file.
    """
    check_file(path)
    try:
        handle = os.open(path, flags | _SAFE_FLAGS, PRIVATE_FILE)
    except OSError as error:
        if error.errno in _LINK_ERRORS or error.errno == errno.ENXIO:
            raise _wrong_kind(path) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _wrong_kind(path)
    return handle


def open_for_reading(path: Path) -> BinaryIO:
    """Return *path*, open for reading. Raises FileNotFoundError, ConfigError."""
    return os.fdopen(open_file(path), "rb")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the content of *path*. Raises FileNotFoundError, and ConfigError also for a file of
    more than *most* bytes, which this workspace did not write.
    """
    with open_for_reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            text = f"{path} is {size:,} bytes long, more than the {most:,} that it may have"
            raise ConfigError(text, hint="restore it from a copy, or remove it")
        return file.read()


@contextmanager
def atomic_writer(path: Path, *, mode: int = PRIVATE_FILE) -> Iterator[BinaryIO]:
    """Yield a file that replaces *path*, whole and durable, when the block ends without error."""
    check_file(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(_create(temporary), "wb") as file:
            yield file
            file.flush()
            if mode != PRIVATE_FILE and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            sync(file.fileno(), path)
        _replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            raise _with_name(error, path) from error
        raise
    sync_folder(path.parent)


def _replace(temporary: Path, path: Path) -> None:
    """Move *temporary* to *path*.

    Windows refuses that while another process reads *path*, so it is tried again for a moment.
    """
    for _ in range(0 if _REPLACES_OPEN_FILES else _REPLACE_TRIES):
        try:
            temporary.replace(path)
        except PermissionError:
            time.sleep(_REPLACE_SECONDS)
        else:
            return
    temporary.replace(path)


def _create(path: Path) -> int:
    """Return a file descriptor of *path* for a new file; an older one is removed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return open_file(path, flags)
    except (FileExistsError, ConfigError):
        path.unlink()
        return open_file(path, flags)


def _with_name(error: OSError, path: Path) -> OSError:
    return OSError(error.errno, error.strerror, str(path))


def write_atomically(path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Replace *path* by *data*: a reader sees the old file or the new one, never a part."""
    with atomic_writer(path, mode=mode) as file:
        file.write(data)


def write_output(path: Path, data: bytes) -> None:
    """Write a file that the operator named, outside of a workspace. Raises FileMissing."""
    try:
        write_atomically(real_path(path), data)
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error


def write_note(path: Path, data: bytes) -> None:
    """Write a new file *path*, in place of an older one, that need not survive a crash."""
    check_file(path)
    with os.fdopen(_create(path), "wb") as file:
        file.write(data)


def signature(path: Path) -> Signature | None:
    """Return inode, size and modification time of *path*, or None when there is no such file."""
    try:
        status = path.lstat()
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


def rename(path: Path, new: Path) -> None:
    """Rename *path* to *new* in the same folder, durably. Raises ConfigError."""
    check_folder(path.parent)
    os.rename(path, new)  # noqa: PTH104 - the last act of a commit, spelled as what it is
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove the file *path*, if it exists. Raises ConfigError if a link leads to its folder."""
    check_folder(path.parent)
    path.unlink(missing_ok=True)


def rename_folder(path: Path, name: str) -> Path:
    """Give the folder *path* another *name*, durably; return its new path. Raises ConfigError."""
    check_folder(path)
    renamed = path.rename(path.with_name(name))
    sync_folder(path.parent)
    return renamed


def remove_folder(path: Path) -> None:
    """Remove the folder *path* with all that is in it. Raises ConfigError for a link."""
    import shutil

    check_folder(path)
    shutil.rmtree(path)


def find_unsafe(root: Path, *, others: bool = True) -> Iterator[tuple[Path, str]]:
    """Yield each path in *root* that is no file and no folder, and what it is.

    With *others* also what belongs to another user.
    """
    own = os.getuid() if others and hasattr(os, "getuid") else None
    for path in (root, *sorted(root.rglob("*"))):
        status = path.lstat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            yield path, f"is {kind_of_file(status.st_mode)}"
        elif own not in (None, status.st_uid):
            yield path, "belongs to another user"


def remove_stale_temps(folder: Path) -> None:
    """Remove temporary files in *folder* of processes that died."""
    for path in list_folder(folder, ".*.tmp"):
        pid = path.suffixes[-2][1:] if len(path.suffixes) > 1 else ""
        if pid.isdigit() and is_alive(int(pid)) is False:
            path.unlink(missing_ok=True)


def write_all(handle: int, path: Path, data: Iterable[bytes]) -> None:
    """Write everything to *path*, open as *handle*, in as many calls as it takes."""
    view = memoryview(b"".join(data))
    try:
        while view:
            view = view[os.write(handle, view) :]
    except OSError as error:
        raise _with_name(error, path) from error
