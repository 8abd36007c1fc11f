"""Options that several commands share: units of time, --yes, files that the user names."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ocsync.cli.leading_options import GROUPS
from ocsync.cli.outline import read_outline
from ocsync.client import Limits
from tests.builders import Shop
from tests.conftest import Run

FOLDER = Path(".ocsync/profiles/test")


def test_yes_is_taken_where_nothing_is_asked_today(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "a"}])
    ocsync("stage", "set", "catalog/C", "Name=b")
    assert ocsync("resume", "--yes").code == 0
    assert ocsync("rollback", "--yes").code == 0
    assert ocsync("stage", "drop", "catalog/C", "--yes").code == 0


@pytest.mark.parametrize("words", [
    ("pause", "inventory", "--for", "2"), ("window", "inventory", "--for", "90", "--", "true"),
    ("status", "--max-age", "4"), ("history", "prune", "--older-than", "30"),
])  # fmt: skip
def test_a_lease_or_an_age_needs_its_unit(ocsync: Run, shop: Shop, words: tuple[str, ...]) -> None:
    result = ocsync(*words)
    assert (result.code, "write it as 2h or 90s" in result.err) == (64, True), result
    assert not shop.paused()


def test_as_many_requests_are_in_flight_as_the_help_says(ocsync: Run) -> None:
    default = Limits().concurrency
    for command in ("resume", "delete", "resync"):
        text = " ".join(ocsync(command, "--help").out.split())
        assert f"[default: {default};" in text.partition("--concurrency")[2][:200]


def test_waits_are_still_plain_seconds(ocsync: Run) -> None:
    assert ocsync("resume", "--lock-timeout", "1", "--settle", "2", "--dry-run").code == 0
    assert ocsync("status", "--max-age", "0").code == 0


def test_a_pause_from_the_future_has_lasted_no_time(ocsync: Run, shop: Shop) -> None:
    """The clock was ahead when it was made, and was set right."""
    shop.stock(records=1)
    ocsync("pause", "inventory")
    path = FOLDER / "pause.toml"
    ahead = "2099-01-01T00:00:00+00:00"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f'since = "{ahead}"' if "since" in x else x for x in lines) + "\n")
    ocsync("stage", "set", "inventory/P0/R0", "QuantityAvailable=7")
    doctor = ocsync("doctor", "--offline", "--json")
    [told] = [c for c in doctor.data["checks"] if c["id"] == "pauses"]
    assert "begins in the future" in told["what"]
    said = [ocsync("plan"), ocsync("status"), ocsync("resume")]
    assert [result.code for result in said] == [0, 0, 0]
    assert not re.search(r"(?<!\S)-\d", "".join(result.out + result.err for result in said))
    [info] = ocsync("history", "--json").data["runs"]
    assert info["paused_seconds"] == {"inventory": 0.0}


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_report_may_go_through_a_link_of_the_users(ocsync: Run, shop: Shop) -> None:
    """Only the workspace has no links: where a report goes is the user's choice."""
    shop.seed(catalog=[{"ID": "C", "Name": "a"}])
    Path("real").mkdir()
    Path("link").symlink_to("real")
    Path("plan.json").symlink_to("real/plan.json")
    ocsync("stage", "set", "catalog/C", "Name=b")
    assert ocsync("stage", "export", "link/out.jsonl").code == 0
    assert ocsync("plan", "--out", "plan.json").code == 0
    assert {p.name for p in Path("real").iterdir()} == {"out.jsonl", "plan.json"}
    assert ocsync("resume", "--plan", "plan.json").code == 0


@pytest.mark.parametrize("words", [
    ("stage", "--json", "list"), ("--json", "stage", "list"), ("stage", "--profile", "test", "list", "--json"),
    ("--json", "stage", "--profile=test", "-q", "list"), ("profile", "--json", "list"),
    ("history", "--json", "show"),
], ids=" ".join)  # fmt: skip
def test_common_options_may_come_before_each_word_of_a_command(
    ocsync: Run, words: tuple[str, ...]
) -> None:
    result = ocsync(*words)
    assert (result.code, "command" in result.data) == (0, True), result


def test_the_groups_are_those_of_the_outline() -> None:
    names = [name.split() for name in read_outline()["commands"] if " " in name]
    assert {group for group, _ in names} == GROUPS


def test_a_wrong_option_is_named_behind_a_right_one(run: Run) -> None:
    failed = run("--profile", "x", "--oops", "status")
    assert (failed.code, "No such option: --oops" in failed.err) == (64, True), failed
    assert run("--json", "--version").out == run("--version").out


@pytest.mark.parametrize(("line", "text", "help_line"), [
    ("plan --explain", "--explain must be followed by REF", "plan"),
    ("plan --report html", "--report must be followed by markdown|html FILE", "plan"),
    ("stage list --limit 1.5", "'1.5' is not a whole number", "stage list"),
    ("resume --max-rate x", "'x' is not a number", "resume"),
    ("resume --max-failures 0", "0 is less than 1", "resume"),
    ("emulator --port 99999", "99999 is not between 0 and 65535", "emulator"),
    ("pause inventory --for 2", '"2" has no unit; write it as 2h or 90s', "pause"),
    ("status now", "unexpected argument: now", "status"),
])  # fmt: skip
def test_a_usage_error_is_in_plain_words_and_names_the_help(
    run: Run, line: str, text: str, help_line: str
) -> None:
    failed = run(*line.split())
    assert failed.code == 64
    assert failed.err.splitlines()[0].endswith(text)
    assert failed.err.splitlines()[1] == f"  next: ocsync {help_line} --help"
