"""A workspace that an earlier version wrote, in the midst of work: every command continues it.

`tests/old_workspace` is what the first version with format 1 left on disk; see its `make.py` for
what happened there. These tests know its files and the command line, and hardly a name of the code,
so that they hold whatever is renamed: a key of a file that is read or written under another name
makes one of them fail.

When a file gets a new key, old files lack it, and mean what they meant without it: add it to `NEW`.
When the format's version rises, keep this folder as it is: what opens it has to migrate it, and
these tests have to pass on the migrated files (`files` then says which of them a command that only
reads leaves alone). Then have `make.py` write a second folder with the last version of the old
format, if that had states which this folder has not.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from filelock import FileLock

from ocsync.models import PaceSample
from tests.builders import Shop
from tests.conftest import Run

HERE = Path(__file__).parent / "old_workspace"
OLD = HERE / "workspace" / "profiles" / "acme"
NOW = Path(".ocsync/profiles/acme")
URL = "http://127.0.0.1:8765"
"""Where the marketplace was when the workspace was written."""
NEW: set[str] = {
    "intent.emptied",
    "intent.updated",
    "marketplace.api_url",
    "pause.lost",
    "json.held",
    "json.plan",
    "json.by_answer",
    "outcome.exact",
    "outcome.log_id",
    "catalogs.since",
    "catalogs.at",
    "plan.change.follows",
    "workspace.id",
    "plan.follows",
    "json.arrivals",
    "json.counted_until",
    "json.requests_at_least",
    *(f"pace.{name}" for name in PaceSample.__struct_fields__),
}
"""Keys that files have got since, as `keys_in` names them."""
RUNS = [
    "0303-0900", "0304-0900", "0305-0900", "0306-0900", "0307-0900", "0308-0900", "0310-0900",
    "0310-0930", "0310-1100",
]  # fmt: skip
SHELF = "/products/{}/inventoryrecords/shelf"


def records(path: Path) -> list[Any]:
    """Return the records of a log, without their checksums."""
    found = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return [{name: value for name, value in one.items() if name != "crc"} for one in found]


def record(run: str, root: Path = OLD) -> Any:
    """Return what `run.json` says."""
    return json.loads((root / "runs" / run / "run.json").read_bytes())


def pauses(root: Path = NOW) -> dict[str, Any]:
    """Return what `pause.toml` says."""
    return tomllib.loads((root / "pause.toml").read_text())


_DATA = {
    "fields", "expect", "adjust", "sent", "before", "emptied", "document", "payload", "found", "shown", "was",
    "counts", "kinds", "verified", "verified_kinds", "delivery", "windows", "along", "values",
}  # fmt: skip
"""Members whose own keys are data."""
_PAIRS = {"findings.fields", "outcome.values"}
"""Data whose values are objects of our own."""


def keys_in(root: Path) -> set[str]:
    """Return the keys in all files of the workspace in *root*, as `TYPE.KEY...`."""

    def keys(thing: Any, place: str) -> Iterator[str]:
        for name, value in thing.items() if isinstance(thing, dict) else ():
            yield f"{place}.{name}"
            if name not in _DATA:
                yield from keys(value, f"{place}.{name}")
            elif f"{place}.{name}" in _PAIRS:
                for pair in value.values():
                    yield from keys(pair, f"{place}.{name}.*")
        for one in thing if isinstance(thing, list) else ():
            yield from keys(one, place)

    found: set[str] = set()
    for path in root.rglob("*"):
        if path.suffix == ".jsonl":
            for one in records(path):
                found.update(keys(one, one.get("type", path.stem)))
        elif path.suffix in (".json", ".holder"):
            found.update(keys(json.loads(path.read_bytes()), path.suffix[1:]))
        elif path.suffix == ".toml":
            content = tomllib.loads(path.read_text())
            named = path.stem in ("pause", "attached")
            for one in content.values() if named else [content]:
                found.update(keys(one, path.stem))
    return found


@pytest.fixture
def untouched(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The old workspace as it was left, of a marketplace that is out of reach."""
    monkeypatch.setenv("ACME_SECRET", "emulator")
    root = tmp_path / ".ocsync"
    shutil.copytree(HERE / "workspace", root)
    (root / "gitignore").rename(root / ".gitignore")
    for path in (root, *root.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    for name in RUNS:  # a repository keeps no times
        began = datetime.fromisoformat(record(name)["started"]).timestamp()
        for path in (NOW / "runs" / name).iterdir():
            os.utime(path, (began, began))
    shutil.copy(HERE / "plan.json", tmp_path)
    return run


@pytest.fixture
def old(untouched: Run, shop: Shop) -> Iterator[Run]:
    """The old workspace, and the marketplace as it was then.

    Whatever a test does, in the end the files have no other keys than the old ones.
    """
    for path in Path(".ocsync/profiles").glob("*/profile.toml"):
        path.write_text(path.read_text().replace(URL, shop.url))
    shop.emulator.reset()
    shop.seed(**json.loads((HERE / "marketplace.json").read_bytes()))
    assert untouched("profile", "trust", "acme", "--yes").code == 0
    yield untouched
    assert keys_in(Path(".ocsync")) <= keys_in(HERE / "workspace") | NEW


def summary(run: Run, *words: str, code: int = 0) -> Any:
    """Return the last event of a command with --json, which must end with *code*."""
    result = run(*words, "--json")
    assert result.code == code, result
    return result.events[-1]


def answer(run: Run, *words: str, code: int = 0) -> Any:
    """Return the document of a command with --json, which must end with *code*."""
    result = run(*words, "--json")
    assert result.code == code, result
    return result.data


def finish(run: Run) -> Any:
    """Continue the run that was cut off, and send all that is staged."""
    return summary(run, "resume", "--repause", "--verify", "--yes")


RESULTS = {"=": "same", "~": "moved", "*": "differs", "-": "missing", "!": "unread"}


def reported(name: str) -> dict[str, Any]:
    """Return the record of a run as --json has it: by names of today, with what was not recorded."""
    one = record(name)
    names = {"sort": "type", "windows": "paused_seconds", "unproven": "verification_pending"}
    counts = {names.get(key, key): value for key, value in one.items()}
    kinds = counts["verified_kinds"].items()
    delivery = {n.replace("strangers", "unexpected"): v for n, v in one["delivery"].items()}
    return {
        **counts, "delivery": delivery, "held": [], "by_answer": 0, "arrivals": [], "plan": "",
        "counted_until": "", "requests_at_least": one["state"] == "open" and not one["requests"],
        "verified": {RESULTS[sign]: number for sign, number in one["verified"].items()},
        "verified_kinds": {k: {RESULTS[s]: n for s, n in found.items()} for k, found in kinds},
        "exit_code": one["exit_code"] if one["state"] == "closed" else None,
    }  # fmt: skip


def finding(one: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a finding as --json has it."""
    names = {"place": "where", "sign": "result"}
    facts = {names.get(key, key): value for key, value in one.items() if key != "crc"}
    return {**facts, "result": RESULTS[facts["result"]]}


def files() -> dict[Path, tuple[int, int, bytes]]:
    """Return every file but the locks: its content, and what changes when it is replaced."""
    found = [p for p in Path(".ocsync").rglob("*") if p.is_file() and p.suffix != ".lock"]
    stats = {path: path.stat() for path in found}
    return {p: (one.st_ino, one.st_mtime_ns, p.read_bytes()) for p, one in stats.items()}


READING = [
    "status --offline", "plan", "plan inventory", "plan --explain catalog/spring", "stage list",
    "stage show catalog/spring", "stage export -", "history", "history 0307-0900 --steps",
    "history 0304-0900 --report markdown -", "listen log", "profile list", "profile show",
]  # fmt: skip


def test_reading_changes_no_file(untouched: Run) -> None:
    before = files()
    for words in READING:
        result = untouched(*words.split())
        assert result.code == 0, (words, result)
        assert "torn" not in result.err
    assert untouched("doctor", "--offline").code == 78, "it is not trusted"
    assert files() == before


def test_status_offline(untouched: Run) -> None:
    found = answer(untouched, "status", "--offline")
    assert found["profile"] == "acme"
    assert found["staged"] == {"entries": 17, "refs": 15, "since": "2025-03-03T09:00:00+00:00"}
    assert found["last_run"] == {**reported("0310-0900"), "requests_at_least": False}
    assert found["due"] == {"categories": "window", "products": "lease"}
    assert found["pauses"] == pauses(OLD)
    assert {name: one["phase"] for name, one in found["pauses"].items()} == {
        "buyer-users": "lifting", "buyers": "paused", "catalogs": "paused", "categories": "paused",
        "inventory": "paused", "products": "paused", "suppliers": "paused", "usergroups": "pausing",
    }  # fmt: skip
    assert found["attached"] == tomllib.loads((OLD / "attached.toml").read_text())
    shown = untouched("status", "--offline").out
    for text in (
        "Acme Outdoors", "by mara", "spring prices", "https://ci.example/jobs/7", "price import",
        "17 entries, 15 refs", "0310-0900", "https://listener.example/ocsync",
    ):  # fmt: skip
        assert text in shown


def test_the_saved_plan_is_the_plan(untouched: Run) -> None:
    """But for the fingerprint, and for what a change follows; so no key of a step is renamed."""
    assert answer(untouched, "plan", "--out", "again.json")["open_run"] == "0310-0900"
    again, old = (json.loads(p.read_bytes()) for p in (Path("again.json"), HERE / "plan.json"))
    for step in again["steps"]:
        step.pop("follows", None)
        step["change"].pop("follows", None)
    assert again.pop("fingerprint") != old.pop("fingerprint")
    assert again == old


def test_what_is_staged(untouched: Run) -> None:
    entries = {
        one["seq"]: one
        for path in sorted((OLD / "journal").iterdir())
        for one in records(path)
        if one["type"] == "entry"
    }
    listed = answer(untouched, "stage", "list")["staged"]
    numbers = [seq for one in listed for seq in one["entries"]]
    assert numbers == [1, 25, 26, 27, *range(33, 44), 45, 46]
    for one in listed:
        shown = answer(untouched, "stage", "show", one["ref"])
        assert shown["entries"] == [entries[seq] for seq in one["entries"]]
    lines = untouched("stage", "export", "-").out.splitlines()
    content = ("op", "ref", "fields", "expect", "replace")
    assert [json.loads(line) for line in lines] == [
        {name: entries[seq][name] for name in content if name in entries[seq]} for seq in numbers
    ]
    explained = answer(untouched, "plan", "--explain", "price-schedule/list")
    assert [one["change"] for one in explained["steps"]] == [
        {"op": "put", "ref": "price-schedule/list", "fields": {"Name": "List", "MinQuantity": 3},
         "replace": True, "entries": [36, 37]}
    ]  # fmt: skip
    assert [one["op"] for one in explained["entries"]] == ["put", "adjust"]


def test_staging_continues(untouched: Run) -> None:
    kept = answer(untouched, "stage", "set", "inventory/lamp/shelf", "NotificationPoint=2")
    assert (kept["entry"]["seq"], kept["staged_entries"]) == (47, 18)
    assert answer(untouched, "stage", "drop", "catalog/spring", "27")["dropped"] == 3
    Path("more.csv").write_text("ref,Name\nsupplier/north,North\n")
    assert answer(untouched, "stage", "import", "more.csv")["staged_entries"] == 16
    assert answer(untouched, "status", "--offline")["staged"]["refs"] == 14
    for ref, run in (("catalog/old", "0305-0900"), ("address/wh-9", "0310-0930")):
        refused = untouched("stage", "set", ref, "xp.a=1")
        assert (refused.code, run in refused.err) == (65, True), "it was deleted by that run"
    assert untouched("stage", "put", "catalog/old", "Name=again").code == 0
    assert answer(untouched, "stage", "clear", "--yes")["dropped"] == 17


def test_the_runs(untouched: Run) -> None:
    shown = answer(untouched, "history")["runs"]
    assert shown == [reported(name) for name in reversed(RUNS)]
    for name, words in {
        "0310-1100 0306-0900": ["--type", "resync"],
        "0310-0930 0305-0900": ["--type", "delete"],
        "0310-1100 0310-0930 0310-0900": ["--state", "open"],
        "0308-0900": ["--state", "done"],
        "0308-0900 0304-0900": ["--target", "catalogs", "--type", "resume"],
        "0310-0930 0310-0900 0310-1100": ["--since", "2025-03-10"],
    }.items():
        found = answer(untouched, "history", *words)["runs"]
        assert {one["id"] for one in found} == set(name.split()), words


def test_each_run(untouched: Run) -> None:
    """Everything in its files is shown."""
    for name in RUNS:
        folder = OLD / "runs" / name
        shown = answer(untouched, "history", name, "--steps")
        assert shown["run"] == reported(name)
        assert shown["findings"] == [*map(finding, records(folder / "findings.jsonl"))]
        log = records(folder / "outcomes.jsonl")
        begun = {one["number"]: one["at"] for one in log if one["type"] == "intent"}
        ended = {one["number"]: one for one in log if one["type"] == "outcome"}
        for row, step in zip(shown["steps"], records(folder / "plan.jsonl"), strict=True):
            number, one = step["number"], ended.get(step["number"], {})
            expected = {
                **{key: step[key] for key in ("number", "wave", "method")},
                "ref": step["change"]["ref"],
                "state": one.get("state", "not sent"),
                "status": one.get("status", 0),
                "code": one.get("code", ""),
                "blocked_by": one.get("because", ""),
                **{key: one[key] for key in ("message",) if key in one},
            }
            assert expected.items() <= row.items(), name
            if one and number in begun:
                took = datetime.fromisoformat(one["at"]) - datetime.fromisoformat(begun[number])
                assert row["seconds"] == max(0, took.total_seconds())
            elif number in begun:
                assert row["message"], "it was begun"
        assert untouched("history", name).out.count(name) > 1


def test_what_stands_out_in_the_runs(untouched: Run) -> None:
    deleted = answer(untouched, "history", "0305-0900", "--steps")["steps"]
    assert "1 category" in deleted[0]["message"]
    assert "1 catalog-product" in deleted[0]["message"]
    signs = answer(untouched, "history", "0303-0900", "--steps")["steps"]
    assert {one["ref"]: (one["result"], one["found"]) for one in signs if one["result"]} == {
        "inventory/compass/shelf": ("missing", {}),
        "inventory/lamp/shelf": ("differs", {"QuantityAvailable": {"wanted": 22, "found": 40}}),
        "inventory/stove/shelf": ("unread", {}),
        "inventory/tent/shelf": ("moved", {"QuantityAvailable": {"wanted": 21, "found": 18}}),
    }
    missing = answer(untouched, "history", "0304-0900", "--steps")["steps"]
    assert {one["ref"] for one in missing if one["where"] == "delivery" and one["note"]} == {
        "catalog/winter", "product/boots", "product/compass",
    }  # fmt: skip


def test_reports_of_a_run(untouched: Run) -> None:
    for form in ("junit", "markdown", "csv"):
        assert untouched("history", "0307-0900", "--report", form, f"r.{form}").code == 0
    suite = Xml.parse("r.junit").getroot()[0]
    assert {n: suite.get(n) for n in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "2", "errors": "1", "skipped": "1",
    }  # fmt: skip
    rows = csv.DictReader(Path("r.csv").read_text().splitlines())
    assert {row["ref"]: row["state"] for row in rows} == {
        "address/wh-3": "failed", "inventory/rope/shelf": "conflict", "inventory/boots/shelf": "unknown",
        "inventory/compass/shelf": "done", "inventory/stove/shelf": "blocked",
    }  # fmt: skip
    assert "ValidationFailure" in Path("r.markdown").read_text()


def test_doctor(old: Run) -> None:
    lines = sum(len(records(path)) for path in OLD.rglob("*.jsonl"))
    for words, more in (["--offline"], []), ([], ["targets", "targets"]):
        checks = answer(old, "doctor", *words, code=7 if more else 1)["checks"]
        wrong = [one["id"] for one in checks if one["level"] == "wrong"]
        assert wrong == ["pauses", "pauses", *more], "a lease and a window, and no damage"
        [logs] = [one for one in checks if one["id"] == "logs"]
        assert (logs["level"], f"{lines} lines" in logs["what"]) == ("fine", True)
        said = " ".join(one["what"] for one in checks)
        for text in (
            "0310-0900 (resume)", "2 of 6", "0310-0930 (delete)", "0310-1100 (resync)", "1 of 2",
            "mara@warehouse", "pid 4711", "ocsync resync", "2025-03-",
        ):  # fmt: skip
            assert text in said


def test_doctor_knows_every_key_of_the_profiles(untouched: Run) -> None:
    for name in ("acme", "lab", "sandbox", "vault"):
        checks = untouched("doctor", "--offline", "--profile", name, "--json").data["checks"]
        assert [one["level"] for one in checks if one["id"] == "profile"] == ["fine"]


def test_status_and_targets(old: Run) -> None:
    for command in ("status", "targets"):
        found = answer(old, command)
        rows = {row["name"]: row for row in found["targets"]}
        ours = {name: row["pause"] for name, row in rows.items() if row["pause"]}
        assert ours == {n: pause for n, pause in pauses(OLD).items() if n != "catalogs"}
        assert sorted(name for name, row in rows.items() if row["paused"]) == [
            "buyer-users", "buyers", "categories", "inventory", "products", "suppliers", "usergroups",
        ]  # fmt: skip
        assert found["drifted"] == ["catalogs"], "someone else unpaused it"
        assert sorted(found["overdue"]) == ["categories", "products"]
        assert not rows["admin-users"]["exists"]
    assert old("status", "--exit-code").code == 2


def test_the_difference_to_what_is_there(old: Run) -> None:
    changes = {one["ref"]: one for one in answer(old, "plan", "--diff")["changes"]}
    assert len(changes) == 15
    assert [ref for ref, one in changes.items() if one["same"]] == ["inventory/stove/shelf"]
    assert not any(one["conflict"] for one in changes.values())
    tent = changes["inventory/tent/shelf"]
    assert (tent["before"], tent["after"]) == ({"QuantityAvailable": 23}, {"QuantityAvailable": 24})
    assert changes["catalog/spring"]["after"]["xp.season"] == {"code": "S25"}


FINAL: dict[str, dict[str, Any]] = {
    # of the run that was cut off
    "/addresses/wh-3": {"City": "Newark", "State": "NJ", "Zip": "07101"},
    SHELF.format("lamp"): {"QuantityAvailable": 20},
    SHELF.format("rope"): {"QuantityAvailable": 27},
    "/products/rope/inventoryrecords/annex": {"QuantityAvailable": 7, "AddressID": "wh-2"},
    SHELF.format("stove"): {"AddressID": "wh-3", "QuantityAvailable": 23},
    # of both: 18 were left; 5 and 1 are added
    SHELF.format("tent"): {"QuantityAvailable": 24},
    # staged since
    "/suppliers/north": {"Name": "Northern"},
    "/catalogs/winter": {"Description": "Warm things", "xp": None},
    "/products/compass": {"Description": "With a mirror"},
    "/products/boots": {"ShipFromAddressID": "depot"},
    "/catalogs/spring": {
        "Name": "Spring 2025", "Description": None, "Active": True, "xp": {"season": {"code": "S25"}},
    },
    "/addresses/wh-4": {"Street1": "4 Quay", "City": "Hamburg"},
    "/priceschedules/list": {"Name": "List", "MinQuantity": 3, "MaxQuantity": None},
    "/catalogs/spring/categories/hats": {"Name": "Hats", "ParentID": "shoes", "Active": True},
    SHELF.format("boots"): {"QuantityAvailable": 60},
    SHELF.format("compass"): {
        "QuantityAvailable": 27, "NotificationPoint": 3, "OrderCanExceed": True,
    },
    "/buyers/eu/users/ann": {"xp": {"badge": {"no": 7}}},
    # of the deletes that were cut off: the first was sent, the second was not
    "/addresses/wh-9": {"City": "Hamburg"},
}  # fmt: skip


def test_resume_continues_the_run_and_sends_what_is_staged(old: Run, shop: Shop) -> None:
    result = finish(old)

    for path, fields in FINAL.items():
        assert fields.items() <= shop.get(path).items(), path
    [shared] = shop.get("/catalogs/assignments?catalogID=spring&buyerID=eu")["Items"]
    assert (shared["ViewAllCategories"], shared["ViewAllProducts"]) == (True, False)
    [priced] = shop.get("/products/assignments?productID=tent&userGroupID=staff")["Items"]
    assert priced["PriceScheduleID"] == "list"
    sent = [one["path"] for one in shop.writes()]
    assert sent.count("/v1" + SHELF.format("tent")) == 1, "5 were added before, and 1 now"
    assert sent.count("/v1" + SHELF.format("rope")) == 0
    assert shop.all_paused() == []
    assert pauses() == {}
    run = result["run"]
    assert (run["counts"], run["verified"]) == ({"done": 14, "unchanged": 1}, {"same": 15})
    assert (run["entries"], run["steps"], run["undoes"]) == (17, 15, ["0308-0900"])
    assert result["staged"] == 0
    continued = record("0310-0900", NOW)
    assert (continued["state"], continued["exit_code"]) == ("closed", 0)
    assert (continued["counts"], continued["verified"]) == ({"done": 6}, {"=": 6})
    assert continued["started"] == record("0310-0900")["started"]
    deletes = record("0310-0930", NOW)
    assert (deletes["state"], deletes["counts"]) == ("closed", {"done": 1})
    assert [(one["ref"], one["sure"]) for one in records(NOW / "deleted.jsonl")] == [
        ("catalog/old", True), ("catalog/fall", True),
    ]  # fmt: skip
    assert summary(old, "resume", "--verify")["run"] is None


def test_resume_reports_what_it_cannot_know(old: Run, shop: Shop) -> None:
    """Someone changed what the cut-off run was adjusting; then the other ways to fail."""
    shop.call("PATCH", SHELF.format("tent"), {"QuantityAvailable": 99})
    assert old("resume", "--repause").code == 7, "an unpause was cut off"
    result = summary(old, "resume", "--repause", "--yes", code=6)
    [unknown] = result["problems"]
    numbers = {"QuantityAvailable": {"before": 18, "sent": 23, "found": 99}}
    assert (unknown["state"], unknown["values"]) == ("unknown", numbers)
    assert set(shop.all_paused()) >= {"inventory", "products", "catalogs"}
    [back, since] = answer(old, "stage", "show", "inventory/tent/shelf")["entries"]
    assert (back["seq"], back["expect"]) == (28, {"QuantityAvailable": 18})
    assert since["seq"] == 39
    for words in (
        ["drop", "28"],
        ["put", "address/bad", "Street1=s", "City=c", "Country=US"],
        ["set", "inventory/lamp/shelf", "AddressID=bad"],
        ["set", "inventory/rope/annex", "QuantityAvailable=8"],
        ["set", "inventory/rope/annex", "NotificationPoint=1", "--expect", "QuantityAvailable=9"],
    ):
        assert old("stage", *words).code == 0, words
    result = summary(old, "resume", "--on-conflict", "skip", code=6)
    assert {one["ref"]: one["state"] for one in result["problems"]} == {
        "address/bad": "failed", "inventory/lamp/shelf": "blocked", "inventory/rope/annex": "conflict",
    }  # fmt: skip
    assert result["staged"] == 4
    assert shop.get(SHELF.format("tent"))["QuantityAvailable"] == 100


def test_a_saved_plan_is_held_against_what_is_staged(old: Run, shop: Shop) -> None:
    stale = old("resume", "--plan", "plan.json", "--repause", "--yes", "--json")
    assert stale.code == 6, "the profile's URL is another one"
    assert stale.events[-1]["type"] != "summary"
    assert record("0310-0900", NOW)["state"] == "closed", "that run comes first all the same"
    assert shop.get("/suppliers/north")["Name"] == "North"
    saved = json.loads(Path("plan.json").read_bytes())
    saved["fingerprint"] = answer(old, "plan")["fingerprint"]
    Path("plan.json").write_text(json.dumps(saved))
    result = summary(old, "resume", "--plan", "plan.json", "--repause")
    assert result["run"]["counts"] == {"done": 14, "unchanged": 1}


def test_dry_runs(old: Run, shop: Shop) -> None:
    assert old("status").code == 0, "the URL is pinned, and the pause that is lost is noted"
    before = files()
    found = summary(old, "resume", "--dry-run", code=3)
    [unfinished] = [run for run in found["unfinished"] if run["type"] == "resume"]
    assert (unfinished["ended"], unfinished["steps"]) == (2, 6)
    assert len(found["changes"]) == 15 + 4
    assert answer(old, "expire", "--dry-run", code=3)["open_run"] == "0310-0900"
    assert files() == before
    assert shop.writes() == []


def test_verify_an_old_run(old: Run) -> None:
    """It reads the marketplace, and the messages that the listener received then."""
    result = summary(old, "verify", "0303-0900", "--settle", "0s", code=5)
    found = {one["ref"]: one["fields"]["QuantityAvailable"] for one in result["findings"]}
    assert found == {
        "inventory/boots/shelf": {"wanted": 25, "found": 77},
        "inventory/compass/shelf": {"wanted": 26, "found": 27},
        "inventory/lamp/shelf": {"wanted": 22, "found": 40},
        "inventory/rope/shelf": {"wanted": 24, "found": 27},
        "inventory/tent/shelf": {"wanted": 21, "found": 23},
    }
    assert result["kinds"] == {
        "product": {"same": 1}, "inventory": {"same": 1, "differs": 5},
    }  # fmt: skip
    times = ("missing", "stale", "first", "last")
    delivery = record("0303-0900")["delivery"]
    assert [result["delivery"][name] for name in times] == [delivery[name] for name in times]
    assert (result["delivery"]["arrived"], result["delivery"]["unexpected"]) == (7, 1)
    written = records(NOW / "runs/0303-0900/findings.jsonl")
    assert [*map(finding, written)] == result["findings"]
    result = summary(old, "verify", "0304-0900", "--settle", "0s", code=5)
    missing = [one for one in result["delivery"]["findings"] if one["result"] == "missing"]
    assert {one["ref"]: one["where"] for one in missing} == {
        "product/boots": "delivery", "product/compass": "delivery",
    }  # fmt: skip
    assert missing[0] in map(finding, records(NOW / "runs/0304-0900/findings.jsonl"))
    verified = summary(old, "verify", "0308-0900")
    assert (verified["kinds"], verified["findings"]) == (
        {"catalog": {"same": 1}, "product": {"same": 2}},
        [],
    )
    assert record("0308-0900", NOW)["unproven"] is False
    assert summary(old, "verify", "0305-0900")["kinds"] == {"catalog": {"same": 2}}
    assert old("verify", "0306-0900").code == 64, "a resync writes nothing"


def test_rollback_of_old_runs(old: Run, shop: Shop) -> None:
    refused = old("rollback", "0303-0900")
    assert (refused.code, "0310-0900" in refused.err) == (6, True), "that run is not finished"
    finish(old)
    back = answer(old, "rollback", "0303-0900", code=6)
    assert [(one["op"], one["ref"], one["fields"]) for one in back["staged"]] == [
        ("set", "product/tent", {"Description": None}),
        ("adjust", "inventory/lamp/shelf", {"QuantityAvailable": -12}),
        ("adjust", "inventory/stove/shelf", {"QuantityAvailable": -13}),
    ]
    assert {one["source"] for one in back["staged"]} == {"rollback 0303-0900"}
    changed = {one["ref"]: one["fields"]["QuantityAvailable"] for one in back["conflicts"]}
    assert changed["inventory/boots/shelf"] == {"before": 10, "left": 25, "now": 60}
    again = answer(old, "rollback", "0303-0900", code=6)
    assert (len(again["already"]), again["staged"]) == (3, [])
    made = answer(old, "rollback", "0305-0900")["staged"]
    assert {one["ref"]: (one["op"], one.get("fields")) for one in made} == {
        "category/old/all": ("put", {"Name": "All", "ListOrder": 0, "Active": False}),
        "catalog/old": ("put", {"OwnerID": "acme", "Name": "Old", "Active": False}),
        "catalog-product/old/rope": ("assign", None),
    }
    unsure = answer(old, "rollback", "0307-0900", "--dry-run", code=6)
    assert {one["ref"] for one in unsure["conflicts"]} == {
        "inventory/boots/shelf", "inventory/compass/shelf",
    }  # fmt: skip
    twice = answer(old, "rollback", "0308-0900")
    assert (twice["staged"], len(twice["undone"])) == ([], 3), "the last run took it back"
    thrice = answer(old, "rollback", "0304-0900", "--settle", "0s")
    assert {one["ref"] for one in thrice["staged"]} == {
        "catalog/winter", "product/boots", "product/compass",
    }  # fmt: skip
    assert thrice["created"] == ["address/depot", "catalog-product/winter/boots"]
    made_file = Path("runs/0304-0900/made.txt")
    assert Path(thrice["file"]) == NOW / made_file
    assert (NOW / made_file).read_text() == (OLD / made_file).read_text()
    result = finish(old)
    assert result["run"]["undoes"] == ["0303-0900", "0304-0900", "0305-0900"]
    stock = [shop.get(SHELF.format(name))["QuantityAvailable"] for name in ("lamp", "stove")]
    assert stock == [8, 10]
    assert shop.get("/catalogs/old")["Name"] == "Old"
    assert [one["ref"] for one in records(NOW / "deleted.jsonl")] == ["catalog/fall"]


def test_delete_closes_the_deletes_that_were_cut_off(old: Run, shop: Shop) -> None:
    staged = answer(old, "stage", "list")["staged_entries"]
    result = summary(old, "delete", "catalog/winter", "address/wh-9", "--yes")
    assert (result["deleted"], result["dropped"]) == (2, 1), "its staged edit is dropped too"
    assert answer(old, "stage", "list")["staged_entries"] == staged - 1
    assert record("0310-0930", NOW)["exit_code"] == 130
    gone = {one["ref"]: one["run"] for one in records(NOW / "deleted.jsonl") if one["sure"]}
    assert gone == {
        "catalog/old": "0305-0900", "catalog/fall": "0310-0930",
        "catalog/winter": result["run"]["id"], "address/wh-9": result["run"]["id"],
    }  # fmt: skip
    assert record("0310-0900", NOW)["state"] == "open"


def test_resync_continues(old: Run, shop: Shop) -> None:
    assert old("resync", "products", "tent").code == 64, "another one comes first"
    result = summary(old, "resync")
    assert (result["run"]["id"], result["run"]["counts"]) == ("0310-1100", {"done": 2})
    syncs = [one["body"] for one in shop.requests() if one["path"].endswith("/sync")]
    assert [json.loads(one)["ProductID"] for one in syncs] == ["boots"], "the tent was sent before"
    again = summary(old, "resync", "--run", "0303-0900")
    assert again["done"] == 7
    assert again["run"]["targets"] == ["products", "inventory"]


def test_a_resync_can_be_given_up(old: Run) -> None:
    assert answer(old, "resync", "--drop") == {
        "format": 2, "command": "resync", "dropped": 1, "run": "0310-1100",
    }  # fmt: skip


def test_expire_unpauses_what_is_over(old: Run, shop: Shop) -> None:
    assert answer(old, "expire", code=3)["open_run"] == "0310-0900"
    assert summary(old, "resume", "inventory")["unpaused"][0]["target"] == "inventory"
    lifted = answer(old, "expire")["unpaused"]
    assert [one["target"] for one in lifted] == ["categories", "products"]
    assert set(pauses()) == {"buyer-users", "buyers", "catalogs", "suppliers", "usergroups"}
    past = {one["target"]: one for one in records(NOW / "pauses.jsonl")}
    assert past["products"]["since"] == pauses(OLD)["products"]["since"]
    assert shop.all_paused() == ["buyer-users", "buyers", "suppliers", "usergroups"]


def test_pause_and_unpause(old: Run, shop: Shop) -> None:
    refused = old("pause", "usergroups", "buyer-users")
    assert (refused.code, "an unpause was interrupted" in refused.err) == (7, True)
    taken = answer(old, "pause", "usergroups", "buyers", "--reason", "move")
    before, again = pauses(OLD), {"phase": "paused", "reason": "move"}
    asked = {name: {**before[name], **again} for name in taken["targets"]}
    assert taken["targets"] == asked
    assert pauses() == {**before, **asked}, "nothing else is lost"
    words = ("unpause", "--yes", *(set(before) - {"inventory"}))
    lifted = {one["target"]: one["seconds"] for one in answer(old, *words)["unpaused"]}
    assert sorted(lifted) == [
        "buyer-users", "buyers", "categories", "products", "suppliers", "usergroups",
    ]  # fmt: skip
    assert min(lifted.values()) > 86400 * 365
    assert shop.all_paused() == ["inventory"]
    assert pauses() == {"inventory": before["inventory"]}
    assert old("unpause", "inventory").code == 64, "its run is not finished"
    assert old("unpause", "inventory", "--yes").code == 0
    assert list(record("0310-0900", NOW)["windows"]) == ["inventory"], "its run paused it"


def test_a_window_that_is_open_holds_its_target(old: Run, shop: Shop) -> None:
    with FileLock(NOW / "run.lock"):
        refused = old("unpause", "categories")
        assert refused.code == 7
        for text in ("mara@warehouse", "4711", "ocsync resync", "2025-03-", "ci.example"):
            assert text in refused.err
    name = pauses(OLD)["categories"]["window"]
    with FileLock(NOW / "windows" / f"{name}.lock"):
        assert answer(old, "status", "--offline")["due"] == {"products": "lease"}
        refused = old("unpause", "categories", "--yes")
        assert refused.code == 7
        for text in ("mara@warehouse", "4711", "ocsync window", "2025-03-"):
            assert text in refused.err
        assert old("window", "categories", "--", "true").code == 7
    assert "categories" in old("plan").err, "a warning: its window died"
    if os.name == "posix":
        assert old("window", "categories", "inventory", "--", "true").code == 0
        assert "categories" not in shop.all_paused(), "taken over"
        assert "inventory" in shop.all_paused(), "a run's own"


def test_the_attached_listener_is_taken_away(old: Run, shop: Shop) -> None:
    listed = answer(old, "delivery", "list")
    assert listed["attached"] == tomllib.loads((OLD / "attached.toml").read_text())
    assert {name: one["phase"] for name, one in listed["attached"].items()} == {
        "crm/Http": "attaching", "erp/Http": "attached", "pim/Http": "detaching",
    }  # fmt: skip
    for name, place in ("erp", "ocsync"), ("crm", "crm"), ("pim", "pim"):
        shown = answer(old, "delivery", "show", name)["DeliveryTargets"]
        assert shown["Http"] == {"Endpoint": f"https://listener.example/{place}"}
    assert old("profile", "remove", "acme", "--yes").code == 6, "it has pauses"
    gone = {one["config"]: one for one in answer(old, "delivery", "detach")["detached"]}
    assert sorted(gone) == ["crm", "erp", "pim"]
    for one in gone.values():  # that of crm by its address before
        assert (one["type"], one["was"], one["changed"]) == ("Http", "ours", [])
    assert gone["erp"]["targets"] == ["catalogs", "products"]
    left = {one["ID"]: one["DeliveryTargets"] for one in shop.state()["deliveries"]}
    assert not any(one.get("Http") for one in left.values())
    assert left["erp"]["Kafka"]["SaslPassword"] == "real"
    assert answer(old, "status", "--offline")["attached"] == {}


def test_the_listener_gets_another_address(
    old: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENER", "sesame")
    words = ("--endpoint", "https://other.example/", "--secret-env", "LISTENER")
    [one] = answer(old, "delivery", "attach", "products", *words)["attached"]
    assert one["targets"] == ["catalogs", "products"]
    before, now = (
        tomllib.loads((root / "attached.toml").read_text())["erp/Http"] for root in (OLD, NOW)
    )
    assert now["shown"] == {"Endpoint": "https://other.example/"}
    assert all(now[name] == before[name] for name in ("phase", "targets", "found"))
    phases = {one["phase"] for one in answer(old, "status", "--offline")["attached"].values()}
    assert phases == {"attached"}, "what was cut off is settled"


def test_the_delivery_log(untouched: Run) -> None:
    log = records(OLD / "delivery.jsonl")
    assert len(log) == 9
    found = answer(untouched, "listen", "log", "--all")
    assert found["messages"] == 8, "one place of a topic was read twice"
    assert found["log"] == log[:8]
    once = answer(untouched, "listen", "log")["log"]
    assert [one["payload"] for one in once] == [one["payload"] for one in log[:8]]
    assert {one["namespace"].rpartition("messages.")[2] for one in once} == {
        "entitysync.inventoryrecord.updated", "entitysync.catalog.updated", "product.updated",
    }  # fmt: skip
    assert answer(untouched, "listen", "log", "--since", "2025-03-04")["messages"] == 1


def test_old_runs_are_pruned(old: Run) -> None:
    kept = ["0310-0900", "0310-0930", "0310-1100"]
    gone = answer(old, "history", "prune", "--older-than", "1d", "--yes")["removed"]
    assert sorted([*gone, *kept]) == RUNS, "what is not finished stays"
    assert sorted(path.name for path in (NOW / "runs").iterdir()) == kept
    assert finish(old)["run"]["counts"] == {"done": 14, "unchanged": 1}


def test_the_profiles(old: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {one["name"]: one for one in answer(old, "profile", "list")["profiles"]}
    assert {name for name, one in listed.items() if one["current"]} == {"acme"}
    assert listed["sandbox"]["api_url"] == "https://useast-sandbox.ordercloud.io"
    assert listed["sandbox"]["environment"] == "useast-sandbox"
    assert "keyring" in listed["lab"]["secret"]
    assert "echo emulator" in listed["vault"]["secret"]
    acme = answer(old, "profile", "show")
    assert (acme["pinned"], acme["marketplace"], acme["client_id"]) == ("acme", "acme", "emulator")
    assert (acme["auth_url"], "ACME_SECRET" in acme["secret"]) == (shop.url, True)
    assert answer(old, "profile", "check")["name"] == "Acme Outdoors"
    refused = old("profile", "check", "vault")
    assert (refused.code, "profile trust vault" in refused.err) == (78, True)
    assert answer(old, "profile", "trust", "vault", "--yes")["why"]
    assert answer(old, "profile", "check", "vault")["marketplace"] == "acme"
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert answer(old, "profile", "trust", "lab", "--yes")["why"]
    refused = old("profile", "check", "lab")
    assert (refused.code, "keyring is not installed" in refused.err) == (78, True)
    guarded = old("pause", "supplier-users", "--profile", "vault")
    assert (guarded.code, "--confirm acme" in guarded.err) == (64, True), "it is production"
    assert old("profile", "use", "lab").code == 0
    assert answer(old, "status", "--offline")["profile"] == "lab"
    assert old("profile", "remove", "lab", "--yes").code == 0
    assert answer(old, "init")["made"] is False


def test_another_marketplace_is_refused(old: Run, shop: Shop) -> None:
    shop.seed(marketplace="other")
    refused = old("resume", "--repause")
    assert (refused.code, "acme" in refused.err) == (6, True)
    assert shop.writes() == []


def test_a_newer_format_is_refused(untouched: Run) -> None:
    path = Path(".ocsync/workspace.toml")
    path.write_text(re.sub(r"format = \d+", "format = 99", path.read_text()))
    refused = untouched("status", "--offline")
    assert (refused.code, "99" in refused.err) == (78, True)
