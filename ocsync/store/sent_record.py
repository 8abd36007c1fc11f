"""Record of the entries that runs took, outside the workspace: it tells an old copy.

A workspace that is restored from a backup, or from an artifact of an earlier CI job, has entries
staged that were sent since, and runs unfinished that were finished since. Its own files cannot show
that. So the user's data folder has a file for each workspace and profile:

    sent/ID-PROFILE.json     {"format": 1, "runs": [{"run": "1126-0148", "seqs": [[1, 5]], ...}]}

*ID* is in `workspace.toml`, so that every copy has it. Where the folder cannot be written there is
no record, and nothing fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from ocsync.errors import OcsyncError
from ocsync.models import Entry
from ocsync.store import files
from ocsync.store.number_ranges import NumberRanges, to_ranges

_FORMAT = 1
_ID = re.compile(r"[0-9a-f]{32}")
_MOST_RUNS = 200
"""Runs that are told apart; the record of older ones is one."""


class SentRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run that took the entries *seqs*, as ranges, until *at* (UTC, ISO 8601).

    Entries that it gave back are not among *seqs*. *closed* says that it was finished.
    """

    run: str
    at: str
    seqs: list[tuple[int, int]]
    closed: bool = False


class _Content(msgspec.Struct):
    format: int
    runs: list[SentRun]


class SentRecord:
    """Record of one profile, at the path that *find_path* returns: None without an ID.

    *make_path* first gives an ID to a workspace that has none.
    """

    def __init__(
        self, find_path: Callable[[], Path | None], make_path: Callable[[], Path | None]
    ) -> None:
        self._find_path = find_path
        self._make_path = make_path

    def runs(self) -> list[SentRun]:
        """Return the recorded runs, oldest first; none where the record cannot be read."""
        try:
            path = self._find_path()
            if path is None:
                return []
            content = msgspec.json.decode(files.read_bytes(path), type=_Content)
        except (OSError, OcsyncError, msgspec.MsgspecError):
            return []
        return content.runs if content.format == _FORMAT else []

    def numbers(self) -> NumberRanges:
        """Return the numbers of all entries that runs took."""
        return NumberRanges(pair for one in self.runs() for pair in one.seqs)

    def add(self, run: str, seqs: NumberRanges, at: str) -> None:
        """Record that *run* took the entries *seqs*."""
        others = [one for one in self.runs() if one.run != run]
        self._write([*others, SentRun(run, at, list(seqs))])

    def give_back(self, run: str, seqs: Iterable[int]) -> None:
        """Record that *run* stages the entries *seqs* again. Call it before they are staged."""
        runs, back = self.runs(), set(seqs)
        found = next((one for one in runs if one.run == run), None)
        if found and back:
            taken = (seq for first, last in found.seqs for seq in range(first, last + 1))
            left = msgspec.structs.replace(found, seqs=to_ranges(s for s in taken if s not in back))
            self._write([left if one is found else one for one in runs])

    def close(self, run: str) -> None:
        """Record that *run* is finished. Call it when that is on disk in the workspace."""
        runs = self.runs()
        if any(one.run == run and not one.closed for one in runs):
            closed = (msgspec.structs.replace(one, closed=True) for one in runs if one.run == run)
            self._write([*(one for one in runs if one.run != run), *closed])

    def is_closed(self, run: str) -> bool:
        """Return whether *run* was finished."""
        return any(one.run == run and one.closed for one in self.runs())

    def sent(self, entries: Iterable[Entry]) -> dict[int, str]:
        """Return those of *entries*, by number, that a run took already, each with the run.

        A copy gives the same numbers to what is staged in it later, but not the same time.
        """
        staged = {entry.seq: entry.at for entry in entries}
        lowest = min(staged, default=0)
        return {
            seq: one.run
            for one in self.runs()
            for first, last in one.seqs
            for seq in range(max(first, lowest), last + 1)
            if seq in staged and staged[seq] <= one.at
        }

    def _write(self, runs: Sequence[SentRun]) -> None:
        try:
            path = self._make_path()
            if path is not None:
                files.make_folder(path.parent)
                content = msgspec.json.encode(_Content(_FORMAT, _condensed(runs)))
                files.write_atomically(path, content + b"\n")
        except (OSError, OcsyncError):
            return


def _condensed(runs: Sequence[SentRun]) -> list[SentRun]:
    """Return *runs*, the oldest of too many as one."""
    old, new = runs[:-_MOST_RUNS], list(runs[-_MOST_RUNS:])
    if not old:
        return new
    seqs = {seq for one in old for first, last in one.seqs for seq in range(first, last + 1)}
    return [SentRun(old[-1].run, old[-1].at, to_ranges(seqs), closed=True), *new]


def record_path(data_folder: Path, workspace_id: object, profile: str) -> Path | None:
    """Return the path of a profile's record; None when the ID is none, whoever wrote it."""
    if not isinstance(workspace_id, str) or not _ID.fullmatch(workspace_id):
        return None
    return data_folder / "sent" / f"{workspace_id}-{profile}.json"
