"""The delivery log: every message that a listener received, one a line, in the profile's folder.

Listeners over HTTP and over Kafka write it side by side, each group of messages under a lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ocsync.models import Delivery
from ocsync.store import files, lock, log
from ocsync.store.damage import damaged
from ocsync.store.log import Cursor, Log

_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Delivery).decode


class DeliveryLog:
    """Log at *path*. It remembers how far it has read, so that reading on stays cheap."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = lock.short_lock(path.with_suffix(".lock"))
        self._cursor = Cursor()
        self._read = 0
        self._origins: set[str] = set()

    def append(self, messages: Sequence[Delivery]) -> None:
        """Append *messages*; durable when it returns. Raises OSError."""
        files.make_folder(self.path.parent)
        with self._lock, Log(self.path) as opened:
            opened.append(map(_encode, messages))

    def read(self) -> Iterator[Delivery]:
        """Yield the messages, oldest first. Raises Damaged."""
        return self.read_from(0)

    def read_from(self, skip: int) -> Iterator[Delivery]:
        """Yield the messages after the first *skip* of them. Raises Damaged.

        A message that a restarted Kafka listener read again counts once.
        """
        known = skip and skip == self._read
        cursor, count = (self._cursor, self._read) if known else (Cursor(), 0)
        origins = set(self._origins) if known else set[str]()
        for cursor, payload in log.read_after(self.path, cursor):  # noqa: B020 - the cursor moves on
            message = self._decode(payload, cursor)
            if message.origin in origins:
                continue
            if message.origin:
                origins.add(message.origin)
            count += 1
            if count > skip:
                yield message
        self._cursor, self._read, self._origins = cursor, count, origins

    def _decode(self, payload: bytes, cursor: Cursor) -> Delivery:
        try:
            return decode(payload)
        except ValueError as error:
            raise damaged(self.path, cursor.line, f"not a message: {error}") from error
