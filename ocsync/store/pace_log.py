"""The pace of a run, `pace.jsonl` in its folder: samples of its speed, for pictures of the run.

Nothing else depends on it but how many requests the next run begins with. So it is never synced, a
sample that cannot be written is lost without a word, and a damaged line is skipped.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from ocsync.errors import ConfigError
from ocsync.models import PaceSample
from ocsync.store import files, log
from ocsync.store.timestamps import parse_timestamp

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PaceSample).decode


class PaceLog:
    """Samples of the file *path*, open for appending; it is made if it does not exist."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO | None = None
        try:
            handle = files.open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self._file = os.fdopen(handle, "a+b")
            end = self._file.tell()
            if end:
                self._file.seek(end - 1)
                torn = self._file.read(1) != b"\n"  # a crash was in the middle of a line
                self._file.write(b"\n" * torn)
        except (OSError, ConfigError):
            self.close()

    def append(self, sample: PaceSample) -> None:
        """Append *sample*, unless an earlier one could not be written."""
        if self._file is None:
            return
        try:
            self._file.write(log.encode_line(_encode(sample)))
            self._file.flush()
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file:
            with suppress(OSError):
                file.close()


def read_pace(path: Path) -> list[PaceSample]:
    """Return the samples in *path*, oldest first; none if it is missing or cannot be read."""
    try:
        lines = files.read_bytes(path).split(b"\n")
    except (OSError, ConfigError):
        return []
    return [sample for line in lines if (sample := _decode_sample(line))]


def _decode_sample(line: bytes) -> PaceSample | None:
    payload = log.decode_line(log.restore_line(line + b"\n")[:-1])
    try:
        sample = _decode(payload) if payload else None
        if sample:
            parse_timestamp(sample.at)
    except ValueError:
        return None
    return sample if sample and 0 < sample.seconds < float("inf") else None
