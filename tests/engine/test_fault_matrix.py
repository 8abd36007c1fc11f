"""Trouble in doses: it ends in the right state, or stops paused and the next resume ends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.emulator import FORM, call, emulator
from tests.benchmarks.faults import FAULTS, RATES, Place, dose, limited, outage


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with emulator() as (place, _, _):
        call(place, "POST", "/oauth/token", FORM)
        yield place


SOME = ["500 after the effect", "reset before", "half a body", "token revoked"]


@pytest.mark.parametrize("fault", SOME)
def test_a_little_trouble(url: str, tmp_path: Path, fault: str) -> None:
    row = dose(Place(url, tmp_path, 60), fault, 0.1)
    assert row.right
    assert row.more <= 1


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "429 with Retry-After"])
def test_trouble_in_every_dose(url: str, tmp_path: Path, fault: str, rate: float) -> None:
    row = dose(Place(url, tmp_path, 300), fault, rate)
    assert row.right
    assert row.more <= 1, "the next resume finishes"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_answers_for_a_while(url: str, tmp_path: Path) -> None:
    row = outage(Place(url, tmp_path, 2000), 30.0)
    assert (row.right, row.first, row.more) == (True, 0, 0), "it waits, and goes on"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_limited_server_is_kept_busy(url: str, tmp_path: Path) -> None:
    used, refused = limited(Place(url, tmp_path, 3000, adjusts=False), 100.0)
    assert used >= 0.85
    assert refused < 0.02
