"""What falls with a delete, what makes it again, and what may be staged afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.errors import InputError
from ocsync.models import CREATING_OPS, Entry, Ref, Tombstone
from ocsync.schema import parents_of
from ocsync.tombstones import depends_on_any, refuse_deleted, split_by_deletion
from tests.builders import entry, numbered

REFS = [
    "product/P", "product/p2", "inventory/P/R", "inventory/p2/R", "variant-inventory/P/V/R",
    "catalog/C", "category/C/K", "catalog-product/C/P", "category-product/C/K/P", "address/A",
]  # fmt: skip


def op_of(ref: Ref) -> list[str]:
    return ["assign"] if "-product" in ref else ["set", "put", "adjust"]


@st.composite
def journals(draw: st.DrawFn) -> list[Entry]:
    refs = draw(st.lists(st.sampled_from(REFS), max_size=12))
    return numbered(entry(draw(st.sampled_from(op_of(ref))), ref) for ref in refs)


@given(journals(), st.sets(st.sampled_from(REFS), min_size=1))
def test_what_is_kept_makes_all_that_it_needs(entries: list[Entry], gone: set[Ref]) -> None:
    """Every entry below what is gone is dropped or kept, in order; what is kept needs no other."""
    names = {ref.casefold() for ref in gone}
    found = split_by_deletion(entries, gone)
    hit = [e for e in entries if depends_on_any(e.ref, names)]
    assert sorted((*found.dropped, *found.kept), key=lambda e: e.seq) == hit
    made = {e.ref.casefold() for e in found.kept if e.op in CREATING_OPS}
    for one in found.kept:
        assert one.ref.casefold() in made
        above = [p for p in parents_of(one.ref) if depends_on_any(p, names)]
        assert {p.casefold() for p in above} <= made
    first = {e.ref: e for e in reversed(found.kept)}
    assert all(e.op in CREATING_OPS for e in first.values()), "it begins with what makes it"
    assert split_by_deletion(found.kept, gone).dropped == []
    for one in found.dropped:
        later = [e for e in hit if e.ref == one.ref and e.seq > one.seq and e.op in CREATING_OPS]
        needs = [
            p for p in parents_of(one.ref) if depends_on_any(p, names) and p.casefold() not in made
        ]
        assert later or needs or one.op not in CREATING_OPS


def test_entries_before_a_put_fall_and_those_from_it_on_stay() -> None:
    entries = numbered([
        entry("set", "product/P"), entry("put", "product/P"), entry("adjust", "product/P"),
        entry("set", "inventory/P/R"), entry("put", "inventory/p/R2"), entry("set", "product/Q"),
    ])  # fmt: skip
    found = split_by_deletion(entries, ["PRODUCT/p".lower()])
    assert [e.seq for e in found.dropped] == [1, 4]
    assert [e.seq for e in found.kept] == [2, 3, 5]


GONE = {
    ref.casefold(): Tombstone(ref=ref, run="1", confirmed=True)
    for ref in ("product/P", "catalog-product/C/Q", "category/C/K", "buyer-user/B/U")
}
CASES = [
    (entry("set", "product/p"), "was deleted by run 1", "stage put product/P"),
    (entry("set", "inventory/P/R"), "needs product/P, which was deleted", "stage put product/P"),
    (entry("put", "inventory/P/R"), "needs product/P", "stage put"),
    (entry("assign", "catalog-product/C/P"), "needs product/P", "stage put"),
    (entry("set", "category/C/K2", {"ParentID": "K"}), "needs category/C/K", "stage put"),
    (entry("set", "buyer-user/B/U"), "was deleted by run 1", "--recreated"),
    (entry("put", "product/P"), "", ""),
    (entry("assign", "catalog-product/C/Q"), "", ""),
    (entry("set", "category/C/K3", {"ParentID": "other"}), "", ""),
    (entry("set", "catalog/C"), "", ""),
]


@pytest.mark.parametrize(
    ("one", "why", "hint"), CASES, ids=[f"{e.op}-{e.ref}" for e, _, _ in CASES]
)
def test_edits_of_what_is_gone_are_refused(one: Entry, why: str, hint: str) -> None:
    if not why:
        assert list(refuse_deleted([one], [], GONE)) == [one]
        return
    with pytest.raises(InputError) as caught:
        list(refuse_deleted([one], [], GONE))
    assert why in caught.value.problems[0].why
    assert hint in caught.value.hint
    assert ("stage put" in caught.value.hint) is ("buyer-user" not in one.ref)


def test_what_is_staged_before_lifts_it() -> None:
    put, edits = (
        entry("put", "product/P"),
        [entry("set", "product/P"), entry("put", "inventory/P/R")],
    )
    assert len(list(refuse_deleted(edits, [put], GONE))) == 2
    assert len(list(refuse_deleted([put, *edits], [], GONE))) == 3
    with pytest.raises(InputError):
        list(refuse_deleted([*edits, put], [], GONE))
