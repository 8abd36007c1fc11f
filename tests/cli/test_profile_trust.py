"""`ocsync profile`: names, trust, and the way out of a profile that can do no more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import SECRET, Run

FOLDER = Path(".ocsync/profiles/test")


def add(run: Run, name: str, *words: str) -> int:
    return run(
        "profile", "add", *words, "--client-id", "c", "--secret-env", SECRET, "--", name
    ).code


@pytest.mark.parametrize("name", ["con", "-x", "COM1", "x\n"])
def test_a_name_that_is_no_folder_everywhere_is_refused(run: Run, name: str) -> None:
    assert add(run, name, "--api-url", "http://127.0.0.1:1") == 64
    assert not list(Path().rglob("profile.toml"))


def test_a_clone_signs_in_only_once_it_is_trusted(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Reading and staging need no trust; a named workspace was chosen by the user."""
    ocsync("stage", "set", "catalog/C", "Name=x")
    shutil.copytree(".ocsync", tmp_path / "clone/.ocsync")
    monkeypatch.chdir(tmp_path / "clone")
    before = len(shop.requests())
    for words in (("status",), ("resume", "--yes"), ("plan", "--diff")):
        refused = ocsync(*words)
        assert (refused.code, "came with this folder" in refused.err) == (78, True), refused
        assert "next: review" in refused.err
    assert ocsync("stage", "list").code == ocsync("plan").code == 0
    assert len(shop.requests()) == before
    assert ocsync("status", "--workspace", ".ocsync").code == 0
    assert "✗ trust" in ocsync("doctor", "--offline").out
    assert ocsync("profile", "trust").code == 64, "it is asked for"
    assert ocsync("profile", "trust", "--yes").code == 0
    assert ocsync("status").code == 0


def test_a_clone_with_a_link_is_refused(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    victim = tmp_path / "start-file"
    shutil.copytree(".ocsync", tmp_path / "clone/.ocsync")
    monkeypatch.chdir(tmp_path / "clone")
    (FOLDER / "pauses.jsonl").symlink_to(victim)
    for words in (("stage", "list"), ("resume",), ("profile", "trust", "--yes"), ("status",)):
        refused = ocsync(*words)
        assert (refused.code, "is a symbolic link" in refused.err) == (78, True), refused
    assert not victim.exists()


def test_a_home_that_cannot_be_written_is_no_dead_end(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OCSYNC_DATA_DIR", str(tmp_path / "file/data"))
    monkeypatch.setenv("OCSYNC_WORKSPACE", str(tmp_path / "ws"))
    assert add(run, "risky", "--api-url", "https://proxy.example") == 78
    assert not (tmp_path / "ws").exists()
    words = ("--api-url", shop.url, "--client-id", "emulator", "--secret-env", SECRET)
    added = run("profile", "add", "test", *words)
    assert (added.code, "OCSYNC_WORKSPACE" in added.err) == (0, True), added
    assert run("status").code == run("profile", "check").code == 0
    trusted = run("profile", "trust")
    assert (trusted.code, "set OCSYNC_DATA_DIR" in trusted.err) == (78, True)


def test_a_profile_whose_pause_cannot_be_lifted_is_removed_all_the_same(
    ocsync: Run, shop: Shop
) -> None:
    ocsync("pause", "inventory", "catalogs")
    ocsync("stage", "set", "catalog/C", "Name=x")
    refused = ocsync("profile", "remove", "test", "--yes")
    assert refused.code == 6
    assert "ocsync profile remove test --forget-pauses" in refused.err
    asked = ocsync("profile", "remove", "test", "--forget-pauses")
    assert (asked.code, "with 1 staged entry" in asked.err) == (64, True)
    assert FOLDER.exists()
    removed = ocsync("profile", "remove", "test", "--forget-pauses", "--yes")
    assert removed.code == 0
    for name in ("inventory", "catalogs"):
        assert f"{name} stays paused on the server" in removed.err
    assert not FOLDER.exists()
    assert shop.paused()


@pytest.mark.parametrize(("name", "option"), [
    ("pause.toml", "--forget-pauses"), ("attached.toml", "--forget-listeners"),
])  # fmt: skip
def test_a_damaged_file_does_not_keep_a_profile(ocsync: Run, name: str, option: str) -> None:
    (FOLDER / name).write_text("[x")
    (FOLDER / "journal").mkdir()
    (FOLDER / "journal/000001.jsonl").write_text("odd\n")
    assert ocsync("profile", "remove", "test", "--yes").code == 78
    assert ocsync("profile", "remove", "test", "--yes", option).code == 0
    assert not FOLDER.exists()
