"""Runs the command line in processes that die at a chosen moment.

    died = die("resume", "--verify", at=17, how="power")

Operations are what can leave something behind: bytes to a file of the workspace, a sync, a change
of a name, a request that writes. So every point between two of them is one at which a machine can
go down. A process that is to die at the operation number *at* (of a sort, if *of* names one) kills
itself right before it:

- `kill`: as `kill -9` does; what was written stays written;
- `half`: in the middle of that write;
- `power`: what was not synced is lost, bytes and names alike.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.processes import call

_TOLD = "came to: "


class Died(NamedTuple):
    """How a command ended: its exit code (-9 when it died), its stderr, its operations."""

    code: int
    err: str
    operations: list[str]


def die(*words: str, at: int = 0, of: str = "", how: str = "kill") -> Died:
    """Run *words* here and now; it dies at the operation *at*, if it comes to so many."""
    done = call(json.dumps({"at": at, "of": of, "how": how}), *words, program="tests.outage")
    err, _, operations = done.err.partition(_TOLD)
    return Died(done.code, err, operations.split())


def points(operations: list[str]) -> list[tuple[int, str]]:
    """Where and how to die in a command with these *operations*: every state that can be left.

    A sync changes nothing that `kill` would show, so it dies there by `power` alone.
    """
    found: list[tuple[int, str]] = []
    for number, operation in enumerate(operations, 1):
        found += [(number, "kill")] if operation != "sync" else []
        found += [(number, "power")]
        found += [(number, "half")] if operation == "write" else []
    return [*found, (len(operations) + 1, "power")]


class Disk:
    """What would be lost if the power went now, in *root*."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._sizes: dict[str, int] = {}
        self._synced: set[str] = set()
        self._names: list[tuple[str, Callable[[], object]]] = []
        self.is_losing = False

    def knows(self, path: str) -> bool:
        """Whether *path* is in the workspace, and what happens to it counts."""
        return not self.is_losing and path.startswith(self.root) and "lock" not in path

    def wrote(self, path: str) -> None:
        self._sizes.setdefault(path, os.stat(path).st_size)

    def synced(self, path: str) -> None:
        self._names = [(folder, undo) for folder, undo in self._names if folder != path]
        self._sizes.pop(path, None)
        self._synced.add(path)

    def named(self, path: str, undo: Callable[[], object]) -> None:
        self._names.append((os.path.dirname(path), undo))

    def replaced(self, old: str, new: str) -> None:
        before = Path(new).read_bytes() if os.path.isfile(new) else None
        if old not in self._synced and not os.path.isdir(old):
            self._sizes[new] = 0
        if before is None:
            self.named(new, lambda: os.rename(new, old))
        else:
            self.named(new, lambda: Path(new).write_bytes(before))

    def removed(self, path: str) -> None:
        before = Path(path).read_bytes()
        self.named(path, lambda: Path(path).write_bytes(before))

    def lose(self) -> None:
        """The power is gone."""
        self.is_losing = True
        for path, size in self._sizes.items():
            if os.path.exists(path):
                os.truncate(path, size)
        for _, undo in reversed(self._names):
            undo()


class Death:
    """Counts the operations of this process, and ends it at one of them."""

    def __init__(self, at: int, of: str, how: str, disk: Disk) -> None:
        self.at, self.of, self.how, self.disk = at, of, how, disk
        self.operations: list[str] = []
        self._lock = threading.Lock()

    def comes_to(self, operation: str, half: Callable[[], object] | None = None) -> None:
        with self._lock:
            self.operations.append(operation)
            if self.of in ("", operation) and self._come() == self.at:
                if half and self.how == "half":
                    half()
                self.now()

    def _come(self) -> int:
        return self.operations.count(self.of) if self.of else len(self.operations)

    def now(self) -> None:
        if self.how == "power":
            self.disk.lose()
        os.kill(os.getpid(), signal.SIGKILL)


def watch(death: Death) -> None:
    """Put *death* before every operation of this process."""
    from ocsync.client.api import Api

    names = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir")
    disk, real = death.disk, {name: getattr(os, name) for name in names}

    def of(handle: int) -> str:
        return os.readlink(f"/proc/self/fd/{handle}")

    def opened(path: Any, flags: int, *given: Any, **more: Any) -> int:
        name = os.path.abspath(path) if not more.get("dir_fd") else ""
        fresh = disk.knows(name) and bool(flags & os.O_CREAT) and not os.path.exists(name)
        handle: int = real["open"](path, flags, *given, **more)
        if fresh:
            disk.named(name, lambda: Path(name).unlink(missing_ok=True))
        return handle

    def write(handle: int, data: Any) -> int:
        if disk.knows(path := of(handle)):
            death.comes_to("write", lambda: real["write"](handle, data[: len(data) // 2]))
            disk.wrote(path)
        return int(real["write"](handle, data))

    def fsync(handle: int) -> None:
        if disk.knows(path := of(handle)):
            death.comes_to("sync")
            disk.synced(path)
        real["fsync"](handle)

    def moving(name: str, old: Any, new: Any, **more: Any) -> None:
        if disk.knows(path := os.path.abspath(new)):
            death.comes_to("rename")
            disk.replaced(os.path.abspath(old), path)
        real[name](old, new, **more)

    def unlink(path: Any, *, dir_fd: int | None = None) -> None:
        name = os.path.abspath(path) if dir_fd is None else os.path.join(of(dir_fd), path)
        if disk.knows(name) and os.path.exists(name):
            death.comes_to("remove")
            disk.removed(name)
        real["unlink"](path, dir_fd=dir_fd)

    def mkdir(path: Any, *given: Any, **more: Any) -> None:
        if disk.knows(name := os.path.abspath(path)) and not os.path.exists(name):
            death.comes_to("make")
            real["mkdir"](path, *given, **more)
            disk.named(name, lambda: shutil.rmtree(name, ignore_errors=True))
        else:
            real["mkdir"](path, *given, **more)

    send = Api.write

    @functools.wraps(send)
    async def request(self: Api, *given: Any, **more: Any) -> Any:
        death.comes_to("request")
        reply = await send(self, *given, **more)
        death.comes_to("answer")
        return reply

    Api.write = request  # type: ignore[method-assign]
    os.open, os.write, os.fsync, os.unlink, os.mkdir = opened, write, fsync, unlink, mkdir  # type: ignore[assignment]
    os.replace, os.rename = (
        functools.partial(moving, "replace"),
        functools.partial(moving, "rename"),
    )


def run(arguments: list[str]) -> int:
    """Run the words after the first, which says when to die; see the module's head."""
    from ocsync.cli.app import run as entry

    when, *words = arguments
    death = Death(**json.loads(when), disk=Disk(Path.cwd()))
    watch(death)
    code = entry(words)
    if death.at > len(death.operations):
        sys.stderr.flush()
        death.now()
    death.disk.is_losing = True
    sys.stderr.write(_TOLD + " ".join(death.operations))
    return code
