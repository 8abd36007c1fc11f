"""How many requests a resume sends, and which."""

from __future__ import annotations

import threading

import pytest

from tests.benchmarks import requests as benchmark
from tests.builders import Shop, csv_of
from tests.conftest import Run
from tests.engine.test_stock import between
from tests.intercepting import Answer, Request

CONFIG = "/v1/integrations/entitysync/products/inventoryrecords"


def administrative(shop: Shop) -> list[str]:
    """The requests for sign-in and sync configs, in their order."""
    own = [r for r in shop.requests() if r["path"].startswith(("/oauth", "/v1/me", "/v1/integr"))]
    return [f"{r['method']} {r['path'].removeprefix('/v1')}" for r in own]


@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_a_config_is_read_before_and_after_and_patched_twice(
    ocsync: Run, shop: Shop, delay: float
) -> None:
    """An answer to a PATCH that does not show the pause yet is not believed."""
    [ref] = shop.stock(records=1)
    shop.switch(pause_delay=delay)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume", "--verify").code == 0
    path = CONFIG.removeprefix("/v1")
    found = administrative(shop)
    assert found[0] == "POST /oauth/token"
    assert sorted(found[1:3]) == [f"GET {path}", "GET /me"], "at the same time"
    if delay:
        assert found.count(f"GET {path}") >= 4
    else:
        assert found[3:] == [f"PATCH {path}", f"GET {path}", f"PATCH {path}"]
    assert not shop.paused()


def test_a_config_that_was_read_long_ago_is_read_again(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone else may have paused it since."""
    monkeypatch.setattr("ocsync.engine.pause.pausing.READING_SECONDS", 0.0)
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume").code == 0
    assert sum(one.startswith("GET /integrations") for one in administrative(shop)) == 5


def test_without_a_pause_no_config_is_read(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume", "--no-pause").code == 0
    assert administrative(shop) == ["POST /oauth/token", "GET /me"]


def test_entities_are_read_beside_the_sign_in_and_the_unpause(ocsync: Run, shop: Shop) -> None:
    """The answers to `GET /me` and to the unpause wait for a read of the record."""
    [ref] = shop.stock(records=1)
    read, written = threading.Event(), threading.Event()
    waited: list[bool] = []

    def hook(request: Request) -> Answer:
        record = "/inventoryrecords/" in request.path
        if record and request.method == "GET":
            read.set()
        elif record:
            read.clear()
            written.set()
        elif request.path.endswith("/me") or (request.method == "PATCH" and written.is_set()):
            waited.append(read.wait(5))
        return request.forward()

    with between(ocsync, shop, hook):
        ocsync("stage", "set", ref, "QuantityAvailable=7")
        assert ocsync("resume", "--verify").code == 0
    assert waited == [True, True]
    assert not shop.paused()


@pytest.mark.parametrize("valid", [0.0, 60.0])
def test_what_was_read_ahead_long_ago_is_read_again(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, valid: float
) -> None:
    """The operator may have been asked meanwhile."""
    monkeypatch.setattr("ocsync.engine.read_ahead.VALID_SECONDS", valid)
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume", "--verify").code == 0
    assert sum("/inventoryrecords/" in r["path"] for r in shop.requests()) == (3 if valid else 5)


def test_few_entities_are_read_ahead(ocsync: Run, shop: Shop) -> None:
    """A user of another marketplace would have cost all these requests."""
    rows = [("ref", "QuantityAvailable"), *((ref, 7) for ref in shop.stock(8, products=8))]
    read, early = threading.Semaphore(0), 0

    def hook(request: Request) -> Answer:
        nonlocal early
        if "/inventoryrecords/" in request.path and request.method == "GET":
            read.release()
        if request.path.endswith("/me"):
            while read.acquire(timeout=0.1):
                early += 1
        return request.forward()

    with between(ocsync, shop, hook):
        ocsync("stage", "import", "-", stdin=csv_of(rows))
        assert ocsync("resume", "--concurrency", "2").code == 0
    assert early == 4, "as many as may wait for a slot"


def test_targets_are_paused_and_unpaused_at_once(ocsync: Run, shop: Shop) -> None:
    """Each waits until all have arrived."""
    shop.seed(targets="all")
    shop.stock(records=1)
    shop.seed(catalog=[{"ID": "C", "Name": "c"}])
    together = [threading.Barrier(3, timeout=5), threading.Barrier(3, timeout=5)]

    def hook(request: Request) -> Answer:
        if request.method == "PATCH" and "/integrations/" in request.path:
            together[b"false" in request.body].wait()
        return request.forward()

    with between(ocsync, shop, hook):
        ocsync("stage", "set", "inventory/P0/R0", "QuantityAvailable=7")
        ocsync("stage", "set", "product/P0", "Name=new")
        ocsync("stage", "set", "catalog/C", "Name=new")
        assert ocsync("resume").code == 0
    assert not shop.all_paused()


def test_commands_pause_and_unpause_targets_at_once(ocsync: Run, shop: Shop) -> None:
    """Each waits until both have arrived."""
    shop.seed(targets="all")
    together = [threading.Barrier(2, timeout=5), threading.Barrier(2, timeout=5)]

    def hook(request: Request) -> Answer:
        if request.method == "PATCH":
            together[b"false" in request.body].wait()
        return request.forward()

    with between(ocsync, shop, hook):
        assert ocsync("pause", "inventory", "buyers").code == 0
        assert shop.all_paused() == ["buyers", "inventory"]
        assert ocsync("unpause", "inventory", "buyers").code == 0
    assert not shop.all_paused()


REFS = 40
PHASES = {  # early, late at most, verify; the writes are one for each ref
    "inventory (12 products)": (12, 0, 12),
    "inventory, one record a product": (40, 0, 40),
    "inventory adjust": (0, 30, 12),
    "inventory set --expect": (12, 30, 12),
    "categories (2": (2, 0, 2),
    "users into one group": (1, 0, 1),
    "buyer users": (1, 0, 1),
    "price schedules": (1, 0, 1),
    "products": (1, 0, 1),
    "product assignments": (1, 0, 1),
    "category products": (20, 0, 20),
}


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", PHASES)
def test_reads_are_shared(shop: Shop, name: str) -> None:
    """The cases of the benchmark, with few refs."""
    case = next(one for one in benchmark.cases(REFS) if one.name.startswith(name))
    row = benchmark.measure(case, shop.emulator, shop.url, "--verify")
    early, late, verify = PHASES[name]
    assert (row.early, row.verify, row.writes) == (early, verify, case.refs)
    assert row.late <= late
    assert row.other <= (2 if name == "price schedules" else 7)


def test_one_record_a_product_is_one_request_without_a_way_back(shop: Shop) -> None:
    case = next(one for one in benchmark.cases(REFS) if "one record" in one.name)
    row = benchmark.measure(case, shop.emulator, shop.url, "--verify=answers", "--no-undo")
    assert (row.early, row.late, row.writes, row.verify) == (0, 0, REFS, 20)
