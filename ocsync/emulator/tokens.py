"""Sign-in: three grants that return a token in the form of a JWT
(guide/ordercloud.md 1.2 to 1.4).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any
from urllib.parse import parse_qs

import msgspec

from ocsync.emulator.errors import ErrorResponse
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.request import ApiResponse, Caller
from ocsync.emulator.state import Client, Document, Marketplace

_KEY = secrets.token_bytes(32)
_USER_TYPES = {"buyer-user": "buyer", "supplier-user": "supplier", "admin-user": "admin"}


class _SignInRefused(Exception):
    def __init__(self, error: str, code: str, reason: str) -> None:
        errors = [{"ErrorCode": code, "Message": reason, "Data": None}]
        self.answer = ApiResponse(
            400, {"error": error, "error_description": reason, "Errors": errors}
        )


class TokenIssuer:
    """The access and refresh tokens of one emulator."""

    def __init__(self, market: Marketplace, options: EmulatorOptions) -> None:
        self._market = market
        self._options = options
        self._access: dict[str, tuple[float, Caller]] = {}
        self._refresh: dict[str, tuple[float, Caller]] = {}
        self._revoked: set[str] = set()

    def sign_in(self, form: bytes, kind: str, url: str) -> ApiResponse:
        """Handle `POST /oauth/token` with the body *form* of the media type *kind*."""
        fields = {n: v[-1] for n, v in parse_qs(form.decode("utf-8", "replace")).items()}
        try:
            if kind.partition(";")[0].strip().casefold() != "application/x-www-form-urlencoded":
                code = "Request.InvalidContentType"
                raise _SignInRefused("invalid_request", code, "the body must be form encoded")
            return ApiResponse(200, self._issue(self._identify(fields), url))
        except _SignInRefused as refused:
            return refused.answer

    def authenticate(self, header: str) -> Caller:
        """Return the caller that a bearer token belongs to, or raise a 401."""
        scheme, _, token = header.partition(" ")
        ends, caller = self._access.get(token, (0.0, None))
        if token in self._revoked:
            raise ErrorResponse(401, "Auth.TokenRevoked", "the access token was revoked")
        if scheme.casefold() != "bearer" or caller is None or time.monotonic() >= ends:
            raise ErrorResponse(401, "InvalidToken", "access token is invalid or expired")
        return caller

    def revoke_all(self) -> None:
        """Revoke every token that was issued."""
        self._revoked |= self._access.keys()
        self._access.clear()
        self._refresh.clear()

    def _identify(self, fields: dict[str, str]) -> Caller:
        client_id = fields.get("client_id", "")
        client = self._market.clients.get(client_id)
        if client is None:
            raise _SignInRefused("invalid_client", "ApiClient.InvalidClientID", "unknown client ID")
        secret = fields.get("client_secret", "").encode()
        if not hmac.compare_digest(secret, client.secret.encode()):
            raise _SignInRefused(
                "invalid_grant", "Auth.InvalidUsernameOrPassword", "wrong client secret"
            )
        grant = fields.get("grant_type")
        if grant == "refresh_token":
            ends, caller = self._refresh.pop(fields.get("refresh_token", ""), (0.0, None))
            if caller is None or caller.client != client_id or time.monotonic() >= ends:
                raise _SignInRefused(
                    "invalid_grant", "Auth.TokenRevoked", "the refresh token is not valid"
                )
            return caller
        usernames = {"client_credentials": client.user, "password": fields.get("username", "")}
        if grant not in usernames:
            raise _SignInRefused(
                "unsupported_grant_type", "Request.InvalidRequestBody", "unknown grant"
            )
        user_type, company = self._find_user_type(
            usernames[grant], fields if grant == "password" else None
        )
        return Caller(
            client_id,
            usernames[grant] or client_id,
            user_type,
            company,
            self._roles(client, fields),
        )

    def _find_user_type(self, name: str, fields: dict[str, str] | None) -> tuple[str, str]:
        """Return a user's type and organisation; with *fields*, check its password."""
        if not name and fields is None:
            return "admin", self._market.id
        if fields is not None and not (name and fields.get("password")):
            code = "Auth.UsernameAndPasswordRequired"
            raise _SignInRefused("invalid_request", code, "a user name and a password are required")
        user = self._market.find_user(name)
        document: Document = user[1].document if user else {}
        if fields is not None:
            password = str(document.get("Password") or "").encode()
            if not password or not hmac.compare_digest(
                password, fields.get("password", "").encode()
            ):
                code = "Auth.InvalidUsernameOrPassword"
                raise _SignInRefused("invalid_grant", code, "wrong user name or password")
        if user is None or not document.get("Active"):
            raise _SignInRefused("invalid_grant", "Auth.UserNotActive", "the user is not active")
        kind, row = user
        return _USER_TYPES[kind.name], row.ids[0] if len(row.ids) > 1 else self._market.id

    def _roles(self, client: Client, fields: dict[str, str]) -> tuple[str, ...]:
        """Return the roles of the requested scope, or all of the client's without one."""
        requested = tuple(fields.get("scope", "").split())
        if missing := [
            r for r in requested if r not in client.roles and "FullAccess" not in client.roles
        ]:
            text = f"the user has no role {', '.join(missing)}"
            raise _SignInRefused("invalid_scope", "Auth.InsufficientRoles", text)
        return requested or client.roles

    def _issue(self, caller: Caller, url: str) -> Document:
        lifetime, now = self._options.token_lifetime, int(time.time())
        claims: dict[str, Any] = {
            "usr": caller.user, "cid": caller.client, "usrtype": caller.user_type,
            "role": caller.roles[0] if len(caller.roles) == 1 else list(caller.roles),
            "iss": url, "aud": url, "nbf": now, "exp": now + lifetime, "jti": secrets.token_hex(4),
        }  # fmt: skip
        head = _base64url(msgspec.json.encode({"alg": "HS256", "typ": "JWT"}))
        text = f"{head}.{_base64url(msgspec.json.encode(claims))}"
        token = f"{text}.{_base64url(hmac.digest(_KEY, text.encode(), hashlib.sha256))}"
        self._access[token] = (time.monotonic() + lifetime, caller)
        answer: Document = {"access_token": token, "token_type": "bearer", "expires_in": lifetime}
        if self._options.refresh_lifetime:
            answer["refresh_token"] = secrets.token_urlsafe(24)
            ends = time.monotonic() + self._options.refresh_lifetime
            self._refresh[answer["refresh_token"]] = (ends, caller)
        return answer


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
