"""Errors for damaged files, each with the way to recover that kind of file."""

from __future__ import annotations

from pathlib import Path

from ocsync.errors import Damaged

_HINTS = {
    "journal": "restore the file from a backup, or move it away and stage its entries again",
    "runs": "restore the file from a backup, or move the run's folder away and stage the unsent "
    "entries of its journal.jsonl again",
}
"""The hint for a file by the folder of the profile that it is in."""
_OTHER = "restore the file from a backup, or edit it by hand"


def damaged(path: Path, line: int, reason: str) -> Damaged:
    """Return the error for *line* of the file at *path*, which is not what was written."""
    hint = next((text for folder, text in _HINTS.items() if folder in path.parts), _OTHER)
    return Damaged(str(path), line, reason, hint=hint)
