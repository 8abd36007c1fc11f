"""The README's picture: the first story of `ocsync demo`, drawn as a terminal shows it.

    python -m tests.demo_picture

runs the demo and writes the picture. It is an SVG that loads nothing and runs nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as Xml

PICTURE = Path(__file__).parent.parent / "examples" / "demo.svg"
TITLE = "ocsync pauses inventory, stages 1,000 edits, plans 200 requests, sends and verifies them"
NAMESPACE = "http://www.w3.org/2000/svg"
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_COLUMNS = 80
_FONT_SIZE, _LINE_HEIGHT, _COLUMN_WIDTH, _MARGIN = 14, 20, 8.4, 20
"""Pixels."""
_BACKGROUND, _BORDER, _TEXT, _COMMAND = "#12161c", "#3d4754", "#c9d4e0", "#ffffff"
"""A dark panel with a border reads on white and on black alike."""
_SIGNS = {"‖": "#f0b458", "!": "#f0b458", "▶": "#62cf8e", "✓": "#62cf8e", "+": "#62cf8e"}
_LEFT_OUT = re.compile("://|targets as of|no estimate yet")
"""Lines with an address, and lines that only a first run shows."""


def story(demo: str) -> list[str]:
    """Return the lines of the picture: the demo's first story without `plan --explain`."""
    part = demo.partition("-- inventory ")[2].partition("-- catalog-wide ")[0]
    commands = re.split(r"^(?=\$ )", part, flags=re.MULTILINE)[1:]
    lines: list[str] = []
    for shown in commands:
        if "--explain" not in shown.partition("\n")[0]:
            kept = [line for line in shown.splitlines() if line and not _LEFT_OUT.search(line)]
            lines += [*([""] if lines else []), *kept]
    return lines


def draw(lines: list[str]) -> str:
    """Return the SVG of *lines*, none of which may be wider than the terminal."""
    width = round(2 * _MARGIN + _COLUMN_WIDTH * _COLUMNS)
    height = 2 * _MARGIN + _LINE_HEIGHT * len(lines)
    root = Xml.Element("svg", {
        "xmlns": NAMESPACE, "viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height),
        "role": "img", "aria-labelledby": "title", "font-family": _FONTS, "font-size": str(_FONT_SIZE),
    })  # fmt: skip
    Xml.SubElement(root, "title", {"id": "title"}).text = TITLE
    Xml.SubElement(root, "rect", {
        "x": "0.5", "y": "0.5", "width": str(width - 1), "height": str(height - 1), "rx": "8",
        "fill": _BACKGROUND, "stroke": _BORDER,
    })  # fmt: skip
    for number, line in enumerate(lines):
        assert len(line) <= _COLUMNS, f"too wide for the picture: {line}"
        for words, colour, column in _spans(line):
            Xml.SubElement(root, "text", {
                "x": f"{_MARGIN + _COLUMN_WIDTH * column:.1f}",
                "y": str(_MARGIN + _LINE_HEIGHT * number + _FONT_SIZE),
                "textLength": f"{_COLUMN_WIDTH * len(words):.1f}", "lengthAdjust": "spacingAndGlyphs",
                "fill": colour,
            }).text = words  # fmt: skip
    Xml.indent(root)
    return Xml.tostring(root, "unicode") + "\n"


def _spans(line: str) -> list[tuple[str, str, int]]:
    """Return the parts of *line* between wide gaps, each with its colour and column."""
    spans = []
    for part in re.finditer(r"\S+(?: \S+)*", line):
        words, colour, column = part[0], _TEXT, part.start()
        if line.startswith("$"):
            colour = _COMMAND
        elif words[0] in _SIGNS and words[1:2] in (" ", ""):
            spans.append((words[0], _SIGNS[words[0]], column))
            words, column = words[2:], column + 2
        if words:
            spans.append((words, colour, column))
    return spans


def text_lines(picture: str) -> list[str]:
    """Return the text of *picture*, a string for each line that is not empty."""
    texts = Xml.fromstring(picture).iter(f"{{{NAMESPACE}}}text")
    rows = groupby(texts, key=lambda text: text.get("y"))
    return [" ".join(str(text.text) for text in row) for _, row in rows]


def timeless(line: str) -> str:
    """Return *line* with single spaces and with 0 for every time, which differs between runs."""
    line = re.sub(r"\b\d\d:\d\d\b|\b[\d.]+ (ms|s|min)\b", "0", " ".join(line.split()))
    return line.replace("0 0", "0")


if __name__ == "__main__":
    demo = subprocess.run(
        [sys.executable, "-m", "ocsync", "demo"], check=True, capture_output=True, encoding="utf-8"
    )
    PICTURE.write_text(draw(story(demo.stdout)), encoding="utf-8")
