"""Reading and writing of HTTP bodies, and the effect of a scripted fault on them."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ocsync.emulator.errors import ErrorResponse
from ocsync.emulator.faults import Fault
from ocsync.emulator.request import ApiResponse

_encode = msgspec.json.Encoder().encode
_JSON = b"application/json; charset=utf-8"


class HttpProtocol(HttpToolsProtocol):
    """HTTP whose requests know their transport, so that a fault can abort the connection."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {"transport": {"raw": self.transport}}


async def read_body(receive: Receive) -> bytes:
    """Return the body of a request."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def decode_json(raw: bytes) -> Any:
    """Return a body as JSON, or None if it is empty. Raises ErrorResponse."""
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ErrorResponse(400, "Request.InvalidRequestBody", str(error)) from error


def json_response(content: Any, status: int = 200) -> Response:
    """Return *content* as a response outside of the API."""
    return Response(_encode(content), status, media_type="application/json")


async def send_response(
    scope: Scope,
    send: Send,
    answer: ApiResponse,
    fault: Fault | None,
    retry_after: float,
    log_id: str = "",
) -> None:
    """Send *answer*, changed by *fault* if there is one.

    *retry_after* goes into the headers, as whole seconds unless the fault has a shorter time. So
    does *log_id*, the platform's name for the answer, and the URL of what was created.
    """
    headers = [(b"x-oc-logid", log_id.encode())] if log_id else []
    if answer.created:
        host = dict(scope["headers"]).get(b"host", b"")
        url = f"{scope['scheme']}://{host.decode('latin-1')}{scope['path']}/{answer.created}"
        headers.append((b"location", url.encode("latin-1")))
    if not (fault and fault.action == "html"):
        send = partial(_send_with, send, headers)
    retry_after = math.ceil(retry_after)
    body = b"" if answer.body is None else _encode(answer.body)
    if fault is None:
        await _send(send, answer.status, body, _JSON, retry_after)
        return
    if fault.action == "reset":
        scope["extensions"]["transport"]["raw"].abort()
        return
    status, media_type = fault.status or answer.status, _JSON
    if fault.status:
        body = _encode(ErrorResponse(fault.status, fault.code, "a scripted fault").body())
    if fault.action == "html":
        body, media_type = b"<html><body>gateway</body></html>", b"text/html"
    elif fault.action == "bom":
        body = b"\xef\xbb\xbf" + body
    delay = fault.seconds / max(len(body), 1) if fault.action == "slow" else 0.0
    retry_after = fault.retry_after or retry_after
    if fault.action == "cut":
        await _start(send, status, len(body), media_type, retry_after)
        await send(_body_message(body[: len(body) // 2], more=True))
        scope["extensions"]["transport"]["raw"].close()
    elif delay:
        await _start(send, status, len(body), media_type, retry_after)
        for index in range(len(body)):
            await asyncio.sleep(delay)
            await send(_body_message(body[index : index + 1], more=True))
        await send(_body_message(b""))
    else:
        await _send(send, status, body, media_type, retry_after)


async def _send_with(send: Send, headers: list[tuple[bytes, bytes]], message: Message) -> None:
    """Send *message*, with *headers* added where it has any."""
    if "headers" in message:
        message["headers"] += headers
    await send(message)


async def _send(
    send: Send, status: int, body: bytes, media_type: bytes, retry_after: float
) -> None:
    await _start(send, status, len(body), media_type, retry_after)
    await send(_body_message(body))


async def _start(send: Send, status: int, size: int, media_type: bytes, retry_after: float) -> None:
    headers = [(b"content-length", b"%d" % size)] if status != 204 else []
    if size:
        headers.append((b"content-type", media_type))
    if retry_after:
        headers.append((b"retry-after", b"%g" % retry_after))
    await send({"type": "http.response.start", "status": status, "headers": headers})


def _body_message(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
