"""Annotations and a summary for the CI that runs the command, made from the data of --json.

GitHub Actions and Azure Pipelines read commands from the standard output and the standard error of
a step. Standard output is kept for data, so the commands go to standard error. GitHub shows ten
errors and ten warnings of a step and drops the rest silently, so no more than ten are sent.

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
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.characters import escape_invisible, replace_undecodable
from ocsync.render import ci_summary
from ocsync.render.text import count

ANNOTATION_LIMIT = 10
"""The number of annotations of each level that one command sends at most."""
_COMMAND = re.compile(r"^\s*::|##(?=\[|vso\[)", re.MULTILINE)

JsonObject = Mapping[str, Any]
"""A document, an event or an error as --json writes it."""
_REPORTED = ("error", "summary", "dry_run", "drift", "plan", "status", "window", "expire")
"""The types of events, and the commands, whose data is reported to the CI."""


class Annotation(NamedTuple):
    """An annotation; *level* is `error` or `warning`, *line* and *column* count from 1."""

    level: str
    text: str
    file: str = ""
    line: int = 0
    column: int = 0


_Annotator = Callable[[Any], Iterator[Annotation]]


def collect_annotations(facts: JsonObject) -> Iterator[Annotation]:
    """Yield the annotations for a document, an event or an error: errors, then warnings."""
    unsorted = [
        annotation
        for key, annotate in _ANNOTATORS.items()
        if facts.get(key)
        for annotation in annotate(facts[key])
    ]
    yield from sorted(unsorted, key=lambda annotation: annotation.level)


def _message_annotations(text: str) -> Iterator[Annotation]:
    yield Annotation("error", text)


def _problem_annotations(rows: Iterable[JsonObject]) -> Iterator[Annotation]:
    """Yield an error for each problem of the input, at its place, or for each failed step."""
    for row in rows:
        if "where" in row:
            value = f'"{row["value"]}"' if row["value"] else ""
            text = " ".join(filter(None, [row["field"], value, row["why"]]))
            yield Annotation("error", text, row["where"], row["line"], row["column"])
        elif row["state"] == "blocked":
            reason = row.get("message") or f"blocked by {row.get('blocked_by')}"
            yield Annotation("error", f"{row['ref']}: {reason}")
        else:
            reason = row.get("message") or f"HTTP {row.get('status')}"
            yield Annotation("error", f"{row['ref']}: {row['state']}: {reason}")


def _finding_annotations(rows: Iterable[JsonObject]) -> Iterator[Annotation]:
    meanings = {
        "differs": "differs from the values written",
        "missing": "does not exist",
        "unread": "could not be read",
    }
    for row in rows:
        if row["result"] in meanings:
            fields = ", ".join(row.get("fields", ()))
            text = f"{row['ref']} {meanings[row['result']]}"
            yield Annotation("error", f"{text}: {fields}" if fields else text)


def _delivery_annotations(facts: JsonObject) -> Iterator[Annotation]:
    if lacking := int(facts["missing"] + facts["stale"]):
        yield Annotation("error", f"{count(lacking, 'message')} missing or outdated")


def _errors(text_of: Callable[[Any], str]) -> _Annotator:
    """Return an annotator that makes an error from the text of each row, if it has one."""
    return lambda rows: (Annotation("error", text) for row in rows if (text := text_of(row)))


def _warnings(text_of: Callable[[Any], str]) -> _Annotator:
    """Return an annotator that makes a warning from the text of each row."""
    return lambda rows: (Annotation("warning", text_of(row)) for row in rows)


_ANNOTATORS: dict[str, _Annotator] = {
    "message": _message_annotations,
    "problems": _problem_annotations,
    "findings": _finding_annotations,
    "verified": lambda facts: _finding_annotations(facts["findings"]),
    "delivery": _delivery_annotations,
    "failed": _errors(lambda row: f"{row['ref']}: {row['message']}"),
    "changes": _errors(lambda row: row["conflict"] and f"{row['ref']}: {row['conflict']}"),
    "risks": _warnings(lambda risk: risk["text"]),
    "overdue": _warnings(lambda name: f"{name} is paused and overdue: ocsync status"),
    "drifted": _warnings(lambda name: f"{name}: someone else unpaused it"),
    "unpaused_by_others": _warnings(
        lambda name: f"{name} was unpaused by someone else before the command ended"
    ),
    "changed": _warnings(lambda name: f"{name}: its sync config was changed while it was paused"),
}
"""The annotators by the member that they read; a member means the same in every document."""


def _escape(value: object, extra: str = "", *, percent: str = "%25") -> str:
    text = str(value).replace("%", percent)
    for character in "\r\n" + extra:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def escape_ci_commands(text: str) -> str:
    """Return *text* without CI commands, which a name or a message of others may contain."""
    return _COMMAND.sub(lambda match: match[0][:-1] + " " + match[0][-1], text)


def escape_ci_json(text: str) -> str:
    """Return JSON *text* without CI commands and with the same data."""
    return text.replace("##[", "##\\u005b").replace("##vso[", "##vso\\u005b")


class Ci(ABC):
    """A CI that runs this command; *argv* has the path of a file that a problem names."""

    root_variable = ""

    def __init__(self, environ: Mapping[str, str], argv: Sequence[str]) -> None:
        self.environ = environ
        self._argv = argv
        self._sent: Counter[str] = Counter()

    @abstractmethod
    def annotation_command(self, annotation: Annotation) -> str:
        """Return the CI's command for *annotation*."""

    @abstractmethod
    def add_summary(self, text: str, facts: JsonObject) -> None:
        """Add *text*, Markdown, to what the CI shows with the job. Raises OSError."""

    def report(self, facts: JsonObject) -> None:
        """Send the annotations and the summary of a document, an event or an error."""
        if facts.get("type", facts.get("command")) not in _REPORTED:
            return
        by_level = groupby(collect_annotations(facts), key=lambda annotation: annotation.level)
        for level, group in by_level:
            self._annotate(list(group), level)
        text = escape_invisible(ci_summary.summary(facts), keep="\n\t")
        if text:
            with suppress(OSError):  # a summary that cannot be written fails nothing
                self.add_summary(text, facts)

    def send_command(self, line: str) -> None:
        """Write *line*, a command, to standard error."""
        with suppress(OSError):
            sys.stderr.write(replace_undecodable(line) + "\n")

    def _annotate(self, batch: list[Annotation], level: str) -> None:
        """Send *batch*, as many as there is room for; the last one counts the rest."""
        room = ANNOTATION_LIMIT - self._sent[level]
        if len(batch) > room > 0:
            rest = f"and {len(batch) - room + 1:,} more; see the log"
            batch = [*batch[: room - 1], Annotation(level, rest)]
        for annotation in batch[: max(room, 0)]:
            self._sent[level] += 1
            text = escape_invisible(annotation.text, keep="\n")
            shown = self._with_repository_path(annotation._replace(text=text))
            self.send_command(self.annotation_command(shown))

    def _with_repository_path(self, annotation: Annotation) -> Annotation:
        """Return *annotation* with its file's path in the repository.

        Where no argument of the command line names the file, the text begins with its name.
        """
        word = next(
            (w for w in self._argv if annotation.file and Path(w).name == annotation.file), ""
        )
        if not word:
            position = ":".join(str(part) for part in (annotation.file, annotation.line) if part)
            return Annotation(annotation.level, f"{position} {annotation.text}".strip())
        path, root = Path(word).absolute(), self.environ.get(self.root_variable)
        if root and path.is_relative_to(root):
            word = path.relative_to(root).as_posix()
        return annotation._replace(file=word)


class GitHub(Ci):
    """GitHub Actions."""

    root_variable = "GITHUB_WORKSPACE"

    def annotation_command(self, annotation: Annotation) -> str:
        """Return `::error file=...::TEXT`."""
        properties = {
            "file": annotation.file,
            "line": annotation.line,
            "col": annotation.column,
            "title": "ocsync",
        }
        pairs = [f"{name}={_escape(value, ':,')}" for name, value in properties.items() if value]
        return f"::{annotation.level} {','.join(pairs)}::{_escape(annotation.text)}"

    def add_summary(self, text: str, facts: JsonObject) -> None:
        """Append *text* to the step's summary."""
        del facts
        if path := self.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text + "\n")


class Azure(Ci):
    """Azure Pipelines, which has an escape of its own for the percent sign."""

    root_variable = "BUILD_SOURCESDIRECTORY"

    def annotation_command(self, annotation: Annotation) -> str:
        """Return `##vso[task.logissue ...]TEXT`."""
        properties = {
            "type": annotation.level,
            "sourcepath": annotation.file,
            "linenumber": annotation.line,
            "columnnumber": annotation.column,
        }
        pairs = "".join(
            f"{name}={_escape(value, ';]', percent='%AZP25')};"
            for name, value in properties.items()
            if value
        )
        return f"##vso[task.logissue {pairs}]{_escape(annotation.text, percent='%AZP25')}"

    def add_summary(self, text: str, facts: JsonObject) -> None:
        """Write *text* into the run's folder, or a temporary one, and upload the file."""
        import tempfile

        from ocsync.store.files import real_path, write_atomically

        folder = facts.get("folder") or self.environ.get("AGENT_TEMPDIRECTORY")
        path = real_path(Path(folder or tempfile.gettempdir())) / f"summary-{os.getpid()}.md"
        write_atomically(path, text.encode())
        self.send_command(f"##vso[task.uploadsummary]{path}")


def detect_ci() -> Ci | None:
    """Return the CI that this command runs in, if it takes annotations."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return GitHub(os.environ, sys.argv)
    if os.environ.get("TF_BUILD", "").casefold() == "true":
        return Azure(os.environ, sys.argv)
    return None
