"""The summary that a CI shows with the job: a plan, a resume, a verification, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ocsync.render.status import ending
from ocsync.render.text import count, duration, value

_SHOWN = 50
_STATES = ("done", "unchanged", "failed", "conflict", "blocked", "unknown")

Facts = Mapping[str, Any]


def summary(facts: Facts) -> str:
    """What *facts* come to, or nothing where there is nothing to show."""
    if facts.get("command") == "plan":
        lines = _plan(facts)
    elif isinstance(facts.get("run"), dict):
        lines = _resume(facts)
    elif "findings" in facts:
        lines = _verify(facts)
    else:
        return ""
    return "\n".join(lines) + "\n"


def _plan(facts: Facts) -> Iterator[str]:
    edits, steps = count(facts["entries"], "edit"), count(facts["steps"], "request")
    yield f"### ocsync plan: {edits}, {steps}" if facts["steps"] else "### ocsync plan: nothing"
    if not facts["steps"]:
        return
    yield ""
    rows = [
        (k["kind"], k["entries"], k["steps"], k["entries"] - k["steps"]) for k in facts["kinds"]
    ]
    yield from _table(("kind", "entries", "steps", "saved"), rows)
    yield ""
    direct = ", ".join(facts["targets"]["direct"]) or "no target"
    yield f"- feeds {direct}"
    yield from (f"- ⚠ {_plain(risk['text'])}" for risk in facts["risks"])
    changes = [row for row in facts.get("changes", ()) if not row["same"]]
    if changes:
        yield ""
        yield from _table(("ref", "change"), [(row["ref"], _change(row)) for row in changes])


def _change(row: Facts) -> str:
    if row["conflict"]:
        return f"⚠ {row['conflict']}"
    before, after = row["before"] or {}, row["after"] or {}
    parts = [
        f"{path} {value(before.get(path))} → {value(new)}"
        for path, new in after.items()
        if path not in before or before[path] != new
    ]
    return ("new: " if row["absent"] else "") + ", ".join(parts)


def _resume(facts: Facts) -> Iterator[str]:
    info, problems = facts["run"], facts["problems"]
    yield f"### ocsync resume: {ending(info['state'], facts['exit_code'])} (run {info['id']})"
    yield ""
    seen = info.get("verified_kinds") or {}
    head = ("kind", *_STATES, *(["verified"] if seen else []))
    rows = [
        (
            kind,
            *(counts.get(state, 0) for state in _STATES),
            *([_signs(seen.get(kind))] if seen else []),
        )
        for kind, counts in (info.get("kinds") or {}).items()
    ]
    yield from _table(head, rows)
    yield ""
    yield f"- {count(info['entries'], 'edit')}, {duration(info['seconds'])}"
    if facts["lifted"]:
        longest = max(row["seconds"] for row in facts["lifted"])
        names = ", ".join(row["target"] for row in facts["lifted"])
        yield f"- {names} running again, paused for {duration(longest)}"
    yield from (f"- ⚠ {row['target']} stays paused: {_plain(row['why'])}" for row in facts["kept"])
    if problems:
        yield ""
        whys = [(p["ref"], p["state"], p.get("message") or p.get("because", "")) for p in problems]
        yield from _table(("ref", "outcome", "why"), whys)
    yield from _findings(facts["verified"]["findings"] if facts["verified"] else ())


def _verify(facts: Facts) -> Iterator[str]:
    yield f"### ocsync verify: {ending('closed', facts['exit_code'])} (run {facts['run']})"
    yield ""
    rows = [(kind, _signs(signs)) for kind, signs in facts["kinds"].items()]
    yield from _table(("kind", "verified"), rows)
    yield from _findings(facts["findings"])


def _findings(rows: Sequence[Facts]) -> Iterator[str]:
    if rows:
        yield ""
        pairs = [
            (row["sign"], row["ref"], ", ".join(
                f"{path} {value(pair['found'])} instead of {value(pair['wanted'])}"
                for path, pair in row.get("fields", {}).items()
            ) or row.get("message", ""))
            for row in rows
        ]  # fmt: skip
        yield from _table(("", "ref", "found"), pairs)


def _signs(counts: Facts | None) -> str:
    return "  ".join(f"{sign} {number:,}" for sign, number in (counts or {}).items() if number)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield _row(head)
    numbers = rows[0] if rows else head
    yield _row(["---:" if isinstance(cell, int) else "---" for cell in numbers])
    yield from map(_row, rows[:_SHOWN])
    if len(rows) > _SHOWN:
        yield ""
        yield f"... and {len(rows) - _SHOWN:,} more"


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(_plain(f"{c:,}" if type(c) is int else str(c)) for c in cells) + " |"


def _plain(text: str) -> str:
    """*text* as text: names and messages are not ours, and may hold anything."""
    for sign in ("\\", "|", "<", "`", "*", "_", "[", "~", "!", "#"):
        text = text.replace(sign, "&lt;" if sign == "<" else f"\\{sign}")
    return " ".join(text.split())
