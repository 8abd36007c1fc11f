"""Inspection of the workspace's files: permissions, leftovers of crashes, damage.

Inspection changes nothing; the verbs that change a file are separate, and run under the locks.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.errors import ConfigError, Damaged
from ocsync.store import delivery_log, files, log, pause_history, tombstones
from ocsync.store.journal import End, Segment
from ocsync.store.journal import decode as decode_segment
from ocsync.store.log import Log
from ocsync.store.runs import DECODERS, Run

_TEMP_NAME = re.compile(r"\..+\.\d+\.tmp")
_STALE_SECONDS = 600.0
_SHOWN_BYTES = 240


class DamagedLine(NamedTuple):
    """Line that fails its checksum or makes no sense: its number, and its text if there is any."""

    number: int
    text: str


class LogDamage(NamedTuple):
    """Result of inspecting a log.

    *kept* counts intact lines; *torn* says that the last line is incomplete, *converted* that line
    ends were changed, which readers see through.
    """

    path: Path
    kept: int
    lost: list[DamagedLine]
    torn: bool
    converted: bool = False


def find_exposed(root: Path) -> tuple[list[Path], list[Path]]:
    """Return the paths that others than the owner may write, and those they may only read.

    Both are empty where files have no such modes.
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
    """Remove all access of others to *root*'s files; return how many were changed."""
    writable, readable = find_exposed(root)
    for path in (*writable, *readable):
        path.chmod(files.PRIVATE_FOLDER if path.is_dir() else files.PRIVATE_FILE)
    return len(writable) + len(readable)


def find_foreign(root: Path) -> list[Path]:
    """Return the paths in *root* that belong to another user."""
    if not hasattr(os, "getuid"):
        return []
    return [path for path in _walk(root) if path.lstat().st_uid != os.getuid()]


def is_git_ignored(root: Path) -> bool:
    """Return whether the workspace's `.gitignore` keeps all of it out of a repository."""
    try:
        return b"*" in files.read_bytes(root / ".gitignore").split()
    except (OSError, ConfigError):
        return False


def write_gitignore(root: Path) -> None:
    """Keep the workspace out of a repository."""
    files.write_atomically(root / ".gitignore", b"*\n")


def find_stale_temps(root: Path, now: float) -> list[Path]:
    """Return temporary files of commands that died.

    Those of the last ten minutes may be in use.
    """
    return [
        path
        for path in _walk(root)
        if _TEMP_NAME.fullmatch(path.name) and now - path.lstat().st_mtime > _STALE_SECONDS
    ]


def find_interrupted_seals(profile: Path) -> list[Path]:
    """Return the runs whose seal a crash interrupted.

    `Runs.recover` finishes or undoes it.
    """
    return [path for path in files.list_folder(profile / "runs", "*.new") if path.is_dir()]


def run_folders(profile: Path) -> list[Path]:
    """Return the folders of the runs, oldest name first."""
    return [p for p in files.list_folder(profile / "runs") if p.is_dir() and not p.suffix]


_PROFILE_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "delivery": delivery_log.decode,
    "pauses": pause_history.decode,
    "deleted": tombstones.decode,
}
PROFILE_LOGS = tuple(f"{name}.jsonl" for name in _PROFILE_DECODERS)
"""Logs in the profile's folder itself, beside the journal's and the runs'."""
_DECODERS: dict[str, Callable[[bytes], Any]] = {**DECODERS, **_PROFILE_DECODERS}


def find_logs(profile: Path) -> Iterator[Path]:
    """Yield every log of a profile."""
    yield from log.list_segments(profile / "journal")
    for folder in run_folders(profile):
        yield from (p for p in files.list_folder(folder, "*.jsonl") if p.stem in DECODERS)
    yield from (path for name in PROFILE_LOGS if os.path.lexists(path := profile / name))


def find_damage(path: Path) -> LogDamage:
    """Return the damage of a log, missing lines included. Raises OSError."""
    intact, lost, torn, converted = 0, list[DamagedLine](), False, False
    number, whole, decode = 0, is_written_whole(path), _decoder(path)
    with files.open_for_reading(path) as file:
        for number, line in enumerate(file, 1):
            converted = converted or log.restore_line(line) != line
            if _decodable_payload(line, decode) is not None:
                intact += 1
            elif not line.endswith(b"\n") and not whole:
                torn = True
            else:
                lost.append(
                    DamagedLine(number, line[:_SHOWN_BYTES].decode("utf-8", "replace").strip())
                )
    if not lost and whole and _ends_early(path, intact):
        lost.append(DamagedLine(number + 1, ""))
    return LogDamage(path, intact, lost, torn, converted)


def is_written_whole(path: Path) -> bool:
    """Return whether *path* was put in place in one act, so that a crash leaves no part of it."""
    if path.parent.name != "journal":
        return path.stem in ("journal", "plan", "findings", "deleted")
    head = next((payload for _, payload in read_good_lines(path)), b"")
    record = decode_segment(head) if head else None
    return isinstance(record, Segment) and record.closed


def _ends_early(path: Path, intact: int) -> bool:
    """Return whether lines are missing after the *intact* first ones."""
    if path.parent.name == "journal":
        *_, last = read_good_lines(path)
        end = decode_segment(last[1])
        return not isinstance(end, End) or end.entries != intact - 2
    run = Run(path.parent, lambda _: None)
    try:
        info = run.read_info()
    except Damaged:
        return False
    expected = {"journal": info.entries, "plan": info.steps}.get(path.stem, intact)
    return info.kind == "resume" and intact < expected


def read_good_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the intact records of a log, each with its line number."""
    decode = _decoder(path)
    with files.open_for_reading(path) as file:
        for number, line in enumerate(file, 1):
            payload = _decodable_payload(line, decode)
            if payload is not None:
                yield number, payload


def _decodable_payload(line: bytes, decode: Callable[[bytes], Any]) -> bytes | None:
    payload = log.decode_line(log.restore_line(line)[:-1]) if line.endswith(b"\n") else None
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
    """Cut off an incomplete last line, as the next append would."""
    Log(path).close()


def restore_line_ends(path: Path) -> None:
    """Write every line of a log as it was before its line ends were changed; nothing is lost."""
    with files.open_for_reading(path) as converted, files.atomic_writer(path) as file:
        for line in converted:
            file.write(log.restore_line(line))


def copy_aside(path: Path) -> Path:
    """Copy *path* beside itself under a name that nothing reads; return that path."""
    copy = _free_name(path)
    with files.atomic_writer(copy) as target, files.open_for_reading(path) as original:
        shutil.copyfileobj(original, target)
    return copy


def keep_good_lines(
    path: Path, repair: Callable[[Iterator[bytes]], Iterable[bytes]] = iter
) -> Path:
    """Replace a damaged log by its intact records, as *repair* returns them.

    Returns the path that the damaged file was copied to.
    """
    copy = copy_aside(path)
    good = [payload for _, payload in read_good_lines(path)]
    with files.atomic_writer(path) as file:
        for payload in repair(iter(good)):
            file.write(log.encode_line(payload))
    return copy


def move_aside(folder: Path) -> Path:
    """Rename a run's folder so that it is no run any more; return the new path."""
    new_path = _free_name(folder)
    files.rename(folder, new_path)
    return new_path


def _free_name(path: Path) -> Path:
    """Return an unused path beside *path* for its damaged copy."""
    number, name = 1, path.with_name(path.name + ".damaged")
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}.damaged-{number}")
    return name


def free_bytes(root: Path) -> int:
    """Return the free bytes where *root* is, or would be. Raises OSError."""
    return shutil.disk_usage(_nearest_existing(root)).free


def is_writable(root: Path) -> bool:
    """Return whether a file can be made in *root*, or in its nearest existing parent."""
    return os.access(_nearest_existing(root), os.W_OK | os.X_OK)


def _nearest_existing(root: Path) -> Path:
    """Return *root*, or its nearest existing parent."""
    return next(path for path in (root, *root.parents) if path.exists())


def _walk(root: Path) -> Iterator[Path]:
    if root.exists():
        yield root
        yield from sorted(root.rglob("*"))
