"""Stock and other values that others change: what is read last, and never believed blindly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.builders import Shop
from tests.conftest import SECRET, Run
from tests.intercepting import Answer, Hook, Request, intercepting

RECORD = "/products/P0/inventoryrecords/R0"
REF = "inventory/P0/R0"
PATH = "QuantityAvailable"


@contextmanager
def between(run: Run, shop: Shop, hook: Hook) -> Iterator[None]:
    """Have the profile's requests go through *hook*."""
    with intercepting(shop.url, hook) as url:
        added = run("profile", "add", "by-proxy", "--api-url", url, "--client-id", "emulator",
                    "--secret-env", SECRET)  # fmt: skip
        assert added.code == 0, added
        assert run("profile", "use", "by-proxy").code == 0
        yield


def once(method: str, does: Callable[[Request], Answer]) -> Hook:
    """A hook for the first request of *method* to the record; all others are sent on."""
    met: list[Request] = []

    def hook(request: Request) -> Answer:
        if request.method == method and request.path.endswith(RECORD) and not met:
            met.append(request)
            return does(request)
        return request.forward()

    return hook


def stock(shop: Shop) -> int:
    number: int = shop.get(RECORD)[PATH]
    return number


def sell(shop: Shop, pieces: int) -> None:
    shop.call("PATCH", RECORD, {PATH: stock(shop) - pieces})


@pytest.mark.quick(1)
@pytest.mark.parametrize("answer", [
    Answer(404, b'{"Errors":[{"ErrorCode":"NotFound","Message":"x"}]}'),
    Answer(200, b""),
    Answer(200, b'{"ID":"OTHER","QuantityAvailable":1000}'),
], ids=["404", "empty", "of another"])  # fmt: skip
def test_no_sum_is_sent_onto_what_a_read_did_not_show(
    ocsync: Run, shop: Shop, answer: Answer
) -> None:
    shop.stock(records=1, quantity=40)

    def hook(request: Request) -> Answer:
        hidden = request.method == "GET" and request.path.endswith(RECORD)
        return answer if hidden else request.forward()

    with between(ocsync, shop, hook):
        ocsync("stage", "adjust", REF, "QuantityAvailable+=5")
        assert ocsync("resume").code in (3, 75)
    assert stock(shop) == 40
    assert not [one for one in shop.writes() if one["path"].endswith(RECORD)]


@pytest.mark.quick(2)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("expected", [False, True])
def test_a_refused_write_of_stock_is_made_anew_from_a_fresh_read(
    ocsync: Run, shop: Shop, status: int, expected: bool
) -> None:
    """An order takes three pieces while the server wants us to wait."""
    shop.stock(records=1, quantity=40)

    def refuse(request: Request) -> Answer:
        sell(shop, 3)
        return Answer(status, b"", (("Retry-After", "0"),))

    with between(ocsync, shop, once("PATCH", refuse)):
        if expected:
            ocsync("stage", "set", REF, "QuantityAvailable=45", "--expect", "QuantityAvailable=40")
        else:
            ocsync("stage", "adjust", REF, "QuantityAvailable+=5")
        assert ocsync("resume", "--verify").code == (6 if expected else 0)
    assert stock(shop) == (37 if expected else 42)


def test_an_absolute_quantity_whose_answer_is_lost_is_not_repeated(ocsync: Run, shop: Shop) -> None:
    """It took effect, and three pieces were sold before its answer was lost."""
    shop.stock(records=1, quantity=40)

    def lose(request: Request) -> Answer:
        request.forward()
        sell(shop, 3)
        return Answer(500, b'{"Errors":[{"ErrorCode":"ServerError","Message":"timeout"}]}')

    with between(ocsync, shop, once("PATCH", lose)):
        ocsync("stage", "set", REF, "QuantityAvailable=100")
        result = ocsync("resume", "--verify")
    assert (result.code, stock(shop)) == (0, 97)
    assert "sold since" in result.out


def test_effect_and_as_many_sold_is_not_made_twice(ocsync: Run, shop: Shop) -> None:
    """The stock is what it was before, but its stamp tells that it was written since."""
    shop.stock(records=1, quantity=40)

    def lose(request: Request) -> Answer:
        request.forward()
        sell(shop, 5)
        return Answer(504)

    with between(ocsync, shop, once("PATCH", lose)):
        ocsync("stage", "adjust", REF, "QuantityAvailable+=5")
        result = ocsync("resume")
    assert (result.code, stock(shop)) == (6, 40)
    assert "before=40" in result.out.replace(" ", "") or "unknown" in result.out


def test_a_write_that_was_ignored_is_no_sale(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=1, quantity=40)

    def ignore(request: Request) -> Answer:
        return Answer(200, json.dumps(shop.get(RECORD)).encode())

    with between(ocsync, shop, once("PATCH", ignore)):
        ocsync("stage", "set", REF, "QuantityAvailable=100")
        result = ocsync("resume", "--verify")
    assert (result.code, stock(shop)) == (5, 40)
    assert "sold since" not in result.out


def test_a_deep_xp_path_keeps_what_others_wrote_since_the_first_read(
    ocsync: Run, shop: Shop
) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c", "xp": {"a": {"x": 1, "y": 2}}}])
    met: list[str] = []

    def meanwhile(request: Request) -> Answer:
        pausing = request.method == "PATCH" and request.path.endswith("/entitysync/catalogs")
        if pausing and not met:
            met.append(request.path)
            shop.call("PATCH", "/catalogs/C", {"xp": {"a": {"x": 1, "y": 2, "z": 99}}})
        return request.forward()

    with between(ocsync, shop, meanwhile):
        ocsync("stage", "set", "catalog/C", "xp.a.x:=5")
        assert ocsync("resume", "--verify").code == 0
    assert met
    assert shop.get("/catalogs/C")["xp"] == {"a": {"x": 5, "y": 2, "z": 99}}


def test_a_stamp_of_before_an_own_write_is_not_held_against_a_later_read(
    ocsync: Run, shop: Shop
) -> None:
    """The first write changes the stamp, which the read before the second one does not show yet."""
    shop.switch(product_lag=0.3, lag_get=True)
    shop.seed(supplier=[{"ID": "S", "Name": "s"}], product=[{"ID": "P", "Name": "p"}])
    tried: list[str] = []

    def lose_second(request: Request) -> Answer:
        if request.method == "PUT":
            tried.append(request.path)
        if len(tried) != 2 or request.method != "PUT":
            return request.forward()
        time.sleep(0.2)  # until the first write is all but shown
        request.forward()
        time.sleep(0.15)
        return Answer(504)

    with between(ocsync, shop, lose_second):
        ocsync("stage", "put", "product/P", "Name=q", "DefaultSupplierID=S",
               "Inventory.QuantityAvailable=2", "--replace")  # fmt: skip
        ocsync("stage", "put", "product/P", "Name=r", "--replace")
        result = ocsync("resume", "--verify", "--json").events[-1]
    assert result["run"]["counts"] == {"done": 2}, result
    assert shop.state()["product"][0]["Name"] == "r"


def test_a_put_that_only_takes_away_is_not_done_before_it_took_effect(
    ocsync: Run, shop: Shop
) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c", "Description": "long", "xp": {"a": 1}}])
    tried: list[str] = []

    def lose(request: Request) -> Answer:
        if request.method == "PUT":
            tried.append(request.path)
            return Answer(204 if len(tried) == 1 else 400)  # an empty answer, and no effect
        return request.forward()

    with between(ocsync, shop, lose):
        ocsync("stage", "put", "catalog/C", "Name=c", "--replace")
        result = ocsync("resume", "--verify")
    assert tried
    assert result.code == 3, result
    assert shop.get("/catalogs/C")["Description"] == "long"


def record_reads(shop: Shop) -> list[str]:
    """The reads of records, as paths, with the writes among them as PATCH."""
    found = [
        r for r in shop.requests() if "inventoryrecords" in r["path"] and "integ" not in r["path"]
    ]
    return [r["method"] if r["method"] != "GET" else r["path"] for r in found]


def test_adjusts_of_a_product_are_read_together_and_only_late(ocsync: Run, shop: Shop) -> None:
    """A read of all of them, then their writes, and nothing of them before the pause."""
    refs = shop.stock(records=6, products=2, quantity=10)
    for ref in refs:
        ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    assert ocsync("resume").code == 0
    found = record_reads(shop)
    lists = [path for path in found if path != "PATCH"]
    assert sum(path.endswith("/inventoryrecords") for path in lists) == 2
    assert len(lists) == 4, "two at a time, as the window begins with four"
    assert found[0] != "PATCH"
    assert [shop.get(f"/products/P{n % 2}/inventoryrecords/R{n}")[PATH] for n in range(6)] == [
        15
    ] * 6
    paused = [n for n, r in enumerate(shop.requests()) if "integrations" in r["path"]]
    assert not [r for r in shop.requests()[: paused[1]] if "/P0/" in r["path"]]


def test_what_the_late_list_leaves_out_is_read_by_itself(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=3, products=1, quantity=10)
    for ref in refs:
        ocsync("stage", "adjust", ref, "QuantityAvailable+=5")

    def without_the_second(request: Request) -> Answer:
        answer = request.forward()
        if request.method == "GET" and "inventoryrecords?" in request.path:
            page = json.loads(answer.body)
            page["Items"] = [one for one in page["Items"] if one["ID"] != "R1"]
            return Answer(answer.status, json.dumps(page).encode())
        return answer

    with between(ocsync, shop, without_the_second):
        for ref in refs:
            ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
        assert ocsync("resume").code == 0
    assert [shop.get(f"/products/P0/inventoryrecords/R{n}")[PATH] for n in range(3)] == [15] * 3


def test_a_sale_before_one_of_several_writes_costs_that_one_alone_another_read(
    ocsync: Run, shop: Shop
) -> None:
    """The server refuses one write and sells three pieces; that one is read again."""
    refs = shop.stock(records=3, products=1, quantity=40)

    def refuse(request: Request) -> Answer:
        sell(shop, 3)
        return Answer(429, b"", (("Retry-After", "0"),))

    with between(ocsync, shop, once("PATCH", refuse)):
        for ref in refs:
            ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
        assert ocsync("resume").code == 0
    assert [shop.get(f"/products/P0/inventoryrecords/R{n}")[PATH] for n in range(3)] == [42, 45, 45]


def test_an_expected_stock_is_read_early_and_late(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=4, products=1, quantity=40)
    for ref in refs:
        ocsync("stage", "set", ref, "QuantityAvailable=45", "--expect", "QuantityAvailable=40")
    assert ocsync("resume").code == 0
    found = record_reads(shop)
    assert found[0] == "/v1/products/P0/inventoryrecords"
    assert found[1] == "/v1/products/P0/inventoryrecords"
    assert found.count("PATCH") == 4


@pytest.mark.parametrize("status", [400, 403])
def test_a_late_list_that_is_refused_fails_each_of_its_steps(
    ocsync: Run, shop: Shop, status: int
) -> None:
    refs = shop.stock(records=3, products=1, quantity=40)
    for ref in refs:
        ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    path = "/products/P0/inventoryrecords"
    shop.faults({"status": status, "method": "GET", "path": path, "times": 99})
    result = ocsync("resume", "--json")
    assert result.events[-1]["run"]["counts"] == {"failed": 3}
    assert shop.writes() == []


TRACKED = {"ID": "P", "Name": "p", "Inventory": {"Enabled": True, "VariantLevelTracking": True}}


@pytest.mark.quick(2)
@pytest.mark.parametrize(("edits", "code"), [
    (["put product/P Name=q --replace", "set product/P Inventory.QuantityAvailable=3"], 0),
    (["set product/P Inventory.VariantLevelTracking=false",
      "set product/P Inventory.QuantityAvailable=3"], 0),
    (["set product/P Inventory.VariantLevelTracking=false",
      "adjust product/P Inventory.QuantityAvailable+=3"], 0),
    (["set product/P Name=q", "set product/P Inventory.QuantityAvailable=3"], 6),
    (["put product/P Name=q Inventory.VariantLevelTracking=true --replace",
      "set product/P Inventory.QuantityAvailable=3"], 6),
])  # fmt: skip
def test_stock_is_written_where_an_earlier_edit_ends_its_sum(
    ocsync: Run, shop: Shop, edits: list[str], code: int
) -> None:
    """While a product tracks its variants, its stock is theirs, and a write of it never shows."""
    shop.seed(product=[TRACKED])
    for edit in edits:
        assert ocsync("stage", *edit.split()).code == 0
    result = ocsync("resume", "--verify")
    assert result.code == code, result
    assert ("is the sum over its variants" in result.out) is bool(code)
    assert shop.get("/products/P")["Inventory"]["QuantityAvailable"] == (0 if code else 3)


@pytest.mark.quick(3)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("answer", [
    Answer(200, b'{"ID":"OTHER","QuantityAvailable":45}'),
    Answer(200, b""),
    Answer(202, b"{}"),
    Answer(200, b"[]"),
], ids=["of another", "empty", "accepted", "a list"])  # fmt: skip
def test_a_write_that_a_gateway_swallowed_is_not_done(
    ocsync: Run, shop: Shop, answer: Answer, method: str
) -> None:
    shop.stock(records=1, quantity=40)
    with between(ocsync, shop, once(method, lambda _: answer)):
        if method == "DELETE":
            result = ocsync("delete", REF, "--yes")
            assert (result.code, stock(shop)) == (3, 40), result
            return
        ocsync("stage", "adjust", REF, f"{PATH}+=5")
        result = ocsync("resume")
        assert (result.code, stock(shop)) == (0, 45), "a read shows that it may be sent again"


@pytest.mark.parametrize("paused", [True, False])
def test_an_answer_that_is_not_the_config_proves_no_pause(
    ocsync: Run, shop: Shop, paused: bool
) -> None:
    swallowed: list[Request] = []
    body = json.dumps({"Paused": paused}).encode()

    def hook(request: Request) -> Answer:
        if request.method == "PATCH" and request.body == body.replace(b" ", b""):
            swallowed.append(request)
            return Answer(200, body)
        return request.forward()

    with between(ocsync, shop, hook), pytest.MonkeyPatch.context() as patch:
        patch.setattr("ocsync.engine.pause.pausing.CONFIRM_SECONDS", 0.1)
        codes = [ocsync(command, "inventory").code for command in ("pause", "unpause")]
    assert (codes[0 if paused else 1], len(swallowed)) == (75, 1)
    assert bool(shop.paused()) is not paused


@pytest.mark.parametrize("command", ["resume", "unpause inventory catalogs"])
def test_an_error_that_cuts_off_an_unpause_names_what_stays_paused(
    ocsync: Run, shop: Shop, command: str
) -> None:
    shop.stock(records=1, quantity=40)
    ocsync("pause", "inventory", "catalogs")
    ocsync("stage", "set", REF, f"{PATH}=41")
    shop.faults({"status": 503, "retry_after": 900, "method": "PATCH",
                 "path": "/entitysync/catalogs", "times": 9})  # fmt: skip
    result = ocsync(*command.split())
    catalogs = "/integrations/entitysync/catalogs"
    assert (result.code, shop.paused(), shop.paused(catalogs)) == (75, False, True), result
    assert "! catalogs stays paused" in result.err, result
