"""Requests that were prepared before the first write, by step."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ocsync.models import Fields, Intent, Step
from ocsync.store.spill import SpillFile


class PreparedRequest(NamedTuple):
    """The values that a step would send, and those *before*; see Intent for the other fields.

    *same* is true when the request would change nothing, *exists_already* when a put without
    replace would meet an entity, *unread* when nothing was read.
    """

    sent: Fields
    before: Fields
    emptied: Mapping[str, Any] = {}
    absent: bool = False
    updated: str | None = None
    same: bool = False
    exists_already: bool = False
    unread: bool = False

    def intent(self, step: Step, at: str) -> Intent:
        """Return the intent of *step*, to be recorded before the request."""
        return Intent(
            number=step.number,
            ref=step.ref,
            sent=self.sent,
            before=self.before,
            emptied=dict(self.emptied),
            absent=self.absent,
            updated=self.updated,
            unread=self.unread,
            at=at,
        )


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PreparedRequest).decode


class PreparedRequests:
    """Prepared requests by step number; with a *folder* they are kept in a temporary file there.

    *same* is the number of those that would change nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.same = 0
        self._kept: dict[int, PreparedRequest] = {}
        self._file = SpillFile(folder) if folder else None
        self._starts, self._sizes = array("Q"), array("L")

    def add(self, number: int, prepared: PreparedRequest) -> None:
        """Add the request of step *number*."""
        self.same += prepared.same
        if self._file is None:
            self._kept[number] = prepared
            return
        if (missing := number + 1 - len(self._sizes)) > 0:
            self._starts.frombytes(bytes(missing * self._starts.itemsize))
            self._sizes.frombytes(bytes(missing * self._sizes.itemsize))
        data = _encode(prepared)
        self._starts[number], self._sizes[number] = self._file.append(data), len(data)

    def get(self, number: int) -> PreparedRequest | None:
        """Return the request of step *number*, or None when there is none."""
        if self._file is None:
            return self._kept.get(number)
        if number >= len(self._sizes) or not self._sizes[number]:
            return None
        return _decode(self._file.read(self._starts[number], self._sizes[number]))

    def pop(self, number: int) -> PreparedRequest | None:
        """Return the request of step *number*, which is asked for no more."""
        return self._kept.pop(number, None) if self._file is None else self.get(number)

    def mark_same(self, number: int) -> None:
        """Mark the request of step *number*, as one that would change nothing."""
        prepared = self.get(number)
        if prepared and not prepared.same:
            self.add(number, prepared._replace(same=True))
