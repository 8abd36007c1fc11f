"""`stage import --sql`: the rows of a query are imported as those of any table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.cli.test_stage_files import staged
from tests.conftest import Run

duckdb = pytest.importorskip("duckdb", reason="the extra sql (DuckDB) is not installed")


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("stock") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE stock AS SELECT 'P' AS sku, 'R' || i AS bin, i * 10 AS qty, i AS was FROM range(1, 4) t(i)")  # fmt: skip
    return path.read_bytes()


@pytest.fixture(autouse=True)
def database(ocsync: Run, stock: bytes) -> Path:
    path = Path("shop.duckdb")
    path.write_bytes(stock)
    return path


def query(text: str, *more: str) -> tuple[str, ...]:
    return ("stage", "import", "--sql", text, *more)


def test_a_database_is_read_and_the_ref_is_an_expression(ocsync: Run) -> None:
    text = """SELECT 'inventory/' || sku || '/' || bin AS ref, qty AS "QuantityAvailable",
                     was AS "expect.QuantityAvailable" FROM stock WHERE qty > 10; -- the rest"""
    done = ocsync(*query(text, "shop.duckdb"))
    assert (done.code, done.out) == (0, "+ 2 entries for 2 inventory records from the query\n")
    assert [(e["ref"], e["fields"], e["expect"]) for e in staged(ocsync)] == [
        (f"inventory/P/R{n}", {"QuantityAvailable": n * 10}, {"QuantityAvailable": n})
        for n in (2, 3)
    ]
    assert not Path("shop.duckdb.wal").exists()
    assert not Path("shop.duckdb.tmp").exists()


def test_files_are_queried_together(ocsync: Run) -> None:
    Path("names.csv").write_text("sku,name\nP,Mug\nQ,Pot\n")
    Path("prices.json").write_text('[{"sku": "P", "kg": 1.5}, {"sku": "Q", "kg": null}]')
    duckdb.sql("SELECT 'P' AS sku, true AS live").write_parquet("live.parquet")
    text = """SELECT sku AS "ProductID", name AS "Name", kg AS "ShipWeight", live AS "Active"
              FROM 'names.csv' JOIN 'prices.json' USING (sku) LEFT JOIN 'live.parquet' USING (sku)
              ORDER BY sku"""
    assert ocsync(*query(text, "--kind", "product")).code == 0
    assert [e["fields"] for e in staged(ocsync)] == [
        {"Name": "Mug", "ShipWeight": 1.5, "Active": True}, {"Name": "Pot"},
    ]  # fmt: skip


def test_a_mapping_a_comparison_and_a_dry_run_work_alike(ocsync: Run) -> None:
    Path("last.csv").write_text("sku,bin,qty\nP,R1,10\nP,R2,99\nP,R9,1\n")
    words = ("--kind", "inventory", "--column", "ProductID=sku", "--column",
             "InventoryRecordID=bin", "--column", "QuantityAvailable=qty", "--const", "AddressID=W",
             "--ignore", "was", "--against", "last.csv", "--new", "put", "--gone", "gone.txt")  # fmt: skip
    shown = ocsync(*query("FROM stock", "shop.duckdb", *words, "--dry-run"))
    assert (shown.code, staged(ocsync)) == (0, [])
    assert "would stage 2 entries" in shown.out
    assert ocsync(*query("FROM stock ORDER BY bin", "shop.duckdb", *words)).code == 0
    assert [(e["op"], e["ref"], e["fields"], e.get("expect", {})) for e in staged(ocsync)] == [
        ("set", "inventory/P/R2", {"QuantityAvailable": 20}, {"QuantityAvailable": 99}),
        ("put", "inventory/P/R3", {"QuantityAvailable": 30, "AddressID": "W"}, {}),
    ]
    assert Path("gone.txt").read_text() == "inventory/P/R9\n"


def test_errors_name_the_row_and_column_of_the_result(ocsync: Run) -> None:
    text = """SELECT * FROM (VALUES ('P', 'R', 'many'), ('P', 'a b', '1'), ('P', 'S', '2'))
              t("ProductID", "InventoryRecordID", "QuantityAvailable")"""
    result = ocsync(*query(text))
    assert (result.code, staged(ocsync)) == (65, [])
    assert "query:1:3  QuantityAvailable" in result.err
    assert "query:2:2  InventoryRecordID" in result.err
    assert "2 of 3 lines are wrong" in result.err


def test_a_value_of_each_type_is_staged(ocsync: Run) -> None:
    values: list[tuple[str, str, Any]] = [
        ("1.50::DECIMAL(10,2)", "ShipWeight", 1.5),
        ("3.00::DECIMAL(10,2)", "QuantityMultiplier", 3),
        ("12.0::DOUBLE", "ShipHeight", 12),
        ("1e20::DOUBLE", "ShipWidth", 1e20),
        ("0.1::FLOAT", "ShipLength", 0.1),
        ("12345678901234567890123::HUGEINT", "Description", "12345678901234567890123"),
        ("'007'", "Name", "007"),
        ("DATE '2027-01-31'", "xp.day", "2027-01-31"),
        ("TIMESTAMP '2027-01-31 08:30:00'", "xp.at", "2027-01-31T08:30:00"),
        ("TIMESTAMPTZ '2027-01-31 08:30:00.5+02'", "xp.utc", "2027-01-31T06:30:00.5Z"),
        ("UUID '00000000-0000-0000-0000-000000000001'", "xp.id", "00000000-0000-0000-0000-000000000001"),
        ("{'a': 1, 'b': [1.5, 2], 'c': NULL}", "xp.spec", {"a": 1, "b": [1.5, 2], "c": None}),
        ("MAP {'k': DATE '2027-01-31'}", "xp.map", {"k": "2027-01-31"}),
        ("['x', 'y']", "xp.tags", ["x", "y"]),
        ("[1, 2]::INTEGER[2]", "xp.pair", [1, 2]),
        ("'{\"x\": [1]}'::JSON", "xp.doc", {"x": [1]}),
        ("'null'::JSON", "xp.none", None),
        ("7", "xp.size", 7),
        ("true", "xp.flag", True),
        ("'7'", "xp.text", "7"),
        ("'b'::ENUM('a', 'b')", "xp.enum", "b"),
        (r"'\N'", "xp.nil", None),
    ]  # fmt: skip
    columns = ", ".join(f'{value} AS "{field}"' for value, field, _ in values)
    result = ocsync(*query(f"SELECT 'product/P' AS ref, {columns}"))
    assert result.code == 0, result
    [entry] = staged(ocsync)
    assert entry["fields"] == {field: stored for _, field, stored in values}


def test_a_struct_can_be_the_whole_xp_or_a_model(ocsync: Run) -> None:
    text = "SELECT 'product/P' AS ref, {'a': 1, 'b': {'c': [2]}} AS xp, {'Enabled': true} AS \"Inventory:\""  # fmt: skip
    assert ocsync(*query(text)).code == 0
    assert [e["fields"] for e in staged(ocsync)] == [
        {"xp.a": 1, "xp.b": {"c": [2]}, "Inventory.Enabled": True}
    ]


def test_parquet_is_read_as_a_query_is(ocsync: Run) -> None:
    text = "SELECT 'inventory/P/R' AS ref, 5.0::DOUBLE AS \"QuantityAvailable\", NULL::DOUBLE AS \"NotificationPoint\", 7 AS \"xp.size\", {'a': true} AS \"xp.spec\""  # fmt: skip
    duckdb.sql(text).write_parquet("stock.parquet")
    result = ocsync("stage", "import", "stock.parquet")
    assert (result.code, "!" in result.err) == (0, False), result
    [entry] = staged(ocsync)
    assert entry["fields"] == {"QuantityAvailable": 5, "xp.size": 7, "xp.spec": {"a": True}}
    assert ocsync(*query(text, "--yes")).code == 0
    assert staged(ocsync) == [entry, entry]


def test_null_and_empty_text_leave_the_field_unchanged(ocsync: Run) -> None:
    text = "SELECT 'product/P' AS ref, NULL AS \"Name\", ''::BLOB AS \"Description\", NULL::DOUBLE AS \"ShipWeight\", NULL::STRUCT(a INT) AS \"xp.s\", [1] AS \"xp.l\""  # fmt: skip
    assert ocsync(*query(text)).code == 0
    assert [e["fields"] for e in staged(ocsync)] == [{"xp.l": [1]}]


def test_a_value_that_cannot_be_staged_is_an_error_of_its_row(ocsync: Run) -> None:
    values = [
        ("'NaN'::DOUBLE", "ShipWeight", "is not a number that can be stored"),
        ("'-inf'::FLOAT", "xp.size", "is not a number that can be stored"),
        ("DATE 'infinity'", "xp.day", "is not a date"),
        ("TIMESTAMPTZ '-infinity'", "xp.at", "is not a date"),
        (r"'\xAA'::BLOB", "Description", "is binary data (BLOB), not text"),
        ("1.5", "QuantityMultiplier", "is not a whole number"),
        ("{'a': 'NaN'::DOUBLE}", "xp.spec", "is not JSON"),
    ]
    empty = ", ".join(f'NULL AS "{field}"' for _, field, _ in values)
    columns = ", ".join(value for value, _, _ in values)
    text = f"SELECT 'product/P' AS ref, 'a' AS \"Name\", {empty} UNION ALL SELECT 'product/Q', 'b', {columns}"  # fmt: skip
    result = ocsync(*query(text, "--json"))
    problems = json.loads(result.err)["problems"]
    assert sorted((p["line"], p["column"], p["why"]) for p in problems) == [
        (2, column, told) for column, (_, _, told) in enumerate(values, 3)
    ]


def test_numbers_can_be_ids_and_a_note_says_what_they_may_have_lost(ocsync: Run) -> None:
    text = 'SELECT 12345678901234567 AS "ProductID", \'a\' AS "Name"'
    result = ocsync(*query(text, "--kind", "product"))
    assert (result.code, "not text (12345678901234567): leading zeros" in result.err) == (0, True)
    assert [e["ref"] for e in staged(ocsync)] == ["product/12345678901234567"]


@pytest.mark.quick(7)
@pytest.mark.parametrize(("words", "code", "told"), [
    (("SELECT 1; SELECT 2",), 64, "the query has 2 statements; give one SELECT"),
    (("-- nothing",), 64, "the query is empty; give one SELECT"),
    (("COPY stock TO 'out.csv'", "shop.duckdb"), 64, "the query is COPY, not SELECT"),
    (("INSERT INTO stock VALUES ('a', 'b', 1, 1)", "shop.duckdb"), 64, "the query is INSERT"),
    (("WITH n AS (INSERT INTO stock VALUES ('a', 'b', 1, 1) RETURNING *) FROM n", "shop.duckdb"), 64, "data-modifying"),
    (("WITH n AS (COPY (SELECT 1) TO 'out.csv') FROM n",), 64, "the query is wrong"),
    (("ATTACH 'other.db'",), 64, "the query is ATTACH, not SELECT; an import only reads"),
    (("INSTALL httpfs",), 64, "the query is LOAD, not SELECT"),
    (("CREATE TABLE t (a INT)",), 64, "the query is CREATE"),
    (("SET threads = 1",), 64, "the query is SET"),
    (("PIVOT stock ON bin USING sum(qty)", "shop.duckdb"), 64, "a PIVOT must name its values"),
    (("SELEC 1",), 64, 'the query is wrong: syntax error at or near "SELEC"'),
    (("FROM stock",), 64, "Table with name stock does not exist\n  next: name a file in quotes"),
    (("SELECT price FROM stock", "shop.duckdb"), 64, "its columns: "),
    (("SELECT $1",), 65, "parameters"),
    (("FROM 'nowhere.csv'",), 66, 'nowhere.csv'),
    (("FROM t", "nowhere.duckdb"), 66, "nowhere.duckdb"),
    (("FROM t", "plain.txt"), 66, "not a valid DuckDB database file"),
    (("SELECT error('boom') AS ref",), 65, "the query failed: boom"),
    (("SELECT 'product/P' AS ref, sku::INT AS \"Name\" FROM stock", "shop.duckdb"), 65, "Could not convert string 'P'"),
    (("FROM 'https://example.com/x.parquet'",), 78, "extension httpfs, and an import downloads none\n  next: download the file first"),
    (("FROM sqlite_scan('a.db', 't')",), 78, "extension sqlite_scanner"),
    (("FROM postgres_scan('', 'a', 't')",), 78, "extension postgres"),
    (("FROM read_xlsx('a.xlsx')",), 78, "stage import FILE.xlsx"),
    (("FROM 'a.xlsx'",), 64, "stage import FILE.xlsx"),
    (("SELECT 1", "-"), 64, "cannot read one from -"),
    (("SELECT 1", "--format", "csv", "--encoding", "cp1252"), 64, "--format and --encoding do not work with --sql"),
    (("SELECT 'P' AS \"ProductID\", 'x' AS nam", "--kind", "product"), 65, "next: name the columns in the query"),
])  # fmt: skip
def test_a_query_that_cannot_be_imported_is_explained(
    ocsync: Run, database: Path, stock: bytes, words: tuple[str, ...], code: int, told: str
) -> None:
    Path("plain.txt").write_text("hello world\n" * 1000)
    result = ocsync("stage", "import", "--sql", *words)
    assert (result.code, told in result.err) == (code, True), result
    assert "Traceback" not in result.err
    assert (staged(ocsync), Path("out.csv").exists(), Path("other.db").exists()) == ([], False, False)  # fmt: skip
    assert database.read_bytes() == stock


def test_a_database_that_another_program_writes_is_explained(ocsync: Run) -> None:
    holder = "import duckdb, sys; c = duckdb.connect('busy.duckdb'); print(flush=True); sys.stdin.read()"  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", holder], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        result = ocsync(*query("FROM t", "busy.duckdb"))
        process.communicate()
    assert (result.code, "Conflicting lock is held" in result.err) == (66, True), result
    assert "next: close the program that has it open" in result.err


def test_a_variable_of_the_program_is_not_a_table(ocsync: Run) -> None:
    for name in ("columns", "rows", "query", "names"):
        assert "does not exist" in ocsync(*query(f"FROM {name}")).err


def test_ctrl_c_ends_a_query() -> None:
    program = """
import os, signal, threading, duckdb
from ocsync.intake.duckdb_cells import open_connection
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with open_connection(duckdb) as connection:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        connection.execute('''SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j)
                              WHERE hash(i + j) = 3''').fetchall()
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)
    assert done.stdout == b"interrupted\n", done


def test_a_file_or_a_query_is_needed(ocsync: Run) -> None:
    result = ocsync("stage", "import")
    assert (result.code, "give the FILE to import, or --sql QUERY" in result.err) == (64, True)


def test_without_the_extra_the_command_that_installs_it_is_shown(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = ocsync(*query("SELECT 1"))
    assert result.code == 78
    assert "--sql needs DuckDB, which is not installed" in result.err
    assert "next: pip install 'ocsync[sql]'" in result.err
