"""Scripted trouble: what the wire shows, and whether the write took effect."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ocsync.emulator import EmulatorOptions, serve_in_thread
from tests.builders import HTTP, Shop

CATALOG = "/catalogs/C"


@pytest.fixture(autouse=True)
def _catalog(shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "old"}])


def name(shop: Shop) -> str:
    return str(shop.get(CATALOG)["Name"])


@pytest.mark.parametrize("effect", [False, True])
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_status_with_and_without_effect(shop: Shop, status: int, effect: bool) -> None:
    shop.faults({"method": "PATCH", "status": status, "effect": effect, "code": "Api.Offline"})
    answer = shop.call("PATCH", CATALOG, {"Name": "new"})
    assert (answer.status_code, answer.json()["Errors"][0]["ErrorCode"]) == (status, "Api.Offline")
    assert name(shop) == ("new" if effect else "old")
    assert shop.call("PATCH", CATALOG, {"Name": "new"}).status_code == 200, "it struck once"


@pytest.mark.parametrize("effect", [False, True])
def test_a_reset_connection(shop: Shop, effect: bool) -> None:
    shop.faults({"method": "PATCH", "action": "reset", "effect": effect})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        shop.call("PATCH", CATALOG, {"Name": "new"})
    assert name(shop) == ("new" if effect else "old")


def test_half_a_body(shop: Shop) -> None:
    shop.faults({"method": "PATCH", "action": "cut"})
    with pytest.raises(httpx.RemoteProtocolError):
        shop.call("PATCH", CATALOG, {"Name": "new"})
    assert name(shop) == "new"


@pytest.mark.parametrize("action", ["slow", "hang"])
def test_slow_answers(shop: Shop, action: str) -> None:
    shop.faults({"method": "PATCH", "action": action, "seconds": 0.4})
    start = time.monotonic()
    assert shop.call("PATCH", CATALOG, {"Name": "new"}).json()["Name"] == "new"
    assert time.monotonic() - start >= 0.4


def test_a_request_from_before_a_reset_changes_nothing(shop: Shop) -> None:
    shop.switch(latency=0.3)
    with ThreadPoolExecutor() as pool:
        before = pool.submit(shop.call, "PATCH", CATALOG, {"Name": "new"})
        time.sleep(0.1)  # past its sign-in, which has no latency
        shop.emulator.reset()
        shop.seed(catalog=[{"ID": "C", "Name": "other"}])
        assert before.result().status_code == 503
    assert (name(shop), shop.writes()) == ("other", [])


def test_a_time_out_of_the_platform_after_the_effect(shop: Shop) -> None:
    """As the README has it, but for the seconds: nothing for a while, then 500; it was written."""
    shop.faults({"path": "catalogs", "effect": True, "action": "hang", "seconds": 0.2, "status": 500})  # fmt: skip
    start = time.monotonic()
    answer = shop.call("PATCH", CATALOG, {"Name": "new"})
    assert (answer.status_code, time.monotonic() - start >= 0.2) == (500, True)
    assert answer.json()["Errors"][0]["ErrorCode"] == "ServerError"
    assert name(shop) == "new"


def test_strange_bodies(shop: Shop) -> None:
    shop.faults({"action": "bom"}, {"action": "html", "status": 502})
    assert shop.call("GET", CATALOG).content.startswith(b"\xef\xbb\xbf{")
    page = shop.call("GET", CATALOG)
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")


def test_tokens_and_pauses_that_go_in_between(shop: Shop) -> None:
    config = "/integrations/entitysync/catalogs"
    shop.call("PATCH", config, {"Paused": True})
    shop.faults({"action": "unpause", "after": 1}, {"action": "revoke", "after": 1})
    assert shop.paused(config) is True
    assert shop.paused(config) is False
    assert shop.call("GET", CATALOG).status_code == 401


@pytest.mark.slow
def test_a_share_of_all_requests(shop: Shop) -> None:
    shop.faults({"path": "catalogs", "status": 503, "rate": 0.25})
    found = [shop.call("GET", CATALOG).status_code for _ in range(200)]
    assert 30 <= found.count(503) <= 70
    assert shop.counts()["faults"] == found.count(503)
    HTTP.delete(shop.url + "/_emulator/faults")
    assert HTTP.get(shop.url + "/_emulator/faults").json() == []
    assert shop.call("GET", CATALOG).status_code == 200


@pytest.mark.parametrize("header", ["given", "absent"])
def test_a_rate_limit(shop: Shop, header: str) -> None:
    token = shop.call("GET", CATALOG).request.headers["authorization"]
    shop.switch(rate=5, retry_after=header)
    answers = [
        HTTP.get(shop.url + "/v1/catalogs", headers={"authorization": token}) for _ in range(20)
    ]
    refused = [a for a in answers if a.status_code == 429]
    assert refused
    assert all(("retry-after" in a.headers) is (header == "given") for a in refused)
    assert shop.counts()["requests"]["429"] == len(refused)


@pytest.mark.parametrize("rule", [{"status": "x"}, {"actoin": "reset"}, {"action": "explode"}])
def test_a_wrong_script_is_refused(shop: Shop, rule: Any) -> None:
    answer = HTTP.put(shop.url + "/_emulator/faults", json=[rule])
    assert (answer.status_code, "error" in answer.json()) == (400, True)


def test_faults_from_a_file(tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    script.write_text('[{"path": "me", "status": 503}]')
    with serve_in_thread(EmulatorOptions(faults=script)) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        assert [shop.call("GET", "/me").status_code for _ in range(2)] == [503, 200]
