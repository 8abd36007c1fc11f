"""The receiver of an HTTP delivery target: signature, envelope, log, answer.

A message is on disk before it is answered with 200; those that come together are written together.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocsync.delivery.messages import is_signed, open_envelope
from ocsync.errors import ConfigError, InputError
from ocsync.models import Delivery

MAX_BODY = 8 * 1024 * 1024
"""Bytes of one message."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
Record = Callable[[Sequence[Delivery]], None]


class Receiver:
    """Takes messages that *secret* signed, and hands them to *record* in groups.

    *heard* is told each answer: its status, and the namespace where there is one.
    """

    def __init__(self, secret: str, record: Record, heard: Callable[[int, str], None]) -> None:
        self._secret = secret
        self._record = record
        self._heard = heard
        self._group: list[Delivery] = []
        self._written = asyncio.Lock()

    def app(self) -> Starlette:
        """The application; every path takes messages."""
        return Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY:
                return self._answer(413, "")
        header = request.headers.get("x-oc-hash", "")
        if self._secret and not is_signed(self._secret, bytes(body), header):
            return self._answer(401, "")
        try:
            message = open_envelope(bytes(body), datetime.now(UTC).isoformat())
        except InputError:
            return self._answer(400, "")
        await self._keep(message)
        return self._answer(200, message.namespace)

    async def _keep(self, message: Delivery) -> None:
        self._group.append(message)
        async with self._written:
            group, self._group = self._group, []
            if group:  # whoever waited in front may have written ours too
                await asyncio.to_thread(self._record, group)

    def _answer(self, status: int, namespace: str) -> Response:
        self._heard(status, namespace)
        return Response(status_code=status)


def listen(host: str, port: int, secret: str) -> socket.socket:
    """A listening socket. Raises ConfigError for a port that is taken, or a risk nobody wants."""
    if host not in LOOPBACK and not secret:
        raise ConfigError(
            f"without a secret anybody who reaches {host} could send messages",
            hint="--secret-env VAR, as in the delivery configuration",
        )
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        text = f"{host}:{port} cannot be had: {error.strerror}"
        raise ConfigError(text, hint="--port 0 takes a free one") from error
    listener.listen(1024)
    return listener


def serve(receiver: Receiver, listener: socket.socket) -> None:
    """Receive until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        receiver.app(), log_level="critical", access_log=False, lifespan="off", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    with suppress(KeyboardInterrupt):  # the way to end it
        uvicorn.Server(config).run(sockets=[listener])
