"""Output that cannot be written, and reads that do not end: neither stands in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import SECRET, Run
from tests.intercepting import Answer, Request, intercepting
from tests.processes import Started

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the streams are Linux's")
WINDOW = ["-m", "ocsync", "window", "inventory", "--", "touch", "ran"]


def window(streams: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a window with its *streams* as a shell says."""
    command = f'exec "$@" {streams}'
    words = (sys.executable, *WINDOW[:3], *words, *WINDOW[3:])
    return subprocess.run(
        ["/bin/sh", "-c", command, "sh", *words], capture_output=True, text=True, timeout=30,
        env={**os.environ, **env},
    )  # fmt: skip


STREAMS = {
    ">/dev/full": "", "2>/dev/full": "1", ">/dev/full 2>/dev/full": "1",
    ">&-": "1", "2>&-": "", "<&- >&- 2>&-": "",
}  # fmt: skip
"""Streams that cannot be written, and whether the quick tests meet them unbuffered."""


@pytest.mark.quick(1)
@pytest.mark.parametrize(("streams", "unbuffered"), list(STREAMS.items())[::2])
def test_a_window_whatever_becomes_of_its_output(
    ocsync: Run, shop: Shop, streams: str, unbuffered: str
) -> None:
    runs_whatever(shop, streams, unbuffered)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "unbuffered"), [(name, value) for name in STREAMS for value in ("", "1")]
)
def test_every_way_of_writing(ocsync: Run, shop: Shop, streams: str, unbuffered: str) -> None:
    runs_whatever(shop, streams, unbuffered)


def runs_whatever(shop: Shop, streams: str, unbuffered: str) -> None:
    done = window(streams, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 0, done
    assert Path("ran").exists()
    assert not shop.paused()
    assert "Traceback" not in done.stderr


def test_an_answer_that_was_lost_is_told(ocsync: Run, shop: Shop) -> None:
    done = window(">/dev/full", "--json")
    assert (done.returncode, Path("ran").exists(), shop.paused()) == (1, True, False)
    assert done.stderr.count("cannot write to standard output") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_reads_that_hang_are_dropped(ocsync: Run, shop: Shop, number: int) -> None:
    [ref] = shop.stock(records=1)
    came, ended = threading.Event(), threading.Event()

    def hook(request: Request) -> Answer:
        if request.method == "GET" and "/products/P0/inventoryrecords" in request.path:
            came.set()
            ended.wait(30)
        return request.forward()

    with intercepting(shop.url, hook) as url:
        words = ("--api-url", url, "--client-id", "emulator", "--secret-env", SECRET)
        ocsync("profile", "add", "slow", *words)
        ocsync("stage", "set", ref, "QuantityAvailable=9", "--profile", "slow")
        with Started("resume", "--profile", "slow") as process:
            assert came.wait(20)
            began = time.monotonic()
            process.signal(number)
            done = process.wait(20)
            took = time.monotonic() - began
        ended.set()
        assert done.code == 128 + number, done
        assert took < 5, "a second, on a machine at rest"
        assert "run the same command again to continue" in done.err
        assert ocsync("resume", "--profile", "slow").code == 0


@pytest.mark.parametrize(("words", "name"), [
    (("export", "product", "-"), "the export"), (("stage", "export", "-"), "the staged edits"),
    (("stage", "template", "catalog", "-"), "the template"), (("plan", "--report", "html", "-"), "the report"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_a_document_that_cannot_be_written_is_named(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], name: str
) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    assert ocsync("stage", "set", "catalog/C", "Name=n").code == 0
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        done = ocsync(*words)
        assert done.code == 1
        assert f"cannot write {name} to standard output: No space left on device" in done.err
        assert "next: free disk space, or give a FILE elsewhere" in done.err
        assert done.err.count("No space left") == 1


def test_a_reader_that_has_had_enough_of_a_document(ocsync: Run, shop: Shop) -> None:
    lines = "".join(f"catalog/C{number},{'n' * 80}\n" for number in range(2_000))
    assert ocsync("stage", "import", "-", stdin=f"ref,Name\n{lines}".encode()).code == 0
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as broken, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", broken)
        assert ocsync("stage", "export", "-").code == 0
