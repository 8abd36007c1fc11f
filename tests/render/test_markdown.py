"""Markdown as it is drawn on a terminal."""

from __future__ import annotations

import io

from ocsync.render.markdown import draw


def drawn(text: str, width: int = 40) -> list[str]:
    return draw(text, io.StringIO(), width, colour=False).splitlines()


def test_headings_begin_at_the_left_edge() -> None:
    assert drawn("# Title\n\n## Part\n\ntext\n") == ["Title", "", "Part", "", "text"]


def test_a_long_word_in_a_table_is_broken_and_not_cut() -> None:
    word = "/integrations/entitysync/products/inventoryrecords/sync"
    lines = drawn(f"| path | method |\n| --- | --- |\n| `{word}` | POST |\n", 30)
    assert max(map(len, lines)) <= 30
    assert word in "".join(line.split(" ")[0] for line in lines[2:])


def test_rows_are_apart_only_where_they_take_several_lines() -> None:
    table = "| code | meaning |\n| --- | --- |\n| 0 | done |\n| 1 | failed for some reason |\n"
    assert len(drawn(table)) == 4
    narrow = drawn(table, 20)
    assert narrow[3] == ""
    assert " ".join(line[6:] for line in narrow[4:]) == "failed for some reason"


def test_a_block_of_code_keeps_its_lines() -> None:
    assert drawn("Do:\n\n    code=0\n    run || code=$?\n") == [
        "Do:", "", "    code=0", "    run || code=$?",
    ]  # fmt: skip


def test_colour_is_for_who_asks() -> None:
    assert "\x1b[" in draw("`code`", io.StringIO(), 40, colour=True)
    assert drawn("`code`") == ["code"]
