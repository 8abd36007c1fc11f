"""Ranges of entry numbers, both ends included, as tombstones name them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

Range = tuple[int, int]


def to_ranges(seqs: Iterable[int]) -> list[Range]:
    """Return *seqs* as ranges: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    ranges: list[Range] = []
    for seq in sorted(seqs):
        if ranges and seq == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return ranges


def remove_ranges(numbered: MutableMapping[int, Any], seqs: Iterable[Range]) -> None:
    """Remove the numbers in *seqs* from *numbered*; a range may be wider than it."""
    for first, last in seqs:
        is_wide = last - first > len(numbered)
        for seq in (
            [n for n in numbered if first <= n <= last] if is_wide else range(first, last + 1)
        ):
            numbered.pop(seq, None)


class NumberRanges:
    """A set of numbers as sorted ranges that do not touch; it costs what the ranges cost."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number)
        return place > 0 and number <= self._lasts[place - 1]

    def __iter__(self) -> Iterator[Range]:
        return zip(self._firsts, self._lasts, strict=True)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def count(self) -> int:
        """Return how many numbers these are."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers, ascending."""
        for first, last in self:
            yield from range(first, last + 1)

    def copy(self) -> NumberRanges:
        """Return a copy that changes by itself."""
        other = NumberRanges()
        other._firsts, other._lasts = self._firsts[:], self._lasts[:]
        return other

    def add(self, first: int, last: int) -> None:
        """Add the numbers from *first* to *last*."""
        lasts = self._lasts
        if lasts and first == lasts[-1] + 1 and first <= last:  # as entries are numbered
            lasts[-1] = last
            return
        if first > last:
            return
        if not lasts or first > lasts[-1] + 1:
            self._firsts.append(first)
            lasts.append(last)
            return
        start = bisect_left(lasts, first - 1)
        end = bisect_right(self._firsts, last + 1)
        if start < end:
            first = min(first, self._firsts[start])
            last = max(last, lasts[end - 1])
        self._firsts[start:end] = [first]
        lasts[start:end] = [last]

    def remove(self, ranges: Iterable[Range]) -> None:
        """Remove the numbers in *ranges*; these may be wider than what is there."""
        gone = [pair for pair in ranges if pair[0] <= pair[1]]
        if gone:
            start = bisect_left(self._lasts, min(gone)[0])
            end = bisect_right(self._firsts, max(last for _, last in gone))
            window = zip(self._firsts[start:end], self._lasts[start:end], strict=True)
            left = list(_without(window, gone))
            self._firsts[start:end] = [first for first, _ in left]
            self._lasts[start:end] = [last for _, last in left]

    def has_all(self, first: int, last: int) -> bool:
        """Return whether all numbers from *first* to *last* are among them."""
        place = bisect_right(self._firsts, first)
        return place > 0 and last <= self._lasts[place - 1]

    def overlaps(self, first: int, last: int) -> bool:
        """Return whether a number from *first* to *last* is among them."""
        place = bisect_left(self._lasts, first)
        return place < len(self._firsts) and self._firsts[place] <= last

    def common(self, other: NumberRanges) -> NumberRanges:
        """Return the numbers that *other* has too."""
        return self.minus(self.minus(other))

    def minus(self, other: NumberRanges) -> NumberRanges:
        """Return the numbers that *other* has not."""
        rest = self.copy()
        rest.remove(other)
        return rest


def _without(ranges: Iterable[Range], gone: Iterable[Range]) -> Iterator[Range]:
    """Yield what is left of *ranges*, which are sorted, without *gone*."""
    removed = NumberRanges(sorted(gone))
    cuts = list(removed)
    place = 0
    for first, last in ranges:
        while place < len(cuts) and cuts[place][1] < first:
            place += 1
        cut = place
        while first <= last and cut < len(cuts) and cuts[cut][0] <= last:
            if first < cuts[cut][0]:
                yield first, cuts[cut][0] - 1
            first = max(first, cuts[cut][1] + 1)
            cut += 1
        if first <= last:
            yield first, last
