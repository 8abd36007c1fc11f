"""The reader of Kafka topics: every partition, from now or from a point in time, into the log.

A broker that goes away is waited for; what it kept meanwhile is read then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ocsync.delivery.decoding import Heard, Record, open_messages
from ocsync.delivery.kafka_client import ANSWER_SECONDS, Cluster, Place, ReceivedRecord
from ocsync.delivery.kafka_config import Brokers
from ocsync.errors import InputError, TryLater
from ocsync.models import Delivery

LOOK_SECONDS = 60.0
"""How often new partitions are looked for."""
_AGAIN = 1.0


class TopicReader:
    """Reads *topics* and hands their messages to *record* in groups.

    *heard* is told each message as a receiver's answer would be: 200 and its namespace, 400 and
    what is wrong, 503 and why the log cannot be written. *tell* gets a line when the brokers are
    lost and when they are back.
    """

    def __init__(
        self,
        brokers: Brokers,
        topics: Sequence[str],
        record: Record,
        heard: Heard,
        tell: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._topics = tuple(topics)
        self._record, self._heard, self._tell, self._sleep = record, heard, tell, sleep
        self._lost = ""
        self._looked = self._since = 0.0
        self._ends: dict[Place, int] = {}
        self._next: dict[Place, int] = {}
        self._cluster = Cluster(brokers, self._lose)

    def open(self, since: datetime | None) -> int:
        """Find where to begin: now, or what came *since*; the number of partitions.

        From then on nothing is missed. Raises TryLater, SignInError, ConfigError.
        """
        self._since = since.timestamp() if since else 0.0
        places = self._cluster.find(self._topics)
        for place, span in self._cluster.spans(places, self._since).items():
            self._next[place], self._ends[place] = span
        self._cluster.assign(self._next)
        self._looked = time.monotonic()
        return len(self._next)

    def run(self, stop: Callable[[], bool]) -> None:
        """Read until *stop* says so."""
        while not stop():
            self._take(self._cluster.take(), stop)
            self._look()

    def close(self) -> None:
        """Leave the brokers."""
        self._cluster.close()

    def _lose(self, why: str) -> None:
        if self._looked and not self._lost:
            self._tell(f"{self._cluster.servers} does not answer ({why}); waiting for it")
            self._lost = why

    def _look(self) -> None:
        """Look for new partitions now and then; for lost brokers often."""
        now = time.monotonic()
        if now - self._looked < (ANSWER_SECONDS if self._lost else LOOK_SECONDS):
            return
        self._looked = now
        try:
            new = set(self._cluster.look(self._topics)) - self._next.keys()
        except TryLater as error:
            self._lose(error.message)
            return
        if self._lost:
            self._tell(f"{self._cluster.servers} is back")
            self._lost = ""
        if new:
            self._next |= dict.fromkeys(new, 0)
            self._cluster.assign(self._next)

    def _take(self, batch: list[ReceivedRecord], stop: Callable[[], bool]) -> None:
        found = [message for came in batch for message in self._opened(came)]
        if found and self._kept(found, stop):
            for one in found:
                self._heard(200, one.namespace)

    def _kept(self, found: list[Delivery], stop: Callable[[], bool]) -> bool:
        """Whether they are on disk; a full disk is waited for, the topic keeps the rest."""
        while True:
            try:
                self._record(found)
            except OSError as error:
                self._heard(503, error.strerror or str(error))
            else:
                return True
            if stop():
                return False
            self._sleep(_AGAIN)

    def _opened(self, came: ReceivedRecord) -> list[Delivery]:
        self._next[came.place] = came.offset + 1
        seconds = self._arrival(came)
        if seconds is None:
            return []
        place = f"{came.place[0]}/{came.place[1]}@{came.offset}"
        at = datetime.fromtimestamp(seconds, UTC).isoformat()
        try:
            return open_messages(came.body, came.headers, at, f"{place} {came.time}")
        except InputError as error:
            self._heard(400, f"{place}: {error.message}")
            return []

    def _arrival(self, came: ReceivedRecord) -> float | None:
        """When it arrived; None for what is too old, or has no time of its own to tell.

        What comes while we listen arrives now, by our clock, which is also the runs'; what was
        there before arrived when the topic says.
        """
        if came.offset >= self._ends.get(came.place, 0):
            return time.time()
        seconds = came.time / 1000
        return seconds if came.time and seconds >= self._since else None
