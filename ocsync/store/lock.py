"""Kernel locks, which end with their holder however it dies; a note beside one names the holder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ocsync.errors import Locked
from ocsync.store.identity import ci_job_url, operator
from ocsync.store.processes import is_alive

_WAIT = "wait for it, or give --lock-timeout 5m; a lock left by a dead process is ignored"


@contextmanager
def hold(path: Path, *, what: str, timeout: float = 0.0, hint: str = _WAIT) -> Iterator[None]:
    """Hold the lock *path* for *what*, waiting for it up to *timeout* seconds.

    Raises Locked, naming the holder, when somebody else has it; *hint* is what to do then.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=timeout, mode=0o600)
    try:
        lock.acquire()
    except Timeout as busy:
        raise Locked(
            f"this profile is locked by {describe_holder(path)}",
            hint=hint,
        ) from busy
    note = holder_path(path)
    try:
        note.write_text(json.dumps(_own_note(what, os.environ)), encoding="utf-8")
        note.chmod(0o600)
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock *path*.

    Asking takes the lock for a moment, so do not use it for a lock that many ask about.
    """
    from filelock import FileLock, Timeout

    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0.05, mode=0o600):
            return False
    except Timeout:
        return True


def short_lock(path: Path, timeout: float = 30.0) -> AbstractContextManager[object]:
    """Return the lock *path*, to be held repeatedly, each time for a moment; it has no note.

    Entering it raises TimeoutError, which is an OSError, when that takes longer than *timeout*.
    """
    from filelock import FileLock

    return FileLock(path, timeout=timeout, mode=0o600, poll_interval=0.002)


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
        facts = [self.who, f"pid {self.pid}", f"since {self.since}", *filter(None, [self.job])]
        return f"`{self.command}` ({', '.join(facts)})"


def read_holder(path: Path) -> Holder | None:
    """Return the holder that the note beside *path* names, or None; the lock is not touched."""
    try:
        note = json.loads(holder_path(path).read_text(encoding="utf-8"))
        who, pid = str(note["who"]), int(note["pid"])
        here = who.rpartition("@")[2] == socket.gethostname()
        return Holder(who, pid, str(note["command"]), str(note["since"]),
                      is_alive(pid) if here else None, str(note.get("job") or ""))  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def describe_holder(path: Path) -> str:
    """Return, in words, the command that holds the lock *path*, its user and start."""
    note = read_holder(path)
    return note.describe() if note else "another command"
