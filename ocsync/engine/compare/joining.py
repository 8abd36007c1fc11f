"""The join of two lists of rows by their refs, in memory for one part of them at a time.

The parts are ranges of refs. Lists are in the order of their IDs, so the parts are about equal;
in a list that is not they are not, and the pairs are the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ocsync.diff import Document
from ocsync.engine.export.listing import Row
from ocsync.models import Ref
from ocsync.schema import ref_key
from ocsync.store.spill import Partitions

PART_ROWS = 20_000
"""Most rows of each list that are in memory at a time, where it is in order."""
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(tuple[str, dict[str, Any]])
_decode = _decoder.decode
Rows = Callable[[], Iterator[Row]]
"""A function that begins to read a list of rows."""


class Pair(NamedTuple):
    """The documents of a ref in both lists; None in one that does not have it.

    The ref is spelled as the second list has it, if it does.
    """

    ref: Ref
    first: Document | None
    second: Document | None


def join(first: Rows, second: Rows, folder: Path) -> Iterator[Pair]:
    """Yield the pairs of both lists, by ref. A ref that a list has twice counts once."""
    bounds = sorted({*_bounds(first), *_bounds(second)})
    parts = [_parts(rows, bounds, folder) for rows in (first, second)]
    for number in range(len(bounds) + 1):
        left, right = (
            {ref_key(ref): _encode((ref, document)) for ref, document in read(number)}
            for read in parts
        )
        for key in sorted(left.keys() | right.keys()):
            spelled, document = _decode(left[key]) if key in left else ("", None)
            ref, other = _decode(right[key]) if key in right else (spelled, None)
            yield Pair(ref, document, other)


def _bounds(rows: Rows) -> list[str]:
    """Return the keys at which a list that is in order has parts of PART_ROWS."""
    return [
        ref_key(ref) for number, (ref, _) in enumerate(rows()) if number and number % PART_ROWS == 0
    ]


def _parts(rows: Rows, bounds: Sequence[str], folder: Path) -> Callable[[int], Iterator[Row]]:
    """Return a function that reads a part of *rows*; *bounds* are the first keys of the others."""
    if not bounds:
        return lambda _: rows()
    partitions = Partitions(folder, len(bounds) + 1)
    for ref, document in rows():
        partitions.add(bisect_right(bounds, ref_key(ref)), _encode((ref, document)) + b"\n")

    def read(part: int) -> Iterator[Row]:
        for lines in partitions.read(part):
            yield from _decoder.decode_lines(lines)

    return read
