"""Answers -> values and errors. Bodies may begin with a BOM, and a gateway's may be no JSON."""

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

NOT_JSON = object()
"""What `decode` gives for a body that is no JSON."""
_BOM = b"\xef\xbb\xbf"


def decode(body: bytes) -> Any:
    """The JSON in *body*; None for an empty one, NOT_JSON for what is none."""
    text = body.removeprefix(_BOM)
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOT_JSON


def first_error(body: Any) -> tuple[str, str, Any]:
    """Code, message and data of the first of `Errors`, or of an OAuth error; empty without one."""
    if not isinstance(body, dict):
        return "", "", None
    errors = body.get("Errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        one = errors[0]
        return str(one.get("ErrorCode") or ""), str(one.get("Message") or ""), one.get("Data")
    return str(body.get("error") or ""), str(body.get("error_description") or ""), None


def error_of(status: int, raw: bytes, what: str) -> OcsyncError:
    """The error that an answer of *status* >= 300 to the request *what* means."""
    body = decode(raw)
    code, message, data = first_error(body)
    if not message and body is NOT_JSON:
        message = raw[:200].decode("utf-8", "replace").strip()
    text = " ".join(filter(None, [str(status), code, message])) + f" ({what})"
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
        return RoleMissing(status, code, text + _roles(data), data=data,
                           hint="ocsync profile check shows the roles of this sign-in")  # fmt: skip
    kind = {404: NotFound, 409: AlreadyExists}.get(status, ApiError)
    return kind(status, code, text, data=data)


def _roles(data: Any) -> str:
    wanted = data.get("SufficientRoles") if isinstance(data, dict) else None
    return f": one of {', '.join(map(str, wanted))} is needed" if isinstance(wanted, list) else ""
