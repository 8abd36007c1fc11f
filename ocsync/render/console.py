"""The console: answers go to standard output, all else to standard error.

A line may begin with a sign, which also tells without colour what the line means; a stream whose
encoding lacks the sign gets its ASCII form, as all do with `OCSYNC_ASCII`. On a terminal words wrap
(see `layout`), verdicts are bold and the headings of tables dim. Colour is used on a terminal only;
`--no-color`, `NO_COLOR` and `TERM=dumb` turn it off, `FORCE_COLOR` and `CLICOLOR_FORCE` turn it on.
Characters that cannot be seen, which can only come from a server or a file, are written as escapes:
some would drive the terminal, the others hide a difference. When the reader of a stream is gone,
nothing more is written to it, and the command continues.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from ocsync.characters import escape_invisible, replace_undecodable
from ocsync.errors import OcsyncError
from ocsync.render.streams import discard, write_text

if TYPE_CHECKING:
    from ocsync.render.ci import Ci
    from ocsync.render.life_signs import LifeSigns, View

FORMAT = 2
"""The format version of all JSON documents and events; an incompatible change raises it."""

_ASCII_SIGNS = str.maketrans({
    "‖": "||", "▶": ">", "✓": "ok", "✗": "x", "·": "-", "→": "->", "…": "...", "━": "=", "≈": "~",
    "•": "*", "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
    "─": ".",
})  # fmt: skip
_USUAL_COLUMNS = 80
_PAGE_COLUMNS = 100
"""The columns of a page of the guide at most."""
_CI_VARIABLES = ("GITHUB_ACTIONS", "TF_BUILD")
_SIGN_COLOURS = {
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
_BOLD, _DIM = "1", "2"
_VERDICTS = ("✓", "✗")
_OFF = ("", "0", "false", "no", "off")
"""The values of a variable that do not turn something on."""


class Console:
    """The output of a command; with *json* the answer is JSON, and text goes to stderr."""

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.no_color = no_color
        self.ci = _detect_ci()
        self._life: LifeSigns | None = None

    def print(self, line: str = "", sign: str = "") -> None:
        """Write a line of the answer to stdout, or to stderr with --json."""
        self._write(sys.stderr if self.json else sys.stdout, line, sign)

    def info(self, line: str, sign: str = "") -> None:
        """Write a line that is not part of the answer to stderr, unless --quiet is given."""
        if not self.quiet:
            self._write(sys.stderr, line, sign)

    def detail(self, line: str) -> None:
        """Write a line to stderr if --verbose is given."""
        if self.verbose:
            self._write(sys.stderr, line, "")

    def alert(self, line: str, sign: str = "✗") -> None:
        """Write a line about a problem to stderr, also with --quiet."""
        self._write(sys.stderr, line, sign)

    def suggest(self, *commands: str) -> None:
        """Write the commands to type next."""
        if commands and not self.json:
            self.info(f"  next: {', '.join(commands)}")

    @property
    def takes_documents(self) -> bool:
        """True when a document is written or reported to a CI, so that it is worth making."""
        return self.json or self.ci is not None

    def document(
        self,
        command: str,
        facts: Mapping[str, Any],
        *,
        rows: Mapping[str, Iterable[Any]] | None = None,
        ci: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the command's only JSON document to stdout if --json is given.

        The members *rows* are lists that are written as they are made, for they may be long. A CI
        gets the members *ci* in their place.
        """
        document = {"format": FORMAT, "command": command, **facts}
        if self.json:
            self._write_json(document, sys.stdout, rows or {})
        self._report_to_ci({**document, **(ci or {})})

    def event(self, facts: Mapping[str, Any]) -> None:
        """Write one line of NDJSON to stdout if --json is given."""
        if self.json:
            self._write_json(facts, sys.stdout)
        self._report_to_ci(facts)

    def error_document(self, facts: Mapping[str, Any]) -> None:
        """Write the JSON object that describes a failure to stderr if --json is given."""
        document = {"format": FORMAT, "type": "error", **facts}
        if self.json:
            self._write_json(document, sys.stderr)
        self._report_to_ci(document)

    def print_lines(self, lines: Iterable[str]) -> None:
        """Write lines of the answer."""
        for line in lines:
            self.print(line)

    def print_page(self, text: str) -> None:
        """Write a page of Markdown to stdout: drawn on a terminal, unchanged elsewhere."""
        if columns := terminal_columns(sys.stdout):
            from ocsync.render.markdown import draw

            width = min(columns, _PAGE_COLUMNS)
            text = draw(text, sys.stdout, width, colour=self.uses_colour(sys.stdout))
        with self._aside():
            write_text(sys.stdout, fit_encoding(text, sys.stdout))

    def uses_colour(self, stream: TextIO) -> bool:
        """Return whether *stream* gets colour."""
        if self.no_color:
            return False
        if os.environ.get("FORCE_COLOR") or _is_on(os.environ.get("CLICOLOR_FORCE", "")):
            return True
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        if plain or os.environ.get("CLICOLOR") == "0":
            return False
        return stream.isatty() and _obeys_escape_codes(stream)

    def can_animate(self) -> bool:
        """Return whether progress may be drawn: on a terminal without JSON, outside of CI."""
        dumb = os.environ.get("CI") or os.environ.get("TERM") == "dumb"
        alone = not self.json or not sys.stdout.isatty()
        if not sys.stderr.isatty() or not alone or self.quiet or dumb:
            return False
        return _obeys_escape_codes(sys.stderr)

    @contextmanager
    def alive(self, name: str) -> Iterator[None]:
        """Show during the block that the command *name* works, while it writes nothing."""
        animated = self.can_animate()
        if self._life or self.quiet or (self.json and not animated):
            yield
            return
        from ocsync.render.life_signs import LifeSigns

        colour = self.uses_colour(sys.stderr)
        self._life = LifeSigns(sys.stderr, self.info, name, animated=animated, colour=colour)
        self._life.start()
        try:
            yield
        finally:
            self._life.stop()
            self._life = None

    def showing(self, view: View) -> AbstractContextManager[None]:
        """Show the progress of *view* during the block, where the command shows that it works."""
        return self._life.shown_by(view) if self._life else nullcontext()

    def hushed(self) -> AbstractContextManager[None]:
        """Show no progress during the block, which uses the terminal itself."""
        return self._life.hushed() if self._life else nullcontext()

    @contextmanager
    def document_output(self, name: str) -> Iterator[BinaryIO]:
        """Yield standard output for the bytes of a document, which is *name*, as in "the report".

        Raises OcsyncError if it does not take all of them; a reader that is gone has had enough.
        """
        write_text(sys.stdout, "", flush=True)
        try:
            with self.hushed():
                yield sys.stdout.buffer
                sys.stdout.buffer.flush()
        except OSError as error:
            if error.filename:
                raise
            discard(sys.stdout)
            if error.errno != errno.EPIPE:
                text = f"cannot write {name} to standard output: {error.strerror}"
                hint = "free disk space, or give a FILE elsewhere, then run the same command again"
                raise OcsyncError(f"{text}; the output is incomplete", hint=hint) from error

    @contextmanager
    def redrawn(self) -> Iterator[Callable[[], bool]]:
        """Yield a function that empties the screen, so that the block can draw the answer again.

        It returns false, and does nothing, where the answer is not on a terminal. No progress is
        shown meanwhile.
        """
        draws = self.can_animate() and sys.stdout.isatty()

        def send(codes: str) -> bool:
            if draws:
                write_text(sys.stdout, codes, flush=True)
            return draws

        with self.hushed():
            send("\x1b[?1049h")
            try:
                yield lambda: send("\x1b[H\x1b[J")
            finally:
                send("\x1b[?1049l")

    def flush(self) -> None:
        """Write what is waiting in a buffer of standard output."""
        write_text(sys.stdout, "", flush=True)

    def _aside(self) -> AbstractContextManager[None]:
        return self._life.aside() if self._life else nullcontext()

    def _write_json(
        self, facts: Mapping[str, Any], stream: TextIO, rows: Mapping[str, Iterable[Any]] = {}
    ) -> None:
        """Write a line of JSON: *facts*, and the lists *rows*, some of their items at a time."""
        self._write_json_part(_json_text(facts, stream)[:-1], stream)
        for name, items in rows.items():
            separator = f', "{name}": ['
            for batch in _batches(items):
                self._write_json_part(separator + _json_text(batch, stream)[1:-1], stream)
                separator = ", "
            self._write_json_part("]" if separator == ", " else f"{separator}]", stream)
        self._write_json_part("}\n", stream, flush=True)

    def _write_json_part(self, text: str, stream: TextIO, *, flush: bool = False) -> None:
        if self.ci:
            from ocsync.render.ci import escape_ci_json

            text = escape_ci_json(text)
        with self._aside():
            write_text(stream, text, flush=flush)

    def _report_to_ci(self, facts: Mapping[str, Any]) -> None:
        if self.ci:
            self.ci.report(facts)

    def _write(self, stream: TextIO, line: str, sign: str) -> None:
        heading, starts = getattr(line, "heading", False), getattr(line, "starts", ())
        line = fit_encoding(escape_invisible(line, keep="\t\n"), stream)
        mark = fit_encoding(sign, stream)
        if columns := terminal_columns(stream):
            from ocsync.render.layout import wrap_text

            line = wrap_text(line, columns, len(mark) + 1 if mark else 0, starts)
        if self.uses_colour(stream):
            verdict = sign in _VERDICTS and not line.startswith(" ")
            line = styled(line, _BOLD if verdict else _DIM if heading else "")
            mark = styled(mark, _SIGN_COLOURS.get(sign, ""))
        if mark:
            indent = line[: len(line) - len(line.lstrip())]
            line = f"{indent}{mark} {line.lstrip()}"
        if self.ci:
            from ocsync.render.ci import escape_ci_commands

            line = escape_ci_commands(line)
        with self._aside():
            if stream is sys.stderr:
                write_text(sys.stdout, "", flush=True)  # a log of both streams keeps their order
            write_text(stream, line + "\n")


def _detect_ci() -> Ci | None:
    """Return the CI that this command runs in; its module is loaded where a variable names one."""
    if not any(map(os.environ.get, _CI_VARIABLES)):
        return None
    from ocsync.render.ci import detect_ci

    return detect_ci()


def terminal_columns(stream: TextIO) -> int:
    """Return the columns of *stream*, or those of `COLUMNS`; 0 if it is not a terminal."""
    if not stream.isatty():
        return 0
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    except (OSError, ValueError):
        return _USUAL_COLUMNS


def _obeys_escape_codes(stream: TextIO) -> bool:
    """Return whether the terminal of *stream* obeys escape codes; old ones of Windows do not."""
    if os.name != "nt":
        return True
    from ocsync.render.windows_console import enable_escape_codes

    return enable_escape_codes("stdout" if stream is sys.stdout else "stderr")


def _is_on(value: str) -> bool:
    """Return whether *value*, that of a variable, turns something on."""
    return value.strip().casefold() not in _OFF


def styled(text: str, style: str) -> str:
    """Return each line of *text* in *style*, without its indentation; an empty one changes none."""
    if not style:
        return text
    return re.sub(r"(?m)^( *)(\S.*)$", f"\\1\x1b[{style}m\\2\x1b[0m", text)


_BATCH = 1_000
"""Rows of a long list that are written together."""


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _json_text(facts: object, stream: TextIO) -> str:
    """Return *facts* as JSON; what cannot be seen is escaped, which changes no value."""
    text = json.dumps(facts, ensure_ascii=False, default=str)
    text = re.sub(r"[^\x20-\x7e]+", _escape_in_json, text)
    return text if _can_encode(stream, text) else json.dumps(facts, default=str)


def _escape_in_json(found: re.Match[str]) -> str:
    text = replace_undecodable(found[0])
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def fit_encoding(text: str, stream: TextIO) -> str:
    """Return *text* in the encoding of *stream*: signs in their ASCII form, the rest as `?`."""
    if _is_on(os.environ.get("OCSYNC_ASCII", "")):
        text = text.translate(_ASCII_SIGNS)
    if _can_encode(stream, text):
        return text
    encoding = stream.encoding or "utf-8"
    return text.translate(_ASCII_SIGNS).encode(encoding, "replace").decode(encoding)
