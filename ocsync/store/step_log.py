"""Steps of a plan that stay in a file: each is read when it is asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import overload

import msgspec

from ocsync.errors import ConfigError
from ocsync.models import Step
from ocsync.store import log

_GROUP = 256
"""Steps that are read together."""
_decode = msgspec.json.Decoder(Step)
_encode = msgspec.json.Encoder().encode


class StepLog(Sequence[Step]):
    """The steps whose lines *read* returns, given an offset and a size.

    *ends* are the offsets where the lines end; the first one begins at 0. They are JSON objects,
    *checked* ones with a checksum before their other members.
    """

    def __init__(
        self, read: Callable[[int, int], bytes], ends: array[int], *, checked: bool = False
    ) -> None:
        self._read = read
        self._ends = ends
        self._checked = checked

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        [step] = self._steps(place, place + 1)
        return step

    def __iter__(self) -> Iterator[Step]:
        groups = range(0, len(self), _GROUP)
        return chain.from_iterable(self._steps(first, first + _GROUP) for first in groups)

    def payloads(self) -> Iterator[bytes]:
        """Yield the JSON text of each step, in order."""
        for first in range(0, len(self), _GROUP):
            for line in self._lines(first, first + _GROUP).splitlines():
                yield (log.decode_line(line) or b"") if self._checked else line

    def _steps(self, first: int, end: int) -> list[Step]:
        lines = self._lines(first, end)
        if self._checked and not log.are_whole(lines.split(b"\n")[:-1]):
            raise ConfigError("the plan of an unfinished run was changed while it was carried out")
        return _decode.decode_lines(lines)  # type: ignore[no-any-return]

    def _lines(self, first: int, end: int) -> bytes:
        start = self._ends[first - 1] if first else 0
        return self._read(start, self._ends[min(end, len(self)) - 1] - start)


def step_lines(steps: Iterable[Step]) -> Iterator[bytes]:
    """Yield the log lines of *steps*."""
    payloads = steps.payloads() if isinstance(steps, StepLog) else map(_encode, steps)
    return map(log.encode_line, payloads)
