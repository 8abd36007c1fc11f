"""The platform's log IDs, which its support asks for: kept with outcomes, shown with failures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from ocsync.client import Api
from ocsync.errors import ExitCode
from tests.builders import Shop
from tests.conftest import Run
from tests.in_process import resume


def log_ids(shop: Shop, path: str) -> list[str]:
    return [one["log_id"] for one in shop.requests() if one["path"] == f"/v1{path}"]


def test_a_created_entity_has_a_location(shop: Shop) -> None:
    made = shop.call("POST", "/catalogs", {"Name": "n"})
    url = f"{shop.url}/v1/catalogs/{made.json()['ID']}"
    assert (made.status_code, made.headers["location"]) == (201, url)
    assert made.headers["x-oc-logid"] == log_ids(shop, "/catalogs")[-1]
    assert "location" not in shop.call("PUT", "/catalogs/C", {"Name": "n"}).headers
    hub = {"EventHub": {"EventHubName": "h", "ConnectionString": "c"}}
    config = {"ID": "D", "Name": "d", "DeliveryTargets": hub}
    made = shop.call("POST", "/integrations/deliveryconfig", config)
    assert made.headers["location"].endswith("/v1/integrations/deliveryconfig/D")


@pytest.fixture
def partly(ocsync: Run, shop: Shop) -> tuple[str, str]:
    """The log IDs of a step that is done and of one that was refused."""
    shop.seed(catalog=[{"ID": "C", "Name": "c"}])
    shop.faults({"method": "PATCH", "path": "/catalogs/C", "status": 400, "code": "Some.Rule"})
    ocsync("stage", "put", "catalog/D", "Name=d")
    ocsync("stage", "set", "catalog/C", "Name=e")
    result = ocsync("resume", "--no-pause")
    assert result.code == 3, result
    refused = log_ids(shop, "/catalogs/C")[-1]
    assert f"(log ID {refused})" in result.out
    return log_ids(shop, "/catalogs/D")[-1], refused


def test_outcomes_history_and_reports_have_them(ocsync: Run, partly: tuple[str, str]) -> None:
    done, refused = partly
    [row] = ocsync("history", "--steps", "--json").data["problems"]
    assert row["log_id"] == refused
    assert f"(log ID {refused})" in ocsync("history", "--steps", "--failed").out
    assert done in ocsync("history", "--steps").out
    for form in ("junit", "markdown", "csv"):
        assert refused in ocsync("history", "--report", form, "-").out
    rows = csv.DictReader(io.StringIO(ocsync("history", "--report", "csv", "-").out))
    assert {row["log_id"] for row in rows} == {done, refused}


def test_a_refused_delete_has_one(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "c"}],
              buyer=[{"ID": "B", "Name": "b", "DefaultCatalogID": "C"}])  # fmt: skip
    result = ocsync("delete", "catalog/C", "--yes")
    assert (result.code, log_ids(shop, "/catalogs/C")[-1] in result.out) == (3, True), result


def test_an_error_of_a_whole_command_has_one(ocsync: Run, shop: Shop) -> None:
    shop.seed(clients=[{"ID": "emulator", "Secret": "emulator", "Roles": ["CatalogReader"]}])
    result = ocsync("pause", "inventory")
    path = "/integrations/entitysync/products/inventoryrecords"
    assert (result.code, f"log ID {log_ids(shop, path)[-1]}" in result.err) == (4, True), result
    named = ocsync("pause", "inventory", "--json")
    assert log_ids(shop, path)[-1] in named.out + named.err


def test_a_lost_answer_has_that_of_the_last_attempt(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    shop.faults({"method": "PATCH", "path": "/inventoryrecords/R0", "status": 500, "times": 99})
    ocsync("stage", "set", ref, "QuantityAvailable=1")
    assert resume(shop).exit_code == ExitCode.PARTLY
    [problem] = ocsync("history", "--steps", "--json").data["problems"]
    assert problem["log_id"] == log_ids(shop, "/products/P0/inventoryrecords/R0")[-2], "then read"


def test_the_log_of_a_crash_names_the_last_answers(
    ocsync: Run, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Api, "page", broken)
    shop.seed(catalog=[{"ID": "C", "Name": "c"}])
    result = ocsync("resync", "categories", "--catalog", "C")
    assert result.code == 1, result
    [log] = (tmp_path / "data" / "errors").iterdir()
    assert f"GET /me: 200, log ID {log_ids(shop, '/me')[-1]}" in log.read_text()


def test_a_log_id_that_is_none_is_left_out(ocsync: Run, shop: Shop) -> None:
    import httpx

    from ocsync.client.responses import log_id_of

    for text in ("", "a b", "x" * 101, "\x1b[31m"):
        assert log_id_of(httpx.Response(200, headers={"X-oc-logid": text})) == ""
    assert log_id_of(httpx.Response(200, headers={"X-OC-LogID": "a-1"})) == "a-1"
