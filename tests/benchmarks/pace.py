"""The pacer against servers that refuse, in virtual time, as a table.

    python -m tests.benchmarks.pace [--only NAME] [--seeds N]

*simple* is a loop with a fixed number of workers, each of which waits as the answer says, or ever
longer, and tries again. *ratio* is to the better of the simple loop and the ideal; *refused* and
*of simple* are shares of all answers.
"""

from __future__ import annotations

import argparse
from statistics import fmean

from tests.client.pace_models import MODELS, Model, ideal, ours, simple


def row(model: Model, seeds: int) -> str:
    """Return one line of the table."""
    mine = [ours(model, seed) for seed in range(1, seeds + 1)]
    loop = [simple(model, seed) for seed in range(1, seeds + 1)]
    seconds, other = fmean(r.seconds for r in mine), fmean(r.seconds for r in loop)
    knowing = [ideal(model, seed) for seed in range(1, seeds + 1)]
    best = fmean(knowing)
    ratio = seconds / fmean(min(k, r.seconds) for k, r in zip(knowing, loop, strict=True))
    return (
        f"{model.name:<42}{seconds:>8.1f}{other:>8.1f}{best:>8.1f}{ratio:>7.2f}"
        f"{fmean(r.share for r in mine):>9.1%}{fmean(r.share for r in loop):>11.1%}"
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
