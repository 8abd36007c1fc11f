"""Shell completion: the dispatcher's answers are typer's, and the outline is up to date."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocsync.cli.dispatch import answer
from ocsync.cli.outline import PATH, read_outline
from tests.builders import Result
from tests.conftest import Run
from tests.outline import PAGE, page, text

OUTLINE = read_outline()
COMMANDS = OUTLINE["commands"]
Asked = tuple[Result | None, Result]
Ask = Callable[..., Asked]


def test_the_outline_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "write it again: python -m tests.outline"
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again: python -m tests.outline"


def variables(shell: str, line: str, action: str = "get-args") -> dict[str, str]:
    """The variables that a shell's script sets for a line whose end is to be completed."""
    words = line.split(" ")
    typed = {"_TYPER_COMPLETE_ARGS": line, "_OCSYNC_COMPLETE": f"complete_{shell}"}
    match shell:
        case "bash":
            return {**typed, "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
        case "fish":
            return {**typed, "_TYPER_COMPLETE_FISH_ACTION": action}
        case _:
            return {**typed, "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1]}


@pytest.fixture
def ask(run: Run, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask both the dispatcher (None for what it leaves to typer) and typer.

    Typer breaks a description at the end of a terminal's line, which is far away here, and has the
    names of --help from a set, whose order is another one in every process.
    """
    names = json.dumps(list({"-h", "--help"}))
    here = json.loads(PATH.read_text(encoding="utf-8").replace('["-h", "--help"]', names))
    monkeypatch.setattr("ocsync.cli.completion.read_outline", lambda: here)

    def both(shell: str, line: str, **more: str) -> Asked:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**variables(shell, line), **more, "COLUMNS": "400"}.items():
                patch.setenv(name, value)
            capfd.readouterr()
            code = answer([])
            out, err = capfd.readouterr()
            whole = run()
        return (None if code is None else Result(code, out, err)), whole

    return both


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_command_is_completed_alike(ask: Ask, shell: str) -> None:
    for path in COMMANDS:
        for start in ("", "-", "--", "x"):
            quick, whole = ask(shell, f"ocsync {path} {start}".replace("  ", " "))
            assert quick == whole, (path, start)


def test_every_option_and_value_is_completed_alike(ask: Ask) -> None:
    for path, node in COMMANDS.items():
        for option in node["options"]:
            for name in option["names"]:
                for rest in ("", "--", "v", "x --", "x y", "x y --"):
                    line = shlex.join(["ocsync", *path.split(), name, *rest.split()])
                    quick, whole = ask("bash", f"{line}{' ' if rest == '' else ''}")
                    left = "commands" in node and "x" in rest  # there is no such command
                    assert quick == (None if left else whole), line


WORDS = sorted({word for path in COMMANDS for word in path.split()})
COMMON = [name for row in OUTLINE["common"] for name in row["names"]]
ODD = [
    "x",
    "y",
    "-",
    "--",
    "'",
    "-qv",
    "--pro",
    "--profile=x",
    "=",
    "x=",
    "--kind=",
    "ü",
    "a\\ b",
    '"a b',
]
STARTS = ["", "-", "--", "--p", "s", "va", "x", "-q", "/", "=", "--profile="]


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line with a command, options before and after its name, and things that are odd."""
    path = draw(st.sampled_from(list(COMMANDS)))
    words = ["ocsync"]
    for word in path.split():
        words += [*draw(st.lists(st.sampled_from(["-h", "--help", "--version"]), max_size=1)), word]
    own = [name for row in COMMANDS[path]["options"] for name in row["names"]]
    tails = st.sampled_from([*own, *own, *COMMON]) | st.sampled_from([*ODD, *WORDS])
    return " ".join([*words, *draw(st.lists(tails, max_size=5)), draw(st.sampled_from(STARTS))])


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(line=lines())
def test_any_line_is_completed_alike(ask: Ask, line: str) -> None:
    quick, whole = ask("bash", line)
    assert quick is None or quick == whole


@pytest.mark.parametrize("line", [
    "stage --help set --", "stage template --expect --profile va", "stage template --profile -x va",
    "stage template --profile x va", "stage template variant va", "history -h --", "history -h show --",
    "history --report markdown ", "history --report - ", "history --report x y --", "history -h x --",
    "history pru", "history prune --", "delivery bind x ", "plan --json --json --", "-- st", "plan -- --",
    "resume --allow-risky x --allow", "resume --plan x --pl", "listen h", "status --max-age --off",
])  # fmt: skip
def test_an_odd_line_is_completed_alike(ask: Ask, line: str) -> None:
    quick, whole = ask("bash", f"ocsync {line}")
    assert quick is None or quick == whole


@pytest.mark.parametrize("line", ["ocsync st", "ocsync stage set x", "ocsync help "])
def test_fish_is_told_by_the_exit_code_whether_there_are_words(ask: Ask, line: str) -> None:
    quick, whole = ask("fish", line, _TYPER_COMPLETE_FISH_ACTION="is-args")
    assert quick == whole
    assert whole.code == (0 if line == "ocsync st" else 1)


@pytest.mark.parametrize("instruction", ["complete", "source_bash", "complete_tcsh", "x_bash"])
def test_what_is_no_completion_is_left_to_typer(ask: Ask, instruction: str) -> None:
    quick, _ = ask("bash", "ocsync st", _OCSYNC_COMPLETE=instruction)
    assert quick is None
    assert ask("bash", "ocsync st", COMP_CWORD="x")[0] is None


def test_what_is_typed_is_completed(ask: Ask) -> None:
    """Or else both ways would agree on nothing."""
    for line, word in {
        "ocsync sta": "stage", "ocsync stage im": "import", "ocsync resume --ver": "--verify",
        "ocsync stage import --kind variant-": "variant-inventory", "ocsync history --fa": "--failed",
        "ocsync stage template --json price-s": "price-schedule",
    }.items():  # fmt: skip
        quick, _ = ask("bash", line)
        assert quick, line
        assert quick.out.split() == [word] or word in quick.out.split(), line
    assert "--json" not in ask("bash", "ocsync plan --json --")[1].out.split()
    assert os.environ["COLUMNS"] == "80"
