"""Servers on 127.0.0.1 that run until a signal, or for the duration of a block."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

import uvicorn

from ocsync.emulator.app import Emulator
from ocsync.emulator.http import HttpProtocol
from ocsync.emulator.options import EmulatorOptions
from ocsync.errors import ConfigError, OcsyncError

HOST = "127.0.0.1"
_START_TIMEOUT = 10.0


class RunningEmulator(NamedTuple):
    """An emulator and the URL that it listens on."""

    url: str
    emulator: Emulator


def serve(options: EmulatorOptions, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; *ready* is called with the URL once it accepts requests.

    Raises ConfigError when the port is taken.
    """
    with closing(_open_listener(options.port)) as listener:
        server = _server(Emulator(options).app(), lifespan="on", http=HttpProtocol)
        ready(_url_of(listener))
        with suppress(KeyboardInterrupt):  # Ctrl-C ends it
            server.run(sockets=[listener])


@contextmanager
def serve_in_thread(options: EmulatorOptions) -> Iterator[RunningEmulator]:
    """Serve an emulator in a thread for the duration of the block."""
    emulator = Emulator(options)
    with _run_in_thread(
        _server(emulator.app(), lifespan="on", http=HttpProtocol), options.port
    ) as url:
        yield RunningEmulator(url, emulator)


@contextmanager
def serve_app_in_thread(app: Any) -> Iterator[str]:
    """Serve any ASGI application in a thread for the duration of the block, and yield its URL."""
    with _run_in_thread(_server(app, lifespan="off", http="auto"), 0) as url:
        yield url


@contextmanager
def _run_in_thread(server: uvicorn.Server, port: int) -> Iterator[str]:
    """Run *server* in a thread and yield its URL. Raises OcsyncError when it does not start."""
    listener = _open_listener(port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_TIMEOUT
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise OcsyncError("the emulator did not start")
        time.sleep(0.005)
    try:
        yield _url_of(listener)
    finally:
        server.should_exit = True
        thread.join(_START_TIMEOUT)
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


def _open_listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        text = f"cannot listen on port {port}: {error.strerror}"
        raise ConfigError(text, hint="to use any free port: ocsync emulator --port 0") from error
    listener.listen(1024)
    return listener


def _url_of(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"
