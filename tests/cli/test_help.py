"""`help` for commands and topics, in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ocsync
from ocsync.cli.app import tree
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
    shown, expected = run("help", *words), run(*words, "--help")
    assert (shown.code, shown.out, shown.err) == (0, expected.out, "")
    assert run("help", *words, "--json").data["text"] == shown.out.rstrip("\n")


def test_topics_are_listed_with_their_titles(run: Run) -> None:
    shown = run("help")
    assert shown.code == 0
    assert "\n  exit-codes   Exit codes\n" in shown.out
    assert "ocsync help COMMAND" in shown.out
    listed = run("help", "--json").data
    assert [row["topic"] for row in listed["topics"]] == TOPICS
    assert all(row["title"] in shown.out for row in listed["topics"])
    assert not {(topic,) for topic in TOPICS} & set(COMMANDS), "a command would hide it"


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_in_a_pipe_is_its_source(run: Run, topic: str) -> None:
    source = (GUIDE / f"{topic}.md").read_text(encoding="utf-8")
    assert source.startswith("# ")
    shown = run("help", topic)
    assert (shown.code, shown.out, shown.err) == (0, source, "")
    told = run("help", topic, "--json").data
    assert told == {"format": 1, "command": "help", "topic": topic, "text": source}


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
    assert all(topic in shown.err for topic in TOPICS)
    assert f"next: {hint}" in shown.err
    failed = run("help", *words, "--json")
    assert (failed.code, json.loads(failed.err)["hint"].startswith(hint)) == (64, True)


def test_no_workspace_is_needed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    monkeypatch.setenv("OCSYNC_WORKSPACE", "file/nowhere")
    monkeypatch.setenv("OCSYNC_DATA_DIR", "file/nowhere")
    assert [run("help", *words).code for words in ((), ("plan",), ("exit-codes",))] == [0, 0, 0]


@pytest.mark.parametrize(("columns", "environ", "colour"), [
    (60, {"TERM": "dumb"}, False), (80, {}, True),
    (120, {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}, False),
], ids=["narrow-dumb", "usual", "wide-ascii"])  # fmt: skip
def test_a_terminal_shows_pages_at_its_width(
    columns: int, environ: dict[str, str], colour: bool
) -> None:
    pexpect: Any = pytest.importorskip("pexpect", reason="there is no terminal on Windows")
    all_of_them = "import sys; from ocsync.cli.app import run\n" + "".join(
        f"run(['help', '{topic}']); print('== end')\n" for topic in TOPICS
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
    assert len(pages) == len(TOPICS)
    for topic, page in zip(TOPICS, pages, strict=True):
        assert max(display_width(line) for line in page.splitlines()) <= min(columns, 100), topic
        assert "…" not in page, "nothing is cut off"
        source = (GUIDE / f"{topic}.md").read_text(encoding="utf-8")
        for heading in re.findall(r"^#+ (.+)$", source, re.MULTILINE):
            assert f"\n{heading}\n" in f"\n{page}", "a heading begins its line"
