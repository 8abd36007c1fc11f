"""Decoding of answers. Bodies may begin with a BOM, and a gateway's body may not be JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from ocsync.errors import (
    AlreadyExists,
    ApiError,
    NotFound,
    OcsyncError,
    RoleMissing,
    SignInError,
)
from ocsync.field_paths import is_deeper

NOT_JSON = object()
"""The value that `decode` returns for a body that is not JSON, or is nested too deeply."""
MAX_DEPTH = 100
"""The deepest nesting of an answer: deeper than any entity, and safe to walk."""
_MAX_TEXT = 500
"""Characters of an error's text that are shown."""
_BOM = b"\xef\xbb\xbf"


def decode(body: bytes) -> Any:
    """Return the JSON in *body*, None for an empty body, NOT_JSON for anything else."""
    text = body.removeprefix(_BOM)
    if not text.strip():
        return None
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOT_JSON
    return NOT_JSON if is_deeper(value, MAX_DEPTH) else value


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


def error_of(status: int, content: bytes, request: str) -> OcsyncError:
    """Return the error for an answer of *status* >= 300 to *request* (`GET /path`)."""
    body = decode(content)
    code, message, data = first_error(body)
    if not message and body is NOT_JSON:
        message = content[:_MAX_TEXT].decode("utf-8", "replace")
    summary = " ".join(" ".join([str(status), code, message]).split())
    text = summary[:_MAX_TEXT] + ("..." if len(summary) > _MAX_TEXT else "") + f" ({request})"
    if 300 <= status < 400:
        hint = "check the profile's API URL; a token is never sent on to another address"
        return ApiError(
            status, code, f"redirected, which OrderCloud does not do: {text}", hint=hint
        )
    if status == 401:
        return SignInError(
            f"the token is not accepted: {text}", code=code, hint="ocsync profile check"
        )
    if status == 403 or code.endswith(("InsufficientRole", "InsufficientRoles")):
        return RoleMissing(status, code, text + _required_roles(data), data=data,
                           hint="ocsync profile check shows the roles of this sign-in")  # fmt: skip
    kind = {404: NotFound, 409: AlreadyExists}.get(status, ApiError)
    return kind(status, code, text, data=data)


def _required_roles(data: Any) -> str:
    roles = data.get("SufficientRoles") if isinstance(data, dict) else None
    return f": one of {', '.join(map(str, roles))} is needed" if isinstance(roles, list) else ""
