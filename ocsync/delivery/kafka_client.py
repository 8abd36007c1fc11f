"""Access to a Kafka cluster: its partitions, the offsets to begin at, its records.

Partitions are assigned and no offset is committed, so no consumer group is affected.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ocsync.delivery.kafka_config import Brokers, librdkafka_settings
from ocsync.errors import ConfigError, OcsyncError, SignInError, TryLater

CONNECT_SECONDS = 10.0
"""Seconds that a broker may take to answer at the start."""
ANSWER_SECONDS = 2.0
"""Seconds that a broker may take to answer later on."""
_BATCH_SIZE, _POLL_SECONDS = 1000, 0.2
_ACCESS_ERRORS = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED,
           KafkaError.TOPIC_AUTHORIZATION_FAILED}  # fmt: skip
_CONNECTION_ERRORS = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._SSL,
    *_ACCESS_ERRORS,
}

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""


class OffsetRange(NamedTuple):
    """The offset *start* to read a partition from, and its *end* when the listener began."""

    start: int
    end: int


class ReceivedRecord(NamedTuple):
    """A record of a partition. *timestamp* is the topic's own, in ms; 0 where it has none."""

    partition: Partition
    offset: int
    timestamp: int
    headers: Mapping[str, str]
    body: bytes


class KafkaClient:
    """A client of the cluster of *brokers*; *report_lost* is called when it stops answering."""

    def __init__(self, brokers: Brokers, report_lost: Callable[[str], None]) -> None:
        self.servers = brokers.servers
        self._report_lost = report_lost
        self._last_error: KafkaError | None = None
        settings = {**librdkafka_settings(brokers, os.environ), "error_cb": self._on_error}
        try:
            self._consumer = Consumer(settings)
        except KafkaException as error:
            raise ConfigError(
                f"the Kafka client rejects this configuration: {_error_text(error)}"
            ) from error

    def find_partitions(self, topics: Sequence[str]) -> list[Partition]:
        """Return the partitions of *topics*. Raises TryLater, SignInError, ConfigError."""
        return [partition for topic in topics for partition in self._wait_for_partitions(topic)]

    def list_partitions(self, topics: Sequence[str]) -> list[Partition]:
        """Return the current partitions of *topics*. Raises TryLater when no broker answers."""
        try:
            metadata = [self._metadata(topic) for topic in topics]
        except KafkaException as error:
            raise TryLater(_error_text(error)) from error
        if failure := next((t.error for t in metadata if t.error), None):
            raise TryLater(failure.str())
        return [(topic.topic, number) for topic in metadata for number in topic.partitions]

    def offset_ranges(
        self, partitions: Sequence[Partition], since: float
    ) -> dict[Partition, OffsetRange]:
        """Return where to begin in each of *partitions*: at *since* (seconds), or its end for 0.

        Raises TryLater.
        """
        try:
            return self._offset_ranges(partitions, int(since * 1000))
        except KafkaException as error:
            raise self._translate_error(_error_text(error)) from error

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read from *offsets* on."""
        self._consumer.assign([TopicPartition(*partition, at) for partition, at in offsets.items()])

    def poll(self) -> list[ReceivedRecord]:
        """Return new records, after a short wait for some; *report_lost* is called on a failure."""
        records = []
        try:
            for message in self._consumer.consume(_BATCH_SIZE, _POLL_SECONDS):
                if failure := message.error():
                    self._report_lost(failure.str())
                else:
                    records.append(_received_record(message))
        except KafkaException as error:
            self._report_lost(_error_text(error))
        return records

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error
        if error.code() in _CONNECTION_ERRORS:
            self._report_lost(error.str())

    def _metadata(self, topic: str) -> Any:
        return self._consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]

    def _wait_for_partitions(self, topic: str) -> list[Partition]:
        waited = 0.0
        while True:
            try:
                metadata = self._metadata(topic)
                break
            except KafkaException as error:
                waited += ANSWER_SECONDS
                self._consumer.poll(0.1)  # lets the client report the cause
                denied = self._last_error is not None and self._last_error.code() in _ACCESS_ERRORS
                if denied or waited >= CONNECT_SECONDS:
                    raise self._translate_error(_error_text(error)) from error
        if metadata.error is not None and metadata.error.code() in _ACCESS_ERRORS:
            raise SignInError(f"topic {topic} at {self.servers}: {metadata.error.str()}")
        if metadata.error is not None or not metadata.partitions:
            text = f"no topic {topic} at {self.servers}"
            raise ConfigError(text, hint="use the Topic of the delivery configuration")
        return [(topic, number) for number in sorted(metadata.partitions)]

    def _offset_ranges(
        self, partitions: Sequence[Partition], since: int
    ) -> dict[Partition, OffsetRange]:
        watermarks = {
            partition: self._consumer.get_watermark_offsets(
                TopicPartition(*partition), timeout=CONNECT_SECONDS
            )
            for partition in partitions
        }
        spans = {partition: OffsetRange(end, end) for partition, (_, end) in watermarks.items()}
        nonempty = [partition for partition, (low, end) in watermarks.items() if low < end]
        if not (since and nonempty):
            return spans
        queries = [TopicPartition(*partition, since) for partition in nonempty]
        undecided = []
        for answer in self._consumer.offsets_for_times(queries, timeout=CONNECT_SECONDS):
            partition = answer.topic, answer.partition
            if answer.error:
                raise KafkaException(answer.error)
            if answer.offset >= 0:
                spans[partition] = spans[partition]._replace(start=answer.offset)
            else:
                undecided.append(partition)
        for partition in self._may_be_recent(undecided, spans, since):
            spans[partition] = spans[partition]._replace(start=watermarks[partition][0])
        return spans

    def _may_be_recent(
        self, partitions: Sequence[Partition], spans: Mapping[Partition, OffsetRange], since: int
    ) -> set[Partition]:
        """Return those of *partitions* whose last record may be as recent as *since*.

        A broker answers "none" when no record is that recent, but also when it has no index of
        times; then all of the partition is read, and records that are too old are left out.
        """
        recent = set(partitions)
        self._consumer.assign([TopicPartition(*p, spans[p].end - 1) for p in partitions])
        deadline = time.monotonic() + ANSWER_SECONDS
        checked: set[Partition] = set()
        while recent - checked and time.monotonic() < deadline:
            for record in self.poll():
                if record.partition not in checked and record.timestamp < since:
                    recent.discard(record.partition)
                checked.add(record.partition)
        return recent

    def _translate_error(self, reason: str) -> OcsyncError:
        """Return the error for the client's last failure."""
        code = self._last_error.code() if self._last_error else 0
        reason = self._last_error.str() if self._last_error else reason
        if code in _ACCESS_ERRORS:
            text = f"{self.servers} refused the sign-in: {reason}"
            return SignInError(text, hint="check the user name, the password and --mechanism")
        if code == KafkaError._SSL:
            text = f"{self.servers}: no trusted connection: {reason}"
            return ConfigError(text, hint="to trust further certificates, set SSL_CERT_FILE")
        return TryLater(f"cannot connect to a Kafka broker at {self.servers}: {reason}")


def _received_record(message: Message) -> ReceivedRecord:
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    kind, stamp = message.timestamp()
    return ReceivedRecord(
        (message.topic() or "", message.partition() or 0),
        message.offset() or 0,
        stamp if kind else 0,
        {name: (value or b"").decode("utf-8", "replace") for name, value in headers},
        message.value() or b"",
    )


def _error_text(error: KafkaException) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
