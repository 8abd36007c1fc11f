"""Construction of the client: connection, proxy, trust store, pacer."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from ocsync.client.api import Api
from ocsync.client.auth import OrderCloudAuth
from ocsync.client.pacing import Pacer
from ocsync.client.proxy import Proxy, is_host, proxy_for
from ocsync.client.retry import RetryTransport
from ocsync.client.throttle import ThrottleTransport
from ocsync.client.transport import AiohttpTransport, Origin, origin_of, server_of
from ocsync.errors import ConfigError
from ocsync.events import Emit, ignore


class Connection(NamedTuple):
    """The server and the credentials: URLs without `/v1`; *secret* is called only to sign in."""

    api_url: str
    auth_url: str
    client_id: str
    secret: Callable[[], str]


class Limits(NamedTuple):
    """Limits of the client.

    *concurrency* is the most requests in flight, *max_rate* the most requests a second (0: any).
    *max_wait* is the seconds that a request may wait for retries and throttling, *timeout* the
    seconds for one attempt, above the server's own 30 (guide/ordercloud.md 2.4), and *connect* the
    seconds of these in which there has to be a connection.
    """

    concurrency: int = 64
    max_rate: float = 0.0
    max_wait: float = 60.0
    timeout: float = 45.0
    connect: float = 10.0


DEFAULT_LIMITS = Limits()


@asynccontextmanager
async def open_client(
    connection: Connection,
    *,
    limits: Limits = DEFAULT_LIMITS,
    emit: Emit = ignore,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Api]:
    """Yield a client of the API at *connection*. Nothing is sent before the first call."""
    pace = Pacer(limits.concurrency, limits.max_rate)
    routes = _routes(connection)
    throttle = ThrottleTransport(
        _RoutedTransport(routes, connect_seconds=limits.connect),
        pace,
        attempt_seconds=limits.timeout,
        emit=emit,
        sleep=sleep,
        now=now,
    )
    retry = RetryTransport(
        throttle,
        max_wait=limits.max_wait,
        emit=emit,
        sleep=sleep,
        now=now,
        proxy_of=lambda url: routes[origin_of(url)],
    )
    token_url = connection.auth_url + "/oauth/token"
    auth = OrderCloudAuth(token_url, connection.client_id, connection.secret, now=now)
    try:
        parallel = 2 * limits.concurrency
        yield Api(retry, connection.api_url, auth, throttle, parallel, limits.max_wait)
    finally:
        await retry.aclose()


def _routes(connection: Connection) -> dict[Origin, Proxy | None]:
    """Return the proxy of each URL of *connection*. Raises ConfigError for an unusable one."""
    urls = (connection.api_url, connection.auth_url)
    return {origin_of(_parse_url(url)): proxy_for(url) for url in urls}


def _parse_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not is_host(url.host):
        raise ConfigError(f"{text} is not the URL of a server", hint="ocsync profile add another")
    return url


class _RoutedTransport(httpx.AsyncBaseTransport):
    """A transport that sends each request by the proxy of its URL, and nowhere else."""

    def __init__(self, routes: Mapping[Origin, Proxy | None], *, connect_seconds: float) -> None:
        schemes = {scheme for scheme, *_ in routes} | {p.scheme for p in routes.values() if p}
        trust = _trust_store() if "https" in schemes else None
        self._by_proxy = {
            proxy: AiohttpTransport(proxy, trust, connect_seconds=connect_seconds)
            for proxy in {*routes.values()}
        }
        self._routes = routes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one round trip. Raises httpx.TransportError."""
        proxy = self._routes[server_of(request)]
        return await self._by_proxy[proxy].handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        for transport in self._by_proxy.values():
            await transport.aclose()


def _trust_store() -> ssl.SSLContext:
    """Return the system's trust store; `SSL_CERT_FILE` and `SSL_CERT_DIR` apply.

    Certifi's list is used where the system has no store at all. Raises ConfigError for a named file
    that holds no certificate: with another list in its place, the client would trust servers that
    the operator does not.
    """
    context = ssl.create_default_context()
    if context.cert_store_stats()["x509_ca"]:
        return context
    if named := os.environ.get("SSL_CERT_FILE"):
        raise ConfigError(f"SSL_CERT_FILE is {named}, which has no readable certificate")
    folder = ssl.get_default_verify_paths().capath
    if not folder or not any(Path(folder).iterdir()):
        import certifi

        context.load_verify_locations(certifi.where())
    return context
