"""Gauges of a profile's local state as text that Prometheus reads from a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ocsync.store.summary import JournalSummary
from ocsync.store.timestamps import parse_timestamp

_PREFIX = "ocsync_"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class LocalState(NamedTuple):
    """State that the gauges show: the end of a command, and the profile's files after it.

    *pauses* are this workspace's, *overdue* those that should have ended. *last_run* is empty
    without one.
    """

    profile: str
    command: str
    exit_code: int
    ended: datetime
    staged: JournalSummary
    pauses: Mapping[str, Mapping[str, Any]]
    overdue: Mapping[str, str]
    unfinished: int
    last_run: Mapping[str, Any]


class _Gauge(NamedTuple):
    """A gauge: its samples by the labels that they have beside the profile's."""

    name: str
    help: str
    samples: dict[tuple[tuple[str, str], ...], float]


def metrics_text(state: LocalState) -> str:
    """Return the gauges of *state* in the text format; one without a sample is left out."""
    lines = []
    for gauge in _gauges(state):
        if not gauge.samples:
            continue
        name = _PREFIX + gauge.name
        lines += [f"# HELP {name} {gauge.help}", f"# TYPE {name} gauge"]
        for labels, value in gauge.samples.items():
            pairs = ",".join(f'{key}="{_label(text)}"' for key, text in labels)
            lines.append(f"{name}{{{pairs}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def _gauges(state: LocalState) -> Iterator[_Gauge]:
    own = (("profile", state.profile),)
    command = (*own, ("command", state.command))
    run = state.last_run if state.last_run.get("state") == "closed" else {}

    def plain(name: str, text: str, value: float | None) -> _Gauge:
        return _Gauge(name, text, {} if value is None else {own: value})

    yield _Gauge(
        "command_end_timestamp_seconds",
        "End of the last command that wrote this file.",
        {command: state.ended.timestamp()},
    )
    yield _Gauge("command_exit_code", "Exit code of that command.", {command: state.exit_code})
    yield plain("staged_entries", "Staged edits.", state.staged.entries)
    yield plain("staged_refs", "Entities that have staged edits.", state.staged.refs)
    yield plain(
        "staged_oldest_timestamp_seconds",
        "Time of the oldest staged edit.",
        _seconds(state.staged.since),
    )
    yield plain("paused_targets", "Targets that this workspace paused.", len(state.pauses))
    yield _Gauge(
        "pause_start_timestamp_seconds",
        "Start of each pause.",
        {
            (*own, ("target", name)): seconds
            for name, pause in state.pauses.items()
            if (seconds := _seconds(str(pause.get("since", "")))) is not None
        },
    )
    yield plain("overdue_pauses", "Pauses that should have ended.", len(state.overdue))
    yield plain("unfinished_runs", "Runs that were interrupted.", state.unfinished)
    yield plain(
        "last_run_exit_code",
        "Exit code of the last resume, once it has finished.",
        run.get("exit_code"),
    )
    yield plain(
        "last_run_end_timestamp_seconds", "End of the last resume.", _seconds(run.get("ended", ""))
    )
    yield plain("last_run_seconds", "Duration of the last resume.", run.get("seconds"))
    yield plain("last_run_requests", "Requests of the last resume.", run.get("requests"))
    yield _Gauge(
        "last_run_steps",
        "Steps of the last resume by outcome.",
        {
            (*own, ("outcome", outcome)): number
            for outcome, number in (run.get("counts") or {}).items()
        },
    )


def _seconds(stamp: str) -> float | None:
    return parse_timestamp(stamp).timestamp() if stamp else None


def _number(value: float) -> str:
    return re.sub(r"\.?0+$", "", f"{value:.3f}")


def _label(text: str) -> str:
    return text.translate(_ESCAPES)
