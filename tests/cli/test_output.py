"""Where output goes wrong: a reader who has left, an encoding without our signs, odd characters."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocsync.engine.recorder import Recorder
from ocsync.models import Intent, Outcome, State
from ocsync.render.console import Console
from tests.builders import Shop
from tests.conftest import Run
from tests.in_process import profile_dir


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_who_leaves_does_not_stop_a_resume(
    ocsync: Run, shop: Shop, executable: Path, stream: str
) -> None:
    """`ocsync resume --json | head -1`: the work goes on, with the exit code that it deserves."""
    for ref in shop.stock(records=30, products=3):
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    shop.switch(latency=0.03)
    words = [
        str(executable),
        "resume",
        "--verify",
        "--verbose",
        *(["--json"] * (stream == "stdout")),
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        pipe = process.stdout if stream == "stdout" else process.stderr
        assert pipe
        assert pipe.readline()
        pipe.close()
        assert process.wait(timeout=30) == 0
    assert len(shop.writes()) == 30
    assert not shop.paused()


def test_a_listener_that_breaks_leaves_nobody_waiting(ocsync: Run, shop: Shop) -> None:
    """Who waits for the disk hears of it when the recorder cannot go on, whatever the reason."""
    from ocsync.store import RunInfo

    def broken(outcome: Outcome) -> None:
        raise ZeroDivisionError

    async def go() -> None:
        with profile_dir().runs.create(RunInfo(id="r"), []) as run:
            async with asyncio.timeout(5), Recorder(run, broken) as recorder:
                await recorder.end(Outcome(number=1, ref="catalog/C", state=State.DONE))
                await asyncio.sleep(0)
                with pytest.raises(ZeroDivisionError):
                    await recorder.intend(Intent(number=2, ref="catalog/D"))
                await recorder.end(Outcome(number=3, ref="catalog/E", state=State.DONE))

    with pytest.raises(ZeroDivisionError):
        asyncio.run(go())


@pytest.mark.slow
def test_signs_and_data_in_an_encoding_that_lacks_them(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "--reason", "Ünïts ☃")
    for words in (("status",), ("status", "--json"), ("status", "--offline")):
        done = subprocess.run(
            [sys.executable, "-m", "ocsync", *words], capture_output=True, check=False, timeout=20,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b""), words
        assert b"inventory" in done.stdout
        done.stdout.decode("ascii")


def test_a_server_cannot_steer_the_terminal(ocsync: Run, shop: Shop) -> None:
    """Escape sequences in what the platform says are written as text."""
    shop.seed(catalog=[{"ID": "C", "Name": "x"}])
    ocsync("stage", "set", "catalog/C", "Name=y")
    shop.faults({"method": "PATCH", "path": "/catalogs/C", "status": 400, "code": "\x1b[2J\x9b1m"})
    result = ocsync("resume")
    assert (result.code, r"\u001b[2J\u009b1m" in result.out) == (3, True), result
    assert not {"\x1b", "\x9b"} & set(result.out + result.err)


@pytest.mark.parametrize("unseen", ["\u200b", "\u00a0", "\u202e", "\x7f"])
def test_a_message_shows_characters_that_cannot_be_seen(ocsync: Run, unseen: str) -> None:
    """A quoted value would look right otherwise; in JSON an escape is the same value."""
    Path("p.csv").write_text(f"ProductID,Name\nmu{unseen}g,Mug\n")
    escape = f"\\u{ord(unseen):04x}"
    wrong = ocsync("stage", "import", "p.csv", "--kind", "product")
    assert wrong.code == 65
    assert f'"mu{escape}g"' in wrong.err
    assert f"mu{escape}g" in ocsync("delete", f"product/mu{unseen}g", "--yes").err
    as_json = ocsync("stage", "import", "p.csv", "--kind", "product", "--json")
    assert unseen not in as_json.err
    assert json.loads(as_json.err)["problems"][0]["value"] == f"mu{unseen}g"
    ocsync("stage", "set", "product/mug", f"Name=M{unseen}g")
    assert f"Name=M{escape}g" in ocsync("stage", "show", "product/mug").out


def test_annotations_show_characters_that_cannot_be_seen(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    Path("p.csv").write_text("ProductID,Name\nmug\u202e,Mug\n")
    err = ocsync("stage", "import", "p.csv", "--kind", "product").err
    assert r'ProductID "mug\u202e" an ID has' in err
    assert "\u202e" not in err


def test_a_full_disk_is_told_in_a_line(ocsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/x/journal")

    monkeypatch.setattr("ocsync.store.files.atomic_writer", full)
    result = ocsync("stage", "set", "catalog/C", "Name=x")
    assert (result.code, result.err.splitlines()[0]) == (1, "✗ /x/journal: No space left on device")
    assert "unexpected" not in result.err


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 2001])
def test_long_lists_are_json_like_any_other(
    capsys: pytest.CaptureFixture[str], number: int
) -> None:
    rows = [{"ref": f"catalog/{n}", "name": "Größe \u202e##[x]"} for n in range(number)]
    console = Console(json=True)
    console.document("plan", {"at": 1}, rows={"a": iter(rows), "b": iter(rows[:1])})
    console.document("plan", {"at": 1, "a": rows, "b": rows[:1]})
    parts, whole = capsys.readouterr().out.splitlines()
    assert parts == whole
