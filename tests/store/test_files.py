"""One way to open every file of a workspace: no link is followed, and nothing but files is opened."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ocsync.errors import ConfigError
from ocsync.store import files, lock
from ocsync.store.log import Log
from ocsync.store.profile_dir import write_toml
from tests.conftest import Run

posix = pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
TEXT = "precious"
USES: dict[str, Callable[[Path], object]] = {
    "read": files.read_bytes,
    "append": lambda path: Log(path).append([b'{"a":1}']),
    "replace": lambda path: files.write_atomically(path, b"x"),
    "toml": lambda path: write_toml(path, {"a": 1}),
    "note": lambda path: files.write_note(path, b"x"),
    "lock": lambda path: lock.hold(path, what="x").__enter__(),
    "ask": lock.is_held,
    "short lock": lambda path: lock.short_lock(path).__enter__(),
}
"""Each way in which a file of the workspace is used."""


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


KINDS: dict[str, Callable[[Path], object]] = {
    "a named pipe": pipe, "a folder": lambda path: path.mkdir(), "a socket": unix_socket,
}  # fmt: skip


@posix
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("exists", [True, False])
def test_no_link_is_followed(tmp_path: Path, use: str, exists: bool) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "ws"
    folder.mkdir()
    if exists:
        victim.write_text(TEXT)
    (folder / "file").symlink_to(victim)
    if use == "ask" and not exists:
        assert not lock.is_held(folder / "file")
        return
    with pytest.raises(ConfigError, match="file is a symbolic link"):
        USES[use](folder / "file")
    assert victim.exists() is exists
    assert not exists or victim.read_text() == TEXT


@posix
@pytest.mark.parametrize("use", USES)
def test_no_linked_folder_is_entered(tmp_path: Path, use: str) -> None:
    """At no level, and whether or not the file is there."""
    elsewhere = tmp_path / "elsewhere/deep"
    elsewhere.mkdir(parents=True)
    (elsewhere / "file").write_text(TEXT)
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="link is a symbolic link"):
        USES[use](tmp_path / "ws/link/deep/file")
    assert [p.read_text() for p in elsewhere.iterdir()] == [TEXT]


@posix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use", USES)
def test_only_files_are_opened_and_nothing_waits(tmp_path: Path, use: str, kind: str) -> None:
    KINDS[kind](tmp_path / "file")
    with pytest.raises(ConfigError, match=f"file is {kind}, not a file"):
        USES[use](tmp_path / "file")


@posix
def test_a_device_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    monkeypatch.setattr(
        os, "open",
        lambda path, *more: pytest.fail("opened") if str(path) == "/dev/null" else real(path, *more),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="null is a device"):
        files.open_file(Path("/dev/null"), os.O_WRONLY)


@posix
@pytest.mark.parametrize("change", [
    files.make_folder, files.list_folder, files.remove_folder,
    lambda path: files.make_folder(path / "below"), lambda path: files.remove_file(path / "file"),
    lambda path: files.rename(path / "file", path / "new"), lambda path: files.remove_stale_temps(path),
])  # fmt: skip
def test_folders_are_changed_and_listed_only_where_they_are(
    tmp_path: Path, change: Callable[[Path], Any]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text(TEXT)
    (tmp_path / "link").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="link is a symbolic link"):
        change(tmp_path / "link")
    assert [path.name for path in elsewhere.iterdir()] == ["file"]
    (tmp_path / "plain").write_text("x")
    if change in (files.make_folder, files.list_folder):
        with pytest.raises(ConfigError, match="plain is a file, not a folder"):
            change(tmp_path / "plain")


@posix
def test_a_planted_temporary_file_is_not_written(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text(TEXT)
    (tmp_path / f".file.{os.getpid()}.tmp").symlink_to(victim)
    files.write_atomically(tmp_path / "file", b"new")
    assert (victim.read_text(), (tmp_path / "file").read_bytes()) == (TEXT, b"new")
    assert not (tmp_path / "file").is_symlink()


@posix
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_synced_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ConfigError, match=r"cannot sync .* to disk") as caught:
        files.write_atomically(tmp_path / "file", b"x")
    assert "local disk" in caught.value.hint
    assert not list(tmp_path.iterdir())


@posix
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_folder_that_cannot_be_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """No marker file takes the lock's place: it would outlive its holder."""
    import fcntl

    def refuse(_: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for use in ("lock", "short lock"):
        with pytest.raises(ConfigError, match=f"cannot lock {tmp_path}") as caught:
            USES[use](tmp_path / "run.lock")
        assert "local disk" in caught.value.hint


def test_a_failed_write_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "log.jsonl")

    def full(*_: object) -> int:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(os, "write", full)
    with log, pytest.raises(OSError, match="File too large") as caught:
        log.append([b'{"a":1}'])
    assert caught.value.filename == str(tmp_path / "log.jsonl")


def test_no_other_module_opens_a_file_of_the_workspace() -> None:
    """A second way to open one would follow what this one does not."""
    opens = re.compile(
        r"[.](open|read_bytes|read_text|write_bytes|write_text|touch|rename|rmtree)\("
    )
    allowed = ("files.", "tomllib.", "os.fdopen")
    for path in Path(files.__file__).parent.glob("*.py"):
        for line in path.read_text().splitlines() if path.name != "files.py" else ():
            used = opens.search(line)
            assert not used or any(name in line for name in allowed), f"{path.name}: {line}"


def test_a_file_that_is_far_too_long_is_not_read(ocsync: Run) -> None:
    """It is sparse here, and takes no space; read whole it would take all memory."""
    path = next(Path(".ocsync/profiles").iterdir()) / "pause.toml"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    result = ocsync("status", "--offline")
    assert result.code == 78, result
    assert "pause.toml is 3,221,225,472 bytes long, more than the 4,194,304" in result.err
