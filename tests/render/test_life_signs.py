"""Signs of life: progress and a spinner on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from ocsync.events import Emit, InFlight, Waiting, WaveStarted
from ocsync.render import life_signs, progress
from ocsync.render.console import Console
from ocsync.render.progress import event_listener
from tests.builders import Shop
from tests.conftest import Run
from tests.processes import Terminal

STYLES = re.compile(r"\x1b\[[0-9;]*m")


class Screen(io.StringIO):
    """A terminal that keeps all that is written to it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def until(self, pattern: str) -> str:
        """Wait until *pattern* was written, and return all without colours."""
        deadline = time.monotonic() + 5
        while not re.search(pattern, text := STYLES.sub("", self.getvalue())):
            assert time.monotonic() < deadline, text
            time.sleep(0.01)
        return text


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal for standard error, on which nothing has to be awaited."""
    screen = Screen()
    streams = SimpleNamespace(stderr=screen, stdout=io.StringIO())
    monkeypatch.setattr("ocsync.render.console.sys", streams)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(life_signs, "_SILENCE", 0.02)
    monkeypatch.setattr(life_signs, "_TICK", 0.01)
    return screen


def test_a_spinner_says_what_is_waited_for_and_leaves_no_trace(screen: Screen) -> None:
    console = Console()
    waiting = ["waiting for api.example:443"]
    with console.alive("ocsync status"):
        screen.until(r"⠙ ocsync status, 0 s")
        with event_listener(console, stream=False, doing=lambda: waiting[0]):
            screen.until(r". waiting for api.example:443, 0 s")
    console.info("done")
    assert screen.getvalue().endswith("\r\x1b[Jdone\n")


def test_lines_are_written_above_the_progress(screen: Screen) -> None:
    console = Console()
    with console.alive("ocsync resume"), event_listener(console, stream=False) as emit:
        emit(WaveStarted(1, 1, {"inventory": 40}))
        screen.until(r"wave 1/1   inventory  ─+  0/40")
        console.info("a remark")
        assert re.search(r"\r\x1b\[Ja remark\n", screen.until(r"a remark\n.*0/40"))


def test_one_line_for_the_throttle_is_drawn_again(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console()
    clock = [1000.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with console.alive("ocsync resume"), event_listener(console, stream=False) as emit:
        emit(WaveStarted(1, 1, {"inventory": 100}))
        emit(InFlight(3, 8))
        steps(emit, 20)
        clock[0] += 10
        screen.until(r"20/100  2/s  3 in flight  0:40 left")
        emit(Waiting(30.0, "throttled by OrderCloud"))
        emit(Waiting(10.0, "throttled by OrderCloud"))
        screen.until(
            r"1:10 left\n  ! throttled by OrderCloud, waiting 30 s \(until \d\d:\d\d:\d\d\)"
        )
        clock[0] += 20
        text = screen.until(r"2:10 left\n  ! throttled by OrderCloud, waiting 10 s \(until")
        assert "\r\x1b[1A\x1b[J" in text, "the line is drawn anew in its place"
        clock[0] += 10
        screen.until(r"2:40 left$")
    assert STYLES.sub("", screen.getvalue()).endswith(
        "throttled by OrderCloud: waited 30 s in all\n"
    )


def steps(emit: Emit, number: int) -> None:
    from ocsync.events import StepEnded
    from ocsync.models import Outcome, State

    for n in range(number):
        emit(StepEnded(Outcome(number=n, ref=f"inventory/P/{n}", state=State.DONE)))


@pytest.mark.parametrize("doing", ["", "waiting for api.example:443"])
def test_in_a_pipe_a_line_breaks_the_silence(
    doing: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life_signs, "FIRST_LINE", 0.1)
    console = Console()
    with console.alive("ocsync plan"), event_listener(console, stream=False, doing=lambda: doing):
        time.sleep(0.35)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\d\.\d", "N", line) for line in lines] == [
        f"  {doing or 'ocsync plan'}, N s so far"
    ] * len(lines)
    assert 1 <= len(lines) <= 2, "the second one comes after twice the time"


@pytest.mark.parametrize(
    "quiet", [lambda: Console(quiet=True), lambda: Console(json=True)], ids=["quiet", "json"]
)
def test_no_line_where_none_is_wanted(
    quiet: Callable[[], Console],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life_signs, "FIRST_LINE", 0.02)
    with quiet().alive("ocsync plan"):
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("columns", "bar"), [(120, 30), (70, 16), (50, 0)])
def test_a_bar_takes_the_room_that_there_is(
    screen: Screen, columns: int, bar: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    console = Console()
    with console.alive("ocsync resume"), event_listener(console, stream=False) as emit:
        emit(WaveStarted(1, 1, {"inventory": 1000, "catalog-assignment": 1}))
        text = screen.until(r"0/1,001")
    assert len("".join(re.findall("[━─]", text.splitlines()[-1]))) == bar
    assert "\x1b[31m" not in screen.getvalue()


@pytest.mark.slow
def test_a_server_that_is_slow_to_answer(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shop.faults({"method": "GET", "action": "hang", "seconds": 2, "times": 1})
    child = Terminal("status")
    child.expect(r"waiting for 127\.0\.0\.1:\d+, 1 s")
    ended = child.wait()
    assert (ended.code, "10 targets running" in ended.out) == (0, True)
