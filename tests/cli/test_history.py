"""Looking back: the list, one run, reports for other tools, and what may go."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from ocsync.engine import history
from ocsync.models import Finding, Sign
from ocsync.store import RunInfo, Runs
from ocsync.store import runs as store_runs
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash, crash_resume

RUNS = Path(".ocsync/profiles/test/runs")


def names(run: Run, *words: str) -> list[str]:
    return [info["id"] for info in run("history", *words, "--json").data["runs"]]


def runs() -> Runs:
    return Runs(RUNS, lambda text: None)


def age(name: str, days: int) -> None:
    """Make a run look as if it were from that many days ago."""
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    runs().get(name).update(started=at, ended=at)


@pytest.fixture
def three(ocsync: Run, shop: Shop) -> Run:
    """A run that is done, one that is done partly, and one of deletes; oldest first."""
    refs = shop.stock(records=4)
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    for ref in refs[:2]:
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume", "--verify").code == 0
    ocsync("stage", "put", "address/new", "Street1=s", "City=c", "Country=USA")
    ocsync("stage", "put", "address/new", "Street1=s", "City=c", "Country=US")
    ocsync("stage", "set", refs[2], "AddressID=new")
    ocsync("stage", "set", refs[3], "QuantityAvailable=8")
    assert ocsync("resume").code == 3
    ocsync("stage", "clear", "--yes")
    assert ocsync("delete", "catalog/C", "catalog/NONE", "--yes").code == 0
    for number, name in enumerate(reversed(names(ocsync)), 1):
        age(name, 30 - number)
    return ocsync


def test_the_list_is_narrowed(three: Run) -> None:
    deleted, partly, done = names(three)
    assert names(three, "--failed") == names(three, "--state", "failed") == [partly]
    assert names(three, "--state", "done") == [deleted, done]
    assert names(three, "--state", "open") == []
    assert names(three, "--type", "delete") == [deleted]
    assert (
        names(three, "--target", "inventory") == names(three, "--type", "resume") == [partly, done]
    )
    assert names(three, "--target", "catalog") == [deleted]
    assert names(three, "--since", "1d") == []
    day = (datetime.now().astimezone() - timedelta(days=28.5)).replace(tzinfo=None).isoformat()
    assert names(three, "--since", day) == [deleted, partly]
    assert names(three, "--since", "27.5d") == [deleted]
    assert names(three, "--limit", "1") == [deleted]
    shown = three("history", "--limit", "1")
    assert "and 2 runs more" in shown.err
    assert all(len(line) <= 80 for line in three("history").out.splitlines())
    assert "no run matches" in three("history", "--state", "open").out


WRONG: list[tuple[str, ...]] = [
    ("--state", "maybe"), ("--type", "pause"), ("--since", "yesterday"), ("--target", "catalog-wide"), ("--target", "orders"),
    ("--report", "pdf", "x"), ("--report", "csv"), ("0101", "--failed"), ("--report", "csv", "-", "--json"), ("--limit", "-1"),
    ("prune",), ("prune", "--keep", "-1"), ("prune", "--older-than", "old"),
]  # fmt: skip


def test_wrong_usage(ocsync: Run) -> None:
    for words in WRONG:
        result = ocsync("history", *words)
        assert result.code == 64, (words, result)
        assert "Traceback" not in result.err


def test_a_run_by_name_by_its_beginning_and_by_the_command_s_name(three: Run) -> None:
    partly = names(three)[1]
    for words in ((partly,), ("show", partly)):
        shown = three("history", *words)
        assert shown.code == 0
        assert f"run {partly} · resume by" in shown.out
        assert "3 edits, 3 steps" in shown.out
        assert "! address/new" in shown.out
        assert "blocked by address/new" in shown.out
        assert "partly done" in shown.out
    assert three("history", "9999").code == 66
    assert three("history", "--steps", "--state", "open").code == 66


def test_every_step_is_shown_when_asked_for(three: Run) -> None:
    deleted, partly, done = names(three)
    steps = three("history", partly, "--steps", "--json").data["steps"]
    assert [(s["method"], s["state"]) for s in steps] == [
        ("PUT", "failed"), ("PATCH", "done"), ("PATCH", "blocked"),
    ]  # fmt: skip
    table = three("history", partly, "--steps").out
    assert "! 1  PUT    failed   address/new" in table
    assert "blocked by address/new" in table
    assert "... and 2 steps more" in three("history", partly, "--steps", "--limit", "1").out
    of_deletes = three("history", deleted, "--steps", "--json").data["steps"]
    assert [(s["method"], s["state"], s["message"]) for s in of_deletes] == [
        ("DELETE", "done", ""), ("DELETE", "unchanged", "did not exist"),
    ]  # fmt: skip
    newest_done = three("history", "--steps", "--type", "resume", "--state", "done")
    assert f"run {done}" in newest_done.out


def test_a_long_run_is_shown_as_a_short_one_is(three: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = (
        ["--steps", "--json"],
        ["--steps", "--limit", "1"],
        *(["--report", form, "-"] for form in ("csv", "junit", "html")),
        ["--report", "markdown", "-", "--no-values"],
        ["--report", "csv", "-", "--no-values"],
    )
    shown = {name: [three("history", name, *form).out for form in forms] for name in names(three)}
    monkeypatch.setattr(store_runs, "LONG_PLAN", 0)
    monkeypatch.setattr(history, "_PART_SIZE", 2)
    for name, texts in shown.items():
        for form, text in zip(forms, texts, strict=True):
            assert three("history", name, *form).out == text


def test_a_run_says_how_long_targets_were_paused(three: Run, shop: Shop) -> None:
    _, partly, done = names(three)
    assert set(three("history", done, "--json").data["run"]["paused_seconds"]) == {"inventory"}
    assert "▶ inventory  paused for" in three("history", done).out
    assert three("history", partly, "--json").data["run"]["paused_seconds"] == {}, "it stays paused"
    assert three("unpause", "inventory").code == 0
    assert set(three("history", partly, "--json").data["run"]["paused_seconds"]) == {"inventory"}


def test_junit_is_what_a_ci_server_reads(three: Run) -> None:
    partly = names(three)[1]
    assert three("history", partly, "--report", "junit", "r.xml").code == 0
    suite = Xml.parse("r.xml").getroot()[0]
    assert {n: suite.get(n) for n in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3", "failures": "1", "errors": "0", "skipped": "1",
    }  # fmt: skip
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert next(iter(cases)) == "PUT address/new"
    failure = cases["PUT address/new"].find("failure")
    assert failure is not None
    assert "State" in (failure.text or "")
    assert cases["PATCH inventory/P3/R3"].find("failure") is None
    skipped = cases["PATCH inventory/P2/R2"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "blocked by address/new"
    assert suite.get("timestamp")
    datetime.fromisoformat(str(suite.get("timestamp")))


def test_what_verification_saw_is_in_the_reports(three: Run) -> None:
    done = names(three)[2]
    runs().get(done).write_findings([
        Finding(ref="inventory/P0/R0", sign=Sign.DIFFERS, fields={"QuantityAvailable": {"wanted": 7, "found": 9}}),
        Finding(ref="inventory/P1/R1", sign=Sign.MOVED, fields={"QuantityAvailable": {"wanted": 7, "found": 6}}),
    ])  # fmt: skip
    junit = Xml.fromstring(three("history", done, "--report", "junit", "-").out.encode())
    assert junit[0].get("failures") == "1"
    assert "QuantityAvailable=9 instead of 7" in Xml.tostring(junit, "unicode")
    rows = list(csv.DictReader(io.StringIO(three("history", done, "--report", "csv", "-").out)))
    assert [(row["ref"], row["verified"], row["found"]) for row in rows] == [
        ("inventory/P0/R0", "differs", "QuantityAvailable=9"),
        ("inventory/P1/R1", "moved", "QuantityAvailable=6"),
    ]
    assert (
        "verified: `*` `QuantityAvailable=9`"
        in three("history", done, "--report", "markdown", "-").out
    )


def test_no_text_breaks_a_report(ocsync: Run, shop: Shop) -> None:
    """What a platform says may hold anything; a report stays XML, a table, a row."""
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request"))
    [folder] = RUNS.iterdir()
    from ocsync.models import Outcome, State

    nasty = 'a|b\n<script>]]> "q" \x00\x1b[31m\ud83d \U0001f600 =1+1\u202e\x85\u2028\u2029\ufffe'
    nasty = nasty.encode("utf-8", "replace").decode()
    with runs().get(folder.name) as run:
        run.record([Outcome(number=1, ref=ref, state=State.FAILED, code="x<y", message=nasty)])
    junit = Xml.fromstring(ocsync("history", "--report", "junit", "-").out.encode())
    failure = next(junit.iter("failure"))
    assert "\U0001f600" in str(failure.text)
    assert failure.get("type") == "x<y"
    escapes = (r"\u0000\u001b[31m", r"=1+1\u202e\u0085\u2028\u2029\ufffe")
    assert all(text in str(failure.text) for text in escapes)
    markdown = ocsync("history", "--report", "markdown", "-").out
    [row] = [line for line in markdown.splitlines() if line.startswith("| 1 |")]
    assert row.count(" | ") == 3
    assert "<script>" not in row
    [cells] = csv.DictReader(io.StringIO(ocsync("history", "--report", "csv", "-").out))
    assert cells["state"] == "failed"
    assert "=1+1\u202e\x85\u2028\u2029\ufffe" in cells["message"], "the data are as they are"
    assert escapes[1] in ocsync("history", "--report", "html", "-").out


def test_a_run_cut_short_has_a_report_as_well(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=2)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request"))
    junit = Xml.fromstring(ocsync("history", "--report", "junit", "-").out.encode())
    assert junit[0].get("skipped") == "2"
    assert "how it ended is not known yet" in Xml.tostring(junit, "unicode")
    assert "not finished" in ocsync("history", "--steps").out
    assert ocsync("history", "--report", "junit", "no/such/folder/x.xml").code == 66


def test_old_runs_go_after_a_yes(three: Run) -> None:
    deleted, partly, done = names(three)
    assert three("unpause", "inventory").code == 0
    asked = three("history", "prune", "--keep", "1")
    assert (asked.code, "2 runs" in asked.out) == (64, True)
    dry = three("history", "prune", "--keep", "1", "--dry-run", "--json").data
    assert (dry["removed"], dry["found"]) == ([], [partly, done])
    assert len(names(three)) == 3
    gone = three("history", "prune", "--keep", "1", "--yes", "--json").data
    assert gone["removed"] == [partly, done]
    assert gone["bytes"] > 500
    assert names(three) == [deleted]
    assert [path.name for path in RUNS.iterdir()] == [deleted]
    assert (
        "nothing to remove: no run is old enough"
        in three("history", "prune", "--keep", "1", "--yes").out
    )


def test_age_and_number_together_keep_what_either_keeps(three: Run) -> None:
    deleted, partly, done = names(three)
    three("unpause", "inventory")
    age(done, 100)
    age(partly, 50)
    listed = ("history", "prune", "--dry-run", "--json")
    assert three(*listed, "--older-than", "90d").data["found"] == [done]
    assert three(*listed, "--older-than", "40d").data["found"] == [partly, done]
    assert three(*listed, "--older-than", "40d", "--keep", "2").data["found"] == [done]
    assert three(*listed, "--older-than", "1s", "--keep", "0").data["found"] == [
        deleted,
        partly,
        done,
    ]


def test_what_is_still_needed_never_goes(ocsync: Run, shop: Shop) -> None:
    """An unfinished run, one whose pause is to be lifted, and what was deleted."""
    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "AddressID=none")
    assert ocsync("resume").code == 3, "inventory stays paused for it"
    ocsync("stage", "clear", "--yes")
    assert ocsync("history", "prune", "--keep", "0", "--yes", "--json").data["removed"] == []
    assert ocsync("unpause", "inventory").code == 0
    ocsync("stage", "set", refs[1], "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request", 1, "after"))
    assert len(ocsync("history", "prune", "--keep", "0", "--yes", "--json").data["removed"]) == 1
    assert ocsync("resume").code == 0
    assert ocsync("delete", refs[0], "--yes").code == 0
    assert len(ocsync("history", "prune", "--keep", "0", "--yes", "--json").data["removed"]) == 2
    assert ocsync("stage", "set", refs[0], "QuantityAvailable=1").code == 65, (
        "that it is gone is known"
    )


def test_a_name_comes_again_only_when_nobody_remembers_it(ocsync: Run, shop: Shop) -> None:
    """A run with the name of one that is gone would be taken for it by the journal."""
    refs = shop.stock(records=2)
    for _ in range(3):
        ocsync("stage", "set", refs[0], "AddressID=none")
        ocsync("stage", "set", refs[1], "OrderCanExceed=true")
        assert ocsync("resume", "--no-pause").code == 3
        assert ocsync("stage", "list", "--json").data["staged_refs"] == 1, "given back each time"
        assert (
            len(ocsync("history", "prune", "--keep", "0", "--yes", "--json").data["removed"]) == 1
        )


@pytest.mark.slow
def test_down_in_the_middle_of_a_prune(three: Run) -> None:
    """What is removed only in part is no run; the next prune sweeps it up."""
    three("unpause", "inventory")
    before = names(three)
    words = ("history", "prune", "--keep", "1", "--yes")
    for point in (
        CrashPoint("rename", 1, "after"),
        CrashPoint("rename", 2, "before"),
        CrashPoint("rename", 2, "after"),
    ):
        assert crash(*words, at=point).code == -9
        assert set(names(three)) <= set(before)
        assert three("resume").code == 0
        assert three("status", "--offline").code == 0
        for path in RUNS.glob("*.gone"):
            os.rename(path, path.with_suffix(""))  # noqa: PTH104
    assert crash(*words, at=CrashPoint("rename", 2, "after")).code == -9
    assert three("history", "prune", "--keep", "0", "--yes").code == 0
    assert list(RUNS.iterdir()) == []


def test_an_old_record_without_the_new_facts_is_read(ocsync: Run) -> None:
    folder = RUNS / "1123-1504"
    folder.mkdir(parents=True)
    facts = {"id": "1123-1504", "state": "closed", "started": "2026-11-23T15:04:00+00:00"}
    (folder / "run.json").write_text(json.dumps(facts))
    assert ocsync("history").code == 0
    assert ocsync("history", "--steps").code == 0
    assert RunInfo(id="x").paused_seconds == {}


def test_deletes_can_be_verified(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "C"}, {"ID": "D", "Name": "D"}])
    ocsync("delete", "catalog/C", "catalog/D", "--yes")
    [name] = names(ocsync)
    assert ocsync("verify", name).code == 0
    shop.seed(catalog=[{"ID": "D", "Name": "D"}])
    again = ocsync("verify", name)
    assert (again.code, "catalog/D   was deleted, but exists again" in again.out) == (5, True)
    assert ocsync("verify").code == 66, "no resume yet"


def test_history_of_all_and_of_one(ocsync: Run, shop: Shop) -> None:
    assert "no run yet" in ocsync("history").out
    assert ocsync("history", "0101").code == 66
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "AddressID=none")
    ocsync("resume")
    name = ocsync("history", "--json").data["runs"][0]["id"]
    shown = ocsync("history", name)
    assert "partly done" in shown.out
    assert "404 NotFound" in shown.out
