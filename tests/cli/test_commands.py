"""What holds for all commands: usage errors, streams, closed pipes, unusable places."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import Run


def test_init_makes_a_workspace_once(run: Run, tmp_path: Path) -> None:
    assert run("init", "here", "--json").data["made"] is True
    assert run("init", "here", "--json").data["made"] is False
    assert (tmp_path / "here/.ocsync/.gitignore").read_text() == "*\n"


@pytest.mark.parametrize("words", [
    ("nope",), ("plan", "--nope"), ("stage",), ("pause",), ("pause", "orders"), ("pause", "inventory", "--for", "x"),
    ("resume", "--on-conflict", "maybe"), ("resume", "--concurrency", "0"),
])  # fmt: skip
def test_wrong_usage_is_64(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.code == (0 if words == ("stage",) else 64)
    assert "Traceback" not in result.err


def test_without_a_profile_the_way_is_told(run: Run) -> None:
    for words in (("plan",), ("status",), ("pause", "inventory"), ("stage", "list")):
        result = run(*words)
        assert result.code == 78
        assert "ocsync profile add" in result.err


def test_help_and_hints_name_ocsync_however_it_is_started(run: Run) -> None:
    assert run("plan", "--help").out.startswith("Usage: ocsync plan ")
    assert "next: ocsync plan --help" in run("plan", "--nope").err


def test_a_fatal_error_as_json_is_one_object_on_stderr(run: Run) -> None:
    result = run("plan", "--json")
    error = json.loads(result.err)
    assert result.out == ""
    assert (error["type"], error["exit_code"]) == ("error", 78)


@pytest.mark.parametrize("value", ["1", "true", "YES", "on", "0", "no"])
def test_a_variable_asks_for_json_of_answers_and_errors_alike(
    run: Run, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OCSYNC_JSON", value)
    answer, error = run("init").out, run("plan").err
    assert answer.startswith("{") == error.startswith("{") == (value not in ("0", "no"))


@pytest.mark.parametrize("words", [("--help",), ("stage", "list"), ("plan",)], ids=" ".join)
def test_nobody_reads_on(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """As in `ocsync plan | head -1`, help included."""
    ocsync("stage", "set", "catalog/C", "Name=x")
    reader, writer = os.pipe()
    os.close(reader)
    closed = os.fdopen(writer, "w", buffering=1)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        result = ocsync(*words)
    with contextlib.suppress(BrokenPipeError):
        closed.close()
    assert (result.code, "Traceback" in result.err) == (0, False), result


def test_a_log_of_both_streams_has_the_lines_in_order(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in cron: `ocsync stage set ... > log 2>&1`."""
    log = tmp_path / "log"
    with log.open("a") as out, log.open("a", buffering=1) as err, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        ocsync("stage", "set", "catalog/C", "Name=x")
    assert [line[:10] for line in log.read_text().splitlines()] == ["+ 1  set c", "  staged n", "  next: oc"]  # fmt: skip


def test_nobody_at_the_other_end(ocsync: Run, shop: Shop) -> None:
    file = Path(".ocsync/profiles/test/profile.toml")
    file.write_text(file.read_text().replace(shop.url, "http://127.0.0.1:9"))
    result = ocsync("status")
    assert result.code == 75
    assert "cannot connect to 127.0.0.1:9 (connection refused)" in result.err
    assert ocsync("status", "--offline").code == 0


def test_an_unexpected_error_leaves_a_file_and_no_traceback(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ocsync.cli.status_output.summarize_journal", lambda *a: 1 / 0)
    result = ocsync("status", "--offline")
    assert result.code == 1
    assert "ZeroDivisionError" in result.err
    assert "Traceback" not in result.err
    [file] = (tmp_path / "data/errors").iterdir()
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize("words", [
    ("init", "file"), ("stage", "list", "--workspace", "file/.ocsync"), ("profile", "list", "--workspace", "file"),
], ids=lambda words: words[0])  # fmt: skip
def test_a_place_that_cannot_be_used_is_told(run: Run, words: tuple[str, ...]) -> None:
    Path("file").write_text("")
    result = run(*words)
    assert (result.code, "unexpected" in result.err) == (78, False), result
