"""Characters that cannot be seen: recognising text that looks empty, and making them visible.

Unseen are blanks, control characters, zero-width characters, bidirectional marks and the letters
that have no ink, such as the Hangul fillers.
"""

from __future__ import annotations

_INKLESS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Characters that Unicode counts as letters, marks or symbols although nothing is drawn."""
_SURROGATES = range(0xD800, 0xE000)


def is_blank(text: str) -> bool:
    """Return whether *text* is empty or shows nothing: only blanks and unseen characters."""
    if "!" <= text[:1] <= "~":  # as nearly every cell of a table
        return False
    return all(char == " " or _is_unseen(char) for char in text)


def escape_invisible(text: str, keep: str = "") -> str:
    r"""Return *text* with every unseen character but the space as an escape such as `\u200b`.

    Characters in *keep* stay. A byte of a file name that is not UTF-8 becomes a question mark.
    """
    if text.isprintable() and (text.isascii() or not any(c in text for c in _INKLESS)):
        return text
    return "".join(_escape(c) if _is_unseen(c) and c not in keep else c for c in text)


def replace_undecodable(text: str) -> str:
    """Return *text* with a question mark for each byte that was not UTF-8."""
    return text.encode("utf-8", "replace").decode()


def escape_undecodable(text: str) -> str:
    r"""Return *text* with an escape such as `\udcf6` for each byte that was not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_unseen(char: str) -> bool:
    return not char.isprintable() or char in _INKLESS


def _escape(char: str) -> str:
    code = ord(char)
    if code in _SURROGATES:
        return "?"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
