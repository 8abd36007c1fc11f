"""A run: what a resume came to, what verification saw, and the list of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.models import Outcome, State
from ocsync.render import delivery_proof, verify
from ocsync.render.findings import findings, signs
from ocsync.render.text import Line, columns, count, duration, value
from ocsync.store import RunInfo

if TYPE_CHECKING:
    from ocsync.engine.resume.close import ResumeReport

_SHOWN = 10
_COLUMNS = (State.DONE, State.UNCHANGED, State.FAILED, State.CONFLICT, State.BLOCKED, State.UNKNOWN)
_ALWAYS = (State.DONE, State.UNCHANGED, State.FAILED)


def report(result: ResumeReport) -> Iterator[Line]:
    """What a resume came to."""
    if result.run is None:
        yield from _pauses(result)
        if not result.unpaused:
            yield "=", "nothing is staged, and no target is paused by this workspace"
        return
    info = result.run
    yield from table(info)
    yield from _unsettled(result.problems, info)
    if any(outcome.state is State.UNKNOWN for outcome in result.problems):
        yield "", "  What is unknown is staged again: drop it (ocsync stage drop REF) if it took"
        yield "", "  effect. An adjustment expects what was there before it, and is not made twice."
    if result.verification:
        yield from findings(result.verification.findings)
    yield from _pauses(result)
    yield from delivery_proof.lines(result.delivery_proof, info.id)
    yield closing(result)


def table(info: RunInfo) -> Iterator[Line]:
    """A row a kind: its outcomes, and what verification saw."""
    used = [s for s in _COLUMNS if s in _ALWAYS or info.counts.get(s.value)]
    verified = ["verified"] if info.verified_kinds else []
    rows: list[Sequence[object]] = [("kind", *(s.value for s in used), *verified)]
    for kind, counts in info.kinds.items():
        cells: list[object] = [kind, *(counts.get(s.value, 0) for s in used)]
        if verified:
            cells.append(signs(info.verified_kinds.get(kind, {})))
        rows.append(cells)
    for line in columns(rows, "<" + ">" * len(used) + "<" * len(verified), gap=3):
        yield "", "  " + line


def _unsettled(problems: Sequence[Outcome], info: RunInfo) -> Iterator[Line]:
    """What is not settled: the causes first, then what waits for them, as far as there is room."""
    waiting = info.counts.get(State.BLOCKED.value, 0)
    causes = sum(info.counts.get(s.value, 0) for s in State if not s.succeeded) - waiting
    told = [one for one in problems if one.state is not State.BLOCKED or not _untried(info)]
    for outcome in told[:_SHOWN]:
        yield "!", problem(outcome)
    if _untried(info) and waiting:
        wait = "waits" if waiting == 1 else "wait"
        yield "", f"  {count(waiting, 'other ref')} {wait}: nothing is sent where one conflicts"
    all_told = causes if _untried(info) else causes + waiting
    if all_told > _SHOWN:
        yield "", f"  ... and {all_told - _SHOWN:,} more"


def _untried(info: RunInfo) -> bool:
    """Whether a conflict kept everything from being sent."""
    tried = (State.DONE, State.FAILED, State.UNKNOWN)
    conflict = info.on_conflict == "fail" and bool(info.counts.get(State.CONFLICT.value))
    return conflict and not any(info.counts.get(state.value) for state in tried)


def problem(outcome: Outcome) -> str:
    """A step that is not settled, and why."""
    if outcome.state is State.BLOCKED:
        return f"{outcome.ref}   blocked by {outcome.blocked_by}"
    if outcome.state is State.UNKNOWN:
        parts = [
            path
            + ": "
            + ", ".join(f"{when} {value(v[when])}" for when in ("before", "sent", "found"))
            for path, v in outcome.values.items()
        ]
        return f"{outcome.ref}   unknown: {'; '.join(parts)}"
    return f"{outcome.ref}   {outcome.message or outcome.state.value}"


def _pauses(result: ResumeReport) -> Iterator[Line]:
    if result.unpaused:
        names = ", ".join(name for name, _ in result.unpaused)
        longest = max(seconds for _, seconds in result.unpaused)
        yield "▶", f"  {names}  running again; paused for {duration(longest)}"
    for target, why in result.still_paused:
        yield "‖", f"  {target}  stays paused: {why}"


def closing(result: ResumeReport) -> Line:
    """The last line: complete, or not."""
    info = result.run
    if info is None:
        return "✓", "nothing to do"
    settled = sum(info.counts.get(s.value, 0) for s in State if s.succeeded)
    sent = info.counts.get(State.DONE.value, 0)
    took = duration(info.seconds)
    if result.problems:
        back = len({outcome.ref for outcome in result.problems})
        are = "is" if back == 1 else "are"
        tried = sent or info.counts.get(State.FAILED.value)
        text = f"partly done: {settled:,} of {info.steps:,}" if tried else "nothing was sent"
        return "✗", f"{text}; {count(back, 'ref')} {are} back in the journal"
    if result.delivery_proof and result.delivery_proof.exit_code:
        lacking = count(len(result.delivery_proof.undelivered), "message")
        return "✗", f"sent, but {lacking} did not arrive as written"
    if result.verification and result.verification.exit_code:
        text = (
            f"sent, but verification found {count(len(result.verification.findings), 'difference')}"
        )
        return "✗", text
    if not sent:
        return "✓", f"complete: {count(info.steps, 'step')}, nothing differed from what is staged"
    return "✓", f"complete: {count(info.entries, 'edit')} in {count(sent, 'request')}, {took}"


def next_commands(result: ResumeReport) -> list[str]:
    """What to type next."""
    if result.run is None:
        return []
    if result.problems:
        first = result.problems[0]
        way = ""
        if first.state is State.CONFLICT:
            way = f" --on-conflict {'overwrite' if result.run.on_conflict == 'skip' else 'skip'}"
        return [f"ocsync stage show {first.ref}", f"ocsync resume{way}"]
    return delivery_proof.next_commands(result.run.id, result.delivery_proof)


def document(result: ResumeReport, folder: Path | None = None) -> dict[str, Any]:
    """The report as data; the last event of a resume. *folder* has the run's files."""
    verification = result.verification
    return {
        "type": "summary",
        "exit_code": int(result.exit_code),
        "run": msgspec.to_builtins(result.run) if result.run else None,
        "problems": msgspec.to_builtins(result.problems),
        "conflicts": [clash._asdict() for clash in result.conflicts],
        "lifted": [row._asdict() for row in result.unpaused],
        "kept": [row._asdict() for row in result.still_paused],
        "verified": verify.document(verification) if verification else None,
        "delivery": delivery_proof.document(result.delivery_proof),
        "staged": result.staged,
        "folder": str(folder) if folder else "",
    }
