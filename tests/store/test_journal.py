"""The journal: entries in order, all or nothing, never lost and never doubled."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ocsync.errors import Damaged
from ocsync.models import Entry
from ocsync.store import Journal, RunInfo, Runs
from ocsync.store.summary import summarize_journal
from tests.builders import entry


def journal(folder: Path, said: list[str] | None = None) -> Journal:
    tell = said.append if said is not None else (lambda text: pytest.fail(text))
    return Journal(folder / "journal", contextlib.nullcontext, tell)


def some(number: int, start: int = 0) -> list[Entry]:
    return [entry("set", f"catalog/C{n}", {"Name": str(n)}) for n in range(start, start + number)]


def names(entries: list[Entry]) -> list[str]:
    return [e.fields["Name"] for e in entries]


def test_entries_get_numbers_and_keep_their_order(tmp_path: Path) -> None:
    book = journal(tmp_path)
    assert [e.seq for e in book.append(some(2))] == [1, 2]
    assert book.add_segment(some(3, 2)) == 3
    book.append(some(1, 5))

    assert names(journal(tmp_path).entries()) == list("012345")
    assert [e.seq for e in book.entries()] == [1, 2, 3, 4, 5, 6]


def test_an_import_that_fails_leaves_nothing(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.append(some(1))

    def broken() -> Iterator[Entry]:
        yield from some(5)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - our own, above
        book.add_segment(broken())
    assert names(book.entries()) == ["0"]
    assert len(list((tmp_path / "journal").iterdir())) == 1


@pytest.mark.slow
def test_every_segment_cut_at_every_byte(tmp_path: Path) -> None:
    """The last segment reads as a prefix; an earlier one that is cut in a line stops."""
    book = journal(tmp_path)
    book.append(some(2))
    book.append(some(1, 2))
    book.drop([2])
    [path] = (tmp_path / "journal").iterdir()
    data = path.read_bytes()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        found = names(journal(tmp_path, []).entries())
        assert found in ([], ["0"], ["0", "1"], ["0", "1", "2"])
        journal(tmp_path, []).append(some(1, 9))
        assert names(journal(tmp_path).entries())[-1] == "9"
    path.write_bytes(data.replace(b'"Name":"0"', b'"Name":"7"'))
    with pytest.raises(Damaged, match=r"000001\.jsonl:2"):
        book.entries()


def test_numbers_never_repeat_after_a_fresh_start(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.append(some(3))
    book.add_segment(some(1))
    book.clear()
    book.compact()

    assert len(list((tmp_path / "journal").iterdir())) == 1
    assert [e.seq for e in book.append(some(1))] == [5]


def sealed(tmp_path: Path, book: Journal, seqs: list[int], name: str = "r") -> Any:
    return Runs(tmp_path / "runs", pytest.fail).seal(book, RunInfo(id=name), seqs)


def test_given_back_entries_stand_at_the_head_and_only_once(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.append(some(3))
    run = sealed(tmp_path, book, [1, 2, 3])
    book.append(some(1, 3))

    back = [e for e in run.entries() if e.seq == 2]
    book.return_entries("r", back)
    book.return_entries("r", back)
    assert names(book.entries()) == ["1", "3"]
    book.drop([2])
    book.return_entries("r", back)
    assert names(book.entries()) == ["3"], "what was dropped since stays dropped"


class Killed(BaseException):
    """The process is gone at this point."""


@pytest.mark.parametrize("point", ["kept", "sealed", "renamed"])
def test_a_seal_that_is_killed_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    book = journal(tmp_path)
    book.append(some(3))
    runs = Runs(tmp_path / "runs", pytest.fail)

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if point == "kept":
            patch.setattr(Journal, "_append", die)
        if point == "sealed":
            patch.setattr(Runs, "_commit", die)
        with contextlib.suppress(Killed):
            runs.seal(book, RunInfo(id="r"), [1, 3])
    runs.recover(book)
    run = runs.find_unfinished()
    inside = names(list(run.entries())) if run else []

    assert sorted(inside + names(book.entries())) == ["0", "1", "2"]
    assert bool(run) is (point != "kept")
    assert not list((tmp_path / "runs").glob("*.new"))


class JournalMachine(RuleBasedStateMachine):
    """A journal against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._place = tempfile.TemporaryDirectory()
        self.folder = Path(self._place.name)
        self.model: list[tuple[int, str]] = []
        self.sealed: dict[str, list[Entry]] = {}
        self.next = 1
        self.count = 0

    def teardown(self) -> None:
        self._place.cleanup()

    @property
    def book(self) -> Journal:
        return journal(self.folder)

    def _add(self, number: int) -> list[Entry]:
        fresh = some(number, self.count)
        self.count += number
        self.model += [(self.next + n, e.fields["Name"]) for n, e in enumerate(fresh)]
        self.next += number
        return fresh

    @rule(number=st.integers(1, 3))
    def append(self, number: int) -> None:
        self.book.append(self._add(number))

    @rule(number=st.integers(0, 3))
    def add_segment(self, number: int) -> None:
        content = f"import {self.next}"
        assert self.book.add_segment(self._add(number), lambda: content) == number

    @rule(seqs=st.sets(st.integers(1, 30), max_size=5))
    def drop(self, seqs: set[int]) -> None:
        self.book.drop(seqs)
        self.model = [row for row in self.model if row[0] not in seqs]

    @rule()
    def clear(self) -> None:
        self.book.clear()
        self.model = []

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sets(st.sampled_from([seq for seq, _ in self.model])))
        name = f"r{len(self.sealed)}"
        run = Runs(self.folder / "runs", pytest.fail).seal(self.book, RunInfo(id=name), chosen)
        self.sealed[name] = list(run.entries())
        assert {e.seq for e in self.sealed[name]} == chosen
        self.model = [row for row in self.model if row[0] not in chosen]

    @precondition(lambda self: self.sealed)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.sealed)))
        entries = self.sealed[name]
        book = self.book
        before = book.entries()
        book.return_entries(name, entries)
        if book.entries() != before:
            self.model = sorted({*self.model, *((e.seq, e.fields["Name"]) for e in entries)})
        self.sealed[name] = []

    @invariant()
    def same_as_the_model(self) -> None:
        found = [(e.seq, e.fields["Name"]) for e in self.book.entries()]
        assert found == self.model
        seen = summarize_journal(self.folder / "journal", pytest.fail)
        assert seen.entries == len(self.model)


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
def test_many_more_and_longer_lives_of_a_journal() -> None:
    run_state_machine_as_test(
        JournalMachine,
        settings=settings(TestJournalMachine.settings, max_examples=120, stateful_step_count=30),
    )


def test_a_glance_loads_no_heavy_module(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.append(some(2))
    code = (
        "import sys; from pathlib import Path; from ocsync.store.summary import summarize_journal;"
        "print(summarize_journal(Path(sys.argv[1]), print).entries,"
        "[m for m in ('msgspec','httpx','asyncio','rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "journal"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "2 []"


def test_an_update_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    run = Runs(tmp_path / "runs", pytest.fail).create(RunInfo(id="r"), [])
    run.update(counts={"done": 3})
    path = run.path / "run.json"
    before = path.stat().st_ino, path.stat().st_mtime_ns
    assert run.update(counts={"done": 3}).counts == {"done": 3}
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before
    run.update(counts={"done": 4})
    assert Runs(tmp_path / "runs", pytest.fail).get("r").read_info().counts == {"done": 4}
