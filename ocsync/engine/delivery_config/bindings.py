"""Delivery configurations, and the sync targets that use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ocsync.client import read_targets
from ocsync.engine.delivery_config.patch_probe import PATH
from ocsync.engine.pause.pausing import read_status
from ocsync.engine.session import Session
from ocsync.errors import Conflict, NotFound, PausedByOther
from ocsync.events import NoticeLevel
from ocsync.models import TargetState
from ocsync.pause import PauseState
from ocsync.schema import Target


class DeliveryConfig(NamedTuple):
    """A delivery configuration, and the sync targets that use it."""

    document: dict[str, Any]
    targets: tuple[str, ...]

    @property
    def kinds(self) -> list[str]:
        """The names of its delivery targets."""
        targets = self.document.get("DeliveryTargets")
        return (
            [name for name, value in targets.items() if value] if isinstance(targets, dict) else []
        )


class BindResult(NamedTuple):
    """A sync target that now uses a configuration; *previous* is the one before, empty for none."""

    target: Target
    previous: str
    paused: bool = False


async def list_configured(session: Session, targets: Sequence[Target]) -> list[DeliveryConfig]:
    """Return every delivery configuration with the targets that use it."""
    states = await read_targets(session.api, targets)
    configs = []
    async for page in session.api.pages(PATH, key="ID"):
        for document in page:
            config_id = str(document["ID"]).casefold()
            users = tuple(
                n for n, s in states.items() if s.exists and s.delivery.casefold() == config_id
            )
            configs.append(DeliveryConfig(document, users))
    return configs


async def read_config(session: Session, name: str) -> dict[str, Any]:
    """Return one delivery configuration; the platform shows no secrets. Raises NotFound."""
    try:
        return await session.api.get(f"{PATH}/{name}") or {}
    except NotFound as error:
        error.hint = error.hint or "ocsync delivery list"
        raise


async def bind(session: Session, targets: Sequence[Target], name: str) -> list[BindResult]:
    """Let *targets* use the configuration *name*; a target without a sync config gets one.

    Nothing else changes: a PATCH keeps flags and pause. Raises NotFound.
    """
    document = await read_config(session, name)
    if document.get("Enabled") is False:
        session.notify(NoticeLevel.WARNING, f"{name} is disabled and delivers nothing")
    states = await read_targets(session.api, targets)
    results = []
    for target in targets:
        state = states[target.name]
        if not state.exists:
            flags = dict.fromkeys(target.flags, True)
            await session.api.write("PUT", target.path, {"DeliveryConfigID": name, **flags})
        elif state.delivery.casefold() != name.casefold():
            await session.api.write("PATCH", target.path, {"DeliveryConfigID": name})
        results.append(BindResult(target, state.delivery, state.paused))
    return results


async def targets_bound_to(session: Session, targets: Sequence[Target]) -> list[TargetState]:
    """Return the sync configs of *targets* that exist, and so can be removed.

    Raises Conflict for a target that this workspace has paused, PausedByOther for one that somebody
    else has paused: the messages that the pause holds would be lost.
    """
    statuses = (await read_status(session, targets)).values()
    held_states = (PauseState.PAUSED_BY_US, PauseState.UNCERTAIN)
    paused_here = [s.target.name for s in statuses if s.state in held_states]
    if paused_here:
        raise Conflict(
            f"{', '.join(paused_here)}: paused by this workspace; held messages would be lost",
            hint=f"ocsync resume, or ocsync unpause {' '.join(paused_here)}",
        )
    paused_by_other = [s.target.name for s in statuses if s.state is PauseState.PAUSED_BY_OTHER]
    if paused_by_other:
        raise PausedByOther(
            f"{', '.join(paused_by_other)}: paused by someone else; held messages would be lost",
            hint=f"to unpause anyway: ocsync unpause {' '.join(paused_by_other)} --force",
        )
    return [one.server for one in statuses if one.server.exists]


async def unbind(session: Session, targets: Sequence[Target]) -> None:
    """Remove the sync configs of *targets*, which ends their delivery."""
    for target in targets:
        await session.api.delete(target.path)
