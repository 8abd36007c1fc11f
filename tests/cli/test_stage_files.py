"""`stage import`, `export` and `template` as the operator types them."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path

import pytest

from ocsync.intake import read_file
from ocsync.intake.template import header_for
from ocsync.schema import KINDS, Kind
from tests.builders import Shop
from tests.conftest import Run
from tests.intake.workbooks import ERROR, workbook

STOCK = "ProductID,InventoryRecordID,QuantityAvailable,AddressID,xp.n:\n"


def staged(ocsync: Run) -> list[dict[str, object]]:
    """What is staged, without numbers and where it came from."""
    kept = ("op", "ref", "fields", "expect", "replace")
    found = ocsync("stage", "export", "--json").data["exported"]
    return [{name: one[name] for name in kept if name in one} for one in found]


def test_a_dry_run_tells_what_each_column_holds_and_stages_nothing(ocsync: Run) -> None:
    ocsync("stage", "set", "inventory/P/R", "AddressID=wh-9")
    Path("stock.csv").write_text(STOCK + "P,R,40,,1\nP,R,,wh,\nP,S,-2,\\N,[2]\n".replace("\\N", ""))
    found = ocsync(
        "stage", "import", "stock.csv", "--kind", "inventory", "--dry-run", "--json"
    ).data
    by_name = {column["name"]: column for column in found["columns"]}
    numbers = {
        name: [c[n] for n in ("filled", "empty", "null", "wrong", "distinct", "least", "most")]
        for name, c in by_name.items()
    }

    assert list(by_name) == [
        "ProductID",
        "InventoryRecordID",
        "QuantityAvailable",
        "AddressID",
        "xp.n",
    ]
    assert numbers == {
        "ProductID": [3, 0, 0, 0, 1, "P", "P"],
        "InventoryRecordID": [3, 0, 0, 0, 2, "R", "S"],
        "QuantityAvailable": [2, 1, 0, 0, 2, -2, 40],
        "AddressID": [1, 2, 0, 0, 1, "wh", "wh"],
        "xp.n": [2, 1, 0, 0, 2, 1, 1],
    }
    assert [by_name[n]["type"] for n in ("ProductID", "QuantityAvailable", "xp.n")] == [
        "ID", "whole number", "list, number",
    ]  # fmt: skip
    assert found["alone"] == {"entries": 3, "refs": 2, "steps": 2}
    assert found["with_staged"] == {"entries": 4, "refs": 2, "steps": 2}
    assert len(staged(ocsync)) == 1
    shown = ocsync("stage", "import", "stock.csv", "--kind", "inventory", "-n")
    assert shown.code == 0
    assert "stock.csv would stage 3 entries, 2 refs, 2 steps" in shown.out
    assert "together with the staged edits: 4 entries, 2 refs, 2 steps" in shown.out
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    assert len(staged(ocsync)) == 1


def test_a_dry_run_counts_cells_that_show_nothing_as_empty(ocsync: Run) -> None:
    Path("p.csv").write_text("ProductID,Name,Description\nP, ,x\nQ,\u200b,y\nR,n,\u00a0\n")
    found = ocsync("stage", "import", "p.csv", "--kind", "product", "-n", "--json").data
    numbers = {c["name"]: (c["filled"], c["empty"]) for c in found["columns"]}
    assert numbers == {"ProductID": (3, 0), "Name": (1, 2), "Description": (2, 1)}


def test_a_dry_run_of_a_wrong_file_counts_and_shows_what_is_wrong(ocsync: Run) -> None:
    rows = "".join(f"P,R{n},{'x' if n % 2 else n},,\n" for n in range(10)) + "P,R 1,1,,\n"
    Path("stock.csv").write_text(STOCK + rows)
    result = ocsync("stage", "import", "stock.csv", "--kind", "inventory", "--dry-run")

    assert result.code == 65
    assert "6 of 11 lines are wrong; nothing was staged" in result.err
    assert "stock.csv: 11 lines, 6 wrong" in result.out
    row = next(line for line in result.out.splitlines() if "QuantityAvailable  whole" in line)
    assert row.split()[3:] == ["5", "0", "5", "5", "0", "…", "8"], "filled, empty, wrong, differ..."
    assert 'stock.csv:3:3 "x" is not a whole number' in result.out
    assert "... and 2 more in QuantityAvailable" in result.out
    assert "stock.csv:3:3" not in result.err, "nothing twice"
    data = ocsync("stage", "import", "stock.csv", "--kind", "inventory", "-n", "--json")
    assert (data.code, data.data["wrong_lines"]) == (65, 6)
    assert len(json.loads(data.err)["problems"]) == 6
    assert staged(ocsync) == []


def test_a_dry_run_shows_the_columns_of_the_file_before_wrong_lines(ocsync: Run) -> None:
    Path("stock.csv").write_text(
        "ProductID,InventoryRecordID,QuantityAvailable,AddressID\nP,R1,5\nP,R2,5,\n"
    )
    result = ocsync("stage", "import", "stock.csv", "--kind", "inventory", "--dry-run", "--json")
    assert [column["name"] for column in result.data["columns"]] == [
        "ProductID", "InventoryRecordID", "QuantityAvailable", "AddressID", "(line)",
    ]  # fmt: skip


def test_a_dry_run_finds_what_only_shows_beside_other_entries(ocsync: Run) -> None:
    ocsync("stage", "put", "category/C/A", "Name=a", "ParentID=B")
    line = '{"op": "put", "ref": "category/C/B", "fields": {"Name": "b", "ParentID": "A"}}\n'
    Path("c.jsonl").write_text(line)
    result = ocsync("stage", "import", "c.jsonl", "--dry-run")
    assert result.code == 65
    assert "category/C/A -> category/C/B" in result.err
    assert "ParentID" in result.out


def test_a_sheet_is_chosen_and_its_cells_are_named(ocsync: Run) -> None:
    head = ["ref", "QuantityAvailable"]
    Path("s.xlsx").write_bytes(
        workbook([head, ["inventory/P/R", 40]], [head, ["inventory/P/R", ERROR]])
    )
    asked = ocsync("stage", "import", "s.xlsx")
    assert asked.code == 64
    assert "give --sheet NAME or NUMBER: 1 s1, 2 s2" in asked.err
    wrong = ocsync("stage", "import", "s.xlsx", "--sheet", "2")
    assert wrong.code == 65
    assert "s.xlsx s2!B2  QuantityAvailable" in wrong.err
    assert "is a spreadsheet error" in wrong.err
    assert staged(ocsync) == []
    assert ocsync("stage", "import", "s.xlsx", "--sheet", "s1").code == 0
    assert staged(ocsync)[0]["fields"] == {"QuantityAvailable": 40}
    assert "s.xlsx!s1:2" in ocsync("stage", "show", "inventory/P/R").out


def test_what_is_exported_stages_the_same_again(ocsync: Run) -> None:
    for words in (
        ("set", "inventory/P/R", "QuantityAvailable=40", 'xp.a:={"b":1}', "--expect", "QuantityAvailable=38"),
        ("put", "catalog/C", "Name==1+1", "Active=true", "--replace"),
        ("adjust", "inventory/P/R", "QuantityAvailable-=2"),
        ("assign", "catalog-product/C/P"),
    ):  # fmt: skip
        assert ocsync("stage", *words).code == 0
    before = staged(ocsync)
    for name in ("all.csv", "all.jsonl"):
        done = ocsync("stage", "export", name)
        assert (done.code, done.out) == (0, f"+ 4 entries for 3 refs to {name}\n")
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
        ocsync("stage", "clear", "--yes")
        assert ocsync("stage", "import", name).code == 0
        assert staged(ocsync) == before
    out = ocsync("stage", "export").out
    assert out == Path("all.jsonl").read_text()
    assert ocsync("stage", "export", "-", "--format", "csv").out == Path("all.csv").read_text()


def test_a_part_of_the_journal_is_exported(ocsync: Run) -> None:
    for ref in ("catalog/C", "catalog/D", "inventory/P/R"):
        ocsync("stage", "set", ref, "xp.a=1")
    assert len(ocsync("stage", "export", "--kind", "catalog").out.splitlines()) == 2
    assert len(ocsync("stage", "export", "-", "catalog/C", "inventory/P/R").out.splitlines()) == 2
    assert ocsync("stage", "export", "-", "catalog/X").code == 66
    mistaken = ocsync("stage", "export", "catalog/C")
    assert mistaken.code == 64
    assert "ocsync stage export - catalog/C" in mistaken.err
    assert ocsync("stage", "export", "--kind", "x").code == 64
    assert ocsync("stage", "export", "x.xlsx").code == 64


def test_an_export_writes_over_nothing_unasked_and_all_or_nothing(ocsync: Run) -> None:
    ocsync("stage", "set", "catalog/C", "xp.a =1")
    Path("mine.csv").write_text("mine")
    assert ocsync("stage", "export", "mine.csv").code == 64
    refused = ocsync("stage", "export", "mine.csv", "--force")
    assert refused.code == 65
    assert "a header cannot hold" in refused.err
    assert Path("mine.csv").read_text() == "mine"
    assert not list(Path().glob(".mine*"))
    assert ocsync("stage", "export", "nowhere/x.csv").code == 66
    assert ocsync("stage", "export", "mine.jsonl").code == 0


@pytest.mark.parametrize("kind", ["product", "variant-inventory", "category-assignment"])
def test_a_template_can_be_imported_as_it_is(ocsync: Run, kind: str) -> None:
    name, by_ref = f"{kind}.csv", f"{kind}-ref.csv"
    assert ocsync("stage", "template", kind, name).code == 0
    result = ocsync("stage", "import", name, "--kind", kind)
    assert (result.code, result.out) == (0, f"= {name} has no lines; nothing was staged\n")
    assert ocsync("stage", "template", kind, by_ref, "--ref").code == 0
    assert ocsync("stage", "import", by_ref).code == 0
    assert ocsync("stage", "template", kind, name).code == 64, "it may be filled by now"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_header_of_every_kind_is_one_that_import_takes(kind: Kind) -> None:
    for words in (header_for(kind), header_for(kind, by_ref=True, expect=list(kind.fields)[:1])):
        text = io.BytesIO((",".join(words) + "\n").encode())
        assert list(read_file("x.csv", text, kind=kind.name)) == []


def test_a_template_has_what_is_required_first(ocsync: Run) -> None:
    shown = ocsync("stage", "template", "category")
    assert shown.out == "CatalogID,CategoryID,op,Name,Description,ListOrder,Active,ParentID\n"
    assert "a put must have Name" in shown.err
    assert "xp.color" in shown.err
    row = ocsync("stage", "template", "inventory", "--ref", "--expect", "QuantityAvailable").out
    assert row.startswith("ref,op,AddressID,")
    assert row.endswith("OwnerID,expect.QuantityAvailable\n")
    assert "LastUpdated" not in row
    assert ocsync("stage", "template", "inventory", "--expect", "Nope").code == 64
    assert "kinds: address" in ocsync("stage", "template", "x").err
    data = ocsync("stage", "template", "catalog-assignment", "--json").data
    assert data["required"] == ["ViewAllCategories", "ViewAllProducts"]


def test_help_names_every_kind(ocsync: Run) -> None:
    shown = "".join(ocsync("stage", "template", "--help").out.split())  # lines break at hyphens too
    assert ",".join(KINDS) in shown


def test_a_broken_file_stages_nothing_and_tells_all(ocsync: Run) -> None:
    Path("broken.csv").write_text(
        "ref,QuantityAvailable\ninventory/P/R,1.0E+05\ninventory/P 1/R,1\n"
    )
    result = ocsync("stage", "import", "broken.csv")

    assert result.code == 65
    assert 'broken.csv:2:2  QuantityAvailable  "1.0E+05"' in result.err
    assert "an ID has letters, digits, - and _ only" in result.err
    assert "2 of 2 lines are wrong; nothing was staged" in result.err
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 0
    assert ocsync("stage", "import", "missing.csv").code == 66
    failed = ocsync("stage", "import", "broken.csv", "--json")
    assert failed.out == ""
    assert len(json.loads(failed.err)["problems"]) == 2


def test_a_file_name_that_is_not_utf_8_is_a_name_like_any_other(ocsync: Run) -> None:
    name, shown = os.fsdecode(b"K\xf6ln.csv"), "K?ln.csv"
    Path(name).write_text("ref,QuantityAvailable\ninventory/P/R,40\n")
    assert f"from {shown}" in ocsync("stage", "import", name).out
    assert f"{shown}:2" in ocsync("stage", "show", "inventory/P/R").out
    assert f"{shown} would stage" in ocsync("stage", "import", name, "-n").out
    assert ocsync("stage", "export", name, "--force", "--json").data["file"] == shown
    assert Path(name).read_text().startswith("ref,op")
    assert shown in ocsync("stage", "export", name).err
    assert ocsync("stage", "template", "inventory", name, "--force").code == 0
    wrong = ocsync("stage", "import", name, "--kind", "catalog")
    assert (wrong.code, f"{shown}:1" in wrong.err) == (65, True)
    assert f"{shown}: No such file" in ocsync("stage", "import", "x" + name).err
    assert ocsync("plan", "--out", name + ".plan").code == 0
    Path(name).write_text("product/none\n")
    assert ocsync("delete", "--file", name, "--yes").code == 0


def test_a_folder_and_a_reason_that_are_not_utf_8(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(os.fsdecode(b"K\xf6ln")).absolute()
    url = ocsync("profile", "show", "--json").data["api_url"]
    monkeypatch.setenv("OCSYNC_WORKSPACE", str(folder / ".ocsync"))
    secret = ("--secret-command", "echo emulator")
    add = ("profile", "add", "p", "--api-url", url, "--client-id", "emulator", *secret)
    assert ocsync(*add).code == 0
    paused = ocsync("pause", "inventory", "--reason", os.fsdecode(b"caf\xe9"))
    assert paused.code == 0, paused.err
    assert r'"caf\udce9"' in ocsync("status").out


def test_adjustments_that_are_still_staged_are_not_staged_twice_unasked(ocsync: Run) -> None:
    """The edits count, not the file's name or form; what is dropped or sent is no repeat."""
    edits = [f'{{"ref":"inventory/P/{r}","op":"adjust","fields":{{"QuantityAvailable":{n}}}}}'
             for r, n in (("R", -5), ("S", -2))]  # fmt: skip
    Path("sold.jsonl").write_text("\n".join(edits))
    Path("sold.csv").write_text("ref,op,QuantityAvailable\ninventory/P/R,adjust,-5\n"
                                "inventory/P/S,adjust,-2\n")  # fmt: skip
    assert ocsync("stage", "import", "sold.csv").code == 0
    for file in ("sold.csv", "sold.jsonl"):
        asked = ocsync("stage", "import", file, "--no-input")
        assert asked.code == 64
        assert f"{file} was already staged at " in asked.err
        assert "2 are still staged" in asked.err
        assert (
            "next: ocsync resume sends the staged edits; --yes stages the file again" in asked.err
        )
    assert len(staged(ocsync)) == 2
    tried = ocsync("stage", "import", "sold.csv", "--dry-run")
    assert (tried.code, "2 are still staged; 2 adjustments count twice" in tried.err) == (0, True)
    ocsync("stage", "drop", "inventory/P/S")
    assert "1 is still staged. Stage the file again" in ocsync("stage", "import", "sold.csv").err
    assert ocsync("stage", "import", "-", stdin=Path("sold.csv").read_bytes()).code == 64
    assert ocsync("stage", "import", "sold.csv", "--yes").code == 0
    assert len(staged(ocsync)) == 3
    ocsync("stage", "clear", "--yes")
    assert ocsync("stage", "import", "sold.csv").code == 0


def test_absolute_values_that_are_staged_twice_are_noted(ocsync: Run) -> None:
    Path("stock.csv").write_text(STOCK + "P,R,40,wh,1\nP,S,4,wh,1\n")
    first = ocsync("stage", "import", "stock.csv", "--kind", "inventory")
    again = ocsync("stage", "import", "stock.csv", "--kind", "inventory")
    assert (first.code, again.code) == (0, 0)
    assert "staged already" not in first.err
    assert "2 are still staged; the same values are staged again" in again.err
    third = ocsync("stage", "import", "stock.csv", "--kind", "inventory")
    assert "of its 2 entries, 2 are still staged" in third.err
    Path("stock.csv").write_text(STOCK + "P,R,40,wh,1\nP,S,5,wh,1\n")
    other = ocsync("stage", "import", "stock.csv", "--kind", "inventory")
    assert (other.code, "staged already" in other.err) == (0, False)


def test_adjustments_in_an_unfinished_run_are_not_staged_twice_unasked(
    ocsync: Run, shop: Shop
) -> None:
    """A job that imports and resumes is repeated after exit 75: the file counts once."""
    refs = shop.stock(records=2, products=1)
    Path("sold.csv").write_text(
        "ref,op,QuantityAvailable\n" + "".join(f"{r},adjust,-5\n" for r in refs)
    )
    ocsync("stage", "import", "sold.csv")
    shop.faults({"method": "PATCH", "path": "/inventoryrecords", "status": 503, "retry_after": 60})
    assert ocsync("resume", "--max-wait", "1s").code == 75
    shop.faults()
    asked = ocsync("stage", "import", "sold.csv")
    assert (asked.code, "2 are in the unfinished run" in asked.err) == (64, True)
    assert ocsync("resume").code == 0
    later = ocsync("stage", "import", "sold.csv")
    assert (later.code, "staged already" in later.err) == (0, False)


def test_the_list_shows_the_numbers_that_drop_takes(ocsync: Run) -> None:
    for ref in ("inventory/P/R", "catalog/C", "inventory/P/R"):
        ocsync("stage", "set", ref, "xp.a=1")
    assert ocsync("stage", "list").out.splitlines() == [
        "inventory/P/R  2  set  entries 1, 3",
        "catalog/C      1  set  entry 2",
    ]
    assert ocsync("stage", "drop", "3", "2").code == 0
    assert ocsync("stage", "list").out.splitlines() == ["inventory/P/R  1  set  entry 1"]
    for _ in range(9):
        ocsync("stage", "set", "inventory/P/R", "xp.a=1")
    assert ocsync("stage", "list").out.endswith("entries 1, 4, 5, 6, 7, 8, 9, 10 and 2 more\n")


def test_an_export_proposes_no_second_import_here(ocsync: Run) -> None:
    """What is exported stays staged: an import beside it would count every adjustment twice."""
    ocsync("stage", "adjust", "inventory/P/R", "QuantityAvailable+=5")
    result = ocsync("stage", "export", "edits.jsonl")
    assert result.code == 0
    assert "next:" not in result.err
    assert "still staged; to import edits.jsonl here, run ocsync stage clear first" in result.err
    asked = ocsync("stage", "import", "edits.jsonl")
    assert (asked.code, "1 is still staged. Stage the file again" in asked.err) == (64, True)
    ocsync("stage", "clear", "--yes")
    assert ocsync("stage", "import", "edits.jsonl").code == 0
