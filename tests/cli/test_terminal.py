"""As it is on a real terminal: questions, Ctrl-C once and twice."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Shop, csv_of
from tests.cli.test_crashes import wait_for_writes
from tests.cli.test_window import until
from tests.conftest import SECRET, Run, add_profile

pexpect: Any = pytest.importorskip("pexpect", reason="there is no terminal to test with on Windows")


def terminal(*words: str) -> Any:
    return pexpect.spawn(
        sys.executable, ["-m", "ocsync", *words], timeout=20, dimensions=(40, 100), encoding="utf-8"
    )


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
    child = terminal("resume")
    wait_for_writes(shop, 10)
    child.sendintr() if stop == "key" else child.kill(stop)
    child.expect("stopping; waiting for the requests under way")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code, child.before
    shop.switch(latency=0)
    before = len(shop.writes())
    assert before < 100
    assert busy("resume", "--verify").code == 0
    assert len(shop.writes()) == 100, "what was under way was recorded"


def test_the_second_leaves_at_once_and_says_what_is_unknown(busy: Run, shop: Shop) -> None:
    child = terminal("resume")
    wait_for_writes(shop, 10)
    shop.faults({"method": "PATCH", "action": "hang", "seconds": 5, "times": 1000})
    wait_for_writes(shop, 12)
    child.sendintr()
    child.expect("stopping")
    time.sleep(0.3)
    child.sendintr()
    child.expect(r"left at once; \d+ requests were under way, the same command", timeout=3)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    shop.faults()
    shop.switch(latency=0)
    assert busy("resume", "--verify").code == 0
    assert not shop.paused()


def test_a_key_reaches_a_windows_command_once(ocsync: Run, shop: Shop) -> None:
    """The terminal signals both of us, so that passing it on would make it two."""
    loop = "trap 'echo one >> ints' INT; touch ran; while [ ! -e go ]; do sleep 0.05; done"
    child = terminal("window", "inventory", "--", "sh", "-c", loop)
    until(lambda: Path("ran").exists())
    child.sendintr()
    until(lambda: Path("ints").exists())
    Path("go").touch()
    child.expect("sh ended with 0; the window was open for")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert Path("ints").read_text() == "one\n"
    assert not shop.paused()


WAITS: dict[str, list[dict[str, Any]]] = {
    "trying again": [{"status": 500, "method": "PATCH", "rate": 0.9999}],
    "throttled": [{"status": 429, "retry_after": 60, "method": "PATCH", "rate": 0.9999}],
    "reading": [{"action": "hang", "seconds": 0.5, "method": "GET", "path": "inventory", "rate": 0.9999}],
}  # fmt: skip


@pytest.mark.parametrize("wait", WAITS)
def test_nobody_waits_for_a_turn_once_told_to_stop(busy: Run, shop: Shop, wait: str) -> None:
    """Requests under way may end; waits for another attempt, for a turn, for a list do not go on."""
    shop.faults(*WAITS[wait])
    child = terminal("resume", "--concurrency", "2")
    child.expect(r"run \d+")
    time.sleep(0.3)
    child.sendintr()
    child.expect("stopping")
    start = time.monotonic()
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, time.monotonic() - start < 4) == (130, True), child.before
    shop.faults()
    shop.switch(latency=0)
    assert busy("resume", "--verify").code == 0
    assert not shop.paused()


@pytest.mark.parametrize(
    ("stop", "code"), [("key", 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_question_can_be_left(ocsync: Run, shop: Shop, stop: Any, code: int) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    ocsync("pause", "inventory")
    shop.call("PATCH", "/integrations/entitysync/products/inventoryrecords", {"Paused": False})
    child = terminal("resume")
    child.expect(r"Pause inventory again for the replay\? \[y/N\]")
    child.sendintr() if stop == "key" else child.kill(stop)
    child.expect("left at the question; nothing is half done")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code, child.before
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
        child = terminal("pause", "inventory")
        child.expect("type the marketplace's ID, emulator, to go on: ")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code, child.before
    assert shop.paused()
    for answer, there in (("n", 200), ("y", 404)):
        child = terminal("delete", ref, "--confirm", "emulator")
        child.expect(r"Delete 1 ref now\? \[y/N\]")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert shop.call("GET", "/products/P0/inventoryrecords/R0").status_code == there


def test_staging_the_same_adjustments_again_is_asked(run: Run, shop: Shop) -> None:
    run("init")
    add_profile(run, shop)
    Path("sold.csv").write_text("ref,op,QuantityAvailable\ninventory/P/R,adjust,-5\n")
    run("stage", "import", "sold.csv")
    for answer, code, entries in (("n", 64, 1), ("y", 0, 2)):
        child = terminal("stage", "import", "sold.csv")
        child.expect(
            "1 is still staged. Stage the file again, to count 1 adjustment twice\\? \\[y/N\\] "
        )
        run("stage", "set", "catalog/C", "Active=true")  # the journal is not locked meanwhile
        run("stage", "drop", "catalog/C")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code, child.before
        assert run("stage", "list", "--json").data["staged_entries"] == entries
