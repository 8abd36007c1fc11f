"""Two streams: what is asked for goes to stdout, talk goes to stderr.

Lines carry a sign that survives without colour; where the encoding has no such sign its ASCII twin
is written. Colour only on a terminal: `--no-color`, `NO_COLOR` and `TERM=dumb` turn it off,
`FORCE_COLOR` on. Control characters, which only a server or a file can have brought, are not passed
on. A stream that nobody reads any more is written to no more, and the work goes on.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from ocsync.render.ci import Ci, escape_ci_commands, harmless_json, here

FORMAT = 1
"""The version of every JSON document and event; it rises when a reader would break."""

_TWINS = str.maketrans({
    "‖": "||", "▶": ">", "✓": "ok", "✗": "x", "·": "-", "→": "->", "…": "...", "━": "=", "≈": "~",
    "•": "*",
})  # fmt: skip
_CONTROLS = {code: "?" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
_COLOURS = {
    "‖": "33",
    "▶": "32",
    "✓": "32",
    "✗": "31",
    "!": "33",
    "+": "32",
    "-": "31",
    "*": "31",
    "~": "33",
}


@dataclass(frozen=True)
class Console:
    """Where a command speaks. *json* sends data to stdout as JSON and leaves text on stderr."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    ci: Ci | None = field(default_factory=here)

    def data(self, line: str = "", sign: str = "") -> None:
        """A line of the answer, on stdout; with --json on stderr, as then it is talk."""
        self._write(sys.stderr if self.json else sys.stdout, line, sign)

    def talk(self, line: str, sign: str = "") -> None:
        """A line beside the answer, on stderr; silent with --quiet."""
        if not self.quiet:
            self._write(sys.stderr, line, sign)

    def detail(self, line: str) -> None:
        """A line for --verbose alone."""
        if self.verbose:
            self._write(sys.stderr, line, "")

    def fault(self, line: str, sign: str = "✗") -> None:
        """A line about what went wrong; --quiet does not hide it."""
        self._write(sys.stderr, line, sign)

    def next(self, *commands: str) -> None:
        """The commands to type next."""
        if commands and not self.json:
            self.talk(f"  next: {', '.join(commands)}")

    def document(self, command: str, facts: Mapping[str, Any]) -> None:
        """The command's one JSON document, on stdout, if --json was given."""
        document = {"format": FORMAT, "command": command, **facts}
        if self.json:
            self._dump(document, sys.stdout)
        self._tell_ci(document)

    def event(self, facts: Mapping[str, Any]) -> None:
        """One line of NDJSON on stdout, if --json was given."""
        if self.json:
            self._dump(facts, sys.stdout)
        self._tell_ci(facts)

    def error(self, facts: Mapping[str, Any]) -> None:
        """The one JSON object that tells of a failure, on stderr, if --json was given."""
        told = {"format": FORMAT, "type": "error", **facts}
        if self.json:
            self._dump(told, sys.stderr)
        self._tell_ci(told)

    def lines(self, lines: Iterable[str]) -> None:
        """Lines of the answer."""
        for line in lines:
            self.data(line)

    def page(self, text: str) -> None:
        """A page of Markdown on stdout: drawn on a terminal, as it is elsewhere."""
        if columns := terminal_columns(sys.stdout):
            from ocsync.render.markdown import draw

            text = draw(text, sys.stdout, columns, colour=self.colour(sys.stdout))
        put(sys.stdout, fit(text, sys.stdout))

    def colour(self, stream: TextIO) -> bool:
        """Whether *stream* gets colour."""
        if self.no_color:
            return False
        if os.environ.get("FORCE_COLOR"):
            return True
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not plain and stream.isatty()

    def live(self) -> bool:
        """Whether a bar may be drawn: on a terminal, not in CI, not for programs."""
        dumb = os.environ.get("CI") or os.environ.get("TERM") == "dumb"
        return sys.stderr.isatty() and not (self.json or self.quiet or dumb)

    def _dump(self, facts: Mapping[str, Any], stream: TextIO) -> None:
        text = _json(facts, stream)
        put(stream, harmless_json(text) if self.ci else text, flush=True)

    def _tell_ci(self, facts: Mapping[str, Any]) -> None:
        if self.ci:
            self.ci.hear(facts)

    def _write(self, stream: TextIO, line: str, sign: str) -> None:
        line = line.translate(_CONTROLS)
        if sign:
            indent = line[: len(line) - len(line.lstrip())]
            mark = fit(sign, stream)
            if self.colour(stream) and sign in _COLOURS:
                mark = f"\x1b[{_COLOURS[sign]}m{mark}\x1b[0m"
            line = f"{indent}{mark} {line.lstrip()}"
        if stream is sys.stderr:
            put(sys.stdout, "", flush=True)  # so that a log of both has the lines in their order
        if self.ci:
            line = escape_ci_commands(line)
        put(stream, fit(line, stream) + "\n")


def terminal_columns(stream: TextIO) -> int:
    """The columns of text on *stream*, 100 at most; 0 if it is not a terminal."""
    return min(shutil.get_terminal_size().columns, 100) if stream.isatty() else 0


def put(stream: TextIO, text: str, *, flush: bool = False) -> None:
    """Write *text*; when the other end or the terminal is gone nothing is written any more."""
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _json(facts: Mapping[str, Any], stream: TextIO) -> str:
    text = json.dumps(facts, ensure_ascii=False, default=str) + "\n"
    return text if _takes(stream, text) else json.dumps(facts, default=str) + "\n"


def _takes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def fit(text: str, stream: TextIO) -> str:
    """*text* as *stream* can take it: its own signs by their ASCII twins, the rest replaced."""
    if _takes(stream, text):
        return text
    encoding = stream.encoding or "utf-8"
    return text.translate(_TWINS).encode(encoding, "replace").decode(encoding)
