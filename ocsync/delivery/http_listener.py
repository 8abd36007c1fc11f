"""The listener for an HTTP delivery target: signature, envelope, log, answer.

A message is on disk before it is answered with 200; messages that arrive together are written
together. One that cannot be stored is answered with 503, so that the platform sends it again.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ocsync.delivery.decoding import (
    AppendMessages,
    ReportMessage,
    ShowMessages,
    decode_messages,
    show_nothing,
)
from ocsync.delivery.kafka_config import is_loopback
from ocsync.delivery.messages import is_signed
from ocsync.errors import ConfigError, InputError
from ocsync.models import Delivery

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Bytes of one request's body."""
HEADER_SECONDS = 10.0
"""Seconds for the headers of a request, from the connection or from its first byte on."""
BODY_SECONDS = 60.0
"""Seconds for the body of a request."""
_GREETING = b"ocsync listens here for an OrderCloud delivery target\n"


class RequestCheck(NamedTuple):
    """The proofs that a request must carry: a signature with *secret*, and a header *name*.

    The header must have *value*. An empty field is not checked.
    """

    secret: str = ""
    name: str = ""
    value: str = ""

    def passes(self, headers: dict[str, str], body: bytes) -> bool:
        """Return whether a request carries them, in a time that does not depend on the secrets."""
        signed = not self.secret or is_signed(self.secret, body, headers.get("x-oc-hash", ""))
        shown = headers.get(self.name.lower(), "") if self.name else ""
        return signed and hmac.compare_digest(shown.encode("latin-1"), self.value.encode())


class HttpListener:
    """The ASGI application: takes messages that pass *check*, and hands them to *append*.

    *report* is called with each answer's status, and the namespace or the reason of a refusal.
    *show* gets the messages that are on disk. Every path takes messages; a GET answers only that a
    listener runs here.
    """

    def __init__(
        self,
        check: RequestCheck,
        append: AppendMessages,
        report: ReportMessage,
        show: ShowMessages = show_nothing,
    ) -> None:
        self._check = check
        self._log = GroupCommit(append)
        self._report = report
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] != "POST":
            looking = scope["method"] in ("GET", "HEAD")
            await _send_response(send, 200 if looking else 405, _GREETING if looking else b"")
            return
        status, about, messages = await self._receive_messages(scope, receive)
        await _send_response(send, status)
        self._report(status, about)
        self._show(messages)

    async def _receive_messages(
        self, scope: Scope, receive: Receive
    ) -> tuple[int, str, Sequence[Delivery]]:
        """Return the status of the answer, the text for a report, and the messages on disk."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(receive)
        except TimeoutError:
            return 408, f"its body did not arrive within {BODY_SECONDS:.0f} s", ()
        if body is None:
            return 413, f"it has more than {MAX_BODY_BYTES // 2**20} MiB", ()
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        if not self._check.passes(headers, body):
            return 401, "", ()
        try:
            messages = decode_messages(body, headers, datetime.now(UTC).isoformat())
        except InputError as error:
            return 400, error.message, ()
        try:
            await self._log.append(messages)
        except OSError as error:
            return 503, error.strerror or str(error), ()
        return 200, messages[-1].namespace, messages


@dataclass
class _Batch:
    messages: list[Delivery] = field(default_factory=list)
    written: asyncio.Future[None] | None = None


class GroupCommit:
    """Messages that wait for the disk; all that arrive while it is busy are written together."""

    def __init__(self, append: AppendMessages) -> None:
        self._append = append
        self._next = _Batch()
        self._disk = asyncio.Lock()

    async def append(self, messages: Sequence[Delivery]) -> None:
        """Append *messages* durably. Each caller whose messages are lost gets the error."""
        group = self._next
        group.messages += messages
        if group.written is None:
            group.written = asyncio.ensure_future(self._write(group))
        await asyncio.shield(group.written)

    async def _write(self, group: _Batch) -> None:
        async with self._disk:
            self._next = _Batch()
            await asyncio.to_thread(self._append, group.messages)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body of a request, or None if it is too large."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
    return body if len(body) <= MAX_BODY_BYTES else None


async def _send_response(send: Send, status: int, body: bytes = b"") -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain")]
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of it is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def open_socket(host: str, port: int, secret: str) -> socket.socket:
    """Return a listening socket. Raises ConfigError for a port in use, or an unsafe address."""
    if not is_loopback(host) and not secret:
        raise ConfigError(
            f"without a secret, anyone who can reach {host} could send messages",
            hint="give --secret-env VAR, with the secret of the delivery configuration",
        )
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        text = f"cannot listen on {host}:{port}: {error.strerror}"
        raise ConfigError(text, hint="to use any free port: --port 0") from error
    listener.listen(1024)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of *listener*."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(application: HttpListener, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which is raised again once received messages are answered."""
    server_of(application).run(sockets=[listener])


def server_of(application: HttpListener) -> uvicorn.Server:
    """Return the server of *application*; a connection that sends no request is closed."""
    config = uvicorn.Config(
        application, log_level="critical", access_log=False, lifespan="off", server_header=False,
        date_header=False, proxy_headers=False, ws="none", interface="asgi3", http=_Protocol,
        timeout_keep_alive=75, timeout_graceful_shutdown=2,
    )  # fmt: skip
    return uvicorn.Server(config)


class _Protocol(HttpToolsProtocol):
    """HTTP that closes a connection whose request headers do not arrive in time.

    uvicorn bounds only the time between two requests; without this, connections that send nothing
    would use up the process's file descriptors.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Take bytes, the first of which begin a request unless one is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Answer a request whose headers are complete."""
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
