"""Damaged logs: what the doctor says would be lost, and that nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ocsync.engine.doctor import LOCAL, Check, Level, Needs, Setup, run_checks
from ocsync.engine.doctor.check import passed
from ocsync.engine.doctor.environment import _mismatch
from ocsync.engine.doctor.leftovers import next_restore, restore
from ocsync.errors import ExitCode
from ocsync.models import Delivery
from ocsync.store import Workspace
from tests.builders import Result, Shop, csv_of
from tests.cli.test_damage import crashed, meddled
from tests.cli.test_doctor import FOLDER, look, said
from tests.cli.test_hostile import fair
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import profile_dir

__all__ = ["crashed"]
JOURNAL = FOLDER / "journal/000001.jsonl"


def spoil(path: Path, line: int) -> bytes:
    """Turn a bit in the middle of a line, counted from 1 or from the end; the file as it was."""
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    number = line - 1 if line > 0 else len(lines) + line
    place = len(lines[number]) // 2
    while lines[number][place] in b'"\\' or lines[number][place] ^ 1 in b'"\\\n':
        place += 1
    spoilt = lines[number][:place] + bytes([lines[number][place] ^ 1]) + lines[number][place + 1 :]
    path.write_bytes(b"".join([*lines[:number], spoilt, *lines[number + 1 :]]))
    return data


def staged(ocsync: Run) -> list[str]:
    return [row["ref"] for row in ocsync("stage", "list", "--json").data["staged"]]


def mended(ocsync: Run) -> Result:
    """Refused unasked; then repaired, with nothing left to repair."""
    before = {p: p.read_bytes() for p in FOLDER.rglob("*.jsonl")}
    refused = look(ocsync, "--fix")
    assert refused.code == 78
    assert "this is not a terminal (or give --yes)" in refused.err
    assert {p: p.read_bytes() for p in FOLDER.rglob("*.jsonl")} == before
    result = look(ocsync, "--fix", "--yes")
    assert said(result, "logs") == []
    return result


def test_a_lost_entry_is_shown_and_the_others_stay(ocsync: Run) -> None:
    for n in range(3):
        ocsync("stage", "set", f"catalog/C{n}", "Active=true")
    whole = spoil(JOURNAL, 3)
    damaged = JOURNAL.read_bytes()
    assert ocsync("stage", "list").code == 78
    result = look(ocsync)
    assert result.code == 78
    [found] = said(result, "logs")
    assert found["what"] == "journal/000001.jsonl: line 3 of 4 damaged"
    assert "2 entries would remain staged; edits in these lines would be lost" in found["why"]
    assert "line 3 now reads: " in found["details"][0]
    assert '"type":"entry"' in found["details"][0]
    assert "ocsync doctor --fix (asks first)" in found["fix"]
    shown = ocsync("doctor", "--offline").out
    assert "line 3 now reads" in shown
    assert "not checked without readable logs: copies, restore, extras" in shown
    assert shown.count("000001.jsonl") == 1, "nothing twice"

    mended(ocsync)
    assert staged(ocsync) == ["catalog/C0", "catalog/C2"]
    assert JOURNAL.with_name("000001.jsonl.damaged").read_bytes() == damaged
    assert JOURNAL.read_bytes() == b"".join(
        line for n, line in enumerate(whole.splitlines(keepends=True)) if n != 2
    )
    assert ocsync("stage", "set", "catalog/C9", "Active=true").code == 0
    spoil(JOURNAL, 2)
    mended(ocsync)
    assert JOURNAL.with_name("000001.jsonl.damaged-2").exists()
    assert staged(ocsync) == ["catalog/C2", "catalog/C9"]


def test_what_a_run_was_given_does_not_come_back(ocsync: Run, shop: Shop) -> None:
    """A lost seal would stage again what was sent already: an adjust would be added twice."""
    refs = shop.stock(records=3)
    ocsync("stage", "adjust", refs[0], "QuantityAvailable+=1")
    crash_resume(shop, CrashPoint("request", 1, "after"))
    ocsync("stage", "set", refs[1], "QuantityAvailable=9")
    assert b'"sealed"' in JOURNAL.read_bytes().splitlines()[2]
    spoil(JOURNAL, 3)
    [found] = said(look(ocsync), "logs")
    assert "1 entry would remain staged; 1 entry already in a run would be unstaged" in found["why"]
    mended(ocsync)
    assert staged(ocsync) == [refs[1]]
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == 6


def test_what_was_given_back_stays_staged_when_its_seal_is_lost(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "QuantityAvailable=9")
    ocsync("stage", "set", "catalog/NONE", "Active=true")
    assert ocsync("resume", "--on-conflict", "skip").code == 6
    assert staged(ocsync) == ["catalog/NONE"]
    number = next(
        n for n, line in enumerate(JOURNAL.read_bytes().splitlines(), 1) if b'"sealed"' in line
    )
    spoil(JOURNAL, number)
    mended(ocsync)
    assert staged(ocsync) == ["catalog/NONE"]


def test_a_lost_drop_is_said_to_bring_back_what_it_dropped(ocsync: Run) -> None:
    ocsync("stage", "set", "catalog/C", "Active=true")
    ocsync("stage", "drop", "catalog/C")
    ocsync("stage", "set", "catalog/D", "Active=true")
    spoil(JOURNAL, 3)
    [found] = said(look(ocsync), "logs")
    assert (
        "entries that these lines had dropped would be staged again: see stage list" in found["why"]
    )
    mended(ocsync)
    assert staged(ocsync) == ["catalog/C", "catalog/D"]


def test_numbers_are_not_given_twice_after_the_head_is_lost(ocsync: Run, shop: Shop) -> None:
    """Journal and run know an entry by its number, so a fresh start would mix them up."""
    refs = shop.stock(records=2)
    ocsync("stage", "import", "-", stdin=csv_of([("ref", "QuantityAvailable"), (refs[0], 9)]))
    ocsync("stage", "set", refs[1], "QuantityAvailable=9")
    assert ocsync("resume").code == 0
    assert ocsync("resume").code == 0, "which begins with an empty segment"
    [segment] = FOLDER.glob("journal/*.jsonl")
    assert len(segment.read_bytes().splitlines()) == 1
    spoil(segment, 1)
    mended(ocsync)
    assert (
        ocsync("stage", "set", refs[0], "QuantityAvailable=1", "--json").data["entry"]["seq"] == 3
    )


@pytest.fixture
def cut_off(ocsync: Run, shop: Shop) -> Path:
    """The folder of a run that died with a request under way, and two more to go."""
    refs = shop.stock(records=3, products=1)
    ocsync("stage", "set", refs[0], "QuantityAvailable=9")
    ocsync("stage", "adjust", refs[1], "QuantityAvailable+=1")
    ocsync("stage", "set", refs[2], "xp.a=1")
    crash_resume(shop, CrashPoint("request", 1, "after"))
    [folder] = [p for p in FOLDER.glob("runs/*") if p.is_dir()]
    return folder


def completes(ocsync: Run, shop: Shop) -> None:
    result = ocsync("resume", "--verify")
    assert result.code == 0, result
    found = [shop.get(f"/products/P0/inventoryrecords/R{n}") for n in range(3)]
    assert [one["QuantityAvailable"] for one in found] == [9, 6, 5]
    assert found[2]["xp"] == {"a": "1"}


def test_a_plan_is_made_again_without_loss(ocsync: Run, shop: Shop, cut_off: Path) -> None:
    whole = spoil(cut_off / "plan.jsonl", 2)
    [found] = said(look(ocsync), "logs")
    assert "nothing would be lost" in found["why"]
    mended(ocsync)
    assert (cut_off / "plan.jsonl").read_bytes() == whole
    completes(ocsync, shop)


def test_a_plan_that_cannot_be_made_again_is_left_alone(ocsync: Run, cut_off: Path) -> None:
    spoil(cut_off / "plan.jsonl", 2)
    spoil(cut_off / "journal.jsonl", 1)
    found = said(look(ocsync), "logs")
    assert [c["repairable"] for c in found if "plan.jsonl" in c["what"]] == [False]
    assert ocsync("resume").code == 78


def test_a_lost_intent_of_a_sum_is_told_by_its_ref(ocsync: Run, shop: Shop, cut_off: Path) -> None:
    log = cut_off / "outcomes.jsonl"
    number = next(n for n, line in enumerate(log.read_bytes().splitlines(), 1) if b"R1" in line) \
        if b"R1" in log.read_bytes() else 1  # fmt: skip
    spoil(log, number)
    [found] = said(look(ocsync), "logs")
    assert "steps would be read again" in found["why"]
    assert "applied twice: inventory/P0/R1" in found["why"]
    mended(ocsync)


def test_a_lost_entry_of_a_run_is_told_by_number_and_ref(
    ocsync: Run, shop: Shop, cut_off: Path
) -> None:
    spoil(cut_off / "journal.jsonl", 3)
    [found] = said(look(ocsync), "logs")
    assert "could not be staged again if their step fails: 3 (inventory/P0/R2)" in found["why"]
    mended(ocsync)
    completes(ocsync, shop)


def test_a_record_is_made_again_from_the_logs(ocsync: Run, shop: Shop, cut_off: Path) -> None:
    (cut_off / "run.json").write_text("{}")
    assert ocsync("resume").code == 78
    [found] = said(look(ocsync), "logs")
    assert "is not finished; resume continues it" in found["why"]
    mended(ocsync)
    completes(ocsync, shop)
    (cut_off / "run.json").write_text("[")
    assert "is finished" in said(look(ocsync), "logs")[0]["why"]
    mended(ocsync)
    assert ocsync("history", cut_off.name).code == 0
    assert ocsync("resume").code == 0
    assert staged(ocsync) == []


def test_a_record_that_nothing_tells_again_is_moved_away(ocsync: Run, cut_off: Path) -> None:
    (cut_off / "run.json").write_text("[")
    spoil(cut_off / "journal.jsonl", 1)
    found = said(look(ocsync), "logs")
    assert any("its folder would be renamed, with all files" in c["why"] for c in found)
    look(ocsync, "--fix", "--yes")
    assert not cut_off.exists()
    assert cut_off.with_name(cut_off.name + ".damaged").is_dir()
    assert ocsync("history").code == 0
    assert ocsync("resume").code == 0


def test_a_finished_run_with_damage_is_mended(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=3)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    assert ocsync("resume", "--verify").code == 0
    [folder] = [p for p in FOLDER.glob("runs/*") if p.is_dir()]
    spoil(folder / "outcomes.jsonl", -1)
    assert "history, verify and rollback would lack" in said(look(ocsync), "logs")[0]["why"]
    mended(ocsync)
    assert ocsync("history", folder.name).code == 0


def any_damage(ocsync: Run, crashed: Path, every: int) -> None:
    """Whatever byte is turned: it is told, never a surprise, and what can be mended is mended."""
    root = {p: p.read_bytes() for p in crashed.rglob("*") if p.is_file()}
    for path, place in meddled(crashed, every):
        result = look(ocsync)
        fair(result, (path, place))
        surprises = [c for c in result.data["checks"] if "failed itself" in c["what"]]
        assert not surprises, (path, place, surprises)
        if path.suffix == ".jsonl" and path.name != "pace.jsonl":  # what is lost there is a sample
            assert said(result, "logs"), (path, place)
        look(ocsync, "--fix", "--yes")
        left = [c for c in said(look(ocsync), "logs") if c["repairable"]]
        assert not left, (path, place, left)
        for p in crashed.rglob("*"):
            if p.is_file() and p not in root:
                p.unlink()
        for p, data in root.items():
            p.parent.mkdir(exist_ok=True)
            p.write_bytes(data)


@pytest.mark.slow
def test_a_turned_bit_anywhere(ocsync: Run, crashed: Path) -> None:
    any_damage(ocsync, crashed, every=797)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_turned_bits(ocsync: Run, crashed: Path) -> None:
    any_damage(ocsync, crashed, every=41)


def setup_of(now: str) -> Setup:
    from datetime import datetime

    root = Workspace(Path(".ocsync").absolute())
    return Setup(root, "", {}, Path.cwd(), datetime.fromisoformat(now))


def test_a_check_that_fails_says_so_and_stops_no_other() -> None:
    def broken(_: Setup) -> Iterator[Any]:
        yield passed("so far")
        raise ZeroDivisionError("oh")

    checks = [Check("a", broken), Check("b", lambda _: [passed("b")]),
              Check("c", lambda _: [passed("c")], Needs.PROFILE)]  # fmt: skip
    found = run_checks(setup_of("2026-01-01T00:00:00+00:00"), checks)
    assert [(one.id, one.level) for one in found.results] == [
        ("a", Level.FINE), ("a", Level.WRONG), ("b", Level.FINE),
    ]  # fmt: skip
    assert "this check itself failed: ZeroDivisionError: oh" in found.results[1].what
    assert found.skipped == {"c": "a workspace"}
    assert found.exit_code is ExitCode.FAILED


def test_every_check_has_a_name_of_its_own() -> None:
    names = [check.id for check in LOCAL]
    assert len(set(names)) == len(names)


RESTORES = [
    ("2026-11-24T08:00:00+00:00", "2026-11-29T03:00:00+00:00"),
    ("2026-11-29T02:59:59+00:00", "2026-11-29T03:00:00+00:00"),
    ("2026-11-29T03:00:00+00:00", "2026-12-06T03:00:00+00:00"),
    ("2026-12-31T00:00:00+00:00", "2027-01-03T03:00:00+00:00"),
]


@pytest.mark.parametrize(("now", "then"), RESTORES)
def test_staging_is_restored_on_sundays(now: str, then: str) -> None:
    assert next_restore(setup_of(now).now).isoformat() == then


@pytest.mark.parametrize(("now", "level", "what"), [
    ("2026-11-25T08:00:00+00:00", Level.FINE, "next restore Sun 29 Nov 03:00"),
    ("2026-11-28T20:00:00+00:00", Level.NOTE, "restored in 7 h; pending: the pause of inventory"),
    ("2026-11-30T08:00:00+00:00", Level.WRONG, "older than the last restore of staging"),
])  # fmt: skip
def test_nothing_is_carried_over_the_restore(run: Run, now: str, level: Level, what: str) -> None:
    run("init")
    run("profile", "add", "test", "--environment", "useast-staging", "--client-id", "c",
        "--secret-env", "S")  # fmt: skip
    (FOLDER / "pause.toml").write_text(
        '[inventory]\nphase = "paused"\nsince = "2026-11-24T08:00:00+00:00"\n'
    )
    [found] = restore(setup_of(now))
    assert found.level is level
    assert what in found.what


@pytest.mark.parametrize(("requirement", "text"), [
    ("typer<0.29,>=0.26", ""), ("typer<0.2,>=0.1", "typer is "), ("no-such-package>=1", "is missing"),
    ('uvloop>=99; sys_platform != "win32" and extra == "emulator"', ""), ("msgspec>=0.19", ""),
    ("rich (>=99)", "rich is"), ("filelock", ""),
])  # fmt: skip
def test_packages_are_held_against_what_ocsync_was_made_for(requirement: str, text: str) -> None:
    found = _mismatch(requirement)
    assert found.find(text) >= 0
    assert bool(found) is bool(text)


def test_json_of_a_finding_is_whole(run: Run) -> None:
    data = json.loads(run("doctor", "--json", "--offline").out)
    assert data["format"] == 2
    assert set(data["checks"][0]) == {"id", "level", "what", "why", "fix", "details", "repairable"}
    assert data["wrong"] == 1


def test_an_import_that_ends_early_is_damage_too(ocsync: Run) -> None:
    """Every line that is left is right; the last ones are gone."""
    Path("e.csv").write_text("ref,Name\n" + "".join(f"catalog/C{n},x\n" for n in range(5)))
    assert ocsync("stage", "import", "e.csv").code == 0
    data = JOURNAL.read_bytes()
    for left in (6, 4, 2):
        JOURNAL.write_bytes(b"".join(data.splitlines(keepends=True)[:left]))
        assert ocsync("stage", "list").code == 78
        [found] = said(look(ocsync), "logs")
        assert f"line {left + 1} of {left + 1} damaged" in found["what"]
        assert "now reads: nothing, the file ends" in found["details"][0]
        assert "edits in these lines would be lost" in found["why"]
        mended(ocsync)
        assert len(staged(ocsync)) == left - 1
        assert ocsync("stage", "set", "catalog/D", "Name=x").code == 0
        ocsync("stage", "drop", "catalog/D")


@pytest.mark.parametrize("name", ["plan", "journal"])
def test_an_open_run_that_lacks_a_line_is_damage_too(ocsync: Run, shop: Shop, name: str) -> None:
    refs = shop.stock(records=3)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request"))
    [path] = FOLDER.glob(f"runs/*/{name}.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    result = ocsync("resume")
    assert (result.code, f"{name}.jsonl:3: 3 records were written here" in result.err) == (78, True)
    assert shop.writes() == []
    [found] = said(look(ocsync), "logs")
    assert "line 3 of 3 damaged" in found["what"]
    mended(ocsync)
    assert ocsync("resume", "--verify").code == 0
    assert len(shop.writes()) == 3


def test_a_record_that_makes_no_sense_is_damage_too(ocsync: Run) -> None:
    from ocsync.store.log import encode_line

    ocsync("stage", "set", "catalog/C", "Name=x")
    with JOURNAL.open("ab") as file:
        file.write(encode_line(b'{"type":"entry","op":"set","ref":"thing/X","seq":9}'))
    ocsync("stage", "set", "catalog/D", "Name=x")
    assert ocsync("stage", "list").code == 78
    mended(ocsync)
    assert staged(ocsync) == ["catalog/C"]


def test_the_delivery_log_is_not_mended_under_a_running_listener(ocsync: Run, shop: Shop) -> None:
    """What the listener logs between reading and replacing the file would be lost."""
    log = profile_dir().delivery_log
    log.append([Delivery(at="2026-01-01T00:00:00+00:00", namespace="n", payload={}) for _ in "123"])
    spoil(log.path, 2)
    damaged = log.path.read_bytes()
    with profile_dir().listen_lock("http"):
        result = look(ocsync, "--fix", "--yes")
        assert result.code == 78
        assert "not repaired" in result.out + result.err
        assert log.path.read_bytes() == damaged
    mended(ocsync)
    assert len(log.path.read_bytes().splitlines()) == 2
