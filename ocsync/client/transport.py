"""One round trip over aiohttp, with httpx's types.

httpx's client layer and its URL parsing cost more than the round trip itself, so the requests of
the API are built here, from parts that are ready.
"""

from __future__ import annotations

import base64
import ssl
import zlib
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

import httpx
import yarl

from ocsync import __version__
from ocsync.client.aiohttp_import import aiohttp
from ocsync.client.proxy import Proxy

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Bytes of an answer; more than any page of a list can have."""
ACCEPTED_ENCODINGS = ("gzip", "deflate")
_HEADERS = {
    "User-Agent": f"ocsync/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": ", ".join(ACCEPTED_ENCODINGS),
}
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_PATH_CHARACTERS = "/%!$&'()*+,;=:@"


class Origin(NamedTuple):
    """The server of a URL; *port* is None for the scheme's own."""

    scheme: str
    host: str
    port: int | None


def origin_of(url: httpx.URL) -> Origin:
    """Return the server of *url*."""
    return Origin(url.scheme, url.host, url.port)


class Server:
    """A server and the path of its API: the part of a URL that all requests share."""

    def __init__(self, url: str, path: str) -> None:
        self.url = httpx.URL(url)
        self.origin = origin_of(self.url)
        self._authority = self.url.netloc.decode("ascii")
        self._path = self.url.raw_path.decode("ascii").rstrip("/") + path

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        extensions: Mapping[str, bool],
    ) -> ApiRequest:
        """Return a request for *path* below the API's, with JSON as its *body*.

        *path* may have a query of its own, to which *query* is added.
        """
        path, _, own_query = path.partition("?")
        query_string = quote(own_query, safe=_PATH_CHARACTERS)
        if query:
            query_string += ("&" if query_string else "") + urlencode(query)
        target = yarl.URL.build(
            scheme=self.origin.scheme,
            authority=self._authority,
            path=self._path + quote(path, safe=_PATH_CHARACTERS),
            query_string=query_string,
            encoded=True,
        )
        return ApiRequest(self, method, target, body, extensions)


class ApiRequest(httpx.Request):
    """A request whose `url` names the server alone, as *target* is all of the URL.

    Its headers are in *fields*.
    """

    def __init__(
        self,
        server: Server,
        method: str,
        target: yarl.URL,
        body: bytes | None,
        extensions: Mapping[str, bool],
    ) -> None:
        self.method = method
        self.url, self.origin, self.target = server.url, server.origin, target
        self.fields = {} if body is None else _JSON.copy()
        self.extensions = dict(extensions)
        self._body = body or b""

    @property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        """A copy of *fields*."""
        return httpx.Headers(self.fields)

    @property
    def content(self) -> bytes:
        """The body; empty without one."""
        return self._body


def server_of(request: httpx.Request) -> Origin:
    """Return the server that *request* is for."""
    return request.origin if isinstance(request, ApiRequest) else origin_of(request.url)


class Answer(httpx.Response):
    """An answer that was read whole, without its encoding.

    Its headers are in *fields*, where a byte that is not UTF-8 is a surrogate.
    """

    def __init__(self, status: int, fields: Mapping[str, str], body: bytes) -> None:
        self.status_code = status
        self.fields = fields
        self.extensions = {}
        self._body = body

    @property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        """A copy of *fields*."""
        fields = self.fields.items()
        return httpx.Headers(
            [(name.encode(), v.encode("utf-8", "surrogateescape")) for name, v in fields]
        )

    @property
    def content(self) -> bytes:
        """The body."""
        return self._body


def header_of(response: httpx.Response, name: str) -> str:
    """Return the header *name* of *response*, empty without one; "?" stands for bytes that are not
    UTF-8.
    """
    if not isinstance(response, Answer):
        text: str = response.headers.get(name, "")
        return text
    text = response.fields.get(name, "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class AiohttpTransport(httpx.AsyncBaseTransport):
    """A transport to servers behind one *proxy*, or without one.

    Its session bounds no connections, as the pacer does; it keeps no cookies, reads no netrc,
    follows no redirect, and never repeats a request silently when a kept connection turns out to be
    dead: the retry transport decides that.
    """

    def __init__(
        self, proxy: Proxy | None, trust: ssl.SSLContext | None, *, connect_seconds: float
    ) -> None:
        self._trust = trust
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect_seconds)
        self._proxy = yarl.URL(f"{proxy.scheme}://{proxy.address}") if proxy else None
        self._proxy_headers = _credentials(proxy) if proxy else None
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, read whole. Raises httpx.ReadError, aiohttp.ClientError."""
        session = self._session or self._open_session()
        async with session.request(
            request.method,
            request.target if isinstance(request, ApiRequest) else str(request.url),
            headers=_headers_of(request),
            data=request.content or None,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
        ) as answer:
            content = await _read(answer)
            if encodings := answer.headers.getall("Content-Encoding", ()):
                content = _decompress(content, ", ".join(encodings))
            return Answer(answer.status, answer.headers, content)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=25.0, ssl=self._trust or True)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=self._timeout,
            auto_decompress=False,
        )
        self._session._retry_connection = False
        return self._session


def _headers_of(request: httpx.Request) -> dict[str, str]:
    if isinstance(request, ApiRequest):
        return request.fields
    return {name.decode("ascii"): value.decode("ascii") for name, value in request.headers.raw}


def _credentials(proxy: Proxy) -> dict[str, str]:
    if not proxy.username and not proxy.password:
        return {}
    credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}  # aiohttp makes it Proxy-Authorization


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body. Raises httpx.ReadError for one that is too large."""
    parts, size = [], 0
    while part := await answer.content.readany():
        size += len(part)
        if size > MAX_BODY_BYTES:
            answer.close()
            raise httpx.ReadError(f"the response is larger than {MAX_BODY_BYTES:,} bytes")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decompress(content: bytes, encoding: str) -> bytes:
    """Return *content* without its *encoding*.

    One that is mislabelled becomes a text that says so, which no reader takes for JSON. Raises
    httpx.ReadError for one that is too large.
    """
    encoding = encoding.strip().lower()
    if not content or encoding in ("", "identity"):
        return content
    if encoding not in ACCEPTED_ENCODINGS:
        return f"(it is encoded as {encoding[:20]!r}, which was not requested)".encode()
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        text = reader.decompress(content, MAX_BODY_BYTES + 1)
    except zlib.error:
        return f"(it is labelled {encoding}, but is not {encoding})".encode()
    if len(text) > MAX_BODY_BYTES:
        raise httpx.ReadError(f"the response is larger than {MAX_BODY_BYTES:,} bytes")
    return text if reader.eof else f"(it is labelled {encoding}, but ends too early)".encode()
