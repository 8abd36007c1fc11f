"""Man pages from the guide: `ocsync(1)`, and a page in section 7 for each topic.

The guide's Markdown is simple: headings, paragraphs, lists, code that is indented by four blanks,
and tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

_COMMANDS = "commands"
"""The page of all commands, which is the manual of `ocsync` itself."""


def man_pages(guide: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each man page, for the pages in *guide*."""
    for path in sorted(guide.glob("*.md")):
        name, section = ("ocsync", 1) if path.stem == _COMMANDS else (f"ocsync-{path.stem}", 7)
        yield f"{name}.{section}", roff(path.read_text(encoding="utf-8"), name, section)


def roff(markdown: str, name: str, section: int) -> str:
    """Return the man page *name* for a page of the guide."""
    title, _, rest = markdown.removeprefix("# ").partition("\n")
    lines = [
        f'.TH {_escape(name.upper())} {section} "" ocsync',
        ".ad l",
        ".SH NAME",
        f"{_escape(name)} \\- {_inline(title)}",
        ".SH DESCRIPTION",
    ]
    for kind, group in groupby(_joined(rest.splitlines()), key=_kind_of):
        lines += _BLOCKS[kind](list(group))
    return "\n".join(lines) + "\n"


def _joined(lines: list[str]) -> Iterator[str]:
    """Yield the lines, those of one paragraph or list item as one."""
    pending = ""
    for line in lines:
        goes_on = _kind_of(line) in ("text", "more") and _kind_of(pending) in ("text", "item")
        if goes_on:
            pending = f"{pending} {line.strip()}"
            continue
        yield from filter(None, [pending])
        pending = line
        if not line.strip():
            yield ""
    yield from filter(None, [pending])


def _kind_of(line: str) -> str:
    if not line.strip():
        return "blank"
    if line.startswith("    "):
        return "code"
    marks = {"#": "heading", "|": "table", "- ": "item", "  ": "more"}
    kind = next((kind for mark, kind in marks.items() if line.startswith(mark)), "text")
    return "item" if re.match(r"\d+\. ", line) else kind


def _headings(lines: list[str]) -> list[str]:
    return [
        f".{'SH' if line.startswith('## ') else 'SS'} {_inline(line.lstrip('# '))}"
        for line in lines
    ]


def _items(lines: list[str]) -> list[str]:
    marks = [line.partition(" ") for line in lines]
    return [
        text
        for mark, _, rest in marks
        for text in (".IP \\(bu 2" if mark == "-" else f".IP {mark} 3", _inline(rest))
    ]


def _code(lines: list[str]) -> list[str]:
    return [".PP", ".nf", ".RS 4", *(_escape(line[4:]) for line in lines), ".RE", ".fi"]


def _rows(lines: list[str]) -> list[str]:
    """Return a row of a table as a term with its text; the heading and its rule are left out."""
    rows = []
    for line in lines[2:]:
        first, *others = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("| ")))
        rest = "; ".join(_inline(cell) for cell in others if cell)
        rows += [".TP", f"\\fB{_inline(first)}\\fR" if "`" not in first else _inline(first), rest]
    return rows


_BLOCKS = {
    "blank": lambda lines: [".PP"][: len(lines)],
    "code": _code,
    "heading": _headings,
    "table": _rows,
    "item": _items,
    "text": lambda lines: [_inline(line) for line in lines],
}


def _inline(text: str) -> str:
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text.replace("\\|", "|"))
    parts = re.split(r"`([^`]*)`", text)
    parts[1::2] = [f"\\fB{_escape(part)}\\fR" for part in parts[1::2]]
    parts[::2] = [re.sub(r"\*\*([^*]+)\*\*", r"\\fB\1\\fR", _escape(part)) for part in parts[::2]]
    return "".join(parts)


def _escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
