"""What a CI is told beside the text: annotations and a summary, made of the facts that --json has.

GitHub Actions and Azure Pipelines take commands out of what a step writes, from standard output and
standard error alike. Standard output stays data, so they go to standard error. GitHub shows ten
errors and ten warnings of a step and drops the rest unsaid, so no more are sent.

    ::error file=stock.csv,line=17,col=2::QuantityAvailable "many" is not a whole number
    ##vso[task.logissue type=error;sourcepath=stock.csv;linenumber=17;columnnumber=2;]...
"""

from __future__ import annotations

import os
import re
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.render import ci_summary

MOST = 10
"""How many annotations of a level one command sends."""
_COMMAND = re.compile(r"^\s*::|##(?=\[|vso\[)", re.MULTILINE)

Facts = Mapping[str, Any]
_TOLD = ("error", "summary", "dry-run", "plan", "status", "window", "expire")
"""The types of events and the commands whose facts are passed on."""


class Note(NamedTuple):
    """An annotation; *level* is `error` or `warning`, *line* and *column* count from 1."""

    level: str
    text: str
    file: str = ""
    line: int = 0
    column: int = 0


def notes(facts: Facts) -> Iterator[Note]:
    """What of a command's answer, or its error, deserves an annotation; the worst first."""
    found = [note for key, read in _READERS.items() if facts.get(key) for note in read(facts[key])]
    yield from sorted(found, key=lambda note: note.level)


def _message(text: str) -> Iterator[Note]:
    yield Note("error", text)


def _problems(rows: Iterable[Facts]) -> Iterator[Note]:
    """What is wrong with the input, by its place; or the steps that are not settled."""
    for row in rows:
        if "where" in row:
            value = f'"{row["value"]}"' if row["value"] else ""
            text = " ".join(filter(None, [row["field"], value, row["why"]]))
            yield Note("error", text, row["where"], row["line"], row["column"])
        elif row["state"] == "blocked":
            yield Note("error", f"{row['ref']}: blocked by {row.get('because')}")
        else:
            why = row.get("message") or f"HTTP {row.get('status')}"
            yield Note("error", f"{row['ref']}: {row['state']}: {why}")


def _findings(rows: Iterable[Facts]) -> Iterator[Note]:
    words = {"*": "differs from what was written", "-": "is missing", "!": "could not be read"}
    for row in rows:
        if row["sign"] in words:
            fields = ", ".join(row.get("fields", ()))
            yield Note("error", f"{row['ref']} {words[row['sign']]} {fields}".rstrip())


def _delivery(facts: Facts) -> Iterator[Note]:
    if lacking := int(facts["missing"] + facts["stale"]):
        yield Note("error", f"{lacking:,} messages did not arrive as written")


def _each(level: str, say: Callable[[Any], str]) -> Callable[[Iterable[Any]], Iterator[Note]]:
    def read(rows: Iterable[Any]) -> Iterator[Note]:
        yield from (Note(level, text) for row in rows if (text := say(row)))

    return read


_READERS: dict[str, Callable[[Any], Iterator[Note]]] = {
    "message": _message,
    "problems": _problems,
    "findings": _findings,
    "verified": lambda facts: _findings(facts["findings"]),
    "delivery": _delivery,
    "failed": _each("error", lambda row: f"{row['ref']}: {row['message']}"),
    "changes": _each("error", lambda row: row["conflict"] and f"{row['ref']}: {row['conflict']}"),
    "risks": _each("warning", lambda risk: risk["text"]),
    "overdue": _each("warning", lambda name: f"{name} is paused and overdue: ocsync status"),
    "drifted": _each("warning", lambda name: f"{name}: our pause was lifted by somebody else"),
    "gone": _each("warning", lambda name: f"{name} was lifted before the command ended"),
    "changed": _each("warning", lambda name: f"{name}: its sync config was changed meanwhile"),
}
"""What the members of an answer say; the same name means the same in every command's."""


def _escaped(value: object, more: str = "", *, percent: str = "%25") -> str:
    text = str(value).replace("%", percent)
    for sign in "\r\n" + more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def escape_ci_commands(text: str) -> str:
    """*text* without anything that a CI would carry out: names and messages are not ours."""
    return _COMMAND.sub(lambda found: found[0][:-1] + " " + found[0][-1], text)


def harmless_json(text: str) -> str:
    """The same for JSON, which stays the same data."""
    return text.replace("##[", "##\\u005b").replace("##vso[", "##vso\\u005b")


class Ci(ABC):
    """The CI that this command runs in. *argv* tells which file the name in a problem means."""

    root_variable = ""

    def __init__(self, environ: Mapping[str, str], argv: Sequence[str]) -> None:
        self.environ = environ
        self._argv = argv
        self._sent: Counter[str] = Counter()

    @abstractmethod
    def annotation(self, note: Note) -> str:
        """The command for *note*."""

    @abstractmethod
    def summarise(self, text: str, facts: Facts) -> None:
        """Give it *text*, Markdown, to show with the job. Raises OSError."""

    def hear(self, facts: Facts) -> None:
        """Pass on what an answer, an event or an error has for the CI."""
        if facts.get("type", facts.get("command")) not in _TOLD:
            return
        found = list(notes(facts))
        for level in ("error", "warning"):
            self._send([note for note in found if note.level == level], level)
        text = ci_summary.summary(facts)
        if text:
            with suppress(OSError):  # a summary that cannot be written fails nothing
                self.summarise(text, facts)

    def write(self, line: str) -> None:
        """Send a command."""
        with suppress(OSError):
            sys.stderr.write(line + "\n")

    def _send(self, found: list[Note], level: str) -> None:
        room = MOST - self._sent[level]
        if len(found) > room > 0:
            more = len(found) - room + 1
            found = [*found[: room - 1], Note(level, f"and {more:,} more, in the log")]
        for note in found[: max(room, 0)]:
            self._sent[level] += 1
            self.write(self.annotation(self._placed(note)))

    def _placed(self, note: Note) -> Note:
        """The file by its path in the repository, as far as the command line tells it."""
        word = next((w for w in self._argv if note.file and Path(w).name == note.file), "")
        if not word:
            place = ":".join(str(part) for part in (note.file, note.line) if part)
            return Note(note.level, f"{place} {note.text}".strip())
        path, root = Path(word).absolute(), self.environ.get(self.root_variable)
        if root and path.is_relative_to(root):
            word = path.relative_to(root).as_posix()
        return note._replace(file=word)


class GitHub(Ci):
    """GitHub Actions."""

    root_variable = "GITHUB_WORKSPACE"

    def annotation(self, note: Note) -> str:
        """`::error file=...::`."""
        places = {"file": note.file, "line": note.line, "col": note.column, "title": "ocsync"}
        within = [f"{name}={_escaped(value, ':,')}" for name, value in places.items() if value]
        return f"::{note.level} {','.join(within)}::{_escaped(note.text)}"

    def summarise(self, text: str, facts: Facts) -> None:
        """Append it to the step's summary."""
        del facts
        if place := self.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(text + "\n")


class Azure(Ci):
    """Azure Pipelines, which has an escape of its own for the percent sign."""

    root_variable = "BUILD_SOURCESDIRECTORY"

    def annotation(self, note: Note) -> str:
        """`##vso[task.logissue ...]`."""
        places = {"type": note.level, "sourcepath": note.file, "linenumber": note.line,
                  "columnnumber": note.column}  # fmt: skip
        within = "".join(
            f"{name}={_escaped(value, ';]', percent='%AZP25')};"
            for name, value in places.items()
            if value
        )
        return f"##vso[task.logissue {within}]{_escaped(note.text, percent='%AZP25')}"

    def summarise(self, text: str, facts: Facts) -> None:
        """Write it into the run's folder, else a temporary one, and tell where."""
        import tempfile

        from ocsync.store.files import write_atomically

        place = facts.get("folder") or self.environ.get("AGENT_TEMPDIRECTORY")
        path = Path(place or tempfile.gettempdir()).absolute() / f"summary-{os.getpid()}.md"
        write_atomically(path, text.encode())
        self.write(f"##vso[task.uploadsummary]{path}")


def here() -> Ci | None:
    """The CI that this runs in, if it is one that can be told something."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return GitHub(os.environ, sys.argv)
    if os.environ.get("TF_BUILD", "").casefold() == "true":
        return Azure(os.environ, sys.argv)
    return None
