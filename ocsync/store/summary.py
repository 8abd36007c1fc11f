"""Summary of the staged edits, overdue pauses and the last run.

It does without the typed readers, for the quick commands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.store import files, log
from ocsync.store.damage import damaged
from ocsync.store.number_ranges import remove_ranges
from ocsync.store.timestamps import parse_timestamp


class JournalSummary(NamedTuple):
    """Number of staged entries and refs, and the oldest stamp (UTC, ISO 8601; empty for none)."""

    entries: int
    refs: int
    since: str


def summarize_journal(folder: Path, warn: log.Warn) -> JournalSummary:
    """Count the live entries of the journal in *folder*, by the rules of `ocsync.store.journal`.

    Raises Damaged for a record that the journal's reader would refuse.
    """
    living: dict[int, tuple[str, str]] = {}
    for path in log.list_segments(folder):
        for entry, seqs in log.read_records(path, _decode, warn):
            if entry:
                living[entry[0]] = entry[1:]
            remove_ranges(living, seqs)
    stamps = [at for _, at in living.values() if at]
    return JournalSummary(
        len(living), len({ref.casefold() for ref, _ in living.values()}), min(stamps, default="")
    )


def _decode(payload: bytes) -> tuple[tuple[int, str, str] | None, list[tuple[int, int]]]:
    """Return the entry in a record (number, ref, stamp), and the numbers that it unstages."""
    record = json.loads(payload)
    match record["type"]:
        case "entry":
            ref, at = record["ref"], record.get("at", "")
            if not isinstance(ref, str) or not isinstance(at, str):
                raise ValueError("ref and at are text")
            if at:
                parse_timestamp(at)
            return (_number(record["seq"]), ref, at), []
        case "drop" | "sealed":
            return None, [(_number(first), _number(last)) for first, last in record["seqs"]]
        case "segment" | "end":
            return None, []
        case other:
            raise ValueError(f"{other!r} is no record of a journal")


def _number(thing: Any) -> int:
    if type(thing) is not int:
        raise ValueError(f"{thing!r} is no number")
    return thing


class OverdueReason(StrEnum):
    """Reason why a pause should have ended; `expire` unpauses for the first two."""

    LEASE = "lease"
    WINDOW = "window"
    AGE = "age"


def overdue_pauses(
    pauses: Mapping[str, Mapping[str, Any]],
    now: datetime,
    is_open: Callable[[str], bool],
    *,
    max_age: float = 0.0,
) -> dict[str, OverdueReason]:
    """Return the targets whose pause has outlived its lease, its window or *max_age* seconds.

    *pauses* are as `pause.toml` has them; *is_open* tells whether a window's process is alive. A
    *max_age* of 0 is no limit.
    """
    due = {}
    for name, pause in pauses.items():
        if pause.get("until") and parse_timestamp(pause["until"]) <= now:
            due[name] = OverdueReason.LEASE
        elif pause.get("window") and not is_open(str(pause["window"])):
            due[name] = OverdueReason.WINDOW
        elif max_age and (now - parse_timestamp(pause["since"])).total_seconds() > max_age:
            due[name] = OverdueReason.AGE
    return due


def read_last_run(folder: Path) -> dict[str, Any]:
    """Return `run.json` of the newest resume in *folder*, as it stands; empty for none.

    Raises Damaged for one that is not a run's record.
    """
    runs = (path for path in files.list_folder(folder) if not path.suffix)
    records = (path for run in runs if (path := run / "run.json").is_file())
    for path in sorted(records, key=_start_time, reverse=True):
        record = _read_record(path)
        if record.get("sort", "resume") == "resume":
            return record
    return {}


def _start_time(path: Path) -> float:
    """Return when the run began.

    Its plan is written once, its record again and again.
    """
    plan = path.with_name("plan.jsonl")
    return (plan if plan.exists() else path).stat().st_mtime


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = dict(json.loads(files.read_bytes(path)))
        if not all(isinstance(record.get(name), str) for name in ("id", "state", "started")):
            raise ValueError("id, state and started are expected")
        if record["id"] != path.parent.name:
            raise ValueError(f"it is the one of run {record['id']}")
        if not isinstance(record.get("exit_code", 0), int):
            raise ValueError("exit_code is a number")
        for stamp in filter(None, (record["started"], record.get("ended", ""))):
            parse_timestamp(stamp)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(path, 1, f"not a run's record: {error}") from error
    return record
