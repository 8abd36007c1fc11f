"""Intake: what is read, what is refused and where, and that nothing else can happen."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.errors import InputError, OcsyncError
from ocsync.intake import (
    SummedStock,
    apply_rules,
    entry_from_arguments,
    field_values,
    read_file,
)
from ocsync.intake.field_values import validate
from ocsync.intake.mapping import FileMapping, Rule
from ocsync.json_text import repeated_key
from ocsync.models import Entry, Op
from ocsync.schema import KINDS
from tests.builders import entry
from tests.intake.workbooks import workbook

REF = "inventory/P/R"


def read(data: bytes, name: str = "edits.csv", **more: Any) -> list[Entry]:
    return list(read_file(name, io.BytesIO(data), **more))


def refused(data: bytes, name: str = "edits.csv", **more: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read(data, name, **more)
    return caught.value


ARGUMENTS: list[tuple[str, str, list[str], dict[str, Any]]] = [
    ("set", REF, ["QuantityAvailable=40"], {"QuantityAvailable": 40}),
    ("set", REF, ["QuantityAvailable:=40"], {"QuantityAvailable": 40}),
    ("set", REF, ["AddressID=007"], {"AddressID": "007"}),
    ("set", REF, ["OrderCanExceed=TRUE"], {"OrderCanExceed": True}),
    ("set", REF, ["NotificationPoint:=null"], {"NotificationPoint": None}),
    ("set", REF, ["xp.a=1", "xp.b:=1"], {"xp.a": "1", "xp.b": 1}),
    ("set", REF, ['xp:={"a":{"b":1}}'], {"xp.a": {"b": 1}}),
    ("set", REF, ["xp.a.b:=[1]"], {"xp.a.b": [1]}),
    ("set", REF, ['xp:={"a.b":1}'], {"xp.a\\.b": 1}),
    ("set", "product/P", ['Inventory:={"Enabled":true}'], {"Inventory.Enabled": True}),
    ("set", "product/P", ["ShipWeight=1.50"], {"ShipWeight": 1.5}),
    ("set", "catalog/C", ["Description=a = b"], {"Description": "a = b"}),
    ("set", "price-schedule/PS", ['PriceBreaks=[{"Quantity":1,"Price":2}]'],
     {"PriceBreaks": [{"Quantity": 1, "Price": 2}]}),
    ("adjust", REF, ["QuantityAvailable+=5"], {"QuantityAvailable": 5}),
    ("adjust", REF, ["QuantityAvailable-=5"], {"QuantityAvailable": -5}),
    ("adjust", REF, ["QuantityAvailable=-5"], {"QuantityAvailable": -5}),
    ("assign", "catalog-product/C/P", [], {}),
    ("put", "catalog/C", ["Name=x", "OwnerID=me"], {"Name": "x", "OwnerID": "me"}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "ref", "words", "fields"), ARGUMENTS)
def test_arguments_are_typed_by_the_table(
    op: str, ref: str, words: list[str], fields: dict[str, Any]
) -> None:
    assert entry_from_arguments(Op(op), ref, words).fields == fields


REFUSED: list[tuple[str, str, list[str], str]] = [
    ("set", "catalog/C", ['xp:={"a":1,"a":2}'], 'repeats the key "a"'),
    ("set", REF, ["QuantityAvailable=1.0E+05"], "is not a whole number"),
    ("set", REF, ["QuantityAvailable=1.0"], "is not a whole number"),
    ("set", REF, ["QuantityAvailable=3000000000"], "32 bits"),
    ("set", REF, ["QuantityAvailable:=true"], "is not a whole number"),
    ("set", REF, ["OrderCanExceed=maybe"], "is not true or false"),
    ("set", REF, ["Quantity=1"], "did you mean QuantityAvailable"),
    ("set", REF, ["LastUpdated=2026-01-01"], "read-only"),
    ("set", REF, ["ID=R2"], "would rename the entity"),
    ("set", REF, ["OwnerID=x"], "created"),
    ("set", REF, ["AddressID:=null"], "cannot be null"),
    ("set", REF, ["AddressID="], "cannot be empty"),
    ("set", REF, ["xp:=null"], "cannot be staged as a whole"),
    ("set", REF, ["xp.a.=1"], "empty key"),
    ("set", REF, ["xp.a=1", "xp.a.b=2"], "is part of"),
    ("set", REF, [f"xp.a={'x' * 8001}"], "more than 8,000 characters"),
    ("set", REF, ["AddressID=  "], "is required and cannot be blank"),
    ("set", "product/P", ["Name=\u00a0\u200b"], "is required and cannot be blank"),
    ("put", "product/P", ["Name=\t"], "is required and cannot be blank"),
    ("set", "product/P", ["xp:={}"], "stage put --replace"),
    ("adjust", "product/P", ["xp:={}"], "cannot be emptied by adjust"),
    ("set", "variant/P/V", ["xp:={}"], "set the keys to null, as in xp.color:=null"),
    ("set", REF, [], "sets no field"),
    ("set", REF, ["QuantityAvailable"], "is not FIELD=VALUE"),
    ("set", REF, ["QuantityAvailable+=1"], "is not FIELD=VALUE"),
    ("set", REF, ["QuantityAvailable=1", "QuantityAvailable=2"], "given twice"),
    ("set", REF, ["xp.a:={"], "is not JSON"),
    ("set", "product/P", ["Inventory:=null"], "name its fields"),
    ("set", "catalog/C", [f"Name={'x' * 101}"], "more than 100 characters"),
    ("set", "category/C/K", ["ListOrder=-1"], "less than 0"),
    ("set", "price-schedule/P", ["SaleStart=tomorrow"], "is not a date"),
    ("set", "price-schedule/P", [f"Currency={'x' * 101}"], "more than 100 characters"),
    ("set", "address/A", ["Country=DEU"], "more than 2"),
    ("set", "admin-user/U", ["Password=x"], "write-only"),
    ("set", "catalog-product/C/P", ["x=1"], "can only be assigned"),
    ("assign", "catalog/C", ["Name=x"], "is an entity"),
    ("assign", "catalog-assignment/C/B", ["ViewAllProducts=true"], "is required"),
    ("put", "catalog/C", ["Active=true"], "is required"),
    ("put", "buyer-user/B/U", ["Username=x"], "write-only"),
    ("put", "variant/P/V", ["Name=x"], "generated"),
    ("adjust", REF, ["AddressID=1"], "not a number"),
    ("adjust", REF, ["xp.a:=1"], "not a number"),
    ("set", "inventory/P", ["QuantityAvailable=1"], "an inventory record is written inventory/"),
    ("set", "catalog/C", ["Name=a\udcffb"], "is not UTF-8 text"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "ref", "words", "why"), REFUSED)
def test_what_cannot_be_staged_is_refused_with_the_reason(
    op: str, ref: str, words: list[str], why: str
) -> None:
    with pytest.raises(InputError) as caught:
        entry_from_arguments(Op(op), ref, words)
    assert any(why in problem.why for problem in caught.value.problems), caught.value.problems


def test_what_was_wrong_before_a_file_broke_off_is_told_too() -> None:
    data = b'ref,QuantityAvailable\ninventory/P 1/R,5\ninventory/P/R,x\ninventory/P/R,"5\n'
    error = refused(data, "edits.csv")
    assert [(p.line, p.why.split()[-1]) for p in error.problems] == [(2, "them"), (3, "number"), (4, "closed")]  # fmt: skip


def test_all_faults_are_told_not_the_first() -> None:
    with pytest.raises(InputError) as caught:
        entry_from_arguments(Op.SET, REF, ["Nope=1", "LastUpdated=x", "ID=y"])
    assert len(caught.value.problems) == 3


CSV = b"ref,QuantityAvailable,AddressID,expect.QuantityAvailable\ninventory/P/R,40,,38\n"


@pytest.mark.parametrize("data", [
    CSV,
    CSV.replace(b",", b";"),
    CSV.replace(b",", b"\t"),
    CSV.replace(b",", b"|"),
    CSV.replace(b"\n", b"\r\n"),
    b"\xef\xbb\xbf" + CSV,
    CSV.decode().encode("utf-16"),
    CSV + b"\n  ,,,\n",
    CSV.replace(b"\n", b"\r"),
    CSV.replace(b"ref", b"Ref"),
    CSV.rstrip(b"\n"),
    CSV.replace(b"40", b'"40"'),
], ids=["comma", "semicolon", "tab", "bar", "crlf", "bom", "utf-16", "blank lines", "old mac", "any case", "no end", "quoted"])  # fmt: skip
def test_the_dialects_of_csv(data: bytes) -> None:
    [found] = read(data)
    assert (found.ref, found.op) == (REF, Op.SET)
    assert (found.fields, found.expect) == ({"QuantityAvailable": 40}, {"QuantityAvailable": 38})
    assert found.source == "edits.csv:2"


class _Piecemeal(io.RawIOBase):
    """A pipe that gives one byte at each read."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1))


@pytest.mark.parametrize(
    "data",
    [
        CSV,
        CSV.replace(b",", b";"),
        b"\n \n" + CSV.replace(b",", b"\t"),
        b"sep=;\n" + CSV.replace(b",", b";"),
        b'ref,"xp.a\n;;;;;",QuantityAvailable,expect.QuantityAvailable\ninventory/P/R,,40,38\n',
        b"\xef\xbb\xbf" + CSV.replace(b",", b";"),
        CSV.replace(b",", b";").decode().encode("utf-16"),
        b'\n  {"ref":"inventory/P/R","fields":{"QuantityAvailable":40},"expect":{"QuantityAvailable":38}}',
        workbook([["ref", "QuantityAvailable", "expect.QuantityAvailable"], [REF, 40, 38]]),
    ],
    ids=["comma", "semicolon", "blank first", "sep", "quoted", "bom", "utf-16", "json", "xlsx"],
)
def test_input_is_judged_alike_however_its_bytes_come(data: bytes) -> None:
    [found] = read_file("-", _Piecemeal(data))  # type: ignore[arg-type]
    assert (found.fields, found.expect) == ({"QuantityAvailable": 40}, {"QuantityAvailable": 38})


def test_a_spreadsheets_own_word_for_the_delimiter() -> None:
    """Its line counts, so that faults are told where they stand."""
    data = b"sep=;\nref;QuantityAvailable\ninventory/P/R;40\n"
    assert read(data)[0].fields == {"QuantityAvailable": 40}
    assert read(data)[0].source == "edits.csv:3"
    assert refused(data.replace(b"40", b"x")).problems[0].place() == "edits.csv:3:2"


def test_other_delimiters_inside_quotes_do_not_count() -> None:
    [found] = read(b'ref,"xp.a;b;c;d"\ninventory/P/R,1;2\n')
    assert found.fields == {"xp.a;b;c;d": "1;2"}


def test_a_put_may_replace() -> None:
    one, two = read(b"ref,op,replace,Name\ncatalog/C,put,TRUE,x\ncatalog/D,put,,y\n")
    assert (one.replace, two.replace) == (True, False)


def test_ids_in_columns_ops_json_and_null() -> None:
    data = (
        b"InventoryRecordID,ProductID,op,QuantityAvailable,xp.a:,NotificationPoint\n"
        b'007,0001,,5,"{""b"":1}",\n'
        b"R,P,adjust,-2,,\n"
        b"R,P,,,,\\N\n"
    )
    found = read(data, kind="inventory")
    assert [(e.ref, e.op, e.fields) for e in found] == [
        ("inventory/0001/007", Op.SET, {"QuantityAvailable": 5, "xp.a": {"b": 1}}),
        ("inventory/P/R", Op.ADJUST, {"QuantityAvailable": -2}),
        ("inventory/P/R", Op.SET, {"NotificationPoint": None}),
    ]


BLANKS = ["", "   ", "\t", "\u00a0", "\u200b", "\ufeff", " \u2003\u2060 "]


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_a_cell_in_which_nothing_can_be_seen_is_empty(blank: str) -> None:
    """It wipes nothing, names no operation and no optional ID, and expects nothing."""
    header = "ProductID;BuyerID;UserGroupID;op;replace;PriceScheduleID;expect.PriceScheduleID\n"
    rows = f"P;B;{blank};{blank};{blank};PS;{blank}\n{';'.join([blank] * 7)}\n"
    [found] = read((header + rows).encode(), kind="product-assignment")
    assert (found.ref, found.op, found.replace) == ("product-assignment/P/B", Op.ASSIGN, False)
    assert (found.fields, found.expect) == ({"PriceScheduleID": "PS"}, {})
    names = f"ref;Name;Description;xp.a:;ShipWeight;Active\nproduct/P;{blank};x;" + f"{blank};" * 2
    assert read((names + blank).encode())[0].fields == {"Description": "x"}


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_an_id_that_cannot_be_seen_is_missing(blank: str) -> None:
    by_ids = f"ProductID;InventoryRecordID;QuantityAvailable\nP;{blank};1\n".encode()
    [problem] = refused(by_ids, kind="inventory").problems
    assert (problem.field, problem.why) == ("InventoryRecordID", "is empty")
    [problem] = refused(f"ref;QuantityAvailable\n{blank};1\n".encode()).problems
    assert (problem.field, problem.why) == ("ref", "is empty")


def test_columns_without_a_name_must_be_empty() -> None:
    data = b"ref,QuantityAvailable,,\ninventory/P/R,40, ,\ninventory/P/S,41,,,\n"
    assert [found.fields for found in read(data)] == [
        {"QuantityAvailable": 40},
        {"QuantityAvailable": 41},
    ]
    error = refused(data + b"inventory/P/T,42,,x\ninventory/P/U,43,,y\n")
    assert [p.place() for p in error.problems] == ["edits.csv:4:4"]
    assert "without a name" in error.problems[0].why


def test_required_text_and_xp_are_no_blanks_in_json_lines_either() -> None:
    lines = (
        '{"ref":"product/P","fields":{"Name":" \u200b"}}\n'
        '{"ref":"product/P","fields":{"xp":{}}}\n'
        '{"ref":"product/P","op":"put","fields":{"Name":"x","xp":{}}}\n'
    )
    problems = refused(lines.encode(), "edits.jsonl").problems
    assert [(p.line, p.field, p.why.partition(",")[0]) for p in problems] == [
        (1, "Name", "is required and cannot be blank"),
        (2, "xp", "cannot be emptied by set"),
    ]
    assert refused(b"ref,xp:\nproduct/P,{}\n").problems[0].column == 2


def test_an_optional_id_may_be_empty() -> None:
    data = b"ProductID,BuyerID,UserGroupID,PriceScheduleID\nP,B,,PS\nP,B,G,\n"
    found = read(data, kind="product-assignment")
    assert [e.ref for e in found] == ["product-assignment/P/B", "product-assignment/P/B/G"]
    assert {e.op for e in found} == {Op.ASSIGN}


def test_json_lines() -> None:
    data = (
        b'{"ref":"catalog/C","fields":{"Active":true,"xp":{"a":1}},"expect":{"Active":false}}\n\n'
        b'{"ref":"catalog/D","op":"put","fields":{"Name":"x"},"replace":true}\n'
    )
    one, two = read(data, "edits.jsonl")
    assert one.fields == {"Active": True, "xp.a": 1}
    assert one.expect == {"Active": False}
    assert (two.op, two.replace, two.source) == (Op.PUT, True, "edits.jsonl:3")
    assert read(data, "-") == read(data, "-", file_format="jsonl")


WRONG: list[tuple[bytes, int, int, str]] = [
    (b"ref,QuantityAvailable\ninventory/P/R,1\ninventory/P/R,1.0E+05\n", 3, 2, "whole number"),
    (b"ref,QuantityAvailable\ninventory/P 1/R,1\n", 2, 1, "letters, digits"),
    (b"ref,QuantityAvailable\ninventory/P/R,1,2\n", 2, 0, "has 3 cells"),
    (b"ref,Nope\ninventory/P/R,1\n", 2, 2, "not a field"),
    (b"ref,op,QuantityAvailable\ninventory/P/R,remove,1\n", 2, 2, "is not one of set"),
    (b"ref,QuantityAvailable,QuantityAvailable\ninventory/P/R,1,1\n", 1, 3, "appears twice"),
    (b"QuantityAvailable\n1\n", 1, 0, "is missing"),
    (b'ref,AddressID\ninventory/P/R,"never closed\n', 2, 0, "never closed"),
    (b"ref,AddressID\ninventory/P/R,a\0b\n", 2, 0, "NUL"),
    (b"ref,AddressID\ninventory/P/R,\xff\xfe\n", 2, 0, "not utf-8"),
    (b"ref,AddressID\ninventory/P/R," + b"x" * 1_000_001 + b"\n", 2, 0, "longer than"),
    (
        b"ref,AddressID\n" + b"inventory/P/R,a\n" * 3000 + b"inventory/P/R,\xfc\n",
        3002,
        0,
        "CSV UTF-8",
    ),
    (b'ref,AddressID\ninventory/P/R,"a"b\n', 2, 0, "text after a closing quote"),
    (b'ref,xp.a\ninventory/P/R,"' + b"x\n" * 510_000, 2, 0, "is a quote never closed?"),
    (b"ref,xp.a,xp.a:\ninventory/P/R,1,2\n", 1, 3, "appears twice, as xp.a and as xp.a:"),
    (
        b'ref,Inventory:,Inventory.Enabled\nproduct/P,"{""Enabled"":true}",false\n',
        2,
        3,
        "given twice",
    ),
    (b"ref,AddressID\ninventory/P/R,#N/A\n", 2, 2, "a spreadsheet error"),
    (b"ref,replace,op,Name\ncatalog/C,perhaps,put,x\n", 2, 2, "is not true or false"),
]


@pytest.mark.parametrize(("data", "line", "column", "why"), WRONG, ids=[w[3] for w in WRONG])
def test_faults_name_line_column_and_reason(data: bytes, line: int, column: int, why: str) -> None:
    problem = refused(data).problems[0]
    assert why in problem.why
    assert problem.where == "edits.csv"
    assert problem.line == line
    assert problem.column == column


def test_what_was_wrong_before_a_file_breaks_off_is_told_too() -> None:
    error = refused(b'ref,QuantityAvailable\ninventory/P/R,x\ninventory/P/R,"1\n')
    assert [p.line for p in error.problems] == [2, 3]


def test_a_bad_id_is_told_in_its_own_column() -> None:
    data = b"QuantityAvailable,ProductID,InventoryRecordID\n1,P,R 1\n1,,R\n"
    found = [(p.line, p.column, p.field) for p in refused(data, kind="inventory").problems]
    assert found == [(2, 3, "InventoryRecordID"), (3, 2, "ProductID")]


REPEATED = {
    b'{"ref":"catalog/C","fields":{"Name":"a","Name":"b"}}\n': (1, "Name"),
    b'{"ref":"catalog/D","fields":{"Active":true}}\n{"ref":"catalog/C","fields":{"xp":{"\\u0061":1,"a":"\\""}}}\n': (
        2,
        "a",
    ),
    b'{"ref":"catalog/D","ref":"catalog/C","fields":{"Name":"a"}}': (1, "ref"),
    b'[\n{"ref":"catalog/D","fields":{"Active":true}},\n{"ref":"catalog/C","fields":{"":1,\n"":1}}]': (
        3,
        "",
    ),
    b'\n{"Items":[\n{"ID":"C"}],\n"Items":[]}': (2, "Items"),
}


@pytest.mark.parametrize("data", REPEATED)
def test_equal_keys_of_one_object_are_refused(data: bytes) -> None:
    number, key = REPEATED[data]
    [problem] = refused(data, "edits.json").problems
    assert (problem.where, problem.line) == ("edits.json", number)
    assert problem.why == f'repeats the key "{key}" in one object'


@settings(max_examples=25, deadline=None)
@given(st.recursive(st.text() | st.none(), lambda inner: st.dictionaries(st.text(), inner)))
def test_a_key_is_repeated_only_if_it_is_there_twice(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert repeated_key(text, json.loads(text)) == ""
        twice = f'{{"k": {text}, "k": {text}}}'
        assert "k" in repeated_key(twice, json.loads(twice))


@pytest.mark.parametrize(
    "data",
    [
        b'[\n {"ref":"catalog/C","fields":{"Active":true}},\n\n {"ref":"catalog/D",\n"fields":{"Active":false}} ]',
        b'\n{"ref":"catalog/C","fields":{"Active":true}}\n\n{"ref":"catalog/D","fields":{"Active":false}}\n',
    ],
    ids=["array", "lines"],
)
def test_edits_in_one_json_document_are_edits_as_in_lines(data: bytes) -> None:
    found = [(one.ref, one.fields, one.source) for one in read(data, "edits.json")]
    assert found == [
        ("catalog/C", {"Active": True}, "edits.json:2"),
        ("catalog/D", {"Active": False}, "edits.json:4"),
    ]


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (
            b'{"ref":"catalog/C","fields":{}\n{"ref":"catalog/D","fields":{"Name":"x"}}\n',
            1,
            "not JSON",
        ),
        (b'[\n {"ref":"catalog/C","fields":{"Name":"x"}},\n {"ref":"catalog/D"\n', 4, "not JSON"),
        (b'[\n {"ref":"catalog/C","fields":{"Name":"x"}}, 7 ]', 2, "not an entry"),
        (
            b'{\n "ID": "C",\n "Name": "x"\n}',
            1,
            "has no ref; for OrderCloud's own JSON, give --kind",
        ),
    ],
    ids=["a broken line", "a broken document", "a number", "an entity without a kind"],
)
def test_faults_in_json_are_told_with_their_line(data: bytes, line: int, why: str) -> None:
    problems = refused(data, "edits.json").problems
    assert why in problems[0].why
    assert [problem.line for problem in problems] == [line]


CHAIR: dict[str, Any] = {
    "OwnerID": "acme", "Name": "Chair", "Description": None, "Active": True, "SpecCount": 2,
    "Inventory": {"Enabled": True, "NotificationPoint": None, "LastUpdated": "2026-01-01T00:00:00Z"},
    "Colour": 7, "xp": {"legs": 4, "parts": {"seat": "oak"}}, "DateCreated": "2026-01-01T00:00:00Z",
}  # fmt: skip
CHAIRS = [{"ID": f"chair-{n}", **CHAIR} for n in range(2)]
META = {"Page": 1, "PageSize": 2, "TotalCount": 5, "TotalPages": 3}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "document", [{"Items": CHAIRS, "Meta": META}, CHAIRS, CHAIRS[0]], ids=["page", "array", "one"]
)
def test_entities_as_the_api_answers_them_are_edits(document: Any, indent: int | None) -> None:
    noted: list[str] = []
    data = json.dumps(document, indent=indent).encode()
    found = read(data, "-", kind="product", note=noted.append)
    assert [one.ref for one in found] == ["product/chair-0", "product/chair-1"][: len(found)]
    assert found[0].fields == {
        "Name": "Chair", "Active": True, "Inventory.Enabled": True, "xp.legs": 4,
        "xp.parts": {"seat": "oak"},
    }  # fmt: skip
    page = ["stdin holds 2 of the list's 5 entities; for all of them: ocsync export product"]
    assert noted == page * ("Meta" in document) + [
        "stdin: left out OwnerID, SpecCount, Inventory.LastUpdated, DateCreated: read-only",
        "stdin: left out Description, Inventory.NotificationPoint: null",
        "stdin: left out Colour: not a field of product",
    ]


def test_pages_one_a_line_and_assignments() -> None:
    rows = [
        {"ProductID": f"P{n}", "BuyerID": "B", "UserGroupID": None, "PriceScheduleID": "PS"}
        for n in range(3)
    ]
    data = "\n".join(json.dumps({"Meta": {}, "Items": [row]}) for row in rows).encode()
    found = read(data, "a.json", kind="product-assignment")
    assert [one.ref for one in found] == [f"product-assignment/P{n}/B" for n in range(3)]
    assert {one.op for one in found} == {Op.ASSIGN}
    assert [one.source for one in found] == ["a.json:1", "a.json:2", "a.json:3"]


def test_an_entity_whose_parent_is_not_named_is_refused() -> None:
    data = b'[{"ID":"R","QuantityAvailable":3},{"ID":"a b","ProductID":"P","QuantityAvailable":3}]'
    problems = refused(data, "stock.json", kind="inventory").problems
    assert [(p.field, p.why.partition(";")[0]) for p in problems] == [
        ("ProductID", "is missing"), ("InventoryRecordID", "an ID has letters, digits, - and _ only, 1 to 100 of them"),
    ]  # fmt: skip


def test_every_faulty_line_is_counted() -> None:
    rows = b"".join(b"inventory/P/R,%s\n" % (b"x" if n % 2 else b"1") for n in range(100))
    error = refused(b"ref,QuantityAvailable\n" + rows)
    assert len(error.problems) == 50
    assert error.message == "50 of 100 lines are wrong; nothing was staged"


@pytest.mark.parametrize("line", [
    b'{"ref":"catalog/C","fields":{}', b"[1]", b'{"ref":1}', b'{"ref":"catalog/C","feilds":{}}',
    b'{"ref":"catalog/C","op":"remove"}', b"[" * 100_000, b'{"ref":"catalog/C","fields":{"Name":1e999}}',
    b'{"ref":"product/P","fields":{"Inventory":{"Enabled":true},"Inventory.Enabled":false}}',
])  # fmt: skip
def test_broken_json_lines(line: bytes) -> None:
    assert refused(line + b"\n", "edits.jsonl").problems


@settings(max_examples=150, deadline=None)
@given(st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.lists(st.text("a,;\"\n\t\\N/{}:1.=\0é", max_size=20), max_size=8).map(
        lambda lines: ("ref,QuantityAvailable,xp.a\n" + "\n".join(lines)).encode()),
), st.sampled_from(["x.csv", "x.jsonl", "-"]), st.sampled_from(["", "inventory"]))  # fmt: skip
def test_any_bytes_are_entries_or_a_clear_refusal(data: bytes, name: str, kind: str) -> None:
    with contextlib.suppress(OcsyncError):
        assert all(isinstance(one, Entry) for one in read(data, name, kind=kind))


def test_rows_of_several_kinds_and_operations_keep_their_order() -> None:
    head = "ref,op,replace,QuantityAvailable,Name,xp.a\n"
    rows = [
        "inventory/P/A,,,1,,", "product/P,put,yes,,x,1", "inventory/P/B,adjust,,-1,,",
        "product/Q,,,,y,", "inventory/P/C,SET,no,,,z",
    ]  # fmt: skip
    found = read((head + "\n".join(rows)).encode())
    assert [(e.op.value, e.ref, e.fields, e.replace, e.source) for e in found] == [
        ("set", "inventory/P/A", {"QuantityAvailable": 1}, False, "edits.csv:2"),
        ("put", "product/P", {"Name": "x", "xp.a": "1"}, True, "edits.csv:3"),
        ("adjust", "inventory/P/B", {"QuantityAvailable": -1}, False, "edits.csv:4"),
        ("set", "product/Q", {"Name": "y"}, False, "edits.csv:5"),
        ("set", "inventory/P/C", {"xp.a": "z"}, False, "edits.csv:6"),
    ]
    wrong = ["inventory/P,,,1,,", "product/P,stage,,,x,", "product/P,,,,", "product/P,,q,,x,,"]
    error = refused((head + "\n".join([*rows, *wrong])).encode())
    assert [(p.line, p.column) for p in error.problems] == [(7, 1), (8, 2), (9, 0), (10, 3)]


def test_lines_before_one_that_cannot_be_read_are_told_with_it() -> None:
    rows = "".join(f"inventory/P/R{n},{n}\n" for n in range(1_200))
    data = f"ref,QuantityAvailable\n{rows}inventory/P/R,many\n".encode()
    for end, line in ((b'inventory/P/R,"1', 1_203), (b"inventory/\0/R,1\n", 1_203)):
        error = refused(data + end)
        assert [p.line for p in error.problems] == [1_202, line]


STAGED = [
    ([entry("set", "product/P", {"Inventory.QuantityAvailable": 1})], [entry("set", REF, {"QuantityAvailable": 1})], "sum"),
    ([entry("set", REF, {"QuantityAvailable": 1})], [entry("set", "product/P", {"Inventory.QuantityAvailable": 1})], "sum"),
    ([entry("set", REF.lower(), {"QuantityAvailable": 1})], [entry("set", "product/P", {"Inventory.QuantityAvailable": 1})], "sum"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("new", "staged", "why"), STAGED, ids=["product", "record", "in another case"]
)
def test_what_cannot_stand_beside_what_is_staged(
    new: list[Entry], staged: list[Entry], why: str
) -> None:
    with pytest.raises(InputError) as caught:
        list(apply_rules(new, [SummedStock(staged, staged)]))
    assert why in caught.value.problems[0].why
    other = [entry("set", "product/Q", {"Inventory.QuantityAvailable": 1})]
    assert list(apply_rules(other, [SummedStock(staged, staged)])) == other


PLAIN = [1, 0, -1, 2**31, True, False, None, "", " ", "a", "x" * 101, "2026-01-01", 1.5, {}, {"a": 1}, [1], 2**70, "\u0001" * 99]  # fmt: skip


@given(
    st.sampled_from([kind for kind in KINDS.values() if kind.fields]).flatmap(
        lambda kind: st.builds(
            Entry,
            op=st.sampled_from(Op),
            ref=st.just(f"{kind.name}/X"),
            fields=st.dictionaries(
                st.sampled_from([*kind.fields, "xp.a", "xp.a.b", "xp.c", "xp.", "ID", "Nonsense"]),
                st.sampled_from(PLAIN),
                max_size=12,
            ),
            expect=st.dictionaries(
                st.sampled_from([*kind.fields, "xp.a"]), st.sampled_from(PLAIN), max_size=2
            ),
        )
    )
)
def test_what_is_quickly_passed_has_no_fault(one: Entry) -> None:
    assert list(validate(one)) == list(field_values._faults(one))


def test_xp_near_its_limit_is_not_passed_quickly() -> None:
    one = entry("set", REF, {f"xp.{'k' * 15}{n}": "\u0001" * 99 for n in range(10)})
    assert list(validate(one)) == list(field_values._faults(one)) == []
    more = {f"xp.{n}": "\u0001" * 190 for n in range(10)}
    assert [fault.field for fault in validate(entry("set", REF, more))] == ["xp"]


def test_a_constant_names_the_parent_of_entities() -> None:
    data = b'[{"ID":"R","QuantityAvailable":3}]'
    mapping = FileMapping(columns={"ProductID": Rule(const="P")})
    [record] = read(data, "stock.json", kind="inventory", mapping=mapping)
    assert (record.ref, record.fields) == (REF, {"QuantityAvailable": 3})
    [problem] = refused(data, "stock.json", kind="inventory").problems
    assert problem.why.endswith("(--const ProductID=...)")


def test_numbers_with_a_comma_lead_to_the_option() -> None:
    problems = refused(b"ref;ShipWeight;QuantityMultiplier\nproduct/P;7,5;1.040,00\n").problems
    assert [problem.why for problem in problems] == [
        "is not a number; for decimal commas: --decimal ,", "is not a whole number; for decimal commas: --decimal ,",
    ]  # fmt: skip


@pytest.mark.parametrize(("yes", "no"), [("WAHR", "FALSCH"), ("VRAI", "FAUX"), ("yes", "No")])
def test_flags_in_the_language_of_a_spreadsheet(yes: str, no: str) -> None:
    [one] = read(f"ref;Active;Returnable\nproduct/P;{yes};{no}\n".encode())
    assert one.fields == {"Active": True, "Returnable": False}


@pytest.mark.parametrize(("breaks", "fault"), [
    ('[{"Quantity":1,"Price":"1.5"}]', "item 1: Price is not a number"),
    ('[{"Quantity":1,"Price":1},{"Quantity":1.5,"Price":1}]', "item 2: Quantity is not a whole number"),
    ('[{"quantity":1,"Price":1}]', "item 1: quantity is written Quantity"),
    ('[{"Quantity":1}]', "item 1: Price is required"),
    ('[{"Quantity":-1,"Price":1}]', "item 1: Quantity is less than 0"),
    ("[5]", "item 1: is not an object"),
    ('[{"Quantity":1,"Price":1,"SalePrice":null,"New":"x"}]', ""),
])  # fmt: skip
def test_the_objects_in_a_list_have_the_types_of_their_fields(breaks: str, fault: str) -> None:
    line = f'{{"ref":"price-schedule/P","fields":{{"PriceBreaks":{breaks}}}}}'.encode()
    if fault:
        assert fault in refused(line, "p.jsonl").problems[0].why
    else:
        assert len(read(line, "p.jsonl")) == 1


@pytest.mark.parametrize(
    ("name", "head", "line"),
    [
        ("wide.csv", "ref,Name" + ",#" * 50_000, "product/p,N" + "," * 50_000),
        ("long.csv", "ref,Name,#note", f"product/p,N,{'x' * 100_000}"),
        ("long.jsonl", "", json.dumps({"ref": "product/p", "fields": {"xp.a": "x" * 100_000}})),
    ],
)
def test_few_large_rows_are_in_memory_at_a_time(name: str, head: str, line: str) -> None:
    numbers: list[int] = []
    data = "\n".join([head, *[line] * 90]).encode()
    with contextlib.suppress(InputError):
        read(data, name, observe=lambda lines: numbers.append(len(lines)))
    assert sum(numbers) == 90
    assert max(numbers) <= 45


@pytest.mark.parametrize("number", [0, 1_500, 5_000])
def test_a_column_without_a_name_and_undecodable_text_are_reported_together(number: int) -> None:
    lines = [b"ref,,Name", b"product/p,x,N", *[b"product/p,,N"] * number, b"product/q,,\xff"]
    found = [(p.line, p.why.partition(":")[0]) for p in refused(b"\n".join(lines)).problems]
    assert [line for line, _ in found] == [2, number + 3]
    assert "without a name" in found[0][1]
    assert "is not utf-8 text" in found[1][1]
