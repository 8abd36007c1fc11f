"""The plan as it is shown, and edits that cannot be planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import Run
from tests.json_schemas import checker
from tests.render.test_run_page import check_closed


def test_a_circle_is_told_before_anything_is_sealed(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "put", "category/C/A", "Name=a", "ParentID=B")
    ocsync("stage", "put", "category/C/B", "Name=b", "ParentID=A")
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
    assert "only one change: pausing gains nothing" in shown.out
    assert "1 quantity has no expected value" in shown.out
    assert "may also resend products" in shown.out
    assert "PATCH  QuantityAvailable=42  AddressID=wh-2" in explained
    assert "s.csv:2" in explained
    assert "adjust QuantityAvailable+=2" in explained
    assert all(len(line) <= 80 for line in shown.out.splitlines()[1:])
    assert ocsync("plan", "--explain", "catalog/C").code == 66


@pytest.mark.parametrize(
    "more", [(), ("product/P0", "Inventory.Enabled=false")], ids=["alone", "beside"]
)
def test_a_ref_is_explained_by_itself_where_no_other_matters(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    refs = shop.stock(records=3)
    for ref in (*refs, refs[0].lower()):
        ocsync("stage", "set", ref, "QuantityAvailable=4", "xp.bin=a")
    if more:
        assert ocsync("stage", "set", *more).code == 0
    quick = ocsync("plan", "--explain", refs[0])
    monkeypatch.setattr("ocsync.ordering.are_unrelated", lambda kinds: False)
    assert ocsync("plan", "--explain", refs[0]) == quick
    assert quick.out.count("xp.bin=a") == 3
    assert ocsync("plan", "--explain", "inventory/P0/none").code == 66


def test_a_diff_says_what_is_emptied_and_what_is_sent_anyway(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": "P", "Name": "p"}],
              catalog=[{"ID": "C", "Name": "c", "Description": "old"}])  # fmt: skip
    ocsync("stage", "set", "product/P", "Name=p")
    ocsync("stage", "put", "catalog/C", "Name=c", "--replace")
    shown = ocsync("plan", "--diff").out
    assert (
        "~ product/P  already has these values; sent anyway, as this read may be out of date"
        in shown
    )
    assert "~ catalog/C  Description old -> null" in shown


def test_a_short_plan_lists_its_edits_and_a_long_one_counts_them(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=21)
    for ref in refs[:20]:
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    ocsync("stage", "adjust", refs[0], "QuantityAvailable+=1")
    short = ocsync("plan").out
    assert "~ inventory/P1/R1  QuantityAvailable=7\n" in short
    assert "  21 edits in 20 requests (4 % fewer)\n" in short
    assert ocsync("plan", "--list").out == short
    ocsync("stage", "set", refs[20], "QuantityAvailable=5")
    long = ocsync("plan").out
    assert "22         21       1   4 % fewer requests" in long
    assert "inventory/P1/R1" not in long
    assert "R1  QuantityAvailable=7\n" in ocsync("plan", "--list").out
    compared = ocsync("plan", "--diff").out
    assert "~ inventory/P1/R1  QuantityAvailable 5 -> 7\n" in compared
    assert "  20 changes; 1 ref needs no change" in compared
    assert "(--list)" not in compared
    listed = ocsync("plan", "--list", "--diff", "--json").data
    assert [step["number"] for step in listed["planned_steps"]] == [*range(1, 22)]
    assert [row["same"] for row in listed["changes"]] == [False] * 20 + [True]


def test_a_long_value_is_cut_in_the_list_alone(ocsync: Run) -> None:
    text = "long " * 40 + "zz"
    ocsync("stage", "set", "catalog/C", f"Description={text}")
    assert f"Description={text[:30]}" in ocsync("plan").out
    assert "zz" not in ocsync("plan").out
    assert "long zz" in ocsync("plan", "--explain", "catalog/C").out


def test_a_saved_plan_is_named_and_sent(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c"}])
    ocsync("stage", "set", "catalog/C", "Name=n")
    ocsync("profile", "check")
    digest = ocsync("plan", "--json").data["fingerprint"]
    saved = ocsync("plan", "catalogs", "--out", "my plan.json")
    assert f"+ saved plan {digest} as my plan.json" in saved.err
    assert "ocsync resume catalogs --plan 'my plan.json' --verify" in saved.err
    facts = json.loads(Path("my plan.json").read_bytes())
    assert not checker("saved-plan")(facts, "")
    assert [step["path"] for step in facts["steps"]] == ["/catalogs/C"]
    resumed = ocsync("resume", "catalogs", "--plan", "my plan.json")
    assert resumed.code == 0
    assert f"1 step · plan {digest}" in resumed.err
    assert f"  plan {digest}\n" in ocsync("history", "--steps").out
    assert ocsync("history", "--steps", "--json").data["run"]["plan"] == digest
    for content in ("{}", '{"fingerprint": 1}', '{"fingerprint": ""}', "x", "[]"):
        Path("wrong.json").write_text(content)
        refused = ocsync("resume", "--plan", "wrong.json")
        assert (refused.code, "not a saved plan" in refused.err) == (65, True)


@pytest.mark.parametrize("diff", [True, False])
def test_a_plan_is_reported(ocsync: Run, shop: Shop, diff: bool) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "before"}])
    ocsync("stage", "set", "catalog/C", "Name=a|b <i>@me")
    ocsync("profile", "check")
    words = ("plan", "--diff") if diff else ("plan",)
    digest = ocsync("plan", "--json").data["fingerprint"]
    comment = ocsync(*words, "--report", "markdown", "-").out
    assert comment.startswith("### ocsync plan: 1 edit, 1 request\n")
    assert f"plan `{digest}`" in comment
    assert ("`before` → <code>a&#124;b" in comment) == diff
    assert "<i>" not in comment
    written = ocsync(*words, "--report", "html", "plan.html")
    page = Path("plan.html").read_text()
    check_closed(page)
    assert digest in page
    assert ("<del>before</del>" in page) == diff
    assert "+ wrote plan.html" in written.err
    assert written.out.startswith("test · ")
    refused = ocsync("plan", "--report", "markdown", "-", "--json")
    assert (refused.code, refused.out) == (64, "")
    assert ocsync("plan", "--report", "csv", "x").code == 64
    assert ocsync("plan", "--report", "html", "none/x").code == 66


def test_what_cannot_be_read_is_no_plain_change(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c"}])
    ocsync("stage", "put", "catalog/C", "Name=new")
    refused = {"method": "GET", "path": "catalogs/C", "status": 403, "code": "InsufficientRole"}
    shop.faults({**refused, "times": 9})
    for words in (("plan", "--diff"), ("resume", "--dry-run")):
        shown = ocsync(*words).out
        assert "! catalog/C  cannot be read: 403 InsufficientRole" in shown
        assert "+ catalog/C" not in shown
    [row] = ocsync("plan", "--diff", "--json").data["changes"]
    assert "cannot be read" in row["conflict"]


def test_what_would_refer_to_nothing_is_named(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=0, products=1)
    shop.seed(catalog=[{"ID": "C", "Name": "c"}])
    for words in ("assign catalog-product/NONE/P0", "put inventory/NONE/R AddressID=wh-1",
                  "put category/C/K Name=k ParentID=NONE", "put category/C/L Name=l ParentID=K",
                  "assign catalog-product/C/P0", "put catalog/D Name=d", "assign catalog-product/D/P0"):  # fmt: skip
        assert ocsync("stage", *words.split()).code == 0
    shown = ocsync("plan", "--diff").out
    for ref, needed in (("catalog-product/NONE/P0", "catalog/NONE"), ("inventory/NONE/R", "product/NONE"),
                        ("category/C/K", "category/C/NONE")):  # fmt: skip
        assert f"! {ref}  it refers to {needed}, which does not exist" in shown
    for ref in ("category/C/L", "catalog-product/C/P0", "catalog/D", "catalog-product/D/P0"):
        assert f"+ {ref}" in shown
