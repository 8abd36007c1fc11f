"""Delivery configurations: looked at, and which sync targets deliver by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ocsync.client import read_targets
from ocsync.engine.delivery_config.patch_probe import PATH
from ocsync.engine.pause.pausing import read_status
from ocsync.engine.session import Session
from ocsync.errors import Conflict, PausedByOther
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
        found = self.document.get("DeliveryTargets")
        return [name for name, value in found.items() if value] if isinstance(found, dict) else []


class BindResult(NamedTuple):
    """A sync target that delivers by a configuration now, and by which it did (empty for none)."""

    target: Target
    was: str
    paused: bool = False


async def list_configured(session: Session, targets: Sequence[Target]) -> list[DeliveryConfig]:
    """Return every delivery configuration with the targets that use it."""
    states = await read_targets(session.api, targets)
    found = []
    async for page in session.api.pages(PATH, key="ID"):
        for document in page:
            own = str(document["ID"]).casefold()
            users = tuple(n for n, s in states.items() if s.exists and s.delivery.casefold() == own)
            found.append(DeliveryConfig(document, users))
    return found


async def read_config(session: Session, name: str) -> dict[str, Any]:
    """Return one delivery configuration; the platform shows no secrets. Raises NotFound."""
    return await session.api.get(f"{PATH}/{name}") or {}


async def bind(session: Session, targets: Sequence[Target], name: str) -> list[BindResult]:
    """Let *targets* deliver by the configuration *name*; one without a sync config gets one.

    Only that is changed: a PATCH keeps flags and pause. Raises NotFound.
    """
    document = await read_config(session, name)
    if document.get("Enabled") is False:
        session.notify(NoticeLevel.WARNING, f"{name} is disabled: it delivers nothing")
    states = await read_targets(session.api, targets)
    done = []
    for target in targets:
        state = states[target.name]
        if not state.exists:
            flags = dict.fromkeys(target.flags, True)
            await session.api.write("PUT", target.path, {"DeliveryConfigID": name, **flags})
        elif state.delivery.casefold() != name.casefold():
            await session.api.write("PATCH", target.path, {"DeliveryConfigID": name})
        done.append(BindResult(target, state.delivery, state.paused))
    return done


async def targets_bound_to(session: Session, targets: Sequence[Target]) -> list[TargetState]:
    """Return the sync configs of *targets* that exist, and so can be removed.

    Raises Conflict for one that we have paused, PausedByOther for one that somebody else has: what
    is held for it would be lost.
    """
    seen = (await read_status(session, targets)).values()
    held = (PauseState.PAUSED_BY_US, PauseState.UNCERTAIN)
    ours = [s.target.name for s in seen if s.state in held]
    if ours:
        raise Conflict(
            f"{', '.join(ours)}: paused by this workspace; what is held would be lost",
            hint=f"ocsync resume, or ocsync unpause {' '.join(ours)}",
        )
    theirs = [s.target.name for s in seen if s.state is PauseState.PAUSED_BY_OTHER]
    if theirs:
        raise PausedByOther(
            f"{', '.join(theirs)}: paused by someone else; what is held would be lost",
            hint=f"ocsync unpause {' '.join(theirs)} --force, if that is meant",
        )
    return [one.server for one in seen if one.server.exists]


async def unbind(session: Session, targets: Sequence[Target]) -> None:
    """Remove the sync configs of *targets*: nothing is delivered for them any more."""
    for target in targets:
        await session.api.delete(target.path)
