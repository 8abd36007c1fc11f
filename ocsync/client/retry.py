"""Retries, only where a repeat is safe.

A request that was never sent, or that was refused before it was processed, can always be repeated.
One whose answer was lost, or whose effect the answer leaves open, can be repeated if it is
idempotent: GET, DELETE, PUT, PATCH with absolute values, POST of an assignment. A request marked
`repeatable: False` raises LostAnswer instead. A failure that waiting does not end is not retried.
The loop is our own because one pacer decides for all workers how long to wait.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import Enum

import httpx

from ocsync.client.failures import (
    Failure,
    answer_of_tls_port,
    failure_of,
    misdirected,
    permanent_error,
    proxy_refusal,
)
from ocsync.client.pacing import backoff
from ocsync.client.proxy import Proxy
from ocsync.client.responses import error_code, log_id_of
from ocsync.client.slots import THROTTLED, GateClosed
from ocsync.client.throttle import retry_after
from ocsync.client.transport import Origin, server_of
from ocsync.errors import LostAnswer, NotApplied, OcsyncError, TryLater
from ocsync.events import Emit, Waiting
from ocsync.plurals import count

_MAX_UNKNOWN = 7
"""Attempts at which a request gives up on answers that leave its effect open (after about 30 s)."""
_MAX_FIRST_CONTACTS = {"timed out": 1, "closed": 4, "not connected": 3}
"""Attempts to reach a server that has not answered yet (1 to 3 s): waiting mends no wrong port."""
_NOT_IMPLEMENTED = (501, 505)
"""Statuses of servers that are not OrderCloud and will never do what was asked."""
_AGAIN = "run the same command again later; it continues where it stopped"
_OPEN_STATUSES = (408, 500, 502, 504)
"""Statuses that leave the effect open; a 500 may be OrderCloud's timeout
(guide/ordercloud.md 2.2).
"""
_OPEN_CODES = ("", "ServerError")
"""Error codes that do not say that a request was refused."""


class Verdict(Enum):
    """The effect of a request, by its answer."""

    FINAL = "final"
    REFUSED = "refused"
    OPEN = "open"


def verdict_of(response: httpx.Response) -> Verdict:
    """Return whether *response* is final, refuses the request for now, or leaves its effect open.

    A 5xx is final only with an error code of OrderCloud: a gateway answers 520 or 524 also when the
    request has reached the server. A 503 is a refusal with such a code, or with `Retry-After`.
    """
    status = response.status_code
    if status == 429:
        return Verdict.REFUSED
    if status in _OPEN_STATUSES:
        return Verdict.OPEN
    if status < 500:
        return Verdict.FINAL
    refused = error_code(response.content) not in _OPEN_CODES
    if status == 503:
        return Verdict.REFUSED if refused or retry_after(response) is not None else Verdict.OPEN
    return Verdict.FINAL if refused else Verdict.OPEN


def no_proxy(_: httpx.URL) -> Proxy | None:
    """Return no proxy for any URL."""
    return None


class RetryTransport(httpx.AsyncBaseTransport):
    """A transport that repeats attempts for up to *max_wait* seconds a request.

    *proxy_of* returns the proxy that a URL is reached by.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        max_wait: float,
        emit: Emit,
        sleep: Callable[[float], Awaitable[None]],
        now: Callable[[], float],
        proxy_of: Callable[[httpx.URL], Proxy | None] = no_proxy,
    ) -> None:
        self._inner = inner
        self._max_wait = max_wait
        self._emit = emit
        self._sleep = sleep
        self._now = now
        self._proxy_of = proxy_of
        self._answered: set[Origin] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, with `attempts` in its extensions.

        Raises TryLater, LostAnswer, and ConfigError for a failure that waiting does not end.
        """
        request.extensions["deadline"] = self._now() + self._max_wait
        repeatable = bool(request.extensions.get("repeatable", True))
        attempt, lost, log_id = 0, False, ""
        while True:
            attempt += 1
            asked: float | None = None
            try:
                response = await self._inner.handle_async_request(request)
            except GateClosed as error:
                failure, wait = Failure(str(error), sent=False), error.seconds
            except httpx.TransportError as error:
                failure = await self._failure(error, request)
                wait = backoff(attempt - 1)
                most = _MAX_FIRST_CONTACTS.get(failure.kind, attempt + 1)
                if attempt >= most and server_of(request) not in self._answered:
                    wait = math.inf
            else:
                self._answered.add(server_of(request))
                self._raise_if_misdirected(response, request.url)
                verdict = verdict_of(response)
                hopeless = response.status_code in _NOT_IMPLEMENTED and not _writes(request)
                if verdict is Verdict.FINAL or hopeless:
                    response.extensions["attempts"] = attempt
                    return response
                log_id = log_id_of(response) or log_id
                asked = retry_after(response)
                wait = backoff(attempt - 1) if asked is None else _wait_before(asked, attempt)
                sent = verdict is Verdict.OPEN
                shown = THROTTLED if response.status_code == 429 else ""
                text = f"the server responded with {response.status_code}"
                failure = Failure(text, sent=sent, shown=shown)
                if sent and attempt >= _MAX_UNKNOWN:
                    wait = math.inf
            if not failure.sent and not repeatable:
                self._tell_of_wait(wait, failure)
                raise NotApplied(failure.reason, seconds=wait)
            lost = lost or failure.sent
            too_late = self._now() + wait > request.extensions["deadline"]
            if too_late or (failure.sent and not repeatable):
                gave_up = _final_error(failure, attempt, asked, lost=lost and _writes(request))
                gave_up.log_id = log_id
                raise gave_up
            self._tell_of_wait(wait, failure)
            await self._sleep(wait)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _tell_of_wait(self, seconds: float, failure: Failure) -> None:
        if 1 <= seconds < math.inf:
            self._emit(Waiting(seconds, failure.shown or failure.reason))

    async def _failure(self, error: httpx.TransportError, request: httpx.Request) -> Failure:
        """Return what *error* means. Raises ConfigError where waiting does not end it."""
        proxy = self._proxy_of(request.url)
        if permanent := permanent_error(error, request.url, proxy):
            raise permanent from error
        failure = failure_of(error, request.url, proxy)
        if failure.sent and server_of(request) not in self._answered:
            permanent = await misdirected(error, request.url, proxy)
            if permanent:
                raise permanent from error
        return failure

    def _raise_if_misdirected(self, response: httpx.Response, url: httpx.URL) -> None:
        """Raise ConfigError for an answer of a proxy that wants a password, or of a TLS port."""
        error = answer_of_tls_port(response, url) if response.status_code == 400 else None
        if response.status_code == 407:
            error = proxy_refusal(407, url, self._proxy_of(url))
        if error:
            raise error


def _writes(request: httpx.Request) -> bool:
    return request.method != "GET" and not request.extensions.get("reads", False)


def _wait_before(asked: float, attempt: int) -> float:
    """Return the seconds to wait when the server *asked* for some; never 0 again and again."""
    return asked if attempt == 1 else max(asked, backoff(attempt - 2, first=0.1, maximum=1.0))


def _final_error(
    failure: Failure, attempts: int, asked: float | None, *, lost: bool
) -> OcsyncError:
    text = f"{failure.reason}; gave up after {count(attempts, 'attempt')}"
    if asked and asked >= 1:
        text += f", because the server asked to wait {asked:,.0f} s"
    if lost:
        text += "; the request may have taken effect"
        return LostAnswer(text, hint=_AGAIN)
    if failure.kind:
        hint = "check the network and the profile's API URL, then run the same command again"
        return TryLater(text, hint=hint)
    return TryLater(text, hint=_AGAIN)
