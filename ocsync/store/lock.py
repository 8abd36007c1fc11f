"""Kernel locks, which end with their holder however it dies; a note beside one names the holder."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ocsync.errors import ConfigError, Locked
from ocsync.store import files
from ocsync.store.identity import ci_job_url, operator
from ocsync.store.processes import is_alive
from ocsync.store.timestamps import local_time, utc_now

_WAIT = "wait for it, or give --lock-timeout 5m; a lock left by a dead process is ignored"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def hold(path: Path, *, what: str, timeout: float = 0.0, hint: str = _WAIT) -> Iterator[None]:
    """Hold the lock *path* for *what*, waiting for it up to *timeout* seconds.

    Raises Locked, naming the holder, when somebody else has it; *hint* is what to do then.
    Raises ConfigError where the file system has no locks.
    """
    held = _Lock(path, timeout)
    try:
        held.acquire()
    except TimeoutError as busy:
        raise Locked(
            f"this profile is locked by {describe_holder(path)}",
            hint=hint,
        ) from busy
    note = holder_path(path)
    try:
        files.write_note(note, json.dumps(_own_note(what, os.environ)).encode())
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        held.release()


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock *path*.

    Asking takes the lock for a moment, so do not use it for a lock that many ask about.
    """
    if not path.exists():
        return False
    try:
        with _Lock(path, timeout=0.05):
            return False
    except TimeoutError:
        return True


def short_lock(path: Path, timeout: float = 30.0) -> AbstractContextManager[object]:
    """Return the lock *path*, to be held repeatedly, each time for a moment; it has no note.

    Entering it raises TimeoutError, which is an OSError, when that takes longer than *timeout*.
    """
    return _Lock(path, timeout, poll=0.002)


class _Lock:
    """Kernel lock on *path*, a regular file that is made if it is missing.

    A file system without locks is an error: a marker file in their place would outlive its holder.
    """

    def __init__(self, path: Path, timeout: float, poll: float = 0.05) -> None:
        from filelock import FileLock

        self._path = path
        self._lock = FileLock(
            path, timeout=timeout, mode=0o600, poll_interval=poll, fallback_to_soft=False
        )

    def acquire(self) -> None:
        """Take the lock. Raises TimeoutError, ConfigError."""
        files.check_file(self._path)
        try:
            self._lock.acquire()
        except OSError as error:
            if error.errno in _NO_LOCKS:
                text = f"cannot lock {self._path.parent} ({error.strerror})"
                raise ConfigError(text, hint=files.ELSEWHERE_HINT) from error
            raise

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


def holder_path(path: Path) -> Path:
    """Return the path of the holder's note; on Windows a locked file cannot be read by others."""
    return path.with_name(path.name + ".holder")


def _own_note(what: str, environ: Mapping[str, str]) -> dict[str, str]:
    return {
        "who": operator(),
        "pid": str(os.getpid()),
        "command": what,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "job": ci_job_url(environ),
    }


class Holder(NamedTuple):
    """Holder of a lock, dead or alive.

    *alive* is None when that cannot be told from this machine.
    """

    who: str
    pid: int
    command: str
    since: str
    alive: bool | None
    job: str = ""

    def describe(self) -> str:
        """Return the holder in words: its command, user, process, start and CI job."""
        since = f"since {_start_text(self.since)}"
        facts = [self.who, f"pid {self.pid}", since, *filter(None, [self.job])]
        return f"`{self.command}` ({', '.join(facts)})"


def _start_text(stamp: str) -> str:
    """Return the UTC *stamp* of a note in local time, or as it is if it is none."""
    try:
        return local_time(stamp, utc_now())
    except ValueError:
        return stamp


def read_holder(path: Path) -> Holder | None:
    """Return the holder that the note beside *path* names, or None; the lock is not touched."""
    try:
        note = json.loads(files.read_bytes(holder_path(path)))
        import socket

        who, pid = str(note["who"]), int(note["pid"])
        here = who.rpartition("@")[2] == socket.gethostname()
        return Holder(who, pid, str(note["command"]), str(note["since"]),
                      is_alive(pid) if here else None, str(note.get("job") or ""))  # fmt: skip
    except (OSError, ConfigError, ValueError, KeyError, TypeError):
        return None


def describe_holder(path: Path) -> str:
    """Return, in words, the command that holds the lock *path*, its user and start."""
    note = read_holder(path)
    return note.describe() if note else "another command"
