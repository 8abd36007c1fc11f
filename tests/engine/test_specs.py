"""Specs, their options and their assignments: what refers to what, in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Shop
from tests.conftest import Run


def stage(run: Run, *lines: str, code: int = 0) -> Any:
    for line in lines:
        result = run("stage", *line.split())
        assert result.code == code, (line, result)
    return result


def test_a_default_option_is_given_after_both_exist(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": "P", "Name": "p"}])
    stage(ocsync, "put spec/S Name=Size", "put spec-option/S/O Value=L", "set spec/S DefaultOptionID=O",
          "assign spec-product-assignment/S/P DefaultOptionID=O DefaultValue=x")  # fmt: skip
    result = ocsync("resume", "--verify")
    assert result.code == 0, result
    assert shop.get("/specs/S")["DefaultOptionID"] == "O"
    written = [f"{one['method']} {one['path'].removeprefix('/v1')}" for one in shop.writes()]
    assert written[:2] == ["PUT /specs/S", "PUT /specs/S/options/O"]
    assert set(written[2:]) == {"PATCH /specs/S", "POST /specs/productassignments"}


@pytest.mark.parametrize("first", ["option", "spec"])
def test_a_spec_is_replaced_with_a_new_option_as_its_default(
    ocsync: Run, shop: Shop, first: str
) -> None:
    """A file may name the option before or after the spec; neither is a circle."""
    shop.seed(spec=[{"ID": "S", "Name": "s", "DefaultValue": "x"}])
    lines = ["put spec-option/S/O Value=L", "put spec/S Name=t DefaultOptionID=O --replace"]
    stage(ocsync, *(lines if first == "option" else lines[::-1]))
    result = ocsync("resume", "--verify")
    assert result.code == 0, result
    spec = shop.get("/specs/S")
    assert (spec["Name"], spec["DefaultValue"], spec["DefaultOptionID"]) == ("t", None, "O")
    assert ocsync("plan", "--json").data["entries"] == 0


def test_what_is_refused_at_staging(ocsync: Run) -> None:
    refused = stage(ocsync, "put spec/S Name=s DefaultOptionID=O", code=65)
    assert "can be set only on an existing entity" in refused.err
    refused = stage(ocsync, "put spec-option/S/O Value=L PriceMarkupType=Much", code=65)
    assert "is not one of NoMarkup, AmountPerQuantity, AmountTotal, Percentage" in refused.err
    refused = stage(ocsync, "put spec-option/S/O ListOrder=1", code=65)
    assert "Value" in refused.err
    refused = ocsync("stage", "put", "spec-option/O", "Value=L")
    assert (refused.code, "spec-option/SpecID/OptionID" in refused.err) == (65, True), refused


def test_an_option_without_its_spec_fails_by_itself(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, "put spec-option/NONE/O Value=L", "put spec/S Name=s")
    result = ocsync("resume", "--yes")
    assert (result.code, "404 NotFound" in result.out) == (3, True), result
    assert shop.get("/specs/S")["Name"] == "s"


def test_a_spec_goes_with_all_that_hangs_on_it_and_comes_back(ocsync: Run, shop: Shop) -> None:
    shop.seed(
        product=[{"ID": "P", "Name": "p"}],
        spec=[{"ID": "S", "Name": "s", "DefaultOptionID": "O", "xp": {"a": 1}}],
        **{"spec-option": [{"SpecID": "S", "ID": n, "Value": n, "PriceMarkup": 1.5} for n in "OQ"],
           "spec-product-assignment": [{"SpecID": "S", "ProductID": "P"}]},
    )  # fmt: skip
    before = shop.get("/specs/S")
    shown = ocsync("delete", "spec/S", "--dry-run")
    text = shown.out + shown.err
    assert "2 spec options" in text
    assert "1 spec product assignment" in text
    assert ocsync("delete", "spec/S", "--yes").code == 0
    run = ocsync("history", "--json").data["runs"][0]["id"]
    assert ocsync("rollback", run).code == 0
    result = ocsync("resume", "--verify")
    assert result.code == 0, result
    assert shop.get("/specs/S") == before
    assert shop.get("/specs/productassignments?ProductID=P")["Meta"]["TotalCount"] == 1


@pytest.mark.parametrize("edit", [
    "set spec/S Name=t", "put spec-option/S/Q Value=q", "assign spec-product-assignment/S/P DefaultValue=y",
])  # fmt: skip
def test_products_hear_of_their_specs(ocsync: Run, shop: Shop, edit: str) -> None:
    """An assignment always; a spec and an option where products are sent for what they contain."""
    shop.switch(product_resync="touched")
    shop.seed(
        product=[{"ID": "P", "Name": "p"}],
        spec=[{"ID": "S", "Name": "s"}],
        **{"spec-product-assignment": [{"SpecID": "S", "ProductID": "P"}]},
    )  # fmt: skip
    stage(ocsync, edit)
    shown = ocsync("plan", "--json").data["targets"]
    assert "products" in [*shown["direct"], *shown["possible"]]
    assert ocsync("resume", "--verify").code == 0
    assert [one["payload"]["ProductID"] for one in shop.messages()] == ["P"]


@pytest.mark.parametrize("refs", [("spec/S", "spec-option/S/O"), ("spec-option/S/O", "spec/S")])
def test_a_spec_is_deleted_along_with_its_default_option(
    ocsync: Run, shop: Shop, refs: tuple[str, str]
) -> None:
    option = {"SpecID": "S", "ID": "O", "Value": "L"}
    shop.seed(spec=[{"ID": "S", "Name": "s", "DefaultOptionID": "O"}], **{"spec-option": [option]})
    result = ocsync("delete", *refs, "--yes")
    assert result.code == 0, result
    assert [one["path"] for one in shop.writes()] == ["/v1/specs/S/options/O", "/v1/specs/S"]


def test_a_spec_with_its_default_option_put_again_is_unchanged(ocsync: Run, shop: Shop) -> None:
    """The put alone would empty the default, which the edit after it sets."""
    edits = [
        {"ref": "spec/S", "op": "put", "fields": {"Name": "s"}},
        {"ref": "spec-option/S/O", "op": "put", "fields": {"Value": "o"}},
        {"ref": "spec/S", "op": "set", "fields": {"DefaultOptionID": "O"}},
    ]
    Path("spec.jsonl").write_text("".join(json.dumps(one) + "\n" for one in edits))
    for _ in range(2):
        assert ocsync("stage", "import", "spec.jsonl").code == 0
        result = ocsync("resume", "--verify")
        assert (result.code, len(shop.writes())) == (0, 3), result
    shop.call("PATCH", "/specs/S", {"Name": "theirs"})
    assert ocsync("stage", "import", "spec.jsonl").code == 0
    assert ocsync("resume").code == 6
