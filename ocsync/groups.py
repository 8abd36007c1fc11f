"""Groups: many items that are worked on together, as each step for one alone costs more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
_SIZE = 1_000


def in_groups(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield *items* in lists; those before an error come in a list of their own, then the error."""
    rest = iter(items)
    while True:
        group: list[T] = []
        try:
            group.extend(islice(rest, _SIZE))
        except Exception:
            if group:
                yield group
            raise
        if not group:
            return
        yield group
