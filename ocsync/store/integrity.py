"""The state of the workspace's files: who may read them, what was left behind, what is damaged.

Everything here looks first; what changes a file is a verb of its own and is called under the locks.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.errors import Damaged
from ocsync.store import delivery_log, files, log, pause_history, tombstones
from ocsync.store.journal import End, Segment
from ocsync.store.journal import decode as decode_segment
from ocsync.store.log import Log
from ocsync.store.runs import DECODERS, Run

_TEMP_NAME = re.compile(r"\..+\.\d+\.tmp")
_STALE_SECONDS = 600.0
_SHOWN_BYTES = 240


class DamagedLine(NamedTuple):
    """A line that is not what was written: its number, and what stands there now, if anything."""

    number: int
    text: str


class LogDamage(NamedTuple):
    """What a look at a log found. *kept* lines are as written; *torn* says that the last is cut."""

    path: Path
    kept: int
    lost: list[DamagedLine]
    torn: bool


def find_exposed(root: Path) -> tuple[list[Path], list[Path]]:
    """What others than the owner may write, and what they may only read; nothing where files have
    no such modes.
    """
    if os.name != "posix":
        return [], []
    writable, readable = list[Path](), list[Path]()
    for path in _walk(root):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink() or not mode & 0o077:
            continue
        (writable if mode & 0o022 else readable).append(path)
    return writable, readable


def make_private(root: Path) -> int:
    """Let nobody but the owner read or write what is in *root*; how many files were changed."""
    writable, readable = find_exposed(root)
    for path in (*writable, *readable):
        path.chmod(files.PRIVATE_FOLDER if path.is_dir() else files.PRIVATE_FILE)
    return len(writable) + len(readable)


def find_foreign(root: Path) -> list[Path]:
    """What belongs to another user."""
    if not hasattr(os, "getuid"):
        return []
    return [path for path in _walk(root) if path.lstat().st_uid != os.getuid()]


def is_git_ignored(root: Path) -> bool:
    """Whether the workspace's `.gitignore` keeps all of it out of a repository."""
    try:
        return "*" in (root / ".gitignore").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return False


def write_gitignore(root: Path) -> None:
    """Keep the workspace out of a repository."""
    files.write_atomically(root / ".gitignore", b"*\n")


def find_stale_temps(root: Path, now: float) -> list[Path]:
    """Half-written files of commands that died; those of the last ten minutes may be at work."""
    return [
        path
        for path in _walk(root)
        if _TEMP_NAME.fullmatch(path.name) and now - path.lstat().st_mtime > _STALE_SECONDS
    ]


def find_interrupted_seals(profile: Path) -> list[Path]:
    """Runs whose seal a crash cut short; `Runs.recover` finishes or undoes it."""
    return sorted(path for path in profile.glob("runs/*.new") if path.is_dir())


def run_folders(profile: Path) -> list[Path]:
    """The folders of the runs, oldest name first."""
    return sorted(p for p in profile.glob("runs/*") if p.is_dir() and not p.suffix)


_PROFILE_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "delivery": delivery_log.decode,
    "pauses": pause_history.decode,
    "deleted": tombstones.decode,
}
PROFILE_LOGS = tuple(f"{name}.jsonl" for name in _PROFILE_DECODERS)
"""The logs that are neither the journal's nor a run's."""
_DECODERS = {**DECODERS, **_PROFILE_DECODERS}


def find_logs(profile: Path) -> Iterator[Path]:
    """Every log of a profile."""
    yield from sorted(profile.glob("journal/[0-9]*.jsonl"))
    for folder in run_folders(profile):
        yield from sorted(folder.glob("*.jsonl"))
    yield from (path for name in PROFILE_LOGS if (path := profile / name).is_file())


def find_damage(path: Path) -> LogDamage:
    """Look at every line of a log, and whether all of it is there. Raises OSError."""
    kept, lost, torn = 0, list[DamagedLine](), False
    number, whole, decode = 0, is_written_whole(path), _decoder(path)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if _decodable_payload(line, decode) is not None:
                kept += 1
            elif not line.endswith(b"\n") and not whole:
                torn = True
            else:
                lost.append(
                    DamagedLine(number, line[:_SHOWN_BYTES].decode("utf-8", "replace").strip())
                )
    if not lost and whole and _ends_early(path, kept):
        lost.append(DamagedLine(number + 1, ""))
    return LogDamage(path, kept, lost, torn)


def is_written_whole(path: Path) -> bool:
    """Whether a crash cannot have left a part of *path*, as it came to its place in one act."""
    if path.parent.name != "journal":
        return path.stem in ("journal", "plan", "findings", "deleted")
    head = next((payload for _, payload in read_good_lines(path)), b"")
    record = decode_segment(head) if head else None
    return isinstance(record, Segment) and record.closed


def _ends_early(path: Path, kept: int) -> bool:
    """Whether there were more lines once than the *kept* ones, which are all good."""
    if path.parent.name == "journal":
        *_, last = read_good_lines(path)
        end = decode_segment(last[1])
        return not isinstance(end, End) or end.entries != kept - 2
    run = Run(path.parent, lambda _: None)
    try:
        info = run.read_info()
    except Damaged:
        return False
    wanted = {"journal": info.entries, "plan": info.steps}.get(path.stem, kept)
    return info.kind == "resume" and kept < wanted


def read_good_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The records of a log that are as they were written and make sense, each with its line."""
    decode = _decoder(path)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            payload = _decodable_payload(line, decode)
            if payload is not None:
                yield number, payload


def _decodable_payload(line: bytes, decode: Callable[[bytes], Any]) -> bytes | None:
    payload = log.decode_line(line[:-1]) if line.endswith(b"\n") else None
    if payload is not None:
        try:
            decode(payload)
        except (ValueError, RecursionError):
            return None
    return payload


def _decoder(path: Path) -> Callable[[bytes], Any]:
    if path.parent.name == "journal":
        return decode_segment
    return _DECODERS[path.name.partition(".")[0]]


def cut_torn_tail(path: Path) -> None:
    """Cut a line off that was never acknowledged, as the next append would."""
    Log(path).close()


def copy_aside(path: Path) -> Path:
    """Copy *path* beside itself under a name that nothing reads; that name."""
    beside = _free_name(path)
    with files.atomic_writer(beside) as copy, path.open("rb") as original:
        shutil.copyfileobj(original, copy)
    return beside


def keep_good_lines(
    path: Path, repair: Callable[[Iterator[bytes]], Iterable[bytes]] = iter
) -> Path:
    """Replace a damaged log by its good records, as *repair* gives them back.

    The damaged file is kept; where.
    """
    beside = copy_aside(path)
    good = [payload for _, payload in read_good_lines(path)]
    with files.atomic_writer(path) as file:
        for payload in repair(iter(good)):
            file.write(log.encode_line(payload))
    return beside


def move_aside(folder: Path) -> Path:
    """Give a run's folder a name under which it is no run any more; that name."""
    beside = _free_name(folder)
    folder.rename(beside)
    files.sync_folder(folder.parent)
    return beside


def _free_name(path: Path) -> Path:
    """A name beside *path* for what is damaged, which nothing has."""
    number, beside = 1, path.with_name(path.name + ".damaged")
    while beside.exists():
        number += 1
        beside = path.with_name(f"{path.name}.damaged-{number}")
    return beside


def free_bytes(root: Path) -> int:
    """Bytes that are free where *root* is, or would be. Raises OSError."""
    return shutil.disk_usage(_nearest_existing(root)).free


def is_writable(root: Path) -> bool:
    """Whether a file can be made in *root*, or the nearest folder above it that exists."""
    return os.access(_nearest_existing(root), os.W_OK | os.X_OK)


def _nearest_existing(root: Path) -> Path:
    """*root*, or the nearest folder above it that exists."""
    return next(place for place in (root, *root.parents) if place.exists())


def _walk(root: Path) -> Iterator[Path]:
    if root.exists():
        yield root
        yield from sorted(root.rglob("*"))
