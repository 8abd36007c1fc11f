"""Commands that die at a chosen point, to test what the next command makes of it.

    crashed = crash("resume", "--verify", at=CrashPoint("request", 3, "after"))

A `CrashPoint` says where (the operation), when (its number; before it, after it or in the middle)
and how (killed, or by a loss of power). Operations are:

- `write`, `sync`, `rename`, `remove`, `make`: of files and folders below the working directory,
  except locks;
- `request`: a POST, PUT, PATCH or DELETE of an entity or assignment; `config`: one of a sync or
  delivery configuration, or a sync request;
- the names of `_stages`: functions of the engine and the store;
- `exit`: the end of the command.

`crash` runs the command line in a process of its own, which kills itself at the point. Without a
point the command runs to its end and returns its `operations`; `crash_points` makes of them every
point that leaves a different state. `crash_resume` runs a resume in this process, without waits. It
is faster, dies by an exception, and has no points at files.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import shutil
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import pytest

from ocsync.engine.resume.options import ResumeOptions
from tests.builders import Shop
from tests.in_process import resume
from tests.processes import call

_FILES = ("write", "sync", "rename", "remove", "make")
_REQUESTS = ("request", "config")
_LIST = "came to: "


class CrashPoint(NamedTuple):
    """Where, when and how a command dies.

    *moment* `half` is in the middle of a write: half of its bytes are written. *cause* `kill` leaves
    everything as it was written; `power` leaves only what was synced, bytes and names alike.
    """

    operation: str
    number: int = 1
    moment: Literal["before", "after", "half"] = "before"
    cause: Literal["kill", "power"] = "kill"


class Crashed(NamedTuple):
    """The end of a command: its exit code (-9 when it died), its stderr, and its operations."""

    code: int
    err: str
    operations: list[str]


class Killed(BaseException):
    """The death of a resume in this process."""


def crash(*words: str, at: CrashPoint | None = None) -> Crashed:
    """Run the command *words* in a process that dies at the point, if it comes to it."""
    done = call(json.dumps(at), *words, program="tests.crash_points")
    err, _, operations = done.err.partition(_LIST)
    return Crashed(done.code, err, operations.split())


def crash_resume(shop: Shop, at: CrashPoint, options: ResumeOptions | None = None) -> None:
    """Resume in this process and die at the point; fail if the resume ends without."""
    if at.operation in (*_FILES, "exit") or at.cause != "kill":
        raise ValueError(f"{at} takes a process of its own")

    def raise_killed() -> NoReturn:
        raise Killed

    watcher = Watcher(at, raise_killed)
    with pytest.MonkeyPatch.context() as patch:
        watch_functions(watcher, patch)
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group may carry Killed
            resume(shop, options)
    if not watcher.is_dead:
        raise caught.value


def keep_state(folder: Path) -> None:
    """Copy the workspace and the user's data folder to *folder*, for `restore_state`."""
    data = Path(os.environ["OCSYNC_DATA_DIR"])
    data.mkdir(exist_ok=True)
    for kept, path in ((folder / "workspace", Path(".ocsync")), (folder / "data", data)):
        shutil.copytree(path, kept)


def restore_state(folder: Path) -> None:
    """Put the workspace and the user's data folder back as `keep_state` found them."""
    data = Path(os.environ["OCSYNC_DATA_DIR"])
    for kept, path in ((folder / "workspace", Path(".ocsync")), (folder / "data", data)):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(kept, path)


def crash_points(operations: Iterable[str]) -> list[CrashPoint]:
    """Return the points of *operations* at which a command leaves a different state.

    A sync changes nothing that a kill would show, so there is only a loss of power before it. The
    state after an operation is the one before the next, except with several requests under way.
    """
    points: list[CrashPoint] = []
    counts: Counter[str] = Counter()
    for operation in operations:
        counts[operation] += 1
        point = CrashPoint(operation, counts[operation])
        if operation in _FILES or operation in _REQUESTS:
            points += [point] if operation != "sync" else []
            points += [point._replace(cause="power")]
        if operation == "write":
            points += [point._replace(moment="half")]
        if operation in _REQUESTS:
            points += [point._replace(moment="after")]
            points += [point._replace(moment="after", cause="power")]
    return [*points, CrashPoint("exit", cause="power")]


class Watcher:
    """The count of a process's operations; it calls *die* at the point."""

    def __init__(self, point: CrashPoint | None, die: Callable[[], object]) -> None:
        self.point = point
        self.operations: list[str] = []
        self.is_dead = False
        self._die = die
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def come_to(
        self, operation: str, moment: str, half: Callable[[], object] | None = None
    ) -> None:
        """Count a moment of an operation, and die if it is the point or past it."""
        with self._lock:
            if moment == "before":
                self.operations.append(operation)
            self._counts[operation, moment] += 1
            here = (operation, self._counts[operation, moment], moment)
            if self.is_dead or (self.point and self.point[:3] == here):
                if half:
                    half()
                self.is_dead = True
                self._die()

    @contextmanager
    def watching(self, operation: str, half: Callable[[], object] | None = None) -> Iterator[None]:
        """Count an operation that is the body of the block; *half* does half of it."""
        self.come_to(operation, "before")
        if half:
            self.come_to(operation, "half", half)
        try:
            yield
        finally:  # a request that was refused has ended too
            self.come_to(operation, "after")


class Disk:
    """The part of *root* that a loss of power would undo."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._sizes: dict[str, int] = {}
        self._synced: set[str] = set()
        self._names: list[tuple[str, Callable[[], object]]] = []
        self._is_lost = False

    def has(self, path: str) -> bool:
        """Return whether *path* is in the root, and no lock."""
        inside = path.startswith(self.root) and "lock" not in path.removeprefix(self.root)
        return inside and not self._is_lost

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

    def lose_power(self) -> None:
        """Undo what was not synced."""
        self._is_lost = True
        for path, size in self._sizes.items():
            if os.path.exists(path):
                os.truncate(path, size)
        for _, undo in reversed(self._names):
            undo()


def watch_files(watcher: Watcher, disk: Disk, patch: pytest.MonkeyPatch) -> None:
    """Have *watcher* count operations on the files of *disk*."""
    names = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir")
    real = {name: getattr(os, name) for name in names}

    def path_of(handle: int) -> str:
        return os.readlink(f"/proc/self/fd/{handle}")

    def opened(path: Any, flags: int, *args: Any, **more: Any) -> int:
        name = os.path.abspath(path) if not more.get("dir_fd") else ""
        fresh = disk.has(name) and bool(flags & os.O_CREAT) and not os.path.exists(name)
        handle: int = real["open"](path, flags, *args, **more)
        if fresh:
            disk.named(name, lambda: Path(name).unlink(missing_ok=True))
        return handle

    def write(handle: int, data: Any) -> int:
        if not disk.has(path := path_of(handle)):
            return int(real["write"](handle, data))
        with watcher.watching("write", lambda: real["write"](handle, data[: len(data) // 2])):
            disk.wrote(path)
            return int(real["write"](handle, data))

    def fsync(handle: int) -> None:
        if not disk.has(path := path_of(handle)):
            real["fsync"](handle)
            return
        with watcher.watching("sync"):
            disk.synced(path)
            real["fsync"](handle)

    def move(name: str, old: Any, new: Any, **more: Any) -> None:
        if not disk.has(path := os.path.abspath(new)):
            real[name](old, new, **more)
            return
        with watcher.watching("rename"):
            disk.replaced(os.path.abspath(old), path)
            real[name](old, new, **more)

    def unlink(path: Any, *, dir_fd: int | None = None) -> None:
        name = os.path.abspath(path) if dir_fd is None else os.path.join(path_of(dir_fd), path)
        if not (disk.has(name) and os.path.exists(name)):
            real["unlink"](path, dir_fd=dir_fd)
            return
        with watcher.watching("remove"):
            disk.removed(name)
            real["unlink"](path, dir_fd=dir_fd)

    def mkdir(path: Any, *args: Any, **more: Any) -> None:
        if not disk.has(name := os.path.abspath(path)) or os.path.exists(name):
            real["mkdir"](path, *args, **more)
            return
        with watcher.watching("make"):
            real["mkdir"](path, *args, **more)
            disk.named(name, lambda: shutil.rmtree(name, ignore_errors=True))

    replace, rename = functools.partial(move, "replace"), functools.partial(move, "rename")
    fakes = (opened, write, fsync, replace, rename, unlink, mkdir)
    for name, fake in zip(names, fakes, strict=True):
        patch.setattr(os, name, fake)


def _stages() -> dict[str, Callable[..., Any]]:
    """Return the functions that are operations by a name of their own."""
    from ocsync.engine.pause.pausing import unpause_target
    from ocsync.engine.resume.close import close_run
    from ocsync.engine.verify.readback import ReadBack
    from ocsync.store import Journal, Run, log

    return {
        "group": log.encode_lines,
        "plan": Run.write_plan,
        "record": Run.write_info,
        "return": Journal.return_entries,
        "unpause": unpause_target,
        "verify": ReadBack.findings,
        "close": close_run,
    }


def watch_functions(watcher: Watcher, patch: pytest.MonkeyPatch) -> None:
    """Have *watcher* count requests and stages."""
    from ocsync.client.api import Api

    def kind_of(path: str) -> str:
        return "config" if path.startswith("/integrations/") else "request"

    _watch(Api.write, lambda _, method, path, *args, **more: kind_of(path), watcher, patch)
    _watch(Api.delete, lambda _, path: kind_of(path), watcher, patch)
    for name, function in _stages().items():
        _watch(function, lambda *args, name=name, **more: name, watcher, patch)


def _watch(
    function: Callable[..., Any],
    operation_of: Callable[..., str],
    watcher: Watcher,
    patch: pytest.MonkeyPatch,
) -> None:
    """Replace *function* by a watched one, also where it has been imported by name."""

    @functools.wraps(function)
    def watched(*args: Any, **more: Any) -> Any:
        with watcher.watching(operation_of(*args, **more)):
            return function(*args, **more)

    @functools.wraps(function)
    async def awaited(*args: Any, **more: Any) -> Any:
        with watcher.watching(operation_of(*args, **more)):
            return await function(*args, **more)

    *owners, name = function.__qualname__.split(".")
    home = functools.reduce(getattr, owners, sys.modules[function.__module__])
    others = [module for key, module in sys.modules.items() if key.startswith("ocsync.")]
    for place in (home, *others):
        if vars(place).get(name) is function:
            patch.setattr(
                place, name, awaited if inspect.iscoroutinefunction(function) else watched
            )


def run(arguments: list[str]) -> int:
    """Run the words after the first, which is the point as JSON, in this process."""
    from ocsync.cli.app import run as entry

    at, *words = arguments
    point = CrashPoint(*json.loads(at)) if json.loads(at) else None
    disk = Disk(Path.cwd())

    def die() -> None:
        sys.stderr.flush()
        if point and point.cause == "power":
            disk.lose_power()
        os.kill(os.getpid(), signal.SIGKILL)

    watcher = Watcher(point, die)
    patch = pytest.MonkeyPatch()
    watch_files(watcher, disk, patch)
    watch_functions(watcher, patch)
    code = entry(words)
    watcher.come_to("exit", "before")
    patch.undo()
    sys.stderr.write(_LIST + " ".join(watcher.operations))
    return code
