"""Decoding of answers. Bodies may begin with a BOM, and a gateway's body may not be JSON."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx

from ocsync.client.transport import header_of
from ocsync.errors import (
    AlreadyExists,
    ApiError,
    GatewayRefusal,
    NotFound,
    OcsyncError,
    RoleMissing,
    SignInError,
    TryLater,
)
from ocsync.field_paths import exceeds_depth
from ocsync.json_text import decode_json

NOT_JSON = object()
"""The value that `decode` returns for a body that is not JSON, or is nested too deeply."""
MAX_DEPTH = 100
"""The deepest nesting of an answer: deeper than any entity, and safe to walk."""
_MAX_TEXT = 500
"""Characters of an error's text that are shown."""
_MAX_WORDS = 100
"""Characters of a gateway's page that are shown."""
_MAX_PAGE = 64 * 1024
_INVISIBLE = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_HEAD = re.compile(r"<head\b.*?</head\s*>", re.IGNORECASE | re.DOTALL)
_LOG_ID = re.compile(r"[\w.:|-]{1,100}", re.ASCII)
_TAGS = re.compile(r"<[^<>]*>")
GATEWAY_HINT = "a proxy may have responded; check it and the profile's API URL"
_BOM = b"\xef\xbb\xbf"


def decode(body: bytes) -> Any:
    """Return the JSON in *body*, None for an empty body, NOT_JSON for anything else."""
    text = body.removeprefix(_BOM)
    if not text.strip():
        return None
    try:
        value = decode_json(text)
    except (ValueError, RecursionError):
        return NOT_JSON
    may_be_deep = text.count(b"{") + text.count(b"[") > MAX_DEPTH
    return NOT_JSON if may_be_deep and exceeds_depth(value, MAX_DEPTH) else value


def first_error(body: Any) -> tuple[str, str, Any]:
    """Return code, message and data of the first of `Errors`, or of an OAuth error; else empty."""
    if not isinstance(body, dict):
        return "", "", None
    errors = body.get("Errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        first = errors[0]
        code, message = first.get("ErrorCode"), first.get("Message")
        return str(code or ""), str(message or ""), first.get("Data")
    return str(body.get("error") or ""), str(body.get("error_description") or ""), None


def error_code(content: bytes) -> str:
    """Return OrderCloud's error code in the body of an answer; empty for any other body."""
    body = decode(content)
    errors = body.get("Errors") if isinstance(body, dict) else None
    if not isinstance(errors, list) or not errors or not isinstance(errors[0], dict):
        return ""
    code = errors[0].get("ErrorCode")
    return code if isinstance(code, str) else ""


def log_id_of(response: httpx.Response) -> str:
    """Return the platform's ID of an answer in its logs, empty without one
    (guide/ordercloud.md 12.7).
    """
    text = header_of(response, "x-oc-logid")
    return text if _LOG_ID.fullmatch(text) else ""


def visible_text(content: bytes) -> str:
    """Return the first words of a page or text, without markup and invisible characters."""
    page = _INVISIBLE.sub(" ", content[:_MAX_PAGE].decode("utf-8", "replace"))
    words = _words(_HEAD.sub(" ", page, count=1)) or _words(page)
    return words if len(words) <= _MAX_WORDS else words[:_MAX_WORDS].rstrip() + "..."


def _words(markup: str) -> str:
    text = unescape(_TAGS.sub(" ", markup))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def error_of(status: int, content: bytes, request: str, location: str = "") -> OcsyncError:
    """Return the error for an answer of *status* >= 300 to *request* (`GET /path`).

    OrderCloud sends an error code with every error (guide/ordercloud.md 2.1); an answer without one
    is a gateway's, whatever its status: its 404 does not mean that an entity does not exist.
    """
    code, message, data = first_error(decode(content))
    if not error_code(content):
        return _gateway_error(describe_page(status, content, location), status, request)
    summary = " ".join(" ".join([str(status), code, message]).split())
    text = summary[:_MAX_TEXT] + ("..." if len(summary) > _MAX_TEXT else "") + f" ({request})"
    if status == 401:
        return SignInError(
            f"OrderCloud rejected the token: {text}", code=code, hint="ocsync profile check"
        )
    if status == 403 or code.endswith(("InsufficientRole", "InsufficientRoles")):
        return RoleMissing(status, code, text + _required_roles(data), data=data,
                           hint="ocsync profile check")  # fmt: skip
    kind = {404: NotFound, 409: AlreadyExists}.get(status, ApiError)
    return kind(status, code, text, data=data)


def _gateway_error(description: str, status: int, request: str) -> OcsyncError:
    """Return TryLater for a read, and for a write a refusal that is that one write's."""
    text = f"{description} ({request})"
    if request.startswith("GET "):
        return TryLater(text, hint=GATEWAY_HINT)
    return GatewayRefusal(status, "", text, hint=GATEWAY_HINT)


def describe_page(status: int, content: bytes, location: str = "") -> str:
    """Return a description of an answer that is not OrderCloud's; *location* is its redirect's."""
    if 300 <= status < 400:
        host = _words(location.partition("://")[2].partition("/")[0].rpartition("@")[2])
        to = f" to {host}" if host else ""
        return f"a gateway redirected the request{to} ({status}), which OrderCloud does not do"
    words = visible_text(content)
    text = f"a gateway responded with {status}, not OrderCloud"
    return f'{text}: "{words}"' if words else text


def _required_roles(data: Any) -> str:
    roles = data.get("SufficientRoles") if isinstance(data, dict) else None
    return (
        f"; it needs one of the roles {', '.join(map(str, roles))}"
        if isinstance(roles, list)
        else ""
    )
