"""Messages to a webhook: one POST of JSON, in the form that the host takes.

Slack and plain webhooks get `text`, plain ones also the facts. A Teams workflow takes an adaptive
card only. Nothing is retried, redirects are not followed, and what goes wrong is a sentence and no
error: a message must not fail the work that it is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ocsync import __version__
from ocsync.characters import escape_invisible
from ocsync.errors import ConfigError

SECONDS = 5.0
"""Most seconds that a message may take."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_Form = Callable[[str, Mapping[str, Any]], dict[str, Any]]


def check_url(url: str, source: str) -> str:
    """Return *url* if messages can be sent to it. Raises ConfigError, which does not show it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()
        loopback = parts.hostname in _LOOPBACK and parts.port != 0
    except ValueError:
        usable = loopback = False
    if not usable:
        raise ConfigError(f"{source} does not hold a URL with http or https and a host")
    if parts.scheme == "http" and not loopback:
        text = f"{source} holds a URL with plain http, which anyone on the network could read"
        raise ConfigError(text, hint="use the https address of the webhook")
    return url


def body_for(url: str, text: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON for the webhook at *url*: *text*, and the *facts* where it takes them."""
    host = urlsplit(url).hostname or ""
    form = next((form for end, form in _FORMS if f".{host}".endswith(f".{end}")), _plain)
    return form(escape_invisible(text), facts)


def send(url: str, body: Mapping[str, Any], *, seconds: float = SECONDS) -> str:
    """Post *body* to *url*; return why it did not arrive, or an empty text.

    It returns after *seconds* at the latest, whatever the server or the name service does.
    """
    from threading import Thread

    outcome = [f"no response within {seconds:.0f} s"]

    def post() -> None:
        outcome[0] = _post(url, json.dumps(body).encode(), seconds)

    thread = Thread(target=post, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0]


def _post(url: str, data: bytes, seconds: float) -> str:
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class _NoRedirects(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            """Follow no redirect: it could lead the message to another host."""

    headers = {"Content-Type": "application/json", "User-Agent": f"ocsync/{__version__}"}
    request = Request(url, data, headers, method="POST")  # noqa: S310 - `check_url` saw it
    try:
        with build_opener(_NoRedirects).open(request, timeout=seconds):
            return ""
    except HTTPError as error:
        error.close()
        return f"the webhook responded with {error.code}"
    except URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        return f"cannot reach the webhook: {reason}"
    except Exception as error:  # noqa: BLE001 - a message must not fail the work it is about
        return f"cannot use the webhook: {type(error).__name__}"


def _slack(text: str, _: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message in which no text is read as a mention or a link."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": safe}


def _teams(text: str, _: Mapping[str, Any]) -> dict[str, Any]:
    block = {"type": "TextBlock", "text": text, "wrap": True}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [block],
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _plain(text: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": text, **facts}


_FORMS: tuple[tuple[str, _Form], ...] = (
    ("slack.com", _slack),
    ("webhook.office.com", _teams),
    ("logic.azure.com", _teams),
    ("api.powerplatform.com", _teams),
)
"""The forms by the end of the host's name; every other host gets the plain one."""
