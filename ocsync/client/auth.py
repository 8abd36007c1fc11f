"""Authentication: client credentials, a token for each request, one renewal at a time.

A token is renewed before it expires, by the `expires_in` of its answer, and once after a 401.
Requests that come while a renewal is under way wait for it and use its token, or fail as it failed:
if each tried again in turn, the longest wait would multiply. Tokens live in memory only. Where the
body of an error repeats a token or the secret, it is redacted before anything reads it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import msgspec

from ocsync.client.redaction import Secret
from ocsync.client.responses import (
    GATEWAY_HINT,
    decode,
    describe_page,
    first_error,
    log_id_of,
    visible_text,
)
from ocsync.client.transport import ApiRequest, header_of
from ocsync.errors import OcsyncError, SignInError, TryLater
from ocsync.secrets import stop_commands

_RENEW_BEFORE_SECONDS = 30.0
_MAX_LIFETIME = 10.0**9
_MAX_RENEWALS = 2
"""The number of refused tokens after which a request is sent again with a new one."""
_SENDABLE = re.compile(r"[!-~]+")
_HINTS = {
    "ApiClient.InvalidClientID": "check the profile's client ID",
    "Auth.InvalidUsernameOrPassword": "check the source of the profile's secret",
    "Auth.LockedOut": "ask an administrator to unlock the user",
}


class OrderCloudAuth:
    """The bearer token of all requests; only a sign-in calls *secret*."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        secret: Callable[[], str],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = token_url
        self._client_id = client_id
        self._secret = secret
        self._now = now
        self._lock = asyncio.Lock()
        self._token = ""
        self._expires_at = 0.0
        self._secrets: dict[str, Secret] = {}
        self._sign_ins = 0
        self._failure: OcsyncError = TryLater("not signed in yet")

    async def send(
        self, request: ApiRequest, transport: httpx.AsyncBaseTransport
    ) -> httpx.Response:
        """Send *request* by *transport* with a token, and again after a 401, and return the answer.

        The first request whose token was refused renews it; the others are sent again with the new
        token, which may be refused once more while tokens are being revoked. Raises SignInError.
        """
        token, tries = self._token, self._sign_ins
        if not token or self._now() >= self._expires_at:
            token = await self._renewed(token, tries, transport)
        for _ in range(_MAX_RENEWALS):
            request.fields["Authorization"] = f"Bearer {token}"
            response = await transport.handle_async_request(request)
            if response.status_code != 401:
                return response
            token = await self._renewed(token, self._sign_ins, transport)
        request.fields["Authorization"] = f"Bearer {token}"
        return await transport.handle_async_request(request)

    async def _renewed(self, token: str, tries: int, transport: httpx.AsyncBaseTransport) -> str:
        """Return the token that follows *token*, fetched by this request or by another one."""
        async with self._lock:
            if self._must_sign_in(token, tries):
                request = await self._token_request()
                self._accept_token(await transport.handle_async_request(request))
        return self._token

    def _must_sign_in(self, token: str, tries: int) -> bool:
        """Return whether this request must fetch a token in place of *token*.

        Raises the error of a sign-in that failed while this request waited, since *tries*.
        """
        if self._token != token:
            return False
        if self._sign_ins != tries:
            raise self._failure
        self._sign_ins += 1
        self._failure = TryLater("sign-in failed", hint="run the same command again later")
        return True

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the token; empty when it cannot be read."""
        return claims_of(self._token)

    async def _token_request(self) -> httpx.Request:
        try:
            secret = await asyncio.to_thread(self._secret)
        except asyncio.CancelledError:
            stop_commands()  # or the program would wait for its thread at the end
            raise
        self.register_secret([secret])
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": secret,
        }
        extensions = {"repeatable": True, "reads": True, "sign_in": True}
        return httpx.Request("POST", self._url, data=form, extensions=extensions)

    def register_secret(self, secrets: Iterable[str]) -> None:
        """Register *secrets* for redaction, in every form in which an answer may repeat them."""
        for text in secrets:
            self._secrets.setdefault(text, Secret(text))

    def redact(self, answer: bytes) -> bytes:
        """Return *answer* without the registered secrets."""
        for text in sorted(self._secrets, key=len, reverse=True):
            answer = self._secrets[text].hide(answer)
        return answer

    def location(self, response: httpx.Response) -> str:
        """Return where *response* redirects to, without the registered secrets."""
        text = header_of(response, "location")
        return self.redact(text.encode()).decode("utf-8", "replace")

    def _accept_token(self, response: httpx.Response) -> None:
        try:
            self._accept_answer(response)
        except OcsyncError as error:
            self._failure = error
            raise

    def _accept_answer(self, response: httpx.Response) -> None:
        body = decode(response.content)
        if response.status_code != 200 or not isinstance(body, dict):
            error = self._sign_in_error(response)
            error.log_id = log_id_of(response)
            raise error
        token, seconds = body.get("access_token"), body.get("expires_in")
        if not isinstance(token, str) or not token:
            text = "the token endpoint sent no token"
            raise SignInError(text, hint="check the profile's auth URL")
        if not _SENDABLE.fullmatch(token):
            text = "the token endpoint sent a token that is not valid in a header"
            raise TryLater(text, hint=GATEWAY_HINT)
        lifetime = float(min(seconds, _MAX_LIFETIME)) if isinstance(seconds, int | float) else 60.0
        self._token = token
        self.register_secret([token])
        self._expires_at = self._now() + max(
            lifetime - _RENEW_BEFORE_SECONDS, lifetime * 0.9 - 1.0, 0.0
        )

    def _sign_in_error(self, response: httpx.Response) -> OcsyncError:
        """Return the error for a refused sign-in, or for an answer that is not OrderCloud's."""
        content, status = self.redact(response.content), response.status_code
        code, message, _ = first_error(decode(content))
        if status == 200:
            words = visible_text(content)
            text = "the response to the sign-in is not JSON" + (f': "{words}"' if words else "")
            return TryLater(text, hint=GATEWAY_HINT)
        if not code:
            text = describe_page(status, content, self.location(response))
            return TryLater(f"sign-in failed: {text}", hint=GATEWAY_HINT)
        if status >= 500 or status in (408, 429):
            return TryLater(f"the token endpoint responded with {status}")
        text = f"sign-in failed: {message or code}"
        hint = _HINTS.get(code, "ocsync profile check")
        return SignInError(
            text + (f" ({code})" if code and code not in text else ""), code=code, hint=hint
        )


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unverified, as the server verifies it; empty if unreadable."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(text)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
