"""A plan: its overview, the steps of one ref explained, and the changes it would make."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ocsync.diff import default_of
from ocsync.engine.resume.drafting import PlanDraft
from ocsync.field_paths import json_equal
from ocsync.models import Entry, Op, Step
from ocsync.pause import Pause, PausePhase, PauseState
from ocsync.plan import fed_targets, linked_refs
from ocsync.render.text import (
    Line,
    assignment_text,
    columns,
    count,
    duration,
    field_value_text,
    first_few,
    local_time,
    value_text,
)
from ocsync.risks import Risk
from ocsync.schema import kind_of

_REF_LIMIT = 20

if TYPE_CHECKING:
    from ocsync.engine.pause.pausing import TargetStatus
    from ocsync.engine.resume.preflight import Preflight


class ReplayRate(NamedTuple):
    """The number of steps per second of the last run."""

    per_second: float


class PlanView(NamedTuple):
    """The facts that the overview of a plan shows.

    *risks* are those of its steps, *named* the targets that the plan is limited to, *windows* the
    targets that an open window holds, *statuses* what the server says of its targets, None where it
    was not asked. *resends* is whether changes of catalogs and prices send products again, None
    where no probe has found out.
    """

    title: str
    draft: PlanDraft
    pauses: Mapping[str, Pause]
    rate: ReplayRate | None
    now: datetime
    risks: Sequence[Risk]
    named: Sequence[str] = ()
    windows: Collection[str] = ()
    statuses: Mapping[str, TargetStatus] | None = None
    resends: bool | None = None


def lines(view: PlanView) -> Iterator[Line]:
    """Yield the overview of a plan, 80 columns wide."""
    steps, entries, since = len(view.draft.plan.steps), view.draft.entries, view.draft.since
    yield "", view.title + (f" · staged since {local_time(since, view.now)}" if since else "")
    yield "", ""
    rows: list[Sequence[object]] = [("kind", "entries", "steps", "saved")]
    rows += [(t.kind, t.entries, t.steps, t.entries - t.steps) for t in view.draft.totals]
    saved = entries - steps
    rows.append(("", entries, steps, saved))
    *head, last = columns(rows, "<>>>", gap=3)
    for line in head:
        yield "", "  " + line
    percent = f"   {100 * saved // entries} % fewer requests" if saved > 0 else ""
    yield "", "  " + last + percent
    yield "", ""
    yield "", f"  in {count(view.draft.plan.waves, 'wave')}{_forecast(view)}"
    yield from target_lines(view)
    for risk in view.risks:
        yield "!", f"  {risk.text}"
        if risk.advice:
            yield "", f"    ({risk.advice})"
    if view.draft.remaining:
        stay = "stays" if view.draft.remaining == 1 else "stay"
        yield "", f"  {count(view.draft.remaining, 'entry')} for other targets {stay} staged"


def nothing_to_send(draft: PlanDraft, targets: Sequence[str]) -> str:
    """Return the reason for a plan without steps."""
    if not draft.remaining:
        return "nothing is staged"
    stay = "stays" if draft.remaining == 1 else "stay"
    text = f"no staged edit writes to {first_few(targets)}"
    return f"{text}; {count(draft.remaining, 'entry')} for other targets {stay} staged"


def _forecast(view: PlanView) -> str:
    if view.rate is None:
        return ", no estimate yet (no earlier run of 10 steps or more)"
    seconds = len(view.draft.plan.steps) / view.rate.per_second
    return (
        f", about {duration(max(seconds, 1))} at the rate of the last run "
        f"({view.rate.per_second:,.0f} per second)"
    )


_STATE_TEXTS = {
    PauseState.NO_CONFIG: ("!", "no sync config: cannot be paused, and nothing is delivered"),
    PauseState.PAUSED_BY_OTHER: ("‖", "paused by someone else; resume leaves it paused"),
    PauseState.UNPAUSED_BY_OTHER: (
        "!",
        "someone else unpaused it; resume asks before it continues",
    ),
    PauseState.UNCERTAIN: ("!", "an unpause was interrupted; resume asks who owns the pause"),
}


def target_lines(view: PlanView) -> Iterator[Line]:
    """Yield how the targets of a plan stand, and each pause that resume will end."""
    fed = fed_targets(total.kind for total in view.draft.totals)
    unpaused = _unpaused_by_resume(view)
    for name in fed.direct:
        state, pause = _state_of(view, name), view.pauses.get(name)
        if state in _STATE_TEXTS:
            sign, text = _STATE_TEXTS[state]
            yield sign, f"  {name}  {text}"
        elif pause is None:
            state_text = "running" if view.statuses is not None else "not paused by this workspace"
            yield "▶", f"  {name}  {state_text}; resume will pause it"
        else:
            yield "‖", f"  {name}  {_pause_text(view, pause)}"
    for name in unpaused:
        if name not in fed.direct:
            text = _pause_text(view, view.pauses[name])
            yield "‖", f"  {name}  {text}; resume will unpause it too"
    for names, word in _resent(view, fed.indirect):
        mine = [name for name in names if _is_ours(view, name)]
        running = [name for name in names if name not in mine]
        if running:
            yield "!", f"  {word} {', '.join(running)} (not paused by this workspace)"
        if mine:
            yield "‖", f"  {word} {', '.join(mine)}, paused by you"
    if as_of := _as_of(view):
        source = (
            "from the server" if view.statuses else "from this workspace; --diff asks the server"
        )
        yield "", f"  targets as of {local_time(as_of, view.now)}, {source}"


def _resent(view: PlanView, names: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """Yield those of the targets *names* that are sent again, surely and perhaps."""
    if view.resends and "products" in names:
        yield ["products"], "also resends"
    yield [n for n in names if view.resends is None or n != "products"], "may also resend"


def _pause_text(view: PlanView, pause: Pause) -> str:
    until = f", until {local_time(pause.until, view.now)}" if pause.until else ""
    return f"paused by you for {duration(max(pause.seconds(view.now), 0))}{until}"


def _state_of(view: PlanView, name: str) -> PauseState:
    """Return how a target stands: as the server said, else as this workspace recorded it."""
    if view.statuses and name in view.statuses:
        return view.statuses[name].state
    pause = view.pauses.get(name)
    if pause is None:
        return PauseState.RUNNING
    if pause.lost:
        return PauseState.UNPAUSED_BY_OTHER
    uncertain = pause.phase is PausePhase.UNPAUSING
    return PauseState.UNCERTAIN if uncertain else PauseState.PAUSED_BY_US


def _is_ours(view: PlanView, name: str) -> bool:
    return _state_of(view, name) is PauseState.PAUSED_BY_US


def _unpaused_by_resume(view: PlanView) -> list[str]:
    """Return the targets whose pause of ours a resume that succeeds ends."""
    return [
        name
        for name, pause in view.pauses.items()
        if _is_ours(view, name) and name not in view.windows
        if not view.named or name in view.named or pause.run
    ]


def _as_of(view: PlanView) -> str:
    """Return the time that what is said of the targets is from; empty where nothing is known."""
    if view.statuses:
        return view.now.isoformat()
    return max((pause.lost or pause.since for pause in view.pauses.values()), default="")


def document(view: PlanView, fingerprint: str) -> dict[str, Any]:
    """Return the plan as JSON data."""
    steps = view.draft.plan.steps
    fed = fed_targets(total.kind for total in view.draft.totals)
    return {
        "fingerprint": fingerprint,
        "entries": view.draft.entries,
        "steps": len(steps),
        "waves": view.draft.plan.waves,
        "left": view.draft.remaining,
        "kinds": [row._asdict() for row in view.draft.totals],
        "targets": {
            "direct": list(fed.direct),
            "possible": list(fed.indirect),
            "paused_by_us": sorted(n for n, pause in view.pauses.items() if not pause.lost),
            "will_unpause": _unpaused_by_resume(view),
            "as_of": _as_of(view),
        },
        "seconds": len(steps) / view.rate.per_second if view.rate else None,
        "risks": [_risk_document(risk) for risk in view.risks],
    }


def _risk_document(risk: Risk) -> dict[str, Any]:
    return {
        "code": risk.code,
        "text": risk.text,
        "refs": list(risk.refs),
        "advice": risk.advice,
        "count": risk.total,
    }


def explain(steps: Sequence[Step], entries: Mapping[int, Entry], now: datetime) -> Iterator[str]:
    """Yield the steps of one ref, each with the entries that were folded into it."""
    for step in steps:
        yield f"{step.ref}   {step.method}  {assignments_text(step)}".rstrip()
        folded = [entries[seq] for seq in step.change.entries if seq in entries]
        rows = [(e.source or _author(e, now), _entry_text(e)) for e in folded]
        for line in columns(rows, "<<"):
            yield "  " + line
        for conflict in step.change.contradicted:
            yield (
                f"  ! entry {conflict.seq} expects "
                f"{assignment_text(conflict.field, conflict.expected)}, "
                f"but earlier entries set it to {value_text(conflict.staged)}"
            )


def assignments_text(step: Step) -> str:
    """Return the values that a step sets and adds, as in `Active=true  Quantity+=2`."""
    change = step.change
    parts = [assignment_text(p, v) for p, v in change.fields.items()]
    parts += [assignment_text(p, v, "+=") for p, v in change.adjust.items()]
    return "  ".join(parts)


def _author(entry: Entry, now: datetime) -> str:
    return f"{local_time(entry.at, now)} {entry.by.partition('@')[0]}" if entry.at else entry.by


def _entry_text(entry: Entry) -> str:
    sign = "+=" if entry.op is Op.ADJUST else "="
    words = [entry.op.value, *(assignment_text(p, v, sign) for p, v in entry.fields.items())]
    words += [f"--expect {assignment_text(p, v)}" for p, v in entry.expect.items()]
    return " ".join(words)


_SENT_ANYWAY = "has these values already; sent anyway, because reads of it may lag"


def difference_lines(steps: Sequence[Step], preflight: Preflight) -> Iterator[Line]:
    """Yield the change that each step would make to the values on the server now."""
    differing = same = 0
    problems = (*preflight.conflicts, *preflight.missing)
    conflicts = {conflict.number: conflict for conflict in problems}
    for step in steps:
        prepared = preflight.prepared.get(step.number)
        if prepared and prepared.same:
            same += 1
            continue
        differing += 1
        if differing > _REF_LIMIT:
            continue
        if step.number in conflicts:
            yield "!", f"  {step.ref}  {conflicts[step.number].text()}"
            continue
        if prepared is None:
            yield "~", f"  {step.ref}  {assignments_text(step)}"
            continue
        changes = [
            _difference_text(path, prepared.before.get(path), new)
            for path, new in prepared.sent.items()
            if path not in prepared.before or not json_equal(prepared.before[path], new)
        ]
        changes += [
            _difference_text(path, value, default_of(step.ref, path))
            for path, value in prepared.emptied.items()
        ]
        changes = changes or [f"recreates {ref}" for ref in linked_refs(step.ref)]
        changes = changes or [_SENT_ANYWAY] * kind_of(step.ref).eventually_consistent
        yield "+" if prepared.absent else "~", f"  {step.ref}  {', '.join(changes)}".rstrip()
    if differing > _REF_LIMIT:
        yield "", f"  ... and {differing - _REF_LIMIT:,} more"
    unchanged = f"; {count(same, 'ref needs', 'refs need')} no change" if same else ""
    yield "=", f"  {count(differing, 'change')}{unchanged}"


def _difference_text(path: str, before: Any, after: Any) -> str:
    """Return what becomes of a value."""
    return f"{path} {field_value_text(path, before)} -> {field_value_text(path, after)}"


def difference_documents(steps: Sequence[Step], preflight: Preflight) -> list[dict[str, Any]]:
    """Return the change of each step as JSON data."""
    problems = (*preflight.conflicts, *preflight.missing)
    conflicts = {conflict.number: conflict.text() for conflict in problems}
    rows = []
    for step in steps:
        prepared = preflight.prepared.get(step.number)
        rows.append(
            {
                "ref": step.ref,
                "same": bool(prepared and prepared.same),
                "absent": bool(prepared and prepared.absent),
                "before": prepared.before if prepared else None,
                "after": prepared.sent if prepared else None,
                "conflict": conflicts.get(step.number, ""),
            }
        )
    return rows
