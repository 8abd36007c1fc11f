"""`export` as the operator types it: the marketplace as a file, which only edits change."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from ocsync.client import list_reads
from ocsync.schema import KINDS
from tests.builders import Shop
from tests.cli.test_resume import make_all_kinds
from tests.conftest import Run
from tests.intercepting import Answer, Request, intercepting

EXPORTED = [kind.name for kind in KINDS.values() if not kind.action]
CATALOGS = [{"ID": f"C{n:02}", "Name": f"Catalog {n}", "Active": n % 2 == 0} for n in range(23)]


def table(name: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(Path(name).read_text(), newline="")))


def ids(name: str) -> list[str]:
    return [row[0] for row in table(name)[1:]]


def edit(name: str, column: str, value: str, row: int = 1) -> None:
    rows = table(name)
    rows[row][rows[0].index(column)] = value
    with Path(name).open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 3, of which 2 are asked for by number."""
    monkeypatch.setattr(list_reads, "PAGE_SIZE", 3)
    monkeypatch.setattr(list_reads, "MAX_PAGE_NUMBER", 2)


def test_every_kind_comes_back_and_stages_nothing(ocsync: Run, shop: Shop) -> None:
    make_all_kinds(ocsync, shop)
    done = ocsync("export", *EXPORTED, "all.jsonl", "--json")
    counts = {one["kind"]: one["rows"] > 0 for one in done.data["kinds"]}
    assert counts == dict.fromkeys(EXPORTED, True)
    lines = [json.loads(line) for line in Path("all.jsonl").read_text().splitlines()]
    state = shop.emulator_state()
    assert len(lines) == done.data["rows"] == sum(len(state[kind]) for kind in EXPORTED)
    assert ocsync("export", *EXPORTED, "all.xlsx", "--read-only").code == 0
    for kind in EXPORTED:
        assert ocsync("export", kind, f"{kind}.csv").code == 0
        result = ocsync("stage", "import", f"{kind}.csv", "--json")
        assert (result.code, result.data["entries"]) == (0, 0), (kind, result)
        assert result.data["unchanged"] == len(state[kind])
    for file in ("all.jsonl", "all.xlsx"):
        assert ocsync("stage", "import", file, "--json").data["unchanged"] == len(lines)
    assert "nothing is staged" in ocsync("plan").out
    assert ocsync("export", "variants", "v.csv").code == 64, "it is no entity"


def test_an_edited_cell_is_one_step_that_expects_what_was_there(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=CATALOGS)
    done = ocsync("export", "catalog", "c.csv")
    assert (done.code, done.out) == (0, "+ 23 catalogs to c.csv\n")
    assert "next: ocsync stage import c.csv" in done.err
    edit("c.csv", "Description", "for \u201call\u201d,\nto see", row=5)
    staged = ocsync("stage", "import", "c.csv")
    assert "1 entry for 1 catalog from c.csv" in staged.out
    assert "22 rows without a change" in staged.err
    [one] = ocsync("stage", "export", "--json").data["exported"]
    assert (one["ref"], one["fields"]) == (
        "catalog/C04",
        {"Description": "for \u201call\u201d,\nto see"},
    )
    assert one["expect"] == {"Description": None}
    shop.call("PATCH", "/catalogs/C04", {"Description": "somebody else's"})
    assert ocsync("resume").code == 6
    shop.call("PATCH", "/catalogs/C04", {"Description": None, "Name": "renamed meanwhile"})
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/catalogs/C04")["Name"] == "renamed meanwhile", "only what was edited is sent"


def test_lists_are_read_to_their_end(ocsync: Run, shop: Shop, short_pages: None) -> None:
    """Two pages by number, and from there on by the last ID."""
    shop.seed(catalog=CATALOGS)
    assert ocsync("export", "catalog", "c.csv").code == 0
    assert ids("c.csv") == [one["ID"] for one in CATALOGS]
    asked = [r["path"] for r in shop.requests() if r["path"].startswith("/v1/catalogs")]
    assert len(asked) == 8


def test_what_comes_and_goes_meanwhile_hides_nothing_else(
    ocsync: Run, shop: Shop, short_pages: None
) -> None:
    shop.seed(catalog=CATALOGS)
    writes = [("DELETE", "/catalogs/C00", None), ("PUT", "/catalogs/C011", {"Name": "new"}),
              ("DELETE", "/catalogs/C12", None)]  # fmt: skip

    def meddle(request: Request) -> Answer:
        if request.method == "GET" and "/catalogs?" in request.path and writes:
            answer = request.forward()
            shop.call(*writes.pop(0))
            return answer
        return request.forward()

    with intercepting(shop.url, meddle) as url:
        assert ocsync("profile", "add", "by-proxy", "--api-url", url, "--client-id", "emulator",
                      "--secret-env", "TEST_SECRET").code == 0  # fmt: skip
        done = ocsync("export", "catalog", "c.csv", "--profile", "by-proxy", "--concurrency", "1")
    assert done.code == 0
    always = {one["ID"] for one in CATALOGS} - {"C00", "C12"}
    assert always <= set(ids("c.csv")) <= always | {"C00", "C12", "C011"}
    assert len(ids("c.csv")) == len(set(ids("c.csv")))


def test_products_that_a_list_leaves_out_are_read_by_id(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": f"P{n}", "Name": "x", "xp": {"flag": False}} for n in range(3)])
    shop.seed(product=[{"ID": "P9", "Name": "x", "xp": {"flag": 0}}])
    done = ocsync("export", "product", "p.csv")
    assert ids("p.csv") == ["P0", "P1", "P2"]
    assert "--ids FILE reads them one by one" in done.err
    Path("ids.txt").write_text("# all of them\nP9\nproduct/P1\nnone\nP9\n")
    done = ocsync("export", "product", "p.csv", "--ids", "ids.txt", "--force")
    assert ids("p.csv") == ["P9", "P1"]
    assert "does not exist: product/none" in done.err
    assert "--ids FILE" not in done.err
    done = ocsync("export", "product/P9", "catalog-product/C/P", "x.jsonl", "--json")
    assert [(one["kind"], one["rows"], one["missing"]) for one in done.data["kinds"]] == [
        ("product", 1, []), ("catalog-product", 0, ["catalog-product/C/P"]),
    ]  # fmt: skip


@pytest.fixture
def two_catalogs(ocsync: Run, shop: Shop) -> Run:
    """Two catalogs with categories and products, two buyers with users, and a supplier."""
    shop.stock(records=6, products=3)
    shop.seed(
        catalog=[{"ID": "C", "Name": "C"}, {"ID": "D", "Name": "D"}],
        supplier=[{"ID": "S", "Name": "S"}],
        buyer=[
            {"ID": b, "Name": b, "DefaultCatalogID": "C", "Active": b == "B1"} for b in ("B1", "B2")
        ],
    )
    shop.seed(
        category=[{"CatalogID": c, "ID": k, "Name": k} for c in "CD" for k in ("K", "L")],
        usergroup=[{"BuyerID": b, "ID": "G", "Name": "G"} for b in ("B1", "B2")],
    )
    for path, body in (
        ("/catalogs/assignments", {"CatalogID": "C", "BuyerID": "B1", "ViewAllCategories": True, "ViewAllProducts": True}),
        ("/catalogs/assignments", {"CatalogID": "D", "BuyerID": "B2", "ViewAllCategories": True, "ViewAllProducts": True}),
        ("/catalogs/productassignments", {"CatalogID": "C", "ProductID": "P0"}),
        ("/catalogs/productassignments", {"CatalogID": "D", "ProductID": "P1"}),
        ("/catalogs/C/categories/productassignments", {"CategoryID": "K", "ProductID": "P2"}),
        ("/products/assignments", {"ProductID": "P0", "BuyerID": "B1"}),
        ("/products/assignments", {"ProductID": "P1", "BuyerID": "B2"}),
    ):  # fmt: skip
        assert shop.call("POST", path, body).status_code == 204, path
    assert shop.call("PATCH", "/products/P1", {"DefaultSupplierID": "S"}).status_code == 200
    shop.call("PATCH", "/products/P1/inventoryrecords/R4", {"QuantityAvailable": 9})
    return ocsync


SELECTED: list[tuple[list[str], list[str]]] = [
    (["product", "--catalog", "C"], ["P0", "P2"]),
    (["product", "--category", "C/K"], ["P2"]),
    (["product", "--supplier", "S"], ["P1"]),
    (["inventory", "--catalog", "C"], ["P0/R0", "P0/R3", "P2/R2", "P2/R5"]),
    (["inventory", "--category", "C/K"], ["P2/R2", "P2/R5"]),
    (["inventory", "--supplier", "S"], ["P1/R1", "P1/R4"]),
    (["catalog", "--catalog", "C"], ["C"]),
    (["category", "--catalog", "D"], ["D/K", "D/L"]),
    (["category", "--category", "D/L"], ["D/L"]),
    (["category"], ["C/K", "C/L", "D/K", "D/L"]),
    (["catalog-assignment", "--catalog", "C"], ["C/B1"]),
    (["catalog-assignment", "--buyer", "B2"], ["D/B2"]),
    (["catalog-product", "--catalog", "D"], ["D/P1"]),
    (["category-product", "--category", "C/K"], ["C/K/P2"]),
    (["category-product", "--category", "C/L"], []),
    (["product-assignment", "--catalog", "C"], ["P0/B1"]),
    (["product-assignment", "--buyer", "B2"], ["P1/B2"]),
    (["usergroup", "--buyer", "B1"], ["B1/G"]),
    (["buyer", "--filter", "Active=false"], ["B2"]),
    (["buyer", "--filter", "ID=x"], ["64"]),
    (["product", "--limit", "2"], ["P0", "P1"]),
    (["inventory", "--limit", "3"], ["P0/R0", "P0/R3", "P1/R1"]),
    (["inventory", "--since", "1h", "--catalog", "D"], ["P1/R4"]),
    (["product", "--since", "2099-01-01"], []),
    (["buyer/B1", "buyer/B2", "--limit", "1"], ["B1"]),
    (["buyer", "--catalog", "C"], ["64"]),
    (["catalog", "--supplier", "S"], ["64"]),
    (["product-assignment", "--filter", "BuyerID=B1"], ["64"]),
    (["catalog", "--since", "1d"], ["64"]),
    (["product", "--category", "K"], ["64"]),
    (["product", "--filter", "Active"], ["64"]),
    (["buyer/B1", "--catalog", "C"], ["64"]),
]  # fmt: skip


def test_what_is_selected(two_catalogs: Run, shop: Shop) -> None:
    for words, expected in SELECTED:
        result = two_catalogs("export", *words, "out.csv", "--force")
        if expected == ["64"]:
            assert result.code == 64, (words, result)
            continue
        assert result.code == 0, (words, result)
        size = len(KINDS[words[0].partition("/")[0]].ids)
        assert ["/".join(filter(None, row[:size])) for row in table("out.csv")[1:]] == expected, (
            words
        )


def test_long_lists_of_assignments_are_read_by_their_shortest_parameter(
    two_catalogs: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ocsync.engine.export import listing

    monkeypatch.setattr(listing, "PAGE_SIZE", 1)
    monkeypatch.setattr(listing, "MAX_PAGE_NUMBER", 1)
    assert two_catalogs("export", "product-assignment", "p.csv").code == 0
    assert [row[:2] for row in table("p.csv")[1:]] == [["P0", "B1"], ["P1", "B2"]]
    reads = [r["path"] for r in shop.requests() if r["method"] == "GET"]
    queries = [path for path in reads if "/products/assignments" in path]
    assert len(queries) == 3, "one that is too long, then one for each of two buyers"


def test_an_interrupted_export_is_continued(ocsync: Run, shop: Shop, short_pages: None) -> None:
    shop.seed(catalog=CATALOGS, buyer=[{"ID": "B", "Name": "B", "DefaultCatalogID": "C00"}])
    words = ("export", "catalog", "buyer", "all.jsonl")
    assert ocsync("export", "catalog", "buyer", "whole.jsonl").code == 0
    shop.faults({"path": "/catalogs", "after": 4, "status": 404, "code": "NotFound"})
    broken = ocsync(*words)
    assert broken.code == 1, broken
    assert "rows are kept" in broken.err
    assert "run the same command with --continue to continue" in broken.err
    assert not Path("all.jsonl").exists()
    spool = Path(".all.jsonl.export")
    with spool.open("ab") as file:
        file.write(b'{"kind":"catalog","rows":[["catalog/half')
    shop.faults()
    refused = ocsync(*words)
    assert (refused.code, "--continue continues it" in refused.err) == (64, True)
    other = ocsync("export", "catalog", "all.jsonl", "--continue")
    assert (other.code, "differs in kinds" in other.err) == (64, True)
    before = len(shop.requests())
    done = ocsync(*words, "--continue")
    assert done.code == 0, done
    assert len(shop.requests()) - before < 10
    assert Path("all.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert not spool.exists()
    gone = ocsync(*words, "--continue", "--force")
    assert (gone.code, "no unfinished export" in gone.err) == (64, True)


def test_a_damaged_spool_is_told(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=CATALOGS)
    shop.faults({"path": "/buyers", "status": 403, "code": "Forbidden", "times": 9})
    words = ("export", "catalog", "buyer", "all.jsonl")
    assert ocsync(*words).code == 4
    spool = Path(".all.jsonl.export")
    spool.write_bytes(spool.read_bytes().replace(b'"rows"', b'"rows', 1))
    told = ocsync(*words, "--continue")
    assert (told.code, "is damaged at byte" in told.err) == (65, True), told
    shop.faults()
    assert ocsync(*words, "--force").code == 0


def test_nothing_is_kept_of_an_export_that_never_began(ocsync: Run, shop: Shop) -> None:
    shop.faults({"path": "/catalogs", "status": 404, "code": "NotFound", "times": 9})
    assert ocsync("export", "catalog", "c.csv").code == 1
    assert list(Path().glob(".c.csv*")) == []


def test_the_columns_are_those_that_are_wanted(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "C", "xp": {"a": 1, "b": "x"}}])
    assert (
        ocsync("export", "catalog", "c.csv", "--fields", "Active,xp.b", "--fields", "Name").code
        == 0
    )
    assert table("c.csv") == [
        ["CatalogID", "Active", "xp.b", "Name", "expect.Active", "expect.xp.b", "expect.Name"],
        ["C", "false", "x", "C", "false", "x", "C"],
    ]  # fmt: skip
    shown = ocsync("export", "catalog", "--no-expect", "--fields", "Name,xp.a")
    assert (shown.out, shown.code) == ("CatalogID,Name,xp.a:\nC,C,1\n", 0)
    assert "1 catalog to standard output" in shown.err
    ocsync("export", "catalog", "r.csv", "--read-only", "--no-expect", "--fields", "Name")
    assert table("r.csv")[0] == ["CatalogID", "Name", "#OwnerID", "#CategoryCount"]
    wrong = ocsync("export", "catalog", "c.csv", "--force", "--fields", "Nmae")
    assert (wrong.code, "did you mean Name?" in wrong.err) == (64, True), wrong


@pytest.mark.parametrize(("words", "told"), [
    (("catalog", "buyer", "c.csv"), "csv can hold only one kind"),
    (("catalog", "c.txt"), "c.txt is not a kind, and its name does not end in .csv"),
    (("catalogs",), '"catalogs" is not a kind'),
    (("catalgo", "catalog", "c.csv"), '"catalgo" is not a kind'),
    (("catalog", "c.csv", "--format", "pdf"), '"pdf" is not a format'),
    (("catalog", "--json"), "give a FILE"),
    (("catalog", "--continue"), "cannot be continued"),
    (("catalog/a b", "c.csv"), "an ID has letters"),
    (("catalog", "there.csv"), "there.csv exists already"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")  # fmt: skip
def test_what_cannot_be_written_is_told_before_anything_is_read(
    ocsync: Run, shop: Shop, words: tuple[str, ...], told: str
) -> None:
    Path("there.csv").write_text("x")
    result = ocsync("export", *words)
    assert (result.code, told in result.err) == (64, True), result
    assert [r for r in shop.requests() if "/catalogs" in r["path"]] == []
    assert Path("there.csv").read_text() == "x"


def test_other_places_that_cannot_be_written(ocsync: Run, shop: Shop) -> None:
    assert ocsync("export", "catalog", "nowhere/c.csv").code == 66
    assert ocsync("export", "catalog", "c.csv", "--ids", "nowhere.txt").code == 66


def test_parquet_has_types(ocsync: Run, shop: Shop) -> None:
    duckdb = pytest.importorskip("duckdb")
    shop.stock(records=2, products=1, quantity=7)
    assert ocsync("export", "inventory", "s.parquet").code == 0
    rows = duckdb.sql("SELECT InventoryRecordID, QuantityAvailable, AllowAllBuyers, NotificationPoint, \"expect.NotificationPoint\" FROM 's.parquet'").fetchall()  # fmt: skip
    assert rows == [("R0", 7, True, None, "\\N"), ("R1", 7, True, None, "\\N")]
    assert ocsync("stage", "import", "s.parquet", "--json").data["unchanged"] == 2


def test_without_the_extras_the_way_out_is_told(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    shop.seed(catalog=CATALOGS)
    for module, form, extra in (("xlsxwriter", "xlsx", "xlsx"), ("duckdb", "parquet", "sql")):
        monkeypatch.setitem(sys.modules, module, None)
        result = ocsync("export", "catalog", f"c.{form}")
        assert (result.code, f"pip install 'ocsync[{extra}]'" in result.err) == (78, True), result


def test_a_cell_that_a_spreadsheet_cannot_hold_is_told(ocsync: Run, shop: Shop) -> None:
    breaks: list[Any] = [{"Quantity": n, "Price": n / 7} for n in range(1, 1500)]
    shop.seed(**{"price-schedule": [{"ID": "PS", "Name": "x", "PriceBreaks": breaks}]})
    told = ocsync("export", "price-schedule", "ps.xlsx")
    assert told.code == 65
    assert "price-schedule/PS  PriceBreaks" in told.err
    assert "to a .jsonl file" in told.err
    assert ocsync("export", "price-schedule", "ps.csv").code == 0


@pytest.mark.parametrize("kind", ["product", "inventory"])
def test_products_that_join_a_catalog_in_between_double_no_others(
    two_catalogs: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What is continued goes on behind the last ID, wherever that is in the list by now."""
    from ocsync.engine.export import listing

    monkeypatch.setattr(listing, "_CHUNK", 1)
    words = ("export", kind, "out.csv", "--catalog", "C", "--concurrency", "1")
    path = "/products" if kind == "product" else "inventoryrecords"
    shop.faults({"method": "GET", "path": path, "after": 1, "status": 403, "code": "Forbidden", "times": 99})  # fmt: skip
    assert two_catalogs(*words).code == 4
    shop.faults()
    shop.seed(product=[{"ID": "A0", "Name": "a", "Inventory": {"Enabled": True}}])
    for product in ("A0", "P1"):
        body = {"CatalogID": "C", "ProductID": product}
        assert shop.call("POST", "/catalogs/productassignments", body).status_code == 204
    assert two_catalogs(*words, "--continue").code == 0
    expected = ["P0", "P1", "P2"] if kind == "product" else ["P0", "P0", "P1", "P1", "P2", "P2"]
    assert ids("out.csv") == expected


def test_a_place_that_does_not_exist_is_no_empty_export(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "EMPTY", "Name": "e"}])
    for words in (("product", "--catalog", "NOPE"), ("product", "--category", "EMPTY/nope"),
                  ("buyer-user", "--buyer", "NOPE"), ("inventory", "--supplier", "NOPE")):  # fmt: skip
        result = ocsync("export", *words, "x.csv")
        place = f"{words[1].removeprefix('--')}/{words[2]}"
        assert result.code == 64, result
        assert f"{place} does not exist" in result.err
        assert not Path("x.csv").exists()
    assert ocsync("export", "category", "--catalog", "EMPTY", "x.csv").code == 0


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_without_expected_values_nulls_are_left_out(ocsync: Run, shop: Shop, form: str) -> None:
    """A null sent for a flag is refused, and an empty cell is none."""
    shop.seed(product=[{"ID": "P", "Name": "p", "xp": {"a": None, "b": 1}}])
    assert ocsync("export", "product", f"p.{form}", "--no-expect").code == 0
    assert ocsync("stage", "import", f"p.{form}").code == 0
    result = ocsync("resume", "--verify")
    assert result.code == 0, result
    shop.call("PATCH", "/products/P", {"Name": "q"})
    ocsync("export", "product", "now.jsonl", "--no-expect")
    assert ocsync("stage", "import", "now.jsonl", "--against", f"p.{form}").code == 0
    [entry] = [json.loads(line) for line in ocsync("stage", "export", "-").out.splitlines()]
    assert (entry["fields"], entry["expect"]) == ({"Name": "q"}, {"Name": "p"})
