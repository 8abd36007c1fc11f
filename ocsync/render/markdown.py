"""Markdown pages as a terminal shows them. Importing this loads rich, so do it only to draw."""

from __future__ import annotations

from typing import ClassVar, TextIO

from rich.box import SIMPLE
from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, TableElement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

_THEME = Theme({
    "markdown.h1": "bold", "markdown.h2": "bold", "markdown.h3": "bold", "markdown.code": "cyan",
    "markdown.table.header": "bold", "markdown.table.border": "none",
})  # fmt: skip
"""Colours of the terminal's own palette alone, so that any background leaves them readable."""


def draw(text: str, stream: TextIO, width: int, *, colour: bool) -> str:
    """Return the Markdown *text* as lines for *stream*, a terminal *width* columns wide."""
    terminal = Terminal(  # without a height too, rich ignores the width where TERM is dumb
        file=stream, width=width, height=25, color_system="standard" if colour else None,
        theme=_THEME, force_terminal=True, legacy_windows=False, highlight=False,
    )  # fmt: skip
    with terminal.capture() as drawn:
        terminal.print(_Page(text, hyperlinks=False))
    return "".join(f"{line.rstrip()}\n" for line in drawn.get().strip("\n").splitlines())


class _Heading(Heading):
    """A heading at the left edge, whatever its level and rich's version."""

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        yield self.text


class _Table(TableElement):
    """A table that breaks a long word over lines, where rich would cut it off.

    Where a row takes several lines, a blank line stands between rows.
    """

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                part.box, part.show_edge, part.pad_edge = SIMPLE, False, False
                part.collapse_padding = True
                wraps = console.measure(part, options=options).maximum >= options.max_width
                part.leading = int(wraps)
                for column in part.columns:
                    column.overflow = "fold"
            yield part


class _Code(CodeBlock):
    """A block of code, indented and without colours of its own."""

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip(), overflow="fold"), (0, 0, 0, 4))


class _Page(Markdown):
    """A page, drawn by these elements."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading, "table_open": _Table, "fence": _Code, "code_block": _Code,
    }  # fmt: skip
