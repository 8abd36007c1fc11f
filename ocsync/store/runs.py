"""The runs of a profile: one folder each, with the plan, outcomes and findings of a resume.

Deletes and resyncs keep a run too, of their own kind: without sealed entries, their plan the
requests that they set out to send.

    runs/1123-1504/  run.json        its record; replaced whole
                     journal.jsonl   the sealed entries
                     plan.jsonl      the steps
                     outcomes.jsonl  intents and outcomes, as they happened
                     before.jsonl    the documents as they were
                     findings.jsonl  the findings of verification other than plain sameness
                     pace.jsonl      samples of its speed (see `pace_log`)
                     made.txt        what a rollback of it leaves to `ocsync delete`

A seal has three acts: the folder under the name `<id>.new`, the journal's record (which commits),
the folder's rename. `recover` finishes or undoes a seal that a crash interrupted.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import msgspec

from ocsync.errors import FileMissing, UsageError
from ocsync.models import Entry, Finding, Intent, Outcome, PaceSample, Ref, Step
from ocsync.plurals import count
from ocsync.schema import is_ref
from ocsync.store import files, log
from ocsync.store.damage import damaged
from ocsync.store.files import ParsedFile
from ocsync.store.journal import Journal, check_entries
from ocsync.store.log import Log, RecordDecoder, Warn
from ocsync.store.number_ranges import NumberRanges, to_ranges
from ocsync.store.pace_log import PaceLog, read_pace
from ocsync.store.spill import OpenFile
from ocsync.store.step_log import StepLog, step_lines
from ocsync.store.timestamps import parse_timestamp
from ocsync.suggestions import suggestion

RunKind = Literal["resume", "delete", "resync"]
"""Command that made a run."""


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Record of a run. Stamps are UTC, ISO 8601; *seconds* is the time worked on it.

    Raises ValueError for an invalid stamp, so that a damaged record is not used.

    *counts* are steps by outcome, *kinds* the same per kind; *verified* findings by sign, per kind
    in *verified_kinds*, and *by_answer* how many of them rest on the write's own answer; *delivery*
    the listener's messages, and their times in seconds after the unpause. *requests* counts every
    request sent, reads among them. *paused_seconds* maps the targets that were unpaused at its end
    to the seconds each had been paused; *reverts* are the runs that its entries undo.
    *arrivals* are pairs of seconds after the unpause and the number of messages that had arrived
    by then; the last has all. *verification_pending* says that a verification was requested and has
    not finished. *held* are the targets that were paused, by anyone, when it started to send.
    *plan* is the fingerprint of its plan. *requests* and *seconds* have what was sent and worked
    until *counted_until*, by the commands that ended; *requests_at_least* says that one was killed,
    so that its last requests are not among them.
    """

    id: str
    kind: RunKind = msgspec.field(default="resume", name="sort")
    state: Literal["open", "closed"] = "open"
    started: str = ""
    ended: str = ""
    command: str = ""
    user: str = ""
    marketplace: str = ""
    targets: tuple[str, ...] = ()
    on_conflict: str = ""
    entries: int = 0
    steps: int = 0
    requests: int = 0
    seconds: float = 0.0
    exit_code: int = 0
    counts: dict[str, int] = {}
    kinds: dict[str, dict[str, int]] = {}
    verified: dict[str, int] = {}
    delivery: dict[str, float] = {}
    arrivals: tuple[tuple[float, int], ...] = ()
    verified_kinds: dict[str, dict[str, int]] = {}
    by_answer: int = 0
    paused_seconds: dict[str, float] = msgspec.field(default_factory=dict, name="windows")
    reverts: tuple[str, ...] = msgspec.field(default=(), name="undoes")
    verification_pending: bool = msgspec.field(default=False, name="unproven")
    held: tuple[str, ...] = ()
    plan: str = ""
    counted_until: str = ""
    requests_at_least: bool = False

    def __post_init__(self) -> None:
        for stamp in filter(None, (self.started, self.ended, self.counted_until)):
            parse_timestamp(stamp)


class DocumentBefore(msgspec.Struct, frozen=True):
    """Document as it was before a run; None for one that did not exist."""

    ref: Ref
    document: dict[str, Any] | None


LONG_PLAN = 50_000
"""Steps of a plan that is not kept in memory."""
_encode = msgspec.json.Encoder().encode
_decode_info = msgspec.json.Decoder(RunInfo).decode


def _read_info(path: Path) -> RunInfo:
    """Return the record in *path*, or an empty one when there is none. Raises Damaged."""
    run = path.parent.name.removesuffix(".new")
    try:
        info = _decode_info(files.read_bytes(path))
    except FileNotFoundError:
        return RunInfo(id=run)
    except ValueError as error:
        raise damaged(path, 1, f"not a run's record: {error}") from error
    if info.id != run:
        raise damaged(path, 1, f"the record of run {info.id} is in another run's folder")
    return info


def _check_refs(records: Iterable[Any]) -> None:
    """Raise ValueError for one of *records* without a valid ref."""
    for record in records:
        if not is_ref(record.ref):
            raise ValueError(f"{record.ref} is not a ref that this ocsync knows")


def _decoder(kind: Any, check: Callable[[Iterable[Any]], None] = _check_refs) -> RecordDecoder[Any]:
    return RecordDecoder(msgspec.json.Decoder(kind), check)


DECODERS: dict[str, RecordDecoder[Any]] = {
    "journal": _decoder(Entry, check_entries),
    "plan": _decoder(Step),
    "outcomes": _decoder(Intent | Outcome),
    "before": _decoder(DocumentBefore),
    "findings": _decoder(Finding),
}
"""Decoder of a record, by log. It raises ValueError."""


class Run:
    """Folder of one run. Its logs stay open while it is written; use it with `with`."""

    def __init__(self, path: Path, warn: Warn, record: ParsedFile[RunInfo] | None = None) -> None:
        self.path = path
        self._warn = warn
        self._logs: dict[str, Log] = {}
        self._record = record or ParsedFile(path / "run.json", _read_info)

    @property
    def id(self) -> str:
        """Name of its folder, `MMDD-HHMM`."""
        return self.path.name

    def read_info(self) -> RunInfo:
        """Record of its progress so far. Raises Damaged."""
        return self._record.read()

    def write_info(self, info: RunInfo) -> None:
        """Replace its record."""
        files.write_atomically(
            self.path / "run.json", msgspec.json.format(_encode(info), indent=2) + b"\n"
        )
        self._record.written(info)

    def update(self, **facts: Any) -> RunInfo:
        """Replace some members of its record, if they differ; return the new record."""
        info = self.read_info()
        changed = msgspec.structs.replace(info, **facts)
        if changed != info:
            self.write_info(changed)
        return changed

    def entries(self) -> Iterator[Entry]:
        """Yield the sealed entries, in order. Raises Damaged."""
        yield from self._read("journal", whole=True)

    @property
    def has_plan(self) -> bool:
        """True when its plan is on disk; a crash right after the seal leaves none."""
        return (self.path / "plan.jsonl").exists()

    def write_plan(self, steps: Iterable[Step]) -> None:
        """Write its plan, whole."""
        with files.atomic_writer(self.path / "plan.jsonl") as file:
            file.writelines(step_lines(steps))

    def steps(self) -> Iterator[Step]:
        """Yield its plan, in order. Raises Damaged."""
        yield from self._read("plan", whole=True)

    def read_plan(self) -> Sequence[Step]:
        """Return its plan; a long one stays in its file, and is checked now. Raises Damaged."""
        path = self.path / "plan.jsonl"
        steps, ends, end = list[Step](), array("Q"), 0
        for group in log.read_groups(path, DECODERS["plan"], self._warn, whole=True):
            for size in group.sizes:
                end += size
                ends.append(end)
            if len(ends) > LONG_PLAN:
                steps.clear()
            else:
                steps += group.records
        if len(ends) <= LONG_PLAN:
            return steps
        return StepLog(OpenFile(files.open_for_reading(path)).read, ends, checked=True)

    def record(self, records: Sequence[Intent | Outcome]) -> None:
        """Append a group of intents and outcomes; durable when it returns. Raises OSError."""
        self._log("outcomes").append(map(_encode, records))

    @property
    def has_outcomes(self) -> bool:
        """True when a command has begun to send it."""
        return (self.path / "outcomes.jsonl").exists()

    def outcomes(self) -> Iterator[Intent | Outcome]:
        """Yield intents and outcomes, as they happened."""
        yield from self._read("outcomes")

    def record_before(self, documents: Iterable[tuple[Ref, dict[str, Any] | None]]) -> None:
        """Append documents as they were before this run; None for one that did not exist."""
        self._log("before").append(
            _encode(DocumentBefore(ref, document)) for ref, document in documents
        )

    def before(self) -> Iterator[tuple[Ref, dict[str, Any] | None]]:
        """Yield the documents before the run; of a ref that comes twice the first counts."""
        for record in self._read("before"):
            yield record.ref, record.document

    def check_whole(self) -> None:
        """Raise Damaged when a resume's entries or steps are not complete and readable."""
        info = self.read_info()
        for name, number in (("journal", info.entries), ("plan", info.steps)):
            path = self.path / f"{name}.jsonl"
            seen = sum(1 for _ in self._read(name, whole=True))
            if seen != number and (name == "journal" or self.has_plan):
                raise damaged(
                    path, seen + 1, f"{count(number, 'record was', 'records were')} written here"
                )

    def recount(self) -> None:
        """Set the numbers of entries and steps in its record to the actual ones, after a repair."""
        counts = {name: sum(1 for _ in self._read(name)) for name in ("journal", "plan")}
        self.update(entries=counts["journal"], steps=counts["plan"])

    def write_findings(self, findings: Iterable[Finding]) -> None:
        """Replace the findings of verification."""
        with files.atomic_writer(self.path / "findings.jsonl") as file:
            for finding in findings:
                file.write(log.encode_line(_encode(finding)))

    def findings(self) -> Iterator[Finding]:
        """Yield the findings of the last verification other than plain sameness."""
        yield from self._read("findings", whole=True)

    def open_pace_log(self) -> PaceLog:
        """Return the log of its pace, open for appending."""
        return PaceLog(self.path / "pace.jsonl")

    def pace(self) -> list[PaceSample]:
        """Return the samples of its pace, oldest first; none where it was not recorded."""
        return read_pace(self.path / "pace.jsonl")

    def write_list(self, name: str, refs: Iterable[Ref]) -> Path:
        """Write *refs* to the text file *name*, one a line; return its path."""
        path = self.path / f"{name}.txt"
        files.write_atomically(path, "".join(f"{ref}\n" for ref in refs).encode())
        return path

    def close(self) -> None:
        """Close its logs."""
        for opened in self._logs.values():
            opened.close()
        self._logs.clear()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _log(self, name: str) -> Log:
        if name not in self._logs:
            self._logs[name] = Log(self.path / f"{name}.jsonl")
        return self._logs[name]

    def _read(self, name: str, *, whole: bool = False) -> Iterator[Any]:
        path = self.path / f"{name}.jsonl"
        groups = log.read_groups(path, DECODERS[name], self._warn, whole=whole)
        return chain.from_iterable(group.records for group in groups)


class Runs:
    """Runs of a profile, in *folder*."""

    def __init__(self, folder: Path, warn: Warn) -> None:
        self._folder = folder
        self._warn = warn
        self._records: dict[Path, ParsedFile[RunInfo]] = {}

    def read_all(self) -> list[RunInfo]:
        """Return every run's record, newest first. Raises Damaged."""
        infos = [self._open(path).read_info() for path in self._folders()]
        return sorted(infos, key=lambda i: (i.started, len(i.id), i.id), reverse=True)

    def find_unfinished(self, kind: RunKind = "resume") -> Run | None:
        """Return the unfinished run of this *kind*, or None; there is one at most."""
        for path in self._folders():
            run = self._open(path)
            info = run.read_info()
            if info.state == "open" and info.kind == kind:
                return run
        return None

    def newest_resume(self, accept: Callable[[RunInfo], bool] = lambda _: True) -> Run | None:
        """Return the newest resume whose record *accept* takes, or None."""
        for info in self.read_all():
            if info.kind == "resume" and accept(info):
                return self._open(self._folder / info.id)
        return None

    def pending_verification(self) -> Run | None:
        """Return the last resume if its verification was interrupted, else None."""
        last = self.newest_resume()
        return last if last and last.read_info().verification_pending else None

    def get(self, name: str = "", kind: RunKind | None = None) -> Run:
        """Return the run whose ID is *name*, or alone begins with it; without, the newest.

        *kind* is that of the newest. Raises FileMissing when there is none, UsageError when several
        IDs begin with *name*.
        """
        ids = [info.id for info in self.read_all() if name or kind in (None, info.kind)]
        matches = [i for i in ids if i == name] or [i for i in ids if i.startswith(name)]
        if not matches:
            text = f"no run {name}" if name else f"no {kind or 'run'} yet"
            raise FileMissing(text, hint=suggestion(name, ids, "ocsync history"))
        if name and len(matches) > 1:
            raise UsageError(f"several runs start with {name}: {', '.join(matches[:5])}")
        return self._open(self._folder / matches[0])

    def new_id(self, now: datetime, taken: Collection[str] = ()) -> str:
        """Return an unused ID: `MMDD-HHMM`, then `MMDD-HHMM-2`...

        *taken* are the IDs of runs that the journal records, although they may be removed.
        """
        stem = now.astimezone().strftime("%m%d-%H%M")
        number, name = 1, stem
        while name in taken or any((self._folder / (name + end)).exists() for end in ("", ".new")):
            number += 1
            name = f"{stem}-{number}"
        return name

    def seal(self, journal: Journal, info: RunInfo, seqs: Iterable[int] | NumberRanges) -> Run:
        """Return a new run with the journal's entries *seqs*, which leave the journal in one act.

        Raises StalePlan, with nothing done, when one of them is not staged any more.
        """
        folder = self._folder / f"{info.id}.new"
        numbers = seqs if isinstance(seqs, NumberRanges) else NumberRanges(to_ranges(seqs))

        def keep(lines: Iterable[bytes]) -> None:
            files.make_folder(folder)
            self._open(folder).write_info(msgspec.structs.replace(info, entries=numbers.count()))
            _write_lines(folder, lines)

        journal.seal(info.id, numbers, keep)
        return self._commit(folder)

    def create(self, info: RunInfo, steps: Iterable[Step], entries: Sequence[Entry] = ()) -> Run:
        """Return a new run with a plan; *entries* are copied into it, the journal keeps them."""
        folder = self._folder / f"{info.id}.new"
        files.make_folder(folder)
        run, plan = self._open(folder), list(steps)
        run.write_info(msgspec.structs.replace(info, steps=len(plan), entries=len(entries)))
        run.write_plan(plan)
        _write_lines(folder, (log.encode_line(_encode(entry)) for entry in entries))
        return self._commit(folder)

    def recover(self, journal: Journal) -> None:
        """Finish or undo a seal that a crash interrupted. Call it under the run lock."""
        for folder in files.list_folder(self._folder, "*.new"):
            if journal.is_sealed(folder.name.removesuffix(".new")):
                self._commit(folder)
            else:
                files.remove_folder(folder)
        for folder in (self._folder.parent, *self._folders()):
            files.remove_stale_temps(folder)
        if self.find_unfinished() is None:
            journal.compact()

    def size_of(self, name: str) -> int:
        """Return the bytes that the run *name* takes on disk."""
        return sum(p.stat().st_size for p in (self._folder / name).rglob("*") if p.is_file())

    def remove(self, names: Iterable[str]) -> None:
        """Remove these runs for good. Call it under the run lock.

        Each is renamed first, so that a crash leaves no run with only some of its files.
        """
        for name in names:
            files.rename(self._folder / name, self._folder / f"{name}.gone")
        for folder in files.list_folder(self._folder, "*.gone"):
            files.remove_folder(folder)

    def _commit(self, folder: Path) -> Run:
        path = folder.with_suffix("")
        files.rename(folder, path)
        return self._open(path)

    def _open(self, path: Path) -> Run:
        record = self._records.get(path)
        if record is None:
            record = self._records[path] = ParsedFile(path / "run.json", _read_info)
        return Run(path, self._warn, record)

    def _folders(self) -> Iterator[Path]:
        yield from (p for p in files.list_folder(self._folder) if p.is_dir() and not p.suffix)


def _write_lines(folder: Path, lines: Iterable[bytes]) -> None:
    """Write the sealed entries, whose log lines these are."""
    with files.atomic_writer(folder / "journal.jsonl") as file:
        file.writelines(lines)
