"""Groups of items: all of them, in order, and those before an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ocsync.groups import MOST_BYTES, in_groups


@pytest.mark.parametrize("number", [0, 1, 999, 1_000, 2_001])
def test_every_item_is_in_one_group(number: int) -> None:
    groups = list(in_groups(iter(range(number))))
    assert [item for group in groups for item in group] == list(range(number))
    assert [len(group) for group in groups[:-1]] == [1_000] * (number // 1_000 - (number == 1_000))


def test_items_before_an_error_are_yielded_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(1_002)
        raise KeyError

    groups = in_groups(broken())
    assert [len(next(groups)), next(groups)] == [1_000, [1_000, 1_001]]
    with pytest.raises(KeyError):
        next(groups)


def test_large_items_are_few_in_a_group() -> None:
    sizes = [1] * 1_500 + [MOST_BYTES // 4] * 10 + [MOST_BYTES * 3] * 2
    groups = list(in_groups(iter(sizes), lambda size: size))
    assert [size for group in groups for size in group] == sizes
    assert [len(group) for group in groups] == [1_000, 504, 4, 3, 1]


def test_items_before_an_error_are_yielded_before_it_whatever_they_weigh() -> None:
    def broken() -> Iterator[int]:
        yield from (1, 2)
        raise KeyError

    groups = in_groups(broken(), lambda _: MOST_BYTES)
    assert [next(groups), next(groups)] == [[1], [2]]
    with pytest.raises(KeyError):
        next(groups)
