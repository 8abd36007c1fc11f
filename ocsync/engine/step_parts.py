"""Parts of a long plan, so that memory holds the documents of some refs at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from ocsync.client import list_key
from ocsync.models import Ref, Step
from ocsync.schema import kind_of, ref_key

PART_SIZE = 20_000
"""Steps of a long plan that are read together."""
_REF_BITS = (1 << 24) - 1


def step_parts(steps: Sequence[Step]) -> Iterator[array[int]]:
    """Yield the places of *steps* in parts of about PART_SIZE, each in order.

    All steps of one ref are in one part, and so are those of one list of assignments, which a
    second part would have to read again. The refs of another list stand together where they can.
    """
    keys = array("q", (_key(step.ref) for step in steps))
    order = array("Q", sorted(range(len(keys)), key=keys.__getitem__))
    start = 0
    while start < len(order):
        end = min(start + PART_SIZE, len(order))
        while end < len(order) and keys[order[end]] == keys[order[end - 1]]:
            end += 1
        yield array("Q", sorted(order[start:end]))
        start = end


def _key(ref: Ref) -> int:
    """Return a number that is the same for refs which must be in one part, near for one list."""
    key = ref_key(ref)
    of_list = hash(list_key(key)) & ~_REF_BITS
    return of_list if kind_of(key).assignment else of_list | hash(key) & _REF_BITS
