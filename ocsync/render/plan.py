"""A plan: its overview, the steps of one ref explained, and the changes it would make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ocsync.engine.resume.drafting import PlanDraft
from ocsync.models import Entry, Op, Step
from ocsync.pause import Pause, PausePhase, PauseState
from ocsync.plan import fed_targets
from ocsync.render.pause import pause_text
from ocsync.render.planned_changes import (
    LIST_LIMIT,
    assignments_text,
    list_changes,
    planned_changes,
)
from ocsync.render.text import (
    Line,
    assignment_text,
    columns,
    count,
    duration,
    field_value_text,
    first_few,
    local_time,
)
from ocsync.risks import Risk

if TYPE_CHECKING:
    from ocsync.engine.pause.pausing import TargetStatus
    from ocsync.engine.resume.preflight import Preflight


class ReplayRate(NamedTuple):
    """The number of steps per second of the last run."""

    per_second: float


class PlanView(NamedTuple):
    """The facts that the overview of a plan shows.

    *names* are those of its profile, its marketplace and its environment. *risks* are those of its
    steps, *named* the targets that the plan is limited to, *windows* the targets that an open
    window holds, *statuses* what the server says of its targets, None where it was not asked.
    *resends* is whether changes of catalogs and prices send products again, None where no probe has
    found out.
    """

    names: tuple[str, str, str]
    draft: PlanDraft
    pauses: Mapping[str, Pause]
    rate: ReplayRate | None
    now: datetime
    risks: Sequence[Risk]
    named: Sequence[str] = ()
    windows: Collection[str] = ()
    statuses: Mapping[str, TargetStatus] | None = None
    resends: bool | None = None

    @property
    def title(self) -> str:
        """Profile, marketplace and environment, as in `acme · Acme · uswest-sandbox`."""
        return " · ".join(dict.fromkeys(filter(None, self.names)))


def lines(
    view: PlanView, preflight: Preflight | None = None, *, whole: bool = False
) -> Iterator[Line]:
    """Yield a plan: its edits if they are few, else their numbers by kind, then targets and risks.

    With *preflight* each edit is shown with the value before it, and the first ones of a long plan
    too. With *whole* all edits are listed.
    """
    steps, since = view.draft.plan.steps, view.draft.since
    yield "", view.title + (f" · staged since {local_time(since, view.now)}" if since else "")
    yield "", ""
    is_short = len(steps) <= LIST_LIMIT
    if not is_short:
        yield from (("", line) for line in _kind_table(view.draft))
        yield "", ""
    if preflight or is_short or whole:
        yield from change_lines(steps, preflight, whole=whole, remark=" (--list)")
        yield "", ""
    if is_short:
        yield "", f"  {_size(view.draft)}"
    yield "", f"  in {count(view.draft.plan.waves, 'wave')}{_forecast(view)}"
    yield from target_lines(view)
    for risk in view.risks:
        yield "!", f"  {risk.text}"
        if risk.advice:
            yield "", f"    ({risk.advice})"
    if view.draft.remaining:
        stay = "stays" if view.draft.remaining == 1 else "stay"
        yield "", f"  {count(view.draft.remaining, 'edit')} for other targets {stay} staged"


def change_lines(
    steps: Iterable[Step],
    preflight: Preflight | None = None,
    *,
    whole: bool = False,
    remark: str = "",
) -> Iterator[Line]:
    """Yield a line for each of the first changes, or of all with *whole*, and their number.

    *remark* follows the number of those that are left out.
    """
    listed = list_changes(steps, preflight)
    rows = planned_changes(steps, preflight) if whole else listed.rows
    yield from ((row.sign, f"  {row.text()}") for row in rows if not row.is_same)
    if listed.omitted and not whole:
        yield "", f"  ... and {listed.omitted:,} more{remark}"
    if listed.is_compared:
        yield "", f"  {listed.summary()}"


def _kind_table(draft: PlanDraft) -> list[str]:
    rows: list[Sequence[object]] = [("kind", "edits", "requests", "saved")]
    rows += [(t.kind, t.entries, t.steps, t.entries - t.steps) for t in draft.totals]
    steps = len(draft.plan.steps)
    saved = draft.entries - steps
    rows.append(("", draft.entries, steps, saved))
    *head, last = [f"  {line}" for line in columns(rows, "<>>>", gap=3)]
    percent = f"   {100 * saved // draft.entries} % fewer requests" if saved > 0 else ""
    return [*head, last + percent]


def _size(draft: PlanDraft) -> str:
    """Return the plan's numbers, as in `10 edits in 4 requests (60 % fewer)`."""
    steps = len(draft.plan.steps)
    saved = 100 * (draft.entries - steps) // draft.entries
    fewer = f" ({saved} % fewer)" if saved > 0 else ""
    return f"{count(draft.entries, 'edit')} in {count(steps, 'request')}{fewer}"


def nothing_to_send(draft: PlanDraft, targets: Sequence[str]) -> str:
    """Return the reason for a plan without steps."""
    if not draft.remaining:
        return "nothing is staged"
    stay = "stays" if draft.remaining == 1 else "stay"
    text = f"no staged edit writes to {first_few(targets)}"
    return f"{text}; {count(draft.remaining, 'edit')} for other targets {stay} staged"


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
    unpaused = [name for name in _unpaused_by_resume(view) if name not in fed.direct]
    size = max(map(len, (*fed.direct, *unpaused)), default=0)
    for name in fed.direct:
        state, pause = _state_of(view, name), view.pauses.get(name)
        if state in _STATE_TEXTS:
            sign, text = _STATE_TEXTS[state]
            yield sign, f"  {name:{size}}  {text}"
        elif pause is None:
            state_text = "running" if view.statuses is not None else "not paused by this workspace"
            yield "▶", f"  {name:{size}}  {state_text}; resume will pause it"
        else:
            yield "‖", f"  {name:{size}}  {_pause_text(view, pause)}"
    for name in unpaused:
        text = _pause_text(view, view.pauses[name])
        yield "‖", f"  {name:{size}}  {text}; resume will unpause it too"
    for names, word in _resent(view, fed.indirect):
        mine = [name for name in names if _is_ours(view, name)]
        running = [name for name in names if name not in mine]
        if running:
            yield "!", f"  {word} {', '.join(running)} (not paused by this workspace)"
        if mine:
            yield "‖", f"  {word} {', '.join(mine)} (paused by this workspace)"
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
    return pause_text(
        pause.by, pause.since, view.now, until=pause.until, reason=pause.reason, run=pause.run
    )


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
    """Return the plan as JSON data, but for its steps and changes."""
    steps = view.draft.plan.steps
    fed = fed_targets(total.kind for total in view.draft.totals)
    profile, marketplace, environment = view.names
    return {
        "profile": profile,
        "marketplace": marketplace,
        "environment": environment,
        "fingerprint": fingerprint,
        "at": view.now.isoformat(timespec="seconds"),
        "entries": view.draft.entries,
        "steps": len(steps),
        "waves": view.draft.plan.waves,
        "remaining": view.draft.remaining,
        "kinds": [row._asdict() for row in view.draft.totals],
        "targets": {
            "direct": list(fed.direct),
            "possible": list(fed.indirect),
            "paused_by_workspace": sorted(n for n, pause in view.pauses.items() if not pause.lost),
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
                f"but earlier entries set it to {field_value_text(conflict.field, conflict.staged)}"
            )


def _author(entry: Entry, now: datetime) -> str:
    return f"{local_time(entry.at, now)} {entry.by.partition('@')[0]}" if entry.at else entry.by


def _entry_text(entry: Entry) -> str:
    sign = "+=" if entry.op is Op.ADJUST else "="
    words = [entry.op.value, *(assignment_text(p, v, sign) for p, v in entry.fields.items())]
    words += [f"--expect {assignment_text(p, v)}" for p, v in entry.expect.items()]
    return " ".join(words)
