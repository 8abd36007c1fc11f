"""The benchmarks run; what they measure is judged by people."""

from __future__ import annotations

import pytest

from tests.benchmarks.__main__ import SECTIONS, main

TINY = ("--size", "0.0001", "--rounds", "1")


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The lines of the tables that were printed, without their heads."""
    rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [row for row in cells if row[0] not in ("what", "refs", "---")]


@pytest.mark.slow
def test_a_section_is_chosen_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    main(["refusals", *TINY])
    found = lines(capsys)
    assert len(found) == 11
    assert all(goal and "refused" in measured for _, measured, goal, _ in found)


def test_a_wrong_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--list"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(SECTIONS)
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no section is called nothing" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_runs(capsys: pytest.CaptureFixture[str], name: str) -> None:
    main([name, *TINY])
    found = lines(capsys)
    assert found
    assert all(any(c.isdigit() for c in cells[1]) for cells in found)
