"""Steps of a plan that stay in a file: each is read when it is asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain, repeat, starmap
from typing import overload

import msgspec

from ocsync.errors import ConfigError
from ocsync.models import Step
from ocsync.store import log
from ocsync.store.number_ranges import NumberRanges

_GROUP = 256
"""Steps that are read together."""
_decode = msgspec.json.Decoder(Step)
_encode = msgspec.json.Encoder().encode


class StepLog(Sequence[Step]):
    """The steps whose lines *read* returns, given an offset and a size.

    *ends* are the offsets where the lines end; the first one begins at 0. They are JSON objects,
    *checked* ones with a checksum before their other members. Only the steps at *places* are shown,
    if these are given: parts of a log share its file.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        ends: array[int],
        places: Sequence[int] | None = None,
        *,
        checked: bool = False,
    ) -> None:
        self._read = read
        self._ends = ends
        self._places = range(len(ends)) if places is None else places
        self._checked = checked

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> StepLog: ...
    def __getitem__(self, index: int | slice) -> Step | StepLog:
        if isinstance(index, slice):
            return self._part(self._places[index])
        [step] = self._steps(self._places[index], 1)
        return step

    def __iter__(self) -> Iterator[Step]:
        return chain.from_iterable(starmap(self._steps, self._pieces()))

    def without(self, numbers: Container[int] | NumberRanges) -> StepLog:
        """Return the steps that have none of these *numbers*, which count from 1 in the log."""
        return self._part(array("Q", (n for n in self._places if n + 1 not in numbers)))

    def payloads(self) -> Iterator[bytes]:
        """Yield the JSON text of each step, in order."""
        for piece in self._pieces():
            for line in self._lines(*piece).splitlines():
                yield (log.decode_line(line) or b"") if self._checked else line

    def _part(self, places: Sequence[int]) -> StepLog:
        return StepLog(self._read, self._ends, places, checked=self._checked)

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Yield steps that stand together, many at a time: the place of the first, their number."""
        if not isinstance(self._places, range):
            yield from zip(self._places, repeat(1))
            return
        for part in range(0, len(self), _GROUP):
            places = self._places[part : part + _GROUP]
            yield places[0], len(places)

    def _steps(self, first: int, number: int) -> list[Step]:
        lines = self._lines(first, number)
        if self._checked and not log.are_whole(lines.split(b"\n")[:-1]):
            raise ConfigError("the plan of an unfinished run was changed while it was carried out")
        return _decode.decode_lines(lines)

    def _lines(self, first: int, number: int) -> bytes:
        start = self._ends[first - 1] if first else 0
        return self._read(start, self._ends[first + number - 1] - start)


def steps_without(steps: Sequence[Step], numbers: Container[int] | NumberRanges) -> Sequence[Step]:
    """Return those of *steps*, a whole plan or a part of it, that have none of these *numbers*."""
    if isinstance(steps, StepLog):
        return steps.without(numbers)
    return [step for step in steps if step.number not in numbers]


def step_lines(steps: Iterable[Step]) -> Iterator[bytes]:
    """Yield the log lines of *steps*."""
    payloads = steps.payloads() if isinstance(steps, StepLog) else map(_encode, steps)
    return map(log.encode_line, payloads)
