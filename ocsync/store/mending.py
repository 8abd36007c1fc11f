"""A damaged journal, mended: its good lines stay, the damaged file is kept beside them.

A lost line may have been an entry: then that edit is not staged any more. It may have been a
tombstone: then what it unstaged would come back. What a run was given is known from the run, and is
unstaged again; what `stage drop` or `clear` unstaged is not known, and has to be looked at.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from ocsync.store import checkup, log
from ocsync.store.journal import Journal
from ocsync.store.profile_folder import ProfileFolder


class Outlook(NamedTuple):
    """What the good lines of a journal come to: entries staged, and of runs that have them."""

    staged: int
    sealed: int


def outlook(folder: ProfileFolder) -> Outlook:
    """What would be staged if every damaged line of the journal were left out. Changes nothing."""
    with tempfile.TemporaryDirectory() as place:
        for path in (folder.path / "journal").glob("[0-9]*.jsonl"):
            lines = (log.line_of(payload) for _, payload in checkup.good_lines(path))
            (Path(place) / path.name).write_bytes(b"".join(lines))
        journal = Journal(Path(place), nullcontext, lambda _: None)
        sealed = journal.unsealed(sealed_numbers(folder.path))
        return Outlook(len(journal.entries()) - len(sealed), len(sealed))


def mend_journal(folder: ProfileFolder, path: Path) -> Path:
    """Keep the good lines of *path*, one of the journal's segments; where the damaged file is.

    Call it under the run lock; it takes the journal's. What runs have is unstaged when the whole
    journal can be read again.
    """
    with folder.journal_lock():
        first = next(checkup.good_lines(path), (0, b""))
        has_head = json.loads(first[1] or b"{}").get("type") == "segment"
        head = b"" if has_head else b'{"type":"segment","next":%d}' % _next_number(folder.path)
        beside = checkup.keep_good_lines(path, head)
    others = [checkup.damage(p) for p in (folder.path / "journal").glob("[0-9]*.jsonl")]
    if not any(found.lost for found in others):
        folder.journal.drop(folder.journal.unsealed(sealed_numbers(folder.path)))
    return beside


def sealed_numbers(profile: Path) -> dict[str, set[int]]:
    """The entries that each run was given, as far as its own file can be read."""
    found: dict[str, set[int]] = {}
    for run in checkup.run_folders(profile):
        path = run / "journal.jsonl"
        if path.is_file():
            found[run.name] = {int(r.get("seq", 0)) for r in _records(path)}
    return found


def _next_number(profile: Path) -> int:
    """A number that no entry has had, in the journal or in a run."""
    taken = {seq for seqs in sealed_numbers(profile).values() for seq in seqs}
    for path in (profile / "journal").glob("[0-9]*.jsonl"):
        for record in _records(path):
            taken.add(int(record.get("seq", 0)))
            taken.add(int(record.get("next", 1)) - 1)
    return max(taken, default=0) + 1


def _records(path: Path) -> list[dict[str, int]]:
    return [json.loads(payload) for _, payload in checkup.good_lines(path)]
