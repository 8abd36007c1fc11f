"""Redaction of secrets in the answers of servers, in whatever encoding they repeat them.

A server that echoes a request may escape it as JSON does (`+` as `\\u002B`, `/` as `\\/`), as a
form does (`%2B`), as HTML does (`&#43;`), or in base64. So each character of a secret is looked for
in all of its spellings, before the answer is decoded.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cached_property

MIN_LENGTH = 6
"""The length below which a secret is not redacted: to hide a short one would garble other words."""
_EVERY_CHARACTER = 128
"""The length up to which letters and digits are looked for in all spellings (tokens are longer)."""
_HIDDEN = b"(hidden)"
_ENTITIES = {"&": b"amp", "<": b"lt", ">": b"gt", '"': b"quot", "'": b"apos"}


class Secret:
    """A secret that can be found in an answer."""

    def __init__(self, text: str) -> None:
        self._text = text

    def hide(self, answer: bytes) -> bytes:
        """Return *answer* without the secret."""
        if len(self._text) < MIN_LENGTH:
            return answer
        return self._pattern.sub(_HIDDEN, answer)

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        text = self._text
        encoded = {*_base64_forms(text.encode("utf-8", "surrogatepass"))}
        patterns = [_pattern_of(text, every=len(text) <= _EVERY_CHARACTER)]
        patterns += [_pattern_of(form, every=False) for form in sorted(encoded, key=len)[::-1]]
        return re.compile(b"|".join(patterns))


def _pattern_of(text: str, *, every: bool) -> bytes:
    """Return a pattern for *text*; with *every*, its letters and digits may be escaped too."""
    return b"".join(
        c.encode() if c.isascii() and c.isalnum() and not every else _spellings(c) for c in text
    )


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Yield the base64 of *secret* at each of the three places in a longer text.

    The characters at its ends, which other bytes share, are left out.
    """
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + secret).decode()
        core = text[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6]
        yield core
        yield core.translate({ord("+"): "-", ord("/"): "_"})


def _spellings(character: str) -> bytes:
    """Return a pattern for the spellings of *character*."""
    utf8, units = character.encode("utf-8", "surrogatepass"), _utf16_units(character)
    patterns = [
        b"".join(rb"\\{1,8}u" + _any_case(b"%04x" % unit) for unit in units),
        b"".join(b"%(?:25){0,3}" + _any_case(b"%02x" % byte) for byte in utf8),
        b"&#0{0,6}%d;" % ord(character),
        b"&#[xX]0{0,6}" + _any_case(b"%x" % ord(character)) + b";",
    ]
    if len(utf8) == 1 and not character.isalnum():
        patterns += [rb"\\{1,8}" + re.escape(utf8), rb"\\{1,8}x" + _any_case(b"%02x" % utf8[0])]
    if character in _ENTITIES:
        patterns.append(b"&" + _ENTITIES[character] + b";")
    if character == " ":
        patterns.append(rb"\+")
    return b"(?:" + b"|".join([*patterns, re.escape(utf8)]) + b")"


def _utf16_units(character: str) -> list[int]:
    raw = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]


def _any_case(digits: bytes) -> bytes:
    """Return a pattern for hexadecimal *digits* in either case."""
    return b"".join(
        b"[%c%c]" % (digit, digit - 32) if digit >= ord("a") else b"%c" % digit for digit in digits
    )
