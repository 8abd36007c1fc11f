"""Servers that answer each request with bytes of the test's choice."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

Answer = Callable[[bytes], bytes]
"""From a whole request to the bytes of its answer; none closes the connection."""


class Server(NamedTuple):
    """A server on loopback, and the requests that it got."""

    port: int
    requests: list[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


TOKEN = reply("200 OK", b'{"access_token":"a.b.c","expires_in":600}')
ME = reply("200 OK", b'{"ID":"u","Username":"u","Seller":{"ID":"m"}}')


def platform(request: bytes) -> bytes:
    """A platform that knows only who is signed in."""
    return TOKEN if b"/oauth/token" in request.partition(b"\r\n")[0] else ME


def only(path: bytes, answer: bytes) -> Answer:
    """The platform, with *answer* for requests whose first line has *path* in it."""
    return lambda request: answer if path in request.partition(b"\r\n")[0] else platform(request)


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server that gives *answer*."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = Server(listener.getsockname()[1], [])
        threading.Thread(target=_accept, args=(listener, answer, server), daemon=True).start()
        yield server


def _accept(listener: socket.socket, answer: Answer, server: Server) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        work = (connection, answer, server)
        threading.Thread(target=_converse, args=work, daemon=True).start()


def _converse(connection: socket.socket, answer: Answer, server: Server) -> None:
    with connection:
        while request := _read(connection):
            server.requests.append(request)
            data = answer(request)
            if not data:
                return
            connection.sendall(data)


def _read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        data += part
        if not part or not data[:1].isalpha():
            return data  # the end, or no HTTP
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
