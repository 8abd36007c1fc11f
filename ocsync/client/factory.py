"""Construction of the client: connection, proxy, trust store, pacer."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ocsync import __version__
from ocsync.client.api import Api
from ocsync.client.auth import OrderCloudAuth
from ocsync.client.pacing import Pacer
from ocsync.client.proxy import Proxy, is_host, proxy_for
from ocsync.client.retry import RetryTransport
from ocsync.client.throttle import ACCEPTED_ENCODINGS, ThrottleTransport
from ocsync.errors import ConfigError
from ocsync.events import Emit, ignore

_Origin = tuple[str, str, int | None]
"""The scheme, host and port of a URL."""


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
    seconds for one attempt, above the server's own 30 (guide/ordercloud.md 2.4).
    """

    concurrency: int = 16
    max_rate: float = 0.0
    max_wait: float = 60.0
    timeout: float = 45.0


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
        _RoutedTransport(routes),
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
        proxy_of=lambda url: routes[_origin(url)],
    )
    token_url = connection.auth_url + "/oauth/token"
    auth = OrderCloudAuth(token_url, connection.client_id, connection.secret, now=now)
    async with httpx.AsyncClient(
        transport=retry,
        auth=auth,
        timeout=httpx.Timeout(limits.timeout, pool=None),
        headers={
            "User-Agent": f"ocsync/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": ", ".join(ACCEPTED_ENCODINGS),
        },
        follow_redirects=False,
        trust_env=False,
    ) as client:
        parallel = 2 * limits.concurrency
        yield Api(client, connection.api_url, auth, throttle, parallel, limits.max_wait)


def _routes(connection: Connection) -> dict[_Origin, Proxy | None]:
    """Return the proxy of each URL of *connection*. Raises ConfigError for an unusable one."""
    urls = (connection.api_url, connection.auth_url)
    return {_origin(_parse_url(url)): proxy_for(url) for url in urls}


def _parse_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not is_host(url.host):
        raise ConfigError(f"{text} is not a URL of a server", hint="ocsync profile add another")
    return url


def _origin(url: httpx.URL) -> _Origin:
    return url.scheme, url.host, url.port


class _RoutedTransport(httpx.AsyncBaseTransport):
    """A transport that sends each request by the proxy of its URL, and nowhere else."""

    def __init__(self, routes: Mapping[_Origin, Proxy | None]) -> None:
        schemes = {scheme for scheme, *_ in routes} | {p.scheme for p in routes.values() if p}
        trust = _trust_store() if "https" in schemes else None
        self._by_proxy = {proxy: _transport(proxy, trust) for proxy in {*routes.values()}}
        self._routes = routes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one round trip. Raises httpx.TransportError."""
        proxy = self._routes[_origin(request.url)]
        return await self._by_proxy[proxy].handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        for transport in self._by_proxy.values():
            await transport.aclose()


def _transport(proxy: Proxy | None, trust: ssl.SSLContext | None) -> AiohttpTransport:
    """Return the transport for one round trip over aiohttp.

    Its session bounds no connections, as the pacer does; it keeps no cookies, reads no netrc, and
    never repeats a request silently when a kept connection turns out to be dead: the retry
    transport decides that.
    """

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=25.0, ssl=trust or True)
        made = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        made._retry_connection = False
        return made

    return AiohttpTransport(client=session, verify=trust or False, proxy=_httpx_proxy(proxy))


def _httpx_proxy(proxy: Proxy | None) -> httpx.Proxy | None:
    if proxy is None:
        return None
    headers = {}
    if proxy.username or proxy.password:
        credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"  # aiohttp makes it Proxy-Authorization
    return httpx.Proxy(f"{proxy.scheme}://{proxy.address}", headers=headers)


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
        raise ConfigError(f"SSL_CERT_FILE names {named}, which has no certificate that can be read")
    folder = ssl.get_default_verify_paths().capath
    if not folder or not any(Path(folder).iterdir()):
        import certifi

        context.load_verify_locations(certifi.where())
    return context
