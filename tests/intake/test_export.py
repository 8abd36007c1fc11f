"""The law of export: what was exported, imported, is the same entries in the same order."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.errors import InputError
from ocsync.field_paths import join_path
from ocsync.intake import read_file
from ocsync.intake.export import csv_lines, json_lines
from ocsync.intake.field_values import validate
from ocsync.intake.unchanged import changed_part
from ocsync.models import Entry, Op
from ocsync.schema import KINDS, Field, FieldType, make_ref
from tests.builders import entry

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "\\N", "007", "1.0", "true", "-5", "=1+1", "@x", "+x", "#N/A", " a ", 'a"b', "a,b;c\td",
     "a\r\nb", "\r", "null", "[1]", "\ufeffx", "\u2028"]
)  # fmt: skip
leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(
    allow_nan=False, allow_infinity=False) | texts  # fmt: skip
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
BY_TYPE: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.TEXT: texts,
    FieldType.INTEGER: st.integers(-50, 2**31 - 1),
    FieldType.NUMBER: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-50, 50),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.DATE: st.sampled_from(["2026-01-02", "2026-01-02T03:04:05Z"]),
    FieldType.LIST: st.lists(anything, max_size=2),
    FieldType.OBJECT: anything,
}


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """An edit that could be staged, of any kind."""
    kind = KINDS[draw(st.sampled_from(list(KINDS)))]
    op = draw(st.sampled_from(kind.ops))
    party = draw(st.sampled_from(kind.parties))
    names = (*kind.needed_ids, *party)
    ref = make_ref(kind, dict.fromkeys(names, draw(st.sampled_from(["A", "007", "-1"]))))

    def some(*, writes: bool) -> dict[str, Any]:
        rows = {p: f for p, f in kind.fields.items() if p != "xp" and not (
            f.write_only or (writes and (f.read_only or (f.create_only and op is Op.SET))))}  # fmt: skip
        found = draw(st.lists(st.sampled_from(list(rows)), max_size=3)) if rows else []
        fields = {path: draw(value(rows[path], null=not rows[path].required)) for path in found}
        if "xp" in kind.fields and op is not Op.ADJUST:
            keys = draw(st.lists(st.tuples(texts.filter(bool), anything), max_size=2))
            fields |= {join_path(("xp", key)): value for key, value in keys}
        return fields

    def value(field: Field, *, null: bool) -> st.SearchStrategy[Any]:
        return BY_TYPE[field.type] | st.none() if null else BY_TYPE[field.type]

    fields = some(writes=True)
    for path, field in kind.fields.items():
        due = field.required_on_assign if kind.assignment else field.required and op is Op.PUT
        due = due or field.required_with in party
        if due and fields.get(path) is None:
            fields[path] = draw(value(field, null=False))
    return Entry(op=op, ref=ref, fields=fields, expect=some(writes=False),
                 replace=op is Op.PUT and draw(st.booleans()))  # fmt: skip


stageable = entries().filter(lambda one: not list(validate(one)))


def facts(entries: Iterable[Entry]) -> list[bytes]:
    """What entries change, to the last bit; where they came from is no part of it."""
    encode = msgspec.json.Encoder(order="sorted").encode
    parts = (changed_part(e, is_known=bool(e.expect)) if e.expect else e for e in entries)
    return [encode((e.op, e.ref, e.fields, e.expect, e.replace)) for e in parts if e]


def back(data: bytes, name: str) -> list[bytes]:
    """What an import of *data* stages."""
    return facts(read_file(name, io.BytesIO(data)))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(stageable, max_size=6))
def test_json_lines_bring_every_entry_back(staged: list[Entry]) -> None:
    assert back(b"".join(json_lines(staged)), "x.jsonl") == facts(staged)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(stageable, max_size=6))
def test_csv_brings_every_entry_back_or_says_why_not(staged: list[Entry]) -> None:
    goes_through_csv(staged)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(stageable, max_size=6))
def test_many_more_entries_come_back(staged: list[Entry]) -> None:
    assert back(b"".join(json_lines(staged)), "x.jsonl") == facts(staged)
    goes_through_csv(staged)


def goes_through_csv(staged: list[Entry]) -> None:
    names = {path for e in staged for path in (*e.fields, *e.expect)}
    if any(name != name.strip() or "\0" in name for name in names):
        with pytest.raises(InputError, match="CSV cannot hold"):
            list(csv_lines(staged))
    else:
        assert back(b"".join(csv_lines(staged)), "x.csv") == facts(staged)


def test_a_cell_is_plain_where_its_text_says_it_all() -> None:
    staged = [
        entry("put", "price-schedule/PS", {"Name": "a", "MinQuantity": 2, "PriceBreaks": [{"Quantity": 1}]}),
        entry("set", "inventory/P/R", {"QuantityAvailable": -5, "xp.a": "007", "xp.n": 1},
              expect={"QuantityAvailable": None}),
    ]  # fmt: skip
    assert b"".join(csv_lines(staged)).decode().splitlines() == [
        "ref,op,Name,MinQuantity,PriceBreaks,QuantityAvailable,xp.a,xp.n:,expect.QuantityAvailable",
        'price-schedule/PS,put,a,2,"[{""Quantity"":1}]",,,,',
        "inventory/P/R,set,,,,-5,007,1,\\N",
    ]


@pytest.mark.parametrize("text", ["", "  ", "\u00a0", "\u200b", "\t"])
def test_text_that_cannot_be_seen_is_no_empty_cell(text: str) -> None:
    staged = [entry("set", "catalog/C", {"Description": text, "xp.a": text})]
    assert back(b"".join(csv_lines(staged)), "x.csv") == facts(staged)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-5", "@SUM(A1)", "\t=1", "\r=1", "#N/A"])
def test_no_cell_of_text_is_a_formula_to_a_spreadsheet(text: str) -> None:
    staged = [entry("set", "catalog/C", {"Name": text, "xp.a": text}),
              entry("set", "catalog/C", {"Name": "plain", "xp.a": "plain"})]  # fmt: skip
    data = b"".join(csv_lines(staged))
    cells = [cell for row in csv.reader(io.StringIO(data.decode())) for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r#"))]
    assert back(data, "x.csv") == facts(staged)


def test_nothing_staged_is_a_header_that_can_be_imported() -> None:
    assert back(b"".join(csv_lines([])), "x.csv") == []


def test_what_csv_cannot_hold_is_told_with_its_ref() -> None:
    staged = [entry("set", "catalog/C", {"xp.a ": 1, "xp.b": "x" * 7000}),
              entry("set", "price-schedule/P", {"PriceBreaks": ["x" * 1_000_001]})]  # fmt: skip
    with pytest.raises(InputError) as caught:
        list(csv_lines(staged))
    assert [(p.where, p.field) for p in caught.value.problems] == [
        ("catalog/C", "xp.a "), ("price-schedule/P", "PriceBreaks"),
    ]  # fmt: skip
    assert "--format jsonl" in caught.value.hint
