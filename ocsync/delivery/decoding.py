"""What arrives -> messages: over HTTP in an envelope, in a topic with a header. Pure.

Where the namespace stands is Sitecore's sample's reading, not a promise (api-facts 4.5); its author
was not sure of Kafka either. So each form is taken from each transport.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ocsync.errors import InputError
from ocsync.models import Delivery

AppendMessages = Callable[[Sequence[Delivery]], None]
"""Keeps a group of messages; durable when it returns. Raises OSError."""
ReportMessage = Callable[[int, str], None]
"""Is told what became of a message: a status, and its namespace or what is wrong."""

_NAMESPACE_PREFIX = "sitecore.ordercloud."
"""What namespaces begin with; a payload's own field may be called `type` too."""
_HEADER_FIELDS = ("type", "ce_type", "ce-type")
_BODY_FIELDS = ("type", "eventtype", "event_type", "messagetype", "message_type")
"""Where a message may say its namespace, the likeliest first."""
_ID_FIELDS = ("catalogid", "buyerid", "companyid", "productid", "variantid", "id")
_BOM = b"\xef\xbb\xbf"


def decode_messages(
    body: bytes, headers: Mapping[str, str], received_at: str, origin: str = ""
) -> list[Delivery]:
    """The messages in *body*, which came with *headers*. Raises InputError for what is none.

    A body may hold several in a list. *origin* is where in a topic it stood.
    """
    try:
        found = msgspec.json.decode(body.removeprefix(_BOM))
        if not isinstance(found, list):
            return [_decode_message(found, headers, received_at, origin)]
        if not found:
            raise InputError("not a message: an empty list")
        return [
            _decode_message(one, headers, received_at, f"{origin} {n}" if origin else "")
            for n, one in enumerate(found)
        ]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not a message: {error}") from error


def _decode_message(
    document: Any, headers: Mapping[str, str], received_at: str, origin: str
) -> Delivery:
    inner, payload = _unwrap_envelope(document)
    if isinstance(payload, str):
        payload = msgspec.json.decode(payload)
    if not isinstance(payload, dict):
        raise InputError("not a message: its payload is no object")
    namespace = _first_text(_HEADER_FIELDS, headers) or _first_text(_HEADER_FIELDS, inner)
    namespace = namespace or _first_text(_BODY_FIELDS, payload, _NAMESPACE_PREFIX)
    if not namespace:
        raise InputError("not a message: neither its headers nor its body name a namespace")
    return Delivery(at=received_at, namespace=namespace, payload=payload, origin=origin)


def _unwrap_envelope(document: Any) -> tuple[Mapping[str, Any], Any]:
    """An envelope's headers and payload; what is no envelope is the payload itself."""
    if isinstance(document, dict):
        low = {name.casefold(): value for name, value in document.items()}
        if "payload" in low and isinstance(low.get("headers"), dict):
            return low["headers"], low["payload"]
    return {}, document


def _first_text(names: Sequence[str], place: Mapping[str, Any], prefix: str = "") -> str:
    """What the first of *names* in *place* that says something, whatever its case, says."""
    low = {name.casefold(): value for name, value in place.items()}
    found = (low.get(name) for name in names)
    return next((s for s in found if isinstance(s, str) and s and s.startswith(prefix)), "")


class DistinctMessage(NamedTuple):
    """A message, how often the very same came, and when it came first and last."""

    message: Delivery
    times: int
    first: str
    last: str

    def facts(self) -> dict[str, Any]:
        """All of it, for a program."""
        message = {"namespace": self.message.namespace, "payload": self.message.payload}
        return {"first": self.first, "last": self.last, "times": self.times, **message}


def distinct_messages(messages: Iterable[Delivery]) -> list[DistinctMessage]:
    """*messages* without their repetitions: each namespace and content once, as they came first."""
    found: dict[bytes, DistinctMessage] = {}
    for one in messages:
        content = msgspec.json.encode((one.namespace, one.payload), order="deterministic")
        digest = hashlib.sha256(content).digest()
        old = found.get(digest, DistinctMessage(one, 0, one.at, one.at))
        found[digest] = DistinctMessage(old.message, old.times + 1, old.first, one.at)
    return list(found.values())


def entity_ids(message: Delivery) -> str:
    """The IDs of what *message* is about, as far as it names them, parents first."""
    low = {name.casefold(): value for name, value in message.payload.items()}
    found = [value for name in _ID_FIELDS if isinstance(value := low.get(name), str) and value]
    return "/".join(dict.fromkeys(found))
