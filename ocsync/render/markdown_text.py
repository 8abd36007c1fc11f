"""Texts of others inside of Markdown: shown as they are, whatever they contain.

A name or a message may hold a table's bar, HTML, a link, a mention or a reference. Such a word
becomes code, in which no renderer looks for any of these.
"""

from __future__ import annotations

import re

from ocsync.characters import escape_invisible

_WORD = re.compile(r"(?P<head>\(?)(?P<body>.*?)(?P<tail>\)?[,.;:!?]*)", re.DOTALL)
_PLAIN = re.compile(r"(?:[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+(?:[.,]\d+)*%?|%|)")


def code(text: str) -> str:
    """Return *text* as code that may stand anywhere, in a table too.

    A backtick or a bar cannot always be escaped inside of a code span of a table; text with one is
    written as an element with entities.
    """
    text = " ".join(escape_invisible(text).split())
    if not text:
        return ""
    if "`" in text or "|" in text:
        return f"<code>{_entities(text)}</code>"
    return f"`{text}`"


def prose(text: str) -> str:
    """Return *text* with every word as code that is neither a plain word nor a number."""
    return " ".join(map(_word, escape_invisible(text).split()))


def _word(text: str) -> str:
    match = _WORD.fullmatch(text)
    head, body, tail = match.group("head", "body", "tail") if match else ("", text, "")
    if _PLAIN.fullmatch(body):
        return text
    return f"{head}{code(body)}{tail}"


def _entities(text: str) -> str:
    """Return *text* with all but letters, digits and blanks as entities.

    An empty comment follows an at sign, as some renderers look for addresses after the entities.
    """
    shown = "".join(
        char if char.isalnum() or char == " " or not char.isascii() else f"&#{ord(char)};"
        for char in text
    )
    return shown.replace("&#64;", "&#64;<!-- -->")
