"""The way back of one ref: what goes back, by how much, what clashes, what is lost."""

from __future__ import annotations

from typing import Any

import pytest

from ocsync.diff import unmet_expectations
from ocsync.engine.rollback.recreate import recreate_entity
from ocsync.engine.rollback.revert import Reversal, reversal_of
from ocsync.engine.run_log import ref_writes
from ocsync.models import Change, Intent, Op, Outcome, State, Step

R = "inventory/P/R"


def wrote(ref: str, *requests: dict[str, Any]) -> Any:
    """What a run wrote: each request has its op, the fields before and sent, and its state."""
    steps: list[Step] = []
    records: list[Intent | Outcome] = []
    for number, one in enumerate(requests, 1):
        sent, before = one["sent"], one.get("before", {})
        adjust = {p: sent[p] - (before.get(p) or 0) for p in one.get("adjust", ())}
        fields = {p: v for p, v in sent.items() if p not in adjust}
        change = Change(op=Op(one.get("op", "set")), ref=ref, fields=fields, adjust=adjust)
        steps.append(Step(number=number, wave=1, change=change, method="", path=""))
        records.append(
            Intent(
                number=number, ref=ref, sent=sent, before=before, absent=one.get("absent", False)
            )
        )
        records.append(Outcome(number=number, ref=ref, state=one.get("state", State.DONE)))
    return ref_writes(steps, records, (State.DONE, State.UNKNOWN)).get(ref)


def entries(back: Reversal) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    return [(e.op.value, e.fields, e.expect) for e in back.entries]


STOCK = {"sent": {"QuantityAvailable": 40}, "before": {"QuantityAvailable": 10}}
ADDED = {**STOCK, "adjust": ["QuantityAvailable"]}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], list[Any] | str]] = [
    ("a set goes back", {"sent": {"OrderCanExceed": True}, "before": {"OrderCanExceed": False}}, {"OrderCanExceed": True},
     [("set", {"OrderCanExceed": False}, {"OrderCanExceed": True})]),
    ("as before already", {"sent": {"OrderCanExceed": True}, "before": {"OrderCanExceed": False}}, {"OrderCanExceed": False}, []),
    ("stock goes back by the difference", STOCK, {"QuantityAvailable": 40}, [("adjust", {"QuantityAvailable": -30}, {})]),
    ("what was sold stays sold", STOCK, {"QuantityAvailable": 33}, [("adjust", {"QuantityAvailable": -30}, {})]),
    ("stock set by hand since clashes", STOCK, {"QuantityAvailable": 50}, "was 10"),
    ("a sum goes back whatever came in between", ADDED, {"QuantityAvailable": 50}, [("adjust", {"QuantityAvailable": -30}, {})]),
    ("a sum that began with null", {"sent": {"NotificationPoint": 4}, "before": {"NotificationPoint": None}, "adjust": ["NotificationPoint"]},
     {"NotificationPoint": 4}, [("set", {"NotificationPoint": None}, {"NotificationPoint": 4})]),
    ("a sum that began with null, and others added to", {"sent": {"NotificationPoint": 4}, "before": {"NotificationPoint": None}, "adjust": ["NotificationPoint"]},
     {"NotificationPoint": 6}, [("adjust", {"NotificationPoint": -4}, {})]),
    ("no number before", {"sent": {"QuantityAvailable": 4}, "before": {"QuantityAvailable": None}}, {"QuantityAvailable": 4},
     [("set", {"QuantityAvailable": None}, {"QuantityAvailable": 4})]),
    ("changed by others", {"sent": {"NotificationPoint": 2}, "before": {"NotificationPoint": 1}}, {"NotificationPoint": 3}, "was 1"),
    ("an xp key that was not there", {"sent": {"xp.a": {"b": 1}}, "before": {}}, {"xp": {"a": {"b": 1}, "z": 1}},
     [("set", {"xp.a": None}, {"xp.a": {"b": 1}})]),
    ("a required value was never null", {"sent": {"AddressID": "b"}, "before": {"AddressID": "a"}}, {"AddressID": "b"},
     [("set", {"AddressID": "a"}, {"AddressID": "b"})]),
    ("an unknown outcome that came to be", {**ADDED, "state": State.UNKNOWN}, {"QuantityAvailable": 40},
     [("set", {"QuantityAvailable": 10}, {"QuantityAvailable": 40})]),
    ("an unknown outcome is no guess", {**ADDED, "state": State.UNKNOWN}, {"QuantityAvailable": 33}, "unknown"),
    ("a failure wrote nothing", {**STOCK, "state": State.FAILED}, {"QuantityAvailable": 10}, "nothing"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "now", "way"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_fields_go_back(
    request_: dict[str, Any], now: dict[str, Any], way: list[Any] | str
) -> None:
    one = wrote(R, request_)
    if way == "nothing":
        assert one is None
        return
    back = reversal_of(one, None, now, forced=False)
    if isinstance(way, str):
        assert back.entries == ()
        assert way in f"{back.reason} was {next(v['before'] for v in back.conflicts.values())}"
        forced = reversal_of(one, None, now, forced=True)
        assert forced.entries, "by name it is taken back all the same"
    else:
        assert entries(back) == way
        assert not back.conflicts
    assert bool(back.lost) is ("xp.a" in request_["sent"])


def test_two_requests_of_a_ref_are_one_way_back() -> None:
    """A put and a sum after it; a set and a sum; the first value before counts."""
    point = {
        "sent": {"NotificationPoint": 7},
        "before": {"NotificationPoint": 5},
        "adjust": ["NotificationPoint"],
    }
    first = {"sent": {"NotificationPoint": 5, "OrderCanExceed": True},
             "before": {"NotificationPoint": 1, "OrderCanExceed": False}}  # fmt: skip
    back = reversal_of(
        wrote(R, first, point), None, {"NotificationPoint": 7, "OrderCanExceed": True}, forced=False
    )
    assert entries(back)[0][1] == {"NotificationPoint": 1, "OrderCanExceed": False}
    twice = wrote(
        R, point, {**point, "sent": {"NotificationPoint": 9}, "before": {"NotificationPoint": 7}}
    )
    assert twice.added == {"NotificationPoint": 4}
    assert twice.before == {"NotificationPoint": 5}


def test_a_sum_after_a_put_is_no_sum() -> None:
    """The put took the number that was there, so it is not the sum alone that goes back."""
    put = {"op": "put", "sent": {"AddressID": "a"}}
    add = {
        "sent": {"QuantityAvailable": 1},
        "before": {"QuantityAvailable": 0},
        "adjust": ["QuantityAvailable"],
    }
    before = {"ID": "R", "AddressID": "a", "QuantityAvailable": 7}
    back = reversal_of(
        wrote(R, put, add), before, {"AddressID": "a", "QuantityAvailable": 1}, forced=False
    )
    assert entries(back) == [("adjust", {"QuantityAvailable": 6}, {})]


def test_a_value_between_two_requests_is_no_change_by_others() -> None:
    """The first request created it or set a value, and what came of the second is not known."""
    made = {"op": "put", "absent": True, "sent": {"Name": "p", "ShipWidth": 1}}
    add = {"sent": {"ShipLength": 2, "ShipWidth": 4}, "adjust": ["ShipLength"],
           "before": {"ShipLength": None, "ShipWidth": 1}, "state": State.UNKNOWN}  # fmt: skip
    one = wrote("product/P", made, add)
    for length, width in ((None, 1), (2, 4)):
        now = {"Name": "p", "ShipLength": length, "ShipWidth": width}
        assert reversal_of(one, None, now, forced=False).created == ("product/P",)
    now = {"Name": "p", "ShipLength": 5, "ShipWidth": 4}
    other = reversal_of(one, None, now, forced=False)
    assert (list(other.conflicts), other.created) == (["ShipLength"], ())

    first = {"sent": {"ShipWidth": 1}, "before": {"ShipWidth": 0}}
    two = wrote("product/P", first, {**first, "sent": {"ShipWidth": 4}, "before": {"ShipWidth": 1},
                                     "state": State.UNKNOWN})  # fmt: skip
    back = reversal_of(two, None, {"ShipWidth": 1}, forced=False)
    assert entries(back) == [("set", {"ShipWidth": 0}, {"ShipWidth": 1})]


def test_a_second_put_takes_what_the_first_one_left() -> None:
    first = {"op": "put", "absent": True, "sent": {"Name": "b", "Active": True, "xp.a": 1}}
    made = wrote("buyer/B", first, {"op": "put", "sent": {"Name": "b"}})
    now = {"Name": "b", "Active": False, "DefaultCatalogID": None, "xp": None}
    assert reversal_of(made, None, now, forced=False).created == ("buyer/B", "catalog/B")


def test_what_was_made_is_for_a_delete() -> None:
    made = wrote("buyer/B", {"op": "put", "absent": True, "sent": {"Name": "b"}})
    assert reversal_of(made, None, {"Name": "b"}, forced=False).created == ("buyer/B", "catalog/B")
    gone = Reversal("buyer/B", created=("catalog/B",))
    assert reversal_of(made, None, None, forced=False) == gone, "what came with it stays"
    renamed = reversal_of(made, None, {"Name": "somebody's"}, forced=False)
    assert (renamed.created, list(renamed.conflicts)) == ((), ["Name"])
    own = wrote(
        "buyer/B", {"op": "put", "absent": True, "sent": {"Name": "b", "DefaultCatalogID": "C"}}
    )
    assert reversal_of(own, None, {"Name": "b", "DefaultCatalogID": "C"}, forced=False).created == (
        "buyer/B",
    )
    place = wrote(
        "category-product/C/K/P", {"op": "assign", "absent": True, "sent": {"ListOrder": None}}
    )
    assert (
        "catalog-product/C/P may have been created with it"
        in reversal_of(place, None, {}, forced=False).lost[0]
    )


def test_an_assignment_goes_back_whole() -> None:
    ref, both = "catalog-assignment/C/B", {"ViewAllCategories": True, "ViewAllProducts": True}
    one = wrote(ref, {"op": "assign", "sent": dict.fromkeys(both, False), "before": both})
    now = dict.fromkeys(both, False)
    assert entries(reversal_of(one, None, now, forced=False)) == [("assign", both, now)]
    assert reversal_of(one, None, both, forced=False).entries == ()
    assert reversal_of(one, None, {**now, "ViewAllProducts": None}, forced=False).entries
    assert reversal_of(one, None, None, forced=False).reason == "it no longer exists"


CATALOG = {
    "ID": "C",
    "OwnerID": "me",
    "Name": "old",
    "Description": "d",
    "Active": True,
    "CategoryCount": 1,
    "xp": {"a": 1},
}
REPLACED: list[tuple[str, dict[str, Any], dict[str, Any], Any]] = [
    ("nothing was added: only what changed", {"Name": "new"}, {"Name": "new", "Description": None, "Active": False, "xp": None},
     ("set", {"Name": "old", "Description": "d", "Active": True, "xp.a": 1})),
    ("a key was added: a put takes it away", {"Name": "new", "xp.b": 2}, {"Name": "new", "Active": False, "xp": {"b": 2}},
     ("put", {"Name": "old", "Description": "d", "Active": True, "xp.a": 1})),
    ("somebody else's key stays", {"Name": "old", "xp.b": 2}, {"Name": "old", "Description": "d", "Active": True, "xp": {"b": 2, "c": 3}},
     ("set", {"xp.a": 1, "xp.b": None})),
    ("a field left out, and changed by others since", {"Name": "new"}, {"Name": "new", "Description": "theirs", "xp": None}, "Description"),
    ("a field that we do not know", {"Name": "new", "xp.b": 2}, {"Name": "new", "xp": {"b": 2}, "Description": "d", "Active": True, "?": 1},
     ("set", {"Name": "old", "xp.a": 1, "xp.b": None})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "now", "way"), [c[1:] for c in REPLACED], ids=[c[0] for c in REPLACED]
)
def test_a_put_over_an_entity_goes_back(
    sent: dict[str, Any], now: dict[str, Any], way: Any
) -> None:
    before = {**CATALOG, **({"?": 1} if "?" in now else {})}
    one = wrote("catalog/C", {"op": "put", "sent": sent, "before": {}})
    back = reversal_of(one, before, now, forced=False)
    if isinstance(way, str):
        assert list(back.conflicts) == [way]
        return
    [entry] = back.entries
    assert (entry.op.value, entry.fields) == way
    assert entry.expect
    assert not unmet_expectations("catalog/C", entry.expect, now)
    assert entry.replace is (way[0] == "put")
    assert bool(back.lost) is (None in way[1].values())


def test_a_null_is_put_where_the_default_is_another_value() -> None:
    before = {"ID": "R", "AddressID": "a", "AllowAllBuyers": None, "NotificationPoint": None}
    one = wrote(R, {"op": "put", "sent": {"AddressID": "a", "AllowAllBuyers": None, "xp.a": 1}})
    now = {"AddressID": "a", "AllowAllBuyers": None, "xp": {"a": 1}}
    [back] = reversal_of(one, before, now, forced=False).entries
    [made] = recreate_entity(R, before, summed=False, replace=False).entries
    for entry in (back, made):
        assert (entry.op, entry.fields) == (Op.PUT, {"AddressID": "a", "AllowAllBuyers": None})


SCHEDULE: dict[str, Any] = {"ID": "S", "Name": "s", "PriceBreaks": [], "xp": None}
BREAKS, OLD_BREAKS = [{"Quantity": 1, "Price": 2}], [{"Quantity": 1, "Price": 1}]


def test_price_breaks_are_never_cleared() -> None:
    """The first ones stay, and the rest goes back; those that replaced others go back."""
    one = wrote(
        "price-schedule/S", {"sent": {"PriceBreaks": BREAKS}, "before": {"PriceBreaks": []}}
    )
    alone = reversal_of(one, None, {"PriceBreaks": BREAKS}, forced=False)
    assert (alone.entries, alone.irreversible) == ((), True)
    assert alone.lost == ("PriceBreaks keeps its value, because it cannot be emptied again",)

    sent, before = {"PriceBreaks": BREAKS, "Name": "t"}, {"PriceBreaks": None, "Name": "s"}
    two = wrote("price-schedule/S", {"sent": sent, "before": before})
    rest = reversal_of(two, None, sent, forced=False)
    assert entries(rest) == [("set", {"Name": "s"}, {"Name": "t"})]
    assert (rest.incomplete, rest.irreversible) == (True, False)

    put = wrote("price-schedule/S", {"op": "put", "sent": {**sent, "xp.a": 1}})
    back = reversal_of(put, SCHEDULE, {**SCHEDULE, **sent, "xp": {"a": 1}}, forced=False)
    assert [(e.op, e.fields) for e in back.entries] == [
        (Op.PUT, {"Name": "s", "PriceBreaks": BREAKS})
    ]
    assert back.incomplete

    other = wrote(
        "price-schedule/S", {"sent": {"PriceBreaks": BREAKS}, "before": {"PriceBreaks": OLD_BREAKS}}
    )
    again = reversal_of(other, None, {"PriceBreaks": BREAKS}, forced=False)
    assert entries(again) == [("set", {"PriceBreaks": OLD_BREAKS}, {"PriceBreaks": BREAKS})]
    assert not again.incomplete


def test_what_is_made_again_has_all_that_can_be_staged() -> None:
    [put] = recreate_entity("catalog/C", CATALOG, summed=False, replace=False).entries
    assert put.fields == {
        "OwnerID": "me",
        "Name": "old",
        "Description": "d",
        "Active": True,
        "xp.a": 1,
    }
    stock = {
        "Name": "p",
        "Inventory": {"Enabled": True, "QuantityAvailable": 9},
        "SpecCount": 2,
        "xp": {},
    }
    [put] = recreate_entity("product/P", stock, summed=True, replace=False).entries
    assert put.fields == {"Name": "p", "Inventory.Enabled": True, "xp": {}}
    lone = recreate_entity(
        "buyer/B", {"Name": "b", "DefaultCatalogID": None}, summed=False, replace=False
    )
    assert [e.fields for e in lone.entries] == [{"Name": "b"}, {"DefaultCatalogID": None}]
    assert lone.lost[0] == "recreating it also creates catalog/B"
    beside = recreate_entity(
        "buyer/B", {"Name": "b"}, summed=False, replace=False, exist={"catalog/b"}
    )
    assert [e.fields for e in beside.entries] == [
        {"Name": "b", "DefaultCatalogID": "B"}, {"DefaultCatalogID": None},
    ]  # fmt: skip
    assert beside.lost == ()
    user = recreate_entity("buyer-user/B/U", {"Username": "u"}, summed=False, replace=False)
    assert (user.entries, user.irreversible, "write-only" in user.lost[0]) == ((), True, True)
    variant = recreate_entity("variant/P/V", {"Name": "v"}, summed=False, replace=False)
    assert "specs" in variant.lost[0]
    nameless = recreate_entity("catalog/C", {"ID": "C"}, summed=False, replace=False)
    assert (nameless.irreversible, nameless.lost) == (True, ("Name is required",))
