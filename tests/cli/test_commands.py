"""The other commands, and what holds for all of them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import SECRET, Run


def test_init_makes_a_workspace_once(run: Run, tmp_path: Path) -> None:
    assert run("init", "here", "--json").data["made"] is True
    assert run("init", "here", "--json").data["made"] is False
    assert (tmp_path / "here/.ocsync/.gitignore").read_text() == "*\n"


def test_profiles_are_added_listed_shown_used_and_removed(run: Run) -> None:
    run("init")
    assert run("profile", "add", "a", "--environment", "useast-sandbox", "--client-id", "c",
               "--secret-env", "S").code == 0  # fmt: skip
    assert run("profile", "add", "b", "--api-url", "https://api.ordercloud.io/v1", "--client-id", "c",
               "--secret-command", "op read x").code == 0  # fmt: skip
    listed = run("profile", "list", "--json").data["profiles"]
    shown = run("profile", "show", "b", "--json").data

    assert [(p["name"], p["current"]) for p in listed] == [("a", True), ("b", False)]
    assert shown["api_url"] == "https://api.ordercloud.io"
    assert shown["environment"] == "uswest-production"
    assert run("profile", "use", "b").code == 0
    assert run("profile", "remove", "a").code == 64, "a question that cannot be asked"
    assert run("profile", "remove", "a", "--yes").code == 0
    assert run("profile", "use", "a").code == 78


@pytest.mark.parametrize("words", [
    ("--environment", "useast-sandbox", "--api-url", "https://x"), (), ("--environment", "mars-one"),
    ("--api-url", "http://api.ordercloud.io"), ("--environment", "useast-sandbox", "--secret-keyring"),
])  # fmt: skip
def test_half_a_profile_is_refused(run: Run, words: tuple[str, ...]) -> None:
    result = run("profile", "add", "a", "--client-id", "c", "--secret-env", "S", *words)
    assert result.code == 64
    assert result.err
    choices = [line for line in result.err.splitlines() if line.startswith("  ")]
    assert not [line for line in choices if len(line) > 80 or line.endswith("-")]


def test_check_names_user_marketplace_and_missing_roles(ocsync: Run, shop: Shop) -> None:
    assert ocsync("profile", "check", "--json").data["missing"] == []
    shop.seed(clients=[{"ID": "some", "Secret": "emulator", "Roles": ["CatalogAdmin"]}])
    ocsync(
        "profile",
        "add",
        "some",
        "--api-url",
        shop.url,
        "--client-id",
        "some",
        "--secret-env",
        SECRET,
    )
    result = ocsync("profile", "check", "some", "--json")
    assert result.code == 4
    assert "ProductSyncConfigAdmin" in result.data["missing"]
    assert "CatalogAdmin" not in result.data["missing"]


def test_a_wrong_secret_is_exit_4_and_shown_nowhere(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "hunter2-hunter2")
    result = ocsync("profile", "check", "--verbose")
    assert result.code == 4
    written = "".join(p.read_text(errors="replace") for p in Path().rglob("*") if p.is_file())
    assert "hunter2" not in result.out + result.err + written


def test_a_profile_from_elsewhere_runs_nothing_before_it_is_trusted(
    ocsync: Run, shop: Shop
) -> None:
    file = Path(".ocsync/profiles/test/profile.toml")
    text = file.read_text()
    file.write_text(
        text.replace(f'env = "{SECRET}"', "command = \"sh -c 'touch ran; echo emulator'\"")
    )
    refused = ocsync("profile", "check")
    assert refused.code == 78
    assert "not trusted" in refused.err
    assert not Path("ran").exists()
    assert ocsync("profile", "trust").code == 64
    assert ocsync("profile", "trust", "--yes").code == 0
    assert ocsync("profile", "check").code == 0
    assert Path("ran").exists()


def test_staging_one_by_one(ocsync: Run) -> None:
    assert ocsync("stage", "set", "catalog/C", "Active=true").code == 0
    assert ocsync("stage", "adjust", "inventory/P/R", "QuantityAvailable+=2").code == 0
    shown = ocsync("stage", "show", "inventory/P/R")
    assert "QuantityAvailable+=2" in shown.out
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 2
    assert ocsync("stage", "drop", "catalog/X").code == 66
    assert ocsync("stage", "drop", "1").code == 0
    assert ocsync("stage", "clear").code == 64
    assert ocsync("stage", "clear", "--yes").code == 0
    assert ocsync("plan", "--exit-code").code == 0


def test_what_is_wrong_is_told_in_lines_that_fit(ocsync: Run) -> None:
    unknown = ocsync("stage", "set", "foo/X", "Name=a").err
    assert "variant-inventory" in unknown
    assert "next:" not in unknown, "a list of kinds is nothing to type"
    assert max(map(len, unknown.splitlines())) <= 80
    missing = ocsync("stage", "put", "catalog/X").err
    assert "catalog/X  Name  is required\n" in missing, "what is empty takes no room"
    ocsync("stage", "set", "product/P", "Inventory.QuantityAvailable=5")
    beside = ocsync("stage", "set", "inventory/P/R", "QuantityAvailable=5")
    assert (beside.code, '"inventory/P/R"  cannot be staged beside' in beside.err) == (65, True)


def test_a_broken_file_stages_nothing_and_tells_all(ocsync: Run) -> None:
    Path("broken.csv").write_text(
        "ref,QuantityAvailable\ninventory/P/R,1.0E+05\ninventory/P 1/R,1\n"
    )
    result = ocsync("stage", "import", "broken.csv")

    assert result.code == 65
    assert 'broken.csv:2:2  QuantityAvailable  "1.0E+05"' in result.err
    assert "an ID has letters, digits, - and _ only" in result.err
    assert "2 of 2 lines are wrong; nothing was staged" in result.err
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 0
    assert ocsync("stage", "import", "missing.csv").code == 66
    failed = ocsync("stage", "import", "broken.csv", "--json")
    assert failed.out == ""
    assert len(json.loads(failed.err)["problems"]) == 2


def test_a_circle_is_told_before_anything_is_sealed(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "set", "category/C/A", "ParentID=B")
    ocsync("stage", "set", "category/C/B", "ParentID=A")
    for words in (("plan",), ("resume",)):
        result = ocsync(*words)
        assert result.code == 65
        assert "category/C/A -> category/C/B -> category/C/A" in result.err
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 2


def test_plan_explains_and_warns(ocsync: Run) -> None:
    Path("s.csv").write_text(
        "ref,QuantityAvailable,AddressID\ninventory/P/R,40,\ninventory/P/R,,wh-2\n"
    )
    ocsync("stage", "import", "s.csv")
    ocsync("stage", "adjust", "inventory/P/R", "QuantityAvailable+=2")
    shown = ocsync("plan")
    explained = ocsync("plan", "--explain", "inventory/P/R").out

    assert ocsync("plan", "--exit-code").code == 2
    assert "a single change: pausing is not worth it" in shown.out
    assert "quantities without an expectation: 1" in shown.out
    assert "may also resend products" in shown.out
    assert "PATCH  QuantityAvailable=42  AddressID=wh-2" in explained
    assert "s.csv:2" in explained
    assert "adjust QuantityAvailable+=2" in explained
    assert all(len(line) <= 80 for line in shown.out.splitlines()[1:])
    assert ocsync("plan", "--explain", "catalog/C").code == 66


def test_delete_is_guarded_immediate_and_drops_what_is_staged(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=2, products=1)
    ocsync("pause", "products", "inventory")
    ocsync("stage", "set", refs[0], "QuantityAvailable=9")
    ocsync("stage", "set", "address/wh-0", "City=x")
    asked = ocsync("delete", "product/P0")
    assert asked.code == 64
    assert "takes along 2 inventory records" in asked.err
    assert "seen at once, although paused: products" in asked.err
    assert shop.call("GET", "/products/P0").status_code == 200

    result = ocsync("delete", "product/P0", "catalog/NONE", "--yes")
    assert result.code == 0
    assert shop.call("GET", "/products/P0").status_code == 404
    assert [m["namespace"] for m in shop.messages()] == [
        "sitecore.ordercloud.messages.product.deleted"
    ]
    staged = ocsync("stage", "list", "--json").data["staged"]
    assert [row["ref"] for row in staged] == ["address/wh-0"]


def test_deletes_that_are_refused_are_told(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=1)
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    result = ocsync("delete", "address/wh-0", "catalog/C", "--yes")
    assert result.code == 3
    assert "will be refused: inventory records refer to it (product/P0)" in result.err
    assert "CannotDeleteInventoryRecordAddress" in result.out
    assert shop.call("GET", "/catalogs/C").status_code == 404
    assert ocsync("delete", "variant/P/V", "--yes").code == 65


def test_an_assignment_is_removed_by_delete(ocsync: Run, shop: Shop) -> None:
    shop.seed(**{"catalog-product": [{"CatalogID": "C", "ProductID": "P"}]})
    assert ocsync("delete", "catalog-product/C/P", "--yes").code == 0
    assert shop.get("/catalogs/productassignments")["Items"] == []


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


@pytest.mark.parametrize("words", [
    ("nope",), ("plan", "--nope"), ("stage",), ("pause",), ("pause", "orders"), ("pause", "inventory", "--for", "x"),
    ("resume", "--on-conflict", "maybe"), ("resume", "--concurrency", "0"),
])  # fmt: skip
def test_wrong_usage_is_64(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.code == (0 if words == ("stage",) else 64)
    assert "Traceback" not in result.err


def test_without_a_profile_the_way_is_told(run: Run) -> None:
    for words in (("plan",), ("status",), ("pause", "inventory"), ("stage", "list")):
        result = run(*words)
        assert result.code == 78
        assert "ocsync profile add" in result.err


def test_help_and_hints_name_ocsync_however_it_is_started(run: Run) -> None:
    assert run("plan", "--help").out.startswith("Usage: ocsync plan ")
    assert "next: ocsync plan --help" in run("plan", "--nope").err


def test_a_fatal_error_as_json_is_one_object_on_stderr(run: Run) -> None:
    result = run("plan", "--json")
    error = json.loads(result.err)
    assert result.out == ""
    assert (error["type"], error["exit_code"]) == ("error", 78)


@pytest.mark.parametrize("value", ["1", "true", "YES", "on", "0", "no"])
def test_a_variable_asks_for_json_of_answers_and_errors_alike(
    run: Run, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OCSYNC_JSON", value)
    answer, error = run("init").out, run("plan").err
    assert answer.startswith("{") == error.startswith("{") == (value not in ("0", "no"))


@pytest.mark.parametrize("words", [("--help",), ("stage", "list"), ("plan",)], ids=" ".join)
def test_nobody_reads_on(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """As in `ocsync plan | head -1`, help included."""
    ocsync("stage", "set", "catalog/C", "Name=x")
    reader, writer = os.pipe()
    os.close(reader)
    closed = os.fdopen(writer, "w", buffering=1)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        result = ocsync(*words)
    with contextlib.suppress(BrokenPipeError):
        closed.close()
    assert (result.code, "Traceback" in result.err) == (0, False), result


def test_a_log_of_both_streams_has_the_lines_in_order(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in cron: `ocsync stage set ... > log 2>&1`."""
    log = tmp_path / "log"
    with log.open("a") as out, log.open("a", buffering=1) as err, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        ocsync("stage", "set", "catalog/C", "Name=x")
    assert [line[:10] for line in log.read_text().splitlines()] == ["+ 1  set c", "  staged n", "  next: oc"]  # fmt: skip


def test_nobody_at_the_other_end(ocsync: Run, shop: Shop) -> None:
    file = Path(".ocsync/profiles/test/profile.toml")
    file.write_text(file.read_text().replace(shop.url, "http://127.0.0.1:9"))
    from ocsync.client import factory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factory.Limits, "__new__", factory.Limits.__new__)
        patch.setattr("ocsync.client.factory.DEFAULT_LIMITS", factory.Limits(max_wait=0.1))
        patch.setattr("ocsync.client.Limits", lambda *a: factory.Limits(max_wait=0.1))
        result = ocsync("status")
    assert result.code == 75
    assert "the network failed" in result.err
    assert ocsync("status", "--offline").code == 0


def test_an_unexpected_error_leaves_a_file_and_no_traceback(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ocsync.store.summary.summarize_journal", lambda *a: 1 / 0)
    result = ocsync("status", "--offline")
    assert result.code == 1
    assert "ZeroDivisionError" in result.err
    assert "Traceback" not in result.err
    [file] = (tmp_path / "data/errors").iterdir()
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize("words", [
    ("init", "file"), ("stage", "list", "--workspace", "file/.ocsync"), ("profile", "list", "--workspace", "file"),
], ids=lambda words: words[0])  # fmt: skip
def test_a_place_that_cannot_be_used_is_told(run: Run, words: tuple[str, ...]) -> None:
    Path("file").write_text("")
    result = run(*words)
    assert (result.code, "unexpected" in result.err) == (78, False), result


def test_damage_in_the_journal_names_file_and_line(ocsync: Run) -> None:
    ocsync("stage", "set", "catalog/C", "Active=true")
    ocsync("stage", "set", "catalog/D", "Active=true")
    [file] = Path(".ocsync/profiles/test/journal").iterdir()
    file.write_text(file.read_text().replace("catalog/C", "catalog/X"))
    for words in (("plan",), ("status", "--offline"), ("stage", "list"), ("resume",)):
        result = ocsync(*words)
        assert result.code == 78
        assert "000001.jsonl:2" in result.err
