"""Cells that are no fault and perhaps not meant: each column is noted once, with an example."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync import groups
from ocsync.errors import InputError
from ocsync.intake import table_cells
from tests.intake.test_intake import read
from tests.intake.workbooks import ods, workbook


def notes(data: bytes, name: str = "edits.csv", kind: str = "") -> list[str]:
    noted: list[str] = []
    assert read(data, name, kind=kind, note=noted.append)
    return noted


def test_points_that_may_mark_thousands_are_noted_where_cells_are_not_separated_by_commas() -> None:
    head = "ref;ShipWeight;ShipWidth;xp.n:;xp.text;expect.ShipWeight\n"
    rows = "product/A;12.500;0.125;1.000;1.000;-7.250\nproduct/B; 3.100 ;4.5;2.0;x;\n"
    assert notes((head + rows).encode()) == [
        "edits.csv: 2 of ShipWeight have three digits after the point (12.500): read as 12.500, not as 12500",
        "edits.csv: 1 of xp.n has three digits after the point (1.000): read as 1.000, not as 1000",
        "edits.csv: 1 of expect.ShipWeight has three digits after the point (-7.250): read as -7.250, not as -7250",
    ]  # fmt: skip
    assert len(notes((head + rows).replace(";", "\t").encode())) == 3
    assert notes((head + rows).replace(";", ",").encode()) == []
    sheet: list[list[object]] = [
        ["ref", "ShipWeight"],
        ["product/A", "12.500"],
        ["product/B", 3.125],
    ]
    assert notes(workbook(sheet), "edits.xlsx") == [
        "edits.xlsx s1: 1 of ShipWeight has three digits after the point (12.500): read as 12.500, not as 12500"
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["NULL", "null", "None", "nan", "N/A", "<NA>", "NaT", "-", "–", "\\n", "undefined"])  # fmt: skip
def test_words_for_no_value_are_noted(word: str) -> None:
    data = f"ref,Description,xp.a,expect.Name\ncatalog/A,x,{word},x\ncatalog/B,{word},y,{word}\n"
    tail = f"is a word that may mean no value ({word}): read as text; an empty cell leaves the field unchanged, \\N sets it to null"
    assert notes(data.encode()) == [
        f"edits.csv: 1 of {name} {tail}" for name in ("xp.a", "Description", "expect.Name")
    ]


def test_a_cell_that_was_emptied_is_noted() -> None:
    """Who empties a cell may mean to clear the field."""
    head = "CatalogID,Name,Description,Active,expect.Name,expect.Description,expect.Active\n"
    rows = f"A,x,,true,a,{'long ' * 9},\\N\nB,b,,,c,,true\nC,d,\\N,true,d,e,true\n"
    tail = "is empty beside an expected value ({}): this leaves the field unchanged; \\N clears it"
    assert notes((head + rows).encode(), kind="catalog") == [
        "edits.csv: 1 of Description " + tail.format("long long long long long long\u2026"),
        "edits.csv: 1 of Active " + tail.format("true"),
    ]


def test_words_are_noted_in_json_and_not_taken_for_codes() -> None:
    line = '{"ref":"address/A","fields":{"Country":"NA","State":"NA","City":"Nancy"}}\n'
    assert [n.partition(" is")[0] for n in notes(line.encode(), "a.jsonl")] == [
        "a.jsonl: 1 of State"
    ]


def test_hidden_rows_and_columns_are_noted() -> None:
    names = [["ref", "Name", "xp.a"], *([f"product/P{n}", "n", "x"] for n in range(8))]
    hidden = [3, 5, 6, 7, 8, 9]
    assert notes(workbook(names, hidden_rows=hidden, hidden_columns=(3, 7)), "edits.xlsx") == [
        "edits.xlsx s1: also read 6 hidden rows (3, 5, 6, 7, 8, ...)",
        "edits.xlsx s1: also read 1 hidden column (C)",
    ]
    assert notes(workbook(names, hidden_rows=[20], hidden_columns=(5, 7)), "edits.xlsx") == []


def test_hidden_rows_and_columns_of_open_documents_are_noted() -> None:
    def row(*texts: str, more: str = "") -> str:
        cells = "".join(
            f'<table:table-cell office:value-type="string"><text:p>{t}</text:p></table:table-cell>'
            for t in texts
        )
        return f"<table:table-row{more}>{cells}</table:table-row>"

    hidden = ' table:visibility="filter"'
    columns = '<table:table-column table:number-columns-repeated="2"/><table:table-column table:visibility="collapse"/>'
    data = ods(columns, row("ref", "Name", "xp.a"), row("product/P", "n", "x", more=hidden), row("product/Q", "n", "x"))  # fmt: skip
    assert notes(data, "edits.ods") == [
        "edits.ods s1: also read 1 hidden row (2)",
        "edits.ods s1: also read 1 hidden column (C)",
    ]


def test_a_blank_that_makes_the_sheet_wider_is_named() -> None:
    rows: list[list[str | None]] = [
        ["ref", "Name"],
        ["product/P", "n"],
        [None],
        [None, None, None, "\u00a0"],
    ]
    assert notes(workbook(rows), "edits.xlsx") == [
        "edits.xlsx s1!D4 beside the table holds only blanks: ignored"
    ]


CELLS = {
    "ShipWeight": ["", "5", "1.234", " 7", r"\N"],
    "expect.ShipWeight": ["", "5", "1.234"],
    "xp.a": ["", "x", "x y", "NULL", "#N/A", "\xe4", " x"],
    "xp.n:": ["", "1", "2.500", "[1]", "{}", '{"b":1}', '"-"'],
    "Active": ["", "true", "no", r"\N"],
    "Description": ["", "x", "none", " ", "\u200b"],
    "Inventory:": ["", '{"Enabled":true}'],
}  # fmt: skip
ROW = st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()})


@settings(max_examples=100, deadline=None)
@given(
    names=st.sets(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4).map(sorted),
    rows=st.lists(ROW, min_size=1, max_size=6),
    ending=st.sampled_from(["", "", "", "huge"]),
    delimiter=st.sampled_from([",", ";"]),
    known=st.sampled_from([2, 10_000]),
)
def test_repeated_cells_are_read_as_each_row_by_itself_is(
    names: list[str], rows: list[dict[str, str]], ending: str, delimiter: str, known: int
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["ref", *names])
    writer.writerows(
        [f"product/P{n}", *(row[name] for name in names)] for n, row in enumerate(rows)
    )
    if ending:
        writer.writerow(["product/Q", *[ending] * len(names)])

    def outcome() -> list[Any]:
        noted: list[str] = []
        try:
            return [read(text.getvalue().encode(), note=noted.append), noted]
        except InputError as error:
            return [error.message, error.problems, noted]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_cells, "_KNOWN_CELLS", known)
        found = outcome()
        patch.setattr(table_cells, "_KNOWN_CELLS", 0)
        patch.setattr(groups, "_SIZE", 1)
        assert found == outcome()
