"""A resume: its outcomes by kind, its problems and its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocsync.models import Outcome, State
from ocsync.render import delivery_proof, verify
from ocsync.render.findings import finding_lines, sign_counts
from ocsync.render.json_data import json_data, run_data
from ocsync.render.problems import group_problems, problem_lines, problem_of
from ocsync.render.text import Line, columns, count, duration
from ocsync.store import RunInfo

if TYPE_CHECKING:
    from ocsync.engine.resume.close import ResumeReport
    from ocsync.engine.resume.pause_survey import LostPause

_COLUMNS = (State.DONE, State.UNCHANGED, State.FAILED, State.CONFLICT, State.BLOCKED, State.UNKNOWN)
_ALWAYS = (State.DONE, State.UNCHANGED, State.FAILED)


_UNKNOWN_NOTE = (
    "  Changes with an unknown outcome are staged again. If one took effect, drop it: "
    "ocsync stage drop REF. An adjustment expects the value from before, so it is not "
    "applied twice."
)


def lines(result: ResumeReport) -> Iterator[Line]:
    """Yield the report of a resume, after that of the run that it continued first."""
    if result.continued and result.continued.run:
        yield "", f"run {result.continued.run.id} (continued):"
        yield from lines(result.continued)
        yield "", f"run {result.run.id}:" if result.run else ""
    if result.run is None:
        yield from _pause_lines(result)
        if not (result.unpaused or result.still_paused):
            yield "=", "nothing is staged, and this workspace has paused no target"
        return
    info = result.run
    yield from outcome_table(info)
    yield from _unsettled_lines(result.problems, info)
    if any(outcome.state is State.UNKNOWN for outcome in result.problems):
        yield "", _UNKNOWN_NOTE
    if result.verification:
        yield from verify.proof_lines(result.verification)
        yield from finding_lines(result.verification.findings)
    yield from _pause_lines(result)
    yield from delivery_proof.lines(result.delivery_proof, info.id)
    yield closing_line(result)


def outcome_table(info: RunInfo) -> Iterator[Line]:
    """Yield a row for each kind, with its outcomes and, if verified, its findings."""
    used = [s for s in _COLUMNS if s in _ALWAYS or info.counts.get(s.value)]
    verified = ["verified"] if info.verified_kinds else []
    rows: list[Sequence[object]] = [("kind", *(s.value for s in used), *verified)]
    for kind, counts in info.kinds.items():
        cells: list[object] = [kind, *(counts.get(s.value, 0) for s in used)]
        if verified:
            cells.append(sign_counts(info.verified_kinds.get(kind, {})))
        rows.append(cells)
    align = "<" + ">" * len(used) + "<" * len(verified)
    for line in columns(rows, align, gap=3, indent=2, heading=True):
        yield "", line


def _unsettled_lines(problems: Sequence[Outcome], info: RunInfo) -> Iterator[Line]:
    """Yield the steps that failed and, unless nothing was sent, those that they block."""
    waiting = info.counts.get(State.BLOCKED.value, 0)
    nothing_sent = _nothing_was_sent(info)
    yield from problem_lines(
        problem_of(one) for one in problems if one.state is not State.BLOCKED or not nothing_sent
    )
    if nothing_sent and waiting:
        others = count(waiting, "other change is", "other changes are")
        yield "", f"  nothing was sent because of the conflict; {others} waiting"


def _nothing_was_sent(info: RunInfo) -> bool:
    """Return whether a conflict stopped the run before it sent anything."""
    tried = (State.DONE, State.FAILED, State.UNKNOWN)
    conflict = info.on_conflict == "fail" and bool(info.counts.get(State.CONFLICT.value))
    return conflict and not any(info.counts.get(state.value) for state in tried)


def _pause_lines(result: ResumeReport) -> Iterator[Line]:
    if result.unpaused:
        names = ", ".join(name for name, _ in result.unpaused)
        longest = max(seconds for _, seconds in result.unpaused)
        yield "▶", f"  {names}  running again; paused for {duration(longest)}"
    for one in result.lost_pauses:
        ended = "no longer had a sync config" if one.deleted else "was no longer paused"
        yield "!", f"  {one.target}  {ended} when the last change was sent"
    for kept in result.still_paused:
        yield "‖", f"  {kept.target}  stays paused: {kept.why}"


def closing_line(result: ResumeReport) -> Line:
    """Return the last line of the report: complete, or the reason why not."""
    info = result.run
    if info is None:
        return "✓", "nothing to do"
    succeeded = sum(info.counts.get(s.value, 0) for s in State if s.succeeded)
    sent = info.counts.get(State.DONE.value, 0)
    if result.problems:
        restaged = len({outcome.ref for outcome in result.problems})
        back = count(restaged, "ref is", "refs are")
        tried = sent or info.counts.get(State.FAILED.value)
        ending = "partly done" if succeeded else "failed"
        text = f"{ending}: {succeeded:,} of {count(info.steps, 'change')} applied"
        return "✗", f"{text if tried else 'nothing was sent'}; {back} staged again"
    if result.delivery_proof and result.delivery_proof.exit_code:
        lacking = count(len(result.delivery_proof.undelivered), "message is", "messages are")
        return "✗", f"sent, but {lacking} missing or outdated"
    if result.lost_pauses:
        deleted = all(one.deleted for one in result.lost_pauses)
        state = "without a sync config" if deleted else "while unpaused"
        return "✗", f"sent, but partly {state}: {_lost_text(result.lost_pauses)}"
    if result.verification and result.verification.exit_code:
        wrong = [one for one in result.verification.findings if not one.sign.is_harmless]
        differences = count(len(wrong), "difference")
        return "✗", f"sent, but verification found {differences}"
    if not sent:
        steps = count(info.steps, "step")
        return "✓", f"complete: the server already had the staged values ({steps})"
    edits, requests = count(info.entries, "edit"), count(sent, "request")
    if theirs := [row.target for row in result.still_paused if row.by_other]:
        stay = "stays" if len(theirs) == 1 else "stay"
        return "‖", f"sent {edits} in {requests}, but {', '.join(theirs)} {stay} paused"
    return "✓", f"complete: {edits} in {requests}, {duration(info.seconds)}"


def _lost_text(lost: Sequence[LostPause]) -> str:
    """Return the number of changes that may have been delivered singly or not at all, by target."""
    parts = []
    for one in lost:
        got = f" (the listener received {one.received:,})" if one.received is not None else ""
        changes = count(one.sent, "change")
        fate = "may not be delivered" if one.deleted else "may have been delivered one by one"
        parts.append(f"up to {changes} of {one.target} {fate}{got}")
    return "; ".join(parts)


def next_commands(result: ResumeReport) -> list[str]:
    """Return the commands to type next."""
    if result.run is None:
        return []
    if result.problems:
        first = result.problems[0]
        option = ""
        if first.state is State.CONFLICT:
            other = "overwrite" if result.run.on_conflict == "skip" else "skip"
            option = f" --on-conflict {other}"
        return [f"ocsync stage show {first.ref}", f"ocsync resume{option}"]
    if deleted := [one.target for one in result.lost_pauses if one.deleted]:
        bind = f"ocsync delivery bind {deleted[0]} CONFIG"
        return [bind, f"then ocsync resync --run {result.run.id}"]
    return delivery_proof.next_commands(result.run.id, result.delivery_proof)


def document(result: ResumeReport, folder: Path | None = None) -> dict[str, Any]:
    """Return the last event of a resume; *folder* is the run's folder."""
    verification = result.verification
    return {
        "type": "summary",
        "exit_code": int(result.exit_code),
        "run": run_data(result.run) if result.run else None,
        "problems": json_data(result.problems),
        "problem_groups": [
            group.document() for group in group_problems(map(problem_of, result.problems))
        ],
        "conflicts": [conflict._asdict() for conflict in result.conflicts],
        "unpaused": [row._asdict() for row in result.unpaused],
        "still_paused": [row._asdict() for row in result.still_paused],
        "lost_pauses": [row._asdict() for row in result.lost_pauses],
        "verified": verify.document(verification) if verification else None,
        "delivery": delivery_proof.document(result.delivery_proof),
        "staged": result.staged,
        "continued": document(result.continued) if result.continued else None,
        "folder": str(folder) if folder else "",
    }
