"""As it is on a real terminal: questions, Ctrl-C once and twice."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Shop, csv_of
from tests.cli.test_crashes import wait_for_writes
from tests.cli.test_window import until
from tests.conftest import SECRET, Run, add_profile
from tests.processes import Terminal

pytest.importorskip("pexpect", reason="there is no terminal to test with on Windows")


@pytest.fixture
def busy(run: Run, shop: Shop) -> Run:
    """A hundred steps to do, each of which takes a while."""
    refs = shop.stock(records=100, products=10)
    run("init")
    add_profile(run, shop)
    run(
        "stage",
        "import",
        "-",
        stdin=csv_of([("ref", "QuantityAvailable"), *((r, 9) for r in refs)]),
    )
    shop.switch(latency=0.06)
    return run


@pytest.mark.parametrize(
    ("stop", "code"), [("key", 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_the_first_stops_in_good_order(busy: Run, shop: Shop, stop: Any, code: int) -> None:
    child = Terminal("resume", "--concurrency", "16")
    wait_for_writes(shop, 10)
    child.interrupt() if stop == "key" else child.signal(stop)
    child.expect("stopping: waiting for writes in flight")
    ended = child.wait()
    assert ended.code == code, ended
    shop.switch(latency=0)
    before = len(shop.writes())
    [done] = re.findall(r"interrupted: (\d+) of 100 steps done; inventory stays paused", ended.out)
    assert int(done) == before, "every write that was sent is recorded"
    assert before < 100
    assert busy("resume", "--verify").code == 0
    assert len(shop.writes()) == 100, "what was under way was recorded"


def test_the_second_leaves_at_once_and_says_what_is_unknown(busy: Run, shop: Shop) -> None:
    child = Terminal("resume", "--concurrency", "16")
    wait_for_writes(shop, 10)
    shop.faults({"method": "PATCH", "action": "hang", "seconds": 5, "times": 1000})
    wait_for_writes(shop, 12)
    child.interrupt()
    child.expect("stopping")
    time.sleep(0.3)
    child.interrupt()
    child.expect(
        r"exited immediately; \d+ requests were in flight: run the same command", timeout=3
    )
    assert child.wait().code == 130
    shop.faults()
    shop.switch(latency=0)
    assert busy("resume", "--verify").code == 0
    assert not shop.paused()


def test_a_key_reaches_a_windows_command_once(ocsync: Run, shop: Shop) -> None:
    """The terminal signals both of us, so that passing it on would make it two."""
    loop = "trap 'echo one >> ints' INT; touch ran; while [ ! -e go ]; do sleep 0.05; done"
    child = Terminal("window", "inventory", "--", "sh", "-c", loop)
    until(lambda: Path("ran").exists())
    child.interrupt()
    until(lambda: Path("ints").exists())
    Path("go").touch()
    child.expect("sh exited with code 0; the window was open for")
    assert child.wait().code == 0
    assert Path("ints").read_text() == "one\n"
    assert not shop.paused()


WAITS: dict[str, list[dict[str, Any]]] = {
    "trying again": [{"status": 500, "method": "PATCH", "rate": 0.9999}],
    "throttled": [{"status": 429, "retry_after": 60, "method": "PATCH", "rate": 0.9999}],
    "reading": [{"action": "hang", "seconds": 0.5, "method": "GET", "path": "inventory", "rate": 0.9999}],
}  # fmt: skip


@pytest.mark.quick(1)
@pytest.mark.parametrize("wait", WAITS)
def test_nobody_waits_for_a_turn_once_told_to_stop(busy: Run, shop: Shop, wait: str) -> None:
    """Requests under way may end; waits for another attempt, for a turn, for a list do not go on."""
    shop.faults(*WAITS[wait])
    child = Terminal("resume", "--concurrency", "2")
    child.expect(r"run \d+")
    time.sleep(0.3)
    child.interrupt()
    child.expect("stopping")
    start = time.monotonic()
    ended = child.wait()
    assert (ended.code, time.monotonic() - start < 4) == (130, True), ended
    shop.faults()
    shop.switch(latency=0)
    assert busy("resume", "--verify").code == 0
    assert not shop.paused()


@pytest.mark.parametrize(
    ("stop", "code"),
    [("\x03", 130), ("\x04", 130), (signal.SIGTERM, 143)],
    ids=["ctrl-c", "ctrl-d", "sigterm"],
)
def test_a_question_can_be_left(ocsync: Run, shop: Shop, stop: Any, code: int) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    ocsync("pause", "inventory")
    shop.call("PATCH", "/integrations/entitysync/products/inventoryrecords", {"Paused": False})
    child = Terminal("resume")
    child.expect(r"Pause inventory again for this run\? \[y/N\]")
    child.press(stop) if isinstance(stop, str) else child.signal(stop)
    child.expect("cancelled; nothing was changed")
    ended = child.wait()
    assert ended.code == code, ended
    assert (shop.writes(), shop.paused()) == ([], False)
    assert ocsync("resume", "--repause").code == 0


def test_questions_are_asked_on_the_terminal(run: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    run("init")
    run(
        "profile",
        "add",
        "live",
        "--api-url",
        shop.url,
        "--client-id",
        "emulator",
        "--secret-env",
        SECRET,
        "--production",
    )
    for answer, code in (("acme", 64), ("emulator", 0)):
        child = Terminal("pause", "inventory")
        child.expect("to continue, type the ID of the marketplace \\(emulator\\): ")
        child.type_line(answer)
        ended = child.wait()
        assert ended.code == code, ended
    assert shop.paused()
    for answer, there in (("n", 200), ("y", 404)):
        child = Terminal("delete", ref, "--confirm", "emulator")
        child.expect(r"Delete [\w/]+\? \[y/N\]")
        child.type_line(answer)
        child.wait()
        assert shop.call("GET", "/products/P0/inventoryrecords/R0").status_code == there


def test_no_progress_bar_clears_a_question(ocsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ocsync("stage", "set", "catalog/NONE", "Active=true")
    monkeypatch.setenv("TERM", "xterm")
    child = Terminal("resume")
    child.expect(r"Send the plan anyway\? These steps will fail\. \[y/N\] ")
    time.sleep(0.5)  # more than two refreshes of a bar
    child.type_line("n")
    assert "\x1b[2K" not in child.wait().out.partition("n")[0]


def test_staging_the_same_adjustments_again_is_asked(run: Run, shop: Shop) -> None:
    run("init")
    add_profile(run, shop)
    Path("sold.csv").write_text("ref,op,QuantityAvailable\ninventory/P/R,adjust,-5\n")
    run("stage", "import", "sold.csv")
    for answer, code, entries in (("n", 64, 1), ("y", 0, 2)):
        child = Terminal("stage", "import", "sold.csv")
        child.expect(
            "1 is still staged. Stage the file again and count 1 adjustment twice\\? \\[y/N\\] "
        )
        run("stage", "set", "catalog/C", "Active=true")  # the journal is not locked meanwhile
        run("stage", "drop", "catalog/C")
        child.type_line(answer)
        ended = child.wait()
        assert ended.code == code, ended
        assert run("stage", "list", "--json").data["staged_entries"] == entries
