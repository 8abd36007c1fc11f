"""Delivery of messages to HTTP and Kafka targets, in the platform's envelopes
(guide/ordercloud.md 4.5).

Messages go only to loopback hosts and to hosts that the options name: a rehearsal must not reach
the real consumers. OrderCloud's retries, order and delay are unknown; the emulator tries a message
three times, and keeps the order unless the options say otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
from collections import Counter, deque
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.state import Document

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_RETRY_DELAYS = (0.2, 1.0, None)
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_BATCH = 100


class Message(NamedTuple):
    """A message for *targets*, to be sent not before *due* on the loop's clock."""

    targets: Document
    namespace: str
    payload: Document
    due: float


class DeliverySender:
    """A queue of messages; `run` sends them."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.options = options
        self.counts: Counter[str] = Counter()
        self._queue: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._accepted = 0
        self._random = random.Random(0)
        self._producers: dict[str, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sending: asyncio.Task[None] | None = None

    def enqueue(self, targets: Document, namespace: str, payload: Document) -> None:
        """Queue a message for the targets that it may be sent to."""
        reachable = {n: t for n, t in targets.items() if t and self._may_send_to(n, t)}
        if not reachable:
            return
        self._accepted += 1
        due = asyncio.get_running_loop().time() + self.options.delivery_delay
        is_duplicated = self.options.duplicates and self._accepted % self.options.duplicates == 0
        for _ in range(2 if is_duplicated else 1):
            self._queue.append(Message(reachable, namespace, payload, due))
        self._wake.set()

    async def run(self) -> None:
        """Send messages until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session:
            while True:
                await self._wait_for_messages()
                while self._queue:
                    self._sending = asyncio.create_task(self._send(session, self._batch()))
                    try:
                        await asyncio.wait([self._sending])
                    finally:
                        self._sending.cancel()

    def clear(self) -> None:
        """Forget all messages and counts, from any thread; stop trying the message under way."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._clear)
        else:
            self._clear()

    def _clear(self) -> None:
        self._queue.clear()
        self.counts.clear()
        if self._sending:
            self._sending.cancel()

    @property
    def backlog(self) -> int:
        """The number of messages that have not been tried yet."""
        return len(self._queue)

    async def _wait_for_messages(self) -> None:
        """Wait until a message is queued, and handle Kafka's delivery reports meanwhile."""
        while not self._wake.is_set():
            if not self._producers:
                await self._wake.wait()
                break
            for producer in self._producers.values():
                producer.poll(0)
            await asyncio.sleep(0.05)
        self._wake.clear()

    def _batch(self) -> list[Message]:
        size = min(_BATCH if self.options.reorder else 1, len(self._queue))
        batch = [self._queue.popleft() for _ in range(size)]
        if self.options.reorder:
            self._random.shuffle(batch)
        return batch

    async def _send(self, session: aiohttp.ClientSession, batch: list[Message]) -> None:
        for message in batch:
            await asyncio.sleep(max(0.0, message.due - asyncio.get_running_loop().time()))
            if http := message.targets.get("Http"):
                await self._post(session, http, message)
            if kafka := message.targets.get("Kafka"):
                self._produce(kafka, message)

    async def _post(self, session: aiohttp.ClientSession, http: Document, message: Message) -> None:
        envelope = {"Headers": {"type": message.namespace}, "Payload": message.payload}
        body = msgspec.json.encode(envelope)
        headers = {"Content-Type": "application/json", "X-oc-hash": signature(http["Secret"], body)}
        if http.get("CustomAuthHeaderName"):
            headers[http["CustomAuthHeaderName"]] = http["CustomAuthHeaderValue"]
        for delay in _RETRY_DELAYS:
            try:
                async with session.post(
                    http["Endpoint"], data=body, headers=headers, allow_redirects=False
                ) as response:
                    if response.status < 300:
                        self.counts["http"] += 1
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass  # counted below when every attempt fails
            if delay is not None:
                await asyncio.sleep(delay)
        self.counts["undelivered"] += 1

    def _produce(self, kafka: Document, message: Message) -> None:
        try:
            from confluent_kafka import KafkaException, Producer
        except ImportError:
            self.counts["undelivered"] += 1
            return
        servers = kafka["BootstrapServers"]
        if servers not in self._producers:
            is_local = all(_host(server) in _LOOPBACK for server in servers.split(","))
            sasl = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN",
                    "sasl.username": kafka["SaslUsername"],
                    "sasl.password": kafka["SaslPassword"]}  # fmt: skip
            settings = {"bootstrap.servers": servers, "log_level": 0, "linger.ms": 5}
            self._producers[servers] = Producer(settings if is_local else settings | sasl)

        def reported(error: Any, _: Any) -> None:
            self.counts["undelivered" if error else "kafka"] += 1

        header = self.options.kafka_type
        body_fields = {"type": message.namespace} if header == "body" else {}
        headers = [] if body_fields else [(header, message.namespace.encode())]
        try:
            self._producers[servers].produce(
                kafka["Topic"], msgspec.json.encode({**message.payload, **body_fields}),
                headers=headers, on_delivery=reported,
            )  # fmt: skip
            self._producers[servers].poll(0)
        except (BufferError, KafkaException):
            self.counts["undelivered"] += 1

    def close(self) -> None:
        """Flush Kafka's producers, for one second at most."""
        for producer in self._producers.values():
            producer.flush(1.0)

    def _may_send_to(self, name: str, target: Document) -> bool:
        if name == "Http":
            hosts = {urlsplit(str(target.get("Endpoint"))).hostname or ""}
        elif name == "Kafka":
            hosts = {_host(one) for one in str(target.get("BootstrapServers")).split(",")}
        else:
            return False
        return hosts <= _LOOPBACK | set(self.options.deliver_to)


def signature(secret: str, body: bytes) -> str:
    """Return the `X-oc-hash` of *body*."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def _host(server: str) -> str:
    return server.strip().rpartition(":")[0].strip("[]")
