"""Summary of the staged edits, overdue pauses and the last run.

It does without the typed readers, for the quick commands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.plurals import count
from ocsync.store import files, log
from ocsync.store.damage import damaged
from ocsync.store.number_ranges import remove_ranges
from ocsync.store.timestamps import parse_timestamp


class JournalSummary(NamedTuple):
    """Number of staged entries and refs, and the oldest stamp (UTC, ISO 8601; empty for none)."""

    entries: int
    refs: int
    since: str


INDEX_BYTES = 262_144
"""Bytes of log that every command may read; with more of them the journal has an index."""


def summarize_journal(folder: Path, warn: log.Warn) -> JournalSummary:
    """Count the live entries of the journal in *folder*, by the rules of `ocsync.store.journal`.

    Raises Damaged for a record that the journal's reader would refuse.
    """
    segments = log.list_segments(folder)
    if sum(path.lstat().st_size for path in segments) > INDEX_BYTES:
        from ocsync.store.journal import Journal

        return Journal(folder, nullcontext, warn).totals()
    living: dict[int, tuple[str, str]] = {}
    for path in segments:
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
                raise ValueError("ref and at must be text")
            if at:
                parse_timestamp(at)
            return (_number(record["seq"]), ref, at), []
        case "drop" | "sealed":
            return None, [(_number(first), _number(last)) for first, last in record["seqs"]]
        case "segment" | "end":
            return None, []
        case other:
            raise ValueError(f"{other!r} is not a journal record")


def _number(thing: Any) -> int:
    if type(thing) is not int:
        raise ValueError(f"{thing!r} is not a number")
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
        if pause.get("lost"):
            continue  # it has ended: what pauses the target now is not ours to judge
        if pause.get("until") and parse_timestamp(pause["until"]) <= now:
            due[name] = OverdueReason.LEASE
        elif pause.get("window") and not is_open(str(pause["window"])):
            due[name] = OverdueReason.WINDOW
        elif max_age and (now - parse_timestamp(pause["since"])).total_seconds() > max_age:
            due[name] = OverdueReason.AGE
    return due


def read_last_run(folder: Path) -> dict[str, Any]:
    """Return `run.json` of the newest resume in *folder*, as it stands; empty when there is none.

    Raises Damaged for one that is not a run's record.
    """
    resumes = [r for r in _run_records(folder) if r.get("sort", "resume") == "resume"]
    return max(resumes, key=lambda r: (r["started"], len(r["id"]), r["id"]), default={})


class UnfinishedRun(NamedTuple):
    """A run that is not finished: how many of its *steps* have *ended*.

    *entries* are the edits in it, *kind* is resume, delete or resync, *held* the targets that it
    needs paused. A run that a crash cut off before its plan was written has no steps yet.
    """

    id: str
    kind: str
    ended: int
    steps: int
    entries: int
    held: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        facts = self._asdict()
        return {"id": facts.pop("id"), "type": facts.pop("kind"), **facts}

    def text(self) -> str:
        """Return the sentence that says so."""
        if self.steps:
            numbers = f"{self.ended:,} of {count(self.steps, 'step')} done"
        else:
            numbers = f"{count(self.entries, 'edit')} not sent yet"
        return f"run {self.id} is not finished: {numbers}"


def unfinished_runs(profile: Path, warn: log.Warn) -> list[UnfinishedRun]:
    """Return the runs of a profile that are not finished. Raises Damaged.

    One whose seal a crash cut off after its edits had left the journal is one of them.
    """
    found = []
    for record in _run_records(profile / "runs", sealed=lambda: _sealed(profile, warn)):
        if record["state"] == "open":
            outcomes = profile / "runs" / record["id"] / "outcomes.jsonl"
            ended = sum(log.read_records(outcomes, _is_outcome, warn)) if outcomes.exists() else 0
            found.append(
                UnfinishedRun(
                    record["id"], record.get("sort", "resume"), ended, record.get("steps", 0),
                    record.get("entries", 0), tuple(record.get("held", ())),
                )
            )  # fmt: skip
    return found


def _is_outcome(payload: bytes) -> bool:
    return bool(json.loads(payload)["type"] == "outcome")


def _sealed(profile: Path, warn: log.Warn) -> set[str]:
    """Return the runs whose edits have left the journal."""
    names = (
        name
        for path in log.list_segments(profile / "journal")
        for name in log.read_records(path, _sealed_run, warn)
    )
    return set(names) - {""}


def _sealed_run(payload: bytes) -> str:
    record = json.loads(payload)
    return str(record["run"]) if record["type"] == "sealed" else ""


def _run_records(
    folder: Path, *, sealed: Callable[[], Collection[str]] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the record of each run in *folder*; half-made ones only if they are *sealed*."""
    for run in files.list_folder(folder):
        path = run / "run.json"
        if not path.is_file():
            continue
        half_made = run.suffix == ".new"
        if not path.parent.suffix or (half_made and sealed and path.parent.stem in sealed()):
            yield _read_record(path)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = dict(json.loads(files.read_bytes(path)))
        if not all(isinstance(record.get(name), str) for name in ("id", "state", "started")):
            raise ValueError("id, state or started is missing")
        if record["id"] != path.parent.name.removesuffix(".new"):
            raise ValueError(f"it belongs to run {record['id']}")
        if not isinstance(record.get("exit_code", 0), int):
            raise ValueError("exit_code is not a number")
        for stamp in filter(None, (record["started"], record.get("ended", ""))):
            parse_timestamp(stamp)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(path, 1, f"not a run's record: {error}") from error
    return record
