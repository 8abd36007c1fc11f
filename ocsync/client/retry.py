"""Retries, only where a repeat is safe.

A request that was never sent, or that was refused before it was processed (429, 503), can always be
repeated. A request whose answer was lost can be repeated if it is idempotent: GET, DELETE, PUT,
PATCH with absolute values, POST of an assignment. A request marked `repeatable: False` raises
LostAnswer instead. The loop is our own because one pacer decides for all workers how long to wait.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable

import aiohttp
import httpx

from ocsync.client.pacing import backoff
from ocsync.client.throttle import GateClosed, retry_after
from ocsync.errors import ConfigError, LostAnswer, NotApplied, OcsyncError, TryLater
from ocsync.events import Emit, Waiting

_REFUSAL_STATUSES = (429, 503)
_UNKNOWN_STATUSES = (408, 500, 502, 504)
_MAX_UNKNOWN = 7
"""Attempts at which a request gives up on such answers (after about 30 s)."""
_NOT_SENT_ERRORS = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
)


class RetryTransport(httpx.AsyncBaseTransport):
    """A transport that repeats attempts for up to *max_wait* seconds a request."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        max_wait: float,
        emit: Emit,
        sleep: Callable[[float], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._max_wait = max_wait
        self._emit = emit
        self._sleep = sleep
        self._now = now

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, with `attempts` in its extensions. Raises TryLater or LostAnswer."""
        request.extensions["deadline"] = self._now() + self._max_wait
        repeatable = bool(request.extensions.get("repeatable", True))
        attempt, lost = 0, False
        response: httpx.Response | None
        while True:
            attempt += 1
            response = asked = None
            try:
                response = await self._inner.handle_async_request(request)
            except GateClosed as error:
                never_sent, wait, reason = True, error.seconds, str(error)
            except httpx.TransportError as error:
                _raise_if_untrusted(error)
                never_sent = isinstance(error.__cause__, _NOT_SENT_ERRORS)
                wait, reason = backoff(attempt - 1), describe_failure(error)
            else:
                if response.status_code not in (*_REFUSAL_STATUSES, *_UNKNOWN_STATUSES):
                    response.extensions["attempts"] = attempt
                    return response
                never_sent = response.status_code in _REFUSAL_STATUSES
                asked = retry_after(response)
                wait = backoff(attempt - 1) if asked is None else _wait_before(asked, attempt)
                reason = f"OrderCloud answered {response.status_code}"
                if response.status_code in _UNKNOWN_STATUSES and attempt >= _MAX_UNKNOWN:
                    wait = math.inf
            if never_sent and not repeatable:
                raise NotApplied(reason, seconds=wait)
            lost = lost or not never_sent
            too_late = self._now() + wait > request.extensions["deadline"]
            if too_late or (not never_sent and not repeatable):
                raise _final_error(reason, attempt, asked, lost=lost)
            if wait >= 1 and not _closes_gate(response):
                self._emit(Waiting(wait, reason))
            await self._sleep(wait)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _wait_before(asked: float, attempt: int) -> float:
    """Return the seconds to wait when the server *asked* for some; never 0 again and again."""
    return asked if attempt == 1 else max(asked, backoff(attempt - 2, first=0.1, maximum=1.0))


def _closes_gate(response: httpx.Response | None) -> bool:
    """Return whether the answer closes the gate for all, which the throttle reports once."""
    refused = response is not None and response.status_code in _REFUSAL_STATUSES
    return refused and response is not None and retry_after(response) is not None


def _raise_if_untrusted(error: httpx.TransportError) -> None:
    """Raise ConfigError for a certificate that cannot be trusted, as waiting does not change it.

    Other failures of a handshake are treated as the network's, like a connection that was cut off.
    """
    if isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError):
        text = f"the server's certificate cannot be trusted: {error}"
        hint = "SSL_CERT_FILE names a file with your own authorities"
        raise ConfigError(text, hint=hint) from error


def describe_failure(error: httpx.TransportError) -> str:
    """Return a description of the failure for the operator."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(
        error.__cause__, _NOT_SENT_ERRORS
    ):
        return "no answer in time"
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorError) and cause.host:
        number = cause.os_error.errno or 0
        reason = (
            os.strerror(number) if number > 0 else str(cause.os_error.strerror or cause.os_error)
        )
        return f"the network failed (no connection to {cause.host}:{cause.port}: {reason})"
    return f"the network failed ({str(error) or type(error).__name__})"


def _final_error(reason: str, attempts: int, asked: float | None, *, lost: bool) -> OcsyncError:
    times = "once" if attempts == 1 else f"{attempts} times"
    times += f"; it wants to be left alone for {asked:,.0f} s" if asked and asked >= 1 else ""
    hint = "the same command goes on from here, later"
    if lost:
        text = f"{reason}, tried {times}; whether the request took effect is not known"
        return LostAnswer(text, hint=hint)
    return TryLater(f"{reason}, tried {times}", hint=hint)
