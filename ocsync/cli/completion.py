"""Shell completion from the outline of the command line, in the words of typer's own.

The scripts that `--install-completion` writes ask at each press of the tabulator key. An answer
that takes reading an option's value as typer does is left to typer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ocsync.cli.outline import read_outline

_UNUSUAL = set("'\"\\\v\f\x1c\x1d\x1e\x1f")
"""Characters for which the words of a command line are not what stands between its blanks."""


class Answer(NamedTuple):
    """Text for standard output, and the exit code."""

    text: str
    code: int = 0


class Candidate(NamedTuple):
    """A word that completes the line; *help* describes it where there is something to say."""

    word: str
    help: str = ""


class _Line(NamedTuple):
    """A command line to complete: its whole *words* after the program, and the *start* of one."""

    words: list[str]
    start: str


def complete(environ: Mapping[str, str]) -> Answer | None:
    """Return the answer to the shell that set the variables; None to leave it to typer."""
    instruction, _, shell = environ["_OCSYNC_COMPLETE"].partition("_")
    if instruction != "complete" or shell not in _SHELLS:
        return None
    read, write = _SHELLS[shell]
    line = read(environ)
    found = None if line is None else _candidates(line)
    return None if found is None else write(found, environ)


def _split(text: str) -> list[str] | None:
    return text.split() if text.isascii() and not _UNUSUAL.intersection(text) else None


def _read_bash(environ: Mapping[str, str]) -> _Line | None:
    words, number = _split(environ.get("COMP_WORDS", "")), environ.get("COMP_CWORD", "")
    if words is None or not number.isdecimal():
        return None
    position = int(number)
    return _Line(words[1:position], words[position] if position < len(words) else "")


def _read_typed(environ: Mapping[str, str]) -> _Line | None:
    text = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(text)
    if words is None:
        return None
    if words[1:] and not text.endswith(" "):
        return _Line(words[1:-1], words[-1])
    return _Line(words[1:], "")


def _read_powershell(environ: Mapping[str, str]) -> _Line | None:
    words = _split(environ.get("_TYPER_COMPLETE_ARGS", ""))
    start = environ.get("_TYPER_COMPLETE_WORD_TO_COMPLETE", "")
    return None if words is None else _Line(words[1:-1] if start else words[1:], start)


def _write_bash(found: list[Candidate], _: Mapping[str, str]) -> Answer:
    return Answer("\n".join(one.word for one in found) + "\n")


def _write_zsh(found: list[Candidate], _: Mapping[str, str]) -> Answer:
    def escape(text: str) -> str:
        text = text.replace('"', '""').replace("'", "''")
        return text.replace("$", "\\$").replace("`", "\\`").replace(":", "\\\\:")

    lines = [
        f'"{escape(one.word)}"' + (f':"{escape(one.help)}"' if one.help else "") for one in found
    ]
    if not lines:
        return Answer("_files\n")
    return Answer("_arguments '*: :((" + "\n".join(lines) + "))'\n")


def _write_fish(found: list[Candidate], environ: Mapping[str, str]) -> Answer:
    action = environ.get("_TYPER_COMPLETE_FISH_ACTION", "")
    if action == "is-args":
        return Answer("", 0 if found else 1)
    lines = [f"{one.word}\t{one.help}" if one.help else one.word for one in found]
    return Answer("\n".join(lines if action == "get-args" else []) + "\n")


def _write_powershell(found: list[Candidate], _: Mapping[str, str]) -> Answer:
    return Answer("\n".join(f"{one.word}:::{one.help or ' '}" for one in found) + "\n")


_Reader = Callable[[Mapping[str, str]], _Line | None]
_Writer = Callable[[list[Candidate], Mapping[str, str]], Answer]
_SHELLS: dict[str, tuple[_Reader, _Writer]] = {
    "bash": (_read_bash, _write_bash),
    "zsh": (_read_typed, _write_zsh),
    "fish": (_read_typed, _write_fish),
    "powershell": (_read_powershell, _write_powershell),
    "pwsh": (_read_powershell, _write_powershell),
}


class _Reading:
    """A reading of the whole words of a line: the command they lead to, and what it has got.

    *pending* is the option that lacks a value, if one does.
    """

    def __init__(self, outline: Mapping[str, Any]) -> None:
        self._outline = outline
        self.path = ""
        self.given: set[str] = set()
        self.arguments = 0
        self.pending: Mapping[str, Any] = {}
        self._lacking = 0

    @property
    def node(self) -> Mapping[str, Any]:
        """Command that the words lead to so far."""
        node: Mapping[str, Any] = self._outline["commands"][self.path]
        return node

    def options(self) -> list[Mapping[str, Any]]:
        """Return the options of the command, as its help lists them."""
        common = [] if "commands" in self.node else self._outline["common"]
        return [*self.node["options"], *common]

    def take(self, word: str) -> bool:
        """Take the next word; return False for one that typer must read."""
        if self._lacking:
            return self._take_value(word)
        if not self._is_own(word):
            self.enter_default()
        if word.startswith("-") and word != "-":
            return self._take_option(word)
        if "commands" not in self.node:
            self.arguments += 1
            return True
        if not self._is_own(word):
            return False
        self._enter(word)
        return True

    def enter_default(self) -> None:
        """Go on to the command that a group runs when none is named, if it has one."""
        if "default" in self.node and not self.given:
            self._enter(self.node["default"])

    def _is_own(self, word: str) -> bool:
        """Return whether a group has a command *word*, or that asks for the group's help."""
        return word in ("-h", "--help", *(row[0] for row in self.node.get("commands", ())))

    def _enter(self, name: str) -> None:
        self.path = f"{self.path} {name}".strip()
        self.given, self.arguments = set(), 0

    def _take_option(self, word: str) -> bool:
        option = next((row for row in self.options() if word in row["names"]), None)
        if option is None:
            return False
        self._lacking = option.get("takes", 0)
        if self._lacking:
            self.pending = option
        else:
            self.given.add(option["names"][0])
        return True

    def _take_value(self, word: str) -> bool:
        self._lacking -= 1
        if not self._lacking:
            self.given.add(self.pending["names"][0])
            self.pending = {}
        return not word.startswith("-")


def _candidates(line: _Line) -> list[Candidate] | None:
    """Return the words that may complete *line*; None where typer must tell."""
    if "=" in line.start or "--" in line.words:
        return None
    reading = _Reading(read_outline())
    if not all(reading.take(word) for word in line.words):
        return None
    reading.enter_default()
    if line.start.startswith("-"):
        return list(_options(reading, line.start))
    if not reading.pending and "commands" in reading.node:
        rows = reading.node["commands"]
        return [Candidate(*row[:2]) for row in rows if row[0].startswith(line.start)]
    values = reading.pending.get("values") if reading.pending else _values(reading)
    return [Candidate(value) for value in values or () if value.startswith(line.start)]


def _options(reading: _Reading, start: str) -> Iterator[Candidate]:
    """Yield the names of the options that may still be given."""
    for row in reading.options():
        if row.get("repeats") or row["names"][0] not in reading.given:
            for name in row["names"]:
                if name.startswith(start):
                    yield Candidate(name, re.sub(r"\s", " ", row["help"] or ""))


def _values(reading: _Reading) -> list[str]:
    """Return the values of the argument whose turn it is."""
    for number, argument in enumerate(reading.node["arguments"]):
        if argument.get("many") or number >= reading.arguments:
            values: list[str] = argument["values"]
            return values
    return []
