"""A workspace that was meddled with: what makes no sense is told, and never believed.

Every bit of the small files, and every byte of the logs; the quick tests take some of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ocsync.errors import Damaged
from ocsync.store import Workspace
from tests.builders import Result, Shop
from tests.cli.test_hostile import fair
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume

Words = tuple[str, ...]
OFFLINE: Words = ("status", "--offline")
SMALL: dict[str, tuple[Words, ...]] = {
    "workspace.toml": (OFFLINE, ("profile", "list")),
    "profile.toml": (OFFLINE, ("profile", "list"), ("plan",)),
    "marketplace.toml": (OFFLINE, ("profile", "show"), ("plan",)),
    "pause.toml": (OFFLINE, ("plan",)),
    "run.json": (OFFLINE, ("history",)),
}
"""Each small file, and commands that read it."""
LOGS: dict[str, Words] = {
    "journal/*": ("stage", "list"), "*/outcomes.jsonl": ("history", "RUN"), "*/findings.jsonl": ("history", "RUN"),
}  # fmt: skip
"""Each log, and a command that reads all of it."""


@pytest.fixture
def crashed(ocsync: Run, shop: Shop) -> Path:
    """A workspace with all there can be in one: staged, paused, run, and a run cut off."""
    refs = shop.stock(records=6)
    ocsync("pause", "inventory", "--reason", "x", "--for", "2h")
    for ref in refs[:3]:
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    shop.faults({"method": "GET", "path": "R0", "status": 403, "after": 1})
    assert ocsync("resume", "--verify").code == 75, "one could not be read, and is a finding"
    ocsync("pause", "inventory")
    for ref in refs[3:]:
        ocsync("stage", "set", ref, "QuantityAvailable=8")
    crash_resume(shop, CrashPoint("request", 1, "after"))
    ocsync("stage", "set", refs[0], "QuantityAvailable=7")
    Path("more.csv").write_text("ref,NotificationPoint\n" + "".join(f"{ref},5\n" for ref in refs))
    assert ocsync("stage", "import", "more.csv").code == 0
    return Path(".ocsync")


def turned(path: Path, every: int, *, bits: int = 8) -> Iterator[int]:
    """*path* with a bit turned, each of them in turn but for those left out; then as it was."""
    data = path.read_bytes()
    for place in range(0, len(data) * bits, every):
        at, bit = (place // 8, place % 8) if bits == 8 else (place, place % 8)
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :])
        yield at
    path.write_bytes(data)


def meddled(folder: Path, every: int) -> Iterator[tuple[Path, int]]:
    """Each file of the workspace with a bit turned in one byte, as `turned` does it."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "lock" not in p.name):
        for place in turned(path, every, bits=1):
            yield path, place


def turn_small(ocsync: Run, crashed: Path, name: str, every: int) -> None:
    for path in sorted(crashed.rglob(name)):
        for place in turned(path, every):
            for words in SMALL[name]:
                result = ocsync(*words)
                fair(result, (path, place, words))
                ways_out = ("next:", "profiles in this workspace:", "did you mean ")
                told = result.code != 78 or any(way in result.err for way in ways_out)
                assert told, (path, place, words, result.err)


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", SMALL)
def test_a_turned_bit_is_told_and_not_believed(ocsync: Run, crashed: Path, name: str) -> None:
    turn_small(ocsync, crashed, name, every=101)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SMALL)
def test_every_turned_bit_of_the_small_files(ocsync: Run, crashed: Path, name: str) -> None:
    turn_small(ocsync, crashed, name, every=1)


def names_the_place(result: Result, path: Path, line: int) -> bool:
    return result.code == 78 and f"{path}:{line}:" in result.err and "next:" in result.err


def turn_logs(ocsync: Run, crashed: Path, every: int) -> None:
    logs = [
        (p, words) for glob, words in LOGS.items() for p in crashed.glob(f"profiles/test/**/{glob}")
    ]
    assert len(logs) >= 4
    for path, words in logs:
        data = path.read_bytes()
        for place in turned(path, every, bits=1):
            result = ocsync(*(path.parent.name if word == "RUN" else word for word in words))
            fair(result, (path, place))
            line = data[:place].count(b"\n") + 1
            if data[place : place + 1] == b"\n":  # two lines have become one, or the last is torn
                assert result.code == 78 or place == len(data) - 1, (path, place, result)
            else:
                assert names_the_place(result, path.absolute(), line), (path, place, result)


@pytest.mark.slow
def test_a_turned_bit_in_a_log_stops_with_file_and_line(ocsync: Run, crashed: Path) -> None:
    turn_logs(ocsync, crashed, every=31)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_byte_of_the_logs(ocsync: Run, crashed: Path) -> None:
    turn_logs(ocsync, crashed, every=1)


def resume_over_damage(ocsync: Run, shop: Shop, crashed: Path, every: int) -> None:
    [open_run] = [p.parent for p in crashed.rglob("run.json") if '"open"' in p.read_text()]
    logs = [*crashed.glob("profiles/test/journal/*.jsonl"), *open_run.glob("[!b]*.jsonl")]
    logs = [path for path in logs if path.name != "pace.jsonl"]  # no step depends on it
    assert {path.name for path in logs} >= {"outcomes.jsonl", "plan.jsonl", "journal.jsonl"}
    before = len(shop.writes())
    for path in filter(lambda path: path.stat().st_size, logs):
        for place in turned(path, every, bits=1):
            if place + 1 == path.stat().st_size and path.name == "outcomes.jsonl":
                continue  # a torn last line, as a crash leaves it
            result = ocsync("resume")
            assert (result.code, f"{path.name}:" in result.err) == (78, True), (path, place, result)
    assert len(shop.writes()) == before
    assert ocsync("resume", "--verify").code == 0, "with the files restored it goes on"


def test_a_resume_over_damage_sends_nothing(ocsync: Run, shop: Shop, crashed: Path) -> None:
    """With a damaged log of the open run or the journal the resume stops before its first write."""
    resume_over_damage(ocsync, shop, crashed, every=211)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_resume_over_any_damage_sends_nothing(ocsync: Run, shop: Shop, crashed: Path) -> None:
    resume_over_damage(ocsync, shop, crashed, every=5)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", [*SMALL][::2])
def test_a_small_file_cut_somewhere_is_told(ocsync: Run, crashed: Path, name: str) -> None:
    """They are replaced whole, so a part of one is damage."""
    cut_small(ocsync, crashed, name, every=19)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_small_file_cut_anywhere_is_told(ocsync: Run, crashed: Path, name: str) -> None:
    cut_small(ocsync, crashed, name, every=2)


def cut_small(ocsync: Run, crashed: Path, name: str, every: int) -> None:
    path = next(iter(sorted(crashed.rglob(name))))
    data = path.read_bytes()
    for cut in range(0, len(data), every):
        path.write_bytes(data[:cut])
        for words in SMALL[name]:
            fair(
                ocsync(*(path.parent.name if w == "RUN" else w for w in words)), (name, cut, words)
            )


def test_a_pause_of_no_target_is_damage(ocsync: Run, crashed: Path) -> None:
    path = crashed / "profiles/test/pause.toml"
    path.write_text(path.read_text().replace("[inventory", "[inventoty"))
    folder = Workspace(crashed.absolute()).open_profile("", warn=pytest.fail)
    with pytest.raises(Damaged, match="not a sync target"):
        folder.read_pauses()


def test_damage_in_the_journal_names_file_and_line(ocsync: Run) -> None:
    ocsync("stage", "set", "catalog/C", "Active=true")
    ocsync("stage", "set", "catalog/D", "Active=true")
    [file] = Path(".ocsync/profiles/test/journal").iterdir()
    file.write_text(file.read_text().replace("catalog/C", "catalog/X"))
    for words in (("plan",), ("status", "--offline"), ("stage", "list"), ("resume",)):
        result = ocsync(*words)
        assert result.code == 78
        assert "000001.jsonl:2" in result.err
