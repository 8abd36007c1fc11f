"""Lines on a terminal: broken between words, and nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.render.text import display_width
from ocsync.render.wrapping import wrap_commands, wrap_line
from tests.conftest import Run
from tests.processes import Terminal

WORDS = st.lists(st.text("ab,漢", min_size=1, max_size=12), min_size=1, max_size=12)


@given(WORDS, st.integers(0, 4), st.integers(1, 3), st.integers(20, 60), st.sampled_from([0, 2]))
def test_a_line_keeps_its_words_and_fits(
    words: list[str], indent: int, gap: int, columns: int, used: int
) -> None:
    line = " " * indent + (" " * gap).join(words)
    first, *rest = wrap_line(line, columns, used).split("\n")
    assert " ".join([first, *rest]).split() == words
    assert first.startswith(" " * indent)
    for number, part in enumerate([first, *rest]):
        width = display_width(part) + (used if not number else 0)
        assert width <= columns or len(part.split()) == 1, part
    if display_width(line) + used <= columns:
        assert [first, *rest] == [line]


@given(WORDS, st.integers(20, 60))
def test_no_command_is_broken(words: list[str], columns: int) -> None:
    commands = [f"ocsync {word} FILE" for word in words]
    shown = wrap_commands("  next: ", commands, columns)
    for command in commands:
        assert command in shown
    assert " ".join(shown.split()) == f"next: {', '.join(commands)}"


def test_a_narrow_terminal_breaks_no_word(ocsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pexpect", reason="there is no terminal to test with on Windows")
    monkeypatch.delenv("COLUMNS", raising=False)
    ocsync("stage", "set", "inventory/P000001/P000001-0", "QuantityAvailable=4")
    child = Terminal("plan", size=(40, 40))
    lines = [line.rstrip() for line in child.wait().out.splitlines()]
    assert max(map(len, lines)) <= 40
    at = lines.index("  ! 1 quantity has no expected value;")
    assert lines[at + 1] == "    later sales would be overwritten"
    at = lines.index("  next: ocsync plan --diff,")
    assert lines[at + 1] == "        ocsync resume --verify"
