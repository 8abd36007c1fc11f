"""Events of received messages: the entity of each, and whether its content came before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ocsync.delivery.decoding import content_digest, entity_ids
from ocsync.delivery.messages import subjects_of
from ocsync.events import MessageReceived
from ocsync.models import Delivery
from ocsync.schema import TARGETS


class MessageEvents:
    """Events of messages in the order of their arrival, after those in the log *before*."""

    def __init__(self, before: Iterable[Delivery]) -> None:
        self._known = {content_digest(message) for message in before}

    def of(self, messages: Iterable[Delivery]) -> Iterator[MessageReceived]:
        """Yield the event of each of *messages*."""
        for message in messages:
            digest = content_digest(message)
            duplicate = digest in self._known
            self._known.add(digest)
            subjects = subjects_of(message)
            target = subjects[0].target if subjects else ""
            kind = f"{TARGETS[target].entity_kind}/" if len(subjects) == 1 else ""
            yield MessageReceived(
                message.at,
                message.namespace,
                target,
                f"{kind}{entity_ids(message)}",
                max(len(subjects), 1),
                duplicate,
            )
