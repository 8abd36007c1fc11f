"""A probe of the effect of a PATCH on a delivery configuration: not documented
(guide/ordercloud.md 4.2).

Secrets that a PATCH drops cannot be restored, because the platform hides them. So the probe uses a
configuration of its own, which is disabled and which nothing refers to.
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
    *removes*: null removes that target alone.
    """

    others: bool
    fields: bool
    removes: bool


async def probe_patch(session: Session) -> PatchSemantics:
    """Try each kind of PATCH. Raises TryLater when somebody else does the same at the same time."""
    path = f"{PATH}/{PROBE}"
    targets = {"MessageSender": _DUMMY, "Http": {**_DUMMY, **_CUSTOM}}
    await session.api.write(
        "PUT", path, {"Name": PROBE, "Enabled": False, "DeliveryTargets": targets}
    )
    try:
        after_partial = await _after(session, {"Http": {"Endpoint": "https://else.invalid"}})
        fields = bool((after_partial.get("Http") or {}).get("CustomAuthHeaderName"))
        after_full = await _after(session, {"Http": {**_DUMMY, **_CUSTOM}})
        others = bool(after_full.get("MessageSender") and after_full.get("Http"))
        after_removal = await _after(session, {"Http": None})
        return PatchSemantics(
            others,
            others and fields,
            bool(after_removal.get("MessageSender")) and not after_removal.get("Http"),
        )
    except NotFound as error:
        text = "someone else ran the same check on this marketplace at the same time"
        raise TryLater(text, hint="run the same command again") from error
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
    current = (await session.api.get(path) or {}).get("DeliveryTargets")
    return current if isinstance(current, dict) else {}


async def remove_probe(session: Session) -> None:
    """Remove the configuration that a crash during the probe may have left."""
    with suppress(ApiError):
        await session.api.delete(f"{PATH}/{PROBE}")
