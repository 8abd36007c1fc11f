"""`resume --verify=answers`: the write's own answer as proof, and what is read back all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Shop
from tests.conftest import Run
from tests.engine.test_stock import between
from tests.intercepting import Answer, Request

NUMBER = 30


def stage(run: Run, shop: Shop, number: int = NUMBER) -> list[str]:
    refs = shop.stock(records=number, products=number)
    for ref in refs:
        assert run("stage", "set", ref, "QuantityAvailable=7").code == 0
    return refs


def run_id(run: Run) -> str:
    """The ID of the only run."""
    [info] = run("history", "--json").data["runs"]
    return str(info["id"])


def reads_after(shop: Shop) -> list[str]:
    """The reads of entities after the last write of one."""
    requests = [r for r in shop.requests() if not r["path"].startswith("/v1/integrations/")]
    last = max(n for n, r in enumerate(requests) if r["method"] == "PATCH")
    return [r["path"] for r in requests[last:] if r["method"] == "GET"]


def test_answers_are_the_proof_but_for_a_sample(ocsync: Run, shop: Shop) -> None:
    refs = stage(ocsync, shop)
    result = ocsync("resume", "--verify=answers", "--json")
    assert result.code == 0
    verified = result.events[-1]["verified"]
    assert (verified["read"], verified["sample"], len(verified["by_answer"])) == (20, 20, 10)
    assert set(verified["by_answer"]) <= set(refs)
    assert verified["kinds"] == {"inventory": {"same": NUMBER}}
    assert len(reads_after(shop)) == 20
    [info] = ocsync("history", "--json").data["runs"]
    assert (info["by_answer"], info["verified"]) == (10, {"same": NUMBER})


def test_the_report_tells_which_proof_how_many_had(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, shop)
    result = ocsync("resume", "--verify=answers")
    text = "10 refs verified by the responses to their writes, 20 read back, 20 of them as a sample"
    assert text in " ".join(result.out.split())
    kept = "10 refs verified by the responses to their writes"
    assert kept in ocsync("history", run_id(ocsync)).out
    assert ocsync("history", run_id(ocsync), "--report", "markdown", "r.md").code == 0
    assert kept in Path("r.md").read_text()


def test_verify_alone_reads_all_back(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, shop)
    result = ocsync("resume", "--verify", "inventory", "--json")
    verified = result.events[-1]["verified"]
    assert (result.code, verified["read"], verified["by_answer"]) == (0, NUMBER, [])
    assert len(reads_after(shop)) == NUMBER


@pytest.mark.parametrize("word", ["--verify=all", "--verify=", "--verify=answer"])
def test_another_word_is_refused(ocsync: Run, shop: Shop, word: str) -> None:
    stage(ocsync, shop, 1)
    result = ocsync("resume", word)
    assert (result.code, shop.writes()) == (64, [])
    assert "use --verify or --verify=answers" in result.err


def test_a_server_that_answers_what_it_does_not_keep_is_found_out(ocsync: Run, shop: Shop) -> None:
    """The sample shows it, and then everything is read back."""

    def pretend(request: Request) -> Answer:
        if request.method != "PATCH" or "/inventoryrecords/" not in request.path:
            return request.forward()
        document: dict[str, Any] = shop.get(request.path.removeprefix("/v1"))
        return Answer(200, json.dumps({**document, **json.loads(request.body)}).encode())

    shop.stock(records=1)
    with between(ocsync, shop, pretend):
        stage(ocsync, shop)
        result = ocsync("resume", "--verify=answers", "--json")
    assert result.code == 5
    verified = result.events[-1]["verified"]
    assert (len(verified["findings"]), verified["read"]) == (NUMBER, NUMBER)
    assert verified["by_answer"] == []


def test_an_answer_about_another_entity_proves_nothing(ocsync: Run, shop: Shop) -> None:
    def swap(request: Request) -> Answer:
        answer = request.forward()
        if request.method != "PATCH" or "/inventoryrecords/" not in request.path:
            return answer
        return Answer(200, json.dumps({**json.loads(answer.body), "ID": "OTHER"}).encode())

    shop.stock(records=1)
    with between(ocsync, shop, swap):
        stage(ocsync, shop)
        result = ocsync("resume", "--verify=answers", "--json")
    verified = result.events[-1]["verified"]
    assert (result.code, verified["read"], verified["by_answer"]) == (0, NUMBER, [])


def test_what_no_answer_shows_is_read_back(ocsync: Run, shop: Shop) -> None:
    """Lost answers, assignments, what was there already, and refs with two requests."""
    refs = stage(ocsync, shop)
    shop.seed(supplier=[{"ID": "S1", "Name": "s"}, {"ID": "S2", "Name": "s"}])
    shop.seed(catalog=[{"ID": "C", "Name": "same"}])
    ocsync("stage", "set", "catalog/C", "Name=same")
    ocsync("stage", "put", "product/Q", "Name=q", "DefaultSupplierID=S1")
    ocsync("stage", "set", "product/Q", "DefaultSupplierID=S2")
    ocsync("stage", "assign", "catalog-product/C/Q")
    lost = refs[3].replace("inventory/", "/products/").replace("/R", "/inventoryrecords/R")
    shop.faults({"status": 504, "effect": True, "method": "PATCH", "path": lost})
    result = ocsync("resume", "--verify=answers", "--json")
    assert result.code == 0, result
    verified = result.events[-1]["verified"]
    unproven = {refs[3], "catalog/C", "product/Q", "catalog-product/C/Q"}
    assert not unproven & set(verified["by_answer"])
    assert verified["read"] == verified["sample"] + len(unproven)
