"""The pacer against servers that refuse, in virtual time, as a table.

    python -m tests.benchmarks.pace [--only NAME] [--seeds N]

*simple* is a loop with a fixed number of workers, each of which waits as the answer says, or ever
longer, and tries again. *ratio* is to the better of the simple loop and the ideal; *refused* and
*of simple* are shares of all answers.
"""

from __future__ import annotations

import argparse
from statistics import fmean
from typing import NamedTuple

from tests.client.pace_models import MODELS, Model, ideal, ours, simple


class Comparison(NamedTuple):
    """Mean seconds and shares of refusals of the pacer, beside the simple loop and the ideal."""

    name: str
    seconds: float
    simple: float
    ideal: float
    ratio: float
    share: float
    simple_share: float


def compare(model: Model, seeds: int) -> Comparison:
    """Simulate *model* with so many *seeds*."""
    mine = [ours(model, seed) for seed in range(1, seeds + 1)]
    loop = [simple(model, seed) for seed in range(1, seeds + 1)]
    knowing = [ideal(model, seed) for seed in range(1, seeds + 1)]
    best = fmean(min(k, r.seconds) for k, r in zip(knowing, loop, strict=True))
    seconds = fmean(r.seconds for r in mine)
    return Comparison(
        model.name,
        seconds,
        fmean(r.seconds for r in loop),
        fmean(knowing),
        seconds / best,
        fmean(r.share for r in mine),
        fmean(r.share for r in loop),
    )


def row(model: Model, seeds: int) -> str:
    """Return one line of the table."""
    found = compare(model, seeds)
    return (
        f"{found.name:<42}{found.seconds:>8.1f}{found.simple:>8.1f}{found.ideal:>8.1f}"
        f"{found.ratio:>7.2f}{found.share:>9.1%}{found.simple_share:>11.1%}"
    )


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(
        f"{'server':<42}{'ours':>8}{'simple':>8}{'ideal':>8}{'ratio':>7}{'refused':>9}"
        f"{'of simple':>11}"
    )
    for model in MODELS:
        if given.only in model.name:
            print(row(model, given.seeds), flush=True)


if __name__ == "__main__":
    main()
