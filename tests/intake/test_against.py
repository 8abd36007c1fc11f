"""`stage import NEW --against LAST`: only what differs between two files, and what came and went."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.intake import read_file
from ocsync.intake.against import EarlierFile, NewRows
from ocsync.intake.reader import read_values
from tests.builders import Shop
from tests.cli.test_stage_files import staged
from tests.conftest import Run
from tests.intake.workbooks import workbook

HEAD = "ProductID,InventoryRecordID,QuantityAvailable,AddressID\n"
LAST = HEAD + "P,same,5,wh\nP,one,5,wh\nP,empty,5,wh\nP,was-empty,,wh\nP,gone,5,wh\nQ,gone,5,wh\n"
NEW = HEAD + "P,one,6,wh\nP,same,5,wh\np,EMPTY,,wh\nP,was-empty,7,wh\n"


def write(last: str = LAST, new: str = NEW) -> None:
    Path("last.csv").write_text(last)
    Path("new.csv").write_text(new)


def test_what_differs_is_staged_with_the_earlier_value_expected(ocsync: Run, shop: Shop) -> None:
    write()
    done = ocsync("stage", "import", "new.csv", "--against", "last.csv", "--gone", "gone.txt")
    assert (done.code, done.out) == (0, "+ 2 entries for 2 inventory records from new.csv\n")
    assert "2 rows without a change" in done.err
    assert "1 cell is empty where last.csv has a value: this leaves the field unchanged" in done.err
    assert "2 refs of last.csv are not in this file; nothing is deleted\n" in done.err
    assert "next: ocsync delete --file gone.txt --dry-run" in done.err
    assert [(one["ref"], one["fields"], one.get("expect", {})) for one in staged(ocsync)] == [
        ("inventory/P/one", {"QuantityAvailable": 6}, {"QuantityAvailable": 5}),
        ("inventory/P/was-empty", {"QuantityAvailable": 7}, {}),
    ]  # fmt: skip
    assert Path("gone.txt").read_text() == "inventory/P/gone\ninventory/Q/gone\n"
    assert ocsync("delete", "--file", "gone.txt", "--dry-run").code == 0


def test_a_new_row_without_a_required_field_is_not_put(ocsync: Run) -> None:
    write(new=NEW + "P,new,1,\n")
    refused = ocsync("stage", "import", "new.csv", "--against", "last.csv", "--new", "put")
    assert refused.code == 65
    assert "new.csv:6:4  AddressID  is required" in refused.err
    assert staged(ocsync) == []


@pytest.mark.parametrize("name", ["plain", "n\u00e4me"])
def test_a_wrong_earlier_value_is_refused_whatever_else_is_in_the_row(
    ocsync: Run, name: str
) -> None:
    head = "BuyerID,UserID,FirstName,TermsAccepted\n"
    write(f"{head}B,U,{name},soon\n", f"{head}B,U,{name},2026-01-31\n")
    words = ("--against", "last.csv", "--kind", "buyer-user")
    refused = ocsync("stage", "import", "new.csv", *words)
    assert refused.code == 65
    assert 'expect.TermsAccepted  "soon"  is not a date' in refused.err


def test_a_word_in_the_earlier_file_is_not_noted_as_one_of_this_file(ocsync: Run) -> None:
    head = "ProductID,Name,Description,Active\n"
    write(f"{head}P,N,NULL,true\n", f"{head}P,NULL,text,yes\n")
    done = ocsync("stage", "import", "new.csv", "--against", "last.csv", "--kind", "product")
    assert done.code == 0
    assert "1 of Name is a word that may mean no value (NULL)" in done.err
    assert "Description" not in done.err


def test_rows_that_are_new_are_refused_left_out_or_made(ocsync: Run, shop: Shop) -> None:
    write(new=NEW + "P,new,1,wh\nP,newer,2,wh\n")
    words = ("stage", "import", "new.csv", "--against", "last.csv")
    refused = ocsync(*words)
    assert refused.code == 65
    assert "new.csv:6  " in refused.err
    assert "is not in last.csv: --new put creates it, --new skip skips it" in refused.err
    assert "2 of 6 lines are wrong" in refused.err
    assert staged(ocsync) == []
    left_out = ocsync(*words, "--new", "skip", "--dry-run")
    assert "2 rows not in last.csv: left out" in left_out.err
    assert staged(ocsync) == []
    done = ocsync(*words, "--new", "put", "--json")
    assert {name: done.data[name] for name in ("entries", "unchanged", "new", "gone")} == {
        "entries": 4, "unchanged": 2, "new": 2, "gone": 2,
    }  # fmt: skip
    assert [(one["op"], one["ref"]) for one in staged(ocsync)][2:] == [
        ("put", "inventory/P/new"), ("put", "inventory/P/newer"),
    ]  # fmt: skip


def test_an_emptied_cell_is_counted_where_the_file_has_the_column(ocsync: Run, shop: Shop) -> None:
    write(HEAD + "P,a,5,wh\nP,b,5,wh\n", HEAD + "P,a,5,wh\nP,b,5,\n")
    done = ocsync("stage", "import", "new.csv", "--against", "last.csv")
    assert "1 cell is empty where last.csv has a value" in done.err
    write(HEAD + "P,a,5,wh\nP,b,5,wh\n", HEAD + "P,a,5,\nP,b,6,\n")
    done = ocsync("stage", "import", "new.csv", "--against", "last.csv")
    assert "2 cells are empty where last.csv has a value" in done.err
    Path("short.csv").write_text("ProductID,InventoryRecordID,QuantityAvailable\nP,a,5\nP,b,6\n")
    done = ocsync("stage", "import", "short.csv", "--against", "last.csv")
    assert (done.code, "empty where" in done.err) == (0, False)


def test_assignments_come_and_go(ocsync: Run, shop: Shop) -> None:
    head = "CatalogID,ProductID\n"
    write(head + "C,P\nC,Q\n", head + "C,Q\nC,R\n")
    words = (
        "stage",
        "import",
        "new.csv",
        "--against",
        "last.csv",
        "--new",
        "put",
        "--gone",
        "g.txt",
    )
    assert ocsync(*words).code == 0
    assert [(one["op"], one["ref"]) for one in staged(ocsync)] == [
        ("assign", "catalog-product/C/R")
    ]
    assert Path("g.txt").read_text() == "catalog-product/C/P\n"


def test_files_that_are_the_same_stage_nothing(ocsync: Run, shop: Shop) -> None:
    write(new=LAST)
    done = ocsync("stage", "import", "new.csv", "--against", "last.csv", "--gone", "gone.txt")
    assert done.out == "= 6 rows of new.csv changed no value; nothing was staged\n"
    assert not Path("gone.txt").exists()


def test_lines_of_the_earlier_file_that_are_wrong_are_told(ocsync: Run, shop: Shop) -> None:
    write(last=LAST + "P,bad,many,wh\nP,a b,1,wh\n", new=NEW + "P,bad,3,wh\n")
    done = ocsync("stage", "import", "new.csv", "--against", "last.csv", "--new", "skip")
    assert "last.csv: 2 lines are wrong and skipped: last.csv:8:3 is not a whole number" in done.err
    assert "1 row not in last.csv: left out" in done.err


@pytest.mark.parametrize(("words", "code", "told"), [
    (("--new", "put"), 64, "--against FILE"),
    (("--gone", "g.txt"), 64, "--against FILE"),
    (("--against", "last.csv", "--new", "all"), 64, "one of refuse, skip, put"),
    (("--against", "last.csv", "--gone", "last.csv"), 64, "last.csv exists already"),
    (("--against", "nowhere.csv"), 66, "nowhere.csv"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")  # fmt: skip
def test_what_cannot_be_compared(
    ocsync: Run, shop: Shop, words: tuple[str, ...], code: int, told: str
) -> None:
    write()
    result = ocsync("stage", "import", "new.csv", *words)
    assert (result.code, told in result.err) == (code, True), result


def test_an_adjustment_cannot_be_compared(ocsync: Run, shop: Shop) -> None:
    write(
        "ref,QuantityAvailable\ninventory/P/R,5\n",
        "ref,op,QuantityAvailable\ninventory/P/R,adjust,5\n",
    )
    result = ocsync("stage", "import", "new.csv", "--against", "last.csv")
    assert (result.code, "cannot be compared: leave out its op" in result.err) == (65, True)


values = st.dictionaries(
    st.sampled_from(["Name", "Description", "xp.a"]), st.sampled_from(["a", "b", "c"])
)
files = st.dictionaries(st.sampled_from(["A", "B", "C", "D", "E"]), values)


def as_csv(rows: dict[str, dict[str, str]]) -> bytes:
    lines = [",".join([one, *(fields.get(p, "") for p in ("Name", "Description", "xp.a"))]) for one, fields in rows.items()]  # fmt: skip
    return "\n".join(["CatalogID,Name,Description,xp.a", *lines]).encode()


def as_xlsx(rows: dict[str, dict[str, str]]) -> bytes:
    return workbook([line.split(",") for line in as_csv(rows).decode().split("\n")])


def as_jsonl(rows: dict[str, dict[str, str]]) -> bytes:
    return "\n".join(
        json.dumps({"ref": f"catalog/{one}", "fields": f}) for one, f in rows.items()
    ).encode()


def as_parquet(rows: dict[str, dict[str, str]]) -> bytes:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (CatalogID VARCHAR, Name VARCHAR, Description VARCHAR, \"xp.a\" VARCHAR)")  # fmt: skip
    for one, fields in rows.items():
        connection.execute("INSERT INTO t VALUES (?, ?, ?, ?)", [one, *(fields.get(p) for p in ("Name", "Description", "xp.a"))])  # fmt: skip
    connection.execute("COPY t TO 't.parquet' (FORMAT parquet)")
    return Path("t.parquet").read_bytes()


WRITERS = {"csv": as_csv, "xlsx": as_xlsx, "jsonl": as_jsonl}


def compare(
    last: bytes, last_name: str, new: bytes, new_name: str
) -> tuple[list[Any], EarlierFile]:
    earlier = EarlierFile("last", NewRows.PUT)
    earlier.read(read_values(last_name, io.BytesIO(last), kind="catalog"))
    found = [
        (entry.op.value, entry.ref, entry.fields, entry.expect)
        for entry in read_file(new_name, io.BytesIO(new), kind="catalog", earlier=earlier)
    ]
    return found, earlier


@settings(max_examples=40, deadline=None)
@given(files, files, st.sampled_from(list(WRITERS)), st.sampled_from(list(WRITERS)))
def test_what_is_staged_leads_from_one_file_to_the_other(
    last: dict[str, dict[str, str]], new: dict[str, dict[str, str]], old_form: str, form: str
) -> None:
    new = {one: {"Name": "a", **fields} for one, fields in new.items()}
    found, earlier = compare(
        WRITERS[old_form](last), f"l.{old_form}", WRITERS[form](new), f"n.{form}"
    )
    state = {one: dict(fields) for one, fields in last.items()}
    for op, ref, fields, expect in found:
        one = ref.partition("/")[2]
        assert (op == "put") == (one not in last)
        row = state.setdefault(one, {})
        assert all(row.get(path) == value for path, value in expect.items())
        assert all(row.get(path) != value for path, value in fields.items())
        assert set(expect) == set(fields) & set(row)
        row.update(fields)
    for one, fields in new.items():
        assert state[one] == {**last.get(one, {}), **fields}
    assert [*earlier.gone()] == [f"catalog/{one}" for one in last if one not in new]
    assert earlier.same + len(found) == len(new)


def test_parquet_is_compared_and_imported_alike(tmp_path: Path) -> None:
    last = {"A": {"Name": "a"}, "B": {"Name": "b", "Description": "x, \u201cy\u201d"}}
    new = {"A": {"Name": "a"}, "B": {"Name": "c", "Description": "x, \u201cy\u201d"}}
    found, _ = compare(as_parquet(last), "last.parquet", as_parquet(new), "-")
    assert found == [("set", "catalog/B", {"Name": "c"}, {"Name": "b"})]
