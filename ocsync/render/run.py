"""A run: what a resume came to, what verification saw, and the list of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.delivery.matching import Arrival
from ocsync.models import Finding, Outcome, Sign, State
from ocsync.render.status import ending
from ocsync.render.text import assignment, clock, columns, count, duration, value
from ocsync.store import RunInfo

if TYPE_CHECKING:
    from ocsync.engine.closing import Report
    from ocsync.engine.delivered import Proof
    from ocsync.engine.verify import Verification

_SHOWN = 10
_COLUMNS = (State.DONE, State.UNCHANGED, State.FAILED, State.CONFLICT, State.BLOCKED, State.UNKNOWN)
_ALWAYS = (State.DONE, State.UNCHANGED, State.FAILED)
_MEANING = {Sign.SAME: "same", Sign.MOVED: "sold since", Sign.DIFFERS: "differ",
            Sign.MISSING: "missing", Sign.UNREAD: "unread"}  # fmt: skip

Line = tuple[str, str]


def report(result: Report) -> Iterator[Line]:
    """What a resume came to."""
    if result.run is None:
        yield from _pauses(result)
        if not result.lifted:
            yield "=", "nothing is staged, and no target is paused by this workspace"
        return
    info = result.run
    yield from table(info)
    for outcome in result.problems[:_SHOWN]:
        yield "!", problem(outcome)
    if len(result.problems) > _SHOWN:
        yield "", f"  ... and {len(result.problems) - _SHOWN:,} more"
    if any(outcome.state is State.UNKNOWN for outcome in result.problems):
        yield "", "  What is unknown is staged again: drop it (ocsync stage drop REF) if it took"
        yield "", "  effect. An adjustment expects what was there before it, and is not made twice."
    if result.verification:
        yield from findings(result.verification.findings)
    yield from _pauses(result)
    if result.proof:
        yield from delivered(result.proof)
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


def signs(counts: dict[str, int]) -> str:
    """`= 998  ~ 2 sold since`."""
    parts = []
    for sign in Sign:
        number = counts.get(sign.value, 0)
        if number:
            meaning = "" if sign is Sign.SAME else f" {_MEANING[sign]}"
            parts.append(f"{sign.value} {number:,}{meaning}")
    return "  ".join(parts) or "-"


def problem(outcome: Outcome) -> str:
    """A step that is not settled, and why."""
    if outcome.state is State.BLOCKED:
        return f"{outcome.ref}   blocked by {outcome.because}"
    if outcome.state is State.UNKNOWN:
        parts = [
            path
            + ": "
            + ", ".join(f"{when} {value(v[when])}" for when in ("before", "sent", "found"))
            for path, v in outcome.values.items()
        ]
        return f"{outcome.ref}   unknown: {'; '.join(parts)}"
    return f"{outcome.ref}   {outcome.message or outcome.state.value}"


def findings(found: Sequence[Finding]) -> Iterator[Line]:
    """What is not the same."""
    for one in found[:_SHOWN]:
        parts = [
            f"{assignment(path, pair['found'])} instead of {value(pair['wanted'])}"
            for path, pair in one.fields.items()
        ]
        yield one.sign.value, f"{one.ref}   {', '.join(parts) or one.message or 'is not there'}"
    if len(found) > _SHOWN:
        yield "", f"  ... and {len(found) - _SHOWN:,} more findings"


def _pauses(result: Report) -> Iterator[Line]:
    if result.lifted:
        names = ", ".join(name for name, _ in result.lifted)
        longest = max(seconds for _, seconds in result.lifted)
        yield "▶", f"  {names}  running again; paused for {duration(longest)}"
    for target, why in result.kept:
        yield "‖", f"  {target}  stays paused: {why}"


def delivered(proof: Proof) -> Iterator[Line]:
    """What arrived at the listener, in numbers and times; what did not, by name."""
    found, total = proof.delivered, len(proof.delivered.matched)
    arrived = len(found.of(Arrival.ARRIVED))
    parts = [f"{arrived:,} of {total:,} heard by the listener"]
    if times := found.drain():
        parts.append(
            f"half after {duration(times['p50'])}, the last after {duration(times['last'])}"
        )
    if found.duplicates:
        parts.append(count(found.duplicates, "duplicate"))
    if proof.redelivered:
        parts.append(f"{proof.redelivered:,} sent again")
    yield "✓" if arrived == total else "!", "  delivered  " + ", ".join(parts)
    lacking = [*found.of(Arrival.MISSING), *found.of(Arrival.STALE)]
    for one in lacking[:_SHOWN]:
        what = "did not arrive" if one.arrival is Arrival.MISSING else "arrived with older content"
        yield "-" if one.arrival is Arrival.MISSING else "*", f"{one.expected.refs[0]}   {what}"
    if len(lacking) > _SHOWN:
        yield "", f"  ... and {len(lacking) - _SHOWN:,} more"
    for why in proof.refused[:_SHOWN]:
        yield "!", why


def closing(result: Report) -> Line:
    """The last line: complete, or not."""
    info = result.run
    if info is None:
        return "✓", "nothing to do"
    settled = sum(info.counts.get(s.value, 0) for s in State if s.settled)
    sent = info.counts.get(State.DONE.value, 0)
    took = duration(info.seconds)
    if result.problems:
        back = len({outcome.ref for outcome in result.problems})
        are = "is" if back == 1 else "are"
        tried = sent or info.counts.get(State.FAILED.value)
        text = f"partly done: {settled:,} of {info.steps:,}" if tried else "nothing was sent"
        return "✗", f"{text}; {count(back, 'ref')} {are} back in the journal"
    if result.proof and result.proof.exit_code:
        lacking = len(result.proof.delivered.matched) - len(
            result.proof.delivered.of(Arrival.ARRIVED)
        )
        return "✗", f"sent, but {count(lacking, 'message')} did not arrive as written"
    if result.verification and result.verification.exit_code:
        text = (
            f"sent, but verification found {count(len(result.verification.findings), 'difference')}"
        )
        return "✗", text
    if not sent:
        return "✓", f"complete: {count(info.steps, 'step')}, nothing differed from what is staged"
    return "✓", f"complete: {count(info.entries, 'edit')} in {count(sent, 'request')}, {took}"


def next_commands(result: Report) -> list[str]:
    """What to type next."""
    if result.run is None:
        return []
    if result.problems:
        return [f"ocsync stage show {result.problems[0].ref}", "ocsync resume"]
    if result.proof and result.proof.exit_code and not result.proof.redelivered:
        return [f"ocsync verify {result.run.id} --redeliver"]
    return [f"ocsync history {result.run.id}"]


def document(result: Report) -> dict[str, Any]:
    """The report as data; the last event of a resume."""
    verification = result.verification
    return {
        "type": "summary",
        "exit_code": int(result.exit_code),
        "run": msgspec.to_builtins(result.run) if result.run else None,
        "problems": msgspec.to_builtins(result.problems),
        "conflicts": [clash._asdict() for clash in result.clashes],
        "lifted": [row._asdict() for row in result.lifted],
        "kept": [row._asdict() for row in result.kept],
        "verified": verified(verification) if verification else None,
        "delivery": result.proof.facts() if result.proof else None,
        "staged": result.staged,
    }


def verified(verification: Verification) -> dict[str, Any]:
    """A verification as data."""
    return {
        "kinds": verification.kinds,
        "findings": msgspec.to_builtins(verification.findings),
        "exit_code": int(verification.exit_code),
    }


def verification_lines(info: RunInfo, verification: Verification) -> Iterator[Line]:
    """A verification on its own."""
    rows: list[Sequence[object]] = [("kind", "verified")]
    rows += [(kind, signs(counts)) for kind, counts in verification.kinds.items()]
    for line in columns(rows, "<<", gap=3):
        yield "", "  " + line
    yield from findings(verification.findings)
    good = not verification.exit_code
    text = "everything is as it was written" if good else "not everything is as it was written"
    yield "✓" if good else "✗", f"run {info.id}: {text}"


def history(infos: Sequence[RunInfo], now: datetime) -> Iterator[str]:
    """The runs, newest first, a line each."""
    rows: list[Sequence[object]] = [("run", "started", "entries", "steps", "took", "ended")]
    for info in infos:
        at = clock(info.started, now) if info.started else ""
        took = duration(info.seconds)
        rows += [(info.id, at, info.entries, info.steps, took, ending(info.state, info.exit_code))]
    yield from columns(rows, "<<>>><")
