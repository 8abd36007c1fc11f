"""HTML and SVG, built so that text is always escaped, and nothing in it is an address."""

from __future__ import annotations

import re
from html import escape as escape_html

from ocsync.characters import escape_invisible

_SPECIAL = re.compile(r"[^\w %(),.;=?#+*/-]", re.ASCII)


class Markup(str):
    """Text that is HTML already; any other text is escaped when it becomes part of it."""

    __slots__ = ()


def escape(text: str) -> Markup:
    r"""Return *text* as HTML that shows it.

    Characters that cannot be seen are shown as escapes such as `\u200b`. The `://` of an address
    is written with entities, so that no program that searches the file for addresses finds one.
    """
    if not _SPECIAL.search(text):
        return Markup(text)
    shown = escape_html(escape_invisible(text)).replace("://", ":&#47;&#47;")
    return Markup(shown)


def join(*children: str) -> Markup:
    """Return *children* one after the other, those that are no markup escaped."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children))


def element(tag: str, /, *children: str, **attributes: str | float) -> Markup:
    """Return an element that is HTML and XML alike.

    In the names of *attributes* `_` stands for `-`, and one at the end for nothing: `class_`. An
    empty attribute is left out.
    """
    texts = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value != ""
    ]
    opening = f"<{tag}{''.join(texts)}"
    if not children:
        return Markup(f"{opening}/>" if tag in _EMPTY else f"{opening}></{tag}>")
    return Markup(f"{opening}>{join(*children)}</{tag}>")


_EMPTY = frozenset(("meta", "br", "hr", "path", "line", "rect", "circle"))


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
