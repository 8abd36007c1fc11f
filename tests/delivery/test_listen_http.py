"""The HTTP listener: what it takes, what it refuses, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ocsync.delivery import http_listener
from ocsync.delivery.decoding import decode_messages
from ocsync.delivery.http_listener import MAX_BODY_BYTES, GroupCommit
from ocsync.delivery.messages import sign
from ocsync.delivery.received import MessageEvents
from ocsync.models import Delivery
from ocsync.render.json_data import json_data
from ocsync.render.listen import message_line
from ocsync.schema import TARGETS
from ocsync.store.delivery_log import DeliveryLog
from tests.builders import HTTP
from tests.conftest import Run
from tests.delivery.listeners import (
    LOG,
    SECRET,
    envelope,
    lines,
    listening,
    wait_for,
    wait_for_lines,
)
from tests.json_schemas import checker
from tests.processes import Started

SIGNED = ("http", "--port", "0", "--secret-env", "LISTENER")


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTENER", SECRET)
    monkeypatch.setenv("KEY", "k1")


def test_what_is_taken_and_what_is_refused(ocsync: Run) -> None:
    body = envelope()
    with listening(*SIGNED, "--auth-header", "X-Key", "--auth-value-env", "KEY") as listener:
        assert [
            listener.post(body, secret, **headers)
            for secret, headers in (
                ("", {"X-Key": "k1"}), ("wrong", {"X-Key": "k1"}), (SECRET, {}),
                (SECRET, {"X-Key": "k2"}), (SECRET, {"X-Key": "k1"}),
            )
        ] == [401, 401, 401, 401, 200]  # fmt: skip
        changed = HTTP.post(
            listener.url,
            content=body + b" ",
            headers={"X-oc-hash": "x", "X-Key": "k1"},
        )
        assert changed.status_code == 401, "it is the raw body that is signed"
        assert listener.post(b"{}", **{"X-Key": "k1"}) == 400
        assert listener.post(b" " * (MAX_BODY_BYTES + 1), **{"X-Key": "k1"}) == 413
        hello = HTTP.get(listener.url)
        assert (hello.status_code, "ocsync listens" in hello.text) == (200, True)
        assert HTTP.delete(listener.url).status_code == 405
        again = ocsync("listen", *SIGNED)
        assert (again.code, str(listener.process.pid) in again.err) == (7, True)
        assert "ocsync listen http" in again.err
        assert len(lines()) == 1
        wait_for(lambda: listener.process.said()[0].count("\n") == 2)
        event = json.loads(listener.process.said()[0].splitlines()[1])
        assert (event["type"], event["duplicate"]) == ("message_received", False)
        said = listener.end(signal.SIGTERM)
    assert "1 message received, 7 refused" in said
    assert "put a tunnel or a TLS proxy" in said
    assert f"cloudflared tunnel --url {listener.url}" in said
    assert not list(LOG.parent.glob("*.holder")), "the lock is given back"
    assert [row["namespace"] for row in ocsync("listen", "log", "--json").data["log"]] == ["x"]


def test_it_warns_beyond_loopback(ocsync: Run) -> None:
    with listening(*SIGNED, "--bind", "0.0.0.0") as listener:
        assert listener.url.startswith("http://0.0.0.0:")
        assert HTTP.get(listener.url.replace("0.0.0.0", "127.0.0.1")).status_code == 200
        assert "(plain HTTP)" in listener.end()


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("--bind", "0.0.0.0", "--unsigned"), 78, "without a secret, anyone"),
    (("--bind", "192.0.2.1", "--secret-env", "LISTENER"), 78, "cannot listen on"),
    ((), 64, "--unsigned"),
    (("--secret-env", "NOT_SET"), 78, "NOT_SET is not set"),
    (("--secret-env", "LISTENER", "--secret-command", "x"), 64, "--secret-env VAR or --secret-command"),
    (("--secret-command", "false"), 78, "exit code 1"),
    (("--unsigned", "--secret-env", "X"), 64, "--unsigned"),
    (("--unsigned", "--auth-header", "X-Key"), 64, "must be given together"),
]  # fmt: skip


def test_what_it_does_not_begin_with(ocsync: Run) -> None:
    for words, code, said in WRONG:
        result = ocsync("listen", "http", "--port", "0", *words)
        assert (result.code, said in result.err) == (code, True), (words, result)


def test_without_its_libraries_it_says_what_to_install(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ocsync.delivery.http_listener", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = ocsync("listen", *SIGNED)
    assert (result.code, "pip install 'ocsync[emulator]'" in result.err) == (78, True)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits to set there")
def test_what_cannot_be_kept_is_to_be_sent_again(ocsync: Run) -> None:
    """A disk that is full, and has room again: 503, then 200, and the log is whole."""
    import resource

    full, free = (4000, resource.RLIM_INFINITY), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    long = envelope({"ID": "x" * 3000})
    with listening(*SIGNED) as listener:
        resource.prlimit(listener.process.pid, resource.RLIMIT_FSIZE, full)
        assert [listener.post(long) for _ in range(3)] == [200, 503, 503]
        assert not LOG.read_bytes().endswith(b"\n"), "the disk was full in the middle of a line"
        assert ocsync("listen", "log", "--json").data["messages"] == 1
        resource.prlimit(listener.process.pid, resource.RLIMIT_FSIZE, free)
        assert listener.post(long) == 200
        said = listener.end()
    assert said.count("cannot write the log") == 1
    assert "2 messages received, 0 refused, 2 not accepted" in said
    assert [len(row["payload"]["ID"]) for row in lines()] == [3000, 3000]


def test_what_was_answered_is_in_the_log_after_a_kill(ocsync: Run) -> None:
    """Many at once, and the machine goes down: each 200 is a line, and the log takes more."""
    answered: list[str] = []
    with listening(*SIGNED) as listener, ThreadPoolExecutor(8) as pool:

        def post(number: int) -> None:
            with suppress(httpx.HTTPError):
                if listener.post(envelope({"ID": str(number)})) == 200:
                    answered.append(str(number))

        for number in range(400):
            pool.submit(post, number)
        wait_for_lines(50)
        listener.process.kill()
        assert listener.process.wait().code == -signal.SIGKILL
    assert 0 < len(answered) < 400
    kept = {message.payload["ID"] for message in DeliveryLog(LOG).read()}
    assert set(answered) <= kept
    DeliveryLog(LOG).append([Delivery(at="t", namespace="n", payload={"ID": "more"})])
    assert len(list(DeliveryLog(LOG).read())) >= len(answered) + 1


def test_each_of_a_lost_group_is_told() -> None:
    """Messages that wait for the same write all fail with it; none is taken for kept."""
    written: list[Delivery] = []
    calls = itertools.count(1)

    def record(messages: Sequence[Delivery]) -> None:
        if next(calls) == 2:
            raise OSError("no room")
        written.extend(messages)

    async def all_at_once() -> list[BaseException | None]:
        groups = GroupCommit(record)

        async def keep(number: int) -> None:
            await asyncio.sleep(0 if number == 0 else 0.001)
            await groups.append([Delivery(at="", namespace=str(number), payload={})])

        first = await asyncio.gather(*map(keep, range(6)), return_exceptions=True)
        await keep(6)
        return first

    results = asyncio.run(all_at_once())
    lost = [n for n, one in enumerate(results) if isinstance(one, OSError)]
    kept = [n for n, one in enumerate(results) if one is None]
    assert lost
    assert sorted(lost + kept) == list(range(6))
    assert [m.namespace for m in written] == [str(n) for n in [*kept, 6]]


WRITER = """
import sys
from pathlib import Path
from ocsync.models import Delivery
from ocsync.store.delivery_log import DeliveryLog
log = DeliveryLog(Path(sys.argv[1]))
for n in range(60):
    log.append([Delivery(at="t", namespace=sys.argv[2], payload={"n": n, "fill": "x" * 3000})] * 3)
"""


@pytest.mark.slow
def test_two_listeners_write_one_log_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "delivery.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")
    ]
    log, read = DeliveryLog(path), list[Delivery]()
    while any(writer.poll() is None for writer in writers):
        read += log.read_from(len(read))
    read += log.read_from(len(read))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(path.read_bytes().splitlines()) == len(read) == 360
    for name in "ab":
        assert [m.payload["n"] for m in read if m.namespace == name] == [
            n for n in range(60) for _ in range(3)
        ]


def test_the_log_shows_each_message_once(ocsync: Run) -> None:
    namespace = "sitecore.ordercloud.messages.entitysync.inventoryrecord.updated"
    now = datetime.now(UTC).isoformat()
    DeliveryLog(LOG).append([
        Delivery(at=now, namespace=namespace, payload={"ID": record, "ProductID": "P"})
        for record in ("R1", "R2", "R1", "R1")
    ])  # fmt: skip
    shown = ocsync("listen", "log")
    first, second = shown.out.splitlines()
    assert ("3 times" in first, first.endswith("P/R1")) == (True, True)
    assert ("times" in second, second.endswith("P/R2")) == (False, True)
    assert "4 messages received, including 2 duplicates" in shown.err
    assert len(ocsync("listen", "log", "--all").out.splitlines()) == 4
    facts = ocsync("listen", "log", "--json", "--since", "1h").data
    assert (facts["messages"], facts["distinct"], facts["log"][0]["times"]) == (4, 2, 3)
    assert ocsync("listen", "log", "--from", "2999-01-01").out == ""
    assert ocsync("listen", "log", "--from", "x").code == 64
    row = json.loads(LOG.read_text().splitlines()[0])
    LOG.write_text(LOG.read_text().replace(row["crc"], "00000000"))
    damaged = ocsync("listen", "log")
    assert (damaged.code, "delivery.jsonl:1" in damaged.err) == (78, True)


def test_following_starts_again_where_the_log_was_removed(tmp_path: Path) -> None:
    log = DeliveryLog(tmp_path / "delivery.jsonl")
    log.append([Delivery(at="t", namespace=str(n), payload={}) for n in range(3)])
    assert [m.namespace for m in log.read_from(1)] == ["1", "2"]
    assert list(log.read_from(3)) == []
    log.append([Delivery(at="t", namespace="3", payload={})])
    assert [m.namespace for m in log.read_from(3)] == ["3"]
    log.path.unlink()
    assert list(log.read_from(4)) == []
    log.append([Delivery(at="t", namespace="new", payload={})])
    assert [m.namespace for m in log.read_from(4)] == ["new"]


def test_what_a_kafka_listener_reads_again_is_one_message(tmp_path: Path) -> None:
    log = DeliveryLog(tmp_path / "delivery.jsonl")
    one = Delivery(at="t", namespace="n", payload={}, origin="oc/0@1 5")
    other = Delivery(at="t", namespace="n", payload={}, origin="oc/0@2 5")
    log.append([one, other])
    read = list(log.read())
    log.append([one, Delivery(at="t", namespace="n", payload={})])
    assert (len(read), len(list(log.read_from(2))), len(list(log.read()))) == (2, 1, 3)


HEADERS = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n"
HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(("first", "data", "answer"), [
    (b"", b"", b""), (b"", b"\r\n\r\n", b""), (b"", HEADERS, b""),
    (b"", HEADERS + b"\r\n{", b"HTTP/1.1 408"),
    (HELLO, b"\r\n", b""), (HELLO, b"POST", b""),
])  # fmt: skip
def test_a_connection_that_sends_no_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, first: bytes, data: bytes, answer: bytes
) -> None:
    """Neither before its first request nor between two, whatever it sends instead."""
    monkeypatch.setattr(http_listener, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(http_listener, "BODY_SECONDS", 0.1)
    server = http_listener.server_of(
        http_listener.HttpListener(http_listener.RequestCheck(), lambda _: None, lambda *_: None)
    )

    async def go() -> bytes:
        with http_listener.open_socket("127.0.0.1", 0, "") as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            async with asyncio.timeout(5):
                writer.write(first)
                if first:
                    await reader.readuntil(b"delivery target\n")
                writer.write(data)
                rest = await reader.read()
            writer.close()
            server.should_exit = True
            await serving
        return rest

    assert asyncio.run(go()).startswith(answer)


@pytest.mark.parametrize(("number", "kept"), [
    ("18446744073709551616", 2**64), ("-9223372036854775809", -(2**63) - 1),
    ("1" * 40, int("1" * 40)), ("1e400", "1e400"), ("-1.5E+999", "-1.5E+999"),
    ("9" * 5000, "9" * 5000), ("1e-400", 0.0),
])  # fmt: skip
def test_numbers_of_any_size_are_kept(tmp_path: Path, number: str, kept: object) -> None:
    """One that no machine number holds is kept as its text, in an envelope, a string or a list."""
    payload = f'{{"ID":"x","xp":{{"n":[{number}]}}}}'
    whole, inner = (
        f'{{"Headers":{{"type":"n"}},"Payload":{text}}}' for text in (payload, json.dumps(payload))
    )
    bodies = [whole, inner, f"[{whole}]"]
    log = DeliveryLog(tmp_path / "delivery.jsonl")
    for body in bodies:
        log.append(decode_messages(body.encode(), {}, "t"))
    assert [message.payload["xp"]["n"] for message in DeliveryLog(log.path).read()] == [[kept]] * 3


def test_a_message_has_a_line_and_an_event() -> None:
    inventory = TARGETS["inventory"].updated_namespace
    one = envelope({"ProductID": "P1", "ID": "R1", "QuantityAvailable": 5}, inventory)
    full = inventory.replace(".updated", ".full.updated")
    several = envelope({"ProductID": "P1", "InventoryRecords": [{"ID": "R1"}, {"ID": "R2"}]}, full)
    now = datetime.now(UTC)
    bodies = (one, one, several, envelope({"ID": "x"}, "other"))
    events = MessageEvents(()).of(
        m for b in bodies for m in decode_messages(b, {}, now.isoformat())
    )
    check, shown_lines = checker("event-message-received"), []
    for event in events:
        assert not check(json_data(event), "")
        shown_lines.append(re.sub("  +", "  ", message_line(event, now)).partition("  ")[2])
    assert shown_lines == [
        "inventory  inventory/P1/R1  new",
        "inventory  inventory/P1/R1  duplicate",
        "inventory  P1 (2 entities)  new",
        "other  x  new",
    ]


@pytest.mark.slow
def test_each_message_is_shown_as_it_comes(ocsync: Run) -> None:
    body = envelope({"ID": "x"})
    with Started("listen", *SIGNED) as process:
        wait_for(lambda: "Ctrl-C" in process.said()[0])
        url = re.findall(r"http://\S+", process.said()[0])[0]
        for _ in range(2):
            HTTP.post(url, content=body, headers={"X-oc-hash": sign(SECRET, body)})
        wait_for(lambda: "duplicate" in process.said()[0])
        first, second = process.said()[0].splitlines()[-2:]
        process.signal(signal.SIGINT)
        process.wait(10)
    assert re.fullmatch(r"\+ [\d:]{8}  x +x +new", first), first
    assert re.fullmatch(r"= [\d:]{8}  x +x +duplicate", second), second
