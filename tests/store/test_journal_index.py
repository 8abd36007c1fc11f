"""The index of a journal: the same answers with it, without it, and however it was meddled with."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec.json import encode

from ocsync import groups
from ocsync.consolidate import consolidate
from ocsync.engine.resume.drafting import draft_plan
from ocsync.errors import Damaged
from ocsync.models import Entry
from ocsync.plan import build
from ocsync.schema import KINDS, refs
from ocsync.store import Journal, RunInfo, Runs, journal, journal_index, summary
from ocsync.store.number_ranges import NumberRanges
from tests.builders import entry, numbered
from tests.store import test_journal

NAME = "refs.index"


@pytest.fixture(autouse=True, scope="module")
def _small_index() -> Iterator[None]:
    """Make an index of next to nothing, in blocks and steps of next to nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "INDEX_BYTES", 400)
        patch.setattr(journal, "ROLL_BYTES", 1_500)
        patch.setattr(groups, "_SIZE", 2)
        patch.setattr(journal, "_MANY", 3)
        patch.setattr(journal, "_MANY_SEGMENTS", 3)
        patch.setattr(journal_index, "_BLOCK_ROWS", 3)
        patch.setattr(journal_index, "_MARK_BYTES", 300)
        yield


class IndexedJournalMachine(test_journal.JournalMachine):
    """The journal with an index, against the same list."""

    @rule()
    def end_the_runs_and_compact(self) -> None:
        self.sealed = {f"r{n}": [] for n in range(len(self.sealed))}
        self.book.compact()

    def teardown(self) -> None:
        try:
            self.check_what_is_looked_up()
        finally:
            super().teardown()

    def check_what_is_looked_up(self) -> None:
        book = self.book
        totals, fresh = book.totals(), answers(book)
        assert totals.entries == totals.refs == len(self.model)
        assert fresh == answers_without_index(self.folder)


TestIndexedJournalMachine = IndexedJournalMachine.TestCase
TestIndexedJournalMachine.settings = settings(
    max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


def answers(book: Journal) -> object:
    """Everything that can be asked of a journal."""
    entries = book.entries()
    refs = sorted({one.ref.upper() for one in entries} | {"catalog/none", "catalog/C0"})
    numbers = range(-1, 60)
    return (
        entries,
        book.totals(),
        [(ref, book.of_refs([ref])) for ref in refs],
        book.of_refs(refs),
        [book.with_numbers([number]) for number in numbers],
        book.with_numbers(numbers),
        list(book.stream(NumberRanges([(3, 9), (12, 40)]))),
        list(book.of_kinds({"catalog"})),
        book.imports(),
        book.run_ids(),
    )


def answers_without_index(folder: Path) -> object:
    bare = folder / "bare"
    (bare / "journal").mkdir(parents=True)
    for path in (folder / "journal").glob("0*.jsonl"):
        shutil.copy(path, bare / "journal")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "INDEX_BYTES", 10**9)
        found = answers(test_journal.journal(bare))
    shutil.rmtree(bare)
    return found


def staged(folder: Path, *, returned: bool = True) -> Journal:
    """A journal of several segments with an index: refs with several entries, some unstaged."""
    book = test_journal.journal(folder)
    rows = [
        entry(
            "set", f"catalog/C{n % 7}", {"Name": "x" * n}, at=f"2026-01-0{n % 5 + 1}T00:00:00+00:00"
        )
        for n in range(20)
    ]
    book.append(rows[:4])
    book.add_segment(iter(rows), lambda: "digest")
    book.drop([2, 9, 10, 11, 12, 24])
    book.append([entry("set", "CATALOG/c3".lower(), {"Name": "case"})])
    if returned:
        book.return_entries("r", [book.with_numbers([7])[0], *rows_with_numbers(rows, 9, 12)])
    book.append([entry("put", "catalog/C9", {"Name": "last"})])
    assert (folder / "journal" / NAME).exists()
    return book


def rows_with_numbers(rows: list[Entry], *numbers: int) -> list[Entry]:
    import msgspec

    return [msgspec.structs.replace(rows[number], seq=number) for number in numbers]


def test_every_answer_is_that_of_the_log(tmp_path: Path) -> None:
    book = staged(tmp_path)
    expected = answers_without_index(tmp_path)
    assert answers(book) == expected
    assert answers(test_journal.journal(tmp_path)) == expected


def removed(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_in_its_place(path: Path) -> None:
    shutil.move(path, path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def other_format(path: Path) -> None:
    from ocsync.store.log import decode_line, encode_line

    header, _, rows = path.read_bytes().partition(b"\n")
    payload = (decode_line(header) or b"").replace(b'"format":1', b'"format":2')
    path.write_bytes(encode_line(payload) + rows)


def of_another_journal(path: Path) -> None:
    staged(path.parent.parent / "other", returned=False)
    shutil.copy(path.parent.parent / "other/journal" / NAME, path)


MEDDLING = [
    removed,
    emptied,
    folder_in_its_place,
    link_in_its_place,
    other_format,
    of_another_journal,
]


@pytest.mark.parametrize("meddle", MEDDLING, ids=lambda meddle: meddle.__name__)
def test_an_index_that_is_not_ours_changes_no_answer(
    tmp_path: Path, meddle: Callable[[Path], None]
) -> None:
    staged(tmp_path)
    expected = answers_without_index(tmp_path)
    meddle(tmp_path / "journal" / NAME)
    assert answers(test_journal.journal(tmp_path)) == expected


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, object]:
    """A journal with its index, the index's bytes, and the answers."""
    folder = tmp_path_factory.mktemp("whole")
    staged(folder)
    return folder, (folder / "journal" / NAME).read_bytes(), answers_without_index(folder)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_an_index_with_a_turned_bit_or_cut_changes_no_answer(
    whole: tuple[Path, bytes, object], data: st.DataObject
) -> None:
    damage(whole, data)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_damage_to_an_index_changes_an_answer(
    whole: tuple[Path, bytes, object], data: st.DataObject
) -> None:
    damage(whole, data)


def damage(whole: tuple[Path, bytes, object], data: st.DataObject) -> None:
    """Turn a bit of the index, or cut it there, and ask twice."""
    folder, index, expected = whole
    place = data.draw(st.integers(0, len(index) - 1))
    cut = data.draw(st.booleans())
    turned = index[:place] + bytes([index[place] ^ (1 << place % 8)]) + index[place + 1 :]
    (folder / "journal" / NAME).write_bytes(index[:place] if cut else turned)
    assert answers(test_journal.journal(folder)) == expected
    assert answers(test_journal.journal(folder)) == expected


def test_a_damaged_index_does_not_stop_an_import(tmp_path: Path) -> None:
    staged(tmp_path)
    path = tmp_path / "journal" / NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + b"???")
    rows = [entry("set", f"catalog/C{n}", {"Name": "x" * 90}) for n in range(20)]
    assert test_journal.journal(tmp_path).add_segment(iter(rows)) == 20
    assert answers(test_journal.journal(tmp_path)) == answers_without_index(tmp_path)


@pytest.mark.slow
def test_an_old_index_holds_for_what_it_has_seen(tmp_path: Path) -> None:
    """At each point of a journal's life the index of an earlier point is put back."""
    book = test_journal.journal(tmp_path)
    path, old = tmp_path / "journal" / NAME, list[bytes]()
    acts: list[Callable[[], object]] = [
        lambda: book.append([entry("set", f"catalog/C{n}", {"Name": "x" * 50}) for n in range(6)]),
        lambda: book.drop([2, 3]),
        lambda: book.add_segment(
            entry("set", f"catalog/C{n}", {"Name": "y" * 90}) for n in range(9)
        ),
        lambda: book.drop(range(4, 12)),
        lambda: book.append([entry("set", "catalog/C2", {"Name": "z" * 300})]),
        lambda: book.append([entry("set", "catalog/C3", {"Name": "z" * 300})]),
        lambda: book.clear(),
        lambda: book.append([entry("set", "catalog/C4", {"Name": "z" * 500})]),
    ]
    for act in acts:
        act()
        expected = answers_without_index(tmp_path)
        if path.exists():
            old.append(path.read_bytes())
        for data in old:
            path.write_bytes(data)
            assert answers(test_journal.journal(tmp_path)) == expected
            path.write_bytes(data)
            test_journal.journal(tmp_path).totals()
    assert len(set(old)) > 3


@pytest.mark.parametrize("is_settled", [False, True])
@pytest.mark.parametrize("place", range(2))
def test_a_changed_segment_is_not_believed_to_be_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, is_settled: bool
) -> None:
    """Not even when it has the same size and was written in the same moment.

    One whose time tells nothing is found out when its entries are read.
    """
    staged(tmp_path)
    monkeypatch.setattr(journal_index, "_SETTLED_NS", -(10**18) if is_settled else 10**18)
    path = sorted((tmp_path / "journal").glob("0*.jsonl"))[place]
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"catalog/C1"', b'"catalog/X1"'))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(Damaged):
        answers(test_journal.journal(tmp_path))


def test_an_index_does_not_hide_kinds_that_this_version_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = test_journal.journal(tmp_path)
    book.add_segment(entry("set", f"catalog/C{n}", {"Name": "x" * 50}) for n in range(9))
    book.append([entry("set", "product/P", {"Name": "y" * 50})])
    older = {name: kind for name, kind in KINDS.items() if name != "catalog"}
    slashes = {name: number for name, number in refs._SLASHES.items() if name in older}
    monkeypatch.setattr(refs, "_SLASHES", slashes)
    for module in (refs, journal_index):
        monkeypatch.setattr(module, "KINDS", older)
    with pytest.raises(Damaged, match="not a ref that this ocsync knows"):
        test_journal.journal(tmp_path).entries()


def test_an_index_that_cannot_be_written_is_made_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged(tmp_path)
    expected = answers_without_index(tmp_path)
    (tmp_path / "journal" / NAME).unlink()

    def full(path: Path) -> contextlib.AbstractContextManager[None]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ocsync.store.files.atomic_writer", full)
    assert answers(test_journal.journal(tmp_path)) == expected
    assert not (tmp_path / "journal" / NAME).exists()


def test_a_journal_in_which_something_always_stays_is_bounded(tmp_path: Path) -> None:
    book = test_journal.journal(tmp_path)
    rows = [entry("set", f"catalog/C{n}", {"Name": "x" * 50}) for n in range(40)]
    book.append([entry("set", "catalog/always", {"Name": "first"})])
    sizes = []
    for n in range(12):
        book.add_segment(iter(rows), lambda n=n: f"import {n}")  # type: ignore[misc]
        new = book.with_numbers(range(2, 1000))
        runs = Runs(tmp_path / "runs", pytest.fail)
        runs.seal(book, RunInfo(id=f"r{n}"), [one.seq for one in new[:-1]])
        book.return_entries(f"r{n}", new[:2])
        book.drop([one.seq for one in (*new[:2], new[-1])])
        assert book.imports().keys() >= {f"import {n}"}
        book.compact()
        expected = answers_without_index(tmp_path)
        assert answers(test_journal.journal(tmp_path)) == expected
        sizes.append(sum(p.stat().st_size for p in (tmp_path / "journal").glob("0*")))
    assert [one.ref for one in book.entries()] == ["catalog/always"]
    assert max(sizes) < 2_000
    assert len(list((tmp_path / "journal").glob("0*"))) < 6


def test_a_journal_whose_edits_were_all_sent_is_as_new(tmp_path: Path) -> None:
    book = staged(tmp_path)
    runs = Runs(tmp_path / "runs", pytest.fail)
    runs.seal(book, RunInfo(id="r"), [one.seq for one in book.entries()])
    book.compact()
    [path] = (tmp_path / "journal").iterdir()
    assert path.stat().st_size < 100
    assert book.append([entry("set", "catalog/C", {"Name": "new"})])[0].seq == 27


def test_an_import_of_which_something_is_staged_stays_known(tmp_path: Path) -> None:
    book = test_journal.journal(tmp_path)
    rows = [entry("set", f"catalog/C{n}", {"Name": "x" * 50}) for n in range(9)]
    book.add_segment(iter(rows), lambda: "digest")
    for _ in range(6):
        book.append(rows)
        runs = Runs(tmp_path / "runs", pytest.fail)
        runs.seal(book, RunInfo(id=f"r{_}"), [n.seq for n in book.entries() if n.seq > 3])
        book.return_entries(f"r{_}", book.with_numbers([2]))
        book.compact()
    assert [one.seq for one in book.entries()] == [1, 2, 3]
    assert book.imports() == {"digest": [range(1, 10)]}
    assert answers(test_journal.journal(tmp_path)) == answers_without_index(tmp_path)
    assert book.append(rows[:1])[0].seq == 64


EDITS = st.builds(
    lambda op, ref, fields, replace: entry(op, ref, fields, replace=replace),
    st.sampled_from(["set", "put", "adjust"]),
    st.sampled_from(["inventory/P/R", "inventory/p/r", "inventory/P/S", "inventory/Q/R", "product/P", "product/Q", "address/A"]),
    st.dictionaries(
        st.sampled_from(["QuantityAvailable", "ParentID", "AddressID", "Inventory.Enabled", "DefaultSupplierID", "xp.a", "xp.b.c"]),
        st.integers(0, 3),
        max_size=3,
    ),
    st.booleans(),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.lists(EDITS, min_size=1, max_size=9), min_size=1, max_size=6),
    dropped=st.sets(st.integers(1, 40), max_size=12),
)
def test_the_plan_of_a_streamed_journal_is_that_of_its_entries_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Entry]], dropped: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("plan")
    for number, part in enumerate(parts):
        book = test_journal.journal(folder)
        if number % 2:
            book.append(part)
        else:
            book.add_segment(iter(part), lambda: "digest")
    test_journal.journal(folder).drop(dropped)
    every = numbered(one for part in parts for one in part)
    kept = [one for one in every if one.seq not in dropped]

    drafted = draft_plan(test_journal.journal(folder).stream())
    assert encode(drafted.plan) == encode(build(consolidate(kept)))
    assert list(drafted.numbers.numbers()) == [one.seq for one in kept]
