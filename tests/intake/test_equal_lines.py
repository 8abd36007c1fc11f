"""Lines that two files have alike: left out by DuckDB, with the same result as when all are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.errors import InputError
from ocsync.intake import equal_lines, read_file
from ocsync.intake.against import EarlierFile, NewRows
from ocsync.intake.field_values import PLAIN_TEXTS, reader_of
from ocsync.intake.reader import differing_lines, read_values
from ocsync.intake.record import DifferingLines
from ocsync.schema import Field
from tests.cli.test_stage_files import staged
from tests.conftest import Run

pytest.importorskip("duckdb", reason="the extra sql (DuckDB) is not installed")

HEADERS = {
    "inventory": ["ProductID", "InventoryRecordID", "QuantityAvailable", "AddressID", "#note"],
    "product": ["Name", "ID", "Active", "ShipWeight", "xp.size"],
    "": ["ref", "Name", "Active"],
    "catalog-product": ["CatalogID", "ProductID"],
    "category-assignment": ["CatalogID", "CategoryID", "BuyerID", "UserGroupID"],
}
IDS = ["A", "B", "C", "D", "E", "a", '"A"', " A ", "", "A B", '"A,"', "\u212a", "K"]
REFS = ["product/A", "product/B", "catalog/A", "Product/A", "product/a", "buyer/A", "price/A", "product", '"product/A"',
        "inventory/A/B", "category-assignment/A/B//C"]  # fmt: skip
VALUES = ["5", "6", "", r"\N", "x", "#N/A", "1.500", "null", '"5"', '"a,b;c"', " ", '"a""b"', 'a"b', "true",
          "é", "-1", "12345678901234567890", '""', '"#N/A"', "1,5", "\u200b", "Yes"]  # fmt: skip
ODD_LINES = ["", "   ", ",,,,", "A", "A,B,5,6,7,8,9", '"A\nB",1,2,3,4', '"A', '"A"B,1', "\x01", "A\rB", "\u2028"]  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """Return a kind, and two files of which most lines are in both."""
    kind = draw(st.sampled_from(list(HEADERS)))
    header = HEADERS[kind]
    delimiter = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    is_clean = draw(st.booleans())
    rare = st.integers(0, 9)

    def cell(name: str) -> str:
        texts = REFS if name == "ref" else IDS if name.endswith("ID") else VALUES
        is_plain = is_clean or draw(rare) > 2
        return draw(st.sampled_from(texts[:4] if is_plain else texts))

    def line() -> str:
        if not is_clean and not draw(rare):
            return draw(st.sampled_from(ODD_LINES))
        return delimiter.join(cell(name) for name in header)

    lines = [line() for _ in range(draw(st.integers(0, 7)))]
    before = [one for one in lines if draw(rare)]
    after = [line() if not draw(rare) else one for one in lines if draw(rare)]
    after = draw(st.permutations(after)) if draw(st.booleans()) else after

    def text(rows: list[str]) -> bytes:
        last_end = end if draw(rare) else ""
        made = end.join([delimiter.join(header), *rows]) + last_end
        mark = "" if draw(rare) else "\ufeff"
        return (mark + made).encode() + (b"" if draw(rare) or is_clean else b"\xff\n")

    return kind, text(before), text(after)


def outcome(kind: str, new_rows: NewRows, kept: DifferingLines | None) -> list[Any]:
    """Return the notes, entries, faults and counts of a comparison."""
    notes: list[str] = []
    entries: list[Any] = []
    faults: list[Any] = []
    earlier = EarlierFile("last.csv", new_rows, kept)
    for _ in range(2):  # as for a question between two readings
        earlier.begin()
        try:
            if not entries:
                with Path("last.csv").open("rb") as last:
                    of_last = kept.earlier if kept else None
                    earlier.read(
                        read_values("last.csv", last, kind=kind, note=notes.append, kept=of_last)
                    )
            with Path("new.csv").open("rb") as new:
                entries += read_file("new.csv", new, kind=kind, note=notes.append, earlier=earlier)
        except InputError as error:
            faults.append((error.message, error.problems, error.hint))
    counts = [earlier.same, earlier.new, earlier.emptied, earlier.gone_number, [*earlier.gone()]]
    return [notes, entries, faults, counts]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_result_is_that_of_reading_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left_out = 0

    @settings(max_examples=400, deadline=None)
    @given(files(), st.sampled_from(NewRows))
    def check(given_files: tuple[str, bytes, bytes], new_rows: NewRows) -> None:
        nonlocal left_out
        kind, last, new = given_files
        Path("last.csv").write_bytes(last)
        Path("new.csv").write_bytes(new)
        kept = differing_lines("last.csv", "new.csv", kind=kind, least_size=0)
        assert outcome(kind, new_rows, kept) == outcome(kind, new_rows, None)
        left_out += kept.new.left_out if kept else 0

    check()
    assert left_out > 40


@given(st.data())
def test_a_plain_text_is_read_as_its_type(data: st.DataObject) -> None:
    for type_, pattern in PLAIN_TEXTS.items():
        text = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
        reader_of(Field(type_))(text)


def test_equal_lines_are_read_from_neither_file(ocsync: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(equal_lines, "LEAST_SIZE", 0)
    rows = [f'"P{n}",R,{n},"a, b",W\r\n' for n in range(50)]
    head = "ProductID,InventoryRecordID,QuantityAvailable,#note,AddressID\r\n"
    Path("last.csv").write_bytes("".join([head, *rows]).encode())
    changed = ['"P7",R,0,x,W\r\n', *rows[8:40], "P50,R,1,,W\r\n", "P51,R,many,,W\r\n", *rows[:7]]
    Path("new.csv").write_bytes("".join([head, *changed]).encode())
    kept = differing_lines("last.csv", "new.csv", kind="inventory", least_size=0)
    assert kept
    assert (sorted(kept.new.numbers - {0}), kept.new.lines) == ([1, 34, 35], 42)
    assert (sorted(kept.earlier.numbers - {0}), kept.earlier.lines) == ([8, *range(41, 51)], 50)
    words = ("stage", "import", "new.csv", "--kind", "inventory", "--against", "last.csv")
    refused = ocsync(*words, "--gone", "gone.txt")
    assert "new.csv:36:3  QuantityAvailable" in refused.err
    assert "2 of 42 lines are wrong" in refused.err
    Path("new.csv").write_bytes("".join([head, *changed[:34], *rows[:7]]).encode())
    done = ocsync(*words, "--gone", "gone.txt", "--new", "put", "--json")
    assert {n: done.data[n] for n in ("entries", "unchanged", "new", "gone")} == {
        "entries": 2, "unchanged": 39, "new": 1, "gone": 10,
    }  # fmt: skip
    assert [e["ref"] for e in staged(ocsync)] == [
        "inventory/P7/R", "inventory/P50/R",
    ]  # fmt: skip
    assert Path("gone.txt").read_text().split() == [f"inventory/P{n}/R" for n in range(40, 50)]


def test_a_file_that_changes_meanwhile_is_not_half_compared(tmp_path: Path) -> None:
    last, new = tmp_path / "last.csv", tmp_path / "new.csv"
    for path in (last, new):
        path.write_text("CatalogID,Name\nA,a\nB,b\n")
    kept = differing_lines(str(last), str(new), kind="catalog", least_size=0)
    assert kept
    new.write_text("CatalogID,Name\nA,z\n")
    earlier = EarlierFile("last.csv", NewRows.PUT, kept)
    with new.open("rb") as opened, pytest.raises(InputError, match="changed while it was read"):
        [*read_file("new.csv", opened, kind="catalog", earlier=earlier)]
