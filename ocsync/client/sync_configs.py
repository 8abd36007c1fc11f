"""Sync configurations: singletons, read by GET, paused by PATCH, never written whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from ocsync.client.api import Api
from ocsync.errors import ApiError, ConfigError, NotFound
from ocsync.models import TargetState
from ocsync.resources import Target


async def read_target(api: Api, target: Target) -> TargetState:
    """The config of *target* as it is now.

    A 404, an empty body and one without a delivery configuration all mean that there is none: which
    of them the platform gives is not documented (api-facts 3.2).
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
        changed=config.get(changed) is not False,
        deleted=config.get(deleted) is not False,
        config=config,
    )


async def read_targets(api: Api, targets: Iterable[Target]) -> dict[str, TargetState]:
    """The configs of all *targets*, by name, in their order."""
    states = await asyncio.gather(*(read_target(api, target) for target in targets))
    return {state.name: state for state in states}


async def set_paused(api: Api, target: Target, *, paused: bool) -> None:
    """Tell the server; only this one field is sent, so what GET hides is not lost."""
    await api.write("PATCH", target.path, {"Paused": paused})


async def sync_one(api: Api, target: Target, ids: Mapping[str, str]) -> None:
    """Ask for one entity to be sent to the target's delivery configuration.

    Raises ConfigError when the target has no config or its delivery is disabled.
    """
    try:
        await api.write("POST", target.sync_path, dict(ids))
    except ApiError as error:
        if error.code.startswith("Synchronize.") and error.code.endswith("NotEnabled"):
            text = f"{target.name}: sync is not enabled on this marketplace ({error.code})"
            raise ConfigError(text, hint="ocsync targets") from error
        raise
