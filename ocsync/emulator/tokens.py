"""Sign-in: client credentials for a token in the shape of a JWT (api-facts 1.2 to 1.4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any
from urllib.parse import parse_qs

import msgspec

from ocsync.emulator.entities import Answer
from ocsync.emulator.errors import Refusal
from ocsync.emulator.state import Marketplace

_KEY = secrets.token_bytes(32)


class Tokens:
    """The tokens of one emulator; *lifetime* in seconds."""

    def __init__(self, market: Marketplace, lifetime: int) -> None:
        self._market = market
        self._lifetime = lifetime
        self._valid: dict[str, tuple[float, tuple[str, ...]]] = {}

    def sign_in(self, form: bytes, url: str) -> Answer:
        """`POST /oauth/token`."""
        fields = {n: v[-1] for n, v in parse_qs(form.decode("utf-8", "replace")).items()}
        client = self._market.clients.get(fields.get("client_id", ""))
        if client is None:
            return _refused("invalid_client", "ApiClient.InvalidClientID", "unknown client ID")
        if fields.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "Auth.UnsupportedGrant", "unsupported grant")
        if not hmac.compare_digest(fields.get("client_secret", "").encode(), client[0].encode()):
            code = "Auth.InvalidUsernameOrPassword"
            return _refused("invalid_grant", code, "wrong client secret")
        token = self._make(fields["client_id"], client[1], url)
        self._valid[token] = (time.monotonic() + self._lifetime, client[1])
        return Answer(
            200, {"access_token": token, "token_type": "bearer", "expires_in": self._lifetime}
        )

    def check(self, header: str) -> tuple[str, ...]:
        """The roles of the bearer, or 401."""
        scheme, _, token = header.partition(" ")
        ends, roles = self._valid.get(token, (0.0, ()))
        if scheme.casefold() != "bearer" or time.monotonic() >= ends:
            raise Refusal(401, "InvalidToken", "access token is invalid or expired")
        return roles

    def revoke_all(self) -> None:
        """No token that was given out is good any more."""
        self._valid.clear()

    def _make(self, client: str, roles: tuple[str, ...], url: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "usr": client, "cid": client, "usrtype": "admin", "iss": url, "aud": url,
            "role": roles[0] if len(roles) == 1 else list(roles),
            "nbf": now, "exp": now + self._lifetime, "jti": secrets.token_hex(4),
        }  # fmt: skip
        head = _part(msgspec.json.encode({"alg": "HS256", "typ": "JWT"}))
        text = f"{head}.{_part(msgspec.json.encode(claims))}"
        return f"{text}.{_part(hmac.digest(_KEY, text.encode(), hashlib.sha256))}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(error: str, code: str, why: str) -> Answer:
    errors = [{"ErrorCode": code, "Message": why, "Data": None}]
    return Answer(400, {"error": error, "error_description": why, "Errors": errors})
