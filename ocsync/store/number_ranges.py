"""Ranges of entry numbers, both ends included, as tombstones name them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any


def to_ranges(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Return *seqs* as ranges: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if ranges and seq == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return ranges


def remove_ranges(numbered: MutableMapping[int, Any], seqs: Iterable[tuple[int, int]]) -> None:
    """Remove the numbers in *seqs* from *numbered*; a range may be wider than it."""
    for first, last in seqs:
        is_wide = last - first > len(numbered)
        for seq in (
            [n for n in numbered if first <= n <= last] if is_wide else range(first, last + 1)
        ):
            numbered.pop(seq, None)
