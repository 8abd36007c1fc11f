"""Documents: compared and changed however deep they are, and measured."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.errors import InputError
from ocsync.field_paths import exceeds_depth, json_equal, with_value
from ocsync.intake import entry_from_arguments
from ocsync.models import Op

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=10,
)


def plain(value: Any) -> Any:
    """*value* with what counts as the same made the same: null members are none."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return ("flag", value) if isinstance(value, bool) else value


@given(VALUES, VALUES)
def test_equality_is_that_of_plain_values(one: Any, other: Any) -> None:
    assert json_equal(one, other) is (plain(one) == plain(other))


def levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + levels(v) for v in inner), default=0)


@given(VALUES, st.integers(0, 6))
def test_depth_is_measured(value: Any, most: int) -> None:
    assert exceeds_depth(value, most) is (levels(value) > most)


def test_deep_documents_are_no_surprise() -> None:
    deep: Any = 1
    for number in range(50_000):
        deep = {"a": deep} if number % 2 else [deep]
    assert json_equal(deep, deep)
    assert exceeds_depth(deep, 100)
    path = ["a"] * 5_000
    assert exceeds_depth(with_value({}, path, 1), 4_000)


DEEP = f"{'[' * 60}1{']' * 60}"


@pytest.mark.parametrize(("words", "expect"), [
    ([f"xp{'.a' * 60}=1"], []), ([f"xp.a:={DEEP}"], []), (["xp.a=1"], [f"xp{'.b' * 60}=1"]),
], ids=["path", "value", "expected"])  # fmt: skip
def test_what_is_nested_beyond_reason_is_not_staged(words: list[str], expect: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        entry_from_arguments(Op.SET, "product/P", words, expect=expect)
    assert "more than 50 levels deep" in caught.value.problems[0].why
