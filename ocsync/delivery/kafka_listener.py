"""The listener for Kafka topics: it reads every partition, from now or from a point in time.

It waits for brokers that went away, and then reads the records that they kept meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ocsync.delivery.decoding import (
    AppendMessages,
    ReportMessage,
    ShowMessages,
    decode_messages,
    show_nothing,
)
from ocsync.delivery.kafka_client import ANSWER_SECONDS, KafkaClient, Partition, ReceivedRecord
from ocsync.delivery.kafka_config import Brokers
from ocsync.errors import InputError, TryLater
from ocsync.models import Delivery

REFRESH_SECONDS = 60.0
"""Seconds between searches for new partitions."""
_RETRY_SECONDS = 1.0


class KafkaListener:
    """A reader of *topics* that hands their messages to *append* in groups.

    *report* is called with each message as with an HTTP listener's answer: 200 and its namespace,
    400 and the reason of a refusal, 503 and why the log cannot be written. *tell* gets a line when
    the brokers are lost and when they are back; *show* gets the messages that are on disk.
    """

    def __init__(
        self,
        brokers: Brokers,
        topics: Sequence[str],
        append: AppendMessages,
        report: ReportMessage,
        tell: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        show: ShowMessages = show_nothing,
    ) -> None:
        self._topics = tuple(topics)
        self._append, self._report, self._tell, self._sleep = append, report, tell, sleep
        self._show = show
        self._lost_reason = ""
        self._refreshed_at = self._since = 0.0
        self._initial_ends: dict[Partition, int] = {}
        self._next_offsets: dict[Partition, int] = {}
        self._client = KafkaClient(brokers, self._report_lost)

    def open(self, since: datetime | None) -> int:
        """Find where to begin, at now or at *since*, and return the number of partitions.

        From then on no message is missed. Raises TryLater, SignInError, ConfigError.
        """
        self._since = since.timestamp() if since else 0.0
        partitions = self._client.find_partitions(self._topics)
        for partition, span in self._client.offset_ranges(partitions, self._since).items():
            self._next_offsets[partition], self._initial_ends[partition] = span
        self._client.assign(self._next_offsets)
        self._refreshed_at = time.monotonic()
        return len(self._next_offsets)

    def run(self, stop: Callable[[], bool]) -> None:
        """Read until *stop* returns true."""
        while not stop():
            self._append_records(self._client.poll(), stop)
            self._refresh_partitions()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _report_lost(self, reason: str) -> None:
        if self._refreshed_at and not self._lost_reason:
            self._tell(f"{self._client.servers} does not respond ({reason}); trying again")
            self._lost_reason = reason

    def _refresh_partitions(self) -> None:
        """Search for new partitions now and then, and often while the brokers are lost."""
        now = time.monotonic()
        if now - self._refreshed_at < (ANSWER_SECONDS if self._lost_reason else REFRESH_SECONDS):
            return
        self._refreshed_at = now
        try:
            added = set(self._client.list_partitions(self._topics)) - self._next_offsets.keys()
        except TryLater as error:
            self._report_lost(error.message)
            return
        if self._lost_reason:
            self._tell(f"{self._client.servers} responds again")
            self._lost_reason = ""
        if added:
            self._next_offsets |= dict.fromkeys(added, 0)
            self._client.assign(self._next_offsets)

    def _append_records(self, batch: list[ReceivedRecord], stop: Callable[[], bool]) -> None:
        messages = [message for record in batch for message in self._decode(record)]
        if messages and self._append_messages(messages, stop):
            for message in messages:
                self._report(200, message.namespace)
            self._show(messages)

    def _append_messages(self, messages: list[Delivery], stop: Callable[[], bool]) -> bool:
        """Append *messages* and return whether they are on disk; wait while the disk is full."""
        while True:
            try:
                self._append(messages)
            except OSError as error:
                self._report(503, error.strerror or str(error))
            else:
                return True
            if stop():
                return False
            self._sleep(_RETRY_SECONDS)

    def _decode(self, record: ReceivedRecord) -> list[Delivery]:
        self._next_offsets[record.partition] = record.offset + 1
        seconds = self._arrival_time(record)
        if seconds is None:
            return []
        position = f"{record.partition[0]}/{record.partition[1]}@{record.offset}"
        at = datetime.fromtimestamp(seconds, UTC).isoformat()
        try:
            return decode_messages(
                record.body, record.headers, at, f"{position} {record.timestamp}"
            )
        except InputError as error:
            self._report(400, f"{position}: {error.message}")
            return []

    def _arrival_time(self, record: ReceivedRecord) -> float | None:
        """Return when a record arrived, or None if that is too long ago or not known.

        A record that comes while we listen arrives now, by our clock, which is also that of the
        runs; an older one arrived at the topic's own time.
        """
        if record.offset >= self._initial_ends.get(record.partition, 0):
            return time.time()
        seconds = record.timestamp / 1000
        return seconds if record.timestamp and seconds >= self._since else None
