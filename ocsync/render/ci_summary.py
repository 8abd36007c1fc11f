"""Summaries of a plan, a resume or a verification, as Markdown that a CI shows with the job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ocsync.models import Sign
from ocsync.render.findings import answered_text
from ocsync.render.markdown_text import code, prose
from ocsync.render.status import ending_text
from ocsync.render.text import count, duration, field_value_text

_ROW_LIMIT = 50
_SIGNS = {sign.word: sign.value for sign in Sign}
_STATES = ("done", "unchanged", "failed", "conflict", "blocked", "unknown")

JsonObject = Mapping[str, Any]


def summary(facts: JsonObject) -> str:
    """Return the summary of a document or event; empty for those that have none."""
    if facts.get("command") == "plan":
        from ocsync.render.plan_report import markdown

        return markdown(facts)
    if isinstance(facts.get("run"), dict):
        lines = _resume(facts)
    elif "findings" in facts:
        lines = _verify(facts)
    else:
        return ""
    return "\n".join(lines) + "\n"


def _resume(facts: JsonObject) -> Iterator[str]:
    info, problems = facts["run"], facts["problems"]
    yield f"### ocsync resume: {ending_text(info['state'], facts['exit_code'])} (run {info['id']})"
    yield ""
    verified = info.get("verified_kinds") or {}
    head = ("kind", *_STATES, *(["verified"] if verified else []))
    rows = [
        (
            kind,
            *(counts.get(state, 0) for state in _STATES),
            *([_signs(verified.get(kind))] if verified else []),
        )
        for kind, counts in (info.get("kinds") or {}).items()
    ]
    yield from _table(head, rows)
    yield ""
    yield f"- {count(info['entries'], 'edit')}, {duration(info['seconds'])}"
    if info.get("plan"):
        yield f"- plan {code(info['plan'])}"
    if info.get("by_answer"):
        yield f"- {answered_text(info['by_answer'])}"
    if facts["unpaused"]:
        longest = max(row["seconds"] for row in facts["unpaused"])
        names = ", ".join(row["target"] for row in facts["unpaused"])
        yield f"- {names} running again, paused for {duration(longest)}"
    for row in facts["still_paused"]:
        yield f"- ⚠ {row['target']} stays paused: {prose(row['why'])}"
    if problems:
        yield ""
        reasons = [p.get("message") or p.get("blocked_by", "") for p in problems]
        cells = [
            (code(p["ref"]), p["state"], prose(r)) for p, r in zip(problems, reasons, strict=True)
        ]
        yield from _table(("ref", "outcome", "reason"), cells)
    yield from _findings(facts["verified"]["findings"] if facts["verified"] else ())


def _verify(facts: JsonObject) -> Iterator[str]:
    if facts["type"] == "drift":
        differing = count(len(facts["findings"]), "ref differs", "refs differ")
        yield f"### ocsync verify: {differing} ({count(len(facts['runs']), 'run')})"
    else:
        end = ending_text("closed", facts["exit_code"])
        yield f"### ocsync verify: {end} (run {facts['run']})"
    yield ""
    rows = [(kind, _signs(signs)) for kind, signs in facts["kinds"].items()]
    yield from _table(("kind", "verified"), rows)
    yield from _findings(facts["findings"])


def _findings(rows: Sequence[JsonObject]) -> Iterator[str]:
    if rows:
        yield ""
        pairs = [
            (code(_SIGNS[row["result"]]), code(row["ref"]), ", ".join(
                f"{code(path)} {_value(path, pair['found'])} instead of "
                f"{_value(path, pair['wanted'])}"
                for path, pair in row.get("fields", {}).items()
            ) or prose(row.get("message", "")))
            for row in rows
        ]  # fmt: skip
        yield from _table(("", "ref", "found"), pairs)


def _value(path: str, value: Any) -> str:
    return code(field_value_text(path, value))


def _signs(counts: JsonObject | None) -> str:
    return "  ".join(
        f"{_SIGNS[word]} {number:,}" for word, number in (counts or {}).items() if number
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield _row(head)
    numbers = rows[0] if rows else head
    yield _row(["---:" if isinstance(cell, int) else "---" for cell in numbers])
    yield from map(_row, rows[:_ROW_LIMIT])
    if len(rows) > _ROW_LIMIT:
        yield ""
        yield f"... and {len(rows) - _ROW_LIMIT:,} more"


def _row(cells: Iterable[object]) -> str:
    """Return a row of a table; texts are Markdown already."""
    return f"| {' | '.join(f'{c:,}' if type(c) is int else str(c) for c in cells)} |"
