"""Groups: many items that are worked on together, as each step for one alone costs more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
_SIZE = 1_000
MOST_BYTES = 4_000_000
"""Bytes of memory at which a group of large items ends."""


def in_groups(items: Iterable[T], weigh: Callable[[T], int] | None = None) -> Iterator[list[T]]:
    """Yield *items* in lists; those before an error come in a list of their own, then the error.

    Where items may be large, *weigh* returns about how many bytes one takes.
    """
    rest = iter(items)
    while True:
        group: list[T] = []
        try:
            if weigh is None:
                group.extend(islice(rest, _SIZE))
            else:
                _fill(group, rest, weigh)
        except Exception:
            if group:
                yield group
            raise
        if not group:
            return
        yield group


def _fill(group: list[T], rest: Iterator[T], weigh: Callable[[T], int]) -> None:
    """Append items of *rest* to *group*, up to the size of a group or MOST_BYTES."""
    left = MOST_BYTES
    for item in islice(rest, _SIZE):
        group.append(item)
        left -= weigh(item)
        if left <= 0:
            return
