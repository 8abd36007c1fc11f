"""Sync and delivery configurations: how they stand to what this workspace did and wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec

from ocsync.client.sync_configs import read_target
from ocsync.engine.delivery_config.bindings import read_config
from ocsync.engine.doctor.check import CheckResult, of_error, passed, problem, warning
from ocsync.engine.doctor.server_context import ServerContext, Use
from ocsync.engine.pause.pausing import TargetStatus, config_changes, judge, note_lost, uncertain
from ocsync.errors import ApiError, NotFound, RoleMissing
from ocsync.pause import PauseState
from ocsync.schema import TARGETS


async def targets(asked: ServerContext) -> AsyncIterator[CheckResult]:
    """Check each sync config against what this workspace did and wants."""
    pauses = asked.setup.folder.read_pauses()
    unread: dict[str, str] = {}
    well = True
    for name, target in TARGETS.items():
        try:
            asked.states[name] = state = await read_target(asked.session.api, target)
        except RoleMissing:
            unread[name] = f"needs {target.role}"
            continue
        except ApiError as error:
            unread[name] = error.message
            continue
        seen = judge(asked.session, target, state, pauses)
        note_lost(asked.session, [seen])
        for said in _target(seen, asked.use):
            well = False
            yield said
    for name, why in unread.items():
        if name in asked.use.targets or not why.startswith("needs"):
            well = False
            yield warning(
                f"{name} could not be looked at: {why}", "whether it is paused is not known"
            )
    if well:
        there = [n for n, s in asked.states.items() if s.exists]
        yield passed(f"{len(there)} sync configs, none at odds with this workspace")


def _target(seen: TargetStatus, use: Use) -> list[CheckResult]:
    name, state = seen.target.name, seen.server
    used = name in use.targets
    found: list[CheckResult] = []
    if seen.state is PauseState.UNPAUSED_BY_OTHER:
        found.append(
            problem(
                f"somebody else lifted our pause of {name}",
                "its targets hear of changes one by one again",
                f"ocsync pause {name}, or ocsync unpause {name} to forget it",
            )
        )
    elif seen.state is PauseState.UNCERTAIN:
        error = uncertain([name])
        found.append(of_error(error, "what cannot be told apart is never unpaused unasked"))
    elif seen.state is PauseState.NO_CONFIG and seen.pause:
        found.append(
            problem(
                f"{name} was paused, and has no sync config any more",
                "there is nothing to lift, and nothing hears of its changes",
                f"ocsync unpause {name} to forget it, or set the config up again",
            )
        )
    elif seen.state is PauseState.NO_CONFIG and used:
        found.append(
            warning(
                f"{name} ({use.targets[name]}) has no sync config",
                "no delivery target hears of its changes; there is nothing to pause",
                f"ocsync delivery bind {name} CONFIG, if that is not meant",
            )
        )
    elif seen.state is PauseState.PAUSED_BY_OTHER and used:
        found.append(
            warning(
                f"{name} ({use.targets[name]}) is paused, and not by this workspace",
                "what is resumed reaches its targets when that pause is lifted, not before",
                f"ocsync pause {name} --adopt, or ocsync unpause {name} --force",
            )
        )
    changed = config_changes(seen)
    if changed:
        found.append(
            warning(
                f"the config of {name} is not as it was when it was paused: {'; '.join(changed)}",
                "somebody else works on it; lifting the pause leaves that as it is",
                "ocsync targets",
            )
        )
    if state.exists and used and not state.sends_changes:
        found.append(
            warning(
                f"{name} has {seen.target.flags[0]}=false",
                "its changes are not sent at all, only what is synced by hand",
                f"set it true in the config of {name}, or: ocsync resync {name} ID...",
            )
        )
    return found


async def delivery(asked: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that the delivery configurations in use exist and are enabled."""
    users: dict[str, list[str]] = {}
    for name in asked.use.targets:
        state = asked.states.get(name)
        if state and state.exists:
            users.setdefault(state.delivery, []).append(name)
    well = True
    for config, names in users.items():
        for said in await _delivery(asked, config, ", ".join(names)):
            well = False
            yield said
    if well:
        yield passed(f"{len(users)} in use, enabled" if users else "none in use")


async def _delivery(asked: ServerContext, config: str, names: str) -> list[CheckResult]:
    why = f"nothing of {names} is delivered"
    try:
        found = await read_config(asked.session, config)
    except NotFound:
        return [
            problem(
                f"delivery configuration {config} of {names} does not exist",
                why,
                f"ocsync delivery list, then ocsync delivery bind {names} CONFIG",
            )
        ]
    except RoleMissing:
        return [
            warning(
                f"delivery configuration {config} of {names} cannot be looked at",
                "whether it is enabled is not known",
                "DeliveryConfigAdmin would show it",
            )
        ]
    said = []
    if found.get("Enabled") is False:
        said.append(
            problem(
                f"delivery configuration {config} of {names} is disabled",
                why,
                f"ocsync delivery show {config}, then set Enabled=true",
            )
        )
    ways = found.get("DeliveryTargets")
    kafka = isinstance(ways, dict) and bool(ways.get("Kafka"))
    if kafka and find_spec("confluent_kafka") is None:
        said.append(
            warning(
                f"{names} deliver to Kafka, and confluent-kafka is not installed",
                "what arrives there cannot be listened to",
                "pip install 'ocsync[kafka]'",
            )
        )
    return said
