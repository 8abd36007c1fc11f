"""Lines broken between words, so that no terminal breaks one inside a word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ocsync.render.text import display_width

_HANG = 2
"""Columns that later lines of a text without a sign are indented by."""
_WORD = re.compile(r" *[^ ]+")


def wrap_line(line: str, columns: int, used: int = 0) -> str:
    """Return *line* broken into lines of *columns* at most, later ones with a hanging indent.

    *used* is the columns that a sign in front of the text takes. A word longer than a line stays
    whole, so that it can be copied.
    """
    if display_width(line) + used <= columns:
        return line
    text = line.lstrip(" ")
    indent = len(line) - len(text)
    hang = min(indent + (used or _HANG), columns // 2)
    return " " * indent + _join(_WORD.findall(text), columns, indent + used, hang)


def wrap_commands(head: str, commands: Sequence[str], columns: int) -> str:
    """Return *head* and the commands, a line being broken only between two of them."""
    parts = [f"{command}," for command in commands[:-1]] + [*commands[-1:]]
    words = [part if not number else f" {part}" for number, part in enumerate(parts)]
    return head + _join(words, columns, len(head), min(len(head), columns // 2))


def _join(words: Sequence[str], columns: int, start: int, hang: int) -> str:
    """Return *words* in lines; each begins with its gap, which a new line leaves out."""
    text, width = "", start
    for word in words:
        size = display_width(word)
        if text and width + size > columns:
            bare = word.lstrip(" ")
            text += "\n" + " " * hang + bare
            width = hang + display_width(bare)
        else:
            text += word
            width += size
    return text
