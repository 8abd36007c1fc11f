"""`help` for commands and topics, in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ocsync
from ocsync.cli.app import tree
from ocsync.cli.common_options import COMMON_OPTIONS
from ocsync.cli.help_format import EXAMPLES
from ocsync.render.text import display_width
from tests.conftest import Run

GUIDE = Path(ocsync.__file__).parent / "guide"
TOPICS = sorted(page.stem for page in GUIDE.glob("*.md"))
SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


def names(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
    """The commands and groups below *group*, as their words."""
    for word, one in getattr(group, "commands", {}).items():
        yield (*above, word)
        yield from names(one, *above, word)


COMMANDS = list(names(tree()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_commands_help_is_what_its_option_shows(run: Run, words: tuple[str, ...]) -> None:
    """The page of the guide that has the same name follows it."""
    shown, expected = run("help", *words), run(*words, "--help")
    name = " ".join(words)
    page = (GUIDE / f"{name}.md").read_text(encoding="utf-8") if name in TOPICS else ""
    follows = "\n" + page if page else ""
    assert (shown.code, shown.out, shown.err) == (0, expected.out + follows, "")
    assert run("help", *words, "--json").data["text"].strip() == shown.out.strip()


@pytest.mark.parametrize("columns", ["60", "80"])
def test_the_overview_fits_a_screen(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = run()
    lines = shown.out.splitlines()
    assert (shown.code, len(lines) <= 24) == (0, True)
    assert max(map(display_width, lines)) <= 80
    listed = re.findall(r"[a-z]+", " ".join(line for line in lines if re.match("  [A-Z]", line)))
    assert {name for (name, *more) in COMMANDS if not more} <= {*listed}


def test_every_example_is_a_command_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command has one to three examples, which the command line understands."""
    monkeypatch.setattr("ocsync.cli.context.Context.start", lambda *_, **__: sys.exit(99))
    shown = [example for words in COMMANDS for example in _examples(words)]
    shown = [(w[:1] if w == ("history", "show") else w, example) for w, example in shown]
    for words, example in [*shown, *[((), line.strip()) for line in run().out.splitlines()]]:
        if not example.startswith(("ocsync ", "./")):
            continue
        typed = shlex.split(example.rpartition("| ")[2].partition(" > ")[0])[1:]
        assert tuple(typed[: len(words)]) == words
        code = tree_code(typed)
        assert code == 99, (example, code)


def examples_of(help_text: str) -> list[str]:
    """The command lines of a help text's examples, those of several lines joined."""
    examples = help_text.partition(EXAMPLES)[2]
    return [line.strip() for line in examples.replace("\\\n", " ").splitlines()]


def _examples(words: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    command: Any = tree()
    for word in words:
        command = command.commands[word]
    if hasattr(command, "commands"):
        return []
    examples = examples_of(command.help)
    assert 1 <= len(examples) <= 3, words
    return [(words, example) for example in examples]


def tree_code(words: list[str]) -> int:
    """The exit code of *words*, once they have been read."""
    try:
        tree()(words, prog_name="ocsync", standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_emulators_switches_are_sentences_with_their_values() -> None:
    root: Any = tree()
    switches = [one for one in root.commands["emulator"].params if hasattr(one.type, "choices")]
    assert len(switches) > 20
    for switch in switches:
        words = re.findall(r"\w+", switch.help.casefold())
        assert {*switch.type.choices} <= {*words}, switch.name
        assert len(words) > 8, switch.name
        assert switch.help.endswith("."), switch.name


@pytest.mark.parametrize("words", [
    ("--json", "profile", "list"), ("--workspace", "elsewhere", "--json", "profile", "list"),
    ("--workspace=elsewhere", "-q", "--json", "profile", "list"), ("--json", "history", "--limit=1"),
])  # fmt: skip
def test_common_options_may_come_first(run: Run, words: tuple[str, ...]) -> None:
    assert run("init").code == 0
    first = run(*words)
    assert first.code == (78 if "history" in words else 0), first
    assert json.loads(first.out or first.err)["format"] == 2


def test_other_options_may_not(run: Run) -> None:
    assert run("--offline", "status").code == 64
    assert run("--json").code == 64


def test_the_version_is_shown_in_every_way(run: Run) -> None:
    line = f"ocsync {ocsync.__version__}"
    assert [run(word).out for word in ("--version", "-V")] == [line + "\n"] * 2
    assert run("version").out.splitlines()[0] == line
    assert run("version", "--json").data["version"] == ocsync.__version__


def test_the_page_of_options_names_them_all() -> None:
    page = (GUIDE / "options.md").read_text(encoding="utf-8")
    for option in COMMON_OPTIONS.values():
        assert all(f"`{name}" in page for name in option.names)
        assert f"`{option.env}`" in page


def test_topics_are_listed_with_their_titles(run: Run) -> None:
    shown = run("help")
    assert shown.code == 0
    assert re.search(r"\n  exit-codes +Exit codes\n", shown.out)
    assert "ocsync help COMMAND" in shown.out
    listed = run("help", "--json").data
    assert [row["topic"] for row in listed["topics"]] == TOPICS
    assert all(row["title"] in shown.out for row in listed["topics"])


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_in_a_pipe_is_its_source(run: Run, topic: str) -> None:
    source = (GUIDE / f"{topic}.md").read_text(encoding="utf-8")
    assert source.startswith("# ")
    shown = run("help", topic)
    assert (shown.code, shown.out.endswith(source), shown.err) == (0, True, "")
    assert (shown.out == source) == ((topic,) not in COMMANDS)
    told = run("help", topic, "--json").data
    assert told["text"].endswith(source)


@pytest.mark.parametrize(("words", "hint"), [
    (("resme",), "ocsync help resume"),
    (("stage", "imprt"), "ocsync help stage import"),
    (("OrderCloud",), "ocsync help ordercloud"),
    (("plan", "exit-codes"), "ocsync help exit-codes"),
    (("zzz",), "ocsync help, ocsync --help"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")  # fmt: skip
def test_an_unknown_word_is_64_with_what_is_close(
    run: Run, words: tuple[str, ...], hint: str
) -> None:
    shown = run("help", *words)
    assert (shown.code, shown.out) == (64, "")
    assert f'no command or topic "{" ".join(words)}"' in shown.err
    assert f"next: {hint}" in shown.err
    failed = run("help", *words, "--json")
    assert (failed.code, json.loads(failed.err)["hint"].startswith(hint)) == (64, True)


def test_no_workspace_is_needed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    monkeypatch.setenv("OCSYNC_WORKSPACE", "file/nowhere")
    monkeypatch.setenv("OCSYNC_DATA_DIR", "file/nowhere")
    assert [run("help", *words).code for words in ((), ("plan",), ("exit-codes",))] == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "environ", "colour"), [
    pytest.param(60, {"TERM": "dumb"}, False, id="narrow-dumb"),
    pytest.param(80, {}, True, id="usual", marks=pytest.mark.slow),
    pytest.param(
        120, {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}, False, id="wide-ascii", marks=pytest.mark.slow
    ),
])  # fmt: skip
def test_a_terminal_shows_pages_at_its_width(
    columns: int, environ: dict[str, str], colour: bool
) -> None:
    pexpect: Any = pytest.importorskip("pexpect", reason="there is no terminal on Windows")
    long = {"commands", "ordercloud"} if columns == 80 else set()
    topics = [topic for topic in TOPICS if topic not in long]
    all_of_them = "import sys; from ocsync.cli.app import run\n" + "".join(
        f"run(['help', '{topic}']); print('== end')\n" for topic in topics
    )
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    child = pexpect.spawn(
        sys.executable, ["-c", all_of_them], timeout=30, dimensions=(40, columns),
        encoding="utf-8", env={**kept, "TERM": "xterm", **environ},
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    assert bool(SEQUENCE.search(child.before)) == colour
    shown = SEQUENCE.sub("", child.before).replace("\r\n", "\n")
    assert "\x1b" not in shown
    pages = shown.split("== end\n")[:-1]
    assert len(pages) == len(topics)
    for topic, page in zip(topics, pages, strict=True):
        assert max(display_width(line) for line in page.splitlines()) <= min(columns, 100), topic
        assert "…" not in page, "nothing is cut off"
        source = (GUIDE / f"{topic}.md").read_text(encoding="utf-8")
        for heading in re.findall(r"^#+ (.+)$", source, re.MULTILINE):
            assert f"\n{heading}\n" in f"\n{page}", "a heading begins its line"
