"""A workspace with files that no command of ours wrote so: a line each, no wait, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import Run

ROOT, FOLDER = Path(".ocsync"), Path(".ocsync/profiles/test")
COMMANDS = (("status", "--offline"), ("doctor", "--offline"), ("plan",), ("profile", "list"))
posix = pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")


def url(text: str) -> bytes:
    lines = (FOLDER / "profile.toml").read_text().splitlines()
    return "\n".join(f'api_url = "{text}"' if "api_url" in x else x for x in lines).encode()


ODD: list[tuple[str, Callable[[], bytes], str]] = [
    ("profile.toml", lambda: url("http://[::1"), "not a URL"),
    ("profile.toml", lambda: url("https://h:99999"), "not a URL"),
    ("profile.toml", lambda: b"x = " + b"9" * 5000, "too many digits"),
    ("profile.toml", lambda: b"name = 5", "not a profile"),
    ("profile.toml", lambda: "name = 'ü'".encode("latin-1"), "is not UTF-8 text"),
    ("pause.toml", lambda: b"a = " + b"[" * 20_000, "nested too deep"),
    ("pause.toml", lambda: b"[inventory]\nsince = 2020-01-01T00:00:00Z", "not a pause"),
    ("pause.toml", lambda: b"inventory = nan", "not a pause"),
    ("attached.toml", lambda: b"x = inf", "not an attached listener"),
    ("../../workspace.toml", lambda: b"format = nan", "has format nan"),
    ("../../workspace.toml", lambda: b"format = true", "has format True"),
    ("../../workspace.toml", lambda: b"\xff\xfe", "is not UTF-8 text"),
]


@pytest.mark.parametrize(("name", "content", "told"), ODD)
def test_an_odd_small_file_is_told_in_a_line(
    ocsync: Run, name: str, content: Callable[[], bytes], told: str
) -> None:
    (FOLDER / name).write_bytes(content())
    results = [ocsync(*words) for words in COMMANDS]
    assert any(told in result.out + result.err for result in results), results
    for result in results:
        assert result.code in (0, 78), result
        assert "unexpected" not in result.err, result
        assert "failed itself" not in result.out, result


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""], ids=["BOM", "CRLF"])
def test_what_an_editor_does_to_small_files_is_no_damage(
    ocsync: Run, shop: Shop, mark: bytes
) -> None:
    ocsync("pause", "inventory")
    for path in (FOLDER / "profile.toml", FOLDER / "pause.toml", ROOT / "workspace.toml"):
        content = path.read_bytes()
        path.write_bytes(mark + content if mark else content.replace(b"\n", b"\r\n"))
    assert ocsync("status").code == ocsync("doctor", "--offline").code == 0
    assert "‖ inventory" in ocsync("status").out


@pytest.mark.quick(3)
@posix
@pytest.mark.parametrize("name", [
    "journal/000001.jsonl", "profile.toml", "pause.toml", "run.lock", "journal.lock", "journal.lock.holder",
    "../../workspace.toml", "journal", "runs", "deleted.jsonl",
])  # fmt: skip
def test_a_pipe_is_told_and_never_waited_for(ocsync: Run, name: str) -> None:
    ocsync("stage", "set", "catalog/C", "Name=x")
    path = FOLDER / name
    if path.is_dir():
        path.rename(path.with_name("other"))
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    results = [ocsync(*words) for words in (*COMMANDS, ("stage", "set", "catalog/C", "Name=y"))]
    assert any("is a named pipe" in r.out + r.err for r in results), results
    for result in results:
        assert result.code in (0, 78), result
        assert "unexpected" not in result.err, result
        assert "failed itself" not in result.out, result


@posix
def test_doctor_names_every_link(ocsync: Run, tmp_path: Path) -> None:
    (FOLDER / "delivery.jsonl").symlink_to(tmp_path / "elsewhere")
    (FOLDER / "runs").symlink_to(tmp_path)
    result = ocsync("doctor", "--offline")
    assert result.code == 78
    for name in ("delivery.jsonl", "runs"):
        assert f"✗ files        .ocsync/profiles/test/{name} is a symbolic link" in result.out


def test_copies_beside_segments_are_not_read(ocsync: Run) -> None:
    """`000001 copy.jsonl`, as file managers make them, is no segment."""
    ocsync("stage", "set", "catalog/C", "Name=x")
    path = FOLDER / "journal/000001.jsonl"
    (path.with_name("000001 copy.jsonl")).write_bytes(path.read_bytes())
    (path.with_name("000002-old.jsonl")).write_bytes(b"old\n")
    assert ocsync("stage", "set", "catalog/C", "Active=true").code == 0
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 2
    assert ocsync("doctor", "--offline").code == 0


def test_changed_line_ends_lose_nothing(ocsync: Run, shop: Shop) -> None:
    """Every command reads the logs all the same; doctor restores them, byte by byte."""
    refs = shop.stock(records=4)
    for ref in refs[:2]:
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    assert ocsync("resume").code == 0
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=8")
    Path("more.csv").write_text("ref,NotificationPoint\n" + "".join(f"{ref},5\n" for ref in refs))
    ocsync("stage", "import", "more.csv")
    logs = {
        path: path.read_bytes() for path in FOLDER.rglob("*.jsonl") if path.name != "pace.jsonl"
    }
    assert len(logs) >= 5
    for path, content in logs.items():
        path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))

    listed = ocsync("stage", "list", "--json")
    assert (listed.code, listed.data["staged_entries"]) == (0, 8)
    assert "the line endings were changed (CRLF)" in listed.err
    assert ocsync("history").code == 0
    told = ocsync("doctor", "--offline")
    assert told.code == 0
    assert told.out.count("the line endings were changed") == len(logs)
    assert ocsync("doctor", "--offline", "--fix").code == 0, "nothing is asked, as nothing is lost"
    assert {path: path.read_bytes() for path in logs} == logs


@pytest.mark.slow
@posix
def test_closed_streams_are_as_the_null_device(ocsync: Run, shop: Shop) -> None:
    """The work is done, and no file of ours gets what a child prints."""
    shop.stock(records=1)
    command = f"exec {sys.executable} -m ocsync"
    done = subprocess.run(
        ["sh", "-c", f"{command} stage set inventory/P0/R0 QuantityAvailable=3 <&- >&- 2>&-"],
        check=False,
    )
    assert done.returncode == 0
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 1
    closed = subprocess.run(
        ["sh", "-c", f"{command} window inventory -- sh -c 'echo loud; touch ran' >&-"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert closed.returncode == 0, closed
    assert "Traceback" not in closed.stderr
    assert Path("ran").exists()
    assert not shop.paused()
    assert not [p for p in ROOT.rglob("*") if p.is_file() and b"loud" in p.read_bytes()]


def test_a_removed_folder_stops_only_what_needs_it(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert ocsync("status", "--workspace", str(tmp_path / ".ocsync")).code == 0
    assert ocsync("doctor", "--offline", "--workspace", str(tmp_path / ".ocsync")).code == 0
    unnamed = ocsync("status")
    assert (unnamed.code, "the current folder was removed" in unnamed.err) == (78, True)
    assert ocsync("help", "plan").code == 0
    init = ocsync("init")
    assert (init.code, "the current folder was removed" in init.err) == (78, True)


@posix
def test_a_workspace_of_another_user_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".ocsync").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    for words in (("profile", "list"), ("stage", "list")):
        result = run(*words)
        assert f"{tmp_path}/.ocsync belongs to another user" in result.err
        assert result.err.count("another user") == 1
    assert "another user" not in run("help", "plan").err
