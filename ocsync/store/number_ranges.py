"""Ranges of entry numbers, both ends included, as tombstones name them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any


def to_ranges(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Return *seqs* as ranges: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if found and seq == found[-1][1] + 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found


def remove_ranges(numbered: MutableMapping[int, Any], seqs: Iterable[tuple[int, int]]) -> None:
    """Remove the numbers in *seqs* from *numbered*; a range may be wider than it."""
    for first, last in seqs:
        wide = last - first > len(numbered)
        for seq in [n for n in numbered if first <= n <= last] if wide else range(first, last + 1):
            numbered.pop(seq, None)
