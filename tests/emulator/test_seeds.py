"""Seeds: what a marketplace begins with, and how it survives a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.schema import TARGETS
from tests.builders import HTTP, Shop
from tests.conftest import Run
from tests.emulator.sdk_cases import SEED


def market(options: EmulatorOptions, then: Any) -> Any:
    with serve_in_thread(options) as emulator:
        return then(Shop(emulator.url, emulator.emulator))


def test_a_marketplace_survives_a_restart(tmp_path: Path) -> None:
    """Data, configs, secrets, passwords, pauses and what they hold."""
    state = tmp_path / "state.json"
    config = "/integrations/entitysync/catalogs"

    def first(shop: Shop) -> Any:
        shop.seed(targets="all", **SEED)
        shop.call("PATCH", config, {"Paused": True})
        shop.call("PATCH", "/catalogs/C", {"Name": "changed", "xp": {"a": 1}})
        shop.call("PUT", "/buyers/NEW", {"Name": "with its catalog"})
        assert shop.counts()["held"]
        return HTTP.get(shop.url + "/_emulator/state").json()

    def second(shop: Shop) -> Any:
        assert shop.get("/catalogs/C")["xp"] == {"a": 1}
        form = {"grant_type": "password", "client_id": "public", "username": "bu"}
        assert shop.signs_in(**form, password="p4ssword")
        state = HTTP.get(shop.url + "/_emulator/state").json()
        shop.call("PATCH", config, {"Paused": False})
        assert {m["payload"]["Name"] for m in shop.messages()} >= {"changed", "with its catalog"}
        return state

    before = market(EmulatorOptions(state=state), first)
    assert state.stat().st_mode & 0o777 == 0o600
    assert market(EmulatorOptions(state=state), second) == before


def test_what_was_deleted_stays_so_after_a_restart(tmp_path: Path) -> None:
    """A seed is where a marketplace begins, and no part of it once a state was kept."""
    seed, state = tmp_path / "seed.json", tmp_path / "state.json"
    seed.write_text('{"catalog": [{"ID": "C", "Name": "x"}, {"ID": "D", "Name": "x"}]}')
    options = EmulatorOptions(seed=seed, state=state, products=2)

    def first(shop: Shop) -> None:
        for path in ("/catalogs/C", "/products/P000001"):
            assert shop.call("DELETE", path).status_code == 204

    def second(shop: Shop) -> list[str]:
        assert len(shop.get("/products")["Items"]) == 1
        left = [catalog["ID"] for catalog in shop.get("/catalogs")["Items"]]
        HTTP.post(shop.url + "/_emulator/reset")
        assert len(shop.get("/products")["Items"]) == 2, "a reset goes back to the beginning"
        return left

    market(options, first)
    assert market(options, second) == ["main", "D"]


def test_the_state_is_kept_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a killed emulator loses a few seconds at most, of whatever changed the marketplace."""
    state = tmp_path / "state.json"
    monkeypatch.setattr("ocsync.emulator.app._SAVE_INTERVAL", 0.02)

    def look(shop: Shop) -> None:
        def wait_for(fits: Any) -> None:
            end = time.monotonic() + 20
            while not fits(json.loads(state.read_text())):
                assert time.monotonic() < end
                time.sleep(0.02)

        shop.seed(targets="all")
        wait_for(lambda kept: len(kept["targets"]) == len(TARGETS))
        shop.call("PUT", "/catalogs/KEPT", {"Name": "x"})
        wait_for(lambda kept: kept.get("catalog", [{}])[0].get("ID") == "KEPT")
        shop.stock(records=1, quantity=1)
        shop.switch(sales=100)
        wait_for(lambda kept: kept.get("inventory", [{}])[0].get("QuantityAvailable") == 0)
        HTTP.post(shop.url + "/_emulator/reset")
        wait_for(lambda kept: "catalog" not in kept)

    market(EmulatorOptions(state=state), look)


def test_a_synthetic_marketplace() -> None:
    def look(shop: Shop) -> None:
        page = shop.get("/products?pageSize=100&page=2")
        assert (page["Meta"]["TotalCount"], len(page["Items"])) == (150, 50)
        product = page["Items"][0]
        assert (product["ID"], product["Inventory"]["QuantityAvailable"]) == ("P000100", 3)
        assert len(shop.get("/products/P000007/inventoryrecords")["Items"]) == 3
        assert shop.get("/priceschedules/price-7")["PriceBreaks"][0]["Price"] == 7.5
        assert shop.get("/products?catalogID=main")["Meta"]["TotalCount"] == 150
        assert shop.paused() is False

    market(EmulatorOptions(products=150), look)


def test_toml_and_what_is_no_seed(run: Run, tmp_path: Path) -> None:
    good = tmp_path / "seed.toml"
    good.write_text('marketplace = "acme"\n[[catalog]]\nID = "C"\nName = "x"\n')
    assert (
        market(EmulatorOptions(seed=good), lambda shop: shop.get("/catalogs/C")["OwnerID"])
        == "acme"
    )
    cases: list[tuple[str, str, int]] = [
        ("seed.json", "[1]", 65), ("seed.json", '{"produkt": []}', 65), ("seed.json", '{"catalog": [1]}', 65),
        ("seed.json", '{"targets": ["nope"]}', 65), ("seed.toml", "x = ", 65), ("none.json", "", 66),
    ]  # fmt: skip
    for name, text, code in cases:
        path = tmp_path / "bad" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text) if text else path.unlink(missing_ok=True)
        result = run("emulator", "--port", "0", "--seed", str(path))
        assert (result.code, "Traceback" in result.err) == (code, False), (name, text, result.err)


@pytest.mark.parametrize(
    "given", [{"no_op": "maybe"}, {"port": 1}, {"colour": "red"}, {"rate": "x"}]
)
def test_options_that_cannot_be_changed(shop: Shop, given: dict[str, Any]) -> None:
    assert HTTP.patch(shop.url + "/_emulator/options", json=given).status_code == 400


def test_options_have_the_units_of_the_command(shop: Shop) -> None:
    given = {"latency": 1, "pause_delay": 50, "rate": 200, "no_op": "silent"}
    assert HTTP.patch(shop.url + "/_emulator/options", json=given).status_code == 204
    options = shop.emulator.options
    assert (options.latency, options.pause_delay, options.rate) == (0.001, 0.05, 200)


def test_a_state_that_cannot_be_kept(run: Run, tmp_path: Path) -> None:
    result = run("emulator", "--port", "0", "--state", str(tmp_path / "no" / "such.json"))
    assert result.code == 78
    assert "cannot write the state" in result.err


@pytest.mark.slow
def test_ctrl_c_is_the_way_to_end_it() -> None:
    command = [sys.executable, "-m", "ocsync", "emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 0, said


def test_every_option_is_one_of_the_command(run: Run) -> None:
    import dataclasses

    names = {"product_lag": "product-index-lag", "lag_get": "product-get-lags"}
    shown = run("emulator", "--help").out
    for field in dataclasses.fields(EmulatorOptions):
        assert "--" + names.get(field.name, field.name.replace("_", "-")) in shown
