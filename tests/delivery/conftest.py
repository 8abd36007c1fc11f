"""A listener of the test's own workspace, beside the real target of all syncs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders import Shop, csv_of
from tests.conftest import Run
from tests.delivery.listeners import SECRET, listening

REAL = {
    "Kafka": {
        "BootstrapServers": "k.example:1",
        "SaslUsername": "u",
        "SaslPassword": "real",
        "Topic": "t",
    }
}
PATH = "/integrations/deliveryconfig/emulator-log"


@pytest.fixture
def heard(ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A listener of this workspace, beside the real target of all syncs; its URL."""
    monkeypatch.setenv("LISTENER", SECRET)
    shop.call("PUT", PATH, {"Name": "real", "Enabled": True, "DeliveryTargets": REAL})
    with listening("http", "--port", "0", "--secret-env", "LISTENER") as listener:
        yield listener.url


@pytest.fixture
def attached(ocsync: Run, shop: Shop, heard: str) -> Run:
    """The workspace, with the listener attached to what delivers all syncs."""
    result = ocsync(
        "delivery",
        "attach",
        "inventory",
        "products",
        "--endpoint",
        heard,
        "--secret-env",
        "LISTENER",
    )
    assert result.code == 0, result
    return ocsync


def stage(run: Run, refs: list[str], quantity: int = 9) -> None:
    rows = [("ref", "QuantityAvailable"), *((ref, quantity) for ref in refs)]
    assert run("stage", "import", "-", stdin=csv_of(rows)).code == 0
