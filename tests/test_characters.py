"""Characters that cannot be seen, and file names that are not UTF-8."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.characters import (
    escape_invisible,
    escape_undecodable,
    is_blank,
    replace_undecodable,
)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "\t", "\u00a0", "\u2003\u3000", "\u200b", "\ufeff", "\u2060\u200d", "\u202e",
     "\x00\x1f\x7f\x9f", "\u2028", "\u3164", "\u2800", "\u115f\u034f"],
)  # fmt: skip
def test_text_that_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(text + "x")
    assert not is_blank("0" + text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mug\u200b", r"mug\u200b"),
        ("a b", "a b"),
        ("a\u00a0b\t", r"a\u00a0b\u0009"),
        ("\x1b[2J", r"\u001b[2J"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\U000e0041", r"\U000e0041"),
        ("Größe ☃ 漢 é", "Größe ☃ 漢 é"),
        ("K\udcf6ln", "K?ln"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert escape_invisible(text) == shown


def test_line_ends_can_be_kept() -> None:
    assert escape_invisible("a\tb\nc\r", keep="\t\n") == "a\tb\nc\\u000d"


@given(st.text())
def test_an_escaped_text_shows_all_of_it(text: str) -> None:
    shown = escape_invisible(text)
    assert shown.isprintable()
    assert escape_invisible(shown) == shown
    assert is_blank(text) or not is_blank(shown)
    assert is_blank(text) or not is_blank(text.strip())


@given(st.binary())
def test_a_file_name_of_any_bytes_becomes_text(name: bytes) -> None:
    text = os.fsdecode(name)
    replace_undecodable(text).encode()
    escape_undecodable(text).encode()


def test_names_of_other_bytes_stay_different_when_they_are_escaped() -> None:
    names = [os.fsdecode(b"K\xf6ln"), os.fsdecode(b"K\xe4ln"), "K?ln"]
    assert len({escape_undecodable(name) for name in names}) == len(names)
    assert {replace_undecodable(name) for name in names} == {"K?ln"}
