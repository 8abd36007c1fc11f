"""A probe of what a PATCH of a delivery configuration leaves alone: not documented (api-facts 4.2).

Secrets that a PATCH dropped could not be put back, for the platform does not show them; so it is
tried on a configuration made for that, disabled, that nothing uses.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from ocsync.engine.session import Session
from ocsync.errors import ApiError, NotFound, TryLater

PATH = "/integrations/deliveryconfig"
PROBE = "ocsync-probe"
_DUMMY = {"Endpoint": "https://nowhere.invalid", "Secret": "none"}
_CUSTOM = {"CustomAuthHeaderName": "X-Probe", "CustomAuthHeaderValue": "none"}


class PatchSemantics(NamedTuple):
    """The effect of a PATCH of `DeliveryTargets` on targets that it does not name.

    *others*: targets that it does not name stay. *fields*: so do fields of those that it names.
    *removes*: null takes a target away, and no other.
    """

    others: bool
    fields: bool
    removes: bool


async def probe_patch(session: Session) -> PatchSemantics:
    """Try it. Raises TryLater when somebody else tries at the same time."""
    path = f"{PATH}/{PROBE}"
    both = {"MessageSender": _DUMMY, "Http": {**_DUMMY, **_CUSTOM}}
    await session.api.write("PUT", path, {"Name": PROBE, "Enabled": False, "DeliveryTargets": both})
    try:
        part = await _after(session, {"Http": {"Endpoint": "https://else.invalid"}})
        fields = bool((part.get("Http") or {}).get("CustomAuthHeaderName"))
        whole = await _after(session, {"Http": {**_DUMMY, **_CUSTOM}})
        others = bool(whole.get("MessageSender") and whole.get("Http"))
        none = await _after(session, {"Http": None})
        return PatchSemantics(
            others, others and fields, bool(none.get("MessageSender")) and not none.get("Http")
        )
    except NotFound as error:
        text = "somebody else tried the same on this marketplace at the same time"
        raise TryLater(text, hint="the same command again") from error
    finally:
        with suppress(NotFound):
            await session.api.delete(path)


async def _after(session: Session, targets: dict[str, Any]) -> dict[str, Any]:
    """Return the probe's targets after a PATCH with *targets*; empty when it was refused."""
    path = f"{PATH}/{PROBE}"
    try:
        await session.api.write("PATCH", path, {"DeliveryTargets": targets})
    except NotFound:
        raise
    except ApiError:
        return {}
    found = (await session.api.get(path) or {}).get("DeliveryTargets")
    return found if isinstance(found, dict) else {}


async def remove_probe(session: Session) -> None:
    """Remove what a crash in the middle of trying may have left."""
    with suppress(ApiError):
        await session.api.delete(f"{PATH}/{PROBE}")
