"""The short questions: the dispatcher and the commands behind typer answer them alike."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocsync.cli.dispatch import answer
from tests.builders import Result
from tests.conftest import Run

OLD = Path(__file__).parent.parent / "old_workspace/workspace/profiles/acme"
ROOT = Path(".ocsync")
ACME = ROOT / "profiles/acme"
PROFILE = ("--environment", "useast-sandbox", "--client-id", "c", "--secret-env", "S")
Quick = Callable[..., Result | None]


@pytest.fixture
def quick(capfd: pytest.CaptureFixture[str]) -> Quick:
    """Ask the dispatcher alone, in this process; None for what it leaves to typer."""

    def ask(*words: str) -> Result | None:
        capfd.readouterr()
        code = answer(list(words))
        out, err = capfd.readouterr()
        if code is None:
            assert (out, err) == ("", ""), "what is left to typer was answered in part"
            return None
        return Result(int(code), out, err)

    return ask


@pytest.fixture
def old(run: Run) -> Run:
    """A workspace with a profile of this user, and one that an earlier version left at work."""
    assert run("profile", "add", "mine", *PROFILE, "--workspace", ".ocsync").code == 0
    shutil.copytree(OLD, ACME)
    return run


def ago(**time: float) -> str:
    """A stamp; half a minute keeps the durations the same from one command to the next."""
    return (datetime.now(UTC) - timedelta(seconds=30, **time)).isoformat(timespec="seconds")


def write(path: str, text: str) -> Callable[[], object]:
    """A state: the file *path* of the old profile, or of the workspace, has *text*."""

    def act() -> None:
        place = ROOT / path if path == "workspace.toml" else ACME / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="")

    return act


def pause(**facts: str) -> Callable[[], object]:
    """A state: products is paused, with these *facts*."""
    pairs = {"since": ago(hours=2), "by": "mara@host", "phase": "paused", **facts}
    lines = [f'{name} = "{value}"' for name, value in pairs.items()]
    return write("pause.toml", "\n".join(["[products]", *lines]))


def cut(path: str, size: int) -> Callable[[], object]:
    """A state: the last bytes of a file are missing."""

    def act() -> None:
        data = (ACME / path).read_bytes()
        (ACME / path).write_bytes(data[:-size])

    return act


def link(path: str) -> Callable[[], object]:
    """A state: a link leads out of the workspace."""

    def act() -> None:
        (ACME / path).unlink(missing_ok=True)
        (ACME / path).symlink_to("/etc/hostname")

    return act


def holder() -> None:
    """A state: a command of this machine is at work."""
    note = f'{{"who":"mara@{socket.gethostname()}","pid":"{os.getpid()}","command":"ocsync resume"'
    write("run.lock.holder", note + ',"since":"2026-03-10T11:00:00+00:00","job":"http://ci/1"}')()


LAST_SEGMENT = max(path.name for path in (OLD / "journal").iterdir())
STATES: dict[str, Callable[[], object]] = {
    "as it was": lambda: None,
    "nothing in it": lambda: shutil.rmtree(ROOT),
    "no profile": lambda: shutil.rmtree(ROOT / "profiles"),
    "a newer format": write("workspace.toml", "format = 9\nprofile = 'acme'\n"),
    "no TOML": write("workspace.toml", "format = \n"),
    "no pause": write("pause.toml", ""),
    "a broken pause": write("pause.toml", "[products]\nby = 'x'\n"),
    "a pause": pause(reason="wei\u200brd ‖ names", job="http://ci/2"),
    "a pause not settled": pause(phase="pausing"),
    "a lease that ran out": pause(until=ago(hours=1)),
    "a lease": pause(until="2099-01-01T00:00:00+00:00"),
    "a dead window": pause(window="0310-080000-4711"),
    "a lost pause": pause(lost=ago(minutes=7)),
    "a torn journal": cut(f"journal/{LAST_SEGMENT}", 5),
    "a damaged journal": write("journal/000001.jsonl", '{"crc":"00000000","type":"x"}\n'),
    "an empty journal": lambda: shutil.rmtree(ACME / "journal"),
    "a broken run": write("runs/0310-1100/run.json", "{}"),
    "no run": lambda: shutil.rmtree(ACME / "runs"),
    "a command at work": holder,
    "a broken attachment": write("attached.toml", "[x]\n"),
    "a link": link("marketplace.toml"),
}  # fmt: skip
SPELLINGS: list[tuple[tuple[str, ...], dict[str, str]]] = [
    ((), {}),
    (("--json",), {}),
    (("-q", "--exit-code"), {"NO_COLOR": "1"}),
    (("--exit-code", "--max-age", "4h", "-v"), {"FORCE_COLOR": "1", "COLUMNS": "40"}),
    (("--no-color", "--no-input", "--max-age", "1h", "--exit-code"), {"FORCE_COLOR": "1"}),
    ((), {"GITHUB_ACTIONS": "true", "OCSYNC_JSON": "yes"}),
    ((), {"TF_BUILD": "True", "OCSYNC_QUIET": " ON ", "TZ": "Asia/Tokyo"}),
]  # fmt: skip


@pytest.mark.quick(3)
@pytest.mark.parametrize("state", STATES)
def test_status_is_the_same_both_ways(
    old: Run, quick: Quick, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    STATES[state]()
    for words, environ in SPELLINGS:
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            command = ("status", "--offline", "--profile", "acme", *words)
            assert quick(*command) == old(*command), (words, environ)


def test_the_states_are_what_they_are_called(old: Run, quick: Quick) -> None:
    """Or else both ways would agree on an error that says nothing of the state."""
    told = {
        "a pause": "by mara for ",
        "a lease that ran out": "its --for time has passed",
        "a dead window": "its window process has died",
        "a lost pause": "unpaused by someone else",
        "a command at work": "is running",
        "as it was": "15 refs",
        "a torn journal": "ignored the incomplete last line",
        "a damaged journal": "000001.jsonl:1: the line is damaged",
        "a newer format": "has format 9",
        "no profile": "no profile acme",
        "a link": "is a symbolic link",
    }
    for state, text in told.items():
        STATES[state]()
        found = quick("status", "--offline", "--profile", "acme")
        assert found, state
        assert text in found.out + found.err, (state, found)
        shutil.rmtree(ROOT)
        assert old("profile", "add", "mine", *PROFILE, "--workspace", ".ocsync").code == 0
        shutil.copytree(OLD, ACME)


WORDS = st.lists(
    st.sampled_from([
        "--json", "-q", "--quiet", "-v", "--no-color", "--no-input", "--exit-code", "--offline",
        "--profile", "mine", "acme", "--profile=mine", "--workspace", ".ocsync", "nowhere", "", "-",
        "--max-age", "4h", "4", "x", "-1", "--max-age=1d", "--help", "--", "--jso", "-qv", "--version",
    ]), max_size=5,
)  # fmt: skip
VARIABLES = st.dictionaries(
    st.sampled_from(["OCSYNC_JSON", "OCSYNC_QUIET", "OCSYNC_PROFILE", "OCSYNC_WORKSPACE"]),
    st.sampled_from(["", "1", "0", " Yes", "no", "acme", "mine", ".ocsync", "~/x"]), max_size=2,
)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=WORDS, variables=VARIABLES)
def test_options_mean_the_same_both_ways(
    old: Run, quick: Quick, words: list[str], variables: dict[str, str]
) -> None:
    """What the dispatcher takes, it takes as typer does; the rest it leaves alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        command = ("status", "--offline", *words)
        found = quick(*command)
        assert found is None or found == old(*command)


def test_what_the_dispatcher_answers(old: Run, quick: Quick) -> None:
    for words in ("--version", "status --offline", "status -q --profile acme --offline --json"):
        assert quick(*words.split()), words
    for words in ("", "status", "--help", "status --help", "status --online", "plan", "--version x",
                  "status --offline --max-age 4", "status --offline x"):  # fmt: skip
        assert quick(*words.split()) is None, words
    assert quick("--version") == old("--version")


WHOLE = "import sys; from ocsync.cli.app import run; sys.exit(run(sys.argv[1:]))"
WAYS = (["-m", "ocsync"], ["-c", WHOLE])


@pytest.mark.quick(1)
@pytest.mark.parametrize("words", [
    "--version", "status --offline --exit-code", "status --offline --max-age 4",
])  # fmt: skip
def test_the_entry_point_says_the_same(old: Run, words: str) -> None:
    found = []
    for way in WAYS:
        command = [sys.executable, *way, *words.split()]
        done = subprocess.run(command, capture_output=True, check=False)
        found.append((done.returncode, done.stdout, done.stderr))
    assert found[0] == found[1]


@pytest.mark.quick(1)
@pytest.mark.parametrize("columns", [30, 100])
def test_a_terminal_shows_the_same(old: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    pexpect: Any = pytest.importorskip("pexpect", reason="there is no terminal on Windows")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS")
    shown = [
        pexpect.run(
            shlex.join([sys.executable, *way, "status", "--offline", "--profile", "acme"]),
            withexitstatus=True, env=dict(os.environ), dimensions=(40, columns),
        )
        for way in WAYS
    ]  # fmt: skip
    assert shown[0] == shown[1]
    assert b"\x1b[33m" in shown[0][0]


@pytest.mark.parametrize("words", [("--version",), ("status", "--offline")])
def test_an_answer_that_is_lost_is_a_failure(old: Run, words: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no full device")
    found = []
    for way in WAYS:
        with Path("/dev/full").open("wb") as full:
            command = [sys.executable, *way, *words]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
        found.append((done.returncode, done.stderr))
    assert found[0] == found[1]
    assert found[0][0] == 1
    assert b"the output is incomplete" in found[0][1]
