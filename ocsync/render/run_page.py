"""A run as a page of HTML: one file without scripts, which loads nothing from anywhere.

A Content-Security-Policy forbids all but the page's own style sheet. The page follows the light or
dark scheme of the reader, has one column on a narrow screen, and its charts have their numbers as
tables. It stays below a mebibyte: long lists end early, and say so.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from ocsync import __version__
from ocsync.field_paths import MISSING
from ocsync.models import Finding, Sign, State
from ocsync.render import chart
from ocsync.render.chart import Frame, Mark, Series
from ocsync.render.findings import answered_text, fields_text
from ocsync.render.history import step_remark
from ocsync.render.html import Markup, element
from ocsync.render.status import ending_text
from ocsync.render.text import LINE_LIMIT, count, duration, field_value_text, truncate
from ocsync.render.timeline import Buckets, Timeline, buckets, timeline
from ocsync.store import RunInfo
from ocsync.store.timestamps import parse_timestamp

if TYPE_CHECKING:
    from ocsync.engine.history import FieldChange, RunDetails, StepRow

ROW_LIMIT, _FINDING_LIMIT = 2000, 200
"""The most changes and other findings that a page lists."""
_CHANGES_BYTES, _FINDINGS_BYTES = 700_000, 60_000
"""The most bytes that they take, which long names reach first."""
_FIELD_LIMIT, _VALUE_LENGTH, _TEXT_LENGTH, _REF_LENGTH = 12, 80, 240, 400
_TABLE_ROWS = 60
_LEAST_HEIGHT = 0.03
_MOST_BANDS = 100
"""The most phases and waves that a chart shows."""
_ORDER = (
    State.FAILED.value, State.UNKNOWN.value, State.CONFLICT.value, State.BLOCKED.value, "not sent",
    State.DONE.value, State.UNCHANGED.value,
)  # fmt: skip
_TONES = {
    State.DONE.value: "good", State.UNCHANGED.value: "calm", State.FAILED.value: "bad",
    State.CONFLICT.value: "bad", State.UNKNOWN.value: "bad",
}  # fmt: skip
_SIGN_WORDS = {
    Sign.SAME.value: "as written", Sign.MOVED.value: "sold since", Sign.DIFFERS.value: "differ",
    Sign.MISSING.value: "missing", Sign.UNREAD.value: "unread",
}  # fmt: skip
_SIGNS = {"good": "✓", "calm": "=", "bad": "✗", "warn": "!"}


def html_page(details: RunDetails) -> str:
    """Return the page of one run."""
    info = details.info
    title = f"ocsync {info.kind} {info.id}: {ending_text(info.state, info.exit_code)}"
    return document(title, [run_article(details)])


def document(title: str, articles: Sequence[Markup]) -> str:
    """Return a whole page with *articles*."""
    style = files("ocsync.render").joinpath("run_page.css").read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(style)),
    )
    body = element(
        "body",
        element("main", *articles),
        element("footer", element("p", f"Written by ocsync {__version__}.")),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def run_article(details: RunDetails) -> Markup:
    """Return the article of one run: its end, its numbers, its charts and its changes."""
    info = details.info
    key = f"run-{info.id}"
    return element(
        "article",
        _header(info, key),
        tiles(_numbers(details)),
        *_pace_sections(details, key),
        *_arrival_section(info, key),
        _kinds_section(info, key),
        *_change_section(details, key),
        *_finding_section(details, key),
        aria_labelledby=f"{key}-name",
    )


def section(key: str, title: str, *children: Markup) -> Markup:
    """Return a section with a title, whose ID is *key*."""
    return element("section", element("h2", title, id=key), *children, aria_labelledby=key)


def _header(info: RunInfo, key: str) -> Markup:
    facts = [
        ("marketplace", info.marketplace), ("command", info.command), ("by", info.user),
        ("started", _moment(info.started)), ("ended", _moment(info.ended)),
        ("undoes run", ", ".join(info.reverts)), ("plan", info.plan),
    ]  # fmt: skip
    ending = ending_text(info.state, info.exit_code)
    return header(key, f"ocsync {info.kind}", f"Run {info.id}", ending, _verdict_tone(info), facts)


def header(
    key: str, kicker: str, title: str, verdict: str, tone: str, facts: Sequence[tuple[str, str]]
) -> Markup:
    """Return the header of an article whose name is *title*; empty *facts* are left out."""
    rows = [
        element("div", element("dt", name), element("dd", truncate(value, _TEXT_LENGTH)))
        for name, value in facts
        if value
    ]
    return element(
        "header",
        element("p", kicker, class_="kicker"),
        element("h1", title, id=f"{key}-name"),
        element(
            "p", element("span", _SIGNS[tone], aria_hidden="true", class_="sign"), " ", verdict,
            class_=f"verdict {tone}",
        ),
        element("dl", *rows, class_="facts"),
    )  # fmt: skip


def _verdict_tone(info: RunInfo) -> str:
    if info.state == "open":
        return "warn"
    return "bad" if info.exit_code else "good"


def _moment(stamp: str) -> str:
    return parse_timestamp(stamp).strftime("%Y-%m-%d %H:%M:%S UTC") if stamp else ""


def tiles(numbers: Iterable[tuple[str, str, Sequence[str]]]) -> Markup:
    """Return tiles, each with a name, a number and lines below it."""
    rows = [
        element(
            "div",
            element("dt", name),
            element("dd", number, class_="number"),
            *(element("dd", line, class_="detail") for line in lines if line),
            class_="tile",
        )
        for name, number, lines in numbers
    ]
    return element("dl", *rows, class_="tiles")


def _numbers(details: RunDetails) -> Iterator[tuple[str, str, Sequence[str]]]:
    info = details.info
    states = [f"{number:,} {state}" for state, number in _states(info)]
    yield "steps", f"{info.steps:,}", [", ".join(states)]
    edits = count(info.entries, "staged edit") if info.kind == "resume" else ""
    throttled = sum(sample.throttled for sample in details.pace.samples)
    refused = f"{throttled:,} refused by the rate limit" if throttled else ""
    at_least = "at least " if info.requests_at_least else ""
    yield "requests", f"{at_least}{info.requests:,}", [edits and f"for {edits}", refused]
    rate = info.requests / info.seconds if info.seconds else 0
    yield "time", duration(info.seconds), [f"{rate:,.0f}/s" if rate else ""]
    for target, seconds in info.paused_seconds.items():
        yield f"{target} paused", duration(seconds), []
    if info.verified:
        answered = answered_text(info.by_answer) if info.by_answer else ""
        yield (
            "verified",
            f"{sum(info.verified.values()):,}",
            [_verified_text(info.verified), answered],
        )
    if info.delivery:
        numbers = {
            name: int(info.delivery.get(name, 0)) for name in ("missing", "stale", "arrived")
        }
        due = sum(numbers.values())
        late = [f"{numbers[name]:,} {name}" for name in ("missing", "stale") if numbers[name]]
        yield "messages arrived", f"{numbers['arrived']:,}", [f"of {due:,}", ", ".join(late)]


def _verified_text(counts: Mapping[str, int]) -> str:
    """Return the number of refs with each sign in words."""
    return ", ".join(f"{counts[s]:,} {word}" for s, word in _SIGN_WORDS.items() if counts.get(s))


def _states(info: RunInfo) -> list[tuple[str, int]]:
    counts = [(state.value, info.counts.get(state.value, 0)) for state in State]
    return [(state, number) for state, number in counts if number]


def _pace_sections(details: RunDetails, key: str) -> Iterator[Markup]:
    line = timeline(details.pace.samples)
    if not line.samples:
        return
    parts = buckets(line)
    source = (
        "" if details.pace.measured
        else "This run has no record of its pace. The charts come from the times in its "
        "log, which has no reads and no refused attempts."
    )  # fmt: skip
    notes = [element("p", source, class_="note")] if source else []
    yield section(
        f"{key}-rate", "Requests per second", *notes, _rate_chart(line, parts, key),
        *_wait_notes(line), _numbers_table(line, f"{key}-rate"),
    )  # fmt: skip
    if any(parts.in_flight):
        yield section(f"{key}-flight", "Requests in flight", _flight_chart(line, parts, key))


def _frame(line: Timeline, key: str, title: str, description: str) -> Frame:
    bands = line.bands if 1 < len(line.bands) <= _MOST_BANDS else ()
    return Frame(key, title, description, line.seconds, bands, line.waits, line.breaks)


def _rate_chart(line: Timeline, parts: Buckets, key: str) -> Markup:
    sent = sum(sample.sent for sample in line.samples)
    peak, mean = max(parts.sent), sent / line.seconds
    text = (
        f"{count(sent, 'request')} within {duration(line.seconds)}: "
        f"{mean:,.0f} per second on average, {peak:,.0f} at most"
    )
    rows = [
        Series("sent", parts.sent, "area sent"),
        Series("refused by the rate limit", parts.throttled, "area throttled", _LEAST_HEIGHT),
        Series("failed", parts.failed, "area failed", _LEAST_HEIGHT),
    ]
    used = [row for row in rows if any(row.values) or row.name == "sent"]
    hints = [_rate_hint(parts, index) for index in range(len(parts.sent))]
    frame = _frame(line, f"{key}-rate-chart", "Requests per second", text)
    more = [("waiting", "wait")] if line.waits else []
    names = [(one.name, one.style) for one in used] + more
    return element(
        "figure",
        element("figcaption", text),
        *([chart.legend(names)] if len(names) > 1 else []),
        chart.step_chart(frame, used, hints),
    )


def _rate_hint(parts: Buckets, index: int) -> str:
    text = f"{chart.seconds_text(index * parts.seconds)}: {chart.rate_text(parts.sent[index])}"
    for name, values in (("refused", parts.throttled), ("failed", parts.failed)):
        if values[index]:
            text += f", {values[index]:,.1f} {name}"
    return text


def _flight_chart(line: Timeline, parts: Buckets, key: str) -> Markup:
    most = max(parts.in_flight)
    text = f"At most {count(int(most), 'request')} in flight"
    series = [Series("in flight", parts.in_flight, "area flight")]
    if any(parts.window):
        text += f"; the pace allowed up to {max(parts.window):,.0f}"
        series.append(Series("allowed", parts.window, "line window"))
    hints = [
        f"{chart.seconds_text(index * parts.seconds)}: {now:,.0f} in flight"
        + (f" of {window:,.0f} allowed" if window else "")
        for index, (now, window) in enumerate(zip(parts.in_flight, parts.window, strict=True))
    ]
    frame = _frame(line, f"{key}-flight-chart", "Requests in flight", text)
    return element(
        "figure",
        element("figcaption", text),
        *([chart.legend([(one.name, one.style) for one in series])] if len(series) > 1 else []),
        chart.step_chart(frame, series, hints),
    )


def _wait_notes(line: Timeline) -> Iterator[Markup]:
    """Yield a line for each reason to wait, and one for the places where a command continued."""
    seconds: dict[str, float] = {}
    for wait in line.waits:
        seconds[wait.name] = seconds.get(wait.name, 0.0) + wait.end - wait.start
    for reason, total in list(seconds.items())[:LINE_LIMIT]:
        text = truncate(reason, _TEXT_LENGTH)
        yield element("p", f"Waited {duration(total)}: {text}.", class_="note warn")
    if line.breaks:
        later = ", ".join(f"{duration(gap.seconds)} later" for gap in line.breaks[:LINE_LIMIT])
        yield element("p", f"Continued at the dotted line: {later}.", class_="note")


class _Row(NamedTuple):
    """Numbers of a part of the axis."""

    phase: str
    at: float
    sent: int
    ended: int
    failed: int
    throttled: int
    in_flight: int


def _numbers_table(line: Timeline, key: str) -> Markup:
    """Return the numbers of the charts as a table."""
    names = ("phase", "from", "sent", "steps ended", "failed", "refused", "in flight")
    rows = [
        [row.phase, chart.seconds_text(row.at), *(f"{number:,}" for number in row[2:])]
        for row in _rows(line)
    ]
    return element(
        "details",
        element("summary", "Numbers of the charts"),
        table("Numbers of the charts", names, rows, key=f"{key}-numbers", texts=1),
    )


def _rows(line: Timeline) -> Iterator[_Row]:
    """Yield the numbers of up to some 60 parts of the axis; none has two phases."""
    width = line.seconds / _TABLE_ROWS
    names = iter(line.bands)
    band = next(names)
    current: _Row | None = None
    for sample, start in zip(line.samples, line.starts, strict=True):
        while start >= band.end and (following := next(names, None)):
            band = following
        if current and (current.phase != band.name or start - current.at >= width):
            yield current
            current = None
        first = current or _Row(band.name, start, 0, 0, 0, 0, 0)
        current = _Row(
            first.phase,
            first.at,
            first.sent + sample.sent,
            first.ended + sample.ended,
            first.failed + sample.failed,
            first.throttled + sample.throttled,
            max(first.in_flight, sample.in_flight),
        )
    if current:
        yield current


def table(
    name: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, key: str, texts: int
) -> Markup:
    """Return a table whose first *texts* columns are text and the others numbers; it may be
    scrolled with the keyboard.
    """

    def cells(tag: str, row: Sequence[str], **attributes: str) -> Markup:
        return element("tr", *(
            element(tag, cell, class_="" if i < texts else "right", **attributes)
            for i, cell in enumerate(row)
        ))  # fmt: skip

    content = element(
        "table",
        element("caption", name, class_="unseen", id=key),
        element("thead", cells("th", head, scope="col")),
        element("tbody", *(cells("td", row) for row in rows)),
    )
    region = {"class_": "scroll", "tabindex": "0", "role": "region", "aria_labelledby": key}
    return element("div", content, **region)


def _arrival_section(info: RunInfo, key: str) -> Iterator[Markup]:
    points = _arrival_points(info)
    if not points:
        return
    since = "unpause" if info.paused_seconds or info.held else "write"
    last, total = points[-1]
    marks = [
        Mark(info.delivery[name], share * total, f"{label} in {duration(info.delivery[name])}")
        for name, share, label in (("p50", 0.5, "50 %"), ("p95", 0.95, "95 %"))
        if name in info.delivery
    ]
    parts = [f"{one.name}" for one in marks]
    text = (
        f"{count(total, 'message')} arrived: {', '.join([*parts, f'the last in {duration(last)}'])}"
    )
    frame = Frame(f"{key}-arrivals-chart", f"Messages since the {since}", text, last * 1.04 or 1.0)
    note = "" if info.arrivals else "Only the times of four messages of this run are known."
    yield section(
        f"{key}-arrivals",
        f"Messages at the delivery target since the {since}",
        *([element("p", note, class_="note")] if note else []),
        element(
            "figure", element("figcaption", text), chart.curve_chart(frame, points, _apart(marks))
        ),
    )


def _apart(marks: list[Mark]) -> list[Mark]:
    """Return *marks*, those at one time as one."""
    if len(marks) == 2 and marks[0].at == marks[1].at:
        return [marks[1]]
    return marks


def _arrival_points(info: RunInfo) -> list[tuple[float, int]]:
    """Return pairs of seconds and messages so far, from few points for an older run."""
    if info.arrivals:
        return list(info.arrivals)
    total = int(info.delivery.get("arrived", 0))
    if not total or "last" not in info.delivery:
        return []
    shares = {"first": 0.0, "p50": 0.5, "p95": 0.95, "last": 1.0}
    return [
        (info.delivery[name], max(1, round(share * total)))
        for name, share in shares.items()
        if name in info.delivery
    ]


def _kinds_section(info: RunInfo, key: str) -> Markup:
    states = [state for state, _ in _states(info)]
    verified = ["verified"] if info.verified_kinds else []
    rows = [
        [
            kind,
            *([_verified_text(info.verified_kinds.get(kind, {}))] if verified else []),
            *(f"{counts.get(state, 0):,}" for state in states),
        ]
        for kind, counts in info.kinds.items()
    ]
    if not rows:
        return Markup("")
    head = ["kind", *verified, *states]
    name = "Outcomes by kind"
    outcomes = table(name, head, rows, key=f"{key}-kinds-table", texts=1 + len(verified))
    return section(f"{key}-kinds", name, outcomes)


def _change_section(details: RunDetails, key: str) -> Iterator[Markup]:
    order = {state: place for place, state in enumerate(_ORDER)}
    steps = sorted(
        details.steps, key=lambda row: (order.get(row.state, 0), not row.sign, row.number)
    )
    if not steps:
        return
    rows = (_change_row(row, details.changes.get(row.number, ())) for row in steps)
    shown = _within(rows, ROW_LIMIT, _CHANGES_BYTES)
    left = len(steps) - len(shown)
    more = f"{left:,} more: ocsync history {details.info.id} --report csv FILE lists all steps."
    title = "Changes" if details.info.kind == "resume" else "Steps"
    yield section(
        f"{key}-changes",
        f"{title}, failures first",
        element("ol", *shown, class_="changes"),
        *([element("p", more, class_="note")] if left else []),
    )


def _within(rows: Iterable[Markup], most: int, room: int) -> list[Markup]:
    """Return the first *most* of *rows*, or fewer that take up *room* bytes."""
    kept: list[Markup] = []
    for row in rows:
        room -= len(row.encode())
        if room < 0 or len(kept) == most:
            break
        kept.append(row)
    return kept


def _change_row(row: StepRow, changes: Sequence[FieldChange]) -> Markup:
    tone = _TONES.get(row.state, "warn")
    if tone in ("good", "calm") and row.sign and row.sign != Sign.MOVED.value:
        tone = "bad"
    fields = [field_item(change) for change in changes[:_FIELD_LIMIT]]
    if len(changes) > _FIELD_LIMIT:
        fields.append(element("li", f"and {len(changes) - _FIELD_LIMIT:,} more fields"))
    remark = truncate(step_remark(row, plain=True), _TEXT_LENGTH)
    return ref_item(row.ref, f"{row.method} {row.state}", remark, fields, tone)


def ref_item(ref: str, state: str, remark: str, fields: Sequence[Markup], tone: str) -> Markup:
    """Return an item of a list of changes: a ref with its fields; *tone* is its sign and colour."""
    return element(
        "li",
        element("b", truncate(ref, _REF_LENGTH)),
        *([" ", element("small", state)] if state else []),
        *([element("p", remark)] if remark else []),
        *([element("ul", *fields)] if fields else []),
        class_=tone,
    )


def field_item(change: FieldChange) -> Markup:
    """Return a field with its value before, if that is known, and after."""
    name = element("code", truncate(change.path, _VALUE_LENGTH))
    parts: list[str] = []
    if change.has_before:
        parts += [" ", element("del", _value(change.path, change.before)), " → "]
    elif change.has_after:
        parts.append(" ")
    if change.has_after:
        sign = "+" if change.relative and not str(change.after).startswith("-") else ""
        parts.append(element("ins", sign + _value(change.path, change.after)))
    return element("li", name, *parts)


def _value(path: str, value: object) -> str:
    return "nothing" if value is MISSING else field_value_text(path, value, _VALUE_LENGTH)


def _finding_section(details: RunDetails, key: str) -> Iterator[Markup]:
    """Yield the findings about refs that no step shows, such as those at the delivery target."""
    refs = {row.ref for row in details.steps if row.sign}
    others = [one for one in details.findings if not one.sign.is_harmless and one.ref not in refs]
    if not others:
        return
    shown = _within(map(_finding_row, others), _FINDING_LIMIT, _FINDINGS_BYTES)
    more = len(others) - len(shown)
    note = [element("p", f"{more:,} more", class_="note")] if more else []
    items = element("ol", *shown, class_="changes")
    yield section(f"{key}-findings", "Other findings", items, *note)


def _finding_row(finding: Finding) -> Markup:
    text = "; ".join(filter(None, [finding.message, fields_text(finding.fields)]))
    return ref_item(finding.ref, "", truncate(text or "does not exist", _TEXT_LENGTH), [], "bad")


def cost_article(rows: Sequence[Sequence[object]]) -> Markup:
    """Return the article that compares what strategies cost; the first of *rows* is the head."""
    head, *costs = [[f"{c:,}" if isinstance(c, int) else str(c) for c in row] for row in rows]
    order = [0, 2, 1, 3, 4]  # a table's texts come first
    name = "Requests and messages for the same edits"
    content = table(
        name,
        [head[index] for index in order],
        [[row[index] for index in order] for row in costs],
        key="costs-table",
        texts=2,
    )
    return element(
        "article",
        element(
            "header",
            element("p", "ocsync demo", class_="kicker"),
            element("h1", "The same edits, sent in three ways", id="costs-name"),
        ),
        section("costs", name, content),
        aria_labelledby="costs-name",
    )
