"""The Kafka listener, against librdkafka's own mock of a cluster, over a socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from ocsync.delivery.kafka_config import (
    Brokers,
    librdkafka_settings,
    parse_event_hubs,
    parse_servers,
)
from ocsync.errors import UsageError
from ocsync.models import Delivery
from tests.builders import Shop, csv_of
from tests.conftest import Run
from tests.delivery.listeners import envelope, lines, listening, wait_for, wait_for_lines

kafka: Any = pytest.importorskip("confluent_kafka", reason="the kafka extra is not installed")

NAMESPACE = "sitecore.ordercloud.messages.entitysync.catalog.updated"
HUB = "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=k=="


class Cluster(NamedTuple):
    """A broker that speaks Kafka's protocol, and somebody who writes to it."""

    servers: str
    producer: Any

    def send(self, topic: str, body: bytes, *, ago: float = 0.0, **headers: str) -> None:
        stamp = {"timestamp": int((time.time() - ago) * 1000)} if ago else {}
        told = [(name, value.encode()) for name, value in headers.items()]
        self.producer.produce(topic, body, headers=told, **stamp)
        assert self.producer.flush(10) == 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    mock = {"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0}
    host = kafka.Producer(mock)
    [broker] = host.list_topics(timeout=10).brokers.values()
    servers = f"{broker.host}:{broker.port}"
    yield Cluster(servers, kafka.Producer({"bootstrap.servers": servers, "log_level": 0}))
    del host


class Reading:
    """A reader in this process, and what it did."""

    def __init__(
        self, cluster: Cluster, topic: str, since: datetime | None = None,
        tell: Callable[[str], Any] = pytest.fail,
    ) -> None:  # fmt: skip
        from ocsync.delivery.kafka_listener import KafkaListener

        self.kept: list[Delivery] = []
        self.heard: list[tuple[int, str]] = []
        self.full = 0
        self.reader = KafkaListener(
            Brokers(cluster.servers), [topic], self.record, lambda *w: self.heard.append(w),
            tell, lambda _: None,
        )  # fmt: skip
        self.partitions = self.reader.open(since)

    def record(self, messages: Sequence[Delivery]) -> None:
        if self.full:
            self.full -= 1
            raise OSError("no room")
        self.kept += messages

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        self.reader.run(lambda: done() or time.monotonic() > end)
        assert done(), self.heard

    def until_kept(self, number: int) -> list[Delivery]:
        self.until(lambda: len(self.kept) >= number)
        self.reader.close()
        return self.kept


def body(catalog: str) -> bytes:
    return json.dumps({"ID": catalog}).encode()


def test_it_begins_now_and_reads_every_partition(cluster: Cluster) -> None:
    """The namespace is in one of two headers, in the body, or in an envelope."""
    for n in range(8):
        cluster.send("now", body(f"old{n}"), type=NAMESPACE)
    reading = Reading(cluster, "now")
    begun = datetime.now(UTC)
    cluster.send("now", body("C1"), type=NAMESPACE)
    cluster.send("now", body("C2"), ce_type=NAMESPACE, other="x")
    cluster.send("now", json.dumps({"ID": "C3", "EventType": NAMESPACE}).encode())
    cluster.send("now", envelope({"ID": "C4"}, NAMESPACE))
    cluster.send("now", json.dumps({"ID": "C5", "type": "tent"}).encode())
    cluster.send("now", b"no json", type=NAMESPACE)
    cluster.send("now", b"[" + body("C6") + b"," + body("C7") + b"]", type=NAMESPACE)
    reading.until(lambda: len(reading.heard) == 8)
    kept = reading.until_kept(6)

    assert sorted(m.payload["ID"] for m in kept) == ["C1", "C2", "C3", "C4", "C6", "C7"]
    assert {m.namespace for m in kept} == {NAMESPACE}
    assert all(datetime.fromisoformat(m.at) >= begun - timedelta(seconds=1) for m in kept)
    assert len({m.origin for m in kept}) == 6, "each place in the topic is told apart"
    refused = [about for status, about in reading.heard if status == 400]
    assert sum("it has no namespace" in one for one in refused) == 1
    assert sum("now/" in one for one in refused) == 2, "with topic, partition and offset"
    assert reading.partitions == 4


def test_what_was_there_before_has_the_topics_own_time(cluster: Cluster) -> None:
    for hours, catalog in ((3, "too-old"), (2, "old"), (1, "young")):
        cluster.send("past", body(catalog), ago=hours * 3600, type=NAMESPACE)
    since = datetime.now(UTC) - timedelta(hours=2, minutes=1)
    reading = Reading(cluster, "past", since)
    cluster.send("past", body("live"), ago=9 * 3600, type=NAMESPACE)
    kept = {m.payload["ID"]: datetime.fromisoformat(m.at) for m in reading.until_kept(3)}
    now = datetime.now(UTC)

    assert kept.keys() == {"old", "young", "live"}
    assert timedelta(minutes=59) < now - kept["young"] < timedelta(minutes=61)
    assert now - kept["live"] < timedelta(minutes=1), "by our clock, whatever the sender's says"
    later = Reading(cluster, "past", datetime.now(UTC) - timedelta(minutes=1))
    cluster.send("past", body("next"), type=NAMESPACE)
    assert [m.payload["ID"] for m in later.until_kept(1)] == ["next"]


def test_a_full_disk_is_waited_for(cluster: Cluster) -> None:
    cluster.send("full", body("C0"), type=NAMESPACE)
    reading = Reading(cluster, "full")
    reading.full = 2
    cluster.send("full", body("C1"), type=NAMESPACE)
    reading.until_kept(1)
    assert reading.heard == [(503, "no room"), (503, "no room"), (200, NAMESPACE)]


def test_both_listeners_write_one_log_for_verification(
    ocsync: Run, shop: Shop, cluster: Cluster
) -> None:
    """The marketplace delivers to Kafka and over HTTP; each listener hears of everything."""
    cluster.send("both", body("before"), type=NAMESPACE)
    refs = shop.stock(records=6)
    words = ("kafka", "--servers", cluster.servers, "--topic", "both")
    with listening(*words) as topic, listening("http", "--port", "0", "--unsigned") as http:
        assert topic.facts["partitions"] == 4
        targets = {
            "Kafka": {"BootstrapServers": cluster.servers, "SaslUsername": "u", "SaslPassword": "p", "Topic": "both"},
            "Http": {"Endpoint": http.url, "Secret": "s"},
        }  # fmt: skip
        config = {"Name": "x", "Enabled": True, "DeliveryTargets": targets}
        shop.call("PUT", "/integrations/deliveryconfig/emulator-log", config)
        rows = csv_of([("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)])
        assert ocsync("stage", "import", "-", stdin=rows).code == 0
        result = ocsync("resume", "--verify")
        assert (result.code, "6 of 6" in result.out) == (0, True), result
        wait_for_lines(12)
        assert [ocsync("listen", *words).code, ocsync("listen", "http", "--unsigned").code] == [
            7,
            7,
        ]
        for number, way in enumerate(("ce_type", "body"), 7):
            shop.switch(kafka_type=way)
            shop.call("PUT", f"/catalogs/{way}", {"Name": way})
            wait_for_lines(2 * number)
        said = topic.end(signal.SIGTERM)
        assert "8 messages received, 0 refused" in said
        assert "8 messages received" in http.end()
    assert sum("origin" in row for row in lines()) == 8
    assert not [row for row in lines() if not row["namespace"].startswith("sitecore.ordercloud.")]
    shown = ocsync("listen", "log", "--json").data
    assert (shown["messages"], shown["distinct"]) == (16, 9), (
        "the body's own `type` tells one apart"
    )


BROKER = """
import itertools, sys, confluent_kafka
host = confluent_kafka.Producer(
    {"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
[broker] = host.list_topics(timeout=10).brokers.values()
servers = f"{broker.host}:{broker.port}"
writer = confluent_kafka.Producer({"bootstrap.servers": servers, "log_level": 0})
print(servers, flush=True)
for line in itertools.chain(["{}"], sys.stdin):
    writer.produce("t", line.strip(), headers=[("type", b"n")])
    writer.flush(10)
    print("written", flush=True)
"""


@contextmanager
def broker() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A broker in a process of its own, which writes what it is told to its topic `t`."""
    with subprocess.Popen(
        [sys.executable, "-c", BROKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        servers = process.stdout.readline().strip()
        assert process.stdout.readline() == "written\n"
        yield process, servers
        process.kill()


def test_a_listener_outlives_its_broker(ocsync: Run) -> None:
    """It says that nobody answers, waits, and ends in good order."""
    with (
        broker() as (process, servers),
        listening("kafka", "--servers", servers, "--topic", "t") as listener,
    ):
        process.kill()
        wait_for(lambda: f"{servers} does not respond" in listener.process.said()[1])
        assert "0 messages received" in listener.end(signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a process cannot be held there")
def test_a_listener_goes_on_when_its_broker_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ocsync.delivery import kafka_listener

    said: list[str] = []
    monkeypatch.setattr(kafka_listener, "REFRESH_SECONDS", 0.2)
    with broker() as (process, servers):
        reading = Reading(Cluster(servers, None), "t", tell=said.append)
        process.send_signal(signal.SIGSTOP)
        reading.until(lambda: bool(said))
        process.send_signal(signal.SIGCONT)
        assert process.stdin
        process.stdin.write("{}\n")
        process.stdin.flush()
        reading.until_kept(1)
    lost, back = said
    assert "does not respond" in lost
    assert back == f"{servers} responds again"


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("--topic", "t"), 64, "--servers HOST:PORT"),
    (("--servers", "x", "--topic", "t"), 64, "is not a broker"),
    (("--servers", "127.0.0.1:1,", "--topic", "t"), 64, "is not a broker"),
    (("--servers", "127.0.0.1:1"), 64, "--topic TOPIC"),
    (("--servers", "127.0.0.1:1", "--topic", "t", "--username", "u"), 64, "--password-env VAR or --password-command"),
    (("--servers", "127.0.0.1:1", "--topic", "t", "--password-env", "HUB"), 64, "--username NAME"),
    (("--servers", "127.0.0.1:1", "--topic", "t", "--username", "u", "--username-env", "HUB"), 64, "not both"),
    (("--servers", "127.0.0.1:1", "--topic", "t", "--username-env", "NOT_SET"), 78, "NOT_SET is not set"),
    (("--servers", "127.0.0.1:1", "--topic", "t", "--mechanism", "GSSAPI"), 64, "SCRAM-SHA-512"),
    (("--servers", "127.0.0.1:1", "--connection-env", "HUB"), 64, "--servers HOST:PORT"),
    (("--connection-env", "HUB", "--username", "u"), 64, "already holds user name and password"),
    (("--connection-env", "HUB"), 64, "--topic TOPIC"),
    (("--connection-env", "KEY"), 64, "not an Event Hubs connection string"),
    (("--connection-command", "false"), 78, "exit code 1"),
    (("--servers", "127.0.0.1:1", "--topic", "t", "--from", "now"), 64, "is not a time"),
]  # fmt: skip


def test_what_it_does_not_begin_with(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB", HUB)
    monkeypatch.setenv("KEY", "s3cret-key")
    for words, code, said in WRONG:
        result = run("listen", "kafka", *words)
        told = " ".join(result.err.split())
        assert (result.code, said in told) == (code, True), (words, result)
        assert "s3cret-key" not in result.err


def test_what_a_broker_says_no_to(
    ocsync: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ocsync.delivery import kafka_client as client

    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.0)
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.4)
    monkeypatch.setenv("PASSWORD", "s3cret-key")
    nowhere = ocsync("listen", "kafka", "--servers", "127.0.0.1:1", "--topic", "t")
    assert (nowhere.code, "cannot connect to a Kafka broker at 127.0.0.1:1" in nowhere.err) == (
        75,
        True,
    )
    at = ("listen", "kafka", "--servers", cluster.servers)
    missing = ocsync(*at, "--topic", "nope")
    assert (missing.code, "no topic nope" in missing.err) == (78, True)
    denied = ocsync(*at, "--topic", "t", "--username", "u", "--password-env", "PASSWORD")
    assert (denied.code, "refused the sign-in" in denied.err) == (4, True), denied
    assert "s3cret-key" not in denied.err


def test_without_its_library_it_says_what_to_install(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ocsync.delivery.kafka_listener", "ocsync.delivery.kafka_client"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    result = ocsync("listen", "kafka", "--servers", "127.0.0.1:1", "--topic", "t")
    assert (result.code, "pip install 'ocsync[kafka]'" in result.err) == (78, True)


@pytest.mark.parametrize(("servers", "username", "protocol"), [
    ("127.0.0.1:9092", "", "PLAINTEXT"), ("localhost:9092,[::1]:9093", "", "PLAINTEXT"), ("127.0.0.1:9092", "u", "SASL_PLAINTEXT"),
    ("kafka.example:9092", "", "SSL"), ("kafka.example:9092", "u", "SASL_SSL"), ("127.0.0.1:9092,kafka.example:9092", "u", "SASL_SSL"),
])  # fmt: skip
def test_beyond_loopback_there_is_tls(servers: str, username: str, protocol: str) -> None:
    brokers = Brokers(parse_servers(servers), username, "p", "SCRAM-SHA-256")
    found = librdkafka_settings(brokers, {"SSL_CERT_FILE": "/ca.pem"})
    assert found["security.protocol"] == protocol
    assert (found.get("sasl.mechanism") == "SCRAM-SHA-256") is bool(username)
    assert ("ssl.ca.location" in found) is protocol.endswith("SSL")
    assert found["enable.auto.commit"] is False
    kafka.Consumer({n: v for n, v in found.items() if n != "ssl.ca.location"}).close()


def test_an_event_hub_is_a_topic() -> None:
    brokers, hub = parse_event_hubs(HUB + ";EntityPath=oc")
    assert brokers == Brokers(
        "acme.servicebus.windows.net:9093", "$ConnectionString", HUB + ";EntityPath=oc"
    )
    assert hub == "oc"
    found = librdkafka_settings(brokers, {})
    assert (found["security.protocol"], found["sasl.mechanism"]) == ("SASL_SSL", "PLAIN")
    assert parse_event_hubs(HUB)[1] == ""
    for wrong in ("", "x", "Endpoint=sb://a.example/", "SharedAccessKey=x", HUB.replace("://", "")):
        with pytest.raises(UsageError) as raised:
            parse_event_hubs(wrong)
        assert "k==" not in raised.value.message
