"""The ended pauses, one a line: they tell since when a target has run again after a write."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ocsync.pause import PastPause
from ocsync.store import files, log
from ocsync.store.log import Log, Warn
from ocsync.store.timestamps import parse_timestamp

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PastPause).decode


def decode(payload: bytes) -> PastPause:
    """Return the record in *payload*. Raises ValueError."""
    pause = _decode(payload)
    for stamp in (pause.since, pause.until):
        parse_timestamp(stamp)
    return pause


class PauseHistory:
    """Log at *path*, written under the run lock."""

    def __init__(self, path: Path, warn: Warn) -> None:
        self.path = path
        self._warn = warn

    def append(self, pause: PastPause) -> None:
        """Add *pause*; durable when it returns. Raises OSError."""
        files.make_folder(self.path.parent)
        with Log(self.path) as opened:
            opened.append([_encode(pause)])

    def read(self) -> list[PastPause]:
        """Return the pauses, oldest first. Raises Damaged.

        A pause that a crash recorded twice counts once, with its last end.
        """
        found: dict[tuple[str, str], PastPause] = {}
        for pause in log.read_records(self.path, decode, self._warn):
            found[pause.target, pause.since] = pause
        return list(found.values())
