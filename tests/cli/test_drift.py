"""`verify --since`: what others changed of all that the runs of some days have written."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ocsync.engine.resume.options import ResumeOptions
from tests.builders import Result, Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import resume

CATALOG = {"ID": "C", "Name": "c", "Description": "first", "xp": {"a": 1}}


def drift(run: Run, *words: str) -> Result:
    return run("verify", "--since", "1d", "--exit-code", *words)


def facts(run: Run) -> Any:
    return drift(run, "--json").events[-1]


def send(run: Run, *commands: str) -> str:
    """Stage each of *commands* and send them in one run; its ID."""
    for words in commands:
        result = run("stage", *words.split())
        assert result.code == 0, result
    result = run("resume")
    assert result.code == 0, result
    return str(run("history", "--json").data["runs"][0]["id"])


def test_the_last_write_of_each_field_counts(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG, {"ID": "D", "Name": "d"}])
    first = send(
        ocsync, "set catalog/C Description=ours Active=true xp.a:=2", "set catalog/D Name=e"
    )
    second = send(ocsync, "set catalog/C Description=later xp.b=x")
    good = drift(ocsync)
    assert (good.code, good.out.splitlines()[-1][:33]) == (
        0,
        "✓ 2 refs are as 2 runs since 2026"[:33],
    )
    assert good.out.splitlines()[:2] == ["  kind      verified", "  catalog   = 2"]

    shop.call("PATCH", "/catalogs/C", {"Description": "theirs", "xp": {"a": 3}, "Name": "free"})
    bad = drift(ocsync)
    assert bad.code == 5
    assert bad.out.splitlines()[1:5] == [
        "  catalog   = 1  * 1 different",
        "* catalog/C",
        f"    Description  later -> theirs   (run {second}; before it ours)",
        f"    xp.a  2 -> 3   (run {first}; before it 1)",
    ]
    assert bad.out.splitlines()[-1].startswith("✗ 1 of 2 refs is as 2 runs since ")
    assert ocsync("verify", "--since", "1d").code == 0, "it is not asked for a code"
    found = facts(ocsync)
    assert found["runs"] == [second, first]
    assert found["findings"][0]["fields"]["Description"] == {"wanted": "later", "found": "theirs"}
    assert found["refs"] == [{"ref": "catalog/C", "run": second, "fields": {
        "Description": {"run": second, "before": "ours"}, "xp.a": {"run": first, "before": 1},
    }}]  # fmt: skip
    assert len(shop.writes()) == 4, "it reads only"
    shop.call("DELETE", "/catalogs/D")
    missing = drift(ocsync)
    assert f"- catalog/D   does not exist (run {first})" in missing.out.splitlines()


def test_nothing_of_the_workspace_changes(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG])
    name = send(ocsync, "set catalog/C Description=ours")
    shop.call("PATCH", "/catalogs/C", {"Description": "theirs"})
    record = Path(f".ocsync/profiles/test/runs/{name}")
    before = {path.name: path.read_bytes() for path in record.iterdir()}
    assert drift(ocsync).code == 5
    assert {path.name: path.read_bytes() for path in record.iterdir()} == before


def test_a_rollback_replaces_what_it_undoes(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG])
    send(ocsync, "set catalog/C Description=ours Active=true")
    assert ocsync("rollback").code == 0
    undo = send(ocsync)
    assert drift(ocsync).code == 0
    shop.call("PATCH", "/catalogs/C", {"Description": "ours"})
    found = facts(ocsync)
    assert found["findings"][0]["fields"] == {"Description": {"wanted": "first", "found": "ours"}}
    assert found["refs"][0]["fields"]["Description"]["run"] == undo


def test_a_delete_replaces_what_was_written_before(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG])
    send(ocsync, "put category/C/PARENT Name=p", "put category/C/CHILD Name=k ParentID=PARENT",
         "put category/C/OTHER Name=o", "set catalog/C Active=true")  # fmt: skip
    assert ocsync("delete", "category/C/PARENT", "--yes").code == 0
    gone = facts(ocsync)
    assert (gone["exit_code"], gone["kinds"]) == (
        0,
        {"category": {"same": 2}, "catalog": {"same": 1}},
    )
    [deleting] = [info["id"] for info in ocsync("history", "--json").data["runs"]
                  if info["type"] == "delete"]  # fmt: skip
    shop.call("PUT", "/catalogs/C/categories/PARENT", {"Name": "again"})
    again = drift(ocsync)
    assert again.code == 5
    assert (
        f"* category/C/PARENT   was deleted, but exists again (run {deleting})"
        in again.out.splitlines()
    )
    send(ocsync, "put category/C/PARENT Name=ours --replace --recreated")
    assert drift(ocsync).code == 0
    assert ocsync("delete", "catalog/C", "--yes").code == 0
    assert facts(ocsync)["kinds"] == {"catalog": {"same": 1}}


def test_what_was_refused_or_not_sent_is_not_claimed(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG, {"ID": "D", "Name": "d"}])
    ocsync("stage", "set", "catalog/C", "Description=ours")
    ocsync("stage", "set", "catalog/D", "Description=ours")
    shop.faults({"method": "PATCH", "path": "/catalogs/D", "status": 400, "code": "No"})
    assert ocsync("resume").code == 3
    found = facts(ocsync)
    assert (found["exit_code"], found["kinds"]) == (0, {"catalog": {"same": 1}})


def test_an_unknown_outcome_is_not_claimed(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1, quantity=10)
    place = "/products/P0/inventoryrecords/R0"
    send(ocsync, f"set {ref} QuantityAvailable=20 NotificationPoint=2")
    ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    shop.faults({"status": 504, "effect": True, "method": "PATCH", "path": place},
                {"status": 400, "method": "GET", "path": place, "after": 1})  # fmt: skip
    assert resume(shop, ResumeOptions()).run.counts == {"unknown": 1}
    shop.faults()
    unsure = drift(ocsync)
    assert unsure.code == 3
    assert "! 1 ref not verified, or not all of it: the outcome of a write is unknown" in unsure.out
    assert "✗ 1 ref is as 2 runs since " in unsure.out
    found = facts(ocsync)
    assert [one["ref"] for one in found["unknown"]] == [ref]
    assert found["unknown"][0]["fields"].keys() == {"QuantityAvailable"}
    shop.call("PATCH", place, {"NotificationPoint": 3, "QuantityAvailable": 1})
    assert facts(ocsync)["findings"][0]["fields"].keys() == {"NotificationPoint"}
    ocsync("stage", "drop", ref)
    send(ocsync, f"set {ref} QuantityAvailable=30 NotificationPoint=2")
    assert drift(ocsync).code == 0, "it is known again"


def test_an_unfinished_run(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG, {"ID": "D", "Name": "d"}])
    ocsync("stage", "set", "catalog/C", "Description=ours")
    ocsync("stage", "set", "catalog/D", "Description=ours")
    crash_resume(shop, CrashPoint("request", 2, "before"))
    done = drift(ocsync)
    assert done.code == 3
    assert "is not finished" in done.out or "ocsync resume" in done.out
    assert "✓" not in done.out


def test_stock_that_was_sold_since_is_no_drift(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1, quantity=10)
    send(ocsync, f"set {ref} QuantityAvailable=20")
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"QuantityAvailable": 17})
    sold = drift(ocsync)
    assert sold.code == 0
    assert "~ 1 sold since" in sold.out


def test_stock_that_our_records_made_a_sum_is_not_claimed(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=0, products=1)
    send(ocsync, "set product/P0 Inventory.QuantityAvailable=5 Name=n")
    send(ocsync, "put inventory/P0/R AddressID=wh-0 QuantityAvailable=7")
    assert shop.get("/products/P0")["Inventory"]["QuantityAvailable"] == 7
    assert drift(ocsync).code == 0


def test_a_put_empties_what_it_leaves_out(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG])
    send(ocsync, "set catalog/C xp.a:=5")
    last = send(ocsync, "put catalog/C Name=new --replace")
    assert drift(ocsync).code == 0
    shop.call("PATCH", "/catalogs/C", {"Description": "first", "xp": {"a": 7}})
    [one] = facts(ocsync)["refs"]
    assert one["fields"] == {"Description": {"run": last, "before": "first"}}


def test_only_runs_since_then_count(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG])
    assert "= no run since " in ocsync("verify", "--since", "7d").out
    old = send(ocsync, "set catalog/C Description=old Name=old")
    record = Path(f".ocsync/profiles/test/runs/{old}/run.json")
    info = json.loads(record.read_text())
    past = (datetime.now(UTC) - timedelta(days=9)).isoformat(timespec="seconds")
    record.write_text(json.dumps({**info, "started": past, "ended": past}))
    send(ocsync, "set catalog/C Description=new")
    shop.call("PATCH", "/catalogs/C", {"Name": "theirs"})
    assert ocsync("verify", "--since", "7d", "--exit-code").code == 0
    assert ocsync("verify", "--since", "10d", "--exit-code").code == 5
    day = (datetime.now(UTC) - timedelta(days=11)).date().isoformat()
    assert ocsync("verify", "--since", day, "--exit-code").code == 5


@pytest.mark.parametrize(("words", "text"), [
    (("--since", "soon"), "is not a time"),
    (("0101-0000", "--since", "1d"), "leave out the run"),
    (("--since", "1d", "--redeliver"), "are for one run"),
    (("--since", "1d", "--delivery-timeout", "1s"), "are for one run"),
    (("--exit-code",), "--exit-code is for --since"),
])  # fmt: skip
def test_refusals(ocsync: Run, words: tuple[str, ...], text: str) -> None:
    result = ocsync("verify", *words)
    assert (result.code, result.out) == (64, "")
    assert text in result.err


def test_a_ref_that_cannot_be_read(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG])
    send(ocsync, "set catalog/C Description=ours")
    shop.faults({"method": "GET", "path": "/catalogs/C", "status": 400, "times": 99})
    unread = ocsync("verify", "--since", "1d")
    assert unread.code == 75
    assert "! catalog/C" in unread.out


def test_a_ci_shows_the_differences(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.seed(catalog=[CATALOG])
    send(ocsync, "set catalog/C Description=ours")
    shop.call("PATCH", "/catalogs/C", {"Description": "theirs"})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert drift(ocsync).code == 5
    summary = Path("summary.md").read_text()
    assert "1 ref differs" in summary
    assert re.search(r"`catalog/C`.*`theirs` instead of `ours`", summary)


def test_a_difference_does_not_hide_what_was_not_read(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[CATALOG], product=[{"ID": "P", "Name": "p"}])
    send(ocsync, "set catalog/C Description=ours", "set product/P Description=ours")
    shop.call("PATCH", "/catalogs/C", {"Description": "theirs"})
    refused = {"method": "GET", "path": "products/P", "status": 403, "code": "InsufficientRole"}
    shop.faults({**refused, "times": 9})
    assert ocsync("verify", "--since", "1d").code == 75
    assert drift(ocsync).code == 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_with_no_others_there_is_no_drift(ocsync: Run, shop: Shop, seed: int) -> None:
    """The law: whatever runs, rollbacks and deletes do, they leave what they are said to."""
    draw = random.Random(seed)
    shop.seed(catalog=[{"ID": f"C{n}", "Name": "c", "Description": "d"} for n in range(3)])
    for number in range(12):
        catalog = f"catalog/C{draw.randrange(3)}"
        category = f"category/{catalog[8:]}/K{draw.randrange(2)}"
        value = draw.randrange(9)
        action = draw.choice(["set", "set", "put", "category", "rollback", "delete"])
        words = {
            "set": f"set {catalog} Description={value} xp.k{value % 3}:={value}",
            "put": f"put {catalog} Name={value} --replace --recreated",
            "category": f"put {category} Name={value} --replace --recreated",
        }.get(action)
        if words:
            ocsync("stage", *words.split(), *([] if "--recreated" in words else ["--recreated"]))
        elif action == "rollback":
            ocsync("rollback")
        else:
            ocsync("delete", draw.choice([catalog, category]), "--yes")
        if ocsync("resume").code:
            ocsync("stage", "clear", "--yes")
            ocsync("unpause", "catalogs", "categories")
        result = drift(ocsync)
        assert result.code in (0, 3), (number, action, result)
        assert not facts(ocsync)["findings"]
