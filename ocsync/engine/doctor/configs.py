"""Checks of the sync and delivery configurations that this workspace uses."""

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


async def targets(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check each sync config against the pauses and the uses of this workspace."""
    pauses = context.setup.folder.read_pauses()
    unread: dict[str, str] = {}
    all_passed = True
    for name, target in TARGETS.items():
        try:
            context.states[name] = state = await read_target(context.session.api, target)
        except RoleMissing:
            unread[name] = f"needs {target.role}"
            continue
        except ApiError as error:
            unread[name] = error.message
            continue
        status = judge(context.session, target, state, pauses)
        note_lost(context.session, [status])
        for result in _target_results(status, context.use):
            all_passed = False
            yield result
    for name, reason in unread.items():
        if name in context.use.targets or not reason.startswith("needs"):
            all_passed = False
            yield warning(
                f"{name} could not be looked at: {reason}", "whether it is paused is not known"
            )
    if all_passed:
        configured = [n for n, s in context.states.items() if s.exists]
        yield passed(f"{len(configured)} sync configs, none at odds with this workspace")


def _target_results(status: TargetStatus, use: Use) -> list[CheckResult]:
    name, state = status.target.name, status.server
    used = name in use.targets
    results: list[CheckResult] = []
    if status.state is PauseState.UNPAUSED_BY_OTHER:
        results.append(
            problem(
                f"somebody else lifted our pause of {name}",
                "its targets hear of changes one by one again",
                f"ocsync pause {name}, or ocsync unpause {name} to forget it",
            )
        )
    elif status.state is PauseState.UNCERTAIN:
        error = uncertain([name])
        results.append(of_error(error, "what cannot be told apart is never unpaused unasked"))
    elif status.state is PauseState.NO_CONFIG and status.pause:
        results.append(
            problem(
                f"{name} was paused, and has no sync config any more",
                "there is nothing to lift, and nothing hears of its changes",
                f"ocsync unpause {name} to forget it, or set the config up again",
            )
        )
    elif status.state is PauseState.NO_CONFIG and used:
        results.append(
            warning(
                f"{name} ({use.targets[name]}) has no sync config",
                "no delivery target hears of its changes; there is nothing to pause",
                f"ocsync delivery bind {name} CONFIG, if that is not meant",
            )
        )
    elif status.state is PauseState.PAUSED_BY_OTHER and used:
        results.append(
            warning(
                f"{name} ({use.targets[name]}) is paused, and not by this workspace",
                "what is resumed reaches its targets when that pause is lifted, not before",
                f"ocsync pause {name} --adopt, or ocsync unpause {name} --force",
            )
        )
    changed = config_changes(status)
    if changed:
        results.append(
            warning(
                f"the config of {name} is not as it was when it was paused: {'; '.join(changed)}",
                "somebody else works on it; lifting the pause leaves that as it is",
                "ocsync targets",
            )
        )
    if state.exists and used and not state.sends_changes:
        results.append(
            warning(
                f"{name} has {status.target.flags[0]}=false",
                "its changes are not sent at all, only what is synced by hand",
                f"set it true in the config of {name}, or: ocsync resync {name} ID...",
            )
        )
    return results


async def delivery(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that the delivery configurations in use exist and are enabled."""
    users: dict[str, list[str]] = {}
    for name in context.use.targets:
        state = context.states.get(name)
        if state and state.exists:
            users.setdefault(state.delivery, []).append(name)
    all_passed = True
    for config, names in users.items():
        for result in await _config_results(context, config, ", ".join(names)):
            all_passed = False
            yield result
    if all_passed:
        yield passed(f"{len(users)} in use, enabled" if users else "none in use")


async def _config_results(context: ServerContext, config: str, names: str) -> list[CheckResult]:
    consequence = f"nothing of {names} is delivered"
    try:
        document = await read_config(context.session, config)
    except NotFound:
        return [
            problem(
                f"delivery configuration {config} of {names} does not exist",
                consequence,
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
    results = []
    if document.get("Enabled") is False:
        results.append(
            problem(
                f"delivery configuration {config} of {names} is disabled",
                consequence,
                f"ocsync delivery show {config}, then set Enabled=true",
            )
        )
    targets = document.get("DeliveryTargets")
    kafka = isinstance(targets, dict) and bool(targets.get("Kafka"))
    if kafka and find_spec("confluent_kafka") is None:
        results.append(
            warning(
                f"{names} deliver to Kafka, and confluent-kafka is not installed",
                "what arrives there cannot be listened to",
                "pip install 'ocsync[kafka]'",
            )
        )
    return results
