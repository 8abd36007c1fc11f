"""Damaged logs and odd records: told with file and line, by every reader alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.errors import Damaged
from ocsync.models import Intent, Outcome, State
from ocsync.store import RunInfo, Runs
from ocsync.store.delivery_log import DeliveryLog
from ocsync.store.log import encode_line
from ocsync.store.runs import Run
from ocsync.store.summary import summarize_journal
from tests.store.test_journal import journal, some

HUGE = 10**30
ENTRY: dict[str, Any] = {"type": "entry", "op": "set", "ref": "catalog/C", "seq": 1}
ODD: list[Any] = [
    {"a": 1}, {"type": "nothing"}, {"type": 5}, {"type": "entry"}, {**ENTRY, "seq": "1"}, {**ENTRY, "seq": None}, {**ENTRY, "ref": 5},
    {**ENTRY, "at": 5}, {**ENTRY, "at": "yesterday"}, {**ENTRY, "at": "2026-01-01"}, {**ENTRY, "at": "0001-01-01T00:00:00+00:00"},
    {"type": "drop"}, {"type": "drop", "seqs": 5}, {"type": "drop", "seqs": [5]}, {"type": "drop", "seqs": [[1]]},
    {"type": "drop", "seqs": [["1", "2"]]}, {"type": "drop", "seqs": None}, {"type": "sealed", "run": "r", "seqs": [[1, 2, 3]]},
]  # fmt: skip
BEYOND: list[Any] = [
    {**ENTRY, "ref": "thing/X"}, {**ENTRY, "ref": "catalog"}, {**ENTRY, "ref": "catalog/C/D"}, {**ENTRY, "op": "explode"},
    {**ENTRY, "fields": 5}, {"type": "segment", "next": "x"}, {"type": "end", "entries": "x"},
]  # fmt: skip
"""What a glance does not look at."""


def damaged(read: Callable[[], Any], path: Path, line: int) -> None:
    with pytest.raises(Damaged) as caught:
        read()
    assert (caught.value.path, caught.value.line) == (str(path), line), caught.value
    assert caught.value.hint


def segment(folder: Path, *records: Any) -> Path:
    path = folder / "journal" / "000001.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = [json.dumps(record, separators=(",", ":")).encode() for record in records]
    path.write_bytes(b"".join(map(encode_line, lines)))
    return path


@pytest.mark.parametrize("odd", [*ODD, *BEYOND], ids=lambda odd: str(odd)[:40])
def test_a_record_that_makes_no_sense_is_damage(tmp_path: Path, odd: Any) -> None:
    """Its checksum is right, so it was written so: by hand, or by a newer version."""
    path = segment(tmp_path, {"type": "segment", "next": 1}, ENTRY, odd)
    damaged(lambda: journal(tmp_path).entries(), path, 3)
    if odd in ODD:
        damaged(lambda: summarize_journal(path.parent, pytest.fail), path, 3)


def test_nested_without_end_is_damage(tmp_path: Path) -> None:
    path = segment(tmp_path, {"type": "segment", "next": 1})
    deep = b'{"type":"entry","xp":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path.write_bytes(path.read_bytes() + encode_line(deep))
    damaged(lambda: journal(tmp_path).entries(), path, 2)
    damaged(lambda: summarize_journal(path.parent, pytest.fail), path, 2)


def test_a_range_wider_than_the_journal_ends(tmp_path: Path) -> None:
    path = segment(tmp_path, ENTRY, {**ENTRY, "seq": 9}, {"type": "drop", "seqs": [[2, 2**62]]})
    assert [e.seq for e in journal(tmp_path).entries()] == [1]
    assert summarize_journal(path.parent, pytest.fail).entries == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "seq", "seqs", "ref", "at", "op"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
RECORDS = st.one_of(
    st.dictionaries(st.sampled_from(["type", "seq", "seqs", "ref", "at", "op", "fields"]), VALUES, min_size=1),
    st.builds(lambda odd: {**ENTRY, **odd}, st.dictionaries(st.sampled_from(["seq", "ref", "at", "op"]), VALUES, max_size=2)),
    st.builds(lambda seqs: {"type": "drop", "seqs": seqs}, st.lists(st.tuples(st.integers(), st.integers()), max_size=3)),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(records=st.lists(RECORDS, max_size=4))
def test_two_readers_of_any_records_agree_or_refuse(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any]
) -> None:
    """Nothing but Damaged comes out of either; what both take they take alike."""
    read_twice(tmp_path_factory, records)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(records=st.lists(RECORDS, max_size=4))
def test_two_readers_agree_on_many_more_records(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any]
) -> None:
    read_twice(tmp_path_factory, records)


def read_twice(tmp_path_factory: pytest.TempPathFactory, records: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("odd")
    path = segment(folder, *records)

    def outcome(read: Callable[[], int]) -> int | str:
        try:
            return read()
        except Damaged:
            return "damaged"

    full = outcome(lambda: len(journal(folder, []).entries()))
    quick = outcome(lambda: summarize_journal(path.parent, lambda text: None).entries)
    assert full == "damaged" or full == quick


def whole(tmp_path: Path) -> Path:
    """A run's folder with something in every log."""
    book = journal(tmp_path)
    book.append(some(3))
    run = Runs(tmp_path / "runs", pytest.fail).seal(book, RunInfo(id="r", steps=1), [1, 2, 3])
    from ocsync.consolidate import consolidate
    from ocsync.plan import build

    run.write_plan(build(consolidate(list(run.entries())[:1])).steps)
    run.record([Intent(number=1, ref="catalog/C0", sent={"Name": "x"})])
    run.record([Outcome(number=1, ref="catalog/C0", state=State.DONE)])
    run.record_before([("catalog/C0", {"Name": "old"}), ("catalog/C1", None)])
    run.close()
    return run.path


@pytest.mark.parametrize("name", ["journal", "plan"])
def test_what_was_written_whole_is_whole_or_damaged(tmp_path: Path, name: str) -> None:
    """A plan that ends early would leave out staged entries without a word."""
    path = whole(tmp_path) / f"{name}.jsonl"
    data = path.read_bytes()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        run = Run(path.parent, pytest.fail)
        damaged(run.check_whole, path, data[:cut].count(b"\n") + 1)


def test_an_import_cut_at_every_byte_is_told(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.add_segment(some(3))
    path = tmp_path / "journal" / "000001.jsonl"
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for cut in range(first, len(data)):
        path.write_bytes(data[:cut])
        with pytest.raises(Damaged):
            journal(tmp_path).entries()


@pytest.mark.parametrize("name", ["outcomes", "before"])
def test_what_grows_is_read_as_far_as_it_was_acknowledged(tmp_path: Path, name: str) -> None:
    path = whole(tmp_path) / f"{name}.jsonl"
    data, read = path.read_bytes(), {"outcomes": Run.outcomes, "before": Run.before}[name]
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        said: list[str] = []
        found: list[Any] = list(read(Run(path.parent, said.append)))
        assert len(found) == data[:cut].count(b"\n")
        assert bool(said) is (cut > 0 and data[cut - 1 : cut] != b"\n")


LOGS: list[tuple[str, Callable[[Run], Any]]] = [
    ("plan", Run.steps), ("journal", Run.entries), ("outcomes", Run.outcomes), ("before", Run.before), ("findings", Run.findings),
]  # fmt: skip


@pytest.mark.parametrize(("name", "read"), LOGS, ids=[name for name, _ in LOGS])
@pytest.mark.parametrize("odd", [{"a": 1}, {"ref": "thing/X", "type": "outcome"}, {"ref": 5}])
def test_odd_records_of_a_run(
    tmp_path: Path, name: str, read: Callable[[Run], Any], odd: Any
) -> None:
    path = whole(tmp_path) / f"{name}.jsonl"
    lines = path.read_bytes().count(b"\n") if path.exists() else 0
    with path.open("ab") as file:
        file.write(encode_line(json.dumps(odd).encode()))
    damaged(lambda: list(read(Run(path.parent, pytest.fail))), path, lines + 1)


def test_odd_messages_of_a_listener(tmp_path: Path) -> None:
    path = tmp_path / "delivery.jsonl"
    path.write_bytes(encode_line(b'{"at":5}'))
    damaged(lambda: list(DeliveryLog(path).read()), path, 1)
