"""Repair of a damaged journal: intact lines stay, the damaged file is kept beside them.

A lost line may have been an entry: then that edit is not staged any more. It may have been a
tombstone: then the edits it unstaged would come back. Entries that runs have are known from the
runs, and are unstaged again; those that `stage drop` or `clear` unstaged are not known, and have
to be checked by hand.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from ocsync.models import Entry
from ocsync.store import files, integrity, log
from ocsync.store.journal import End, Journal, Segment, decode
from ocsync.store.profile_dir import ProfileDir


class RepairPreview(NamedTuple):
    """Effect of a repair: how many entries stay staged, and how many belong to runs."""

    staged: int
    sealed: int


def preview_repair(folder: ProfileDir) -> RepairPreview:
    """Return the effect of leaving out every damaged line. Changes nothing."""
    with tempfile.TemporaryDirectory() as name:
        scratch = files.real_path(Path(name))
        for path in log.list_segments(folder.path / "journal"):
            good = (payload for _, payload in integrity.read_good_lines(path))
            lines = map(log.encode_line, _repaired(good, next=1))
            files.write_note(scratch / path.name, b"".join(lines))
        journal = Journal(scratch, nullcontext, lambda _: None)
        sealed = journal.find_unsealed(sealed_numbers(folder.path))
        return RepairPreview(len(journal.entries()) - len(sealed), len(sealed))


def repair_journal(folder: ProfileDir, path: Path) -> Path:
    """Keep the intact lines of *path*, a segment of the journal; return the damaged copy's path.

    Call it under the run lock; it takes the journal's. Entries that runs have are unstaged once the
    whole journal can be read again.
    """
    with folder.journal_lock():
        copy = integrity.keep_good_lines(path, partial(_repaired, next=_next_number(folder.path)))
    segments = log.list_segments(folder.path / "journal")
    if not any(integrity.find_damage(segment).lost for segment in segments):
        folder.journal.drop(folder.journal.find_unsealed(sealed_numbers(folder.path)))
    return copy


def _repaired(payloads: Iterable[bytes], *, next: int) -> Iterator[bytes]:  # noqa: A002 - its name
    """Yield a segment's intact records with a head, and with an end if the head says so."""
    entries, closed = 0, None
    for payload in payloads:
        record = decode(payload)
        if closed is None:
            closed = isinstance(record, Segment) and record.closed
            if not isinstance(record, Segment):
                yield msgspec.json.encode(Segment(next=next))
        entries += isinstance(record, Entry)
        if not isinstance(record, End):
            yield payload
    if closed is None:
        yield msgspec.json.encode(Segment(next=next))
    if closed:
        yield msgspec.json.encode(End(entries))


def sealed_numbers(profile: Path) -> dict[str, set[int]]:
    """Return the entries that each run was given, as far as its own file can be read."""
    numbers: dict[str, set[int]] = {}
    for run in integrity.run_folders(profile):
        path = run / "journal.jsonl"
        if path.is_file():
            numbers[run.name] = {int(r.get("seq", 0)) for r in _good_records(path)}
    return numbers


def _next_number(profile: Path) -> int:
    """Return a number that no entry of the journal or of a run has had."""
    taken = {seq for seqs in sealed_numbers(profile).values() for seq in seqs}
    for path in log.list_segments(profile / "journal"):
        for record in _good_records(path):
            taken.add(int(record.get("seq", 0)))
            taken.add(int(record.get("next", 1)) - 1)
    return max(taken, default=0) + 1


def _good_records(path: Path) -> list[dict[str, int]]:
    return [json.loads(payload) for _, payload in integrity.read_good_lines(path)]
