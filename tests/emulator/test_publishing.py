"""Messages: who is told what, in which envelope, and what of it OrderCloud leaves open."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from ocsync.emulator import EmulatorOptions, serve_in_thread
from tests.builders import HTTP, Shop
from tests.emulator.test_emulator import INVENTORY, USER, plant

CATALOGS, PRODUCTS = "/integrations/entitysync/catalogs", "/integrations/productsync"


class Letter(NamedTuple):
    """A request that arrived at the sink."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Sink:
    """An HTTP delivery target; it refuses the first *refuse* letters."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.refuse = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                sink.refuse, refused = max(0, sink.refuse - 1), sink.refuse > 0
                if not refused:
                    sink.letters.append(
                        Letter({n.lower(): v for n, v in self.headers.items()}, raw)
                    )
                self.send_response(503 if refused else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def config(self, **more: Any) -> dict[str, Any]:
        return {"Http": {"Endpoint": self.url, "Secret": "sesame", **more}}


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def sink() -> Iterator[Sink]:
    one = Sink()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def listened(shop: Shop, sink: Sink) -> Shop:
    """A marketplace whose messages go to the sink."""
    plant(shop)
    config = {"Name": "x", "Enabled": True, "DeliveryTargets": sink.config()}
    shop.call("PUT", "/integrations/deliveryconfig/emulator-log", config)
    return shop


def test_letters_are_signed_and_in_the_envelope(listened: Shop, sink: Sink) -> None:
    own = {"CustomAuthHeaderName": "X-Mine", "CustomAuthHeaderValue": "abc"}
    listened.call(
        "PATCH",
        "/integrations/deliveryconfig/emulator-log",
        {"DeliveryTargets": sink.config(**own)},
    )
    listened.call("PATCH", "/catalogs/C", {"Name": "Spring ☀"})
    wait_for(lambda: sink.letters)
    [letter] = sink.letters
    digest = hmac.new(b"sesame", letter.raw, hashlib.sha256).digest()
    assert letter.headers["x-oc-hash"] == base64.b64encode(digest).decode()
    assert letter.headers["x-mine"] == "abc"
    assert letter.body["Headers"] == {
        "type": "sitecore.ordercloud.messages.entitysync.catalog.updated"
    }
    assert letter.body["Payload"]["Name"] == "Spring ☀"
    assert letter.body["Payload"]["UserContext"]["ID"] == "emulator"


def test_a_letter_is_tried_again(
    listened: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocsync.emulator.delivery_sender._RETRY_DELAYS", (0.01, 0.02, None))
    sink.refuse = 2
    listened.call("PATCH", "/catalogs/C", {"Name": "x"})
    wait_for(lambda: sink.letters)
    assert listened.counts()["carried"] == {"http": 1}
    sink.refuse = 3
    listened.call("PATCH", "/catalogs/C", {"Name": "y"})
    wait_for(lambda: listened.counts()["carried"].get("undelivered"))
    assert len(listened.messages()) == 2, "a message is logged whether or not it is taken"


def test_a_reset_drops_what_is_still_to_be_sent(listened: Shop, sink: Sink) -> None:
    sink.refuse = 1
    for name in "xyz":
        listened.call("PATCH", "/catalogs/C", {"Name": name})
    wait_for(lambda: not sink.refuse)
    listened.emulator.reset()
    counts = listened.counts()
    assert (counts["carried"], counts["waiting"]) == ({}, 0)
    time.sleep(0.3)
    assert not sink.letters, "the first is not tried again"


def test_only_loopback_is_sent_to(shop: Shop) -> None:
    plant(shop)
    far = {"Http": {"Endpoint": "https://real.example.com/in", "Secret": "s"}}
    config = {"Name": "x", "Enabled": True, "DeliveryTargets": far}
    shop.call("PUT", "/integrations/deliveryconfig/emulator-log", config)
    shop.call("PATCH", "/catalogs/C", {"Name": "x"})
    counts = shop.counts()
    assert (counts["delivered"], counts["carried"], counts["waiting"]) == (1, {}, 0)


def test_duplicates_delay_and_another_order(listened: Shop, sink: Sink) -> None:
    listened.switch(duplicates=2, delivery_delay=0.3, reorder=True)
    listened.call("PATCH", CATALOGS, {"Paused": True})
    for number in range(20):
        listened.call("PUT", f"/catalogs/c{number:02}", {"Name": "x"})
    assert not sink.letters
    start = time.monotonic()
    listened.call("PATCH", CATALOGS, {"Paused": False})
    wait_for(lambda: len(sink.letters) == 30)
    assert time.monotonic() - start >= 0.3
    names = [letter.body["Payload"]["ID"] for letter in sink.letters]
    assert sorted(set(names)) == [f"c{n:02}" for n in range(20)]
    assert names != sorted(names)


def test_flags_and_disabled_deliveries(listened: Shop) -> None:
    def told(verb: str, path: str, body: Any = None) -> list[str]:
        before = len(listened.messages())
        listened.call(verb, path, body)
        return [m["namespace"].rpartition(".")[2] for m in listened.messages()[before:]]

    listened.call("PATCH", CATALOGS, {"SyncEntityChanged": False})
    assert told("PUT", "/catalogs/X", {"Name": "x"}) == []
    assert told("DELETE", "/catalogs/X") == ["deleted"]
    listened.call("PATCH", CATALOGS, {"SyncEntityChanged": True, "SyncEntityDeleted": False})
    assert told("PUT", "/catalogs/X", {"Name": "x"}) == ["updated"]
    assert told("DELETE", "/catalogs/X") == []
    listened.call("PATCH", "/integrations/deliveryconfig/emulator-log", {"Enabled": False})
    assert told("PUT", "/catalogs/X", {"Name": "x"}) == []
    refused = listened.refusal("POST", CATALOGS + "/sync", {"CatalogID": "X"})
    assert refused == (400, "Synchronize.EntitySyncForCatalogNotEnabled")


def test_what_a_product_message_carries(listened: Shop) -> None:
    listened.seed(
        category=[{"CatalogID": "C", "ID": "K", "Name": "K", "Active": True}],
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "G"}],
        **{"price-schedule": [{"ID": "PS", "Name": "x", "Currency": "EUR"}],
           "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B"}]},
    )  # fmt: skip
    listened.call(
        "POST", "/catalogs/C/categories/productassignments", {"CategoryID": "K", "ProductID": "P"}
    )
    listened.call(
        "POST",
        "/products/assignments",
        {"ProductID": "P", "BuyerID": "B", "UserGroupID": "G", "PriceScheduleID": "PS"},
    )
    listened.call(
        "PATCH", "/products/P", {"DefaultPriceScheduleID": "PS", "DefaultSupplierID": "S0"}
    )
    payload = listened.messages()[-1]["payload"]
    assert payload["ProductID"] == "P"
    assert payload["Marketplace"] == "emulator"
    assert (
        payload["Catalogs"],
        payload["Buyers"],
        payload["UserGroups"],
        payload["Suppliers"],
    ) == (["C"], ["B"], ["G"], ["S0"])
    assert payload["Categories"] == [{"ID": "K", "Name": "K", "ListOrder": 0, "Active": True}]
    [party] = payload["PartyPriceSchedules"]
    assert (party["Party"], party["PartyType"], party["PriceSchedule"]["Currency"]) == (
        "G",
        2,
        "EUR",
    )
    assert payload["DefaultPriceSchedule"]["ID"] == "PS"
    listened.call("PATCH", PRODUCTS, {"ExcludePriceSchedules": True})
    listened.call("PATCH", "/products/P", {"Name": "x"})
    assert not [n for n in listened.messages()[-1]["payload"] if "PriceSchedules" in n]


def test_other_payloads(listened: Shop) -> None:
    listened.call("PUT", "/buyers/B/users/U", {**USER, "Password": "hunter22"})
    user = listened.messages()[-1]["payload"]
    assert (user["UserType"], user["CompanyID"], "Password" in user) == (0, "B", False)
    listened.call(
        "PUT", "/products/P/inventoryrecords/R", {"AddressID": "A0", "QuantityAvailable": 3}
    )
    record = listened.messages()[-1]["payload"]
    assert (record["ID"], record["ProductID"], len(record["InventoryRecords"])) == ("R", "P", 1)
    assert record["InventoryRecords"][0].keys() == {
        "ID",
        "OwnerID",
        "AddressID",
        "OrderCanExceed",
        "QuantityAvailable",
        "Zip",
        "xp",
    }
    listened.call("DELETE", "/buyers/B/users/U")
    assert listened.messages()[-1]["payload"].keys() == {"ID", "UserContext"}


def test_a_message_says_who_did_it(shop: Shop) -> None:
    plant(shop)
    robot = {"ID": "R", **USER, "Username": "robot"}
    client = {"ID": "ci", "Secret": "s", "Roles": ["FullAccess"], "User": "robot"}
    shop.seed(clients=[client], **{"admin-user": [robot]})
    form = {"grant_type": "client_credentials", "client_id": "ci", "client_secret": "s"}
    token = HTTP.post(shop.url + "/oauth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    HTTP.patch(shop.url + "/v1/catalogs/C", json={"Name": "x"}, headers=headers)
    shop.call("PATCH", "/catalogs/C", {"Name": "y"})
    who = [message["payload"]["UserContext"] for message in shop.messages()]
    assert who == [{"ID": "R", "AnonymousId": None}, {"ID": "emulator", "AnonymousId": None}]


def test_order_sync_has_no_pause(shop: Shop) -> None:
    path = "/integrations/ordersync"
    assert shop.refusal("GET", path) == (404, "NotFound")
    made = shop.call("PUT", path, {"DeliveryConfigID": "emulator-log", "Paused": True})
    assert made.json() == {"DeliveryConfigID": "emulator-log", "ConfigData": None}
    assert "Paused" not in shop.call("PATCH", path, {"Paused": True, "ConfigData": {"a": 1}}).json()
    assert shop.call("DELETE", path).status_code == 204


def behaviour(shop: Shop, what: str) -> Any:
    """What the platform does about *what*."""
    catalog = "/catalogs/C"
    before = len(shop.messages())

    def told() -> int:
        return len(shop.messages()) - before

    def paused(*, then: bool = True) -> None:
        shop.call("PATCH", CATALOGS, {"Paused": then})

    if what == "while_paused":
        paused()
        shop.call("PATCH", catalog, {"Name": "D"})
        paused(then=False)
        return told()
    if what == "updated_after_delete":
        shop.call("PUT", "/catalogs/X", {"Name": "x"})
        before += 1
        paused()
        shop.call("PATCH", "/catalogs/X", {"Name": "D"})
        shop.call("DELETE", "/catalogs/X")
        paused(then=False)
        return [m["namespace"].rpartition(".")[2] for m in shop.messages()[before:]]
    if what == "sync_while_paused":
        paused()
        status = shop.call("POST", CATALOGS + "/sync", {"CatalogID": "C"}).status_code
        now = told()
        paused(then=False)
        return status, now, told()
    if what == "no_op":
        shop.call("PATCH", catalog, {"Name": "C"})
        return told()
    if what == "product_resync":
        shop.seed(**{"catalog-product": [{"CatalogID": "C", "ProductID": "P"}]})
        shop.call("PATCH", catalog, {"Name": "D"})
        return [m["target"] for m in shop.messages()[before:]]
    if what == "missing_config":
        shop.call("DELETE", CATALOGS)
        answer = shop.call("GET", CATALOGS)
        return answer.status_code, answer.json().get("DeliveryConfigID", 0)
    if what == "nested_xp":
        shop.call("PATCH", catalog, {"xp": {"k": {"a": 1}}})
        return shop.call("PATCH", catalog, {"xp": {"k": {"b": 2}}}).json()["xp"]["k"]
    if what == "xp_null":
        shop.call("PATCH", catalog, {"xp": {"k": 1}})
        return shop.call("PATCH", catalog, {"xp": None}).json()["xp"]
    if what == "inventory_feeds":
        shop.call("PUT", "/products/P/inventoryrecords/R", {"AddressID": "A0"})
        return [m["target"] for m in shop.messages()[before:]]
    if what == "bulk":
        breaks = [{"Quantity": 1, "Price": 1}]
        schedule = {"Name": "x", "MaxQuantity": 3, "PriceBreaks": breaks}
        shop.call("PUT", "/priceschedules/S", schedule)
        item = {"ID": "S", "Name": "y", "PriceBreaks": breaks}
        job = shop.call("POST", "/bulk/priceschedules/upsert", [item]).json()
        wait_for(lambda: shop.get(f"/bulk/jobs/{job['JobID']}")["Status"] == "Completed")
        return shop.get("/priceschedules/S")["MaxQuantity"]
    if what == "null_flags":
        answer = shop.call("PATCH", catalog, {"Active": None})
        return answer.json().get("Active", answer.status_code)
    if what == "put_password":
        shop.seed(clients=[{"ID": "p", "Secret": "", "Roles": ["FullAccess"]}])
        for body in ({**USER, "Password": "hunter22"}, USER):
            shop.call("PUT", "/adminusers/U", body)
        return shop.signs_in(
            client_id="p", grant_type="password", username="u", password="hunter22"
        )
    if what == "omitted":
        ids = {"CatalogID": "C", "BuyerID": "B"}
        shop.call("POST", "/catalogs/assignments", {**ids, "ViewAllProducts": True})
        shop.call("POST", "/catalogs/assignments", ids)
        return shop.get("/catalogs/assignments")["Items"][0]["ViewAllProducts"]
    if what == "nested_targets":
        kafka = {
            "BootstrapServers": "k.example:1",
            "SaslUsername": "u",
            "SaslPassword": "p",
            "Topic": "t",
        }
        path = "/integrations/deliveryconfig/emulator-log"
        answer = shop.call("PATCH", path, {"DeliveryTargets": {"Kafka": kafka}}).json()
        return sorted(answer["DeliveryTargets"])
    if what == "nested_fields":
        path = "/integrations/deliveryconfig/emulator-log"
        part = {"DeliveryTargets": {"EventHub": {"EventHubName": "other"}}}
        status = shop.call("PATCH", path, part).status_code
        targets = shop.emulator.market.delivery_configs["emulator-log"]["DeliveryTargets"]
        secret = targets["EventHub"]["ConnectionString"]
        return "kept" if (status, secret) == (200, "none") else "refused"
    start = time.monotonic()
    shop.call("PATCH", CATALOGS, {"Paused": True})
    at_once = shop.get(CATALOGS)["Paused"] and time.monotonic() - start < 0.2
    wait_for(lambda: shop.get(CATALOGS)["Paused"])
    return at_once


SWITCHES: list[tuple[str, Any, Any]] = [
    ("while_paused", "queue", 1), ("while_paused", "drop", 0),
    ("updated_after_delete", "dropped", ["deleted"]), ("updated_after_delete", "sent", ["deleted", "updated"]),
    ("sync_while_paused", "deliver", (204, 1, 1)), ("sync_while_paused", "hold", (204, 0, 1)), ("sync_while_paused", "refuse", (400, 0, 0)),
    ("no_op", "deliver", 1), ("no_op", "silent", 0),
    ("product_resync", "own", ["catalogs"]), ("product_resync", "touched", ["catalogs", "products"]),
    ("missing_config", "404", (404, 0)), ("missing_config", "empty", (200, None)),
    ("nested_xp", "replace", {"b": 2}), ("nested_xp", "merge", {"a": 1, "b": 2}),
    ("xp_null", "clears", None), ("xp_null", "ignored", {"k": 1}),
    ("null_flags", "refused", 400), ("null_flags", "false", False), ("null_flags", "kept", None),
    ("inventory_feeds", "nothing", ["inventory"]), ("inventory_feeds", "products", ["inventory", "products"]),
    ("bulk", "replace", None), ("bulk", "merge", 3),
    ("put_password", "kept", True), ("put_password", "cleared", False),
    ("omitted", "false", False), ("omitted", "unchanged", True),
    ("nested_targets", "merge", ["EventHub", "Kafka"]), ("nested_targets", "targets", ["EventHub", "Kafka"]), ("nested_targets", "replace", ["Kafka"]),
    ("nested_fields", "merge", "kept"), ("nested_fields", "targets", "refused"), ("nested_fields", "replace", "refused"),
    ("pause_delay", 0.0, True), ("pause_delay", 0.4, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("switch", "value", "expected"), SWITCHES, ids=[f"{n}-{v}" for n, v, _ in SWITCHES]
)
def test_unknowns_are_switches(shop: Shop, switch: str, value: Any, expected: Any) -> None:
    plant(shop)
    shop.switch(**{switch.replace("nested_fields", "nested_targets"): value})
    assert behaviour(shop, switch) == expected


def test_every_message_goes_to_kafka_too() -> None:
    confluent_kafka = pytest.importorskip(
        "confluent_kafka", reason="the kafka extra is not installed"
    )
    cluster = confluent_kafka.Producer(
        {"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0}
    )
    [broker] = cluster.list_topics(timeout=10).brokers.values()
    servers = f"{broker.host}:{broker.port}"
    with serve_in_thread(EmulatorOptions()) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        shop.seed(targets="all")
        plant(shop)
        kafka = {
            "BootstrapServers": servers,
            "SaslUsername": "u",
            "SaslPassword": "p",
            "Topic": "oc",
        }
        config = {"Name": "x", "Enabled": True, "DeliveryTargets": {"Kafka": kafka}}
        shop.call("PUT", "/integrations/deliveryconfig/emulator-log", config)
        shop.call("PATCH", "/catalogs/C", {"Name": "D"})
        wait_for(lambda: shop.counts()["carried"] == {"kafka": 1})
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": servers, "group.id": "g", "log_level": 0}
    )
    found = None
    topic = cluster.list_topics("oc", timeout=10).topics["oc"]
    consumer.assign([confluent_kafka.TopicPartition("oc", p, 0) for p in topic.partitions])
    end = time.monotonic() + 10
    while found is None and time.monotonic() < end:
        message = consumer.poll(0.2)
        found = message if message and not message.error() else None
    consumer.close()
    assert found is not None
    assert dict(found.headers()) == {
        "type": b"sitecore.ordercloud.messages.entitysync.catalog.updated"
    }
    assert json.loads(found.value())["Name"] == "D"


def test_sales_go_on_while_paused(shop: Shop) -> None:
    shop.stock(records=4, products=2, quantity=10)
    shop.call("PATCH", INVENTORY, {"Paused": True})
    shop.switch(sales=200)
    wait_for(lambda: shop.counts()["sold"] == 40)
    counts = shop.counts()
    assert (counts["held"], counts["messages"].get("inventory", 0)) == (4, 0)
    left = [shop.get(f"/products/P{p}/inventoryrecords")["Items"] for p in range(2)]
    assert {r["QuantityAvailable"] for records in left for r in records} == {0}
