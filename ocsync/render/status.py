"""The status of targets, the journal and the last run; imported for the offline status too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ocsync.render.pause import pause_text
from ocsync.render.text import Line, count, duration, first_few, local_time
from ocsync.store.timestamps import seconds_between

if TYPE_CHECKING:
    from ocsync.engine.status import Status
    from ocsync.store import JournalSummary
    from ocsync.store.summary import OverdueReason, UnfinishedRun

PauseDocuments = Mapping[str, Mapping[str, Any]]
_Row = tuple[str, str, str]
_OVERDUE_TEXTS = {
    "lease": "its --for time has passed (ocsync expire, or ocsync resume)",
    "window": "its window process has died (ocsync expire, or ocsync resume)",
    "age": "it is older than --max-age (ocsync resume, or ocsync unpause)",
}
_ENDINGS = {
    0: "complete",
    3: "partly done",
    4: "access refused",
    5: "differences found",
    6: "conflict",
    7: "unpaused too early",
    75: "server unreachable",
    78: "sync config missing",
    130: "interrupted",
    143: "interrupted",
}


def offline_lines(
    pauses: PauseDocuments, due: Mapping[str, OverdueReason], now: datetime
) -> Iterator[Line]:
    """Yield the pauses that this workspace recorded, and those that are overdue."""
    rows: list[_Row] = []
    for name, pause in pauses.items():
        rows += (
            [_lost_row(name, pause, now)] if pause.get("lost") else _pause_rows(name, pause, now)
        )
    yield from _align([*rows, *_overdue_rows(due)])
    if not pauses:
        yield "=", "  this workspace has paused no target"


def online_lines(status: Status, pauses: PauseDocuments, now: datetime) -> Iterator[Line]:
    """Yield the pauses on the server, the targets running, and those without a config."""
    running = 0
    missing: list[str] = []
    rows: list[_Row] = []
    for name, target in status.targets.items():
        match target.state.value:
            case "no_config" if name in pauses:
                rows.append(("!", name, "paused, but its sync config no longer exists"))
            case "no_config":
                missing.append(name)
            case "running":
                running += 1
            case "paused_by_workspace":
                rows += _pause_rows(name, pauses.get(name, {}), now)
            case "paused_by_other" if name in pauses:
                rows.append(
                    ("‖", name, "paused by someone else after this workspace's pause ended")
                )
            case "paused_by_other":
                rows.append(("‖", name, "paused by someone else"))
            case "uncertain":
                rows.append(
                    ("!", name, "an unpause was interrupted, so it is unknown who paused it")
                )
                rows.append(
                    ("", "", f"ocsync unpause {name} --force, or ocsync pause {name} --adopt")
                )
            case _:
                rows.append(("!", name, "unpaused by someone else"))
    yield from _align([*rows, *_overdue_rows(status.overdue)])
    if running:
        others = "other target" if rows else "target"
        yield "▶", f"  {count(running, others)} running"
    if missing:
        has = "has" if len(missing) == 1 else "have"
        yield "", f"    {first_few(missing)} {has} no sync config"


def _align(rows: Sequence[_Row]) -> Iterator[Line]:
    size = max((len(name) for _, name, _ in rows), default=0)
    for sign, name, text in rows:
        yield sign, f"{'  ' if sign else '    '}{name:<{size}}  {text}"


def _overdue_rows(due: Mapping[str, OverdueReason]) -> Iterator[_Row]:
    """Yield the overdue pauses, each with the reason and the command that ends it."""
    for name, reason in due.items():
        yield "!", name, f"overdue: {_OVERDUE_TEXTS[reason]}"


def _lost_row(name: str, pause: Mapping[str, Any], now: datetime) -> _Row:
    seen = local_time(str(pause["lost"]), now)
    return "!", name, f"unpaused by someone else (noticed {seen})"


def _pause_rows(name: str, pause: Mapping[str, Any], now: datetime) -> Iterator[_Row]:
    yield "‖", name, _pause_text(pause, now)
    if pause.get("job"):
        yield "", "", str(pause["job"])


def _pause_text(pause: Mapping[str, Any], now: datetime) -> str:
    by, since, until, reason, run = (
        str(pause.get(name) or "") for name in ("by", "since", "until", "reason", "run")
    )
    text = pause_text(by, since, now, until=until, reason=reason, run=run)
    if pause.get("phase") == "paused":
        return text
    phase = str(pause.get("phase"))
    return f"{text}, {_PHASE_TEXTS.get(phase, phase)}, not confirmed yet"


_PHASE_TEXTS = {"lifting": "unpausing"}
_CONTINUES = {
    "resume": "ocsync resume continues it",
    "delete": "run the same ocsync delete again to continue it",
    "resync": "ocsync resync continues it",
}


def unfinished_lines(runs: Sequence[UnfinishedRun], at_work: str = "") -> Iterator[Line]:
    """Yield the runs that are not finished, each with the command that continues it.

    *at_work* names the command that is working on them, if one is.
    """
    for run in runs:
        command = _CONTINUES.get(run.kind, _CONTINUES["resume"])
        way = f"{at_work} is running" if at_work else command
        yield "▶" if at_work else "!", f"  {run.text()}; {way}"


def staged_lines(journal: JournalSummary, run: Mapping[str, Any], now: datetime) -> Iterator[Line]:
    """Yield the number of staged entries, and the last run."""
    if journal.entries:
        since = f", since {local_time(journal.since, now)}" if journal.since else ""
        text = f"{count(journal.entries, 'entry')}, {count(journal.refs, 'ref')}{since}"
    else:
        text = "nothing"
    yield "", f"    staged     {text}"
    if run:
        end = ending_text(str(run.get("state")), int(run.get("exit_code", 0)))
        at = local_time(str(run["started"]), now) if run.get("started") else ""
        yield "", f"    last run   {run['id']}, {end}, {at}".rstrip(", ")


def attachment_lines(listeners: Mapping[str, Mapping[str, Any]], now: datetime) -> Iterator[Line]:
    """Yield the listeners that this workspace attached to delivery configurations."""
    if not listeners:
        return
    from ocsync.listener_attachment import destination_of

    for key, facts in listeners.items():
        config = key.partition("/")[0]
        phase = str(facts.get("phase"))
        unsettled = "" if phase == "attached" else f" ({phase}, not confirmed yet)"
        since = duration(seconds_between(str(facts["since"]), now))
        yield "+", f"  {config} also delivers to this workspace's listener, for {since}{unsettled}"
        yield "", f"      {destination_of(facts['shown'])}; ocsync delivery detach removes it"


def ending_text(state: str, exit_code: int) -> str:
    """Return the end of a run in words."""
    if state == "open":
        return "not finished"
    return _ENDINGS.get(exit_code, f"exit {exit_code}")


def document(status: Status, pauses: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of every target as JSON data."""
    ours = {name: pause for name, pause in pauses.items() if not pause.get("lost")}
    return {
        "marketplace": status.identity.marketplace,
        "targets": [
            {
                "name": name,
                "state": target.state.value,
                "exists": target.server.exists,
                "paused": target.server.paused,
                "pause": dict(ours[name]) if name in ours else None,
                "delivery": target.server.delivery,
                "changed": target.server.sends_changes if target.server.exists else None,
                "deleted": target.server.sends_deletes if target.server.exists else None,
            }
            for name, target in status.targets.items()
        ],
        "overdue": list(status.overdue),
        "drifted": list(status.drifted),
    }
