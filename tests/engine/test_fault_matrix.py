"""Trouble in doses: it ends in the right state, or stops paused and the next resume ends it.

Waits are a tenth as long here, for the client as for its clock: to it this is a server ten times as
slow. `python -m tests.benchmarks.faults` makes the table of larger runs at the pace of real time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.emulator import FORM, call, emulator
from tests.benchmarks.faults import (
    FAULTS,
    RATES,
    Place,
    Runner,
    dose,
    haste,
    limited,
    outage,
    settings,
)
from tests.conftest import Run

HASTE = 10.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with emulator() as (place, _, _):
        call(place, "POST", "/oauth/token", FORM)
        yield place


@pytest.fixture
def runner(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """The command line in this process, in haste."""
    for name, value in settings(tmp_path).items():
        monkeypatch.setenv(name, value)

    def go(*words: str) -> tuple[int, str]:
        result = run(*words)
        return result.code, result.err

    with haste(HASTE):
        yield go


SOME = ["500 after the effect", "reset before", "half a body", "token revoked"]


@pytest.mark.quick(2)
@pytest.mark.parametrize("fault", SOME)
def test_a_little_trouble(url: str, tmp_path: Path, runner: Runner, fault: str) -> None:
    row = dose(Place(url, tmp_path, 60, runner=runner), fault, 0.1)
    assert row.right
    assert row.more <= 1


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("fault", FAULTS)
def test_trouble_in_every_dose(
    url: str, tmp_path: Path, runner: Runner, fault: str, rate: float
) -> None:
    row = dose(Place(url, tmp_path, 500, runner=runner), fault, rate)
    assert row.right
    assert row.injected or rate < 0.1 or fault == "token revoked"
    assert row.more <= 1, "the next resume finishes"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_answers_for_a_while(url: str, tmp_path: Path, runner: Runner) -> None:
    row = outage(Place(url, tmp_path, 2000, runner=runner), 30.0 / HASTE)
    assert (row.right, row.first, row.more) == (True, 0, 0), "it waits, and goes on"


@pytest.mark.slow
def test_nothing_answers_for_too_long(url: str, tmp_path: Path, runner: Runner) -> None:
    """It gives up after the longest wait, and one more for reading what became of a request."""
    took: list[float] = []

    def timed(*words: str) -> tuple[int, str]:
        start = time.monotonic()
        result = runner(*words)
        took.append((time.monotonic() - start) * HASTE)
        return result

    place = Place(url, tmp_path, 200, runner=timed)
    row = outage(place, 20.0 / HASTE, "--max-wait", "6s")
    assert (row.right, row.first, row.more) == (True, 75, 1)
    assert took[1] < 2 * 6 + 7, "and what it takes beside"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_limited_server_is_kept_busy(url: str, tmp_path: Path) -> None:
    used, refused = limited(Place(url, tmp_path, 3000, adjusts=False), 100.0)
    assert used >= 0.85
    assert refused < 0.025
