"""Random sequences of edits, held against a model of sending each of them on its own, in order.

See `scenarios` for what is drawn, `player` for how it is played, `model` for what is expected. A
scenario that fails is made smaller as long as it fails, and shown. `MODEL_SEED` draws others.
"""

from __future__ import annotations

import ast
import itertools
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests import known_faults, model
from tests.benchmarks.faults import haste
from tests.builders import Shop
from tests.conftest import Run, add_profile
from tests.drawing import draw, smaller, summable, told
from tests.known_faults import AVOID
from tests.model import KINDS, Op
from tests.player import HASTE, Player, Problems, some_faults
from tests.scenarios import Mode, Scenario

SEED = 1000 * int(os.environ.get("MODEL_SEED", "0"))
BATCHES = range(66)
SIZE = 50
"""Scenarios of a batch."""
MODES = [
    Mode(),
    Mode(lag=True, faults=True),
    Mode(faults=True, undo=True),
    Mode(merge=True, faults=True),
    Mode(lag=True, undo=True),
    Mode(merge=True, lag=True, faults=True, undo=True),
]
_TRIES = 60
"""Plays that making a scenario smaller may take."""


@cache
def batch(number: int) -> tuple[Mode, list[Scenario]]:
    """Return the circumstances and the scenarios of one batch."""
    mode = MODES[number % len(MODES)]
    return mode, [draw(SEED + number, n, mode) for n in range(SIZE)]


class Play(Protocol):
    """Plays scenarios in a workspace of their own; what is wrong, by scenario."""

    def __call__(self, scenarios: Sequence[Scenario], mode: Mode, **more: Any) -> Problems: ...


@pytest.fixture
def play(run: Run, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    numbers = itertools.count()

    def go(scenarios: Sequence[Scenario], mode: Mode, **more: Any) -> Problems:
        # nothing lags here that a write refers to, and many writes are refused for good
        monkeypatch.setattr("ocsync.engine.resume.replay._REFERENCE_PAUSE", 0.01)
        monkeypatch.setenv("OCSYNC_WORKSPACE", str(tmp_path / str(next(numbers)) / ".ocsync"))
        add_profile(run, shop)
        return Player(run, shop, scenarios, mode, **more).play()

    with haste(HASTE):
        yield go


@pytest.mark.quick(1)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", BATCHES)
def test_a_resume_leaves_what_sending_one_by_one_leaves(play: Play, number: int) -> None:
    mode, scenarios = batch(number)
    problems = played(play, scenarios, mode, number)
    if problems:
        first = next(one for one in scenarios if one.name in problems)
        found = [f"{len(problems)} of {len(scenarios)} scenarios fail in {mode}, the first by"]
        found += [*problems[first.name], minimised(play, first, mode, number)]
        pytest.fail("\n".join(found), pytrace=False)


def played(play: Play, scenarios: Sequence[Scenario], mode: Mode, seed: int) -> Problems:
    rules = some_faults(scenarios, seed) if mode.faults else ()
    return play(scenarios, mode, seed=seed, rules=rules)


def minimised(play: Play, scenario: Scenario, mode: Mode, seed: int) -> str:
    """Return *scenario*, which fails, without all that it fails without."""
    for mode_ in (mode._replace(lag=False, faults=False), mode):
        problems = played(play, [scenario], mode_, seed)
        if problems:
            break
    else:
        return f"alone it does not fail:\n{told(scenario)}"
    left = _TRIES
    while left:
        for one in smaller(scenario, mode_):
            left -= 1
            found = played(play, [one], mode_, seed)
            if found or not left:
                break
        else:
            break
        if found:
            scenario, problems = one, found
    lines = [f"  -> {line}" for line in problems[scenario.name]]
    return "\n".join([str(mode_), told(scenario), *lines])


@pytest.mark.parametrize("mode", [
    known_faults.PLAIN, known_faults.FAULTS, known_faults.LAG, known_faults.UNDO,
], ids=str)  # fmt: skip
def test_what_is_avoided_fails_and_nothing_else_does(play: Play, mode: Mode) -> None:
    """A fault that is mended has to be taken off AVOID, so that random scenarios meet it."""
    scenarios = known_faults.scenarios(mode)
    rules = known_faults.RULES if mode.faults else ()
    problems = play(scenarios, mode, seed=0, rules=rules)

    assert problems.keys() == {one.name for one in scenarios} & AVOID.keys(), problems


def test_every_fault_that_is_avoided_has_an_example() -> None:
    assert AVOID.keys() == known_faults.GUARDS.keys()
    assert AVOID.keys() <= known_faults.EXAMPLES.keys()


@pytest.mark.slow
def test_every_kind_is_edited_in_every_way() -> None:
    """Scenarios are drawn from the table of kinds: a new one is among them."""
    wanted = {(name, op) for name, kind in KINDS.items() for op in kind.ops
              if op is not Op.ADJUST or summable(kind)}  # fmt: skip
    missing = set(wanted)
    for scenario in (scenario for n in BATCHES for scenario in batch(n)[1]):
        edits = [edit for turn in scenario.rounds for edit in turn.edits]
        edited = {(edit.ref.split("/")[0], edit.op) for edit in edits}
        assert edited <= wanted, "nothing else can be adjusted"
        missing -= edited
        if not missing:  # to draw the rest takes as long as to play some
            return
    assert not missing


def test_the_model_shares_no_code_with_what_it_judges() -> None:
    """Of the program it may know the table of kinds and the nouns, of the tests nothing."""
    tree = ast.parse(Path(model.__file__).read_text())
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    plain = [
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    ]
    ours = {name for name in (*froms, *plain) if name.split(".")[0] in ("ocsync", "tests")}

    assert ours == {"ocsync.models", "ocsync.schema"}
