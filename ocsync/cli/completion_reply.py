"""Shell completion: the words that may complete a command line, from the outline and local data.

The script of `ocsync completion SHELL` asks at each press of the tabulator key: it sets
`_OCSYNC_COMPLETE` to the shell, and passes the line as arguments. The answer is a directive in the
first line, `words`, `files` or `folders`, and a candidate a line, with its description after a
tabulator. A candidate that ends with `/` or `=` is only the beginning of a word.

PowerShell drops empty arguments, so it passes the words by `_OCSYNC_WORDS`, as they are typed. It
decodes answers by the code page of the console and inserts candidates as they are, so they come
quoted, in JSON that is ASCII.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ocsync.cli.outline import read_outline

LIMIT = 200
"""Most candidates of an answer."""
_OPEN_ENDS = ("/", "=")
_ESCAPED = re.compile(r"([^\w@%+=:,./~-])")
_PLAIN = re.compile(r"[\w%+=:./\\-]+")
"""Words that PowerShell takes as they are."""


class Candidate(NamedTuple):
    """A word that completes the line; *help* describes it where there is something to say."""

    word: str
    help: str = ""


class Reply(NamedTuple):
    """The candidates for a word, or the directive to complete it as a path."""

    words: Sequence[Candidate] = ()
    directive: str = "words"


class Line(NamedTuple):
    """A command line to complete: its whole *words* after the program, and the *start* of one.

    *quote* is the quotation mark that the last word began with and did not end. *tail* is the part
    of *start* that the shell will replace.
    """

    words: list[str]
    start: str
    quote: str = ""
    tail: str = ""


def complete(shell: str, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the answer to *shell*, whose script passed *arguments*; empty for an unknown one."""
    if shell not in _SHELLS:
        return ""
    read, write = _SHELLS[shell]
    line = read(arguments, environ)
    return write(candidates(line, environ), line) + "\n"


def split_line(text: str) -> Line:
    """Return the line that a POSIX shell reads in *text*, whose last word may be unfinished."""
    words: list[str] = []
    word, quote, begun = "", "", False
    characters = iter(text)
    for character in characters:
        if character == "\\" and quote != "'":
            word, begun = word + next(characters, ""), True
        elif quote:
            quote, word = ("", word) if character == quote else (quote, word + character)
        elif character in "'\"":
            quote, begun = character, True
        elif character.isspace():
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + character, True
    return Line(words[1:], word, quote, word)


def _read_bash(arguments: Sequence[str], _: Mapping[str, str]) -> Line:
    """Return the line in the first argument; the second is the word as bash breaks it."""
    text, broken = (*arguments, "", "")[:2]
    line = split_line(text)
    if line.quote:
        return line
    tail = re.split("[=:]", line.start)[-1]
    return line._replace(tail=tail if len(broken) <= len(tail) + 1 else line.start)


def _read_words(arguments: Sequence[str], _: Mapping[str, str]) -> Line:
    *words, start = arguments or [""]
    return Line(words, start)


def _read_powershell(_: Sequence[str], environ: Mapping[str, str]) -> Line:
    """Return the line in the variable, whose words are separated by the character 31."""
    *words, start = environ.get("_OCSYNC_WORDS", "").split("\x1f")
    return Line([unquote_powershell(word)[0] for word in words], *unquote_powershell(start))


def unquote_powershell(text: str) -> tuple[str, str]:
    """Return the value of a word as PowerShell reads it, and the quotation mark left open in it.

    Variables in it stay as they are typed.
    """
    word, quote = "", ""
    characters = iter(text)
    following = next(characters, "")
    while character := following:
        following = next(characters, "")
        if character == "`" and quote != "'":
            word, following = word + following, next(characters, "")
        elif character == quote == following:
            word, following = word + quote, next(characters, "")
        elif character == quote or (not quote and character in "'\""):
            quote = "" if quote else character
        else:
            word += character
    return word, quote


def _write_bash(candidate: Candidate, line: Line) -> str:
    """Return the rest of the word, with a blank after one that is whole."""
    word = candidate.word[len(line.start) - len(line.tail) :]
    if line.quote:
        return word
    end = "" if word.endswith(_OPEN_ENDS) else " "
    return _ESCAPED.sub(r"\\\1", word) + end


def _write_described(candidate: Candidate, _: Line) -> str:
    return "\t".join(filter(None, candidate))


_Reader = Callable[[Sequence[str], Mapping[str, str]], Line]
_Writer = Callable[[Reply, Line], str]


def _in_lines(write: Callable[[Candidate, Line], str]) -> _Writer:
    """Return a writer of the directive, and of each candidate by *write*, a line each."""
    return lambda reply, line: "\n".join(
        [reply.directive, *(write(candidate, line) for candidate in reply.words)]
    )


def _write_powershell(reply: Reply, line: Line) -> str:
    """Return JSON with the directive and, for each word, its text to insert, itself and its help.

    The text replaces the whole word, with the quotation mark that it began with.
    """
    rows = [(_quoted(word, line.quote), word, text or word) for word, text in reply.words]
    return json.dumps({"directive": reply.directive, "words": rows})


def _quoted(word: str, quote: str) -> str:
    if not quote and _PLAIN.fullmatch(word):
        return word
    end = "" if word.endswith(_OPEN_ENDS) else "'"
    return "'" + word.replace("'", "''") + end


_SHELLS: dict[str, tuple[_Reader, _Writer]] = {
    "bash": (_read_bash, _in_lines(_write_bash)),
    "zsh": (_read_words, _in_lines(_write_described)),
    "fish": (_read_words, _in_lines(_write_described)),
    "powershell": (_read_powershell, _write_powershell),
}


class Reading:
    """A reading of the whole words of a line: the command they lead to, and what it has got.

    *given* has the values of the options by the first name of each, *arguments* those of the
    command. *pending* is the option that lacks a value, if one does. *ended* says that `--` has
    ended the options.
    """

    def __init__(self, outline: Mapping[str, Any]) -> None:
        self.outline = outline
        self.path = ""
        self.given: dict[str, list[str]] = {}
        self.arguments: list[str] = []
        self.pending: Mapping[str, Any] = {}
        self.ended = False

    @property
    def node(self) -> Mapping[str, Any]:
        """Command that the words lead to so far."""
        node: Mapping[str, Any] = self.outline["commands"][self.path]
        return node

    def options(self) -> list[Mapping[str, Any]]:
        """Return the options of the command, as its help lists them."""
        at_root = not self.path  # there they may come first, as in `ocsync --json status`
        common = self.outline["common"] if at_root or "commands" not in self.node else []
        own = [row for row in self.node["options"] if row not in common]
        return [*own, *common]

    def option(self, name: str) -> Mapping[str, Any]:
        """Return the option with this *name*, empty if there is none."""
        return next((row for row in self.options() if name in row["names"]), {})

    def last(self, name: str) -> str:
        """Return the last value that option *name* was given, empty for none."""
        return (self.given.get(name) or [""])[-1]

    def take(self, word: str) -> None:
        """Take the next word."""
        if self.pending:
            self._take_value(self.pending, word)
        elif word == "--" and not self.ended:
            self.ended = True
        elif word.startswith("-") and word != "-" and not self.ended:
            self._take_option(word)
        elif self._is_command(word):
            self.path = f"{self.path} {word}".strip()
        else:
            self.enter_default()
            self.arguments.append(word)

    def enter_default(self) -> None:
        """Go on to the command that a group runs when none is named, if it has one."""
        if "default" in self.node:
            self.path = f"{self.path} {self.node['default']}".strip()

    def _is_command(self, word: str) -> bool:
        return word in (row[0] for row in self.node.get("commands", ()))

    def _take_option(self, word: str) -> None:
        name, has_value, value = word.partition("=")
        option = self.option(name)
        if not option and "default" in self.node:
            self.enter_default()
            option = self.option(name)
        if not option:
            return
        self.given.setdefault(option["names"][0], [])
        if option.get("completes") and not option.get("optional"):
            self.pending = option
            if has_value:
                self._take_value(option, value)

    def _take_value(self, option: Mapping[str, Any], value: str) -> None:
        values = self.given.setdefault(option["names"][0], [])
        values.append(value)
        size = len(option["completes"])
        self.pending = option if len(values) % size else {}


def candidates(line: Line, environ: Mapping[str, str]) -> Reply:
    """Return the words that may complete *line*."""
    reading = Reading(read_outline())
    for word in line.words:
        reading.take(word)
    start = line.start
    if reading.pending:
        values = reading.given[reading.pending["names"][0]]
        size = len(reading.pending["completes"])
        return _values(reading.pending["completes"][len(values) % size], reading, start, environ)
    if start.startswith("-") and start != "-" and "=" in start and not reading.ended:
        name, _, value = start.partition("=")
        completes = reading.option(name).get("completes") or [""]
        reply = _values(completes[0], reading, value, environ)
        return reply._replace(words=[Candidate(f"{name}={w}", text) for w, text in reply.words])
    if start.startswith("-") and not reading.ended:
        return Reply(list(_options(reading, start)))
    named = () if reading.arguments else reading.node.get("commands", ())
    commands = [Candidate(*row) for row in named if row[0].startswith(start)]
    reading.enter_default()
    reply = _argument(reading, start, environ)
    return reply._replace(words=[*commands, *reply.words])


def _options(reading: Reading, start: str) -> Iterator[Candidate]:
    """Yield the names of the options that may still be given."""
    for row in reading.options():
        if row.get("repeats") or row["names"][0] not in reading.given:
            for name in row["names"]:
                if name.startswith(start):
                    yield Candidate(name, re.sub(r"\s", " ", row["help"] or ""))


def _argument(reading: Reading, start: str, environ: Mapping[str, str]) -> Reply:
    """Return the values of the argument whose turn it is."""
    number = len(reading.arguments)
    for argument in reading.node.get("arguments", ()):
        words = argument["completes"]
        if reading.ended and "after" in argument:
            return _values(argument["after"], reading, start, environ)
        if argument.get("many"):
            return _values(words[min(number, len(words) - 1)], reading, start, environ)
        if number < len(words):
            return _values(words[number], reading, start, environ)
        number -= len(words)
    return Reply()


def _values(
    source: str | list[str], reading: Reading, start: str, environ: Mapping[str, str]
) -> Reply:
    """Return the values that begin with *start*: of a list, or of a source by its name.

    A source that cannot be read has none.
    """
    from itertools import islice

    from ocsync.cli.completion_values import DIRECTIVES, SOURCES

    if isinstance(source, list):
        return Reply([Candidate(word) for word in source if word.startswith(start)])
    if source in DIRECTIVES:
        return Reply(directive=DIRECTIVES[source])
    if source not in SOURCES:
        return Reply()
    try:
        rows = (Candidate(*row) for row in SOURCES[source](reading, start, environ))
        return Reply(list(islice((row for row in rows if row.word.startswith(start)), LIMIT)))
    except Exception:  # noqa: BLE001 - an error would be printed into the line that is typed
        return Reply()
