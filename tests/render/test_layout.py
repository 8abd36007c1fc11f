"""Lines on a terminal: they wrap at words, and nothing of them is lost."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.render.layout import wrap_text
from ocsync.render.text import columns, display_width
from tests.builders import Shop
from tests.conftest import Run
from tests.processes import Terminal

WORDS = st.lists(st.text("abcÜ漢/-", min_size=1, max_size=24), min_size=1, max_size=12)
STYLES = re.compile(r"\x1b\[[0-9;]*m")


@given(
    WORDS,
    st.sampled_from([" ", "  ", "   "]),
    st.integers(0, 6),
    st.integers(40, 120),
    st.booleans(),
)
def test_a_line_wraps_at_words_and_keeps_them_all(
    words: list[str], gap: str, indent: int, width: int, signed: bool
) -> None:
    line = " " * indent + gap.join(words)
    lead = 2 * signed
    first, *more = wrap_text(line, width, lead).split("\n")
    assert " ".join([first, *more]).split() == words
    for part, used in ((first, lead), *((part, 0) for part in more)):
        fits = display_width(part) + used <= width
        assert fits or len(part.split()) == 1, "only a word that is too long itself stands out"
    assert all(len(part) - len(part.lstrip()) >= min(indent + lead, width // 2) for part in more)


@pytest.mark.slow
@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=4), st.integers(40, 120))
def test_a_row_continues_below_its_last_column(
    rows: list[tuple[list[str], list[str], list[str]]], width: int
) -> None:
    for row in columns([[" ".join(cell) for cell in one] for one in rows], "<><", indent=2):
        parts = wrap_text(row, width, 0, row.starts).split("\n")
        assert " ".join(parts).split() == row.split()


@pytest.mark.parametrize(
    ("line", "lead", "wrapped"),
    [
        ("  inventory/P1/R1   404 NotFound  no such address", 2,
         ["  inventory/P1/R1   404 NotFound  no", " " * 22 + "such address"]),
        ("all is well, but a word too many", 2, ["all is well, but a word too", "  many"]),
        ("  next: ocsync history 1123-1504, ocsync resume --verify", 0,
         ["  next: ocsync history 1123-1504,", "        ocsync resume --verify"]),
        ('{"name": "a long line of JSON that is copied"}', 0,
         ['{"name": "a long line of JSON that is copied"}']),
    ],
    ids=["ref", "prose", "commands", "JSON"],
)  # fmt: skip
def test_what_follows_hangs(line: str, lead: int, wrapped: list[str]) -> None:
    width = 40 if "  " in line else 30
    assert wrap_text(line, width, lead).split("\n") == wrapped


@pytest.mark.parametrize("width", [60, 120])
def test_a_command_uses_the_width_of_its_terminal(
    ocsync: Run, shop: Shop, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setenv("TERM", "xterm")
    reason = "the annual stocktake of all warehouses in the north and the south"
    ocsync("pause", "inventory", "--reason", reason)
    ended = Terminal("resume", "--plan", "none", size=(40, width)).wait()
    assert ended.code == 66
    assert ended.out.startswith("\x1b[31m✗\x1b[0m \x1b[1mnone: "), "a verdict is bold"
    shown = STYLES.sub("", Terminal("status", "--offline", size=(40, width)).wait().out)
    assert all(len(line) <= width or os.sep in line for line in shown.splitlines())
    assert reason in " ".join(shown.split())
    [line] = [line for line in shown.splitlines() if "stocktake" in line]
    assert ("the south" in line) == (width == 120), shown


COLOURS = {
    "forced": ({"CLICOLOR_FORCE": "1"}, True),
    "not forced": ({"CLICOLOR_FORCE": "0"}, False),
    "the usual": ({}, False),
    "an option": ({"CLICOLOR_FORCE": "1", "OCSYNC_NO_COLOR": "1"}, False),
}


@pytest.mark.parametrize("case", COLOURS)
def test_colour_in_a_pipe(
    ocsync: Run, shop: Shop, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, coloured = COLOURS[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = ocsync("targets").out
    assert (out.splitlines()[0].startswith("\x1b[2mtarget"), "\x1b" in out) == (coloured,) * 2


def test_signs_in_ascii_on_request(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCSYNC_ASCII", "1")
    ocsync("pause", "inventory", "--reason", "Inventur für März")
    out = ocsync("status").out
    assert "|| inventory" in out
    assert "Inventur für März" in out, "data stay as they are"
    monkeypatch.setenv("OCSYNC_ASCII", "0")
    assert "‖ inventory" in ocsync("status").out
