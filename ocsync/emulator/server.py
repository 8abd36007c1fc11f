"""Serving an emulator on 127.0.0.1: until told to stop, or for the time of a block."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

import uvicorn

from ocsync.emulator.app import Emulator
from ocsync.emulator.http import Protocol
from ocsync.emulator.options import Options
from ocsync.errors import ConfigError, OcsyncError

HOST = "127.0.0.1"
_START_SECONDS = 10.0


class Running(NamedTuple):
    """An emulator that answers at *url*."""

    url: str
    emulator: Emulator


def serve(options: Options, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; *ready* is called with the URL once it can be reached.

    Raises ConfigError when the port is taken.
    """
    with closing(_listen(options.port)) as listener:
        server = _server(Emulator(options).app(), lifespan="on", http=Protocol)
        ready(_url(listener))
        with suppress(KeyboardInterrupt):  # the way to end it
            server.run(sockets=[listener])


@contextmanager
def running(options: Options) -> Iterator[Running]:
    """An emulator in a thread, for the time of the block."""
    emulator = Emulator(options)
    with _serving(_server(emulator.app(), lifespan="on", http=Protocol), options.port) as url:
        yield Running(url, emulator)


@contextmanager
def answering(app: Any) -> Iterator[str]:
    """Any ASGI application in a thread, for the time of the block, at the URL."""
    with _serving(_server(app, lifespan="off", http="auto"), 0) as url:
        yield url


@contextmanager
def _serving(server: uvicorn.Server, port: int) -> Iterator[str]:
    """*server* in a thread, at the URL. Raises OcsyncError when it does not start."""
    listener = _listen(port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise OcsyncError("the emulator did not start")
        time.sleep(0.005)
    try:
        yield _url(listener)
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
        listener.close()


def _server(app: Any, **settings: Any) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            **settings,
        )
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        text = f"port {port} cannot be had: {error.strerror}"
        raise ConfigError(text, hint="ocsync emulator --port 0 takes a free one") from error
    listener.listen(1024)
    return listener


def _url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"
