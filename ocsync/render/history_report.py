"""Reports of a run: JUnit XML, Markdown and CSV for other tools, HTML for people.

Those that people read show characters that cannot be seen as escapes, as a terminal does. CSV is
data, so its cells hold every text as it is.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

import msgspec

from ocsync.characters import escape_invisible
from ocsync.models import Sign, State
from ocsync.render.findings import answered_text, sign_counts
from ocsync.render.history import requests_text, step_remark
from ocsync.render.markdown_text import code, prose
from ocsync.render.run_page import html_page
from ocsync.render.status import ending_text
from ocsync.render.text import assignment_text, count, duration

if TYPE_CHECKING:
    from ocsync.engine.history import RunDetails, StepRow

_PROBLEM_LIMIT = 1000
"""The number of problems in a Markdown report: GitHub takes a summary of one mebibyte."""
_FAILURES = (State.FAILED.value, State.CONFLICT.value)
_SIGN_WORDS = {
    Sign.MOVED.value: "moved",
    Sign.DIFFERS.value: "differs",
    Sign.MISSING.value: "missing",
    Sign.UNREAD.value: "unread",
}


def junit(details: RunDetails) -> str:
    """Return JUnit XML: a test suite with a case for each step.

    Steps that failed, conflicted or differ in the verification are failures. Those with an unknown
    outcome or unread by the verification are errors. Those blocked or never sent are skipped. If a
    run ended with a problem that none of them shows, a case of its own fails.
    """
    info = details.info
    suite = Xml.Element(
        "testsuite",
        name=_xml_text(f"ocsync {info.kind} {info.id}"),
        time=f"{info.seconds:.3f}",
    )
    if info.started:
        suite.set("timestamp", _utc_text(info.started))
    properties = Xml.SubElement(suite, "properties")
    names = ("marketplace", "user", "command", "requests", "exit_code")
    facts = {name: getattr(info, name) for name in names}
    facts |= {f"paused.{name}": f"{seconds:.0f}" for name, seconds in info.paused_seconds.items()}
    for name, value in facts.items():
        Xml.SubElement(properties, "property", name=name, value=_xml_text(str(value)))
    counts = Counter({"failure": 0, "error": 0, "skipped": 0})
    for row in details.steps:
        tag = _add_case(suite, row)
        counts[tag] += bool(tag)
    if info.exit_code and not (counts["failure"] or counts["error"]):
        case = Xml.SubElement(suite, "testcase", classname=info.kind, name="end of the run")
        reason = ending_text(info.state, info.exit_code)
        Xml.SubElement(case, "failure", message=reason, type=f"exit code {info.exit_code}")
        counts["failure"] += 1
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    suite.set("skipped", str(counts["skipped"]))
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "unicode") + "\n"


def _add_case(suite: Xml.Element, row: StepRow) -> str:
    """Add the case of *row* to *suite*; return its tag for a problem, empty if there is none."""
    case = Xml.SubElement(suite, "testcase", classname=row.ref.partition("/")[0])
    case.set("name", _xml_text(f"{row.method} {row.ref}"))
    case.set("time", f"{row.seconds:.3f}")
    tag, kind = _verdict(row)
    if tag:
        remark = _xml_text(step_remark(row))
        element = Xml.SubElement(case, tag, message=remark)
        if tag != "skipped":
            element.set("type", _xml_text(row.code or kind))
            element.text = remark
    elif text := step_remark(row, plain=True):
        Xml.SubElement(case, "system-out").text = _xml_text(text)
    return tag


def _verdict(row: StepRow) -> tuple[str, str]:
    if row.state in _FAILURES:
        return "failure", row.state
    if row.state == State.UNKNOWN.value:
        return "error", row.state
    if row.state not in (State.DONE.value, State.UNCHANGED.value):
        return "skipped", row.state
    if row.sign in (Sign.DIFFERS.value, Sign.MISSING.value):
        return "failure", _SIGN_WORDS[row.sign]
    return ("error", "unread") if row.sign == Sign.UNREAD.value else ("", "")


def _xml_text(text: str) -> str:
    """Return *text* with what cannot be seen as escapes, as on a terminal: XML holds all others."""
    return escape_invisible(text, keep="\t\n")


def _utc_text(timestamp: str) -> str:
    """Return *timestamp* in UTC without a zone, for which JUnit's schema has no place."""
    return datetime.fromisoformat(timestamp).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def markdown(details: RunDetails) -> str:
    """Return Markdown: the end of the run, a row for each kind, and the problems."""
    return "\n".join(_markdown_lines(details)) + "\n"


def _markdown_lines(details: RunDetails) -> Iterator[str]:
    info = details.info
    yield f"## ocsync {info.kind} {info.id}: {ending_text(info.state, info.exit_code)}"
    yield ""
    facts = [count(info.steps, "step"), requests_text(info), duration(info.seconds)]
    yield f"{prose(info.marketplace)}, {', '.join(facts)}, by {prose(info.user)}"
    if info.plan:
        yield f"plan {code(info.plan)}"
    yield ""
    used = [state.value for state in State if info.counts.get(state.value)]
    if used:
        yield _row("kind", *used, "verified")
        yield _row("---", *("---:" for _ in used), "---")
        for kind, counts in info.kinds.items():
            cells = [f"{counts.get(state, 0):,}" for state in used]
            yield _row(kind, *cells, sign_counts(info.verified_kinds.get(kind, {})))
        yield ""
    if info.by_answer:
        yield answered_text(info.by_answer)
        yield ""
    for name, seconds in info.paused_seconds.items():
        yield f"- {name} was paused for {duration(seconds)}"
    if info.paused_seconds:
        yield ""
    problems = [row for row in details.steps if _verdict(row)[0]]
    if problems:
        yield _row("step", "ref", "state", "reason")
        yield _row("---:", "---", "---", "---")
        for row in problems[:_PROBLEM_LIMIT]:
            remark = prose(step_remark(row, plain=True))
            yield _row(str(row.number), code(row.ref), row.state, remark)
        if len(problems) > _PROBLEM_LIMIT:
            yield ""
            yield f"... and {len(problems) - _PROBLEM_LIMIT:,} more"


def _row(*cells: str) -> str:
    """Return a row of a table of *cells*, which are Markdown already."""
    return f"| {' | '.join(cells)} |"


_FIELDS = ("number", "wave", "ref", "method", "state", "status", "code", "message", "blocked_by")


def csv_table(details: RunDetails) -> str:
    """Return CSV with a row for each step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("kind", *_FIELDS, "seconds", "verified", "found", "log_id"))
    for row in details.steps:
        kind = row.ref.partition("/")[0]
        facts = msgspec.structs.asdict(row)
        cells = [facts[name] for name in _FIELDS]
        differing = "; ".join(assignment_text(path, v["found"]) for path, v in row.found.items())
        verified = _SIGN_WORDS.get(row.sign, "")
        writer.writerow((kind, *cells, f"{row.seconds:g}", verified, differing, row.log_id))
    return text.getvalue()


FORMATS: dict[str, Callable[[RunDetails], str]] = {
    "junit": junit,
    "markdown": markdown,
    "csv": csv_table,
    "html": html_page,
}
