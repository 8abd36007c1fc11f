"""An HTTP proxy between ocsync and the emulator, for what happens on the way or in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import httpx


class Answer(NamedTuple):
    """An answer of the server, or one made up."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


class Request(NamedTuple):
    """A request on its way; `forward` sends it on and returns the server's answer."""

    method: str
    path: str
    body: bytes
    forward: Callable[[], Answer]


Hook = Callable[[Request], Answer]


@contextmanager
def intercepting(url: str, hook: Hook) -> Iterator[str]:
    """Yield the address of a proxy before *url*; *hook* answers each request."""
    client = httpx.Client(trust_env=False, timeout=30)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def forward() -> Answer:
                kept = {n: v for n, v in self.headers.items() if n.lower() not in _OWN}
                got = client.request(self.command, url + self.path, content=body, headers=kept)
                return Answer(got.status_code, got.content)

            answer = hook(Request(self.command, self.path, body, forward))
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        client.close()


_OWN = ("host", "content-length", "connection", "accept-encoding")
