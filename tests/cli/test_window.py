"""A window: paused for as long as somebody's own command runs, and not a moment longer."""

from __future__ import annotations

import os
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ocsync.store.identity import operator
from ocsync.store.lock import hold
from tests.builders import Shop
from tests.conftest import SECRET, Run
from tests.crash_points import CrashPoint, crash
from tests.processes import Done, Started

CONFIG = "/integrations/entitysync/products/inventoryrecords"
PAUSES = Path(".ocsync/profiles/test/pause.toml")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the commands are a shell's")


def switches(shop: Shop) -> list[str]:
    """What was said to sync configs, in order."""
    return [r["body"] for r in shop.requests() if "integ" in r["path"] and r["method"] != "GET"]


PAUSE, LIFT = '{"Paused":true}', '{"Paused":false}'


def remembered() -> dict[str, dict[str, str]]:
    return tomllib.loads(PAUSES.read_text()) if PAUSES.exists() else {}


@contextmanager
def waiting(
    *words: str, does: str = "while [ ! -e go ]; do sleep 0.02; done"
) -> Iterator[tuple[Started, Callable[[], Done]]]:
    """A window in a process of its own, whose command waits to be told to go on."""
    words = ("window", "inventory", *words, "--", "sh", "-c", "touch ran; " + does)
    with Started(*words) as process:
        until(lambda: Path("ran").exists())

        def go_on() -> Done:
            Path("go").touch()
            return process.wait(20)

        try:
            yield process, go_on
        finally:
            Path("go").touch()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("does", "code"), [
    ("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143),
])  # fmt: skip
def test_the_targets_are_paused_for_the_command_alone(
    ocsync: Run, shop: Shop, does: str, code: int
) -> None:
    copy = f"cp {PAUSES} seen.toml; {does}"
    result = ocsync("window", "inventory", "--for", "1h", "--", "sh", "-c", copy)

    assert result.code == code
    seen = tomllib.loads(Path("seen.toml").read_text())["inventory"]
    assert (seen["phase"], seen["reason"]) == ("paused", "window: sh")
    assert seen["until"]
    assert switches(shop) == [PAUSE, LIFT]
    assert not remembered()
    assert "▶ inventory  running again, sync config unchanged" in result.err
    assert "the window was open for" in result.err
    assert result.out == "", "standard output is the command's"


def test_what_stood_on_the_command_line_is_not_told(ocsync: Run, shop: Shop) -> None:
    result = ocsync("window", "inventory", "--", "sh", "-c", f"cat {PAUSES}; : hunter2")
    assert "window" in result.out
    assert "hunter2" not in result.out + result.err


@pytest.mark.parametrize(("words", "code", "says"), [
    (["inventory", "--", "no-such-command"], 127, "command no-such-command not found"),
    (["inventory", "--", "./plain"], 126, "bash ./plain"),
    (["inventory"], 64, "no command was given"),
    (["inventory", "--"], 64, "no command was given"),
    (["--", "true"], 64, "no target was given"),
    (["everything", "--", "true"], 64, "not a sync target"),
])  # fmt: skip
def test_what_cannot_run_pauses_nothing(
    ocsync: Run, shop: Shop, words: list[str], code: int, says: str
) -> None:
    Path("plain").write_text("echo hello\n")
    result = ocsync("window", *words)
    assert result.code == code
    assert says in result.err
    assert not switches(shop)


def test_what_turns_out_not_to_run_is_lifted(ocsync: Run, shop: Shop) -> None:
    for text, code in (("hello\n", 126), ("#!/no/such/interpreter\n", 127)):
        Path("script").write_text(text)
        Path("script").chmod(0o755)
        assert ocsync("window", "inventory", "--", "./script").code == code
    assert switches(shop) == [PAUSE, LIFT] * 2


def test_what_is_ours_already_stays_paused(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "--reason", "stocktake")
    before = remembered()
    result = ocsync("window", "inventory", "catalogs", "--", "true")
    assert result.code == 0
    assert "inventory  already paused by this workspace; stays paused afterwards" in result.err
    assert shop.paused()
    assert remembered() == before
    assert not shop.paused("/integrations/entitysync/catalogs")


def test_somebody_elses_pause_is_taken_over_only_when_asked(ocsync: Run, shop: Shop) -> None:
    shop.call("PATCH", CONFIG, {"Paused": True})
    refused = ocsync("window", "inventory", "catalogs", "--", "touch", "ran")
    assert refused.code == 7
    assert not Path("ran").exists()
    assert switches(shop) == [PAUSE], "nothing of ours"
    assert ocsync("window", "inventory", "--adopt", "--", "true").code == 0
    assert not shop.paused()


def test_a_target_without_config(ocsync: Run, shop: Shop) -> None:
    shop.call("DELETE", "/integrations/entitysync/catalogs")
    assert ocsync("window", "catalogs", "inventory", "--", "true").code == 78
    allowed = ocsync("window", "catalog-wide", "--", "sh", "-c", "echo $OCSYNC_WINDOW_TARGETS")
    assert allowed.code == 0
    assert "catalogs  skipped: no sync config" in allowed.err
    assert set(allowed.out.split()) == {"categories", "products"}


def test_ocsync_inside_leaves_the_pause_to_the_window(
    ocsync: Run, shop: Shop, executable: Path
) -> None:
    """Nothing waits for a lock, the same profile is used, and only --force lifts before the end."""
    [ref] = shop.stock(records=1)
    ocsync("profile", "add", "other", "--api-url", shop.url, "--client-id", "emulator",
           "--secret-env", SECRET)  # fmt: skip
    ocsync("profile", "use", "other")
    inside = (
        f"cd /; {executable} stage set {ref} QuantityAvailable=9 && {executable} resume --verify; "
        f"{executable} unpause inventory; echo $?"
    )
    result = ocsync(
        "window", "inventory", "--profile", "test", "--workspace", ".ocsync", "--", "sh", "-c",
        inside,
    )  # fmt: skip
    assert result.code == 0, result
    assert "inventory  stays paused: an open window unpauses it" in result.out
    assert "✓ complete" in result.out
    assert "inventory: held paused by a window until its command ends" in result.err
    assert result.out.splitlines()[-1] == "7"
    assert switches(shop) == [PAUSE, LIFT]
    assert [r["body"] for r in shop.writes()] == ['{"QuantityAvailable":9}']


def test_a_window_in_a_window(ocsync: Run, shop: Shop, executable: Path) -> None:
    inside = f"{executable} window inventory catalogs -- {executable} window inventory -- true"
    result = ocsync("window", "inventory", "--", *inside.split())
    assert result.code == 0, result
    assert switches(shop) == [PAUSE, PAUSE, LIFT, LIFT]


def test_json_is_one_document_and_the_commands_output_is_talk(ocsync: Run, shop: Shop) -> None:
    result = ocsync("window", "inventory", "--json", "--", "sh", "-c", "echo hello; exit 4")
    assert result.code == 4
    assert result.data["command_exit_code"] == result.data["exit_code"] == 4
    assert [row["target"] for row in result.data["unpaused"]] == ["inventory"]
    assert "hello" in result.err


def test_the_commands_own_json_is_not_ours(ocsync: Run, shop: Shop) -> None:
    result = ocsync("window", "nowhere", "--", "ocsync", "plan", "--json")
    assert result.code == 64
    assert result.err.startswith("✗")


def test_production_is_confirmed_before_anything(run: Run, shop: Shop) -> None:
    run("init")
    run("profile", "add", "live", "--api-url", shop.url, "--client-id", "emulator",
        "--secret-env", SECRET, "--production")  # fmt: skip
    assert run("window", "inventory", "--", "touch", "ran").code == 64
    assert not Path("ran").exists()
    assert not switches(shop)
    assert run("window", "inventory", "--confirm", "emulator", "--", "true").code == 0


@pytest.mark.parametrize(("change", "code", "says"), [
    ({"Paused": False}, 7, "someone else unpaused it before sh ended"),
    ({"SyncEntityDeleted": False}, 5, "config was changed while it was paused: SyncEntityDeleted was true"),
])  # fmt: skip
def test_what_others_did_meanwhile_is_told(
    ocsync: Run, shop: Shop, change: dict[str, bool], code: int, says: str
) -> None:
    with waiting() as (_, go_on):
        shop.call("PATCH", CONFIG, change)
        done = go_on()
    assert done.code == code
    assert says in done.err
    assert not shop.paused()
    assert not remembered()


def test_a_lease_that_runs_out_is_lifted_under_an_open_window(ocsync: Run, shop: Shop) -> None:
    with waiting("--for", "2h") as (_, go_on):
        assert ocsync("expire").code == 0
        assert shop.paused(), "not yet"
        PAUSES.write_text(PAUSES.read_text().replace('until = "202', 'until = "200'))
        assert "▶ inventory  running again: its --for time has passed" in ocsync("expire").out
        done = go_on()
    assert done.code == 7
    assert "someone else unpaused it before sh ended" in done.err


def test_a_second_window_on_the_target_is_refused(ocsync: Run, shop: Shop) -> None:
    with waiting() as (process, go_on):
        second = ocsync("window", "inventory", "--", "true")
        other = ocsync("window", "catalogs", "--", "true")
        again = ocsync("pause", "inventory")
        first = go_on()
    assert second.code == 7
    assert f"holds it paused: `ocsync window` ({operator()}, pid {process.pid}," in second.err
    assert other.code == 0
    assert "a window holds inventory paused and unpauses it when its command ends" in again.err
    assert first.code == 0
    assert not shop.paused()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(ocsync: Run, shop: Shop, number: signal.Signals) -> None:
    with waiting(does="exec sleep 60") as (process, _):
        process.signal(number)
        done = process.wait(20)
    assert done.code == 128 + number
    assert f"sh was ended by {number.name}" in done.err
    assert not shop.paused()


def test_a_command_may_end_in_its_own_way(ocsync: Run, shop: Shop) -> None:
    does = "trap 'sleep 0.1; exit 9' TERM; touch set; while :; do sleep 0.02; done"
    with waiting(does=does) as (process, _):
        until(lambda: Path("set").exists())
        process.signal(signal.SIGTERM)
        assert process.wait(20).code == 9
    assert not shop.paused()


def test_a_signal_before_the_command_began(ocsync: Run, shop: Shop) -> None:
    """What was paused by then is lifted, and the command is not run."""
    shop.faults({"method": "PATCH", "effect": True, "action": "slow", "seconds": 1, "times": 1})
    with Started("window", "inventory", "--", "touch", "ran") as process:
        until(shop.paused)
        process.signal(signal.SIGTERM)
        done = process.wait(20)
    assert done.code == 143, done
    assert not Path("ran").exists()
    assert not shop.paused()
    assert not remembered()


def test_killed_and_found_by_the_next_commands(ocsync: Run, shop: Shop) -> None:
    """kill -9: the pause stays, every command tells of it, and expire lifts it at once."""
    with waiting() as (process, _):
        alive = ocsync("status", "--exit-code", "--max-age", "1h")
        process.kill()
        process.wait()
        assert shop.paused()
        status = ocsync("status", "--exit-code", "--max-age", "1h")
        offline = ocsync("status", "--offline", "--json")
        listed = ocsync("stage", "list")
        dry = ocsync("expire", "--dry-run")
        assert shop.paused()
        lifted = ocsync("expire")
        assert not shop.paused(), "also while the orphaned command goes on"
    assert (alive.code, status.code) == (0, 2)
    assert "inventory  overdue: its window process has died (ocsync expire" in status.out
    assert offline.data["due"] == {"inventory": "window"}
    assert "still paused by a window that died; to unpause it: ocsync expire" in listed.err
    assert "‖ inventory  would run again: its window process has died" in dry.out
    assert "▶ inventory  running again: its window process has died" in lifted.out
    assert not remembered()


@pytest.mark.parametrize("words", [
    ["resume"], ["unpause", "inventory"], ["window", "inventory", "--", "true"],
])  # fmt: skip
def test_what_a_dead_window_left_is_lifted_by(ocsync: Run, shop: Shop, words: list[str]) -> None:
    leave(ocsync)
    assert ocsync(*words).code == 0
    assert not shop.paused()


def test_the_doctor_tells_what_a_dead_window_left(ocsync: Run, shop: Shop) -> None:
    leave(ocsync)
    told = ocsync("doctor")
    assert "inventory is still paused by a window that died" in told.out
    assert "window" not in told.err


def test_what_a_dead_window_left_can_be_kept(ocsync: Run, shop: Shop) -> None:
    leave(ocsync)
    ocsync("pause", "inventory")
    assert ocsync("expire").code == 0
    assert shop.paused(), "somebody asked for it since"


def leave(ocsync: Run) -> None:
    """Paused as a window that was killed leaves it."""
    ocsync("pause", "inventory")
    left = '[inventory]\nwindow = "0101-000000-1"'
    PAUSES.write_text(PAUSES.read_text().replace("[inventory]", left, 1))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_either_switch(ocsync: Run, shop: Shop, number: int, moment: Any) -> None:
    """The intent is on disk before the request: whatever the moment, expire ends the pause.

    But for an unpause that did not arrive: the target may be paused by someone else by then.
    """
    point = CrashPoint("config", number, moment)
    assert crash("window", "inventory", "--", "true", at=point).code == -signal.SIGKILL
    assert "inventory" in remembered()
    if (number, moment) == (2, "before"):
        assert ocsync("expire").code == 7
        assert ocsync("unpause", "inventory", "--yes").code == 0
    assert ocsync("expire").code == 0
    assert not shop.paused()
    assert not remembered()


@pytest.mark.parametrize(("child", "code"), [("exit 0", 4), ("exit 3", 3)])
def test_a_target_left_paused_is_never_a_success(
    ocsync: Run, shop: Shop, child: str, code: int
) -> None:
    shop.faults({"method": "PATCH", "status": 403, "after": 1, "times": 1})
    result = ocsync("window", "inventory", "--", "sh", "-c", child)
    assert result.code == code
    assert "✗ inventory IS STILL PAUSED" in result.err
    assert "next: ocsync expire, ocsync status" in result.err
    assert shop.paused()
    assert ocsync("expire").code == 0
    assert not shop.paused()


def test_the_end_waits_for_another_command_and_can_be_left(ocsync: Run, shop: Shop) -> None:
    """Lifting waits for the run lock; a first signal does not stop that, a second does."""
    lock = hold(PAUSES.with_name("run.lock"), what="ocsync resume")
    with waiting() as (process, _), lock:
        Path("go").touch()
        until(lambda: "waiting: " in process.heard())
        process.signal(signal.SIGTERM)
        until(lambda: "unpausing first" in process.heard())
        process.signal(signal.SIGTERM)
        done = process.wait(20)
    assert done.code == 143
    assert "inventory IS STILL PAUSED: interrupted by SIGTERM" in done.err
    assert ocsync("expire").code == 0
    assert not shop.paused()


def test_no_way_to_the_server_at_the_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ocsync.cli import window
    from ocsync.emulator import EmulatorOptions, serve_in_thread
    from tests.conftest import add_profile

    monkeypatch.setattr(window, "MAX_WAIT", 0.5)
    with serve_in_thread(EmulatorOptions()) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all")
        run("init")
        add_profile(run, shop)
        shop.faults({"path": "integrations", "action": "reset", "after": 2, "times": 10000})
        result = run("window", "inventory", "--", "true")
    assert result.code == 75
    assert "inventory IS STILL PAUSED" in result.err
