"""Sync configurations: singletons, read by GET, paused by PATCH, never written whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from ocsync.client.api import Api, Reply
from ocsync.errors import ApiError, ConfigError, NotEnabled, NotFound, OcsyncError, TryLater
from ocsync.models import TargetState
from ocsync.schema import Target

_DISABLED = "DeliveryConfig.ConfigurationDisabled"


async def read_target(api: Api, target: Target) -> TargetState:
    """Return the state of *target*'s sync configuration.

    A 404, an empty body and a config without a delivery configuration all mean that there is none;
    which of them the platform sends is not documented (guide/ordercloud.md 3.2).
    """
    try:
        config = await api.get(target.path)
    except NotFound:
        config = None
    if not isinstance(config, dict) or not config.get("DeliveryConfigID"):
        return TargetState(name=target.name, exists=False)
    changed, deleted = target.flags
    return TargetState(
        name=target.name,
        exists=True,
        paused=config.get("Paused") is True,
        delivery=str(config["DeliveryConfigID"]),
        sends_changes=config.get(changed) is not False,
        sends_deletes=config.get(deleted) is not False,
        config=config,
    )


async def read_targets(api: Api, targets: Iterable[Target]) -> dict[str, TargetState]:
    """Return the states of all *targets* by name, in their order."""
    states = await asyncio.gather(*(read_target(api, target) for target in targets))
    return {state.name: state for state in states}


async def set_paused(api: Api, target: Target, *, paused: bool) -> bool:
    """Pause or unpause *target* by a PATCH of this one field, as GET hides others.

    Return whether the answer shows the config so; an answer is fresh (guide/ordercloud.md 5.1).
    One that shows no delivery configuration is not the config.
    """
    reply = await api.write("PATCH", target.path, {"Paused": paused})
    config = reply.body if isinstance(reply.body, dict) else {}
    return bool(config.get("DeliveryConfigID")) and config.get("Paused") is paused


async def request_sync(api: Api, target: Target, ids: Mapping[str, str]) -> Reply:
    """Request that one entity is sent to the target's delivery configuration.

    Raises NotEnabled and ConfigError when *target* takes no sync requests, TryLater when it takes
    none for now.
    """
    try:
        return await api.write("POST", target.sync_path, dict(ids))
    except ApiError as error:
        raise _sync_error(target, error) or error from error


def _sync_error(target: Target, error: ApiError) -> OcsyncError | None:
    """Return the error for a refusal of the whole target, not one entity
    (guide/ordercloud.md 2.3).
    """
    code, name = error.code, target.name
    if code == _DISABLED or (code.startswith("Synchronize.") and code.endswith("NotEnabled")):
        return NotEnabled(f"{name}: sync is not enabled ({code})", hint="ocsync targets")
    if code.endswith(".AdminLockout"):
        text = f"{name}: Sitecore has locked its sync on this marketplace ({code})"
        return ConfigError(text, hint="only Sitecore support can unlock it")
    if code.endswith(".FullSyncAlreadyRunning"):
        text = f"{name}: a full sync is running ({code})"
        return TryLater(text, hint="run the same command again when it has ended")
    return None
