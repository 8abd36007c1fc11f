"""The delivery log: every message that a listener took, one a line, in the profile's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from ocsync.models import Delivery
from ocsync.store import files, log
from ocsync.store.log import Log, Warn

_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Delivery).decode


class Deliveries:
    """The log at *path*; one listener writes it at a time, anybody reads it."""

    def __init__(self, path: Path, warn: Warn) -> None:
        self.path = path
        self._warn = warn

    def append(self, messages: Sequence[Delivery]) -> None:
        """Append *messages*; durable when it returns. Raises OSError."""
        files.make_folder(self.path.parent)
        with Log(self.path) as opened:
            opened.append(map(_encode, messages))

    def read(self) -> Iterator[Delivery]:
        """The messages, as they came. Raises Damaged."""
        return self.read_from(0)

    def read_from(self, skip: int) -> Iterator[Delivery]:
        """The messages but for the first *skip* of them. Raises Damaged."""
        yield from islice(log.records(self.path, decode, self._warn), skip, None)
