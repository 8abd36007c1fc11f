"""Failures on the way to the server: what they mean for a retry, and for the operator."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import NamedTuple

import httpx

from ocsync.client.aiohttp_import import aiohttp
from ocsync.client.proxy import Proxy, address
from ocsync.errors import ConfigError
from ocsync.suggestions import set_variable

_CHECK_URLS = "check the scheme and the port of the profile's API URL"
_PLAINTEXT = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG",
              "RECORD_LAYER_FAILURE")  # fmt: skip
"""OpenSSL's reasons for a handshake that was answered by something other than TLS."""
_TLS_ON_PLAIN = ("https port", "https server", "ssl-enabled server port", "tls port")
"""Words of servers (nginx, Go, Apache) that were sent plain HTTP on a TLS port."""
_NO_HTTP = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientResponseError)
"""Errors for a server that closed the connection, or answered with something else than HTTP."""
_PLAIN_WORDS = (
    (aiohttp.ClientPayloadError, "the response ended early"),
    (aiohttp.ClientResponseError, "the response is not valid HTTP"),
)
_PROBE_SECONDS = 2.0
_MAX_WORDS = 100
"""Characters of a foreign error that are shown."""


class Failure(NamedTuple):
    """A failed attempt. *connected*: there was a connection; *sent*: it may have taken effect.

    *timed_out*: nothing came within the time for it. *closed*: the connection ended without an
    answer. *shown* stands for the reason while the next attempt is waited for.
    """

    reason: str
    connected: bool = True
    sent: bool = True
    timed_out: bool = False
    closed: bool = False
    shown: str = ""

    @property
    def kind(self) -> str:
        """The kind of a failure that points at a wrong host or port; empty for all others."""
        if self.timed_out:
            return "timed out"
        return "closed" if self.closed else "" if self.connected else "not connected"


def failure_of(error: httpx.TransportError, url: httpx.URL, proxy: Proxy | None) -> Failure:
    """Return what *error* means for a request to *url*."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        text = f"the proxy {_name(proxy)} responded with {cause.status} {cause.message}".rstrip()
        return Failure(text, sent=False)
    if isinstance(cause, aiohttp.ClientConnectorError):
        at_proxy = proxy is not None and (proxy.host, proxy.port) == (cause.host, cause.port)
        text = f"cannot connect to {_peer(url, proxy if at_proxy else None)}"
        text += f" ({_reason(cause.os_error)})"
        return Failure(text, connected=False, sent=False)
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        text = f"cannot connect to {_peer(url, proxy)} (timed out)"
        return Failure(text, connected=False, sent=False, timed_out=True)
    if isinstance(error, httpx.TimeoutException) and isinstance(cause, TimeoutError | None):
        return Failure(f"{_peer(url, None)} did not respond in time", timed_out=True)
    if _was_closed(cause):
        text = f"{_peer(url, proxy)} closed the connection without a response"
        return Failure(text, closed=True)
    shown = next((words for kind, words in _PLAIN_WORDS if isinstance(cause, kind)), "")
    if isinstance(cause, aiohttp.ClientOSError) and cause.errno:
        shown = _reason(cause)
    words = " ".join((shown or str(error) or type(error).__name__).split())
    words = words if len(words) <= _MAX_WORDS else words[:_MAX_WORDS] + "..."
    text = f"the connection to {_peer(url, proxy)} failed ({words})"
    return Failure(text, closed=isinstance(cause, aiohttp.ClientOSError))


def permanent_error(
    error: httpx.TransportError, url: httpx.URL, proxy: Proxy | None
) -> ConfigError | None:
    """Return the error for a failure that waiting does not end, or None.

    A handshake that was cut off is not one: it is the network's, like any cut connection.
    """
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        text = f"the server's certificate cannot be trusted: {error}"
        return ConfigError(text, hint="to trust another certificate authority, set SSL_CERT_FILE")
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return proxy_refusal(cause.status, url, proxy, cause.message)
    if isinstance(cause, aiohttp.ClientConnectorSSLError):
        return _tls_error(cause, proxy)
    return None


def _was_closed(cause: BaseException | None) -> bool:
    """Return whether the server closed the connection before any byte of a response."""
    if isinstance(cause, aiohttp.ClientOSError):
        return "write request body" in str(cause)  # of aiohttp's own, without a number
    return isinstance(cause, aiohttp.ServerDisconnectedError)


async def misdirected(
    error: httpx.TransportError, url: httpx.URL, proxy: Proxy | None
) -> ConfigError | None:
    """Return the error for a server that does not speak the URL's protocol, or None.

    It has not answered before. Most servers that speak TLS close a connection with plain HTTP
    without a word; only a handshake, in which nothing is sent, tells them from others.
    """
    cause = error.__cause__
    if not isinstance(cause, _NO_HTTP):
        return None
    if await _answers_handshake(url, proxy):
        return _speaks_tls(url, proxy)
    if "Bad status line" in str(cause):
        return ConfigError(f"{_peer(url, proxy)} does not speak HTTP", hint=_CHECK_URLS)
    return None


def _tls_error(cause: aiohttp.ClientConnectorSSLError, proxy: Proxy | None) -> ConfigError | None:
    error = cause.os_error
    if not isinstance(error, ssl.SSLError) or isinstance(
        error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    ):
        return None
    peer, words = address(cause.host, cause.port), (error.reason or str(error)).replace("_", " ")
    if error.reason not in _PLAINTEXT:
        text = f"no TLS connection to {peer}: {words.lower()}"
        return ConfigError(text, hint=_CHECK_URLS)
    if proxy and (proxy.host, proxy.port) == (cause.host, cause.port):
        text = f"the proxy {peer} does not speak TLS ({words.lower()})"
        return ConfigError(text, hint=f"use http:// instead of https:// in {proxy.setting}")
    return ConfigError(f"{peer} does not speak TLS ({words.lower()})", hint=_CHECK_URLS)


def proxy_refusal(
    status: int, url: httpx.URL, proxy: Proxy | None, message: str = ""
) -> ConfigError | None:
    """Return the error for a proxy's *status*, or None for one that may pass."""
    if status == 407:
        if proxy is None:
            text = f"a proxy in front of {_peer(url, None)} requires a password"
            return ConfigError(text, hint=_with_password(url, proxy))
        verb = "rejects the password in" if proxy.username else "requires a password, which"
        end = "" if proxy.username else " does not contain"
        text = f"the proxy {proxy.address} {verb} {proxy.setting}{end}"
        return ConfigError(text, hint=_with_password(url, proxy))
    if 400 <= status < 500 and status not in (408, 425, 429):
        text = f"the proxy {_name(proxy)} refuses connections to {_peer(url, None)}"
        return ConfigError(
            f"{text}: {status} {message}".rstrip(),
            hint="ask its operator to allow the host, or add the host to NO_PROXY",
        )
    return None


def answer_of_tls_port(response: httpx.Response, url: httpx.URL) -> ConfigError | None:
    """Return the error for a 400 that says that plain HTTP was sent on a TLS port, or None."""
    text = response.content[:4096].decode("latin-1").lower()
    told = url.scheme == "http" and any(words in text for words in _TLS_ON_PLAIN)
    return _speaks_tls(url, None) if told else None


async def _answers_handshake(url: httpx.URL, proxy: Proxy | None) -> bool:
    """Return whether the server of a plain connection speaks TLS."""
    if (proxy.scheme if proxy else url.scheme) != "http":
        return False
    host, port = (proxy.host, proxy.port) if proxy else (url.host, url.port or 80)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
            return True
    return False


def _speaks_tls(url: httpx.URL, proxy: Proxy | None) -> ConfigError:
    if proxy:
        text = f"the proxy {proxy.address} speaks TLS, but {proxy.setting} says http://"
        return ConfigError(text, hint=f"use https:// in {proxy.setting}")
    text = f"{_peer(url, None)} speaks TLS, but the profile's URL starts with http://"
    return ConfigError(text, hint="add the profile again with https:// in its API URL")


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            return "unknown host"
        return f"the host name cannot be resolved: {error.strerror or error}"
    number = error.errno or 0
    text = os.strerror(number) if number > 0 else str(error.strerror or error)
    text = text or "the connection was closed"
    return text[:1].lower() + text[1:]


def _name(proxy: Proxy | None) -> str:
    return f"{proxy.address} of {proxy.setting}" if proxy else "in front of the server"


def _peer(url: httpx.URL, proxy: Proxy | None) -> str:
    if proxy:
        return f"the proxy {proxy.address}"
    return address(url.host, url.port or (443 if url.scheme == "https" else 80))


def _with_password(url: httpx.URL, proxy: Proxy | None) -> str:
    variable = proxy.setting if proxy else ""
    if not variable.lower().endswith("_proxy"):
        variable = f"{url.scheme.upper()}_PROXY"
    where = proxy.address if proxy else "HOST:PORT"
    return set_variable(variable, f"http://USER:PASSWORD@{where}")
