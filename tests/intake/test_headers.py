"""Headers: the ID of an entity by the API's own name, kinds told by columns, and misspelled ones."""

from __future__ import annotations

import pytest

from ocsync.schema import KINDS
from tests.intake.test_intake import read, refused


def test_the_last_id_may_be_called_as_the_api_calls_it() -> None:
    [lamp] = read(b"ID,Name\nlamp,Lamp\n", kind="product")
    assert (lamp.ref, lamp.fields) == ("product/lamp", {"Name": "Lamp"})
    [shelf] = read(b"QuantityAvailable,ID,ProductID\n3,shelf-4,lamp\n", kind="inventory")
    assert (shelf.ref, shelf.fields) == ("inventory/lamp/shelf-4", {"QuantityAvailable": 3})


def test_an_id_by_both_of_its_names_is_refused() -> None:
    [problem] = refused(b"ProductID,ID,Name\nlamp,lamp,x\n", kind="product").problems
    assert (problem.column, problem.why) == (2, "is ProductID, which has its own column")
    [problem] = refused(b"ID,ID,Name\nlamp,lamp,x\n", kind="product").problems
    assert problem.why == "appears twice"
    assert "is missing" in refused(b"ID,Name\nlamp,x\n", kind="catalog-product").problems[0].why


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_columns_of_all_ids_tell_the_kind(kind: object) -> None:
    from ocsync.intake.template import header_for
    from ocsync.schema import Kind

    assert isinstance(kind, Kind)
    noted: list[str] = []
    data = ",".join([name for name in header_for(kind) if name != "op"]) + "\n"
    assert read(data.encode(), "-", note=noted.append) == []
    columns = "columns" if len(kind.ids) > 1 else "column"
    ids = " and ".join(kind.ids)
    assert noted == [f"stdin: read as kind {kind.name}, because of its {columns} {ids}"]


def test_optional_ids_may_be_missing_and_fields_may_be_ids() -> None:
    noted: list[str] = []
    [one] = read(b"BuyerID,ProductID,PriceScheduleID\nB,P,PS\n", note=noted.append)
    assert one.ref == "product-assignment/P/B"
    assert noted == [
        "edits.csv: read as kind product-assignment, because of its columns ProductID and BuyerID"
    ]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Name,Active", "is missing; add it, or give --kind"),
        ("ID,Name", "is missing, and an ID column alone matches no kind: add --kind"),
        ("ProductId,Name", "is missing; did you mean ProductID? Otherwise add --kind"),
        ("Refs,Name", "is missing; did you mean ref? Otherwise add --kind"),
        ("SpecID,SupplierID,Name", "is missing; add it, or give --kind"),
    ],
)
def test_columns_that_tell_no_kind(header: str, why: str) -> None:
    [problem] = refused(f"{header}\n{'x,' * header.count(',')}x\n".encode()).problems
    assert (problem.field, problem.why) == ("ref", why)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("name", "Name"), ("Product ID", "ProductID"), ("ship_weight", "ShipWeight"),
        ("Quantity Multiplier", "QuantityMultiplier"), ("Desciption", "Description"),
        ("DefaultPriceSchedule", "DefaultPriceScheduleID"), ("XP.colour", "xp.colour"),
        ("expect.active", "Active"), ("inventory.enabled", "Inventory.Enabled"),
    ],
)  # fmt: skip
def test_a_column_that_is_nearly_a_field(name: str, meant: str) -> None:
    problems = refused(f"ProductID,{name}\nlamp,1\n".encode(), kind="product").problems
    assert [p.why for p in problems] == [f"is not a field of product; did you mean {meant}?"]


def test_the_own_id_in_another_case_is_suggested() -> None:
    missing, nearly = refused(b"id,Name\nlamp,x\n", kind="product").problems
    assert (missing.field, missing.why) == ("ProductID", "is missing")
    assert nearly.why == "is not a field of product; did you mean ID?"


def test_a_column_that_is_like_no_field_gets_no_guess() -> None:
    [problem] = refused(b"ProductID,Wert\nlamp,1\n", kind="product").problems
    assert problem.why.startswith("is not a field of product; its fields: ")
