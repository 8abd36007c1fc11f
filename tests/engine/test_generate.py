"""Variants that are generated from specs: one request a product, between specs and variants."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ocsync.engine.run_log import read_writes
from tests.benchmarks.faults import haste
from tests.builders import Shop
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import profile_dir

GENERATE = "/v1/products/P/variants/generate"
SPECS = (
    "put spec/SIZE Name=Size DefinesVariant=true",
    "put spec-option/SIZE/S Value=S", "put spec-option/SIZE/L Value=L",
    "assign spec-product-assignment/SIZE/P",
)  # fmt: skip


def stage(run: Run, *lines: str, code: int = 0) -> Any:
    for line in lines:
        result = run("stage", *line.split())
        assert result.code == code, (line, result)
    return result


def variants(shop: Shop) -> list[str]:
    return sorted(one["ID"] for one in shop.get("/products/P/variants")["Items"])


@pytest.fixture
def product(ocsync: Run, shop: Shop) -> Run:
    shop.seed(product=[{"ID": "P", "Name": "p"}])
    return ocsync


@pytest.fixture
def generated(product: Run, shop: Shop) -> Run:
    """A product with the variants of two sizes."""
    stage(product, *SPECS, "generate product/P")
    result = product("resume", "--verify")
    assert result.code == 0, result
    assert variants(shop) == ["P-L", "P-S"]
    return product


def test_specs_generation_and_variants_go_in_one_run(product: Run, shop: Shop) -> None:
    """In whatever order they were staged, and once for the product."""
    stage(product, "set variant/P/P-L Active=true", "generate product/P", *SPECS, "generate product/p",
          "put variant-inventory/P/P-S/R AddressID=A QuantityAvailable=4",
          "put address/A Street1=s City=c Country=DE",
          "set product/P Inventory.Enabled=true Inventory.VariantLevelTracking=true")  # fmt: skip
    kinds = product("plan", "--json").data["kinds"]
    assert {"kind": "variants", "entries": 2, "steps": 1} in kinds
    steps = product("plan", "--explain", "variants/P")
    assert "variants/P   POST" in steps.out
    result = product("resume", "--verify")
    assert result.code == 0, result
    paths = [one["path"] for one in shop.writes()]
    assert paths.count(GENERATE) == 1
    place = paths.index(GENERATE)
    assert all("/specs" in path or "variants" not in path for path in paths[:place])
    assert [path for path in paths[place + 1 :] if "/specs" in path] == []
    assert shop.get("/products/P/variants/P-L")["Active"] is True
    kinds = product("history", "--json").data["runs"][0]["kinds"]
    assert kinds["variants"] == {"done": 1}
    rows = product("history", "--steps", "--json").data["steps"]
    assert [row["state"] for row in rows if row["ref"] == "variants/P"] == ["done"]


def test_the_result_is_verified(generated: Run, shop: Shop) -> None:
    assert "variants" in generated("verify").out
    table = shop.emulator.market.tables["variant"]
    table.pop(next(key for key in table.rows if key[1] == "p-l"))
    result = generated("verify")
    assert result.code == 5, result
    assert "variants/P" in result.out
    assert "VariantCount" in result.out


def test_more_options_make_more_variants_and_keep_what_is_there(generated: Run, shop: Shop) -> None:
    stage(generated, "set variant/P/P-S Description=mine", "put spec-option/SIZE/M Value=M",
          "generate product/P")  # fmt: skip
    assert generated("resume", "--verify").code == 0
    assert variants(shop) == ["P-L", "P-M", "P-S"]
    assert shop.get("/products/P/variants/P-S")["Description"] == "mine"


def test_generating_nothing_new_is_no_change(generated: Run, shop: Shop) -> None:
    """So no listener waits for a message of it, which may not come (`--no-op silent`)."""
    runs = profile_dir().runs
    stage(generated, "generate product/P")
    assert generated("resume", "--verify").code == 0
    first, second = [runs.get(info.id) for info in reversed(runs.read_all())]
    assert read_writes(first)["variants/P"].changed
    assert not read_writes(second)["variants/P"].changed


def test_overwriting_is_one_too_and_warned_of(generated: Run, shop: Shop) -> None:
    stage(generated, "set variant/P/P-S Description=mine")
    assert generated("resume").code == 0
    stage(generated, "generate product/P", "generate product/P --overwrite", "generate product/P",
          "set variant/P/P-L Description=new")  # fmt: skip
    assert "all variants of 1 product will be reset" in " ".join(generated("plan").out.split())
    assert generated("resume", "--verify").code == 0
    [request] = [one for one in shop.writes() if one["path"] == GENERATE][1:]
    assert request["query"] == "overwriteExisting=true"
    found = {one["ID"]: one["Description"] for one in shop.get("/products/P/variants")["Items"]}
    assert found == {"P-S": None, "P-L": "new"}


@pytest.mark.parametrize(
    "edit", ["variant/P/P-S Description=d", "variant-inventory/P/P-S/R xp.a=1"]
)
def test_edits_that_it_would_reset_come_after_it(generated: Run, edit: str) -> None:
    stage(generated, f"set {edit}")
    refused = stage(generated, "generate product/p --overwrite", code=65)
    assert "would reset variants that earlier staged edits" in refused.err
    stage(generated, "generate product/p")
    stage(generated, "generate product/Q --overwrite")
    edits = [("variant/Q/V", {"Active": True}), ("variants/Q", {"OverwriteExisting": True})]
    lines = "\n".join(json.dumps({"ref": ref, "fields": fields}) for ref, fields in edits)
    result = generated("stage", "import", "-", "--format", "jsonl", stdin=lines.encode())
    assert (result.code, "would reset" in result.err) == (65, True), result


def test_what_is_refused(product: Run, shop: Shop) -> None:
    assert "is not a product" in stage(product, "generate catalog/C", code=64).err
    result = product("stage", "set", "variants/P", "OverwriteExisting=true")
    assert (result.code, "stage generate" in result.err) == (65, True), result
    stage(product, "generate product/P", "generate product/NONE")
    result = product("resume")
    assert result.code == 3, result
    assert "400 ValidationFailure Invalid spec configuration" in result.out
    assert "404 NotFound" in result.out
    assert product("stage", "list", "--json").data["staged_refs"] == 2


def test_failed_options_hold_it_back_and_it_holds_variants_back(product: Run, shop: Shop) -> None:
    """Or it would make too few of them, and reset them the next time."""
    stage(product, *SPECS, "generate product/P --overwrite", "set variant/P/P-L Active=true")
    rule = {"method": "PUT", "path": "/options/L", "status": 400, "code": "Some.Rule"}
    shop.faults({**rule, "times": 99})
    with haste(1000):
        result = product("resume")
    assert (result.code, variants(shop)) == (3, []), result
    blocked = "blocked by spec-option/SIZE/L: 2 steps, variants/P, variant/P/P-L"
    assert blocked in result.out
    shop.faults()
    assert product("resume", "--verify").code == 0
    assert variants(shop) == ["P-L", "P-S"]
    assert shop.get("/products/P/variants/P-L")["Active"] is True


def test_other_specs_do_not_hold_it_back(product: Run, shop: Shop) -> None:
    """Not those of other products, nor are they sent after it."""
    stage(
        product,
        "generate product/P",
        *SPECS,
        "put spec/OTHER Name=o",
        "put spec-option/OTHER/X Value=x",
    )
    shop.faults({"method": "PUT", "path": "/options/X", "status": 400, "code": "R", "times": 99})
    with haste(1000):
        assert product("resume").code == 3
    assert variants(shop) == ["P-L", "P-S"]
    paths = [one["path"] for one in shop.writes()]
    assert paths.index("/v1/specs/OTHER/options/X") < paths.index(GENERATE)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_around_it_changes_nothing(product: Run, shop: Shop, moment: Any) -> None:
    stage(product, *SPECS, "generate product/P", "set variant/P/P-L Active=true")
    crash_resume(shop, CrashPoint("request", 5, moment))  # after four other writes
    assert variants(shop) == ([] if moment == "before" else ["P-L", "P-S"])
    result = product("resume", "--verify")
    assert result.code == 0, result
    assert variants(shop) == ["P-L", "P-S"]
    assert shop.get("/products/P/variants/P-L")["Active"] is True


def test_it_cannot_be_undone(generated: Run, shop: Shop) -> None:
    found = generated("rollback", "--json")
    assert found.code == 3, found
    lost = {one["ref"]: one["what"] for one in found.data["lost"]}
    assert lost["variants/P"] == ["generated variants remain"]
    assert generated("delete", "variants/P", "--yes").code == 65


def test_too_many_variants_are_foreseen(product: Run, shop: Shop) -> None:
    lines = [f"put spec/S{n} Name=s DefinesVariant=true" for n in range(4)]
    lines += [f"assign spec-product-assignment/S{n}/P" for n in range(4)]
    lines += [f"put spec-option/S{n}/O{m} Value=v" for n in range(4) for m in range(7)]
    stage(product, *lines, "generate product/P")
    text = "variants/P would get 2,401 variants; a product can have 1,500"
    assert text in " ".join(product("plan").out.split())
    with haste(1000):
        result = product("resume")
    assert (result.code, "400 Variant.ExceededLimit" in result.out) == (3, True), result
