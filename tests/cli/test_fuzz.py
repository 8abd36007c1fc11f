"""Any bytes as a file to import, any TOML as a file of the workspace: one clear answer, or taken.

What is taken can be planned; what is refused leaves not a byte behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.cli.test_hostile import fair
from tests.conftest import Run

FUZZ = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
FEW = settings(FUZZ, max_examples=15)
MORE = settings(FUZZ, max_examples=200)
REFS = ["inventory/P/R", "product/P", "catalog/C", "category/C/K", "buyer/B", "catalog-assignment/C/B", "product-assignment/P/B",
        "admin-user/U", "inventory/p/R", "inventory/P", "thing/X", "", "catalog/ä", "catalog/" + "x" * 101, "../x", "catalog/C/"]  # fmt: skip
NAMES = ["QuantityAvailable", "AddressID", "xp.a", "xp.a.b", "xp.a:", "Inventory.QuantityAvailable", "Name", "Active", "ParentID",
         "ViewAllProducts", "ID", "Password", "LastUpdated", "Nope", "", "xp", "xp.", ".", "expect.QuantityAvailable", "expect.", "op",
         "ProductID", "InventoryRecordID", "DefaultCatalogID", "OwnerID", "\ufeffref", "ref "]  # fmt: skip
CELLS = ["", "5", "-5", "007", "1.0E+05", "1e5", "3000000000", "1,5", "true", "TRUE", "x", "\\N", "\\", "null", '{"a":1}', "[", "é", "😀",
         "=1+1", "a;b", 'say "x"', " 5 ", "5\t", "\0", "\u2028", "NaN", "1_000", "٣", "x" * 3000, "P"]  # fmt: skip
OPS = ["set", "put", "adjust", "assign", "", "delete", "SET"]


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """CSV as spreadsheets and people write it, and as nobody should."""
    sensible = draw(st.booleans())
    names = ["QuantityAvailable", "xp.a", "xp.b:", "expect.QuantityAvailable", "op"]
    header = [
        "ref",
        *draw(st.lists(st.sampled_from(names if sensible else NAMES), max_size=4, unique=sensible)),
    ]
    cell = st.sampled_from(["", "5", "-5", "007", "8"] if sensible else CELLS)
    refs = st.sampled_from(REFS[:1] * 3 + ["inventory/P/R2"] if sensible else REFS)
    row = st.tuples(refs, st.lists(cell, max_size=5), st.sampled_from(OPS[:1] if sensible else OPS))
    lines = [header]
    for ref, cells, op in draw(st.lists(row, max_size=5)):
        fitting = [op if name == "op" else c for name, c in zip(header[1:], cells, strict=False)]
        lines.append([ref, *(fitting if draw(st.booleans()) else cells)])
    between, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quote = draw(st.sampled_from(["all", "none", "open"]))

    def spelled(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quote == "all" else text

    text = end.join(between.join(map(spelled, line)) for line in lines) + (
        '"' if quote == "open" else end
    )
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(CELLS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b.c", "", "xp", "ID", "Name"]), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip
SENSIBLE = st.fixed_dictionaries({
    "ref": st.sampled_from(["product/P", "product/Q", "catalog/C"]), "op": st.sampled_from(["set", "put"]),
    "fields": st.fixed_dictionaries({"Name": st.sampled_from(["x", "😀", "", "a,b"])}, optional={"xp": st.dictionaries(st.sampled_from("ab"), VALUES)}),
})  # fmt: skip
OBJECTS = st.fixed_dictionaries({}, optional={
    "ref": st.sampled_from(REFS) | VALUES, "op": st.sampled_from(OPS) | VALUES, "replace": st.booleans() | VALUES,
    "fields": st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3) | VALUES,
    "expect": st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2) | VALUES, "more": VALUES,
})  # fmt: skip


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    """JSON lines, cut off somewhere at times."""
    lines = [
        json.dumps(one)
        for one in draw(st.lists(OBJECTS | VALUES, max_size=5) | st.lists(SENSIBLE, max_size=5))
    ]
    data = "\n".join(lines).encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


def journal() -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in Path(".ocsync").rglob("journal/*")}


def import_and_look(ocsync: Run, data: bytes, name: str, *words: str) -> None:
    """All of it, or nothing with a reason; and what is staged can be planned and shown."""
    Path(name).write_bytes(data)
    before = journal()
    result = ocsync("stage", "import", name, *words)
    fair(result, data)
    assert result.code in (0, 65), (data, result)
    if result.code:
        assert journal() == before, "nothing of it is left"
        assert "nothing was" in result.err or "nothing is" in result.err or ":" in result.err, (
            result
        )
        return
    planned = ocsync("plan", "--json")
    fair(planned, data)
    assert planned.code in (0, 65), "or they wait for each other"
    for row in ocsync("stage", "list", "--json").data["staged"]:
        shown = ocsync("stage", "show", row["ref"])
        fair(shown, data)
        assert shown.code == 0
    assert ocsync("stage", "clear", "--yes").code == 0


KIND = st.sampled_from([(), ("--kind", "inventory"), ("--kind", "product")])
NAME = st.sampled_from(["x.csv", "x.jsonl", "x.xlsx", "x.txt", "x"])


@pytest.mark.slow
@FUZZ
@given(tables(), KIND)
@example(b"", ())
@example(b"ref", ())
@example(b'ref,Name\ncatalog/C,"open\n', ())
@example(b"ref,Name,Name\ncatalog/C,a,b\n", ())
@example("ref;Name\r\ncatalog/C;ä\r\n".encode("latin-1"), ())
def test_any_table(ocsync: Run, data: bytes, words: tuple[str, ...]) -> None:
    import_and_look(ocsync, data, "x.csv", *words)


@pytest.mark.slow
@MORE
@given(tables(), KIND)
def test_many_more_tables(ocsync: Run, data: bytes, words: tuple[str, ...]) -> None:
    import_and_look(ocsync, data, "x.csv", *words)


@pytest.mark.slow
@FUZZ
@given(json_lines())
@example(b'{"ref": "catalog/C", "fields": {"Name": "x"}')
@example(b"[]")
@example(b"{" * 5000)
def test_any_json_lines(ocsync: Run, data: bytes) -> None:
    import_and_look(ocsync, data, "x.jsonl")


@pytest.mark.slow
@MORE
@given(json_lines())
def test_many_more_json_lines(ocsync: Run, data: bytes) -> None:
    import_and_look(ocsync, data, "x.jsonl")


@pytest.mark.slow
@FUZZ
@given(st.binary(max_size=200), NAME)
def test_any_bytes(ocsync: Run, data: bytes, name: str) -> None:
    import_and_look(ocsync, data, name)


@pytest.mark.slow
@MORE
@given(st.binary(max_size=200), NAME)
def test_many_more_bytes(ocsync: Run, data: bytes, name: str) -> None:
    import_and_look(ocsync, data, name)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_a_line_of_a_gigabyte_is_not_read_to_its_end(ocsync: Run, name: str) -> None:
    with Path(name).open("wb") as file:
        file.write(b"ref,Name\ncatalog/C,")
        file.truncate(2**30)
    result = ocsync("stage", "import", name)
    Path(name).unlink()
    assert result.code == 65, result
    assert "longer than 1,000,000 characters" in result.err or "NUL" in result.err, result.err
    assert len(result.err) < 1000


TOML = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8) | st.datetimes()
    | st.sampled_from(["paused", "pausing", "2026-01-01T00:00:00+00:00", "http://127.0.0.1:1", "test"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_leaves=4,
)  # fmt: skip
SHAPES: dict[str, st.SearchStrategy[Any]] = {
    "workspace.toml": st.dictionaries(st.sampled_from(["format", "profile", "x"]), TOML),
    "profiles/test/marketplace.toml": st.dictionaries(st.sampled_from(["id", "name", "x"]), TOML),
    "profiles/test/profile.toml": st.dictionaries(
        st.sampled_from(["name", "api_url", "auth_url", "client_id", "secret", "environment", "marketplace", "production", "plain_http", "x"]), TOML),
    "profiles/test/pause.toml": st.dictionaries(st.sampled_from(["inventory", "products", "x"]), st.dictionaries(
        st.sampled_from(["phase", "since", "until", "by", "reason", "run", "adopted", "found", "x"]), TOML) | TOML),
}  # fmt: skip
OFFLINE: list[tuple[str, ...]] = [
    ("status", "--offline"), ("status", "--offline", "--json"), ("profile", "list"), ("profile", "show"), ("plan",), ("stage", "list"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_any_toml(ocsync: Run, name: str) -> None:
    """Members of the wrong type, missing, or too many; over the file as it was."""
    fuzz_toml(ocsync, name, FEW)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SHAPES)
def test_much_more_toml(ocsync: Run, name: str) -> None:
    fuzz_toml(ocsync, name, MORE)


def fuzz_toml(ocsync: Run, name: str, examples: settings) -> None:
    path = Path(".ocsync") / name
    if "pause" in name:
        ocsync("pause", "inventory")
    ocsync("status")
    import tomllib

    kept = path.read_text()
    whole = tomllib.loads(kept)

    @examples
    @given(SHAPES[name], st.booleans())
    def fuzz(odd: dict[str, Any], over: bool) -> None:
        path.write_text(tomli_w.dumps({**whole, **odd} if over else odd))
        for words in OFFLINE:
            fair(ocsync(*words), (odd, words))
        path.write_text(kept)

    fuzz()
