"""A plan to review: a comment in Markdown for a pull request, or a page of HTML.

Both are made from the data of `plan --json` and the first changes. They show names and values of
others, which can neither change how the rest is shown nor become a link, a mention or a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ocsync.engine.history import FieldChange
from ocsync.render import run_page
from ocsync.render.html import Markup, element
from ocsync.render.markdown_text import code, prose
from ocsync.render.planned_changes import ChangeList, PlannedChange
from ocsync.render.text import (
    assignment_text,
    count,
    duration,
    field_value_text,
    first_few,
    truncate,
)
from ocsync.store.timestamps import parse_timestamp

ROW_LIMIT = 50
"""Most changes that a report lists."""
_MARKDOWN_LIMIT = 50_000
"""Characters of Markdown after which no more changes are listed; GitHub takes 65,536."""
_NAMES = ("profile", "marketplace", "environment")
_FIELD_LIMIT, _VALUE_LENGTH, _REF_LENGTH = 12, 80, 200

PlanFacts = Mapping[str, Any]
"""The document of `plan --json`, with a ChangeList as `listed`."""


def title(facts: PlanFacts) -> str:
    """Return the title of a report."""
    if not facts["steps"]:
        return "ocsync plan: nothing to send"
    edits, requests = count(facts["entries"], "edit"), count(facts["steps"], "request")
    return f"ocsync plan: {edits}, {requests}"


def markdown(facts: PlanFacts) -> str:
    """Return the plan as Markdown."""
    return "\n".join(_markdown_lines(facts)) + "\n"


def _markdown_lines(facts: PlanFacts) -> Iterator[str]:
    yield f"### {title(facts)}"
    yield ""
    names = dict.fromkeys(filter(None, (facts[name] for name in _NAMES)))
    about = [*map(prose, names), _moment(facts["at"]), f"plan {code(facts['fingerprint'])}"]
    yield " · ".join(about)
    if facts["steps"]:
        yield ""
        yield "| kind | edits | requests | saved |"
        yield "| --- | ---: | ---: | ---: |"
        for row in facts["kinds"]:
            yield (
                f"| {row['kind']} | {row['entries']:,} | {row['steps']:,} "
                f"| {row['entries'] - row['steps']:,} |"
            )
    yield ""
    yield from (f"- {line}" for line in _target_lines(facts))
    for risk in facts["risks"]:
        advice = f" ({prose(risk['advice'])})" if risk["advice"] else ""
        yield f"- ⚠ {prose(risk['text'])}{advice}"
    listed: ChangeList = facts["listed"]
    if not facts["steps"]:
        return
    yield ""
    yield f"{_changes_title(listed)}:"
    yield ""
    if not listed.rows:
        return
    yield "| | ref | change |"
    yield "| --- | --- | --- |"
    room, shown = _MARKDOWN_LIMIT, 0
    for change in listed.rows:
        row = f"| {_SIGN_WORDS[change.sign]} | {code(_ref(change))} | {_markdown_change(change)} |"
        room -= len(row)
        if room < 0:
            break
        shown += 1
        yield row
    if more := listed.changed - shown:
        yield ""
        yield f"... and {more:,} more"


_SIGN_WORDS = {"+": "new", "~": "", "!": "⚠"}


def _ref(change: PlannedChange) -> str:
    return truncate(change.ref, _REF_LENGTH)


def _markdown_change(change: PlannedChange) -> str:
    if change.note:
        return prose(truncate(change.note, 3 * _VALUE_LENGTH))
    fields = map(_markdown_field, change.fields[:_FIELD_LIMIT])
    return ", ".join([*fields, *_more_fields(change)])


def _markdown_field(change: FieldChange) -> str:
    if not change.has_before:
        sign = "+=" if change.relative else "="
        text = assignment_text(change.path, change.after, sign)
        return code(truncate(text, 2 * _VALUE_LENGTH))
    values = (change.before, change.after)
    before, after = (code(field_value_text(change.path, v, _VALUE_LENGTH)) for v in values)
    return f"{code(truncate(change.path, _VALUE_LENGTH))} {before} → {after}"


def _more_fields(change: PlannedChange) -> list[str]:
    more = len(change.fields) - _FIELD_LIMIT
    return [f"and {count(more, 'more field')}"] if more > 0 else []


def _changes_title(listed: ChangeList) -> str:
    """Return the number of changes, how many are listed, and whether the server was read."""
    first = f" (the first {len(listed.rows):,} are listed)" if listed.omitted else ""
    if listed.is_compared:
        return f"{listed.summary()}{first}"
    return f"{listed.summary()}{first}; `plan --diff` adds the values that they replace"


def _target_lines(facts: PlanFacts) -> Iterator[str]:
    targets = facts["targets"]
    yield f"writes to {', '.join(targets['direct']) or 'no target'}"
    if targets["possible"]:
        yield f"may also resend {', '.join(targets['possible'])}"
    ends = [name for name in targets["will_unpause"] if name not in targets["direct"]]
    if ends:
        yield f"resume also unpauses {', '.join(ends)}"
    if facts["open_run"]:
        yield f"run {facts['open_run']} is not finished; resume continues it first"
    if facts["remaining"]:
        stay = "stays" if facts["remaining"] == 1 else "stay"
        yield f"{count(facts['remaining'], 'edit')} for other targets {stay} staged"


def _moment(stamp: str) -> str:
    return f"as of {parse_timestamp(stamp).strftime('%Y-%m-%d %H:%M UTC')}"


def html(facts: PlanFacts) -> str:
    """Return the plan as a page of HTML, like that of a run."""
    sections = [_risk_section(facts), _target_section(facts), _change_section(facts)]
    article = element(
        "article",
        _header(facts),
        _tiles(facts),
        *filter(None, sections),
        aria_labelledby="plan-name",
    )
    return run_page.document(title(facts), [article])


def _header(facts: PlanFacts) -> Markup:
    rows = [(name, facts[name]) for name in _NAMES]
    rows += [("as of", _moment(facts["at"])[6:]), ("plan", facts["fingerprint"])]
    tone, verdict = ("warn", "not sent yet") if facts["steps"] else ("calm", "nothing to send")
    return run_page.header("plan", "ocsync plan", title(facts), verdict, tone, rows)


def _tiles(facts: PlanFacts) -> Markup:
    saved = facts["entries"] - facts["steps"]
    percent = f"{100 * saved // facts['entries']} % fewer" if saved > 0 else ""
    numbers: list[tuple[str, str, Sequence[str]]] = [
        ("staged edits", f"{facts['entries']:,}", []),
        ("requests", f"{facts['steps']:,}", [percent]),
        ("waves", f"{facts['waves']:,}", []),
    ]
    if facts["seconds"]:
        time = f"about {duration(max(facts['seconds'], 1))}"
        numbers.append(("time", time, ["at the rate of the last run"]))
    if facts["listed"].is_compared:
        numbers.append(("changes", f"{facts['listed'].changed:,}", [facts["listed"].summary()]))
    return run_page.tiles(numbers)


def _risk_section(facts: PlanFacts) -> Markup:
    rows = [
        element(
            "li",
            risk["text"],
            *([element("p", risk["advice"], class_="note")] if risk["advice"] else []),
            *([element("p", first_few(risk["refs"]), class_="note")] if risk["refs"] else []),
            class_="warn",
        )
        for risk in facts["risks"]
    ]
    items = element("ol", *rows, class_="changes")
    return run_page.section("plan-risks", "Risks", items) if rows else Markup("")


def _target_section(facts: PlanFacts) -> Markup:
    rows = [
        [row["kind"], *(f"{n:,}" for n in (row["entries"], row["steps"]))] for row in facts["kinds"]
    ]
    head = ("kind", "edits", "requests")
    numbers = run_page.table("Edits by kind", head, rows, key="plan-kinds", texts=1)
    lines = [element("p", f"{line[:1].upper()}{line[1:]}.") for line in _target_lines(facts)]
    return run_page.section("plan-targets", "Targets", *lines, *([numbers] if rows else []))


def _change_section(facts: PlanFacts) -> Markup:
    listed: ChangeList = facts["listed"]
    if not listed.rows:
        return Markup("")
    items = element("ol", *map(_change_item, listed.rows), class_="changes")
    note = element("p", f"{_changes_title(listed).replace('`', '')}.", class_="note")
    return run_page.section("plan-changes", "Changes", note, items)


def _change_item(change: PlannedChange) -> Markup:
    fields = [] if change.note else [run_page.field_item(f) for f in change.fields[:_FIELD_LIMIT]]
    fields += [element("li", text) for text in _more_fields(change) if not change.note]
    tone = {"!": "bad", "+": "new"}.get(change.sign, "change")
    state = "new" if change.sign == "+" else ""
    return run_page.ref_item(change.ref, state, truncate(change.note, 240), fields, tone)


FORMATS: dict[str, Callable[[PlanFacts], str]] = {"markdown": markdown, "html": html}
