"""Sign-in: three grants for a token in the shape of a JWT (api-facts 1.2 to 1.4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any
from urllib.parse import parse_qs

import msgspec

from ocsync.emulator.errors import Refusal
from ocsync.emulator.options import Options
from ocsync.emulator.request import Answer, Caller
from ocsync.emulator.state import Client, Document, Marketplace

_KEY = secrets.token_bytes(32)
_SORTS = {"buyer-user": "buyer", "supplier-user": "supplier", "admin-user": "admin"}


class _Refused(Exception):
    def __init__(self, error: str, code: str, why: str) -> None:
        errors = [{"ErrorCode": code, "Message": why, "Data": None}]
        self.answer = Answer(400, {"error": error, "error_description": why, "Errors": errors})


class Tokens:
    """The tokens of one emulator."""

    def __init__(self, market: Marketplace, options: Options) -> None:
        self._market = market
        self._options = options
        self._valid: dict[str, tuple[float, Caller]] = {}
        self._refresh: dict[str, tuple[float, Caller]] = {}
        self._revoked: set[str] = set()

    def sign_in(self, form: bytes, kind: str, url: str) -> Answer:
        """`POST /oauth/token` with a body of the media type *kind*."""
        fields = {n: v[-1] for n, v in parse_qs(form.decode("utf-8", "replace")).items()}
        try:
            if kind.partition(";")[0].strip().casefold() != "application/x-www-form-urlencoded":
                code = "Request.InvalidContentType"
                raise _Refused("invalid_request", code, "the body must be form encoded")
            return Answer(200, self._give(self._caller(fields), url))
        except _Refused as refused:
            return refused.answer

    def check(self, header: str) -> Caller:
        """Who the bearer is, or 401."""
        scheme, _, token = header.partition(" ")
        ends, caller = self._valid.get(token, (0.0, None))
        if token in self._revoked:
            raise Refusal(401, "Auth.TokenRevoked", "the access token was revoked")
        if scheme.casefold() != "bearer" or caller is None or time.monotonic() >= ends:
            raise Refusal(401, "InvalidToken", "access token is invalid or expired")
        return caller

    def revoke_all(self) -> None:
        """No token that was given out is good any more."""
        self._revoked |= self._valid.keys()
        self._valid.clear()
        self._refresh.clear()

    def _caller(self, fields: dict[str, str]) -> Caller:
        name = fields.get("client_id", "")
        client = self._market.clients.get(name)
        if client is None:
            raise _Refused("invalid_client", "ApiClient.InvalidClientID", "unknown client ID")
        given = fields.get("client_secret", "").encode()
        if not hmac.compare_digest(given, client.secret.encode()):
            raise _Refused("invalid_grant", "Auth.InvalidUsernameOrPassword", "wrong client secret")
        grant = fields.get("grant_type")
        if grant == "refresh_token":
            ends, caller = self._refresh.pop(fields.get("refresh_token", ""), (0.0, None))
            if caller is None or caller.client != name or time.monotonic() >= ends:
                raise _Refused(
                    "invalid_grant", "Auth.TokenRevoked", "the refresh token is not valid"
                )
            return caller
        user = {"client_credentials": client.user, "password": fields.get("username", "")}
        if grant not in user:
            raise _Refused("unsupported_grant_type", "Request.InvalidRequestBody", "unknown grant")
        sort, company = self._user(user[grant], fields if grant == "password" else None)
        return Caller(name, user[grant] or name, sort, company, self._roles(client, fields))

    def _user(self, name: str, fields: dict[str, str] | None) -> tuple[str, str]:
        """The sort of user and its organisation; with *fields* its password is checked."""
        if not name and fields is None:
            return "admin", self._market.id
        if fields is not None and not (name and fields.get("password")):
            code = "Auth.UsernameAndPasswordRequired"
            raise _Refused("invalid_request", code, "a user name and a password are required")
        found = self._market.user(name)
        document: Document = found[1].document if found else {}
        if fields is not None:
            own = str(document.get("Password") or "").encode()
            if not own or not hmac.compare_digest(own, fields.get("password", "").encode()):
                code = "Auth.InvalidUsernameOrPassword"
                raise _Refused("invalid_grant", code, "wrong user name or password")
        if found is None or not document.get("Active"):
            raise _Refused("invalid_grant", "Auth.UserNotActive", "the user is not active")
        kind, row = found
        return _SORTS[kind.name], row.ids[0] if len(row.ids) > 1 else self._market.id

    def _roles(self, client: Client, fields: dict[str, str]) -> tuple[str, ...]:
        """The roles of the scope, all that there are without one."""
        asked = tuple(fields.get("scope", "").split())
        if missing := [
            r for r in asked if r not in client.roles and "FullAccess" not in client.roles
        ]:
            text = f"the user has no role {', '.join(missing)}"
            raise _Refused("invalid_scope", "Auth.InsufficientRoles", text)
        return asked or client.roles

    def _give(self, caller: Caller, url: str) -> Document:
        lifetime, now = self._options.token_lifetime, int(time.time())
        claims: dict[str, Any] = {
            "usr": caller.user, "cid": caller.client, "usrtype": caller.sort,
            "role": caller.roles[0] if len(caller.roles) == 1 else list(caller.roles),
            "iss": url, "aud": url, "nbf": now, "exp": now + lifetime, "jti": secrets.token_hex(4),
        }  # fmt: skip
        head = _part(msgspec.json.encode({"alg": "HS256", "typ": "JWT"}))
        text = f"{head}.{_part(msgspec.json.encode(claims))}"
        token = f"{text}.{_part(hmac.digest(_KEY, text.encode(), hashlib.sha256))}"
        self._valid[token] = (time.monotonic() + lifetime, caller)
        answer: Document = {"access_token": token, "token_type": "bearer", "expires_in": lifetime}
        if self._options.refresh_lifetime:
            answer["refresh_token"] = secrets.token_urlsafe(24)
            ends = time.monotonic() + self._options.refresh_lifetime
            self._refresh[answer["refresh_token"]] = (ends, caller)
        return answer


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
