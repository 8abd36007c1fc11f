"""Delivery configurations: looked at, and given a listener beside the real target.

A listener is added with one PATCH of the configuration's targets. What such a PATCH does to the
targets that it does not name is not documented (api-facts 4.2), and their secrets could not be put
back; so it is tried on a configuration made for that first.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ocsync.client import read_targets
from ocsync.engine.work import Work
from ocsync.errors import ConfigError, NotFound, Refused
from ocsync.resources import Target

PATH = "/integrations/deliveryconfig"
PROBE = "ocsync-probe"
_DUMMY = {"Endpoint": "https://nowhere.invalid", "Secret": "none"}


class Bound(NamedTuple):
    """A delivery configuration, and the sync targets that use it."""

    document: dict[str, Any]
    targets: tuple[str, ...]

    @property
    def kinds(self) -> list[str]:
        """The names of its delivery targets."""
        found = self.document.get("DeliveryTargets")
        return [name for name, value in found.items() if value] if isinstance(found, dict) else []


async def list_bound(work: Work, targets: Sequence[Target]) -> list[Bound]:
    """Every delivery configuration with what uses it."""
    states = await read_targets(work.api, targets)
    found = []
    async for page in work.api.pages(PATH, key="ID"):
        for document in page:
            own = str(document["ID"]).casefold()
            users = tuple(n for n, s in states.items() if s.exists and s.delivery.casefold() == own)
            found.append(Bound(document, users))
    return found


async def show(work: Work, name: str) -> dict[str, Any]:
    """One delivery configuration; the platform shows no secrets. Raises NotFound."""
    return await work.api.get(f"{PATH}/{name}") or {}


async def bind(work: Work, target: Target, name: str) -> None:
    """Let *target* deliver by the configuration *name*. Raises NotFound, ConfigError."""
    await show(work, name)
    state = (await read_targets(work.api, [target]))[target.name]
    if state.exists:
        await work.api.write("PATCH", target.path, {"DeliveryConfigID": name})
        return
    flags = dict.fromkeys(target.flags, True)
    await work.api.write("PUT", target.path, {"DeliveryConfigID": name, **flags})


async def attach(work: Work, targets: Sequence[Target], endpoint: str, secret: str) -> list[str]:
    """Add an HTTP target for a listener to what delivers *targets*; the configurations' IDs.

    What was there stays: Refused where an HTTP target is there already, or where the platform would
    drop the others. Configurations that have this very endpoint are left as they are.
    """
    names = await _configs_of(work, targets)
    for name in names:
        http = ((await show(work, name)).get("DeliveryTargets") or {}).get("Http")
        if http and http.get("Endpoint") != endpoint:
            text = f"{name} has an HTTP target already, and there can be one only"
            raise Refused(text, hint="have that target's consumer pass messages on instead")
    if not await _keeps_others(work):
        text = "this platform drops the targets that a PATCH does not name; nothing was changed"
        raise Refused(text, hint="PUT the whole configuration, secrets and all, by other means")
    for name in names:
        body = {"DeliveryTargets": {"Http": {"Endpoint": endpoint, "Secret": secret}}}
        await work.api.write("PATCH", f"{PATH}/{name}", body)
    return names


async def detach(work: Work, targets: Sequence[Target], endpoint: str) -> list[str]:
    """Take the listener at *endpoint* away again; the configurations that had it."""
    done = []
    for name in await _configs_of(work, targets):
        found = (await show(work, name)).get("DeliveryTargets") or {}
        if (found.get("Http") or {}).get("Endpoint") == endpoint:
            await work.api.write("PATCH", f"{PATH}/{name}", {"DeliveryTargets": {"Http": None}})
            done.append(name)
    return done


async def _configs_of(work: Work, targets: Sequence[Target]) -> list[str]:
    states = await read_targets(work.api, targets)
    missing = [name for name, state in states.items() if not state.exists]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: no sync config on this marketplace")
    return sorted({state.delivery for state in states.values()})


async def _keeps_others(work: Work) -> bool:
    """Whether a PATCH of one delivery target leaves the others; tried on one made for that."""
    path = f"{PATH}/{PROBE}"
    both = {"Name": PROBE, "Enabled": False, "DeliveryTargets": {"MessageSender": _DUMMY}}
    await work.api.write("PUT", path, both)
    try:
        await work.api.write("PATCH", path, {"DeliveryTargets": {"Http": _DUMMY}})
        found = (await show(work, PROBE)).get("DeliveryTargets") or {}
        return bool(found.get("MessageSender")) and bool(found.get("Http"))
    finally:
        with suppress(NotFound):  # somebody may have tidied up before us
            await work.api.delete(path)
