"""Verdicts: the worst comes first, what is harmless is a count, and every number is whole."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ocsync.models import Finding, Sign
from ocsync.render.findings import finding_lines
from ocsync.render.text import duration
from tests.builders import Shop, csv_of
from tests.cli.test_pause import PAUSES, somebody
from tests.conftest import Run

RUNS = Path(".ocsync/profiles/test/runs")


def test_findings_come_worst_first_and_harmless_ones_as_a_count() -> None:
    signs = [Sign.MOVED] * 20 + [Sign.UNREAD, Sign.MISSING, Sign.DIFFERS]
    found = [Finding(ref=f"inventory/P/{n:02}", sign=sign) for n, sign in enumerate(signs)]
    lines = list(finding_lines(found))
    assert [sign for sign, _ in lines] == ["*", "-", "!", "~"]
    assert "20 refs" in lines[-1][1]
    assert list(finding_lines([])) == []


def test_a_difference_is_not_hidden_behind_sales(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=14, products=1, quantity=5)
    rows = csv_of([("ref", "QuantityAvailable"), *((ref, 50) for ref in refs)])
    ocsync("stage", "import", "-", stdin=rows)
    assert ocsync("resume").code == 0
    for ref in refs[:-1]:
        shop.call(
            "PATCH", f"/products/P0/inventoryrecords/{ref.split('/')[2]}", {"QuantityAvailable": 49}
        )
    shop.call("DELETE", f"/products/P0/inventoryrecords/{refs[-1].split('/')[2]}")
    result = ocsync("verify")
    assert result.code == 5
    [first, second] = [line for line in result.out.splitlines() if line[:1] in "-*~"]
    assert refs[-1] in first
    assert "13 refs" in second
    assert ocsync("verify", "--json").events[-1]["findings"][0]["ref"] == refs[-1]


def test_failures_are_counted_whole(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=1100, products=11)
    rows = csv_of(
        [("ref", "QuantityAvailable", "expect.QuantityAvailable"), *((ref, 9, 8) for ref in refs)]
    )
    ocsync("stage", "import", "-", stdin=rows)
    result = ocsync("resume")
    assert (result.code, "1,100 refs are staged again" in result.out) == (6, True)
    last = ocsync("resume", "--json").events[-1]
    assert len(last["problems"]) == 1100


def test_the_last_run_is_the_one_that_began_last(ocsync: Run, shop: Shop) -> None:
    """Not the one whose files are newest: a copy or a restore has times of its own."""
    [ref] = shop.stock(records=1)
    for number in (7, 8):
        ocsync("stage", "set", ref, f"QuantityAvailable={number}")
        assert ocsync("resume").code == 0
    first, second = sorted(path.name for path in RUNS.iterdir())
    record = RUNS / first / "run.json"
    facts = json.loads(record.read_bytes())
    facts["started"] = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
    record.write_text(json.dumps(facts))
    for path in (RUNS / first).iterdir():
        os.utime(path, (2**31, 2**31))
    assert ocsync("status", "--json").data["last_run"]["id"] == second


def test_a_config_that_does_not_exist_has_no_flags(ocsync: Run, shop: Shop) -> None:
    shop.call("DELETE", "/integrations/entitysync/catalogs")
    rows = {row["name"]: row for row in ocsync("targets", "--json").data["targets"]}
    facts = [rows["catalogs"][name] for name in ("exists", "paused", "changed", "deleted")]
    assert facts == [False, False, None, None]
    assert rows["inventory"]["changed"] is True


def test_no_duration_is_negative(ocsync: Run, shop: Shop) -> None:
    """The clock was a day ahead while the target was paused."""
    [ref] = shop.stock(records=1)
    ocsync("pause", "inventory", "--for", "2h")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    since = next(line for line in PAUSES.read_text().splitlines() if line.startswith("since"))
    PAUSES.write_text(PAUSES.read_text().replace(since, f'since = "{tomorrow}"'))
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    said = [
        ocsync(*words) for words in (("status",), ("plan",), ("doctor",), ("resume", "--verify"))
    ]
    assert not [
        one for one in said if re.search(r"(for|begun) -\d|-\d+ ?(s|min|h)\b", one.out + one.err)
    ]
    assert "begins in the future" in said[2].out
    assert [said[2].code, said[3].code] == [1, 0]
    assert [duration(s) for s in (-5, 0.001, 0.04, 0.2)] == ["0 s", "0.01 s", "0.04 s", "0.2 s"]


@pytest.mark.parametrize("diff", [True, False])
def test_a_plan_names_every_pause_that_resume_ends(ocsync: Run, shop: Shop, diff: bool) -> None:
    [ref] = shop.stock(records=1)
    ocsync("pause", "inventory", "buyers", "--for", "2h", "--reason", "why")
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    words = ("plan", "--diff") if diff else ("plan",)
    shown = ocsync(*words)
    [text] = re.findall(r"inventory  (paused by you for .*), \"why\", until", shown.out)
    assert re.sub(r"[0-9.]+", "N", text) == "paused by you for N s"
    for again in (ocsync("status"), ocsync("status", "--offline")):
        assert re.search(r'inventory  paused by you for [0-9.]+ s, "why", until', again.out)
    assert "resume will unpause it too" in next(x for x in shown.out.splitlines() if "buyers" in x)
    assert "targets as of" in shown.out
    assert ocsync(*words, "--json").data["targets"]["will_unpause"] == ["buyers", "inventory"]
    assert ocsync("plan", "inventory", "--json").data["targets"]["will_unpause"] == ["inventory"]
    somebody(shop, paused=False)
    told = ocsync("plan", "--diff").out
    assert "someone else unpaused it" in told
    assert ocsync("plan", "--json").data["targets"]["will_unpause"] == ["buyers"], "that was seen"


def test_a_pause_of_a_run_names_the_run(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "AddressID=nowhere")
    assert ocsync("resume").code == 3
    run = ocsync("history", "--json").data["runs"][0]["id"]
    for shown in (ocsync("status"), ocsync("plan")):
        assert re.search(rf"inventory  paused by you for [0-9.]+ s, for run {run}\n", shown.out)
