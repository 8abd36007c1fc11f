"""How often one command opens the workspace's files for reading."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.builders import Shop, csv_of
from tests.conftest import Run

_watchers: list[Counter[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watchers or not isinstance(arguments[0], str):
        return
    path, flags = Path(arguments[0]), arguments[2]
    if path.suffix and flags & (os.O_WRONLY | os.O_RDWR) == 0:
        _watchers[-1][path.parent.name if path.parent.name == "journal" else path.name] += 1


sys.addaudithook(_hook)


@contextmanager
def opened_for_reading() -> Iterator[Counter[str]]:
    """Count the files opened for reading in the block: the journal's segments under `journal`."""
    counts: Counter[str] = Counter()
    _watchers.append(counts)
    try:
        yield counts
    finally:
        _watchers.remove(counts)


def test_a_resume_reads_each_file_of_the_workspace_once(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    with opened_for_reading() as counts:
        assert ocsync("resume", "--verify").code == 0
    assert counts["outcomes.jsonl"] > 0, "the counting works"
    assert counts["run.json"] <= 3
    assert counts["pause.toml"] <= 3
    assert counts["journal"] <= 2, "once for the seal, once at the end"


def test_an_import_reads_the_journal_once(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=3)
    ocsync("stage", "set", refs[0], "NotificationPoint=1")
    rows = [("ref", "QuantityAvailable"), *((ref, 7) for ref in refs)]
    Path("stock.csv").write_bytes(csv_of(rows))
    with opened_for_reading() as counts:
        assert ocsync("stage", "import", "stock.csv").code == 0
    assert counts["journal"] <= 1
