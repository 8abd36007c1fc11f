"""Decoding of messages: an envelope over HTTP, a header in a Kafka topic. Pure.

The place of the namespace follows Sitecore's sample, which is not a promise
(guide/ordercloud.md 4.5) and was unsure of Kafka. So each transport accepts each form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ocsync.errors import InputError
from ocsync.json_text import decode_json
from ocsync.models import Delivery

AppendMessages = Callable[[Sequence[Delivery]], None]
"""A function that appends messages to the log, durably when it returns. Raises OSError."""
ReportMessage = Callable[[int, str], None]
"""A function that takes the status of a message, and its namespace or the reason of a refusal."""
ShowMessages = Callable[[Sequence[Delivery]], None]
"""A function that shows messages, which are on disk, to the operator."""


def show_nothing(messages: Sequence[Delivery]) -> None:
    """Show none of *messages*."""
    del messages


_NAMESPACE_PREFIX = "sitecore.ordercloud."
"""The prefix of every namespace; a payload may have a field `type` of its own."""
_HEADER_FIELDS = ("type", "ce_type", "ce-type")
_BODY_FIELDS = ("type", "eventtype", "event_type", "messagetype", "message_type")
"""Fields that may hold the namespace, the likeliest first."""
_ID_FIELDS = ("catalogid", "buyerid", "companyid", "productid", "variantid", "id")
_BOM = b"\xef\xbb\xbf"


def decode_messages(
    body: bytes, headers: Mapping[str, str], received_at: str, origin: str = ""
) -> list[Delivery]:
    """Return the messages in *body*, which came with *headers*.

    A body may hold several in a list. *origin* is its position in a topic. Raises InputError for a
    body that holds no message.
    """
    try:
        document = decode_json(body.removeprefix(_BOM))
        if not isinstance(document, list):
            return [_decode_message(document, headers, received_at, origin)]
        if not document:
            raise InputError("not a message: an empty list")
        return [
            _decode_message(item, headers, received_at, f"{origin} {n}" if origin else "")
            for n, item in enumerate(document)
        ]
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a message: {error}") from error


def _decode_message(
    document: Any, headers: Mapping[str, str], received_at: str, origin: str
) -> Delivery:
    inner, payload = _unwrap_envelope(document)
    if isinstance(payload, str):
        payload = decode_json(payload.encode())
    if not isinstance(payload, dict):
        raise InputError("not a message: its payload is not an object")
    namespace = _first_text(_HEADER_FIELDS, headers) or _first_text(_HEADER_FIELDS, inner)
    namespace = namespace or _first_text(_BODY_FIELDS, payload, _NAMESPACE_PREFIX)
    if not namespace:
        raise InputError("not a message: it has no namespace in its headers or body")
    return Delivery(at=received_at, namespace=namespace, payload=payload, origin=origin)


def _unwrap_envelope(document: Any) -> tuple[Mapping[str, Any], Any]:
    """Return an envelope's headers and payload; anything else is a payload itself."""
    if isinstance(document, dict):
        low = {name.casefold(): value for name, value in document.items()}
        if "payload" in low and isinstance(low.get("headers"), dict):
            return low["headers"], low["payload"]
    return {}, document


def _first_text(names: Sequence[str], fields: Mapping[str, Any], prefix: str = "") -> str:
    """Return the first text in *fields* under one of *names*, in any case, that has *prefix*."""
    low = {name.casefold(): value for name, value in fields.items()}
    values = (low.get(name) for name in names)
    return next((s for s in values if isinstance(s, str) and s and s.startswith(prefix)), "")


class DistinctMessage(NamedTuple):
    """A message, the number of its copies, and the times of the first and the last one."""

    message: Delivery
    times: int
    first: str
    last: str

    def facts(self) -> dict[str, Any]:
        """Return the message and its numbers as a JSON object."""
        message = {"namespace": self.message.namespace, "payload": self.message.payload}
        return {"first": self.first, "last": self.last, "times": self.times, **message}


def content_digest(message: Delivery) -> bytes:
    """Return a digest of the namespace and the payload of *message*."""
    content = msgspec.json.encode((message.namespace, message.payload), order="deterministic")
    return hashlib.sha256(content).digest()


def distinct_messages(messages: Iterable[Delivery]) -> list[DistinctMessage]:
    """Return *messages* without repetitions of namespace and content, in order of arrival."""
    by_digest: dict[bytes, DistinctMessage] = {}
    for message in messages:
        digest = content_digest(message)
        old = by_digest.get(digest, DistinctMessage(message, 0, message.at, message.at))
        by_digest[digest] = DistinctMessage(old.message, old.times + 1, old.first, message.at)
    return list(by_digest.values())


def entity_ids(message: Delivery) -> str:
    """Return the IDs of the entity that *message* is about, as far as named, parents first."""
    low = {name.casefold(): value for name, value in message.payload.items()}
    ids = [value for name in _ID_FIELDS if isinstance(value := low.get(name), str) and value]
    return "/".join(dict.fromkeys(ids))
