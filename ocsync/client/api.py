"""The calls of the API. Paths are below `/v1`, bodies are plain JSON values."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx
import msgspec

from ocsync.client.auth import OrderCloudAuth
from ocsync.client.responses import (
    GATEWAY_HINT,
    NOT_JSON,
    decode,
    error_code,
    error_of,
    log_id_of,
    visible_text,
)
from ocsync.client.slots import GateClosed
from ocsync.client.throttle import ThrottleTransport
from ocsync.client.transport import Server, header_of
from ocsync.errors import GatewayRefusal, LostAnswer, TryLater
from ocsync.schema import secrets_in

PAGE_SIZE = 100
MAX_PAGE_NUMBER = 30
"""The last page that is asked for by number; the last ID leads on from there
(guide/ordercloud.md 6).
"""
_MAX_PAGES = 100_000
_RECENT = 20
"""Answers that a crash log names."""


class Reply(NamedTuple):
    """The answer to a request: *body* is None when it was empty, *log_id* its ID in the logs of
    the platform.
    """

    status: int
    body: Any
    attempts: int
    log_id: str = ""


class Identity(NamedTuple):
    """The signed-in user and its marketplace, whose ID is `Seller.ID`.

    *roles* are the token's. *audience* names the APIs that the token is for
    (guide/ordercloud.md 1.1); it is empty when the token names none.
    """

    marketplace: str
    name: str
    username: str
    roles: tuple[str, ...]
    user_type: str
    user_id: str = ""
    audience: tuple[str, ...] = ()


class Page(NamedTuple):
    """A page of a list; the totals are those that its Meta states for the whole list."""

    items: list[dict[str, Any]]
    total_pages: int
    total_items: int


class Api:
    """The API of OrderCloud, as the user of this profile may call it."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        api_url: str,
        auth: OrderCloudAuth,
        throttle: ThrottleTransport,
        max_parallel_reads: int,
        max_wait: float,
    ) -> None:
        self._transport = transport
        self._server = Server(api_url, "/v1")
        self._auth = auth
        self._throttle = throttle
        self.max_parallel_reads = max_parallel_reads
        self.max_wait = max_wait  # seconds that one request may wait for retries and throttling
        self.writes_in_flight = 0
        self.marketplace = ""
        """ID of the marketplace, once `identity` has been asked for it."""
        self._last_answer: tuple[httpx.Response, float] | None = None
        self.recent_answers: deque[str] = deque(maxlen=_RECENT)
        """Last answers, with status and log ID, for a crash log."""

    @property
    def requests_sent(self) -> int:
        """The number of requests sent so far; every attempt counts."""
        return self._throttle.requests_sent

    @property
    def requests_throttled(self) -> int:
        """The number of answers so far that asked for a lower rate (429, 503)."""
        return self._throttle.requests_throttled

    @property
    def last_retry_after(self) -> str:
        """The `Retry-After` of the last of those answers; empty without one."""
        return self._throttle.last_retry_after

    @property
    def clock_skew(self) -> float | None:
        """The seconds that the server's clock is ahead, by its last answer; None without a date."""
        if self._last_answer is None:
            return None
        response, received = self._last_answer
        try:
            return parsedate_to_datetime(header_of(response, "date")).timestamp() - received
        except (ValueError, TypeError, OverflowError):
            return None

    @property
    def in_flight(self) -> int:
        """The number of requests sent whose answer has not arrived yet."""
        return self._throttle.in_flight

    @property
    def window(self) -> int:
        """The number of requests that may be in flight."""
        return self._throttle.window

    def widen(self, window: float) -> None:
        """Begin with *window* requests in flight, which the server has been shown to take."""
        self._throttle.widen(window)

    def take_peak(self) -> int:
        """Return the largest number of requests in flight since the last call."""
        return self._throttle.take_peak()

    async def identity(self) -> Identity:
        """Sign in and return the user and its marketplace (`GET /me`)."""
        me = await self.get("/me") or {}
        claims = self._auth.claims
        role = claims.get("role", [])
        seller = me.get("Seller") or {}
        if not isinstance(seller, dict) or not isinstance(role, str | list):
            raise _unexpected_answer("/me")
        marketplace = self.marketplace = str(seller.get("ID") or "")
        return Identity(
            marketplace,
            str(seller.get("Name") or marketplace),
            str(me.get("Username") or claims.get("usr") or ""),
            (role,) if isinstance(role, str) else tuple(map(str, role)),
            str(claims.get("usrtype") or ""),
            str(me.get("ID") or ""),
            _list_of_texts(claims.get("aud")),
        )

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """Return the object at *path*, None for an empty answer. Raises ApiError, TryLater."""
        body = (await self._call("GET", path, query=query)).body
        if body is not None and not isinstance(body, dict):
            raise _unexpected_answer(path)
        return body

    async def page(self, path: str, query: Mapping[str, str] | None = None) -> Page:
        """Return one page of the list at *path*. Raises ApiError, TryLater."""
        answer = await self.get(path, query) or {}
        items, meta = answer.get("Items") or [], answer.get("Meta") or {}
        if not isinstance(items, list) or not isinstance(meta, dict):
            raise _unexpected_answer(path)
        pages, total = meta.get("TotalPages") or 0, meta.get("TotalCount") or 0
        if not all(isinstance(n, int) for n in (pages, total)):
            raise _unexpected_answer(path)
        if not all(isinstance(item, dict) for item in items):
            raise _unexpected_answer(path)
        return Page(items, pages, total)

    async def write(
        self, method: str, path: str, body: Any = None, *, repeatable: bool = True
    ) -> Reply:
        """Send *body* and return the answer.

        With *repeatable* false the request is sent once: NotApplied tells that the server did not
        act on it, LostAnswer that it may have. Raises ApiError for a refusal, TryLater when the
        request did not get through.
        """
        return await self._call(method, path, body=body, extensions={"repeatable": repeatable})

    @asynccontextmanager
    async def turn(self, writes: Callable[[], int]) -> AsyncIterator[int]:
        """Wait for a turn in which a read and then up to *writes* writes are sent without queueing.

        Yield how many writes the block may send, all at the same time: so the values that it reads
        are as fresh as can be. Raises TryLater when the server wants no requests for longer than a
        request may wait.
        """
        try:
            async with self._throttle.turn(writes, max_wait=self.max_wait) as slots:
                yield slots
        except GateClosed as closed:
            hint = "run the same command again later; it continues where it stopped"
            raise TryLater(str(closed), hint=hint) from closed

    async def delete(self, path: str) -> Reply:
        """Delete the object at *path*; a 404 after a lost answer counts as success.

        Raises LostAnswer for a response that is not OrderCloud's (guide/ordercloud.md 2.2).
        """
        reply = await self._send("DELETE", path)
        attempts = int(reply.extensions["attempts"])
        if reply.status_code == 404 and attempts > 1 and error_code(reply.content):
            return Reply(204, None, attempts, log_id_of(reply))
        parsed = self._parse_reply(reply, "DELETE", path)
        if parsed.status != 204:
            text = f"the response to DELETE {path} is {parsed.status} instead of 204"
            lost = LostAnswer(text, hint=GATEWAY_HINT)
            lost.log_id = parsed.log_id
            raise lost
        return parsed

    async def pages(
        self, path: str, query: Mapping[str, str] | None = None, *, key: str = ""
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the items of a list page by page, ordered by ID where they have one.

        Beyond page 30 the last ID leads on; items without an ID (assignments) are paged by number.
        Raises TryLater when the list does not end, or when an item has no text at *key*.
        """
        base, page, last = {**(query or {}), "pageSize": str(PAGE_SIZE)}, 1, ""
        for _ in range(_MAX_PAGES):
            position = {"ID": f">{last}", "sortBy": "ID"} if last else {"page": str(page)}
            answer = await self.page(path, {**base, **position})
            if not answer.items:
                return
            if key and not all(isinstance(item.get(key), str) for item in answer.items):
                raise _unexpected_answer(path)
            yield answer.items
            page += 1
            by_id = last or page > MAX_PAGE_NUMBER
            last = str(answer.items[-1].get("ID") or "") if by_id else ""
            if not last and page > answer.total_pages:
                return
        raise TryLater(f"the pages of the list {path} do not end")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        extensions: Mapping[str, bool] | None = None,
    ) -> Reply:
        response = await self._send(method, path, query=query, body=body, extensions=extensions)
        try:
            return self._parse_reply(response, method, path)
        except GatewayRefusal as error:
            if (extensions or {}).get("repeatable", True):
                raise
            # a gateway's word for it is not enough where a repeat would count twice
            lost = LostAnswer(error.message, hint=error.hint)
            lost.log_id = error.log_id
            raise lost from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        extensions: Mapping[str, bool] | None = None,
    ) -> httpx.Response:
        self._auth.register_secret(secrets_in(body))
        content = None if body is None else msgspec.json.encode(body)
        request = self._server.request(method, path, query, content, extensions or {})
        writes = method != "GET"
        self.writes_in_flight += writes
        try:
            response = await self._auth.send(request, self._transport)
        finally:
            self.writes_in_flight -= writes
        self._last_answer = response, time.time()
        log_id = log_id_of(response)
        self.recent_answers.append(f"{method} {path}: {response.status_code}, log ID {log_id}")
        return response

    def _parse_reply(self, response: httpx.Response, method: str, path: str) -> Reply:
        if response.status_code >= 300:
            content, location = self._auth.redact(response.content), self._auth.location(response)
            error = error_of(response.status_code, content, f"{method} {path}", location)
            error.log_id = log_id_of(response)
            raise error
        body = decode(response.content)
        if body is NOT_JSON:
            text = f"the response to {method} {path} is not JSON"
            if words := visible_text(self._auth.redact(response.content)):
                text += f': "{words}"'
            kind = TryLater if method == "GET" else LostAnswer
            raise kind(text, hint=GATEWAY_HINT)
        attempts = int(response.extensions["attempts"])
        return Reply(response.status_code, body, attempts, log_id_of(response))


def _list_of_texts(claim: Any) -> tuple[str, ...]:
    """Return the texts of a claim that is a text or a list of texts."""
    return tuple(c for c in (claim if isinstance(claim, list) else [claim]) if isinstance(c, str))


def _unexpected_answer(path: str) -> TryLater:
    text = f"the response to GET {path} is JSON, but not from OrderCloud"
    return TryLater(text, hint=GATEWAY_HINT)
